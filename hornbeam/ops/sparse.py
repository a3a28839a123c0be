"""Rules of ops for sparse tensors: they compute with the entries that are not zero.

The result of a rule is sparse where most of its elements are zero, as in Keras. Ops without a rule
get dense arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from hornbeam.core.convert import convert
from hornbeam.core.op_table import OPS
from hornbeam.core.sparse import as_sparse, is_sparse
from hornbeam.optional import jax_sparse
from hornbeam.typing import Axis, DType

if TYPE_CHECKING:
    from jax.experimental.sparse import BCOO

__all__ = ["of_entries", "with_entries", "without_duplicates"]

Function = Callable[..., Any]


def _rule(*names: str) -> Callable[[Function], Function]:
    """Make a function the rule of ops for sparse tensors.

    It gets the op's function of dense arrays, then all arguments of the op.
    """

    def register(rule: Function) -> Function:
        for name in names:
            OPS[name].sparse_rule = rule
        return rule

    return register


def with_entries(x: BCOO, entries: Any) -> BCOO:
    """Return a sparse tensor with other values at the places of its entries.

    Example:
        >>> with_entries(jax_sparse().eye(2), jnp.array([3.0, 4.0])).todense().tolist()
        [[3.0, 0.0], [0.0, 4.0]]
    """
    return jax_sparse().BCOO(
        (entries, x.indices), shape=x.shape, indices_sorted=x.indices_sorted,
        unique_indices=x.unique_indices,
    )  # fmt: skip


def without_duplicates(x: BCOO) -> BCOO:
    """Return a sparse tensor with at most one entry for each element.

    Example:
        >>> x = jax_sparse().BCOO((jnp.ones(2), jnp.array([[1], [1]])), shape=(3,))
        >>> without_duplicates(x).data.tolist()
        [2.0]
    """
    if x.unique_indices:
        return x
    traced = isinstance(x.indices, jax.core.Tracer)
    return x.sum_duplicates(nse=x.nse if traced else None, remove_zeros=False)


# --- functions of single elements ---------------------------------------------------------------

_ZERO_AT_ZERO = (
    "Absolute", "Arcsin", "Arcsinh", "Arctan", "Arctanh", "Cast", "Ceil", "Conjugate", "Copy",
    "Elu", "Expm1", "Floor", "Gelu", "HardShrink", "HardTanh", "Imag", "LeakyRelu", "Log1p",
    "Negative", "Real", "Relu", "Relu6", "Round", "Selu", "Sign", "Silu", "Sin", "Sinh",
    "SoftShrink", "Softsign", "Sqrt", "Square", "StopGradient", "Tan", "Tanh", "TanhShrink",
    "Trunc",
)  # fmt: skip


@_rule(*_ZERO_AT_ZERO)
def of_entries(function: Function, x: Any, *settings: Any) -> Any:
    """Apply a function that is zero at zero to the entries of a sparse tensor: the rule of its op.

    Args:
        function: Function of a dense tensor.
        x: The tensor.
        *settings: The function's other arguments.

    Example:
        >>> of_entries(jnp.negative, jax_sparse().eye(2)).todense().tolist()
        [[-1.0, 0.0], [0.0, -1.0]]
    """
    if not is_sparse(x):
        return function(x, *settings)
    x = without_duplicates(as_sparse(x))
    return with_entries(x, function(x.data, *settings))


@_rule("Add", "Subtract", "Maximum", "Minimum", "Multiply")
def _of_pairs(function: Function, x1: Any, x2: Any) -> Any:
    if is_sparse(x1) and is_sparse(x2) and x1.shape == x2.shape:
        x1, x2 = as_sparse(x1), as_sparse(x2)
        indices = jnp.concatenate([x1.indices, x2.indices])
        first = jnp.concatenate([x1.data, jnp.zeros(x2.nse, x1.dtype)])
        second = jnp.concatenate([jnp.zeros(x1.nse, x2.dtype), x2.data])
        both = (jax_sparse().BCOO((e, indices), shape=x1.shape) for e in (first, second))
        a, b = map(without_duplicates, both)
        return with_entries(a, function(a.data, b.data))
    return _scaled(function, x1, x2) if function is OPS["Multiply"].function else function(x1, x2)


def _scaled(function: Function, x1: Any, x2: Any) -> Any:
    """Multiply a sparse and a dense tensor: only the entries change."""
    swapped = not is_sparse(x1)
    x, factor = (as_sparse(x2), x1) if swapped else (as_sparse(x1), x2)
    if not isinstance(factor, (bool, int, float, complex)):
        factor = convert(factor)
        if jnp.broadcast_shapes(x.shape, factor.shape) != x.shape:
            return function(x1, x2)
        places = [0 if n == 1 else i for n, i in zip(factor.shape[::-1], x.indices.T[::-1])]  # noqa: B905  # the factor may have fewer axes
        factor = factor.at[tuple(places[::-1])].get(mode="fill", fill_value=0)
    return with_entries(x, function(factor, x.data) if swapped else function(x.data, factor))


@_rule("Divide", "TrueDivide")
def _divided(function: Function, x1: Any, x2: Any) -> Any:
    if is_sparse(x1) and isinstance(x2, (int, float, complex)) and x2 != 0:
        x = as_sparse(x1)
        return with_entries(x, function(x.data, x2))
    quotient = function(x1, x2)  # 0 / 0 is NaN, so it has no zeros to leave out
    if is_sparse(x1) and not is_sparse(x2):
        return jax_sparse().BCOO.fromdense(quotient, nse=quotient.size)
    return quotient


# --- products and sums --------------------------------------------------------------------------


@functools.cache
def _product() -> Function:
    product: Function = jax_sparse().sparsify(jnp.matmul)
    return product


@_rule("Matmul")
def _matmul(function: Function, x1: Any, x2: Any) -> Any:
    a, b = (as_sparse(x) if is_sparse(x) else convert(x) for x in (x1, x2))
    dtype = jnp.result_type(a.dtype, b.dtype)
    if a.ndim < 2 or b.ndim < 2 or dtype == jnp.int8 or a.shape[:-2] != b.shape[:-2]:
        if not (is_sparse(a) and a.ndim >= 2 and b.ndim == 2 and not is_sparse(b)):
            return function(x1, x2)
    return _product()(a.astype(dtype), b.astype(dtype))


def _sum_over(x: BCOO, axis: Axis, keepdims: bool) -> BCOO:
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = sorted({a % x.ndim for a in axes})
    total = jax_sparse().bcoo_reduce_sum(x, axes=axes)
    if not keepdims:
        return total
    shape = [1 if a in axes else n for a, n in enumerate(x.shape)]
    return jax_sparse().bcoo_reshape(total, new_sizes=shape)


def _dtype_of(function: Function, x: BCOO) -> Any:
    return jax.eval_shape(function, jax.ShapeDtypeStruct(x.data.shape, x.dtype)).dtype


@_rule("Sum")
def _sum(function: Function, x: Any, axis: Axis, keepdims: bool) -> Any:
    x = as_sparse(x)
    return _sum_over(x.astype(_dtype_of(function, x)), axis, keepdims)


@_rule("Mean")
def _mean(function: Function, x: Any, axis: Axis, keepdims: bool) -> Any:
    x = as_sparse(x)
    dtype = _dtype_of(function, x)
    wide = jnp.promote_types(dtype, "float32")
    total = _sum_over(x.astype(wide), axis, keepdims)
    count = x.size // max(total.size, 1)
    return with_entries(total, (total.data / count).astype(dtype))


# --- shapes -------------------------------------------------------------------------------------


@_rule("Reshape", "ExpandDims", "Squeeze", "Ravel")
def _reshaped(function: Function, x: Any, *settings: Any) -> Any:
    x = as_sparse(x)
    dense = jax.ShapeDtypeStruct(x.shape, x.dtype)
    shape = jax.eval_shape(lambda a: function(a, *settings), dense).shape
    return jax_sparse().bcoo_reshape(x, new_sizes=shape)


@_rule("Transpose")
def _transposed(function: Function, x: Any, axes: Sequence[int] | None) -> Any:
    x = as_sparse(x)
    axes = range(x.ndim)[::-1] if axes is None else axes
    return jax_sparse().bcoo_transpose(x, permutation=[int(a) % x.ndim for a in axes])


@_rule("Concatenate")
def _concatenated(function: Function, xs: Any, axis: int) -> Any:
    if not all(map(is_sparse, xs)):
        return function(xs, axis)
    parts = [as_sparse(x) for x in xs]
    dtype = jnp.result_type(*(x.dtype for x in parts))
    parts = [x.astype(dtype) for x in parts]
    return jax_sparse().bcoo_concatenate(parts, dimension=axis % parts[0].ndim)


@_rule("GetItem")
def _item(function: Function, x: Any, key: Any) -> Any:
    parts = key if isinstance(key, tuple) else (key,)
    if all(isinstance(part, (int, slice)) or part in (None, ...) for part in parts):
        return as_sparse(x)[key]
    return function(x, key)


@_rule("ConvertToTensor")
def _converted(
    function: Function, x: Any, dtype: DType | None, sparse: bool | None, ragged: bool | None
) -> Any:
    if sparse is False or ragged:
        return function(x, dtype, sparse, ragged)
    x = as_sparse(x)
    return x if dtype is None else OPS["Cast"].run(x, dtype)
