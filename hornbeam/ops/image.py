"""Image ops.

Images are (H, W, C) or (B, H, W, C), or with `"channels_first"` (C, H, W) or (B, C, H, W).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import random
from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.core.random import SeedGenerator
from hornbeam.ops.conv import depthwise_conv, each
from hornbeam.ops.geometry import affine_coordinates, homography, sampled
from hornbeam.ops.geometry import map_coordinates as map_coordinates
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Tensor

__all__ = [
    "affine_transform", "crop_images", "elastic_transform", "extract_patches", "extract_patches_3d",
    "gaussian_blur", "hsv_to_rgb", "map_coordinates", "pad_images", "perspective_transform",
    "resize", "rgb_to_grayscale", "rgb_to_hsv", "scale_and_translate", "sobel_edges", "ssim",
]  # fmt: skip

# Interpolations: Keras's name and JAX's.
METHODS = {
    "nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
}  # fmt: skip


def _as_batch(images: Any, name: str, data_format: str | None) -> tuple[Any, Callable[[Any], Any]]:
    """Return images as (B, H, W, C), and a function that restores their layout."""
    x = convert(images)
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: images must have 3 or 4 axes, received shape {x.shape}.")
    first, single = standardize_data_format(data_format) == "channels_first", x.ndim == 3
    x = x[None] if single else x
    x = jnp.moveaxis(x, 1, -1) if first else x

    def back(y: Any) -> Any:
        y = jnp.moveaxis(y, 3, 1) if first else y
        return y[0] if single else y

    return x, back


def _floating(x: Any) -> Any:
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype("float32")


def _three(x: Any, name: str) -> Any:
    if x.shape[-1] != 3:
        raise ValueError(f"{name}: images must have 3 channels, received {x.shape[-1]}.")
    return x


@op("image", "RGBToGrayscale")
def rgb_to_grayscale(images: Tensor, data_format: str | None = None) -> Tensor:
    """Convert RGB images to one channel: `0.2989 R + 0.587 G + 0.114 B` (ITU-R BT.601).

    Example:
        >>> rgb_to_grayscale(jnp.ones((1, 1, 3))).round(3).tolist()
        [[[1.0]]]
    """
    x, back = _as_batch(images, "rgb_to_grayscale", data_format)
    weights = jnp.asarray([0.2989, 0.587, 0.114], _floating(x).dtype)
    y = jnp.sum(_three(x, "rgb_to_grayscale") * weights, axis=-1, keepdims=True)
    return back(y.astype(x.dtype))


@op("image", "RGBToHSV")
def rgb_to_hsv(images: Tensor, data_format: str | None = None) -> Tensor:
    """Convert RGB images to hue, saturation and value; all numbers are from 0 to 1.

    Raises:
        ValueError: If the images are not floating point with three channels.

    Example:
        >>> rgb_to_hsv(jnp.array([[[0.0, 1.0, 0.0]]])).round(3).tolist()
        [[[0.3330000042915344, 1.0, 1.0]]]
    """
    x, back = _as_batch(images, "rgb_to_hsv", data_format)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"rgb_to_hsv: images must be floating point, from 0 to 1, received {x.dtype}."
        )
    r, g, b = jnp.moveaxis(_three(x, "rgb_to_hsv"), -1, 0)
    value = jnp.maximum(jnp.maximum(r, g), b)
    spread = value - jnp.minimum(jnp.minimum(r, g), b)
    safe = jnp.where(spread > 0, spread, 1.0)
    hue = (
        jnp.where(
            value == r,
            (g - b) / safe,
            jnp.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe),
        )
        / 6
    )
    hue = jnp.where(spread > 0, hue % 1.0, 0.0)
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1.0), 0.0)
    return back(jnp.stack([hue, saturation, value], axis=-1).astype(x.dtype))


@op("image", "HSVToRGB")
def hsv_to_rgb(images: Tensor, data_format: str | None = None) -> Tensor:
    """Convert images of hue, saturation and value to RGB: the inverse of `rgb_to_hsv`.

    Raises:
        ValueError: If the images are not floating point with three channels.

    Example:
        >>> hsv_to_rgb(jnp.array([[[0.0, 1.0, 1.0]]])).tolist()
        [[[1.0, 0.0, 0.0]]]
    """
    x, back = _as_batch(images, "hsv_to_rgb", data_format)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"hsv_to_rgb: images must be floating point, from 0 to 1, received {x.dtype}."
        )
    h, s, v = jnp.moveaxis(_three(x, "hsv_to_rgb"), -1, 0)
    parts = [
        v - v * s * jnp.clip(2 - jnp.abs((6 * h - centre + 3) % 6 - 3), 0, 1)
        for centre in (3, 5, 1)
    ]
    return back(jnp.stack(parts, axis=-1).astype(x.dtype))


@op("image")
def resize(
    images: Tensor, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant", fill_value: float = 0.0, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Resize images.

    Args:
        images: Images.
        size: New height and width.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        antialias: Whether to smooth images before they are made smaller.
        crop_to_aspect_ratio: Whether to crop images to the aspect ratio of `size` first, evenly on
            both sides.
        pad_to_aspect_ratio: Whether to pad them to it instead.
        fill_mode: Must be `"constant"`.
        fill_value: Value of the padding.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> resize(jnp.ones((1, 4, 4, 3)), (2, 6)).shape
        (1, 2, 6, 3)
    """
    if interpolation not in METHODS:
        raise ValueError(
            f"resize: `interpolation` must be one of {tuple(METHODS)}, received {interpolation!r}."
        )
    if fill_mode != "constant":
        raise ValueError(f"resize: `fill_mode` must be 'constant', received {fill_mode!r}.")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: pass one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio`.")
    if len(tuple(size)) != 2:
        raise ValueError(f"resize: `size` must be (height, width), received {size!r}.")
    x, back = _as_batch(images, "resize", data_format)
    new_high, new_wide = (int(n) for n in size)
    high, wide = x.shape[1:3]
    if crop_to_aspect_ratio:
        part = (
            min(high, int(wide * new_high / new_wide)),
            min(wide, int(high * new_wide / new_high)),
        )
        top, left = (high - part[0]) // 2, (wide - part[1]) // 2
        x = x[:, top : top + part[0], left : left + part[1]]
    elif pad_to_aspect_ratio:
        whole = (
            max(high, int(wide * new_high / new_wide)),
            max(wide, int(high * new_wide / new_high)),
        )
        top, left = (whole[0] - high) // 2, (whole[1] - wide) // 2
        # Both sides equally, as Keras does; a remaining row or column is not added.
        x = jnp.pad(x, ((0, 0), (top, top), (left, left), (0, 0)), constant_values=fill_value)
    shape = (x.shape[0], new_high, new_wide, x.shape[3])
    y = jax.image.resize(_floating(x), shape, METHODS[interpolation], antialias=antialias)
    if jnp.issubdtype(x.dtype, jnp.integer):
        limits = jnp.iinfo(x.dtype)
        y = jnp.clip(jnp.round(y), limits.min, limits.max)
    return back(y.astype(x.dtype))


@op("image")
def scale_and_translate(
    images: Tensor, output_shape: Sequence[int | None], scale: Tensor, translation: Tensor,
    spatial_dims: Sequence[int], method: str, antialias: bool = True,
) -> Tensor:  # fmt: skip
    """Scale and translate a tensor along some axes.

    Args:
        images: Tensor.
        output_shape: Shape of the result. A size of `None` is the tensor's.
        scale: Factors along `spatial_dims`, a vector.
        translation: Distances along them in pixels of the result, a vector.
        spatial_dims: The axes.
        method: `"linear"`, `"cubic"`, `"lanczos3"` or `"lanczos5"`, or an interpolation of
            `resize`.
        antialias: Whether to smooth images before they are made smaller.

    Example:
        >>> scale, translation = jnp.array([2.0, 2.0]), jnp.zeros(2)
        >>> x = jnp.ones((2, 2))
        >>> scale_and_translate(x, (4, 4), scale, translation, (0, 1), "linear").shape
        (4, 4)
    """
    x = _floating(convert(images))
    sizes = zip(output_shape, x.shape, strict=True)
    shape = tuple(old if new is None else new for new, old in sizes)
    return jax.image.scale_and_translate(
        x, shape, tuple(spatial_dims), convert(scale), convert(translation),
        METHODS.get(method, method),
        antialias=antialias,
    )  # fmt: skip


@op("image")
def affine_transform(
    images: Tensor, transform: Tensor, interpolation: str = "bilinear", fill_mode: str = "constant",
    fill_value: float = 0, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Apply an affine or projective transform to images.

    Args:
        images: Images.
        transform: (8,) or (B, 8): a0, a1, a2, b0, b1, b2, c0, c1. The result at (x, y) is the image
            at (a0 x + a1 y + a2, b0 x + b1 y + b2) / (c0 x + c1 y + 1).
        interpolation: `"nearest"` or `"bilinear"`.
        fill_mode: Values outside of the image: `"constant"`, `"nearest"`, `"wrap"`, `"mirror"` or
            `"reflect"`.
        fill_value: Value for `"constant"`.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> affine_transform(jnp.ones((4, 4, 1)), jnp.array([1.0, 0, 0, 0, 1, 0, 0, 0])).shape
        (4, 4, 1)
    """
    x, back = _as_batch(images, "affine_transform", data_format)
    transform = convert(transform).astype("float32")
    if transform.shape[-1:] != (8,) or transform.ndim > 2:
        raise ValueError(
            "affine_transform: `transform` must have shape (8,) or (B, 8), received"
            f" {transform.shape}."
        )
    transform = jnp.broadcast_to(transform, (x.shape[0], 8))
    places = affine_coordinates(transform, *x.shape[1:3])
    return back(sampled(x, places, interpolation, fill_mode, fill_value, "affine_transform"))


@op("image")
def perspective_transform(
    images: Tensor, start_points: Tensor, end_points: Tensor, interpolation: str = "bilinear",
    fill_value: float = 0, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Apply the projective transform that moves four points to four others.

    Args:
        images: Images.
        start_points: (4, 2) or (B, 4, 2), x and y of points in the image.
        end_points: The same points in the result.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_value: Value outside of the image.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> corners = jnp.array([[0.0, 0], [3, 0], [0, 3], [3, 3]])
        >>> perspective_transform(jnp.ones((4, 4, 1)), corners, corners).shape
        (4, 4, 1)
    """
    x, back = _as_batch(images, "perspective_transform", data_format)
    ends = [convert(points).astype("float32") for points in (start_points, end_points)]
    for name, points in zip(("start_points", "end_points"), ends, strict=True):
        if points.shape[-2:] != (4, 2) or points.ndim > 3:
            raise ValueError(
                f"perspective_transform: `{name}` must have shape (4, 2) or (B, 4, 2), received"
                f" {points.shape}."
            )
    start, end = (jnp.broadcast_to(points, (x.shape[0], 4, 2)) for points in ends)
    places = affine_coordinates(homography(start, end), *x.shape[1:3])
    return back(sampled(x, places, interpolation, "constant", fill_value, "perspective_transform"))


@op("image")
def elastic_transform(
    images: Tensor, alpha: float = 20.0, sigma: float = 5.0, interpolation: str = "bilinear",
    fill_mode: str = "reflect", fill_value: float = 0.0, seed: int | SeedGenerator | None = None,
    data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Distort images by a smooth random displacement of their pixels (Simard et al. 2003).

    Args:
        images: Images.
        alpha: Scale of the displacement, in pixels.
        sigma: Standard deviation of the filter that smooths it, in pixels.
        interpolation, fill_mode, fill_value, data_format: As for `affine_transform`.
        seed: Integer, `SeedGenerator`, or `None` for the global generator.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> elastic_transform(jnp.ones((1, 8, 8, 3)), seed=1).shape
        (1, 8, 8, 3)
    """
    x, back = _as_batch(images, "elastic_transform", data_format)
    size = 2 * math.ceil(3 * sigma) + 1
    draws = random.uniform((x.shape[0], *x.shape[1:3], 2), -1.0, 1.0, "float32", seed)
    moves = alpha * _blurred(draws, (size, size), (sigma, sigma))
    grid = jnp.stack(
        jnp.meshgrid(*(jnp.arange(n, dtype="float32") for n in x.shape[1:3]), indexing="ij")
    )
    places = grid[None] + jnp.moveaxis(moves, -1, 1)
    return back(sampled(x, places, interpolation, fill_mode, fill_value, "elastic_transform"))


def _bell(size: int, sigma: Any) -> Any:
    """Return `size` weights of a normal distribution, with a sum of 1."""
    distance = jnp.arange(size, dtype="float32") - (size - 1) / 2
    weights = jnp.exp(-jnp.square(distance) / (2 * sigma**2))
    return weights / jnp.sum(weights)


def _blurred(x: Any, size: tuple[int, int], sigma: tuple[Any, Any], padding: str = "same") -> Any:
    kernel = _bell(size[0], sigma[0])[:, None] * _bell(size[1], sigma[1])
    kernel = jnp.broadcast_to(kernel[..., None, None], (*size, x.shape[-1], 1)).astype(x.dtype)
    return depthwise_conv(x, kernel, 1, padding, "channels_last")


@op("image")
def gaussian_blur(
    images: Tensor,
    kernel_size: int | Sequence[int] = (3, 3),
    sigma: float | Sequence[float] = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """Smooth images with a Gaussian filter; outside of the image is zero.

    Args:
        images: Images.
        kernel_size: Height and width of the filter.
        sigma: Standard deviations along height and width, or one number for both.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Example:
        >>> gaussian_blur(jnp.ones((1, 4, 4, 3))).shape
        (1, 4, 4, 3)
    """
    x, back = _as_batch(images, "gaussian_blur", data_format)
    sigmas = (sigma, sigma) if isinstance(sigma, (int, float)) else tuple(sigma)
    blurred = _blurred(_floating(x), each(kernel_size, 2), sigmas)  # type: ignore[arg-type]
    return back(blurred.astype(x.dtype))


@op("image")
def sobel_edges(images: Tensor, data_format: str | None = None) -> Tensor:
    """Return the Sobel gradients of images along height and width, in a last axis of size 2.

    Example:
        >>> sobel_edges(jnp.ones((1, 4, 4, 3))).shape
        (1, 4, 4, 3, 2)
    """
    x, back = _as_batch(images, "sobel_edges", data_format)
    x = _floating(x)
    down = jnp.asarray([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]], x.dtype)
    slopes = [
        depthwise_conv(
            x,
            jnp.broadcast_to(k[..., None, None], (3, 3, x.shape[-1], 1)),
            1,
            "same",
            "channels_last",
        )
        for k in (down, down.T)
    ]
    return jnp.stack([back(slope) for slope in slopes], axis=-1)


@op("image", "SSIM")
def ssim(
    image1: Tensor, image2: Tensor, max_val: float = 1.0, filter_size: int = 11,
    filter_sigma: float = 1.5, k1: float = 0.01, k2: float = 0.03, data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Return the structural similarity of images, at most 1 (Wang et al. 2004).

    Args:
        image1, image2: Images of the same shape.
        max_val: Difference of the largest and the smallest possible value.
        filter_size, filter_sigma: Size and standard deviation of the Gaussian window.
        k1, k2: Constants that keep the divisors away from zero.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Returns:
        One number for each image.

    Raises:
        ValueError: If the shapes differ, or an image is smaller than the window.

    Example:
        >>> float(ssim(jnp.ones((16, 16, 1)), jnp.ones((16, 16, 1))))
        1.0
    """
    (a, _), (b, _) = (_as_batch(x, "ssim", data_format) for x in (image1, image2))
    single = convert(image1).ndim == 3
    if a.shape != b.shape or min(a.shape[1:3]) < filter_size:
        raise ValueError(
            f"ssim: images must have the same shape, at least as large as the window {filter_size},"
            f" received {a.shape} and {b.shape}."
        )
    a, b = _floating(a), _floating(b)

    def mean(x: Any) -> Any:
        return _blurred(x, (filter_size, filter_size), (filter_sigma, filter_sigma), "valid")

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    brightness = (2 * ma * mb + c1) / (ma * ma + mb * mb + c1)
    value = jnp.mean(brightness * (2 * both + c2) / (va + vb + c2), axis=(1, 2, 3))
    return value[0] if single else value


def _patches(
    x: Any, rank: int, size: Any, strides: Any, dilation_rate: Any, padding: str, data_format: Any
) -> Any:
    """Return each window's elements on the last axis: positions in order, channels innermost."""
    x = convert(x)
    if x.ndim not in (rank + 1, rank + 2):
        raise ValueError(
            f"extract_patches: expected {rank + 1} or {rank + 2} axes, received shape {x.shape}."
        )
    first, single = standardize_data_format(data_format) == "channels_first", x.ndim == rank + 1
    x = x[None] if single else x
    x = jnp.moveaxis(x, 1, -1) if first else x
    window = each(size, rank)
    steps = window if strides is None else each(strides, rank)
    channels = x.shape[-1]
    letters = "DHW"[-rank:]
    y = jax.lax.conv_general_dilated_patches(
        x, window, steps, padding.upper(), rhs_dilation=each(dilation_rate, rank),
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
    )  # fmt: skip
    y = y.reshape(*y.shape[:-1], channels, -1)  # JAX has the channels outermost
    y = jnp.swapaxes(y, -1, -2).reshape(*y.shape[:-2], -1)
    y = jnp.moveaxis(y, -1, 1) if first else y
    return y[0] if single else y


@op("image")
def extract_patches(
    images: Tensor, size: int | Sequence[int], strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1, padding: str = "valid", data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Return the windows of images, each flattened into the channel axis.

    Args:
        images: Images.
        size: Height and width of a window, or one number for both.
        strides: Distance between windows. Default: `size`.
        dilation_rate: Distance between the elements of a window.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Example:
        >>> extract_patches(jnp.ones((1, 4, 4, 3)), 2).shape
        (1, 2, 2, 12)
    """
    return _patches(images, 2, size, strides, dilation_rate, padding, data_format)


@op("image")
def extract_patches_3d(
    volumes: Tensor, size: int | Sequence[int], strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1, padding: str = "valid", data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Return flattened windows of volumes (D, H, W, C), or of a batch; see `extract_patches`.

    Example:
        >>> extract_patches_3d(jnp.ones((1, 4, 4, 4, 3)), 2).shape
        (1, 2, 2, 2, 24)
    """
    return _patches(volumes, 3, size, strides, dilation_rate, padding, data_format)


def _borders(
    name: str, what: str, sizes: tuple[int, int], target: Any, given: Any, sign: int
) -> list[tuple[int, int]]:
    """Return (before, after) for height and width from two of before, after and the new size."""
    borders = []
    for axis, size, new, (before, after) in zip(
        ("height", "width"), sizes, target, given, strict=True
    ):
        ends = ("top", "bottom") if axis == "height" else ("left", "right")
        if sum(value is not None for value in (before, after, new)) != 2:
            raise ValueError(
                f"{name}: pass two of `{ends[0]}_{what}`, `{ends[1]}_{what}` and `target_{axis}`,"
                f" received {before}, {after} and {new}."
            )
        change = None if new is None else sign * (new - size)
        before = change - after if before is None else before
        after = change - before if after is None else after
        if before < 0 or after < 0 or (sign < 0 and before + after >= size):
            raise ValueError(
                f"{name}: an image with a {axis} of {size} cannot have the borders {before} and"
                f" {after}."
            )
        borders.append((before, after))
    return borders


@op("image")
def pad_images(
    images: Tensor, top_padding: int | None = None, left_padding: int | None = None,
    bottom_padding: int | None = None, right_padding: int | None = None,
    target_height: int | None = None, target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Pad images with zeros.

    Args:
        images: Images.
        top_padding, bottom_padding, target_height: Two of the three.
        left_padding, right_padding, target_width: Two of the three.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Raises:
        ValueError: If not exactly two of the three are given, or one of them would be negative.

    Example:
        >>> pad_images(jnp.ones((2, 2, 3)), 1, 2, target_height=5, target_width=6).shape
        (5, 6, 3)
    """
    x, back = _as_batch(images, "pad_images", data_format)
    given = ((top_padding, bottom_padding), (left_padding, right_padding))
    borders = _borders(
        "pad_images", "padding", x.shape[1:3], (target_height, target_width), given, 1
    )
    return back(jnp.pad(x, ((0, 0), *borders, (0, 0))))


@op("image")
def crop_images(
    images: Tensor, top_cropping: int | None = None, left_cropping: int | None = None,
    bottom_cropping: int | None = None, right_cropping: int | None = None,
    target_height: int | None = None, target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Crop images.

    Args:
        images: Images.
        top_cropping, bottom_cropping, target_height: Two of the three.
        left_cropping, right_cropping, target_width: Two of the three.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Raises:
        ValueError: If not exactly two of the three are given, or one of them would be negative.

    Example:
        >>> crop_images(jnp.ones((5, 6, 3)), 1, 2, target_height=2, target_width=2).shape
        (2, 2, 3)
    """
    x, back = _as_batch(images, "crop_images", data_format)
    given = ((top_cropping, bottom_cropping), (left_cropping, right_cropping))
    high, wide = _borders(
        "crop_images", "cropping", x.shape[1:3], (target_height, target_width), given, -1
    )
    return back(x[:, high[0] : x.shape[1] - high[1], wide[0] : x.shape[2] - wide[1]])
