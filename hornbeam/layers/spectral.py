"""Spectral normalization of another layer's kernel."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import initializers
from hornbeam.layers.arguments import positive_integer
from hornbeam.layers.bidirectional import Wrapper
from hornbeam.layers.layer import Layer
from hornbeam.typing import Shape, Tensor

__all__ = ["SpectralNormalization"]


class SpectralNormalization(Wrapper):
    """Keeps the largest singular value of a layer's kernel at about 1.

    Each training call estimates the singular value by power iteration, `v = unit(u @ kernel^T)`,
    `u = unit(v @ kernel)`, and divides the kernel by it.

    Args:
        layer: A layer with a `kernel` or `embeddings`.
        power_iterations: Number of iterations per call, positive. Default: 1.
        **kwargs: Arguments of `Layer`.

    Weights: the layer's, and `vector_u` (1, outputs), which is not trained.

    Input and output: the layer's.

    Raises:
        ValueError: If `layer` is not a layer, `power_iterations` is not a positive integer, or the
            layer has neither `kernel` nor `embeddings`.

    Source: Miyato et al. 2018, Spectral normalization for generative adversarial networks.

    Example:
        >>> import hornbeam as hb
        >>> critic = hb.Sequential([
        ...     hb.Input((28, 28, 1)), hb.layers.SpectralNormalization(hb.layers.Conv2D(8, 3)),
        ...     hb.layers.Flatten(), hb.layers.Dense(1),
        ... ])
        >>> critic.output_shape
        (None, 1)
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.power_iterations = positive_integer(
            "SpectralNormalization", "power_iterations", power_iterations
        )

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.kernel: Any = getattr(self.layer, "kernel", None)
        if self.kernel is None:
            self.kernel = getattr(self.layer, "embeddings", None)
        if self.kernel is None:
            raise ValueError(
                f"{self._label()}: {type(self.layer).__name__} has no `kernel` and no `embeddings`."
            )
        self.vector_u = self.add_weight(
            name="vector_u", shape=(1, self.kernel.shape[-1]), trainable=False,
            dtype=self.kernel.dtype, initializer=initializers.TruncatedNormal(stddev=0.02),
        )  # fmt: skip

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if training:
            kernel, u = normalized(self.kernel.value, self.vector_u.value, self.power_iterations)
            self.vector_u.assign(u)
            self.kernel.assign(kernel)
        return self.layer(inputs).astype(self.compute_dtype)


def normalized(kernel: Tensor, u: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Return `kernel` divided by its largest singular value, and the new estimate of `u`."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    for _ in range(iterations):
        v = _unit(u @ matrix.T)
        u = _unit(v @ matrix)
    u, v = jax.lax.stop_gradient((u, v))
    return kernel / (v @ matrix @ u.T).reshape(()), u


def _unit(x: Tensor) -> Tensor:
    """Return `x` divided by its length."""
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)
