"""`tf.io.decode_jpeg` and its siblings: image files in memory, as arrays of pixels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from hornbeam.optional import import_module
from hornbeam.tensorflow.host import HostTensor, as_host, dtype_name, host_array
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings
from hornbeam.utils.images import open_image
from hornbeam.utils.pixels import jpeg_pixels

__all__ = [
    "decode_and_crop_jpeg", "decode_bmp", "decode_gif", "decode_image", "decode_jpeg",
    "decode_png", "decode_webp", "encode_jpeg", "encode_png", "extract_jpeg_shape", "is_jpeg",
]  # fmt: skip

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_COLORS = {0: None, 1: "grayscale", 3: "rgb"}


def _content(contents: Any) -> bytes:
    return as_strings(contents, "contents").numpy()


def _own_mode(image: Any) -> str:
    """Return the mode in which an image is decoded if no number of channels is asked for."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    if image.mode in ("1", "L") or image.mode.startswith("I"):
        return "L"
    return image.mode if image.mode in _MODES.values() else "RGB"


def _pixels(data: bytes, channels: int, dtype: str, function: str) -> np.ndarray:
    if channels not in (0, *_MODES):
        raise ValueError(f"{function}: `channels` must be 0, 1, 2, 3 or 4, received {channels}.")
    image = open_image(io.BytesIO(data), function)
    if image.mode.startswith("I"):  # 16 bits
        deep = np.asarray(image).astype("uint16")
        if dtype == "uint16":
            return np.repeat(deep[..., None], 3 if channels == 3 else 1, axis=-1)
        image = import_module("PIL.Image", extra="image", needed_for=function).fromarray(
            (deep >> 8).astype("uint8")
        )
    elif dtype == "uint16" and data[:4] == b"\x89PNG" and data[24:25] == b"\x10":
        raise ValueError(
            f"{function}: color images of 16 bits are read as uint8 only. Pass `dtype=tf.uint8`."
        )
    mode = _MODES[channels] if channels else _own_mode(image)
    x = np.asarray(image if image.mode == mode else image.convert(mode))
    x = x[..., None] if x.ndim == 2 else x
    return x.astype("uint16") * np.uint16(257) if dtype == "uint16" else x


def decode_jpeg(
    contents: Any, channels: int = 0, ratio: int = 1, fancy_upscaling: bool = True,
    try_recover_truncated: bool = False, acceptable_fraction: float = 1, dct_method: str = "",
    name: str | None = None,
) -> HostTensor:  # fmt: skip
    """Return the pixels of an image file (height, width, channels), uint8.

    Args:
        contents: The content of the file, as a tensor of text.
        channels: 1 for gray, 3 for RGB. Default: those of the file.
        ratio: 1, 2, 4 or 8: by how much the image is made smaller.
        fancy_upscaling, try_recover_truncated, acceptable_fraction: Ignored.
        dct_method: `"INTEGER_FAST"`, the default, or `"INTEGER_ACCURATE"`.
        name: Ignored.

    Raises:
        FileError: If it is no complete image.
    """
    data = _content(contents)
    fast = dct_method != "INTEGER_ACCURATE"
    if channels in _COLORS:
        x = jpeg_pixels(data, _COLORS[channels], fast, ratio)
        if x is not None:
            return as_host(x)
    return as_host(_pixels(data, channels, "uint8", "decode_jpeg"))


def decode_and_crop_jpeg(
    contents: Any, crop_window: Any, channels: int = 0, ratio: int = 1,
    fancy_upscaling: bool = True, try_recover_truncated: bool = False,
    acceptable_fraction: float = 1, dct_method: str = "", name: str | None = None,
) -> HostTensor:  # fmt: skip
    """Return a part of the pixels of an image file.

    Args:
        contents, channels, ratio, dct_method: As in `decode_jpeg`.
        crop_window: First row, first column, height and width of the part.
        fancy_upscaling, try_recover_truncated, acceptable_fraction, name: Ignored.
    """
    top, left, height, width = (int(n) for n in host_array(crop_window))
    x = decode_jpeg(contents, channels, ratio, dct_method=dct_method)
    if top + height > x.shape[0] or left + width > x.shape[1] or min(top, left) < 0:
        raise ValueError(
            f"decode_and_crop_jpeg: the window {(top, left, height, width)} is not inside of an"
            f" image of shape {x.shape}."
        )
    return x[top : top + height, left : left + width]


def decode_png(
    contents: Any, channels: int = 0, dtype: Any = "uint8", name: str | None = None
) -> HostTensor:
    """Return the pixels of an image file (height, width, channels).

    Args:
        contents: The content of the file, as a tensor of text.
        channels: 1 for gray, 2 for gray and transparency, 3 for RGB, 4 for RGBA. Default: those of
            the file.
        dtype: `"uint8"` or `"uint16"`.
        name: Ignored.

    Raises:
        FileError: If it is no complete image.
    """
    return as_host(_pixels(_content(contents), channels, dtype_name(dtype), "decode_png"))


def decode_bmp(contents: Any, channels: int = 0, name: str | None = None) -> HostTensor:
    """Return the pixels of a BMP file, as `decode_png` does."""
    return as_host(_pixels(_content(contents), channels, "uint8", "decode_bmp"))


def decode_webp(
    contents: Any, channels: int = 0, dtype: Any = "uint8", name: str | None = None
) -> HostTensor:
    """Return the pixels of a WebP file, as `decode_png` does."""
    return as_host(_pixels(_content(contents), channels, dtype_name(dtype), "decode_webp"))


