"""Layers that change the shape of each sample but not its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam import ops
from hornbeam.core.tracing import indivisible, is_unknown
from hornbeam.layers.arguments import positive_integer
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Shapes, Tensor

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


class Flatten(Layer):
    """Flattens each sample into a vector.

    Args:
        data_format: `"channels_last"` or `"channels_first"`. With `"channels_first"`, the layer
            first moves the channels to the end, so both layouts give the same order. Default:
            `image_data_format()`.

    Input: (B, ...). Output: (B, product of the other sizes). As in Keras.

    Raises:
        ValueError: If `data_format` is unknown, or the input has no axes.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((28, 28, 1)), hb.layers.Flatten(), hb.layers.Dense(10)])
        >>> model.layers[0].output.shape
        (None, 784)
    """

    _takes_sparse = True

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def build(self, input_shape: Shapes = None) -> None:
        """Create no weights. The wrapper around `build` records the input shape for files."""

    def call(self, inputs: Tensor) -> Tensor:
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = jnp.moveaxis(inputs, 1, -1)
        return (
            inputs.reshape(inputs.shape[0], -1)
            if inputs.size
            else inputs.reshape(inputs.shape[0], _size(inputs))
        )


def _size(x: Tensor) -> int:
    size = 1
    for n in x.shape[1:]:
        size *= n
    return size


class Reshape(Layer):
    """Reshapes each sample.

    Args:
        target_shape: Shape without the batch axis. One size may be -1 or `None`; it is then
            inferred.

    Input: (B, ...). Output: (B, *target_shape). As in Keras.

    Raises:
        ValueError: If a size is not an integer, more than one size must be inferred, or a sample's
            number of elements does not fit `target_shape`.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((100,)), hb.layers.Dense(7 * 7 * 8), hb.layers.Reshape((7, 7, -1))
        ... ])
        >>> model.output_shape
        (None, 7, 7, 8)
    """

    _takes_sparse = True

    def __init__(self, target_shape: int | Sequence[int | None], **kwargs: Any):
        super().__init__(**kwargs)
        self.target_shape = (
            tuple(target_shape) if hasattr(target_shape, "__iter__") else (target_shape,)
        )
        for n in self.target_shape:
            if n is not None and (not hasattr(n, "__index__") or n < -1):
                raise ValueError(
                    "Reshape: the sizes in `target_shape` must be integers of at least 0, or one -1"
                    f" to infer a size; received {target_shape!r}."
                )
        if sum(n in (None, -1) for n in self.target_shape) > 1:
            raise ValueError(
                "Reshape: one size in `target_shape` may be -1 or None, to be inferred; received"
                f" {target_shape!r}."
            )
        self.built = not self._has_own_build()

    def call(self, inputs: Tensor) -> Tensor:
        shape = [-1 if n is None else n for n in self.target_shape]
        size, fixed = math.prod(inputs.shape[1:]), math.prod(n for n in shape if n != -1)
        if -1 not in shape and any(map(is_unknown, inputs.shape[1:])):
            # Shape inference: the size may fit.
            return jnp.zeros((inputs.shape[0], *shape), inputs.dtype)
        if shape.count(-1) > 1 or (size % fixed if -1 in shape and fixed else size != fixed):
            raise indivisible(
                f"{self._label()}: a sample of shape {inputs.shape[1:]} has {size} numbers, which"
                f" do not fill `target_shape` {self.target_shape}. Change the shape, or let one"
                " size be -1.",
                fixed,
            )
        return ops.reshape(inputs, (inputs.shape[0], *shape))


class Permute(Layer):
    """Reorders the axes of each sample.

    Args:
        dims: The new order of the axes, counted from 1. Axis 0, the batch, stays first.

    Input: (B, ...) with `len(dims) + 1` axes. Output: axis `i` is the input's axis `dims[i - 1]`.
    As in Keras.

    Raises:
        ValueError: If `dims` does not name each of 1, 2, ..., n once.

    Example:
        >>> import hornbeam as hb
        >>> images = hb.ops.ones((8, 3, 32, 64))  # channels first
        >>> hb.layers.Permute((2, 3, 1))(images).shape
        (8, 32, 64, 3)
    """

    _takes_sparse = True

    def __init__(self, dims: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"Permute: `dims` must be an order of 1..{len(self.dims)}, received {dims}."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)
        self.built = not self._has_own_build()

    def call(self, inputs: Tensor) -> Tensor:
        return ops.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """Repeats each vector `n` times to make a sequence.

    Args:
        n: Number of repetitions, positive.

    Input: (B, C). Output: (B, n, C). As in Keras.

    Raises:
        ValueError: If `n` is not a positive integer, or the input does not have 2 axes.

    Example:
        >>> import hornbeam as hb
        >>> autoencoder = hb.Sequential([
        ...     hb.Input((20, 5)), hb.layers.LSTM(16), hb.layers.RepeatVector(20),
        ...     hb.layers.LSTM(5, return_sequences=True),
        ... ])
        >>> autoencoder.output_shape
        (None, 20, 5)
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = positive_integer("RepeatVector", "n", n)
        self.input_spec = InputSpec(ndim=2)
        self.built = not self._has_own_build()

    def call(self, inputs: Tensor) -> Tensor:
        return jnp.repeat(inputs[:, None], self.n, axis=1)
