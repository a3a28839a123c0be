"""Convolutions in 1, 2 and 3 dimensions: plain, transposed, depthwise and separable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp  # noqa: F401  (examples use it)

from hornbeam import activations, ops
from hornbeam.adaptation.products import effective
from hornbeam.core.tracing import too_small
from hornbeam.core.variable import Variable
from hornbeam.layers.adaptable import Adaptable
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
from hornbeam.ops.conv import conv_with_bias, per_channel
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Identifier, Shapes, Structure

__all__ = [
    "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose",
    "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
]  # fmt: skip

_SHARED = """strides: Step of the window: one integer, or one per spatial axis. Default: 1.
        padding: `"valid"` (default) or `"same"`. `Conv1D`, `DepthwiseConv1D` and `SeparableConv1D`
            also take `"causal"`, which pads with zeros before the first step only.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        dilation_rate: Spacing between the elements of the window. It cannot be above 1 together
            with `strides`. Default: 1.
        activation: Name or function. Default: `None`, linear.
        use_bias: Whether to add a bias. Default: True."""


class _Convolution(Layer):
    """Base of all convolutions: checks the sizes and handles layout, bias and activation.

    A subclass's constructor passes its arguments to `_keep`. The subclass creates its kernels in
    `_build(channels)` and convolves in `_convolve(inputs, bias, activation)`.
    """

    _rank = 2
    _paddings: tuple[str, ...] = ("valid", "same")
    filters: int
    strides: tuple[int, ...]
    kernel_size: tuple[int, ...]
    dilation_rate: tuple[int, ...]
    padding: str
    use_bias: bool
    activation: Callable[..., Any]
    bias: Variable | None

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Check the constructor's `locals()` and keep them as attributes."""
        keep(self, arguments)
        name, rank = type(self).__name__, self._rank
        for argument in ("kernel_size", "strides", "dilation_rate"):
            setattr(self, argument, sizes(name, argument, arguments[argument], rank))
        for argument in ("filters", "groups", "depth_multiplier"):
            if argument in arguments:
                setattr(self, argument, positive_integer(name, argument, arguments[argument]))
        self.padding = choice(name, "padding", arguments["padding"], self._paddings)
        self.data_format = standardize_data_format(arguments["data_format"])
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{name}: `strides` above 1 and `dilation_rate` above 1 do not go together."
            )
        self.input_spec = InputSpec(ndim=rank + 2)

    def build(self, input_shape: Shapes) -> None:
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"{self._label()}: the number of channels must be known, received shape"
                f" {input_shape}."
            )
        self._check_window(input_shape)
        outputs = self._build(channels)
        self.bias = add_named_weight(self, "bias", (outputs,)) if self.use_bias else None
        self.input_spec = InputSpec(ndim=self._rank + 2, axes={axis: channels})

    def _check_window(self, shape: Any) -> None:
        inner = shape[1:-1] if self.data_format == "channels_last" else shape[2:]
        for size, window, step in zip(inner, self.kernel_size, self.dilation_rate, strict=True):
            if self.padding == "valid" and size is not None and size < (window - 1) * step + 1:
                raise too_small(
                    f"{self._label()}: the window {self.kernel_size} is larger than the input"
                    f" {tuple(shape)}. Use padding='same', a smaller kernel_size, or fewer poolings"
                    " before."
                )

    def _build(self, channels: int) -> int:
        """Create the kernels for `channels` input channels; return the output channels."""
        raise NotImplementedError  # each subclass implements it

    def _convolve(self, inputs: Any, bias: Any, activation: str) -> Any:
        """Convolve, add the bias unless it is `None`, and apply "linear" or "relu"."""
        raise NotImplementedError  # each subclass implements it

    def _options(self) -> dict[str, Any]:
        """Return the arguments that all convolution ops take."""
        # Causal: with zeros before the first step, no output depends on later steps.
        causal = ((self.dilation_rate[0] * (self.kernel_size[0] - 1), 0),)
        return {
            "strides": self.strides,
            "padding": causal if self.padding == "causal" else self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }

    def call(self, inputs: Structure) -> Structure:
        bias = None if self.bias is None else self.bias.value
        if self.activation is activations.relu:  # fused with the convolution
            return self._convolve(inputs, bias, "relu")
        return activations.get(self.activation)(self._convolve(inputs, bias, "linear"))


