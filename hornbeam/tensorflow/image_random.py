"""Random changes of images: a part of `tf.image`.

Without a seed, the numbers are NumPy's global ones, which `tf.random.set_seed` seeds; inside of a
compiled function they are Hornbeam's. The numbers themselves differ from TensorFlow's.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from hornbeam import random
from hornbeam.tensorflow.host import HostTensor, as_host, host_array
from hornbeam.tensorflow.image_colors import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_jpeg_quality,
    adjust_saturation,
)
from hornbeam.tensorflow.on_images import library, on_images, sizes_of

__all__ = [
    "random_brightness", "random_contrast", "random_crop", "random_flip_left_right",
    "random_flip_up_down", "random_hue", "random_jpeg_quality", "random_saturation",
    "stateless_random_brightness", "stateless_random_contrast", "stateless_random_crop",
    "stateless_random_flip_left_right", "stateless_random_flip_up_down", "stateless_random_hue",
    "stateless_random_jpeg_quality", "stateless_random_saturation",
]  # fmt: skip

Draw = Callable[[tuple[int, ...], float, float], Any]
_LOCK = threading.Lock()


@functools.lru_cache(maxsize=256)
def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _draw_for(image: Any, seed: Any) -> Draw:
    """Return a function that draws numbers between two bounds, in a shape."""

    def draw(shape: tuple[int, ...], low: float, high: float) -> Any:
        if isinstance(image, jax.core.Tracer):
            return random.uniform(shape, low, high)
        with _LOCK:
            source = np.random if seed is None else _generator(int(seed) % 2**64)
            return np.asarray(source.uniform(low, high, shape), "float32")

    return draw


def _stateless(image: Any, seed: Any) -> Draw:
    key = host_array(seed).astype("int64").reshape(-1)
    if key.shape != (2,):
        raise ValueError(f"stateless_random: `seed` must be two integers, received {seed!r}.")

    def draw(shape: tuple[int, ...], low: float, high: float) -> Any:
        generator = np.random.default_rng((key % 2**32).tolist())
        return np.asarray(generator.uniform(low, high, shape), "float32")

    return draw


def _flip(image: Any, axis: int, name: str, draw: Draw) -> Any:
    sizes_of(image, name)
    xp = library(image)
    lots = draw((image.shape[0], 1, 1, 1) if image.ndim == 4 else (1, 1, 1), 0, 1)
    if xp is np and image.ndim == 3:
        return np.flip(image, axis) if lots < 0.5 else image
    return xp.where(lots < 0.5, xp.flip(image, axis), image)


def _span(name: str, low: Any, high: Any) -> None:
    if not 0 <= low < high:
        raise ValueError(
            f"{name}: `lower` and `upper` must not be negative, and `lower` the smaller one,"
            f" received {low} and {high}."
        )


def _delta(name: str, value: Any, most: float) -> None:
    if not 0 <= value <= most:
        limit = "" if most == np.inf else f" and at most {most}"
        raise ValueError(f"{name}: `max_delta` must not be negative{limit}, received {value}.")


@on_images
def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Return images of which each is mirrored, or not."""
    return _flip(image, -2, "random_flip_left_right", _draw_for(image, seed))


