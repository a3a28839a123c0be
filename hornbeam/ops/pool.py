"""Pooling over any number of spatial axes.

The windows are combined from strided slices of the input. On CPU the gradient of slices is 4 to 25
times faster than the gradient of XLA's windowed reduction, which uses `select_and_scatter`. Slices
are plain ops, so every JAX transformation works. Of equal maxima the first one in the window gets
the gradient, as in Keras.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.export import is_symbolic_dim

from hornbeam.core.convert import convert
from hornbeam.core.loading import PART, pay_for
from hornbeam.core.op import op
from hornbeam.core.tracing import too_small
from hornbeam.ops.conv import each
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Tensor

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool"]


def _spatial(inputs: Any, data_format: str | None) -> tuple[int, int]:
    """Return the first spatial axis and the number of spatial axes."""
    return (2 if standardize_data_format(data_format) == "channels_first" else 1), inputs.ndim - 2


def _first_larger(a: Any, b: Any) -> Any:
    """Return the larger of two values.

    At a tie, the result is `a`, so only `a` gets the gradient. NaN wins, as in `jnp.maximum`.
    """
    return jnp.where((b > a) | (b != b), b, a)


def _padded(
    x: Any, start: int, window: tuple[int, ...], strides: tuple[int, ...], fill: Any
) -> Any:
    """Return `x` padded for `padding="same"`, with the larger half at the end."""
    pads = [(0, 0)] * x.ndim
    for axis, (w, s) in enumerate(zip(window, strides, strict=True), start):
        missing = max((math.ceil(x.shape[axis] / s) - 1) * s + w - x.shape[axis], 0)
        pads[axis] = (missing // 2, missing - missing // 2)
    return jnp.pad(x, pads, constant_values=fill)


def _window_slices(
    x: Any, start: int, window: tuple[int, ...], strides: tuple[int, ...]
) -> list[Any]:
    """Return one slice of `x` per window position, in order; spatial axes begin at `start`."""
    outer = [(n - w) // s + 1 for n, w, s in zip(x.shape[start:], window, strides, strict=False)]
    before = (slice(None),) * start
    slices = []
    for offset in itertools.product(*map(range, window)):
        cut = [
            slice(o, o + max((n - 1) * s + 1, 0), s)
            for o, n, s in zip(offset, outer, strides, strict=True)
        ]
        slices.append(x[(*before, *cut)])
    return slices


def _along_axis(x: Any, axis: int, width: int, stride: int, combine: Any) -> Any:
    """Combine windows along one axis; wide windows from windows of 1, 2, 4, ... positions.

    A window of 7 consists of one of 4, one of 2 and one of 1: 2 combinations make these, and 2 more
    the whole.
    """
    if width <= _SLICES_ALONG_AN_AXIS:
        return functools.reduce(combine, _window_slices(x, axis, (width,), (stride,)))
    parts = {1: x}
    while 2 * (size := max(parts)) <= width:
        length = parts[size].shape[axis] - size
        left, right = (
            jax.lax.slice_in_dim(parts[size], low, low + length, axis=axis) for low in (0, size)
        )
        parts[2 * size] = combine(left, right)
    span = max((x.shape[axis] - width) // stride * stride + 1, 0)
    offset, result = 0, None
    for size in sorted(parts, reverse=True):
        if width & size:
            part = jax.lax.slice_in_dim(parts[size], offset, offset + span, stride, axis)
            result = part if result is None else combine(result, part)
            offset += size
    return result


def _tile_slices(x: Any, start: int, window: tuple[int, ...]) -> list[Any]:
    return _window_slices(x, start, window, window)


def _tiled(x: Any, start: int, window: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """Split each spatial axis into windows and positions; also return the positions' axes.

    Elements that do not fill a window are cut off.
    """
    cut, shape = [slice(None)] * start, list(x.shape[:start])
    for n, w in zip(x.shape[start:], window, strict=False):
        cut.append(slice(n // w * w))
        shape += [n // w, w]
    axes = tuple(range(start + 1, start + 2 * len(window), 2))
    return x[tuple(cut)].reshape(*shape, *x.shape[start + len(window) :]), axes


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _tiles(x: Any, start: int, window: tuple[int, ...], add: bool) -> Any:
    """Return the sums or maxima of windows that do not overlap."""
    return functools.reduce(jnp.add if add else _first_larger, _tile_slices(x, start, window))


@_tiles.defjvp
def _tiles_jvp(
    start: int, window: tuple[int, ...], add: bool, primals: Any, tangents: Any
) -> tuple[Any, Any]:
    """Return the tangent as a masked sum, whose transpose is one pass over the input."""
    (x,), (dx,) = primals, tangents
    dx, axes = _tiled(dx, start, window)
    if add:
        return _tiles(x, start, window, add), dx.sum(axes)
    y, *others = _tile_slices(x, start, window)
    # Position of the maximum in its window.
    place = jnp.zeros(y.shape, "int8" if math.prod(window) < 2**7 else "int32")
    for number, other in enumerate(others, 1):
        later = (other > y) | (other != other)
        y, place = jnp.where(later, other, y), jnp.where(later, place.dtype.type(number), place)
    here = jnp.zeros([1] * dx.ndim, place.dtype)
    for axis, size in zip(axes, window, strict=True):
        here = here * size + jax.lax.broadcasted_iota(
            place.dtype, [size if a == axis else 1 for a in range(dx.ndim)], axis
        )
    return y, jnp.where(here == jnp.expand_dims(place, axes), dx, 0).sum(axes)


# With W positions in a window, slices cost W times the output, and combined windows log(W) times
# the input. On CPU (Zen 4, gradient included) it is fastest to take all positions at once up to
# 2x2, and one axis after another beyond; from 7 positions on an axis it is fastest to combine
# windows.
_SLICES_AT_ONCE = 4
_SLICES_ALONG_AN_AXIS = 6


def _pool(
    inputs: Any,
    size: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    fill: Any,
    combine: Any,
) -> Any:
    start, rank = _spatial(inputs, data_format)
    window = each(size, rank)
    steps = window if strides is None else each(strides, rank)
    same = padding.lower() == "same"
    inner = inputs.shape[start : start + rank]
    if any(map(is_symbolic_dim, inner)):
        return _of_any_size(inputs, start, window, steps, padding, fill, combine)
    if not same and any(n < w for n, w in zip(inner, window, strict=True)):
        raise too_small(
            f"the window {window} is larger than the input {inputs.shape}. Use padding='same'."
        )
    return _combined(inputs, start, window, steps, fill if same else None, combine)


def _of_any_size(
    x: Any, start: int, window: tuple[int, ...], strides: tuple[int, ...], padding: str, fill: Any,
    combine: Any,
) -> Any:  # fmt: skip
    """Combine windows by XLA, for spatial sizes that `jax.export` leaves open."""
    sizes, steps = [1] * x.ndim, [1] * x.ndim
    sizes[start : start + len(window)], steps[start : start + len(window)] = window, strides
    reduce = jax.lax.add if combine is jnp.add else jax.lax.max
    return jax.lax.reduce_window(
        x, jnp.asarray(fill, x.dtype), reduce, sizes, steps, padding.upper()
    )


# Compiled as one program even outside of compiled code, where each slice would be a separate call.
@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5))
def _combined(
    x: Any, start: int, window: tuple[int, ...], strides: tuple[int, ...], fill: Any, combine: Any
) -> Any:
    """Combine the elements of each window with `combine`; `fill` is the padding (`None`: none)."""
    if fill is not None:
        x = _padded(x, start, window, strides, fill)
    if window == strides:
        return _tiles(x, start, window, combine is jnp.add)
    if math.prod(window) <= _SLICES_AT_ONCE:
        return functools.reduce(combine, _window_slices(x, start, window, strides))
    # The last axis comes first, so that the first of equal maxima in the order of the window still
    # wins.
    for axis in reversed(range(len(window))):
        x = _along_axis(x, start + axis, window[axis], strides[axis], combine)
    return x


@op("nn")
def max_pool(
    inputs: Tensor,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Return the maximum of each window.

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        pool_size: Size of the window; one number, or one per spatial axis.
        strides: Distance between windows; one number, or one per spatial axis. Default:
            `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Raises:
        ValueError: If the window is larger than the input and `padding` is `"valid"`.

    Example:
        >>> max_pool(jnp.ones((1, 4, 4, 1)), 2).shape
        (1, 2, 2, 1)
    """
    x = convert(inputs)
    least = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    return _pool(x, pool_size, strides, padding, data_format, least, _first_larger)


