"""Short tracebacks, without Hornbeam's and JAX's frames except the frame that raised the error."""

from __future__ import annotations

import os
import types
from typing import TypeVar

import jax
import jaxlib

from hornbeam import settings

__all__ = ["ShortTraceback", "shortened"]

AnyError = TypeVar("AnyError", bound=BaseException)

_FOLDERS = tuple(
    os.path.dirname(os.path.abspath(str(file))) + os.sep
    for file in (settings.__file__, jax.__file__, jaxlib.__file__)
)
_BETWEEN = (os.sep + "contextlib.py", os.path.join("concurrent", "futures", "_base.py"))


def shortened(error: AnyError) -> AnyError:
    """Shorten an error's traceback to the user's frames and the last frame.

    Also removes JAX's note about its own traceback filtering.
    `hornbeam.config.disable_traceback_filtering()` keeps all frames.
    """
    if not settings.is_traceback_filtering_enabled():
        return error
    notes = getattr(error, "__notes__", None)
    if notes:
        notes[:] = [note for note in notes if "JAX_TRACEBACK_FILTERING" not in str(note)]
    entries, entry = [], error.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    short: types.TracebackType | None = None
    for entry in reversed(entries):
        if short is None or not _is_internal(entry.tb_frame.f_code.co_filename):
            short = types.TracebackType(short, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    error.__traceback__ = short
    return error


def _is_internal(file: str) -> bool:
    return file.startswith(_FOLDERS) or file.endswith(_BETWEEN)


class ShortTraceback:
    """Context manager that shortens the tracebacks of errors with `shortened`.

    Example:
        >>> with ShortTraceback():
        ...     pass
    """

    def __enter__(self) -> None:
        pass

    def __exit__(self, cls: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception):
            shortened(error)
