"""Layer that multiplies its input by a factor and adds an offset."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.layers.layer import Layer
from hornbeam.typing import ArrayLike, Tensor

__all__ = ["Rescaling"]


class Rescaling(Layer):
    """Multiplies the input by a factor and adds an offset: `x * scale + offset`.

    Args:
        scale: Factor. A number, or an array that broadcasts to the input, for example with one
            factor per channel.
        offset: Number to add, or an array that broadcasts to the input. Default: 0.

    Input and output: any shape. As in Keras.

    Raises:
        ValueError: In the call, if `scale` or `offset` is not numeric or does not broadcast to the
            input.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((28, 28, 1)), hb.layers.Rescaling(1 / 255), hb.layers.Conv2D(8, 3)
        ... ])
        >>> hb.layers.Rescaling(1 / 127.5, offset=-1)([0.0, 127.5, 255.0])  # pixels to [-1, 1]
        Array([-1.,  0.,  1.], dtype=float32)
    """

    def __init__(self, scale: ArrayLike, offset: ArrayLike = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True
        self.built = not self._has_own_build()

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs.astype(self.compute_dtype)
        return x * jnp.asarray(self.scale, x.dtype) + jnp.asarray(self.offset, x.dtype)
