"""Reductions along axes, running sums, and reductions by segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import settings
from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.dtypes import standardize_dtype
from hornbeam.ops.lift import named
from hornbeam.typing import Axis, DType, Tensor

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "average", "corrcoef", "count_nonzero",
    "cumprod", "cumsum", "logsumexp", "max", "mean", "median", "min", "moments", "nanargmax",
    "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "percentile", "prod",
    "ptp", "quantile", "segment_max", "segment_min", "segment_prod", "segment_sum", "std", "sum",
    "trapezoid", "var",
]  # fmt: skip


def _axes(axis: Axis) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _float(x: Any) -> Any:
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(standardize_dtype(None))


def _integer(x: Any) -> Any:
    """Return booleans as numbers, so that they can be ordered or summed."""
    return x.astype("int32") if x.dtype == bool else x


def _reduction(name: str, function: Callable[..., Any], doc: str, result: Any) -> Any:
    def lifted(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
        return function(convert(x), axis=_axes(axis), keepdims=keepdims)

    named(
        lifted,
        name,
        __name__,
        doc + " along `axis` (an axis, several, or `None` for all).",
        f"{name}([1.0, 3.0])",
        result,
    )
    return op("numpy")(lifted)


def _extreme(name: str, function: Callable[..., Any], doc: str, result: Any) -> Any:
    def lifted(x: Tensor, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Tensor:
        return function(convert(x), axis=_axes(axis), keepdims=keepdims, initial=initial)

    doc += " along `axis` (an axis, several, or `None` for all); `initial` is compared too."
    named(lifted, name, __name__, doc, f"{name}([1.0, 3.0])", result)
    return op("numpy")(lifted)


def _in_float(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, **settings: function(_float(x), **settings)


def _wide(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compute float16 and bfloat16 in float32 and convert back: long sums lose too many bits."""

    def reduce(x: Any, **settings: Any) -> Any:
        x = _float(x)
        narrow = x.dtype.name in ("float16", "bfloat16")
        return function(x.astype("float32") if narrow else x, **settings).astype(x.dtype)

    return reduce


