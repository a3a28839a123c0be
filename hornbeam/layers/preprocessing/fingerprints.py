"""64-bit hashes of strings and integers, equal to the hashes of Keras's `Hashing` layers.

Without a salt, the hash is FarmHash Fingerprint64 by Geoff Pike (Google, 2014). With a salt, it is
SipHash-2-4 by Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012. Integers are hashed
as decimal strings. hornbeam-cpu computes the hashes if it is installed. Otherwise NumPy computes
them, for all strings of the same length at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hornbeam.layers.preprocessing.native_text import native_hashes

__all__ = ["bins_of", "fingerprints", "hash_key", "join_fingerprints"]

# Arithmetic on uint64 arrays wraps around, as the algorithms require.
U = np.uint64
Numbers = Any  # a uint64 array, or one number
_K0, _K1, _K2 = U(0xC3A5C85C97CB3127), U(0xB492B66FBE98F273), U(0x9AE16A3B2F90404F)


def bins_of(
    values: np.ndarray, count: int, salt: tuple[int, int] | None = None, first: int = 0
) -> np.ndarray:
    """Return the bin of each value: `first` plus the remainder of its hash.

    Args:
        values: Texts or integers, as for `fingerprints`.
        count: Number of bins.
        salt: As for `fingerprints`.
        first: Number of the first bin.

    Example:
        >>> bins_of(np.array(["A", "B"]), 3).tolist()
        [1, 0]
    """
    native = native_hashes(values, salt, count, first)
    if native is not None:
        return native
    return (fingerprints(values, salt) % np.uint64(count)).astype("int64") + first


def fingerprints(values: np.ndarray, salt: tuple[int, int] | None = None) -> np.ndarray:
    """Return the hash of each value, uint64 in the shape of `values`.

    Args:
        values: Strings (dtype `U`, `S`, or `object` with `str` and `bytes`), or integers.
        salt: Two integers, the key of SipHash. `None` selects Fingerprint64.

    Example:
        >>> fingerprints(np.array(["A", "B"])) % np.uint64(3)
        array([1, 0], dtype=uint64)
    """
    native = native_hashes(values, salt)
    if native is not None:
        return native
    flat = values.reshape(-1)
    found = np.empty(flat.shape, "uint64")
    groups = _digits(flat) if flat.dtype.kind in "iub" else _texts(flat)
    for where, rows in groups:
        found[where] = _fingerprint(rows) if salt is None else _siphash(rows, salt)
    return found.reshape(values.shape)


def hash_key(owner: str, salt: Any) -> tuple[int, int] | None:
    """Convert a layer's `salt`, which is `None`, an integer or two integers, to a hash key."""
    if salt is None:
        return None
    parts = list(salt) if isinstance(salt, (list, tuple)) else [salt, salt]
    if len(parts) != 2 or any(
        isinstance(p, bool) or not isinstance(p, (int, np.integer)) for p in parts
    ):
        raise ValueError(f"{owner}: `salt` must be an integer or two integers, received {salt!r}.")
    return int(parts[0]), int(parts[1])


