"""Arrays: making, joining, cutting and indexing them, with TensorFlow's arguments."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import ops
from hornbeam.core.convert import with_values
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.dtypes import is_float
from hornbeam.tensorflow.dtypes import cast, device_dtype
from hornbeam.tensorflow.functions import static, tensor
from hornbeam.tensorflow.host import HostTensor, TensorShape, as_host, dtype_name
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings, holds_text

__all__ = [
    "bitcast", "broadcast_dynamic_shape", "broadcast_static_shape", "broadcast_to",
    "clip_by_global_norm", "clip_by_norm", "clip_by_value", "complex", "concat", "constant",
    "convert_to_tensor", "dynamic_partition", "dynamic_stitch", "ensure_shape", "expand_dims",
    "eye", "fill", "identity", "identity_n", "is_symbolic_tensor", "is_tensor", "linspace",
    "meshgrid", "one_hot", "ones", "ones_like", "pad", "range", "rank", "repeat", "reshape",
    "reverse", "reverse_sequence", "roll", "sequence_mask", "shape", "shape_n", "size", "slice",
    "split", "squeeze", "stack", "stop_gradient", "strided_slice", "tile", "transpose", "unstack",
    "zeros", "zeros_like",
]  # fmt: skip

_slice, _range, _complex = slice, range, complex


# --- making ------------------------------------------------------------------------------------


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = "Const") -> Any:
    """Return numbers or texts as a tensor.

    Args:
        value: A number, a text, nested lists or an array.
        dtype: Dtype. Default: that of the value.
        shape: Shape. A single number fills it.

    Example:
        >>> constant(1.5, shape=(2,))
        Array([1.5, 1.5], dtype=float32)
    """
    if isinstance(value, KerasTensor):
        raise TypeError(f"constant: {value!r} is symbolic and has no value. Use it as it is.")
    x = convert_to_tensor(value, dtype)
    if shape is None:
        return x
    sizes = static(shape)
    array = x.array if isinstance(x, StringTensor) else x
    array = np.broadcast_to(array, sizes) if x.size == 1 else array.reshape(sizes)
    return StringTensor(array) if isinstance(x, StringTensor) else jnp.asarray(array)


def convert_to_tensor(
    value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None
) -> Any:
    """Return numbers or texts as a tensor; a symbolic tensor stays one.

    Example:
        >>> convert_to_tensor([1, 2])
        Array([1, 2], dtype=int32)
    """
    if isinstance(value, StringTensor) or holds_text(value):
        return as_strings(value)
    if dtype is not None and device_dtype(dtype) == "string":
        return as_strings(value)
    if dtype is None and isinstance(value, (list, tuple)) and any_tensor(value):
        return stack([convert_to_tensor(v) for v in value])
    if dtype is None and isinstance(value, bool):
        return tensor(np.asarray(value))
    return tensor(value, None if dtype is None else device_dtype(dtype))


def any_tensor(values: Any) -> bool:
    """Return whether a list holds tensors, or lists of tensors.

    Example:
        >>> any_tensor([1, [jnp.ones(())]]), any_tensor([1, 2])
        (True, False)
    """
    return any(
        any_tensor(v) if isinstance(v, (list, tuple)) else isinstance(v, (jax.Array, KerasTensor))
        for v in values
    )


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = static(shape)
    return sizes if isinstance(sizes, tuple) else (sizes,)


def zeros(shape: Any, dtype: Any = "float32", name: Any = None, layout: Any = None) -> Any:
    """Return zeros.

    Example:
        >>> zeros([2], "int32")
        Array([0, 0], dtype=int32)
    """
    if device_dtype(dtype) == "string":
        return StringTensor(np.full(_sizes(shape), b""))
    return ops.zeros(_sizes(shape), device_dtype(dtype))


def ones(shape: Any, dtype: Any = "float32", name: Any = None, layout: Any = None) -> Any:
    """Return ones."""
    return ops.ones(_sizes(shape), device_dtype(dtype))


def zeros_like(input: Any, dtype: Any = None, name: Any = None, layout: Any = None) -> Any:
    """Return zeros in the shape of a tensor."""
    return ops.zeros_like(tensor(input), None if dtype is None else device_dtype(dtype))


def ones_like(input: Any, dtype: Any = None, name: Any = None, layout: Any = None) -> Any:
    """Return ones in the shape of a tensor."""
    return ops.ones_like(tensor(input), None if dtype is None else device_dtype(dtype))


def fill(dims: Any, value: Any, name: Any = None, layout: Any = None) -> Any:
    """Return an array filled with one value."""
    if holds_text(value):
        return StringTensor(np.full(_sizes(dims), as_strings(value).numpy()))
    value = tensor(value)
    return ops.full(_sizes(dims), value, value.dtype)


def eye(
    num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = "float32",
    name: Any = None,
) -> Any:  # fmt: skip
    """Return an identity matrix, or a batch of them."""
    columns = None if num_columns is None else int(num_columns)
    x = ops.eye(int(num_rows), columns, dtype=device_dtype(dtype))
    return x if batch_shape is None else ops.broadcast_to(x, (*_sizes(batch_shape), *x.shape))


def range(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: Any = "range"
) -> Any:
    """Return the numbers from `start` up to `limit`, without it.

    Example:
        >>> range(3), range(1, 2, 0.5)
        (Array([0, 1, 2], dtype=int32), Array([1. , 1.5], dtype=float32))
    """
    if limit is None:
        start, limit = 0, start
    numbers = [static(n) for n in (start, limit, delta)]
    wanted = None if dtype is None else device_dtype(dtype)
    if wanted is None and any(isinstance(n, float) for n in numbers):
        wanted = "float32"
    return ops.arange(numbers[0], numbers[1], numbers[2], dtype=wanted or "int32")


def linspace(start: Any, stop: Any, num: Any, name: Any = None, axis: int = 0) -> Any:
    """Return `num` numbers at equal distances, the last one being `stop`."""
    start, stop = tensor(start), tensor(stop)
    if not is_float(device_dtype(start.dtype)):
        start, stop = cast(start, "float32"), cast(stop, "float32")
    return ops.linspace(start, stop, int(num), axis=axis)


def one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None,
    dtype: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return vectors with `on_value` at an index and `off_value` elsewhere."""
    wanted = device_dtype(dtype) if dtype is not None else None
    if wanted is None:
        given = on_value if on_value is not None else off_value
        wanted = "float32" if given is None else device_dtype(tensor(given).dtype)
    axis = -1 if axis is None else axis
    x = ops.one_hot(tensor(indices), int(depth), axis=axis, dtype="bool")
    on = tensor(1 if on_value is None else on_value, wanted)
    off = tensor(0 if off_value is None else off_value, wanted)
    return ops.where(x, on, off)


