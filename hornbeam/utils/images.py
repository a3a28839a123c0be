"""Image files and arrays: `load_img`, `save_img` and conversions, with Pillow."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from hornbeam import settings
from hornbeam.errors import FileError
from hornbeam.optional import import_module
from hornbeam.typing import FilePath
from hornbeam.utils.resizing import INTERPOLATIONS, resize, smart_resize_box

__all__ = ["array_to_img", "img_to_array", "load_img", "open_image", "save_img", "smart_resize"]

_FILTERS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")
_DEEP_GRAY = ("L", "I;16", "I")


def _pillow(function: str) -> Any:
    return import_module("PIL.Image", extra="image", needed_for=function)


def open_image(source: Any, function: str = "load_img") -> Any:
    """Return a Pillow image that is read completely.

    Args:
        source: A path, or an open file.
        function: Name of the caller, for errors.

    Raises:
        FileError: If it is no complete image.
        OSError: If there is no such file.
    """
    pillow = _pillow(function)
    name = f"'{source}'" if isinstance(source, (str, os.PathLike)) else "the data"
    try:
        is_path = isinstance(source, (str, os.PathLike))
        with (
            open(source, "rb") if is_path else contextlib.nullcontext(source) as file,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            image = pillow.open(file)
            image.load()
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError) as error:
        raise FileError(f"{function}: {name} has too many pixels: {error}") from error
    except Exception as error:  # Pillow's decoders raise many kinds of errors
        raise FileError(f"{function}: {name} is not a complete image: {error}.") from error
    return image


def load_img(
    path: Any, color_mode: str = "rgb", target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest", keep_aspect_ratio: bool = False, grayscale: bool = False,
) -> Any:  # fmt: skip
    """Return a file as a Pillow image.

    Args:
        path: A path, or an `io.BytesIO` with the content.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`, which keeps 16 and 32 bits.
        target_size: Height and width of the result. Default: the size in the file.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"hamming"`, `"box"` or `"lanczos"`.
        keep_aspect_ratio: Whether the image is cropped to the ratio of `target_size` first.
        grayscale: Keras 1's word for `color_mode="grayscale"`.

    Raises:
        ImportError: If Pillow is not installed.
        TypeError: If `path` is something else.
        ValueError: If `color_mode` or `interpolation` is another word.
        FileError: If the file is no complete image.
        OSError: If there is no such file.

    Example:
        >>> file = io.BytesIO()
        >>> save_img(file, np.zeros((2, 3, 3)), file_format="png")
        >>> load_img(file, target_size=(4, 4)).size
        (4, 4)
    """
    if grayscale:
        color_mode = "grayscale"
    if color_mode not in ("grayscale", "rgb", "rgba"):
        raise ValueError(
            f"load_img: `color_mode` must be 'grayscale', 'rgb' or 'rgba', received {color_mode!r}."
        )
    if not isinstance(path, (str, os.PathLike, io.BytesIO)):
        raise TypeError(
            f"load_img: `path` must be a path or an io.BytesIO, received {type(path).__name__}."
        )
    image = in_color_mode(open_image(path), color_mode)
    if target_size is None:
        return image
    if interpolation not in _FILTERS:
        raise ValueError(
            f"load_img: `interpolation` must be one of {', '.join(_FILTERS)}, received"
            f" {interpolation!r}."
        )
    pixels_filter = getattr(_pillow("load_img").Resampling, interpolation.upper())
    height, width = target_size
    if (width, height) == image.size:
        return image
    if not keep_aspect_ratio:
        return image.resize((width, height), pixels_filter)
    rows, columns = smart_resize_box(image.height, image.width, (height, width))
    box = (columns.start, rows.start, columns.stop, rows.stop)
    return image.resize((width, height), pixels_filter, box=box)


def in_color_mode(image: Any, color_mode: str) -> Any:
    """Return a Pillow image in another color mode."""
    if color_mode == "grayscale":
        return image if image.mode in _DEEP_GRAY else image.convert("L")
    return image if image.mode == color_mode.upper() else image.convert(color_mode.upper())


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """Return an image as an array with a channel axis.

    Args:
        img: A Pillow image, or an array (height, width) or with channels.
        data_format: `"channels_last"` or `"channels_first"`. Default:
            `config.image_data_format()`.
        dtype: Dtype. Default: `config.floatx()`.

    Raises:
        ValueError: If the image has another number of axes, or `data_format` is another word.

    Example:
        >>> img_to_array(np.zeros((2, 3))).shape
        (2, 3, 1)
    """
    first = _channels_first("img_to_array", data_format)
    x = np.asarray(img, dtype=dtype or settings.floatx())
    if x.ndim == 2:
        return x[None] if first else x[..., None]
    if x.ndim != 3:
        raise ValueError(f"img_to_array: `img` must have 2 or 3 axes, received shape {x.shape}.")
    return x.transpose(2, 0, 1) if first else x


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """Return an array as a Pillow image.

    Args:
        x: An array with 1 (gray), 3 (RGB) or 4 (RGBA) channels. Gray values above 255 need
            `scale=False` and become 32-bit integers.
        data_format: `"channels_last"` or `"channels_first"`. Default:
            `config.image_data_format()`.
        scale: Whether the values are stretched to 0 to 255.
        dtype: Dtype for computing. Default: `config.floatx()`.

    Raises:
        ImportError: If Pillow is not installed.
        ValueError: If the shape is no image's, or `data_format` is another word.

    Example:
        >>> array_to_img(np.zeros((2, 3, 1))).mode
        'L'
    """
    pillow = _pillow("array_to_img")
    first = _channels_first("array_to_img", data_format)
    x = np.asarray(x, dtype=dtype or settings.floatx())
    if x.ndim != 3:
        raise ValueError(
            f"array_to_img: `x` must have 3 axes (one image), received shape {x.shape}."
        )
    if first:
        x = x.transpose(1, 2, 0)
    channels = x.shape[-1]
    if channels not in (1, 3, 4):
        raise ValueError(
            f"array_to_img: `x` must have 1, 3 or 4 channels, received {channels} (shape"
            f" {x.shape})."
        )
    if scale:
        x = x - np.min(x)
        largest = np.max(x)
        x = (x / largest if largest else x) * 255
    if channels == 1:
        x = x[..., 0]
        return pillow.fromarray(x.astype("int32" if x.max() > 255 else "uint8"))
    return pillow.fromarray(x.astype("uint8"), "RGB" if channels == 3 else "RGBA")


def save_img(
    path: FilePath | Any, x: Any, data_format: str | None = None, file_format: str | None = None,
    scale: bool = True, **kwargs: Any,
) -> None:  # fmt: skip
    """Write an array as an image file.

    Args:
        path: The file, or an open file.
        x: As in `array_to_img`.
        data_format: As in `array_to_img`.
        file_format: Pillow's name of the format. Default: by the ending of `path`.
        scale: As in `array_to_img`.
        **kwargs: Arguments of Pillow's `Image.save`.

    Raises:
        ImportError: If Pillow is not installed.
        ValueError: If the shape is no image's.

    Example:
        >>> file = io.BytesIO()
        >>> save_img(file, np.zeros((2, 3, 3)), file_format="png")
        >>> file.getvalue()[1:4]
        b'PNG'
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    ending = Path(path).suffix[1:] if isinstance(path, (str, os.PathLike)) else ""
    if image.mode == "RGBA" and (file_format or ending).lower() in ("jpg", "jpeg"):
        warnings.warn("save_img: JPEG has no transparency; the image becomes RGB.", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, format=file_format, **kwargs)


