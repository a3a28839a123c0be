"""`tf.sparse` and `tf.SparseTensor`: tensors given by the places of their values, on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.tensorflow.host import as_host, dtype_name, host_array
from hornbeam.tensorflow.ragged import tensor
from hornbeam.tensorflow.sparse_tensor import SparseTensor
from hornbeam.tensorflow.string_tensor import StringTensor

__all__ = [
    "SparseTensor", "concat", "eye", "from_dense", "map_values", "reduce_max", "reduce_sum",
    "reorder", "reshape", "retain", "slice", "sparse_dense_matmul", "to_dense", "transpose",
]  # fmt: skip


def to_dense(
    sp_input: Any, default_value: Any = None, validate_indices: bool = True,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Return a sparse tensor as a tensor.

    Args:
        sp_input: The sparse tensor; other tensors are returned as they are.
        default_value: Value of the other places. Default: 0, or an empty text.
        validate_indices: Whether the places must be in order and all different.
        name: Ignored.

    Raises:
        ValueError: If a place is outside of the tensor, or occurs twice or out of order.

    Example:
        >>> to_dense(SparseTensor([[1]], ["a"], [2])).numpy().tolist()
        [b'', b'a']
    """
    if not isinstance(sp_input, SparseTensor):
        return sp_input
    indices = np.asarray(sp_input.indices)
    shape = tuple(sp_input.shape)
    if len(indices) and ((indices < 0) | (indices >= np.array(shape))).any():
        raise ValueError(f"sparse.to_dense: a place is outside of the shape {shape}.")
    if validate_indices and len(indices) > 1:
        flat = np.ravel_multi_index(indices.T, shape)
        if (np.diff(flat) <= 0).any():
            raise ValueError(
                "sparse.to_dense: the `indices` are not in order, or occur twice. Call"
                " `tf.sparse.reorder` first, or pass `validate_indices=False`."
            )
    texts = isinstance(sp_input.values, StringTensor)
    fill = (b"" if texts else 0) if default_value is None else np.asarray(tensor(default_value))
    result = np.full(shape, fill, object if texts else sp_input.dtype)
    result[tuple(indices.T)] = np.asarray(sp_input.values)
    return tensor(result)


def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """Return the values of a tensor that are not zero.

    Example:
        >>> from_dense([[0, 5]]).indices.tolist()
        [[0, 1]]
    """
    x = _tensor(tensor)
    values = np.asarray(x)
    places = np.nonzero(values != (b"" if isinstance(x, StringTensor) else 0))
    return SparseTensor(np.stack(places, axis=1), values[places], values.shape)


_tensor = tensor


def reorder(sp_input: SparseTensor, name: str | None = None) -> SparseTensor:
    """Return the values in the order of their places.

    Example:
        >>> reorder(SparseTensor([[1], [0]], [5, 6], [2])).values.tolist()
        [6, 5]
    """
    order = np.lexsort(np.asarray(sp_input.indices).T[::-1])
    return SparseTensor(
        np.asarray(sp_input.indices)[order], np.asarray(sp_input.values)[order],
        sp_input.dense_shape,
    )  # fmt: skip


def sparse_dense_matmul(
    sp_a: Any, b: Any, adjoint_a: bool = False, adjoint_b: bool = False, name: str | None = None
) -> Any:
    """Return the product of a sparse and a dense matrix, on the device.

    Gradients flow to the dense matrix.

    Example:
        >>> sparse_dense_matmul(SparseTensor([[0, 1]], [2.0], [1, 2]), [[1.0], [3.0]]).tolist()
        [[6.0]]
    """
    if not isinstance(sp_a, SparseTensor):  # the dense matrix may come first
        swapped = sparse_dense_matmul(b, jnp.asarray(sp_a), not adjoint_b, not adjoint_a)
        return jnp.swapaxes(swapped, 0, 1)
    dense = jnp.asarray(getattr(b, "value", b))
    dense = jnp.conj(dense.T) if adjoint_b else dense
    rows, columns = np.asarray(sp_a.indices).T
    size = int(sp_a.dense_shape[0])
    if adjoint_a:
        rows, columns, size = columns, rows, int(sp_a.dense_shape[1])
    terms = jnp.asarray(np.asarray(sp_a.values))[:, None] * dense[columns]
    return jnp.zeros((size, dense.shape[1]), terms.dtype).at[rows].add(terms)


def transpose(sp_input: SparseTensor, perm: Any = None, name: str | None = None) -> SparseTensor:
    """Return a sparse tensor with its axes in another order.

    Example:
        >>> transpose(SparseTensor([[0, 1]], [5], [1, 3])).shape
        TensorShape([3, 1])
    """
    axes = list(perm) if perm is not None else list(range(sp_input.ndim))[::-1]
    shape = np.asarray(sp_input.dense_shape)[axes]
    found = SparseTensor(np.asarray(sp_input.indices)[:, axes], sp_input.values, shape)
    return reorder(found)


