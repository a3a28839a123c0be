"""Wording of errors: descriptions of values, shapes and similar names."""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from hornbeam import tree

__all__ = [
    "ArgumentError", "FileError", "describe", "known_arguments", "listed", "reworded", "unexpected",
    "unknown_name", "warn",
]  # fmt: skip

Callee = TypeVar("Callee", bound=Callable[..., Any])

LONGEST = 4_000
"""Maximum number of characters of a `FileError`'s message."""


class FileError(ValueError):
    """A file is damaged, is not a model file, or contains something that is not allowed.

    Loading raises this error for every fault of a file, and `FileNotFoundError` for a missing file.

    Example:
        >>> import hornbeam as hb
        >>> try:
        ...     hb.models.model_from_json("{")
        ... except hb.saving.FileError as error:
        ...     print("JSON" in str(error))
        True
    """

    def __init__(self, text: str = ""):
        # Messages quote names from files, so their length must be limited.
        super().__init__(
            text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"
        )


class ArgumentError(TypeError, ValueError):
    """An argument is unknown, or an object of another kind is expected.

    Code for Keras catches `ValueError` for some of these faults and `TypeError` for others. This
    error is both.

    Example:
        >>> import hornbeam as hb
        >>> try:
        ...     hb.layers.Dense(3, unit=3)
        ... except ValueError as error:
        ...     print(isinstance(error, TypeError))
        True
    """


def describe(value: object) -> str:
    """Return a short description of `value`: shape and dtype of a tensor, else its repr.

    Example:
        >>> import numpy as np
        >>> describe(np.zeros((2, 3), "float32"))
        'float32 tensor of shape (2, 3)'
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} tensor of shape {tuple(value.shape)}"
    if tree.is_nested(value):
        items = [describe(x) for x in tree.flatten(value)[:4] if x is not value]
        return f"{type(value).__name__} of [{', '.join(items)}]"
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def listed(names: Iterable[str]) -> str:
    """Return the names in quotes, separated by commas.

    Example:
        >>> listed(["a", "b"])
        "'a', 'b'"
    """
    return ", ".join(repr(name) for name in names)


def reworded(error: Exception, change: Callable[[str], str]) -> Exception:
    """Return `error` with its text changed, if it is a `ValueError` or `TypeError`.

    Example:
        >>> reworded(ValueError("no"), str.upper)
        ValueError('NO')
    """
    if type(error) in (ValueError, TypeError, ArgumentError) and len(error.args) <= 1:
        error.args = (change(str(error)),)
    return error


def unexpected(owner: str, names: Iterable[str], known: Iterable[str]) -> ArgumentError:
    """Return the error for unknown arguments, with the most similar known ones.

    Args:
        owner: The function or class, for the message.
        names: The unknown arguments.
        known: The arguments that it takes.

    Example:
        >>> str(unexpected("fit", ["epoch"], ["epochs", "verbose"]))
        "fit: unexpected argument 'epoch'. Did you mean 'epochs'?"
    """
    names, known = sorted(names), list(dict.fromkeys(known))
    near = [hit for name in names for hit in difflib.get_close_matches(name, known, n=1)]
    hint = f"Did you mean {listed(dict.fromkeys(near))}?"
    if not near:
        hint = f"It takes {listed(known) or 'none'}."
    return ArgumentError(
        f"{owner}: unexpected argument{'s' * (len(names) > 1)} {listed(names)}. {hint}"
    )


def known_arguments(function: Callee) -> Callee:
    """Make a function's error for an unknown argument suggest the most similar known one.

    Example:
        >>> @known_arguments
        ... def train(epochs=1): ...
        >>> train(epoch=2)
        Traceback (most recent call last):
        hornbeam.errors.ArgumentError: train: unexpected argument 'epoch'. Did you mean 'epochs'?
    """
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    known = frozenset(names)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not known.issuperset(kwargs):
            raise unexpected(function.__name__, set(kwargs) - known, names)
        return function(*args, **kwargs)

    return cast(Callee, wrapper)


def unknown_name(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """Return the error for an unknown name, with the most similar known names.

    Example:
        >>> str(unknown_name("loss", "msee", ["mse", "mae"]))
        "Unknown loss 'msee'. Did you mean 'mse'? Known: 'mae', 'mse'."
    """
    known = sorted(set(known))
    near = difflib.get_close_matches(str(name), known, n=2)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ValueError(f"Unknown {kind} {name!r}.{hint} Known: {listed(known)}.")


# The frames of these packages are not the user's.
_NOT_USER = ("hornbeam", "jax", "threading", "concurrent", "contextlib")


def warn(text: str) -> None:
    """Warn; the warning shows the line of the user's code that called Hornbeam.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn("the rate is large")
        >>> str(caught[0].message)
        'the rate is large'
    """
    frame, level = sys._getframe(1), 2
    while (
        frame.f_back is not None
        and str(frame.f_globals.get("__name__")).partition(".")[0] in _NOT_USER
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)
