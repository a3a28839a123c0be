"""Normalizations."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import constraints, initializers, regularizers
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer

__all__ = ["BatchNormalization", "LayerNormalization"]


class _Normalization(Layer):
    """Base: keeps the arguments that scale and offset share."""

    def _keep(self, arguments: dict[str, Any]) -> None:
        for name, value in arguments.items():
            kind = name.rsplit("_", 1)[-1]
            module = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}.get(kind)
            setattr(self, name, module.get(value) if module else value)

    def _scale_and_offset(self, shape: tuple[int, ...], scale: bool, center: bool) -> None:
        self.gamma = self.beta = None
        for name, wanted in (("gamma", scale), ("beta", center)):
            if wanted:
                weight = self.add_weight(
                    name=name, shape=shape, initializer=getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"), constraint=getattr(self, f"{name}_constraint"),
                )  # fmt: skip
                setattr(self, name, weight)


class BatchNormalization(_Normalization):
    """Scales to mean 0 and variance 1 over the batch, by running statistics outside training (Ioffe and Szegedy 2015).

    Args:
        axis: Axis of the features.
        momentum: Momentum of the running statistics.
        epsilon: Added to the variance.
        center, scale: Whether `beta` is added, and `gamma` multiplied.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: Initializers.
        beta_regularizer, gamma_regularizer: Penalties.
        beta_constraint, gamma_constraint: Constraints.
        synchronized: Kept for Keras's signature: one program holds all replicas here.
        renorm, renorm_clipping, renorm_momentum: Must be off.

    Weights: gamma, beta, moving_mean, moving_variance, each of the size of `axis`. With `trainable = False` the running
    statistics are used in training too.

    Example:
        >>> BatchNormalization()(jnp.ones((2, 3))).shape
        (2, 3)
    """

    def __init__(
        self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones", beta_regularizer: Any = None, gamma_regularizer: Any = None,
        beta_constraint: Any = None, gamma_constraint: Any = None, synchronized: bool = False, renorm: bool = False,
        renorm_clipping: Any = None, renorm_momentum: float = 0.99, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        if isinstance(axis, (list, tuple)):
            (axis,) = axis
        if renorm:
            raise ValueError("BatchNormalization: `renorm=True` is not supported; pass False.")
        self._keep(
            {
                "axis": axis, "momentum": float(momentum), "epsilon": float(epsilon), "center": center, "scale": scale,
                "beta_initializer": beta_initializer, "gamma_initializer": gamma_initializer,
                "moving_mean_initializer": moving_mean_initializer, "moving_variance_initializer": moving_variance_initializer,
                "beta_regularizer": beta_regularizer, "gamma_regularizer": gamma_regularizer, "beta_constraint": beta_constraint,
                "gamma_constraint": gamma_constraint, "synchronized": synchronized, "renorm": renorm,
                "renorm_clipping": renorm_clipping, "renorm_momentum": renorm_momentum,
            }
        )  # fmt: skip
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        size = input_shape[self.axis]
        self._scale_and_offset((size,), self.scale, self.center)
        self.moving_mean = self.add_weight(
            name="moving_mean", shape=(size,), initializer=self.moving_mean_initializer, trainable=False, autocast=False
        )
        self.moving_variance = self.add_weight(
            name="moving_variance",
            shape=(size,),
            initializer=self.moving_variance_initializer,
            trainable=False,
            autocast=False,
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        x = inputs.astype("float32") if inputs.dtype in (jnp.float16, jnp.bfloat16) else inputs
        axis = self.axis % x.ndim
        others = tuple(i for i in range(x.ndim) if i != axis)
        shape = tuple(x.shape[i] if i == axis else 1 for i in range(x.ndim))
        if training and self.trainable:
            mean, variance = _moments(x, others, mask)
            keep = self.momentum
            self.moving_mean.assign(self.moving_mean.value * keep + mean * (1 - keep))
            self.moving_variance.assign(self.moving_variance.value * keep + variance * (1 - keep))
        else:
            mean, variance = self.moving_mean.value, self.moving_variance.value
        factor = 1.0 / jnp.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            factor = factor * self.gamma.value.astype(x.dtype)
        offset = -mean * factor
        if self.beta is not None:
            offset = offset + self.beta.value.astype(x.dtype)
        return (x * factor.reshape(shape) + offset.reshape(shape)).astype(self.compute_dtype)


def _moments(x: Any, axes: tuple[int, ...], mask: Any) -> tuple[Any, Any]:
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
    """Scales each sample to mean 0 and variance 1 over some axes (Ba et al. 2016).

    Args:
        axis: Axis or axes.
        epsilon: Added to the variance.
        center, scale: Whether `beta` is added, and `gamma` multiplied.
        beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
            gamma_constraint: Of the weights.
        rms_scaling: Whether the mean stays and nothing is added: the input is divided by its standard
            deviation only, and multiplied by `gamma`.

    Weights: gamma and beta, of the shape of `axis`.

    Example:
        >>> LayerNormalization()(jnp.ones((2, 3))).shape
        (2, 3)
    """

    def __init__(
        self, axis: Any = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
        beta_initializer: Any = "zeros", gamma_initializer: Any = "ones", beta_regularizer: Any = None,
        gamma_regularizer: Any = None, beta_constraint: Any = None, gamma_constraint: Any = None,
        rms_scaling: bool = False, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self._keep(
            {
                "axis": list(axis) if isinstance(axis, (list, tuple)) else axis, "epsilon": float(epsilon), "center": center,
                "scale": scale, "beta_initializer": beta_initializer, "gamma_initializer": gamma_initializer,
                "beta_regularizer": beta_regularizer, "gamma_regularizer": gamma_regularizer, "beta_constraint": beta_constraint,
                "gamma_constraint": gamma_constraint, "rms_scaling": rms_scaling,
            }
        )  # fmt: skip
        self.supports_masking = True

    def _axes(self, rank: int) -> tuple[int, ...]:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        return tuple(sorted(a % rank for a in axes))

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape[a] for a in self._axes(len(input_shape)))
        self._scale_and_offset(shape, self.scale or self.rms_scaling, self.center and not self.rms_scaling)

    def call(self, inputs: Any) -> Any:
        x = inputs.astype("float32") if inputs.dtype in (jnp.float16, jnp.bfloat16) else inputs
        axes = self._axes(x.ndim)
        shape = tuple(x.shape[i] if i in axes else 1 for i in range(x.ndim))
        mean = jnp.mean(x, axis=axes, keepdims=True)
        variance = jnp.mean(jnp.square(x - mean), axis=axes, keepdims=True)
        y = (x if self.rms_scaling else x - mean) / jnp.sqrt(variance + self.epsilon)
        if self.gamma is not None:
            y = y * self.gamma.value.astype(x.dtype).reshape(shape)
        if self.beta is not None:
            y = y + self.beta.value.astype(x.dtype).reshape(shape)
        return y.astype(self.compute_dtype)
