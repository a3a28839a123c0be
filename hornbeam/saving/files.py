"""Files of whole models and of weights; what a file is, its content says."""

from __future__ import annotations

import datetime
import io
import json
import os
import zipfile
from typing import Any

import h5py

from hornbeam.saving.config import custom_object_scope, deserialize, serialize
from hornbeam.saving.legacy_h5 import load_model_h5, load_weights_h5, save_model_h5, save_weights_h5
from hornbeam.saving.weights import load_state, save_state, write_aside

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]

_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
    """Save a model as `.keras` or `.h5`, by the path's extension.

    Args:
        model: The model.
        filepath: The path.
        overwrite: Whether an existing file may be replaced.
        zipped: Kept for Keras's signature; only `True` (one zip file) is written.
        **kwargs: Keras 2's `include_optimizer` and `save_format`.

    Raises:
        ValueError: If the extension is another, or the file exists and must not be replaced.
    """
    path = _target(filepath, overwrite)
    wanted = kwargs.pop("save_format", None)
    include_optimizer = kwargs.pop("include_optimizer", True)
    if kwargs:
        raise TypeError(f"save: unexpected arguments {sorted(kwargs)}.")
    if zipped is False:
        raise ValueError("save: folders are not written; leave `zipped` out.")
    if not path.endswith((".keras", ".h5", ".hdf5")) and wanted != "h5":
        raise ValueError(f"save: `filepath` must end in '.keras' or '.h5', received {path!r}.")
    if not path.endswith(".keras"):
        write_aside(path, lambda p: _write_h5(p, lambda f: save_model_h5(model, f)))
        return

    def write(temporary: str) -> None:
        weights = io.BytesIO()
        with h5py.File(weights, "w") as file:
            save_state(model, file, optimizer=include_optimizer)
        now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
        with zipfile.ZipFile(temporary, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1", "date_saved": now}))
            archive.writestr("config.json", json.dumps(serialize(model)))
            archive.writestr("model.weights.h5", weights.getvalue())

    write_aside(path, write)


def _write_h5(path: str, fill: Any) -> None:
    with h5py.File(path, "w") as file:
        fill(file)


def _target(filepath: Any, overwrite: bool) -> str:
    path = os.fspath(filepath)
    if os.path.exists(path) and not overwrite:
        raise ValueError(f"save: {path!r} exists already and `overwrite` is false.")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"save: the folder {folder!r} does not exist.")
    return path


def _source(filepath: Any) -> str:
    path = os.fspath(filepath)
    if not os.path.isfile(path):
        raise ValueError(f"File not found: {path!r}. Check the path and the extension (.keras, .h5).")
    return path


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:  # noqa: A002
    """Load a model that `save` (or Keras) wrote.

    Args:
        filepath: A `.keras` or HDF5 file, whatever its extension says.
        custom_objects: Classes and functions of yours by name.
        compile: Whether the training configuration is restored.
        safe_mode: Kept for Keras's signature; code in files is refused either way.

    Raises:
        ValueError: If the file is no model, or holds a class that is not known.
    """
    path = _source(filepath)
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file, custom_object_scope(custom_objects or {}):
            return load_model_h5(file, None, compile)
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path!r} is neither a .keras archive nor an HDF5 file.")
    with zipfile.ZipFile(path) as archive, custom_object_scope(custom_objects or {}):
        config = json.loads(_member(archive, "config.json"))
        compiled = config.pop("compile_config", None)
        model = deserialize(config)
        if compile and compiled:
            model.compile_from_config(compiled)
        with h5py.File(io.BytesIO(_member(archive, "model.weights.h5")), "r") as file:
            load_state(model, file)
    return model


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"The archive has no {name!r}; it is no .keras model.") from None
    if info.file_size > 64 * 2**20 and info.file_size > 200 * max(info.compress_size, 1):
        raise ValueError(f"The archive's {name!r} unpacks to {info.file_size} bytes from {info.compress_size}; refused.")
    return archive.read(name)


def save_weights(model: Any, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
    """Save weights as `.weights.h5` (Keras 3's layout) or `.h5` (Keras 2's).

    Raises:
        ValueError: If the extension is another, or the model has no weights yet.
    """
    kwargs.pop("save_format", None)
    if kwargs.pop("max_shard_size", None) is not None or kwargs:
        raise TypeError(f"save_weights: unexpected arguments {sorted(kwargs) or ['max_shard_size']}.")
    path = _target(filepath, overwrite)
    if not model.built:
        raise ValueError(f"Model '{model.name}' has no weights yet: build it or call it on data.")
    if path.endswith(".weights.h5"):
        write_aside(path, lambda p: _write_h5(p, lambda f: save_state(model, f)))
    elif path.endswith((".h5", ".hdf5")):
        write_aside(path, lambda p: _write_h5(p, lambda f: save_weights_h5(f, model)))
    else:
        raise ValueError(f"save_weights: `filepath` must end in '.weights.h5' or '.h5', received {path!r}.")


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Load weights from `.weights.h5`, `.h5` or `.keras`.

    Raises:
        ValueError: If they do not fit; the differences are listed by layer.
    """
    by_name = kwargs.pop("by_name", False)
    kwargs.pop("objects_to_skip", None)
    if kwargs:
        raise TypeError(f"load_weights: unexpected arguments {sorted(kwargs)}.")
    path = _source(filepath)
    if zipfile.is_zipfile(path) and not h5py.is_hdf5(path):
        with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(_member(archive, "model.weights.h5")), "r") as file:
            load_state(model, file, skip_mismatch)
        return
    if not h5py.is_hdf5(path):
        raise ValueError(f"{path!r} is neither a .keras archive nor an HDF5 file.")
    with h5py.File(path, "r") as file:
        if "layer_names" in file.attrs or "model_weights" in file:
            load_weights_h5(file.get("model_weights", file), model, skip_mismatch, by_name)
        else:
            load_state(model, file, skip_mismatch)
