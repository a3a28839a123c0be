"""The arrays of a group in an HDF5 file, as the mappings that `save_own_variables` fills and
`load_own_variables` reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from hornbeam.errors import FileError
from hornbeam.saving.hdf5 import Dataset, Group
from hornbeam.typing import ArrayLike

if TYPE_CHECKING:
    import h5py

__all__ = ["ReadStore", "WrittenStore", "member", "read_array", "write_array"]

# Dtypes that HDF5 lacks; they are written as bytes, with the name of the dtype as an attribute.
_NARROW = {
    name: jnp.dtype(name) for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4")
}


def write_array(group: h5py.Group, name: str, value: ArrayLike) -> None:
    """Write an array; dtypes that HDF5 lacks, such as bfloat16, are stored as bytes."""
    array = np.asarray(value)
    dataset = group.create_dataset(name, data=array)
    if array.dtype.kind == "V":
        dataset.attrs["dtype"] = array.dtype.name


def read_array(dataset: Any, dtype: str | None = None) -> np.ndarray:
    """Read an array.

    Args:
        dataset: The HDF5 dataset.
        dtype: The dtype of an array that was written as bytes without the dtype's name.

    Raises:
        FileError: If it does not hold numbers, or is far larger than the file.
    """
    if not isinstance(dataset, Dataset):
        raise FileError(f"The file has no array at {getattr(dataset, 'name', dataset)!r}.")
    if dataset.dtype.kind not in "biufcV":
        raise FileError(
            f"The array {dataset.name!r} has the dtype {dataset.dtype}; expected numbers."
        )
    array = np.asarray(dataset[()])
    if array.dtype.kind == "V" and array.dtype.name not in _NARROW:
        saved = dataset.attrs.get("dtype", dtype)
        narrow = _NARROW.get(saved) if isinstance(saved, str) else None
        if narrow is None or narrow.itemsize != array.itemsize:
            raise FileError(
                f"The array {dataset.name!r} has the unknown type {saved or array.dtype}."
            )
        array = array.view(narrow)
    return array


def member(group: Any, name: str) -> Any:
    """Return the group or array at a path below `group`, or `None`; links are rejected."""
    return group.get(name) if isinstance(group, Group) else None


class ReadStore(Mapping):
    """The arrays of a `vars` group by name; each is read when it is accessed."""

    def __init__(self, group: Any):
        self._group = group

    def __getitem__(self, name: str) -> np.ndarray:
        found = member(self._group, name)
        if found is None:
            raise KeyError(f"The file has no array {name!r} in {self._group.name}.")
        return read_array(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def __len__(self) -> int:
        return len(self._group)


class WrittenStore(MutableMapping):
    """The arrays of a `vars` group; each is written when it is set, so only one is in memory."""

    def __init__(self, group: h5py.Group):
        self._group = group

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        if str(name) in self._group:
            del self._group[str(name)]
        write_array(self._group, str(name), value)

    def __getitem__(self, name: str) -> np.ndarray:
        return np.asarray(self._group[str(name)])

    def __delitem__(self, name: str) -> None:
        del self._group[str(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def __len__(self) -> int:
        return len(self._group)
