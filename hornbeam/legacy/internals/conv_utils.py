"""`keras.utils.conv_utils` and `keras.src.utils.argument_validation`: sizes of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbeam import ops, settings
from hornbeam.core.tensor import KerasTensor

__all__ = [
    "compute_conv_output_shape", "compute_pooling_output_shape", "compute_reshape_output_shape",
    "compute_transpose_output_shape", "conv_input_length", "conv_output_length",
    "conv_output_shape", "convert_data_format", "convert_kernel", "deconv_output_length",
    "normalize_data_format", "normalize_padding", "normalize_tuple", "standardize_data_format",
    "standardize_padding", "standardize_tuple", "validate_string_arg",
]  # fmt: skip


def standardize_tuple(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """Return an integer, or `n` integers, as a tuple of `n` integers.

    Args:
        value: The integer or the integers.
        n: Length of the tuple.
        name: Name of the argument, for the message.
        allow_zero: Whether 0 is allowed.

    Raises:
        ValueError: If it is neither, or a number is too small.

    Example:
        >>> standardize_tuple(3, 2, "kernel_size")
        (3, 3)
    """
    least = 0 if allow_zero else 1
    items = (value,) * n if isinstance(value, (int, np.integer)) else value
    fits = isinstance(items, (list, tuple)) and len(items) == n
    if not fits or any(not isinstance(i, (int, np.integer)) or i < least for i in items):
        raise ValueError(
            f"`{name}` must be an integer of at least {least} or a tuple of {n} of them, received"
            f" {value!r}."
        )
    return tuple(int(i) for i in items)


def normalize_tuple(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple[int, ...]:
    """Return an integer, or `n` integers, as a tuple; see `standardize_tuple`."""
    return standardize_tuple(value, n, name, allow_zero)


def standardize_padding(value: Any, allow_causal: bool = False) -> str:
    """Return a padding in lower case.

    Raises:
        ValueError: If it is unknown.
    """
    known = {"valid", "same", "causal"} if allow_causal else {"valid", "same"}
    padding = value.lower() if isinstance(value, str) else value
    if padding not in known:
        raise ValueError(f"`padding` must be one of {sorted(known)}, received {value!r}.")
    return padding


def normalize_padding(value: Any) -> Any:
    """Return a padding in lower case; lists and tuples as they are."""
    return value if isinstance(value, (list, tuple)) else standardize_padding(value, True)


def standardize_data_format(value: Any) -> str:
    """Return a data format; `None` means `image_data_format()`."""
    return settings.standardize_data_format(value)


normalize_data_format = standardize_data_format


def convert_data_format(data_format: str, ndim: int) -> str:
    """Return TensorFlow's word for a data format, such as `"NHWC"`.

    Args:
        data_format: `"channels_last"` or `"channels_first"`.
        ndim: Number of axes, with batch and channels: 3, 4 or 5.
    """
    axes = {3: "W", 4: "HW", 5: "DHW"}[ndim]
    return f"N{axes}C" if data_format == "channels_last" else f"NC{axes}"


def validate_string_arg(
    value: Any, allowable_strings: Sequence[str], caller_name: str = "", arg_name: str = "",
    allow_none: bool = False, allow_callables: bool = False,
) -> None:  # fmt: skip
    """Raise `ValueError` if an argument is none of the allowed strings."""
    if (value is None and allow_none) or (callable(value) and allow_callables):
        return
    if value not in allowable_strings:
        raise ValueError(
            f"{caller_name}: `{arg_name}` must be one of {list(allowable_strings)}, received"
            f" {value!r}."
        )


def conv_output_length(
    input_length: int | None, filter_size: int, padding: str, stride: int, dilation: int = 1
) -> int | None:
    """Return the length of a convolution's output along one axis.

    Args:
        input_length: Length of the input, or `None`.
        filter_size: Length of the window.
        padding: `"same"`, `"valid"`, `"causal"` or `"full"`.
        stride: Steps of the window.
        dilation: Distance of the window's cells.

    Example:
        >>> conv_output_length(10, 3, "valid", 2)
        4
    """
    if input_length is None:
        return None
    reach = filter_size + (filter_size - 1) * (dilation - 1)
    length = {
        "same": input_length, "causal": input_length, "valid": input_length - reach + 1,
        "full": input_length + reach - 1,
    }[padding]  # fmt: skip
    return (length + stride - 1) // stride


def conv_input_length(
    output_length: int | None, filter_size: int, padding: str, stride: int
) -> int | None:
    """Return the length of a convolution's input along one axis, from that of the output."""
    if output_length is None:
        return None
    pad = {"same": filter_size // 2, "valid": 0, "full": filter_size - 1}[padding]
    return (output_length - 1) * stride - 2 * pad + filter_size


def deconv_output_length(
    input_length: int | None, filter_size: int, padding: str, output_padding: int | None = None,
    stride: int = 0, dilation: int = 1,
) -> int | None:  # fmt: skip
    """Return the length of a transposed convolution's output along one axis."""
    if input_length is None:
        return None
    reach = filter_size + (filter_size - 1) * (dilation - 1)
    if output_padding is None:
        return {
            "valid": input_length * stride + max(reach - stride, 0),
            "full": input_length * stride - (stride + reach - 2),
            "same": input_length * stride,
        }[padding]
    pad = {"same": reach // 2, "valid": 0, "full": reach - 1}[padding]
    return (input_length - 1) * stride + reach - 2 * pad + output_padding


def conv_output_shape(
    input_shape: Sequence[int | None], kernel_shape: Sequence[int], strides: Sequence[int],
    padding: str,
) -> tuple[Any, ...]:  # fmt: skip
    """Return the shape of a convolution's output along the spatial axes."""
    return tuple(
        conv_output_length(size, kernel_shape[i], padding, strides[i])
        for i, size in enumerate(input_shape)
    )


def compute_conv_output_shape(
    input_shape: Sequence[int | None], filters: int, kernel_size: Sequence[int],
    strides: int | Sequence[int] = 1, padding: str = "valid", data_format: str = "channels_last",
    dilation_rate: int | Sequence[int] = 1,
) -> tuple[Any, ...]:  # fmt: skip
    """Return the shape of a convolution's output.

    Args:
        input_shape: Shape with batch and channels.
        filters: Number of filters.
        kernel_size: Lengths of the window.
        strides, padding, data_format, dilation_rate: As for `Conv2D`.

    Example:
        >>> compute_conv_output_shape((None, 8, 8, 3), 4, (3, 3))
        (None, 6, 6, 4)
    """
    last = data_format == "channels_last"
    spatial = tuple(input_shape[1:-1] if last else input_shape[2:])
    rank = len(spatial)
    steps = (strides,) * rank if isinstance(strides, int) else tuple(strides)
    spread = (dilation_rate,) * rank if isinstance(dilation_rate, int) else tuple(dilation_rate)
    sizes = tuple(
        conv_output_length(size, kernel_size[i], padding.lower(), steps[i], spread[i])
        for i, size in enumerate(spatial)
    )
    return (input_shape[0], *sizes, filters) if last else (input_shape[0], filters, *sizes)


def compute_pooling_output_shape(
    input_shape: Sequence[int | None], pool_size: Sequence[int],
    strides: int | Sequence[int] | None, padding: str = "valid",
    data_format: str = "channels_last",
) -> tuple[Any, ...]:  # fmt: skip
    """Return the shape of a pooling's output; the arguments are those of `MaxPooling2D`."""
    last = data_format == "channels_last"
    channels: Any = input_shape[-1] if last else input_shape[1]
    steps = tuple(pool_size) if strides is None else strides
    return compute_conv_output_shape(input_shape, channels, pool_size, steps, padding, data_format)


def compute_reshape_output_shape(
    input_shape: Sequence[int | None], newshape: Sequence[int], newshape_arg_name: str = "newshape"
) -> tuple[int | None, ...]:
    """Return the shape that `ops.reshape` gives."""
    return tuple(ops.reshape(KerasTensor(tuple(input_shape)), tuple(newshape)).shape)


def compute_transpose_output_shape(
    input_shape: Sequence[int | None], axes: Sequence[int] | None
) -> tuple[int | None, ...]:
    """Return the shape that `ops.transpose` gives."""
    order = range(len(input_shape))[::-1] if axes is None else axes
    return tuple(input_shape[axis] for axis in order)


def convert_kernel(kernel: Any) -> np.ndarray:
    """Return a kernel flipped along its window, as Theano's convolutions used it.

    Example:
        >>> convert_kernel(np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)).ravel().tolist()
        [3.0, 2.0, 1.0]
    """
    kernel = np.asarray(kernel)
    if not 3 <= kernel.ndim <= 5:
        raise ValueError(
            f"convert_kernel: expected a kernel of rank 3 to 5, received shape {kernel.shape}."
        )
    return np.copy(np.flip(kernel, axis=tuple(range(kernel.ndim - 2))))
