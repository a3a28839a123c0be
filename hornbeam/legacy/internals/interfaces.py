"""`keras.legacy.interfaces`: decorators of Keras 2.0 that took older words; here they do nothing.

Hornbeam's layers take the older words themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["generate_legacy_interface", "legacy_get_updates_support", "raise_duplicate_arg_error"]


def generate_legacy_interface(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
    """Return a decorator that returns the function as it is."""
    return lambda function: function


def legacy_get_updates_support(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as it is."""
    return function


def raise_duplicate_arg_error(old_arg: str, new_arg: str) -> None:
    """Raise the error for an argument that is given by two names."""
    raise TypeError(f"`{old_arg}` is the older name of `{new_arg}`. Pass only `{new_arg}`.")


def __getattr__(name: str) -> Any:
    if name.startswith("legacy_") and name.endswith("_support"):
        return legacy_get_updates_support
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
