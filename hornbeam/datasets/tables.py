"""Data sets with one row of numbers per district, and one number to predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hornbeam.datasets.readers import read_npz
from hornbeam.errors import FileError

__all__ = ["read_rows", "split"]

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def read_rows(path: Path, columns: int) -> dict[str, np.ndarray]:
    """Return `x` of shape `(rows, columns)` and `y` of shape `(rows,)` of an `.npz` file.

    Raises:
        FileError: If the file is damaged, or an array is missing or has another shape or dtype.
    """
    arrays = read_npz(path, ["x", "y"])
    x, y = arrays["x"], arrays["y"]
    if x.ndim != 2 or x.shape[1] != columns or y.shape != x.shape[:1]:
        raise FileError(
            f"'{path}': x has shape {x.shape} and y {y.shape}; expected (rows, {columns}) and"
            " (rows,)."
        )
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise FileError(f"'{path}': {name} has dtype {array.dtype}; expected numbers.")
    return arrays


def split(data: str, x: Any, y: Any, test_split: float, order: np.ndarray) -> Arrays:
    """Return the rows in an order, cut into a training and a test set.

    Args:
        data: Name of the data set, for errors.
        x, y: Arrays.
        test_split: Fraction of the rows in the test set, at least 0 and less than 1.
        order: Row numbers.

    Raises:
        ValueError: If `test_split` is wrong.
    """
    if not 0 <= test_split < 1:
        raise ValueError(
            f"{data}.load_data: `test_split` must be at least 0 and less than 1, received"
            f" {test_split!r}."
        )
    x, y = x[order], y[order]
    at = int(len(x) * (1 - test_split))
    return (x[:at], y[:at]), (x[at:], y[at:])
