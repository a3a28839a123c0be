"""The product of rows and a kernel.

On CPU, a native kernel computes the gradient with respect to the kernel.

A training step of a dense layer has three products. XLA on CPU is slow at one of them, the one that
sums over the rows.
So the product is a JAX primitive: a native kernel computes the slow product, and XLA the other two.
On NVIDIA GPUs a kernel whose width is not a multiple of 8 is padded for the product.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from hornbeam.ops import routes
from hornbeam.ops.primitive import define
from hornbeam.typing import DType, Tensor

__all__ = ["columns_product", "rows_product"]


def rows_product(x: Tensor, kernel: Tensor, axes: int = 1, dtype: DType | None = None) -> Tensor:
    """Contract the last `axes` axes of `x` with the first of `kernel`, as one matrix product.

    For arrays with more axes, XLA on CPU would compute the gradient of `kernel` from a transposed
    copy, which takes two to three times as long.

    Args:
        x: (..., *summed), the rows.
        kernel: (*summed, ...).
        axes: Number of axes that are summed over.
        dtype: Dtype of the result. Default: that of the arrays.

    Example:
        >>> rows_product(jnp.ones((2, 3, 4)), jnp.ones((4, 5))).shape
        (2, 3, 5)
    """
    before, after = x.shape[: x.ndim - axes], kernel.shape[axes:]
    size, count = math.prod(kernel.shape[:axes]), math.prod(before)
    rows, matrix = jnp.reshape(x, (count, size)), jnp.reshape(kernel, (size, math.prod(after)))
    alike = dtype is None and x.dtype == kernel.dtype
    if alike and routes.product(x.dtype, count, size, matrix.shape[1]).name == "native":
        y = _product_p.bind(rows, matrix, summed="columns")
    else:
        results = matrix.shape[1]
        added = (
            routes.columns_to_add(x.dtype, count, size, results) if x.dtype == kernel.dtype else 0
        )
        matrix = jnp.pad(matrix, ((0, 0), (0, added))) if added else matrix
        y = jnp.matmul(rows, matrix, preferred_element_type=dtype)
        y = y[:, :results] if added else y
    return jnp.reshape(y, (*before, *after))


def _plain(x: Any, y: Any, *, summed: str) -> Any:
    """Return x y if `summed` is `"columns"` (of `x`), or x^T y if it is `"rows"`."""
    return jnp.matmul(x if summed == "columns" else x.T, y)


def _on_cpu(x: Any, y: Any, *, summed: str) -> Any:
    if summed == "columns":
        return _plain(x, y, summed=summed)
    return columns_product(x, y)


def columns_product(x: Tensor, y: Tensor) -> Tensor:
    """Return x^T y of float32 matrices (R, M), (R, N) by the native kernel, without derivative."""
    return jax.ffi.ffi_call(
        "hornbeam_product", jax.ShapeDtypeStruct((x.shape[1], y.shape[1]), x.dtype)
    )(x, y)


def _shape(x: Any, y: Any, *, summed: str) -> tuple[int, ...]:
    return x.shape[0 if summed == "columns" else 1], y.shape[1]


def _transpose_x(cotangent: Any, x: Any, y: Any, *, summed: str) -> Any:
    return jnp.matmul(cotangent, y.T) if summed == "columns" else jnp.matmul(y, cotangent.T)


def _transpose_y(cotangent: Any, x: Any, y: Any, *, summed: str) -> Any:
    return _product_p.bind(x, cotangent, summed="rows" if summed == "columns" else "columns")


_product_p = define("hornbeam_product", _plain, _shape, {"cpu": _on_cpu}, ["summed"])
ad.defbilinear(_product_p, _transpose_x, _transpose_y)
