"""Convolutions over any number of spatial axes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.config import standardize_data_format
from hornbeam.core.symbolic import Tensor, convert, op

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]


def each(value: Any, rank: int) -> tuple[int, ...]:
    """Return one number for each of `rank` axes; one integer stands for all."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _padding(padding: Any) -> Any:
    return padding.upper() if isinstance(padding, str) else padding


def _layout(rank: int, data_format: str | None) -> tuple[str, str, str]:
    """Return XLA's letters for inputs, kernels and outputs of `rank` spatial axes."""
    space = "DHW"[-rank:] if rank <= 3 else "0123456789"[:rank]
    first = standardize_data_format(data_format) == "channels_first"
    data = f"NC{space}" if first else f"N{space}C"
    return data, f"{space}IO", data


@op("nn")
def conv(
    inputs: Tensor, kernel: Tensor, strides: Any = 1, padding: Any = "valid", data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:  # fmt: skip
    """Convolve with a kernel (correlation, as all of deep learning has it).

    Args:
        inputs: (B, *space, C) or, with `"channels_first"`, (B, C, *space).
        kernel: (*window, C / groups, filters); fewer channels than the inputs' make groups.
        strides: One number, or one for each spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.
        dilation_rate: Distance of the window's elements, as for `strides`.

    Raises:
        ValueError: If the channels do not fit the kernel.

    Example:
        >>> conv(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 2))).shape
        (1, 2, 2, 2)
    """
    inputs, kernel = convert(inputs), convert(kernel)
    rank = inputs.ndim - 2
    layout = _layout(rank, data_format)
    channels = inputs.shape[layout[0].index("C")]
    if channels % kernel.shape[-2]:
        raise ValueError(
            f"conv: the inputs have {channels} channels, which the kernel's {kernel.shape[-2]} (shape "
            f"{kernel.shape}) must divide."
        )
    groups = channels // kernel.shape[-2]
    dtype = jnp.result_type(inputs, kernel)
    return jax.lax.conv_general_dilated(
        inputs.astype(dtype), kernel.astype(dtype), each(strides, rank), _padding(padding),
        rhs_dilation=each(dilation_rate, rank), dimension_numbers=layout, feature_group_count=groups,
    )  # fmt: skip


@op("nn")
def depthwise_conv(
    inputs: Tensor, kernel: Tensor, strides: Any = 1, padding: Any = "valid", data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:  # fmt: skip
    """Convolve each channel with filters of its own.

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        kernel: (*window, C, filters for each channel).
        strides: One number, or one for each spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.
        dilation_rate: As for `conv`.

    Example:
        >>> depthwise_conv(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 3))).shape
        (1, 2, 2, 6)
    """
    kernel = convert(kernel)
    grouped = kernel.reshape(*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1])
    return conv._op_info.function(inputs, grouped, strides, padding, data_format, dilation_rate)  # type: ignore[attr-defined]


@op("nn")
def separable_conv(
    inputs: Tensor, depthwise_kernel: Tensor, pointwise_kernel: Tensor, strides: Any = 1, padding: Any = "valid",
    data_format: str | None = None, dilation_rate: Any = 1,
) -> Tensor:  # fmt: skip
    """Convolve each channel, then mix the channels point by point (Chollet 2016).

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        depthwise_kernel: As for `depthwise_conv`.
        pointwise_kernel: (1, ..., C * filters for each channel, filters).
        strides: One number, or one for each spatial axis.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.
        dilation_rate: As for `conv`.

    Example:
        >>> separable_conv(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 1)), jnp.ones((1, 1, 2, 5))).shape
        (1, 2, 2, 5)
    """
    deep = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(deep, pointwise_kernel, 1, "valid", data_format, 1)


@op("nn")
def conv_transpose(
    inputs: Tensor, kernel: Tensor, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
    data_format: str | None = None, dilation_rate: Any = 1,
) -> Tensor:  # fmt: skip
    """Apply the transpose of a convolution, which widens the spatial axes by its strides.

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        kernel: (*window, filters, C).
        strides: One number, or one for each spatial axis.
        padding: `"valid"` or `"same"`.
        output_padding: Elements added at the end of each spatial axis of the result.
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
    pads = [_transposed_padding(kernel.shape[i], steps[i], dilation[i], padding, extra[i]) for i in range(rank)]
    dtype = jnp.result_type(inputs, kernel)
    return jax.lax.conv_transpose(
        inputs.astype(dtype), kernel.astype(dtype), steps, pads, rhs_dilation=dilation,
        dimension_numbers=_layout(rank, data_format), transpose_kernel=True,
    )  # fmt: skip


def _transposed_padding(
    size: int, stride: int, dilation: int, padding: str, output_padding: int | None
) -> tuple[int, int]:
    """Return how the widened input is padded, so that the result has the size of the forward input."""
    window = (size - 1) * dilation + 1
    if output_padding is None:
        # "same" gives stride * n, "valid" no less than the window needs.
        total = window + stride - 2 if padding == "same" else window + stride - 2 + max(window - stride, 0)
        if padding == "same":
            before = window - 1 if stride > window - 1 else -(-total // 2)
        else:
            before = window - 1
        return before, total - before
    if padding != "same":
        return window - 1, window - 1 + output_padding
    # Half of what is added goes to the front, as Keras has it.
    total = 2 * (window - 1 - window // 2) + output_padding
    before = min(window - 1 - window // 2 + -(-output_padding // 2), window - 1)
    return before, total - before
