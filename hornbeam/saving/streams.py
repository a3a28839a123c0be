"""Open files in place of paths: they are read and written through a temporary file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hornbeam.optional import h5py_library
from hornbeam.typing import FilePath

__all__ = ["is_stream", "read_path", "written_path"]


def is_stream(file: Any) -> bool:
    """Return whether `file` is an open file, such as `io.BytesIO`, or an open `h5py.File`.

    Example:
        >>> import io
        >>> is_stream(io.BytesIO()), is_stream("model.keras")
        (True, False)
    """
    return hasattr(file, "read") or hasattr(file, "write") or _is_h5py(file)


@contextmanager
def read_path(file: Any) -> Iterator[FilePath]:
    """Yield a path with the content of `file`, an open file or a path.

    Raises:
        TypeError: If it is open for text.
    """
    if not is_stream(file):
        yield os.fspath(file)
        return
    with tempfile.TemporaryDirectory(prefix="hornbeam-read-") as folder:
        path = os.path.join(folder, "file")
        if _is_h5py(file):
            with h5py_library().File(path, "w") as copy:
                _copy_h5(file, copy)
        else:
            with open(path, "wb") as copy:
                shutil.copyfileobj(_binary(file, "read"), copy, 2**20)
        yield path


@contextmanager
def written_path(file: Any, ending: str) -> Iterator[FilePath]:
    """Yield a path to write to; an open file gets what was written there.

    Args:
        file: An open file or a path.
        ending: End of the temporary file's name, such as `".keras"`.

    Raises:
        TypeError: If it is open for text.
    """
    if not is_stream(file):
        yield os.fspath(file)
        return
    target = file if _is_h5py(file) else _binary(file, "write")
    with tempfile.TemporaryDirectory(prefix="hornbeam-write-") as folder:
        path = os.path.join(folder, f"file{ending}")
        yield path
        if _is_h5py(file):
            with h5py_library().File(path, "r") as written:
                _copy_h5(written, target)
        else:
            with open(path, "rb") as written:
                shutil.copyfileobj(written, target, 2**20)


def _is_h5py(file: Any) -> bool:
    return type(file).__module__.split(".")[0] == "h5py" and hasattr(file, "create_group")


def _binary(file: Any, method: str) -> Any:
    if not hasattr(file, method) or hasattr(file, "encoding"):
        raise TypeError(
            f"Expected a path, or a file that is open in binary mode to {method} it, received"
            f" {type(file).__name__}. Open it with mode '{method[0]}b'."
        )
    return file


def _copy_h5(source: Any, target: Any) -> None:
    for name, value in source.attrs.items():
        target.attrs[name] = value
    for name in source:
        source.copy(name, target)
