"""Groups and arrays of an HDF5 file, as h5py shows them."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hornbeam.errors import FileError
from hornbeam.saving.hdf5.arrays import Layout, read_layout, read_values
from hornbeam.saving.hdf5.datatype import Kind, read_dataspace, read_datatype, read_limits
from hornbeam.saving.hdf5.source import Cursor, Source, decoded, padded
from hornbeam.saving.hdf5.structures import Message, dense_records, global_object, links, messages

__all__ = ["Dataset", "Group", "NamedType", "open_hdf5", "root_of"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_DEPTH = 100


class _Object:
    """A group, array or type with a name and attributes."""

    def __init__(self, source: Source, name: str, header: list[Message]):
        self._source, self.name, self._header = source, name, header
        self._attributes: _Attributes | None = None

    @property
    def attrs(self) -> _Attributes:
        """The attributes by name."""
        if self._attributes is None:
            self._attributes = _Attributes(self._source, self._header, self.name)
        return self._attributes


class Group(_Object, Mapping):
    """A mapping from names or paths to groups and arrays; `/...` starts at the root group."""

    def __init__(
        self,
        source: Source,
        address: int,
        name: str,
        header: list[Message],
        above: tuple[int, ...] = (),
    ):
        super().__init__(source, name, header)
        self._links = links(source, header)
        self._above = (*above, address)
        self._members: dict[str, Any] = {}

    def __getitem__(self, path: str) -> Any:
        found: Any = self._source.root if str(path).startswith("/") else self
        for step in str(path).split("/"):
            if step:
                if not isinstance(found, Group) or step not in found._links:
                    raise KeyError(
                        f"{self._source.what} has nothing at {self.name.rstrip('/')}/{path}."
                    )
                found = found._member(step)
        return found

    def _member(self, step: str) -> Any:
        if step not in self._members:
            place = self._links[step]
            name = f"{self.name.rstrip('/')}/{step}"
            if isinstance(place, str):
                raise self._source.error(f"has a {place} at {name}; links are not supported")
            if place in self._above:
                raise self._source.damaged(f"{name} contains itself")
            if len(self._above) > _MAX_DEPTH:
                raise self._source.damaged(f"its groups are more than {_MAX_DEPTH} levels deep")
            self._members[step] = _open(self._source, place, name, self._above)
        return self._members[step]

    def __contains__(self, path: object) -> bool:
        try:
            self[str(path)]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._links))

    def __len__(self) -> int:
        return len(self._links)

    def __bool__(self) -> bool:
        return True

    def visititems(self, function: Callable[[str, Any], Any]) -> Any:
        """Call `function(path, object)` for all objects below until a result is not `None`."""
        for name, item in self.items():
            result = function(name, item)
            if result is None and isinstance(item, Group):
                result = item.visititems(functools.partial(_visit_below, function, name))
            if result is not None:
                return result
        return None

    def __repr__(self) -> str:
        return f"<Group {self.name!r} ({len(self)} members)>"


def _visit_below(function: Callable[[str, Any], Any], name: str, path: str, item: Any) -> Any:
    return function(f"{name}/{path}", item)


class NamedType(_Object):
    """A named type, which arrays can share."""

    @property
    def dtype(self) -> np.dtype:
        """The type as a NumPy dtype."""
        return _one(self._source, self._header, 3, read_datatype).shown


class Dataset(_Object):
    """An array in a file; `dataset[()]` reads the whole array."""

    def __init__(self, source: Source, address: int, name: str, header: list[Message]):
        super().__init__(source, name, header)
        self._address = address
        self._kind = _one(source, header, 3, read_datatype)
        shape = _one(source, header, 1, read_dataspace)
        self._empty = shape is None
        self.shape: tuple[int, ...] = shape or ()
        self._limits: tuple[int | None, ...] = _one(source, header, 1, read_limits) or ()
        self._layout: Layout = read_layout(source, header, name)

    @property
    def dtype(self) -> np.dtype:
        """Type of the elements as a NumPy dtype."""
        return self._kind.shown

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of the array in bytes."""
        return self.size * self._kind.dtype.itemsize

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"The array {self.name!r} is a scalar and has no length.")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        whole = self._read()
        return whole[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._read(), dtype=dtype)

    def _read(self) -> np.ndarray:
        if self._empty:
            return np.zeros((0,), self.dtype)
        # The memory of an array is counted once, even if it is read again.
        if self._address not in self._source.cache:
            self._source.pay(self.nbytes, f"the array {self.name!r}")
            self._source.cache[self._address] = True
        values = read_values(
            self._source, self._layout, self._kind.dtype, self.shape, self._limits, self.name
        )
        return _decoded(self._source, self._kind, values)

    def __repr__(self) -> str:
        return f"<Dataset {self.name!r}: shape {self.shape}, type {self.dtype}>"


