"""`keras.utils.tf_utils`: utilities around tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from hornbeam import ops, tree
from hornbeam.core.random import set_random_seed
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.utils.numerical import to_categorical

__all__ = [
    "constant_value", "convert_shapes", "dtype_is_floating", "expand_dims", "get_tensor_spec",
    "is_ragged_tensor", "is_symbolic_tensor", "is_tensor_or_tensor_list", "is_tensor_or_variable",
    "set_random_seed", "shape_type_conversion", "smart_cond", "sync_to_numpy_or_python_type",
    "to_categorical",
]  # fmt: skip


def is_tensor_or_tensor_list(v: Any) -> bool:
    """Return whether `v`, or the first item of the list `v`, is a tensor."""
    first = v[0] if isinstance(v, (list, tuple)) and v else v
    return isinstance(first, (jax.Array, KerasTensor, Variable))


def is_tensor_or_variable(x: Any) -> bool:
    """Return whether `x` is a tensor, symbolic or not, or a variable."""
    return isinstance(x, (jax.Array, KerasTensor, Variable))


def is_symbolic_tensor(tensor: Any) -> bool:
    """Return whether `tensor` has no values yet."""
    return isinstance(tensor, (KerasTensor, jax.core.Tracer))


def is_ragged_tensor(tensor: Any) -> bool:
    """Return false: there are no ragged tensors in graphs."""
    return False


def dtype_is_floating(dtype: Any) -> bool:
    """Return whether a dtype's name is that of floating-point numbers."""
    return "float" in str(dtype)


def constant_value(pred: Any) -> Any:
    """Return a condition as a Python truth value, or `None` if it is not known yet."""
    if is_symbolic_tensor(pred):
        return None
    return bool(np.asarray(pred.value if isinstance(pred, Variable) else pred))


def smart_cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    name: str | None = None,
) -> Any:
    """Return `true_fn()` if `pred` is true, else `false_fn()`; only one runs if it is known."""

    def nothing() -> None:
        return None

    return ops.cond(pred, true_fn or nothing, false_fn or nothing)


def convert_shapes(input_shape: Any, to_tuples: bool = True) -> Any:
    """Return shapes as tuples, or as lists."""
    make: Any = tuple if to_tuples else list
    return tree.map_shape_structure(make, input_shape)


def shape_type_conversion(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method take and return shapes as tuples."""

    @functools.wraps(fn)
    def wrapper(instance: Any, input_shape: Any) -> Any:
        return convert_shapes(
            fn(instance, None if input_shape is None else convert_shapes(input_shape))
        )

    return wrapper


def get_tensor_spec(t: Any, dynamic_batch: bool = False, name: str | None = None) -> KerasTensor:
    """Return shape and dtype of a tensor as a symbolic tensor."""
    shape = (None, *t.shape[1:]) if dynamic_batch else tuple(t.shape)
    return KerasTensor(shape, t.dtype, name=name)


def sync_to_numpy_or_python_type(tensors: Any) -> Any:
    """Return tensors as NumPy arrays, scalars as Python numbers."""

    def plain(x: Any) -> Any:
        array = np.asarray(x)
        return array.item() if array.ndim == 0 else array

    return tree.map_structure(plain, tensors)


def expand_dims(x: Any, axis: int = -1) -> Any:
    """Return a tensor with a further axis of size 1."""
    return ops.expand_dims(x, axis)
