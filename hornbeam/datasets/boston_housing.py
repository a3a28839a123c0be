"""Boston housing: median house prices in 506 districts from 1978, with 13 features each."""

from __future__ import annotations

import functools

import numpy as np

from hornbeam.datasets.dataset_file import KERAS_ADDRESS, DatasetFile
from hornbeam.datasets.tables import Arrays, read_rows, split
from hornbeam.typing import FilePath

__all__ = ["load_data"]

FILE = DatasetFile(
    name="boston_housing.npz",
    address=KERAS_ADDRESS + "boston_housing.npz",
    reader=functools.partial(read_rows, columns=13),
)


def load_data(
    path: FilePath = "boston_housing.npz", test_split: float = 0.2, seed: int = 113,
    cache_dir: FilePath | None = None,
) -> Arrays:  # fmt: skip
    """Load Boston housing as `(x_train, y_train), (x_test, y_test)`.

    One of its features is based on the assumption that the share of Black residents affects prices.
    Use this data set only to compare with older results, and `california_housing` otherwise.

    Args:
        path: Name of the file in the cache, or an absolute path.
        test_split: Fraction of the rows in the test set.
        seed: Seed of the shuffle before the split.
        cache_dir: Folder of a further cache; files are looked for, and downloaded to, its folder
            `datasets`. Default: `HORNBEAM_HOME` and `KERAS_HOME`.

    Returns:
        Features of shape `(n, 13)`, and prices in thousands of dollars of shape `(n,)`, float64.

    Raises:
        ValueError: If `test_split` is not in [0, 1).
        FileError: If the file is damaged.
        OSError: If the file is not on this computer and cannot be downloaded.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
    """
    arrays = FILE.read(path, cache_dir)
    order = np.arange(len(arrays["x"]))
    np.random.RandomState(seed).shuffle(order)
    return split("boston_housing", arrays["x"], arrays["y"], test_split, order)