@op("nn")
def average_pool(
    inputs: Tensor,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Return the mean of each window; padding does not count. Arguments as for `max_pool`.

    Example:
        >>> average_pool(jnp.ones((1, 4, 4, 1)), 2).shape
        (1, 2, 2, 1)
    """
    x = convert(inputs)
    zero = x.dtype.type(0)
    total = _pool(x, pool_size, strides, padding, data_format, zero, jnp.add)
    if padding.lower() == "valid":
        return total / math.prod(each(pool_size, x.ndim - 2))
    start, rank = _spatial(x, data_format)
    # The number of elements in each window is the same for all samples and channels.
    ones = jnp.ones(
        [n if start <= axis < start + rank else 1 for axis, n in enumerate(x.shape)], x.dtype
    )
    return total / _pool(ones, pool_size, strides, padding, data_format, zero, jnp.add)


def _adaptive(
    inputs: Any, output_size: int | Sequence[int], data_format: str | None, reduce: Any
) -> Any:
    x = convert(inputs)
    start, rank = _spatial(x, data_format)
    for axis, count in enumerate(each(output_size, rank), start):
        length = x.shape[axis]
        pay_for("`output_size`", count * PART)
        edges = [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
        parts = [jax.lax.slice_in_dim(x, low, high, axis=axis) for low, high in edges]
        x = jnp.concatenate([reduce(part, axis=axis, keepdims=True) for part in parts], axis)
    return x


@op("nn")
def adaptive_average_pool(
    inputs: Tensor, output_size: int | Sequence[int], data_format: str | None = None
) -> Tensor:
    """Return the means of `output_size` windows, whose sizes follow from the input.

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        output_size: Number of windows; one number, or one per spatial axis.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Example:
        >>> adaptive_average_pool(jnp.ones((1, 5, 5, 1)), 2).shape
        (1, 2, 2, 1)
    """
    return _adaptive(inputs, output_size, data_format, jnp.mean)


@op("nn")
def adaptive_max_pool(
    inputs: Tensor, output_size: int | Sequence[int], data_format: str | None = None
) -> Tensor:
    """Return the maxima of `output_size` windows; see `adaptive_average_pool` for their sizes.

    Example:
        >>> adaptive_max_pool(jnp.ones((1, 5, 5, 1)), 2).shape
        (1, 2, 2, 1)
    """
    return _adaptive(inputs, output_size, data_format, jnp.max)
