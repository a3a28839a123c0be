"""Layers that regularize: dropout, noise and activity penalties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam import random, regularizers
from hornbeam.core.convert import convert
from hornbeam.core.random import SeedGenerator, global_seed_generator
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Tensor

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
    """Base of layers that draw random numbers in training and are the identity otherwise."""

    _takes_sparse = True

    def __init__(self, seed: Any, active: bool, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        if active:
            # A layer made anew in each call of another would draw the same numbers each time.
            is_late = self._late_maker is not None
            self.seed_generator = global_seed_generator() if is_late else SeedGenerator(seed)
        self._active = active
        self.supports_masking = True
        self.built = not self._has_own_build()

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        return self._draw(convert(inputs)) if training and self._active else inputs

    def _draw(self, inputs: Tensor) -> Tensor:
        """Return the outputs in training."""
        raise NotImplementedError  # each layer implements it


def _rate(layer: str, rate: Any, argument: str = "rate") -> float:
    """Return `rate` if it is a number from 0 to 1; else raise, naming the layer's argument."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"{layer}: `{argument}` must be a number from 0 to 1, received {rate!r}.")
    return rate


def _noise_shape(layer: str, shape: Any) -> tuple[int | None, ...] | None:
    """Return `shape` as a tuple of positive sizes and `None`; else raise, naming the layer."""
    if shape is None:
        return None
    if not isinstance(shape, (list, tuple)) or not all(
        size is None
        or (isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0)
        for size in shape
    ):
        raise ValueError(
            f"{layer}: `noise_shape` must be a tuple of positive integers and None, received"
            f" {shape!r}."
        )
    return tuple(shape)


def _fitted(label: str, noise_shape: tuple[int | None, ...] | None, inputs: Any) -> Any:
    """Return the shape of the mask for `inputs`; raise if it does not broadcast to theirs."""
    if noise_shape is None:
        return inputs.shape
    missing = inputs.ndim - len(noise_shape)
    shape: Any = tuple(
        inputs.shape[max(missing, 0) + axis] if size is None and missing >= 0 else size
        for axis, size in enumerate(noise_shape)
    )
    if missing < 0 or any(
        a not in (1, b) for a, b in zip(shape, inputs.shape[missing:], strict=True)
    ):
        raise ValueError(
            f"{label}: `noise_shape` {noise_shape} does not fit inputs of shape {inputs.shape};"
            " each size must be 1, None or the input's."
        )
    return shape


