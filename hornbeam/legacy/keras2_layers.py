"""Layers of Keras 2 that Keras 3 has not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors, initializers, ops
from hornbeam.core.registry import register_keras_serializable
from hornbeam.layers import BatchNormalization, Layer, RandomZoom
from hornbeam.typing import Identifier, Shapes, Tensor

__all__ = [
    "AbstractRNNCell", "DenseFeatures", "RandomFourierFeatures", "RandomHeight", "RandomWidth",
    "SyncBatchNormalization",
]  # fmt: skip

register = register_keras_serializable("hornbeam")


class AbstractRNNCell(Layer):
    """The base of own cells for `RNN`.

    A subclass has `state_size`, `output_size` and `call(inputs, states)`, which returns the output
    and the new states.

    Example:
        >>> class Sums(AbstractRNNCell):
        ...     state_size = output_size = 2
        ...     def call(self, inputs, states):
        ...         total = states[0] + inputs
        ...         return total, [total]
        >>> import hornbeam as hb
        >>> hb.layers.RNN(Sums())(jnp.ones((1, 3, 2))).tolist()
        [[3.0, 3.0]]
    """

    def call(self, inputs: Tensor, states: Any) -> Any:
        """Return the output of one step and the new states."""
        raise NotImplementedError(f"{type(self).__name__}: implement `call(inputs, states)`.")

    @property
    def state_size(self) -> Any:
        """Number of elements of each state: an integer, a shape, or a list of them."""
        raise NotImplementedError(f"{type(self).__name__}: define `state_size`.")

    @property
    def output_size(self) -> Any:
        """Number of elements of the output."""
        raise NotImplementedError(f"{type(self).__name__}: define `output_size`.")

    def get_initial_state(
        self, inputs: Tensor = None, batch_size: int | None = None, dtype: str | None = None
    ) -> Any:
        """Return zeros of the states' shapes.

        Args:
            inputs: Tensor from which batch size and dtype are taken.
            batch_size: Number of rows, if there are no inputs.
            dtype: Dtype, if there are no inputs. Default: the layer's compute dtype.
        """
        rows = batch_size if inputs is None else inputs.shape[0]
        kind = (dtype or self.compute_dtype) if inputs is None else inputs.dtype
        sizes = self.state_size
        many = isinstance(sizes, (list, tuple))
        made = [
            jnp.zeros((rows, *(size if isinstance(size, (list, tuple)) else (size,))), kind)
            for size in (sizes if many else [sizes])
        ]
        return made if many else made[0]


class DenseFeatures(Layer):
    """Feature columns of TensorFlow 1 are not supported; `FeatureSpace` takes their place.

    Args:
        feature_columns, trainable, name, **kwargs: Arguments of Keras 2.

    Raises:
        NotImplementedError: Always.
    """

    def __init__(
        self, feature_columns: Any, trainable: bool = True, name: str | None = None, **kwargs: Any
    ):
        raise NotImplementedError(
            "DenseFeatures: feature columns of TensorFlow 1 are not supported. Encode the columns"
            " with `keras.utils.FeatureSpace`, for example"
            " `FeatureSpace({'age': 'float_normalized', 'kind': 'string_categorical'})`, and train"
            " on what `feature_space(data)` returns."
        )


class _RandomSize(Layer):
    """The base of `RandomHeight` and `RandomWidth`, which describe the arguments."""

    _axis = -3

    def __init__(
        self, factor: float | Sequence[float], interpolation: str = "bilinear",
        seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        limits: Any = factor if isinstance(factor, (list, tuple)) else (-float(factor), factor)  # type: ignore[arg-type]
        low, high = limits
        if not -1.0 < low <= high:
            raise ValueError(
                f"{type(self).__name__}: `factor` must be two numbers above -1, the smaller first,"
                f" or one number below 1, received {factor!r}."
            )
        self.factor, self.interpolation, self.seed = factor, interpolation, seed
        self._limits = (low, high)
        self._host = np.random.default_rng(seed)
        # The visible part of an image that is stretched by 1 + f is 1 / (1 + f) of it.
        visible = tuple(min(1 / (1 + f) - 1, 1.0) for f in (high, low))
        still = (0.0, 0.0)
        high_zoom, wide_zoom = (visible, still) if self._axis == -3 else (still, visible)
        self._zoom = RandomZoom(high_zoom, wide_zoom, fill_mode="nearest", seed=seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training:
            return inputs
        if isinstance(inputs, jax.core.Tracer):
            return self._zoom(inputs, training=True)
        sizes = [inputs.shape[-3], inputs.shape[-2]]
        drawn = self._host.uniform(*self._limits)
        sizes[self._axis + 3] = max(1, math.floor(sizes[self._axis + 3] * (1 + drawn)))
        return ops.image.resize(
            inputs, tuple(sizes), self.interpolation, data_format="channels_last"
        )


@register
class RandomHeight(_RandomSize):
    """Changes the height of the images by a random factor in training.

    Args:
        factor: Range of the change as fractions of the height: two numbers above -1, or one number
            f for the range from -f to f.
        interpolation: Any of `Resizing`. Default: `"bilinear"`.
        seed: Integer seed. Default: random.

    In a call with arrays, all images of the batch get one new height. In a compiled step, where
    sizes are fixed, the images are stretched inside their size instead, as `RandomZoom` does.
    Outside training the output is the input.

    Input: images (B, H, W, C) or (H, W, C).

    Raises:
        ValueError: If `factor` is out of range.
    """


@register
class RandomWidth(_RandomSize):
    """Changes the width of the images by a random factor in training.

    Args:
        factor, interpolation, seed: As for `RandomHeight`.
    """

    _axis = -2


@register
class RandomFourierFeatures(Layer):
    """Maps vectors to random cosine features, whose products approximate a kernel.

    The output is `cos(x @ kernel / scale + bias)`. Rahimi and Recht 2007, "Random features for
    large-scale kernel machines".

    Args:
        output_dim: Number of features.
        kernel_initializer: `"gaussian"`, `"laplacian"`, or an initializer of the projection.
        scale: Width of the kernel. Default: the square root of half the number of inputs for
            `"gaussian"`, else 1.
        trainable: Whether `scale` is trained. Default: False.
        name: Name.

    Input: (B, C). Output: (B, output_dim).

    Raises:
        ValueError: If `output_dim` or `scale` is not positive, or the name of the kernel is
            unknown.
    """

    def __init__(
        self, output_dim: int, kernel_initializer: Identifier = "gaussian",
        scale: float | None = None, trainable: bool = False, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        if output_dim <= 0:
            raise ValueError(
                f"RandomFourierFeatures: `output_dim` must be positive, received {output_dim}."
            )
        if scale is not None and scale <= 0.0:
            raise ValueError(f"RandomFourierFeatures: `scale` must be positive, received {scale}.")
        if isinstance(kernel_initializer, str):
            if kernel_initializer.lower() not in ("gaussian", "laplacian"):
                raise errors.unknown_name("kernel", kernel_initializer, ["gaussian", "laplacian"])
        super().__init__(trainable=trainable, name=name, **kwargs)
        self.output_dim, self.kernel_initializer, self.scale = output_dim, kernel_initializer, scale

    def build(self, input_shape: Shapes = None) -> None:
        size = input_shape[-1]
        kind: Any = self.kernel_initializer
        is_name = isinstance(kind, str)
        start: Any = initializers.RandomNormal(stddev=1.0) if is_name else kind
        if is_name and kind.lower() == "laplacian":
            start = _cauchy
        self.unscaled_kernel = self.add_weight(
            (size, self.output_dim), start, trainable=False, name="unscaled_kernel"
        )
        self.bias = self.add_weight(
            (self.output_dim,), initializers.RandomUniform(0.0, 2 * math.pi), trainable=False,
            name="bias",
        )  # fmt: skip
        scale = self.scale
        if scale is None:
            scale = math.sqrt(size / 2.0) if is_name and kind.lower() == "gaussian" else 1.0
        self.kernel_scale = self.add_weight(
            (1,), initializers.Constant(scale), trainable=True, constraint="non_neg",
            name="kernel_scale",
        )  # fmt: skip

    def call(self, inputs: Tensor) -> Tensor:
        kernel = ops.divide(self.unscaled_kernel, self.kernel_scale)
        return ops.cos(ops.matmul(inputs, kernel) + self.bias)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = super().get_config()
        if not isinstance(self.kernel_initializer, str):
            config["kernel_initializer"] = initializers.serialize(self.kernel_initializer)
        return {**config, "trainable": self.trainable}


def _cauchy(shape: Sequence[int], dtype: Any = None) -> Tensor:
    """Return draws of a Cauchy distribution, the spectrum of the Laplacian kernel."""
    uniform = initializers.RandomUniform(0.0, 1.0)(tuple(shape), dtype=dtype)
    return jnp.tan(jnp.pi * (uniform - 0.5))


class SyncBatchNormalization(BatchNormalization):
    """`BatchNormalization`, whose statistics are always of the batch on all devices.

    Args:
        *args, **kwargs: Arguments of `BatchNormalization`.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **{"synchronized": True, **kwargs})
