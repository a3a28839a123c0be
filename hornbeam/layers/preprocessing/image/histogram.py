"""Layers that spread the values of images, by their own extremes or histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.loading import pay_for
from hornbeam.layers.preprocessing.image.base import (
    BaseImagePreprocessingLayer,
    checked_values,
    rescaled,
)
from hornbeam.typing import Tensor

__all__ = ["AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"]


class AutoContrast(BaseImagePreprocessingLayer):
    """Stretches the values of each channel of an image to the whole range, in every call.

    A channel with one value does not change.

    Args:
        value_range: The smallest and the largest value of results. Default: (0, 255).

    Input and output: images (B, H, W, C) or (H, W, C), or with `data_format="channels_first"` (B,
    C, H, W) or (C, H, W); results have the compute dtype. As in Keras.

    Raises:
        ValueError: If `value_range` is not two numbers.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.AutoContrast()([[[100.0], [150.0], [200.0]]])[0, :, 0].tolist()
        [0.0, 127.5, 255.0]
    """

    draws, only_in_training = False, False

    def __init__(self, value_range: Sequence[float] = (0, 255), **kwargs: Any):
        super().__init__(**kwargs)
        self.value_range = checked_values("AutoContrast", value_range)

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        low, high = (extreme(images, axis=(1, 2), keepdims=True) for extreme in (jnp.min, jnp.max))
        span = jnp.where(high > low, high - low, 1)
        stretched = rescaled((images - low) / span, (0, 1), self.value_range)
        return jnp.where(high > low, stretched, images)


class Equalization(BaseImagePreprocessingLayer):
    """Spreads the values of each channel of an image evenly over the range, in training.

    A channel with one value does not change.

    Args:
        value_range: The smallest and the largest value of images. Default: (0, 255).
        bins: Number of bins of the histogram. Default: 256.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); results have the compute dtype. Outside training, the output is the input, as in
    Keras.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import hornbeam as hb
        >>> equalize = hb.layers.Equalization()
        >>> equalize([[[10.0], [11.0], [250.0]]], training=True)[0, :, 0].tolist()
        [0.0, 128.0, 255.0]
    """

    draws, casts_outside_training = False, False

    def __init__(
        self, value_range: Sequence[float] = (0, 255), bins: int = 256,
        data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
            raise ValueError(f"Equalization: `bins` must be a positive integer, received {bins!r}.")
        pay_for("Equalization: `bins`", 16 * bins)
        self.value_range, self.bins = checked_values("Equalization", value_range), bins

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        levels = jnp.clip(rescaled(images, self.value_range, (0, 255)), 0, 255)
        places = jnp.floor(levels * ((self.bins - 1) / 255)).astype("int32")
        spread, varies = jax.vmap(jax.vmap(self._equalized, in_axes=2, out_axes=2))(places)
        spread = rescaled(spread.astype(images.dtype), (0, 255), self.value_range)
        return jnp.where(varies, spread, images)

    def _equalized(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new levels of one channel (H, W), and whether it has several."""
        below = jnp.cumsum(jnp.bincount(places.reshape(-1), length=self.bins))
        first = below[jnp.argmax(below > 0)]
        rest = places.size - first
        table = jnp.round((below - first) / jnp.maximum(rest, 1) * 255)
        return table[places], jnp.broadcast_to(rest > 0, places.shape)


_LEVELS = 256


