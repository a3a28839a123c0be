"""`tf.data.Dataset` over Hornbeam's pipeline."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from hornbeam import data
from hornbeam.data import nested, stages
from hornbeam.data.elements import leaves, map_leaves, rows_of
from hornbeam.data.stages import Stage, Turn
from hornbeam.tensorflow.dataset_parts import (
    Endless,
    Numbered,
    Options,
    as_numpy,
    filling,
    fitting,
    number,
    ragged_row,
    rows_to_slice,
    signature_of,
)
from hornbeam.tensorflow.grouping import (
    Buckets,
    Chosen,
    groups,
    ragged_rows,
    scanned,
    taken_while,
    unique_ones,
)
from hornbeam.tensorflow.host import as_host, dtype_name, host_array
from hornbeam.tensorflow.pipeline import Rewritten, eager, on_tensors, plain
from hornbeam.tensorflow.specs import Typed, spec_of
from hornbeam.tensorflow.string_tensor import as_strings, text_of

__all__ = ["Dataset", "DatasetIterator", "Options"]

_MOST_NUMBERS = 2**22  # of `range`; longer ones are not stored


class DatasetIterator:
    """The elements of a pass, one after another."""

    def __init__(self, elements: Iterator[Any], dataset: Dataset):
        self._elements, self._dataset = elements, dataset

    def __iter__(self) -> DatasetIterator:
        return self

    def __next__(self) -> Any:
        return eager(next(self._elements))

    def get_next(self) -> Any:
        """Return the next element.

        Raises:
            IndexError: If there is none.
        """
        try:
            return next(self)
        except StopIteration:
            raise IndexError("Iterator.get_next: the data set has no more elements.") from None

    next = __next__

    @property
    def element_spec(self) -> Any:
        """The shapes and dtypes of an element."""
        return self._dataset.element_spec


class Dataset(data.Dataset):
    """A `hornbeam.data.Dataset` with the arguments of `tf.data.Dataset`.

    Functions such as that of `map` get tensors on the host and may return anything that TensorFlow
    takes for tensors. Iterating gives tensors; `fit` and `adapt` read the arrays themselves.

    Example:
        >>> data = Dataset.range(3).map(lambda n: n * 2).batch(2)
        >>> [x.numpy().tolist() for x in data]
        [[0, 2], [4]]
        >>> data.element_spec
        TensorSpec(shape=(None,), dtype=tf.int64, name=None)
    """

    _options: Options | None = None

    def _then(self, stage: type[Stage], *args: Any) -> Self:
        return Dataset(stage(self.stage, *args))  # type: ignore[call-arg,return-value]

    def _rewritten(self, function: Callable[..., Iterator[Any]], size: stages.Size = None) -> Self:
        return self._then(Rewritten, function, size)

    @classmethod
    def of(cls, dataset: data.Dataset) -> Dataset:
        """Return a data set of Hornbeam as one of TensorFlow's kind."""
        made = Dataset(dataset.stage)
        made.class_names, made.file_paths = dataset.class_names, dataset.file_paths
        return made

    # --- sources --------------------------------------------------------------------------------

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: str | None = None) -> Dataset:  # type: ignore[override]
        """Return the rows of tensors, or of a tuple or dictionary of tensors."""
        if hasattr(tensors, "columns") and hasattr(tensors, "to_numpy"):
            tensors = tensors.to_numpy()
        arrays = map_leaves(rows_to_slice, tensors)
        rows_of(arrays, "from_tensor_slices")
        if all(isinstance(array, np.ndarray) for array in leaves(arrays)):
            return Dataset(stages.Slices(arrays))
        rows = stages.each_row(arrays)
        return Dataset(stages.Elements([map_leaves(ragged_row, row, arrays) for row in rows]))

    @classmethod
    def from_tensors(cls, tensors: Any, name: str | None = None) -> Dataset:  # type: ignore[override]
        """Return a data set of one element."""
        return Dataset(stages.Elements([plain(tensors)]))

    @classmethod
    def from_generator(  # type: ignore[override]
        cls, generator: Callable[..., Iterable[Any]], output_types: Any = None,
        output_shapes: Any = None, args: tuple[Any, ...] | None = None,
        output_signature: Any = None, name: str | None = None,
    ) -> Dataset:  # fmt: skip
        """Return the elements that a function yields; each pass calls it again.

        Args:
            generator: Function that returns an iterable.
            output_types: Dtypes in the structure of an element.
            output_shapes: Shapes in the structure of an element. Default: unknown.
            args: Arguments of the function, which become arrays.
            output_signature: `TensorSpec`s in the structure of an element, in place of both.
            name: Ignored.

        Raises:
            TypeError: If `generator` cannot be called, or nothing describes the elements.
            ValueError: When the elements are read, if one does not fit its description.
        """
        if not callable(generator):
            raise TypeError(
                "Dataset.from_generator: `generator` must be a function that returns an iterable,"
                f" received {generator!r:.80}. Pass the function that makes it."
            )
        if output_signature is None and output_types is None:
            raise TypeError(
                "Dataset.from_generator: the dtypes are not known. Pass `output_signature`, such as"
                " `tf.TensorSpec(shape=(None,), dtype=tf.float32)`."
            )
        if output_signature is None:
            output_signature = signature_of(output_types, output_shapes)
        arguments = tuple(number(a) if np.ndim(a) == 0 else a for a in map(plain, args or ()))
        elements = stages.Elements(lambda: generator(*arguments))
        return Dataset(Typed(elements, fitting(output_signature), output_signature))

    @classmethod
    def range(cls, *args: Any, name: str | None = None, output_type: Any = "int64") -> Dataset:  # type: ignore[override]
        """Return the numbers of `range(*args)`."""
        numbers, dtype = range(*(int(number(a)) for a in args)), dtype_name(output_type)
        if len(numbers) <= _MOST_NUMBERS:
            return Dataset(stages.Slices(np.array(numbers, dtype)))
        return Dataset(stages.Convert(stages.Elements(numbers), np.dtype(dtype).type))  # type: ignore[arg-type]

    @classmethod
    def counter(
        cls, start: Any = 0, step: Any = 1, dtype: Any = "int64", name: str | None = None
    ) -> Dataset:
        """Return numbers without end."""
        number = np.dtype(dtype_name(dtype)).type
        return Dataset(Endless(lambda: map(number, itertools.count(start, step))))

    @classmethod
    def random(
        cls, seed: int | None = None, rerandomize_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Dataset:  # fmt: skip
        """Return random integers below 2**32 without end."""
        if seed is None:
            seed = int(np.random.randint(2**31))
        passes = itertools.count()

        def draw() -> Iterator[np.int64]:
            number = next(passes) if rerandomize_each_iteration else 0
            generator = np.random.default_rng([int(seed), number])
            while True:
                yield from generator.integers(0, 2**32, 256, "int64")

        return Dataset(Endless(draw))

    @classmethod
    def list_files(
        cls, file_pattern: Any, shuffle: Any = None, seed: int | None = None,
        name: str | None = None,
    ) -> Dataset:  # fmt: skip
        """Return the paths of the files that match a pattern, or several patterns.

        Args:
            file_pattern: Such as `"images/*/*.png"`; `*` does not match a slash.
            shuffle: Whether the order is random, another one in each pass. Default: true.
            seed: Seed of the order.
            name: Ignored.

        Raises:
            ValueError: If no file matches.
        """
        patterns = [text_of(p) for p in as_strings(file_pattern).array.reshape(-1).tolist()]
        found = sorted({p for pattern in patterns for p in glob.glob(pattern, include_hidden=True)})
        if not found:
            raise ValueError(f"Dataset.list_files: no file matches {' or '.join(patterns)}.")
        files = cls.from_tensor_slices(found)
        return files if shuffle is not None and not shuffle else files.shuffle(len(found), seed)

    @classmethod
    def zip(cls, *args: Any, datasets: Any = None, name: str | None = None) -> Dataset:  # type: ignore[override]
        """Return tuples (or dictionaries) of the elements of several data sets."""
        found = super().zip(*(args if datasets is None else (datasets,)))
        return Dataset(found.stage)

    @staticmethod
    def choose_from_datasets(
        datasets: Sequence[data.Dataset], choice_dataset: data.Dataset,
        stop_on_empty_dataset: bool = True,
    ) -> Dataset:  # fmt: skip
        """Return elements of several data sets, in the order of the numbers of another.

        Example:
            >>> parts = [Dataset.range(3), Dataset.range(10, 13)]
            >>> chosen = Dataset.choose_from_datasets(parts, Dataset.range(2).repeat(2))
            >>> [int(n) for n in chosen]
            [0, 10, 1, 11]
        """
        parts = [part.stage for part in datasets]

        def numbers(turn: Turn) -> Iterator[int]:
            return map(int, choice_dataset.stage.run(turn.at(len(parts))))

        return Dataset(Chosen(parts, numbers, stop_on_empty_dataset))

    @staticmethod
    def sample_from_datasets(
        datasets: Sequence[data.Dataset], weights: Any = None, seed: int | None = None,
        stop_on_empty_dataset: bool = False, rerandomize_each_iteration: bool | None = None,
    ) -> Dataset:  # fmt: skip
        """Return elements of several data sets, each time of one that is drawn.

        Args:
            datasets: The data sets.
            weights: Probability of each. Default: all equal.
            seed: Seed of the draws.
            stop_on_empty_dataset: Whether the end of one data set is the end.
            rerandomize_each_iteration: Whether each pass draws others. Default: true.
        """
        parts = [part.stage for part in datasets]
        chances = np.ones(len(parts)) if weights is None else host_array(weights).astype("float64")
        if chances.shape != (len(parts),):
            raise ValueError(
                f"Dataset.sample_from_datasets: `weights` must hold {len(parts)} numbers, one for"
                f" each data set, received shape {chances.shape}."
            )

        def numbers(turn: Turn) -> Iterator[int]:
            turn = turn.first() if rerandomize_each_iteration is False else turn
            generator = turn.generator(seed, len(parts))
            while True:
                yield from generator.choice(len(parts), 64, p=chances / chances.sum()).tolist()

        return Dataset(Chosen(parts, numbers, stop_on_empty_dataset))

    # --- reading --------------------------------------------------------------------------------

    def __iter__(self) -> Any:
        """Iterate over the elements as tensors."""
        return DatasetIterator(super().__iter__(), self)

    @property
    def element_spec(self) -> Any:
        """The shapes and dtypes of an element: a `TensorSpec`, or a structure of them."""
        return spec_of(self.stage)

    def cardinality(self) -> Any:
        """Return the number of elements, -1 if it is infinite, or -2 if it is unknown."""
        return as_host(super().cardinality(), "int64")

    def __repr__(self) -> str:
        return f"<_Dataset element_spec={self.element_spec}>"

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Return an iterator over the elements as arrays and numbers of NumPy."""
        return (map_leaves(as_numpy, element) for element in super().__iter__())

    def get_single_element(self, name: str | None = None) -> Any:  # type: ignore[override]
        """Return the only element.

        Raises:
            ValueError: If there are none or several.
        """
        return super().get_single_element()

    def reduce(  # type: ignore[override]
        self, initial_state: Any, reduce_func: Callable[[Any, Any], Any], name: str | None = None
    ) -> Any:
        """Return the last state of a function of a state and each element."""
        function, state = on_tensors(reduce_func), plain(initial_state)
        for element in super().__iter__():
            state = function(state, element)
        return eager(state)

    def options(self) -> Options:
        """Return the settings."""
        return self._options or Options()

    def with_options(self, options: Options, name: str | None = None) -> Dataset:
        """Return the same elements, with settings that are kept."""
        made = Dataset.of(self)
        made._options = options
        return made

    # --- stages ---------------------------------------------------------------------------------

    def map(  # type: ignore[override]
        self, map_func: Callable[..., Any], num_parallel_calls: Any = None,
        deterministic: bool | None = None, synchronous: bool | None = None,
        use_unbounded_threadpool: bool = False, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return a function of each element; of a tuple, its parts are the arguments.

        Args:
            map_func: Function of tensors on the host.
            num_parallel_calls: Number of threads, or `AUTOTUNE`. Default: no threads.
            deterministic: Ignored; the order is always kept.
            synchronous, use_unbounded_threadpool, name: Ignored.
        """
        return super().map(on_tensors(map_func), number(num_parallel_calls))

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Self:
        """Return the elements for which a function is true."""
        return super().filter(on_tensors(predicate))

    def flat_map(self, map_func: Callable[..., Any], name: str | None = None) -> Self:
        """Return the elements of the data sets that a function makes, one after another."""
        return super().flat_map(on_tensors(map_func))

    def interleave(  # type: ignore[override]
        self, map_func: Callable[..., Any], cycle_length: Any = None, block_length: Any = None,
        num_parallel_calls: Any = None, deterministic: bool | None = None, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return the elements of the data sets that a function makes, a few of each in turn.

        Args:
            map_func: Function from an element to a data set.
            cycle_length: The most data sets that are read at the same time. Default: 10.
            block_length: Number of elements of one data set that follow each other. Default: 1.
            num_parallel_calls, deterministic, name: Ignored.
        """
        cycle = 10 if number(cycle_length) in (None, data.AUTOTUNE) else number(cycle_length)
        return super().interleave(on_tensors(map_func), cycle, number(block_length) or 1)

    def batch(  # type: ignore[override]
        self, batch_size: Any, drop_remainder: Any = False, num_parallel_calls: Any = None,
        deterministic: bool | None = None, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return batches of elements, stacked on a new first axis."""
        return super().batch(number(batch_size), bool(drop_remainder))

    def ragged_batch(
        self, batch_size: Any, drop_remainder: Any = False, row_splits_dtype: Any = "int64",
        name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return batches of elements; those of different shapes become ragged tensors."""
        size = int(number(batch_size))
        windows = self._then(nested.Window, size, size, 1, bool(drop_remainder))
        return windows._then(stages.Convert, ragged_rows)

    def padded_batch(  # type: ignore[override]
        self, batch_size: Any, padded_shapes: Any = None, padding_values: Any = None,
        drop_remainder: Any = False, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return batches of elements, which are padded at their ends to one shape."""
        if padding_values is not None:
            padding_values = map_leaves(filling, padding_values)
        return super().padded_batch(
            number(batch_size), padded_shapes, padding_values, bool(drop_remainder)
        )

    def rebatch(
        self, batch_size: Any, drop_remainder: Any = False, name: str | None = None
    ) -> Self:
        """Return the same rows in batches of another size."""
        return super().rebatch(number(batch_size), bool(drop_remainder))

    def shuffle(  # type: ignore[override]
        self, buffer_size: Any, seed: Any = None, reshuffle_each_iteration: bool | None = True,
        name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return the elements in random order.

        Rows of arrays are shuffled completely, other elements within a window of `buffer_size`.
        """
        seed = None if seed is None else int(number(seed))
        return super().shuffle(int(number(buffer_size)), seed, reshuffle_each_iteration)

    def repeat(self, count: Any = None, name: str | None = None) -> Self:
        """Return the elements several times; without end if `count` is `None` or -1."""
        return super().repeat(number(count))

    def take(self, count: Any, name: str | None = None) -> Self:
        """Return the first elements; all if `count` is -1."""
        return super().take(number(count))

    def skip(self, count: Any, name: str | None = None) -> Self:
        """Return the elements after the first; none if `count` is -1."""
        return super().skip(number(count))

    def prefetch(self, buffer_size: Any, name: str | None = None) -> Self:  # type: ignore[override]
        """Return the same elements, read ahead by a thread."""
        return super().prefetch(number(buffer_size))

    def enumerate(self, start: Any = 0, name: str | None = None) -> Self:
        """Return pairs of a number and an element."""
        return self._then(Numbered, int(number(start)))

    def window(  # type: ignore[override]
        self, size: Any, shift: Any = None, stride: Any = 1, drop_remainder: Any = False,
        name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return windows of consecutive elements, each a data set."""
        windows = super().window(number(size), number(shift), number(stride), bool(drop_remainder))
        return windows._then(stages.Convert, lambda parts: map_leaves(_own, parts))

    def apply(self, transformation_func: Callable[[Any], Any]) -> Any:
        """Return a function of this data set.

        Raises:
            TypeError: If the function returns no data set.
        """
        found = transformation_func(self)
        if not isinstance(found, data.Dataset):
            raise TypeError(
                f"Dataset.apply: the function must return a data set, received {found!r:.80}."
            )
        return found

    def take_while(self, predicate: Callable[..., Any], name: str | None = None) -> Self:
        """Return the elements before the first for which a function is false."""
        return self._rewritten(taken_while(on_tensors(predicate)))

    def unique(self, name: str | None = None) -> Self:
        """Return the elements that differ from all before."""
        return self._rewritten(unique_ones)

    def scan(
        self, initial_state: Any, scan_func: Callable[..., Any], name: str | None = None
    ) -> Self:
        """Return what a function of a state and an element makes, which also returns a new state.

        Example:
            >>> sums = Dataset.range(1, 4).scan(np.int64(0), lambda s, n: (s + n, s + n))
            >>> [int(n) for n in sums]
            [1, 3, 6]
        """
        return self._rewritten(
            scanned(plain(initial_state), on_tensors(scan_func)), self.stage.size
        )

    def group_by_window(
        self, key_func: Callable[..., Any], reduce_func: Callable[..., Any],
        window_size: Any = None, window_size_func: Callable[..., Any] | None = None,
        name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return what a function makes of windows of elements with the same key.

        Args:
            key_func: Function from an element to an integer.
            reduce_func: Function of a key and a data set, which returns a data set.
            window_size: Number of elements of a window.
            window_size_func: Function from a key to that number, in place of it.
            name: Ignored.
        """
        if (window_size is None) == (window_size_func is None):
            raise ValueError(
                "Dataset.group_by_window: pass one of `window_size` and `window_size_func`."
            )

        def size_of(key: Any) -> int:
            return int(number(window_size if window_size_func is None else window_size_func(key)))

        def reduce_(key: Any, elements: list[Any]) -> Stage:
            return reduce_func(key, Dataset(stages.Elements(elements))).stage

        return self._rewritten(groups(on_tensors(key_func), reduce_, size_of))

    def bucket_by_sequence_length(
        self, element_length_func: Callable[..., Any], bucket_boundaries: Sequence[int],
        bucket_batch_sizes: Sequence[int], padded_shapes: Any = None, padding_values: Any = None,
        pad_to_bucket_boundary: bool = False, no_padding: bool = False,
        drop_remainder: bool = False, name: str | None = None,
    ) -> Self:  # fmt: skip
        """Return padded batches of elements of similar lengths.

        Args:
            element_length_func: Function from an element to its length.
            bucket_boundaries: Lengths at which another bucket begins.
            bucket_batch_sizes: Number of elements of a batch, one more than boundaries.
            padded_shapes, padding_values: As in `padded_batch`.
            pad_to_bucket_boundary: Whether unknown sizes are filled up to the bucket's end.
            no_padding: Whether elements are stacked as they are.
            drop_remainder: Whether smaller batches at the end are left out.
            name: Ignored.
        """
        padding = None if no_padding else (padded_shapes, padding_values)
        buckets = Buckets(
            [int(b) for b in bucket_boundaries], [int(n) for n in bucket_batch_sizes], padding,
            pad_to_bucket_boundary, drop_remainder,
        )  # fmt: skip
        return self._rewritten(buckets.batches(on_tensors(element_length_func)))

    def ignore_errors(self, log_warning: bool = False, name: str | None = None) -> Self:
        """Refuse: an error ends a pass."""
        raise NotImplementedError(
            "Dataset.ignore_errors: an error in a function ends the pass. Catch it in the function,"
            " and drop the element by `filter`."
        )

    def snapshot(self, path: Any, compression: str = "AUTO", reader_func: Any = None,
                 shard_func: Any = None, name: str | None = None) -> Self:  # fmt: skip
        """Return the elements of the first pass, which are kept in memory; nothing is written."""
        return super().cache()


def _own(part: data.Dataset) -> Dataset:
    return Dataset(part.stage)
