"""Colors, brightness and statistics of images: a part of `tf.image`."""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbeam.tensorflow.host import host_array
from hornbeam.tensorflow.image_files import decode_jpeg, encode_jpeg
from hornbeam.tensorflow.on_images import (
    convert_dtype,
    floating,
    library,
    on_images,
    sizes_of,
)

__all__ = [
    "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_jpeg_quality",
    "adjust_saturation", "convert_image_dtype", "grayscale_to_rgb", "hsv_to_rgb",
    "per_image_standardization", "rgb_to_grayscale", "rgb_to_hsv", "rgb_to_yiq", "rgb_to_yuv",
    "yiq_to_rgb", "yuv_to_rgb",
]  # fmt: skip


@on_images
def convert_image_dtype(
    image: Any, dtype: Any, saturate: bool = False, name: str | None = None
) -> Any:
    """Return an image in another dtype, with its range of values.

    Args:
        image: Image.
        dtype: The dtype; floating-point images are from 0 to 1, others have all their values.
        saturate: Whether values outside of the range become its ends.
        name: Ignored.

    Example:
        >>> convert_image_dtype(np.array([0, 255], "uint8"), "float32").numpy().tolist()
        [0.0, 1.0]
    """
    return convert_dtype(image, dtype, saturate)


@on_images
def adjust_brightness(image: Any, delta: Any) -> Any:
    """Return images with a number added, which is meant for values from 0 to 1."""
    x = floating(image)
    return convert_dtype(x + library(x).asarray(delta, x.dtype), image.dtype, saturate=True)


@on_images
def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """Return images whose differences from the mean of their channel are multiplied."""
    sizes_of(images, "adjust_contrast", tuple(range(3, 9)))
    x = floating(images)
    xp = library(x)
    mean = xp.mean(x, axis=(-3, -2), keepdims=True, dtype="float32").astype(x.dtype)
    y = (x - mean) * xp.asarray(contrast_factor, x.dtype) + mean
    return convert_dtype(y, images.dtype, saturate=True)


@on_images
def adjust_gamma(image: Any, gamma: Any = 1, gain: Any = 1) -> Any:
    """Return `gain * image**gamma`, of values from 0 to 1.

    Raises:
        ValueError: If `gamma` is negative.
    """
    if isinstance(gamma, (int, float)) and gamma < 0:
        raise ValueError(f"adjust_gamma: `gamma` must not be negative, received {gamma}.")
    x = floating(image)
    xp = library(x)
    y = xp.asarray(gain, x.dtype) * x ** xp.asarray(gamma, x.dtype)
    return convert_dtype(y, image.dtype, saturate=True)


def _three(x: Any, name: str) -> Any:
    if not x.ndim or x.shape[-1] != 3:
        raise ValueError(
            f"{name}: images must have 3 channels on the last axis, received shape"
            f" {tuple(x.shape)}."
        )
    return x


def _to_hsv(x: Any) -> Any:
    xp = library(x)
    r, g, b = (x[..., i] for i in range(3))
    value = xp.maximum(xp.maximum(r, g), b)
    spread = value - xp.minimum(xp.minimum(r, g), b)
    safe = xp.where(spread > 0, spread, 1)
    part = xp.where(r == value, (g - b) / safe,
                    xp.where(g == value, (b - r) / safe + 2, (r - g) / safe + 4))  # fmt: skip
    hue = xp.where(spread > 0, part / 6, 0)
    hue = xp.where(hue < 0, hue + 1, hue)
    saturation = xp.where(value > 0, spread / xp.where(value > 0, value, 1), 0)
    return xp.stack([hue, saturation, value], axis=-1).astype(x.dtype)


def _to_rgb(x: Any) -> Any:
    xp = library(x)
    hue, saturation, value = (x[..., i] for i in range(3))
    distance = xp.abs(hue * 6 - 3) - 1, 2 - xp.abs(hue * 6 - 2), 2 - xp.abs(hue * 6 - 4)
    parts = [
        (1 - saturation + saturation * xp.clip(part, 0, 1)) * value for part in distance
    ]  # fmt: skip
    return xp.stack(parts, axis=-1).astype(x.dtype)


@on_images
def rgb_to_hsv(images: Any, name: str | None = None) -> Any:
    """Return hue, saturation and value of RGB images, all from 0 to 1.

    Raises:
        ValueError: If the images are not floating point with 3 channels.
    """
    return _to_hsv(_only_floats(_three(images, "rgb_to_hsv"), "rgb_to_hsv"))


@on_images
def hsv_to_rgb(images: Any, name: str | None = None) -> Any:
    """Return RGB images of hue, saturation and value."""
    return _to_rgb(_only_floats(_three(images, "hsv_to_rgb"), "hsv_to_rgb"))


def _only_floats(x: Any, name: str) -> Any:
    if x.dtype.kind in "iub":
        raise ValueError(
            f"{name}: images must be floating point, from 0 to 1, received {x.dtype}. Call"
            " `tf.image.convert_image_dtype(image, tf.float32)` first."
        )
    return x


def _matmul(x: Any, matrix: Any) -> Any:
    return library(x).matmul(x, np.asarray(matrix, x.dtype))


