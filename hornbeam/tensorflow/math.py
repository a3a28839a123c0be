"""`tf.math`: arithmetic, reductions and comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import jax.scipy.special as special

from hornbeam import ops
from hornbeam.core.op import op
from hornbeam.dtypes import is_float
from hornbeam.tensorflow.dtypes import cast, device_dtype
from hornbeam.tensorflow.functions import (
    binary,
    named,
    of_features,
    of_input,
    reduction,
    static,
    tensor,
    unary,
)
from hornbeam.typing import Tensor

_ALL: dict[str, Any] = {}

if TYPE_CHECKING:  # most functions come from tables

    def __getattr__(name: str) -> Any: ...


# --- operations that JAX has and Hornbeam's ops have not -------------------------------------


def _lifted(function: Any) -> Any:
    """Return a function of JAX's arrays as an op, whose tensors are its arguments by position."""
    name = f"TensorFlow{function.__name__.strip('_').capitalize()}"

    @op("tensorflow", name)
    def lifted(*xs: Tensor) -> Tensor:
        return function(*xs)

    return lifted


@jax.custom_jvp
def _abs(x: Any) -> Any:
    return jnp.abs(x)


@_abs.defjvp
def _abs_tangent(primals: Any, tangents: Any) -> Any:
    # 0 at 0, as in TensorFlow; JAX has 1.
    (x,), (t,) = primals, tangents
    return jnp.abs(x), jnp.real(jnp.conj(jnp.sign(x)) * t)


_UNARY = {
    "abs": _lifted(_abs), "acos": ops.arccos, "acosh": ops.arccosh, "asin": ops.arcsin,
    "asinh": ops.arcsinh, "atan": ops.arctan, "atanh": ops.arctanh, "ceil": ops.ceil,
    "conj": ops.conj, "cos": ops.cos, "cosh": ops.cosh, "digamma": _lifted(special.digamma),
    "erf": ops.erf, "erfc": ops.erfc, "erfinv": ops.erfinv, "exp": ops.exp, "expm1": ops.expm1,
    "floor": ops.floor, "is_finite": ops.isfinite, "is_inf": ops.isinf, "is_nan": ops.isnan,
    "lgamma": _lifted(special.gammaln), "log": ops.log, "log1p": ops.log1p,
    "log_sigmoid": ops.log_sigmoid, "logical_not": ops.logical_not,
    "ndtri": _lifted(special.ndtri), "negative": ops.negative, "reciprocal": ops.reciprocal,
    "rint": ops.round, "round": ops.round, "rsqrt": ops.rsqrt, "sigmoid": ops.sigmoid,
    "sign": ops.sign, "sin": ops.sin, "sinh": ops.sinh, "sqrt": ops.sqrt, "square": ops.square,
    "tan": ops.tan, "tanh": ops.tanh, "bessel_i0": _lifted(special.i0),
    "bessel_i0e": _lifted(special.i0e), "bessel_i1": _lifted(special.i1),
    "bessel_i1e": _lifted(special.i1e),
}  # fmt: skip
_OF_FEATURES = {"softplus": ops.softplus, "softsign": ops.softsign}
_OF_INPUT = {"angle": ops.angle, "imag": ops.imag, "real": ops.real}
_BINARY = {
    "add": ops.add, "divide": ops.true_divide, "divide_no_nan": ops.divide_no_nan,
    "equal": ops.equal, "floordiv": ops.floor_divide, "floormod": ops.mod, "greater": ops.greater,
    "greater_equal": ops.greater_equal, "less": ops.less, "less_equal": ops.less_equal,
    "logical_and": ops.logical_and, "logical_or": ops.logical_or, "logical_xor": ops.logical_xor,
    "maximum": ops.maximum, "minimum": ops.minimum, "mod": ops.mod, "multiply": ops.multiply,
    "nextafter": ops.nextafter, "not_equal": ops.not_equal, "pow": ops.power,
    "subtract": ops.subtract, "truediv": ops.true_divide, "xlog1py": _lifted(special.xlog1py),
    "xlogy": _lifted(special.xlogy), "zeta": _lifted(special.zeta),
}  # fmt: skip
_REDUCTIONS = {
    "reduce_all": ops.all, "reduce_any": ops.any, "reduce_logsumexp": ops.logsumexp,
    "reduce_max": ops.max, "reduce_min": ops.min, "reduce_std": ops.std,
    "reduce_variance": ops.var,
}  # fmt: skip

for _form, _rows in (
    (unary, _UNARY), (of_features, _OF_FEATURES), (of_input, _OF_INPUT), (binary, _BINARY),
    (reduction, _REDUCTIONS),
):  # fmt: skip
    for _name, _op in _rows.items():
        _ALL[_name] = named(_form(_op), _name)
