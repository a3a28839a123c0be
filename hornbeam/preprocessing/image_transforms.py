"""Transformations of single images on the host, as Keras 1 and 2 compute them."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from hornbeam.optional import import_module
from hornbeam.utils.images import array_to_img, img_to_array

__all__ = [
    "apply_affine_transform", "apply_brightness_shift", "apply_channel_shift", "random_brightness",
    "random_channel_shift", "random_rotation", "random_shear", "random_shift", "random_zoom",
]  # fmt: skip

# The default axes are for images with channels first, as in Keras.


def apply_affine_transform(
    x: Any, theta: float = 0, tx: float = 0, ty: float = 0, shear: float = 0, zx: float = 1,
    zy: float = 1, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Zoom, shear, shift and rotate an image around its center.

    Args:
        x: An image, an array of rank 3.
        theta: Rotation angle, in degrees.
        tx, ty: Shift along the width and along the height, in pixels.
        shear: Shear angle, in degrees.
        zx, zy: Zoom along the width and along the height. Values below 1 enlarge the image.
        row_axis, col_axis, channel_axis: Axes of `x`.
        fill_mode: How to fill points outside the image: `"nearest"`, `"constant"`, `"reflect"` or
            `"wrap"`.
        cval: Fill value for `"constant"`.
        order: Order of the spline interpolation, from 0 to 5.

    Returns:
        An array of the shape of `x`.

    Raises:
        ValueError: If `x` does not have rank 3, or the axes are not three different axes.

    Example:
        >>> apply_affine_transform(np.arange(4.0).reshape(1, 2, 2), theta=90)[0].round()
        array([[1., 3.],
               [0., 2.]])
    """
    x = np.asarray(x)
    axes = (row_axis, col_axis, channel_axis)
    if x.ndim != 3 or len({axis % 3 for axis in axes}) != 3:
        raise ValueError(
            "apply_affine_transform: `row_axis`, `col_axis` and `channel_axis` must be the three"
            f" axes of `x`, received {axes} and shape {x.shape}."
        )
    if not (theta or tx or ty or shear or zx != 1 or zy != 1):
        return x
    angle, slant = np.deg2rad(theta), np.deg2rad(shear)
    rotation = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    change = np.array(rotation) @ [[1, -np.sin(slant)], [0, np.cos(slant)]] @ np.diag([zx, zy])
    # The first coordinate is the column. Its center is computed from the number of rows, as in
    # Keras, which matters only if the image is not square.
    center = np.array([x.shape[row_axis], x.shape[col_axis]]) / 2 - 0.5
    offset = np.array(rotation) @ [tx, ty] + center - change @ center
    if row_axis < col_axis:
        change, offset = change[::-1, ::-1], offset[::-1]
    # Imported here, because SciPy is slow to import and few programs need this function.
    transform = importlib.import_module("scipy.ndimage").affine_transform
    planes = [
        transform(plane, change, offset, order=order, mode=fill_mode, cval=cval)
        for plane in np.moveaxis(x, axes, (1, 2, 0))
    ]
    return np.moveaxis(np.stack(planes), (1, 2, 0), axes)


