"""`timeseries_dataset_from_array`: windows of a series."""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbeam.data.dataset import Dataset
from hornbeam.utils.directories import check_choice

__all__ = ["timeseries_dataset_from_array"]


def timeseries_dataset_from_array(
    data: Any, targets: Any, sequence_length: int, sequence_stride: int = 1,
    sampling_rate: int = 1, batch_size: int | None = 128, shuffle: bool = False,
    seed: int | None = None, start_index: int | None = None, end_index: int | None = None,
    format: str = "tf",
) -> Dataset:  # fmt: skip
    """Return windows of a series as a `hornbeam.data.Dataset`.

    Window `i` begins at step `start_index + i * sequence_stride` and holds every `sampling_rate`-th
    step from there. Its target is the one of the step at which it begins.

    Args:
        data: An array whose first axis is the steps.
        targets: An array with a target for each step, or `None`. Windows without a target are left
            out.
        sequence_length: Number of steps of a window.
        sequence_stride: Number of steps between the starts of two windows.
        sampling_rate: Number of steps between two steps of a window.
        batch_size: Number of windows per batch; `None` for single windows.
        shuffle: Whether each pass has another order.
        seed: Seed of the order.
        start_index, end_index: The part of the series to use; `end_index` is not included.
            Default: all.
        format: `"tf"` or `"grain"`, without effect; kept for Keras's signature.

    Returns:
        A `Dataset` of windows (batch, sequence_length, ...), or of pairs of windows and targets.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> series = np.arange(6)
        >>> data = timeseries_dataset_from_array(series[:-2], series[2:], 2, batch_size=2)
        >>> [(x.tolist(), y.tolist()) for x, y in data]
        [([[0, 1], [1, 2]], [2, 3]), ([[2, 3]], [4])]
    """
    name = "timeseries_dataset_from_array"
    check_choice(name, "format", format, ("tf", "grain"))
    series = np.asarray(data)
    if not series.ndim:
        raise ValueError(f"{name}: `data` must have an axis of steps, received {data!r}.")
    first = 0 if start_index is None else start_index
    end = len(series) if end_index is None else end_index
    for argument, value, least, most in (
        ("sequence_length", sequence_length, 1, None),
        ("sequence_stride", sequence_stride, 1, max(len(series) - 1, 1)),
        ("sampling_rate", sampling_rate, 1, max(len(series) - 1, 1)),
        ("start_index", first, 0, len(series) - 1),
        ("end_index", end, first + 1, len(series)),
    ):
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, np.integer))
            or value < least
            or (most is not None and value > most)
        ):
            bound = f"at least {least}" if most is None else f"from {least} to {most}"
            raise ValueError(
                f"{name}: `{argument}` must be an integer {bound}, received {value!r}; `data` have"
                f" {len(series)} steps."
            )
    last = end - (sequence_length - 1) * sampling_rate
    answers = None if targets is None else np.asarray(targets)
    if answers is not None:
        last = min(last, len(answers))
    steps = np.arange(sequence_length) * sampling_rate
    starts = Dataset.from_tensor_slices(np.arange(first, max(last, first), sequence_stride))
    if shuffle:
        starts = starts.shuffle(seed=seed)
    if batch_size is not None:
        starts = starts.batch(batch_size)

    def window(start: Any) -> Any:
        rows = series[np.asarray(start)[..., None] + steps]
        return rows if answers is None else (rows, answers[start])

    return starts.map(window)