def _spread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compute variances of float16 and bfloat16 in float32; complex tensors get real variances."""

    def reduce(x: Any, **settings: Any) -> Any:
        x = _float(x)
        if x.dtype.name in ("float16", "bfloat16"):
            return function(x.astype("float32"), **settings).astype(x.dtype)
        return function(x, **settings)

    return reduce


sum = _reduction("sum", jnp.sum, "Return the sum", 4.0)
mean = _reduction("mean", _wide(jnp.mean), "Return the mean", 2.0)
std = _reduction("std", _spread(jnp.std), "Return the standard deviation", 1.0)
var = _reduction("var", _spread(jnp.var), "Return the variance", 1.0)
any = _reduction("any", jnp.any, "Return whether any element is true", True)
all = _reduction("all", jnp.all, "Return whether all elements are true", True)
max = _extreme("max", jnp.max, "Return the maximum", 3.0)
min = _extreme("min", jnp.min, "Return the minimum", 1.0)
amax = _reduction("amax", jnp.max, "Return the maximum", 3.0)
amin = _reduction("amin", jnp.min, "Return the minimum", 1.0)
argmax = _reduction("argmax", jnp.argmax, "Return the index of the maximum", 1)
argmin = _reduction("argmin", jnp.argmin, "Return the index of the minimum", 0)
median = _reduction("median", _in_float(jnp.median), "Return the median", 2.0)
ptp = _reduction("ptp", jnp.ptp, "Return the maximum minus the minimum", 2.0)
nansum = _reduction("nansum", jnp.nansum, "Return the sum, ignoring NaNs,", 4.0)
nanmean = _reduction("nanmean", _in_float(jnp.nanmean), "Return the mean, ignoring NaNs,", 2.0)
nanstd = _reduction(
    "nanstd", _in_float(jnp.nanstd), "Return the standard deviation, ignoring NaNs,", 1.0
)
nanvar = _reduction("nanvar", _in_float(jnp.nanvar), "Return the variance, ignoring NaNs,", 1.0)
nanmax = _reduction("nanmax", jnp.nanmax, "Return the maximum, ignoring NaNs,", 3.0)
nanmin = _reduction("nanmin", jnp.nanmin, "Return the minimum, ignoring NaNs,", 1.0)
nanprod = _reduction("nanprod", jnp.nanprod, "Return the product, ignoring NaNs,", 3.0)
nanmedian = _reduction(
    "nanmedian", _in_float(jnp.nanmedian), "Return the median, ignoring NaNs,", 2.0
)
nanargmax = _reduction(
    "nanargmax", jnp.nanargmax, "Return the index of the maximum, ignoring NaNs,", 1
)
nanargmin = _reduction(
    "nanargmin", jnp.nanargmin, "Return the index of the minimum, ignoring NaNs,", 0
)


@op("numpy")
def prod(
    x: Tensor, axis: Axis = None, keepdims: bool = False, dtype: DType | None = None
) -> Tensor:
    """Return the product along `axis`.

    Args:
        x: Tensor.
        axis: An axis, several, or `None` for all.
        keepdims: Whether the reduced axes stay with size 1.
        dtype: Dtype of the result. Default: that of `x`.

    Example:
        >>> prod(jnp.array([2.0, 3.0]))
        Array(6., dtype=float32)
    """
    dtype = None if dtype is None else standardize_dtype(dtype)
    return jnp.prod(convert(x), axis=_axes(axis), keepdims=keepdims, dtype=dtype)


def _running(name: str, function: Callable[..., Any], doc: str, result: Any) -> Any:
    def lifted(x: Tensor, axis: int | None = None, dtype: DType | None = None) -> Tensor:
        x = _integer(convert(x))
        return function(x, axis=axis, dtype=None if dtype is None else standardize_dtype(dtype))

    named(
        lifted,
        name,
        __name__,
        doc + " along `axis`; `None` for the flattened tensor.",
        f"{name}([2.0, 3.0])",
        result,
    )
    return op("numpy")(lifted)


cumsum = _running("cumsum", jnp.cumsum, "Return running sums", [2.0, 5.0])
cumprod = _running("cumprod", jnp.cumprod, "Return running products", [2.0, 6.0])
nancumsum = _running("nancumsum", jnp.nancumsum, "Return running sums with NaN as 0", [2.0, 5.0])
nancumprod = _running(
    "nancumprod", jnp.nancumprod, "Return running products with NaN as 1", [2.0, 6.0]
)


@op("numpy")
def count_nonzero(x: Tensor, axis: Axis = None) -> Tensor:
    """Return the number of nonzero elements along `axis` (`None` for all), as int32.

    Example:
        >>> count_nonzero(jnp.array([0, 2, 3]))
        Array(2, dtype=int32)
    """
    return jnp.count_nonzero(convert(x), axis=_axes(axis)).astype("int32")


def average(x: Any, axis: Axis = None, weights: Any = None) -> Tensor:
    """Return the weighted mean along `axis`.

    Args:
        x: Tensor.
        axis: An axis, several, or `None` for all.
        weights: Weights of the shape of `x`, or a vector along `axis`. Default: all equal.

    Example:
        >>> average(jnp.array([1.0, 3.0]), weights=jnp.array([3.0, 1.0]))
        Array(1.5, dtype=float32)
    """
    return _average(x, weights=weights, axis=axis)


@op("numpy", "Average")
def _average(x: Tensor, weights: Tensor = None, axis: Axis = None) -> Tensor:
    weights = None if weights is None else convert(weights)
    return jnp.average(_float(convert(x)), axis=_axes(axis), weights=weights)


def _at(name: str, function: Callable[..., Any], doc: str, share: float) -> Any:
    def lifted(
        x: Tensor, q: Tensor, axis: Axis = None, method: str = "linear", keepdims: bool = False
    ) -> Tensor:
        x = _float(convert(x))
        return function(
            x, jnp.asarray(q, x.dtype), axis=_axes(axis), method=method, keepdims=keepdims
        )

    named(
        lifted,
        name,
        __name__,
        doc + " along `axis` (an axis, several, or `None` for all).",
        f"{name}([1.0, 3.0], {share})",
        2.0,
    )
    return op("numpy")(lifted)


quantile = _at("quantile", jnp.quantile, "Return the quantiles `q`, from 0 to 1,", 0.5)
nanquantile = _at(
    "nanquantile", jnp.nanquantile, "Return the quantiles `q`, from 0 to 1, ignoring NaNs,", 0.5
)
percentile = _at("percentile", jnp.percentile, "Return the percentiles `q`, from 0 to 100,", 50.0)
nanpercentile = _at(
    "nanpercentile",
    jnp.nanpercentile,
    "Return the percentiles `q`, from 0 to 100, ignoring NaNs,",
    50.0,
)


@op("math")
def logsumexp(x: Tensor, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return `log(sum(exp(x)))` along `axis` (`None` for all), without overflow.

    Example:
        >>> logsumexp(jnp.array([0.0]))
        Array(0., dtype=float32)
    """
    return jax.nn.logsumexp(_float(convert(x)), axis=_axes(axis), keepdims=keepdims)


