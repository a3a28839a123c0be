"""Configurations in Keras 2's words for new `.h5` files, which tf.keras 2 and Keras 3 both read.

Where no form works for both, Keras 3's form is kept: for tensors as keyword arguments (an LSTM's
initial state), `MultiHeadAttention` (tf.keras 2 requires `query_shape`, which Keras 3 refuses), and
ops without a layer in Keras 2. Keras 2 counts the calls of a nested model from 1, Keras 3 from 0.
So each call is written twice, and tensors name the odd number, which is the same call for both.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from hornbeam import layers
from hornbeam.legacy.files.keras2_ops import layer_of_op

__all__ = ["keras2_model", "keras2_training"]

# Arguments that Keras 2 refuses, with the default values for which they are left out.
_NEW: dict[str, tuple[Any, ...]] = {
    "autocast": (True,),
    "gradient_accumulation_steps": (None,),
    "input_axes": (None,),
    "lora_alpha": (None,),
    "lora_rank": (None,),
    "loss_scale_factor": (None,),
    "optional": (False,),
    "output_axes": (None,),
    "quantization_config": (None,),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "renorm_momentum": (0.99,),
    "rms_scaling": (False,),
    "score_mode": ("dot",),
    "sliding_window": (None,),
    "use_gate": (False,),
}
# Arguments of single layers by their words in Keras 2, which Keras 3 takes too.
_WORDS: dict[str, dict[str, str | None]] = {
    "LeakyReLU": {"negative_slope": "alpha"},
    "InputLayer": {"batch_shape": "batch_input_shape"},
}
# Arguments of losses and metrics that Keras 2 refuses, with the default values for which they are
# left out.
_NEW_IN_TRAINING: dict[str, dict[str, Any]] = {
    "SparseCategoricalCrossentropy": {"axis": -1},
    "SparseTopKCategoricalAccuracy": {"from_sorted_ids": False},
}
# Layers without `data_format` in Keras 2.
_LAST_ONLY = ("Cropping1D", "UpSampling1D", "ZeroPadding1D")
# Words in the names of layers that have a `seed` in Keras 2.
_SEEDED = ("Dropout", "Noise", "Random")


class _NoKeras2Form(Exception):
    """Keras 2 has no form for something, or Keras 3 cannot read that form."""


def keras2_model(config: Any) -> Any:
    """Return a model's configuration in Keras 2's form if possible, else unchanged.

    It is unchanged if Keras 2 or Keras 3 could not read that form.

    Args:
        config: The configuration of a functional or sequential model with its class, without
            modules.

    Example:
        >>> config = {"name": "x", "batch_shape": [None, 3], "optional": False}
        >>> layers = [{"class_name": "InputLayer", "config": config}]
        >>> model = {"class_name": "Sequential", "config": {"layers": layers}}
        >>> keras2_model(model)["config"]["layers"]
        [{'class_name': 'InputLayer', 'config': {'name': 'x', 'batch_input_shape': [None, 3]}}]
    """
    try:
        return _entry(config)
    except _NoKeras2Form:
        return config


def keras2_training(value: Any) -> Any:
    """Return a training configuration without the default values of arguments that Keras 2 refuses.

    Args:
        value: Losses and metrics as Keras 3 writes them, in any nesting.

    Example:
        >>> config = {"axis": -1, "name": "l"}
        >>> keras2_training({"class_name": "SparseCategoricalCrossentropy", "config": config})
        {'class_name': 'SparseCategoricalCrossentropy', 'config': {'name': 'l'}}
    """
    if isinstance(value, list):
        return [keras2_training(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    new: Mapping[str, Any] | None = _NEW_IN_TRAINING.get(str(value.get("class_name")))
    if new is None or not isinstance(value.get("config"), Mapping):
        return {key: keras2_training(item) for key, item in value.items()}
    return {
        **value,
        "config": {k: v for k, v in value["config"].items() if k not in new or v != new[k]},
    }


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    if str(entry.get("module", "")).startswith("keras.src.ops"):
        raise _NoKeras2Form
    kind, config = str(entry["class_name"]), entry["config"]
    if kind in ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention"):
        raise _NoKeras2Form
    if isinstance(config, Mapping) and isinstance(config.get("layers"), list):
        config = _model(config)
    elif isinstance(config, Mapping):
        config = {key: _part(value) for key, value in _plain(kind, config).items()}
    return {**entry, "config": config}


def _part(value: Any) -> Any:
    """Return an argument's value in Keras 2's form, such as a wrapped layer or an initializer."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        if "trainable" in value["config"]:
            return _entry(value)
        inner = {
            key: item for key, item in value["config"].items() if item not in _NEW.get(key, ())
        }
        return {**value, "config": inner}
    return [_part(item) for item in value] if isinstance(value, list) else value