class _Attributes(Mapping):
    """Attributes by name; values are decoded on access."""

    def __init__(self, source: Source, header: list[Message], owner: str):
        self._source = source
        self._raw: dict[str, tuple[Kind, tuple[int, ...] | None, bytes]] = {}
        for kind, flags, data in header:
            message = Cursor(source, data)
            if kind == 0x0C:
                if flags & 2:
                    raise source.error(f"has shared attributes of {owner}, which are not supported")
                self._add(message, owner)
            elif kind == 0x15:
                message.skip(1)
                if message.uint(1) & 1:
                    message.skip(2)
                heap, tree = message.offset(), message.offset()
                if heap is not None and tree is not None:
                    for record in dense_records(source, heap, tree, 8, 0):
                        self._add(record, owner)

    def _add(self, cursor: Cursor, owner: str) -> None:
        source = self._source
        version, flags = cursor.uint(1), cursor.uint(1)
        if not 1 <= version <= 3 or (version > 1 and flags & 2):
            raise source.error(f"has an attribute of {owner} in an unsupported format")
        sizes = [cursor.uint(2) for _ in range(3)]
        cursor.skip(1 if version == 3 else 0)
        name, kind, shape = (
            cursor.take(min(padded(size, 8 if version == 1 else 1), cursor.left))[:size]
            for size in sizes
        )
        text = decoded(name.split(b"\0")[0])
        if text in self._raw:
            raise source.damaged(f"{owner} has the attribute {text!r} twice")
        try:
            own = Cursor(source, kind)
            self._raw[text] = (
                read_datatype(_shared(own, 3) if version > 1 and flags & 1 else own),
                read_dataspace(Cursor(source, shape)),
                cursor.take(cursor.left),
            )
        except FileError as error:
            raise FileError(f"{error} (attribute {text!r} of {owner})") from None

    def __getitem__(self, name: str) -> Any:
        kind, shape, data = self._raw[name]
        if shape is None:
            return np.zeros((0,), kind.shown)
        count = math.prod(shape)
        if count * kind.dtype.itemsize > len(data):
            raise self._source.damaged(f"the attribute {name!r} is longer than its stored bytes")
        values = np.frombuffer(data, kind.dtype, count).reshape(shape)
        values = _decoded(self._source, kind, values, text=True)
        return values[()] if shape == () else values.copy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def _decoded(source: Source, kind: Kind, values: np.ndarray, text: bool = False) -> np.ndarray:
    """Return the values of an array's bytes: strings, lists, booleans or numbers."""
    if kind.view is not None:
        return values != 0
    if kind.text != "variable" and kind.list is None:
        return values
    found = np.empty(values.shape, object)
    for place, reference in np.ndenumerate(values):
        cursor = Cursor(source, reference.tobytes())
        length = cursor.uint(4)
        address, index = cursor.offset(), cursor.uint(4)
        size = length * (kind.list.dtype.itemsize if kind.list else 1)
        raw = global_object(source, address, index) if address and length else b""
        if size > len(raw):
            raise source.damaged("a string is shorter than it states")
        source.pay(size, "a list of strings")
        source.step()
        if kind.list:
            found[place] = np.frombuffer(raw, kind.list.dtype, length)
        else:
            found[place] = decoded(raw[:size].rstrip(b"\0")) if text else raw[:size].rstrip(b"\0")
    return found


