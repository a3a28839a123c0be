"""Pooling over any number of spatial axes.

A window's result is computed from strided slices of the input, one a position in the window:
on CPU the gradient of that is many times faster than that of XLA's windowed reduction.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.config import standardize_data_format
from hornbeam.core.symbolic import Tensor, convert, op
from hornbeam.ops.conv import each

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool"]


def _spatial(inputs: Any, data_format: str | None) -> tuple[int, int]:
    """Return the first spatial axis and the number of spatial axes."""
    return (2 if standardize_data_format(data_format) == "channels_first" else 1), inputs.ndim - 2


def _window_slices(
    x: Any, start: int, window: tuple[int, ...], strides: tuple[int, ...], padding: str, fill: Any
) -> list[Any]:
    """Return a slice of `x` for each position in the window, in the window's order; `start`: first spatial axis."""
    inner = x.shape[start : start + len(window)]
    if padding == "same":
        outer = [math.ceil(n / s) for n, s in zip(inner, strides, strict=True)]
        missing = [max((o - 1) * s + w - n, 0) for o, s, w, n in zip(outer, strides, window, inner, strict=True)]
        pads = [(0, 0)] * x.ndim
        pads[start : start + len(window)] = [(m // 2, m - m // 2) for m in missing]
        x = jnp.pad(x, pads, constant_values=fill)
    else:
        outer = [(n - w) // s + 1 for n, s, w in zip(inner, strides, window, strict=True)]
    before = (slice(None),) * start
    slices = []
    for offset in itertools.product(*map(range, window)):
        cut = [slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(offset, outer, strides, strict=True)]
        slices.append(x[(*before, *cut)])
    return slices


# Windows with more positions than this go through XLA's windowed reduction: a slice each would make the program long.
_MANY = 64


def _pool(inputs: Any, size: Any, strides: Any, padding: str, data_format: str | None, fill: Any, combine: Any) -> Any:
    start, rank = _spatial(inputs, data_format)
    window = each(size, rank)
    steps = window if strides is None else each(strides, rank)
    padding = padding.lower()
    inner = inputs.shape[start : start + rank]
    if padding == "valid" and any(n < w for n, w in zip(inner, window, strict=True)):
        raise ValueError(f"the window {window} is larger than the input {inputs.shape}. Use padding='same'.")
    if math.prod(window) <= _MANY:
        pick = (lambda a, b: jnp.where(b > a, b, a)) if combine is jax.lax.max else jnp.add
        # At ties the first position wins, and gets the gradient.
        return functools.reduce(pick, _window_slices(inputs, start, window, steps, padding, fill))
    ones = (1,) * start
    ends = (1,) * (inputs.ndim - start - rank)
    return jax.lax.reduce_window(
        inputs, fill, combine, (*ones, *window, *ends), (*ones, *steps, *ends), padding.upper()
    )


@op("nn")
def max_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """Return the maximum of each window.

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        pool_size: Window: one number, or one for each spatial axis.
        strides: Likewise. Default: `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Example:
        >>> max_pool(jnp.ones((1, 4, 4, 1)), 2).shape
        (1, 2, 2, 1)
    """
    x = convert(inputs)
    least = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    return _pool(x, pool_size, strides, padding, data_format, least, jax.lax.max)


@op("nn")
def average_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """Return the mean of each window; what padding adds does not count. Arguments as for `max_pool`.

    Example:
        >>> average_pool(jnp.ones((1, 4, 4, 1)), 2).shape
        (1, 2, 2, 1)
    """
    x = convert(inputs)
    zero = x.dtype.type(0)
    total = _pool(x, pool_size, strides, padding, data_format, zero, jax.lax.add)
    if padding.lower() == "valid":
        return total / math.prod(each(pool_size, x.ndim - 2))
    start, rank = _spatial(x, data_format)
    # How many elements each window holds: the same for all samples and channels.
    ones = jnp.ones([n if start <= axis < start + rank else 1 for axis, n in enumerate(x.shape)], x.dtype)
    return total / _pool(ones, pool_size, strides, padding, data_format, zero, jax.lax.add)


def _adaptive(inputs: Any, output_size: Any, data_format: str | None, reduce: Any) -> Any:
    x = convert(inputs)
    start, rank = _spatial(x, data_format)
    for axis, count in enumerate(each(output_size, rank), start):
        length = x.shape[axis]
        edges = [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
        parts = [jax.lax.slice_in_dim(x, low, high, axis=axis) for low, high in edges]
        x = jnp.concatenate([reduce(part, axis=axis, keepdims=True) for part in parts], axis)
    return x


@op("nn")
def adaptive_average_pool(inputs: Tensor, output_size: Any, data_format: str | None = None) -> Tensor:
    """Return means of windows whose size is chosen so that `output_size` of them fit.

    Example:
        >>> adaptive_average_pool(jnp.ones((1, 5, 5, 1)), 2).shape
        (1, 2, 2, 1)
    """
    return _adaptive(inputs, output_size, data_format, jnp.mean)


@op("nn")
def adaptive_max_pool(inputs: Tensor, output_size: Any, data_format: str | None = None) -> Tensor:
    """Return maxima of windows whose size is chosen so that `output_size` of them fit.

    Example:
        >>> adaptive_max_pool(jnp.ones((1, 5, 5, 1)), 2).shape
        (1, 2, 2, 1)
    """
    return _adaptive(inputs, output_size, data_format, jnp.max)
