"""Bounding boxes: formats, transformations, overlaps, and offsets from anchors.

A format defines the four numbers of a box: `xyxy` (left, top, right, bottom), `yxyx`, `xywh` (left,
top, width, height), `center_xywh`, `center_yxhw`. Formats that start with `rel_` are in fractions
of the image's width and height, the others are in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.layers.preprocessing.image.boxes import BOX_FORMATS, clipped, from_corners, to_corners
from hornbeam.settings import image_data_format
from hornbeam.typing import Tensor

__all__ = [
    "affine_transform",
    "clip_to_image_size",
    "compute_ciou",
    "compute_iou",
    "convert_format",
    "crop",
    "decode_deltas_to_boxes",
    "encode_box_to_deltas",
    "pad",
]

_TINY = 1e-7


def convert_format(
    boxes: Any, source: str, target: str, height: int | None = None, width: int | None = None,
    dtype: str = "float32",
) -> Any:  # fmt: skip
    """Convert boxes from one format to another.

    Args:
        boxes: Boxes of shape (..., 4), or a dictionary with the boxes as `"boxes"`. Other entries
            of the dictionary are kept.
        source: Format of the boxes.
        target: Format of the result.
        height: Height of the image. Required if only one of the formats starts with `rel_`.
        width: Width of the image. Required like `height`.
        dtype: Dtype of the result. Default: `"float32"`.

    Raises:
        ValueError: If a format is unknown, the last axis is not 4, or the size is missing.

    Example:
        >>> convert_format(np.array([[1.0, 2, 3, 4]]), "xywh", "xyxy").tolist()
        [[1.0, 2.0, 4.0, 6.0]]
    """
    if isinstance(boxes, dict):
        converted = convert_format(boxes["boxes"], source, target, height, width, dtype)
        return {**boxes, "boxes": converted}
    source = _format("convert_format", "source", source)
    target = _format("convert_format", "target", target)
    size = (1, 1)
    if source.startswith("rel_") != target.startswith("rel_"):
        size = _size("convert_format", f"from {source!r} to {target!r}", height, width)
    corners = to_corners(_boxes("convert_format", "boxes", boxes), source, *size)
    return from_corners(corners, target, *size).astype(dtype)


def clip_to_image_size(
    bounding_boxes: Any, height: int | None = None, width: int | None = None,
    bounding_box_format: str = "xyxy",
) -> Any:  # fmt: skip
    """Clip boxes at the edges of the image.

    Args:
        bounding_boxes: Boxes of shape (..., 4), or a dictionary of `"boxes"` and `"labels"` of
            shape (...). A box without area within the image gets the label -1.
        height: Height of the image. Required unless the format starts with `rel_`.
        width: Width of the image. Required like `height`.
        bounding_box_format: Format of the boxes and the result. Default: `"xyxy"`.

    Raises:
        ValueError: If the format is unknown, or the size is missing.

    Example:
        >>> clip_to_image_size(np.array([[-1.0, 0, 9, 2]]), 4, 4).tolist()
        [[0.0, 0.0, 4.0, 2.0]]
    """
    name = "clip_to_image_size"
    box_format = _format(name, "bounding_box_format", bounding_box_format)
    relative = box_format.startswith("rel_")
    size = (1, 1) if relative else _size(name, f"in {box_format!r}", height, width)
    given = bounding_boxes["boxes"] if isinstance(bounding_boxes, dict) else bounding_boxes
    corners = to_corners(_boxes(name, "bounding_boxes", given), box_format, *size)
    inside, visible = clipped(corners, *size)
    boxes = from_corners(inside, box_format, *size)
    if not isinstance(bounding_boxes, dict):
        return boxes
    result = {**bounding_boxes, "boxes": boxes}
    if "labels" in bounding_boxes:
        labels = jnp.asarray(bounding_boxes["labels"])
        result["labels"] = jnp.where(visible, labels, jnp.asarray(-1, labels.dtype))
    return result


def crop(
    boxes: Any, top: int, left: int, height: int, width: int, bounding_box_format: str = "xyxy"
) -> Tensor:
    """Convert boxes to the coordinates of a crop of the image, and clip them at its edges.

    Args:
        boxes: Boxes of shape (..., 4).
        top: First row of the crop.
        left: First column of the crop.
        height: Height of the crop.
        width: Width of the crop.
        bounding_box_format: Format of the boxes and the result, in pixels. Default: `"xyxy"`.

    Raises:
        ValueError: If the format is unknown or starts with `rel_`.

    Example:
        >>> crop(np.array([[1.0, 1, 4, 5]]), top=1, left=2, height=4, width=5).tolist()
        [[0.0, 0.0, 2.0, 4.0]]
    """

    def move(corners: Tensor) -> Tensor:
        return clipped(corners - jnp.asarray([left, top] * 2, corners.dtype), height, width)[0]

    return _moved("crop", boxes, bounding_box_format, move)


def pad(
    boxes: Any, top: int, left: int, height: int | None = None, width: int | None = None,
    bounding_box_format: str = "xyxy",
) -> Tensor:  # fmt: skip
    """Convert boxes to the coordinates of an image padded at its top and left.

    Args:
        boxes: Boxes of shape (..., 4).
        top: Number of rows added at the top.
        left: Number of columns added at the left.
        height: Without effect, because the boxes are in pixels. Accepted as in Keras.
        width: Without effect, like `height`.
        bounding_box_format: Format of the boxes and the result, in pixels. Default: `"xyxy"`.

    Raises:
        ValueError: If the format is unknown or starts with `rel_`.

    Example:
        >>> pad(np.array([[1.0, 1, 4, 5]]), top=1, left=2).tolist()
        [[3.0, 2.0, 6.0, 6.0]]
    """

    def move(corners: Tensor) -> Tensor:
        return corners + jnp.asarray([left, top] * 2, corners.dtype)

    return _moved("pad", boxes, bounding_box_format, move)


def affine_transform(
    boxes: Any, angle: Any, translate_x: Any, translate_y: Any, scale: Any, shear_x: Any,
    shear_y: Any, height: int, width: int, center_x: float | None = None,
    center_y: float | None = None, bounding_box_format: str = "xyxy",
) -> Tensor:  # fmt: skip
    """Rotate, translate, scale and shear boxes, and return the enclosing boxes.

    Args:
        boxes: Boxes of shape (B, N, 4) or (N, 4).
        angle: Counterclockwise rotation in degrees. `angle`, `translate_x`, `translate_y`, `scale`,
            `shear_x` and `shear_y` are numbers or have shape (B,).
        translate_x: Translation to the right, as a fraction of width - 1.
        translate_y: Translation downwards, as a fraction of height - 1.
        scale: Scale factor.
        shear_x: Shear angle along x, in degrees.
        shear_y: Shear angle along y, in degrees.
        height: Height of the image.
        width: Width of the image.
        center_x: Center of the rotation, as a fraction of width - 1. Default: 0.5.
        center_y: Center of the rotation, as a fraction of height - 1. Default: 0.5.
        bounding_box_format: Format of the boxes and the result. Default: `"xyxy"`.

    Raises:
        ValueError: If the format is unknown, or the last axis of `boxes` is not 4.

    Example:
        >>> moved = affine_transform(np.array([[1.0, 1, 4, 5]]), 0, 0.5, 0, 1, 0, 0, 5, 9)
        >>> moved.tolist()
        [[5.0, 1.0, 8.0, 5.0]]
    """
    box_format = _format("affine_transform", "bounding_box_format", bounding_box_format)
    corners = to_corners(_boxes("affine_transform", "boxes", boxes), box_format, height, width)

    def each(value: Any) -> Tensor:
        value = jnp.asarray(value, "float32")
        return value[:, None, None] if value.ndim else value

    turn, shear_x, shear_y = (each(jnp.deg2rad(value)) for value in (angle, shear_x, shear_y))
    cos, sin, tan_x, tan_y = jnp.cos(turn), jnp.sin(turn), jnp.tan(shear_x), jnp.tan(shear_y)
    # Relative to the center, a point (u, v) moves to (a u + b v, c u + d v).
    c, d = -sin + tan_y * cos, cos + tan_y * sin
    a, b = cos - tan_x * c, sin + tan_x * d
    middle_x = (0.5 if center_x is None else center_x) * (width - 1)
    middle_y = (0.5 if center_y is None else center_y) * (height - 1)
    u = corners[..., np.array([0, 2, 0, 2])] - middle_x + each(translate_x) * (width - 1)
    v = corners[..., np.array([1, 1, 3, 3])] - middle_y + each(translate_y) * (height - 1)
    x = middle_x + each(scale) * (a * u + b * v)
    y = middle_y + each(scale) * (c * u + d * v)
    hull = jnp.stack([x.min(-1), y.min(-1), x.max(-1), y.max(-1)], axis=-1)
    return from_corners(hull, box_format, height, width)


def compute_iou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, use_masking: bool = False,
    mask_val: float = -1, image_shape: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Compute the intersection over union of all pairs of boxes.

    Args:
        boxes1: Boxes of shape (N, 4) or (B, N, 4).
        boxes2: Boxes of shape (M, 4) or (B, M, 4).
        bounding_box_format: Format of both.
        use_masking: Whether to return `mask_val` for boxes whose corners are all negative, as in
            padding. Default: False.
        mask_val: Result for masked boxes. Default: -1.
        image_shape: Shape of an image. Required if the format starts with `rel_`.

    Returns:
        Values from 0 to 1, of shape (N, M) or (B, N, M).

    Raises:
        ValueError: If the format is unknown, the boxes do not have rank 2 or 3, or `image_shape` is
            missing.

    Example:
        >>> half, whole = np.array([[0.0, 0, 1, 2]]), np.array([[0.0, 0, 2, 2]])
        >>> compute_iou(half, whole, "xyxy").tolist()
        [[0.5]]
    """
    first, second = _two_corners("compute_iou", boxes1, boxes2, bounding_box_format, image_shape)
    for name, corners in (("boxes1", first), ("boxes2", second)):
        if corners.ndim not in (2, 3):
            raise ValueError(
                f"compute_iou: `{name}` must have shape (boxes, 4) or (batch, boxes, 4), received"
                f" {corners.shape}."
            )
    one, other = first[..., :, None, :], second[..., None, :, :]
    sides = jnp.minimum(one[..., 2:], other[..., 2:]) - jnp.maximum(one[..., :2], other[..., :2])
    common = jnp.prod(jnp.maximum(sides, 0), axis=-1)
    union = _area(one) + _area(other) - common
    overlaps = jnp.where(union == 0, 0, common / jnp.where(union == 0, 1, union))
    if use_masking:
        padding = jnp.all(one < 0, axis=-1) | jnp.all(other < 0, axis=-1)
        overlaps = jnp.where(padding, mask_val, overlaps)
    return overlaps


