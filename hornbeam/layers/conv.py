"""Convolutions: one body for 1, 2 and 3 dimensions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp  # noqa: F401  (examples use it)

from hornbeam import activations, constraints, initializers, regularizers
from hornbeam.config import standardize_data_format
from hornbeam.layers.core import positive_integer
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer

__all__ = ["Conv1D", "Conv2D", "Conv3D"]


def sizes(layer: str, name: str, value: Any, rank: int) -> tuple[int, ...]:
    """Return `value` as a tuple of `rank` positive integers; one integer stands for all."""
    items = tuple(value) if hasattr(value, "__iter__") else (value,) * rank
    if len(items) != rank:
        raise ValueError(f"{layer}: `{name}` must be an integer or {rank} integers, received {value!r}.")
    return tuple(positive_integer(layer, name, n) for n in items)


def padding_name(layer: str, padding: Any, allowed: tuple[str, ...]) -> str:
    """Return the padding's name in lower case; raise where it is unknown."""
    value = str(padding).lower()
    if value not in allowed:
        raise ValueError(f"{layer}: `padding` must be one of {allowed}, received {padding!r}.")
    return value


class _Conv(Layer):
    """A convolution over `_rank` axes.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window: an integer, or one an axis.
        strides: Steps of the window.
        padding: `"valid"`, `"same"`, in one dimension also `"causal"`.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        dilation_rate: Distance between the window's taps.
        groups: Groups of channels that are convolved separately.
        activation: Name or function.
        use_bias: Whether a bias is added.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint: As for `Dense`.

    Weights: `kernel` of shape (*kernel_size, channels / groups, filters), `bias` of shape (filters,).

    Raises:
        ValueError: If an argument is out of range, or channels do not divide into groups.
    """

    _rank = 2

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", data_format: str | None = None,
        dilation_rate: Any = 1, groups: int = 1, activation: Any = None, use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, activity_regularizer: Any = None, kernel_constraint: Any = None,
        bias_constraint: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        name, rank = type(self).__name__, self._rank
        self.filters = positive_integer(name, "filters", filters)
        self.kernel_size = sizes(name, "kernel_size", kernel_size, rank)
        self.strides = sizes(name, "strides", strides, rank)
        self.padding = padding_name(name, padding, ("valid", "same", "causal") if rank == 1 else ("valid", "same"))
        self.data_format = standardize_data_format(data_format)
        self.dilation_rate = sizes(name, "dilation_rate", dilation_rate, rank)
        self.groups = positive_integer(name, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"{name}: `filters` ({filters}) must be a multiple of `groups` ({groups}).")
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(f"{name}: `strides` above 1 and `dilation_rate` above 1 do not go together.")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=rank + 2)

    def build(self, input_shape: Any) -> None:
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(f"{self._label()}: the number of channels must be known, received shape {input_shape}.")
        if channels % self.groups:
            raise ValueError(f"{self._label()}: {channels} channels do not divide into {self.groups} groups.")
        self.kernel = self.add_weight(
            name="kernel", shape=(*self.kernel_size, channels // self.groups, self.filters),
            initializer=self.kernel_initializer, regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer=self.bias_initializer,
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(ndim=self._rank + 2, axes={axis: channels})
        for size, window, step in zip(self._inner(input_shape), self.kernel_size, self.dilation_rate, strict=True):
            if self.padding == "valid" and size is not None and size < (window - 1) * step + 1:
                raise ValueError(
                    f"{self._label()}: the window {self.kernel_size} is larger than the input {tuple(input_shape)}. Use "
                    "padding='same', a smaller kernel_size, or fewer poolings before."
                )

    def _inner(self, shape: Any) -> Any:
        return shape[1:-1] if self.data_format == "channels_last" else shape[2:]

    def call(self, inputs: Any) -> Any:
        letters = "DHW"[-self._rank :]
        layout = f"N{letters}C" if self.data_format == "channels_last" else f"NC{letters}"
        padding: Any = self.padding.upper()
        if self.padding == "causal":
            padding = [(self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)]
        x = jax.lax.conv_general_dilated(
            inputs, self.kernel.value, self.strides, padding, rhs_dilation=self.dilation_rate,
            dimension_numbers=(layout, f"{letters}IO", layout), feature_group_count=self.groups,
        )  # fmt: skip
        if self.bias is not None:
            bias = self.bias.value
            x = x + (bias if self.data_format == "channels_last" else bias.reshape(-1, *(1,) * self._rank))
        return self.activation(x)


class Conv1D(_Conv):  # noqa: D101  (made from the base)
    __doc__ = (
        (_Conv.__doc__ or "").replace("over `_rank` axes", "along sequences (B, T, C)")
        + """
    Example:
        >>> Conv1D(4, 3, padding="same")(jnp.ones((1, 5, 2))).shape
        (1, 5, 4)
    """
    )
    _rank = 1


class Conv2D(_Conv):  # noqa: D101  (made from the base)
    __doc__ = (
        (_Conv.__doc__ or "").replace("over `_rank` axes", "over images (B, H, W, C)")
        + """
    Example:
        >>> Conv2D(4, 3)(jnp.ones((1, 5, 5, 2))).shape
        (1, 3, 3, 4)
    """
    )
    _rank = 2


class Conv3D(_Conv):  # noqa: D101  (made from the base)
    __doc__ = (
        (_Conv.__doc__ or "").replace("over `_rank` axes", "over volumes (B, D, H, W, C)")
        + """
    Example:
        >>> Conv3D(4, 3)(jnp.ones((1, 3, 3, 3, 2))).shape
        (1, 1, 1, 1, 4)
    """
    )
    _rank = 3
