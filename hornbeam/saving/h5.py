"""`.h5` files of Keras 1 to 3: models and weights, with one group per layer and its name."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam import losses, tree
from hornbeam.core.placement import whole
from hornbeam.core.variable import Variable
from hornbeam.layers.state import flatten_layers
from hornbeam.objects import configuration
from hornbeam.optional import h5py_library
from hornbeam.saving.archive import KERAS_VERSION
from hornbeam.saving.compiling import compile_or_warn
from hornbeam.saving.disk import check_overwrite, parse_json, written_aside
from hornbeam.saving.eras import Era, Saved, older_files
from hornbeam.saving.hdf5 import Dataset, open_hdf5
from hornbeam.saving.layout import (
    Differences,
    check_built,
    file_label,
    member,
    optimizer_mismatch,
    read_array,
    read_weights,
    write_weights,
)
from hornbeam.typing import CustomObjects, FilePath

if TYPE_CHECKING:
    import h5py

    from hornbeam.models.model import Model

__all__ = ["load_h5", "load_h5_weights", "save_h5", "save_h5_weights", "save_layered_weights"]

# HDF5 holds at most 64 KiB of attributes in an object's header; longer lists are split.
_ATTRIBUTE_LIMIT = 60_000
# Arguments that Keras 2's optimizers reject. They are left out if they have these default values.
_NEW_IN_OPTIMIZERS = {
    "clipnorm": None, "clipvalue": None, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
    "global_clipnorm": None, "gradient_accumulation_steps": None, "loss_scale_factor": None,
    "use_ema": False, "weight_decay": None,
}  # fmt: skip
_TOP = "top_level_model_weights"


# --- writing --------------------------------------------------------------------------------------


def save_h5(
    model: Model, filepath: FilePath, overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Write architecture, weights and training state to an `.h5` file.

    Keras 3 reads the whole file. tf.keras 2 reads the architecture and the weights, but not the
    optimizer's state, which has another format there. Arithmetic between equal shapes or with a
    number, activations, `concatenate`, `reshape` and `transpose` are written as layers that
    tf.keras 2 can read. It cannot read other ops, `MultiHeadAttention`, or tensors passed as
    keyword arguments, such as an LSTM's `initial_state`. It reads models compiled with AdamW,
    Adafactor, Lion, Lamb, Muon or `weight_decay` only with `compile=False`.

    Args:
        model: A functional or sequential model, or a subclassed one with `get_config`.
        filepath: Path of the file.
        overwrite: Whether an existing file may be replaced.
        include_optimizer: Whether the training state is written.

    Raises:
        FileExistsError: If the file exists and `overwrite` is false.
    """
    check_overwrite(filepath, overwrite)
    full = json.loads(json.dumps(configuration.serialize(model)))  # lists for tuples
    compiled = full.pop("compile_config", None)
    with written_aside(filepath) as path, h5py_library().File(path, "w") as file:
        file.attrs["keras_version"] = KERAS_VERSION
        file.attrs["backend"] = "jax"
        config = older_files().keras2_model(_plain_classes(full))
        if "layers" not in full["config"] and "build_config" in full:
            config["build_config"] = full["build_config"]  # a model of the user's `call`
        file.attrs["model_config"] = json.dumps(config)
        _write_layers(file.create_group("model_weights"), model)
        if compiled and include_optimizer:
            optimizer = compiled.pop("optimizer", None)
            if isinstance(optimizer, dict):
                compiled["optimizer_config"] = {
                    "class_name": optimizer.get("registered_name") or optimizer["class_name"],
                    "config": _optimizer_config(optimizer["config"]),
                }
            compiled["loss"] = _long_names(compiled.get("loss"))
            file.attrs["training_config"] = json.dumps(older_files().keras2_training(compiled))
            if model.optimizer is not None:
                _write_group(
                    file.create_group("optimizer_weights"), _unique(model.optimizer.variables)
                )


def save_layered_weights(model: Model, filepath: FilePath, overwrite: bool = True) -> None:
    """Write only the weights, in Keras 2's layout: one group per layer, with its name."""
    check_built(model, "save_weights")
    check_overwrite(filepath, overwrite)
    with written_aside(filepath) as path, h5py_library().File(path, "w") as file:
        _write_layers(file, model)


def save_h5_weights(
    model: Model, filepath: FilePath, overwrite: bool = True, skipped: Collection[int] = ()
) -> None:
    """Write only the weights, in Keras 3's layout (`.weights.h5`)."""
    check_built(model, "save_weights")
    check_overwrite(filepath, overwrite)
    with written_aside(filepath) as path, h5py_library().File(path, "w") as file:
        write_weights(file, model, skipped=skipped)


