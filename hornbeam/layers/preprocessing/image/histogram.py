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

__all__ = ["AutoContrast", "Equalization"]


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
