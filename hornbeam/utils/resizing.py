"""Images of another size on the host, as TensorFlow's `image.resize` computes them.

A pixel of the result is a weighted sum of the few pixels within the reach of a filter, along one
axis after the other. So images of many sizes need no compilation. hornbeam-cpu computes the same
bits as NumPy, several times faster.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from hornbeam.ops.routes import image_kernels

__all__ = ["INTERPOLATIONS", "resize", "smart_resize_box"]


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: np.ndarray, b: float, c: float) -> np.ndarray:
    """Mitchell and Netravali, "Reconstruction filters in computer graphics", 1988."""
    x = np.abs(x)
    near = (12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + 6 - 2 * b
    far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x + 8 * b + 24 * c
    return np.where(x < 1, near, np.where(x < 2, far, 0)) / 6


def _lanczos(x: np.ndarray, radius: int) -> np.ndarray:
    return np.where(np.abs(x) < radius, np.sinc(x) * np.sinc(x / radius), 0)


def _gaussian(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 1.5, np.exp(-2 * x**2), 0)  # sigma is a third of the radius


_KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (functools.partial(_cubic, b=0.0, c=0.5), 2),
    "mitchellcubic": (functools.partial(_cubic, b=1 / 3, c=1 / 3), 2),
    "lanczos3": (functools.partial(_lanczos, radius=3), 3),
    "lanczos5": (functools.partial(_lanczos, radius=5), 5),
    "gaussian": (_gaussian, 1.5),
}
"""Filters and how many pixels they reach."""
INTERPOLATIONS = ("bilinear", "nearest", "area", *list(_KERNELS)[1:])


@functools.lru_cache(maxsize=256)
def _weights(
    before: int, after: int, interpolation: str, antialias: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels each pixel of a resized axis depends on, and their weights.

    Returns:
        Two arrays (pixels of a sum, after), so memory grows with the sizes and not their product.
    """
    scale = before / after
    place = np.arange(after)
    if interpolation == "area":
        start = place * scale
        pixels = np.floor(start).astype(int) + np.arange(math.ceil(scale) + 1)[:, None]
        shared = np.minimum(start + scale, pixels + 1) - np.maximum(start, pixels)
        found = np.maximum(shared, 0)
    else:
        kernel, reach = _KERNELS[interpolation]
        center = (place + 0.5) * scale - 0.5
        if interpolation == "bicubic" and not antialias:
            # TensorFlow's table has 1024 steps, and its places are float32.
            center = (place + np.float32(0.5)).astype("float32") * np.float32(scale)
            center = np.rint((center - np.float32(0.5)) * 1024) / 1024.0
        wide = max(scale, 1.0) if antialias else 1.0
        count = math.ceil(2 * reach * wide) + 2
        pixels = np.floor(center - reach * wide).astype(int) + np.arange(count)[:, None]
        found = kernel((center - pixels) / wide)
    found = np.where((pixels >= 0) & (pixels < before), found, 0)
    used = found.any(axis=1)
    weights = (found / found.sum(axis=0)).astype("float32")
    pixels = np.clip(pixels, 0, before - 1)[used]
    return np.ascontiguousarray(pixels, "int64"), np.ascontiguousarray(weights[used])


def _resize_axis(x: Any, axis: int, after: int, interpolation: str, antialias: bool) -> Any:
    pixels, weights = _weights(x.shape[axis], after, interpolation, antialias)
    native = image_kernels() if isinstance(x, np.ndarray) else None
    if native is not None:
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        sizes, x = (outer, x.shape[axis], inner), np.ascontiguousarray(x)
        y = np.empty((*x.shape[:axis], after, *x.shape[axis + 1 :]), "float32")
        native.sums(x, sizes, pixels, weights, len(pixels), y)
        return y
    shape = [1] * x.ndim
    shape[axis] = after
    terms = (
        x.take(places, axis=axis) * part.reshape(shape)
        for places, part in zip(pixels, weights, strict=True)
    )
    return functools.reduce(operator.add, terms)


