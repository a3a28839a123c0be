"""Bounding boxes on images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam import errors
from hornbeam.optional import import_module
from hornbeam.utils.bounding_boxes import convert_format
from hornbeam.visualization.gallery import as_bytes, channels_last, plot_image_gallery

__all__ = ["draw_bounding_boxes", "plot_bounding_box_gallery"]

Names = Mapping[Any, str] | Sequence[str]


def draw_bounding_boxes(
    images: Any, bounding_boxes: Mapping[str, Any], bounding_box_format: str,
    class_mapping: Names | None = None, color: Sequence[int] = (128, 128, 128),
    line_thickness: int = 2, text_thickness: int = 1, font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:  # fmt: skip
    """Draw bounding boxes on images, with the names of their classes above them.

    Names need Pillow, the extra `image`; boxes need no package.

    Args:
        images: Images of shape (images, height, width, channels), with values from 0 to 255.
        bounding_boxes: `"boxes"` of shape (images, boxes, 4), `"labels"` (images, boxes), and where
            wanted `"confidences"` (images, boxes). A box with the label -1 is none.
        bounding_box_format: Format of the boxes, such as `"xyxy"`; see
            `utils.bounding_boxes.convert_format`.
        class_mapping: Names of the classes: a dictionary, or a list. Default: no names.
        color: Red, green and blue of the boxes, from 0 to 255.
        line_thickness: Width of the lines, in pixels.
        text_thickness: Thickness of the names.
        font_scale: Size of the names, where 1 is 12 pixels.
        data_format: Axes of `images`, `"channels_last"` or `"channels_first"`. Default:
            `config.image_data_format()`.

    Returns:
        The images with boxes, (images, height, width, channels), dtype `uint8`.

    Raises:
        ImportError: If there are names, and Pillow is not installed.
        TypeError: If `bounding_boxes` is no dictionary.
        ValueError: If boxes or labels are missing, or shapes do not fit.

    Example:
        >>> boxes = {"boxes": np.array([[[1, 1, 4, 4]]]), "labels": np.array([[0]])}
        >>> draw_bounding_boxes(np.zeros((1, 6, 6, 3)), boxes, "xyxy")[0, 1, 2].tolist()
        [128, 128, 128]
    """
    pictures = channels_last("draw_bounding_boxes", images, data_format)
    result = np.clip(pictures, 0, 255).astype("uint8")
    corners, labels, confidences = _parts(bounding_boxes, bounding_box_format, result.shape)
    for number, picture in enumerate(result):
        for index, label in enumerate(labels[number]):
            if label == -1 or not np.isfinite(corners[number, index]).all():
                continue
            box = [round(float(n)) for n in corners[number, index]]
            _draw_box(picture, box, color, line_thickness)
            if class_mapping is not None:
                text = _name(class_mapping, label)
                if confidences is not None:
                    text += f" | {float(confidences[number, index]):.2f}"
                result[number] = picture = _with_text(
                    picture, text, box, color, text_thickness, font_scale
                )
    return result


def plot_bounding_box_gallery(
    images: Any, bounding_box_format: str, y_true: Mapping[str, Any] | None = None,
    y_pred: Mapping[str, Any] | None = None, value_range: Sequence[float] = (0, 255),
    true_color: Sequence[int] = (0, 188, 212), pred_color: Sequence[int] = (255, 235, 59),
    line_thickness: int = 2, font_scale: float = 1.0, text_thickness: int | None = None,
    class_mapping: Names | None = None, ground_truth_mapping: Names | None = None,
    prediction_mapping: Names | None = None, legend: bool = False,
    legend_handles: Sequence[Any] | None = None, rows: int | None = None,
    cols: int | None = None, data_format: str | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """Show images side by side, with their true and their predicted bounding boxes.

    Args:
        images: Images of shape (images, height, width, channels).
        bounding_box_format: Format of the boxes.
        y_true, y_pred: Boxes as for `draw_bounding_boxes`. Default: not shown.
        value_range: The lowest and the highest value of images.
        true_color, pred_color: Colors of the boxes.
        line_thickness, font_scale: As for `draw_bounding_boxes`.
        text_thickness: Thickness of the names. Default: that of the lines.
        class_mapping: Names of the classes.
        ground_truth_mapping, prediction_mapping: Names for the true and for the predicted boxes.
            Default: `class_mapping`.
        legend: Whether a legend says which color is which.
        legend_handles: Handles of Matplotlib for another legend.
        rows, cols, data_format, **kwargs: As for `plot_image_gallery`.

    Returns:
        As `plot_image_gallery`.

    Raises:
        ValueError: If `legend` and `legend_handles` are both given, or as `draw_bounding_boxes`.

    Example:
        >>> boxes = {"boxes": np.array([[[1, 1, 4, 4]]]), "labels": np.array([[0]])}
        >>> len(plot_bounding_box_gallery(np.zeros((1, 6, 6, 3)), "xyxy", boxes, show=False).axes)
        1
    """
    if legend and legend_handles is not None:
        raise ValueError(
            "plot_bounding_box_gallery: expected `legend` or `legend_handles`, received both. Leave"
            " one out."
        )
    given = channels_last("plot_bounding_box_gallery", images, data_format)
    pictures = as_bytes(given, value_range)
    pictures = np.repeat(pictures, 3, axis=-1) if pictures.shape[-1] == 1 else pictures
    thickness = line_thickness if text_thickness is None else text_thickness
    for boxes, color, names in (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ):
        if boxes is not None:
            pictures = draw_bounding_boxes(
                pictures, boxes, bounding_box_format, names, color, line_thickness, thickness,
                font_scale, "channels_last",
            )  # fmt: skip
    if legend:
        patches = import_module("matplotlib.patches", extra="viz", needed_for="A legend")
        legend_handles = [
            patches.Patch(color=np.asarray(color) / 255, label=label)
            for color, label in ((true_color, "Ground Truth"), (pred_color, "Prediction"))
        ]
    return plot_image_gallery(
        pictures, rows=rows, cols=cols, legend_handles=legend_handles,
        data_format="channels_last", **kwargs,
    )  # fmt: skip


def _parts(given: Any, box_format: str, shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Return corners (images, boxes, 4) in pixels, labels and confidences."""
    if not isinstance(given, Mapping):
        raise TypeError(
            'draw_bounding_boxes: `bounding_boxes` must be a dictionary with "boxes" and "labels",'
            f" received {errors.describe(given)}."
        )
    missing = [name for name in ("boxes", "labels") if name not in given]
    if missing:
        raise ValueError(
            f"draw_bounding_boxes: `bounding_boxes` must have {errors.listed(missing)} too,"
            f" received {errors.listed(given)}."
        )
    corners = np.asarray(
        convert_format(
            np.asarray(given["boxes"], "float32"), box_format, "xyxy", shape[1], shape[2]
        )
    )
    labels = np.asarray(given["labels"])
    if corners.ndim != 3 or len(corners) != shape[0] or labels.shape[:2] != corners.shape[:2]:
        raise ValueError(
            f"draw_bounding_boxes: for {shape[0]} images, expected boxes of shape ({shape[0]},"
            f" boxes, 4) and labels ({shape[0]}, boxes), received {corners.shape} and"
            f" {labels.shape}."
        )
    confidences = given.get("confidences")
    labels = labels.reshape(corners.shape[:2])
    return corners, labels, None if confidences is None else np.asarray(confidences)


