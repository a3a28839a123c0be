"""`tf.data.experimental`: older names of what is a method of `Dataset`."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from hornbeam.data import AUTOTUNE
from hornbeam.data.dataset import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from hornbeam.tensorflow.data_files import (
    CsvDataset,
    make_batched_features_dataset,
    make_csv_dataset,
)
from hornbeam.tensorflow.dataset import Dataset, Options
from hornbeam.tensorflow.parsing import parse_example
from hornbeam.tensorflow.pipeline import Rewritten
from hornbeam.tensorflow.tfrecord import TFRecordWriter as RecordWriter

__all__ = [
    "AUTOTUNE", "AutoShardPolicy", "AutotuneOptions", "Counter", "CsvDataset",
    "DistributeOptions", "INFINITE_CARDINALITY", "OptimizationOptions", "RandomDataset",
    "TFRecordWriter", "ThreadingOptions", "UNKNOWN_CARDINALITY", "assert_cardinality",
    "bucket_by_sequence_length", "cardinality", "choose_from_datasets", "dense_to_ragged_batch",
    "enumerate_dataset", "from_list", "get_single_element", "get_structure", "group_by_window",
    "make_batched_features_dataset", "make_csv_dataset", "map_and_batch", "parallel_interleave",
    "parse_example_dataset", "prefetch_to_device", "sample_from_datasets", "scan",
    "shuffle_and_repeat", "snapshot", "take_while", "unbatch", "unique",
]  # fmt: skip

AutotuneOptions = DistributeOptions = OptimizationOptions = ThreadingOptions = Options
Counter = Dataset.counter
RandomDataset = Dataset.random
choose_from_datasets = Dataset.choose_from_datasets
sample_from_datasets = Dataset.sample_from_datasets
Transformation = Callable[[Any], Any]


class AutoShardPolicy(Enum):
    """How batches are shared by several machines; it has no effect."""

    OFF = -1
    AUTO = 0
    FILE = 1
    DATA = 2
    HINT = 3


class TFRecordWriter:
    """Writes the texts of a data set to a TFRecord file."""

    def __init__(self, filename: Any, compression_type: str | None = None):
        self._target = filename, compression_type

    def write(self, dataset: Dataset) -> None:
        """Write the elements."""
        with RecordWriter(*self._target) as writer:
            for record in dataset.as_numpy_iterator():
                writer.write(record)


def _method(name: str) -> Callable[..., Transformation]:
    """Return a function that returns a method of `Dataset` as a function of a data set."""

    def transformation(*args: Any, **kwargs: Any) -> Transformation:
        return lambda dataset: getattr(dataset, name)(*args, **kwargs)

    transformation.__name__ = transformation.__qualname__ = name
    transformation.__doc__ = f"Return `Dataset.{name}` as a function for `Dataset.apply`."
    return transformation


bucket_by_sequence_length = _method("bucket_by_sequence_length")
dense_to_ragged_batch = _method("ragged_batch")
enumerate_dataset = _method("enumerate")
group_by_window = _method("group_by_window")
scan = _method("scan")
snapshot = _method("snapshot")
take_while = _method("take_while")
unbatch = _method("unbatch")
unique = _method("unique")


def cardinality(dataset: Dataset) -> Any:
    """Return the number of elements, -1 if it is infinite, or -2 if it is unknown."""
    return dataset.cardinality()


def get_single_element(dataset: Dataset) -> Any:
    """Return the only element of a data set."""
    return dataset.get_single_element()


def get_structure(dataset_or_iterator: Any) -> Any:
    """Return the shapes and dtypes of the elements."""
    return dataset_or_iterator.element_spec


def from_list(elements: list[Any], name: str | None = None) -> Dataset:
    """Return the elements of a list."""
    made = [Dataset.from_tensors(element) for element in elements]
    if not made:
        raise ValueError("from_list: `elements` must not be empty.")
    found: Any = made[0]
    for part in made[1:]:
        found = found.concatenate(part)
    return found


def assert_cardinality(expected_cardinality: Any) -> Transformation:
    """Return a function that says how many elements a data set has.

    Reading fails if there are fewer or more.
    """
    expected = int(expected_cardinality)

    def check(elements: Any, turn: Any) -> Any:
        count = 0
        for element in elements:
            count += 1
            if count > expected >= 0:
                break
            yield element
        if expected >= 0 and count != expected:
            less = "more" if count > expected else f"only {count}"
            raise ValueError(
                f"assert_cardinality: {expected} elements are expected, there are {less}."
            )

    size = float("inf") if expected == INFINITE_CARDINALITY else expected
    return lambda dataset: Dataset(Rewritten(dataset.stage, check, size))


def map_and_batch(
    map_func: Callable[..., Any], batch_size: Any, num_parallel_batches: Any = None,
    drop_remainder: bool = False, num_parallel_calls: Any = None,
) -> Transformation:  # fmt: skip
    """Return `map` and `batch` as one function for `Dataset.apply`."""
    return lambda dataset: dataset.map(map_func, num_parallel_calls).batch(
        batch_size, drop_remainder
    )


def parallel_interleave(
    map_func: Callable[..., Any], cycle_length: Any, block_length: Any = 1, sloppy: bool = False,
    buffer_output_elements: Any = None, prefetch_input_elements: Any = None,
) -> Transformation:  # fmt: skip
    """Return `Dataset.interleave` as a function for `Dataset.apply`."""
    return lambda dataset: dataset.interleave(map_func, cycle_length, block_length)


def parse_example_dataset(
    features: Any, num_parallel_calls: Any = 1, deterministic: bool | None = None
) -> Transformation:
    """Return a function that parses batches of serialized examples."""
    return lambda dataset: dataset.map(lambda x: parse_example(x, features), num_parallel_calls)


def prefetch_to_device(device: Any, buffer_size: Any = None) -> Transformation:
    """Return `Dataset.prefetch` as a function for `Dataset.apply`; the device has no effect."""
    return lambda dataset: dataset.prefetch(AUTOTUNE if buffer_size is None else buffer_size)


def shuffle_and_repeat(buffer_size: Any, count: Any = None, seed: Any = None) -> Transformation:
    """Return `shuffle` and `repeat` as one function for `Dataset.apply`."""
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)
