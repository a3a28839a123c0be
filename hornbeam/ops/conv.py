"""Convolutions over any number of spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.export import is_symbolic_dim

from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.ops import routes
from hornbeam.ops.conv_primitive import Spec, convolve, convolve_fused
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Tensor

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]


def each(value: Any, rank: int) -> tuple[int, ...]:
    """Return `value` as a tuple of one integer per axis; a single integer applies to all axes."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _layout(rank: int, data_format: str | None) -> tuple[str, str, str]:
    """Return XLA's axis letters for inputs, kernels and outputs with `rank` spatial axes."""
    space = "DHW"[-rank:] if rank <= 3 else "0123456789"[:rank]
    first = standardize_data_format(data_format) == "channels_first"
    data = f"NC{space}" if first else f"N{space}C"
    return data, f"{space}IO", data


@op("nn")
def conv(
    inputs: Tensor, kernel: Tensor, strides: int | Sequence[int] = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """Convolve inputs with a kernel; as usual in deep learning, the kernel is not flipped.

    Args:
        inputs: (B, *space, C) or, with `"channels_first"`, (B, C, *space).
        kernel: (*window, C / groups, filters); the number of groups follows from the channels.
        strides: One number, or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.
        dilation_rate: Distance between the elements of the window; one number, or one per spatial
            axis.

    Returns:
        (B, *space, filters), or (B, filters, *space).

    Raises:
        ValueError: If the channels of the kernel do not divide those of the inputs.

    Example:
        >>> conv(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 2))).shape
        (1, 2, 2, 2)
    """
    return conv_with_bias(
        inputs, kernel, None, "linear", strides, padding, data_format, dilation_rate
    )


def conv_with_bias(
    inputs: Tensor, kernel: Tensor, bias: Tensor, activation: str = "linear",
    strides: int | Sequence[int] = 1, padding: str | Sequence[Any] = "valid",
    data_format: str | None = None, dilation_rate: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """Convolve, add a bias and apply an activation, in one kernel where there is one.

    Args:
        inputs, kernel, strides, data_format, dilation_rate: As for `conv`.
        bias: (filters,), or `None`.
        activation: `"linear"` or `"relu"`.
        padding: `"valid"`, `"same"`, or a pair (before, after) for each spatial axis.

    Example:
        >>> x, kernel = jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 2))
        >>> conv_with_bias(x, kernel, jnp.array([0.0, -10.0]), "relu")[0, 0, 0]
        Array([9., 0.], dtype=float32)
    """
    inputs, kernel = convert(inputs), convert(kernel)
    rank = inputs.ndim - 2
    layout = _layout(rank, data_format)
    channels = inputs.shape[layout[0].index("C")]
    if channels % kernel.shape[-2]:
        raise ValueError(
            f"conv: the inputs have {channels} channels; expected a multiple of the kernel's"
            f" {kernel.shape[-2]} (axis -2 of its shape {kernel.shape})."
        )
    dtype = jnp.result_type(inputs, kernel)
    inputs, kernel = inputs.astype(dtype), kernel.astype(dtype)
    steps, dilation = each(strides, rank), each(dilation_rate, rank)
    space, window = (
        tuple(inputs.shape[layout[0].index(a)] for a in layout[1][:-2]),
        kernel.shape[:-2],
    )
    pads: Any = padding  # sizes that `jax.export` leaves open: JAX finds the padding of "same"
    if not isinstance(padding, str) or not any(map(is_symbolic_dim, space)):
        pads = _pads(padding, space, window, steps, dilation)
    spec = Spec(
        "forward", space, window, steps, pads, dilation, channels // kernel.shape[-2], activation
    )
    if not _native(spec, inputs, kernel):
        x = jax.lax.conv_general_dilated(
            inputs, kernel, steps, pads.upper() if isinstance(pads, str) else pads,
            rhs_dilation=dilation, dimension_numbers=layout,
            feature_group_count=spec.groups,
        )  # fmt: skip
        if bias is not None:
            x = x + (bias if layout[0][-1] == "C" else bias.reshape(-1, *(1,) * rank))
        return jax.nn.relu(x) if activation == "relu" else x
    bias = jnp.zeros(kernel.shape[-1], dtype) if bias is None and activation == "relu" else bias
    if bias is None:
        return _channels_last(lambda x: convolve(x, kernel, spec), inputs, layout)
    return _channels_last(
        lambda x: convolve_fused(x, kernel, bias.astype(dtype), spec), inputs, layout
    )


def _pads(
    padding: Any, space: Any, window: Any, strides: Any, dilation: Any
) -> tuple[tuple[int, int], ...]:
    """Return (before, after) for each spatial axis."""
    if isinstance(padding, str):
        spread = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
        padding = jax.lax.padtype_to_pads(space, spread, strides, padding.upper())
    return tuple((int(before), int(after)) for before, after in padding)


def _native(spec: Spec, *operands: Any) -> bool:
    """Return whether the native kernel computes this convolution, and record the route."""
    if any(map(is_symbolic_dim, spec.space)):
        return False
    empty = 0 in (*spec.space, *spec.out_space()) or any(x.size == 0 for x in operands)
    sizes = (spec.space, spec.window)
    return (
        routes.convolution(spec.kind, operands[0].dtype, sizes, spec.padding, empty).name
        == "native"
    )


def _channels_last(function: Any, inputs: Any, layout: Any) -> Any:
    """Apply a function of arrays with channels last to an array of any layout."""
    if layout[0][1] != "C":
        return function(inputs)
    return jnp.moveaxis(function(jnp.moveaxis(inputs, 1, -1)), -1, 1)


@op("nn")
def depthwise_conv(
    inputs: Tensor, kernel: Tensor, strides: int | Sequence[int] = 1, padding: str = "valid",
    data_format: str | None = None, dilation_rate: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """Convolve each channel with its own filters.

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        kernel: (*window, C, filters per channel).
        strides: One number, or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.
        dilation_rate: As for `conv`.

    Example:
        >>> depthwise_conv(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 3))).shape
        (1, 2, 2, 6)
    """
    return conv_with_bias(
        inputs,
        per_channel(convert(kernel)),
        None,
        "linear",
        strides,
        padding,
        data_format,
        dilation_rate,
    )


def per_channel(kernel: Tensor) -> Tensor:
    """Convert a depthwise kernel (*window, C, filters per channel) to a kernel with C groups."""
    return kernel.reshape(*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1])


@op("nn")
def separable_conv(
    inputs: Tensor, depthwise_kernel: Tensor, pointwise_kernel: Tensor,
    strides: int | Sequence[int] = 1, padding: Any = "valid", data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """Convolve each channel by itself, then combine the channels of each position (Chollet 2016).

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        depthwise_kernel: As for `depthwise_conv`.
        pointwise_kernel: (1, ..., C * filters per channel, filters).
        strides: One number, or one per spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.
        dilation_rate: As for `conv`.

    Example:
        >>> x = jnp.ones((1, 4, 4, 2))
        >>> separable_conv(x, jnp.ones((3, 3, 2, 1)), jnp.ones((1, 1, 2, 5))).shape
        (1, 2, 2, 5)
    """
    deep = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(deep, pointwise_kernel, 1, "valid", data_format, 1)


@op("nn")
def conv_transpose(
    inputs: Tensor, kernel: Tensor, strides: int | Sequence[int] = 1, padding: str = "valid",
    output_padding: int | Sequence[int] | None = None, data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """Apply the transpose of a convolution, which enlarges the spatial axes by the strides.

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        kernel: (*window, filters, C).
        strides: One number, or one per spatial axis.
        padding: `"valid"` or `"same"`.
        output_padding: Elements added at the end of each spatial axis of the result; one number, or
            one per axis.
        data_format: Default: `hornbeam.config.image_data_format()`.
        dilation_rate: As for `conv`.

    Example:
        >>> conv_transpose(jnp.ones((1, 2, 2, 1)), jnp.ones((3, 3, 4, 1)), 2, "same").shape
        (1, 4, 4, 4)
    """
    inputs, kernel = convert(inputs), convert(kernel)
    rank = inputs.ndim - 2
    steps, dilation = each(strides, rank), each(dilation_rate, rank)
    extra = (None,) * rank if output_padding is None else each(output_padding, rank)
    pads = [
        _transposed_padding(kernel.shape[i], steps[i], dilation[i], padding, extra[i])
        for i in range(rank)
    ]
    dtype = jnp.result_type(inputs, kernel)
    inputs, kernel, layout = inputs.astype(dtype), kernel.astype(dtype), _layout(rank, data_format)
    known = not any(map(is_symbolic_dim, inputs.shape))
    spec = _transposed_spec(inputs, kernel, steps, pads, dilation, layout) if known else None
    if spec is not None and _native(spec, inputs, kernel):
        return _channels_last(lambda x: convolve(x, kernel, spec), inputs, layout)
    return jax.lax.conv_transpose(
        inputs,
        kernel,
        steps,
        pads,
        rhs_dilation=dilation,
        dimension_numbers=layout,
        transpose_kernel=True,
    )


def _transposed_spec(
    inputs: Any, kernel: Any, strides: Any, pads: Any, dilation: Any, layout: Any
) -> Spec:
    """Return the convolution whose input gradient is this transposed convolution."""
    axes = [layout[0].index(axis) for axis in layout[1][:-2]]
    spread = [(size - 1) * step + 1 for size, step in zip(kernel.shape, dilation, strict=False)]
    wide = [
        (inputs.shape[axis] - 1) * stride + 1 for axis, stride in zip(axes, strides, strict=True)
    ]
    space = tuple(
        n + sum(pair) - window + 1 for n, pair, window in zip(wide, pads, spread, strict=True)
    )
    before = [window - 1 - pair[0] for window, pair in zip(spread, pads, strict=True)]
    # Padding that no window reaches is left out.
    after = [
        max(0, n - 1 + window - size - b)
        for n, window, size, b in zip(wide, spread, space, before, strict=True)
    ]
    return Spec(
        "inputs",
        space,
        kernel.shape[:-2],
        strides,
        tuple(zip(before, after, strict=True)),
        dilation,
    )


def _transposed_padding(
    size: int, stride: int, dilation: int, padding: str, output_padding: int | None
) -> tuple[int, int]:
    """Return the padding of the dilated input that gives the size of the forward input."""
    window = (size - 1) * dilation + 1
    if output_padding is None:
        # The result has stride * n elements for "same"; for "valid", max(window - stride, 0) more.
        total = (
            window + stride - 2
            if padding == "same"
            else window + stride - 2 + max(window - stride, 0)
        )
        if padding == "same":
            before = window - 1 if stride > window - 1 else -(-total // 2)
        else:
            before = window - 1
        return before, total - before
    if padding != "same":
        return window - 1, window - 1 + output_padding
    # Half of the output padding is added at the front, as in Keras.
    total = 2 * (window - 1 - window // 2) + output_padding
    before = min(window - 1 - window // 2 + -(-output_padding // 2), window - 1)
    return before, total - before
