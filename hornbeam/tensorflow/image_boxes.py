"""Boxes in images: a part of `tf.image`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.tensorflow.host import HostTensor, as_host, host_array
from hornbeam.tensorflow.image_random import distorted_box
from hornbeam.tensorflow.on_images import on_images, sizes_of

__all__ = [
    "combined_non_max_suppression", "draw_bounding_boxes", "non_max_suppression",
    "non_max_suppression_overlaps", "non_max_suppression_padded",
    "non_max_suppression_with_scores", "sample_distorted_bounding_box",
    "stateless_sample_distorted_bounding_box",
]  # fmt: skip


def _overlaps(boxes: np.ndarray) -> np.ndarray:
    """Return the intersection of each two boxes over their union."""
    first, last = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    sizes = np.prod(last - first, axis=1)
    shared = np.prod(
        np.maximum(
            np.minimum(last[:, None], last[None]) - np.maximum(first[:, None], first[None]), 0
        ),
        axis=2,
    )
    union = sizes[:, None] + sizes[None] - shared
    return np.where((sizes[:, None] > 0) & (sizes[None] > 0), shared / np.where(union, union, 1), 0)


def _chosen(
    overlaps: np.ndarray, scores: np.ndarray, most: int, threshold: float, least: float,
    sigma: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the numbers and the scores of the best boxes that overlap no better one too much.

    With a `sigma`, the score of a box falls with its overlaps (Bodla and others, "Soft-NMS", 2017).
    """
    left = np.array(scores, "float32")
    found: list[int] = []
    kept: list[float] = []
    alive = left > least
    while len(found) < most and alive.any():
        best = int(np.argmax(np.where(alive, left, -np.inf)))
        found.append(best)
        kept.append(float(left[best]))
        alive[best] = False
        if sigma:
            left *= np.exp(-0.5 / sigma * overlaps[best] ** 2).astype("float32")
            alive &= left > least
        else:
            alive &= overlaps[best] <= threshold
    return np.array(found, "int32"), np.array(kept, "float32")


def _numbers(name: str, *values: Any) -> list[np.ndarray]:
    if any(isinstance(value, jax.core.Tracer) for value in values):
        raise TypeError(
            f"{name}: the number of boxes depends on their values, so it cannot be part of a"
            " compiled function. Use `tf.image.combined_non_max_suppression`, whose result has a"
            " fixed size, or call it after the model."
        )
    return [host_array(value).astype("float32") for value in values]


def non_max_suppression(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), name: str | None = None,
) -> HostTensor:  # fmt: skip
    """Return the numbers of the best boxes that overlap no better one too much.

    Args:
        boxes: Two opposite corners of each box (boxes, 4).
        scores: How good each box is.
        max_output_size: The most boxes that are returned.
        iou_threshold: The largest allowed intersection over union.
        score_threshold: Boxes with this score or a lower one are left out.
        name: Ignored.

    Example:
        >>> boxes = [[0, 0, 1, 1], [0, 0, 1, 0.9], [0, 2, 1, 3]]
        >>> non_max_suppression(boxes, [0.8, 0.9, 0.7], 3).tolist()
        [1, 2]
    """
    boxes, scores = _numbers("non_max_suppression", boxes, scores)
    settings = int(max_output_size), float(iou_threshold), float(score_threshold)
    return as_host(_chosen(_overlaps(boxes), scores, *settings)[0])


def non_max_suppression_with_scores(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), soft_nms_sigma: Any = 0.0, name: str | None = None,
) -> tuple[HostTensor, HostTensor]:  # fmt: skip
    """Return the numbers and scores of the best boxes, whose scores fall by `soft_nms_sigma`."""
    boxes, scores = _numbers("non_max_suppression_with_scores", boxes, scores)
    settings = int(max_output_size), float(iou_threshold), float(score_threshold)
    numbers, kept = _chosen(_overlaps(boxes), scores, *settings, float(soft_nms_sigma))
    return as_host(numbers), as_host(kept)


