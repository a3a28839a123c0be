"""Dropout and noise."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import random, regularizers
from hornbeam.core.random import SeedGenerator
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.settings import standardize_data_format

__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]


class _Noise(Layer):
    """Base of layers that draw in training and are the identity otherwise."""

    def __init__(self, seed: Any, active: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        if active:
            self.seed_generator = SeedGenerator(seed)
        self._active = active
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        return self._draw(inputs) if training and self._active else inputs

    def _draw(self, inputs: Any) -> Any:
        raise NotImplementedError  # what each of the layers is


def _rate(layer: str, rate: Any) -> float:
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"{layer}: `rate` must be a number from 0 to 1, received {rate!r}.")
    return rate


class Dropout(_Noise):
    """Sets a share of the inputs to zero in training, and scales the others up (Srivastava et al. 2014).

    Args:
        rate: Share, from 0 to 1.
        noise_shape: Shape of the draw; axes of size 1 share it. `None` entries are the input's sizes.
        seed: Integer.

    Example:
        >>> Dropout(0.5)(jnp.ones(2))
        Array([1., 1.], dtype=float32)
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any):
        rate = _rate(type(self).__name__, rate)
        super().__init__(seed, rate > 0, **kwargs)
        self.rate = rate
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def _draw(self, inputs: Any) -> Any:
        return random.dropout(inputs, self.rate, self.noise_shape, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Keras writes the seed before the shape.
        shape = config.pop("noise_shape", None)
        return {**config, "noise_shape": shape}


class _SpatialDropout(Dropout):
    """Dropout of whole feature maps: one draw for all positions of a channel."""

    _rank = 1

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any):
        super().__init__(rate, seed=seed, **kwargs)
        self.input_spec = InputSpec(ndim=self._rank + 2)

    def _draw(self, inputs: Any) -> Any:
        first = getattr(self, "data_format", "channels_last") == "channels_first"
        inner = tuple(range(2, inputs.ndim)) if first else tuple(range(1, inputs.ndim - 1))
        shape = tuple(1 if axis in inner else n for axis, n in enumerate(inputs.shape))
        return random.dropout(inputs, self.rate, shape, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Keras's constructors take just these, and the dtype as a name.
        own = {k: v for k, v in config.items() if k in ("name", "rate", "seed", "data_format")}
        return {**own, "dtype": self.dtype_policy.name}


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of (B, T, C).

    Args:
        rate: Share, from 0 to 1.
        seed: Integer.

    Example:
        >>> SpatialDropout1D(0.5)(jnp.ones((1, 2, 1))).shape
        (1, 2, 1)
    """


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images.

    Args:
        rate: Share, from 0 to 1.
        data_format: Layout of the images.
        seed: Integer.

    Example:
        >>> SpatialDropout2D(0.5)(jnp.ones((1, 2, 2, 1))).shape
        (1, 2, 2, 1)
    """

    _rank = 2

    def __init__(self, rate: float, data_format: str | None = None, seed: Any = None, **kwargs: Any):
        super().__init__(rate, seed=seed, **kwargs)
        self.data_format = standardize_data_format(data_format)


class SpatialDropout3D(SpatialDropout2D):
    """Dropout of whole channels of volumes; arguments as for `SpatialDropout2D`.

    Example:
        >>> SpatialDropout3D(0.5)(jnp.ones((1, 2, 2, 2, 1))).shape
        (1, 2, 2, 2, 1)
    """

    _rank = 3


class GaussianNoise(_Noise):
    """Adds normal noise in training.

    Args:
        stddev: Standard deviation.
        seed: Integer.

    Example:
        >>> GaussianNoise(0.1)(jnp.ones(1))
        Array([1.], dtype=float32)
    """

    def __init__(self, stddev: float, seed: Any = None, **kwargs: Any):
        if not isinstance(stddev, (int, float)) or stddev < 0:
            raise ValueError(f"GaussianNoise: `stddev` must be a non-negative number, received {stddev!r}.")
        super().__init__(seed, stddev > 0, **kwargs)
        self.stddev = stddev

    def _draw(self, inputs: Any) -> Any:
        return inputs + random.normal(inputs.shape, 0.0, self.stddev, inputs.dtype, self.seed_generator)


class GaussianDropout(_Noise):
    """Multiplies by normal noise of mean 1 in training (Srivastava et al. 2014).

    Args:
        rate: Share, as for dropout: the standard deviation is `sqrt(rate / (1 - rate))`.
        seed: Integer.

    Example:
        >>> GaussianDropout(0.1)(jnp.ones(1))
        Array([1.], dtype=float32)
    """

    def __init__(self, rate: float, seed: Any = None, **kwargs: Any):
        rate = _rate("GaussianDropout", rate)
        super().__init__(seed, rate > 0, **kwargs)
        self.rate = rate

    def _draw(self, inputs: Any) -> Any:
        stddev = (self.rate / (1.0 - self.rate)) ** 0.5
        return inputs * random.normal(inputs.shape, 1.0, stddev, inputs.dtype, self.seed_generator)


class AlphaDropout(_Noise):
    """Dropout that keeps mean and variance, for networks of `selu` (Klambauer et al. 2017).

    Args:
        rate: Share, from 0 to 1.
        noise_shape: Shape of the draw; axes of size 1 share it. `None` entries are the input's sizes.
        seed: Integer.

    Example:
        >>> AlphaDropout(0.5)(jnp.ones(2))
        Array([1., 1.], dtype=float32)
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: Any = None, **kwargs: Any):
        rate = _rate("AlphaDropout", rate)
        super().__init__(seed, rate > 0, **kwargs)
        self.rate = rate
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def _draw(self, inputs: Any) -> Any:
        shape = inputs.shape if self.noise_shape is None else self.noise_shape
        shape = tuple(n if given is None else given for n, given in zip(inputs.shape, shape, strict=True))
        low = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717  # selu far to the left
        kept = random.uniform(shape, seed=self.seed_generator) >= self.rate
        rate = self.rate
        scale = ((1 - rate) * (1 + rate * low**2)) ** -0.5 if rate < 1 else 0.0
        offset = -scale * low * rate
        return (jnp.where(kept, inputs, low) * scale + offset).astype(inputs.dtype)


class ActivityRegularization(Layer):
    """Adds a penalty of its input to the loss.

    Args:
        l1: Factor of absolute values.
        l2: Factor of squares.

    Example:
        >>> ActivityRegularization(l1=0.1)(jnp.ones((1, 1))).shape
        (1, 1)
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.activity_regularizer = regularizers.L1L2(l1=l1, l2=l2)
        self.l1, self.l2 = l1, l2
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)  # made from l1 and l2
        return config
