"""Image files as arrays of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hornbeam import settings
from hornbeam.optional import import_module
from hornbeam.utils.directories import check_choice
from hornbeam.utils.pixels import CHANNELS, read_pixels
from hornbeam.utils.resizing import INTERPOLATIONS, resize, smart_resize_box

__all__ = ["ENDINGS", "ImageReader", "image_reader"]

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
"""Endings of the image files in a folder, in small letters."""


@dataclass(frozen=True)
class ImageReader:
    """Function from the path of an image file to an array; also reads into a given array.

    Args:
        function: Name of the caller, for errors.
        color_mode: A name of `CHANNELS`.
        size: Height and width.
        interpolation: A name of `INTERPOLATIONS`.
        ratio: `"crop"` or `"pad"` if images are cropped or framed instead of distorted.
        first: Whether the channels are the first axis.
    """

    function: str
    color_mode: str
    size: tuple[int, int]
    interpolation: str
    ratio: str | None
    first: bool

    def __call__(self, path: str) -> np.ndarray:
        x = self.empty(1)[0]
        self.fill(path, x)
        return x

    def empty(self, count: int) -> np.ndarray:
        """Return an array for so many images."""
        channels, dtype = CHANNELS[self.color_mode], "float32"
        if self.interpolation == "nearest":
            dtype = "uint8"
        shape = (channels, *self.size) if self.first else (*self.size, channels)
        return np.empty((count, *shape), dtype)

    def fill(self, path: str, row: np.ndarray) -> None:
        """Read an image file into an array."""
        x = read_pixels(path, self.color_mode, self.function)
        if self.ratio == "crop":
            rows, columns = smart_resize_box(x.shape[0], x.shape[1], self.size)
            x = x[rows, columns]
        to = row.transpose(1, 2, 0) if self.first else row
        if self.ratio == "pad":
            to[...] = _framed(x, self.size, self.interpolation)
        else:
            resize(x, self.size, self.interpolation, out=to)


def image_reader(
    function: str, color_mode: str, image_size: Any, interpolation: str,
    crop_to_aspect_ratio: bool, pad_to_aspect_ratio: bool, data_format: str | None,
) -> ImageReader:  # fmt: skip
    """Return the reader for a loader's arguments.

    Raises:
        ImportError: If Pillow is not installed.
        ValueError: If an argument is wrong.
    """
    check_choice(function, "color_mode", color_mode, tuple(CHANNELS))
    check_choice(function, "interpolation", interpolation, INTERPOLATIONS)
    check_choice(function, "data_format", data_format, ("channels_last", "channels_first", None))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            f"{function}: only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be True."
        )
    import_module("PIL.Image", extra="image", needed_for=function)
    return ImageReader(
        function,
        color_mode,
        _image_size(function, image_size),
        interpolation,
        "crop" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else None,
        (data_format or settings.image_data_format()) == "channels_first",
    )


def _image_size(function: str, size: Any) -> tuple[int, int]:
    sizes = (size, size) if isinstance(size, (int, np.integer)) else size
    if (
        not isinstance(sizes, (tuple, list))
        or len(sizes) != 2
        or not all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes)
    ):
        raise ValueError(
            f"{function}: `image_size` must be two positive integers (height, width), received"
            f" {size!r}."
        )
    return int(sizes[0]), int(sizes[1])


def _framed(x: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Return an image that is resized to fit into a size, in a black frame."""
    scale = min(size[0] / x.shape[0], size[1] / x.shape[1])
    exact = [min(n * scale, most) for n, most in zip(x.shape[:2], size, strict=True)]
    rows, columns = (max(int(n + 1e-6), 1) for n in exact)
    top, left = (int((most - n) / 2) for most, n in zip(size, exact, strict=True))
    x = resize(x, (rows, columns), interpolation)
    return np.pad(x, ((top, size[0] - rows - top), (left, size[1] - columns - left), (0, 0)))
