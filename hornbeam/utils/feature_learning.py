"""Adapts the preprocessors of a `FeatureSpace` to data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam import errors
from hornbeam.data.adapters import is_frame, refuse_mistakes
from hornbeam.data.dataset import Dataset
from hornbeam.data.py_dataset import PyDataset
from hornbeam.data.sources import DatasetSource, Source, is_iterable_of_batches, make_source
from hornbeam.layers.preprocessing.base import PreprocessingLayer

__all__ = ["Lesson", "batches_of", "teach"]


class Lesson:
    """Adaptation of one preprocessor to the values of a column.

    Args:
        layer: The preprocessor.
        owner: Description of the column, for error messages.

    Example:
        >>> from hornbeam.layers import StringLookup
        >>> lesson = Lesson(StringLookup(), "column 'city'")
        >>> lesson.take(np.array([["Oslo"], ["Lima"]]))
        >>> lesson.end()
    """

    def __init__(self, layer: Any, owner: str):
        self._layer, self._owner, self._rows = layer, owner, 0
        self._streams = isinstance(layer, PreprocessingLayer)
        self._parts: list[np.ndarray] = []
        if self._streams:
            layer.reset_state()

    def take(self, values: np.ndarray) -> None:
        """Learn from values of shape (B, 1), without missing values."""
        self._rows += len(values)
        if not len(values):
            return
        if not self._streams:
            self._parts.append(values)
            return
        try:
            if not self._layer.built:
                self._layer.build((None, 1))
            self._layer.update_state(values)
        except ValueError as error:
            raise ValueError(f"{self._owner}: {error}") from None

    def check(self) -> None:
        """Raise an error if the column had no values."""
        if not self._rows:
            raise ValueError(f"{self._owner} has no values; expected at least one.")

    def end(self) -> None:
        """Store the learned state in the preprocessor."""
        if self._streams:
            self._layer.finalize_state()
            self._layer.reset_state()
        else:
            self._layer.adapt(np.concatenate(self._parts))


def teach(lessons: Mapping[str, Lesson], buffer: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Let each preprocessor learn from its column in several batches.

    Example:
        >>> teach({}, [])
    """
    for name, lesson in lessons.items() if buffer else ():
        lesson.take(np.concatenate([values[name] for values in buffer]))


def batches_of(data: Any) -> Iterator[Any]:
    """Yield the samples, batches or data frames of the data passed to `adapt`.

    Example:
        >>> list(batches_of([({"a": 1}, 0)]))
        [{'a': 1}]
    """
    refuse_mistakes(data, "dataset")
    if isinstance(data, Mapping) or is_frame(data):
        yield data
        return
    if isinstance(data, (Dataset, PyDataset, Source)):
        source = DatasetSource(data) if isinstance(data, Dataset) else make_source(data)
        try:
            for x, _, _ in source.epoch(seed=0, epoch=0):
                yield x
        finally:
            source.close()
        return
    if not is_iterable_of_batches(data) and not isinstance(data, (list, tuple)):
        raise ValueError(
            "FeatureSpace.adapt: `dataset` must be a dictionary of columns, a data frame, or an"
            f" iterable of either, received {errors.describe(data)}."
        )
    for element in data:
        yield element[0] if isinstance(element, (list, tuple)) else element