globals().update(_ALL)


def _same_integer(x: Any, result: Any) -> Any:
    """Return a result in the dtype of the integers that it was computed from."""
    return result if is_float(device_dtype(x.dtype)) else ops.cast(result, device_dtype(x.dtype))


def reduce_sum(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """Return the sum over axes, in the dtype of the tensor."""
    x = tensor(input_tensor)
    return _same_integer(x, ops.sum(x, axis=static(axis), keepdims=bool(keepdims)))


def reduce_prod(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """Return the product over axes, in the dtype of the tensor."""
    x = tensor(input_tensor)
    return _same_integer(x, ops.prod(x, axis=static(axis), keepdims=bool(keepdims)))


def reduce_mean(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """Return the mean over axes; that of integers is cut to an integer, as in TensorFlow."""
    x = tensor(input_tensor)
    mean = ops.mean(x, axis=static(axis), keepdims=bool(keepdims))
    return (
        mean
        if is_float(device_dtype(x.dtype))
        else ops.cast(ops.trunc(mean), device_dtype(x.dtype))
    )


def reduce_euclidean_norm(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: Any = None
) -> Any:
    """Return the Euclidean norm over axes."""
    x = ops.square(tensor(input_tensor))
    return ops.sqrt(ops.sum(x, axis=static(axis), keepdims=bool(keepdims)))


def atan2(y: Any, x: Any, name: Any = None) -> Any:
    """Return the angle of the points (x, y)."""
    return ops.arctan2(tensor(y), tensor(x))


def squared_difference(x: Any, y: Any, name: Any = None) -> Any:
    """Return `(x - y) ** 2`."""
    return ops.square(ops.subtract(tensor(x), tensor(y)))


def multiply_no_nan(x: Any, y: Any, name: Any = None) -> Any:
    """Return `x * y`, and 0 where `y` is 0, even if `x` is infinite."""
    x, y = tensor(x), tensor(y)
    return ops.where(ops.equal(y, 0), ops.zeros_like(x * y), x * y)


def reciprocal_no_nan(x: Any, name: Any = None) -> Any:
    """Return `1 / x`, and 0 where `x` is 0."""
    x = tensor(x)
    return ops.divide_no_nan(ops.ones_like(x), x)


def xdivy(x: Any, y: Any, name: Any = None) -> Any:
    """Return `x / y`, and 0 where `x` is 0."""
    x, y = tensor(x), tensor(y)
    safe = ops.where(ops.equal(x, 0), ops.ones_like(y), y)
    return ops.where(ops.equal(x, 0), ops.zeros_like(x), x / safe)


def scalar_mul(scalar: Any, x: Any, name: Any = None) -> Any:
    """Return a number times a tensor."""
    return ops.multiply(scalar, tensor(x))


def add_n(inputs: Any, name: Any = None) -> Any:
    """Return the sum of a list of tensors of one shape."""
    inputs = [inputs] if not isinstance(inputs, (list, tuple)) else inputs
    total = tensor(inputs[0])
    for x in inputs[1:]:
        total = ops.add(total, tensor(x))
    return total


def accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: Any = None) -> Any:
    """Return the sum of a list of tensors."""
    return add_n(inputs)


def polyval(coeffs: Any, x: Any, name: Any = None) -> Any:
    """Return the value of a polynomial, with the coefficient of the highest power first."""
    total: Any = ops.zeros_like(tensor(x))
    for c in coeffs:
        total = total * tensor(x) + tensor(c)
    return total


def erfcinv(x: Any, name: Any = None) -> Any:
    """Return the inverse of the complementary error function."""
    return ops.erfinv(1.0 - tensor(x))


def argmax(input: Any, axis: Any = None, output_type: Any = "int64", name: Any = None) -> Any:
    """Return the position of the largest value along an axis, by default the first."""
    found = ops.argmax(tensor(input), axis=0 if axis is None else int(axis))
    return cast(found, output_type)


def argmin(input: Any, axis: Any = None, output_type: Any = "int64", name: Any = None) -> Any:
    """Return the position of the smallest value along an axis, by default the first."""
    found = ops.argmin(tensor(input), axis=0 if axis is None else int(axis))
    return cast(found, output_type)


def count_nonzero(
    input: Any, axis: Any = None, keepdims: Any = None, dtype: Any = "int64", name: Any = None
) -> Any:
    """Return the number of values that are not zero."""
    x = ops.cast(ops.not_equal(tensor(input), 0), "int32")
    return cast(ops.sum(x, axis=static(axis), keepdims=bool(keepdims)), dtype)


def zero_fraction(value: Any, name: Any = None) -> Any:
    """Return the part of the values that are zero."""
    return ops.mean(ops.cast(ops.equal(tensor(value), 0), "float32"))


def _cumulative(function: Any, identity: float) -> Any:
    """Return a running sum or product with TensorFlow's arguments."""

    def run(
        x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: Any = None
    ) -> Any:
        x, axis = tensor(x), int(static(axis))
        x = ops.flip(x, axis=axis) if reverse else x
        if exclusive:
            n = x.shape[axis]
            ahead = ops.full_like(ops.take(x, jnp.arange(1), axis=axis), identity)
            kept = ops.take(x, jnp.arange(n - 1), axis=axis)
            x = ops.concatenate([ahead, kept], axis=axis)
        x = function(x, axis=axis)
        return ops.flip(x, axis=axis) if reverse else x

    return run


@op("tensorflow", "TensorFlowCumulativeLogsumexp")
def _cumulative_logsumexp(x: Tensor, axis: int = 0) -> Tensor:
    return jax.lax.cumlogsumexp(x, axis=axis % x.ndim)


cumsum = named(_cumulative(ops.cumsum, 0), "cumsum")
cumprod = named(_cumulative(ops.cumprod, 1), "cumprod")
cumulative_logsumexp = named(
    _cumulative(_cumulative_logsumexp, -float("inf")), "cumulative_logsumexp"
)


def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: Any = None, dim: Any = None
) -> Any:
    """Return a tensor divided by its Euclidean norm over axes, at least `sqrt(epsilon)`."""
    x = tensor(x)
    total = ops.sum(ops.square(x), axis=static(dim if axis is None else axis), keepdims=True)
    return x * ops.rsqrt(ops.maximum(total, epsilon))


def softmax(logits: Any, axis: int | None = None, name: Any = None) -> Any:
    """Return the softmax along an axis, by default the last."""
    return ops.softmax(tensor(logits), axis=-1 if axis is None else axis)


def log_softmax(logits: Any, axis: int | None = None, name: Any = None) -> Any:
    """Return the logarithm of the softmax."""
    return ops.log_softmax(tensor(logits), axis=-1 if axis is None else axis)


def top_k(
    input: Any, k: int = 1, sorted: bool = True, index_type: Any = "int32", name: Any = None
) -> Any:
    """Return the largest values along the last axis, and their positions."""
    values, indices = ops.top_k(tensor(input), int(k), sorted=sorted)
    return TopK(values, cast(indices, index_type))


class TopK(tuple):
    """The result of `top_k`: `values` and `indices`."""

    def __new__(cls, values: Any, indices: Any) -> TopK:
        """Make the pair."""
        return super().__new__(cls, (values, indices))

    values = property(lambda self: self[0])
    indices = property(lambda self: self[1])


def in_top_k(targets: Any, predictions: Any, k: int, name: Any = None) -> Any:
    """Return whether each target is among the `k` largest predictions."""
    return ops.in_top_k(tensor(targets), tensor(predictions), int(k))


def bincount(
    arr: Any, weights: Any = None, minlength: Any = None, maxlength: Any = None,
    dtype: Any = "int32", name: Any = None, axis: Any = None, binary_output: bool = False,
) -> Any:  # fmt: skip
    """Return how often each number occurs, or the sum of its weights."""
    x = tensor(arr)
    if axis is None:
        x = x.reshape(-1)
        weights = None if weights is None else tensor(weights).reshape(-1)
    size = max(int(x.max()) + 1 if x.size else 0, int(static(minlength) or 0))
    size = size if maxlength is None else min(size, int(static(maxlength)))
    counts = ops.one_hot(x, size, dtype="float32" if weights is None else weights.dtype)
    if weights is not None:
        counts = counts * tensor(weights)[..., None]
    counts = ops.max(counts, axis=-2) if binary_output else ops.sum(counts, axis=-2)
    return counts if weights is not None else cast(counts, dtype)


def confusion_matrix(
    labels: Any, predictions: Any, num_classes: Any = None, weights: Any = None,
    dtype: Any = "int32", name: Any = None,
) -> Any:  # fmt: skip
    """Return how often each class (row) was predicted as each class (column)."""
    rows, columns = cast(tensor(labels), "int32"), cast(tensor(predictions), "int32")
    n = num_classes or int(jnp.maximum(rows.max(), columns.max())) + 1
    added = jnp.ones(rows.shape, device_dtype(dtype)) if weights is None else tensor(weights)
    return (
        jnp.zeros((n, n), device_dtype(dtype))
        .at[rows, columns]
        .add(added.astype(device_dtype(dtype)))
    )


# --- segments ---------------------------------------------------------------------------------


def _segments(reduce: Any, sized: bool) -> Any:
    """Return a reduction of the rows with the same number."""
    if sized:

        def unsorted(data: Any, segment_ids: Any, num_segments: Any, name: Any = None) -> Any:
            return reduce(tensor(data), tensor(segment_ids), int(num_segments))

        return unsorted

    def ordered(data: Any, segment_ids: Any, name: Any = None) -> Any:
        ids = tensor(segment_ids)
        return reduce(tensor(data), ids, int(ids[-1]) + 1)

    return ordered


def _counts(data: Any, ids: Any, n: int) -> Any:
    ones = jnp.ones(ids.shape, data.dtype)
    counts = jax.ops.segment_sum(ones.reshape(-1), ids.reshape(-1), n)
    return jnp.maximum(counts, 1).reshape(-1, *[1] * (data.ndim - ids.ndim))


def _flat(function: Any) -> Any:
    """Return a function of rows that takes numbers of more axes."""

    def run(data: Any, ids: Any, n: int) -> Any:
        return function(data.reshape(-1, *data.shape[ids.ndim :]), ids.reshape(-1), n)

    return run


_sum = _flat(jax.ops.segment_sum)


def _mean(data: Any, ids: Any, n: int) -> Any:
    return _sum(data, ids, n) / _counts(data, ids, n)


def _sqrt_n(data: Any, ids: Any, n: int) -> Any:
    return _sum(data, ids, n) / jnp.sqrt(_counts(data, ids, n))


def _zero_where_empty(function: Any) -> Any:
    """Return 0 for numbers without rows."""

    def run(data: Any, ids: Any, n: int) -> Any:
        seen = jax.ops.segment_sum(jnp.ones(ids.size), ids.reshape(-1), n) > 0
        found = _flat(function)(data, ids, n)
        return jnp.where(seen.reshape(-1, *[1] * (found.ndim - 1)), found, 0)

    return run


for _name, _function, _zeroed in (
    ("sum", _sum, _sum), ("mean", _mean, _mean),
    ("max", _flat(jax.ops.segment_max), _zero_where_empty(jax.ops.segment_max)),
    ("min", _flat(jax.ops.segment_min), _zero_where_empty(jax.ops.segment_min)),
    ("prod", _flat(jax.ops.segment_prod), _flat(jax.ops.segment_prod)),
):  # fmt: skip
    _ALL[f"segment_{_name}"] = named(_segments(_zeroed, False), f"segment_{_name}")
    _ALL[f"unsorted_segment_{_name}"] = named(
        _segments(_function, True), f"unsorted_segment_{_name}"
    )
_ALL["unsorted_segment_sqrt_n"] = named(_segments(_sqrt_n, True), "unsorted_segment_sqrt_n")
globals().update(_ALL)


def betainc(a: Any, b: Any, x: Any, name: Any = None) -> Any:
    """Return the regularized incomplete beta function."""
    return special.betainc(tensor(a), tensor(b), tensor(x))


def igamma(a: Any, x: Any, name: Any = None) -> Any:
    """Return the lower regularized incomplete gamma function."""
    return special.gammainc(tensor(a), tensor(x))


def igammac(a: Any, x: Any, name: Any = None) -> Any:
    """Return the upper regularized incomplete gamma function."""
    return special.gammaincc(tensor(a), tensor(x))


def polygamma(a: Any, x: Any, name: Any = None) -> Any:
    """Return a derivative of the digamma function."""
    return special.polygamma(tensor(a, "int32"), tensor(x))


def lbeta(x: Any, name: Any = None) -> Any:
    """Return the logarithm of the beta function of the last axis."""
    x = tensor(x)
    return jnp.sum(special.gammaln(x), -1) - special.gammaln(jnp.sum(x, -1))


def invert_permutation(x: Any, name: Any = None) -> Any:
    """Return the inverse of a permutation."""
    return jnp.argsort(tensor(x)).astype(jnp.int32)


def is_non_decreasing(x: Any, name: Any = None) -> Any:
    """Return whether each value is at least the one before."""
    x = tensor(x).reshape(-1)
    return jnp.all(x[1:] >= x[:-1])


def is_strictly_increasing(x: Any, name: Any = None) -> Any:
    """Return whether each value is larger than the one before."""
    x = tensor(x).reshape(-1)
    return jnp.all(x[1:] > x[:-1])


__all__ = sorted(
    name for name, x in list(globals().items())
    if not name.startswith("_") and name != "TopK"
    and getattr(x, "__module__", "") in (__name__, "hornbeam.tensorflow")
)  # fmt: skip