@np.errstate(over="ignore")  # NumPy warns if scalars wrap around
def join_fingerprints(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Combine pairs of hashes into one hash each, as TensorFlow's `FingerprintCat64` does."""
    factor = U(0xC6A4A7935BD1E995)
    joined = first ^ factor
    joined = (joined ^ _shift_mix(second * factor) * factor) * factor
    return _shift_mix(_shift_mix(joined) * factor)


def _texts(flat: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each length, the positions of the strings, and their bytes, one row per string."""
    texts = [t if isinstance(t, bytes) else t.encode() for t in flat.tolist()]
    lengths = np.array([len(t) for t in texts], "int64")
    for length in np.unique(lengths):
        where = np.flatnonzero(lengths == length)
        joined = b"".join([texts[i] for i in where])
        yield where, np.frombuffer(joined, "uint8").reshape(len(where), length)


def _digits(flat: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for each decimal length, the positions of the integers, and their decimal bytes."""
    negative = flat < 0
    size = flat.astype("uint64")
    size[negative] = (~flat[negative].astype("int64")).astype("uint64") + U(1)
    powers = U(10) ** np.arange(1, 20, dtype="uint64")
    counts = np.searchsorted(powers, size, side="right") + 1
    for sign, count in np.unique(np.stack([negative, counts]), axis=1).T:
        where = np.flatnonzero((negative == sign) & (counts == count))
        rest, rows = size[where], np.empty((len(where), sign + count), "uint8")
        if sign:
            rows[:, 0] = ord("-")
        for column in range(sign + count - 1, sign - 1, -1):
            rows[:, column] = rest % U(10) + U(ord("0"))
            rest = rest // U(10)
        yield where, rows


# --- Fingerprint64 ----------------------------------------------------------------------------


def _word(rows: np.ndarray, start: int, size: int = 8) -> np.ndarray:
    """Read a little-endian integer of `size` bytes from each row, as uint64."""
    start = start % rows.shape[1] if start < 0 else start
    part = np.ascontiguousarray(rows[:, start : start + size])
    return part.view(f"<u{size}")[:, 0].astype("uint64")


def _rotate(x: np.ndarray, by: int) -> np.ndarray:
    """Rotate bits to the right."""
    return (x >> U(by)) | (x << U(64 - by))


def _shift_mix(x: np.ndarray) -> np.ndarray:
    return x ^ (x >> U(47))


def _mix(a: Numbers, b: Numbers, factor: Numbers) -> np.ndarray:
    """Mix two numbers into one."""
    a = _shift_mix((a ^ b) * factor)
    return _shift_mix((b ^ a) * factor) * factor


def _fingerprint(rows: np.ndarray) -> np.ndarray:
    length = rows.shape[1]
    if length > 64:
        return _fingerprint_of_long(rows)
    factor = _K2 + U(2 * length)
    if length > 32:
        return _fingerprint_of_33_to_64(rows, factor)
    if length > 16:
        a, b = _word(rows, 0) * _K1, _word(rows, 8)
        c, d = _word(rows, -8) * factor, _word(rows, -16) * _K2
        return _mix(_rotate(a + b, 43) + _rotate(c, 30) + d, a + _rotate(b + _K2, 18) + c, factor)
    if length >= 8:
        a, b = _word(rows, 0) + _K2, _word(rows, -8)
        return _mix(_rotate(b, 37) * factor + a, (_rotate(a, 25) + b) * factor, factor)
    if length >= 4:
        return _mix(U(length) + (_word(rows, 0, 4) << U(3)), _word(rows, -4, 4), factor)
    if length:
        first, middle, last = (rows[:, i].astype("uint64") for i in (0, length // 2, length - 1))
        return (
            _shift_mix((first + (middle << U(8))) * _K2 ^ (U(length) + (last << U(2))) * _K0) * _K2
        )
    return np.full(len(rows), _K2)


def _fingerprint_of_33_to_64(rows: np.ndarray, factor: Numbers) -> np.ndarray:
    a, b = _word(rows, 0) * _K2, _word(rows, 8)
    c, d = _word(rows, -8) * factor, _word(rows, -16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _mix(y, a + _rotate(b + _K2, 18) + c, factor)
    e, f = _word(rows, 16) * factor, _word(rows, 24)
    g, h = (y + _word(rows, -32)) * factor, (z + _word(rows, -24)) * factor
    return _mix(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, factor)


Pair = tuple[np.ndarray, np.ndarray]


def _pair(rows: np.ndarray, start: int, a: np.ndarray, b: np.ndarray) -> Pair:
    """Mix 32 bytes and two numbers into two numbers."""
    first, second, third, fourth = (_word(rows, start + 8 * i) for i in range(4))
    a = a + first
    b = _rotate(b + a + fourth, 21)
    total = a + second + third
    return total + fourth, b + _rotate(total, 44) + a


def _fingerprint_of_long(rows: np.ndarray) -> np.ndarray:
    length = rows.shape[1]
    x = np.full(len(rows), U(81))
    y = x * _K1 + U(113)
    z = _shift_mix(y * _K2 + U(113)) * _K2
    zero = np.zeros(len(rows), "uint64")
    v, w = (zero, zero), (zero, zero)
    x = x * _K2 + _word(rows, 0)
    for start in range(0, (length - 1) // 64 * 64, 64):
        x = _rotate(x + y + v[0] + _word(rows, start + 8), 37) * _K1
        y = _rotate(y + v[1] + _word(rows, start + 48), 42) * _K1
        x = x ^ w[1]
        y = y + v[0] + _word(rows, start + 40)
        z = _rotate(z + w[0], 33) * _K1
        v = _pair(rows, start, v[1] * _K1, x + w[0])
        w = _pair(rows, start + 32, z + w[1], y + _word(rows, start + 16))
        x, z = z, x
    factor = _K1 + ((z & U(0xFF)) << U(1))
    start = length - 64
    w = (w[0] + U((length - 1) & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x = _rotate(x + y + v[0] + _word(rows, start + 8), 37) * factor
    y = _rotate(y + v[1] + _word(rows, start + 48), 42) * factor
    x = x ^ w[1] * U(9)
    y = y + v[0] * U(9) + _word(rows, start + 40)
    z = _rotate(z + w[0], 33) * factor
    v = _pair(rows, start, v[1] * factor, x + w[0])
    w = _pair(rows, start + 32, z + w[1], y + _word(rows, start + 16))
    x, z = z, x
    return _mix(
        _mix(v[0], w[0], factor) + _shift_mix(y) * _K0 + z, _mix(v[1], w[1], factor) + x, factor
    )


# --- SipHash-2-4 ------------------------------------------------------------------------------


def _rounds(v: list[np.ndarray], count: int) -> None:
    for _ in range(count):
        v[0] = v[0] + v[1]
        v[1] = _rotate(v[1], 51) ^ v[0]
        v[0] = _rotate(v[0], 32)
        v[2] = v[2] + v[3]
        v[3] = _rotate(v[3], 48) ^ v[2]
        v[0] = v[0] + v[3]
        v[3] = _rotate(v[3], 43) ^ v[0]
        v[2] = v[2] + v[1]
        v[1] = _rotate(v[1], 47) ^ v[2]
        v[2] = _rotate(v[2], 32)


def _siphash(rows: np.ndarray, salt: tuple[int, int]) -> np.ndarray:
    count, length = rows.shape
    padded = np.zeros((count, length // 8 * 8 + 8), "uint8")
    padded[:, :length] = rows
    padded[:, -1] = length % 256
    key = [U(part % 2**64) for part in salt]
    start = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    v = [np.full(count, key[i % 2] ^ U(s)) for i, s in enumerate(start)]
    for word in padded.view("<u8").T:
        v[3] = v[3] ^ word
        _rounds(v, 2)
        v[0] = v[0] ^ word
    v[2] = v[2] ^ U(0xFF)
    _rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