@functools.lru_cache(maxsize=256)
def _neighbors(before: int, after: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two pixels that each pixel of a resized axis is between, and how far it is."""
    scale = np.float32(before / after)
    place = (np.arange(after, dtype="float32") + np.float32(0.5)) * scale - np.float32(0.5)
    lower = np.floor(place)
    first = lower.astype("int64")
    limits = (0, before - 1)
    return np.clip(first, *limits), np.clip(first + 1, *limits), place - lower


def _between(x: np.ndarray, axis: int, after: int, step: int = 1) -> np.ndarray:
    """Return float32 values between neighbors on an axis, whose pixels have `step` numbers each."""
    first, second, part = _neighbors(x.shape[axis] // step, after)
    if step > 1:
        first, second = ((n[:, None] * step + np.arange(step)).ravel() for n in (first, second))
        part = np.repeat(part, step)
    below, y = x.take(first, axis=axis), x.take(second, axis=axis)
    y = np.subtract(y, below, dtype="float32")
    y *= part if axis == x.ndim - 1 else part[:, None]
    y += below
    return y


def _place(shape: tuple[int, ...], dtype: Any, out: np.ndarray | None) -> np.ndarray:
    """Return memory for a result: `out`, if it is in one piece."""
    if out is not None and out.flags.c_contiguous and (out.shape, out.dtype) == (shape, dtype):
        return out
    return np.empty(shape, dtype)


def _resize_linearly(x: np.ndarray, size: tuple[int, int], out: np.ndarray | None) -> np.ndarray:
    """Return images of another size, with TensorFlow's bits: columns first, then rows, in float32.

    Columns and channels are one axis meanwhile: NumPy takes single numbers quickly, and runs of
    three slowly.
    """
    *batch, height, width, channels = x.shape
    native = image_kernels() if x.dtype in ("uint8", "float32") else None
    if native is not None:
        y = _place((*batch, *size, channels), "float32", out)
        shape = (math.prod(batch), height, width, channels)
        columns, rows = _neighbors(width, size[1]), _neighbors(height, size[0])
        native.between(np.ascontiguousarray(x), shape, x.dtype == "float32", columns, rows, y)
        return y
    x = x.reshape(*batch, height, width * channels)
    if height > 2 * size[0]:  # some rows are not used
        first, second, part = _neighbors(height, size[0])
        above, y = (
            _between(x.take(rows, axis=-2), x.ndim - 1, size[1], channels)
            for rows in (first, second)
        )
        y -= above
        y *= part[:, None]
        y += above
    else:
        y = _between(_between(x, x.ndim - 1, size[1], channels), x.ndim - 2, size[0])
    return y.reshape(*batch, *size, channels)


@functools.lru_cache(maxsize=256)
def _nearest(before: int, after: int) -> np.ndarray:
    """Return the pixel that each pixel of a resized axis takes."""
    return np.floor((np.arange(after) + 0.5) * (before / after)).astype("int64")


def _take_nearest(x: Any, size: tuple[int, int], out: np.ndarray | None) -> Any:
    *batch, height, width, channels = x.shape
    rows, columns = _nearest(height, size[0]), _nearest(width, size[1])
    is_plain = isinstance(x, np.ndarray) and not x.dtype.hasobject
    native = image_kernels() if is_plain else None
    if native is None:
        return x[..., rows[:, None], columns, :]
    y = _place((*batch, *size, channels), x.dtype, out)
    shape = (math.prod(batch), height, width, channels * x.itemsize)
    native.nearest(np.ascontiguousarray(x).view("u1"), shape, rows, columns, y.view("u1"))
    return y


def resize(
    x: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    out: np.ndarray | None = None,
) -> Any:
    """Return images of another size.

    Args:
        x: An array `(..., height, width, channels)` of NumPy or JAX.
        size: Height and width.
        interpolation: A name of `INTERPOLATIONS`.
        antialias: Whether filters grow with the pixels where an image becomes smaller; `"nearest"`
            and `"area"` have none.
        out: Array of NumPy to which the result is written.

    Returns:
        An array `(..., *size, channels)`, float32; of the dtype of `x` with `"nearest"`. `out` if
        it is given.

    Example:
        >>> resize(np.array([[[0.0], [1.0]]]), (1, 4)).ravel()
        array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    if interpolation == "nearest":
        y = _take_nearest(x, size, out)
    elif interpolation == "bilinear" and isinstance(x, np.ndarray) and not antialias:
        y = _resize_linearly(x, size, out)
    else:
        y = _resize_by_sums(x.astype("float32"), size, interpolation, antialias)
    if out is None or y is out:
        return y
    out[...] = y
    return out


def _resize_by_sums(x: Any, size: tuple[int, int], interpolation: str, antialias: bool) -> Any:
    axes = [(x.ndim - 3, size[0]), (x.ndim - 2, size[1])]
    for axis, after in sorted(axes, key=lambda pair: pair[1] / x.shape[pair[0]]):  # smaller first
        if after != x.shape[axis]:
            x = _resize_axis(x, axis, after, interpolation, antialias)
    return x


def smart_resize_box(height: int, width: int, size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of the largest part in the middle with the ratio of a size.

    Example:
        >>> smart_resize_box(10, 10, (1, 2))
        (slice(2, 7, None), slice(0, 10, None))
    """
    rows = min(height, int(width * size[0] / size[1]))
    columns = min(width, int(height * size[1] / size[0]))
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)
