"""Functions of arrays for tensors on the host: numbers by NumPy, ragged and sparse tensors.

Other tensors go to the functions of `arrays.py`, which run on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbeam.tensorflow import arrays, dtypes
from hornbeam.tensorflow.functions import static
from hornbeam.tensorflow.host import HostTensor, dtype_name, host_array
from hornbeam.tensorflow.ragged import RaggedTensor
from hornbeam.tensorflow.ragged import tensor as host_tensor
from hornbeam.tensorflow.sparse_tensor import SparseTensor

__all__ = ["cast", "concat", "expand_dims", "one_hot", "reshape", "squeeze", "stack", "transpose"]


def on_host(x: Any) -> bool:
    """Return whether something is a tensor of numbers on the host, not of the device."""
    return isinstance(x, HostTensor)


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """Return a tensor with its numbers in another dtype.

    Example:
        >>> cast(host_tensor([1.8, -2.2]), "int64")
        <tf.Tensor: shape=(2,), dtype=int64, numpy=array([ 1, -2])>
    """
    if isinstance(x, RaggedTensor):
        return x.with_flat_values(cast(x.flat_values, dtype))
    if isinstance(x, SparseTensor):
        return x.with_values(cast(x.values, dtype))
    wanted = dtype_name(dtype)
    if not on_host(x) or wanted in ("bfloat16", "string"):
        return dtypes.cast(x, dtype, name)
    with np.errstate(invalid="ignore"):
        return x.view(np.ndarray).astype(wanted).view(HostTensor)


def concat(values: Any, axis: Any, name: str = "concat") -> Any:
    """Return tensors joined along an axis; ragged ones row by row if it is not the first.

    Example:
        >>> rows = RaggedTensor.from_row_lengths([1, 2, 3], [2, 1])
        >>> concat([[[0], [0]], rows], axis=1).to_list()
        [[0, 1, 2], [0, 3]]
    """
    parts = values if isinstance(values, (list, tuple)) else [values]
    if any(isinstance(part, RaggedTensor) for part in parts):
        return _ragged_concat([host_tensor(part) for part in parts], int(static(axis)))
    if parts and all(map(on_host, parts)):
        plain = [part.view(np.ndarray) for part in parts]
        return np.concatenate(plain, int(static(axis))).view(HostTensor)
    return arrays.concat(values, axis, name)


def _ragged_concat(parts: Sequence[Any], axis: int) -> RaggedTensor:
    axis = axis % max(part.ndim for part in parts)
    if axis > 1:
        raise ValueError(f"concat: ragged tensors are joined on axis 0 or 1, received {axis}.")
    if axis == 0:
        return RaggedTensor.stacked([row for part in parts for row in part])
    rows = zip(*parts, strict=True)
    joined = [host_tensor(np.concatenate([np.asarray(part) for part in row])) for row in rows]
    return RaggedTensor.stacked(joined)


def expand_dims(input: Any, axis: Any, name: str | None = None) -> Any:
    """Return a tensor with a new axis of size 1; of a ragged one, the first axis."""
    if isinstance(input, RaggedTensor):
        if int(static(axis)) != 0:
            raise ValueError(f"expand_dims: of a ragged tensor `axis` must be 0, received {axis}.")
        return RaggedTensor(input, [0, len(input)])
    if on_host(input):
        return np.expand_dims(input.view(np.ndarray), static(axis)).view(HostTensor)
    return arrays.expand_dims(input, axis, name)


def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Any:
    """Return a tensor without axes of size 1."""
    if on_host(input):
        axes = static(axis)
        return np.squeeze(input.view(np.ndarray), None if axes == () else axes).view(HostTensor)
    return arrays.squeeze(input, axis, name)


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """Return the elements in another shape; one size may be -1."""
    if on_host(tensor):
        return tensor.view(np.ndarray).reshape(static(shape)).view(HostTensor)
    return arrays.reshape(tensor, shape, name)


def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str = "transpose") -> Any:
    """Return a tensor with its axes in another order, by default reversed."""
    if on_host(a) and not conjugate:
        return np.transpose(a.view(np.ndarray), static(perm)).view(HostTensor)
    return arrays.transpose(a, perm, conjugate, name)


def stack(values: Any, axis: int = 0, name: str = "stack") -> Any:
    """Return tensors joined along a new axis."""
    if isinstance(values, (list, tuple)) and values and all(map(on_host, values)):
        return np.stack([x.view(np.ndarray) for x in values], static(axis)).view(HostTensor)
    return arrays.stack(values, axis, name)


def one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None,
    dtype: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return vectors with `on_value` at an index and `off_value` elsewhere.

    Example:
        >>> one_hot(host_tensor(1), 3).numpy()
        array([0., 1., 0.], dtype=float32)
    """
    if not on_host(indices) or on_value is not None or off_value is not None:
        return arrays.one_hot(indices, depth, on_value, off_value, axis, dtype, name)
    kind = "float32" if dtype is None else dtype_name(dtype)
    found = host_array(indices)[..., None] == np.arange(int(depth))
    found = found if axis in (None, -1) else np.moveaxis(found, -1, int(axis))
    return found.astype(kind).view(HostTensor)
