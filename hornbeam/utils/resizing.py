"""Images of another size, computed with NumPy, as TensorFlow's `image.resize` computes them.

Each axis is resized by a product with a matrix of weights, so images of many sizes need no
compilation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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


_KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": _triangle,
    "bicubic": functools.partial(_cubic, b=0.0, c=0.5),
    "mitchellcubic": functools.partial(_cubic, b=1 / 3, c=1 / 3),
    "lanczos3": functools.partial(_lanczos, radius=3),
    "lanczos5": functools.partial(_lanczos, radius=5),
    "gaussian": _gaussian,
}
INTERPOLATIONS = ("bilinear", "nearest", "area", *list(_KERNELS)[1:])


@functools.lru_cache(maxsize=256)
def _weights(before: int, after: int, interpolation: str) -> np.ndarray:
    """Return the matrix (after, before) that resizes an axis."""
    scale = before / after
    if interpolation == "area":
        first = np.arange(after)[:, None] * scale
        pixel = np.arange(before)
        shared = np.minimum(first + scale, pixel + 1) - np.maximum(first, pixel)
        found = np.maximum(shared, 0)
    else:
        centers = (np.arange(after)[:, None] + 0.5) * scale - 0.5
        found = _KERNELS[interpolation](centers - np.arange(before))
    return (found / found.sum(axis=1, keepdims=True)).astype("float32")


def resize(x: Any, size: tuple[int, int], interpolation: str = "bilinear") -> Any:
    """Return images of another size.

    Args:
        x: An array `(..., height, width, channels)` of NumPy or JAX.
        size: Height and width.
        interpolation: A name of `INTERPOLATIONS`.

    Returns:
        An array `(..., *size, channels)`, float32; of the dtype of `x` with `"nearest"`.

    Example:
        >>> resize(np.array([[[0.0], [1.0]]]), (1, 4)).ravel()
        array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    height, width = x.shape[-3:-1]
    if interpolation == "nearest":
        rows = np.floor((np.arange(size[0]) + 0.5) * (height / size[0])).astype(int)
        columns = np.floor((np.arange(size[1]) + 0.5) * (width / size[1])).astype(int)
        return x[..., rows[:, None], columns, :]
    library: Any = jnp if isinstance(x, jax.Array) else np
    x = x.astype("float32")
    if size[0] != height:
        x = library.einsum("oh,...hwc->...owc", _weights(height, size[0], interpolation), x)
    if size[1] != width:
        x = library.einsum("ow,...hwc->...hoc", _weights(width, size[1], interpolation), x)
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
