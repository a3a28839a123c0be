"""Weights in Keras 3's layout: groups named by attributes, variables by number."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np

from hornbeam.core.naming import to_snake_case
from hornbeam.layers.layer import Layer

__all__ = ["load_state", "save_state", "write_aside"]


def write_aside(path: Any, write: Callable[[str], None]) -> None:
    """Write a file beside `path`, sync it, and rename it: a reader sees the old file or the new one."""
    path = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".writing-", suffix=os.path.basename(path)[-40:])
    os.close(handle)
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _parts(obj: Any) -> Iterator[tuple[str, Any]]:
    """Yield the path element and the object of everything below `obj` that has variables of its own."""
    if hasattr(obj, "layers") and hasattr(obj, "summary") and _is_graph(obj):
        names: dict[str, int] = {}
        layers = obj._stack if hasattr(obj, "_stack") else obj.layers
        for layer in layers:
            if hasattr(obj, "_stack") and type(layer).__name__ == "InputLayer":
                continue
            yield f"layers/{_numbered(type(layer).__name__, names)}", layer
    else:
        for name, value in list(obj.__dict__.items()):
            if name in getattr(type(obj), "_not_children", ()) or name == "_seen":
                continue
            if isinstance(value, Layer):
                yield name.lstrip("_"), value
            elif isinstance(value, (list, tuple, dict)):
                names = {}
                for item in value.values() if isinstance(value, dict) else value:
                    if isinstance(item, Layer):
                        yield f"{name.lstrip('_')}/{_numbered(type(item).__name__, names)}", item


def _is_graph(model: Any) -> bool:
    return hasattr(model, "_stack") or "_graph" in model.__dict__


def _numbered(class_name: str, names: dict[str, int]) -> str:
    name = to_snake_case(class_name)
    count = names.get(name, 0)
    names[name] = count + 1
    return f"{name}_{count}" if count else name


def _walk(obj: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    if id(obj) in seen:
        return
    seen.add(id(obj))
    yield path, obj
    for name, part in sorted(_parts(obj), key=lambda item: item[0]) if not _is_model(obj) else _parts(obj):
        yield from _walk(part, f"{path}/{name}" if path else name, seen)


def _is_model(obj: Any) -> bool:
    return hasattr(obj, "summary")


def _everything(model: Any, optimizer: bool) -> list[tuple[str, Any]]:
    found = list(_walk(model, "", set()))
    if optimizer and getattr(model, "optimizer", None) is not None:
        found.append(("optimizer", model.optimizer))
    return found


def save_state(model: Any, file: h5py.File, optimizer: bool = True) -> None:
    """Write the variables of a model, and its optimizer's, into an HDF5 file."""
    for path, obj in _everything(model, optimizer):
        group = file.create_group(f"{path}/vars" if path else "vars")
        group.attrs["name"] = obj.name
        store: dict[str, Any] = {}
        obj.save_own_variables(store)
        for key, value in store.items():
            group.create_dataset(key, data=np.asarray(value))


class _Store:
    """The arrays of one group, read when asked for; links to elsewhere are refused."""

    def __init__(self, group: Any):
        self._group = group

    def keys(self) -> list[str]:
        return list(self._group.keys()) if self._group is not None else []

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, key: str) -> bool:
        return key in self.keys()

    def __getitem__(self, key: str) -> np.ndarray:
        if not isinstance(self._group.get(key, getlink=True), h5py.HardLink):
            raise ValueError(f"The file's entry '{self._group.name}/{key}' is a link; links are not followed.")
        data = self._group[key]
        if not isinstance(data, h5py.Dataset) or data.external or data.is_virtual:
            raise ValueError(f"The file's entry '{self._group.name}/{key}' does not hold its own data.")
        return data[()]


def load_state(model: Any, file: h5py.File, skip_mismatch: bool = False, optimizer: bool = True) -> None:
    """Read the variables of a model, and its optimizer's, from an HDF5 file.

    Raises:
        ValueError: If weights are missing or do not fit; nothing is changed then.
    """
    problems, ready = [], []
    for path, obj in _everything(model, False):
        where = f"{path}/vars" if path else "vars"
        group = file.get(where) if where in file else None
        store = _Store(group)
        own = obj._direct_variables()
        if not own and not len(store):
            continue
        text = f"{obj.path} ({type(obj).__name__})"
        shapes = [tuple(store._group[k].shape) if isinstance(store._group.get(k), h5py.Dataset) else None for k in store.keys()]
        standard = type(obj).load_own_variables is Layer.load_own_variables
        if standard and sorted(map(str, shapes)) != sorted(str(v.shape) for v in own):
            problems.append(f"  {text}: expected {[v.shape for v in own]}, the file has {shapes}")
            continue
        if standard and any(tuple(store._group[str(i)].shape) != v.shape for i, v in enumerate(own)):
            problems.append(f"  {text}: expected {[v.shape for v in own]}, the file has {shapes}")
            continue
        ready.append((obj, store))
    if problems and not skip_mismatch:
        raise ValueError(
            f"The weights in the file do not fit model '{model.name}':\n" + "\n".join(problems) + "\nPass "
            "skip_mismatch=True to load those that do."
        )
    for obj, store in ready:
        obj.load_own_variables(store)
    if optimizer and getattr(model, "optimizer", None) is not None and "optimizer/vars" in file:
        model.optimizer.build(model.trainable_variables)
        model.optimizer.load_own_variables(_Store(file["optimizer/vars"]))
