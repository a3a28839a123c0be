"""Sources of batches.

A source yields the batches `(x, y, sample_weight)` of an epoch. The order of rows is a pure
function of the seed and the number of the epoch, so that an epoch can be repeated exactly.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from hornbeam import errors, tree
from hornbeam.data import lazy, stages
from hornbeam.data.adapters import adapter_of, numbers_of
from hornbeam.data.columns import fault_of
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
    "as_arrays",
    "is_iterable_of_batches",
    "make_source",
]

Batch = tuple[Any, Any, Any]


class Source:
    """The base of what yields the batches of an epoch.

    Attributes:
        num_batches: Number of batches in an epoch; `None` if unknown.
    """

    num_batches: int | None = None
    own_batches = True  # whether the data determine the size of batches
    repeats = False  # whether an epoch of more steps than batches begins another pass

    @property
    def can_restart(self) -> bool:
        """Whether an epoch starts at the first batch instead of where the last one ended."""
        return True

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, from batch number `start` on."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `epoch(self, seed, epoch, start=0)`."
        )

    def on_epoch_end(self) -> None:
        """Called after an epoch."""

    def close(self) -> None:
        """End the threads or processes that read ahead."""


class ArraySource(Source):
    """Batches of rows of arrays.

    Args:
        x, y, sample_weight: Arrays, or lists or dicts of arrays, with the same number of rows.
        batch_size: Number of rows per batch; the last batch may be smaller.
        shuffle: Whether the rows are shuffled in each epoch; `"batch"` shuffles whole batches.

    Raises:
        ValueError: If there are no rows, or their numbers differ.

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
        """Return the row numbers in the order of an epoch; `None` stands for 0, 1, 2, ..."""
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
        """Yield the batches of an epoch, from batch number `start` on."""
        order = self.order(seed, epoch)
        for first in range(start * self.batch_size, self.num_rows, self.batch_size):
            yield self.rows(order, first, self.batch_size)

    def rows(self, order: np.ndarray | None, start: int, count: int) -> Batch:
        """Return up to `count` rows, from position `start` of an order on."""
        part: Any = slice(start, start + count) if order is None else order[start : start + count]
        return tree.map_structure(lambda a: None if a is None else a[part], self.data)

    def slab(self, order: np.ndarray | None, start: int, batch_size: int, steps: int) -> Batch:
        """Return `steps` batches of an order as arrays `(steps, batch_size, ...)`.

        The batches begin at position `start` of the order.

        If there are too few rows, the last one is repeated, so that the shape is always the same.
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
        """Bytes of one row of all arrays together."""
        return sum(a.nbytes for a in tree.flatten(self.data) if a is not None) // self.num_rows

    def with_weights(self, sample_weight: Structure) -> ArraySource:
        """Return a source of the same batches with other weights."""
        x, y, _ = self.data
        return ArraySource(x, y, sample_weight, self.batch_size, self.shuffle)

    def split(self, fraction: float) -> tuple[ArraySource, ArraySource]:
        """Return two sources: the first rows, and the last `fraction` of the rows."""
        at = int(math.floor(self.num_rows * (1.0 - fraction)))
        if not 0 < at < self.num_rows:
            raise ValueError(
                f"`validation_split`={fraction} leaves {at} of {self.num_rows} rows for training"
                f" and {self.num_rows - at} for validation; both need at least one."
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
    """Batches from a generator, a `PyDataset`, or any iterable of batches.

    Data that can be iterated only once continue where the last epoch ended.

    Args:
        data: Yields `x`, `(x, y)` or `(x, y, sample_weight)`.

    Example:
        >>> source = IterableSource([(np.zeros((2, 3)), np.zeros(2))])
        >>> len(list(source.epoch(seed=0, epoch=0))), source.num_batches
        (1, 1)
    """

    def __init__(self, data: Data):
        self._data = data
        # Iterators of `keras.preprocessing.image` are data sets and endless iterators.
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
        if self.num_batches == sys.maxsize:  # Grain's endless repetition
            self.num_batches = None

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch, from batch number `start` on."""
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
        return (unpack(_to_host(batch)) for batch in batches)

    @property
    def can_seek(self) -> bool:
        """Whether an epoch can start at any batch without reading the earlier ones."""
        numbered = hasattr(self._data, "on_epoch_end") and hasattr(self._data, "__getitem__")
        return self._indexed or numbered or isinstance(self._data, PyDataset)

    @property
    def has_hooks(self) -> bool:
        """Whether the data run code of their own between epochs, such as shuffling."""
        if isinstance(self._data, PyDataset):
            own = type(self._data)
            return any(getattr(own, hook) is not getattr(PyDataset, hook) for hook in EPOCH_HOOKS)
        return hasattr(self._data, "on_epoch_end")

    def on_epoch_begin(self) -> None:
        """Call the data's `on_epoch_begin`; `epoch` does so itself."""
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
    """Batches of a `Dataset` that hold each row of arrays once.

    Such batches are gathered many at a time, as those of arrays are.

    Args:
        arrays: `x`, `(x, y)` or `(x, y, sample_weight)`.
        batches: The stage that makes the batches.

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
        """Return the row numbers in the order of an epoch; `None` stands for 0, 1, 2, ..."""
        rows = self._batches.before.rows(stages.Turn(seed, epoch))
        assert rows is not None  # as when the source was made
        in_order = np.array_equal(rows.order, np.arange(self.num_rows))
        return None if in_order else rows.order

    def with_weights(self, sample_weight: Structure) -> ArraySource:
        """Return a source of the same batches with other weights."""
        x, y, _ = self.data
        return RowsSource((x, y, sample_weight), self._batches)

    def split(self, fraction: float) -> tuple[ArraySource, ArraySource]:
        """Refuse: a `Dataset` is split by `utils.split_dataset`, or by `take` and `skip`."""
        raise ValueError(
            "fit: `validation_split` needs arrays; pass `validation_data`. `utils.split_dataset`"
            " makes two data sets of one."
        )


def _dataset_source(data: Dataset) -> Source:
    """Return the source of a `Dataset`: of rows, if its batches hold each row of arrays once."""
    batches = data.row_batches()
    arrays = None if batches is None else batches.all_rows()
    if batches is not None and arrays is not None:
        parts = tree.flatten(arrays)
        if all(isinstance(a, (np.ndarray, LazyArray)) and a.dtype.kind in "biuf" for a in parts):
            return RowsSource(arrays, batches)
    return DatasetSource(data)


class DatasetSource(IterableSource):
    """Batches of a `Dataset`, whose passes can begin at any batch.

    Args:
        data: The data set; its elements are batches.

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
        return (unpack(_to_host(batch)) for batch in self._data.elements(seed, epoch, start))

    @property
    def can_seek(self) -> bool:
        """Whether an epoch can start at any batch; always."""
        return True


