"""Patches of images: taken out, and put together again."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax.numpy as jnp

from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.core.tracing import too_small
from hornbeam.ops.conv import each
from hornbeam.typing import Tensor

__all__ = ["fold", "unfold"]


def _places(size: tuple[int, ...], settings: dict[str, Any]) -> tuple[list[tuple[slice, slice]], tuple[int, int]]:
    """Return, for each element of a patch, where it stands in the padded image; and how many patches there are."""
    kernel, dilation, padding, stride = (each(settings[k], 2) for k in ("kernel_size", "dilation", "padding", "stride"))
    counts = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, padding, stride, strict=True)
    )
    if min(counts) < 1:
        raise too_small(f"patches of {kernel} are larger than the image {size}.")
    slices = [
        tuple(
            slice(o * d, o * d + (c - 1) * s + 1, s)
            for o, d, c, s in zip(offset, dilation, counts, stride, strict=True)
        )
        for offset in itertools.product(*map(range, kernel))
    ]
    return slices, counts  # type: ignore[return-value]


@op("nn")
def unfold(x: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Return the patches of images as columns.

    Args:
        x: (B, C, H, W).
        kernel_size: Size of a patch: a number, or two.
        dilation: Distance of a patch's elements.
        padding: Zeros around the image.
        stride: Distance of the patches.

    Returns:
        (B, C * height * width of a patch, patches).

    Raises:
        ValueError: If a patch is larger than the image.

    Example:
        >>> unfold(jnp.ones((1, 2, 3, 3)), 2).shape
        (1, 8, 4)
    """
    x = convert(x)
    settings = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    slices, _ = _places(x.shape[2:], settings)
    high, wide = each(padding, 2)
    x = jnp.pad(x, ((0, 0), (0, 0), (high, high), (wide, wide)))
    patches = jnp.stack([x[(slice(None), slice(None), *cut)] for cut in slices], axis=2)
    return patches.reshape(x.shape[0], x.shape[1] * len(slices), -1)


@op("nn")
def fold(x: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Return images from columns of patches, overlapping elements summed: the transpose of `unfold`.

    Args:
        x: (B, C * height * width of a patch, patches).
        output_size: Height and width of the images.
        kernel_size, dilation, padding, stride: As for `unfold`.

    Raises:
        ValueError: If the number of patches, or their size, does not fit.

    Example:
        >>> fold(jnp.ones((1, 4, 4)), (3, 3), 2)[0, 0].tolist()
        [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    x = convert(x)
    size = each(output_size, 2)
    settings = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    slices, counts = _places(size, settings)
    if x.ndim != 3 or x.shape[1] % len(slices) or x.shape[2] != math.prod(counts):
        raise ValueError(
            f"fold: `x` must have shape (B, C * {len(slices)}, {math.prod(counts)}) for images of {size}, received {x.shape}."
        )
    high, wide = each(padding, 2)
    parts = x.reshape(x.shape[0], -1, len(slices), *counts)
    image = jnp.zeros((*parts.shape[:2], size[0] + 2 * high, size[1] + 2 * wide), x.dtype)
    for number, cut in enumerate(slices):
        image = image.at[(slice(None), slice(None), *cut)].add(parts[:, :, number])
    return image[:, :, high : high + size[0], wide : wide + size[1]]
