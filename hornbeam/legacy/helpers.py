"""Helpers of `keras.utils` and `keras.engine.training` of Keras 1 and 2."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from hornbeam import initializers
from hornbeam.core.variable import Variable
from hornbeam.models import Model
from hornbeam.optional import h5py_library
from hornbeam.typing import ArrayLike, DType, FilePath, Identifier

__all__ = [
    "DatasetCreator", "HDF5Matrix", "StepsPerExecutionTuner", "TimedThread", "make_batches",
    "multi_gpu_model", "slice_X", "slice_arrays", "to_ordinal", "warmstart_embedding_matrix",
]  # fmt: skip


def slice_arrays(arrays: Any, start: Any = None, stop: int | None = None) -> Any:
    """Return rows of an array, or of each array in a list.

    Args:
        arrays: An array, or a list of arrays and `None`s.
        start: First row, or a list of row numbers.
        stop: End of the rows.

    Example:
        >>> slice_arrays([np.arange(4), None], 1, 3)
        [array([1, 2]), None]
    """

    def rows(x: Any) -> Any:
        if x is None:
            return None
        if hasattr(start, "__len__"):
            numbers = start.tolist() if hasattr(start, "tolist") else list(start)
            return x[numbers]
        return x[start:stop]

    if isinstance(arrays, (list, tuple)):
        if hasattr(start, "__len__") and stop is not None:
            raise ValueError("slice_arrays: with row numbers as `start`, `stop` must be None.")
        return [rows(x) for x in arrays]
    return rows(arrays) if arrays is not None else [None]


slice_X = slice_arrays


def make_batches(size: int, batch_size: int) -> list[tuple[int, int]]:
    """Return first and last row of each batch.

    Example:
        >>> make_batches(5, 2)
        [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(size, start + batch_size)) for start in range(0, size, batch_size)]


