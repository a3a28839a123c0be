"""MNIST: 70,000 handwritten digits of 28 by 28 pixels, bundled with the package.

The bundled file holds, xz-compressed, the training labels, the test labels, the training images
and the test images as plain bytes. Loading reads only local files and writes nothing.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import zipfile
import zlib
from importlib import resources
from pathlib import Path

import numpy as np

from hornbeam.errors import FileError
from hornbeam.utils.extraction import most_unpacked

__all__ = ["load_data"]

_SHA256 = "69bd15132a70501a55ccc9cf0d3ffb3de973edb9ec353720cf437f8d199393c7"
_SHAPES = {
    "y_train": (60000,),
    "y_test": (10000,),
    "x_train": (60000, 28, 28),
    "x_test": (10000, 28, 28),
}

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_data(path: str | os.PathLike[str] = "mnist.npz") -> Arrays:
    """Return MNIST as `(x_train, y_train), (x_test, y_test)`.

    Args:
        path: An `.npz` file with the arrays `x_train`, `y_train`, `x_test` and `y_test`, absolute
            or in the folder `datasets` of `KERAS_HOME` (default `~/.keras`). Where there is no
            such file, the bundled copy is used; nothing is downloaded.

    Returns:
        Images of shape `(60000, 28, 28)` and `(10000, 28, 28)`, uint8 from 0 to 255, and
        labels of shape `(60000,)` and `(10000,)`, uint8 from 0 to 9.

    Raises:
        FileError: If the file lacks an array, holds Python objects, is damaged or unpacks to far
            more than its size.
        ValueError: If the bundled copy is damaged.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()
        >>> x_train.shape, y_test.shape
        ((60000, 28, 28), (10000,))
    """
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    file = Path(home) / "datasets" / path  # an absolute `path` stands alone
    arrays = _read_npz(file) if file.is_file() else _read_bundled()
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    damage = (zipfile.BadZipFile, zlib.error, EOFError, MemoryError, TypeError, ValueError, RuntimeError)
    try:
        with zipfile.ZipFile(file) as members:
            claimed = sum(member.file_size for member in members.infolist())
        if claimed > most_unpacked(file):
            raise FileError(f"mnist.load_data: {file} would unpack to {claimed} bytes, as bombs do.")
        # Pickled objects could run code while loading, so they are refused.
        with np.load(file, allow_pickle=False) as archive:
            missing = [name for name in _SHAPES if name not in archive]
            if missing:
                raise FileError(
                    f"mnist.load_data: {file} lacks {', '.join(missing)}; it holds "
                    f"{', '.join(archive.files) or 'nothing'}. Move the file away to use the "
                    "bundled copy."
                )
            arrays = {name: archive[name] for name in _SHAPES}
    except FileError:
        raise
    except damage as error:
        raise FileError(
            f"mnist.load_data: {file} is no whole .npz file of arrays of numbers: {error}. Move the file away to use the bundled copy."
        ) from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # a member of bytes that are no array
            raise FileError(
                f"mnist.load_data: {name} in {file} is no array. Move the file away to use the bundled copy."
            )
    return arrays


def _read_bundled() -> dict[str, np.ndarray]:
    packed = resources.files("hornbeam.datasets").joinpath("mnist.xz").read_bytes()
    try:
        content = lzma.decompress(packed)
    except lzma.LZMAError:
        content = b""
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise ValueError(
            "mnist.load_data: the bundled copy hornbeam/datasets/mnist.xz is damaged (its sha256 "
            "differs). Install Hornbeam again."
        )
    arrays, offset = {}, 0
    for name, shape in _SHAPES.items():
        size = int(np.prod(shape))
        block = np.frombuffer(content, "uint8", count=size, offset=offset)
        arrays[name] = block.reshape(shape).copy()  # a copy is writable, as a loaded file's is
        offset += size
    return arrays
