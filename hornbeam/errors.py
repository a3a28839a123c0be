"""Wording of errors: how values, shapes and near misses are described."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from hornbeam import tree

__all__ = ["FileError", "describe", "listed", "reworded", "unknown_name"]

LONGEST = 4_000
"""Most characters of the text of a `FileError`."""


class FileError(ValueError):
    """A file is damaged, is no model file, or asks for what files may not have.

    Whatever is wrong with a file, loading it raises this error (or `FileNotFoundError` where there
    is none).

    Example:
        >>> import hornbeam as hb
        >>> try:
        ...     hb.models.model_from_json("{")
        ... except hb.saving.FileError as error:
        ...     print("JSON" in str(error))
        True
    """

    def __init__(self, text: str = ""):
        # A file chooses the names that a message tells: what is longer than anybody reads is cut.
        super().__init__(
            text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"
        )


def describe(value: Any) -> str:
    """Say in a few words what `value` is: shape and dtype for tensors, else its repr.

    Example:
        >>> import numpy as np
        >>> describe(np.zeros((2, 3), "float32"))
        'float32 tensor of shape (2, 3)'
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} tensor of shape {tuple(value.shape)}"
    if tree.is_nested(value):
        items = [describe(item) for item in tree.flatten(value)[:4]]
        return f"{type(value).__name__} of [{', '.join(items)}]"
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def listed(names: Iterable[str]) -> str:
    """List names for a message, in quotes.

    Example:
        >>> listed(["a", "b"])
        "'a', 'b'"
    """
    return ", ".join(repr(name) for name in names)


def reworded(error: Exception, change: Callable[[str], str]) -> Exception:
    """Return `error` with its text changed, if it is a plain `ValueError` or `TypeError`.

    Example:
        >>> reworded(ValueError("no"), str.upper)
        ValueError('NO')
    """
    if type(error) in (ValueError, TypeError) and len(error.args) <= 1:
        error.args = (change(str(error)),)
    return error


def unknown_name(kind: str, name: Any, known: Iterable[str]) -> ValueError:
    """Return the error for a name that nothing answers to, with the nearest known names.

    Example:
        >>> str(unknown_name("loss", "msee", ["mse", "mae"]))
        "Unknown loss 'msee'. Did you mean 'mse'? Known: 'mae', 'mse'."
    """
    known = sorted(set(known))
    near = difflib.get_close_matches(str(name), known, n=2)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ValueError(f"Unknown {kind} {name!r}.{hint} Known: {listed(known)}.")
