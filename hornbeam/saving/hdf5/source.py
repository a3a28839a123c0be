"""Bounded reads of a file's bytes."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from hornbeam.core.loading import ALLOWANCE
from hornbeam.errors import FileError

__all__ = ["Cursor", "Source", "padded"]


class Source:
    """A range of an open file, with limits on memory and on the number of reads.

    Args:
        file: An open binary file.
        start: Where the range starts.
        size: Its length in bytes.
        what: Name of the file for messages.
        trusted: Whether to lift the memory limit: the file's size plus `ALLOWANCE`.
    """

    def __init__(self, file: BinaryIO, start: int, size: int, what: str, trusted: bool = False):
        self._file, self._start, self.size, self.what = file, start, size, what
        self._steps = 200_000 + size // 16
        self._payable = None if trusted else size + ALLOWANCE
        self.offset_size = self.length_size = 8
        self.cache: dict[Any, Any] = {}
        self.root: Any = None  # the root group, once it is open

    def move(self, base: int) -> None:
        """Make addresses relative to `base`."""
        self._start, self.size = self._start + base, self.size - base

    def error(self, text: str) -> FileError:
        """Return an error that names the file."""
        return FileError(f"{self.what} {text}.")

    def damaged(self, text: str) -> FileError:
        """Return an error that reports damage of the file."""
        return FileError(f"{self.what} is damaged: {text}.")

    def step(self) -> None:
        """Count one step; the number of steps is bounded by the file's size."""
        self._steps -= 1
        if self._steps < 0:
            raise self.damaged("its structure does not end")

    def pay(self, nbytes: int, name: str) -> None:
        """Subtract `nbytes` from the memory that the file's arrays may use.

        Raises:
            FileError: If less memory is left.
        """
        if self._payable is None:
            return
        if nbytes > self._payable:
            raise FileError(
                f"{self.what}: {name} claims {nbytes} bytes; all arrays together may be"
                f" {ALLOWANCE >> 20} MiB larger than the file. If you trust it, decompress it first"
                " (`h5repack -f NONE`), or load it with `safe_mode=False`."
            )
        self._payable -= nbytes

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes at `offset`.

        Raises:
            FileError: If the file has fewer bytes.
        """
        self._seek(offset, size)
        data = self._file.read(size)
        if len(data) != size:
            raise self.damaged("it ends too early")
        return data

    def read_into(self, offset: int, array: np.ndarray) -> None:
        """Fill a contiguous array from `offset`."""
        view = array.reshape(-1).view(np.uint8).data
        self._seek(offset, len(view))
        # Binary files have `readinto`, which the type `BinaryIO` lacks.
        if self._file.readinto(view) != len(view):  # type: ignore[attr-defined]
            raise self.damaged("it ends too early")

    def _seek(self, offset: int, size: int) -> None:
        self.step()
        if offset < 0 or size < 0 or offset + size > self.size:
            raise self.damaged(
                f"it refers to bytes {offset} to {offset + size}, and has {self.size}"
            )
        self._file.seek(self._start + offset)

    def cursor(self, offset: int, size: int) -> Cursor:
        """Return a cursor over `size` bytes at `offset`."""
        return Cursor(self, self.read(offset, size))

    def cursor_up_to(self, offset: int, size: int) -> Cursor:
        """Return a cursor over `size` bytes, or fewer at the end of the file."""
        return self.cursor(offset, min(size, max(self.size - offset, 0)))

    def signed(self, offset: int, size: int, signature: bytes) -> Cursor:
        """Check the signature at `offset` and return a cursor behind it."""
        cursor = self.cursor(offset, size)
        cursor.expect(signature)
        return cursor


class Cursor:
    """Reads numbers from bytes, one after another.

    Args:
        source: The file that the bytes are from.
        data: The bytes.
    """

    def __init__(self, source: Source, data: bytes):
        self.source, self.data, self.at = source, data, 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        if size < 0 or self.at + size > len(self.data):
            raise self.source.damaged("a structure ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def skip(self, size: int) -> None:
        """Skip `size` bytes."""
        self.take(size)

    def uint(self, size: int) -> int:
        """Return an unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def offset(self) -> int | None:
        """Return an address, or `None` if it is undefined."""
        size = self.source.offset_size
        value = self.uint(size)
        return None if value == (1 << 8 * size) - 1 else value

    def address(self) -> int:
        """Return an address; raise if it is undefined."""
        value = self.offset()
        if value is None:
            raise self.source.damaged("an address is missing")
        return value

    def length(self) -> int:
        """Return a size."""
        return self.uint(self.source.length_size)

    def expect(self, signature: bytes) -> None:
        """Raise unless the next bytes are `signature`."""
        if self.take(len(signature)) != signature:
            raise self.source.damaged(f"a structure '{signature.decode()}' is missing")

    def text(self, padding: int = 1) -> str:
        """Return a zero-terminated string and skip its padding."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise self.source.damaged("a name does not end")
        raw = self.data[self.at : end]
        self.skip(min(padded(end + 1 - self.at, padding), self.left))
        return decoded(raw)

    @property
    def left(self) -> int:
        """Number of bytes left."""
        return len(self.data) - self.at


def decoded(raw: bytes) -> str:
    """Decode a string like h5py: bytes that are not UTF-8 become surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def padded(size: int, multiple: int) -> int:
    """Return `size` rounded up to a multiple.

    Example:
        >>> padded(9, 8)
        16
    """
    return -(-size // multiple) * multiple