def decode_gif(contents: Any, name: str | None = None) -> HostTensor:
    """Return the pixels of all images of a GIF file (images, height, width, 3), uint8."""
    image = open_image(io.BytesIO(_content(contents)), "decode_gif")
    count = getattr(image, "n_frames", 1)
    if count * image.width * image.height > 2**28:
        raise ValueError(f"decode_gif: {count} images of {image.size} are too many pixels.")
    frames = []
    for number in range(count):
        image.seek(number)
        frames.append(np.asarray(image.convert("RGB")))
    return as_host(np.stack(frames))


def decode_image(
    contents: Any, channels: int | None = None, dtype: Any = "uint8", name: str | None = None,
    expand_animations: bool = True,
) -> HostTensor:  # fmt: skip
    """Return the pixels of a JPEG, PNG, GIF or BMP file.

    Args:
        contents: The content of the file, as a tensor of text.
        channels: As in `decode_png`.
        dtype: Dtype of the result; floating-point numbers are from 0 to 1.
        name: Ignored.
        expand_animations: Whether a GIF file gives all its images (images, height, width, 3),
            instead of the first.

    Raises:
        FileError: If it is no complete image.
    """
    data, kind = _content(contents), dtype_name(dtype)
    if kind not in ("uint8", "uint16", "float32", "float16", "float64"):
        raise ValueError(
            f"decode_image: `dtype` must be uint8, uint16 or floating point, received {kind}."
        )
    stored = "uint16" if kind == "uint16" else "uint8"
    if data[:3] == b"GIF":
        x = decode_gif(data).numpy()
        x = x if expand_animations else x[0]
        x = x.astype("uint16") * np.uint16(257) if kind == "uint16" else x
    elif data[:3] == b"\xff\xd8\xff" and kind != "uint16":
        x = decode_jpeg(data, channels or 0).numpy()
    else:
        x = _pixels(data, channels or 0, stored, "decode_image")
    return as_host(x if x.dtype == kind else (x / np.float32(255)).astype(kind))


def is_jpeg(contents: Any, name: str | None = None) -> HostTensor:
    """Return whether texts are the contents of JPEG files."""
    texts = as_strings(contents)
    return as_host(texts.results(lambda data: data[:3] == b"\xff\xd8\xff", bool))


def extract_jpeg_shape(
    contents: Any, output_type: Any = "int32", name: str | None = None
) -> HostTensor:
    """Return height, width and channels of a JPEG file, without decoding it."""
    return as_host(np.array(decode_jpeg(contents).shape), output_type)


def _image(image: Any, function: str, channels: tuple[int, ...]) -> np.ndarray:
    x = host_array(image)
    if x.ndim != 3 or x.shape[-1] not in channels:
        raise ValueError(
            f"{function}: `image` must have the axes height, width and channels, and"
            f" {' or '.join(map(str, channels))} channels, received shape {x.shape}."
        )
    if x.dtype not in ("uint8", "uint16"):
        raise ValueError(
            f"{function}: `image` must be uint8, received {x.dtype}. Call"
            " `tf.image.convert_image_dtype(image, tf.uint8)` first."
        )
    return x


def _pillow_image(x: np.ndarray, function: str) -> Any:
    pillow = import_module("PIL.Image", extra="image", needed_for=function)
    return pillow.fromarray(x[..., 0] if x.shape[-1] == 1 else x)


def encode_jpeg(
    image: Any, format: str = "", quality: int = 95, progressive: bool = False,
    optimize_size: bool = False, chroma_downsampling: bool = True, density_unit: str = "in",
    x_density: int = 300, y_density: int = 300, xmp_metadata: str = "", name: str | None = None,
) -> StringTensor:  # fmt: skip
    """Return pixels (height, width, channels) as the content of a JPEG file.

    Args:
        image: uint8, with 1 or 3 channels.
        format: `"grayscale"`, `"rgb"`, or `""` for what the channels say.
        quality: From 0 to 100.
        progressive: Whether the file shows coarse pixels first.
        optimize_size: Whether the file is made smaller, which takes longer.
        chroma_downsampling: Whether colors are stored at half the size.
        density_unit: Unit of the densities, `"in"` or `"cm"`.
        x_density, y_density: Pixels per unit.
        xmp_metadata, name: Ignored.
    """
    x = _image(image, "encode_jpeg", (1, 3))
    if format not in ("", "grayscale", "rgb"):
        raise ValueError(
            f"encode_jpeg: `format` must be 'grayscale' or 'rgb', received {format!r}."
        )
    picture = _pillow_image(x.astype("uint8"), "encode_jpeg")
    file = io.BytesIO()
    per_inch = 2.54 if density_unit == "cm" else 1
    picture.save(
        file, "JPEG", quality=int(quality), progressive=progressive, optimize=optimize_size,
        subsampling=2 if chroma_downsampling else 0,
        dpi=(round(x_density * per_inch), round(y_density * per_inch)),
    )  # fmt: skip
    return StringTensor(file.getvalue())


def encode_png(image: Any, compression: int = -1, name: str | None = None) -> StringTensor:
    """Return pixels (height, width, channels) as the content of a PNG file.

    Args:
        image: uint8 with 1 to 4 channels, or uint16 with 1.
        compression: From 0 to 9, or -1 for the default.
        name: Ignored.
    """
    x = _image(image, "encode_png", (1, 2, 3, 4))
    if x.dtype == "uint16" and x.shape[-1] != 1:
        raise ValueError("encode_png: images of uint16 must have 1 channel.")
    file = io.BytesIO()
    level = {} if compression < 0 else {"compress_level": int(compression)}
    _pillow_image(x, "encode_png").save(file, "PNG", **level)
    return StringTensor(file.getvalue())
