"""Data sets of the files in folders: images, texts and sounds."""

from __future__ import annotations

import functools
import math
import os
import wave
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hornbeam import settings
from hornbeam.errors import FileError
from hornbeam.optional import import_module, scipy_signal
from hornbeam.typing import FilePath
from hornbeam.utils.directories import check_choice, find_files, finished, labelled, parts_of
from hornbeam.utils.pixels import CHANNELS, read_pixels
from hornbeam.utils.resizing import INTERPOLATIONS, resize, smart_resize_box

__all__ = [
    "audio_dataset_from_directory", "image_dataset_from_directory", "text_dataset_from_directory",
]  # fmt: skip

_LABEL_MODES = ("int", "categorical", "binary", None)


def image_dataset_from_directory(
    directory: FilePath, labels: Any = "inferred", label_mode: str | None = "int",
    class_names: Sequence[str] | None = None, color_mode: str = "rgb",
    batch_size: int | None = 32, image_size: tuple[int, int] | int = (256, 256),
    shuffle: bool = True, seed: int | None = None, validation_split: float | None = None,
    subset: str | None = None, interpolation: str = "bilinear", follow_links: bool = False,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
    data_format: str | None = None, format: str = "tf", verbose: bool = True,
) -> Any:  # fmt: skip
    """Return the images of a folder as a `hornbeam.data.Dataset`.

    With `labels="inferred"`, each folder inside `directory` is a class. The classes, the order of
    the files and the parts of a split are those of Keras for the same seed; the order of a pass is
    drawn by `Dataset.shuffle`.

    Args:
        directory: The folder. Files ending in .bmp, .gif, .jpeg, .jpg and .png are read; of a .gif,
            the first image. JPEG files are decoded as TensorFlow decodes them, to the bit.
        labels: `"inferred"`, one integer per file (in the order of the sorted paths), or `None`.
        label_mode: `"int"`, `"categorical"` (one-hot rows), `"binary"` (0.0 or 1.0) or `None`.
        class_names: The folders to use, in the order of their class numbers. Default: all, sorted.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        batch_size: Number of images per batch; `None` for single images.
        image_size: Height and width.
        shuffle: Whether the files are shuffled, and each pass has another order.
        seed: Seed of the order.
        validation_split: Fraction of the files that are for validation.
        subset: `"training"`, `"validation"` or `"both"`; needed with `validation_split`.
        interpolation: As in `smart_resize`.
        follow_links: Whether folders behind symbolic links are searched.
        crop_to_aspect_ratio: Whether images are cropped in the middle instead of distorted.
        pad_to_aspect_ratio: Whether images are framed in black instead of distorted.
        data_format: `"channels_last"` or `"channels_first"`. Default:
            `config.image_data_format()`.
        format: `"tf"` or `"grain"`, without effect; kept for Keras's signature.
        verbose: Whether the number of files is printed.

    Returns:
        A `Dataset` of images, float32 from 0 to 255 (uint8 with `interpolation="nearest"`), or of
        pairs of images and labels. It has the attributes `class_names` and `file_paths`. With
        `subset="both"`, a list of two.

    Raises:
        ImportError: If Pillow is not installed.
        ValueError: If an argument is wrong, or there are no files.
        FileNotFoundError: If there is no such folder.
        FileError: When the images are read, if a file is no complete image.

    Example:
        >>> train, test = image_dataset_from_directory(
        ...     "flowers", image_size=(64, 64), seed=1, validation_split=0.2, subset="both"
        ... )  # doctest: +SKIP
    """
    name = "image_dataset_from_directory"
    check_choice(name, "label_mode", label_mode, _LABEL_MODES)
    check_choice(name, "color_mode", color_mode, tuple(CHANNELS))
    check_choice(name, "interpolation", interpolation, INTERPOLATIONS)
    check_choice(name, "data_format", data_format, ("channels_last", "channels_first", None))
    check_choice(name, "format", format, ("tf", "grain"))
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            f"{name}: only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be True."
        )
    import_module("PIL.Image", extra="image", needed_for=name)
    endings = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
    files = find_files(
        name, directory, endings, labels, label_mode, class_names, follow_links, verbose
    )
    read = functools.partial(
        _read_image,
        color_mode=color_mode,
        size=_image_size(name, image_size),
        interpolation=interpolation,
        ratio="crop" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else None,
        first=(data_format or settings.image_data_format()) == "channels_first",
    )
    parts, seed = parts_of(name, files, validation_split, subset, shuffle, seed)
    found = []
    for part in parts:
        data = labelled(name, part, read, label_mode, shuffle, seed)
        data = data if batch_size is None else data.batch(batch_size)
        found.append(finished(data, part))
    return found if subset == "both" else found[0]


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


