"""Segmentation masks over images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam.visualization.gallery import as_bytes, channels_last, plot_image_gallery

__all__ = ["draw_segmentation_masks", "plot_segmentation_mask_gallery"]

Colors = Mapping[int, Sequence[int]]


def draw_segmentation_masks(
    images: Any, segmentation_masks: Any, num_classes: int | None = None,
    color_mapping: Colors | None = None, alpha: float = 0.8, blend: bool = True,
    ignore_index: int = -1, data_format: str | None = None,
) -> np.ndarray:  # fmt: skip
    """Draw segmentation masks over images, in one color for each class.

    Args:
        images: Images of shape (images, height, width, channels), with values from 0 to 255.
        segmentation_masks: Classes of pixels, integers of shape (images, height, width) or
            (images, height, width, 1).
        num_classes: The highest class that is drawn. Default: the highest in the masks.
        color_mapping: Colors (red, green, blue) by class; classes without a color are not drawn.
            Default: a color for each class from 1 on. Class 0 is the background.
        alpha: Opacity of the masks, from 0 to 1.
        blend: Whether the images are seen through the masks.
        ignore_index: The class that is not drawn.
        data_format: Axes of `images` and of the result, `"channels_last"` or `"channels_first"`.
            Default: `config.image_data_format()`.

    Returns:
        The images with masks, (images, height, width, 3), dtype `uint8`.

    Raises:
        TypeError: If the masks are no integers.
        ValueError: If shapes do not fit, or `alpha` is out of range.

    Example:
        >>> image, mask = np.zeros((1, 2, 2, 3)), np.array([[[0, 0], [0, 1]]])
        >>> draw_segmentation_masks(image, mask, color_mapping={1: (255, 0, 0)})[0, 1, 1].tolist()
        [204, 0, 0]
    """
    pictures = channels_last("draw_segmentation_masks", images, data_format)
    masks = np.asarray(segmentation_masks)
    if masks.dtype.kind not in "iub":
        raise TypeError(
            "draw_segmentation_masks: `segmentation_masks` must hold integers, the classes of"
            f" pixels, received the dtype {masks.dtype}. Take the argmax of probabilities."
        )
    if masks.ndim == 4:
        masks = masks[:, 0] if masks.shape[1] == 1 and masks.shape[2:] == pictures.shape[1:3] else (
            masks[..., 0] if masks.shape[-1] == 1 else masks
        )  # fmt: skip
    if masks.shape != pictures.shape[:3]:
        raise ValueError(
            "draw_segmentation_masks: `segmentation_masks` must have the shape"
            f" {pictures.shape[:3]} of the images, received {np.shape(segmentation_masks)}."
        )
    if not 0 <= alpha <= 1:
        raise ValueError(
            f"draw_segmentation_masks: `alpha` must be from 0 to 1, received {alpha!r}."
        )
    highest = int(masks.max(initial=0)) if num_classes is None else num_classes
    if color_mapping is None:
        color_mapping = {n: (n % 255, 127 * n % 255, 31 * n % 255) for n in range(1, highest + 1)}
    result = np.clip(pictures, 0, 255).astype("uint8")
    result = np.repeat(result, 3, axis=-1) if result.shape[-1] == 1 else result[..., :3].copy()
    share = alpha if blend else 1.0
    for number, color in color_mapping.items():
        chosen = masks == number
        if number == ignore_index or number > highest or not chosen.any():
            continue
        mixed = result[chosen] * (1 - share) + np.asarray(color, dtype="float32") * share
        result[chosen] = np.clip(mixed + 1e-3, 0, 255).astype("uint8")
    return result


def plot_segmentation_mask_gallery(
    images: Any, num_classes: int, value_range: Sequence[float] = (0, 255), y_true: Any = None,
    y_pred: Any = None, color_mapping: Colors | None = None, blend: bool = True,
    alpha: float = 0.8, ignore_index: int = -1, data_format: str | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """Show images, each beside itself with its true and its predicted segmentation mask.

    Args:
        images: Images of shape (images, height, width, channels).
        num_classes: The highest class that is drawn.
        value_range: The lowest and the highest value of images.
        y_true, y_pred: Classes of pixels. Default: not shown.
        color_mapping, blend, alpha, ignore_index: As for `draw_segmentation_masks`.
        data_format: As for `plot_image_gallery`.
        **kwargs: Further arguments of `plot_image_gallery`.

    Returns:
        As `plot_image_gallery`.

    Raises:
        ValueError: If shapes do not fit.

    Example:
        >>> images, masks = np.zeros((2, 8, 8, 3)), np.ones((2, 8, 8), "int32")
        >>> figure = plot_segmentation_mask_gallery(images, 2, y_true=masks, show=False)
        >>> figure.axes[0].get_images()[0].get_array().shape
        (8, 16, 3)
    """
    given = channels_last("plot_segmentation_mask_gallery", images, data_format)
    pictures = as_bytes(given, value_range)
    pictures = np.repeat(pictures, 3, axis=-1) if pictures.shape[-1] == 1 else pictures
    parts = [pictures]
    for masks in (y_true, y_pred):
        if masks is not None:
            parts.append(
                draw_segmentation_masks(
                    pictures,
                    masks,
                    num_classes,
                    color_mapping,
                    alpha,
                    blend,
                    ignore_index,
                    "channels_last",
                )  # fmt: skip
            )
    if kwargs.get("rows") is None and kwargs.get("cols") is None:
        kwargs["cols"] = 1
    return plot_image_gallery(np.concatenate(parts, axis=2), data_format="channels_last", **kwargs)
