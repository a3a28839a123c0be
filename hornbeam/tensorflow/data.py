"""`tf.data`: pipelines of data."""

from __future__ import annotations

from hornbeam.data import AUTOTUNE
from hornbeam.data.dataset import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY
from hornbeam.tensorflow.data_files import (
    FixedLengthRecordDataset,
    TextLineDataset,
    TFRecordDataset,
)
from hornbeam.tensorflow.dataset import Dataset, DatasetIterator, Options
from hornbeam.tensorflow.specs import DatasetSpec

__all__ = [
    "AUTOTUNE", "Dataset", "DatasetSpec", "FixedLengthRecordDataset", "INFINITE_CARDINALITY",
    "Iterator", "Options", "TFRecordDataset", "TextLineDataset", "ThreadingOptions",
    "UNKNOWN_CARDINALITY",
]  # fmt: skip

Iterator = DatasetIterator
ThreadingOptions = Options
