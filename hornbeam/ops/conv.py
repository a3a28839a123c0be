"""Convolutions and pooling over any number of spatial axes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.config import standardize_data_format
from hornbeam.core.symbolic import Tensor, convert, op

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "conv", "conv_transpose", "depthwise_conv",
    "max_pool", "separable_conv",
]  # fmt: skip


def _each(value: Any, rank: int) -> tuple[int, ...]:
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
        inputs.astype(dtype), kernel.astype(dtype), _each(strides, rank), _padding(padding),
        rhs_dilation=_each(dilation_rate, rank), dimension_numbers=layout, feature_group_count=groups,
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
    steps, dilation = _each(strides, rank), _each(dilation_rate, rank)
    extra = (None,) * rank if output_padding is None else _each(output_padding, rank)
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


def _pool(inputs: Any, size: Any, strides: Any, padding: str, data_format: str | None, first: Any, combine: Any) -> Any:
    rank = inputs.ndim - 2
    window = _each(size, rank)
    steps = window if strides is None else _each(strides, rank)
    if standardize_data_format(data_format) == "channels_first":
        window, steps = (1, 1, *window), (1, 1, *steps)
    else:
        window, steps = (1, *window, 1), (1, *steps, 1)
    return jax.lax.reduce_window(inputs, first, combine, window, steps, _padding(padding))


@op("nn")
def max_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """Return the maximum of each window.

    Args:
        inputs: (B, *space, C) or (B, C, *space).
        pool_size: Window: one number, or one for each spatial axis.
        strides: Likewise. Default: `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: Default: `hornbeam.config.image_data_format()`.

    Example:
        >>> max_pool(jnp.ones((1, 4, 4, 1)), 2).shape
        (1, 2, 2, 1)
    """
    x = convert(inputs)
    least = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    return _pool(x, pool_size, strides, padding, data_format, least, jax.lax.max)


@op("nn")
def average_pool(
    inputs: Tensor, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Tensor:
    """Return the mean of each window; what padding adds does not count. Arguments as for `max_pool`.

    Example:
        >>> average_pool(jnp.ones((1, 4, 4, 1)), 2).shape
        (1, 2, 2, 1)
    """
    x = convert(inputs)
    zero = jnp.zeros((), x.dtype).item() if x.dtype.kind in "iu" else 0.0
    total = _pool(x, pool_size, strides, padding, data_format, zero, jax.lax.add)
    count = _pool(jnp.ones_like(x[:1]), pool_size, strides, padding, data_format, zero, jax.lax.add)
    return total / count


def _adaptive(inputs: Any, output_size: Any, data_format: str | None, reduce: Any) -> Any:
    x = convert(inputs)
    rank = x.ndim - 2
    start = 2 if standardize_data_format(data_format) == "channels_first" else 1
    for axis, count in enumerate(_each(output_size, rank), start):
        length = x.shape[axis]
        edges = [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
        parts = [jax.lax.slice_in_dim(x, low, high, axis=axis) for low, high in edges]
        x = jnp.concatenate([reduce(part, axis=axis, keepdims=True) for part in parts], axis)
    return x


@op("nn")
def adaptive_average_pool(inputs: Tensor, output_size: Any, data_format: str | None = None) -> Tensor:
    """Return means of windows whose size is chosen so that `output_size` of them fit.

    Example:
        >>> adaptive_average_pool(jnp.ones((1, 5, 5, 1)), 2).shape
        (1, 2, 2, 1)
    """
    return _adaptive(inputs, output_size, data_format, jnp.mean)


@op("nn")
def adaptive_max_pool(inputs: Tensor, output_size: Any, data_format: str | None = None) -> Tensor:
    """Return maxima of windows whose size is chosen so that `output_size` of them fit.

    Example:
        >>> adaptive_max_pool(jnp.ones((1, 5, 5, 1)), 2).shape
        (1, 2, 2, 1)
    """
    return _adaptive(inputs, output_size, data_format, jnp.max)