_YUV = (
    (0.299, -0.14714119, 0.61497538), (0.587, -0.28886916, -0.51496512),
    (0.114, 0.43601035, -0.10001026),
)  # fmt: skip
_FROM_YUV = ((1, 1, 1), (0, -0.394642334, 2.03206185), (1.13988303, -0.58062185, 0))
_YIQ = (
    (0.299, 0.59590059, 0.2115), (0.587, -0.27455667, -0.52273617),
    (0.114, -0.32134392, 0.31119955),
)  # fmt: skip
_FROM_YIQ = (
    (1, 1, 1), (0.95598634, -0.27201283, -1.10674021), (0.6208248, -0.64720424, 1.70423049),
)  # fmt: skip


@on_images
def rgb_to_yuv(images: Any) -> Any:
    """Return brightness and two colors (Y'UV) of RGB images from 0 to 1."""
    return _matmul(_only_floats(_three(images, "rgb_to_yuv"), "rgb_to_yuv"), _YUV)


@on_images
def yuv_to_rgb(images: Any) -> Any:
    """Return RGB images of brightness and two colors (Y'UV)."""
    return _matmul(_only_floats(_three(images, "yuv_to_rgb"), "yuv_to_rgb"), _FROM_YUV)


@on_images
def rgb_to_yiq(images: Any) -> Any:
    """Return brightness and two colors (YIQ) of RGB images from 0 to 1."""
    return _matmul(_only_floats(_three(images, "rgb_to_yiq"), "rgb_to_yiq"), _YIQ)


@on_images
def yiq_to_rgb(images: Any) -> Any:
    """Return RGB images of brightness and two colors (YIQ)."""
    return _matmul(_only_floats(_three(images, "yiq_to_rgb"), "yiq_to_rgb"), _FROM_YIQ)


@on_images
def rgb_to_grayscale(images: Any, name: str | None = None) -> Any:
    """Return images of one channel, the brightness."""
    x = floating(_three(images, "rgb_to_grayscale"))
    gray = _matmul(x, [[0.2989], [0.587], [0.114]])
    return convert_dtype(gray, images.dtype)


@on_images
def grayscale_to_rgb(images: Any, name: str | None = None) -> Any:
    """Return images of three equal channels, from images of one.

    Raises:
        ValueError: If the images have several channels.
    """
    if images.shape[-1] != 1:
        raise ValueError(
            f"grayscale_to_rgb: images must have 1 channel, received {images.shape[-1]}."
        )
    return library(images).repeat(images, 3, axis=-1)


@on_images
def adjust_saturation(image: Any, saturation_factor: Any, name: str | None = None) -> Any:
    """Return images whose saturation is multiplied."""
    x = floating(_three(image, "adjust_saturation"))
    xp = library(x)
    hsv = _to_hsv(x)
    saturation = xp.clip(hsv[..., 1:2] * xp.asarray(saturation_factor, x.dtype), 0, 1)
    y = _to_rgb(xp.concatenate([hsv[..., :1], saturation, hsv[..., 2:]], axis=-1))
    return convert_dtype(y, image.dtype)


@on_images
def adjust_hue(image: Any, delta: Any, name: str | None = None) -> Any:
    """Return images whose hue is turned by a part of the circle, from -1 to 1.

    Raises:
        ValueError: If `delta` is outside of the range.
    """
    if isinstance(delta, (int, float, np.number)) and not -1 <= delta <= 1:
        raise ValueError(f"adjust_hue: `delta` must be from -1 to 1, received {delta}.")
    x = floating(_three(image, "adjust_hue"))
    xp = library(x)
    hsv = _to_hsv(x)
    hue = (hsv[..., :1] + xp.asarray(delta, x.dtype)) % 1
    return convert_dtype(_to_rgb(xp.concatenate([hue, hsv[..., 1:]], axis=-1)), image.dtype)


@on_images
def per_image_standardization(image: Any) -> Any:
    """Return images with mean 0 and standard deviation 1, as float32.

    The deviation counts at least as `1 / sqrt(number of values)`.
    """
    sizes_of(image, "per_image_standardization", tuple(range(3, 9)))
    xp = library(image)
    x = image if image.dtype in ("float16", "float32") else image.astype("float32")
    axes = (-3, -2, -1)
    mean = xp.mean(x, axis=axes, keepdims=True)
    deviation = xp.std(x, axis=axes, keepdims=True)
    count = np.prod(x.shape[-3:], dtype="float32")
    return (x - mean) / xp.maximum(deviation, np.asarray(1 / np.sqrt(count), x.dtype))


def adjust_jpeg_quality(
    image: Any, jpeg_quality: Any, dct_method: str = "", name: str | None = None
) -> Any:
    """Return an image as it is after it was stored as a JPEG file.

    Args:
        image: Image (height, width, channels).
        jpeg_quality: From 0 to 100.
        dct_method: As in `decode_jpeg`.
        name: Ignored.
    """
    x = host_array(image)
    data = encode_jpeg(convert_dtype(x, "uint8", saturate=True), quality=int(jpeg_quality))
    found = decode_jpeg(data, x.shape[-1], dct_method=dct_method)
    return convert_image_dtype(found, x.dtype, saturate=True)