def non_max_suppression_overlaps(
    overlaps: Any, scores: Any, max_output_size: Any, overlap_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), name: str | None = None,
) -> HostTensor:  # fmt: skip
    """Return the numbers of the best boxes, given how much each two overlap."""
    overlaps, scores = _numbers("non_max_suppression_overlaps", overlaps, scores)
    settings = int(max_output_size), float(overlap_threshold), float(score_threshold)
    return as_host(_chosen(overlaps, scores, *settings)[0])


def non_max_suppression_padded(
    boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"), pad_to_max_output_size: bool = False,
    name: str | None = None, sorted_input: bool = False, canonicalized_coordinates: bool = False,
    tile_size: int = 512,
) -> tuple[HostTensor, HostTensor]:  # fmt: skip
    """Return the numbers of the best boxes, filled with zeros if wanted, and how many there are."""
    found = np.asarray(
        non_max_suppression(boxes, scores, max_output_size, iou_threshold, score_threshold)
    )
    count = len(found)
    if pad_to_max_output_size:
        found = np.pad(found, (0, int(max_output_size) - count))
    return as_host(found), as_host(count, "int32")


class CombinedNonMaxSuppression(NamedTuple):
    """Boxes, scores and classes of each image, filled with zeros, and how many there are."""

    nmsed_boxes: Any
    nmsed_scores: Any
    nmsed_classes: Any
    valid_detections: Any


def combined_non_max_suppression(
    boxes: Any, scores: Any, max_output_size_per_class: Any, max_total_size: Any,
    iou_threshold: Any = 0.5, score_threshold: Any = float("-inf"), pad_per_class: bool = False,
    clip_boxes: bool = True, name: str | None = None,
) -> CombinedNonMaxSuppression:  # fmt: skip
    """Return the best boxes of each image, over all classes.

    Args:
        boxes: Corners (batch, boxes, classes or 1, 4).
        scores: How good each box is for each class (batch, boxes, classes).
        max_output_size_per_class: The most boxes of a class.
        max_total_size: The most boxes of an image, to which the results are filled with zeros.
        iou_threshold: The largest allowed intersection over union.
        score_threshold: Boxes with this score or a lower one are left out.
        pad_per_class: Whether the result is only as long as all classes' boxes may be.
        clip_boxes: Whether corners are limited to 0 and 1.
        name: Ignored.

    Returns:
        `nmsed_boxes` (batch, most, 4), `nmsed_scores`, `nmsed_classes` (batch, most), and
        `valid_detections` (batch,), float32 but the last, which is int32.
    """
    per_class, total = int(max_output_size_per_class), int(max_total_size)
    if pad_per_class:
        total = min(total, per_class * scores.shape[2])
    threshold, least = float(iou_threshold), float(score_threshold)

    def one(corners: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
        rows: list[tuple[float, int, np.ndarray]] = []
        for label in range(values.shape[1]):
            mine = corners[:, label if corners.shape[1] > 1 else 0]
            numbers, kept = _chosen(_overlaps(mine), values[:, label], per_class, threshold, least)
            rows += [(score, label, mine[n]) for n, score in zip(numbers, kept, strict=True)]
        rows = sorted(rows, key=lambda row: -row[0])[:total]
        found = (
            np.zeros((total, 4), "float32"),
            np.zeros(total, "float32"),
            np.zeros(total, "float32"),
        )
        for place, (score, label, box) in enumerate(rows):
            found[0][place] = np.clip(box, 0, 1) if clip_boxes else box
            found[1][place], found[2][place] = score, label
        return (*found, np.array(len(rows), "int32"))

    def whole(corners: Any, values: Any) -> tuple[np.ndarray, ...]:
        pairs = zip(np.asarray(corners, "float32"), np.asarray(values, "float32"), strict=True)
        return tuple(map(np.stack, zip(*(one(*pair) for pair in pairs), strict=True)))

    if not any(isinstance(x, jax.core.Tracer) for x in (boxes, scores)):
        return CombinedNonMaxSuppression(
            *map(as_host, whole(host_array(boxes), host_array(scores)))
        )
    count = scores.shape[0]
    shapes = ((count, total, 4), (count, total), (count, total))
    results = (
        *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes),
        jax.ShapeDtypeStruct((count,), jnp.int32),
    )
    return CombinedNonMaxSuppression(*jax.pure_callback(whole, results, boxes, scores))


