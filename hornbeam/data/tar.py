"""Reads samples from tar files in the WebDataset format, one after another.

The files may be untrusted, so nothing is unpacked to disk, sizes are limited, and pickles are not
loaded.
"""

from __future__ import annotations

import ast
import io
import itertools
import json
import math
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from hornbeam.data.skipped import Skipped
from hornbeam.errors import FileError
from hornbeam.optional import import_module

__all__ = ["samples_of"]

_MOST_BYTES = 2**30  # of one file in a tar file
_DAMAGE = (tarfile.TarError, EOFError, OSError, zlib.error)
_PICKLES = ("pyd", "pickle", "pkl", "pth", "pt", "joblib")


def samples_of(
    paths: list[str], wanted: Collection[str] | None = None, skipped: Skipped | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the samples of tar files: dictionaries from extensions to decoded contents.

    Args:
        paths: The tar files.
        wanted: The extensions to read. Files with other extensions become `None`. Default: all.
        skipped: Where the files that cannot be read are noted: tar files from the damage on, and
            files in them, whose samples are left out. Default: such a file is an error.

    Raises:
        ValueError: If a tar file is damaged, or a file in it cannot be decoded.
    """
    for path in paths:
        try:
            yield from _samples(path, wanted, skipped)
        except FileError as error:
            if skipped is None:
                raise
            skipped[path] = str(error)
    if skipped is not None:
        skipped.warn()


def _samples(
    path: str, wanted: Collection[str] | None, skipped: Skipped | None
) -> Iterator[dict[str, Any]]:
    named = ((*_split(name), content) for name, content in _files(path, wanted))
    for key, files in itertools.groupby(named, lambda file: file[0]):
        sample: dict[str, Any] | None = {"__key__": key}
        for _, extension, content in files:
            if sample is None:
                continue
            if extension in sample:
                raise ValueError(
                    f"Dataset.from_tar: sample {key!r} of {path!r} holds .{extension} twice."
                )
            where = f"{key}.{extension} of {path!r}"
            try:
                sample[extension] = None if content is None else _decode(content, extension, where)
            except FileError as error:
                if skipped is None:
                    raise
                skipped[where] = str(error)
                sample = None
        if sample is not None:
            yield sample


def _files(path: str, wanted: Collection[str] | None) -> Iterator[tuple[str, bytes | None]]:
    """Yield names and contents of the files in a tar file, with `None` for unwanted contents."""
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                extension = _split(member.name)[1]
                if not member.isfile() or not extension or _is_hidden(member.name):
                    continue
                if wanted is not None and extension not in wanted:
                    yield member.name, None
                    continue
                if member.size > _MOST_BYTES or member.issparse():
                    raise FileError(
                        f"Dataset.from_tar: {member.name!r} of {path!r} must have at most"
                        f" {_MOST_BYTES} bytes and not be sparse, received {member.size} bytes."
                    )
                file = archive.extractfile(member)
                content = b"" if file is None else file.read()
                if len(content) != member.size:
                    raise EOFError(f"{member.name!r} ends early")
                yield member.name, content
    except _DAMAGE as error:
        raise FileError(
            f"Dataset.from_tar: {path!r} is damaged or not a tar file: {error}"
        ) from error


def _split(name: str) -> tuple[str, str]:
    """Split a file name at its first dot into the key, with its folder, and the extension."""
    folder, base = os.path.split(name)
    stem, _, extension = base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), extension.lower()


def _is_hidden(name: str) -> bool:
    return os.path.basename(name).startswith(".")


def _decode(content: bytes, extension: str, where: str) -> Any:
    last = extension.rpartition(".")[2]
    if last in _PICKLES:
        raise ValueError(
            f"Dataset.from_tar: {where} is a pickle. It is not loaded, because a pickle can run"
            " arbitrary code. Store arrays as .npy, or pass the extensions to read as `columns`."
        )
    decode = _DECODERS.get(last)
    if decode is None:
        return content
    try:
        return decode(content)
    except ImportError:
        raise
    except Exception as error:  # image decoders raise many kinds of errors
        raise FileError(f"Dataset.from_tar: {where} cannot be decoded: {error}") from error


def _image(content: bytes) -> np.ndarray:
    pillow = import_module("PIL.Image", extra="image", needed_for="An image in a tar file")
    with pillow.open(io.BytesIO(content)) as image:
        return np.asarray(image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGB"))


def _npy(content: bytes) -> np.ndarray:
    """Decode a .npy file without pickles, and without using more memory than the file's size."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    length = struct.unpack("<H", file.read(2))[0] if version == (1, 0) else (
        struct.unpack("<I", file.read(4))[0]
    )  # fmt: skip
    if length > 10_000:
        raise ValueError("its header is too long")
    header = ast.literal_eval(file.read(length).decode("latin1"))
    dtype, shape = np.lib.format.descr_to_dtype(header["descr"]), tuple(header["shape"])
    if dtype.hasobject:
        raise ValueError("it holds Python objects, whose pickles can run arbitrary code")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell() or min((*shape, 0)) < 0:
        raise ValueError("its size does not match its shape")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    return flat.reshape(shape[::-1]).T if header["fortran_order"] else flat.reshape(shape)


def _npz(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
            raise ValueError(f"it would unpack to more than {_MOST_BYTES} bytes")
        return {name.removesuffix(".npy"): _npy(archive.read(name)) for name in archive.namelist()}


def _text(content: bytes) -> str:
    return content.decode("utf-8")


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    **dict.fromkeys(("txt", "text", "transcript"), _text),
    **dict.fromkeys(("cls", "cls2", "count", "index", "inx", "id"), lambda c: np.int64(int(c))),
    **dict.fromkeys(("json", "jsn"), lambda content: json.loads(content)),
    **dict.fromkeys(("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm"), _image),
    "npy": _npy,
    "npz": _npz,
}
