"""`Dataset`: a pipeline of elements from arrays, generators or files."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from hornbeam import errors
from hornbeam.data import adapters, nested, stages
from hornbeam.data.counts import AUTOTUNE
from hornbeam.data.counts import count as _count
from hornbeam.data.elements import arrays_of, map_leaves
from hornbeam.data.files import chosen, files_of, names_of
from hornbeam.data.parquet import parquet_columns
from hornbeam.data.skipped import Skipped
from hornbeam.data.stages import Stage, Turn
from hornbeam.data.tar import samples_of
from hornbeam.typing import FilePath

__all__ = ["AUTOTUNE", "Dataset"]

INFINITE_CARDINALITY, UNKNOWN_CARDINALITY = -1, -2


class Dataset:
    """A sequence of elements that can be iterated repeatedly and transformed lazily.

    The interface follows `tf.data.Dataset`, with NumPy arrays. An element is an array, or a tuple
    or dictionary of arrays. Elements are computed only when they are read.

    The order of the elements is a pure function of the seed and the pass number, so `fit` can
    resume within a pass. The seed is the one given to `shuffle`, else the seed of `fit`, else
    random. Batching rows of arrays is cheap, because each batch is one gather. A `map` before
    `batch` makes one call per element, so put `map` after `batch` if the function can take batches.

    Example:
        >>> x, y = np.arange(10.0), np.arange(10) % 2
        >>> data = Dataset.from_tensor_slices((x, y)).shuffle(10, seed=1).batch(4)
        >>> len(data), [len(x) for x, y in data]
        (3, [4, 4, 2])
    """

    # Set by the functions that read folders.
    class_names: list[str] | None = None
    file_paths: list[str] | None = None

    def __init__(self, stage: Stage):
        self.stage = stage
        self._seed: int | None = None
        self._passes = 0

    # --- sources --------------------------------------------------------------------------------

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: str | None = None) -> Self:
        """Make a data set of the rows of arrays, or of a tuple or dictionary of arrays.

        Raises:
            ValueError: If the arrays have different numbers of rows, or the rows of one array have
                different shapes.

        Example:
            >>> list(Dataset.from_tensor_slices({"a": [1, 2]}))
            [{'a': np.int64(1)}, {'a': np.int64(2)}]
        """
        return cls(stages.Slices(arrays_of(tensors, "from_tensor_slices")))

    @classmethod
    def from_tensors(cls, tensors: Any, name: str | None = None) -> Self:
        """Make a data set with one element."""
        return cls(stages.Elements([map_leaves(np.asarray, tensors)]))

    @classmethod
    def from_elements(cls, elements: Sequence[Any]) -> Self:
        """Make a data set of the elements of a list.

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
        """Make a data set of the elements that a function yields; each pass calls it again.

        Args:
            generator: Function that returns an iterable.
            output_types: Dtype of each array, in the structure of an element.
            output_shapes: Ignored; each array keeps the shape that was yielded.
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
                f" received {generator!r:.80}. A generator can be read only once: pass the function"
                " that makes the generator."
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
        """Make a data set of a table's rows, as dictionaries from column names to values.

        Args:
            table: A pandas or Polars data frame, a PyArrow table, a Hugging Face data set, a zarr
                group, or a dictionary of arrays.
            columns: Names of the input columns. If it is a single name, the inputs are the values
                of that column instead of dictionaries. Default: all columns but the targets.
            target: Name of the target column, or several names. The elements are then pairs of
                inputs and targets.

        Raises:
            ValueError: If the table has no column with a given name.

        Example:
            >>> data = Dataset.from_table({"a": [1, 2], "b": [3, 4]}, target="b")
            >>> list(data.batch(2))
            [({'a': array([1, 2])}, array([3, 4]))]
        """
        adapters.refuse_mistakes(table, "table")
        if adapters.is_stream(table):
            rows = cls(stages.Elements(lambda: adapters.rows_of_stream(table)))
            return rows._then(stages.Convert, lambda row: chosen(row, columns, target, "table"))
        if not isinstance(table, Mapping) and not adapters.is_table(table):
            raise TypeError(
                "Dataset.from_table: `table` must be a table, for example a pandas data frame or a"
                f" dictionary of arrays, received {errors.describe(table)}. For arrays, use"
                " `from_tensor_slices`."
            )
        found = dict(table) if isinstance(table, Mapping) else dict(adapters.columns_of(table))
        return cls.from_tensor_slices(chosen(found, columns, target, "table"))

    @classmethod
    def from_parquet(
        cls, paths: FilePath | Sequence[FilePath], columns: Sequence[str] | str | None = None,
        target: Sequence[str] | str | None = None, batch_size: int | None = None,
    ) -> Self:  # fmt: skip
        """Make a data set of the rows of Parquet files, reading row groups only when needed.

        `shuffle` shuffles the order of the row groups, then the rows within windows of several row
        groups. Needs PyArrow.

        Args:
            paths: A file, a folder, or several files.
            columns, target: As in `from_table`. Other columns are not read.
            batch_size: Number of rows per batch. Default: the elements are rows.

        Raises:
            ValueError: If a file cannot be read, lacks a column, or has other columns than the
                first file.
        """
        found = parquet_columns(
            paths, lambda names: chosen({n: n for n in names}, columns, target, "Parquet files")
        )
        data = cls(stages.Slices(found))
        return data if batch_size is None else data.batch(batch_size)

    @classmethod
    def from_tar(
        cls, paths: FilePath | Sequence[FilePath], columns: Sequence[str] | str | None = None,
        target: Sequence[str] | str | None = None, *, ignore_errors: bool = False,
    ) -> Self:  # fmt: skip
        """Make a data set of the samples in tar files of the WebDataset format.

        Consecutive files `key.extension` with the same key form a sample. A sample is a dictionary
        from extensions to contents, with the key as `"__key__"`. Text, numbers (.cls), .json, .npy,
        .npz and images are decoded; other files stay bytes. Pickles are refused, because loading
        them can run arbitrary code.

        Args:
            paths: A tar file, a folder of tar files, or several files. They may be .tar.gz files.
            columns: Extensions of the inputs. If it is a single extension, the inputs are its
                contents instead of dictionaries. Default: all but the target.
            target: Extension of the targets. The elements are then pairs of inputs and targets.
            ignore_errors: Whether samples that cannot be decoded, and the rest of a damaged tar
                file, are left out, with a warning; see `skipped_files`.

        Raises:
            ValueError: When the elements are read, if a file is damaged or a sample lacks an
                extension.
        """
        shards = files_of(paths, "from_tar", (".tar", ".tar.gz", ".tgz"))
        wanted = None if columns is None else {*names_of(columns), *names_of(target)}
        skipped = Skipped("Dataset.from_tar") if ignore_errors else None
        samples = cls(stages.Elements(lambda: samples_of(shards, wanted, skipped), skipped))
        return samples._then(
            stages.Convert,
            lambda sample: chosen(sample, columns, target, f"sample {sample['__key__']!r}"),
        )

    @classmethod
    def range(cls, *args: int, name: str | None = None, output_type: Any = "int64") -> Self:
        """Make a data set of the numbers of `range(*args)`."""
        return cls(stages.Slices(np.arange(*args, dtype=output_type)))

    @classmethod
    def zip(cls, *datasets: Any, name: str | None = None) -> Self:
        """Combine the elements of several data sets into tuples or dictionaries.

        The result is as long as the shortest data set.

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
        """Iterate over the elements. If the data are shuffled, each pass has a new order."""
        if self._seed is None:
            self._seed = int(np.random.randint(2**31))
        number, self._passes = self._passes, self._passes + 1
        return self.elements(self._seed, number)

    def elements(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Iterate over the elements of a pass, from element `start` on.

        Args:
            seed: Seed for `shuffle` stages that were made without a seed.
            epoch: Number of the pass.
            start: Number of the first element.

        Example:
            >>> data = Dataset.range(6).shuffle(6)
            >>> whole = list(data.elements(seed=1, epoch=2))
            >>> whole[4:] == list(data.elements(seed=1, epoch=2, start=4))
            True
        """
        return self.stage.run(Turn(seed, epoch), start)

    @property
    def skipped_files(self) -> dict[str, str]:
        """Why files were left out so far, by name, where they are read with `ignore_errors`."""
        return stages.skipped_files(self.stage)

    def row_batches(self) -> stages.Batch | None:
        """Return the `Batch` stage if it is the last stage besides `prefetch`, else `None`."""
        stage = self.stage
        while isinstance(stage, stages.Prefetch):
            stage = stage.before
        return stage if isinstance(stage, stages.Batch) else None

    def __len__(self) -> int:
        """Return the number of elements.

        Raises:
            TypeError: If the number is infinite or unknown.
        """
        size = self.stage.size
        if size is None or math.isinf(size):
            kind = "unknown" if size is None else "infinite"
            raise TypeError(
                f"The length of the Dataset is {kind}. Use `cardinality()`, which returns -1 for"
                " infinite and -2 for unknown."
            )
        return int(size)

    def cardinality(self) -> int:
        """Return the number of elements, or -1 if it is infinite, or -2 if it is unknown."""
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
        """Convert the arrays in the elements to NumPy arrays, for example those `map` returned."""
        return self._then(stages.Convert, lambda element: map_leaves(np.asarray, element))

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Iterate over the elements as NumPy arrays."""
        return iter(self.as_numpy())

    def get_single_element(self) -> Any:
        """Return the only element.

        Raises:
            ValueError: If there are no elements or several.
        """
        found = list(self.take(2))
        if len(found) != 1:
            raise ValueError(
                "Dataset.get_single_element: expected exactly one element, received"
                f" {'several' if found else 'none'}."
            )
        return found[0]

    def reduce(self, initial_state: Any, reduce_func: Callable[[Any, Any], Any]) -> Any:
        """Fold the elements into one value with a function of the state and an element.

        Example:
            >>> int(Dataset.range(4).reduce(0, lambda state, n: state + n))
            6
        """
        state = initial_state
        for element in self:
            state = reduce_func(state, element)
        return state

    def apply(self, transformation_func: Callable[[Dataset], Any]) -> Any:
        """Apply a function to this data set."""
        return transformation_func(self)

    # --- stages ---------------------------------------------------------------------------------

    def _then(self, stage: type[Stage], *args: Any) -> Self:
        return type(self)(stage(self.stage, *args))  # type: ignore[call-arg]  # of the subclass

    def map(
        self, map_func: Callable[..., Any], num_parallel_calls: int | None = None,
        deterministic: bool | None = None, name: str | None = None, **_: Any,
    ) -> Self:  # fmt: skip
        """Apply a function to each element. The parts of a tuple are passed as arguments.

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
        """Keep the elements for which `predicate` returns true.

        Example:
            >>> list(Dataset.range(4).filter(lambda n: n % 2 == 0))
            [np.int64(0), np.int64(2)]
        """
        return self._then(stages.Filter, predicate)

    def batch(
        self, batch_size: int, drop_remainder: bool = False, num_parallel_calls: int | None = None,
        deterministic: bool | None = None, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Combine elements into batches, stacked along a new first axis.

        Args:
            batch_size: Number of elements per batch.
            drop_remainder: Whether to drop a smaller last batch.
            num_parallel_calls, deterministic, name: Ignored.

        Raises:
            ValueError: When a batch is read whose elements have different shapes.
        """
        size = _count("batch", "batch_size", batch_size)
        return self._then(stages.Batch, size, bool(drop_remainder))

    def padded_batch(
        self, batch_size: int, padded_shapes: Any = None, padding_values: Any = None,
        drop_remainder: bool = False, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Combine elements into batches, padding each element at its ends to a common shape.

        Args:
            batch_size: Number of elements per batch.
            padded_shapes: Shapes in the structure of an element. `None` in a shape means the
                largest size in the batch. Default: the largest size on every axis.
            padding_values: Padding values in the structure of an element, or one value for all
                arrays. Default: 0, or the empty string for text.
            drop_remainder: Whether to drop a smaller last batch.
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
        """Split each element into its rows."""
        return self._then(stages.Unbatch)

    def rebatch(
        self, batch_size: int, drop_remainder: bool = False, name: str | None = None
    ) -> Self:
        """Regroup the rows of batches into batches of another size.

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
        """Put the elements in random order.

        Rows of arrays are shuffled completely. Other elements are drawn from a buffer in memory.

        Args:
            buffer_size: Number of elements in the buffer. Required unless the elements are rows of
                arrays.
            seed: Seed of the order. Default: the seed of the pass.
            reshuffle_each_iteration: Whether each pass has a different order.
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
        """Keep the elements of the first complete pass in memory and return them afterwards.

        Raises:
            ValueError: If a file name is given.
        """
        if filename:
            raise ValueError(
                "Dataset.cache: elements can be cached only in memory, received the file name"
                f" {filename!r}. Call `cache()` without a file name, or store arrays with"
                " `np.save` and open them with `np.load(..., mmap_mode='r')`."
            )
        return self._then(stages.Cache)

    def repeat(self, count: int | None = None, name: str | None = None) -> Self:
        """Repeat the elements `count` times, or endlessly if `count` is `None` or -1."""
        if count is None or count == -1:
            return self._then(stages.Repeat, None)
        return self._then(stages.Repeat, _count("repeat", "count", count, least=0))

    def take(self, count: int, name: str | None = None) -> Self:
        """Keep the first `count` elements, or all if `count` is -1."""
        if count == -1:
            return self
        return self._then(stages.Slice, 0, _count("take", "count", count, least=0))

    def skip(self, count: int, name: str | None = None) -> Self:
        """Skip the first `count` elements, or all if `count` is -1."""
        if count == -1:
            return self.take(0)
        return self._then(stages.Slice, _count("skip", "count", count, least=0))

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Self:
        """Keep every `num_shards`-th element, starting at element `index`."""
        count = _count("shard", "num_shards", num_shards)
        first = _count("shard", "index", index, least=0)
        if first >= count:
            raise ValueError(
                f"Dataset.shard: `index` must be less than `num_shards`={count}, received {first}."
            )
        return self._then(stages.Slice, first, None, count)

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Self:
        """Append the elements of another data set."""
        return self._then(stages.Concatenate, dataset.stage)

    def enumerate(self, start: int = 0, name: str | None = None) -> Self:
        """Pair each element with its number, counting from `start`."""
        return self._then(stages.Enumerate, start)

    def prefetch(self, buffer_size: int = AUTOTUNE, name: str | None = None) -> Self:
        """Read elements ahead in a thread.

        Args:
            buffer_size: Maximum number of elements that are read ahead, or `AUTOTUNE`. With 0,
                nothing is read ahead.
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
        """Map each element to a data set and take a few elements of each data set in turn.

        Args:
            map_func: Function from an element to a data set.
            cycle_length: Maximum number of data sets that are read at the same time. Default: 4.
            block_length: Number of consecutive elements to take from one data set.
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
        """Map each element to a data set and chain the data sets."""
        return self._then(nested.Interleave, _opener("flat_map", map_func), 1, 1)

    def window(
        self, size: int, shift: int | None = None, stride: int = 1, drop_remainder: bool = False,
        name: str | None = None,
    ) -> Self:  # fmt: skip
        """Group consecutive elements into windows. Each window is a data set.

        If the elements are tuples or dictionaries, a window is a tuple or dictionary of data sets.

        Args:
            size: Number of elements per window.
            shift: Number of elements between the starts of two windows. Default: `size`.
            stride: Distance between the elements of a window.
            drop_remainder: Whether to drop smaller windows at the end.
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
