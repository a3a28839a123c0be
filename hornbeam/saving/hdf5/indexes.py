"""The chunk indexes of HDF5's version 4 layout, one for each way in which an array may grow.

Chunks are numbered along the maximum shape of the array, with the unlimited axis first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from hornbeam.saving.hdf5.source import Cursor, Source
from hornbeam.saving.hdf5.structures import tree_records

__all__ = ["Grid", "Piece", "pieces"]

Piece = tuple[int, int, tuple[int, ...], int]
"""A chunk: stored size, mask of skipped filters, offsets in the array, address."""
SINGLE, IMPLICIT, FIXED, EXTENSIBLE, TREE = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class Grid:
    """How an array is divided into chunks.

    Args:
        shape: Shape of the array.
        limits: Maximum shape of the array; `None` for unlimited axes.
        chunk: Shape of a chunk.
        size: Size of an unfiltered chunk in bytes.
        filtered: Whether the chunks have filters.
    """

    shape: tuple[int, ...]
    limits: tuple[int | None, ...]
    chunk: tuple[int, ...]
    size: int
    filtered: bool

    def place(self, number: int) -> tuple[int, ...]:
        """Return the offsets in the array of the chunk with this number."""
        axes = list(range(len(self.shape)))
        axes.sort(key=lambda axis: self.limits[axis] is not None)  # stable, so others keep order
        found = [0] * len(axes)
        for axis in reversed(axes):
            limit = self.limits[axis]
            if limit is None:
                found[axis], number = number, 0
            else:
                number, found[axis] = divmod(number, max(1, -(-limit // self.chunk[axis])))
        return tuple(n * c for n, c in zip(found, self.chunk, strict=True))


def pieces(source: Source, kind: int, address: int, grid: Grid) -> Iterator[Piece]:
    """Yield the chunks that an index lists.

    Args:
        source: The file.
        kind: Type of the index, such as `FIXED`.
        address: Address of the index.
        grid: How the array is divided into chunks.

    Raises:
        FileError: If the index is damaged or has an unknown type.
    """
    if kind == IMPLICIT:
        yield from _one_after_the_other(source, address, grid)
    elif kind == TREE:
        yield from _from_tree(source, address, grid)
    elif kind in (FIXED, EXTENSIBLE):
        read = _fixed if kind == FIXED else _extensible
        for number, element in read(source, address):
            piece = _element(Cursor(source, element), grid)
            if piece is not None:
                yield (*piece[:2], grid.place(number), piece[2])
    else:
        raise source.damaged(f"a chunk index has the unknown type {kind}")


def _element(cursor: Cursor, grid: Grid) -> tuple[int, int, int] | None:
    """Return stored size, filter mask and address of a chunk; `None` if it was never written."""
    address = cursor.offset()
    if not grid.filtered:
        return None if address is None else (grid.size, 0, address)
    size, mask = cursor.uint(cursor.left - 4), cursor.uint(4)
    return None if address is None else (size, mask, address)


def _one_after_the_other(source: Source, address: int, grid: Grid) -> Iterator[Piece]:
    if grid.filtered or None in grid.limits:
        raise source.damaged("chunks without an index have filters or an unlimited axis")
    counts = [
        -(-limit // chunk)
        for limit, chunk in zip(grid.limits, grid.chunk, strict=True)
        if limit is not None
    ]
    total = math.prod(counts)
    if address + total * grid.size > source.size:
        raise source.damaged(f"{total} chunks of {grid.size} bytes do not fit into it")
    for number in range(total):
        place = grid.place(number)
        if all(at < size for at, size in zip(place, grid.shape, strict=True)):
            yield grid.size, 0, place, address + number * grid.size


def _from_tree(source: Source, address: int, grid: Grid) -> Iterator[Piece]:
    rank = len(grid.shape)
    for record in tree_records(source, address, 11 if grid.filtered else 10):
        cursor = Cursor(source, record)
        found = _element(Cursor(source, cursor.take(len(record) - 8 * rank)), grid)
        if found is not None:
            place = tuple(cursor.uint(8) * size for size in grid.chunk)
            yield found[0], found[1], place, found[2]


# --- arrays of elements, some of them in pages ----------------------------------------------------


def _elements(cursor: Cursor, first: int, count: int, size: int) -> Iterator[tuple[int, bytes]]:
    for number in range(count):
        cursor.source.step()
        yield first + number, cursor.take(size)


def _pages(
    source: Source, address: int, first: int, count: int, size: int, page: int, written: bytes
) -> Iterator[tuple[int, bytes]]:
    """Yield the elements of the written pages of a block; a checksum follows each page."""
    for number, start in enumerate(range(0, count, page)):
        if written[number // 8] & 0x80 >> number % 8:
            held = min(page, count - start)
            yield from _elements(source.cursor(address, held * size), first + start, held, size)
        address += page * size + 4


def _fixed(source: Source, address: int) -> Iterator[tuple[int, bytes]]:
    """Yield numbers and elements of a fixed array."""
    head = source.signed(address, 8 + source.length_size + source.offset_size, b"FAHD")
    head.skip(2)
    size, bits, count, block = head.uint(1), head.uint(1), head.length(), head.offset()
    if block is None:
        return
    if bits > 32 or size < source.offset_size:
        raise source.damaged(f"the index at {address} has invalid parameters")
    start, page = 6 + source.offset_size, 1 << bits
    if count <= page:
        body = source.signed(block, start + count * size, b"FADB")
        body.skip(start - 4)
        yield from _elements(body, 0, count, size)
        return
    marks = -(-count // page) + 7 >> 3
    body = source.signed(block, start + marks, b"FADB")
    body.skip(start - 4)
    yield from _pages(source, block + start + marks + 4, 0, count, size, page, body.take(marks))


def _extensible(source: Source, address: int) -> Iterator[tuple[int, bytes]]:
    """Yield numbers and elements of an extensible array.

    The first elements are in the index block, the others in blocks whose sizes double.
    """
    head = source.signed(address, 12 + 6 * source.length_size + source.offset_size, b"EAHD")
    head.skip(2)
    size, bits, first, smallest, pointers, page_bits = (head.uint(1) for _ in range(6))
    head.skip(6 * source.length_size)
    index = head.offset()
    if index is None:
        return
    powers = all(n and not n & (n - 1) for n in (smallest, pointers))
    if not powers or not bits <= 64 or page_bits > 32 or size < source.offset_size:
        raise source.damaged(f"the index at {address} has invalid parameters")
    levels = 1 + bits - (smallest.bit_length() - 1)
    direct = 2 * (pointers.bit_length() - 1)  # levels whose blocks the index block points to
    start = 6 + source.offset_size
    body = source.signed(
        index,
        start + first * size + (2 * (pointers - 1) + max(levels - direct, 0)) * source.offset_size,
        b"EAIB",
    )
    body.skip(start - 4)
    yield from _elements(body, 0, first, size)
    blocks = _Blocks(source, size, start + -(-bits // 8), 1 << page_bits)
    number = first
    for level in range(levels):
        count, length = 1 << level // 2, smallest << (level + 1) // 2
        if level < direct:
            for _ in range(count):
                yield from blocks.elements(body.offset(), number, length, b"")
                number += length
            continue
        yield from blocks.level(body.offset(), number, count, length)
        number += count * length


@dataclass
class _Blocks:
    """Reads the data blocks of an extensible array.

    Args:
        source: The file.
        size: Size of an element in bytes.
        head: Size of a block's header in bytes.
        page: Number of elements per page.
    """

    source: Source
    size: int
    head: int
    page: int

    def level(
        self, address: int | None, number: int, count: int, length: int
    ) -> Iterator[tuple[int, bytes]]:
        """Yield the elements of `count` blocks of `length` below the block at `address`."""
        if address is None:
            return
        marks = -(-length // self.page) + 7 >> 3 if length > self.page else 0
        body = self.source.signed(
            address, self.head + count * (marks + self.source.offset_size), b"EASB"
        )
        body.skip(self.head - 4)
        written = [body.take(marks) for _ in range(count)]
        for marked in written:
            yield from self.elements(body.offset(), number, length, marked)
            number += length

    def elements(
        self, address: int | None, number: int, length: int, written: bytes
    ) -> Iterator[tuple[int, bytes]]:
        """Yield the elements of one block."""
        if address is None:
            return
        if length > self.page:
            if not written:
                raise self.source.damaged("a block of an index has unexpected pages")
            self.source.signed(address, self.head, b"EADB")
            yield from _pages(
                self.source, address + self.head + 4, number, length, self.size, self.page, written
            )
            return
        body = self.source.signed(address, self.head + length * self.size, b"EADB")
        body.skip(self.head - 4)
        yield from _elements(body, number, length, self.size)
