"""Sizes, crops and turns of images: the first part of `tf.image`."""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbeam import errors
from hornbeam.tensorflow.host import host_array
from hornbeam.tensorflow.on_images import library, on_images, sizes_of
from hornbeam.utils import resizing

__all__ = [
    "ResizeMethod", "central_crop", "crop_and_resize", "crop_to_bounding_box", "extract_patches",
    "flip_left_right", "flip_up_down", "pad_to_bounding_box", "resize", "resize_with_crop_or_pad",
    "resize_with_pad", "rot90", "transpose",
]  # fmt: skip


class ResizeMethod:
    """Names of the methods of `resize`."""

    AREA = "area"
    BICUBIC = "bicubic"
    BILINEAR = "bilinear"
    GAUSSIAN = "gaussian"
    LANCZOS3 = "lanczos3"
    LANCZOS5 = "lanczos5"
    MITCHELLCUBIC = "mitchellcubic"
    NEAREST_NEIGHBOR = "nearest"


_METHODS = {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area"}  # numbers of TensorFlow 1


def _method(method: Any) -> str:
    name = _METHODS.get(method, method)
    if name not in resizing.INTERPOLATIONS:
        raise errors.unknown_name("method of `resize`:", name, resizing.INTERPOLATIONS)
    return name


def _size(size: Any, name: str) -> tuple[int, int]:
    sizes = host_array(list(size) if isinstance(size, (list, tuple)) else size)
    if sizes.shape != (2,) or (sizes < 1).any():
        raise ValueError(
            f"{name}: `size` must be two positive numbers, height and width, received {size!r}."
        )
    return int(sizes[0]), int(sizes[1])


@on_images
def resize(
    images: Any, size: Any, method: Any = "bilinear", preserve_aspect_ratio: bool = False,
    antialias: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Return images of another size.

    Args:
        images: Images (height, width, channels), or a batch of them.
        size: Height and width.
        method: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`, `"lanczos3"`, `"lanczos5"`,
            `"gaussian"` or `"mitchellcubic"`.
        preserve_aspect_ratio: Whether `size` only limits the result, which keeps its ratio.
        antialias: Whether images are smoothed before they are made smaller.
        name: Ignored.

    Returns:
        Images, float32; in their own dtype with `"nearest"`.

    Raises:
        ValueError: If the shape, `size` or `method` is wrong.

    Example:
        >>> resize(np.zeros((10, 20, 3)), (5, 5)).shape
        TensorShape([5, 5, 3])
    """
    height, width = sizes_of(images, "resize")
    method = _method(method)
    wanted = _size(size, "resize")
    if preserve_aspect_ratio:
        scale = min(np.float32(wanted[0] / height), np.float32(wanted[1] / width))
        wanted = int(np.rint(scale * np.float32(height))), int(np.rint(scale * np.float32(width)))
        wanted = max(wanted[0], 1), max(wanted[1], 1)
    if wanted == (height, width):
        return images if method == "nearest" else images.astype("float32")
    return resizing.resize(images, wanted, method, antialias)


@on_images
def resize_with_pad(
    image: Any, target_height: Any, target_width: Any, method: Any = "bilinear",
    antialias: bool = False,
) -> Any:  # fmt: skip
    """Return images that are resized to fit into a size, in a black frame."""
    height, width = sizes_of(image, "resize_with_pad")
    target_height, target_width = _size((target_height, target_width), "resize_with_pad")
    ratio = max(width / target_width, height / target_height)
    exact = height / ratio, width / ratio
    inner = max(int(np.floor(exact[0])), 1), max(int(np.floor(exact[1])), 1)
    top = max(0, int(np.floor((target_height - exact[0]) / 2)))
    left = max(0, int(np.floor((target_width - exact[1]) / 2)))
    x = image if inner == (height, width) else resizing.resize(
        image, inner, _method(method), antialias
    )  # fmt: skip
    return _padded(x, top, left, target_height, target_width, "resize_with_pad")


@on_images
def resize_with_crop_or_pad(image: Any, target_height: Any, target_width: Any) -> Any:
    """Return the middle of images, or images in the middle of a black frame."""
    height, width = sizes_of(image, "resize_with_crop_or_pad")
    target = _size((target_height, target_width), "resize_with_crop_or_pad")
    cut = [max(-(want - have) // 2, 0) if want < have else 0
           for want, have in zip(target, (height, width), strict=True)]  # fmt: skip
    frame = [max((want - have) // 2, 0) for want, have in zip(target, (height, width), strict=True)]
    rows, columns = min(target[0], height), min(target[1], width)
    x = image[..., cut[0] : cut[0] + rows, cut[1] : cut[1] + columns, :]
    return _padded(x, frame[0], frame[1], *target, "resize_with_crop_or_pad")


@on_images
def central_crop(image: Any, central_fraction: Any) -> Any:
    """Return the middle of images.

    Args:
        image: Images.
        central_fraction: Part of the height and of the width that stays, above 0 and up to 1.
    """
    fraction = float(central_fraction)
    if not 0 < fraction <= 1:
        raise ValueError(
            f"central_crop: `central_fraction` must be above 0 and at most 1, received {fraction}."
        )
    height, width = sizes_of(image, "central_crop")
    top, left = (int((n - n * fraction) / 2) for n in (height, width))
    return image[..., top : height - top, left : width - left, :]


@on_images
def crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """Return a part of images, from a row and a column on.

    Raises:
        ValueError: If it is not inside of the images.
    """
    height, width = sizes_of(image, "crop_to_bounding_box")
    top, left, rows, columns = map(int, (offset_height, offset_width, target_height, target_width))
    if (
        min(top, left) < 0
        or min(rows, columns) < 1
        or top + rows > height
        or left + columns > width
    ):
        raise ValueError(
            f"crop_to_bounding_box: {rows} rows from row {top} and {columns} columns from column"
            f" {left} are not inside of images of {height} by {width} pixels."
        )
    return image[..., top : top + rows, left : left + columns, :]


def _padded(x: Any, top: int, left: int, rows: int, columns: int, name: str) -> Any:
    height, width = x.shape[-3], x.shape[-2]
    below, right = rows - top - height, columns - left - width
    if min(top, left, below, right) < 0:
        raise ValueError(
            f"{name}: images of {height} by {width} pixels at row {top} and column {left} do not"
            f" fit into {rows} by {columns} pixels."
        )
    borders = [(0, 0)] * (x.ndim - 3) + [(top, below), (left, right), (0, 0)]
    return library(x).pad(x, borders)


@on_images
def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    """Return images in a larger black one, from a row and a column on.

    Raises:
        ValueError: If they do not fit.
    """
    sizes_of(image, "pad_to_bounding_box")
    offsets = int(offset_height), int(offset_width)
    sizes = int(target_height), int(target_width)
    return _padded(image, *offsets, *sizes, "pad_to_bounding_box")


@on_images
def flip_left_right(image: Any) -> Any:
    """Return mirror images: the left side becomes the right one."""
    sizes_of(image, "flip_left_right")
    return library(image).flip(image, -2)


@on_images
def flip_up_down(image: Any) -> Any:
    """Return images upside down."""
    sizes_of(image, "flip_up_down")
    return library(image).flip(image, -3)


@on_images
def rot90(image: Any, k: Any = 1, name: str | None = None) -> Any:
    """Return images turned by 90 degrees against the clock, `k` times."""
    sizes_of(image, "rot90")
    return library(image).rot90(image, int(k), axes=(image.ndim - 3, image.ndim - 2))


@on_images
def transpose(image: Any, name: str | None = None) -> Any:
    """Return images whose rows become columns."""
    sizes_of(image, "transpose")
    return library(image).swapaxes(image, -3, -2)


@on_images
def extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: str | None = None
) -> Any:
    """Return parts of images, one after another.

    Args:
        images: Images (batch, height, width, channels).
        sizes: `[1, height, width, 1]` of a part.
        strides: `[1, rows, columns, 1]` between the starts of two parts.
        rates: `[1, rows, columns, 1]` between the pixels of a part.
        padding: `"VALID"` or `"SAME"`, where black pixels are added.
        name: Ignored.

    Returns:
        An array (batch, rows, columns, height * width * channels).

    Example:
        >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
        >>> extract_patches(x, [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")[0, 0, 0].tolist()
        [0.0, 1.0, 4.0, 5.0]
    """
    sizes_of(images, "extract_patches", (4,))
    if padding not in ("VALID", "SAME"):
        raise ValueError(f"extract_patches: `padding` must be 'VALID' or 'SAME', not {padding!r}.")
    xp = library(images)
    places = []
    for axis in (1, 2):
        size, stride, rate = (int(s[axis]) for s in (sizes, strides, rates))
        reach, have = (size - 1) * rate + 1, images.shape[axis]
        count = -(-have // stride) if padding == "SAME" else max((have - reach) // stride + 1, 0)
        missing = max((count - 1) * stride + reach - have, 0) if padding == "SAME" else 0
        borders = [(0, 0)] * 4
        borders[axis] = (missing // 2, missing - missing // 2)
        images = xp.pad(images, borders) if missing else images
        places.append(np.arange(count)[:, None] * stride + np.arange(size) * rate)
    rows, columns = places
    parts = images[:, rows[:, None, :, None], columns[None, :, None, :], :]
    return parts.reshape(images.shape[0], len(rows), len(columns), -1)


@on_images
def crop_and_resize(
    image: Any, boxes: Any, box_indices: Any, crop_size: Any, method: str = "bilinear",
    extrapolation_value: float = 0.0, name: str | None = None,
) -> Any:  # fmt: skip
    """Return parts of images, all resized to one size, as float32.

    Args:
        image: Images (batch, height, width, channels).
        boxes: Parts (boxes, 4): first row and column, last row and column, from 0 to 1.
        box_indices: Number of the image of each box.
        crop_size: Height and width of the results.
        method: `"bilinear"` or `"nearest"`.
        extrapolation_value: Value of pixels outside of an image.
        name: Ignored.
    """
    height, width = sizes_of(image, "crop_and_resize", (4,))
    if method not in ("bilinear", "nearest"):
        raise ValueError(
            f"crop_and_resize: `method` must be 'bilinear' or 'nearest', not {method!r}."
        )
    xp = library(image)
    boxes = xp.asarray(boxes, "float32")
    numbers = xp.asarray(box_indices).astype("int32")
    size = _size(crop_size, "crop_and_resize")

    def along(first: Any, last: Any, have: int, want: int) -> tuple[Any, Any]:
        if want == 1:
            place = ((first + last) * np.float32(0.5 * (have - 1)))[:, None]
        else:
            step = (last - first) * np.float32(have - 1) / np.float32(want - 1)
            place = (
                first[:, None] * np.float32(have - 1)
                + np.arange(want, dtype="float32") * (step[:, None])
            )
        return place, (place >= 0) & (place <= have - 1)

    rows, rows_inside = along(boxes[:, 0], boxes[:, 2], height, size[0])
    columns, columns_inside = along(boxes[:, 1], boxes[:, 3], width, size[1])

    def pixels(row: Any, column: Any) -> Any:
        row = xp.clip(row, 0, height - 1).astype("int32")
        column = xp.clip(column, 0, width - 1).astype("int32")
        return image[numbers[:, None, None], row[:, :, None], column[:, None, :]].astype("float32")

    if method == "nearest":
        found = pixels(xp.floor(rows + 0.5), xp.floor(columns + 0.5))
    else:
        top, left = xp.floor(rows), xp.floor(columns)
        below, beside = xp.ceil(rows), xp.ceil(columns)
        across = (columns - left)[:, None, :, None]
        upper = pixels(top, left) + (pixels(top, beside) - pixels(top, left)) * across
        lower = pixels(below, left) + (pixels(below, beside) - pixels(below, left)) * across
        found = upper + (lower - upper) * (rows - top)[:, :, None, None]
    inside = rows_inside[:, :, None, None] & columns_inside[:, None, :, None]
    return xp.where(inside, found, np.float32(extrapolation_value))
