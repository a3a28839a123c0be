"""Readers of data set files: `.npz`, IDX, packed arrays and pickled batches.

Files are untrusted. The readers run no code from a file, compare declared sizes with the size of
the file before they allocate memory, and raise `FileError` for any damage.
"""

from __future__ import annotations

import gzip
import io
import lzma
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hornbeam.datasets.pickles import PickleError, read_pickle
from hornbeam.errors import FileError
from hornbeam.utils.extraction import most_unpacked

__all__ = ["read_idx", "read_npz", "read_packed", "read_pickle_batch"]

Arrays = dict[str, np.ndarray]
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile, struct.error, EOFError,
    MemoryError, NotImplementedError, OverflowError, TypeError, ValueError, RuntimeError,
    SyntaxError, KeyError,
)  # fmt: skip


@contextmanager
def _one_error(path: Path, kind: str) -> Iterator[None]:
    """Convert any error that a damaged file causes to a `FileError`."""
    try:
        yield
    except FileError:
        raise
    except _DAMAGE as error:
        raise FileError(f"'{path}' is not a complete {kind}: {error}.") from error


def read_npz(
    path: str | os.PathLike[str], names: Sequence[str], ragged: Sequence[str] = ()
) -> Arrays:
    """Read arrays from an `.npz` file, and return them by name.

    Args:
        path: The file.
        names: Names of the arrays to read.
        ragged: The arrays of `names` that may hold Python lists of numbers with different lengths.
            They are stored as pickles, and read by `hornbeam.datasets.pickles`.

    Raises:
        FileError: If the file is damaged, lacks an array, unpacks to far more than its size, or
            holds Python objects.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/pixels.npz"
        >>> np.savez(path, x=np.zeros((2, 28, 28)))
        >>> read_npz(path, ["x"])["x"].shape
        (2, 28, 28)
    """
    path = Path(path)
    with _one_error(path, ".npz file"), zipfile.ZipFile(path) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
        if claimed > most_unpacked(path):
            raise FileError(
                f"'{path}' would unpack to {claimed} bytes, too many for its size. It may be a"
                " decompression bomb."
            )
        held = [name.removesuffix(".npy") for name in archive.namelist()]
        missing = [name for name in names if name not in held]
        if missing:
            raise FileError(
                f"'{path}' lacks the arrays {', '.join(missing)}; its arrays are"
                f" {', '.join(held) or 'none'}."
            )
        return {name: _member(archive, path, name, name in ragged) for name in names}


def _member(archive: zipfile.ZipFile, path: Path, name: str, ragged: bool) -> np.ndarray:
    content = io.BytesIO(
        archive.read(f"{name}.npy" if f"{name}.npy" in archive.namelist() else name)
    )
    start = content.read(8)
    if start[:6] != b"\x93NUMPY":
        raise FileError(f"'{path}': {name} is not an array.")
    if start[6:] not in (b"\1\0", b"\2\0"):
        raise ValueError(f"{name} has an unknown version of NumPy's format")
    read_header = (
        np.lib.format.read_array_header_1_0
        if start[6] == 1
        else np.lib.format.read_array_header_2_0
    )
    shape, is_fortran, dtype = read_header(content)
    data = content.read()
    if dtype.kind == "O" and ragged:
        found = _unpickled(data, f"'{path}': {name}")
        if not isinstance(found, np.ndarray) or found.shape != shape:
            raise FileError(f"'{path}': {name} is not an array of shape {shape}.")
        return found
    if dtype.hasobject:
        raise FileError(
            f"'{path}': {name} must be an array of numbers, but it holds Python objects, which can"
            " run code when they are loaded."
        )
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name} of shape {shape} and dtype {dtype} holds {len(data)} bytes")
    order: Any = "F" if is_fortran else "C"
    return (
        np.frombuffer(bytearray(data), dtype).reshape(shape, order=order)
        if data
        else np.zeros(shape, dtype)
    )


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an array from an IDX file, the format in which MNIST was first published.

    Args:
        path: The file, uncompressed or compressed with gzip.

    Raises:
        FileError: If the file is damaged, or unpacks to far more than its size.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "labels-idx1-ubyte")
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        >>> read_idx(path)
        array([7, 2, 1], dtype=uint8)
    """
    path = Path(path)
    with _one_error(path, "IDX file"), path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        zeros, kind, rank = struct.unpack(">HBB", file.read(4))
        if zeros or kind not in _IDX_TYPES:
            raise ValueError("its first bytes are not an IDX header")
        shape = struct.unpack(f">{rank}I", file.read(4 * rank))
        dtype = np.dtype(_IDX_TYPES[kind])
        data = _exactly(file, math.prod(shape) * dtype.itemsize, path)
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def read_packed(path: str | os.PathLike[str], shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """Read byte arrays that are stored one after another in an xz file.

    Args:
        path: The file.
        shapes: Names and shapes of the arrays, in their order in the file.

    Returns:
        Writable arrays of dtype uint8.

    Raises:
        FileError: If the file is damaged, or holds more or fewer bytes than the arrays need.
    """
    path = Path(path)
    with _one_error(path, "xz file"), lzma.open(path) as file:
        data = memoryview(_exactly(file, sum(map(math.prod, shapes.values())), path))
    arrays, start = {}, 0
    for name, shape in shapes.items():
        end = start + math.prod(shape)
        arrays[name] = np.frombuffer(data[start:end], "uint8").reshape(shape).copy()
        start = end
    return arrays


def _exactly(file: Any, size: int, path: Path) -> bytes:
    """Return the rest of a file, which must have exactly `size` bytes."""
    if size > most_unpacked(path):
        raise FileError(f"'{path}' declares {size} bytes, which a file of its size cannot hold.")
    data = file.read(size)
    if len(data) != size or file.read(1):
        raise FileError(
            f"'{path}' is not complete: expected exactly {size} bytes, received {len(data)} or"
            " more."
        )
    return data


def read_pickle_batch(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a pickled batch, the format of CIFAR-10 and CIFAR-100.

    Args:
        path: The file, a pickled dictionary from Python 2 or 3. It is read by
            `hornbeam.datasets.pickles`, which runs no code from the file.

    Returns:
        Dictionary from names to arrays, lists, strings and bytes. Names that Python 2 stored as
        bytes are decoded.

    Raises:
        FileError: If the file is damaged, or holds objects other than data.

    Example:
        >>> import pickle, tempfile
        >>> path = Path(tempfile.mkdtemp(), "data_batch_1")
        >>> batch = {b"labels": [6, 9], b"data": np.zeros((2, 3072), "uint8")}
        >>> _ = path.write_bytes(pickle.dumps(batch))
        >>> read_pickle_batch(path)["data"].shape
        (2, 3072)
    """
    path = Path(path)
    found = _unpickled(path.read_bytes(), f"'{path}'")
    if not isinstance(found, dict):
        raise FileError(
            f"'{path}' must hold a batch as a dictionary, received a {type(found).__name__}."
        )
    return {
        name.decode("latin-1") if isinstance(name, bytes) else name: value
        for name, value in found.items()
    }


def _unpickled(content: bytes, what: str) -> Any:
    try:
        return read_pickle(content)
    except PickleError as error:
        raise FileError(f"{what} cannot be read as pickled data: {error}.") from None
