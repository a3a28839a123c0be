"""Rows of a table, as an embedding takes them; on CPU a native kernel makes the table's gradient.

That gradient is zero in most rows: it is a sum of a few rows, each sent to a place in the table.
`value_and_grad` returns it in this form, as a `RowSum`, to an optimizer that can use it; the table
is then never laid out.

JAX's rules cannot return it: the cotangent of an array is an array of the same shape. So the
transpose of a take is a sum as an operation of the backward pass, and `value_and_grad` looks at
that pass as a program:
    where a result of it is a
sum of rows, the operands of the sum are returned in its place. XLA drops the sum, which nothing
uses.

Two primitives that are transposes of each other: `take` picks rows, `sum` adds rows up where they
were picked.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Primitive, Var, jaxpr_as_fun
from jax.interpreters import ad

from hornbeam.ops import routes
from hornbeam.ops.primitive import define
from hornbeam.typing import Tensor

__all__ = ["RowSum", "dense", "sum_rows", "take_rows", "value_and_grad"]


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["index", "rows"], meta_fields=["count"]
)
@dataclasses.dataclass(frozen=True)
class RowSum:
    """The gradient of a table (N, W), as the rows whose sum it is.

    Args:
        index: int32 (K,), the row of the table that each row is added to.
        rows: (K, W).
        count: N.

    Example:
        >>> RowSum(jnp.array([0, 2, 0]), jnp.ones((3, 2)), 3).dense().tolist()
        [[2.0, 2.0], [0.0, 0.0], [1.0, 1.0]]
    """

    index: jax.Array
    rows: jax.Array
    count: int

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the table."""
        return self.count, self.rows.shape[1]

    @property
    def dtype(self) -> Any:
        """Dtype of the table."""
        return self.rows.dtype

    def dense(self) -> jax.Array:
        """Return the gradient as an array of the table's shape."""
        return sum_rows(self.rows, self.index, self.count)


def dense(gradient: Any) -> Tensor:
    """Return a gradient as an array, whether it is a `RowSum` or not.

    Example:
        >>> dense(RowSum(jnp.array([1]), jnp.ones((1, 2)), 2)).tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    return gradient.dense() if isinstance(gradient, RowSum) else jnp.asarray(gradient)


def value_and_grad(
    function: Callable[[Any], tuple[Any, Any]],
) -> Callable[[Any], tuple[tuple[Any, Any], list[Any]]]:
    """Like `jax.value_and_grad(function, has_aux=True)`, with a `RowSum` as a table's gradient.

    A gradient is a `RowSum` where `take_rows` is the table's only use, outside of loops and nested
    programs, the native kernel is chosen for it, and the call is traced. All other gradients are
    arrays. No value changes by a bit.

    Args:
        function: Takes a list of arrays; returns a scalar and anything else.

    Example:
        >>> def loss(tables):
        ...     return jnp.sum(take_rows(tables[0], jnp.array([3, 0]))), None
        >>> @jax.jit
        ... def step(tables):
        ...     (value, _), (gradient,) = value_and_grad(loss)(tables)
        ...     return value, dense(gradient)
        >>> value, gradient = step([jnp.ones((5000, 20))])
        >>> float(value), gradient[:4, 0].tolist()
        (40.0, [1.0, 0.0, 0.0, 1.0])
    """

    def differentiate(values: Any) -> tuple[tuple[Any, Any], list[Any]]:
        # Outside of a trace the backward pass must see arrays, as a user's own gradient may look at
        # them.
        traced = any(isinstance(value, jax.core.Tracer) for value in values)
        floating = all(jnp.issubdtype(value.dtype, jnp.floating) for value in values)
        if not traced or not floating or routes.why_plain("float32") is not None:
            return jax.value_and_grad(function, has_aux=True)(values)
        loss, pull, aux = jax.vjp(function, values, has_aux=True)
        if jnp.shape(loss) or not jnp.issubdtype(jnp.result_type(loss), jnp.floating):
            return jax.value_and_grad(function, has_aux=True)(values)  # raises JAX's error
        one = jnp.ones((), jnp.result_type(loss))
        # A take leaves its index to the backward pass; a model without one is spared the search.
        if not any(
            jnp.ndim(leaf) == 1 and leaf.dtype == jnp.int32 for leaf in jax.tree.leaves(pull)
        ):
            return (loss, aux), pull(one)[0]
        return (loss, aux), _with_row_sums(jax.make_jaxpr(pull)(one), one)

    return differentiate


def _with_row_sums(backward: ClosedJaxpr, cotangent: Any) -> list[Any]:
    """Run a backward pass and return its results; a sum of rows is returned as a `RowSum`."""
    outputs = backward.jaxpr.outvars
    sums = {
        equation.outvars[0]: equation
        for equation in backward.jaxpr.eqns
        if equation.primitive is _sum_p
    }
    found = [sums.get(output) if isinstance(output, Var) else None for output in outputs]
    parts = [
        [output] if made is None else made.invars
        for output, made in zip(outputs, found, strict=True)
    ]
    changed = ClosedJaxpr(
        backward.jaxpr.replace(outvars=[part for group in parts for part in group]), backward.consts
    )
    values = iter(jaxpr_as_fun(changed)(cotangent))
    return [
        (
            next(values)
            if made is None
            else RowSum(rows=next(values), index=next(values), count=made.params["count"])
        )
        for made in found
    ]


def take_rows(table: Any, index: Any) -> Tensor:
    """Return `jnp.take(table, index, axis=0)`, with a native kernel for the gradient.

    Args:
        table: (N, W).
        index: int32 of any shape; a negative index counts from the end, a row outside of the table
            is NaN.

    Example:
        >>> take_rows(jnp.eye(3), jnp.array([2, 0])).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if index.dtype != jnp.int32 or routes.rows(table.dtype, table.shape).name != "native":
        return jnp.take(table, index, axis=0)
    rows = _take_p.bind(table, jnp.reshape(index, math.prod(index.shape)))
    return jnp.reshape(rows, (*index.shape, table.shape[1]))


