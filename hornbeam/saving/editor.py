"""An editor of files of weights: lists, compares, renames, adds and deletes what they hold."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam import errors
from hornbeam.errors import FileError
from hornbeam.objects.guard import one_error
from hornbeam.optional import h5py_library
from hornbeam.saving.archive import opened_parts
from hornbeam.saving.disk import kind_of, written_aside
from hornbeam.saving.hdf5 import Dataset, Group, open_hdf5
from hornbeam.saving.layout import file_label, walk
from hornbeam.saving.stores import read_array, write_array
from hornbeam.typing import FilePath

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["KerasFileEditor"]


class KerasFileEditor:
    """Shows and changes the weights in a `.keras` or `.weights.h5` file.

    An object is a layer, a model or an optimizer in the file. Its name is the last part of its
    path, such as `dense_1`; where several have that name, use the path, such as `layers/dense_1`.
    Changes are made in memory; `save` writes them.

    Args:
        filepath: Path of the file.

    Attributes:
        weights_dict: The objects as nested dictionaries; arrays are the innermost values.
        object_metadata: Attributes of objects by path, such as the names of layers.
        metadata: The file's metadata, and `config`: the model's configuration; `None` for
            `.weights.h5`.

    Raises:
        FileNotFoundError: If there is no such file.
        FileError: If it is no such file, or damaged.

    Example:
        >>> import tempfile, hornbeam as hb
        >>> path = tempfile.mkdtemp() + "/net.weights.h5"
        >>> hb.Sequential([hb.Input((3,)), hb.layers.Dense(2)]).save_weights(path)
        >>> editor = KerasFileEditor(path)  # doctest: +ELLIPSIS
        Keras model file '...net.weights.h5'
        >>> editor.rename_object("dense", "head")
        >>> editor.summary()
        Weights structure
          > layers
              └─ head
                  ├─ 0: shape=(3, 2), dtype=float32
                  └─ 1: shape=(2,), dtype=float32
    """

    def __init__(self, filepath: FilePath):
        self.filepath = filepath
        self.metadata: Any = None
        self.config: Any = None
        self.model: Any = None
        self.weights_dict: dict[str, Any] = {}
        self.object_metadata: dict[str, dict[str, Any]] = {}
        kind, what = kind_of(filepath), file_label(filepath)
        if kind == "unknown":
            raise FileError(
                f"KerasFileEditor: {what} is neither a `.keras` nor a `.weights.h5` file."
            )
        with one_error(what):
            if kind == "h5":
                with open_hdf5(filepath) as file:
                    self._read(file, self.weights_dict, "")
            else:
                with opened_parts(filepath) as (self.metadata, self.config, file):
                    self._read(file, self.weights_dict, "")
        print(f"Keras model file '{filepath}'")
        if isinstance(self.metadata, dict):
            version, date = (self.metadata.get(key) for key in ("keras_version", "date_saved"))
            print(f"Saved with Keras {version} - date: {date}")

    def _read(self, group: Any, target: dict[str, Any], path: str) -> None:
        for name in sorted(group, key=_order):
            found = group[name]
            if isinstance(found, Dataset):  # outside of `vars`: an own format of a class
                target[name] = read_array(found)
            elif name == "vars":
                if found.attrs:
                    self.object_metadata[path or "/"] = dict(found.attrs)
                for key in sorted(found, key=_order):
                    target[key] = read_array(found[key])
            elif isinstance(found, Group):
                below: dict[str, Any] = {}
                self._read(found, below, f"{path}/{name}")
                if below:
                    target[name] = below

    # --- looking ---------------------------------------------------------------------------

    def summary(self) -> None:
        """Print all objects with the shapes and dtypes of their weights, as a tree."""
        print("Weights structure")
        for line in _lines(self.weights_dict, "  "):
            print(line)

    def _repr_html_(self) -> str:
        """Return the tree for a notebook, where each object can be opened."""
        name = html.escape(str(self.filepath))
        return f"<b>Keras model file {name}</b>{_as_html(self.weights_dict)}"

    def compare(self, reference_model: Model) -> dict[str, Any]:
        """Print the differences between the file and a model, object by object.

        Args:
            reference_model: A built model.

        Returns:
            `{"status": "success" or "error", "error_count": ..., "match_count": ...}`: the number
            of differences, and of arrays that fit.
        """
        model: dict[str, Any] = {}
        for path, part in walk(reference_model):
            store: dict[str, Any] = {}
            part.save_own_variables(store)
            target = model
            for name in path.split("/") if path and store else ():
                target = target.setdefault(name, {})
            target.update({str(key): np.asarray(value) for key, value in store.items()})
        print("Running comparison")
        counts = {"errors": 0, "matches": 0}
        for difference in _differences(self.weights_dict, model, "", counts):
            print(difference)
        number = counts["errors"]
        fits = "Comparison successful: saved file is compatible with the reference model"
        found = f"Found {number} error{'s' * (number > 1)}: saved file is not compatible with the"
        print("─────────────────────")
        print(f"{found} reference model" if number else f"{fits} {reference_model.name}")
        return {
            "status": "error" if number else "success",
            "error_count": number, "match_count": counts["matches"],
        }  # fmt: skip

    # --- changing --------------------------------------------------------------------------

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Rename an object.

        Args:
            object_name: Its name or path.
            new_name: Its new name, not a path.

        Raises:
            ValueError: If there is no such object, several have the name, or the new name is taken.
        """
        if not isinstance(new_name, str) or not new_name or "/" in new_name:
            raise ValueError(f"`new_name` must be a name, not a path, received {new_name!r}.")
        parent, name, path = self._find(object_name)
        if new_name in parent and new_name != name:
            raise ValueError(
                f"'{path}' cannot be renamed: '{new_name}' exists there. Choose another name."
            )
        entries = [(new_name if key == name else key, value) for key, value in parent.items()]
        parent.clear()
        parent.update(entries)
        above = path.rpartition("/")[0]
        for old in [p for p in self.object_metadata if p == path or p.startswith(f"{path}/")]:
            renamed = f"{above}/{new_name}{old.removeprefix(path)}"
            self.object_metadata[renamed] = self.object_metadata.pop(old)

    def delete_object(self, object_name: str) -> None:
        """Delete an object, with all objects below it.

        Raises:
            ValueError: If there is no such object, or several have the name.
        """
        parent, name, path = self._find(object_name)
        del parent[name]
        for old in [p for p in self.object_metadata if p == path or p.startswith(f"{path}/")]:
            del self.object_metadata[old]

    def add_object(self, object_path: str, weights: Mapping[str, Any]) -> None:
        """Add an object, or replace one.

        Args:
            object_path: Its path, such as `layers/dense_5`. All but its last part must exist.
            weights: Its arrays, by their names `"0"`, `"1"`, ...

        Raises:
            ValueError: If the path above it does not exist, or `weights` are no arrays by name.
        """
        _check_arrays(weights)
        *above, name = str(object_path).strip("/").split("/")
        target = self.weights_dict
        for step in above:
            if not isinstance(target.get(step), dict):
                raise ValueError(
                    f"Path '{'/'.join(above)}' not found in the file. It has"
                    f" {errors.listed(self._paths())}."
                )
            target = target[step]
        target[name] = {key: np.asarray(value) for key, value in weights.items()}

    def add_weights(self, object_name: str, weights: Mapping[str, Any]) -> None:
        """Add arrays to an object, or replace arrays; arguments as for `add_object`."""
        _check_arrays(weights)
        parent, name, _ = self._find(object_name)
        parent[name].update({key: np.asarray(value) for key, value in weights.items()})

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Delete an array of an object.

        Raises:
            ValueError: If the object or the array does not exist.
        """
        parent, name, path = self._find(object_name)
        if isinstance(parent[name].get(str(weight_name)), (dict, type(None))):
            own = [key for key, value in parent[name].items() if not isinstance(value, dict)]
            raise ValueError(
                f"Weight '{weight_name}' not found in '{path}', which has {errors.listed(own)}."
            )
        del parent[name][str(weight_name)]

    def _find(self, object_name: str) -> tuple[dict[str, Any], str, str]:
        """Return the dictionary that holds an object, the object's key and its path."""
        wanted = str(object_name).strip("/")
        found = [
            (parent, name, path)
            for parent, name, path in _objects(self.weights_dict, "")
            if (path == f"/{wanted}" if "/" in wanted else name == wanted)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            paths = errors.listed([path.strip("/") for _, _, path in found])
            raise ValueError(f"Several objects are called '{wanted}': {paths}. Pass the path.")
        raise ValueError(
            f"The file has no object '{wanted}'. It has {errors.listed(self._paths())}."
        )

    def _paths(self) -> list[str]:
        return [path.strip("/") for _, _, path in _objects(self.weights_dict, "")]

    # --- writing ---------------------------------------------------------------------------

    def save(self, filepath: FilePath) -> None:
        """Write the weights with all changes to a `.weights.h5` file.

        Raises:
            ValueError: If the path does not end in `.weights.h5`.
        """
        if not str(filepath).endswith(".weights.h5"):
            raise ValueError(
                "KerasFileEditor.save: `filepath` must end in '.weights.h5', received"
                f" {str(filepath)!r}."
            )
        with written_aside(filepath) as path, h5py_library().File(path, "w") as file:
            self._write(file, self.weights_dict, "")

    resave_weights = save

    def _write(self, group: Any, entries: dict[str, Any], path: str) -> None:
        arrays = {key: value for key, value in entries.items() if not isinstance(value, dict)}
        own = group.create_group("vars")
        for name, value in self.object_metadata.get(path or "/", {}).items():
            own.attrs[name] = value
        for name, value in arrays.items():
            write_array(own, name, value)
        for name, below in entries.items():
            if isinstance(below, dict):
                self._write(group.create_group(name), below, f"{path}/{name}")


def _order(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if name.isdigit() else (1, 0, name)


def _objects(entries: dict[str, Any], path: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    for name, value in entries.items():
        if isinstance(value, dict):
            yield entries, name, f"{path}/{name}"
            yield from _objects(value, f"{path}/{name}")


def _about(array: Any) -> str:
    return f"shape={tuple(array.shape)}, dtype={array.dtype.name}"


def _lines(entries: dict[str, Any], indent: str) -> Iterator[str]:
    for number, (name, value) in enumerate(entries.items()):
        last = number == len(entries) - 1
        mark = ">" if len(indent) == 2 and number == 0 else "└─" if last else "├─"
        if not isinstance(value, dict):
            yield f"{indent}{mark} {name}: {_about(value)}"
            continue
        yield f"{indent}{mark} {name}"
        yield from _lines(value, f"{indent}{'    ' if last else '│   '}")


def _as_html(entries: dict[str, Any]) -> str:
    items = []
    for name, value in entries.items():
        label = html.escape(name)
        if isinstance(value, dict):
            items.append(f"<details open><summary>{label}</summary>{_as_html(value)}</details>")
        else:
            items.append(f"<div>{label}: {html.escape(_about(value))}</div>")
    return f"<div style='margin-left: 1.5em'>{''.join(items)}</div>"


def _differences(
    saved: dict[str, Any], model: dict[str, Any], path: str, counts: dict[str, int]
) -> Iterator[str]:
    """Yield the differences as text, and count them and the arrays that fit."""
    ends = {"reference model": model, "saved file": saved}
    for name in dict.fromkeys([*model, *saved]):
        there = [end for end, entries in ends.items() if name in entries]
        place = f"{path}/{name}"
        if len(there) == 1:
            counts["errors"] += 1
            found = ends[there[0]][name]
            kind, (missing,) = (
                ("Object" if isinstance(found, dict) else "Weight"),
                set(ends) - {there[0]},
            )
            text = f"...{kind} {place} present in {there[0]}, missing from {missing}"
            if isinstance(found, dict):
                text += f"\n    In {there[0]}, {place} contains the following keys: {list(found)}"
            yield text
        elif isinstance(saved[name], dict) and isinstance(model[name], dict):
            yield from _differences(saved[name], model[name], place, counts)
        elif getattr(saved[name], "shape", None) != getattr(model[name], "shape", None):
            counts["errors"] += 1
            shapes = [
                f"    In {end}: shape={getattr(entries[name], 'shape', 'none, an object')}"
                for end, entries in ends.items()
            ]
            yield "\n".join([f"...Weight shape mismatch for {place}", *shapes])
        else:
            counts["matches"] += 1


def _check_arrays(weights: Any) -> None:
    if not isinstance(weights, Mapping) or not all(isinstance(key, str) for key in weights):
        raise ValueError(
            "`weights` must be a dictionary of arrays by their names '0', '1', ..., received"
            f" {errors.describe(weights)}."
        )
