"""Safe file operations: atomic replacement, recognition of formats, bounded JSON parsing."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hornbeam.errors import FileError
from hornbeam.typing import FilePath

__all__ = ["MissingFileError", "check_overwrite", "kind_of", "parse_json", "written_aside"]


class MissingFileError(FileNotFoundError, ValueError):
    """A file is missing: an `OSError` as in Python, and a `ValueError` as in Keras."""


_MAX_JSON = 64 * 2**20
_MAX_VALUES = 2_000_000  # about 200 MiB as Python objects
_MAX_DEPTH = 200


def kind_of(path: FilePath) -> str:
    """Return the kind of a file by its content: `"zip"`, `"h5"`, `"folder"` or `"unknown"`.

    Args:
        path: Path of the file.

    Raises:
        FileNotFoundError: If there is no such file; the message lists model files in the same
            folder.
    """
    path = Path(path)
    if path.is_dir():
        return "folder"
    if not path.exists():
        near = (
            sorted(p.name for p in path.parent.glob("*") if p.suffix in (".keras", ".h5", ".hdf5"))
            if (path.parent.is_dir())
            else []
        )
        there = f" Model files there: {', '.join(near[:8])}." if near else ""
        raise MissingFileError(f"File not found: no file at '{path}'.{there}")
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(b"PK"):
        return "zip"
    return "h5" if head == b"\x89HDF\r\n\x1a\n" else "unknown"


def check_overwrite(path: FilePath, overwrite: bool) -> None:
    """Raise `FileExistsError` if a file exists at `path` and `overwrite` is false."""
    if not overwrite and Path(path).exists():
        raise FileExistsError(f"'{path}' exists already; pass `overwrite=True` to replace it.")


@contextmanager
def written_aside(path: FilePath, folder: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write to; it replaces `path` when the block ends without an error.

    The file is synced to disk before it is renamed, so a crash leaves either the old or the new
    file.

    Args:
        path: The file (or folder) to write; its parent folders are created.
        folder: Whether it is a folder.

    Example:
        >>> place = Path(tempfile.mkdtemp(), "notes.txt")
        >>> with written_aside(place) as aside:
        ...     _ = aside.write_text("done")
        >>> place.read_text()
        'done'

    Raises:
        OSError: If the disk is full or the folder cannot be written to; the message names `path`.
    """
    try:
        with _aside(path, folder) as aside:
            yield aside
    except OSError as error:
        told = _cannot_write(path, error)
        if told is error:
            raise
        raise told from None


# What the system says if a file cannot be written; other errors come from the block itself.
_OF_DISKS = (
    errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EIO, errno.EISDIR, errno.ENOENT,
    errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS,
)  # fmt: skip


def _cannot_write(path: FilePath, error: OSError) -> OSError:
    """Return the error with the user's path instead of the temporary one."""
    said = re.search(r"errno = (\d+)", str(error))  # of the HDF5 library
    number = error.errno or (int(said.group(1)) if said else None)
    if number not in _OF_DISKS or not os.fspath(error.filename or path).startswith(
        str(Path(path).parent)
    ):
        return error
    return OSError(number, f"'{path}' cannot be written: {os.strerror(number)}")


@contextmanager
def _aside(path: FilePath, folder: bool) -> Iterator[Path]:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    place = tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)
    aside = Path(place) / path.name
    try:
        if folder:
            aside.mkdir()
        yield aside
        for file in [p for p in aside.rglob("*") if p.is_file()] if folder else [aside]:
            _sync(file)
        if folder and path.is_dir():
            old = Path(place) / f"{path.name}.old"
            os.replace(path, old)
        os.replace(aside, path)
        _sync(path.parent)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk.

    Raises:
        OSError: If a file could not be written completely. Some systems report a full disk only
            here.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # folders cannot be opened on some systems
        return
    try:
        os.fsync(handle)
    except OSError as error:
        # EINVAL and ENOTSUP mean that the file system does not support `fsync`.
        if path.is_file() and error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def parse_json(text: bytes | str, what: str) -> Any:
    """Parse JSON text that is bounded in size, depth and number of values.

    Raises:
        FileError: If it is not JSON, is too long, is nested too deeply, or has a name twice in one
            object.

    Example:
        >>> parse_json('{"units": 3}', "the configuration")
        {'units': 3}
    """
    if not isinstance(text, (bytes, str)):
        raise FileError(f"{what} is not text.")
    if len(text) > _MAX_JSON:
        raise FileError(
            f"{what} is {len(text)} bytes long, more than a model's configuration can be."
        )
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > _MAX_VALUES:
        raise FileError(f"{what} has more values than a model's configuration can have.")
    try:
        value = json.loads(text, object_pairs_hook=_members)
    except RecursionError:
        raise FileError(f"{what} is nested too deeply.") from None
    except ValueError as error:
        raise FileError(f"{what} is not valid JSON: {error}.") from None
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise FileError(f"{what} is nested more than {_MAX_DEPTH} levels deep.")
        level = [
            item
            for x in level
            if isinstance(x, (dict, list))
            for item in (x.values() if isinstance(x, dict) else x)
        ]
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"an object has the name {name!r} twice")
        found[name] = value
    return found
