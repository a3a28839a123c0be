"""The product of rows by a kernel, whose gradient by the kernel takes a native kernel on CPU.

XLA on CPU is slow at one of the three products of a dense layer's training step, the one that is summed over the
rows. So the product is a JAX primitive where a native kernel computes that one; its other derivatives are XLA's
products.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from hornbeam.ops import routes

__all__ = ["columns_product", "rows_product"]


def rows_product(x: Any, kernel: Any, axes: int = 1, dtype: Any = None) -> Any:
    """Sum products over the last `axes` of `x` and the first of `kernel`, as one product of two matrices.

    With more axes, XLA on CPU makes the gradient of `kernel` from a transposed copy, two to three times slower.

    Args:
        x: (..., *summed), the rows.
        kernel: (*summed, ...).
        axes: How many axes are summed.
        dtype: Dtype of the sums; that of the arrays by default.

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
        y = jnp.matmul(rows, matrix, preferred_element_type=dtype)
    return jnp.reshape(y, (*before, *after))


def _plain(x: Any, y: Any, *, summed: str) -> Any:
    """Sum over the columns of `x` and the rows of `y`: x y; or over the rows of both: x^T y."""
    return jnp.matmul(x if summed == "columns" else x.T, y)


def _on_cpu(x: Any, y: Any, *, summed: str) -> Any:
    if summed == "columns":
        return _plain(x, y, summed=summed)
    return columns_product(x, y)


def columns_product(x: Any, y: Any) -> Any:
    """Call the native kernel for x^T y of two float32 matrices with equally many rows; it has no derivative."""
    return jax.ffi.ffi_call("hornbeam_product", jax.ShapeDtypeStruct((x.shape[1], y.shape[1]), x.dtype))(x, y)


def _abstract(x: Any, y: Any, *, summed: str) -> Any:
    return jax.core.ShapedArray((x.shape[0 if summed == "columns" else 1], y.shape[1]), x.dtype)


def _transpose_x(cotangent: Any, x: Any, y: Any, *, summed: str) -> Any:
    return jnp.matmul(cotangent, y.T) if summed == "columns" else jnp.matmul(y, cotangent.T)


def _transpose_y(cotangent: Any, x: Any, y: Any, *, summed: str) -> Any:
    return _product_p.bind(x, cotangent, summed="rows" if summed == "columns" else "columns")


def _batch(operands: Any, axes: Any, *, summed: str) -> tuple[Any, int]:
    return jax.vmap(functools.partial(_plain, summed=summed), axes)(*operands), 0


def _define(name: str) -> Primitive:
    primitive = Primitive(name)

    @functools.partial(jax.jit, static_argnames="summed")
    def run(x: Any, y: Any, *, summed: str) -> Any:
        return primitive.bind(x, y, summed=summed)

    primitive.def_impl(run)
    primitive.def_abstract_eval(_abstract)
    mlir.register_lowering(primitive, mlir.lower_fun(_plain, multiple_results=False))
    mlir.register_lowering(primitive, mlir.lower_fun(_on_cpu, multiple_results=False), platform="cpu")
    batching.primitive_batchers[primitive] = _batch
    ad.defbilinear(primitive, _transpose_x, _transpose_y)
    return primitive


_product_p = _define("hornbeam_product")
