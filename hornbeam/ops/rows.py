"""Rows of a table, as an embedding takes them; the table's gradient takes a native kernel on CPU.

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

from hornbeam.ops import routes
from hornbeam.ops.primitive import define

__all__ = ["take_rows"]


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
    return [_sum_p.bind(rows, index, count=table.aval.shape[0]), None]


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