def smart_resize(
    x: Any, size: tuple[int, int], interpolation: str = "bilinear",
    data_format: str = "channels_last", backend_module: Any = None,
) -> Any:  # fmt: skip
    """Return images of another size, cropped in the middle instead of distorted.

    Args:
        x: An image (height, width, channels) or a batch of them.
        size: Height and width.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`, `"lanczos3"`,
            `"lanczos5"`, `"gaussian"` or `"mitchellcubic"`.
        data_format: `"channels_last"` or `"channels_first"`.
        backend_module: Ignored; kept for Keras's signature.

    Returns:
        An array of NumPy or JAX, as `x` is, float32; of the dtype of `x` with `"nearest"`.

    Raises:
        ValueError: If `size`, the shape or `interpolation` is wrong.

    Example:
        >>> smart_resize(np.zeros((10, 20, 3)), (5, 5)).shape
        (5, 5, 3)
    """
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f"smart_resize: `size` must be (height, width), received {size!r}.")
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"smart_resize: `interpolation` must be one of {', '.join(INTERPOLATIONS)}, received"
            f" {interpolation!r}."
        )
    first = _channels_first("smart_resize", data_format)
    x = x if isinstance(x, jax.Array) else np.asarray(x)
    if x.ndim not in (3, 4):
        raise ValueError(
            "smart_resize: `x` must be an image (height, width, channels) or a batch of them,"
            f" received shape {x.shape}."
        )
    x = x.swapaxes(-3, -2).swapaxes(-2, -1) if first else x
    height, width = x.shape[-3:-1]
    rows, columns = smart_resize_box(height, width, (size[0], size[1]))
    x = resize(x[..., rows, columns, :], (size[0], size[1]), interpolation)
    return x.swapaxes(-2, -1).swapaxes(-3, -2) if first else x


def _channels_first(function: str, data_format: str | None) -> bool:
    data_format = data_format or settings.image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(
            f"{function}: `data_format` must be 'channels_first' or 'channels_last', received"
            f" {data_format!r}."
        )
    return data_format == "channels_first"
