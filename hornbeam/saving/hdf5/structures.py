"""HDF5's structures for names: object headers, B-trees and heaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hornbeam.saving.hdf5.source import Cursor, Source, decoded, padded

__all__ = ["chunks", "dense_records", "global_object", "links", "messages", "tree_records"]

Message = tuple[int, int, bytes]  # type, flags, data


# --- object headers -------------------------------------------------------------------------------


def messages(source: Source, address: int) -> list[Message]:
    """Return the messages of the object header at `address`.

    Raises:
        FileError: If it is damaged.
    """
    head = source.cursor_up_to(address, 4)
    return _new_header(source, address) if head.data == b"OHDR" else _old_header(source, address)


def _old_header(source: Source, address: int) -> list[Message]:
    head = source.cursor(address, 16)
    version = head.uint(1)
    head.skip(1)
    count = head.uint(2)
    head.skip(4)
    size = head.uint(4)
    if version != 1:
        raise source.damaged(f"there is no object at {address}")
    return _all_blocks(source, source.cursor(address + 16, size), _old_messages, 0, count)


def _old_messages(block: Cursor, order: int) -> Iterator[Message]:
    while block.left >= 8:
        kind, size, flags = block.uint(2), block.uint(2), block.uint(1)
        block.skip(3)
        yield kind, flags, block.take(size)


def _new_header(source: Source, address: int) -> list[Message]:
    head = source.cursor_up_to(address, 64)
    head.expect(b"OHDR")
    version, flags = head.uint(1), head.uint(1)
    if version != 2:
        raise source.damaged(f"the object at {address} has version {version}")
    head.skip((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
    size = head.uint(1 << (flags & 3))
    order = 2 if flags & 4 else 0
    return _all_blocks(source, source.cursor(address + head.at, size), _new_messages, order, None)


def _new_messages(block: Cursor, order: int) -> Iterator[Message]:
    if block.data[:4] == b"OCHK":
        block.skip(4)
        block = Cursor(block.source, block.data[4:-4])
    while block.left >= 4 + order:
        kind, size, flags = block.uint(1), block.uint(2), block.uint(1)
        block.skip(order)
        yield kind, flags, block.take(size)


def _all_blocks(
    source: Source, first: Cursor, parse: Any, order: int, count: int | None
) -> list[Message]:
    """Return the messages of a header's first block and of its continuation blocks."""
    found: list[Message] = []
    blocks, seen = [first], set()
    while blocks:
        for message in parse(blocks.pop(0), order):
            if count is not None and len(found) >= count:
                return found
            found.append(message)
            if message[0] == 0x10:
                more = Cursor(source, message[2])
                place, size = more.address(), more.length()
                if place in seen:
                    raise source.damaged("an object's header refers to itself")
                seen.add(place)
                blocks.append(source.cursor(place, size))
    return found


# --- names of a group -----------------------------------------------------------------------------


def links(source: Source, header: list[Message]) -> dict[str, int | str]:
    """Return the members of a group by name: an address, or the kind of an unsupported link.

    Raises:
        FileError: If the group is damaged or repeats a name.
    """
    found: list[tuple[str, int | str]] = []
    for kind, _, data in header:
        message = Cursor(source, data)
        if kind == 0x11:
            found.extend(_old_links(source, message.address(), message.address()))
        elif kind == 6:
            found.append(_link(message))
        elif kind == 2:
            message.skip(1)
            if message.uint(1) & 1:
                message.skip(8)
            heap, tree = message.offset(), message.offset()
            if heap is not None and tree is not None:
                found.extend(_link(record) for record in dense_records(source, heap, tree, 5, 4))
    table = dict(found)
    if len(table) != len(found):
        raise source.damaged("a group has the same name twice")
    if any(not name or "/" in name for name in table):
        raise source.damaged("a group has a member without a name")
    return table


def _link(cursor: Cursor) -> tuple[str, int | str]:
    version, flags = cursor.uint(1), cursor.uint(1)
    if version != 1:
        raise cursor.source.damaged(f"a link has version {version}")
    kind = cursor.uint(1) if flags & 8 else 0
    cursor.skip((8 if flags & 4 else 0) + (1 if flags & 0x10 else 0))
    name = decoded(cursor.take(cursor.uint(1 << (flags & 3))))
    return name, cursor.address() if kind == 0 else _LINK_KINDS.get(kind, "link of an unknown kind")


_LINK_KINDS = {1: "soft link", 64: "link to another file"}


