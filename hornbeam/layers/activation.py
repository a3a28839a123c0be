"""Activations with settings, as layers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import activations
from hornbeam.layers.arguments import add_named_weight, keep
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "ThresholdedReLU"]


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


class PReLU(_Activation):
    """Linear on both sides of zero, the slope of the negative side learnt (He et al. 2015).

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: Of the slopes.
        shared_axes: Axes along which one slope serves all, counted from 1 (the batch axis has no slopes).

    Weights: `alpha`, of the input's shape without the batch axis, 1 along `shared_axes`.

    Example:
        >>> PReLU(alpha_initializer="ones")(jnp.array([[-1.0, 2.0]]))
        Array([[-1.,  2.]], dtype=float32)
    """

    def __init__(
        self, alpha_initializer: Any = "Zeros", alpha_regularizer: Any = None, alpha_constraint: Any = None,
        shared_axes: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        keep(self, locals())
        self.shared_axes = list(shared_axes) if hasattr(shared_axes, "__iter__") else [shared_axes]
        if shared_axes is None:
            self.shared_axes = None  # type: ignore[assignment]
        self.built = False

    def build(self, input_shape: Any) -> None:
        shared = self.shared_axes or []
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(input_shape))[1:]
        if None in shape:
            raise ValueError(
                f"{self._label()}: the sizes of all axes without `shared_axes` must be known, received {input_shape}."
            )
        self.alpha = add_named_weight(self, "alpha", shape)
        free = {axis: size for axis, size in enumerate(input_shape) if axis and axis not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=free)

    def call(self, inputs: Any) -> Any:
        return jnp.maximum(inputs, 0) + self.alpha.value * jnp.minimum(inputs, 0)


class ThresholdedReLU(_Activation):
    """The input where it is above a threshold, zero elsewhere (Konda et al. 2014). A layer of Keras 1 and 2.

    Args:
        theta: Threshold.

    Raises:
        ValueError: If `theta` is negative or no number.

    Example:
        >>> ThresholdedReLU(1.0)(jnp.array([0.5, 1.0, 2.0]))
        Array([0., 0., 2.], dtype=float32)
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(theta, (int, float)) or theta < 0:
            raise ValueError(f"ThresholdedReLU: `theta` must be a non-negative number, received {theta!r}.")
        self.theta = theta

    def call(self, inputs: Any) -> Any:
        return inputs * (inputs > self.theta).astype(inputs.dtype)