class ContrastLimitedAdaptiveHistogramEqualization(BaseImagePreprocessingLayer):
    """Spreads the values of each channel by the histograms of the tiles nearby, in every call.

    Each tile of a grid has a histogram, whose large counts are cut off and spread over all levels.
    A pixel takes the mean of the levels that the four nearest tiles give it, by distance.

    Args:
        value_range: The smallest and the largest value of images. Default: (0, 255).
        clip_limit: Largest count, as a multiple of the mean count of a level. 0 and negative
            numbers set no limit. Default: 4.
        tile_grid_size: Number of tiles down and across. Default: (8, 8).
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input and output: images (B, H, W, C) or (H, W, C), or with `"channels_first"` (B, C, H, W) or
    (C, H, W); integers keep their dtype. As in Keras.

    Raises:
        ValueError: If an argument is out of range.

    Source: Zuiderveld 1994, Contrast limited adaptive histogram equalization.

    Example:
        >>> import hornbeam as hb
        >>> layer = hb.layers.ContrastLimitedAdaptiveHistogramEqualization(
        ...     clip_limit=0, tile_grid_size=(1, 1))
        >>> layer([[[10.0], [11.0], [12.0]]])[0, :, 0].tolist()
        [85.0, 170.0, 255.0]
    """

    draws, only_in_training, casts = False, False, False

    def __init__(
        self, value_range: Sequence[float] = (0, 255), clip_limit: float = 4.0,
        tile_grid_size: Sequence[int] = (8, 8), data_format: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        owner = type(self).__name__
        if isinstance(clip_limit, bool) or not isinstance(clip_limit, (int, float)):
            raise ValueError(f"{owner}: `clip_limit` must be a number, received {clip_limit!r}.")
        grid = tile_grid_size if isinstance(tile_grid_size, (list, tuple)) else ()
        if len(grid) != 2 or not all(type(n) is int and n > 0 for n in grid):
            raise ValueError(
                f"{owner}: `tile_grid_size` must be two positive integers, the numbers of tiles"
                f" down and across, received {tile_grid_size!r}."
            )
        pay_for(f"{owner}: `tile_grid_size`", 8 * _LEVELS * grid[0] * grid[1])
        self.value_range, self.clip_limit = checked_values(owner, value_range), clip_limit
        self.tile_grid_size = tuple(grid)

    def augment(self, images: Tensor, transformation: Any) -> Tensor:
        batch, height, width, channels = images.shape
        down, across = self.tile_grid_size
        tall, wide = -(-height // down), -(-width // across)
        levels = rescaled(images.astype("float32"), self.value_range, (0, 255))
        levels = jnp.clip(levels, 0, _LEVELS - 1).astype("int32")
        missing = ((0, 0), (0, tall * down - height), (0, wide * across - width), (0, 0))
        padded = jnp.pad(levels, missing, mode="symmetric")
        tiles = padded.reshape(batch, down, tall, across, wide, channels)
        tiles = jnp.moveaxis(tiles, (2, 4), (-2, -1)).reshape(-1, tall * wide)
        tables = self._tables(tiles).reshape(batch, down, across, channels, _LEVELS)

        rows, columns = _neighbors(height, tall, down), _neighbors(width, wide, across)
        first, channel = jnp.arange(batch)[:, None, None, None], jnp.arange(channels)
        total = jnp.zeros(images.shape, "float32")
        for row, row_share in rows:
            for column, column_share in columns:
                there = (first, row[:, None, None], column[:, None], channel, levels)
                total += row_share[:, None, None] * column_share[:, None] * tables[there]
        return rescaled(total, (0, 255), self.value_range).astype(images.dtype)

    def _tables(self, tiles: Tensor) -> Tensor:
        """Return the new levels (N, levels) for tiles (N, pixels) of old ones."""
        number, size = tiles.shape
        counts = jnp.zeros((number, _LEVELS)).at[jnp.arange(number)[:, None], tiles].add(1)
        if self.clip_limit > 0:
            kept = jnp.minimum(counts, self.clip_limit * size / _LEVELS)
            counts = kept + jnp.mean(counts - kept, axis=-1, keepdims=True)
        below = jnp.cumsum(counts, axis=-1)
        rest = size - below[:, :1]
        return (below - below[:, :1]) * (_LEVELS - 1) / jnp.where(rest > 0, rest, 1)


def _neighbors(size: int, length: int, count: int) -> list[tuple[Tensor, Tensor]]:
    """Return the two tiles nearest to each place along an axis, and the shares of both."""
    places = jnp.clip(jnp.arange(size) / length - 0.5, 0, count - 1)
    low = jnp.floor(places).astype("int32")
    share = places - low
    return [(low, 1 - share), (jnp.minimum(low + 1, count - 1), share)]
