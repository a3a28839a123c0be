"""Configurations in the words of Keras 2, for `.h5` files: tf.keras 2 reads them, and Keras 3 does too."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

__all__ = ["second_form"]

# Arguments that came with Keras 3, and the values that say nothing: left out then, as Keras 2 would refuse them.
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
# Arguments of single layers that have another word in Keras 2, which Keras 3 still knows; None: none.
_WORDS: dict[str, dict[str, str | None]] = {
    "LeakyReLU": {"negative_slope": "alpha"},
    "InputLayer": {"batch_shape": "batch_input_shape"},
}
# Layers that had no `data_format` in Keras 2.
_LAST_ONLY = ("Cropping1D", "UpSampling1D", "ZeroPadding1D")
# Layers whose arguments Keras 2 has without a seed.
_SEEDED = ("Dropout", "Noise", "Random")


class _NoSecondForm(Exception):
    """Something that Keras 2 did not have."""


def second_form(config: Any) -> Any:
    """Return a model's configuration in Keras 2's form; as it is where one of the two could not read that.

    Args:
        config: The configuration of a functional or sequential model with its class, modules left out.

    Example:
        >>> layer = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 3], "optional": False}}
        >>> second_form({"class_name": "Sequential", "config": {"layers": [layer]}})["config"]["layers"]
        [{'class_name': 'InputLayer', 'config': {'name': 'x', 'batch_input_shape': [None, 3]}}]
    """
    try:
        return _entry(config)
    except _NoSecondForm:
        return config


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    if str(entry.get("module", "")).startswith("keras.src.ops"):
        raise _NoSecondForm
    kind, config = str(entry["class_name"]), entry["config"]
    if isinstance(config, Mapping) and isinstance(config.get("layers"), list):
        config = _model(config)
    elif isinstance(config, Mapping):
        config = {key: _part(value) for key, value in _plain(kind, config).items()}
    return {**entry, "config": config}


def _part(value: Any) -> Any:
    """Translate what an argument holds: layers inside of wrappers, initializers and the like."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        if "trainable" in value["config"]:
            return _entry(value)
        inner = {key: item for key, item in value["config"].items() if item not in _NEW.get(key, ())}
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
    """Return a policy by its name, where it has only that."""
    if isinstance(value, Mapping) and value.get("class_name") == "DTypePolicy":
        name = value["config"].get("name")
        mixed = {
            "class_name": "Policy",
            "config": {"name": name},
            "module": "keras.mixed_precision",
            "registered_name": None,
        }
        return mixed if str(name).startswith("mixed") else name
    return value


def _model(config: Mapping[str, Any]) -> dict[str, Any]:
    graph = "input_layers" in config
    for entry in config["layers"]:
        # Keras 3 cannot read Keras 2's form of a model that is called twice, nor Keras 2 this layer in any form.
        if entry["class_name"] in ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention"):
            raise _NoSecondForm
        if graph and _is_graph(entry) and len(entry.get("inbound_nodes") or ()) > 1:
            raise _NoSecondForm

    nested = {_name(entry) for entry in config["layers"] if graph and _is_graph(entry)}

    def point(tensor: Mapping[str, Any]) -> list[Any]:
        name, call, output = tensor["config"]["keras_history"]
        # Keras 2 counts the call that made a nested model; Keras 3 does so in the graph's outputs only.
        return [name, call + 1 if name in nested else call, output]

    def argument(value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("class_name") != "__keras_tensor__":
                raise _NoSecondForm
            return point(value)
        return [argument(item) for item in value] if isinstance(value, list) else value

    def call_of(entry: Mapping[str, Any], call: Mapping[str, Any]) -> list[Any]:
        first, *others = call["args"]
        kwargs = dict(zip(_parameters(entry)[1:], others, strict=False)) | call["kwargs"]
        kwargs = {k: argument(v) for k, v in kwargs.items() if v is not None and _source(v) not in masks}
        tensors = first if isinstance(first, list) else [first]
        return [[*argument(tensor), kwargs] for tensor in tensors]

    def end(reference: Any) -> Any:
        if isinstance(reference, Mapping):
            return {key: end(item) for key, item in reference.items()}
        if reference and isinstance(reference[0], str):
            return list(reference)
        return [end(item) for item in reference]

    masks = _masks(config["layers"]) if graph else set()
    layers = []
    for entry in config["layers"]:
        if _name(entry) in masks:
            continue
        new = _entry(entry)
        if "inbound_nodes" in entry:
            new["inbound_nodes"] = [call_of(entry, call) for call in entry["inbound_nodes"]]
        layers.append(new)
    plain = {**config, "layers": layers}
    if "dtype" in plain:
        plain["dtype"] = _dtype(plain["dtype"])
    if not graph:
        plain = {key: value for key, value in plain.items() if key not in ("trainable", "dtype") or value is False}
        return plain
    ends = {side: end(config[side]) for side in ("input_layers", "output_layers")}
    return plain | {
        side: [x] if x and isinstance(x[0], str) else x for side, x in ends.items() if not isinstance(x, Mapping)
    }


def _source(value: Any) -> str | None:
    """Return the layer or op that makes a tensor; `None` for other values."""
    if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        return str(value["config"]["keras_history"][0])
    return None


def _masks(entries: list[Mapping[str, Any]]) -> set[str]:
    """Return the ops that compute what `Embedding` and `Masking` tell the layers behind them anyway."""

    def input_of(entry: Mapping[str, Any]) -> Any:
        calls = entry.get("inbound_nodes") or [{"args": [None]}]
        first = calls[0]["args"][0]
        return first["config"]["keras_history"] if _source(first) else None

    by_name = {_name(entry): entry for entry in entries}
    starts = [
        input_of(entry)
        for entry in entries
        if entry["class_name"] == "Masking" or (entry["class_name"] == "Embedding" and entry["config"].get("mask_zero"))
    ]
    compared = {
        name for name, entry in by_name.items() if entry["class_name"] == "NotEqual" and input_of(entry) in starts
    }
    reduced = {
        name
        for name, entry in by_name.items()
        if entry["class_name"] == "Any" and (input_of(entry) or [None])[0] in compared
    }
    found = compared | reduced
    for entry in entries:
        for call in entry.get("inbound_nodes") or ():
            given = [*call["args"], *(value for key, value in call["kwargs"].items() if "mask" not in key)]
            flat = [x for value in given for x in (value if isinstance(value, list) else [value])]
            if _name(entry) not in found:
                found -= {name for name in map(_source, flat) if name}
    return found


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or entry["config"]["name"])


def _is_graph(entry: Mapping[str, Any]) -> bool:
    config = entry["config"]
    return isinstance(config, Mapping) and "input_layers" in config


def _parameters(entry: Mapping[str, Any]) -> list[str]:
    """Return the names of the arguments of a layer's call."""
    from hornbeam import layers

    cls = getattr(layers, str(entry["class_name"]), None)
    if cls is None:
        return ["inputs"]
    return [name for name in inspect.signature(cls.call).parameters if name != "self"]