class Dropout(_Noise):
    """Sets a random fraction of the inputs to zero in training, and scales up the rest.

    The kept elements are multiplied by `1 / (1 - rate)`, which keeps the expected sum.

    Args:
        rate: Fraction to drop, from 0 to 1.
        noise_shape: Shape of the random mask. Along an axis of size 1, all positions share the same
            draw; `None` means the input's size. Default: the input's shape.
        seed: Integer seed. Default: random.

    Input and output: any shape. Outside training, the output is the input.

    Raises:
        ValueError: If `rate` is not a number from 0 to 1, if `noise_shape` holds other sizes than
            positive integers and `None`, or in the call, if it does not broadcast to the input's
            shape.

    Source: Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from
    overfitting.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((784,)), hb.layers.Dense(64, "relu"), hb.layers.Dropout(0.5),
        ...     hb.layers.Dense(10),
        ... ])
        >>> x = hb.ops.ones((2, 784))
        >>> bool((model(x) == model(x)).all())  # not training: nothing is dropped
        True
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        rate = _rate(type(self).__name__, rate)
        super().__init__(seed, rate > 0, **kwargs)
        self.rate = rate
        self.noise_shape = _noise_shape(type(self).__name__, noise_shape)

    def _draw(self, inputs: Tensor) -> Tensor:
        shape = _fitted(self._label(), self.noise_shape, inputs)
        return random.dropout(inputs, self.rate, shape, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Keras writes the seed before the shape.
        shape = config.pop("noise_shape", None)
        return {**config, "noise_shape": shape}


class _SpatialDropout(Dropout):
    """Drops whole feature maps: all positions of a channel share one draw."""

    _rank = 1

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, seed=seed, **kwargs)
        self.input_spec = InputSpec(ndim=self._rank + 2)

    def _draw(self, inputs: Tensor) -> Tensor:
        first = getattr(self, "data_format", "channels_last") == "channels_first"
        inner = tuple(range(2, inputs.ndim)) if first else tuple(range(1, inputs.ndim - 1))
        shape = tuple(1 if axis in inner else n for axis, n in enumerate(inputs.shape))
        return random.dropout(inputs, self.rate, shape, self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Keras's constructors take only these, and the dtype as a name.
        own = {k: v for k, v in config.items() if k in ("name", "rate", "seed", "data_format")}
        return {**own, "dtype": self.dtype_policy.name}


class SpatialDropout1D(_SpatialDropout):
    """Drops whole channels of sequences in training, and scales the rest by `1 / (1 - rate)`.

    Neighboring steps are correlated, so dropping single steps has little effect.

    Args:
        rate: Fraction of the channels to drop, from 0 to 1.
        seed: Integer seed. Default: random.

    Input and output: (B, T, C). Outside training, the output is the input.

    Raises:
        ValueError: If `rate` is not a number from 0 to 1, or the input has the wrong number of
            axes.

    Source: Tompson et al. 2015, Efficient object localization using convolutional networks.

    Example:
        >>> import hornbeam as hb
        >>> embedded = hb.ops.ones((2, 3, 16))
        >>> dropped = hb.layers.SpatialDropout1D(0.5)(embedded, training=True)
        >>> bool((dropped[:, 0] == dropped[:, 2]).all())  # dropped at all steps or at none
        True
    """


class SpatialDropout2D(_SpatialDropout):
    """Drops whole channels of images in training, and scales the rest by `1 / (1 - rate)`.

    Args:
        rate: Fraction of the channels to drop, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: (B, H, W, C), or (B, C, H, W) with `"channels_first"`. Outside training, the
    output is the input.

    Raises:
        ValueError: If `rate` is not a number from 0 to 1, `data_format` is unknown, or the input
            has the wrong number of axes.

    Source: Tompson et al. 2015, Efficient object localization using convolutional networks.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((28, 28, 1)), hb.layers.Conv2D(16, 3), hb.layers.SpatialDropout2D(0.2)
        ... ])
        >>> model.output_shape
        (None, 26, 26, 16)
    """

    _rank = 2

    def __init__(
        self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(rate, seed=seed, **kwargs)
        self.data_format = standardize_data_format(data_format)


class SpatialDropout3D(SpatialDropout2D):
    """Drops whole channels of volumes in training, and scales the rest by `1 / (1 - rate)`.

    Args:
        rate: Fraction of the channels to drop, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        seed: Integer seed. Default: random.

    Input and output: (B, D, H, W, C), or (B, C, D, H, W) with `"channels_first"`. Outside training,
    the output is the input.

    Raises:
        ValueError: If `rate` is not a number from 0 to 1, `data_format` is unknown, or the input
            has the wrong number of axes.

    Source: Tompson et al. 2015, Efficient object localization using convolutional networks.

    Example:
        >>> import hornbeam as hb
        >>> scans = hb.ops.ones((1, 8, 16, 16, 4))
        >>> hb.layers.SpatialDropout3D(0.2)(scans, training=True).shape
        (1, 8, 16, 16, 4)
    """

    _rank = 3


class GaussianNoise(_Noise):
    """Adds normal noise of mean 0 in training.

    Args:
        stddev: Standard deviation of the noise, not negative.
        seed: Integer seed. Default: random.

    Input and output: any shape. Outside training, the output is the input. As in Keras.

    Raises:
        ValueError: If `stddev` is negative or not a number.

    Example:
        >>> import hornbeam as hb
        >>> denoiser = hb.Sequential([
        ...     hb.Input((784,)), hb.layers.GaussianNoise(0.1), hb.layers.Dense(64, "relu"),
        ...     hb.layers.Dense(784),
        ... ])
        >>> denoiser.output_shape
        (None, 784)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        if not isinstance(stddev, (int, float)) or stddev < 0:
            raise ValueError(
                f"GaussianNoise: `stddev` must be a non-negative number, received {stddev!r}."
            )
        super().__init__(seed, stddev > 0, **kwargs)
        self.stddev = stddev

    def _draw(self, inputs: Tensor) -> Tensor:
        return inputs + random.normal(
            inputs.shape, 0.0, self.stddev, inputs.dtype, self.seed_generator
        )


