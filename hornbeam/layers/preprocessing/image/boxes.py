"""Bounding boxes: formats, clipping and moves. Corners are (left, top, right, bottom) in pixels."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.typing import Tensor

__all__ = ["BOX_FORMATS", "clipped", "from_corners", "hulls", "to_corners"]

BOX_FORMATS = (
    "xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh",
    "rel_center_xywh",
)  # fmt: skip


def to_corners(boxes: Tensor, box_format: str | None, height: int, width: int) -> Tensor:
    """Return boxes (..., 4) of a format as corners.

    Args:
        boxes: Boxes.
        box_format: One of `BOX_FORMATS`. Formats with `rel_` are fractions of the image's size.
        height: Height of the image.
        width: Width of the image.

    Example:
        >>> to_corners(jnp.array([1.0, 2, 3, 4]), "xywh", 8, 8).tolist()
        [1.0, 2.0, 4.0, 6.0]
    """
    kind = str(box_format).removeprefix("rel_")
    a, b, c, d = jnp.moveaxis(boxes, -1, 0)
    if kind in ("yxyx", "center_yxhw"):
        a, b, c, d = b, a, d, c
    if kind.startswith("center"):
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    elif kind == "xywh":
        c, d = a + c, b + d
    corners = jnp.stack([a, b, c, d], axis=-1)
    return corners * _scale(box_format, height, width)


def from_corners(corners: Tensor, box_format: str | None, height: int, width: int) -> Tensor:
    """Return corners (..., 4) in a format: the inverse of `to_corners`.

    Example:
        >>> from_corners(jnp.array([1.0, 2, 4, 6]), "xywh", 8, 8).tolist()
        [1.0, 2.0, 3.0, 4.0]
    """
    kind = str(box_format).removeprefix("rel_")
    a, b, c, d = jnp.moveaxis(corners / _scale(box_format, height, width), -1, 0)
    if kind.startswith("center"):
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    elif kind == "xywh":
        c, d = c - a, d - b
    if kind in ("yxyx", "center_yxhw"):
        a, b, c, d = b, a, d, c
    return jnp.stack([a, b, c, d], axis=-1)


def _scale(box_format: str | None, height: int, width: int) -> Any:
    relative = str(box_format).startswith("rel_")
    return jnp.asarray([width, height] * 2 if relative else [1] * 4, "float32")


def clipped(corners: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return corners within the image, and whether each box has an area there.

    Example:
        >>> clipped(jnp.array([[-1.0, 0, 2, 2]]), 4, 4)[0].tolist()
        [[0.0, 0.0, 2.0, 2.0]]
    """
    limits = jnp.asarray([width, height] * 2, corners.dtype)
    inside = jnp.clip(corners, 0, limits)
    return inside, jnp.all(inside[..., 2:] > inside[..., :2], axis=-1)


def hulls(corners: Tensor, transform: Tensor) -> Tensor:
    """Return the smallest boxes around boxes (B, N, 4) that were moved as the pixels of images.

    Args:
        corners: Corners.
        transform: Projective transforms (B, 8) from places in the result to places in the image,
            both as numbers of rows and columns; see `ops.image.affine_transform`.

    Example:
        >>> left = jnp.array([[1.0, 0, 1, 0, 1, 0, 0, 0]])
        >>> hulls(jnp.array([[[1.0, 1, 2, 2]]]), left).tolist()
        [[[0.0, 1.0, 1.0, 2.0]]]
    """
    matrix = jnp.concatenate([transform, jnp.ones_like(transform[:, :1])], axis=1)
    forward = jnp.linalg.inv(matrix.reshape(-1, 3, 3))
    x, y = corners[..., jnp.array([0, 2, 0, 2])], corners[..., jnp.array([1, 1, 3, 3])]
    # The centre of the first pixel is at 0.5.
    points = jnp.stack([x - 0.5, y - 0.5, jnp.ones_like(x)], axis=-1)
    u, v, w = jnp.moveaxis(jnp.einsum("bij,bnpj->bnpi", forward, points), -1, 0)
    u, v = u / w + 0.5, v / w + 0.5
    return jnp.stack([u.min(-1), v.min(-1), u.max(-1), v.max(-1)], axis=-1)