def _plain_classes(entry: Any, inside: str = "") -> Any:
    """Return a model's configuration as in `.h5` files: layers have only class and config."""
    if isinstance(entry, list):
        return [_plain_classes(item, inside) for item in entry]
    if not isinstance(entry, dict):
        return entry
    is_layer = inside == "layers" and "class_name" in entry and "config" in entry
    if not is_layer and "module" in entry and inside != "":
        return entry  # initializers and similar objects keep Keras 3's format
    module = str(entry.get("module", ""))
    if module.startswith("keras.src.ops"):
        return entry
    plain = {
        key: value
        for key, value in entry.items()
        if key not in ("module", "registered_name", "build_config")
    }
    if entry.get("registered_name") and ">" in str(entry["registered_name"]):
        plain["class_name"] = entry["registered_name"]
    if entry["class_name"] == "GroupQueryAttention":
        # `.h5` files use the internal name of the class in Keras, not the public one.
        plain["class_name"] = "GroupedQueryAttention"
    config = plain.get("config")
    if isinstance(config, dict) and isinstance(config.get("layers"), list):
        plain["config"] = {**config, "layers": _plain_classes(config["layers"], "layers")}
    return plain


def _optimizer_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return an optimizer's configuration without new arguments of Keras 3 at their default."""
    return {
        key: value for key, value in config.items() if _NEW_IN_OPTIMIZERS.get(key, ...) != value
    }


def _long_names(loss: Any) -> Any:
    """Replace short names of losses, such as `mse`: Keras reads only full names here."""
    if isinstance(loss, str):
        return getattr(losses.get(loss), "__name__", loss)
    if isinstance(loss, list):
        return [_long_names(item) for item in loss]
    if isinstance(loss, dict) and "class_name" not in loss:
        return {key: _long_names(item) for key, item in loss.items()}
    return loss


