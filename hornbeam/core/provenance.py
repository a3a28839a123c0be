"""Whose code a class or a function is: Hornbeam's, or the user's."""

from __future__ import annotations

import types
from typing import Any

__all__ = ["is_library_code"]

_PACKAGE = __name__.partition(".")[0]


def is_library_code(x: object) -> bool:
    """Return whether Hornbeam defines a class, a function or method, or the class of an object.

    The top-level package decides, so a module named `hornbeam_extras` is the user's. A user's
    function that `functools.wraps` dressed up as one of Hornbeam's is the user's too.

    Args:
        x: A class, a function, a bound method, or any other object, whose class counts.

    Example:
        >>> from hornbeam import losses
        >>> [is_library_code(x) for x in (losses.mean_squared_error, losses.Huber(), len)]
        [True, True, False]
    """
    if isinstance(x, types.MethodType):
        x = x.__func__
    if isinstance(x, types.FunctionType):
        return _is_in_package(x.__module__) and _is_in_package(x.__globals__.get("__name__"))
    cls = x if isinstance(x, type) else type(x)
    return _is_in_package(cls.__module__)


def _is_in_package(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == _PACKAGE