def random_rotation(
    x: Any, rg: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Rotate an image by a random angle of at most `rg` degrees in either direction.

    Args:
        x: An image, an array of rank 3.
        rg: Largest angle, in degrees.
        row_axis, col_axis, channel_axis, fill_mode, cval: As in `apply_affine_transform`.
        interpolation_order: `order` of `apply_affine_transform`.
    """
    theta = np.random.uniform(-rg, rg)
    return apply_affine_transform(
        x, theta=theta, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis,
        fill_mode=fill_mode, cval=cval, order=interpolation_order,
    )  # fmt: skip


def random_shift(
    x: Any, wrg: float, hrg: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Shift an image by random fractions of its width and height.

    Args:
        x: An image, an array of rank 3.
        wrg, hrg: Largest fractions of the width and of the height, in either direction.
        row_axis, col_axis, channel_axis, fill_mode, cval: As in `apply_affine_transform`.
        interpolation_order: `order` of `apply_affine_transform`.
    """
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(
        x, tx=tx, ty=ty, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis,
        fill_mode=fill_mode, cval=cval, order=interpolation_order,
    )  # fmt: skip


def random_shear(
    x: Any, intensity: float, row_axis: int = 1, col_axis: int = 2, channel_axis: int = 0,
    fill_mode: str = "nearest", cval: float = 0.0, interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Shear an image by a random angle of at most `intensity` degrees in either direction.

    Args:
        x: An image, an array of rank 3.
        intensity: Largest angle, in degrees.
        row_axis, col_axis, channel_axis, fill_mode, cval: As in `apply_affine_transform`.
        interpolation_order: `order` of `apply_affine_transform`.
    """
    shear = np.random.uniform(-intensity, intensity)
    return apply_affine_transform(
        x, shear=shear, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis,
        fill_mode=fill_mode, cval=cval, order=interpolation_order,
    )  # fmt: skip


def random_zoom(
    x: Any, zoom_range: tuple[float, float], row_axis: int = 1, col_axis: int = 2,
    channel_axis: int = 0, fill_mode: str = "nearest", cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:  # fmt: skip
    """Zoom an image along each axis by a random factor.

    Args:
        x: An image, an array of rank 3.
        zoom_range: Smallest and largest factor. Values below 1 enlarge the image.
        row_axis, col_axis, channel_axis, fill_mode, cval: As in `apply_affine_transform`.
        interpolation_order: `order` of `apply_affine_transform`.

    Raises:
        ValueError: If `zoom_range` does not have two items.
    """
    if len(zoom_range) != 2:
        raise ValueError(f"random_zoom: `zoom_range` must be two numbers, received {zoom_range!r}.")
    still = zoom_range[0] == 1 and zoom_range[1] == 1
    zx, zy = (1, 1) if still else np.random.uniform(zoom_range[0], zoom_range[1], 2)
    return apply_affine_transform(
        x, zx=zx, zy=zy, row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis,
        fill_mode=fill_mode, cval=cval, order=interpolation_order,
    )  # fmt: skip


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """Add a number to an image, and clip the result to the image's range of values.

    Args:
        x: An image, an array of rank 3.
        intensity: The number.
        channel_axis: Without effect, because all channels change equally.

    Example:
        >>> apply_channel_shift(np.array([[[0.0, 2.0, 9.0]]]), 3, channel_axis=2)
        array([[[3., 5., 9.]]])
    """
    del channel_axis  # all channels change equally
    x = np.asarray(x)
    return np.clip(x + intensity, x.min(), x.max())


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """Add a random number to an image, and clip the result to the image's range of values.

    Args:
        x: An image, an array of rank 3.
        intensity_range: Largest number to add or subtract.
        channel_axis: Without effect, because all channels change equally.
    """
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range))


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """Multiply the brightness of an image by a factor.

    The image is rounded to 8 bits per channel, because Pillow changes the brightness.

    Args:
        x: An image of shape (height, width, channels).
        brightness: The factor. 1 leaves the image unchanged.
        scale: Whether to scale the values to the range 0 to 255 first, as in `array_to_img`.

    Returns:
        An array of the shape of `x`, with values from 0 to 255. If `x` has values outside 0 to 255
        and `scale` is False, the result is scaled back to the range of `x`.

    Raises:
        ImportError: If Pillow is not installed.

    Example:
        >>> apply_brightness_shift(np.full((1, 1, 3), 100.0), 1.5, scale=False)[0, 0]
        array([150., 150., 150.], dtype=float32)
    """
    x = np.asarray(x)
    low, high = x.min(), x.max()
    outside = low < 0 or high > 255
    enhance = import_module("PIL.ImageEnhance", extra="image", needed_for="apply_brightness_shift")
    image = array_to_img(x, scale=bool(outside or scale))
    y = img_to_array(enhance.Brightness(image).enhance(brightness))
    return y / 255 * (high - low) + low if outside and not scale else y


def random_brightness(
    x: Any, brightness_range: tuple[float, float], scale: bool = True
) -> np.ndarray:
    """Multiply the brightness of an image by a random factor.

    Args:
        x: An image of shape (height, width, channels).
        brightness_range: Smallest and largest factor.
        scale: As in `apply_brightness_shift`.

    Raises:
        ImportError: If Pillow is not installed.
        ValueError: If `brightness_range` does not have two items.
    """
    if len(brightness_range) != 2:
        raise ValueError(
            "random_brightness: `brightness_range` must be two numbers, received"
            f" {brightness_range!r}."
        )
    return apply_brightness_shift(x, np.random.uniform(*brightness_range), scale)
