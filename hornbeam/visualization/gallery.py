"""Galleries: images side by side in a figure of Matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam.drawing.figure import finish, new_figure
from hornbeam.settings import standardize_data_format
from hornbeam.typing import FilePath

__all__ = ["as_bytes", "channels_last", "plot_image_gallery"]


def channels_last(function: str, images: Any, data_format: str | None) -> np.ndarray:
    """Return images as an array (B, H, W, C).

    Raises:
        ValueError: If they have not four axes.
    """
    found = np.asarray(images)
    if found.ndim != 4:
        raise ValueError(
            f"{function}: `images` must have four axes, (images, height, width, channels), received"
            f" the shape {found.shape}. Add an axis to a single image: `images[None]`."
        )
    if standardize_data_format(data_format) == "channels_first":
        found = found.transpose(0, 2, 3, 1)
    return found


def as_bytes(images: np.ndarray, value_range: Sequence[float]) -> np.ndarray:
    """Return images with values of a range as numbers from 0 to 255, dtype `uint8`.

    Raises:
        ValueError: If the range is not one.
    """
    low, high = value_range
    if not low < high:
        raise ValueError(
            "`value_range` must be (lowest, highest) of the images' values, received"
            f" {value_range!r}."
        )
    scaled = (images.astype("float32") - low) * (255 / (high - low))
    return np.clip(np.rint(scaled), 0, 255).astype("uint8")


def plot_image_gallery(
    images: Any, y_true: Any = None, y_pred: Any = None,
    label_map: Mapping[Any, str] | Sequence[str] | None = None, rows: int | None = None,
    cols: int | None = None, value_range: Sequence[float] = (0, 255), scale: float = 2,
    path: FilePath | None = None, show: bool | None = None, transparent: bool = True,
    dpi: float = 60, legend_handles: Sequence[Any] | None = None, data_format: str | None = None,
) -> Any:  # fmt: skip
    """Show images side by side, with labels above them. Needs Matplotlib, the extra `viz`.

    Args:
        images: Images of shape (images, height, width, channels), with one or three channels.
        y_true: The classes of the images. Default: not shown.
        y_pred: The predicted classes.
        label_map: Names of the classes: a dictionary, or a list.
        rows, cols: Number of rows and of columns. Default: about a square, with all images.
        value_range: The lowest and the highest value of images.
        scale: Width and height of an image, in inches. Wide images are as high, and wider.
        path: File for the gallery.
        show: Whether to show a window. Default: if there is no `path`.
        transparent: Whether the file's background is transparent.
        dpi: Dots per inch of the file.
        legend_handles: Handles of Matplotlib for a legend.
        data_format: `"channels_last"` or `"channels_first"`. Default: `config.image_data_format()`.

    Returns:
        The figure of Matplotlib; `None` after it was shown.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If `images` has not four axes, labels come without `label_map`, or `path` and
            `show` are both given.

    Example:
        >>> images = np.zeros((4, 8, 8, 3))
        >>> len(plot_image_gallery(images, show=False).axes)
        4
    """
    if path is not None and show:
        raise ValueError(
            "plot_image_gallery: expected `path` or `show=True`, received both. Leave one out."
        )
    show = path is None if show is None else bool(show)
    given = channels_last("plot_image_gallery", images, data_format)
    if (y_true is not None or y_pred is not None) and label_map is None:
        raise ValueError(
            "plot_image_gallery: `label_map` must name the classes of `y_true` and `y_pred`. Pass a"
            " dictionary such as {0: 'cat', 1: 'dog'}."
        )
    pictures = as_bytes(given, value_range)
    rows, cols = _rows_and_columns(len(pictures), rows, cols)
    shape = pictures.shape[2] / max(pictures.shape[1], 1)
    wide = shape if shape > 1.5 else 1  # wide pictures would be small
    figure = new_figure("plot_image_gallery", cols * scale * wide, rows * scale, show)
    for number, picture in enumerate(pictures[: rows * cols]):
        axes = figure.add_subplot(rows, cols, number + 1)
        gray = picture.shape[-1] == 1
        axes.imshow(picture[..., 0] if gray else picture, cmap="gray" if gray else None,
                    vmin=0, vmax=255)  # fmt: skip
        axes.axis("off")
        title = _title(number, y_true, y_pred, label_map)
        if title:
            axes.set_title(title, fontsize=9, parse_math=False)
    if legend_handles is not None:
        figure.legend(handles=list(legend_handles), loc="lower center", ncols=len(legend_handles))
    figure.subplots_adjust(0.01, 0.08 if legend_handles else 0.01, 0.99,
                           0.99 if label_map is None else 0.9, 0.04,
                           0.04 if label_map is None else 0.25)  # fmt: skip
    finish(figure, path, show, dpi, transparent)
    return None if show else figure


def _rows_and_columns(count: int, rows: int | None, cols: int | None) -> tuple[int, int]:
    for name, value in (("rows", rows), ("cols", cols)):
        if value is not None and (isinstance(value, bool) or value != int(value) or value < 1):
            raise ValueError(
                f"plot_image_gallery: `{name}` must be a positive integer, received {value!r}."
            )
    if rows is None:
        rows = math.ceil(count / cols) if cols else math.ceil(math.sqrt(count))
    return max(1, rows), cols or max(1, math.ceil(count / max(1, rows)))


def _title(number: int, y_true: Any, y_pred: Any, names: Any) -> str:
    parts = []
    for word, labels in (("Label", y_true), ("Pred", y_pred)):
        if labels is not None:
            label = np.asarray(labels)[number].item()
            try:
                name = names[label]
            except (KeyError, IndexError):
                raise ValueError(
                    f"plot_image_gallery: `label_map` has no name for the class {label!r}. Add it."
                ) from None
            parts.append(f"{word}: {name}")
    return "  ".join(parts)
