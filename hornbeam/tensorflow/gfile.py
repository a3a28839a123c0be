"""`tf.io.gfile`: files and folders of this machine."""

from __future__ import annotations

import glob as _glob
import os
import shutil
from collections.abc import Iterator
from typing import Any

from hornbeam.tensorflow.string_tensor import holds_text, text_of

__all__ = [
    "GFile", "copy", "exists", "get_registered_schemes", "glob", "isdir", "join", "listdir",
    "makedirs", "mkdir", "remove", "rename", "rmtree", "stat", "walk",
]  # fmt: skip


def _path(path: Any) -> str:
    return os.fspath(path) if isinstance(path, os.PathLike) else text_of(path)


class GFile:
    """A file, as `open` returns it; in the modes of bytes, `"rb"` and `"wb"`, or of text.

    Example:
        >>> with GFile("a.txt", "w") as file:  # doctest: +SKIP
        ...     file.write("text")
    """

    def __init__(self, name: Any, mode: str = "r"):
        if mode.replace("b", "") not in ("r", "w", "a", "r+", "w+", "a+"):
            raise ValueError(f"GFile: `mode` must be a mode of `open`, received {mode!r}.")
        self.name, self.mode = _path(name), mode
        encoding = None if "b" in mode else "utf-8"
        self._file = open(self.name, mode, encoding=encoding)

    def read(self, n: int = -1) -> Any:
        """Return the next `n` characters or bytes, or all."""
        return self._file.read(n)

    def size(self) -> int:
        """Return the number of bytes of the file."""
        return os.path.getsize(self.name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()


def exists(path: Any) -> bool:
    """Return whether there is a file or folder.

    Example:
        >>> exists("no-such-file")
        False
    """
    return os.path.exists(_path(path))


def isdir(path: Any) -> bool:
    """Return whether there is a folder."""
    return os.path.isdir(_path(path))


def glob(pattern: Any) -> list[str]:
    """Return the paths that match a pattern, or several patterns, in order."""
    one = isinstance(pattern, os.PathLike) or (holds_text(pattern) and
                                               not isinstance(pattern, (list, tuple)))  # fmt: skip
    patterns = [pattern] if one else pattern
    return sorted({path for p in patterns for path in _glob.glob(_path(p), include_hidden=True)})


def join(path: Any, *paths: Any) -> str:
    """Return a path of several parts."""
    return os.path.join(_path(path), *map(_path, paths))


def listdir(path: Any) -> list[str]:
    """Return the names in a folder."""
    return os.listdir(_path(path))


def makedirs(path: Any) -> None:
    """Create a folder and those above it, unless they are there."""
    os.makedirs(_path(path), exist_ok=True)


def mkdir(path: Any) -> None:
    """Create a folder."""
    os.mkdir(_path(path))


def remove(path: Any) -> None:
    """Delete a file."""
    os.remove(_path(path))


def rmtree(path: Any) -> None:
    """Delete a folder with all that is in it."""
    shutil.rmtree(_path(path))


def _free(function: str, dst: str, overwrite: bool) -> None:
    if os.path.exists(dst) and not overwrite:
        raise FileExistsError(f"gfile.{function}: {dst!r} exists. Pass `overwrite=True`.")


def copy(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Copy a file."""
    _free("copy", _path(dst), overwrite)
    shutil.copyfile(_path(src), _path(dst))


def rename(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Move a file or folder."""
    _free("rename", _path(dst), overwrite)
    os.replace(_path(src), _path(dst))


class FileStatistics:
    """Size and times of a file."""

    def __init__(self, found: os.stat_result, path: str):
        self.length, self.mtime_nsec = found.st_size, found.st_mtime_ns
        self.is_directory = os.path.isdir(path)


def stat(path: Any) -> FileStatistics:
    """Return the size and the time of the last change of a file."""
    return FileStatistics(os.stat(_path(path)), _path(path))


def walk(
    top: Any, topdown: bool = True, onerror: Any = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield each folder below one, with the names of its folders and files."""
    return os.walk(_path(top), topdown=topdown, onerror=onerror)


def get_registered_schemes() -> list[str]:
    """Return the kinds of addresses that can be opened: only files of this machine."""
    return ["", "file"]
