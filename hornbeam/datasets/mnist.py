"""MNIST: 70,000 handwritten digits of 28 by 28 pixels, bundled with the package.

The bundled file is compressed with xz. It holds the bytes of the training labels, the test labels,
the training images and the test images, in this order. Loading reads only local files and writes
no files.
"""

from __future__ import annotations

import functools
import os

import numpy as np

from hornbeam.datasets.dataset_file import DatasetFile
from hornbeam.datasets.readers import read_npz, read_packed
from hornbeam.errors import FileError

__all__ = ["load_data"]

_SHAPES = {
    "y_train": (60000,),
    "y_test": (10000,),
    "x_train": (60000, 28, 28),
    "x_test": (10000, 28, 28),
}

FILE = DatasetFile(
    name="mnist.xz",
    address=None,
    file_hash="7013d268b7119b110fa5fc01de8a24e5ed59193093754ba11318b22260c7ba48",
    reader=functools.partial(read_packed, shapes=_SHAPES),
)

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_data(
    path: str | os.PathLike[str] = "mnist.npz", cache_dir: str | os.PathLike[str] | None = None
) -> Arrays:
    """Load MNIST as `(x_train, y_train), (x_test, y_test)`.

    Args:
        path: An `.npz` file with the arrays `x_train`, `y_train`, `x_test` and `y_test`. It is an
            absolute path, or a name in the folder `datasets` of `HORNBEAM_HOME` (default
            `~/.hornbeam`) or `KERAS_HOME` (default `~/.keras`). If the file does not exist, the
            bundled copy is used, without a download.
        cache_dir: A further folder whose folder `datasets` may hold the file.

    Returns:
        Images of shape `(60000, 28, 28)` and `(10000, 28, 28)`, uint8 from 0 to 255, and
        labels of shape `(60000,)` and `(10000,)`, uint8 from 0 to 9.

    Raises:
        FileError: If the file lacks an array, holds Python objects, is damaged or unpacks to far
            more than its size, or if the bundled copy is damaged.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()
        >>> x_train.shape, y_test.shape
        ((60000, 28, 28), (10000,))
    """
    file = FILE.find(path, cache_dir)
    if file is None:
        arrays = FILE.read()
    else:
        try:
            arrays = read_npz(file, list(_SHAPES))
        except FileError as error:
            raise FileError(
                f"mnist.load_data: {error} Move the file away to use the bundled copy."
            ) from error
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
