"""Quantization of numbers to integers: scales, zero points, and packing of 4-bit integers."""

from __future__ import annotations

from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import ops
from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.core.tensor import any_symbolic
from hornbeam.dtypes import is_float
from hornbeam.typing import Axis, Tensor

__all__ = [
    "AbsMaxQuantizer", "Quantizer", "abs_max_quantize", "abs_max_quantize_grouped_with_zero_point",
    "fake_quant_with_min_max_vars", "group_index", "grouped", "pack_int4", "unpack_int4",
    "zero_point_scale",
]  # fmt: skip


def abs_max_quantize(
    inputs: Tensor, axis: Axis, value_range: tuple[int, int] = (-127, 127), dtype: str = "int8",
    epsilon: float = 1e-7, to_numpy: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """Return integers `clip(round(inputs * scale))` and their scale.

    `scale = highest / (max(abs(inputs)) + epsilon)`.

    Args:
        inputs: Tensor.
        axis: Axis or axes that share a scale; `None` for all axes.
        value_range: Lowest and highest integer.
        dtype: Dtype of the integers.
        epsilon: Added to the largest magnitude to avoid division by zero.
        to_numpy: Whether to compute with NumPy in float32, which saves device memory.

    Returns:
        Integers of the shape of `inputs`, and the scale in the dtype of `inputs`, with size 1 along
        `axis`.

    Example:
        >>> x = np.array([[1.0, -2.0]], "float32")
        >>> integers, scale = abs_max_quantize(x, axis=-1, epsilon=0.0)
        >>> integers.tolist(), scale.tolist()
        ([[64, -127]], [[63.5]])
    """
    lowest, highest = value_range
    if any_symbolic((inputs,), {}):
        scale = highest / (ops.max(ops.abs(inputs), axis=axis, keepdims=True) + epsilon)
        return ops.cast(ops.clip(ops.round(inputs * scale), lowest, highest), dtype), scale
    x = convert(inputs)
    if not is_float(x.dtype):
        x = x.astype("float32")
    xp: Any = np if to_numpy else jnp
    values = np.asarray(x, "float32") if to_numpy else x
    axis = tuple(axis) if isinstance(axis, list) else axis
    scale = highest / (xp.max(xp.abs(values), axis=axis, keepdims=True) + epsilon)
    whole = xp.clip(xp.round(values * scale), lowest, highest)
    return jnp.asarray(whole, dtype), jnp.asarray(scale, x.dtype)


def group_index(rows: int, block_size: int) -> np.ndarray:
    """Return the group index of each row, of shape (rows,).

    Args:
        rows: Number of rows.
        block_size: Number of rows per group; -1 for one group of all rows.

    Example:
        >>> group_index(5, 2).tolist()
        [0, 0, 1, 1, 2]
    """
    return np.arange(rows, dtype="int32") // (rows if block_size == -1 else block_size)


def zero_point_scale(
    low: Tensor, high: Tensor, value_range: tuple[int, int], epsilon: float = 1e-7
) -> tuple[Any, Any]:
    """Return the scale and zero point that map `low`, `high` and zero into `value_range`.

    `x` is then approximately `(round(x / scale + zero) - zero) * scale`. The zero point lies in
    `value_range`, since 0 is mapped into it.

    Args:
        low, high: Smallest and largest number.
        value_range: Lowest and highest integer.
        epsilon: If the numbers span less than this, the span is widened by 1 on either side.

    Example:
        >>> [float(x) for x in zero_point_scale(-1.0, 14.0, (-8, 7))]
        [1.0, -7.0]
    """
    lowest, highest = value_range
    low, high = jnp.minimum(low, 0), jnp.maximum(high, 0)
    flat = high - low < epsilon
    low, high = jnp.where(flat, low - 1, low), jnp.where(flat, high + 1, high)
    scale = (high - low) * np.float32(1 / (highest - lowest))
    return scale, jnp.clip(jnp.round(lowest - low / scale), lowest, highest)


def abs_max_quantize_grouped_with_zero_point(
    inputs: Tensor, block_size: int, value_range: tuple[int, int] = (-8, 7), dtype: str = "int8",
    epsilon: float = 1e-7, to_numpy: bool = False,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Quantize a matrix with one scale and zero point per column of each block of rows.

    Each input is approximately `(integer - zero_point) * scale`.

    Args:
        inputs: Matrix of shape (rows, columns).
        block_size: Number of rows per block; the last block may have fewer.
        value_range: Lowest and highest integer.
        dtype: Dtype of the integers.
        epsilon: If a block spans less than this, its span is widened by 1 on either side.
        to_numpy: Accepted for compatibility with Keras; has no effect.

    Returns:
        Integers of shape (rows, columns); scales and zero points (int8) of shape (blocks, columns).

    Raises:
        ValueError: If `inputs` is not a matrix or `block_size` is not a positive integer.

    Example:
        >>> x = np.array([[-8.0], [7.0], [7.5], [0.0]])
        >>> whole, scale, zero = abs_max_quantize_grouped_with_zero_point(x, 2)
        >>> whole.tolist(), scale.tolist(), zero.tolist()
        ([[-8], [7], [7], [-8]], [[1.0], [0.5]], [[0], [-8]])
    """
    x = convert(inputs)
    if x.ndim != 2 or block_size < 1:
        raise ValueError(
            "abs_max_quantize_grouped_with_zero_point: expected a matrix and a positive"
            f" `block_size`, received shape {x.shape} and {block_size!r}."
        )
    whole, scale, zero = grouped(x.astype("float32"), block_size, value_range, epsilon)
    return whole.astype(dtype), scale.astype(x.dtype), zero.astype("int8")


def grouped(
    matrix: Tensor, block_size: int, value_range: tuple[int, int], epsilon: float = 1e-7
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Return integers (as floats), scales and zero points of a matrix in blocks of rows.

    Args:
        matrix: (rows, columns), float32.
        block_size: Number of rows per block; -1 for one block of all rows.
        value_range, epsilon: As for `zero_point_scale`.

    Returns:
        Integers (rows, columns), scales and zero points (blocks, columns).

    Example:
        >>> whole, scale, zero = grouped(jnp.array([[-8.0], [7.0]]), -1, (-8, 7))
        >>> whole.tolist(), scale.tolist(), zero.tolist()
        ([[-8.0], [7.0]], [[1.0]], [[0.0]])
    """
    rows, columns = matrix.shape
    block = rows if block_size == -1 else min(block_size, rows)
    padded = jnp.pad(matrix, ((0, -rows % block), (0, 0)))
    blocks = padded.reshape(-1, block, columns)
    scale, zero = zero_point_scale(blocks.min(1), blocks.max(1), value_range, epsilon)
    index = jnp.arange(rows) // block
    return jnp.clip(jnp.round(matrix / scale[index]) + zero[index], *value_range), scale, zero


def pack_int4(arr: Tensor, axis: int = 0, dtype: str = "int8") -> tuple[Any, tuple[int, ...], int]:
    """Pack pairs of 4-bit integers along an axis into bytes; the first gets the low 4 bits.

    Args:
        arr: Tensor of `dtype` with integers from -8 to 7 (`int8`) or 0 to 15 (`uint8`).
        axis: The axis; a zero is added if its size is odd.
        dtype: `"int8"` or `"uint8"`.

    Returns:
        The bytes, their shape, and the size of the axis before packing.

    Raises:
        ValueError: If `dtype` is neither, or the axis does not exist.
        TypeError: If `arr` has another dtype.

    Example:
        >>> pack_int4(np.array([[-3, 7], [2, -8], [1, 0]], "int8"))[0].tolist()
        [[45, -121], [1, 0]]
    """
    x = _checked_bytes("pack_int4", arr, axis, dtype)
    if x.dtype != dtype:
        raise TypeError(f"pack_int4: expected `arr` of dtype {dtype}, received {x.dtype}.")
    size = x.shape[axis]
    x = jnp.moveaxis(x, axis, 0)
    x = jnp.pad(x, ((0, size % 2), *((0, 0),) * (x.ndim - 1)))
    low, high = x[0::2].view("uint8") & 15, x[1::2].view("uint8") & 15
    packed = jnp.moveaxis((low | (high << 4)).view(dtype), 0, axis)
    return packed, packed.shape, size


def unpack_int4(packed: Tensor, orig_len: int, axis: int = 0, dtype: str = "int8") -> Tensor:
    """Return the 4-bit integers that `pack_int4` packed.

    Args:
        packed: The bytes, `int8` or `uint8`.
        orig_len: Size of the axis before packing.
        axis: The axis.
        dtype: `"int8"` for integers from -8 to 7, `"uint8"` from 0 to 15.

    Raises:
        ValueError: If `dtype` is neither, or the axis does not exist.
        TypeError: If `packed` is neither int8 nor uint8.

    Example:
        >>> unpack_int4(np.array([[45, -121], [1, 0]], "int8"), 3).tolist()
        [[-3, 7], [2, -8], [1, 0]]
    """
    x = jnp.moveaxis(_checked_bytes("unpack_int4", packed, axis, dtype), axis, 0)
    if dtype == "int8":
        x = x.view("int8")  # shifts carry the sign
        halves = (x << 4) >> 4, x >> 4
    else:
        x = x.view("uint8")
        halves = x & 15, x >> 4
    pairs = jnp.stack(halves, axis=1)
    return jnp.moveaxis(pairs.reshape(-1, *x.shape[1:])[:orig_len], 0, axis)


def _checked_bytes(function: str, x: Any, axis: int, dtype: str) -> jax.Array:
    if dtype not in ("int8", "uint8"):
        raise ValueError(f"{function}: `dtype` must be 'int8' or 'uint8', received {dtype!r}.")
    x = jnp.asarray(x, None if hasattr(x, "dtype") else dtype)
    if x.dtype.name not in ("int8", "uint8"):
        raise TypeError(f"{function}: expected a tensor of int8 or uint8, received {x.dtype}.")
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{function}: `axis` {axis} is out of range for shape {x.shape}.")
    return x


@op("keras.src.quantizers.quantizers")
def fake_quant_with_min_max_vars(
    inputs: Tensor, min_vals: Tensor, max_vals: Tensor, num_bits: int = 8,
    narrow_range: bool = False, axis: int | None = None,
) -> Tensor:  # fmt: skip
    """Round floats to `num_bits` bits between a minimum and a maximum; the result is floats.

    The result is `floor((clip(inputs, min, max) - min) / scale + 0.5) * scale + min`. The range is
    shifted slightly so that 0 is represented exactly. Inputs inside the range receive the gradient.
    The gradients of inputs below and above the range go to the minimum and the maximum, which makes
    the range trainable (Jacob et al. 2018).

    Args:
        inputs: Tensor of floats.
        min_vals, max_vals: One number each, or one per index of `axis`.
        num_bits: From 2 to 16.
        narrow_range: Whether the lowest integer is 1 instead of 0.
        axis: Axis with one range per index. Default: one range for all inputs.

    Raises:
        ValueError: If `num_bits` is out of range.

    Example:
        >>> x = np.array([-8.0, 0.0, 1.0], "float32")
        >>> fake_quant_with_min_max_vars(x, -6.0, 6.0, num_bits=4).tolist()
        [-6.400000095367432, 0.0, 0.8000001907348633]
    """
    if not 2 <= num_bits <= 16:
        raise ValueError(
            f"fake_quant_with_min_max_vars: `num_bits` must be from 2 to 16, received {num_bits!r}."
        )
    x = convert(inputs)
    low, high = (jnp.asarray(convert(bound), x.dtype) for bound in (min_vals, max_vals))
    if axis is not None:
        shape = [1] * x.ndim
        shape[axis] = x.shape[axis]
        low, high = (
            jnp.broadcast_to(bound, (x.shape[axis],)).reshape(shape) for bound in (low, high)
        )
    return _fake_quant(x, low, high, int(narrow_range), 2**num_bits - 1)


def _nudged(low: Any, high: Any, lowest: int, highest: int) -> tuple[Any, Any, Any]:
    """Return scale, minimum and maximum of the range, shifted so that 0 maps to an integer."""
    scale = (high - low) / (highest - lowest)
    zero = jnp.clip(jnp.round(lowest - low / scale), lowest, highest)
    return scale, (lowest - zero) * scale, (highest - zero) * scale


@jax.custom_jvp
def _fake_quant(x: Any, low: Any, high: Any, lowest: int, highest: int) -> Any:
    scale, nudged_low, nudged_high = _nudged(low, high, lowest, highest)
    clipped = jnp.clip(x, nudged_low, nudged_high)
    return jnp.floor((clipped - nudged_low) / scale + 0.5) * scale + nudged_low


@_fake_quant.defjvp
def _fake_quant_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    x, low, high, lowest, highest = primals
    _, nudged_low, nudged_high = _nudged(low, high, lowest, highest)
    below, above = x < nudged_low, x > nudged_high
    dx, dlow, dhigh = tangents[:3]
    return _fake_quant(*primals), jnp.where(below, dlow, jnp.where(above, dhigh, dx))


class Quantizer:
    """Base class of quantizers, which turn tensors into integers; it returns its input.

    Args:
        output_dtype: Dtype of the integers.

    Example:
        >>> Quantizer()(3)
        3
    """

    def __init__(self, output_dtype: str = "int8"):
        self.output_dtype = output_dtype

    def __call__(self, x: Any) -> Any:
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON; subclasses implement it."""
        raise NotImplementedError(f"{type(self).__name__} must implement `get_config` to be saved.")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a quantizer made from the result of `get_config`."""
        return cls(**config)


class AbsMaxQuantizer(Quantizer):
    """Quantizes tensors with `abs_max_quantize`.

    Args:
        axis: Axis or axes that share a scale, unless the call passes `axis`. Default: the last.
        value_range: Lowest and highest integer.
        epsilon: Added to the largest magnitude.
        output_dtype: Dtype of the integers.

    Raises:
        ValueError: If `axis` is not an integer or a list of integers, or `value_range` is not two
            integers in increasing order.

    Example:
        >>> integers, scale = AbsMaxQuantizer(axis=0)(np.array([[1.0], [-2.0]], "float32"))
        >>> integers.tolist()
        [[64], [-127]]
    """

    def __init__(
        self, axis: Axis = None, value_range: tuple[int, int] = (-127, 127), epsilon: float = 1e-7,
        output_dtype: str = "int8",
    ):  # fmt: skip
        super().__init__(output_dtype)
        self.axis = (
            None if axis is None else tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
        )
        self.epsilon = epsilon
        if any(isinstance(a, bool) or not hasattr(a, "__index__") for a in self.axis or ()):
            raise ValueError(
                f"AbsMaxQuantizer: `axis` must be an integer or a list of integers, received"
                f" {axis!r}."
            )
        if len(value_range) != 2 or not value_range[0] < value_range[1]:
            raise ValueError(
                "AbsMaxQuantizer: `value_range` must be two integers, the smaller first, received"
                f" {value_range!r}."
            )
        self.value_range = (value_range[0], value_range[1])

    def __call__(self, x: Any, axis: Any = None, to_numpy: bool = False) -> tuple[Any, Any]:
        """Return integers and their scale; `axis` overrides the quantizer's `axis`."""
        axis = (self.axis or -1) if axis is None else axis
        rank = len(np.shape(x) if not hasattr(x, "shape") else x.shape)
        for a in axis if isinstance(axis, (list, tuple)) else (axis,):
            if not -rank <= a < rank:
                raise ValueError(
                    f"AbsMaxQuantizer: `axis` must lie between {-rank} and {rank - 1} for a tensor"
                    f" of {rank} dimensions, received {axis!r}. Set the axis in the constructor or"
                    " in the call."
                )
        return abs_max_quantize(
            x, axis, self.value_range, self.output_dtype, self.epsilon, to_numpy
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = {
            "value_range": self.value_range,
            "epsilon": self.epsilon,
            "output_dtype": self.output_dtype,
        }
        return config if self.axis is None else {**config, "axis": self.axis}
