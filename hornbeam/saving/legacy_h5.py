"""Keras 1's and 2's HDF5 layout: one group a layer, weights by name; and whole models in it."""

from __future__ import annotations

import json
import warnings
from typing import Any

import h5py
import numpy as np

from hornbeam.saving.config import deserialize, serialize
from hornbeam.saving.weights import _Store

__all__ = ["load_model_h5", "load_weights_h5", "save_model_h5", "save_weights_h5"]


def _ordered(layer: Any) -> list[Any]:
    """Weights in Keras 2's order: trainable, then others."""
    trainable = [v for v in layer.weights if v.trainable]
    return [*trainable, *(v for v in layer.weights if not v.trainable)]


def save_weights_h5(group: Any, model: Any) -> None:
    """Write the weights of a model's layers into a group."""
    group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
    group.attrs["backend"] = b"jax"
    group.attrs["keras_version"] = b"3.15.1"
    for layer in model.layers:
        own = group.create_group(layer.name)
        weights = _ordered(layer)
        names = [v.path for v in weights]
        own.attrs["weight_names"] = [n.encode() for n in names]
        for name, variable in zip(names, weights, strict=True):
            own.create_dataset(name, data=variable.numpy())


def _text(x: Any) -> str:
    return x.decode() if isinstance(x, bytes) else str(x)


def load_weights_h5(group: Any, model: Any, skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Read the weights of a model's layers from a group, in order or by name.

    Raises:
        ValueError: If layers or shapes do not fit.
    """
    if "layer_names" not in group.attrs:
        raise ValueError("The HDF5 file holds no Keras weights (no 'layer_names').")
    saved = []
    for name in map(_text, group.attrs["layer_names"]):
        own = group[name]
        names = [_text(n) for n in own.attrs.get("weight_names", [])]
        if names:
            saved.append((name, [_read(own, n) for n in names]))
    layers = [layer for layer in model.layers if layer.weights]
    if by_name:
        table = {layer.name: layer for layer in layers}
        pairs = [(table[name], arrays) for name, arrays in saved if name in table]
    else:
        if len(saved) != len(layers):
            raise ValueError(
                f"The file has {len(saved)} layers with weights ({', '.join(n for n, _ in saved[:6])}), model '{model.name}' has "
                f"{len(layers)} ({', '.join(x.name for x in layers[:6])})."
            )
        pairs = [(layer, arrays) for layer, (_, arrays) in zip(layers, saved, strict=True)]
    problems, ready = [], []
    for layer, arrays in pairs:
        own = _ordered(layer)
        if [v.shape for v in own] != [a.shape for a in arrays]:
            problems.append(f"  {layer.path}: expected {[v.shape for v in own]}, the file has {[a.shape for a in arrays]}")
        else:
            ready.extend(zip(own, arrays, strict=True))
    if problems and not skip_mismatch:
        raise ValueError(f"The weights in the file do not fit model '{model.name}':\n" + "\n".join(problems))
    for variable, array in ready:
        variable.assign(array)


def _read(group: Any, name: str) -> np.ndarray:
    parts = name.split("/")
    for part in parts[:-1]:
        if part in group:
            group = group[part]
    return _Store(group)[parts[-1]]


def save_model_h5(model: Any, file: h5py.File) -> None:
    """Write a whole model: architecture, training configuration, weights, optimizer state."""
    config = serialize(model)
    compiled = config.pop("compile_config", None)
    file.attrs["keras_version"] = "3.15.1"
    file.attrs["backend"] = "jax"
    text = json.dumps({"class_name": config["class_name"], "config": config["config"]})
    file.attrs["model_config"] = text if len(text) < 60000 else np.void(text.encode())
    save_weights_h5(file.create_group("model_weights"), model)
    if compiled:
        training = {
            "loss": compiled["loss"], "metrics": compiled["metrics"], "weighted_metrics": compiled["weighted_metrics"],
            "loss_weights": compiled["loss_weights"],
            "optimizer_config": {k: compiled["optimizer"][k] for k in ("class_name", "config")},
        }  # fmt: skip
        file.attrs["training_config"] = json.dumps(training)
        group = file.create_group("optimizer_weights/" + model.optimizer.name)
        names = []
        for index, variable in enumerate(model.optimizer.variables):
            name = f"{index}_{variable.name}"
            names.append(name.encode())
            group.create_dataset(name, data=variable.numpy())
        file["optimizer_weights"].attrs["weight_names"] = [model.optimizer.name.encode() + b"/" + n for n in names]


def _attribute(value: Any) -> str:
    return value.tobytes().decode() if isinstance(value, np.void) else _text(value)


def load_model_h5(file: h5py.File, custom_objects: Any, compile: bool) -> Any:  # noqa: A002
    """Read a whole model.

    Raises:
        ValueError: If the file holds weights only.
    """
    if "model_config" not in file.attrs:
        raise ValueError(
            "The HDF5 file holds weights only, no architecture. Make the model and use `model.load_weights(path)`."
        )
    config = json.loads(_attribute(file.attrs["model_config"]))
    model = deserialize(config, custom_objects)
    load_weights_h5(file["model_weights"], model)
    if compile and "training_config" in file.attrs:
        training = json.loads(_attribute(file.attrs["training_config"]))
        try:
            model.compile(
                optimizer=deserialize(training["optimizer_config"], custom_objects), loss=deserialize(training["loss"], custom_objects),
                metrics=deserialize(training.get("metrics"), custom_objects), loss_weights=training.get("loss_weights"),
                weighted_metrics=deserialize(training.get("weighted_metrics"), custom_objects),
            )  # fmt: skip
        except (ValueError, TypeError, KeyError) as error:
            warnings.warn(f"The model was loaded without its training configuration: {error}", stacklevel=3)
            return model
        if "optimizer_weights" in file and model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
            names = [_text(n) for n in file["optimizer_weights"].attrs.get("weight_names", [])]
            arrays = [_read(file["optimizer_weights"], n) for n in names]
            own = model.optimizer.variables
            if [a.shape for a in arrays] == [v.shape for v in own]:
                for variable, array in zip(own, arrays, strict=True):
                    variable.assign(array)
            elif arrays:
                warnings.warn("The optimizer's state in the file does not fit and starts anew.", stacklevel=3)
    return model