def _aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an empty array aligned to 64 bytes, which JAX on CPU can use without a copy."""
    size, step = math.prod(shape) * np.dtype(dtype).itemsize, 64
    memory = np.empty(size + step, "uint8")
    start = -memory.ctypes.data % step
    return memory[start : start + size].view(dtype).reshape(shape)


def unpack(batch: Structure) -> Batch:
    """Return a batch as `(x, y, sample_weight)`.

    Raises:
        ValueError: If it is an empty tuple, or one of more than three.

    Example:
        >>> unpack((1, 2))
        (1, 2, None)
    """
    if not isinstance(batch, tuple):
        if (
            isinstance(batch, list)
            and len(batch) in (2, 3)
            and all(hasattr(b, "shape") for b in batch)
        ):
            return unpack(tuple(batch))
        return batch, None, None
    if len(batch) > 3 or not batch:
        raise ValueError(
            "A batch must be `x`, `(x, y)` or `(x, y, sample_weight)`, received a tuple of"
            f" {len(batch)}."
        )
    return (*batch, *(None,) * (3 - len(batch)))  # type: ignore[return-value]


def make_source(
    x: Data, y: Structure = None, sample_weight: Structure = None, batch_size: int | None = None,
    shuffle: bool | str = False, steps: int | None = None,
) -> Source:  # fmt: skip
    """Return the source for the data that a user passed.

    Args:
        x: Arrays, or lists or dicts of arrays; a table or array of another library
            (`hornbeam.data.adapters`); a `PyDataset`, generator or other iterable of batches; or a
            source, which is returned as it is.
        y, sample_weight: Arrays like `x`; `None` if `x` yields batches.
        batch_size: Number of rows per batch of arrays. Default: as many as make `steps` batches of
            all rows, or 32 if `steps` is not given.
        shuffle: As in `ArraySource`.
        steps: Number of batches of a pass.

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
    if is_iterable_of_batches(x):
        for name, given in (("y", y), ("sample_weight", sample_weight)):
            if given is not None:
                raise ValueError(
                    f"`{name}` must not be passed when `x` is a generator or data set: it yields "
                    "`(x, y)` or `(x, y, sample_weight)` itself."
                )
        if adapter_of(x) is not None:  # rows without numbers
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
    """Return whether data are batches to iterate over, rather than arrays of rows.

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


_AS_THEY_ARE = {np.dtype(name) for name in ("float32", "int32", "uint8", "bool")}


def _array(a: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(a)
    except ValueError as error:  # rows of several lengths
        raise ValueError(
            f"`{name}` cannot become an array of one shape: {error} Pad its rows to one length,"
            " with zeros for example."
        ) from None


def as_arrays(structure: Structure, name: str) -> Structure:
    """Return a structure of arrays, rows first, with 64-bit numbers narrowed to 32 bits.

    Args:
        structure: Arrays, nested lists of numbers, or a structure of them.
        name: Name of the argument, for errors.

    Raises:
        ValueError: If a part is no array of numbers of one shape, or has no batch axis.

    Example:
        >>> as_arrays([1.0, 2.0], "x").dtype
        dtype('float32')
    """
    if structure is None:
        return None
    if type(structure) is np.ndarray and structure.ndim and structure.dtype in _AS_THEY_ARE:
        return structure
    if isinstance(structure, (list, tuple)) and _is_numbers(structure):
        structure = _array(structure, name)
    if isinstance(structure, Mapping):
        structure = dict(structure)
    structure = tree.map_structure(lambda a: numbers_of(a, name), structure)

    def one(a: Any) -> Any:
        if a is None:
            return None
        if isinstance(a, jax.Array) or lazy.is_on_disk(a):
            if a.ndim and a.dtype.kind in "biufcV":
                return a  # arrays on disk are narrowed batch by batch
            a = a[:1] if isinstance(a, LazyArray) else a
        array = a.to_numpy() if hasattr(a, "to_numpy") else _array(a, name)
        if array.dtype.names is not None:
            raise ValueError(
                f"`{name}` is an array with the fields {errors.listed(array.dtype.names)}; expected"
                " numbers. Pass a dict of the fields, such as"
                f" {{{array.dtype.names[0]!r}: array[{array.dtype.names[0]!r}]}}."
            )
        if array.dtype == object:
            try:
                array = array.astype("float32")
            except (TypeError, ValueError):
                raise ValueError(_no_numbers(name, array, getattr(a, "columns", None))) from None
        if array.dtype.kind in "USTmM":
            raise ValueError(
                f"`{name}` has dtype {array.dtype}; expected numbers. It holds {fault_of(array)}."
            )
        narrow = {"float64": "float32", "int64": "int32", "uint64": "uint32"}.get(array.dtype.name)
        if narrow:
            array = array.astype(narrow)
        if array.ndim == 0:
            raise ValueError(
                f"`{name}` must have a batch axis, received the single number {array}."
            )
        return array

    return tree.map_structure(one, structure)


def _no_numbers(name: str, array: np.ndarray, labels: Any) -> str:
    """Return the error for an array of objects: which columns hold what is no number."""
    by_column = array.reshape(len(array), -1).T if array.ndim > 1 else [array]
    guilty = []
    for number, column in enumerate(by_column):
        bad = next(((row, value) for row, value in enumerate(column) if _is_no_number(value)), None)
        if bad is not None:
            label = repr(labels[number]) if labels is not None else number
            where = f"column {label} (row {bad[0]}: " if array.ndim > 1 else f"row {bad[0]} ("
            guilty.append(f"{where}{errors.describe(bad[1])})")
    shown = ", ".join(guilty[:6]) + (", ..." if len(guilty) > 6 else "")
    return (
        f"`{name}` has dtype object; expected numbers in arrays of one shape. What is no number:"
        f" {shown or 'unknown'}. Encode text as numbers, for example with"
        " `np.unique(column, return_inverse=True)[1]`; fill or drop missing values; stack arrays"
        " with `np.array(...)`."
    )


def _is_no_number(value: Any) -> bool:
    try:
        np.asarray(value).astype("float32").reshape(())
    except (TypeError, ValueError):
        return True
    return isinstance(value, (np.datetime64, np.timedelta64))


def _is_numbers(x: Any) -> bool:
    """Return whether a nested list holds plain numbers, and so is one array."""
    first = x
    while isinstance(first, (list, tuple)):
        if not first:
            return True
        first = first[0]
    return isinstance(first, (int, float, np.number, str))


def _to_host(batch: Any) -> Any:
    """Return a batch with the tensors of other libraries as NumPy arrays."""

    def one(a: Any) -> Any:
        if a is None or isinstance(a, (np.ndarray, jax.Array)):
            return a
        if adapter_of(a) is not None:
            return tree.map_structure(np.asarray, numbers_of(a, "a batch"))
        return np.asarray(a) if hasattr(a, "__array__") or isinstance(a, (int, float)) else a

    return (
        tree.map_structure(one, batch)
        if isinstance(batch, (tuple, dict))
        else _list_batch(batch, one)
    )


def _list_batch(batch: Any, one: Any) -> Any:
    return [one(item) for item in batch] if isinstance(batch, list) else one(batch)


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