_COLORS = np.array(
    [[1, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1], [0, 1, 0, 1], [0.5, 0, 0.5, 1], [0.5, 0.5, 0, 1],
     [0.5, 0, 0, 1], [0, 0, 0.5, 1], [0, 1, 1, 1], [1, 0, 1, 1]], "float32",
)  # fmt: skip


@on_images
def draw_bounding_boxes(images: Any, boxes: Any, colors: Any, name: str | None = None) -> Any:
    """Return images with the edges of boxes, one pixel wide.

    Args:
        images: Images (batch, height, width, channels), from 0 to 1.
        boxes: Boxes (batch, boxes, 4): first row and column, last row and column, from 0 to 1.
        colors: Colors (colors, channels), which the boxes take in turn; `None` for ten colors.
        name: Ignored.
    """
    height, width = sizes_of(images, "draw_bounding_boxes", (4,))
    x, corners = np.array(images), host_array(boxes).astype("float32")
    palette = _COLORS if colors is None or not np.size(colors) else host_array(colors)
    scale = np.array([height - 1, width - 1, height - 1, width - 1], "float32")
    for image, its_boxes in zip(x, corners, strict=True):
        for number, box in enumerate(its_boxes * scale):
            color = palette[number % len(palette)][: x.shape[-1]].astype(x.dtype)
            top, left, below, right = np.floor(box).astype(int).tolist()
            if (
                top >= height
                or left >= width
                or below < 0
                or right < 0
                or top > below
                or left > right
            ):
                continue
            rows = slice(max(top, 0), min(below, height - 1) + 1)
            columns = slice(max(left, 0), min(right, width - 1) + 1)
            for row in (top, below):
                if 0 <= row < height:
                    image[row, columns] = color
            for column in (left, right):
                if 0 <= column < width:
                    image[rows, column] = color
    return x if isinstance(images, np.ndarray) else jnp.asarray(x)


def sample_distorted_bounding_box(
    image_size: Any, bounding_boxes: Any, seed: Any = 0, min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = None, area_range: Any = None, max_attempts: Any = None,
    use_image_if_no_bounding_boxes: bool | None = None, name: str | None = None,
) -> tuple[HostTensor, HostTensor, HostTensor]:  # fmt: skip
    """Return a random part of an image that covers enough of a box.

    Args:
        image_size: Height, width and channels.
        bounding_boxes: Boxes (1, boxes, 4), from 0 to 1.
        seed: Seed, or 0 for none.
        min_object_covered: Part of a box that must be covered.
        aspect_ratio_range: Bounds of width over height. Default: 0.75 and 1.33.
        area_range: Bounds of the part of the image. Default: 0.05 and 1.
        max_attempts: Number of tries, after which it is the whole image. Default: 100.
        use_image_if_no_bounding_boxes: Whether the whole image counts as a box if there is none.
        name: Ignored.

    Returns:
        The first row and column, and height and width, as `tf.slice` takes them; and the box
        (1, 1, 4).
    """
    generator = np.random.default_rng(int(seed) or np.random.randint(2**31))
    return distorted_box(
        image_size, bounding_boxes, lambda shape, low, high: generator.uniform(low, high, shape),
        float(min_object_covered), aspect_ratio_range, area_range, max_attempts,
        use_image_if_no_bounding_boxes,
    )  # fmt: skip


def stateless_sample_distorted_bounding_box(
    image_size: Any, bounding_boxes: Any, seed: Any, min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = None, area_range: Any = None, max_attempts: Any = None,
    use_image_if_no_bounding_boxes: bool | None = None, name: str | None = None,
) -> tuple[HostTensor, HostTensor, HostTensor]:  # fmt: skip
    """Return what `sample_distorted_bounding_box` may return, as a function of two integers."""
    generator = np.random.default_rng((host_array(seed).astype("int64") % 2**32).tolist())
    return distorted_box(
        image_size, bounding_boxes, lambda shape, low, high: generator.uniform(low, high, shape),
        float(min_object_covered), aspect_ratio_range, area_range, max_attempts,
        use_image_if_no_bounding_boxes,
    )  # fmt: skip
