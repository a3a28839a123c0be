"""Protection while files are loaded: restrictions, and one error type for every fault."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hornbeam import errors
from hornbeam.core import registry
from hornbeam.core.loading import current_loading, loading
from hornbeam.errors import FileError
from hornbeam.typing import FilePath

__all__ = ["checked_model", "guarded_configuration", "guarded_file", "one_error"]


@contextmanager
def one_error(what: str) -> Iterator[None]:
    """Raise any error inside the block as `FileError`, with the original error as its cause.

    The errors of a missing or unreadable file, and `MemoryError`, are raised unchanged.

    Args:
        what: Name of the file, added to messages that lack it.
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
def guarded_file(path: FilePath, safe_mode: bool = True) -> Iterator[None]:
    """Load a model file inside the block, with the rules of `hornbeam.core.loading`.

    Errors are raised as `FileError`.

    Args:
        path: The file or folder.
        safe_mode: Whether to refuse code from the file, and arrays that take far more memory than
            the file.
    """
    what = f"'{Path(path).name}'"
    with one_error(what), loading(what, _size(path), code=not safe_mode, trusted=not safe_mode):
        yield


@contextmanager
def guarded_configuration(what: str, safe_mode: bool = True) -> Iterator[None]:
    """Create objects from a configuration inside the block, with the rules of `guarded_file`.

    While a file is being loaded, the rules of that load stay in force. Otherwise variables are
    initialized when they are first read: a configuration of a few bytes can describe any number of
    weights, and the weights may be loaded from a file later.

    Args:
        what: Name of the configuration for messages.
        safe_mode: Whether to refuse code in the configuration.
    """
    if current_loading() is not None and (safe_mode or current_loading().code):  # type: ignore[union-attr]
        yield
        return
    try:
        with loading(what, code=not safe_mode, trusted=not safe_mode):
            yield
    except RecursionError as error:
        raise FileError(f"{what} is nested too deeply.") from error


def checked_model(found: Any, what: str, families: Sequence[str] = ("model",)) -> Any:
    """Return `found`, the object that a file describes, if it is a model.

    Args:
        found: The object.
        what: Name of the file for the message.
        families: Families to which the object may belong.

    Raises:
        FileError: If it belongs to none of them.
    """
    if not any(isinstance(found, registry.family(name).base) for name in families):
        raise FileError(f"{what} must describe a model, but describes {errors.describe(found)}.")
    return found


def _size(path: Any) -> int:
    path = Path(path)
    if not path.is_dir():
        return path.stat().st_size
    return sum(
        (Path(place) / name).lstat().st_size for place, _, names in os.walk(path) for name in names
    )
