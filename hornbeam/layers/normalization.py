"""Layers that scale their inputs to mean 0 and variance 1, or to length 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors, ops
from hornbeam.core.checks import check_axes
from hornbeam.core.variable import Variable
from hornbeam.layers.arguments import add_named_weight, keep
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.typing import DType, Identifier, Shape, Tensor

__all__ = [
    "BatchNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "UnitNormalization",
]


class _Normalization(Layer):
    """Base of the normalizations with a scale, `gamma`, and an offset, `beta`."""

    def _scale_and_offset(self, shape: Shape, scale: bool, center: bool) -> None:
        self.gamma = add_named_weight(self, "gamma", shape) if scale else None
        self.beta = add_named_weight(self, "beta", shape) if center else None


def _wide(inputs: Tensor) -> Tensor:
    """Return half-precision inputs in float32, because means and variances need the precision."""
    return inputs.astype("float32") if inputs.dtype in (jnp.float16, jnp.bfloat16) else inputs


class BatchNormalization(_Normalization):
    """Scales each feature to mean 0 and variance 1 over the batch.

    `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`. Training uses the mean and variance
    of the batch and updates the moving statistics: `moving = moving * momentum + batch * (1 -
    momentum)`. Inference, and training with `trainable = False`, use the moving statistics.

    Args:
        axis: Axis of the features. Default: -1, the last.
        momentum: Fraction of the moving statistics that an update keeps. Default: 0.99.
        epsilon: Added to the variance. Default: 0.001.
        center, scale: Whether to add `beta` and to multiply by `gamma`. Default: True.
        moving_mean_initializer, moving_variance_initializer: Default: `"zeros"`, `"ones"`.
        beta_initializer, gamma_initializer: Default: `"zeros"`, `"ones"`.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: Regularizers and
            constraints of `beta` and `gamma`. Default: `None`.
        synchronized: No effect: one program runs all replicas, so the statistics always cover the
            whole batch.
        renorm: Whether to correct the batch's statistics in training towards moving ones, so that
            small batches train as inference will compute: `y = gamma * (r * (x - mean) / stddev +
            d) + beta`. Default: False.
        renorm_clipping: Bounds of the corrections: a dict of `"rmin"` and `"rmax"` for r and
            `"dmax"` for the absolute value of d. Default: no bounds.
        renorm_momentum: Like `momentum`, for the statistics of the correction. Default: 0.99.

    Weights: `gamma`, `beta`, `moving_mean` and `moving_variance`; with `renorm` also
    `moving_stddev`, `renorm_mean` and `renorm_stddev`; (C,) each.

    Input and output: (B, ..., C), where C is the size of `axis`. Masked steps do not count in the
    mean and variance.

    Raises:
        ValueError: If `axis` lists several axes, `renorm_clipping` has other keys, or C is unknown.

    Source: Ioffe and Szegedy 2015, Batch normalization; Ioffe 2017, Batch renormalization.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((28, 28, 1)), hb.layers.Conv2D(8, 3), hb.layers.BatchNormalization()
        ... ])
        >>> [w.name for w in model.layers[1].weights]
        ['gamma', 'beta', 'moving_mean', 'moving_variance']
    """

    axis: int
    momentum: float
    epsilon: float
    center: bool
    scale: bool
    renorm: bool
    renorm_clipping: Mapping[str, float] | None
    renorm_momentum: float
    moving_mean_initializer: Any
    moving_variance_initializer: Any

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
        scale: bool = True, beta_initializer: Identifier = "zeros",
        gamma_initializer: Identifier = "ones", moving_mean_initializer: Identifier = "zeros",
        moving_variance_initializer: Identifier = "ones", beta_regularizer: Identifier = None,
        gamma_regularizer: Identifier = None, beta_constraint: Identifier = None,
        gamma_constraint: Identifier = None, synchronized: bool = False, renorm: bool = False,
        renorm_clipping: Mapping[str, float] | None = None, renorm_momentum: float = 0.99,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        if isinstance(axis, (list, tuple)):
            if len(axis) != 1:
                raise ValueError(
                    "BatchNormalization: `axis` must be one axis, received"
                    f" {axis!r}. `LayerNormalization` takes several."
                )
            (axis,) = axis
        unknown = set(renorm_clipping or {}) - {"rmin", "rmax", "dmax"}
        if unknown:
            raise ValueError(
                "BatchNormalization: `renorm_clipping` may have the keys 'rmin', 'rmax' and 'dmax',"
                f" received {errors.listed(sorted(unknown))}."
            )
        renorm_clipping = dict(renorm_clipping or {}) if renorm else renorm_clipping
        keep(self, {name: value for name, value in locals().items() if name != "unknown"})
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        (axis,) = check_axes(self._label(), self.axis, len(input_shape))
        size = input_shape[axis]
        self._scale_and_offset((size,), self.scale, self.center)
        fixed: dict[str, Any] = {"trainable": False, "autocast": False}
        self.moving_mean = add_named_weight(self, "moving_mean", (size,), **fixed)
        self.moving_variance = add_named_weight(self, "moving_variance", (size,), **fixed)
        if self.renorm:
            names = ("moving_stddev", "renorm_mean", "renorm_stddev")
            self.moving_stddev, self.renorm_mean, self.renorm_stddev = (
                self.add_weight(
                    name=name, shape=(size,), **fixed,
                    initializer=self.moving_mean_initializer
                    if name == "renorm_mean"
                    else self._first_stddev,
                )
                for name in names
            )  # fmt: skip
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        x = _wide(inputs)
        axis = self.axis % x.ndim
        others = tuple(i for i in range(x.ndim) if i != axis)
        shape = tuple(x.shape[i] if i == axis else 1 for i in range(x.ndim))
        if training and self.trainable:
            mean, variance = _moments(x, others, mask)
            self._move(self.moving_mean, mean, self.momentum)
            if self.renorm:
                factor, offset = self._renormalization(mean, variance)
            else:
                self._move(self.moving_variance, variance, self.momentum)
                factor, offset = 1.0 / jnp.sqrt(variance + self.epsilon), 0.0
        else:
            mean, offset = self.moving_mean.value, 0.0
            factor = 1.0 / jnp.sqrt(self.moving_variance.value + self.epsilon)
        offset = offset - mean * factor
        if self.gamma is not None:
            gamma = self.gamma.value.astype(x.dtype)
            factor, offset = factor * gamma, offset * gamma
        if self.beta is not None:
            offset = offset + self.beta.value.astype(x.dtype)
        return (x * factor.reshape(shape) + offset.reshape(shape)).astype(self.compute_dtype)

    @staticmethod
    def _move(moving: Variable, new: Tensor, momentum: float) -> None:
        """Move a moving statistic towards a batch's."""
        moving.assign(moving.value * momentum + new * (1 - momentum))

    def _first_stddev(self, shape: Shape, dtype: DType) -> Tensor:
        return jnp.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

    def _renormalization(self, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factor of `x - mean` and the term to add, and update the statistics."""
        stddev = jnp.sqrt(variance + self.epsilon)
        bounds = self.renorm_clipping or {}
        r = stddev / self.renorm_stddev.value
        r = jnp.clip(r, bounds.get("rmin"), bounds.get("rmax"))
        d = (mean - self.renorm_mean.value) / self.renorm_stddev.value
        if "dmax" in bounds:
            d = jnp.clip(d, -bounds["dmax"], bounds["dmax"])
        r, d = jax.lax.stop_gradient((r, d))
        self._move(self.renorm_mean, mean, self.renorm_momentum)
        self._move(self.renorm_stddev, stddev, self.renorm_momentum)
        self._move(self.moving_stddev, stddev, self.momentum)
        self.moving_variance.assign(jnp.square(self.moving_stddev.value) - self.epsilon)
        return r / stddev, d


def _moments(x: Tensor, axes: tuple[int, ...], mask: Tensor | None) -> tuple[Any, Any]:
    """Return mean and variance over `axes`, of the steps where `mask` is true."""
    if mask is None:
        mean = jnp.mean(x, axis=axes)
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        return mean, jnp.mean(jnp.square(x - mean.reshape(shape)), axis=axes)
    weights = mask.astype(x.dtype).reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
    weights = jnp.broadcast_to(weights, x.shape)
    total = jnp.sum(weights, axis=axes, keepdims=True)
    mean = jnp.sum(weights * x, axis=axes, keepdims=True) / (total + 1e-7)
    variance = jnp.sum(weights * jnp.square(x - mean), axis=axes, keepdims=True) / (total + 1e-7)
    return jnp.squeeze(mean, axes), jnp.squeeze(variance, axes)


class LayerNormalization(_Normalization):
    """Scales each sample to mean 0 and variance 1 over some axes.

    `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, with mean and variance over `axis`.

    Args:
        axis: Axis or axes. Default: -1, the last.
        epsilon: Added to the variance. Default: 0.001.
        center, scale: Whether to add `beta` and to multiply by `gamma`. Default: True.
        beta_initializer, gamma_initializer: Default: `"zeros"`, `"ones"`.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: Regularizers and
            constraints of `beta` and `gamma`. Default: `None`.
        rms_scaling: Whether to leave out the mean and `beta`: `y = gamma * x / sqrt(variance +
            epsilon)`. Default: False.

    Weights: `gamma` and `beta`, with the sizes of `axis`.

    Input and output: (B, ...). The sizes of `axis` must be known.

    Raises:
        ValueError: In `build`, if the size of an axis in `axis` is unknown.

    Source: Ba et al. 2016, Layer normalization.

    Example:
        >>> import hornbeam as hb
        >>> tokens = hb.Input((20, 32))
        >>> x = hb.layers.MultiHeadAttention(num_heads=2, key_dim=16)(tokens, tokens)
        >>> x = hb.layers.LayerNormalization()(tokens + x)
        >>> hb.Model(tokens, x).output_shape
        (None, 20, 32)
    """

    axis: int | Sequence[int]
    epsilon: float
    center: bool
    scale: bool
    rms_scaling: bool

    def __init__(
        self, axis: int | Sequence[int] = -1, epsilon: float = 1e-3, center: bool = True,
        scale: bool = True, beta_initializer: Identifier = "zeros",
        gamma_initializer: Identifier = "ones", beta_regularizer: Identifier = None,
        gamma_regularizer: Identifier = None, beta_constraint: Identifier = None,
        gamma_constraint: Identifier = None, rms_scaling: bool = False, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        keep(self, locals())
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        axes = sorted(check_axes(self._label(), self.axis, len(input_shape)))
        self.axis = [self.axis] if isinstance(self.axis, int) else list(self.axis)  # as in Keras
        shape = tuple(input_shape[a] for a in axes)
        self._scale_and_offset(
            shape, self.scale or self.rms_scaling, self.center and not self.rms_scaling
        )

    def call(self, inputs: Tensor) -> Tensor:
        x = _wide(inputs)
        axes = check_axes(self._label(), self.axis, x.ndim)
        shape = tuple(x.shape[i] if i in axes else 1 for i in range(x.ndim))
        mean = jnp.mean(x, axis=axes, keepdims=True)
        variance = jnp.mean(jnp.square(x - mean), axis=axes, keepdims=True)
        y = (x if self.rms_scaling else x - mean) / jnp.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            y = y * self.gamma.value.astype(x.dtype).reshape(shape)
        if self.beta is not None:
            y = y + self.beta.value.astype(x.dtype).reshape(shape)
        return y.astype(self.compute_dtype)


class GroupNormalization(_Normalization):
    """Scales groups of channels of each sample to mean 0 and variance 1.

    `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, with mean and variance over the
    channels of a group and all positions.

    Args:
        groups: Number of groups, a divisor of the number of channels; -1 for one group per channel
            (instance normalization). Default: 32.
        axis: Axis of the channels. Default: -1, the last.
        epsilon: Added to the variance. Default: 0.001.
        center, scale: Whether to add `beta` and to multiply by `gamma`. Default: True.
        beta_initializer, gamma_initializer: Default: `"zeros"`, `"ones"`.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: Regularizers and
            constraints of `beta` and `gamma`. Default: `None`.

    Weights: `gamma` and `beta`, (C,) each.

    Input and output: (B, ..., C), where C is the size of `axis`.

    Raises:
        ValueError: If `groups` is neither a positive integer nor -1, or C is unknown or no multiple
            of `groups`.

    Source: Wu and He 2018, Group normalization.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((28, 28, 1)), hb.layers.Conv2D(16, 3), hb.layers.GroupNormalization(4)
        ... ])
        >>> model.layers[1].gamma.shape
        (16,)
    """

    groups: int
    axis: int
    epsilon: float
    center: bool
    scale: bool

    def __init__(
        self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, center: bool = True,
        scale: bool = True, beta_initializer: Identifier = "zeros",
        gamma_initializer: Identifier = "ones", beta_regularizer: Identifier = None,
        gamma_regularizer: Identifier = None, beta_constraint: Identifier = None,
        gamma_constraint: Identifier = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        if not isinstance(groups, int) or (groups < 1 and groups != -1):
            raise ValueError(
                "GroupNormalization: `groups` must be a positive integer or -1, received"
                f" {groups!r}."
            )
        keep(self, locals())
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        (axis,) = check_axes(self._label(), self.axis, len(input_shape))
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"{self._label()}: the size of axis {self.axis} must be known, received"
                f" {input_shape}."
            )
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ValueError(
                f"{self._label()}: the {channels} channels of axis {self.axis} do not divide into"
                f" `groups` {self.groups}."
            )
        self._scale_and_offset((channels,), self.scale, self.center)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs: Tensor) -> Tensor:
        axis = self.axis % inputs.ndim
        x = jnp.moveaxis(_wide(inputs), axis, -1)
        grouped = x.reshape(*x.shape[:-1], self.groups, -1)
        others = (*range(1, x.ndim - 1), x.ndim)  # all axes except samples and groups
        mean = jnp.mean(grouped, axis=others, keepdims=True)
        variance = jnp.mean(jnp.square(grouped - mean), axis=others, keepdims=True)
        y = ((grouped - mean) / jnp.sqrt(variance + self.epsilon)).reshape(x.shape)
        if self.gamma is not None:
            y = y * self.gamma.value.astype(y.dtype)
        if self.beta is not None:
            y = y + self.beta.value.astype(y.dtype)
        return jnp.moveaxis(y, -1, axis).astype(self.compute_dtype)


class RMSNormalization(Layer):
    """Divides each sample by its root mean square over some axes.

    `y = scale * x / sqrt(mean(x^2) + epsilon)`.

    Args:
        axis: Axis or axes. Default: -1, the last.
        epsilon: Added to the mean square. Default: 1e-6.

    Weights: `scale`, with the sizes of `axis`, initialized to ones.

    Input and output: (B, ...). The sizes of `axis` must be known.

    Raises:
        ValueError: In `build`, if the size of an axis in `axis` is unknown.

    Source: Zhang and Sennrich 2019, Root mean square layer normalization.

    Example:
        >>> import hornbeam as hb
        >>> hidden = hb.ops.array([[3.0, -3.0, 3.0, -3.0]])
        >>> hb.layers.RMSNormalization()(hidden).round(3)
        Array([[ 1., -1.,  1., -1.]], dtype=float32)
    """

    axis: int | Sequence[int]
    epsilon: float

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        keep(self, locals())
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        axes = sorted(check_axes(self._label(), self.axis, len(input_shape)))
        self.axis = [self.axis] if isinstance(self.axis, int) else list(self.axis)  # as in Keras
        shape = tuple(input_shape[a] for a in axes)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")

    def call(self, inputs: Tensor) -> Tensor:
        return ops.rms_normalization(inputs, self.scale.value, self.axis, self.epsilon)


class UnitNormalization(Layer):
    """Divides each sample by its Euclidean length over some axes: `y = x / sqrt(sum(x^2))`.

    Args:
        axis: Axis or axes. Default: -1, the last.

    Input and output: any shape. As in Keras.

    Raises:
        TypeError: If `axis` is neither an integer nor a list of integers.
        ValueError: In the call, if the input does not have `axis`.

    Example:
        >>> import hornbeam as hb
        >>> embeddings = hb.ops.array([[3.0, 4.0], [0.0, 2.0]])
        >>> hb.layers.UnitNormalization()(embeddings)
        Array([[0.6, 0.8], [0. , 1. ]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any):
        super().__init__(**kwargs)
        axis = list(axis) if isinstance(axis, (list, tuple)) else axis
        if not all(isinstance(a, int) for a in (axis if isinstance(axis, list) else [axis])):
            raise TypeError(
                "UnitNormalization: `axis` must be an integer or a list of integers, received"
                f" {axis!r}."
            )
        self.axis = axis
        self.supports_masking = True
        self.built = not self._has_own_build()

    def call(self, inputs: Tensor) -> Tensor:
        check_axes(self._label(), self.axis, inputs.ndim)
        return ops.normalize(inputs, axis=self.axis, order=2, epsilon=1e-12)
