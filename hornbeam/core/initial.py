"""First values of variables: when they are made, and which arguments an initializer takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from hornbeam.core.provenance import is_library_code
from hornbeam.typing import DType

__all__ = ["are_delayed", "delayed_values", "initial_value"]

_delayed: ContextVar[bool] = ContextVar("hornbeam_delayed_values", default=False)


@contextmanager
def delayed_values() -> Iterator[None]:
    """Inside the block, the first value of a variable is made when it is read.

    A value that is assigned before is never made. The values are the same, because an initializer
    draws its seed when it is constructed.

    Example:
        >>> from hornbeam import Variable
        >>> with delayed_values():
        ...     v = Variable("ones", shape=(2,))
        >>> v.numpy()
        array([1., 1.], dtype=float32)
    """
    token = _delayed.set(True)
    try:
        yield
    finally:
        _delayed.reset(token)


def are_delayed() -> bool:
    """Return whether first values are made when they are read."""
    return _delayed.get()


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
