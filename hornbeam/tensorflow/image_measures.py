"""Measures of images and their differences: a part of `tf.image`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from hornbeam.tensorflow.host import host_array
from hornbeam.tensorflow.on_images import convert_dtype, library, on_images, sizes_of

__all__ = ["image_gradients", "psnr", "sobel_edges", "ssim", "ssim_multiscale", "total_variation"]


def _pair(first: Any, second: Any, max_val: Any, name: str) -> tuple[Any, Any, Any]:
    """Return two images and the largest value, as float32."""
    sizes_of(first, name, tuple(range(3, 9)))
    second = second if isinstance(second, jax.Array) else host_array(second)
    if tuple(first.shape[-3:]) != tuple(second.shape[-3:]):
        raise ValueError(
            f"{name}: both images must have the same height, width and channels, received shapes"
            f" {tuple(first.shape)} and {tuple(second.shape)}."
        )
    if isinstance(second, jax.Array) and not isinstance(first, jax.Array):
        first = jax.numpy.asarray(first)
    largest = convert_dtype(np.asarray(max_val, first.dtype), "float32")
    return convert_dtype(first, "float32"), convert_dtype(second, "float32"), largest


@on_images
def psnr(a: Any, b: Any, max_val: Any, name: str | None = None) -> Any:
    """Return the peak signal-to-noise ratio of two images, in decibels.

    Args:
        a: First images.
        b: Second images.
        max_val: The largest value that a pixel may have.
        name: Ignored.

    Example:
        >>> round(float(psnr(np.zeros((2, 2, 1)), np.full((2, 2, 1), 0.1), 1.0)), 3)
        20.0
    """
    x, y, largest = _pair(a, b, max_val, "psnr")
    xp = library(x)
    error = xp.mean(xp.square(x - y), axis=(-3, -2, -1))
    with np.errstate(divide="ignore"):
        found = 20 * xp.log10(largest) - 10 * xp.log10(error)
    return found if xp is not np else np.asarray(found, "float32")


def _bell(size: int, sigma: float) -> np.ndarray:
    places = np.arange(size, dtype="float32") - np.float32((size - 1) / 2)
    weights = np.exp(-(places**2) / np.float32(2 * sigma**2))
    return weights / weights.sum()


def _blurred(x: Any, weights: np.ndarray) -> Any:
    """Return the mean over a window at each place where it is inside of the image."""
    for axis in (-3, -2):
        count = x.shape[axis] - len(weights) + 1
        at = x.ndim + axis
        total = None
        for place, weight in enumerate(weights):
            part = x[(slice(None),) * at + (slice(place, place + count),)] * weight
            total = part if total is None else total + part
        x = total
    return x


def _similarity(
    x: Any, y: Any, largest: Any, size: int, sigma: float, k1: float, k2: float
) -> tuple[Any, Any]:
    """Return brightness times contrast, and contrast alone, at each place."""
    if x.shape[-3] < size or x.shape[-2] < size:
        raise ValueError(
            f"ssim: images must have at least {size} by {size} pixels, the size of the filter,"
            f" received shape {tuple(x.shape)}. Pass a smaller `filter_size`."
        )
    weights = _bell(size, sigma)
    xp = library(x)
    c1, c2 = (np.float32(k * largest) ** 2 for k in (k1, k2))
    mean_x, mean_y = _blurred(x, weights), _blurred(y, weights)
    product = mean_x * mean_y * 2
    squares = xp.square(mean_x) + xp.square(mean_y)
    brightness = (product + c1) / (squares + c1)
    above = _blurred(x * y, weights) * 2 - product + c2
    below = _blurred(xp.square(x) + xp.square(y), weights) - squares + c2
    contrast = above / below
    return brightness * contrast, contrast


@on_images
def ssim(
    img1: Any, img2: Any, max_val: Any, filter_size: int = 11, filter_sigma: float = 1.5,
    k1: float = 0.01, k2: float = 0.03, return_index_map: bool = False,
) -> Any:  # fmt: skip
    """Return the structural similarity of two images (Wang and others, 2004).

    Args:
        img1: First images.
        img2: Second images.
        max_val: The largest value that a pixel may have.
        filter_size: Size of the window in pixels.
        filter_sigma: Width of the bell curve of the window.
        k1, k2: Constants that keep divisions stable.
        return_index_map: Whether the similarity at each place is returned.
    """
    x, y, largest = _pair(img1, img2, max_val, "ssim")
    both, _ = _similarity(x, y, largest, filter_size, filter_sigma, k1, k2)
    return both.mean(axis=-1) if return_index_map else both.mean(axis=(-3, -2, -1))


@on_images
def ssim_multiscale(
    img1: Any, img2: Any, max_val: Any,
    power_factors: Sequence[float] = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),
    filter_size: int = 11, filter_sigma: float = 1.5, k1: float = 0.01, k2: float = 0.03,
) -> Any:  # fmt: skip
    """Return the structural similarity of two images at several sizes (Wang and others, 2003).

    Args:
        img1, img2, max_val, filter_size, filter_sigma, k1, k2: As in `ssim`.
        power_factors: The weight of each size; each is half of the one before.
    """
    x, y, largest = _pair(img1, img2, max_val, "ssim_multiscale")
    xp = library(x)
    parts = []
    for level in range(len(power_factors)):
        if level:
            x, y = _halved(x), _halved(y)
        both, contrast = _similarity(x, y, largest, filter_size, filter_sigma, k1, k2)
        last = level == len(power_factors) - 1
        parts.append(xp.maximum((both if last else contrast).mean(axis=(-3, -2)), 0))
    weights = np.asarray(power_factors, "float32")
    return xp.prod(xp.stack(parts, axis=-1) ** weights, axis=-1).mean(axis=-1)


def _halved(x: Any) -> Any:
    """Return images of half the size; an odd last row or column counts twice."""
    xp = library(x)
    borders = [(0, 0)] * (x.ndim - 3) + [(0, n % 2) for n in x.shape[-3:-1]] + [(0, 0)]
    x = xp.pad(x, borders, mode="symmetric")
    rows = x[..., ::2, :, :] + x[..., 1::2, :, :]
    return (rows[..., ::2, :] + rows[..., 1::2, :]) * np.float32(0.25)


@on_images
def total_variation(images: Any, name: str | None = None) -> Any:
    """Return the sum of the differences between neighboring pixels of each image.

    Example:
        >>> float(total_variation(np.array([[[0.0], [2.0]]])))
        2.0
    """
    sizes_of(images, "total_variation")
    xp = library(images)
    axes = (-3, -2, -1)
    down = xp.abs(images[..., 1:, :, :] - images[..., :-1, :, :]).sum(axis=axes)
    across = xp.abs(images[..., :, 1:, :] - images[..., :, :-1, :]).sum(axis=axes)
    return xp.asarray(down + across)


def image_gradients(image: Any) -> tuple[Any, Any]:
    """Return the differences to the pixels below, and to those at the right.

    Those of the last row and the last column are 0.

    Args:
        image: Images (batch, height, width, channels).
    """
    return _down(image), _across(image)


@on_images
def _down(image: Any) -> Any:
    sizes_of(image, "image_gradients", (4,))
    return library(image).pad(image[:, 1:] - image[:, :-1], [(0, 0), (0, 1), (0, 0), (0, 0)])


@on_images
def _across(image: Any) -> Any:
    return library(image).pad(image[:, :, 1:] - image[:, :, :-1], [(0, 0), (0, 0), (0, 1), (0, 0)])


@on_images
def sobel_edges(image: Any) -> Any:
    """Return the slopes of images downwards and to the right, on a new last axis."""
    sizes_of(image, "sobel_edges", (4,))
    xp = library(image)
    x = xp.pad(image, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
    across = x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]
    down = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]
    return xp.stack([across[:, 2:] - across[:, :-2], down[:, :, 2:] - down[:, :, :-2]], axis=-1)
