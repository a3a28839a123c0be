"""Products of vectors and matrices."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.symbolic import Tensor, convert, op

__all__ = ["dot", "einsum", "matmul", "norm", "one_hot"]


@op("numpy")
def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    """Matrix product.

    Example:
        >>> matmul(jnp.ones((1, 2)), jnp.ones((2, 1)))
        Array([[2.]], dtype=float32)
    """
    return jnp.matmul(convert(x1), convert(x2))


@op("numpy")
def dot(x1: Tensor, x2: Tensor) -> Tensor:
    """Product over the last axis of `x1` and the second last of `x2`.

    Example:
        >>> dot(jnp.ones(2), jnp.ones(2))
        Array(2., dtype=float32)
    """
    return jnp.dot(convert(x1), convert(x2))


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sum of products, in Einstein's notation.

    Example:
        >>> einsum("i,i", jnp.ones(2), jnp.ones(2))
        Array(2., dtype=float32)
    """
    return _einsum(list(operands), subscripts)


@op("numpy", "Einsum")
def _einsum(operands: Tensor, subscripts: str) -> Tensor:
    return jnp.einsum(subscripts, *[convert(x) for x in operands])


@op("linalg")
def norm(x: Tensor, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Norm of vectors or matrices.

    Example:
        >>> norm(jnp.array([3.0, 4.0]))
        Array(5., dtype=float32)
    """
    return jnp.linalg.norm(convert(x), ord=ord, axis=axis, keepdims=keepdims)


@op("nn")
def one_hot(x: Tensor, num_classes: int, axis: int = -1, dtype: Any = None) -> Tensor:
    """Return rows that are 1 at the index and 0 elsewhere.

    Example:
        >>> one_hot(jnp.array([1]), 2)
        Array([[0., 1.]], dtype=float32)
    """
    return jax.nn.one_hot(convert(x), num_classes, axis=axis, dtype=dtype or "float32")