def _weights_of(layer: Any) -> list[Variable]:
    """Return the weights in the order of `.h5` files: all trainable ones, then the others."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _top_variables(model: Any) -> list[Variable]:
    """Return the weights that belong to the model itself, not to its layers."""
    below = {v for layer in model.layers for v in layer.weights}
    return [v for v in _weights_of(model) if v not in below]


def _write_layers(root: h5py.Group, model: Any) -> None:
    _write_names(root, "layer_names", [layer.name for layer in model.layers])
    root.attrs["backend"] = "jax"
    root.attrs["keras_version"] = KERAS_VERSION
    for layer in model.layers:
        _write_group(root.create_group(layer.name), _unique(_weights_of(layer)))
    _write_group(root.create_group(_TOP), _unique(_top_variables(model)))


def _unique(variables: list[Variable]) -> list[tuple[str, Any]]:
    """Return paths and values; a repeated path gets a number."""
    named: dict[str, Any] = {}
    for variable in variables:
        path, number = variable.path, 1
        while path in named:
            path, number = f"{variable.path}_{number}", number + 1
        named[path] = whole(variable.stored)
    return list(named.items())


def _write_group(group: h5py.Group, named: list[tuple[str, Any]]) -> None:
    _write_names(group, "weight_names", [name for name, _ in named])
    for name, value in named:
        group.create_dataset(name, data=value)


def _write_names(group: h5py.Group, attribute: str, names: list[str]) -> None:
    data = [name.encode() for name in names]
    if not data:
        group.attrs[attribute] = np.zeros(0, "S1")
        return
    longest = max(map(len, data))
    per_piece = max(1, _ATTRIBUTE_LIMIT // longest)
    if len(data) <= per_piece:
        group.attrs[attribute] = np.array(data)
        return
    for number, start in enumerate(range(0, len(data), per_piece)):
        group.attrs[f"{attribute}{number}"] = np.array(data[start : start + per_piece])


# --- reading --------------------------------------------------------------------------------------


def load_h5(
    filepath: FilePath,
    custom_objects: CustomObjects = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Model:
    """Return the model in an `.h5` file; for the arguments, see `hornbeam.saving.load_model`.

    Raises:
        ValueError: If the file holds only weights, or its parts do not fit together.
    """
    what = file_label(filepath)
    with open_hdf5(filepath) as file:
        if "model_config" not in file.attrs:
            raise ValueError(
                f"{what} holds only weights, no architecture. Build the model in your program and"
                f" call `model.load_weights({what})`."
            )
        config = parse_json(file.attrs["model_config"], f"{what}: model_config")
        version = _version(file)
        config = older_files().modern_model(config, version, custom_objects)
        model = configuration.deserialize(
            config, custom_objects=custom_objects, safe_mode=safe_mode
        )
        era = _era(file)
        layers: list[tuple[Any, list[Saved]]] = []
        weights = member(file, "model_weights")
        if weights is not None:
            era, layers = _read_layers(weights, model, what, era=era)
        if compile and "training_config" in file.attrs:
            training = parse_json(file.attrs["training_config"], f"{what}: training_config")
            compile_or_warn(
                model, older_files().modern_training(training, era.old), custom_objects, what
            )
            state = member(file, "optimizer_weights")
            if state is not None and model.optimizer is not None:
                _read_optimizer(state, model, what, era, layers)
    return model


def load_h5_weights(
    model: Model, filepath: FilePath, skip_mismatch: bool = False, by_name: bool = False,
    skipped: Collection[int] = (),
) -> None:  # fmt: skip
    """Read weights into `model` from an `.h5` or `.weights.h5` file.

    The content of the file decides which of the two layouts is read.

    Args:
        model: A built model.
        filepath: Path of the file.
        skip_mismatch: Whether weights that do not fit are skipped with a warning.
        by_name: Whether layers are matched by name; layers that the file lacks keep their weights.
        skipped: Ids of parts that keep their weights; only in Keras 3's layout.

    Raises:
        ValueError: If the weights do not fit; the message lists all differences, and nothing is
            changed.
    """
    what = file_label(filepath)
    with open_hdf5(filepath) as file:
        root = member(file, "model_weights") or file
        if _has_names(root, "layer_names") or "nb_layers" in root.attrs:
            if skipped:
                raise ValueError(
                    f"load_weights: `objects_to_skip` needs a file of weights in Keras 3's layout;"
                    f" {what} has the layout of Keras 1 and 2. Use `by_name=True` with another name"
                    " for the layer."
                )
            _read_layers(root, model, what, skip_mismatch, by_name, _era(file))
        else:
            read_weights(file, model, what, skip_mismatch, by_name, True, skipped)


def _version(file: Any) -> str | None:
    """Return the version of Keras that the file states, or `None`."""
    return _stated(file, "keras_version")


def _stated(file: Any, attribute: str) -> str | None:
    for place in (file, member(file, "model_weights")):
        if place is not None and attribute in place.attrs:
            found = place.attrs[attribute]
            return found.decode() if isinstance(found, bytes) else str(found)
    return None


def _era(file: Any) -> Era:
    version = str(_version(file) or "")
    first, numbers = (
        version.startswith(("0", "1")),
        [int(n) for n in re.findall(r"\d+", version)[:3]],
    )
    return Era(
        first,
        _stated(file, "backend") or "",
        not version.startswith("3"),
        first or [2, 0] <= numbers < [2, 0, 6],
    )


def _has_names(group: Any, attribute: str) -> bool:
    return attribute in group.attrs or f"{attribute}0" in group.attrs


def _read_names(group: Any, attribute: str) -> list[str]:
    if attribute in group.attrs:
        found = list(group.attrs[attribute])
    else:
        found, number = [], 0
        while f"{attribute}{number}" in group.attrs:
            found.extend(group.attrs[f"{attribute}{number}"])
            number += 1
    return [name.decode() if isinstance(name, bytes) else str(name) for name in found]


def _arrays(group: Any, what: str, names: list[str] | None = None) -> list[Saved]:
    """Return the arrays of a layer's group in the order in which the group lists them."""
    found = []
    for name in _read_names(group, "weight_names") if names is None else names:
        dataset = member(group, name)
        if not isinstance(dataset, Dataset):
            raise ValueError(
                f"{what} is damaged: {group.name} lists the array {name!r}, which is missing."
            )
        found.append(Saved(name, dataset.shape or (), functools.partial(read_array, dataset)))
    return found


def _layers_of(root: Any, what: str) -> dict[str, list[Saved]]:
    """Return the arrays of each layer, by the layer's name."""
    names = _read_names(root, "layer_names")
    # Before Keras 1, layers and arrays had numbers instead of names.
    numbered = not names and "nb_layers" in root.attrs
    if numbered:
        names = [f"layer_{i}" for i in range(int(root.attrs["nb_layers"]))]
    found = {}
    for name in names:
        group = member(root, name)
        if group is None:
            raise ValueError(f"{what} is damaged: it lists the layer {name!r}, which is missing.")
        inside = (
            [f"param_{i}" for i in range(int(group.attrs.get("nb_params", 0)))]
            if numbered
            else None
        )
        found[name] = _arrays(group, what, inside)
    return found


