"""Types and shapes of HDF5 arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.saving.hdf5.source import Cursor

__all__ = ["Kind", "read_dataspace", "read_datatype", "read_limits"]

_FIXED, _FLOAT, _STRING, _BITS, _OPAQUE, _COMPOUND, _ENUM, _VARIABLE, _COMPLEX = (
    0,
    1,
    3,
    4,
    5,
    6,
    8,
    9,
    11,
)
_NAMES = {2: "times", 7: "references", 10: "arrays of arrays"}
# Float types by size in bytes, exponent bits and mantissa bits.
_FLOATS: dict[tuple[int, int, int], Any] = {
    (1, 4, 3): jnp.float8_e4m3fn,
    (1, 5, 2): jnp.float8_e5m2,
    (2, 5, 10): np.float16,
    (2, 8, 7): jnp.bfloat16,
    (4, 8, 23): np.float32,
    (8, 11, 52): np.float64,
}


@dataclass(frozen=True)
class Kind:
    """The type of an array's elements.

    Args:
        dtype: The dtype of the bytes in the file.
        text: `"fixed"` or `"variable"` if the elements are strings of this length, else `None`.
        view: The dtype that the bytes represent, if it differs (booleans).
        list: Type of the elements, if the array holds variable-length lists.
    """

    dtype: np.dtype
    text: str | None = None
    view: np.dtype | None = None
    list: Kind | None = None

    @property
    def shown(self) -> np.dtype:
        """The dtype that callers see."""
        if self.text == "variable" or self.list is not None:
            return np.dtype(object)
        return self.view or self.dtype


def read_datatype(cursor: Cursor, depth: int = 0) -> Kind:
    """Read a datatype message.

    Raises:
        FileError: If the type is damaged or not supported.
    """
    source = cursor.source
    if depth > 8:
        raise source.damaged("a type is nested too deeply")
    head = cursor.uint(1)
    version, kind = head >> 4, head & 15
    bits, size = cursor.uint(3), cursor.uint(4)
    order = ">" if bits & 1 else "<"
    if not 1 <= version <= 5 or size < 1 or size > 2**24:
        raise source.damaged(f"a type has version {version} and size {size}")
    if kind in (_FIXED, _BITS):
        offset, precision = cursor.uint(2), cursor.uint(2)
        if size not in (1, 2, 4, 8) or offset or precision != 8 * size:
            raise source.error(f"holds integers of {precision} bits, which are not supported")
        return Kind(np.dtype(f"{order}{'i' if bits & 8 and kind == _FIXED else 'u'}{size}"))
    if kind == _FLOAT:
        return Kind(_float(cursor, size, order))
    if kind == _STRING:
        return Kind(np.dtype(f"S{size}"), text="fixed")
    if kind == _OPAQUE:
        cursor.skip(min(bits & 0xFF, cursor.left))
        return Kind(np.dtype(f"V{size}"))
    if kind == _COMPOUND:
        return Kind(_complex_of_pair(cursor, bits & 0xFFFF, version, size, depth))
    if kind == _ENUM:
        return _enum(cursor, bits & 0xFFFF, version, depth)
    if kind == _VARIABLE:
        base = read_datatype(cursor, depth + 1)
        if size != 8 + source.offset_size:
            raise source.damaged(f"a list of variable length has size {size}")
        dtype = np.dtype(f"V{size}")
        return Kind(dtype, text="variable") if bits & 15 == 1 else Kind(dtype, list=base)
    if kind == _COMPLEX:
        base = read_datatype(cursor, depth + 1)
        if base.dtype.kind == "f" and size == 2 * base.dtype.itemsize and size in (8, 16):
            return Kind(np.dtype(f"{base.dtype.byteorder}c{size}"))
    raise source.error(
        f"holds {_NAMES.get(kind, f'a type of class {kind}')}, which are not supported"
    )


def _float(cursor: Cursor, size: int, order: str) -> np.dtype:
    cursor.skip(4)
    cursor.skip(1)
    exponent = cursor.uint(1)
    cursor.skip(1)
    mantissa = cursor.uint(1)
    cursor.skip(4)
    found = _FLOATS.get((size, exponent, mantissa))
    if found is None:
        raise cursor.source.error(
            f"holds floats of {8 * size} bits with {mantissa} mantissa bits, which are not"
            " supported"
        )
    dtype = np.dtype(found)
    return dtype.newbyteorder(order) if dtype.kind == "f" else dtype


def _complex_of_pair(cursor: Cursor, members: int, version: int, size: int, depth: int) -> np.dtype:
    """Read a compound type, which must be a complex number."""
    found = []
    for _ in range(min(members, 3)):
        name = cursor.text(1 if version >= 3 else 8)
        if version >= 3:
            place = cursor.uint(max(1, (size.bit_length() + 7) // 8))
        else:
            place = cursor.uint(4)
            if version == 1:
                cursor.skip(28)
        found.append((name, place, read_datatype(cursor, depth + 1).dtype))
    if len(found) == 2:
        (r, at, real), (i, then, imaginary) = found
        if (
            (r, at, i, then) == ("r", 0, "i", real.itemsize)
            and real == imaginary
            and real.kind == "f"
        ):
            if size == 2 * real.itemsize and size in (8, 16):
                return np.dtype(f"{real.byteorder}c{size}")
    raise cursor.source.error("holds records, which are not supported")


def _enum(cursor: Cursor, members: int, version: int, depth: int) -> Kind:
    """Read an enumeration: booleans, or the integers that the names mean."""
    base = read_datatype(cursor, depth + 1)
    names = [cursor.text(1 if version >= 3 else 8) for _ in range(members)]
    if names == ["FALSE", "TRUE"] and base.dtype.itemsize == 1:
        return Kind(np.dtype("u1"), view=np.dtype(bool))
    return base


def read_limits(cursor: Cursor) -> tuple[int | None, ...] | None:
    """Read the maximum shape in a dataspace message; `None` means unlimited."""
    shape = read_dataspace(cursor)
    if shape is None:
        return None
    place, flags = 8 if cursor.data[0] == 1 else 4, cursor.data[2]
    size = cursor.source.length_size
    if not flags & 1:
        return shape
    limits = Cursor(cursor.source, cursor.data[place + len(shape) * size :])
    endless = (1 << 8 * size) - 1
    found = [limits.length() for _ in shape]
    if any(limit < size for limit, size in zip(found, shape, strict=True)):
        raise cursor.source.damaged(
            f"an array of shape {shape} may be no larger than {tuple(found)}"
        )
    return tuple(None if limit == endless else limit for limit in found)


def read_dataspace(cursor: Cursor) -> tuple[int, ...] | None:
    """Read the shape in a dataspace message, or `None` if the array has no values.

    Raises:
        FileError: If the shape is impossible.
    """
    source = cursor.source
    version, rank, flags = cursor.uint(1), cursor.uint(1), cursor.uint(1)
    if version == 1:
        cursor.skip(5)
    elif version != 2 or (cursor.uint(1) == 2):
        if version == 2:
            return None
        raise source.damaged(f"a shape has version {version}")
    if rank > 32 or flags > 3:
        raise source.damaged(f"a shape has {rank} dimensions")
    shape = tuple(cursor.length() for _ in range(rank))
    if math.prod(shape) >= 2**62 or any(size >= 2**62 for size in shape):
        raise source.damaged(f"an array has shape {shape}")
    return shape
