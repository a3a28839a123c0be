"""Sources of batches for training, evaluation and prediction.

A source yields the batches `(x, y, sample_weight)` of an epoch. The order of the rows is a pure
function of the seed and the epoch number, so an epoch can be repeated exactly.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from hornbeam import tree
from hornbeam.data import lazy, stages
from hornbeam.data.adapters import adapter_of, is_frame, refuse_mistakes
from hornbeam.data.arrays import as_arrays, on_host
from hornbeam.data.dataset import Dataset
from hornbeam.data.lazy import LazyArray
from hornbeam.data.py_dataset import EPOCH_HOOKS, PyDataset, Reader
from hornbeam.typing import Data, Structure

__all__ = [
    "ArraySource",
    "DatasetSource",
    "IterableSource",
    "RowsSource",
    "Source",
    "is_iterable_of_batches",
    "make_source",
]

Batch = tuple[Any, Any, Any]


class Source:
    """Base class of sources: yields the batches of an epoch.

    Attributes:
        num_batches: Number of batches in an epoch, or `None` if it is unknown.
    """

    num_batches: int | None = None
    own_batches = True  # whether the data determine the batch size
    repeats = False  # whether an epoch with more steps than batches starts another pass

    @property
    def can_restart(self) -> bool:
        """Whether an epoch starts at the first batch, not where the previous epoch ended."""
        return True

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from batch `start` on."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `epoch(self, seed, epoch, start=0)`."
        )

    def on_epoch_end(self) -> None:
        """Called after an epoch."""

    def close(self) -> None:
        """Stop the threads or processes that read ahead."""


class ArraySource(Source):
    """Source that batches the rows of arrays.

    Args:
        x, y, sample_weight: Arrays, or lists or dicts of arrays, with the same number of rows.
        batch_size: Number of rows per batch. The last batch may be smaller.
        shuffle: Whether to shuffle the rows in each epoch. `"batch"` shuffles whole batches.

    Raises:
        ValueError: If the arrays have no rows, or different numbers of rows.

    Example:
        >>> source = ArraySource(np.arange(5), batch_size=2)
        >>> [x.tolist() for x, _, _ in source.epoch(seed=0, epoch=0)]
        [[0, 1], [2, 3], [4]]
    """

    own_batches = False

    def __init__(
        self, x: Structure, y: Structure = None, sample_weight: Structure = None,
        batch_size: int = 32, shuffle: bool | str = False,
    ):  # fmt: skip
        self.data = tuple(
            as_arrays(part, name)
            for part, name in ((x, "x"), (y, "y"), (sample_weight, "sample_weight"))
        )
        if (
            isinstance(batch_size, bool)
            or not isinstance(batch_size, (int, np.integer))
            or batch_size < 1
        ):
            raise ValueError(f"`batch_size` must be a positive integer, received {batch_size!r}.")
        self.batch_size, self.shuffle = int(batch_size), shuffle
        self.num_rows = _count_rows(self.data)
        self.num_batches = math.ceil(self.num_rows / self.batch_size)

    def order(self, seed: int, epoch: int) -> np.ndarray | None:
        """Return the row numbers in the order of an epoch, or `None` for the order 0, 1, 2, ..."""
        if not self.shuffle:
            return None
        random = np.random.default_rng([seed, epoch])
        if self.shuffle == "batch":
            size = self.batch_size
            batches = random.permutation(math.ceil(self.num_rows / size))
            return np.concatenate(
                [np.arange(b * size, min((b + 1) * size, self.num_rows)) for b in batches]
            )
        return lazy.shuffled(np.arange(self.num_rows), tree.flatten(self.data), random)

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from batch `start` on."""
        order = self.order(seed, epoch)
        for first in range(start * self.batch_size, self.num_rows, self.batch_size):
            yield self.rows(order, first, self.batch_size)

    def rows(self, order: np.ndarray | None, start: int, count: int) -> Batch:
        """Return up to `count` rows, starting at position `start` in the order."""
        part: Any = slice(start, start + count) if order is None else order[start : start + count]
        return tree.map_structure(lambda a: None if a is None else a[part], self.data)

    def slab(self, order: np.ndarray | None, start: int, batch_size: int, steps: int) -> Batch:
        """Return `steps` batches as arrays of shape `(steps, batch_size, ...)`.

        The batches start at position `start` in the order. If there are too few rows, the last row
        is repeated to keep the shape constant.
        """
        count = batch_size * steps
        here = min(count, self.num_rows - start)
        rows: Any = slice(start, start + here) if order is None else order[start : start + here]

        def one(a: Any) -> Any:
            if a is None:
                return None
            a = a if isinstance(a, LazyArray) else np.asarray(a)
            if here == count and order is None:
                return a[rows].reshape(steps, batch_size, *a.shape[1:])
            out = _aligned((count, *a.shape[1:]), jax.dtypes.canonicalize_dtype(a.dtype))
            if order is None or a.dtype != out.dtype or isinstance(a, LazyArray):
                out[:here] = a[rows]
            else:
                np.take(a, rows, axis=0, out=out[:here], mode="clip")
            used = -(-here // batch_size) * batch_size  # batches beyond these are never read
            out[here:used] = out[here - 1]
            return out.reshape(steps, batch_size, *a.shape[1:])

        return tree.map_structure(one, self.data)

    @property
    def bytes_per_row(self) -> int:
        """The size of one row of all arrays, in bytes."""
        return sum(a.nbytes for a in tree.flatten(self.data) if a is not None) // self.num_rows

    def with_weights(self, sample_weight: Structure) -> ArraySource:
        """Return a source of the same batches with other sample weights."""
        x, y, _ = self.data
        return ArraySource(x, y, sample_weight, self.batch_size, self.shuffle)

    def split(self, fraction: float) -> tuple[ArraySource, ArraySource]:
        """Split the rows into two sources: the first rows, and the last `fraction` of the rows."""
        at = int(math.floor(self.num_rows * (1.0 - fraction)))
        if not 0 < at < self.num_rows:
            raise ValueError(
                f"`validation_split`={fraction} leaves {at} of {self.num_rows} rows for training"
                f" and {self.num_rows - at} for validation. Both need at least one row."
            )
        cut = [
            tree.map_structure(lambda a, p=ends: None if a is None else lazy.part(a, *p), self.data)
            for ends in ((0, at), (at, self.num_rows))
        ]
        (x, y, weight), last = cut
        first = ArraySource(x, y, weight, self.batch_size, self.shuffle)
        x, y, weight = last
        return first, ArraySource(x, y, weight, self.batch_size)


class IterableSource(Source):
    """Source of batches from a generator, a `PyDataset`, or any iterable of batches.

    If the data can be iterated only once, each epoch continues where the previous one ended.

    Args:
        data: Yields `x`, `(x, y)` or `(x, y, sample_weight)`.

    Example:
        >>> source = IterableSource([(np.zeros((2, 3)), np.zeros(2))])
        >>> len(list(source.epoch(seed=0, epoch=0))), source.num_batches
        (1, 1)
    """

    # Takes the inputs of a batch as the data yield them, and returns those of the model.
    choose: Callable[[Any], Any] | None = None

    def __init__(self, data: Data):
        self._data = data
        # The iterators of `keras.preprocessing.image` are both data sets and endless iterators.
        self.repeats = isinstance(data, PyDataset) and hasattr(data, "__next__")
        only_once = hasattr(data, "__next__") and not self.repeats
        self._once: Iterator[Any] | None = data if only_once else None
        self._indexed = not hasattr(data, "__iter__") and hasattr(data, "__getitem__")
        self._reader: Reader | None = None
        try:
            if isinstance(data, PyDataset):
                self.num_batches = data.num_batches
            else:
                self.num_batches = None if self._once is not None else len(data)
        except TypeError:
            self.num_batches = None
        if self.num_batches == sys.maxsize:  # the length of an endless Grain data set
            self.num_batches = None

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Return an iterator over the batches of an epoch, from batch `start` on."""
        if isinstance(self._data, PyDataset):
            self._reader = self._reader or Reader(self._data)
            batches: Any = self._reader.batches(start)
        elif self.can_seek:
            batches = (self._data[i] for i in range(start, len(self._data)))
        else:
            # Batches before `start` are read and dropped.
            batches = itertools.islice(
                self._once if self._once is not None else iter(self._data), start, None
            )
        return map(self._unpacked, batches)

    def _unpacked(self, batch: Any) -> Batch:
        if self.choose is not None:
            if isinstance(batch, tuple) and batch:
                batch = (self.choose(batch[0]), *batch[1:])
            elif isinstance(batch, list) and batch and is_frame(batch[0]):
                batch = [self.choose(batch[0]), *batch[1:]]
            else:
                batch = self.choose(batch)
        return unpack(on_host(batch))

    @property
    def can_seek(self) -> bool:
        """Whether an epoch can start at any batch without reading the earlier ones."""
        numbered = hasattr(self._data, "on_epoch_end") and hasattr(self._data, "__getitem__")
        return self._indexed or numbered or isinstance(self._data, PyDataset)

    @property
    def has_hooks(self) -> bool:
        """Whether the data have hooks that run between epochs, for example to shuffle."""
        if isinstance(self._data, PyDataset):
            own = type(self._data)
            return any(getattr(own, hook) is not getattr(PyDataset, hook) for hook in EPOCH_HOOKS)
        return hasattr(self._data, "on_epoch_end")

    def on_epoch_begin(self) -> None:
        """Call the data's `on_epoch_begin`. `epoch` already calls it."""
        if isinstance(self._data, PyDataset):
            self._data.on_epoch_begin()

    @property
    def can_restart(self) -> bool:
        """Whether the data can be iterated again from the start."""
        return self._once is None

    def on_epoch_end(self) -> None:
        if hasattr(self._data, "on_epoch_end"):
            self._data.on_epoch_end()

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class RowsSource(ArraySource):
    """Source for a `Dataset` whose batches hold each row of arrays exactly once.

    Many of its batches are gathered at a time, as in `ArraySource`.

    Args:
        arrays: `x`, `(x, y)` or `(x, y, sample_weight)`.
        batches: The `Batch` stage of the data set.

    Example:
        >>> data = Dataset.range(5).batch(2)
        >>> [x.tolist() for x, _, _ in make_source(data).epoch(seed=0, epoch=0)]
        [[0, 1], [2, 3], [4]]
    """

    own_batches = True

    def __init__(self, arrays: Structure, batches: stages.Batch):
        super().__init__(*unpack(arrays), batch_size=batches.batch_size)
        self._batches = batches

    def order(self, seed: int, epoch: int) -> np.ndarray | None:
        """Return the row numbers in the order of an epoch, or `None` for the order 0, 1, 2, ..."""
        rows = self._batches.before.rows(stages.Turn(seed, epoch))
        assert rows is not None  # checked when the source was made
        in_order = np.array_equal(rows.order, np.arange(self.num_rows))
        return None if in_order else rows.order

    def with_weights(self, sample_weight: Structure) -> ArraySource:
        """Return a source of the same batches with other sample weights."""
        x, y, _ = self.data
        return RowsSource((x, y, sample_weight), self._batches)

    def split(self, fraction: float) -> tuple[ArraySource, ArraySource]:
        """Raise an error: use `utils.split_dataset` to split a `Dataset`, or `take` and `skip`."""
        raise ValueError(
            "fit: `validation_split` needs arrays, received a Dataset. Pass `validation_data`;"
            " `utils.split_dataset` splits a data set in two."
        )


def _dataset_source(data: Dataset) -> Source:
    """Return a `RowsSource` if the batches hold each row once, else a `DatasetSource`."""
    batches = data.row_batches()
    arrays = None if batches is None else batches.all_rows()
    if batches is not None and arrays is not None:
        parts = tree.flatten(arrays)
        if all(isinstance(a, (np.ndarray, LazyArray)) and a.dtype.kind in "biuf" for a in parts):
            return RowsSource(arrays, batches)
    return DatasetSource(data)


class DatasetSource(IterableSource):
    """Source of the batches of a `Dataset`. An epoch can start at any batch.

    Args:
        data: The data set. Its elements are batches.

    Example:
        >>> source = DatasetSource(Dataset.range(5).batch(2))
        >>> [x.tolist() for x, _, _ in source.epoch(seed=0, epoch=0, start=1)]
        [[2, 3], [4]]
    """

    def __init__(self, data: Dataset):
        super().__init__(data)
        count = int(data.cardinality())
        self.num_batches = None if count < 0 else count

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch, from batch number `start` on."""
        return map(self._unpacked, self._data.elements(seed, epoch, start))

    @property
    def can_seek(self) -> bool:
        """Whether an epoch can start at any batch: always true."""
        return True


def _aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an uninitialized array aligned to 64 bytes, which JAX on CPU uses without a copy."""
    size, step = math.prod(shape) * np.dtype(dtype).itemsize, 64
    memory = np.empty(size + step, "uint8")
    start = -memory.ctypes.data % step
    return memory[start : start + size].view(dtype).reshape(shape)


def unpack(batch: Structure) -> Batch:
    """Convert a batch to `(x, y, sample_weight)`.

    Raises:
        ValueError: If the batch is an empty tuple, or a tuple of more than three items.

    Example:
        >>> unpack((1, 2))
        (1, 2, None)
    """
    if not isinstance(batch, tuple):
        if (
            isinstance(batch, list)
            and len(batch) in (2, 3)
            and all(hasattr(leaf, "shape") for leaf in tree.flatten(batch))
            and all(tree.flatten(part) for part in batch)
        ):
            return unpack(tuple(batch))
        return batch, None, None
    if len(batch) > 3 or not batch:
        raise ValueError(
            "A batch must be `x`, `(x, y)` or `(x, y, sample_weight)`, received a tuple of"
            f" {len(batch)} items."
        )
    return (*batch, *(None,) * (3 - len(batch)))  # type: ignore[return-value]


def make_source(
    x: Data, y: Structure = None, sample_weight: Structure = None, batch_size: int | None = None,
    shuffle: bool | str = False, steps: int | None = None,
) -> Source:  # fmt: skip
    """Make the source for data that a user passed.

    Args:
        x: Arrays, or lists or dicts of arrays; a table or array of another library
            (`hornbeam.data.adapters`); a `PyDataset`, generator or other iterable of batches; or a
            source, which is returned unchanged.
        y, sample_weight: Arrays like `x`, or `None` if `x` yields batches.
        batch_size: Number of rows per batch of arrays. Default: the number that divides the rows
            into `steps` batches, or 32 if `steps` is not given.
        shuffle: As in `ArraySource`.
        steps: Number of batches in a pass.

    Raises:
        ValueError: If `x` is missing, or `y` or `sample_weight` is given although `x` yields
            batches.

    Example:
        >>> make_source(np.zeros((100, 3)), np.zeros(100)).num_batches
        4
    """
    if x is None:
        raise ValueError("`x` is missing: pass inputs, or an iterable that yields batches.")
    if isinstance(x, Source):
        return x
    refuse_mistakes(x, "x")
    if is_iterable_of_batches(x):
        for name, given in (("y", y), ("sample_weight", sample_weight)):
            if given is not None:
                raise ValueError(
                    f"`{name}` must be None when `x` is a generator or data set. Let `x` yield"
                    " `(x, y)` or `(x, y, sample_weight)`."
                )
        if adapter_of(x) is not None:  # a stream of rows that cannot be indexed
            source = DatasetSource(Dataset.from_table(x).batch(batch_size or 32))
            source.own_batches = False
            return source
        return _dataset_source(x) if isinstance(x, Dataset) else IterableSource(x)
    rows = ArraySource(x, y, sample_weight, 32 if batch_size is None else batch_size, shuffle)
    if batch_size is None and steps is not None:
        size = max(1, math.ceil(rows.num_rows / steps))
        x, y, sample_weight = rows.data
        return ArraySource(x, y, sample_weight, size, shuffle)
    return rows


def is_iterable_of_batches(x: Data) -> bool:
    """Return whether data are an iterable of batches, not arrays of rows.

    Example:
        >>> is_iterable_of_batches(iter([])), is_iterable_of_batches([1.0, 2.0])
        (True, False)
    """
    if isinstance(x, (list, tuple, Mapping, np.ndarray, jax.Array, str, bytes)) or _is_table(x):
        return False
    adapter = adapter_of(x)
    if adapter is not None:
        return adapter.kind == "stream"
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return False
    return hasattr(x, "__next__") or hasattr(x, "__iter__") or hasattr(x, "__getitem__")


def _is_table(x: Any) -> bool:
    """Return whether `x` is a table or column of pandas or a similar library."""
    return hasattr(x, "to_numpy") and (hasattr(x, "columns") or hasattr(x, "name"))


def _count_rows(data: Any) -> int:
    counts = [
        (name, index, len(a))
        for name, part in zip(("x", "y", "sample_weight"), data, strict=True)
        for index, a in enumerate(tree.flatten(part))
        if a is not None
    ]
    if not counts:
        raise ValueError("`x` holds no arrays.")
    if len({n for _, _, n in counts}) > 1:
        shown = ", ".join(f"{name}[{i}]: {n}" for name, i, n in counts)
        raise ValueError(f"All data must have the same number of rows, received {shown}.")
    if counts[0][2] == 0:
        raise ValueError("The data are empty: `x` has 0 rows.")
    return counts[0][2]
