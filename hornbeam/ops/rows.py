"""Rows of a table, as an embedding takes them; the table's gradient takes a native kernel on CPU.

That gradient is zero in most rows. While variables are traced it is noted what it is the sum of (`parts_of_sum`), for an
optimizer that can do with those; XLA then drops the sum, which nothing uses.

Two primitives that are transposes of each other: `take` picks rows, `sum` adds rows up where they were picked.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad

from hornbeam.core.variable import current_overlay
from hornbeam.ops import routes
from hornbeam.ops.primitive import define

__all__ = ["parts_of_sum", "sum_rows", "take_rows"]


def take_rows(table: Any, index: Any) -> Any:
    """Return the rows of `table` that `index` names; `jnp.take(table, index, axis=0)` with another gradient's route.

    Args:
        table: (N, W).
        index: int32 of any shape; a negative one counts from the end, a row outside of the table is NaN.

    Example:
        >>> take_rows(jnp.eye(3), jnp.array([2, 0])).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if index.dtype != jnp.int32 or routes.rows(table.dtype, table.shape).name != "native":
        return jnp.take(table, index, axis=0)
    rows = _take_p.bind(table, jnp.reshape(index, math.prod(index.shape)))
    return jnp.reshape(rows, (*index.shape, table.shape[1]))


def sum_rows(rows: Any, index: Any, count: int) -> Any:
    """Return a table of `count` rows: of each the sum of those rows (K, W) that `index` (K,) sends to it.

    Example:
        >>> sum_rows(jnp.ones((3, 2)), jnp.array([0, 2, 0]), 3).tolist()
        [[2.0, 2.0], [0.0, 0.0], [1.0, 1.0]]
    """
    return _sum_p.bind(rows, index, count=count)


def parts_of_sum(gradient: Any) -> tuple[Any, Any] | None:
    """Return the index (K,) and the rows (K, W) whose sum is `gradient`, where it was made in this block of variables.

    So an optimizer can do without the gradient of a whole table, which is zero in most rows; `None` if it cannot.

    Args:
        gradient: The gradient of a table, as it came from differentiation.
    """
    overlay = current_overlay()
    for made, index, rows in [] if overlay is None else overlay.sums:
        if made is gradient:
            return index, rows
    return None


def _take(table: Any, index: Any) -> Any:
    return jnp.take(table, index, axis=0)


def _sum(rows: Any, index: Any, *, count: int) -> Any:
    """Return a table of `count` rows: of each the sum of those that `index` sends to it."""
    table = jax.ShapeDtypeStruct((count, rows.shape[1]), rows.dtype)
    (result,) = jax.linear_transpose(functools.partial(_take, index=index), table)(rows)
    return result


def _native_sum(rows: Any, index: Any, *, count: int) -> Any:
    table = jax.ShapeDtypeStruct((count, rows.shape[1]), rows.dtype)
    return jax.ffi.ffi_call("hornbeam_rows", table)(index, rows)


def _take_shape(table: Any, index: Any) -> tuple[int, ...]:
    return index.shape[0], table.shape[1]


def _sum_shape(rows: Any, index: Any, *, count: int) -> tuple[int, ...]:
    return count, rows.shape[1]


def _transpose_take(rows: Any, table: Any, index: Any) -> Any:
    gradient = sum_rows(rows, index, table.aval.shape[0])
    if (overlay := current_overlay()) is not None:
        overlay.sums.append((gradient, index, rows))
    return [gradient, None]


def _transpose_sum(table: Any, rows: Any, index: Any, *, count: int) -> Any:
    return [_take_p.bind(table, index), None]


def _linear(primitive: Primitive, transpose: Any) -> Primitive:
    """Say that a primitive is linear in its first operand; the second is an index."""

    def jvp(tangent: Any, _: Any, index: Any, **options: Any) -> Any:
        return primitive.bind(tangent, index, **options)

    ad.defjvp(primitive, jvp, None)
    ad.primitive_transposes[primitive] = transpose
    return primitive


_take_p = _linear(define("hornbeam_take", _take, _take_shape), _transpose_take)
_sum_p = _linear(define("hornbeam_rows", _sum, _sum_shape, {"cpu": _native_sum}, ["count"]), _transpose_sum)