def _read_image(
    path: str, color_mode: str, size: tuple[int, int], interpolation: str, ratio: str | None,
    first: bool,
) -> np.ndarray:  # fmt: skip
    """Return an image file as an array."""
    x = read_pixels(path, color_mode, "image_dataset_from_directory")
    if ratio == "crop":
        rows, columns = smart_resize_box(x.shape[0], x.shape[1], size)
        x = x[rows, columns]
    x = _framed(x, size, interpolation) if ratio == "pad" else resize(x, size, interpolation)
    return x.transpose(2, 0, 1) if first else x


def _framed(x: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Return an image that is resized to fit into a size, in a black frame."""
    scale = min(size[0] / x.shape[0], size[1] / x.shape[1])
    exact = [min(n * scale, most) for n, most in zip(x.shape[:2], size, strict=True)]
    rows, columns = (max(int(n + 1e-6), 1) for n in exact)
    top, left = (int((most - n) / 2) for most, n in zip(size, exact, strict=True))
    x = resize(x, (rows, columns), interpolation)
    return np.pad(x, ((top, size[0] - rows - top), (left, size[1] - columns - left), (0, 0)))


def text_dataset_from_directory(
    directory: FilePath, labels: Any = "inferred", label_mode: str | None = "int",
    class_names: Sequence[str] | None = None, batch_size: int | None = 32,
    max_length: int | None = None, shuffle: bool = True, seed: int | None = None,
    validation_split: float | None = None, subset: str | None = None, follow_links: bool = False,
    format: str = "tf", verbose: bool = True,
) -> Any:  # fmt: skip
    """Return the texts of a folder as a `hornbeam.data.Dataset`.

    Args:
        directory: The folder. Files ending in .txt are read, in UTF-8.
        labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset: As in
            `image_dataset_from_directory`.
        max_length: Number of characters to keep. Default: all.
        follow_links, format, verbose: As in `image_dataset_from_directory`.

    Returns:
        A `Dataset` of arrays of texts, or of pairs of texts and labels. It has the attributes
        `class_names` and `file_paths`. With `subset="both"`, a list of two.

    Raises:
        ValueError: If an argument is wrong, or there are no files.
        FileNotFoundError: If there is no such folder.
        FileError: When the texts are read, if a file is not in UTF-8.

    Example:
        >>> data = text_dataset_from_directory("reviews", batch_size=8)  # doctest: +SKIP
    """
    name = "text_dataset_from_directory"
    check_choice(name, "label_mode", label_mode, _LABEL_MODES)
    check_choice(name, "format", format, ("tf", "grain"))
    if max_length is not None:
        _check_positive(name, "max_length", max_length)
    files = find_files(
        name, directory, (".txt",), labels, label_mode, class_names, follow_links, verbose
    )
    parts, seed = parts_of(name, files, validation_split, subset, shuffle, seed)
    read = functools.partial(_read_text, max_length=max_length)
    found = []
    for part in parts:
        data = labelled(name, part, read, label_mode, shuffle, seed)
        data = data if batch_size is None else data.batch(batch_size)
        found.append(finished(data, part))
    return found if subset == "both" else found[0]


def _read_text(path: str, max_length: int | None) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read() if max_length is None else file.read(max_length)
    except UnicodeDecodeError as error:
        raise FileError(
            f"text_dataset_from_directory: '{path}' is not in UTF-8: {error}."
        ) from None


def audio_dataset_from_directory(
    directory: FilePath, labels: Any = "inferred", label_mode: str | None = "int",
    class_names: Sequence[str] | None = None, batch_size: int | None = 32,
    sampling_rate: int | None = None, output_sequence_length: int | None = None,
    ragged: bool = False, shuffle: bool = True, seed: int | None = None,
    validation_split: float | None = None, subset: str | None = None, follow_links: bool = False,
    verbose: bool = True,
) -> Any:  # fmt: skip
    """Return the sounds of a folder as a `hornbeam.data.Dataset`.

    Args:
        directory: The folder. Files ending in .wav are read: PCM of 8, 16, 24 or 32 bits.
        labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset: As in
            `image_dataset_from_directory`.
        sampling_rate: Samples per second to which sounds are resampled. Default: those of each
            file.
        output_sequence_length: Number of samples to which sounds are cut or filled with zeros.
            Default: the longest in the batch.
        ragged: Must be False: arrays have one shape.
        follow_links, verbose: As in `image_dataset_from_directory`.

    Returns:
        A `Dataset` of arrays (samples, channels), float32 from -1 to 1, in batches that are filled
        with zeros; or of pairs of them and labels. It has the attributes `class_names` and
        `file_paths`. With `subset="both"`, a list of two.

    Raises:
        ValueError: If an argument is wrong, or there are no files.
        FileNotFoundError: If there is no such folder.
        FileError: When the sounds are read, if a file is no complete WAV file.

    Example:
        >>> data = audio_dataset_from_directory("birds", sampling_rate=16_000)  # doctest: +SKIP
    """
    name = "audio_dataset_from_directory"
    check_choice(name, "label_mode", label_mode, _LABEL_MODES)
    if ragged:
        raise ValueError(
            f"{name}: `ragged=True` is not supported, because arrays have one shape. Pass"
            " `batch_size=None` for single sounds, or `output_sequence_length`."
        )
    for argument, value in (
        ("sampling_rate", sampling_rate), ("output_sequence_length", output_sequence_length),
    ):  # fmt: skip
        if value is not None:
            _check_positive(name, argument, value)
    files = find_files(
        name, directory, (".wav",), labels, label_mode, class_names, follow_links, verbose
    )
    parts, seed = parts_of(name, files, validation_split, subset, shuffle, seed)
    read = functools.partial(_read_sound, rate=sampling_rate, length=output_sequence_length)
    found = []
    for part in parts:
        data = labelled(name, part, read, label_mode, shuffle, seed)
        data = data if batch_size is None else data.padded_batch(batch_size)
        found.append(finished(data, part))
    return found if subset == "both" else found[0]


_SAMPLES: dict[int, Callable[[bytes], np.ndarray]] = {
    1: lambda data: np.frombuffer(data, "u1").astype("float32") / 128 - 1,
    2: lambda data: np.frombuffer(data, "<i2").astype("float32") / 2**15,
    3: lambda data: _24_bits(data).astype("float32") / 2**31,
    4: lambda data: (np.frombuffer(data, "<i4") / 2**31).astype("float32"),
}
"""Functions from the bytes of samples to numbers, by the number of bytes of a sample."""


def _24_bits(data: bytes) -> np.ndarray:
    """Return samples of three bytes as the upper bytes of 32 bits."""
    wide = np.zeros((len(data) // 3, 4), "u1")
    wide[:, 1:] = np.frombuffer(data, "u1").reshape(-1, 3)
    return wide.view("<i4")[:, 0]


def _read_sound(path: str, rate: int | None, length: int | None) -> np.ndarray:
    try:
        with wave.open(path, "rb") as file:
            channels, width = file.getnchannels(), file.getsampwidth()
            own_rate, count = file.getframerate(), file.getnframes()
            size = count * channels * width
            data = file.readframes(count) if size <= os.path.getsize(path) else b""
    except (wave.Error, EOFError) as error:
        raise FileError(
            f"audio_dataset_from_directory: '{path}' is not a complete WAV file of PCM:"
            f" {error or 'it ends too early'}."
        ) from None
    if width not in _SAMPLES or not channels or not own_rate or len(data) != size:
        raise FileError(
            f"audio_dataset_from_directory: '{path}' is damaged: it does not hold the {count}"
            f" samples of {channels} channels and {width} bytes that it claims, at {own_rate} per"
            " second."
        )
    x = _SAMPLES[width](data).reshape(count, channels)
    if rate is not None and rate != own_rate:
        signal = scipy_signal()
        common = math.gcd(rate, own_rate)
        x = signal.resample_poly(x, rate // common, own_rate // common, axis=0).astype("float32")
    if length is not None:
        x = np.concatenate([x[:length], np.zeros((max(length - len(x), 0), channels), "float32")])
    return x


def _check_positive(function: str, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{function}: `{name}` must be a positive integer, received {value!r}.")
