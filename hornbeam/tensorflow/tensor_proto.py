"""Tensors as bytes: `tf.io.serialize_tensor` and `tf.io.parse_tensor`."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.errors import FileError
from hornbeam.tensorflow.host import dtype_name
from hornbeam.tensorflow.ragged import tensor
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings
from hornbeam.tensorflow.wire import bytes_field, fields, floats_of, integers_of, number_field

__all__ = ["parse_tensor", "serialize_tensor"]

_DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string",
    8: "complex64", 9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 18: "complex128",
    19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
_NUMBERS = {name: number for number, name in _DTYPES.items()}
_FLOATS = {5: "<f4", 6: "<f8"}  # fields of lists of floating-point numbers
_INTEGERS = (7, 10, 11, 16, 17)  # fields of lists of integers


def _numpy_dtype(name: str) -> np.dtype:
    return np.dtype(jnp.bfloat16 if name == "bfloat16" else name)


def serialize_tensor(tensor: Any, name: str | None = None) -> StringTensor:
    """Return a tensor as bytes, in the message `TensorProto`.

    Example:
        >>> parse_tensor(serialize_tensor([1, 2]), "int32").tolist()
        [1, 2]
    """
    x = _tensor(tensor)
    array = x.array if isinstance(x, StringTensor) else np.asarray(x)
    sizes = b"".join(bytes_field(2, number_field(1, n) if n else b"") for n in array.shape)
    parts = [number_field(1, _NUMBERS[dtype_name(x.dtype)]), bytes_field(2, sizes)]
    if isinstance(x, StringTensor):
        parts += [bytes_field(8, text) for text in array.reshape(-1).tolist()]
    elif array.size:
        parts.append(bytes_field(4, array.astype(array.dtype.newbyteorder("<")).tobytes()))
    return StringTensor(b"".join(parts))


_tensor = tensor


def _shape_of(part: Any) -> tuple[int, ...]:
    sizes = []
    for number, axis in fields(part):
        if number == 2:
            found = [value for field, value in fields(axis) if field == 1]
            sizes.append(int(found[-1]) if found else 0)
    return tuple(sizes)


def parse_tensor(serialized: Any, out_type: Any, name: str | None = None) -> Any:
    """Return a tensor from its bytes.

    Args:
        serialized: A tensor of one text.
        out_type: The tensor's dtype.
        name: Ignored.

    Raises:
        ValueError: If the tensor has another dtype.
        FileError: If the bytes are damaged.
    """
    shape: tuple[int, ...] = ()
    number, content = 0, None
    lists: dict[int, list[Any]] = {}
    for field, value in fields(as_strings(serialized, "serialized").numpy()):
        if field in (2, 4) and isinstance(value, int):
            raise FileError("parse_tensor: the bytes are damaged.")
        if field == 1:
            number = value
        elif field == 2:
            shape = _shape_of(value)
        elif field == 4:
            content = value
        else:
            lists.setdefault(field, []).append(value)
    if number not in _DTYPES:
        raise FileError(f"parse_tensor: the bytes are damaged: there is no dtype {number}.")
    dtype = _DTYPES[number]
    if dtype != dtype_name(out_type):
        raise ValueError(
            f"parse_tensor: the tensor has dtype {dtype}, but `out_type` is {dtype_name(out_type)}."
        )
    count = math.prod(shape)
    values = _texts(lists) if dtype == "string" else _numbers(dtype, content, lists, count)
    if len(values) != count:
        raise FileError(
            f"parse_tensor: the bytes are damaged: {len(values)} values do not have shape {shape}."
        )
    return tensor(values.reshape(shape))


def _texts(lists: dict[int, list[Any]]) -> np.ndarray:
    parts = lists.get(8, [])
    if any(isinstance(part, int) for part in parts):
        raise FileError("parse_tensor: the bytes are damaged.")
    found = np.empty(len(parts), object)
    found[:] = [bytes(part) for part in parts]
    return found


def _numbers(dtype: str, content: Any, lists: dict[int, list[Any]], count: int) -> np.ndarray:
    kind = _numpy_dtype(dtype)
    if content is not None:
        if len(content) % kind.itemsize:
            raise FileError("parse_tensor: the bytes are damaged.")
        return np.frombuffer(content, kind.newbyteorder("<")).astype(kind)
    for field, parts in lists.items():
        if field in _FLOATS:
            found = floats_of(parts, _FLOATS[field]).astype(kind)
        elif field in _INTEGERS:
            found = integers_of(parts).astype(kind)
        else:
            continue
        # A single value stands for as many as the shape has; the bytes themselves stay small.
        if len(found) == 1 and 1 < count <= 2**26:
            return np.repeat(found, count)
        return found
    return np.zeros(0, kind)