class GaussianDropout(_Noise):
    """Multiplies by normal noise of mean 1 in training.

    The standard deviation is `sqrt(rate / (1 - rate))`, the same as for `Dropout(rate)`.

    Args:
        rate: Fraction as for `Dropout`, from 0 up to but not including 1.
        seed: Integer seed. Default: random.

    Input and output: any shape. Outside training, the output is the input.

    Raises:
        ValueError: If `rate` is not a number from 0 to 1.

    Source: Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from
    overfitting.

    Example:
        >>> import hornbeam as hb
        >>> features = hb.ops.ones((2, 64))
        >>> hb.layers.GaussianDropout(0.1)(features, training=True).shape
        (2, 64)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        rate = _rate("GaussianDropout", rate)
        super().__init__(seed, rate > 0, **kwargs)
        self.rate = rate

    def _draw(self, inputs: Tensor) -> Tensor:
        if self.rate == 1:
            raise ValueError(
                f"{self._label()}: `rate` must be below 1 in training, received 1. The standard"
                " deviation of the noise would be infinite."
            )
        stddev = (self.rate / (1.0 - self.rate)) ** 0.5
        return inputs * random.normal(inputs.shape, 1.0, stddev, inputs.dtype, self.seed_generator)


class AlphaDropout(_Noise):
    """Drops a random fraction of the inputs in training and keeps their mean and variance.

    Dropped elements become `a = -1.758`, the limit of `selu` for negative inputs. Then all elements
    become `s * x + t` with `s = ((1 - rate) * (1 + rate * a^2))^(-1/2)` and `t = -s * a * rate`.

    Args:
        rate: Fraction to drop, from 0 to 1.
        noise_shape: Shape of the random mask. Along an axis of size 1, all positions share the same
            draw; `None` means the input's size. Default: the input's shape.
        seed: Integer seed. Default: random.

    Input and output: any shape. Outside training, the output is the input.

    Raises:
        ValueError: If `rate` is not a number from 0 to 1, if `noise_shape` holds other sizes than
            positive integers and `None`, or in the call, if it does not broadcast to the input's
            shape.

    Source: Klambauer et al. 2017, Self-normalizing neural networks.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((20,)), hb.layers.Dense(64, "selu", kernel_initializer="lecun_normal"),
        ...     hb.layers.AlphaDropout(0.1), hb.layers.Dense(1),
        ... ])
        >>> model.output_shape
        (None, 1)
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        rate = _rate("AlphaDropout", rate)
        super().__init__(seed, rate > 0, **kwargs)
        self.rate = rate
        self.noise_shape = _noise_shape(type(self).__name__, noise_shape)

    def _draw(self, inputs: Tensor) -> Tensor:
        shape = _fitted(self._label(), self.noise_shape, inputs)
        # The limit of selu at minus infinity.
        low = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717
        kept = random.uniform(shape, seed=self.seed_generator) >= self.rate
        rate = self.rate
        scale = ((1 - rate) * (1 + rate * low**2)) ** -0.5 if rate < 1 else 0.0
        offset = -scale * low * rate
        return (jnp.where(kept, inputs, low) * scale + offset).astype(inputs.dtype)


class ActivityRegularization(Layer):
    """Adds `(l1 * sum(|x|) + l2 * sum(x^2)) / B` to the loss, and returns its input `x`.

    Args:
        l1: Factor of the absolute values, not negative. Default: 0.
        l2: Factor of the squares, not negative. Default: 0.

    Input and output: (B, ...), where B is the batch size. As in Keras.

    Raises:
        ValueError: If `l1` or `l2` is negative or not a number.

    Example:
        >>> import hornbeam as hb
        >>> layer = hb.layers.ActivityRegularization(l1=0.5)
        >>> _ = layer(hb.ops.ones((2, 3)))
        >>> layer.losses
        [Array(1.5, dtype=float32)]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.activity_regularizer = regularizers.L1L2(l1=l1, l2=l2)
        self.l1, self.l2 = l1, l2
        self.supports_masking = True
        self.built = not self._has_own_build()

    def call(self, inputs: Tensor) -> Tensor:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)  # made from l1 and l2
        return config
