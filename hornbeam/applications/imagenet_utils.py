"""Pixels as the networks expect them, and names for the classes that they predict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hornbeam import errors, ops
from hornbeam.config import floatx, image_data_format
from hornbeam.datasets.dataset_file import DatasetFile
from hornbeam.errors import FileError
from hornbeam.typing import Tensor

__all__ = ["decode_predictions", "preprocess_input"]

# Mean and standard deviation of ImageNet's colors: red, green, blue.
_MEAN = (123.68, 116.779, 103.939)
_UNIT_MEAN, _UNIT_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_MODES = {
    "caffe": "The channels become blue, green, red, and ImageNet's mean color is subtracted.",
    "tf": "Pixels from 0 to 255 become numbers from -1 to 1.",
    "torch": "Pixels from 0 to 255 are divided by 255 and normalized by ImageNet's mean color and"
    " deviation.",
    None: "The network does this itself: the images are returned as they are.",
}


def preprocess_input(x: Tensor, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Return images as a network expects them.

    Args:
        x: Images with pixels from 0 to 255 in the order red, green, blue: an array or a symbolic
            tensor of 3 or 4 axes. An array is not changed.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        mode: `"caffe"` (blue, green, red; the mean color is subtracted), `"tf"` (-1 to 1) or
            `"torch"` (0 to 1, then normalized by mean and deviation).

    Returns:
        An array like `x`, of floats.

    Raises:
        ValueError: If `mode` or `data_format` is unknown, or `x` has other axes.

    Example:
        >>> preprocess_input(np.array([[[0, 127.5, 255]]]), mode="tf")
        array([[[-1.,  0.,  1.]]])
    """
    if mode not in ("caffe", "tf", "torch"):
        raise errors.unknown_name("`mode` of preprocess_input", mode, ("caffe", "tf", "torch"))
    if data_format is None:
        data_format = image_data_format()
    elif data_format not in ("channels_first", "channels_last"):
        raise errors.unknown_name(
            "`data_format` of preprocess_input", data_format, ("channels_first", "channels_last")
        )
    if isinstance(x, (list, tuple)):
        x = np.asarray(x)
    if len(x.shape) not in (3, 4):
        raise ValueError(
            "preprocess_input: expected an image of 3 axes or a batch of 4, received"
            f" {errors.describe(x)}."
        )
    if not np.issubdtype(np.dtype(str(x.dtype)), np.floating) and "float" not in str(x.dtype):
        x = x.astype(floatx()) if isinstance(x, np.ndarray) else ops.cast(x, floatx())
    if mode == "tf":
        return x / np.asarray(127.5, x.dtype) - np.asarray(1, x.dtype)
    return _by_color(x, -1 if data_format == "channels_last" else -3, mode)


def _by_color(x: Tensor, axis: int, mode: str) -> Any:
    """Return images less the mean color, and divided by the deviation for `"torch"`."""

    def color(values: tuple[float, ...]) -> np.ndarray:
        return np.reshape(np.asarray(values, x.dtype), (3,) + (1,) * (-1 - axis))

    if x.shape[axis] != 3:
        raise ValueError(
            "preprocess_input: expected 3 colors, received"
            f" {errors.describe(x)}. Check `data_format`."
        )
    if mode == "torch":
        return (x / np.asarray(255, x.dtype) - color(_UNIT_MEAN)) / color(_UNIT_DEVIATION)
    backwards = (..., slice(None, None, -1)) + (slice(None),) * (-1 - axis)
    return x[backwards] - color(_MEAN[::-1])


def _read_classes(path: Path) -> list[tuple[str, str]]:
    """Return WordNet's number and the name of each class."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return [(str(found[str(n)][0]), str(found[str(n)][1])) for n in range(1000)]
    except (ValueError, LookupError, TypeError) as error:
        raise FileError(f"'{path}' does not list the 1000 classes of ImageNet.") from error


CLASSES = DatasetFile(
    name="imagenet_class_index.json",
    address="https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
    file_hash="c2c37ea517e94d9795004a39431a14cb",
    reader=_read_classes,
    folder="models",
)


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """Return the most likely classes of ImageNet with their names.

    The names are in a file that is downloaded once.

    Args:
        preds: Predictions of shape (B, 1000).
        top: Number of classes for each image.

    Returns:
        For each image a list of tuples `(WordNet's number, name, score)`, best first.

    Raises:
        ValueError: If `preds` has another shape.
        OSError: If the file with the names cannot be downloaded.

    Example:
        >>> decode_predictions(np.eye(1, 1000), top=1)  # doctest: +SKIP
        [[('n01440764', 'tench', 1.0)]]
    """
    scores = np.asarray(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise ValueError(
            "decode_predictions: `preds` must have the shape (images, 1000), the classes of"
            f" ImageNet, received {tuple(scores.shape)}."
        )
    names = CLASSES.read()
    return [
        [(*names[number], row[number]) for number in np.argsort(row)[::-1][:top]] for row in scores
    ]


def for_mode(mode: str | None) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return `preprocess_input` and `decode_predictions` of a family's module.

    Args:
        mode: As in `preprocess_input`; `None` if the networks take pixels as they are.
    """

    def preprocess(x: Tensor, data_format: str | None = None) -> Any:
        return x if mode is None else preprocess_input(x, data_format, mode)

    preprocess.__name__ = preprocess.__qualname__ = "preprocess_input"
    preprocess.__doc__ = f"""Return images as the networks of this module expect them.

    {_MODES[mode]}

    Args:
        x: Images with pixels from 0 to 255: an array or a symbolic tensor.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Example:
        >>> preprocess_input(np.zeros((8, 8, 3))).shape
        (8, 8, 3)
    """
    return preprocess, decode_predictions
