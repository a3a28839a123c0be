"""Activations with settings, as layers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import activations
from hornbeam.layers.layer import Layer

__all__ = ["ELU", "LeakyReLU", "ReLU", "Softmax"]


class _Activation(Layer):
    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True


class ReLU(_Activation):
    """`activations.relu` as a layer.

    Args:
        max_value: Upper bound.
        negative_slope: Slope below the threshold.
        threshold: Where the slope changes.

    Example:
        >>> ReLU()(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        for name, value in (
            ("max_value", max_value or 0),
            ("negative_slope", negative_slope),
            ("threshold", threshold),
        ):
            if value is None or value < 0:
                raise ValueError(f"ReLU: `{name}` must not be negative, received {value!r}.")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(_Activation):
    """`activations.leaky_relu` as a layer.

    Args:
        negative_slope: Slope of the negative side, default 0.3 (Keras 1 and 2: `alpha`).

    Example:
        >>> LeakyReLU(0.5)(jnp.array([-1.0]))
        Array([-0.5], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"LeakyReLU: `negative_slope` must not be negative, received {negative_slope!r}.")
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(_Activation):
    """`activations.elu` as a layer.

    Args:
        alpha: Limit of the negative side.

    Example:
        >>> ELU()(jnp.array([2.0]))
        Array([2.], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, self.alpha)


class Softmax(_Activation):
    """`activations.softmax` as a layer; masked entries get none.

    Args:
        axis: Axis.

    Example:
        >>> Softmax()(jnp.zeros((1, 2)))
        Array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            inputs = jnp.where(mask, inputs, jnp.finfo(inputs.dtype).min / 2)
        return activations.softmax(inputs, self.axis)
