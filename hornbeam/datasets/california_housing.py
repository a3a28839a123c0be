"""California housing: median house prices in 20,640 districts from 1990, with 8 features each."""

from __future__ import annotations

import functools

import numpy as np

from hornbeam.datasets.dataset_file import KERAS_ADDRESS, DatasetFile
from hornbeam.datasets.tables import Arrays, read_rows, split
from hornbeam.typing import FilePath

__all__ = ["load_data"]

FILE = DatasetFile(
    name="california_housing.npz",
    address=KERAS_ADDRESS + "california_housing.npz",
    reader=functools.partial(read_rows, columns=8),
)
_SMALL = 600


def load_data(
    version: str = "large", path: FilePath = "california_housing.npz", test_split: float = 0.2,
    seed: int = 113,
) -> Arrays:  # fmt: skip
    """Load California housing as `(x_train, y_train), (x_test, y_test)`.

    Args:
        version: `"large"` (20,640 rows) or `"small"` (600 rows).
        path: Name of the file in the cache, or an absolute path.
        test_split: Fraction of the rows in the test set.
        seed: Seed of the shuffle before the split.

    Returns:
        Features of shape `(n, 8)`, and prices in dollars of shape `(n,)`.

    Raises:
        ValueError: If `version` is not supported, or `test_split` is not in [0, 1).
        FileError: If the file is damaged.
        OSError: If the file is not on this computer and cannot be downloaded.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data("small")  # doctest: +SKIP
    """
    if version not in ("small", "large"):
        raise ValueError(
            "california_housing.load_data: `version` must be 'small' or 'large', received"
            f" {version!r}."
        )
    arrays = FILE.read(path)
    x, y = arrays["x"], arrays["y"]
    if version == "small":
        x, y = x[:_SMALL], y[:_SMALL]
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    return split("california_housing", x, y, test_split, order)
