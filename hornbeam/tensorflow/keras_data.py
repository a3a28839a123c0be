"""Functions of `keras.utils` that return data sets: they are those of `tf.data`, as in Keras."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from hornbeam import data, utils
from hornbeam.tensorflow.dataset import Dataset

__all__ = [
    "audio_dataset_from_directory", "image_dataset_from_directory", "split_dataset",
    "text_dataset_from_directory", "timeseries_dataset_from_array",
]  # fmt: skip


def _with_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose data sets have tensors for elements."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        found = function(*args, **kwargs)
        return type(found)(map(_own, found)) if isinstance(found, (list, tuple)) else _own(found)

    return call


def _own(found: Any) -> Any:
    return Dataset.of(found) if isinstance(found, data.Dataset) else found


audio_dataset_from_directory = _with_tensors(utils.audio_dataset_from_directory)
image_dataset_from_directory = _with_tensors(utils.image_dataset_from_directory)
split_dataset = _with_tensors(utils.split_dataset)
text_dataset_from_directory = _with_tensors(utils.text_dataset_from_directory)
timeseries_dataset_from_array = _with_tensors(utils.timeseries_dataset_from_array)
