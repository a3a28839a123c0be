"""Image files as arrays of pixels, decoded as TensorFlow decodes them."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import numpy as np

from hornbeam.optional import import_module
from hornbeam.utils.images import in_color_mode, open_image

__all__ = ["CHANNELS", "jpeg_pixels", "read_pixels"]

CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}
"""Number of channels by color mode."""

_GRAY = ("1", "L", "LA", "La")
# Weights of red, green and blue of libpng, which TensorFlow uses, in 15 bits.
_LUMINANCE = np.array([[9797], [19234], [3737]])


def read_pixels(path: str, color_mode: str, function: str) -> np.ndarray:
    """Return an image file as an array (height, width, channels) of uint8.

    JPEG files are decoded by simplejpeg, to the same bits as by TensorFlow and in a third of
    Pillow's time. Files that simplejpeg refuses, and all files where it is not installed, are
    decoded by Pillow, whose pixels of a JPEG file may differ by a few levels.

    Args:
        path: The file. A mark of rotation in it has no effect, as in TensorFlow.
        color_mode: A name of `CHANNELS`.
        function: Name of the caller, for errors.

    Raises:
        FileError: If the file is no complete image.
        OSError: If there is no such file.
    """
    x = _read_jpeg(path, color_mode) if color_mode != "rgba" else None
    if x is not None:
        return x
    image = open_image(path, function)
    if image.mode.startswith("I"):  # 16 bits: the upper 8 are kept
        image = _pillow().fromarray((np.asarray(image) >> 8).astype("uint8"))
    if image.format == "GIF" and "transparency" in image.info:
        x = np.array(image.convert("RGBA"))
        x[x[..., 3] == 0] = 0
        image = _pillow().fromarray(x)
    if color_mode != "grayscale":
        return np.asarray(in_color_mode(image, color_mode))
    if image.mode in _GRAY:
        return np.asarray(image.convert("L"))[..., None]
    return (np.asarray(image.convert("RGB")) @ _LUMINANCE >> 15).astype("uint8")


def _pillow() -> Any:
    return import_module("PIL.Image", extra="image", needed_for="an image")


@functools.cache
def _simplejpeg() -> ModuleType | None:
    """Return the module if it is installed: its wheels do not exist for all systems."""
    try:
        return import_module("simplejpeg", extra="image", needed_for="a JPEG file")
    except ImportError:
        return None


def _read_jpeg(path: str, color_mode: str) -> np.ndarray | None:
    """Return a JPEG file's pixels; `None` if another decoder must read it, or say what is wrong."""
    with open(path, "rb") as file:
        if file.read(3) != b"\xff\xd8\xff":
            return None
        file.seek(0)
        return jpeg_pixels(file.read(), color_mode)


def jpeg_pixels(
    data: bytes, color_mode: str | None, fast: bool = True, ratio: int = 1
) -> np.ndarray | None:
    """Return the pixels of a JPEG file in memory.

    Args:
        data: The content of the file.
        color_mode: `"rgb"`, `"grayscale"`, or `None` for that of the file.
        fast: Whether the transform is the fast one, as TensorFlow's default is.
        ratio: 1, 2, 4 or 8: by how much the image is made smaller while it is decoded.

    Returns:
        An array (height, width, channels) of uint8, or `None` if another decoder must read it.
    """
    library = _simplejpeg()
    if library is None or data[:3] != b"\xff\xd8\xff":
        return None
    try:
        height, width, stored, _ = library.decode_jpeg_header(data)
        if height * width > (_pillow().MAX_IMAGE_PIXELS or np.inf):
            return None
        if color_mode is None:
            color_mode = "grayscale" if stored == "Gray" else "rgb"
        inks = stored in ("CMYK", "YCCK")
        if inks and color_mode != "rgb":
            return None
        colors = "CMYK" if inks else "RGB" if color_mode == "rgb" else "GRAY"
        least = {"min_height": -(-height // ratio), "min_width": -(-width // ratio)}
        sizes = least if ratio > 1 else {}
        x = library.decode_jpeg(data, colorspace=colors, fastdct=fast, **sizes)
    except ValueError:  # incomplete, or of an unusual kind
        return None
    if not inks:
        return x
    return (x[..., :3].astype("uint16") * x[..., 3:] // 255).astype("uint8")
