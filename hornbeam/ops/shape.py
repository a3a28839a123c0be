"""Shapes, joining, cutting and indexing."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.symbolic import KerasTensor, Tensor, convert, op
from hornbeam.dtypes import standardize_dtype

__all__ = [
    "arange", "broadcast_to", "concatenate", "convert_to_numpy", "convert_to_tensor", "expand_dims", "eye", "flip", "full",
    "get_item", "is_tensor", "ones", "ones_like", "repeat", "reshape", "shape", "squeeze", "stack", "stop_gradient", "take",
    "tile", "transpose", "zeros", "zeros_like",
]  # fmt: skip


@op("numpy")
def reshape(x: Tensor, newshape: Sequence[int]) -> Tensor:
    """Return the elements of `x` in another shape; one size may be -1.

    Example:
        >>> reshape(jnp.zeros((2, 3)), (3, -1)).shape
        (3, 2)
    """
    return jnp.reshape(convert(x), newshape)


@op("numpy")
def concatenate(xs: Tensor, axis: int = 0) -> Tensor:
    """Join tensors along an axis.

    Example:
        >>> concatenate([jnp.zeros((1, 2)), jnp.ones((1, 2))]).shape
        (2, 2)
    """
    return jnp.concatenate([convert(x) for x in xs], axis)


@op("numpy")
def stack(x: Tensor, axis: int = 0) -> Tensor:
    """Join tensors along a new axis.

    Example:
        >>> stack([jnp.zeros(2), jnp.ones(2)]).shape
        (2, 2)
    """
    return jnp.stack([convert(item) for item in x], axis)


@op("numpy")
def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Reorder the axes; reversed by default.

    Example:
        >>> transpose(jnp.zeros((2, 3))).shape
        (3, 2)
    """
    return jnp.transpose(convert(x), axes)


@op("numpy")
def expand_dims(x: Tensor, axis: int) -> Tensor:
    """Insert an axis of size 1.

    Example:
        >>> expand_dims(jnp.zeros(2), 0).shape
        (1, 2)
    """
    return jnp.expand_dims(convert(x), axis)


@op("numpy")
def squeeze(x: Tensor, axis: int | None = None) -> Tensor:
    """Remove axes of size 1.

    Example:
        >>> squeeze(jnp.zeros((1, 2))).shape
        (2,)
    """
    return jnp.squeeze(convert(x), axis)


@op("numpy")
def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Broadcast to a shape.

    Example:
        >>> broadcast_to(jnp.zeros(2), (3, 2)).shape
        (3, 2)
    """
    return jnp.broadcast_to(convert(x), shape)


@op("numpy")
def tile(x: Tensor, repeats: Any) -> Tensor:
    """Repeat the whole tensor.

    Example:
        >>> tile(jnp.array([1, 2]), 2)
        Array([1, 2, 1, 2], dtype=int32)
    """
    return jnp.tile(convert(x), repeats)


@op("numpy")
def repeat(x: Tensor, repeats: Any, axis: int | None = None) -> Tensor:
    """Repeat each element.

    Example:
        >>> repeat(jnp.array([1, 2]), 2)
        Array([1, 1, 2, 2], dtype=int32)
    """
    return jnp.repeat(convert(x), repeats, axis)


@op("numpy")
def flip(x: Tensor, axis: Any = None) -> Tensor:
    """Reverse the order along axes.

    Example:
        >>> flip(jnp.array([1, 2]))
        Array([2, 1], dtype=int32)
    """
    return jnp.flip(convert(x), axis)


@op("numpy")
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Take elements by index.

    Example:
        >>> take(jnp.array([5, 6]), jnp.array([1]))
        Array([6], dtype=int32)
    """
    return jnp.take(convert(x), convert(indices), axis)


@op("numpy", "GetItem")
def get_item(x: Tensor, key: Any) -> Tensor:
    """Return `x[key]`.

    Example:
        >>> get_item(jnp.array([5, 6]), 1)
        Array(6, dtype=int32)
    """
    return convert(x)[key]


@op("numpy")
def zeros_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Return zeros of `x`'s shape and dtype.

    Example:
        >>> zeros_like(jnp.ones(2))
        Array([0., 0.], dtype=float32)
    """
    return jnp.zeros_like(convert(x), dtype=dtype and standardize_dtype(dtype))


@op("numpy")
def ones_like(x: Tensor, dtype: Any = None) -> Tensor:
    """Return ones of `x`'s shape and dtype.

    Example:
        >>> ones_like(jnp.zeros(2))
        Array([1., 1.], dtype=float32)
    """
    return jnp.ones_like(convert(x), dtype=dtype and standardize_dtype(dtype))


@op("core")
def stop_gradient(variable: Tensor) -> Tensor:
    """Return the value; no gradient flows through it.

    Example:
        >>> stop_gradient(jnp.ones(1))
        Array([1.], dtype=float32)
    """
    return jax.lax.stop_gradient(convert(variable))


def zeros(shape: Sequence[int], dtype: Any = None) -> Any:
    """Return zeros.

    Example:
        >>> zeros((2,))
        Array([0., 0.], dtype=float32)
    """
    return jnp.zeros(shape, standardize_dtype(dtype))


def ones(shape: Sequence[int], dtype: Any = None) -> Any:
    """Return ones.

    Example:
        >>> ones((2,))
        Array([1., 1.], dtype=float32)
    """
    return jnp.ones(shape, standardize_dtype(dtype))


def full(shape: Sequence[int], fill_value: Any, dtype: Any = None) -> Any:
    """Return a tensor filled with a value.

    Example:
        >>> full((2,), 3.0)
        Array([3., 3.], dtype=float32)
    """
    return jnp.full(shape, fill_value, standardize_dtype(dtype))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Return a matrix with ones on a diagonal.

    Example:
        >>> eye(1)
        Array([[1.]], dtype=float32)
    """
    return jnp.eye(N, M, k, standardize_dtype(dtype))


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Return evenly spaced values.

    Example:
        >>> arange(3)
        Array([0, 1, 2], dtype=int32)
    """
    return jnp.arange(start, stop, step, dtype and standardize_dtype(dtype))


def shape(x: Any) -> tuple[int | None, ...]:
    """Return the shape.

    Example:
        >>> shape(jnp.zeros((2, 3)))
        (2, 3)
    """
    return builtins.tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Any:
    """Return `x` as a JAX array.

    Example:
        >>> convert_to_tensor([1.0])
        Array([1.], dtype=float32)
    """
    if sparse or ragged:
        raise ValueError("convert_to_tensor: sparse and ragged tensors are not supported.")
    return convert(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """Return `x` as a NumPy array.

    Example:
        >>> convert_to_numpy(jnp.ones(1))
        array([1.], dtype=float32)
    """
    return np.asarray(convert(x))


def is_tensor(x: Any) -> bool:
    """Tell whether `x` is a JAX array or a symbolic tensor.

    Example:
        >>> is_tensor(jnp.ones(1)), is_tensor([1.0])
        (True, False)
    """
    return isinstance(x, (jax.Array, KerasTensor))