def compute_ciou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Sequence[int] | None = None
) -> Tensor:
    """Compute the complete intersection over union (CIoU) of corresponding boxes.

    It is the intersection over union, minus a penalty for the squared distance between the centers
    and a penalty for the difference between the aspect ratios.

    Args:
        boxes1: Boxes of shape (..., 4).
        boxes2: Boxes of the same shape.
        bounding_box_format: Format of both.
        image_shape: Shape of an image. Required if the format starts with `rel_`.

    Returns:
        Values of shape (...), at most 1.

    Raises:
        ValueError: If the format is unknown, or `image_shape` is missing.

    Source: Zheng et al. 2020, Distance-IoU loss.

    Example:
        >>> box = np.array([0.0, 0, 2, 2])
        >>> float(compute_ciou(box, box, "xyxy"))
        1.0
    """
    first, second = _two_corners("compute_ciou", boxes1, boxes2, bounding_box_format, image_shape)
    size1, size2 = (
        box[..., 2:] - box[..., :2] + np.array([0, _TINY], "float32") for box in (first, second)
    )
    low, high = (
        jnp.maximum(first[..., :2], second[..., :2]),
        jnp.minimum(first[..., 2:], second[..., 2:]),
    )
    common = jnp.prod(jnp.maximum(high - low, 0), axis=-1)
    union = jnp.prod(size1, axis=-1) + jnp.prod(size2, axis=-1) - common + _TINY
    overlap = common / union

    hull = jnp.maximum(first[..., 2:], second[..., 2:]) - jnp.minimum(
        first[..., :2], second[..., :2]
    )
    diagonal = jnp.sum(jnp.square(hull), axis=-1) + _TINY
    centers = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    distance = jnp.sum(jnp.square(centers), axis=-1)
    angles = [jnp.arctan(size[..., 0] / size[..., 1]) for size in (size1, size2)]
    ratio = 4 / np.pi**2 * jnp.square(angles[1] - angles[0])
    weight = ratio / (ratio - overlap + 1 + _TINY)
    return overlap - distance / diagonal - weight * ratio