def complex(real: Any, imag: Any, name: Any = None) -> Any:
    """Return complex numbers from their parts."""
    return jax.lax.complex(*jnp.broadcast_arrays(tensor(real), tensor(imag)))


def meshgrid(*args: Any, **kwargs: Any) -> Any:
    """Return grids of coordinates; `indexing` is `"xy"` or `"ij"`."""
    indexing = kwargs.pop("indexing", "xy")
    return list(ops.meshgrid(*map(tensor, args), indexing=indexing))


def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = "bool", name: Any = None) -> Any:
    """Return a mask that is true for the first positions of each row."""
    lengths = tensor(lengths)
    n = int(jnp.max(lengths)) if maxlen is None else int(maxlen)
    return cast(ops.less(jnp.arange(n), ops.expand_dims(lengths, -1)), dtype)


# --- shapes ------------------------------------------------------------------------------------


def shape(input: Any, out_type: Any = None, name: Any = None) -> Any:
    """Return the sizes of the axes, as numbers on the host.

    The sizes of a symbolic tensor are a tuple, with `None` where one is unknown.

    Example:
        >>> shape(jnp.ones((2, 3)))[0] + 1
        <tf.Tensor: shape=(), dtype=int32, numpy=3>
    """
    if isinstance(input, KerasTensor):
        return TensorShape(input.shape)
    sizes = input.shape if hasattr(input, "shape") else np.shape(input)
    return as_host(np.asarray(tuple(sizes), dtype_name(out_type or "int32")))


def shape_n(input: Any, out_type: Any = "int32", name: Any = None) -> list[Any]:
    """Return the shape of each tensor of a list."""
    return [shape(x, out_type) for x in input]


def size(input: Any, out_type: Any = None, name: Any = None) -> Any:
    """Return the number of elements."""
    if isinstance(input, KerasTensor):
        return ops.size(input)
    return as_host(np.prod(shape(input).numpy(), dtype=dtype_name(out_type or "int32")))


def rank(input: Any, name: Any = None) -> Any:
    """Return the number of axes."""
    return as_host(np.int32(len(input.shape if hasattr(input, "shape") else np.shape(input))))


def reshape(tensor: Any, shape: Any, name: Any = None) -> Any:
    """Return the elements in another shape; one size may be -1.

    Example:
        >>> reshape([1, 2, 3, 4], [2, -1]).shape
        (2, 2)
    """
    if holds_text(tensor):
        return StringTensor(as_strings(tensor).array.reshape(_sizes(shape)))
    return ops.reshape(_tensor(tensor), _sizes(shape))


_tensor = tensor


def expand_dims(input: Any, axis: Any, name: Any = None) -> Any:
    """Return a tensor with a new axis of size 1."""
    if holds_text(input):
        return StringTensor(np.expand_dims(as_strings(input).array, static(axis)))
    return ops.expand_dims(tensor(input), static(axis))


