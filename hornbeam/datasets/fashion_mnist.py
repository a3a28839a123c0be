"""Fashion-MNIST: 70,000 grayscale images of clothing, 28 by 28 pixels, in 10 classes."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numpy as np

from hornbeam.datasets.dataset_file import KERAS_ADDRESS, DatasetFile
from hornbeam.datasets.readers import read_idx
from hornbeam.errors import FileError
from hornbeam.typing import FilePath

__all__ = ["load_data"]

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _read(path: Path, shape: tuple[int, ...], sha256: str) -> np.ndarray:
    array = read_idx(path)
    if array.shape != shape or hashlib.sha256(array.tobytes()).hexdigest() != sha256:
        raise FileError(
            f"'{path}' does not hold the data of Fashion-MNIST: expected an array of shape {shape}"
            f" with SHA-256 {sha256}, received an array of shape {array.shape} with another hash."
        )
    return array


def _file(name: str, shape: tuple[int, ...], sha256: str) -> DatasetFile[np.ndarray]:
    # The hash is of the array, because the data are published in gzip files with different headers.
    reader = functools.partial(_read, shape=shape, sha256=sha256)
    return DatasetFile(f"fashion-mnist/{name}", KERAS_ADDRESS + name, reader)


FILES = (
    _file(
        "train-images-idx3-ubyte.gz",
        (60000, 28, 28),
        "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
    ),
    _file(
        "train-labels-idx1-ubyte.gz",
        (60000,),
        "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
    ),
    _file(
        "t10k-images-idx3-ubyte.gz",
        (10000, 28, 28),
        "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
    ),
    _file(
        "t10k-labels-idx1-ubyte.gz",
        (10000,),
        "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    ),
)


def load_data(cache_dir: FilePath | None = None) -> Arrays:
    """Load Fashion-MNIST as `(x_train, y_train), (x_test, y_test)`.

    The classes are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and ankle
    boot. The data set is by Zalando SE, under the MIT license
    (https://github.com/zalandoresearch/fashion-mnist).

    Args:
        cache_dir: Folder of a further cache; files are looked for, and downloaded to, its folder
            `datasets`. Default: `HORNBEAM_HOME` and `KERAS_HOME`.

    Returns:
        Images of shape `(60000, 28, 28)` and `(10000, 28, 28)`, uint8 from 0 to 255, and
        labels of shape `(60000,)` and `(10000,)`, uint8 from 0 to 9.

    Raises:
        FileError: If a file is damaged.
        OSError: If a file is not on this computer and cannot be downloaded.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
    """
    x_train, y_train, x_test, y_test = (file.read(cache_dir=cache_dir) for file in FILES)
    return (x_train, y_train), (x_test, y_test)