def _old_links(source: Source, tree: int, heap: int) -> Iterator[tuple[str, int | str]]:
    """Yield the members of a group with symbol tables, whose names are in a local heap."""
    size = source.length_size
    head = source.signed(heap, 8 + 2 * size + source.offset_size, b"HEAP")
    head.skip(4)
    length = head.length()
    head.skip(size)
    names = source.read(head.address(), length)
    for leaf in _tree_leaves(source, tree, 0, size):
        table = source.signed(leaf, 8, b"SNOD")
        table.skip(2)
        count = table.uint(2)
        entry = 2 * source.offset_size + 24
        entries = source.cursor(leaf + 8, count * entry)
        for _ in range(count):
            source.step()
            at, address, cached = (
                entries.uint(source.offset_size),
                entries.uint(source.offset_size),
                entries.uint(4),
            )
            entries.skip(20)
            end = names.find(b"\0", at)
            if at >= len(names) or end < 0:
                raise source.damaged("a name does not end")
            yield decoded(names[at:end]), "soft link" if cached == 2 else address


def _tree_leaves(source: Source, root: int, kind: int, key: int) -> Iterator[int]:
    """Yield the addresses in the leaf nodes of a version 1 B-tree."""
    for _, child in _tree_entries(source, root, kind, key):
        yield child


def _tree_entries(source: Source, root: int, kind: int, key: int) -> Iterator[tuple[bytes, int]]:
    head_size = 8 + 2 * source.offset_size
    pending: list[tuple[int, int | None]] = [(root, None)]
    while pending:
        address, expected = pending.pop()
        head = source.signed(address, head_size, b"TREE")
        found, level, used = head.uint(1), head.uint(1), head.uint(2)
        if found != kind or (expected is not None and level != expected):
            raise source.damaged(f"the B-tree at {address} is inconsistent")
        body = source.cursor(address + head_size, used * (key + source.offset_size))
        below = []
        for _ in range(used):
            source.step()  # a node that many nodes point to is counted each time
            below.append((body.take(key), body.address()))
        if level == 0:
            yield from below
        else:
            pending.extend((child, level - 1) for _, child in reversed(below))


def chunks(source: Source, root: int, rank: int) -> Iterator[tuple[int, int, tuple[int, ...], int]]:
    """Yield stored size, filter mask, offsets and address of chunks in a version 1 B-tree."""
    for key, address in _tree_entries(source, root, 1, 8 + 8 * (rank + 1)):
        cursor = Cursor(source, key)
        size, mask = cursor.uint(4), cursor.uint(4)
        yield size, mask, tuple(cursor.uint(8) for _ in range(rank)), address


# --- heaps ----------------------------------------------------------------------------------------


def global_object(source: Source, address: int, index: int) -> bytes:
    """Return an object of the global heap collection at `address`."""
    found = source.cache.get(("heap", address))
    if found is None:
        head = source.signed(address, 8 + source.length_size, b"GCOL")
        head.skip(4)
        size = head.length()
        body = source.cursor(address + head.at, size - head.at)
        found = {}
        while body.left >= 8 + source.length_size:
            number = body.uint(2)
            body.skip(6)
            length = body.length()
            if number == 0:
                break
            found[number] = body.take(length)
            body.skip(min(padded(length, 8) - length, body.left))
        source.cache["heap", address] = found
    if index not in found:
        raise source.damaged("a string is missing")
    return found[index]


def dense_records(
    source: Source, heap: int, tree: int, kind: int, skipped: int
) -> Iterator[Cursor]:
    """Yield the objects of a fractal heap in the order of its version 2 B-tree.

    Args:
        source: The file.
        heap: Address of the heap.
        tree: Address of the B-tree.
        kind: Type of the tree's records.
        skipped: Number of bytes before the heap identifier in a record: 0, or 4 for a hash.
    """
    objects = _FractalHeap(source, heap)
    for record in tree_records(source, tree, kind):
        yield Cursor(source, objects.get(record[skipped : skipped + objects.id_size]))