def squeeze(input: Any, axis: Any = None, name: Any = None) -> Any:
    """Return a tensor without axes of size 1."""
    if holds_text(input):
        return StringTensor(np.squeeze(as_strings(input).array, static(axis)))
    return ops.squeeze(tensor(input), static(axis) or None if axis == [] else static(axis))


def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: Any = "transpose") -> Any:
    """Return a tensor with its axes in another order, by default reversed."""
    x = ops.transpose(tensor(a), static(perm))
    return ops.conj(x) if conjugate else x


def broadcast_to(input: Any, shape: Any, name: Any = None) -> Any:
    """Return a tensor repeated along axes of size 1."""
    return ops.broadcast_to(tensor(input), _sizes(shape))


def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    """Return the shape of the sum of tensors of two shapes."""
    return TensorShape(np.broadcast_shapes(tuple(shape_x), tuple(shape_y)))


def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Any:
    """Return the shape of the sum of tensors of two shapes, as a tensor."""
    return as_host(np.asarray(np.broadcast_shapes(static(shape_x), static(shape_y)), "int32"))


def ensure_shape(x: Any, shape: Any, name: Any = None) -> Any:
    """Return a tensor as it is if it has this shape; `None` stands for any size.

    Raises:
        ValueError: If the shapes differ.
    """
    if shape is not None and not TensorShape(x.shape).is_compatible_with(TensorShape(shape)):
        raise ValueError(f"ensure_shape: expected shape {tuple(shape)}, received {tuple(x.shape)}.")
    return x


# --- joining and cutting -----------------------------------------------------------------------


def concat(values: Any, axis: Any, name: Any = "concat") -> Any:
    """Return tensors joined along an axis."""
    values = values if isinstance(values, (list, tuple)) else [values]
    if any(holds_text(x) for x in values):
        return StringTensor(np.concatenate([as_strings(x).array for x in values], int(axis)))
    return ops.concatenate([tensor(x) for x in values], int(static(axis)))


def stack(values: Any, axis: int = 0, name: Any = "stack") -> Any:
    """Return tensors joined along a new axis."""
    if isinstance(values, (list, tuple)) and any(holds_text(x) for x in values):
        return StringTensor(np.stack([as_strings(x).array for x in values], axis))
    values = values if isinstance(values, (list, tuple)) else list(tensor(values))
    return ops.stack([tensor(x) for x in values], axis)


def unstack(value: Any, num: int | None = None, axis: int = 0, name: Any = "unstack") -> list[Any]:
    """Return the parts of a tensor along an axis."""
    return list(ops.unstack(tensor(value), num, axis))


def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None, name: Any = "split"
) -> list[Any]:
    """Return a tensor cut along an axis, into a number of equal parts or into parts of given sizes.

    Example:
        >>> [x.tolist() for x in split([1, 2, 3], [1, -1])]
        [[1], [2, 3]]
    """
    x, parts, axis = tensor(value), static(num_or_size_splits), int(static(axis))
    if isinstance(parts, tuple):
        if -1 in parts:
            rest = x.shape[axis] - sum(parts) - 1
            parts = tuple(rest if n == -1 else n for n in parts)
        parts = tuple(int(n) for n in np.cumsum(parts[:-1]))
    return list(ops.split(x, parts, axis))


def tile(input: Any, multiples: Any, name: Any = None) -> Any:
    """Return a tensor repeated along each axis."""
    if holds_text(input):
        return StringTensor(np.tile(as_strings(input).array, static(multiples)))
    return ops.tile(tensor(input), static(multiples))


def repeat(input: Any, repeats: Any, axis: Any = None, name: Any = None) -> Any:
    """Return a tensor with each element repeated."""
    counts = static(repeats)
    counts = np.asarray(counts) if isinstance(counts, tuple) else counts
    return ops.repeat(tensor(input), counts, axis)


def roll(input: Any, shift: Any, axis: Any, name: Any = None) -> Any:
    """Return a tensor with its elements moved along axes, around the end."""
    return ops.roll(tensor(input), static(shift), static(axis))


def reverse(tensor: Any, axis: Any, name: Any = None) -> Any:
    """Return a tensor with its elements in reverse order along axes."""
    return ops.flip(_tensor(tensor), static(axis))


def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: Any = None
) -> Any:
    """Return a tensor with values added at the start and the end of each axis."""
    mode = mode.lower()
    values = {"constant_values": constant_values} if mode == "constant" else {}
    return ops.pad(_tensor(tensor), static(paddings), mode, **values)