def _draw_box(picture: np.ndarray, box: list[int], color: Any, thickness: int) -> None:
    """Draw a rectangle whose lines lie around the box's edges."""
    left, top, right, bottom = box
    before = (thickness - 1) // 2
    shade = np.asarray(color)[: picture.shape[-1]]

    def fill(x0: int, y0: int, x1: int, y1: int) -> None:
        picture[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = shade

    after = thickness - before
    for y in (top, bottom):
        fill(left - before, y - before, right + after, y + after)
    for x in (left, right):
        fill(x - before, top - before, x + after, bottom + after)


def _name(names: Names, label: Any) -> str:
    """Return the name of a class, or its number where it has none."""
    number = int(label)
    try:
        return str(names[number])
    except (KeyError, IndexError):
        return str(number)


def _with_text(
    picture: np.ndarray, text: str, box: list[int], color: Any, thickness: int, scale: float
) -> np.ndarray:
    """Return a picture with a text on the box's color, above the box or, at the edge, inside."""
    names = {"extra": "image", "needed_for": "Text on images"}
    image_module = import_module("PIL.Image", **names)
    draw_module = import_module("PIL.ImageDraw", **names)
    font = import_module("PIL.ImageFont", **names).load_default(size=12 * scale)
    gray = picture.shape[-1] == 1
    image = image_module.fromarray(picture[..., 0] if gray else picture[..., :3])
    draw = draw_module.Draw(image)
    stroke = max(0, thickness - 1) // 2
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font, stroke_width=stroke)
    x = min(max(box[0], 0), max(0, image.width - int(right) - 4))
    y = box[1] - int(bottom) - 4
    y = y if y >= 0 else box[1]
    shade = tuple(int(n) for n in color)
    bright = 0.3 * shade[0] + 0.59 * shade[1] + 0.11 * shade[2] > 140
    ink = (0, 0, 0) if bright else (255, 255, 255)
    fill, ink = (shade[0], ink[0]) if gray else (shade, ink)  # type: ignore[assignment]  # numbers or colors
    draw.rectangle((x, y, x + right + 3, y + bottom + 3), fill=fill)
    draw.text((x + 2, y + 1), text, fill=ink, font=font, stroke_width=stroke)
    found = np.asarray(image)
    result = picture.copy()
    result[..., : 1 if gray else 3] = found[..., None] if gray else found
    return result
