"""The wire format of protocol buffers: fields of a number, a type and a value.

Files may come from anyone, so every length is checked against what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hornbeam.errors import FileError

__all__ = [
    "bytes_field", "fields", "floats_of", "integers_of", "number_field",
    "packed_floats", "varint",
    "varints",
]  # fmt: skip

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def varint(number: int) -> bytes:
    """Return an integer in groups of 7 bits, the lowest first; negative ones as 64 bits.

    Example:
        >>> varint(300)
        b'\\xac\\x02'
    """
    number &= 2**64 - 1
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def number_field(field: int, number: int) -> bytes:
    """Return a field of an integer."""
    return varint(field << 3 | _VARINT) + varint(number)


def bytes_field(field: int, content: bytes) -> bytes:
    """Return a field of bytes, such as a message inside."""
    return varint(field << 3 | _BYTES) + varint(len(content)) + content


def _read_varint(data: memoryview, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise FileError("A message of protocol buffers is damaged: a number does not end.")
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number & (2**64 - 1), place


def fields(data: Any) -> Iterator[tuple[int, Any]]:
    """Yield the number and value of each field: an integer, or a view of bytes.

    Raises:
        FileError: If the message is damaged.

    Example:
        >>> [(number, bytes(value)) for number, value in fields(bytes_field(2, b"ab"))]
        [(2, b'ab')]
    """
    data = memoryview(data)
    place = 0
    while place < len(data):
        key, place = _read_varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _read_varint(data, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, place = _read_varint(data, place)
        elif kind in (_EIGHT, _FOUR):
            size = 8 if kind == _EIGHT else 4
        else:
            raise FileError(f"A message of protocol buffers is damaged: it has the type {kind}.")
        if key >> 3 == 0 or size > len(data) - place:
            raise FileError("A message of protocol buffers is damaged: a field is longer than it.")
        yield key >> 3, data[place : place + size]
        place += size


def varints(data: Any) -> np.ndarray:
    """Return the integers of packed groups of 7 bits, as int64.

    Raises:
        FileError: If the last does not end, or one is longer than 64 bits.

    Example:
        >>> varints(varint(300) + varint(-1)).tolist()
        [300, -1]
    """
    groups = np.frombuffer(data, "uint8")
    ends = np.flatnonzero(groups < 128)
    if not len(groups):
        return np.zeros(0, "int64")
    if not len(ends) or ends[-1] != len(groups) - 1:
        raise FileError("A message of protocol buffers is damaged: a number does not end.")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise FileError("A message of protocol buffers is damaged: a number is too long.")
    within = np.arange(len(groups)) - np.repeat(starts, lengths)
    parts = (groups & 127).astype("uint64") << (7 * within).astype("uint64")
    return np.bitwise_or.reduceat(parts, starts).view("int64")


def integers_of(parts: list[Any]) -> np.ndarray:
    """Return the integers of the fields of a list, which may be packed or single."""
    found = [
        np.array([part], "uint64").view("int64") if isinstance(part, int) else varints(part)
        for part in parts
    ]
    return np.concatenate(found) if found else np.zeros(0, "int64")


def floats_of(parts: list[Any], dtype: str = "<f4") -> np.ndarray:
    """Return the floating-point numbers of the fields of a list, which may be packed or single."""
    size = np.dtype(dtype).itemsize
    for part in parts:
        if isinstance(part, int) or len(part) % size:
            raise FileError("A message of protocol buffers is damaged: a list of numbers is cut.")
    found = [np.frombuffer(part, dtype) for part in parts]
    joined = np.concatenate(found) if found else np.zeros(0, dtype)
    return joined.astype(dtype[1:])


def packed_floats(numbers: Any) -> bytes:
    """Return numbers as packed 32-bit floating point.

    Example:
        >>> packed_floats([1.0]).hex()
        '0000803f'
    """
    return np.asarray(numbers, "<f4").tobytes()