def reshape(sp_input: SparseTensor, shape: Any, name: str | None = None) -> SparseTensor:
    """Return a sparse tensor of another shape with as many places.

    Example:
        >>> reshape(SparseTensor([[0, 1]], [5], [1, 4]), [2, -1]).indices.tolist()
        [[0, 1]]
    """
    old, sizes = tuple(sp_input.shape), [int(n) for n in shape]
    if -1 in sizes:
        known = int(np.prod([n for n in sizes if n != -1]))
        sizes[sizes.index(-1)] = int(np.prod(old)) // max(known, 1)
    flat = np.ravel_multi_index(np.asarray(sp_input.indices).T, old)
    return SparseTensor(np.stack(np.unravel_index(flat, sizes), axis=1), sp_input.values, sizes)


def concat(
    axis: int, sp_inputs: Sequence[SparseTensor], expand_nonconcat_dims: bool = False,
    name: str | None = None,
) -> SparseTensor:  # fmt: skip
    """Return sparse tensors one after another on an axis."""
    shapes = np.stack([np.asarray(part.dense_shape) for part in sp_inputs])
    axis = axis % shapes.shape[1]
    others = np.delete(shapes, axis, axis=1)
    if not expand_nonconcat_dims and (others != others[0]).any():
        raise ValueError(
            f"sparse.concat: the shapes {shapes.tolist()} differ on other axes than {axis}. Pass"
            " `expand_nonconcat_dims=True`."
        )
    starts = np.cumsum([0, *shapes[:-1, axis]])
    moved = []
    for part, start in zip(sp_inputs, starts, strict=True):
        indices = np.array(part.indices)
        indices[:, axis] += start
        moved.append(indices)
    shape = shapes.max(axis=0)
    shape[axis] = shapes[:, axis].sum()
    values = np.concatenate([np.asarray(part.values) for part in sp_inputs])
    return reorder(SparseTensor(np.concatenate(moved), values, shape))


def slice(sp_input: SparseTensor, start: Any, size: Any, name: str | None = None) -> SparseTensor:
    """Return a part of a sparse tensor."""
    first = host_array(list(start))
    last = np.minimum(first + host_array(list(size)), np.asarray(sp_input.dense_shape))
    indices = np.asarray(sp_input.indices)
    kept = ((indices >= first) & (indices < last)).all(axis=1)
    return SparseTensor(indices[kept] - first, np.asarray(sp_input.values)[kept], last - first)


def retain(sp_input: SparseTensor, to_retain: Any) -> SparseTensor:
    """Return the values for which a mask is true."""
    kept = host_array(to_retain).astype(bool)
    indices, values = np.asarray(sp_input.indices), np.asarray(sp_input.values)
    return SparseTensor(indices[kept], values[kept], sp_input.dense_shape)


def map_values(op: Any, *args: Any, **kwargs: Any) -> SparseTensor:
    """Return a function of the values, at the same places.

    Example:
        >>> map_values(np.square, SparseTensor([[0]], [3.0], [1])).values.tolist()
        [9.0]
    """
    first = next(a for a in (*args, *kwargs.values()) if isinstance(a, SparseTensor))

    def flat(x: Any) -> Any:
        return x.values if isinstance(x, SparseTensor) else x

    return first.with_values(op(*map(flat, args), **{k: flat(v) for k, v in kwargs.items()}))


def reduce_sum(
    sp_input: SparseTensor, axis: Any = None, keepdims: bool | None = None,
    output_is_sparse: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Return the sums over axes, as a tensor; as a sparse one if `output_is_sparse`."""
    axis = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    dense = np.asarray(to_dense(reorder(sp_input)))
    found = as_host(np.sum(dense, axis=axis, keepdims=bool(keepdims), dtype=dense.dtype))
    return from_dense(found) if output_is_sparse else found


def reduce_max(
    sp_input: SparseTensor, axis: Any = None, keepdims: bool | None = None,
    output_is_sparse: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Return the largest of the values that are there, over axes; 0 where there are none."""
    axis = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    low = np.iinfo if np.dtype(sp_input.dtype).kind in "iu" else np.finfo
    least = low(sp_input.dtype).min  # type: ignore[call-overload]
    found = np.max(
        np.asarray(to_dense(reorder(sp_input), least)), axis=axis, keepdims=bool(keepdims)
    )
    found = as_host(np.where(found == least, 0, found).astype(sp_input.dtype))
    return from_dense(found) if output_is_sparse else found


def eye(
    num_rows: int, num_columns: int | None = None, dtype: Any = "float32", name: str | None = None
) -> SparseTensor:
    """Return a sparse matrix with ones on its diagonal.

    Example:
        >>> eye(2, 3).shape
        TensorShape([2, 3])
    """
    columns = num_rows if num_columns is None else num_columns
    count = min(num_rows, columns)
    places = np.stack([np.arange(count)] * 2, axis=1)
    return SparseTensor(places, np.ones(count, dtype_name(dtype)), [num_rows, columns])
