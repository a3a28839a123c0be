"""Rescaling by a fixed factor and offset."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.layers.layer import Layer
from hornbeam.typing import ArrayLike, Tensor

__all__ = ["Rescaling"]


class Rescaling(Layer):
    """Compute `inputs * scale + offset`.

    Args:
        scale: The factor: a number, or one per channel.
        offset: The number that is added, or one per channel. Default: 0.

    Example:
        >>> Rescaling(1 / 255)(jnp.array([255.0]))
        Array([1.], dtype=float32)
    """

    def __init__(self, scale: ArrayLike, offset: ArrayLike = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs.astype(self.compute_dtype)
        return x * jnp.asarray(self.scale, x.dtype) + jnp.asarray(self.offset, x.dtype)