def _plain(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    words = _WORDS.get(kind, {})
    plain: dict[str, Any] = {}
    for key, value in config.items():
        new = _NEW.get(key)
        if new is not None and value in new:
            continue
        if key == "data_format" and kind in _LAST_ONLY and value == "channels_last":
            continue
        if key == "seed" and not any(word in kind for word in _SEEDED):
            continue
        if key == "dtype":
            value = _dtype(value)
        plain[words.get(key, key) or key] = value
    return plain


def _dtype(value: Any) -> Any:
    """Return a policy's name, if the policy has nothing but a name."""
    if isinstance(value, Mapping) and value.get("class_name") == "DTypePolicy":
        return value["config"].get("name")
    return value


def _model(config: Mapping[str, Any]) -> dict[str, Any]:
    graph = "input_layers" in config
    entries = config["layers"]
    if graph:
        masking = _may_mask(entries)
        masks = _masks(entries)
        entries = [
            entry if _name(entry) in masks else _without_op(entry, masking) for entry in entries
        ]
        entries = [entry for entry in entries if _name(entry) not in masks]
        new = {**config, "layers": _calls(entries, masks)} | _ends(config, entries)
        return {key: _dtype(value) if key == "dtype" else value for key, value in new.items()}
    layers = [_entry(entry) for entry in entries]
    return {k: v for k, v in config.items() if k not in ("trainable", "dtype") or v is False} | {
        "layers": layers
    }


def _without_op(entry: Mapping[str, Any], masking: bool) -> Mapping[str, Any]:
    """Return a layer that computes the same as an op; other entries as they are."""
    if not str(entry.get("module", "")).startswith("keras.src.ops"):
        return entry
    layer = None if masking else layer_of_op(entry)  # layers pass on masks, ops do not
    if layer is None:
        raise _NoKeras2Form
    return layer


def _may_mask(value: Any) -> bool:
    """Return whether a layer somewhere inside may create a mask."""
    if isinstance(value, Mapping):
        kind = str(value.get("class_name"))
        return (
            bool(value.get("mask_zero"))
            or kind == "Masking"
            or ">" in kind
            or _may_mask(list(value.values()))
        )
    return isinstance(value, list) and any(map(_may_mask, value))


def _calls(entries: list[Mapping[str, Any]], masks: set[str]) -> list[dict[str, Any]]:
    """Return the layers of a graph, with their calls in Keras 2's form."""
    nested = {_name(entry) for entry in entries if _is_model(entry)}

    def point(tensor: Mapping[str, Any]) -> list[Any]:
        name, call, output = tensor["config"]["keras_history"]
        return [name, 2 * call + 1 if name in nested else call, output]

    def argument(value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("class_name") != "__keras_tensor__":
                raise _NoKeras2Form
            return point(value)
        return [argument(item) for item in value] if isinstance(value, list) else value

    def call_of(entry: Mapping[str, Any], call: Mapping[str, Any]) -> list[Any]:
        parameters = _parameters(entry)
        kwargs = dict(zip(parameters, call["args"], strict=False)) | call["kwargs"]
        if parameters[0] not in kwargs:
            raise _NoKeras2Form
        first = kwargs.pop(parameters[0])
        kwargs = {k: v for k, v in kwargs.items() if v is not None and _source(v) not in masks}
        if any(map(_holds_mapping, kwargs.values())):
            raise _NoKeras2Form  # Keras 3 does not convert tensors inside of mappings
        tensors = first if isinstance(first, list) else [first]
        return [[*argument(tensor), kwargs] for tensor in tensors]

    layers = []
    for entry in entries:
        calls = [call_of(entry, call) for call in entry["inbound_nodes"]]
        calls = [call for call in calls for _ in range(2)] if _name(entry) in nested else calls
        layers.append({**_entry(entry), "inbound_nodes": calls})
    return layers


def _holds_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and any(map(_holds_mapping, value))
    )


def _ends(config: Mapping[str, Any], entries: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the inputs and outputs of a graph."""
    # Only here Keras 3 counts the call that made a functional model.
    first = {
        _name(entry): int("input_layers" in entry["config"])
        for entry in entries
        if _is_model(entry)
    }

    def end(reference: Any) -> Any:
        if isinstance(reference, Mapping):
            return {key: end(item) for key, item in reference.items()}
        if reference and isinstance(reference[0], str):
            name, call, output = reference
            return [name, 2 * (call - first[name]) + 1 if name in first else call, output]
        return [end(item) for item in reference]

    return {side: end(config[side]) for side in ("input_layers", "output_layers")}


def _source(value: Any) -> str | None:
    """Return the name of the layer or op that computes a tensor, or `None` for other values."""
    if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        return str(value["config"]["keras_history"][0])
    return None


def _masks(entries: list[Mapping[str, Any]]) -> set[str]:
    """Return the names of ops that compute the masks which `Embedding` and `Masking` pass on."""

    def input_of(entry: Mapping[str, Any]) -> Any:
        calls = entry.get("inbound_nodes") or [{"args": [None]}]
        first = calls[0]["args"][0]
        return first["config"]["keras_history"] if _source(first) else None

    by_name = {_name(entry): entry for entry in entries}
    starts = [
        input_of(entry)
        for entry in entries
        if entry["class_name"] == "Masking"
        or (entry["class_name"] == "Embedding" and entry["config"].get("mask_zero"))
    ]
    compared = {
        name
        for name, entry in by_name.items()
        if entry["class_name"] == "NotEqual" and input_of(entry) in starts
    }
    reduced = {
        name
        for name, entry in by_name.items()
        if entry["class_name"] == "Any" and (input_of(entry) or [None])[0] in compared
    }
    found = compared | reduced
    for entry in entries:
        for call in entry.get("inbound_nodes") or ():
            given = [
                *call["args"],
                *(value for key, value in call["kwargs"].items() if "mask" not in key),
            ]
            flat = [x for value in given for x in (value if isinstance(value, list) else [value])]
            if _name(entry) not in found:
                found -= {name for name in map(_source, flat) if name}
    return found


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or entry["config"]["name"])


def _is_model(entry: Mapping[str, Any]) -> bool:
    config = entry["config"]
    return isinstance(config, Mapping) and isinstance(config.get("layers"), list)


def _parameters(entry: Mapping[str, Any]) -> list[str]:
    """Return the names of the arguments of a layer's call."""
    cls = getattr(layers, str(entry["class_name"]), None)
    if cls is None:
        return ["inputs"]
    return [name for name in inspect.signature(cls.call).parameters if name != "self"]
