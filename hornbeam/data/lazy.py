"""Arrays whose rows stay in a file, or in another format, until a batch needs them."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Blocks", "LazyArray", "is_on_disk", "loaded", "part", "shuffled"]

# Rows are shuffled within windows of blocks. A window must fit in the cache of `Blocks`.
_WINDOW_BYTES = 2**25
_CACHE_BYTES = 2**26
_BLOCK_BYTES = 2**20


class LazyArray:
    """Array that loads only the requested rows into memory.

    It has the attributes of a NumPy array, and can be indexed with a slice or an array of row
    numbers.

    Args:
        take: Function from an array of row numbers to a NumPy array of the rows.
        length: Number of rows.
        starts: Row numbers at which the blocks start, if rows are read in blocks. Default: `None`,
            which means that single rows can be read.
        first: Number of the first row.
        sample: Array with no rows that has the shape and dtype. Default: found by reading a row.

    Example:
        >>> a = LazyArray(lambda numbers: numbers[:, None] * 10, length=5)
        >>> a.shape, a[1:3].tolist(), a[np.array([4, 0])].tolist()
        ((5, 1), [[10], [20]], [[40], [0]])
    """

    def __init__(
        self, take: Callable[[np.ndarray], np.ndarray], length: int,
        starts: np.ndarray | None = None, first: int = 0, sample: np.ndarray | None = None,
    ):  # fmt: skip
        self._take, self._length, self.starts, self._first = take, length, starts, first
        self._sample = sample

    def _shown(self) -> np.ndarray:
        if self._sample is None:
            self._sample = self._take(np.arange(self._first, self._first + min(self._length, 1)))[
                :0
            ]
        return self._sample

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the rows."""
        return self._shown().dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, followed by the shape of a row."""
        return (self._length, *self._shown().shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._shown().ndim

    @property
    def nbytes(self) -> int:
        """The number of bytes that all rows would take in memory."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, rows: Any) -> np.ndarray:
        if isinstance(rows, slice):
            numbers = np.arange(*rows.indices(self._length))
        else:
            numbers = np.asarray(rows, "int64")
        if numbers.ndim != 1:
            raise TypeError(
                "A lazy array can be indexed only with a slice or an array of row numbers, received"
                f" an array of {numbers.ndim} axes."
            )
        if not len(numbers):
            return self._shown()
        return self._take(numbers + self._first)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def part(self, start: int, stop: int) -> LazyArray:
        """Return a lazy array of some consecutive rows, without reading them."""
        return LazyArray(self._take, stop - start, self.starts, self._first + start, self._sample)

    def blocks_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the block number of each row."""
        assert self.starts is not None
        return np.searchsorted(self.starts, rows + self._first, "right") - 1


class Blocks:
    """Reader of rows in blocks, with a cache of the most recently used blocks.

    Args:
        starts: Number of the first row of each block.
        read: Function from a block number to the block's rows.
        name: Description of the data, for error messages.

    Example:
        >>> rows = Blocks([0, 3], lambda block: np.arange(3) + 3 * block, "numbers")
        >>> rows(np.array([5, 0])).tolist()
        [5, 0]
    """

    def __init__(self, starts: Sequence[int], read: Callable[[int], np.ndarray], name: str):
        self.starts = np.asarray(starts, "int64")
        self._read, self._name = read, name
        self._kept: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()
        self._bytes = 0
        self._like: np.ndarray | None = None
        self._lock = threading.Lock()  # several threads make batches

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows with the given numbers."""
        blocks = np.searchsorted(self.starts, numbers, "right") - 1
        out = None
        for block in np.unique(blocks):
            with self._lock:
                rows = self._block(int(block))
            here = np.flatnonzero(blocks == block)
            if out is None:
                out = np.empty((len(numbers), *rows.shape[1:]), rows.dtype)
            out[here] = rows[numbers[here] - self.starts[block]]
        assert out is not None
        return out

    def _block(self, block: int) -> np.ndarray:
        if block in self._kept:
            self._kept.move_to_end(block)
            return self._kept[block]
        try:
            rows = self._read(block)
        except Exception as error:
            error.add_note(
                f"This was raised while reading {self._name}, from row {self.starts[block]} on."
            )
            raise
        self._check(rows, block)
        self._kept[block] = rows
        self._bytes += rows.nbytes
        while self._bytes > _CACHE_BYTES and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return rows

    def _check(self, rows: np.ndarray, block: int) -> None:
        if self._like is None:
            self._like = rows[:0]
        like = self._like
        if rows.shape[1:] != like.shape[1:]:
            raise ValueError(
                f"{self._name}: all rows must have the same shape, but the rows from"
                f" {self.starts[block]} on have shape {rows.shape[1:]}, and the earlier rows have"
                f" shape {like.shape[1:]}."
            )


def rows_of_a_block(row_bytes: int, chunk: int | None = None) -> int:
    """Return the number of rows to read at once: whole chunks of a file, about 1 MiB.

    Example:
        >>> rows_of_a_block(row_bytes=1024, chunk=100)
        1000
    """
    chunk = chunk or 1
    return chunk * max(1, _BLOCK_BYTES // max(chunk * row_bytes, 1))


def shuffled(order: np.ndarray, arrays: Sequence[Any], random: np.random.Generator) -> np.ndarray:
    """Return row numbers in random order.

    If the rows of an array are read in blocks, shuffles the blocks, and then the rows within
    windows of several blocks. A pass therefore reads each block only once.

    Args:
        order: The row numbers.
        arrays: The arrays that hold the rows.
        random: The random number generator.

    Example:
        >>> sorted(shuffled(np.arange(3), [], np.random.default_rng(1)).tolist())
        [0, 1, 2]
    """
    lazy = [a for a in arrays if isinstance(a, LazyArray) and a.starts is not None]
    if not lazy or not len(order):
        return random.permutation(order)
    coarse = min(lazy, key=lambda a: len(a.starts))  # type: ignore[arg-type]  # none is None
    blocks, number = np.unique(coarse.blocks_of(order), return_inverse=True)
    most = max(a.nbytes for a in lazy)
    window = max(1, _WINDOW_BYTES * len(blocks) // max(most, 1))
    window_of_row = (random.permutation(len(blocks)) // window)[number]
    return order[np.lexsort((random.random(len(order)), window_of_row))]


def is_on_disk(a: Any) -> bool:
    """Return whether the rows of an array are read on demand and not held in memory.

    Example:
        >>> is_on_disk(np.zeros(3))
        False
    """
    while isinstance(a, np.ndarray):
        if isinstance(a, np.memmap):
            return True
        a = a.base
    return isinstance(a, LazyArray)


def loaded(a: Any) -> Any:
    """Read a lazy array into memory. Other objects are returned unchanged.

    Example:
        >>> loaded(LazyArray(lambda numbers: numbers, length=2)).tolist()
        [0, 1]
    """
    return a[:] if isinstance(a, LazyArray) else a


def part(a: Any, start: int, stop: int) -> Any:
    """Return consecutive rows of an array, without reading them from a file.

    Example:
        >>> part(np.arange(5), 1, 3).tolist()
        [1, 2]
    """
    return a.part(start, stop) if isinstance(a, LazyArray) else a[start:stop]
