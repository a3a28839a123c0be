"""Locally connected layers of Keras 1 and 2: convolutions with one kernel per position."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam import activations
from hornbeam.core.loading import pay_for
from hornbeam.core.tracing import too_small
from hornbeam.layers.arguments import (
    add_named_weight,
    choice,
    keep,
    positive_integer,
    sizes,
    variant,
)
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.ops.product import rows_product
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Identifier, Shape, Tensor

__all__ = ["LocallyConnected1D", "LocallyConnected2D"]


class _LocallyConnected(Layer):
    """A convolution without shared weights.

    `y[p] = activation(window(x, p) @ kernel[p] + bias[p])` at each position p of the output. This
    layer is from Keras 1 and 2.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window: one integer, or one per spatial axis.
        strides: Step of the window: one integer, or one per spatial axis. Default: 1.
        padding: `"valid"`; with `implementation=2` also `"same"`. Default: `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        activation: Name or function. Default: `None`, linear.
        use_bias: Whether to add a bias. Default: True.
        kernel_initializer, ..., activity_regularizer, ..., bias_constraint: As in `Dense`.
        implementation: Form of the kernel: 1 (default), (positions, window * C, filters); or 2, an
            array from all inputs to all outputs that counts as zero outside the windows.

    Input: (B, *sizes, C). Output: (B, *new sizes, filters), each new size `(size - kernel_size) //
    strides + 1` for `"valid"`, `ceil(size / strides)` for `"same"`. With `"channels_first"`, C
    follows B in input and output.

    Weights: `kernel`, and `bias` of the output's shape without the batch axis.

    Raises:
        ValueError: If an argument is out of range, a size other than the batch size is unknown, or
            the window is larger than the input.

    Source: as in Keras 2.
    """

    _rank = 2
    filters: int
    implementation: int
    use_bias: bool
    activation: Any

    def __init__(
        self, filters: int, kernel_size: int | Sequence[int], strides: int | Sequence[int] = 1,
        padding: str = "valid", data_format: str | None = None, activation: Identifier = None,
        use_bias: bool = True, kernel_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros", kernel_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, activity_regularizer: Identifier = None,
        kernel_constraint: Identifier = None, bias_constraint: Identifier = None,
        implementation: int = 1, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        keep(self, locals())
        name = type(self).__name__
        self.filters = positive_integer(name, "filters", filters)
        self.kernel_size = sizes(name, "kernel_size", kernel_size, self._rank)
        self.strides = sizes(name, "strides", strides, self._rank)
        if implementation not in (1, 2):
            raise ValueError(
                f"{name}: `implementation` must be 1 or 2, received {implementation!r}."
            )
        self.padding = choice(
            name, "padding", padding, ("valid",) if implementation == 1 else ("valid", "same")
        )
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._rank + 2)

    def build(self, input_shape: Shape) -> None:
        first = self.data_format == "channels_first"
        channels = input_shape[1 if first else -1]
        given = input_shape[2:] if first else input_shape[1:-1]
        inner = tuple(size for size in given if size is not None)
        if channels is None or len(inner) < len(given):
            raise ValueError(
                f"{self._label()}: all sizes but the batch's must be known, received"
                f" {tuple(input_shape)}."
            )
        self._before, outer = [], []
        for size, window, step in zip(inner, self.kernel_size, self.strides, strict=True):
            count = (
                math.ceil(size / step) if self.padding == "same" else (size - window) // step + 1
            )
            if count < 1:
                raise too_small(
                    f"{self._label()}: the window {self.kernel_size} is larger than the input"
                    f" {input_shape}."
                )
            outer.append(count)
            self._before.append(
                max((count - 1) * step + window - size, 0) // 2 if self.padding == "same" else 0
            )
        self._inner = inner
        self._outer = tuple(outer)
        if self.implementation == 1:
            shape: tuple[int, ...] = (
                math.prod(outer),
                math.prod(self.kernel_size) * channels,
                self.filters,
            )
        elif first:
            shape = (channels, *inner, self.filters, *outer)
        else:
            shape = (*inner, channels, *outer, self.filters)
        self.kernel = add_named_weight(self, "kernel", shape)
        result = (self.filters, *outer) if first else (*outer, self.filters)
        self.bias = add_named_weight(self, "bias", result) if self.use_bias else None
        self.input_spec = InputSpec(shape=(None, *input_shape[1:]))

    def call(self, inputs: Tensor) -> Tensor:
        x = self._from_windows(inputs) if self.implementation == 1 else self._from_all(inputs)
        if self.bias is not None:
            x = x + self.bias.value
        return activations.get(self.activation)(x)

    def _from_windows(self, x: Tensor) -> Tensor:
        """Return the products of the windows with the kernels of implementation 1."""
        first = self.data_format == "channels_first"
        start = 2 if first else 1
        patches = []
        for offset in itertools.product(*map(range, self.kernel_size)):
            cut = [slice(None)] * x.ndim
            for axis, (o, n, s) in enumerate(
                zip(offset, self._outer, self.strides, strict=True), start
            ):
                cut[axis] = slice(o, o + (n - 1) * s + 1, s)
            patch = x[tuple(cut)].reshape(
                x.shape[0], *((x.shape[1], -1) if first else (-1, x.shape[-1]))
            )
            patches.append(patch)
        # The values of a window keep the data's order: channels last, or channels first.
        stacked = jnp.stack(patches, axis=2)  # (B, C, W, L) or (B, L, W, C)
        if first:
            y = jnp.einsum(
                "bkl,lkf->bfl",
                stacked.reshape(x.shape[0], -1, stacked.shape[-1]),
                self.kernel.value,
            )
            return y.reshape(x.shape[0], self.filters, *self._outer)
        y = jnp.einsum("blk,lkf->blf", stacked.reshape(*stacked.shape[:2], -1), self.kernel.value)
        return y.reshape(x.shape[0], *self._outer, self.filters)

    def _from_all(self, x: Tensor) -> Tensor:
        """Return the product of all inputs with the masked kernel of implementation 2."""
        pay_for(f"{self._label()}: its windows", 8 * math.prod((*self._inner, *self._outer)))
        # At [input, output]: whether the input lies in the output's window.
        inside = np.ones((*self._inner, *self._outer), bool)
        rank = self._rank
        for axis in range(rank):
            index = np.arange(self._inner[axis])[:, None]
            begin = np.arange(self._outer[axis]) * self.strides[axis] - self._before[axis]
            near = (index >= begin) & (index < begin + self.kernel_size[axis])
            shape = [1] * (2 * rank)
            shape[axis], shape[rank + axis] = near.shape
            inside &= near.reshape(shape)
        first = self.data_format == "channels_first"
        mask = np.expand_dims(inside, (0, rank + 1) if first else (rank, 2 * rank + 1))
        kernel = self.kernel.value * jnp.asarray(mask, self.kernel.value.dtype)
        return rows_product(x, kernel, rank + 1)


@variant(1, "8, 3", (8, 20, 3), (8, 18, 8))
class LocallyConnected1D(_LocallyConnected):
    """Convolves sequences (B, T, C) with a different kernel at each step."""


@variant(2, "8, 3", (8, 12, 12, 1), (8, 10, 10, 8))
class LocallyConnected2D(_LocallyConnected):
    """Convolves images (B, H, W, C) with a different kernel at each pixel."""
