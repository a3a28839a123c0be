"""Layers that apply an activation function with arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam import activations
from hornbeam.core.checks import check_axes
from hornbeam.core.masks import get_mask
from hornbeam.core.tracing import shape_with_unknowns
from hornbeam.layers.arguments import add_named_weight, keep
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.typing import Axis, Identifier, Shape, Tensor

__all__ = ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "ThresholdedReLU"]


class _Activation(Layer):
    """Base of the activation layers. They work element by element, so they pass masks on."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = not self._has_own_build()


class ReLU(_Activation):
    """Applies the rectified linear unit.

    `y = max_value` where `x >= max_value`, `y = x` where `threshold <= x < max_value`, and
    `y = negative_slope * (x - threshold)` where `x < threshold`.

    Args:
        max_value: Largest output, not negative. Default: `None`, no limit.
        negative_slope: Slope below the threshold, not negative. Default: 0.
        threshold: Input below which `negative_slope` applies, not negative. Default: 0.

    Input and output: any shape. As in Keras.

    Raises:
        ValueError: If an argument is negative.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((784,)), hb.layers.Dense(64), hb.layers.ReLU(6.0), hb.layers.Dense(10)
        ... ])
        >>> model.output_shape
        (None, 10)
        >>> hb.layers.ReLU(max_value=6.0)([-2.0, 3.0, 8.0])
        Array([0., 3., 6.], dtype=float32)
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
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

    def call(self, inputs: Tensor) -> Tensor:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(_Activation):
    """Applies the leaky rectified linear unit: `x` where `x >= 0`, `negative_slope * x` elsewhere.

    Args:
        negative_slope: Slope for negative inputs, not negative. Default: 0.3. Keras 1 and 2 call
            it `alpha`.

    Input and output: any shape.

    Raises:
        ValueError: If `negative_slope` is negative.

    Source: Maas et al. 2013, Rectifier nonlinearities improve neural network acoustic models.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.LeakyReLU(negative_slope=0.5)([-2.0, 0.0, 3.0])
        Array([-1.,  0.,  3.], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(
                f"LeakyReLU: `negative_slope` must not be negative, received {negative_slope!r}."
            )
        self.negative_slope = negative_slope

    def call(self, inputs: Tensor) -> Tensor:
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(_Activation):
    """Applies the exponential linear unit: `x` where `x > 0`, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        alpha: The output approaches `-alpha` for large negative inputs. Default: 1.

    Input and output: any shape.

    Raises:
        TypeError: In the call, if `alpha` is not a number.

    Source: Clevert et al. 2016, Fast and accurate deep network learning by exponential linear
    units.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.ELU(alpha=2.0)([-50.0, 0.0, 3.0])
        Array([-2.,  0.,  3.], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Tensor) -> Tensor:
        return activations.elu(inputs, self.alpha)


class Softmax(_Activation):
    """Converts scores to probabilities along an axis: `exp(x) / sum(exp(x))`.

    Args:
        axis: Axis, or list of axes, along which the outputs sum to 1. Default: -1, the last.

    Input and output: any shape. The call takes an optional boolean `mask` of the input's shape;
    entries where it is false get probability 0, even if no entry is true. As in Keras. A mask of
    steps that the input carries is passed on.

    Raises:
        ValueError: In the call, if the input does not have `axis`, or if the shape of `mask` does
            not broadcast to the input's.

    Example:
        >>> import hornbeam as hb
        >>> import numpy as np
        >>> scores = np.array([[1.0, 1.0, 5.0]])
        >>> hb.layers.Softmax()(scores, mask=np.array([[True, True, False]]))
        Array([[0.5, 0.5, 0. ]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        check_axes(self._label(), self.axis, inputs.ndim)
        if mask is None:
            return activations.softmax(inputs, self.axis)
        shape = jnp.shape(mask)
        carried = get_mask(inputs)
        if carried is not None and shape == jnp.shape(carried) and len(shape) < inputs.ndim:
            # It came with the inputs and tells which steps are padding, not which scores count.
            return activations.softmax(inputs, self.axis)
        aligned = zip(reversed(shape), reversed(inputs.shape), strict=False)
        if len(shape) > inputs.ndim or any(m not in (1, n) for m, n in aligned):
            raise ValueError(
                f"{self._label()}: `mask` must have a shape that broadcasts to the input's"
                f" {shape_with_unknowns(inputs.shape)}, received {shape_with_unknowns(shape)}."
            )
        masked = jnp.where(mask, inputs, jnp.finfo(inputs.dtype).min / 2)
        # Where no entry counts, all probabilities are 0.
        return activations.softmax(masked, self.axis) * jnp.asarray(mask, masked.dtype)


class PReLU(_Activation):
    """Applies the rectified linear unit with a learned slope: `max(x, 0) + alpha * min(x, 0)`.

    Args:
        alpha_initializer: Initializer of the slopes. Default: `"Zeros"`.
        alpha_regularizer, alpha_constraint: Regularizer and constraint of the slopes. Default:
            `None`.
        shared_axes: Axis or axes along which all positions share one slope, counted from 1 (axis
            0 is the batch). For images, `[1, 2]` gives one slope per channel. Default: `None`, no
            axis.

    Weights: `alpha`. Its shape is the input's without the batch axis, with size 1 on `shared_axes`.

    Input and output: (B, ...). The sizes of the axes not in `shared_axes` must be known.

    Raises:
        ValueError: In `build`, if one of these sizes is unknown, or the input does not have one of
            `shared_axes`.

    Source: He et al. 2015, Delving deep into rectifiers.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((28, 28, 1)), hb.layers.Conv2D(8, 3), hb.layers.PReLU(shared_axes=[1, 2])
        ... ])
        >>> model.layers[1].alpha.shape
        (1, 1, 8)
    """

    def __init__(
        self, alpha_initializer: Identifier = "Zeros", alpha_regularizer: Identifier = None,
        alpha_constraint: Identifier = None, shared_axes: Axis = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        keep(self, locals())
        self.shared_axes: list[Any] | None = None
        if shared_axes is not None:
            self.shared_axes = (
                list(shared_axes) if hasattr(shared_axes, "__iter__") else [shared_axes]
            )
        self.built = False

    def build(self, input_shape: Shape) -> None:
        shared = self.shared_axes or []
        rank = len(input_shape)
        if any(not 1 <= axis < rank for axis in shared):
            raise ValueError(
                f"{self._label()}: `shared_axes` must be from 1 to {rank - 1} for an input with"
                f" {rank} axes, received {shared}."
            )
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(input_shape))[1:]
        if None in shape:
            raise ValueError(
                f"{self._label()}: the sizes of all axes without `shared_axes` must be known,"
                f" received {input_shape}."
            )
        self.alpha = add_named_weight(self, "alpha", shape)
        free = {axis: size for axis, size in enumerate(input_shape) if axis and axis not in shared}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=free)

    def call(self, inputs: Tensor) -> Tensor:
        return jnp.maximum(inputs, 0) + self.alpha.value * jnp.minimum(inputs, 0)


class ThresholdedReLU(_Activation):
    """Keeps inputs above a threshold: `x` where `x > theta`, 0 elsewhere.

    This layer is from Keras 1 and 2.

    Args:
        theta: Threshold, not negative. Default: 1.

    Input and output: any shape.

    Raises:
        ValueError: If `theta` is negative or not a number.

    Source: Konda et al. 2015, Zero-bias autoencoders and the benefits of co-adapting features.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.ThresholdedReLU(theta=1.0)([0.5, 1.0, 2.0])
        Array([0., 0., 2.], dtype=float32)
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(theta, (int, float)) or theta < 0:
            raise ValueError(
                f"ThresholdedReLU: `theta` must be a non-negative number, received {theta!r}."
            )
        self.theta = theta

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * (inputs > self.theta).astype(inputs.dtype)