class HDF5Matrix:
    """Rows of a data set in an HDF5 file, read when they are used.

    Args:
        datapath: Path of the file.
        dataset: Name of the data set in it.
        start: First row.
        end: End of the rows. Default: all.
        normalizer: Function applied to the rows that are read.

    Raises:
        ValueError: If the rows are not in the data set.
    """

    def __init__(
        self, datapath: FilePath, dataset: str, start: int = 0, end: int | None = None,
        normalizer: Callable[[Any], Any] | None = None,
    ):  # fmt: skip
        self._file = h5py_library().File(datapath, "r")
        self.data = self._file[dataset]
        self.start, self.end = start, self.data.shape[0] if end is None else end
        self.normalizer = normalizer
        if not 0 <= self.start <= self.end <= self.data.shape[0]:
            raise ValueError(
                f"HDF5Matrix: rows {self.start} to {self.end} are not in the data set of"
                f" {self.data.shape[0]} rows."
            )

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            first, stop, step = key.indices(len(self))
            rows = self.data[self.start + first : self.start + stop : step]
        elif isinstance(key, (int, np.integer)):
            if not -len(self) <= key < len(self):
                raise IndexError(f"HDF5Matrix: row {key} is not among {len(self)} rows.")
            rows = self.data[self.start + int(key) % len(self)]
        else:
            numbers = np.asarray(key)
            if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
                raise IndexError(f"HDF5Matrix: a row number is not among {len(self)} rows.")
            kept, places = np.unique(numbers, return_inverse=True)  # h5py takes ascending numbers
            rows = self.data[self.start + kept][places]
        return rows if self.normalizer is None else self.normalizer(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape with the number of rows."""
        return (len(self), *np.shape(self[0:1])[1:])

    @property
    def dtype(self) -> Any:
        """Dtype of the rows."""
        return np.asarray(self[0:1]).dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


def multi_gpu_model(
    model: Model, gpus: Any = None, cpu_merge: bool = True, cpu_relocation: bool = False
) -> Model:
    """Return the model, with the way to train it on several devices as a warning.

    Args:
        model: The model.
        gpus: Number of devices, or their numbers.
        cpu_merge, cpu_relocation: Without effect.
    """
    count = gpus if isinstance(gpus, int) else len(gpus or [])
    if count > 1:
        warnings.warn(
            "multi_gpu_model: the model stays on one device. Call"
            " `keras.distribution.set_distribution(keras.distribution.DataParallel())` before you"
            " build it, to train on all devices.",
            stacklevel=2,
        )
    return model


def to_ordinal(y: ArrayLike, num_classes: int | None = None, dtype: DType = "float32") -> Any:
    """Return class numbers as rows of ones and zeros: class k has k ones.

    Args:
        y: Integers of any shape. A last axis of size 1 is dropped.
        num_classes: Number of classes. Default: the largest number plus one.
        dtype: Dtype of the rows.

    Returns:
        An array of shape `y.shape + (num_classes - 1,)`.

    Example:
        >>> to_ordinal([0, 2]).tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    numbers = np.asarray(y, "int64")
    if numbers.ndim > 1 and numbers.shape[-1] == 1:
        numbers = numbers[..., 0]
    count = int(numbers.max()) + 1 if num_classes is None else num_classes
    return (np.arange(count - 1) < numbers[..., None]).astype(str(dtype))


def warmstart_embedding_matrix(
    base_vocabulary: Any, new_vocabulary: Any, base_embeddings: Any,
    new_embeddings_initializer: Identifier = "uniform",
) -> Variable:  # fmt: skip
    """Return embeddings for a new vocabulary, with the rows of words that are in the old one.

    Args:
        base_vocabulary, new_vocabulary: Lists of words, or paths of files with a word a line.
        base_embeddings: The old embeddings, a row per word.
        new_embeddings_initializer: Initializer of the other rows.

    Returns:
        A variable (number of new words, width).

    Example:
        >>> matrix = warmstart_embedding_matrix(["a", "b"], ["b", "c"], [[1.0], [2.0]], "zeros")
        >>> matrix.numpy().tolist()
        [[2.0], [0.0]]
    """

    def words(vocabulary: Any) -> list[Any]:
        if isinstance(vocabulary, str):
            with open(vocabulary, encoding="utf-8") as file:
                return file.read().splitlines()
        return list(np.asarray(vocabulary).tolist())

    old = np.asarray(base_embeddings)
    rows = {word: old[i] for i, word in enumerate(words(base_vocabulary))}
    new = words(new_vocabulary)
    start = initializers.get(new_embeddings_initializer)((len(new), old.shape[1]), dtype="float32")
    matrix = np.array(start)
    for i, word in enumerate(new):
        if word in rows:
            matrix[i] = rows[word]
    return Variable(matrix)


class TimedThread:
    """Calls `on_interval` every so many seconds in a thread; a subclass implements it.

    Args:
        interval: Seconds between two calls.
        **kwargs: Arguments of `threading.Thread`.
    """

    def __init__(self, interval: float, **kwargs: Any):
        self.interval = interval
        self.daemon = kwargs.pop("daemon", False)
        self.thread_kwargs = kwargs
        self.thread: threading.Thread | None = None
        self.thread_stop_event: threading.Event | None = None

    def _call_on_interval(self) -> None:
        assert self.thread_stop_event is not None
        while not self.thread_stop_event.is_set():
            self.on_interval()
            self.thread_stop_event.wait(self.interval)

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self.is_alive():
            return
        self.thread_stop_event = threading.Event()
        self.thread = threading.Thread(
            target=self._call_on_interval, daemon=self.daemon, **self.thread_kwargs
        )
        self.thread.start()

    def stop(self) -> None:
        """Let the thread end after the current call."""
        if self.thread_stop_event is not None:
            self.thread_stop_event.set()

    def join(self) -> None:
        """Wait until the thread has ended."""
        if self.thread is not None:
            self.thread.join()

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self.thread is not None and self.thread.is_alive()

    def on_interval(self) -> None:
        """Do what is done in each interval."""
        raise NotImplementedError(f"{type(self).__name__}: implement `on_interval`.")

    def __enter__(self) -> TimedThread:
        self.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()


class StepsPerExecutionTuner(TimedThread):
    """Measures the steps per second of a training; `fit` chooses the steps per dispatch itself.

    Args:
        optimizer: The optimizer, whose `iterations` count the steps.
        spe_variable: A variable with the steps per dispatch; it is left as it is.
        interval: Seconds between two measurements.
        change_spe_interval, change_threshold: Without effect.
    """

    def __init__(
        self, optimizer: Any, spe_variable: Any, interval: float = 5, change_spe_interval: int = 10,
        change_threshold: float = 0.1,
    ):  # fmt: skip
        super().__init__(interval, daemon=True)
        self.optimizer, self.spe_variable = optimizer, spe_variable
        self.change_spe_interval, self.change_threshold = change_spe_interval, change_threshold
        self.steps_per_second = 0.0
        self._steps = int(np.asarray(optimizer.iterations))

    def on_interval(self) -> None:
        done = int(np.asarray(self.optimizer.iterations))
        self.steps_per_second, self._steps = (done - self._steps) / self.interval, done

    @property
    def steps_per_execution(self) -> int:
        """Steps per dispatch."""
        return int(np.asarray(self.spe_variable))


class DatasetCreator:
    """A function that makes a data set. `fit` takes what the call returns.

    Args:
        dataset_fn: Function of an input context that returns a data set.
        input_options: Without effect.

    Raises:
        TypeError: If `dataset_fn` is no function.
    """

    def __init__(self, dataset_fn: Callable[..., Any], input_options: Any = None):
        if not callable(dataset_fn):
            raise TypeError(
                f"DatasetCreator: `dataset_fn` must be a function, received {dataset_fn!r}."
            )
        self.dataset_fn, self.input_options = dataset_fn, input_options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.dataset_fn(*args, **kwargs)
