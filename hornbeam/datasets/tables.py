"""Helpers for data sets with one row of features per district, and one number to predict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hornbeam.datasets.readers import read_npz
from hornbeam.errors import FileError

__all__ = ["read_rows", "split"]

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def read_rows(path: Path, columns: int) -> dict[str, np.ndarray]:
    """Read `x` of shape `(rows, columns)` and `y` of shape `(rows,)` from an `.npz` file.

    Raises:
        FileError: If the file is damaged, or an array is missing or has a wrong shape or dtype.
    """
    arrays = read_npz(path, ["x", "y"])
    x, y = arrays["x"], arrays["y"]
    if x.ndim != 2 or x.shape[1] != columns or y.shape != x.shape[:1]:
        raise FileError(
            f"'{path}': expected x of shape (rows, {columns}) and y of shape (rows,), received"
            f" shapes {x.shape} and {y.shape}."
        )
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise FileError(f"'{path}': {name} has dtype {array.dtype}; expected numbers.")
    return arrays


def split(data: str, x: Any, y: Any, test_split: float, order: np.ndarray) -> Arrays:
    """Reorder the rows and split them into a training and a test set.

    Args:
        data: Name of the data set, for error messages.
        x, y: Arrays with the same number of rows.
        test_split: Fraction of the rows in the test set, at least 0 and less than 1.
        order: Row numbers in the new order.

    Raises:
        ValueError: If `test_split` is not in [0, 1).
    """
    if not 0 <= test_split < 1:
        raise ValueError(
            f"{data}.load_data: `test_split` must be at least 0 and less than 1, received"
            f" {test_split!r}."
        )
    x, y = x[order], y[order]
    at = int(len(x) * (1 - test_split))
    return (x[:at], y[:at]), (x[at:], y[at:])
