"""The storage layouts of HDF5 arrays, and functions that read the values."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from hornbeam.saving.hdf5.indexes import EXTENSIBLE, FIXED, SINGLE, TREE, Grid, Piece, pieces
from hornbeam.saving.hdf5.source import Cursor, Source, padded
from hornbeam.saving.hdf5.structures import Message, chunks

__all__ = ["Layout", "read_layout", "read_values"]

_GZIP, _SHUFFLE, _CHECKSUM, _LZF = 1, 2, 3, 32000
_FILTERS = {
    4: "szip",
    5: "n-bit",
    6: "scale-offset",
    32001: "Blosc",
    32004: "LZ4",
    32015: "Zstandard",
}
# Largest array in bytes that may exist without any bytes in the file.
_UNPAID = 64 * 1024


@dataclass
class Layout:
    """Where the values of an array are stored.

    Args:
        kind: `"inside"` (in `data`), `"whole"` (`stored` bytes at `address`), `"chunks"` (in the
            B-tree at `address`), `"chunk"` (a single chunk at `address`) or `"index"` (in the chunk
            index of type `index` at `address`).
    """

    kind: str
    data: bytes = b""
    address: int | None = None
    stored: int = 0
    mask: int = 0
    index: int = 0
    plain_edges: bool = False
    chunk: tuple[int, ...] = ()
    filters: list[tuple[int, list[int]]] = field(default_factory=list)
    fill: bytes = b""


def read_layout(source: Source, header: list[Message], name: str) -> Layout:
    """Read where the values of an array are stored.

    Raises:
        FileError: If they are in another file, or in an unsupported layout.
    """
    layout, filters, fill = None, [], b""
    for kind, flags, data in header:
        message = Cursor(source, data)
        if kind == 7:
            raise source.error(
                f"stores the array {name!r} outside the file, which is not supported"
            )
        if kind in (8, 0x0B) and flags & 2:
            raise source.error("shares properties between arrays, which is not supported")
        if kind == 8:
            layout = _layout(message, name)
        elif kind == 0x0B:
            filters = _filters(message, name)
        elif kind == 5:
            fill = _fill_value(message)
    if layout is None:
        raise source.damaged(f"the array {name!r} has no storage")
    layout.filters, layout.fill = filters, fill
    return layout


def _fill_value(cursor: Cursor) -> bytes:
    """Read the fill value of elements that were never written; no bytes mean zero."""
    version, flags = cursor.uint(1), cursor.uint(1)
    if version >= 3:
        return cursor.take(cursor.uint(4)) if flags & 0x20 else b""
    cursor.skip(1)
    defined = cursor.uint(1)
    return cursor.take(cursor.uint(4)) if cursor.left >= 4 and (version == 1 or defined) else b""


def _layout(cursor: Cursor, name: str) -> Layout:
    source = cursor.source
    version = cursor.uint(1)
    if version in (1, 2):
        return _old_layout(cursor)
    kind = cursor.uint(1)
    if version not in (3, 4, 5) or kind == 3:
        where = (
            "is assembled from other arrays"
            if kind == 3
            else f"has version {version} of the layout"
        )
        raise source.error(f"has the array {name!r}, which {where}; this is not supported")
    if kind == 0:
        return Layout("inside", data=cursor.take(cursor.uint(2)))
    if kind == 1:
        return Layout("whole", address=cursor.offset(), stored=cursor.length())
    if kind != 2:
        raise source.damaged(f"the array {name!r} has no storage")
    if version == 3:
        rank, address = cursor.uint(1), cursor.offset()
        return Layout(
            "chunks", address=address, chunk=tuple(cursor.uint(4) for _ in range(rank))[:-1]
        )
    flags, rank, width = cursor.uint(1), cursor.uint(1), cursor.uint(1)
    chunk = tuple(cursor.uint(width) for _ in range(rank))[:-1]
    index = cursor.uint(1)
    if index != SINGLE:
        cursor.skip({FIXED: 1, EXTENSIBLE: 5, TREE: 6}.get(index, 0))
        return Layout(
            "index", address=cursor.offset(), index=index, plain_edges=bool(flags & 1), chunk=chunk
        )
    stored, mask = (cursor.length(), cursor.uint(4)) if flags & 2 else (0, 0)
    return Layout(
        "chunk",
        address=cursor.offset(),
        stored=stored,
        mask=mask,
        plain_edges=bool(flags & 1),
        chunk=chunk,
    )


def _old_layout(cursor: Cursor) -> Layout:
    rank, kind = cursor.uint(1), cursor.uint(1)
    cursor.skip(5)
    address = cursor.offset() if kind else None
    sizes = tuple(cursor.uint(4) for _ in range(rank))
    if kind == 0:
        return Layout("inside", data=cursor.take(cursor.uint(4)))
    if kind == 1:
        return Layout("whole", address=address, stored=math.prod(sizes))
    return Layout("chunks", address=address, chunk=sizes[:-1])


def _filters(cursor: Cursor, name: str) -> list[tuple[int, list[int]]]:
    version, count = cursor.uint(1), cursor.uint(1)
    cursor.skip(6 if version == 1 else 0)
    found = []
    for _ in range(count):
        number = cursor.uint(2)
        length = cursor.uint(2) if version == 1 or number >= 256 else 0
        cursor.skip(2)
        values = cursor.uint(2)
        cursor.skip(padded(length, 8) if version == 1 else length)
        settings = [cursor.uint(4) for _ in range(values)]
        if version == 1 and values % 2:
            cursor.skip(4)
        if number not in (_GZIP, _SHUFFLE, _CHECKSUM, _LZF):
            known = _FILTERS.get(number, f"filter {number}")
            raise cursor.source.error(
                f"stores the array {name!r} compressed by {known}, which is not supported. Write it"
                " with gzip or without compression (`h5repack -f NONE`)"
            )
        found.append((number, settings))
    if len(found) > 8:
        raise cursor.source.damaged(f"the array {name!r} has {len(found)} filters")
    return found


# --- values ---------------------------------------------------------------------------------------


Limits = tuple[int | None, ...]


def read_values(
    source: Source,
    layout: Layout,
    dtype: np.dtype,
    shape: tuple[int, ...],
    limits: Limits,
    name: str,
) -> np.ndarray:
    """Return the values of an array.

    Args:
        source: The file.
        layout: Where they are stored.
        dtype: Type of the elements in the file.
        shape: Shape.
        limits: Maximum shape of the array.
        name: Name of the array, for messages.

    Raises:
        FileError: If the file holds fewer values than it declares.
    """
    nbytes = math.prod(shape) * dtype.itemsize
    if layout.kind == "inside":
        if len(layout.data) < nbytes:
            raise source.damaged(f"the array {name!r} is longer than its stored bytes")
        return np.frombuffer(layout.data, dtype, math.prod(shape)).reshape(shape).copy()
    if layout.address is None or nbytes == 0:
        if nbytes > _UNPAID:
            raise source.error(
                f"claims {nbytes} bytes for the array {name!r}, but holds none of them"
            )
        return _filled(shape, dtype, layout.fill)
    if layout.kind == "whole":
        if layout.filters or layout.stored < nbytes:
            raise source.damaged(f"the array {name!r} is longer than its stored bytes")
        array = _empty(source, shape, dtype, layout.address, nbytes)
        source.read_into(layout.address, array)
        return array
    return _read_chunks(source, layout, dtype, shape, limits, name)


def _filled(shape: tuple[int, ...], dtype: np.dtype, fill: bytes) -> np.ndarray:
    array = np.zeros(shape, dtype)
    if len(fill) == dtype.itemsize and any(fill):
        array[...] = np.frombuffer(fill, dtype, 1)[0]
    return array


def _empty(
    source: Source, shape: tuple[int, ...], dtype: np.dtype, address: int, nbytes: int
) -> np.ndarray:
    """Return an uninitialized array, after a check that the file has as many bytes."""
    if address + nbytes > source.size:
        raise source.damaged(
            f"it refers to bytes {address} to {address + nbytes}, and has {source.size}"
        )
    return np.empty(shape, dtype)


def _read_chunks(
    source: Source,
    layout: Layout,
    dtype: np.dtype,
    shape: tuple[int, ...],
    limits: Limits,
    name: str,
) -> np.ndarray:
    chunk = layout.chunk
    size = math.prod(chunk) * dtype.itemsize
    wrong = len(chunk) != len(shape) or not all(chunk) or size >= 2**32
    if (
        wrong
        or math.prod(min(c, s) for c, s in zip(chunk, shape, strict=True)) * 64 * dtype.itemsize
        < size - _UNPAID
    ):
        raise source.damaged(f"the array {name!r} of shape {shape} has chunks of shape {chunk}")
    nbytes = math.prod(shape) * dtype.itemsize
    # The list of chunks may be long, so it is read twice instead of stored.
    stored = sum(piece[0] for piece in _pieces(source, layout, shape, limits, size))
    # The compression ratio of deflate is at most 1032 to 1.
    if nbytes > 1100 * stored + _UNPAID:
        raise source.error(f"claims {nbytes} bytes for the array {name!r}, but holds {stored}")
    array = _filled(shape, dtype, layout.fill)
    seen = np.zeros([-(-s // c) for s, c in zip(shape, chunk, strict=True)], bool)
    for stored, mask, place, address in _pieces(source, layout, shape, limits, size):
        number = tuple(p // c for p, c in zip(place, chunk, strict=True))
        if (
            any(p >= s or p % c for p, s, c in zip(place, shape, chunk, strict=True))
            or seen[number]
        ):
            raise source.damaged(f"the array {name!r} has an invalid chunk at {place}")
        seen[number] = True
        if layout.plain_edges and any(
            p + c > s for p, s, c in zip(place, shape, chunk, strict=True)
        ):
            mask = -1
        data = _unfiltered(
            source, source.read(address, stored), mask, layout.filters, size, dtype.itemsize, name
        )
        block = np.frombuffer(data, dtype, math.prod(chunk)).reshape(chunk)
        inside = tuple(slice(p, min(p + c, s)) for p, c, s in zip(place, chunk, shape, strict=True))
        array[inside] = block[tuple(slice(0, s.stop - s.start) for s in inside)]
    return array


def _pieces(
    source: Source, layout: Layout, shape: tuple[int, ...], limits: Limits, size: int
) -> Iterator[Piece]:
    assert layout.address is not None
    if layout.kind == "chunk":
        return iter([(layout.stored or size, layout.mask, (0,) * len(shape), layout.address)])
    if layout.kind == "index":
        return pieces(
            source,
            layout.index,
            layout.address,
            Grid(shape, limits, layout.chunk, size, bool(layout.filters)),
        )
    return chunks(source, layout.address, len(shape))


def _unfiltered(
    source: Source,
    data: bytes,
    mask: int,
    filters: list[tuple[int, list[int]]],
    size: int,
    itemsize: int,
    name: str,
) -> bytes:
    """Undo the filters of a chunk and return its bytes."""
    for position, (number, settings) in reversed(list(enumerate(filters))):
        if mask >> position & 1:
            continue
        if number == _GZIP:
            data = _inflated(source, data, size + 4 * len(filters), name)
        elif number == _LZF:
            data = _expanded(source, data, size + 4 * len(filters), name)
        elif number == _CHECKSUM:
            data = data[:-4]  # the checksum is not compared: wrong values do no harm
        else:
            data = _unshuffled(data, settings[0] if settings else itemsize)
    if len(data) != size:
        raise source.damaged(
            f"a chunk of the array {name!r} has {len(data)} bytes; expected {size}"
        )
    return data


def _inflated(source: Source, data: bytes, limit: int, name: str) -> bytes:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, limit)
    except zlib.error as error:
        raise source.damaged(
            f"a chunk of the array {name!r} cannot be decompressed ({error})"
        ) from None
    if inflater.unconsumed_tail:
        raise source.damaged(f"a chunk of the array {name!r} is larger than it states")
    return found


def _expanded(source: Source, data: bytes, limit: int, name: str) -> bytes:
    """Decompress LZF: runs of literal bytes, and copies of earlier output."""
    found, at, end = bytearray(), 0, len(data)
    while at < end and len(found) <= limit:
        head = data[at]
        at += 1
        if head < 32:
            found += data[at : at + head + 1]
            at += head + 1
            continue
        length = head >> 5
        if length == 7 and at < end:
            length += data[at]
            at += 1
        start = len(found) - ((head & 31) << 8) - (data[at] if at < end else 0) - 1
        at, length = at + 1, length + 2
        if start < 0:
            break
        copy = bytes(found[start : start + length])
        found += (copy * (length // len(copy) + 1))[:length]  # the copy may overlap its own output
    if at != end or len(found) > limit:
        raise source.damaged(f"a chunk of the array {name!r} cannot be decompressed")
    return bytes(found)


def _unshuffled(data: bytes, itemsize: int) -> bytes:
    if itemsize < 2:
        return data
    count = len(data) // itemsize
    whole = np.frombuffer(data, np.uint8, count * itemsize).reshape(itemsize, count)
    return whole.T.tobytes() + data[count * itemsize :]
