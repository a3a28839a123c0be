"""Data sets of the files in folders: images, texts and sounds."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbeam.errors import FileError
from hornbeam.optional import import_module, scipy_signal
from hornbeam.typing import FilePath
from hornbeam.utils.directories import Split, check_choice, find_files, read_files
from hornbeam.utils.image_files import ENDINGS, image_reader
from hornbeam.utils.sounds import read_sound

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
    data_format: str | None = None, format: str = "tf", verbose: bool = True, *,
    ignore_errors: bool = False,
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
        ignore_errors: Whether files that cannot be read are left out, with one warning at the end
            of a pass. `Dataset.skipped_files` says which, and why. Default: such a file is an
            error.

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
    check_choice(name, "format", format, ("tf", "grain"))
    read = image_reader(
        name, color_mode, image_size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio,
        data_format,
    )  # fmt: skip
    files = find_files(
        name, directory, ENDINGS, labels, label_mode, class_names, follow_links, verbose
    )
    split = Split(shuffle, seed, validation_split, subset)
    return read_files(name, files, read, split, batch_size, ignore_errors, filler=read)


def text_dataset_from_directory(
    directory: FilePath, labels: Any = "inferred", label_mode: str | None = "int",
    class_names: Sequence[str] | None = None, batch_size: int | None = 32,
    max_length: int | None = None, shuffle: bool = True, seed: int | None = None,
    validation_split: float | None = None, subset: str | None = None, follow_links: bool = False,
    format: str = "tf", verbose: bool = True, *, ignore_errors: bool = False,
) -> Any:  # fmt: skip
    """Return the texts of a folder as a `hornbeam.data.Dataset`.

    Args:
        directory: The folder. Files ending in .txt are read, in UTF-8.
        labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset: As in
            `image_dataset_from_directory`.
        max_length: Number of characters to keep. Default: all.
        follow_links, format, verbose, ignore_errors: As in `image_dataset_from_directory`.

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
    read = functools.partial(_read_text, max_length=max_length)
    split = Split(shuffle, seed, validation_split, subset)
    return read_files(name, files, read, split, batch_size, ignore_errors)


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
    verbose: bool = True, *, ignore_errors: bool = False,
) -> Any:  # fmt: skip
    """Return the sounds of a folder as a `hornbeam.data.Dataset`.

    Args:
        directory: The folder. Files ending in .wav (integers of 8 to 64 bits and floats) and .flac
            are read. FLAC needs soundfile: `pip install "hornbeam[audio]"`.
        labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset: As in
            `image_dataset_from_directory`.
        sampling_rate: Samples per second to which sounds are resampled. Default: those of each
            file.
        output_sequence_length: Number of samples to which sounds are cut or filled with zeros.
            Default: the longest in the batch.
        ragged: Must be False: arrays have one shape.
        follow_links, verbose, ignore_errors: As in `image_dataset_from_directory`.

    Returns:
        A `Dataset` of arrays (samples, channels), float32 from -1 to 1, in batches that are filled
        with zeros; or of pairs of them and labels. It has the attributes `class_names` and
        `file_paths`. With `subset="both"`, a list of two.

    Raises:
        ValueError: If an argument is wrong, or there are no files.
        FileNotFoundError: If there is no such folder.
        FileError: When the sounds are read, if a file is no complete sound.
        ImportError: If there are FLAC files, and soundfile is not installed.

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
        name, directory, (".wav", ".flac"), labels, label_mode, class_names, follow_links, verbose
    )
    if any(path.lower().endswith(".flac") for path in files.paths):
        import_module("soundfile", extra="audio", needed_for=f"{name} with FLAC files")
    read = functools.partial(_read_sound, rate=sampling_rate, length=output_sequence_length)
    split = Split(shuffle, seed, validation_split, subset)
    return read_files(name, files, read, split, batch_size, ignore_errors, padded=True)


def _read_sound(path: str, rate: int | None, length: int | None) -> np.ndarray:
    x, own_rate = read_sound(path, "audio_dataset_from_directory")
    if rate is not None and rate != own_rate:
        signal = scipy_signal()
        common = math.gcd(rate, own_rate)
        x = signal.resample_poly(x, rate // common, own_rate // common, axis=0).astype("float32")
    if length is not None:
        zeros = np.zeros((max(length - len(x), 0), x.shape[1]), "float32")
        x = np.concatenate([x[:length], zeros])
    return x


def _check_positive(function: str, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{function}: `{name}` must be a positive integer, received {value!r}.")
