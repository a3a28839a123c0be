"""The forms of TensorFlow's functions: how an op gets their names and orders of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from hornbeam.core.convert import convert
from hornbeam.core.variable import Variable
from hornbeam.tensorflow.dtypes import device_dtype

__all__ = ["binary", "named", "of_features", "of_input", "reduction", "static", "tensor", "unary"]

Function = Callable[..., Any]


def tensor(x: Any, dtype: Any = None) -> Any:
    """Return `x` as an array, or as the symbolic tensor that it is."""
    if isinstance(x, Variable):
        x = x.value
    return convert(x, None if dtype is None else device_dtype(dtype))


def static(x: Any) -> Any:
    """Return sizes, axes or other settings as Python's numbers in nested tuples.

    Example:
        >>> static(np.array([[1, 2]])), static([3, np.int32(4)])
        (((1, 2),), (3, 4))
    """
    if isinstance(x, Variable):
        x = x.value
    if isinstance(x, (np.ndarray, np.generic, jax.Array)) and not isinstance(x, jax.core.Tracer):
        x = np.asarray(x).tolist()
    if isinstance(x, (list, tuple)):
        return tuple(static(item) for item in x)
    return x


def named(function: Function, name: str) -> Function:
    """Give a function that a form made its name."""
    function.__name__ = function.__qualname__ = name
    function.__module__ = "hornbeam.tensorflow"
    return function


def unary(op: Function) -> Function:
    """Return an op of one tensor as a function of `x`."""

    def function(x: Any, name: str | None = None) -> Any:
        return op(tensor(x))

    return function


def of_features(op: Function) -> Function:
    """Return an op of one tensor as a function of `features`."""

    def function(features: Any, name: str | None = None) -> Any:
        return op(tensor(features))

    return function


def of_input(op: Function) -> Function:
    """Return an op of one tensor as a function of `input`."""

    def function(input: Any, name: str | None = None) -> Any:
        return op(tensor(input))

    return function


def binary(op: Function) -> Function:
    """Return an op of two tensors as a function of `x` and `y`, which may be a Python number."""

    def function(x: Any, y: Any, name: str | None = None) -> Any:
        return op(_partner(x, y), _partner(y, x))

    return function


def _partner(x: Any, other: Any) -> Any:
    """Leave a Python number beside a tensor as it is, so that it takes the tensor's dtype."""
    is_number = isinstance(x, (bool, int, float)) and not isinstance(x, np.generic)
    return x if is_number and hasattr(other, "dtype") else tensor(x)


def reduction(op: Function) -> Function:
    """Return an op that reduces axes as a function of `input_tensor`."""

    def function(
        input_tensor: Any, axis: Any = None, keepdims: bool | None = False, name: str | None = None
    ) -> Any:
        return op(tensor(input_tensor), axis=static(axis), keepdims=bool(keepdims))

    return function