class _FractalHeap:
    """A fractal heap: objects of many sizes, in blocks whose sizes double.

    Args:
        source: The file.
        address: Address of the heap's header.
    """

    def __init__(self, source: Source, address: int):
        self._source = source
        offset, length = source.offset_size, source.length_size
        head = source.signed(address, 22 + 12 * length + 3 * offset, b"FRHP")
        head.skip(1)
        self.id_size, filters, flags = head.uint(2), head.uint(2), head.uint(1)
        largest = head.uint(4)
        head.skip(length)
        self._huge = head.offset()
        head.skip(length + offset + 8 * length)
        self._width, self._start, self._max_direct = head.uint(2), head.length(), head.length()
        self._offset_bytes = (head.uint(2) + 7) // 8
        head.skip(2)
        self._root, self._rows = head.offset(), head.uint(2)
        powers = (self._start, self._max_direct)
        if (
            filters
            or not self._width
            or any(n == 0 or n & (n - 1) for n in powers)
            or self._start > self._max_direct
        ):
            raise source.error("stores names in an unsupported way")
        self._length_bytes = min((self._max_direct.bit_length() + 6) // 8, _bytes_for(largest))
        self._direct_rows = (self._max_direct // self._start).bit_length() + 1
        self._block_head = 5 + offset + self._offset_bytes + (4 if flags & 2 else 0)

    def get(self, identifier: bytes) -> bytes:
        """Return the object with this identifier."""
        cursor = Cursor(self._source, identifier)
        kind = cursor.uint(1) >> 4 & 3
        if kind == 1 and self._huge is not None:
            return self._get_huge(cursor.uint(min(cursor.left, self._source.length_size)))
        if kind != 0:
            raise self._source.error("stores names in an unsupported way")
        offset, length = cursor.uint(self._offset_bytes), cursor.uint(self._length_bytes)
        if self._root is None:
            raise self._source.damaged("a heap is empty")
        address, start, size = self._block(offset)
        if offset - start < self._block_head or offset - start + length > size:
            raise self._source.damaged("an object is outside its heap")
        return self._source.read(address + offset - start, length)

    def _get_huge(self, number: int) -> bytes:
        """Return the object with this number, which is too large for the blocks."""
        assert self._huge is not None
        for record in tree_records(self._source, self._huge, 1):
            cursor = Cursor(self._source, record)
            address, size = cursor.address(), cursor.length()
            if cursor.length() == number:
                return self._source.read(address, size)
        raise self._source.damaged("an object is missing from its heap")

    def _block(self, offset: int) -> tuple[int, int, int]:
        """Return address, offset and size of the direct block that holds `offset`."""
        assert self._root is not None
        if self._rows == 0:
            return self._root, 0, self._start
        address, start, rows = self._root, 0, self._rows
        for _ in range(64):
            row, column, at, size = self._entry(offset - start, rows)
            direct = row < self._direct_rows
            number = row * self._width + column
            head = 5 + self._source.offset_size + self._offset_bytes
            table = self._source.signed(
                address, head + (number + 1) * self._source.offset_size, b"FHIB"
            )
            table.skip(head - 4 + number * self._source.offset_size)
            address, start = table.address(), start + at
            if direct:
                return address, start, size
            rows = (size // (self._start * self._width)).bit_length()
        raise self._source.damaged("a heap is nested too deeply")

    def _entry(self, offset: int, rows: int) -> tuple[int, int, int, int]:
        """Return row, column, offset and size of an indirect block's entry for `offset`."""
        start = 0
        for row in range(min(rows, 64)):
            size = self._start << max(0, row - 1)
            if offset < start + self._width * size:
                column = (offset - start) // size
                return row, column, start + column * size, size
            start += self._width * size
        raise self._source.damaged("an object is outside its heap")


def tree_records(source: Source, address: int, kind: int) -> Iterator[bytes]:
    """Yield the records of a version 2 B-tree."""
    head = source.signed(address, 16 + source.offset_size + 2 + source.length_size, b"BTHD")
    head.skip(1)
    found, node, record, depth = head.uint(1), head.uint(4), head.uint(2), head.uint(2)
    head.skip(2)
    root, count = head.offset(), head.uint(2)
    if found != kind or record < 1 or node < record + 10 or depth > 16:
        raise source.damaged(f"the B-tree at {address} is inconsistent")
    # The number of records that a node can hold determines the size of its children's counts.
    most, below_total = [(node - 10) // record], [(node - 10) // record]
    widths: list[tuple[int, int]] = [(0, 0)]
    for level in range(1, depth + 1):
        width = _bytes_for(most[0])
        total_width = _bytes_for(below_total[level - 1]) if level > 1 else 0
        pointer = source.offset_size + width + total_width
        most.append((node - 10 - pointer) // (record + pointer))
        if most[-1] < 1:
            raise source.damaged(f"the B-tree at {address} is inconsistent")
        below_total.append((most[-1] + 1) * below_total[-1] + most[-1])
        widths.append((width, total_width))
    if root is None:
        return
    pending = [(root, count, depth)]
    while pending:
        place, number, level = pending.pop()
        body = source.signed(
            place, 6 + number * record + (10 if level == 0 else 0), b"BTIN" if level else b"BTLF"
        )
        body.skip(2)
        for _ in range(number):
            source.step()
            yield body.take(record)
        if level:
            width, total_width = widths[level]
            pointers = source.cursor(
                place + 6 + number * record,
                (number + 1) * (source.offset_size + width + total_width),
            )
            for _ in range(number + 1):
                child, size = pointers.address(), pointers.uint(width)
                pointers.skip(total_width)
                pending.append((child, size, level - 1))


def _bytes_for(number: int) -> int:
    return max(1, (number.bit_length() + 7) // 8)