def slice(input_: Any, begin: Any, size: Any, name: Any = None) -> Any:
    """Return the part of a tensor from `begin` on; a size of -1 takes all that follows."""
    x = tensor(input_)
    starts, sizes = _sizes(begin), _sizes(size)
    if not any(isinstance(n, jax.core.Tracer) for n in starts):
        return x[
            tuple(_slice(b, None if n == -1 else b + n) for b, n in zip(starts, sizes, strict=True))
        ]
    sizes = tuple(d if n == -1 else n for n, d in zip(sizes, x.shape, strict=True))
    return jax.lax.dynamic_slice(x, starts, sizes)


def strided_slice(
    input_: Any, begin: Any, end: Any, strides: Any = None, begin_mask: int = 0, end_mask: int = 0,
    ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0, var: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return part of a tensor, as `x[begin:end:strides]`; a bit of a mask stands for an axis."""
    first, last = _sizes(begin), _sizes(end)
    steps = (1,) * len(first) if strides is None else _sizes(strides)
    key: list[Any] = []
    for i, (b, e, s) in enumerate(zip(first, last, steps, strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit:
            key.append(...)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(b)
        else:
            key.append(_slice(None if begin_mask & bit else b, None if end_mask & bit else e, s))
    return tensor(input_)[tuple(key)]


def dynamic_partition(data: Any, partitions: Any, num_partitions: int, name: Any = None) -> Any:
    """Return the rows of each of `num_partitions` groups."""
    groups = with_values(partitions, "dynamic_partition", "mask the rows instead")
    return [tensor(data)[groups == i] for i in _range(num_partitions)]


def dynamic_stitch(indices: Any, data: Any, name: Any = None) -> Any:
    """Return rows at given positions; the opposite of `dynamic_partition`."""
    where = jnp.concatenate([tensor(i).reshape(-1) for i in indices])
    rows = [tensor(x) for x in data]
    inner = rows[0].shape[tensor(indices[0]).ndim :]
    joined = jnp.concatenate([x.reshape(-1, *inner) for x in rows])
    return jnp.zeros((int(where.max()) + 1, *inner), joined.dtype).at[where].set(joined)


def reverse_sequence(
    input: Any, seq_lengths: Any, seq_axis: int | None = None, batch_axis: int | None = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return a tensor with the first `seq_lengths` positions of each row in reverse order."""
    x, lengths = tensor(input), tensor(seq_lengths)
    axis, rows = 0 if seq_axis is None else seq_axis, batch_axis or 0
    position = jnp.arange(x.shape[axis])
    turned = jnp.where(position < lengths[:, None], lengths[:, None] - 1 - position, position)
    moved = jnp.moveaxis(x, (rows, axis), (0, 1))
    index = turned.reshape(*turned.shape, *[1] * (x.ndim - 2))
    return jnp.moveaxis(jnp.take_along_axis(moved, index, 1), (0, 1), (rows, axis))


# --- other -------------------------------------------------------------------------------------


def identity(input: Any, name: Any = None) -> Any:
    """Return a tensor with the same numbers."""
    if isinstance(input, StringTensor) or holds_text(input):
        return as_strings(input)
    return ops.copy(tensor(input))


def identity_n(input: Any, name: Any = None) -> list[Any]:
    """Return tensors with the same numbers."""
    return [identity(x) for x in input]


def stop_gradient(input: Any, name: Any = None) -> Any:
    """Return a tensor that gradients take for a constant."""
    return ops.stop_gradient(tensor(input))


def is_tensor(x: Any) -> bool:
    """Return whether `x` is a tensor or a variable."""
    return isinstance(x, (jax.Array, KerasTensor, Variable, StringTensor, HostTensor))


def is_symbolic_tensor(tensor: Any) -> bool:
    """Return whether a tensor has no values."""
    return isinstance(tensor, (KerasTensor, jax.core.Tracer))


def bitcast(input: Any, type: Any, name: Any = None) -> Any:
    """Return a tensor whose bits are read as another dtype."""
    return jax.lax.bitcast_convert_type(tensor(input), device_dtype(type))


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Any:
    """Return a tensor with its values limited to a range."""
    return ops.clip(tensor(t), tensor(clip_value_min), tensor(clip_value_max))


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: Any = None) -> Any:
    """Return a tensor with its Euclidean norm limited."""
    x = tensor(t)
    total = ops.sum(ops.square(x), axis=static(axes), keepdims=True)
    norm = ops.sqrt(ops.where(total > 0, total, ops.ones_like(total)))
    norm = ops.where(total > 0, norm, total)
    return x * clip_norm / ops.maximum(norm, clip_norm)


def clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: Any = None
) -> tuple[list[Any], Any]:
    """Return tensors with their common Euclidean norm limited, and the norm before."""
    if use_norm is None:
        squares = [ops.sum(ops.square(tensor(t))) for t in t_list if t is not None]
        use_norm = ops.sqrt(sum(squares[1:], squares[0]))
    factor = clip_norm / ops.maximum(use_norm, clip_norm)
    return [None if t is None else tensor(t) * factor for t in t_list], use_norm
