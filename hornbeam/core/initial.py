"""Calls of initializers: which arguments a function of the user takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from hornbeam.core.provenance import is_library_code
from hornbeam.typing import DType

__all__ = ["initial_value"]


def initial_value(
    initializer: Callable[..., Any], shape: Sequence[int], dtype: DType, name: str | None = None
) -> Any:
    """Return the first value of a variable.

    Args:
        initializer: A function of `(shape, dtype)`, `(shape)` or, as in Keras 1, `(shape, name)`.
        shape: The variable's shape.
        dtype: Its dtype.
        name: Its name.

    Example:
        >>> from hornbeam import initializers
        >>> initial_value(initializers.Ones(), (2,), "float32").tolist()
        [1.0, 1.0]
    """
    if is_library_code(initializer):
        return initializer(shape, dtype=dtype)
    try:
        parameters = inspect.signature(initializer).parameters
    except (TypeError, ValueError):  # some built-in functions have no signature
        return initializer(shape, dtype=dtype)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if takes_any or "dtype" in parameters or "name" not in parameters and len(parameters) > 1:
        return initializer(shape, dtype=dtype)
    return initializer(shape, **({"name": name} if "name" in parameters else {}))
