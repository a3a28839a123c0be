"""Layers that change shapes only."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from hornbeam.core.tracing import indivisible, is_unknown
from hornbeam.layers.arguments import positive_integer
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.settings import standardize_data_format

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


class Flatten(Layer):
    """All axes but the first joined into one.

    Args:
        data_format: With `"channels_first"`, channels are moved last before.

    Example:
        >>> Flatten()(jnp.ones((2, 3, 4))).shape
        (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def build(self, input_shape: Any = None) -> None:
        """Nothing to create; the shape is kept for files."""

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = jnp.moveaxis(inputs, 1, -1)
        return inputs.reshape(inputs.shape[0], -1) if inputs.size else inputs.reshape(inputs.shape[0], _size(inputs))


def _size(x: Any) -> int:
    size = 1
    for n in x.shape[1:]:
        size *= n
    return size


class Reshape(Layer):
    """Another shape for each sample.

    Args:
        target_shape: Shape without the batch axis; one size may be -1 or `None`: what is left over.

    Raises:
        ValueError: If a sample does not have as many numbers as the shape.

    Example:
        >>> Reshape((2, -1))(jnp.ones((1, 6))).shape
        (1, 2, 3)
    """

    def __init__(self, target_shape: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape) if hasattr(target_shape, "__iter__") else (target_shape,)
        for n in self.target_shape:
            if n is not None and (not hasattr(n, "__index__") or n < -1):
                raise ValueError(
                    f"Reshape: the sizes in `target_shape` must be integers, at least 0, or one -1 for what is left over; "
                    f"received {target_shape!r}."
                )
        self.built = True

    def call(self, inputs: Any) -> Any:
        shape = [-1 if n is None else n for n in self.target_shape]
        size, fixed = math.prod(inputs.shape[1:]), math.prod(n for n in shape if n != -1)
        if -1 not in shape and any(map(is_unknown, inputs.shape[1:])):
            return jnp.zeros((inputs.shape[0], *shape), inputs.dtype)  # a trace for shapes: the size may fit
        if shape.count(-1) > 1 or (size % fixed if -1 in shape and fixed else size != fixed):
            raise indivisible(
                f"{self._label()}: a sample of shape {inputs.shape[1:]} has {size} numbers, which do not fill "
                f"`target_shape` {self.target_shape}. Change the shape, or let one size be -1.",
                fixed,
            )
        return jnp.reshape(inputs, (inputs.shape[0], *shape))


class Permute(Layer):
    """Axes in another order.

    Args:
        dims: Order of the axes, counted from 1, without the batch axis.

    Example:
        >>> Permute((2, 1))(jnp.ones((1, 2, 3))).shape
        (1, 3, 2)
    """

    def __init__(self, dims: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"Permute: `dims` must be an order of 1..{len(self.dims)}, received {dims}.")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return jnp.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """(B, C) repeated to (B, n, C).

    Args:
        n: Number of repetitions.

    Example:
        >>> RepeatVector(3)(jnp.ones((1, 2))).shape
        (1, 3, 2)
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = positive_integer("RepeatVector", "n", n)
        self.input_spec = InputSpec(ndim=2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return jnp.repeat(inputs[:, None], self.n, axis=1)
