"""`Dataset`: elements from arrays, generators or files, transformed one stage after another."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from hornbeam import errors
from hornbeam.data import adapters, nested, stages
from hornbeam.data.elements import arrays_of, map_leaves
from hornbeam.data.files import chosen, files_of, names_of
from hornbeam.data.parquet import parquet_columns
from hornbeam.data.stages import Stage, Turn
from hornbeam.data.tar import samples_of
from hornbeam.typing import FilePath

__all__ = ["AUTOTUNE", "Dataset"]

AUTOTUNE = -1
"""The value of `num_parallel_calls` and `buffer_size` that leaves the number to the data set."""

INFINITE_CARDINALITY, UNKNOWN_CARDINALITY = -1, -2


class Dataset:
    """Elements that can be iterated again and again, transformed by stages.

    An element is an array, or a tuple or dictionary of arrays. The names and meanings are those of
    `tf.data.Dataset`; the elements are NumPy's. Nothing is computed before the elements are read.

    The order of the elements is a pure function of a seed and the number of the pass: the seed of
    `shuffle`, else that of `fit`, else a random one. `fit` can therefore resume inside a pass.
    Batches of rows of arrays are gathered at once and cost little; a `map` before `batch` costs a
    call for each element, so put `map` after `batch` where the function allows it.

    Example:
        >>> x, y = np.arange(10.0), np.arange(10) % 2
        >>> data = Dataset.from_tensor_slices((x, y)).shuffle(10, seed=1).batch(4)
        >>> len(data), [len(x) for x, y in data]
        (3, [4, 4, 2])
    """

    # The functions that read folders set them.
    class_names: list[str] | None = None
    file_paths: list[str] | None = None

    def __init__(self, stage: Stage):
        self.stage = stage
        self._seed: int | None = None
        self._passes = 0

    # --- sources --------------------------------------------------------------------------------

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: str | None = None) -> Self:
        """Return the rows of arrays, or of a tuple or dictionary of arrays.

        Raises:
            ValueError: If the numbers of rows differ, or rows have several shapes.

        Example:
            >>> list(Dataset.from_tensor_slices({"a": [1, 2]}))
            [{'a': np.int64(1)}, {'a': np.int64(2)}]
        """
        return cls(stages.Slices(arrays_of(tensors, "from_tensor_slices")))

    @classmethod
    def from_tensors(cls, tensors: Any, name: str | None = None) -> Self:
        """Return a data set of one element."""
        return cls(stages.Elements([map_leaves(np.asarray, tensors)]))

    @classmethod
    def from_elements(cls, elements: Sequence[Any]) -> Self:
        """Return the elements of a list.

        Example:
            >>> list(Dataset.from_elements(["a", "b"]))
            ['a', 'b']
        """
        return cls(stages.Elements(list(elements)))

    @classmethod
    def from_generator(
        cls, generator: Callable[..., Iterable[Any]], output_types: Any = None,
        output_shapes: Any = None, args: tuple[Any, ...] | None = None,
        output_signature: Any = None, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return the elements that a function yields; each pass calls it again.

        Args:
            generator: Function that returns an iterable.
            output_types: Dtype of each array, in the structure of an element.
            output_shapes: Ignored; each array has the shape that is yielded.
            args: Arguments of the function.
            output_signature: Objects with a `dtype`, in the structure of an element.
            name: Ignored.

        Raises:
            TypeError: If `generator` cannot be called.

        Example:
            >>> list(Dataset.from_generator(lambda: range(3)))
            [0, 1, 2]
        """
        if not callable(generator):
            raise TypeError(
                "Dataset.from_generator: `generator` must be a function that returns an iterable,"
                f" received {generator!r:.80}. A generator can be read only once; pass the function"
                " that makes it."
            )
        data = cls(stages.Elements(lambda: generator(*(args or ()))))
        if output_signature is not None:
            output_types = map_leaves(lambda spec: spec.dtype, output_signature)
        if output_types is None:
            return data

        def cast(value: Any, dtype: Any) -> Any:
            return np.asarray(value, getattr(dtype, "as_numpy_dtype", dtype))

        return data._then(stages.Convert, lambda element: map_leaves(cast, element, output_types))

    @classmethod
    def from_table(
        cls, table: Any, columns: Sequence[str] | str | None = None,
        target: Sequence[str] | str | None = None,
    ) -> Self:  # fmt: skip
        """Return the rows of a table, as dictionaries with the names of the columns.

        Args:
            table: A frame of pandas or Polars, a table of PyArrow, a data set of Hugging Face, a
                group of zarr, or a dictionary of arrays.
            columns: Names of the columns; the elements of a single name are its values. Default:
                all but the targets.
            target: Name of the column of the targets, or several names. The elements are then pairs
                of inputs and targets.

        Raises:
            ValueError: If the table has no column of that name.

        Example:
            >>> data = Dataset.from_table({"a": [1, 2], "b": [3, 4]}, target="b")
            >>> list(data.batch(2))
            [({'a': array([1, 2])}, array([3, 4]))]
        """
        if adapters.is_stream(table):
            rows = cls(stages.Elements(lambda: adapters.rows_of_stream(table)))
            return rows._then(stages.Convert, lambda row: chosen(row, columns, target, "table"))
        if not isinstance(table, Mapping) and not adapters.is_table(table):
            raise TypeError(
                "Dataset.from_table: expected a table, such as a frame of pandas or a dictionary of"
                f" arrays, received {errors.describe(table)}. Arrays go to `from_tensor_slices`."
            )
        found = dict(table) if isinstance(table, Mapping) else dict(adapters.columns_of(table))
        return cls.from_tensor_slices(chosen(found, columns, target, "table"))

    @classmethod
    def from_parquet(
        cls, paths: FilePath | Sequence[FilePath], columns: Sequence[str] | str | None = None,
        target: Sequence[str] | str | None = None, batch_size: int | None = None,
    ) -> Self:  # fmt: skip
        """Return the rows of Parquet files, of which row groups are read when they are needed.

        `shuffle` changes the order of the row groups, and of the rows within several of them. Needs
        PyArrow.

        Args:
            paths: A file, a folder, or several files.
            columns, target: As in `from_table`; other columns are not read.
            batch_size: Number of rows per batch. Default: the elements are rows.

        Raises:
            ValueError: If a file cannot be read, lacks a column, or differs from the first.
        """
        found = parquet_columns(
            paths, lambda names: chosen({n: n for n in names}, columns, target, "Parquet files")
        )
        data = cls(stages.Slices(found))
        return data if batch_size is None else data.batch(batch_size)

    @classmethod
    def from_tar(
        cls, paths: FilePath | Sequence[FilePath], columns: Sequence[str] | str | None = None,
        target: Sequence[str] | str | None = None,
    ) -> Self:  # fmt: skip
        """Return the samples of tar files in the form of WebDataset.

        Consecutive files `key.extension` of one key are a sample: a dictionary with the extensions,
        and the key as `"__key__"`. Texts, numbers (.cls), .json, .npy, .npz and images are decoded;
        others stay bytes. Pickles are refused, because they may run any code.

        Args:
            paths: A tar file, a folder of tar files, or several files; .tar.gz too.
            columns: Names of extensions; the elements of a single name are its values. Default:
                all but the target.
            target: Extension of the targets. The elements are then pairs of inputs and targets.

        Raises:
            ValueError: When the elements are read, if a file is damaged or a sample lacks an
                extension.
        """
        shards = files_of(paths, "from_tar", (".tar", ".tar.gz", ".tgz"))
        wanted = None if columns is None else {*names_of(columns), *names_of(target)}
        samples = cls(stages.Elements(lambda: samples_of(shards, wanted)))
        return samples._then(
            stages.Convert,
            lambda sample: chosen(sample, columns, target, f"sample {sample['__key__']!r}"),
        )

    @classmethod
    def range(cls, *args: int, name: str | None = None, output_type: Any = "int64") -> Self:
        """Return the numbers of `range(*args)`."""
        return cls(stages.Slices(np.arange(*args, dtype=output_type)))

    @classmethod
    def zip(cls, *datasets: Any, name: str | None = None) -> Self:
        """Return tuples (or dictionaries) of the elements of several data sets.

        The result is as long as the shortest of them.

        Args:
            *datasets: Data sets, or one tuple or dictionary of data sets.
            name: Ignored.

        Example:
            >>> list(Dataset.zip(Dataset.range(3), Dataset.range(5, 7)))
            [(np.int64(0), np.int64(5)), (np.int64(1), np.int64(6))]
        """
        parts = datasets[0] if len(datasets) == 1 else datasets

        def one(data: Any) -> Stage:
            if not isinstance(data, Dataset):
                raise TypeError(f"Dataset.zip: expected data sets, received {data!r:.80}.")
            return data.stage

        return cls(stages.Zip(map_leaves(one, parts)))

    # --- iteration ------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the elements; each pass has a new order if the data are shuffled."""
        if self._seed is None:
            self._seed = int(np.random.randint(2**31))
        number, self._passes = self._passes, self._passes + 1
        return self.elements(self._seed, number)

    def elements(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Return the elements of a pass, from one on.

        Args:
            seed: Seed of the shuffles that have none of their own.
            epoch: Number of the pass.
            start: Number of the first element.

        Example:
            >>> data = Dataset.range(6).shuffle(6)
            >>> whole = list(data.elements(seed=1, epoch=2))
            >>> whole[4:] == list(data.elements(seed=1, epoch=2, start=4))
            True
        """
        return self.stage.run(Turn(seed, epoch), start)

    def row_batches(self) -> stages.Batch | None:
        """Return the stage that makes batches, if the elements are batches of rows of arrays."""
        stage = self.stage
        while isinstance(stage, stages.Prefetch):
            stage = stage.before
        return stage if isinstance(stage, stages.Batch) else None

    def __len__(self) -> int:
        """Return the number of elements.

        Raises:
            TypeError: If it is infinite or unknown.
        """
        size = self.stage.size
        if size is None or math.isinf(size):
            kind = "unknown" if size is None else "infinite"
            raise TypeError(
                f"The length of the Dataset is {kind}. `cardinality()` returns -1 or -2."
            )
        return int(size)

    def cardinality(self) -> int:
        """Return the number of elements, -1 if it is infinite, or -2 if it is unknown."""
        size = self.stage.size
        if size is None:
            return UNKNOWN_CARDINALITY
        return INFINITE_CARDINALITY if math.isinf(size) else int(size)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<Dataset of {self.cardinality()} elements>".replace(
            "-1", "infinitely many"
        ).replace("-2", "an unknown number of")

    def as_numpy(self) -> Self:
        """Return the same elements with NumPy arrays, whatever `map` returned."""
        return self._then(stages.Convert, lambda element: map_leaves(np.asarray, element))

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Return an iterator over the elements as NumPy arrays."""
        return iter(self.as_numpy())

    def get_single_element(self) -> Any:
        """Return the only element.

        Raises:
            ValueError: If there are none or several.
        """
        found = list(self.take(2))
        if len(found) != 1:
            raise ValueError("Dataset.get_single_element: there is not exactly one element.")
        return found[0]

    def reduce(self, initial_state: Any, reduce_func: Callable[[Any, Any], Any]) -> Any:
        """Return the last state of a function of a state and each element.

        Example:
            >>> int(Dataset.range(4).reduce(0, lambda state, n: state + n))
            6
        """
        state = initial_state
        for element in self:
            state = reduce_func(state, element)
        return state

    def apply(self, transformation_func: Callable[[Dataset], Any]) -> Any:
        """Return a function of this data set."""
        return transformation_func(self)

    # --- stages ---------------------------------------------------------------------------------

    def _then(self, stage: type[Stage], *args: Any) -> Self:
        return type(self)(stage(self.stage, *args))  # type: ignore[call-arg]

    def map(
        self, map_func: Callable[..., Any], num_parallel_calls: int | None = None,
        deterministic: bool | None = None, name: str | None = None, **_: Any,
    ) -> Self:  # fmt: skip
        """Return a function of each element; of a tuple, its parts are the arguments.

        Args:
            map_func: The function.
            num_parallel_calls: Number of threads, or `AUTOTUNE`. Default: no threads.
            deterministic, name: Ignored; the order is always kept.

        Example:
            >>> list(Dataset.range(3).map(lambda n: n * 2))
            [np.int64(0), np.int64(2), np.int64(4)]
        """
        if not callable(map_func):
            raise TypeError(f"Dataset.map: `map_func` must be callable, received {map_func!r}.")
        threads = _count("map", "num_parallel_calls", num_parallel_calls, none=1)
        return self._then(stages.Map, map_func, threads)

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Self:
        """Return the elements for which a function is true.

        Example:
            >>> list(Dataset.range(4).filter(lambda n: n % 2 == 0))
            [np.int64(0), np.int64(2)]
        """
        return self._then(stages.Filter, predicate)

    def batch(
        self, batch_size: int, drop_remainder: bool = False, num_parallel_calls: int | None = None,
        deterministic: bool | None = None, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return batches of elements, stacked on a new first axis.

        Args:
            batch_size: Number of elements per batch.
            drop_remainder: Whether a smaller last batch is left out.
            num_parallel_calls, deterministic, name: Ignored.

        Raises:
            ValueError: When the batch is read, if its elements have several shapes.
        """
        size = _count("batch", "batch_size", batch_size)
        return self._then(stages.Batch, size, bool(drop_remainder))

    def padded_batch(
        self, batch_size: int, padded_shapes: Any = None, padding_values: Any = None,
        drop_remainder: bool = False, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return batches of elements, which are padded at their ends to one shape.

        Args:
            batch_size: Number of elements per batch.
            padded_shapes: Shapes in the structure of an element; `None` in a shape means the
                largest size in the batch. Default: all sizes.
            padding_values: Value in the structure of an element, or one for all. Default: 0, or
                empty texts.
            drop_remainder: Whether a smaller last batch is left out.
            name: Ignored.

        Example:
            >>> data = Dataset.from_generator(lambda: [[1], [2, 3]])
            >>> data.padded_batch(2).get_single_element()
            array([[1, 0],
                   [2, 3]])
        """
        size = _count("padded_batch", "batch_size", batch_size)
        padding = (padded_shapes, padding_values)
        return self._then(stages.Batch, size, bool(drop_remainder), padding)

    def unbatch(self, name: str | None = None) -> Self:
        """Return the rows of each element."""
        return self._then(stages.Unbatch)

    def rebatch(
        self, batch_size: int, drop_remainder: bool = False, name: str | None = None
    ) -> Self:
        """Return the same rows in batches of another size.

        Example:
            >>> [len(x) for x in Dataset.range(5).batch(2).rebatch(3)]
            [3, 2]
        """
        size = _count("rebatch", "batch_size", batch_size)
        return self._then(stages.Rebatch, size, bool(drop_remainder))

    def shuffle(
        self, buffer_size: int | None = None, seed: int | None = None,
        reshuffle_each_iteration: bool | None = True, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return the elements in random order.

        Rows of arrays are shuffled completely. Other elements are drawn from a window.

        Args:
            buffer_size: Number of elements of the window, which are held in memory; needed for
                other elements than rows of arrays.
            seed: Seed of the order. Default: that of the pass.
            reshuffle_each_iteration: Whether each pass has another order.
            name: Ignored.

        Example:
            >>> sorted(Dataset.range(4).shuffle(4))
            [np.int64(0), np.int64(1), np.int64(2), np.int64(3)]
        """
        window = None
        if buffer_size is not None:
            window = _count("shuffle", "buffer_size", buffer_size)
        seed = None if seed is None else int(seed) % 2**64
        return self._then(stages.Shuffle, window, seed, reshuffle_each_iteration is not False)

    def cache(self, filename: str | os.PathLike[str] = "", name: str | None = None) -> Self:
        """Return the elements of the first complete pass, which are kept in memory.

        Raises:
            ValueError: If a file is given.
        """
        if filename:
            raise ValueError(
                "Dataset.cache: elements are kept in memory only. Call `cache()` without a file, or"
                " store arrays with `np.save` and open them with `np.load(..., mmap_mode='r')`."
            )
        return self._then(stages.Cache)

    def repeat(self, count: int | None = None, name: str | None = None) -> Self:
        """Return the elements several times; without end if `count` is `None` or -1."""
        if count is None or count == -1:
            return self._then(stages.Repeat, None)
        return self._then(stages.Repeat, _count("repeat", "count", count, least=0))

    def take(self, count: int, name: str | None = None) -> Self:
        """Return the first elements; all if `count` is -1."""
        if count == -1:
            return self
        return self._then(stages.Slice, 0, _count("take", "count", count, least=0))

    def skip(self, count: int, name: str | None = None) -> Self:
        """Return the elements after the first; none if `count` is -1."""
        if count == -1:
            return self.take(0)
        return self._then(stages.Slice, _count("skip", "count", count, least=0))

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Self:
        """Return each `num_shards`-th element, from number `index` on."""
        count = _count("shard", "num_shards", num_shards)
        first = _count("shard", "index", index, least=0)
        if first >= count:
            raise ValueError(
                f"Dataset.shard: `index` must be less than `num_shards`={count}, received {first}."
            )
        return self._then(stages.Slice, first, None, count)

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Self:
        """Return the elements of this data set, then those of another."""
        return self._then(stages.Concatenate, dataset.stage)

    def enumerate(self, start: int = 0, name: str | None = None) -> Self:
        """Return pairs of a number and an element."""
        return self._then(stages.Enumerate, start)

    def prefetch(self, buffer_size: int = AUTOTUNE, name: str | None = None) -> Self:
        """Return the same elements, read ahead by a thread.

        Args:
            buffer_size: The most elements that wait, or `AUTOTUNE`. With 0, nothing is read ahead.
            name: Ignored.
        """
        if buffer_size == 0:
            return self
        count = (
            2 if buffer_size in (None, AUTOTUNE) else _count("prefetch", "buffer_size", buffer_size)
        )
        return self._then(stages.Prefetch, count)

    def interleave(
        self, map_func: Callable[..., Dataset], cycle_length: int | None = None,
        block_length: int = 1, num_parallel_calls: int | None = None,
        deterministic: bool | None = None, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return the elements of the data sets that a function makes, a few of each in turn.

        Args:
            map_func: Function from an element to a data set.
            cycle_length: The most data sets that are read at the same time. Default: 4.
            block_length: Number of elements of one data set that follow each other.
            num_parallel_calls, deterministic, name: Ignored.

        Example:
            >>> data = Dataset.range(2).interleave(lambda n: Dataset.from_tensors(n).repeat(2))
            >>> [int(n) for n in data]
            [0, 1, 0, 1]
        """
        cycle = (
            4
            if cycle_length in (None, AUTOTUNE)
            else _count("interleave", "cycle_length", cycle_length)
        )
        block = _count("interleave", "block_length", block_length)
        return self._then(nested.Interleave, _opener("interleave", map_func), cycle, block)

    def flat_map(self, map_func: Callable[..., Dataset], name: str | None = None) -> Self:
        """Return the elements of the data sets that a function makes, one after another."""
        return self._then(nested.Interleave, _opener("flat_map", map_func), 1, 1)

    def window(
        self, size: int, shift: int | None = None, stride: int = 1, drop_remainder: bool = False,
        name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return windows of consecutive elements, each a data set.

        If the elements are tuples or dictionaries, a window is a tuple or dictionary of data sets.

        Args:
            size: Number of elements of a window.
            shift: Number of elements between the starts of two windows. Default: `size`.
            stride: Distance of the elements of a window.
            drop_remainder: Whether smaller windows at the end are left out.
            name: Ignored.

        Example:
            >>> [[int(n) for n in window] for window in Dataset.range(5).window(3, shift=2)]
            [[0, 1, 2], [2, 3, 4], [4]]
        """
        sizes = (
            _count("window", "size", size),
            _count("window", "shift", size if shift is None else shift),
            _count("window", "stride", stride),
        )
        windows = self._then(nested.Window, *sizes, bool(drop_remainder))
        return windows._then(stages.Convert, _window)


def _window(elements: list[Any]) -> Any:
    return map_leaves(lambda *parts: Dataset(stages.Elements(parts)), *elements)


def _opener(name: str, map_func: Callable[..., Dataset]) -> Callable[[Any, Turn], Iterator[Any]]:
    def open_run(element: Any, turn: Turn) -> Iterator[Any]:
        data = stages.call(map_func, element)
        if not isinstance(data, Dataset):
            raise TypeError(
                f"Dataset.{name}: `map_func` must return a Dataset, received {data!r:.80}."
            )
        return data.stage.run(turn)

    return open_run


def _count(method: str, name: str, value: Any, least: int = 1, none: int | None = None) -> int:
    """Return a checked number; `AUTOTUNE` means the number of processors."""
    if value is None and none is not None:
        return none
    if value == AUTOTUNE and name == "num_parallel_calls":
        return os.cpu_count() or 1
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        kind = "a positive integer" if least else "an integer of at least 0"
        raise ValueError(f"Dataset.{method}: `{name}` must be {kind}, received {value!r}.")
    return int(value)