class _Conv(_Convolution, Adaptable):
    __doc__ = f"""Convolutions in 1, 2 and 3 dimensions.

    The output is `activation(conv(x, kernel) + bias)`.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window: one integer, or one per spatial axis.
        {_SHARED}
        groups: Number of groups of channels that are convolved separately. Default: 1.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: As for `Dense`.
        lora_rank, lora_alpha: If given, `build` calls `enable_lora` with them. Default: `None`.

    Input: (B, *sizes, C). Output: (B, *new sizes, filters), each new size `(size - (kernel_size -
    1) * dilation_rate - 1) // strides + 1` for `"valid"`, else `ceil(size / strides)`. With
    `"channels_first"`, C follows B in input and output. As in Keras.

    Weights: `kernel` (*kernel_size, C / groups, filters), `bias` (filters,).

    Raises:
        ValueError: If an argument is out of range, C is unknown or no multiple of `groups`, or the
            window is larger than the input.
    """

    groups: int
    kernel: Variable

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = 1, groups: int = 1,
        activation: Identifier = None, use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform", bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None, bias_regularizer: Identifier = None,
        activity_regularizer: Identifier = None, kernel_constraint: Identifier = None,
        bias_constraint: Identifier = None, *, lora_rank: int | None = None,
        lora_alpha: float | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        if self.filters % self.groups:
            raise ValueError(
                f"{type(self).__name__}: `filters` ({filters}) must be a multiple of `groups`"
                f" ({groups})."
            )

    def build(self, input_shape: Shapes) -> None:
        super().build(input_shape)
        self._adapt_new_weights()

    def _build(self, channels: int) -> int:
        if channels % self.groups:
            raise ValueError(
                f"{self._label()}: {channels} channels do not divide into {self.groups} groups."
            )
        self.kernel = add_named_weight(
            self, "kernel", (*self.kernel_size, channels // self.groups, self.filters)
        )
        return self.filters

    def _convolve(self, inputs: Any, bias: Any, activation: str) -> Any:
        return conv_with_bias(inputs, effective(self.kernel), bias, activation, **self._options())


class _ConvTranspose(_Convolution):
    __doc__ = f"""Transposed convolutions in 1, 2 and 3 dimensions.

    The output is `activation(conv_transpose(x, kernel) + bias)`.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window: one integer, or one per spatial axis.
        output_padding: Number of elements added at the end of each spatial axis of the output, from
            0 to `strides - 1`. Default: `None`, the number for which a convolution with the same
            arguments returns the input's size.
        {_SHARED}
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint: As for `Dense`.

    Input: (B, *sizes, C). Output: (B, *new sizes, filters), each new size `size * strides` for
    `"same"`, and without dilation `size * strides + max(kernel_size - strides, 0)` for `"valid"`.
    With `"channels_first"`, C follows B in input and output.

    Weights: `kernel` (*kernel_size, filters, C), `bias` (filters,).

    Raises:
        ValueError: If an argument is out of range, or C is unknown.

    Source: Zeiler et al. 2010, Deconvolutional networks.
    """

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        output_padding: Any = None, data_format: str | None = None, dilation_rate: Any = 1,
        activation: Identifier = None, use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform", bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None, bias_regularizer: Identifier = None,
        activity_regularizer: Identifier = None, kernel_constraint: Identifier = None,
        bias_constraint: Identifier = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())
        self._keep_output_padding(output_padding)

    def _keep_output_padding(self, given: Any) -> None:
        name = type(self).__name__
        if given is not None:
            items = tuple(given) if hasattr(given, "__iter__") else (given,) * self._rank
            if len(items) != self._rank or not all(
                isinstance(n, int) and 0 <= n < s for n, s in zip(items, self.strides, strict=True)
            ):
                raise ValueError(
                    f"{name}: `output_padding` must be {self._rank} integers from 0 up to below"
                    f" `strides` {self.strides}, received {given!r}."
                )
            given = items
        self.output_padding = given

    def _check_window(self, shape: Any) -> None:
        """Accept every window: a transposed convolution allows windows larger than the input."""

    def _build(self, channels: int) -> int:
        self.kernel = add_named_weight(self, "kernel", (*self.kernel_size, self.filters, channels))
        return self.filters

    def _convolve(self, inputs: Any, bias: Any, activation: str) -> Any:
        x = ops.conv_transpose(
            inputs, self.kernel.value, output_padding=self.output_padding, **self._options()
        )
        if bias is not None:
            x = x + (
                bias
                if self.data_format == "channels_last"
                else bias.reshape(-1, *(1,) * self._rank)
            )
        return activations.relu(x) if activation == "relu" else x