def _read_layers(
    root: Any,
    model: Any,
    what: str,
    skip_mismatch: bool = False,
    by_name: bool = False,
    era: Era | None = None,
) -> tuple[Era, list[tuple[Any, list[Saved]]]]:
    """Read the weights; return the writer of the file and the arrays of each layer."""
    check_built(model, what)
    differences = Differences(what, skip_mismatch)
    saved = _layers_of(root, what)
    era, names = era or Era(), [array.name for arrays in saved.values() for array in arrays]
    if not era.first and older_files().looks_first(names):
        era = dataclasses.replace(era, first=True, old=True, sorted=True)
    if era.first and not era.backend and _has_names(root, "layer_names"):
        era = dataclasses.replace(era, backend=older_files().backend_by_names(names))
    pairs = _by_name(model, saved, differences) if by_name else _pair(model, saved, differences)
    jobs: list[tuple[Variable, Saved]] = []
    for layer, arrays in pairs:
        known = len(differences.lines)
        jobs.extend(_match(layer, arrays, era, differences))
        if arrays and len(differences.lines) == known:
            differences.loaded.append(layer.name)
    top = member(root, _TOP)
    if top is not None and not by_name:
        variables, arrays = _top_variables(model), _arrays(top, what)
        if len(variables) == len(arrays):
            jobs.extend(
                _fitting(
                    zip(variables, arrays, strict=True), f"the model '{model.name}'", differences
                )
            )
        else:
            differences.count(f"the model '{model.name}'", variables, arrays)
    if differences.lines and not skip_mismatch:
        differences.report()
    for variable, array in jobs:
        variable.assign(array.read(variable.stored_dtype))
    differences.report()
    if era.backend == "theano":
        _warn_of_padding(model, what)
    return era, pairs


def _warn_of_padding(model: Any, what: str) -> None:
    """Warn about convolutions that Theano padded differently: equally on both sides."""
    found = [
        layer.name
        for layer in flatten_layers(model)
        if hasattr(layer, "kernel_size")
        and getattr(layer, "padding", None) == "same"
        and any(n > 1 for n in tree.flatten(layer.strides))
    ]
    if found:
        warnings.warn(
            f"{what} was trained with Theano, whose padding 'same' with strides adds the same"
            " amount on both sides of an axis. Hornbeam adds less at the start, so the results of"
            f" {', '.join(found[:8])} differ along axes of even size.",
            stacklevel=4,
        )


def _by_name(
    model: Any, saved: dict[str, list[Saved]], differences: Differences
) -> list[tuple[Any, list[Saved]]]:
    arrays = {older_files().modern_name(name): found for name, found in saved.items()}
    differences.names(model, [name for name, found in arrays.items() if found])
    return [(layer, arrays[layer.name]) for layer in model.layers if layer.name in arrays]


def _pair(
    model: Any, saved: dict[str, list[Saved]], differences: Differences
) -> list[tuple[Any, list[Saved]]]:
    """Return pairs of a layer and its arrays: by name if all names agree, else by position."""
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    arrays = {older_files().modern_name(name): found for name, found in saved.items() if found}
    if set(layers) == set(arrays):
        return [(layer, arrays[name]) for name, layer in layers.items()]
    if len(layers) == len(arrays):
        return list(zip(layers.values(), arrays.values(), strict=True))
    differences.add(
        f"the model has {len(layers)} layers with weights, the file {len(arrays)}. Only the model"
        f" has: {_some(layers.keys() - arrays.keys())}; only the file has:"
        f" {_some(arrays.keys() - layers.keys())}."
    )
    return [(layer, arrays[name]) for name, layer in layers.items() if name in arrays]


def _some(names: Any) -> str:
    names = sorted(names)
    return (
        ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        if names
        else "none"
    )


def _match(
    layer: Any, arrays: list[Saved], era: Era, differences: Differences
) -> list[tuple[Variable, Saved]]:
    """Return pairs of a layer's variables and the file's arrays; collect differences."""
    label = f"{type(layer).__name__} '{layer.name}'"
    pairs = older_files().arrange(layer, arrays, era)
    if pairs is None:
        differences.count(label, layer.weights, arrays)
        return []
    return _fitting(pairs, label, differences)


def _fitting(pairs: Any, label: str, differences: Differences) -> list[tuple[Variable, Saved]]:
    pairs = list(pairs)
    wrong = [(v, a) for v, a in pairs if v.shape != a.shape]
    for variable, array in wrong:
        differences.add(
            f"{label}: '{variable.name}' has shape {variable.shape}; in the file it has"
            f" {array.shape}."
        )
    return [] if wrong else pairs


def _read_optimizer(
    state: Any, model: Any, what: str, era: Era, layers: list[tuple[Any, list[Saved]]]
) -> None:
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    arrays = _arrays(state, what)
    pairs = (
        older_files().match_optimizer(optimizer, arrays) if arrays and not era.rearranged else []
    )
    if era.old and arrays and not pairs:
        pairs = older_files().state_by_weights(optimizer, arrays, layers, era)
    if pairs is not None:
        for variable, array in pairs:
            variable.assign(array.read(variable.stored_dtype))
        return
    if era.old:
        warnings.warn(
            f"{what}: the state of its optimizer, written by an older Keras, does not fit"
            f" '{optimizer.name}' and was not loaded; the weights were loaded.",
            stacklevel=4,
        )
        return
    raise ValueError(optimizer_mismatch(what, optimizer, len(arrays)))