def sum_rows(rows: Any, index: Any, count: int) -> Tensor:
    """Add up rows into a table of zeros.

    Args:
        rows: (K, W).
        index: int32 (K,), the row of the table that each row is added to; one outside of the table
            is left out.
        count: N, the number of rows of the table.

    Returns:
        (N, W).

    Example:
        >>> sum_rows(jnp.ones((3, 2)), jnp.array([0, 2, 0]), 3).tolist()
        [[2.0, 2.0], [0.0, 0.0], [1.0, 1.0]]
    """
    return _sum_p.bind(rows, index, count=count)


def _take(table: Any, index: Any) -> Any:
    return jnp.take(table, index, axis=0)


def _sum(rows: Any, index: Any, *, count: int) -> Any:
    """Compute `sum_rows` by XLA, as the transpose of a take."""
    table = jax.ShapeDtypeStruct((count, rows.shape[1]), rows.dtype)
    (result,) = jax.linear_transpose(functools.partial(_take, index=index), table)(rows)
    return result


def _on_cpu(rows: Any, index: Any, *, count: int) -> Any:
    if rows.dtype != jnp.float32 or routes.why_plain(rows.dtype) is not None:
        return _sum(rows, index, count=count)
    table = jax.ShapeDtypeStruct((count, rows.shape[1]), rows.dtype)
    return jax.ffi.ffi_call("hornbeam_rows", table)(index, rows)


def _take_shape(table: Any, index: Any) -> tuple[int, ...]:
    return index.shape[0], table.shape[1]


def _sum_shape(rows: Any, index: Any, *, count: int) -> tuple[int, ...]:
    return count, rows.shape[1]


def _transpose_take(rows: Any, table: Any, index: Any) -> Any:
    return [sum_rows(rows, index, table.aval.shape[0]), None]


def _transpose_sum(table: Any, rows: Any, index: Any, *, count: int) -> Any:
    return [_take_p.bind(table, index), None]


def _linear(primitive: Primitive, transpose: Any) -> Primitive:
    """Declare a primitive as linear in its first operand; the second is an index."""

    def jvp(tangent: Any, _: Any, index: Any, **options: Any) -> Any:
        return primitive.bind(tangent, index, **options)

    ad.defjvp(primitive, jvp, None)
    ad.primitive_transposes[primitive] = transpose
    return primitive


_take_p = _linear(define("hornbeam_take", _take, _take_shape), _transpose_take)
_sum_p = _linear(
    define("hornbeam_rows", _sum, _sum_shape, {"cpu": _on_cpu}, ["count"]), _transpose_sum
)