class _DepthwiseConv(_Convolution):
    __doc__ = f"""Depthwise convolutions in 1 and 2 dimensions.

    The output is `activation(depthwise_conv(x, kernel) + bias)`.

    Args:
        kernel_size: Size of the window: one integer, or one per spatial axis.
        depth_multiplier: Number of filters per channel. Default: 1.
        {_SHARED}
        depthwise_initializer, bias_initializer, depthwise_regularizer, bias_regularizer,
            activity_regularizer, depthwise_constraint, bias_constraint: As for `Dense`.

    Input: (B, *sizes, C). Output: (B, *new sizes, C * depth_multiplier), with the sizes of
    `Conv2D`. With `"channels_first"`, C follows B in input and output. As in Keras.

    Weights: `kernel` (*kernel_size, C, depth_multiplier), `bias` (C * depth_multiplier,).

    Raises:
        ValueError: If an argument is out of range, C is unknown, or the window is larger than the
            input.
    """

    depth_multiplier: int

    def __init__(
        self, kernel_size: Any, strides: Any = 1, padding: str = "valid", depth_multiplier: int = 1,
        data_format: str | None = None, dilation_rate: Any = 1, activation: Identifier = None,
        use_bias: bool = True, depthwise_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros", depthwise_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, activity_regularizer: Identifier = None,
        depthwise_constraint: Identifier = None, bias_constraint: Identifier = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())

    def _build(self, channels: int) -> int:
        self.kernel = add_named_weight(
            self, "kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise"
        )
        return channels * self.depth_multiplier

    def _convolve(self, inputs: Any, bias: Any, activation: str) -> Any:
        return conv_with_bias(
            inputs, per_channel(self.kernel.value), bias, activation, **self._options()
        )


