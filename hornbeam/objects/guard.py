"""The border between files and the program: whatever is wrong with a file becomes one error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hornbeam import errors
from hornbeam.core import registry
from hornbeam.core.loading import current_loading, loading
from hornbeam.errors import FileError

__all__ = ["checked_model", "guarded_configuration", "guarded_file", "one_error"]


@contextmanager
def one_error(what: str) -> Iterator[None]:
    """Turn what goes wrong inside the block into `FileError`, its cause attached.

    A missing or forbidden file stays the `OSError` that it is, and a lack of memory `MemoryError`.

    Args:
        what: Name of the file, for messages that do not have it.
    """
    try:
        yield
    except (FileError, FileNotFoundError, PermissionError, MemoryError):
        raise
    except RecursionError as error:
        raise FileError(f"{what} is nested too deeply.") from error
    except ValueError as error:
        raise FileError(str(error)) from error
    except Exception as error:
        raise FileError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error


@contextmanager
def guarded_file(path: Any, safe_mode: bool = True) -> Iterator[None]:
    """Load a model file inside the block: rules of `hornbeam.core.loading` hold, errors are of one type.

    Args:
        path: The file or folder.
        safe_mode: Whether code from the file is refused, and memory that the file does not pay for.
    """
    what = f"'{Path(path).name}'"
    with one_error(what), loading(what, _size(path), code=not safe_mode, trusted=not safe_mode):
        yield


@contextmanager
def guarded_configuration(what: str, safe_mode: bool = True) -> Iterator[None]:
    """Make objects from a configuration inside the block, as `guarded_file` does from a file.

    Inside a file that is being loaded nothing changes. Elsewhere variables get their values when they are first
    read: a configuration of a few bytes may describe any number of weights, and weights may follow from a file.

    Args:
        what: Name of the configuration for messages.
        safe_mode: Whether code in it is refused.
    """
    if current_loading() is not None and (safe_mode or current_loading().code):  # type: ignore[union-attr]
        yield
        return
    try:
        with loading(what, code=not safe_mode, trusted=not safe_mode):
            yield
    except RecursionError as error:
        raise FileError(f"{what} is nested too deeply.") from error


def checked_model(found: Any, what: str) -> Any:
    """Return what a file described, if that is a model.

    Raises:
        FileError: If it is something else.
    """
    if not isinstance(found, registry.family("model").base):
        raise FileError(f"{what} describes no model but {errors.describe(found)}.")
    return found


def _size(path: Any) -> int:
    path = Path(path)
    if not path.is_dir():
        return path.stat().st_size
    return sum((Path(place) / name).lstat().st_size for place, _, names in os.walk(path) for name in names)
