"""CIFAR-100: 60,000 color images of 32 by 32 pixels, in 100 classes or 20 groups of classes."""

from __future__ import annotations

import functools

import numpy as np

from hornbeam.datasets.cifar import images, labels, read_batches
from hornbeam.datasets.dataset_file import DatasetFile
from hornbeam.typing import FilePath

__all__ = ["load_data"]

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_FOLDER = "cifar-100-python"
_COUNTS = {f"{_FOLDER}/train": 50_000, f"{_FOLDER}/test": 10_000}
_CLASSES = {"fine": 100, "coarse": 20}

FILE = DatasetFile(
    name="cifar-100-python.tar.gz",
    address="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    reader=functools.partial(read_batches, names=list(_COUNTS)),
    file_hash="eb9058c3a382ffc7106e4002c42a8d85",
    keras_names=(f"{_FOLDER}-target/{_FOLDER}", f"{_FOLDER}-target_archive", _FOLDER),
)


def load_data(label_mode: str = "fine", cache_dir: FilePath | None = None) -> Arrays:
    """Load CIFAR-100 as `(x_train, y_train), (x_test, y_test)`.

    The data set is by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton.

    Args:
        label_mode: `"fine"` for the 100 classes, `"coarse"` for the 20 groups.
        cache_dir: Folder of a further cache; files are looked for, and downloaded to, its folder
            `datasets`. Default: `HORNBEAM_HOME` and `KERAS_HOME`.

    Returns:
        50,000 training and 10,000 test images, uint8 from 0 to 255, of shape `(32, 32, 3)`, or
        `(3, 32, 32)` if `config.image_data_format()` is `"channels_first"`. The labels have shape
        `(n, 1)`, int64.

    Raises:
        ValueError: If `label_mode` is not supported.
        FileError: If the file is damaged.
        OSError: If the file is not on this computer and cannot be downloaded.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data("coarse")  # doctest: +SKIP
    """
    if label_mode not in _CLASSES:
        raise ValueError(
            f"cifar100.load_data: `label_mode` must be 'fine' or 'coarse', received {label_mode!r}."
        )
    key, classes = f"{label_mode}_labels", _CLASSES[label_mode]
    train, test = (
        (
            np.ascontiguousarray(images(batch, count, name)),
            labels(batch, key, count, classes, name),
        )
        for batch, (name, count) in zip(
            FILE.read(cache_dir=cache_dir), _COUNTS.items(), strict=True
        )
    )
    return train, test
