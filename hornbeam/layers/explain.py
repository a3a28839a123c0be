"""Adds the layer's name, its inputs and a remedy to errors from inside a layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from hornbeam import tree
from hornbeam.core.graph import describe_inputs

__all__ = ["UNTRACEABLE", "explained", "memory_for", "untraceable"]

UNTRACEABLE = (
    jax.errors.TracerBoolConversionError, jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)  # fmt: skip


def explained(
    error: Exception, label: str, path: str, args: tuple, kwargs: dict[str, Any],
    takes_one: bool = False,
) -> Exception:  # fmt: skip
    """Return the error with the layer and its inputs named in the message.

    The innermost layer adds its name; layers around it that its path lacks complete the path. Only
    `ValueError` and `TypeError` are changed, and errors of code that gets a list
    instead of a tensor.

    Args:
        error: The error that `call` raised.
        label: The layer's name in messages.
        path: The layer's path.
        args, kwargs: Arguments of the call.
        takes_one: Whether the layer takes one tensor, not a list.
    """
    in_a_list = takes_one and _is_one_in_a_list(args)
    if in_a_list and isinstance(error, (AttributeError, LookupError)):
        error = TypeError(str(error)).with_traceback(error.__traceback__)
    if not isinstance(error, (ValueError, TypeError)):
        return error
    inner = getattr(error, "_explained", "")
    if inner:
        return _inside(error, inner, path)
    if isinstance(error, UNTRACEABLE):
        error = TypeError(untraceable(error)).with_traceback(error.__traceback__)
    text = str(error)
    if in_a_list:
        kind = type(args[0]).__name__
        text = (
            f"the layer failed, perhaps because it takes a tensor and got a {kind} of one. Pass the"
            f" tensor itself, not the {kind}. ({text})"
        )
    where = f"{label} was called with {describe_inputs(args, kwargs)}."
    if type(error) in (ValueError, TypeError) and len(error.args) <= 1:
        if f"'{path}'" not in text:
            text = f"{label}: {text}"
        text = text if text.endswith((".", "!", "?")) else f"{text}."
        error.args = (f"{text} {where if label not in text else where.replace(label, 'It', 1)}",)
    else:
        error.add_note(where)
    error._explained = path  # type: ignore[union-attr]  # read by the layers around this one
    return error


def _is_one_in_a_list(args: tuple) -> bool:
    """Return whether the first argument of a call is a list, tuple or dictionary of one tensor."""
    if not args or not isinstance(args[0], (list, tuple, dict)):
        return False
    leaves = tree.flatten(args[0])
    return len(leaves) == 1 and hasattr(leaves[0], "shape")


def _inside(error: Exception, inner: str, path: str) -> Exception:
    """Complete the path of the layer in an error, which was called inside the layer at `path`."""
    # In its first call, a layer may not know its own path yet, only its name.
    if path.rpartition("/")[2] in inner.split("/") or len(error.args) != 1:
        return error
    whole = f"{path}/{inner}"
    error.args = (str(error).replace(f"'{inner}'", f"'{whole}'"),)
    error._explained = whole  # type: ignore[attr-defined]  # read as above
    return error


def untraceable(error: Exception, where: str = "`call`") -> str:
    """Return a message that says which Python code tracing cannot run, and the alternative."""
    start = f"while {where} is compiled, or its shapes are found, tensors have no values; "
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return (
            start + "a Python condition (`if`, `while`, `and`, `not`) cannot use one. Use"
            " `hornbeam.ops.where` or `ops.cond`."
        )
    if isinstance(error, jax.errors.TracerIntegerConversionError):
        return start + "an index or a size cannot be one. Use `hornbeam.ops.take` or `ops.slice`."
    return (
        start
        + "a NumPy function cannot use one. Use the function of the same name in `hornbeam.ops`."
    )


@contextmanager
def memory_for(label: str, name: str | None, shape: tuple[int, ...], dtype: Any) -> Iterator[None]:
    """Name the layer and the weight in an error about memory."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        size = math.prod(shape) * np.dtype(jax.dtypes.canonicalize_dtype(dtype)).itemsize
        raise MemoryError(
            f"{label}: not enough memory for the weight '{name or 'variable'}' of shape {shape},"
            f" {size} bytes ({size / 2**30:.3g} GiB). Make the layer or its input smaller."
        ) from None