class _SeparableConv(_Convolution):
    __doc__ = f"""Separable convolutions in 1 and 2 dimensions.

    The output is `activation(separable_conv(x, depthwise_kernel, pointwise_kernel) + bias)`.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window: one integer, or one per spatial axis.
        depth_multiplier: Number of depthwise filters per channel. Default: 1.
        {_SHARED}
        depthwise_initializer, pointwise_initializer, bias_initializer, depthwise_regularizer,
            pointwise_regularizer, bias_regularizer, activity_regularizer, depthwise_constraint,
            pointwise_constraint, bias_constraint: As for `Dense`.

    Input: (B, *sizes, C). Output: (B, *new sizes, filters), with the sizes of `Conv2D`. With
    `"channels_first"`, C follows B in input and output.

    Weights: `depthwise_kernel` (*kernel_size, C, depth_multiplier), `pointwise_kernel` (1, ..., C *
    depth_multiplier, filters), `bias` (filters,).

    Raises:
        ValueError: If an argument is out of range, C is unknown, or the window is larger than the
            input.

    Source: Chollet 2016, Xception: deep learning with depthwise separable convolutions.
    """

    depth_multiplier: int

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = 1, depth_multiplier: int = 1,
        activation: Identifier = None, use_bias: bool = True,
        depthwise_initializer: Identifier = "glorot_uniform",
        pointwise_initializer: Identifier = "glorot_uniform",
        bias_initializer: Identifier = "zeros", depthwise_regularizer: Identifier = None,
        pointwise_regularizer: Identifier = None, bias_regularizer: Identifier = None,
        activity_regularizer: Identifier = None, depthwise_constraint: Identifier = None,
        pointwise_constraint: Identifier = None, bias_constraint: Identifier = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._keep(locals())

    def _build(self, channels: int) -> int:
        deep, ones = channels * self.depth_multiplier, (1,) * self._rank
        self.depthwise_kernel = add_named_weight(
            self,
            "depthwise_kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            "depthwise",
        )
        self.pointwise_kernel = add_named_weight(
            self, "pointwise_kernel", (*ones, deep, self.filters), "pointwise"
        )
        return self.filters

    def _convolve(self, inputs: Any, bias: Any, activation: str) -> Any:
        deep = conv_with_bias(
            inputs, per_channel(self.depthwise_kernel.value), None, **self._options()
        )
        pointwise = self.pointwise_kernel.value
        return conv_with_bias(deep, pointwise, bias, activation, data_format=self.data_format)


@variant(1, "32, 5", (8, 100, 16), (8, 96, 32))
class Conv1D(_Conv):
    """Convolves sequences (B, T, C): batch, steps, channels."""

    _paddings = ("valid", "same", "causal")


@variant(2, '16, 3, activation="relu"', (8, 28, 28, 3), (8, 26, 26, 16))
class Conv2D(_Conv):
    """Convolves images (B, H, W, C): batch, height, width, channels."""


@variant(3, "4, 3", (1, 8, 16, 16, 2), (1, 6, 14, 14, 4))
class Conv3D(_Conv):
    """Convolves volumes (B, D, H, W, C): batch, depth, height, width, channels."""


@variant(1, '8, 3, strides=2, padding="same"', (8, 50, 16), (8, 100, 8))
class Conv1DTranspose(_ConvTranspose):
    """Upsamples sequences (B, T, C) with a learned kernel: the transpose of `Conv1D`."""


@variant(2, '8, 3, strides=2, padding="same"', (8, 7, 7, 16), (8, 14, 14, 8))
class Conv2DTranspose(_ConvTranspose):
    """Upsamples images (B, H, W, C) with a learned kernel: the transpose of `Conv2D`."""


@variant(3, '4, 3, strides=2, padding="same"', (1, 4, 8, 8, 2), (1, 8, 16, 16, 4))
class Conv3DTranspose(_ConvTranspose):
    """Upsamples volumes (B, D, H, W, C) with a learned kernel: the transpose of `Conv3D`."""


@variant(1, "5", (8, 100, 16), (8, 96, 16))
class DepthwiseConv1D(_DepthwiseConv):
    """Convolves each channel of sequences (B, T, C) with its own filters."""

    _paddings = ("valid", "same", "causal")


@variant(2, "3, depth_multiplier=2", (8, 28, 28, 3), (8, 26, 26, 6))
class DepthwiseConv2D(_DepthwiseConv):
    """Convolves each channel of images (B, H, W, C) with its own filters."""


@variant(1, "32, 5", (8, 100, 16), (8, 96, 32))
class SeparableConv1D(_SeparableConv):
    """Convolves each channel of sequences (B, T, C), then mixes the channels."""

    _paddings = ("valid", "same", "causal")


@variant(2, "16, 3", (8, 28, 28, 3), (8, 26, 26, 16))
class SeparableConv2D(_SeparableConv):
    """Convolves each channel of images (B, H, W, C), then mixes the channels."""
