"""TFRecord files: records with checksums, one after another."""

from __future__ import annotations

import functools
import gzip
import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from hornbeam.errors import FileError
from hornbeam.tensorflow.string_tensor import as_strings, text_of

__all__ = ["TFRecordOptions", "TFRecordWriter", "crc32c", "open_compressed", "records_of"]

_POLYNOMIAL = 0x82F63B78  # of CRC-32C (Castagnoli), its bits reversed
_CHUNK = 2**20


def _table() -> np.ndarray:
    table = np.arange(256, dtype="uint32")
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


_TABLE = _table()
_SHORT = _TABLE.tolist()


@functools.lru_cache
def _zeros(power: int) -> np.ndarray:
    """Return what 2**power bytes of zeros make of each of the 32 bits of a checksum."""
    if power == 0:
        bits = np.uint32(1) << np.arange(32, dtype="uint32")
        return _TABLE[bits & 255] ^ (bits >> 8)
    half = _zeros(power - 1)
    return _after_zeros(half, half)


def _after_zeros(checksums: np.ndarray, images: np.ndarray) -> np.ndarray:
    bits = (checksums[:, None] >> np.arange(32, dtype="uint32")) & 1
    return np.bitwise_xor.reduce(bits * images, axis=1)


def crc32c(data: bytes) -> int:
    """Return the checksum CRC-32C of bytes.

    Long data are cut to rows of one length, whose checksums NumPy computes together. Those of two
    neighbors give that of both, because a checksum is linear.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    if len(data) < 512:
        found = 0xFFFFFFFF
        for byte in data:
            found = _SHORT[(found ^ byte) & 255] ^ (found >> 8)
        return found ^ 0xFFFFFFFF
    power = (len(data).bit_length() + 1) // 2
    length = 2**power
    count = 2 ** (-(-len(data) // length) - 1).bit_length()
    padded = np.zeros(count * length, "uint8")
    padded[-len(data) :] = np.frombuffer(data, "uint8")
    start = len(padded) - len(data)
    padded[start : start + 4] ^= 255  # the first checksum is all ones
    checksums = np.zeros(count, "uint32")
    for column in np.ascontiguousarray(padded.reshape(count, length).T):
        checksums = _TABLE[(checksums ^ column) & 255] ^ (checksums >> 8)
    while len(checksums) > 1:
        checksums = _after_zeros(checksums[::2], _zeros(power)) ^ checksums[1::2]
        power += 1
    return int(checksums[0]) ^ 0xFFFFFFFF


def _masked(data: bytes) -> bytes:
    found = crc32c(data)
    return struct.pack("<I", ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def compression_of(value: Any, name: str) -> str:
    """Return the kind of compression: `""`, `"GZIP"` or `"ZLIB"`.

    Raises:
        ValueError: If it is another word.
    """
    kind = getattr(value, "compression_type", value)
    kind = "" if kind is None else text_of(kind).upper()
    if kind not in ("", "GZIP", "ZLIB", "NONE"):
        raise ValueError(
            f"{name}: the compression must be '', 'GZIP' or 'ZLIB', received {kind!r}."
        )
    return "" if kind == "NONE" else kind


def open_compressed(path: Any, compression: Any = None, name: str = "a file") -> Any:
    """Open a file for reading, and decompress it while it is read.

    Args:
        path: The file.
        compression: `None`, `""`, `"GZIP"` or `"ZLIB"`.
        name: Name of the caller, for errors.
    """
    kind = compression_of(compression, name)
    if kind == "GZIP":
        return gzip.open(text_of(path), "rb")
    file = open(text_of(path), "rb")
    return io.BufferedReader(_Inflated(file)) if kind == "ZLIB" else file


class _Inflated(io.RawIOBase):
    """A file in zlib's format, decompressed while it is read."""

    def __init__(self, file: IO[bytes]):
        self._file, self._engine = file, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data = b""
        while not data and not self._engine.eof:
            held = self._engine.unconsumed_tail or self._file.read(_CHUNK)
            if not held:
                break
            data = self._engine.decompress(held, len(target))
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _read(file: IO[bytes], size: int) -> bytes:
    """Return up to `size` bytes, read in pieces, so that a false size takes no memory."""
    parts = []
    while size > 0:
        part = file.read(min(size, _CHUNK))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def records_of(path: Any, compression: Any = None) -> Iterator[bytes]:
    """Yield the records of a TFRecord file.

    Args:
        path: The file.
        compression: `None`, `""`, `"GZIP"` or `"ZLIB"`.

    Raises:
        FileError: If the file is damaged.
        FileNotFoundError: If there is no such file.
    """
    name = os.fspath(path) if isinstance(path, os.PathLike) else text_of(path)
    damaged = f"TFRecordDataset: '{name}' is damaged at record"
    number = 0
    with open_compressed(name, compression, "TFRecordDataset") as file:
        try:
            while head := _read(file, 12):
                if len(head) < 12 or head[8:] != _masked(head[:8]):
                    raise FileError(
                        f"{damaged} {number}: its length has a wrong checksum. Is it a TFRecord"
                        " file, and of this `compression_type`?"
                    )
                (size,) = struct.unpack("<Q", head[:8])
                data, checksum = _read(file, size), file.read(4)
                if len(data) < size or checksum != _masked(data):
                    raise FileError(f"{damaged} {number}: it is cut, or has a wrong checksum.")
                yield data
                number += 1
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileError(f"{damaged} {number}: {error}.") from error


class TFRecordOptions:
    """How `TFRecordWriter` writes; only the kind and level of the compression have an effect."""

    def __init__(
        self, compression_type: str | None = None, flush_mode: Any = None,
        input_buffer_size: Any = None, output_buffer_size: Any = None, window_bits: Any = None,
        compression_level: int | None = None, compression_method: Any = None,
        mem_level: Any = None, compression_strategy: Any = None,
    ):  # fmt: skip
        self.compression_type = compression_of(compression_type, "TFRecordOptions")
        self.compression_level = compression_level


class TFRecordWriter:
    """Writes records to a TFRecord file.

    Args:
        path: The file.
        options: A `TFRecordOptions`, or its kind of compression.

    Example:
        >>> with TFRecordWriter("a.tfrecord") as writer:  # doctest: +SKIP
        ...     writer.write(example.SerializeToString())
    """

    def __init__(self, path: Any, options: Any = None):
        kind = compression_of(options, "TFRecordWriter")
        level = getattr(options, "compression_level", None)
        level = -1 if level is None else level
        self._file: Any = open(path if isinstance(path, os.PathLike) else text_of(path), "wb")
        self._target: Any = self._file
        self._deflate: Any = None
        if kind == "GZIP":
            self._target = gzip.GzipFile(
                fileobj=self._file, mode="wb", compresslevel=9 if level < 0 else level
            )
        elif kind == "ZLIB":
            self._deflate = zlib.compressobj(level)

    def write(self, record: Any) -> None:
        """Write a record: bytes, or a text."""
        data = record if isinstance(record, bytes) else as_strings(record, "record").numpy()
        head = struct.pack("<Q", len(data))
        self._put(head + _masked(head) + data + _masked(data))

    def _put(self, data: bytes) -> None:
        self._target.write(data if self._deflate is None else self._deflate.compress(data))

    def flush(self) -> None:
        """Write what is held in memory to the file."""
        self._target.flush()
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._file.closed:
            return
        if self._deflate is not None:
            self._file.write(self._deflate.flush())
        if self._target is not self._file:
            self._target.close()
        self._file.close()

    def __enter__(self) -> TFRecordWriter:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