@op("nn")
def moments(x: Tensor, axes: Axis, keepdims: bool = False, synchronized: bool = False) -> Tensor:
    """Return mean and variance along `axes`.

    Args:
        x: Tensor; float16 and bfloat16 are summed in float32.
        axes: The axes.
        keepdims: Whether they stay with size 1.
        synchronized: Kept for Keras's signature: a program over several devices sees all of `x` in
            any case.

    Example:
        >>> moments(jnp.array([1.0, 3.0]), 0)
        (Array(2., dtype=float32), Array(1., dtype=float32))
    """
    x = convert(x)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        x = x.astype(settings.floatx())
    wide = x.astype("float32") if x.dtype.name in ("float16", "bfloat16") else x
    first = jnp.mean(wide, axis=_axes(axes), keepdims=True)
    second = jnp.var(wide, axis=_axes(axes), keepdims=keepdims)
    if not keepdims:
        first = jnp.squeeze(first, _axes(axes))
    low, high = (-65504.0, 65504.0) if x.dtype == jnp.float16 else (None, None)
    return jnp.clip(first, low, high).astype(x.dtype), jnp.clip(second, low, high).astype(x.dtype)


@op("numpy")
def corrcoef(x: Tensor) -> Tensor:
    """Return the correlation coefficients of each pair of rows.

    Example:
        >>> corrcoef(jnp.array([[1.0, 2.0], [2.0, 4.0]])).round(3).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    return jnp.corrcoef(_float(convert(x)))


@op("numpy")
def trapezoid(y: Tensor, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    """Integrate along an axis by the trapezoidal rule.

    Args:
        y: Values.
        x: Positions of the values. Default: at the distance `dx` from each other.
        dx: Distance of neighbouring values, if `x` is `None`.
        axis: Axis.

    Example:
        >>> trapezoid(jnp.array([1.0, 3.0]))
        Array(2., dtype=float32)
    """
    return jnp.trapezoid(_float(convert(y)), None if x is None else convert(x), dx, axis)


def _segments(name: str, function: Callable[..., Any], doc: str) -> Any:
    def lifted(
        data: Tensor, segment_ids: Tensor, num_segments: int | None = None, sorted: bool = False
    ) -> Tensor:
        return function(
            convert(data), convert(segment_ids), num_segments, indices_are_sorted=sorted
        )

    doc += " of the rows of each segment; pass `sorted=True` if `segment_ids` ascend."
    named(lifted, name, __name__, doc, f"{name}([1.0, 3.0], [0, 1])", [1.0, 3.0])
    return op("math")(lifted)


segment_sum = _segments("segment_sum", jax.ops.segment_sum, "Return the sum")
segment_max = _segments("segment_max", jax.ops.segment_max, "Return the maximum")
segment_min = _segments("segment_min", jax.ops.segment_min, "Return the minimum")
segment_prod = _segments("segment_prod", jax.ops.segment_prod, "Return the product")
