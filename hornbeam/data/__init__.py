"""Data pipelines (`Dataset`), and `Source`, one interface to every kind of training data."""

from hornbeam.data.dataset import AUTOTUNE, Dataset
from hornbeam.data.py_dataset import PyDataset
from hornbeam.data.sources import (
    ArraySource,
    DatasetSource,
    IterableSource,
    RowsSource,
    Source,
    make_source,
)

__all__ = [
    "AUTOTUNE",
    "ArraySource",
    "Dataset",
    "DatasetSource",
    "IterableSource",
    "PyDataset",
    "RowsSource",
    "Source",
    "make_source",
]
