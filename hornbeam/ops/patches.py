"""Patches of images, as columns and back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.core.tracing import too_small
from hornbeam.ops.conv import each
from hornbeam.typing import Tensor

__all__ = ["fold", "unfold"]


def _places(
    size: tuple[int, ...], settings: dict[str, Any]
) -> tuple[list[tuple[slice, slice]], tuple[int, int]]:
    """Return the slices of the padded image per element of a patch, and the patches per axis."""
    kernel, dilation, padding, stride = (
        each(settings[k], 2) for k in ("kernel_size", "dilation", "padding", "stride")
    )
    counts = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, padding, stride, strict=True)
    )
    if min(counts) < 1:
        raise too_small(
            f"patches of {kernel} are larger than the image {size}. Use a smaller `kernel_size` or"
            " more `padding`."
        )
    slices = [
        tuple(
            slice(o * d, o * d + (c - 1) * s + 1, s)
            for o, d, c, s in zip(offset, dilation, counts, stride, strict=True)
        )
        for offset in itertools.product(*map(range, kernel))
    ]
    return slices, counts  # type: ignore[return-value]


@op("nn")
def unfold(
    x: Tensor,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Return the patches of images as columns.

    Args:
        x: (B, C, H, W).
        kernel_size: Height and width of a patch, or one number for both.
        dilation: Distance between the elements of a patch.
        padding: Number of zeros around the image.
        stride: Distance between patches.

    Returns:
        (B, C * height * width of a patch, patches).

    Raises:
        ValueError: If a patch is larger than the image.

    Example:
        >>> unfold(jnp.ones((1, 2, 3, 3)), 2).shape
        (1, 8, 4)
    """
    x = convert(x)
    settings = {
        "kernel_size": kernel_size,
        "dilation": dilation,
        "padding": padding,
        "stride": stride,
    }
    slices, _ = _places(x.shape[2:], settings)
    high, wide = each(padding, 2)
    x = jnp.pad(x, ((0, 0), (0, 0), (high, high), (wide, wide)))
    patches = jnp.stack([x[(slice(None), slice(None), *cut)] for cut in slices], axis=2)
    return patches.reshape(x.shape[0], x.shape[1] * len(slices), -1)


@op("nn")
def fold(
    x: Tensor,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Tensor:
    """Combine columns of patches to images, adding overlaps: the transpose of `unfold`.

    Args:
        x: (B, C * height * width of a patch, patches).
        output_size: Height and width of the images.
        kernel_size, dilation, padding, stride: As for `unfold`.

    Raises:
        ValueError: If the number of patches or their size does not fit the image.

    Example:
        >>> fold(jnp.ones((1, 4, 4)), (3, 3), 2)[0, 0].tolist()
        [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    x = convert(x)
    size = each(output_size, 2)
    settings = {
        "kernel_size": kernel_size,
        "dilation": dilation,
        "padding": padding,
        "stride": stride,
    }
    slices, counts = _places(size, settings)
    if x.ndim != 3 or x.shape[1] % len(slices) or x.shape[2] != math.prod(counts):
        raise ValueError(
            f"fold: `x` must have shape (B, C * {len(slices)}, {math.prod(counts)}) for images of"
            f" {size}, received {x.shape}."
        )
    high, wide = each(padding, 2)
    parts = x.reshape(x.shape[0], -1, len(slices), *counts)
    image = jnp.zeros((*parts.shape[:2], size[0] + 2 * high, size[1] + 2 * wide), x.dtype)
    for number, cut in enumerate(slices):
        image = image.at[(slice(None), slice(None), *cut)].add(parts[:, :, number])
    return image[:, :, high : high + size[0], wide : wide + size[1]]