def encode_box_to_deltas(
    anchors: Any, boxes: Any, anchor_format: str, box_format: str,
    encoding_format: str = "center_yxhw", variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Encode boxes as offsets from anchors, which a detector learns.

    Args:
        anchors: Anchors of shape (N, 4) or (B, N, 4).
        boxes: Boxes of shape (N, 4) or (B, N, 4), one per anchor.
        anchor_format: Format of the anchors.
        box_format: Format of the boxes.
        encoding_format: `"center_yxhw"` or `"center_xywh"`. Default: `"center_yxhw"`.
        variance: Four numbers that divide the offsets. Default: none.
        image_shape: Shape of an image. Required if a format starts with `rel_`.

    Returns:
        Offsets of shape (N, 4) or (B, N, 4): the differences between the centers as fractions of
        the anchor's size, and the logarithms of the ratios of the sizes.

    Raises:
        ValueError: If an argument has an invalid value, or `image_shape` is missing.

    Example:
        >>> anchor, box = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])
        >>> encode_box_to_deltas(anchor, box, "xyxy", "xyxy").tolist()
        [[0.0, 0.5, 0.0, 0.0]]
    """
    name = "encode_box_to_deltas"
    factors = _variance(name, variance)
    encoding_format = _encoding(name, "encoding_format", encoding_format)
    size = _size_of(name, image_shape, anchor_format, box_format)
    start = convert_format(anchors, anchor_format, encoding_format, *size)
    goal = convert_format(boxes, box_format, encoding_format, *size)
    scale, sizes = jnp.maximum(start[..., 2:], _TINY), jnp.maximum(goal[..., 2:], _TINY)
    moves = (goal[..., :2] - start[..., :2]) / scale
    return jnp.concatenate([moves, jnp.log(sizes / scale)], axis=-1) / factors


def decode_deltas_to_boxes(
    anchors: Any, boxes_delta: Any, anchor_format: str, box_format: str,
    encoded_format: str = "center_yxhw", variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Any:  # fmt: skip
    """Decode offsets from anchors to boxes, the inverse of `encode_box_to_deltas`.

    Args:
        anchors: Anchors of shape (N, 4) or (B, N, 4), or a dictionary of them.
        boxes_delta: Offsets of shape (N, 4) or (B, N, 4), or a dictionary with the same keys.
        anchor_format: Format of the anchors.
        box_format: Format of the result.
        encoded_format: `"center_yxhw"` or `"center_xywh"`. Default: `"center_yxhw"`.
        variance: Four numbers that multiply the offsets. Default: none.
        image_shape: Shape of an image. Required if a format starts with `rel_`.

    Raises:
        ValueError: If an argument has an invalid value, or `image_shape` is missing.

    Example:
        >>> anchor, delta = np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0.5, 0, 0]])
        >>> decode_deltas_to_boxes(anchor, delta, "xyxy", "xyxy").tolist()
        [[1.0, 0.0, 3.0, 2.0]]
    """
    name = "decode_deltas_to_boxes"
    factors = _variance(name, variance)
    encoded_format = _encoding(name, "encoded_format", encoded_format)
    size = _size_of(name, image_shape, anchor_format, box_format)

    def decoded(anchor: Any, delta: Any) -> Any:
        start = convert_format(anchor, anchor_format, encoded_format, *size)
        delta = _boxes(name, "boxes_delta", delta) * factors
        centers = delta[..., :2] * start[..., 2:] + start[..., :2]
        sizes = jnp.exp(delta[..., 2:]) * start[..., 2:]
        boxes = jnp.concatenate(jnp.broadcast_arrays(centers, sizes), axis=-1)
        return convert_format(boxes, encoded_format, box_format, *size)

    if isinstance(boxes_delta, dict):
        return {key: decoded(anchors[key], delta) for key, delta in boxes_delta.items()}
    return decoded(anchors, boxes_delta)


# --- helpers --------------------------------------------------------------------------------------


def _boxes(owner: str, name: str, boxes: Any) -> Tensor:
    boxes = jnp.asarray(boxes)
    if not boxes.ndim or boxes.shape[-1] != 4:
        raise ValueError(
            f"{owner}: the last axis of `{name}` must have size 4, received shape {boxes.shape}."
        )
    return boxes.astype("float32")


def _format(owner: str, name: str, value: Any, known: Sequence[str] = BOX_FORMATS) -> str:
    lowered = value.lower() if isinstance(value, str) else value
    if lowered not in known:
        raise ValueError(
            f"{owner}: `{name}` must be one of {', '.join(known)}, received {value!r}."
        )
    return lowered


def _encoding(owner: str, name: str, value: Any) -> str:
    return _format(owner, name, value, ("center_xywh", "center_yxhw"))


def _variance(owner: str, variance: Any) -> Any:
    factors = np.ones(4, "float32") if variance is None else jnp.asarray(variance, "float32")
    if factors.shape[-1:] != (4,):
        raise ValueError(
            f"{owner}: `variance` must be 4 numbers, one per number of a box, received"
            f" {variance!r}."
        )
    return factors


def _size(owner: str, what: str, height: Any, width: Any) -> tuple[int, int]:
    if height is None or width is None:
        raise ValueError(
            f"{owner}: boxes {what} need the image's `height` and `width`, received"
            f" height={height!r} and width={width!r}."
        )
    return height, width


def _size_of(owner: str, image_shape: Any, *formats: str) -> tuple[Any, Any]:
    """Return the height and width of `image_shape`, which is required for `rel_` formats."""
    if image_shape is None:
        relative = next((f for f in formats if str(f).lower().startswith("rel_")), None)
        if relative is not None:
            raise ValueError(
                f"{owner}: boxes in {relative!r} need `image_shape`, received None. Pass the shape"
                " of an image, for example (height, width, channels)."
            )
        return 1, 1
    if len(image_shape) not in (2, 3):
        raise ValueError(
            f"{owner}: `image_shape` must be (height, width, channels) or (height, width), received"
            f" {image_shape!r}."
        )
    first = len(image_shape) == 3 and image_data_format() == "channels_first"
    height, width = image_shape[1:] if first else image_shape[:2]
    return height, width


def _two_corners(
    owner: str, boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Any
) -> tuple[Tensor, Tensor]:
    """Convert two tensors of boxes to corners."""
    box_format = _format(owner, "bounding_box_format", bounding_box_format)
    size = _size_of(owner, image_shape, box_format)
    pair = (_boxes(owner, "boxes1", boxes1), _boxes(owner, "boxes2", boxes2))
    return to_corners(pair[0], box_format, *size), to_corners(pair[1], box_format, *size)


def _area(corners: Tensor) -> Tensor:
    return jnp.prod(corners[..., 2:] - corners[..., :2], axis=-1)


def _moved(owner: str, boxes: Any, bounding_box_format: str, move: Any) -> Tensor:
    """Apply `move` to the corners of boxes in pixels, and keep the format and dtype."""
    box_format = _format(owner, "bounding_box_format", bounding_box_format)
    if box_format.startswith("rel_"):
        raise ValueError(
            f"{owner}: boxes must be in pixels, received `bounding_box_format`={box_format!r}. Use"
            " `convert_format` with the size of the image first."
        )
    corners = to_corners(_boxes(owner, "boxes", boxes), box_format, 1, 1)
    return from_corners(move(corners), box_format, 1, 1).astype(jnp.asarray(boxes).dtype)
