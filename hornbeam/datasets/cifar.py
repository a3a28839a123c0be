"""Reads the files of CIFAR-10 and CIFAR-100, which are tar archives of pickled batches."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hornbeam import settings
from hornbeam.datasets.readers import read_pickle_batch
from hornbeam.errors import FileError
from hornbeam.utils.extraction import extract_archive

__all__ = ["images", "labels", "read_batches"]


def read_batches(path: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Read pickled batches.

    Args:
        path: The archive, or a folder with its members.
        names: Paths of the batches in the archive.

    Raises:
        FileError: If the archive is damaged, lacks a batch, or holds objects other than data.
    """
    if not path.is_dir():
        with tempfile.TemporaryDirectory(prefix="hornbeam-") as place:
            members = Path(place) / "members"
            extract_archive(path, members, "tar")
            return _read_members(path, members, names)
    # Some versions of Keras cache the archive's folder, others a folder that contains it.
    outside = path if (path / names[0]).is_file() else path.parent
    return _read_members(path, outside, names)


def _read_members(path: Path, folder: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileError(f"'{path}' lacks the files {', '.join(missing)}.")
    return [read_pickle_batch(folder / name) for name in names]


def images(batch: dict[str, Any], count: int, name: str) -> np.ndarray:
    """Return the images of a batch in the default data format, uint8.

    Args:
        batch: The batch.
        count: The expected number of images.
        name: Name of the batch, for error messages.

    Raises:
        FileError: If the batch does not hold `count` images of 32 by 32 pixels.
    """
    data = batch.get("data")
    expected = (count, 3 * 32 * 32)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != expected:
        raise FileError(f"'{name}': 'data' must be a uint8 array of shape {expected}.")
    x = data.reshape(count, 3, 32, 32)
    return x.transpose(0, 2, 3, 1) if settings.image_data_format() == "channels_last" else x


def labels(batch: dict[str, Any], key: str, count: int, classes: int, name: str) -> np.ndarray:
    """Return the labels of a batch as an int64 array of shape (count, 1).

    Args:
        batch, count, name: As in `images`.
        key: Key of the labels in the batch.
        classes: Number of classes.

    Raises:
        FileError: If there is not one class index per image.
    """
    found = batch.get(key)
    if (
        not isinstance(found, list)
        or len(found) != count
        or not {int}.issuperset(map(type, found))
        or not all(0 <= label < classes for label in found)
    ):
        raise FileError(
            f"'{name}': '{key}' must be a list of {count} class indices from 0 to {classes - 1}."
        )
    return np.asarray(found, "int64").reshape(count, 1)
