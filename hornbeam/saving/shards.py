"""Weights in several files: `NAME.weights.json` says which arrays are in `NAME_00000.weights.h5`.

This is the layout that Keras writes for `max_shard_size`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam.errors import FileError
from hornbeam.optional import h5py_library
from hornbeam.saving.disk import MissingFileError, check_overwrite, parse_json, written_aside
from hornbeam.saving.hdf5 import Dataset, open_hdf5
from hornbeam.saving.layout import file_label, read_weights, walk
from hornbeam.saving.stores import read_array, write_array
from hornbeam.typing import FilePath

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["index_of", "load_shards", "save_shards"]

_INDEX, _SHARD = ".weights.json", ".weights.h5"


def index_of(path: FilePath) -> Path:
    """Return the path of the index file for a path that ends in `.weights.json` or `.weights.h5`.

    Example:
        >>> index_of("net.weights.h5").name
        'net.weights.json'
    """
    text = str(path)
    return Path(text.removesuffix(_SHARD).removesuffix(_INDEX) + _INDEX)


def save_shards(
    model: Model, path: FilePath, overwrite: bool, gigabytes: float, skipped: Collection[int] = ()
) -> None:
    """Write the weights of a model to several files and an index.

    Args:
        model: A built model.
        path: Path of the index, or one that ends in `.weights.h5`.
        overwrite: Whether an existing index may be replaced.
        gigabytes: Size of the arrays in one file, in GiB.
        skipped: Ids of parts that are left out.

    Raises:
        ValueError: If one array is larger.
    """
    index, limit = index_of(path), gigabytes * 2**30
    check_overwrite(index, overwrite)
    places: dict[str, list[str]] = {}
    total = 0
    for number, shard in enumerate(_shards(model, limit, skipped)):
        name = f"{index.name.removesuffix(_INDEX)}_{number:05d}{_SHARD}"
        with (
            written_aside(index.parent / name) as aside,
            h5py_library().File(aside, "w") as file,
        ):
            for group_path, part, arrays in shard:
                group = file.require_group(group_path)
                group.attrs["name"] = part
                for key, array in arrays.items():
                    write_array(group, key, array)
                    total += array.nbytes
                if arrays:
                    places.setdefault(f"/{group_path}", []).append(name)
    content = {"metadata": {"total_size": float(total)}, "weight_map": places}
    with written_aside(index) as aside:
        aside.write_text(json.dumps(content, indent=4))


def _shards(
    model: Model, limit: float, skipped: Collection[int]
) -> Iterator[list[tuple[str, str, dict[str, Any]]]]:
    """Yield the contents of each file: path of a group, name of its part, and arrays."""
    shard: list[tuple[str, str, dict[str, Any]]] = []
    size = 0
    for path, part in walk(model):
        if id(part) in skipped:
            continue
        store: dict[str, Any] = {}
        part.save_own_variables(store)
        arrays: dict[str, Any] = {}
        group = f"{path}/vars" if path else "vars"
        shard.append((group, str(part.name), arrays))
        for key, value in store.items():
            array = np.asarray(value)
            if array.nbytes > limit:
                raise ValueError(
                    f"save_weights: array {key} of '{part.name}' has {array.nbytes} bytes, more"
                    f" than `max_shard_size` = {limit / 2**30:g} (in GiB, {limit:.0f} bytes). Pass"
                    f" at least {array.nbytes / 2**30:.2g}."
                )
            if size + array.nbytes > limit and size:
                yield shard
                arrays, size = {}, 0
                shard = [(group, str(part.name), arrays)]
            arrays[str(key)] = array
            size += array.nbytes
    yield shard


def load_shards(
    model: Model, path: FilePath, skip_mismatch: bool = False, by_name: bool = False,
    skipped: Collection[int] = (),
) -> None:  # fmt: skip
    """Read weights from the files that an index names; they must be in its folder.

    Raises:
        FileError: If the index is damaged or names other files.
        FileNotFoundError: If a file is missing.
    """
    index, what = Path(path), file_label(path)
    with tempfile.TemporaryDirectory(prefix="hornbeam-shards-") as folder:
        whole = Path(folder) / f"whole{_SHARD}"
        with h5py_library().File(whole, "w") as target:
            for name in _names(index, what):
                if not (index.parent / name).is_file():
                    raise MissingFileError(
                        f"{what} names '{name}', which is not in its folder. Copy all its files"
                        f" to '{index.parent}'."
                    )
                with open_hdf5(index.parent / name) as source:
                    _copy(source, target)
        with open_hdf5(whole, what) as file:
            read_weights(file, model, what, skip_mismatch, by_name, True, skipped)


def _names(index: Path, what: str) -> list[str]:
    content = parse_json(index.read_bytes(), what)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict):
        raise FileError(f"{what} is not an index of weights: it lacks `weight_map`.")
    names = [name for given in places.values() for name in (
        given if isinstance(given, list) else [given])]  # fmt: skip
    for name in names:
        if not isinstance(name, str) or not name.endswith(_SHARD) or set(name) & set("/\\:"):
            raise FileError(f"{what} names {name!r}, which is no file of weights in its folder.")
    return list(dict.fromkeys(names))


def _copy(source: Any, target: Any) -> None:
    """Copy all arrays of a file of weights, with the names of their parts."""
    for name in source:
        found = source[name]
        if isinstance(found, Dataset):
            write_array(target, name, read_array(found))
            continue
        below = target.require_group(name)
        if "name" in found.attrs:
            below.attrs["name"] = found.attrs["name"]
        _copy(found, below)