def _one(source: Source, header: list[Message], kind: int, read: Callable[[Cursor], Any]) -> Any:
    """Read the message of this kind, which an array must have."""
    for found, flags, data in header:
        if found == kind:
            message = Cursor(source, data)
            return read(_shared(message, kind) if flags & 2 else message)
    raise source.damaged("an array has no type or no shape")


def _shared(cursor: Cursor, kind: int) -> Cursor:
    """Return the contents of a shared message from its named type."""
    source = cursor.source
    version, where = cursor.uint(1), cursor.uint(1)
    if not 1 <= version <= 3 or (version == 3 and where == 1):
        raise source.error("shares properties between arrays, which is not supported")
    cursor.skip(6 if version == 1 else 0)
    for found, flags, data in messages(source, cursor.address()):
        if found == kind and not flags & 2:
            return Cursor(source, data)
    raise source.damaged("a shared type is missing")


def _open(source: Source, address: int, name: str, above: tuple[int, ...] = ()) -> Any:
    source.step()
    header = messages(source, address)
    kinds = {kind for kind, _, _ in header}
    if 3 in kinds and not kinds & {1, 8}:
        return NamedType(source, name, header)
    if 8 in kinds or 3 in kinds:
        return Dataset(source, address, name, header)
    return Group(source, address, name, header, above)


@contextmanager
def open_hdf5(file: Any, what: str | None = None, trusted: bool = False) -> Iterator[Group]:
    """Open an HDF5 file for reading and yield its root group.

    Args:
        file: A path, or an open binary file.
        what: Name of the file for messages. Default: the file's name, in quotes.
        trusted: Whether to lift the memory limit: the file's size plus `ALLOWANCE`.

    Raises:
        FileError: If it is not an HDF5 file, is damaged, or uses unsupported features. Some damage
            is found only when an array is read.
    """
    if hasattr(file, "read"):
        yield root_of(Source(file, 0, file.seek(0, os.SEEK_END), what or "The file", trusted))
        return
    with open(file, "rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        yield root_of(Source(opened, 0, size, what or f"'{Path(file).name}'", trusted))


def root_of(source: Source) -> Group:
    """Return the root group of an open file, or of the part of a file in `source`.

    Raises:
        FileError: If there is no root group.
    """
    start = 0
    while source.cursor_up_to(start, 8).data != SIGNATURE:
        start = start * 2 or 512  # a user block may come first
        if start + 8 > source.size:
            raise source.error("is not an HDF5 file")
    head = source.cursor_up_to(start + 8, 96)
    version = head.uint(1)
    if version <= 1:
        head.skip(4)
        sizes = head.uint(1), head.uint(1)
        head.skip(9 if version == 0 else 13)
    elif version <= 3:
        sizes = head.uint(1), head.uint(1)
        head.skip(1)
    else:
        raise source.error(f"is an HDF5 file of version {version}, which is not supported")
    if not set(sizes) <= {4, 8}:
        raise source.damaged(f"its addresses take {sizes[0]} bytes and its sizes {sizes[1]}")
    source.offset_size, source.length_size = sizes
    base = head.address()
    if base != start and base != 0:
        raise source.damaged("its base address is wrong")
    head.offset()
    end = head.address()
    if version <= 1:
        head.offset()
        head.offset()
    address = head.address()
    if base + end > source.size + start:
        raise source.damaged(f"it has {source.size} bytes; expected {base + end}")
    source.move(base)
    root = _open(source, address, "/")
    if not isinstance(root, Group):
        raise source.damaged("its root is not a group")
    source.root = root
    return root
