"""Base class of layers that learn from data before training."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hornbeam import errors
from hornbeam.data.adapters import plain, refuse_mistakes
from hornbeam.data.dataset import Dataset
from hornbeam.data.lazy import is_on_disk
from hornbeam.data.sources import (
    DatasetSource,
    IterableSource,
    Source,
    is_iterable_of_batches,
    make_source,
)
from hornbeam.layers.layer import Layer
from hornbeam.typing import Data, Shape

__all__ = ["PreprocessingLayer", "batches", "check_finite"]

_BYTES_OF_FILES = 2**24  # bytes of an array in a file to read at once


class PreprocessingLayer(Layer):
    """Base class of layers that learn from data before training, e.g. a mean or a vocabulary.

    `adapt` reads the data once. It calls `reset_state`, `update_state` for each batch, and then
    `finalize_state`. A subclass implements these three methods. They run on the host, on NumPy
    arrays. `call` uses only the results that `finalize_state` stored.

    Building: `adapt` builds the layer for the shape of the first batch, with an unknown batch size.

    Saving and loading: store learned numbers as weights with `trainable=False`, created in `build`.
    Every file format saves and restores them. Write learned text, for example a vocabulary, in
    `save_assets(folder)`, and read it in `load_assets(folder)`. `.keras` files contain these
    assets. Values that the constructor accepts belong in `get_config`. Compute derived values on
    access, so that they are also correct after loading.

    Example:
        >>> class Shift(PreprocessingLayer):
        ...     def build(self, input_shape=None):
        ...         self.least = self.add_weight(shape=(), trainable=False)
        ...     def reset_state(self):
        ...         self._least_so_far = np.inf
        ...     def update_state(self, data):
        ...         self._least_so_far = min(self._least_so_far, data.min())
        ...     def finalize_state(self):
        ...         self.least.assign(self._least_so_far)
        ...     def call(self, x):
        ...         return x - self.least
        >>> layer = Shift()
        >>> layer.adapt(np.array([[3.0], [5.0]]))
        >>> layer(np.array([[5.0]]))
        Array([[2.]], dtype=float32)
    """

    @property
    def can_adapt(self) -> bool:
        """Whether there is something to learn that the constructor did not get."""
        return True

    def adapt(self, data: Data, steps: int | None = None) -> None:
        """Learn from data. A later call replaces the result.

        Args:
            data: An array of shape (samples, ...), a column of a table, or batches: a `PyDataset`,
                a generator or other iterable, or a data set of another library. If a batch is a
                tuple, its first item is used.
            steps: Number of batches to read. Default: all.

        Raises:
            ValueError: If there are no samples, or the layer does not support them. The layer then
                keeps its previous state.
        """
        self.reset_state()
        samples = 0
        try:
            for batch in itertools.islice(batches(data), steps):
                if batch.ndim == 0:
                    raise ValueError(
                        f"{self._label()}: `data` must have a batch axis, received the single value"
                        f" {batch!s:.60}. Batch the elements, such as by `data.batch(32)`, or pass"
                        " a list of all of them."
                    )
                if not batch.shape[0]:
                    continue
                if not self.built:
                    with self._scope():
                        self.build(self.shape_to_build(batch.shape))
                self.update_state(batch)
                samples += batch.shape[0]
            if not samples:
                raise ValueError(f"{self._label()}: `data` has no samples; expected at least one.")
            self.finalize_state()
        finally:
            self.reset_state()

    def shape_to_build(self, shape: tuple[int, ...]) -> Shape:
        """Return the input shape with which `adapt` builds the layer.

        Args:
            shape: Shape of the first batch.
        """
        return (None, *shape[1:])

    def reset_state(self) -> None:
        """Discard the statistics of `update_state`, but keep the results of `finalize_state`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `reset_state(self)`.")

    def update_state(self, data: np.ndarray) -> None:
        """Update the statistics with one batch.

        Args:
            data: At least one sample, of shape (batch, ...).

        Raises:
            ValueError: If the layer does not support the batch.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `update_state(self, data)`."
        )

    def finalize_state(self) -> None:
        """Store the statistics of `update_state` for `call`, if there are any."""
        raise NotImplementedError(f"{type(self).__name__} must implement `finalize_state(self)`.")


def batches(data: Data) -> Iterator[np.ndarray]:
    """Yield samples batch by batch. An array in memory is one batch and keeps its dtype.

    Args:
        data: The data, as in `PreprocessingLayer.adapt`.

    Example:
        >>> [batch.shape for batch in batches([[1.0, 2.0], [3.0, 4.0]])]
        [(2, 2)]
    """
    refuse_mistakes(data, "data")
    if not isinstance(data, Source) and not is_iterable_of_batches(data):
        array = _one_array(plain(data))
        if not is_on_disk(array):
            yield np.asarray(array.to_numpy() if hasattr(array, "to_numpy") else array)
            return
        rows = max(1, _BYTES_OF_FILES // max(array.nbytes // max(len(array), 1), 1))
        for start in range(0, len(array), rows):
            yield np.asarray(array[start : start + rows])
        return
    # A `Dataset` is read directly, because `make_source` would cast 64-bit numbers to 32 bits.
    source = DatasetSource(data) if isinstance(data, Dataset) else make_source(data)
    if isinstance(source, IterableSource):
        source.choose = plain  # columns of text are no numbers
    try:
        for x, _, _ in source.epoch(seed=0, epoch=0):
            yield np.asarray(_one_array(x))
    finally:
        source.close()


def _one_array(data: Any) -> Any:
    if isinstance(data, Mapping):
        raise ValueError(
            "`data` must be one array, received a table with the columns"
            f" {errors.listed(map(str, data))}. Pass one of the columns."
        )
    return data


def check_finite(data: np.ndarray, first_row: int, label: str, infinite: bool = False) -> None:
    """Raise an error that shows the first value from which nothing can be learned.

    Args:
        data: Numbers of shape (rows, ...).
        first_row: Number of the first row in all data.
        label: The layer, for the error.
        infinite: Whether infinite values are allowed.
    """
    wrong = np.isnan(data) if infinite else ~np.isfinite(data)
    if data.dtype.kind != "f" or not wrong.any():
        return
    row, *column = map(int, np.argwhere(wrong)[0])
    place = f"row {first_row + row}" + "".join(f", column {c}" for c in column[:1])
    raise ValueError(
        f"{label}: `data` hold {int(wrong.sum())} missing or infinite values, the first in {place}:"
        f" {data[(row, *column)]}. Fill them, or leave those rows out."
    )
