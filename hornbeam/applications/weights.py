"""Published weights: their addresses and checksums, and how a network gets them."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hornbeam.applications.hashes import HASHES
from hornbeam.applications.torch_files import TorchFile
from hornbeam.datasets.dataset_file import DatasetFile
from hornbeam.errors import FileError
from hornbeam.models import Model
from hornbeam.models.torch_weights import load_torch_weights

__all__ = ["Weights", "check_weights", "load"]

_ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True)
class Weights:
    """The two files of a network's published weights, one with its classifier and one without.

    Args:
        key: Name of the network in `HASHES`.
        place: Path of the file below the address of all of them, or a whole address. `{top}` is
            empty for the file with the classifier.
        without_top: What stands in place of `{top}` for the file without the classifier.
        keras_name: Name of the file in Keras's cache, if it is another one. `{top}` is `_no_top`
            for the file without the classifier.

    Example:
        >>> Weights("VGG16", "vgg16/vgg16{top}.h5").file(False, None).name
        'vgg16_notop.h5'
    """

    key: str
    place: str
    without_top: str = "_notop"
    keras_name: str | None = None

    def file(self, include_top: bool, model: Model | None) -> DatasetFile[None]:
        """Return the file for a model; reading it loads the weights into the model."""
        place = self.place.format(top="" if include_top else self.without_top)
        other = self.keras_name and self.keras_name.format(top="" if include_top else "_no_top")
        return DatasetFile(
            name=place.rpartition("/")[2],
            address=place if place.startswith("https:") else _ADDRESS + place,
            reader=functools.partial(_read, model),
            file_hash=HASHES.get(self.key, (None, None))[0 if include_top else 1],
            keras_names=(other,) if other else (),
            folder="models",
        )


def _read(model: Model | None, path: Path) -> None:
    if model is not None:
        model.load_weights(path)


def check_weights(title: str, weights: Any, published: Weights | None, include_top: bool) -> None:
    """Raise an error if `weights` is none of `None`, `"imagenet"` and the path of a file."""
    if weights is None or isinstance(weights, TorchFile):
        return
    if weights == "imagenet":
        if published is None:
            raise ValueError(
                f"{title}: no weights are published for these arguments. Pass `weights=None`, or"
                " the path of a file with weights."
            )
        return
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(
            f"{title}: `weights` must be 'imagenet', None or the path of a file, received"
            f" {weights!r}."
        )
    if not os.path.exists(weights):
        raise ValueError(
            f"{title}: `weights` must be 'imagenet', None or the path of a file, and there is no"
            f" file {os.fspath(weights)!r}."
        )


def load(
    title: str, model: Model, weights: Any, published: Weights | None, include_top: bool
) -> None:
    """Give a model the weights that the argument `weights` of its function names."""
    if weights is None:
        return
    if weights == "imagenet" and published is not None:
        published.file(include_top, model).read()
        return
    try:
        if isinstance(weights, TorchFile):
            load_torch_weights(model, weights.path)
        else:
            model.load_weights(weights)
    except FileError as error:
        raise FileError(f"{title}: `weights` do not fit this network: {error}") from error
