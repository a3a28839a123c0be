"""CIFAR-10: 60,000 color images of 32 by 32 pixels, in 10 classes."""

from __future__ import annotations

import functools

import numpy as np

from hornbeam.datasets.cifar import images, labels, read_batches
from hornbeam.datasets.dataset_file import DatasetFile
from hornbeam.typing import FilePath

__all__ = ["load_data"]

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_FOLDER = "cifar-10-batches-py"
_NAMES = [f"{_FOLDER}/{name}" for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")]
_COUNT = 10_000

FILE = DatasetFile(
    name="cifar-10-python.tar.gz",
    address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    reader=functools.partial(read_batches, names=_NAMES),
    file_hash="c58f30108f718f92721af3b95e74349a",
    keras_names=(
        f"{_FOLDER}-target/{_FOLDER}", f"{_FOLDER}-target_archive", _FOLDER, f"{_FOLDER}.tar.gz",
    ),
)  # fmt: skip


def load_data(cache_dir: FilePath | None = None) -> Arrays:
    """Load CIFAR-10 as `(x_train, y_train), (x_test, y_test)`.

    The classes are airplane, automobile, bird, cat, deer, dog, frog, horse, ship and truck. The
    data set is by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton.

    Args:
        cache_dir: Folder of a further cache; files are looked for, and downloaded to, its folder
            `datasets`. Default: `HORNBEAM_HOME` and `KERAS_HOME`.

    Returns:
        50,000 training and 10,000 test images, uint8 from 0 to 255, of shape `(32, 32, 3)`, or
        `(3, 32, 32)` if `config.image_data_format()` is `"channels_first"`. The labels have shape
        `(n, 1)`, uint8 from 0 to 9.

    Raises:
        FileError: If the file is damaged.
        OSError: If the file is not on this computer and cannot be downloaded.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
    """
    batches = dict(zip(_NAMES, FILE.read(cache_dir=cache_dir), strict=True))
    x = [images(batch, _COUNT, name) for name, batch in batches.items()]
    y = [
        labels(batch, "labels", _COUNT, 10, name).astype("uint8") for name, batch in batches.items()
    ]
    return (np.concatenate(x[:-1]), np.concatenate(y[:-1])), (np.ascontiguousarray(x[-1]), y[-1])