@on_images
def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Return images of which each is turned upside down, or not."""
    return _flip(image, -3, "random_flip_up_down", _draw_for(image, seed))


@on_images
def stateless_random_flip_left_right(image: Any, seed: Any) -> Any:
    """Return what `random_flip_left_right` may return, as a function of a seed of two integers."""
    return _flip(image, -2, "random_flip_left_right", _stateless(image, seed))


@on_images
def stateless_random_flip_up_down(image: Any, seed: Any) -> Any:
    """Return what `random_flip_up_down` may return, as a function of a seed of two integers."""
    return _flip(image, -3, "random_flip_up_down", _stateless(image, seed))


@on_images
def random_brightness(image: Any, max_delta: Any, seed: Any = None) -> Any:
    """Return images with a number between `-max_delta` and `max_delta` added."""
    _delta("random_brightness", max_delta, np.inf)
    return adjust_brightness(image, _draw_for(image, seed)((), -max_delta, max_delta))


@on_images
def stateless_random_brightness(image: Any, max_delta: Any, seed: Any) -> Any:
    """Return what `random_brightness` may return, as a function of a seed of two integers."""
    _delta("stateless_random_brightness", max_delta, np.inf)
    return adjust_brightness(image, _stateless(image, seed)((), -max_delta, max_delta))


@on_images
def random_contrast(image: Any, lower: Any, upper: Any, seed: Any = None) -> Any:
    """Return images whose contrast is multiplied by a number between two."""
    _span("random_contrast", lower, upper)
    return adjust_contrast(image, _draw_for(image, seed)((), lower, upper))


@on_images
def stateless_random_contrast(image: Any, lower: Any, upper: Any, seed: Any) -> Any:
    """Return what `random_contrast` may return, as a function of a seed of two integers."""
    _span("stateless_random_contrast", lower, upper)
    return adjust_contrast(image, _stateless(image, seed)((), lower, upper))


@on_images
def random_saturation(image: Any, lower: Any, upper: Any, seed: Any = None) -> Any:
    """Return images whose saturation is multiplied by a number between two."""
    _span("random_saturation", lower, upper)
    return adjust_saturation(image, _draw_for(image, seed)((), lower, upper))


@on_images
def stateless_random_saturation(image: Any, lower: Any, upper: Any, seed: Any = None) -> Any:
    """Return what `random_saturation` may return, as a function of a seed of two integers."""
    _span("stateless_random_saturation", lower, upper)
    return adjust_saturation(image, _stateless(image, seed)((), lower, upper))


@on_images
def random_hue(image: Any, max_delta: Any, seed: Any = None) -> Any:
    """Return images whose hue is turned by up to `max_delta`, at most 0.5."""
    _delta("random_hue", max_delta, 0.5)
    return adjust_hue(image, _draw_for(image, seed)((), -max_delta, max_delta))


@on_images
def stateless_random_hue(image: Any, max_delta: Any, seed: Any) -> Any:
    """Return what `random_hue` may return, as a function of a seed of two integers."""
    _delta("stateless_random_hue", max_delta, 0.5)
    return adjust_hue(image, _stateless(image, seed)((), -max_delta, max_delta))


def _quality(low: Any, high: Any) -> None:
    if not 0 <= low < high <= 100:
        raise ValueError(
            "random_jpeg_quality: the qualities must be from 0 to 100, the smaller one first,"
            f" received {low} and {high}."
        )


def random_jpeg_quality(
    image: Any, min_jpeg_quality: int, max_jpeg_quality: int, seed: Any = None
) -> Any:
    """Return an image as it is after it was stored as a JPEG file of a random quality."""
    _quality(min_jpeg_quality, max_jpeg_quality)
    quality = _draw_for(image, seed)((), min_jpeg_quality, max_jpeg_quality)
    return adjust_jpeg_quality(image, int(quality))


def stateless_random_jpeg_quality(
    image: Any, min_jpeg_quality: int, max_jpeg_quality: int, seed: Any
) -> Any:
    """Return what `random_jpeg_quality` may return, as a function of a seed of two integers."""
    _quality(min_jpeg_quality, max_jpeg_quality)
    quality = _stateless(image, seed)((), min_jpeg_quality, max_jpeg_quality)
    return adjust_jpeg_quality(image, int(quality))


def _crop(value: Any, size: Any, draw: Draw) -> Any:
    sizes = [int(n) for n in host_array(list(size) if isinstance(size, (list, tuple)) else size)]
    if len(sizes) != value.ndim or any(
        n > have for n, have in zip(sizes, value.shape, strict=True)
    ):
        raise ValueError(
            f"random_crop: `size` {sizes} is no part of a tensor of shape {tuple(value.shape)}."
        )
    room = [have - n + 1 for n, have in zip(sizes, value.shape, strict=True)]
    starts = draw((value.ndim,), 0, 1) * np.asarray(room, "float32")
    if isinstance(value, jax.core.Tracer):
        return jax.lax.dynamic_slice(value, tuple(starts.astype("int32")), sizes)
    first = np.minimum(starts.astype("int64"), np.asarray(room) - 1)
    return value[tuple(slice(a, a + n) for a, n in zip(first.tolist(), sizes, strict=True))]


@on_images
def random_crop(value: Any, size: Any, seed: Any = None, name: str | None = None) -> Any:
    """Return a part of a tensor, from a random place on.

    Args:
        value: Tensor.
        size: Shape of the part.
        seed: Seed of the places.
        name: Ignored.

    Raises:
        ValueError: If the part is larger than the tensor.
    """
    return _crop(value, size, _draw_for(value, seed))


@on_images
def stateless_random_crop(value: Any, size: Any, seed: Any, name: str | None = None) -> Any:
    """Return what `random_crop` may return, as a function of a seed of two integers."""
    return _crop(value, size, _stateless(value, seed))


def distorted_box(
    image_size: Any, boxes: Any, draw: Draw, min_object_covered: float, aspect_ratio_range: Any,
    area_range: Any, max_attempts: int | None, whole_without_boxes: bool | None,
) -> tuple[HostTensor, HostTensor, HostTensor]:  # fmt: skip
    """Return where a random part of an image begins, its size, and it as a box from 0 to 1."""
    height, width, _ = (int(n) for n in host_array(image_size))
    boxes = host_array(boxes).astype("float32").reshape(-1, 4)
    ratios = aspect_ratio_range or (0.75, 1.33)
    areas = area_range or (0.05, 1.0)
    if not len(boxes) and not whole_without_boxes:
        raise ValueError(
            "sample_distorted_bounding_box: there are no `bounding_boxes`. Pass"
            " `use_image_if_no_bounding_boxes=True` to use the whole image."
        )
    if not len(boxes):
        boxes = np.array([[0, 0, 1, 1]], "float32")
    found = (0, 0, height, width)
    for _ in range(100 if max_attempts is None else int(max_attempts)):
        ratio, area, down, right = draw((4,), 0, 1)
        ratio = ratios[0] + ratio * (ratios[1] - ratios[0])
        pixels = (areas[0] + area * (areas[1] - areas[0])) * height * width
        rows, columns = round(np.sqrt(pixels / ratio)), round(np.sqrt(pixels * ratio))
        if not 1 <= rows <= height or not 1 <= columns <= width:
            continue
        top, left = int(down * (height - rows + 1)), int(right * (width - columns + 1))
        scale = np.array([height, width, height, width], "float32")
        part = np.array([top, left, top + rows, left + columns], "float32") / scale
        overlap = np.prod(np.maximum(np.minimum(boxes[:, 2:], part[2:]) -
                                     np.maximum(boxes[:, :2], part[:2]), 0), axis=1)  # fmt: skip
        sizes = np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-12)
        if (overlap / sizes >= min_object_covered).any():
            found = (top, left, rows, columns)
            break
    top, left, rows, columns = found
    box = [top / height, left / width, (top + rows) / height, (left + columns) / width]
    return as_host([top, left, 0]), as_host([rows, columns, -1]), as_host([[box]], "float32")
