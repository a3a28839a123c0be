"""Reading and writing elements by index, sorting and searching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.convert import convert, with_values
from hornbeam.core.op import op
from hornbeam.core.sparse import is_sparse
from hornbeam.dtypes import standardize_dtype
from hornbeam.optional import jax_sparse
from hornbeam.typing import DType, Tensor

__all__ = [
    "argpartition", "argsort", "bincount", "digitize", "get_item", "histogram", "in_top_k",
    "multi_hot", "nonzero", "one_hot", "scatter", "scatter_update", "searchsorted", "slice",
    "slice_update", "sort", "take", "take_along_axis", "top_k", "unique", "unravel_index",
]  # fmt: skip

_slice = slice


@op("numpy")
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Return the slices along `axis` at `indices`.

    Args:
        x: Tensor.
        indices: Integers of any shape; negative ones count from the end.
        axis: Axis. Default: `x` is flattened first.

    Example:
        >>> take(jnp.array([5, 6]), jnp.array([1]))
        Array([6], dtype=int32)
    """
    return jnp.take(convert(x), convert(indices), axis)


@op("numpy")
def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Return the elements along `axis` at `indices`, such as those that `argsort` returns.

    Args:
        x: Tensor.
        indices: Integers, of as many axes as `x`.
        axis: Axis. Default: `x` is flattened first.

    Example:
        >>> take_along_axis(jnp.array([5, 6]), jnp.array([1]), 0)
        Array([6], dtype=int32)
    """
    return jnp.take_along_axis(convert(x), convert(indices), axis)


@op("numpy")
def get_item(x: Tensor, key: Tensor) -> Tensor:
    """Return `x[key]`, for a key of integers, slices, `None`, `...` or tensors.

    Example:
        >>> get_item(jnp.array([5, 6]), 1)
        Array(6, dtype=int32)
    """
    # Files store a tuple as a list.
    if isinstance(key, list) and any(k is None or k is ... or isinstance(k, _slice) for k in key):
        key = tuple(key)
    if isinstance(key, list):
        key = convert(key)
    return convert(x)[key]


def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: DType | None = None, sparse: bool = False
) -> Tensor:
    """Return vectors that are 1 at the index and 0 elsewhere; an index out of range gives zeros.

    Args:
        x: Integer tensor.
        num_classes: Size of the new axis.
        axis: Position of the new axis.
        dtype: Dtype. Default: `floatx()`.
        sparse: Whether to return a JAX `BCOO` array.

    Example:
        >>> one_hot(jnp.array([1]), 2)
        Array([[0., 1.]], dtype=float32)
    """
    return _one_hot(x, num_classes, axis, standardize_dtype(dtype), sparse)


@op("nn", "OneHot")
def _one_hot(
    x: Tensor, num_classes: int, axis: int = -1, dtype: DType | None = None, sparse: bool = False
) -> Tensor:
    x, dtype = convert(x), standardize_dtype(dtype)
    if sparse:
        return _one_hot_entries(x, num_classes, axis, dtype)
    return jax.nn.one_hot(x, num_classes, axis=axis, dtype=dtype)


def _one_hot_entries(x: Any, num_classes: int, axis: int, dtype: Any) -> Tensor:
    """Return the sparse tensor of `one_hot`: an entry for each index.

    Args:
        x: Integers.
        num_classes: Size of the new axis; other integers give zeros.
        axis: Position of the new axis.
        dtype: Dtype of the entries.
    """
    fits = ((x >= 0) & (x < num_classes)).reshape(-1)
    places = list(jnp.indices(x.shape).reshape(x.ndim, -1))
    axis %= x.ndim + 1
    places.insert(axis, jnp.where(fits, x.reshape(-1), num_classes))
    shape = list(x.shape)
    shape.insert(axis, num_classes)
    return jax_sparse().BCOO(
        (fits.astype(dtype), jnp.stack(places, axis=1).astype("int32")), shape=tuple(shape),
        unique_indices=True,
    )  # fmt: skip


def _entries_of(x: jax.Array, most: int) -> Tensor:
    """Return a dense array as a sparse tensor with at most `most` entries."""
    return jax_sparse().BCOO.fromdense(x, nse=max(min(most, int(np.prod(x.shape))), 1))


@op("nn")
def multi_hot(
    inputs: Tensor, num_classes: int | None = None, axis: int = -1, dtype: DType | None = None,
    sparse: bool = False, **kwargs: Any,
) -> Tensor:  # fmt: skip
    """Return vectors that are 1 at each of the indices along the last axis.

    Args:
        inputs: Integer tensor (..., n).
        num_classes: Size of the class axis of the result.
        axis: Position of that axis.
        dtype: Dtype. Default: `floatx()`.
        sparse: Whether to return a JAX `BCOO` array.
        **kwargs: `num_tokens`, an older name of `num_classes`.

    Raises:
        ValueError: If `num_classes` is missing.

    Example:
        >>> multi_hot(jnp.array([0, 2]), 3)
        Array([1., 0., 1.], dtype=float32)
    """
    count = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    if kwargs:
        raise TypeError(f"multi_hot: unexpected arguments {sorted(kwargs)}.")
    if count is None:
        raise ValueError("multi_hot: `num_classes` must be an integer, received None.")
    inputs = convert(inputs).astype("int32")
    over = 1 if inputs.ndim > 1 else 0
    hot = jax.nn.one_hot(inputs, count, axis=axis, dtype=standardize_dtype(dtype))
    hot = jnp.max(hot, axis=over)
    return _entries_of(hot, inputs.size) if sparse else hot


@op("core")
def scatter(indices: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    """Return a tensor of zeros with values added at some positions.

    Args:
        indices: (..., n), positions along the first n axes of the result; values at equal positions
            add up.
        values: (..., *the other axes).
        shape: Shape of the result.

    Example:
        >>> scatter(jnp.array([[1]]), jnp.array([5.0]), (3,))
        Array([0., 5., 0.], dtype=float32)
    """
    values = convert(values)
    return jnp.zeros(shape, values.dtype).at[_positions(indices)].add(values)


def _positions(indices: Any) -> tuple[Any, ...]:
    return tuple(jnp.moveaxis(convert(indices), -1, 0))


@op("core")
def scatter_update(
    inputs: Tensor, indices: Tensor, updates: Tensor, reduction: str | None = None
) -> Tensor:
    """Return `inputs` with new values at some positions.

    Args:
        inputs: Tensor.
        indices: (..., n), positions along the first n axes of `inputs`.
        updates: (..., *the other axes).
        reduction: How old and new values combine: `"add"`, `"max"`, `"min"` or `"mul"`. Default:
            new replace old.

    Raises:
        ValueError: If `reduction` is unknown.

    Example:
        >>> scatter_update(jnp.zeros(2), jnp.array([[1]]), jnp.array([3.0]))
        Array([0., 3.], dtype=float32)
    """
    if reduction not in (None, "add", "max", "min", "mul"):
        raise ValueError(
            "scatter_update: `reduction` must be None, 'add', 'max', 'min' or 'mul', received"
            f" {reduction!r}."
        )
    inputs = convert(inputs)
    return getattr(inputs.at[_positions(indices)], reduction or "set")(
        convert(updates).astype(inputs.dtype)
    )


@op("core")
def slice(inputs: Tensor, start_indices: Tensor, shape: Sequence[int]) -> Tensor:
    """Return a block of a tensor.

    Args:
        inputs: Tensor.
        start_indices: Start of the block along each axis; it may be traced.
        shape: Sizes of the block; -1 for everything up to the end of an axis.

    Example:
        >>> slice(jnp.arange(4), [1], [2])
        Array([1, 2], dtype=int32)
    """
    inputs = convert(inputs)
    starts = start_indices if isinstance(start_indices, (list, tuple)) else convert(start_indices)
    sizes = [
        inputs.shape[i] - int(starts[i]) if size == -1 else size for i, size in enumerate(shape)
    ]
    return jax.lax.dynamic_slice(inputs, list(starts), sizes)


@op("core")
def slice_update(inputs: Tensor, start_indices: Tensor, updates: Tensor) -> Tensor:
    """Return `inputs` with the block that starts at `start_indices` replaced by `updates`.

    Example:
        >>> slice_update(jnp.zeros(3), [1], jnp.ones(2))
        Array([0., 1., 1.], dtype=float32)
    """
    starts = start_indices if isinstance(start_indices, (list, tuple)) else convert(start_indices)
    inputs = convert(inputs)
    return jax.lax.dynamic_update_slice(inputs, convert(updates).astype(inputs.dtype), list(starts))


@op("numpy")
def sort(x: Tensor, axis: int = -1) -> Tensor:
    """Return the elements in ascending order along `axis`.

    Example:
        >>> sort(jnp.array([2, 1]))
        Array([1, 2], dtype=int32)
    """
    return jnp.sort(convert(x), axis)


@op("numpy")
def argsort(x: Tensor, axis: int | None = -1) -> Tensor:
    """Return the indices that sort `x` along `axis`; `None` sorts the flattened tensor.

    Example:
        >>> argsort(jnp.array([2, 1]))
        Array([1, 0], dtype=int32)
    """
    x = convert(x)
    return jnp.argsort(x.ravel() if axis is None else x, axis=-1 if axis is None else axis)


@op("numpy")
def argpartition(x: Tensor, kth: int, axis: int | None = -1) -> Tensor:
    """Return indices that move element `kth` to its sorted position, smaller ones before it.

    If `axis` is `None`, the tensor is flattened first.

    Example:
        >>> int(argpartition(jnp.array([3, 1, 2]), 0)[0])
        1
    """
    x = convert(x)
    return jnp.argpartition(jnp.ravel(x) if axis is None else x, kth, -1 if axis is None else axis)


@op("math")
def top_k(x: Tensor, k: int, sorted: bool = True) -> Tensor:
    """Return the `k` largest values along the last axis, and their indices.

    Args:
        x: Tensor.
        k: Number of values.
        sorted: Kept for Keras's signature; the result is sorted either way.

    Example:
        >>> top_k(jnp.array([1, 3, 2]), 2)
        (Array([3, 2], dtype=int32), Array([1, 2], dtype=int32))
    """
    values, indices = jax.lax.top_k(convert(x), k)
    return values, indices


@op("math")
def in_top_k(targets: Tensor, predictions: Tensor, k: int) -> Tensor:
    """Return whether each target class is among the `k` largest predictions; ties count as in.

    Args:
        targets: Class indices (B,).
        predictions: Scores (B, classes).
        k: Number of classes to look at.

    Example:
        >>> in_top_k(jnp.array([1]), jnp.array([[0.1, 0.9]]), 1)
        Array([ True], dtype=bool)
    """
    targets, predictions = convert(targets), convert(predictions)
    own = jnp.take_along_axis(predictions, targets[:, None], axis=-1)
    ahead = jnp.sum(predictions > own, axis=-1)
    return jnp.logical_and(ahead < k, jnp.isfinite(own[:, 0]))


@op("numpy", "SearchSorted")
def searchsorted(sorted_sequence: Tensor, values: Tensor, side: str = "left") -> Tensor:
    """Return the positions at which values keep an ascending vector in order.

    Args:
        sorted_sequence: Vector (N,).
        values: Tensor of any shape.
        side: Position among equal elements: `"left"` is before them, `"right"` after.

    Raises:
        ValueError: If `sorted_sequence` is not a vector.

    Example:
        >>> searchsorted(jnp.array([1, 3]), jnp.array([2]))
        Array([1], dtype=int32)
    """
    sequence = convert(sorted_sequence)
    if sequence.ndim != 1:
        raise ValueError(
            f"searchsorted: `sorted_sequence` must be a vector, received shape {sequence.shape}."
        )
    return jnp.searchsorted(sequence, convert(values), side=side)


@op("numpy")
def digitize(x: Tensor, bins: Tensor) -> Tensor:
    """Return the index of each element's bin; `bins` (N,) are the ascending edges.

    Example:
        >>> digitize(jnp.array([0.5]), jnp.array([0.0, 1.0]))
        Array([1], dtype=int32)
    """
    return jnp.digitize(convert(x), convert(bins))


@op("numpy")
def histogram(x: Tensor, bins: int = 10, range: tuple[float, float] | None = None) -> Tensor:
    """Return the counts of elements per bin (bins,), as int32, and the bins' edges (bins + 1,).

    Args:
        x: Tensor.
        bins: Number of bins, of equal width.
        range: Pair of the smallest and the largest edge. Default: that of the elements.

    Example:
        >>> histogram(jnp.array([0.0, 1.0]), 2)[0].tolist()
        [1, 1]
    """
    x = convert(x)
    counts, edges = jnp.histogram(x, bins=bins, range=range)
    return counts.astype("int32"), edges


@op("numpy")
def bincount(x: Tensor, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """Count how often each integer occurs along the last axis.

    Args:
        x: Non-negative integers, (N,) or (B, N).
        weights: Weight of each element, which is added instead of 1.
        minlength: Smallest length of the result; its length if `x` is traced.
        sparse: Whether to return a JAX `BCOO` array.

    Example:
        >>> bincount(jnp.array([0, 2, 2]))
        Array([1, 0, 2], dtype=int32)
    """
    sparse = sparse or is_sparse(x)
    x = convert(x)
    traced = isinstance(x, jax.core.Tracer)
    length = minlength if traced else max(minlength, int(x.max()) + 1 if x.size else 0)
    if weights is not None:
        weights = convert(weights)
    if x.ndim == 1:
        counts = jnp.bincount(x, weights, length=length)
    else:
        rows = [
            jnp.bincount(row, None if weights is None else weights[i], length=length)
            for i, row in enumerate(x)
        ]
        counts = jnp.stack(rows)
    return _entries_of(counts, x.size) if sparse else counts


@op("numpy")
def nonzero(x: Tensor) -> Tensor:
    """Return the indices of the nonzero elements, one int32 vector for each axis.

    Example:
        >>> nonzero(jnp.array([0, 5]))
        (Array([1], dtype=int32),)
    """
    return jnp.nonzero(with_values(x, "nonzero", "`ops.where(condition, x1, x2)` keeps the shape"))


@op("numpy")
def unique(
    x: Tensor, sorted: bool = True, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, size: int | None = None,
    fill_value: Any = None,
) -> Tensor:  # fmt: skip
    """Return the distinct elements, or the distinct slices along `axis`, in ascending order.

    Args:
        x: Tensor.
        sorted: Kept for Keras's signature; the result is sorted either way.
        return_index: Whether to return the index of the first occurrence of each too.
        return_inverse: Whether to return the index of each element in the result too.
        return_counts: Whether to return the number of occurrences of each too.
        axis: Axis. Default: `x` is flattened.
        size: Length of the result, required while `x` is traced.
        fill_value: Value that fills the result up to `size`. Default: the smallest element.

    Example:
        >>> unique(jnp.array([2, 1, 2]))
        Array([1, 2], dtype=int32)
    """
    if size is None:
        x = with_values(x, "unique", "Give `size`, the length of the result")
    found = jnp.unique(
        convert(x), return_index=return_index, return_inverse=return_inverse,
        return_counts=return_counts, axis=axis, size=size, fill_value=fill_value,
    )  # fmt: skip
    return tuple(found) if isinstance(found, tuple) else found


@op("numpy")
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> Tensor:
    """Convert indices into a flattened tensor of shape `shape` to indices along each of its axes.

    Example:
        >>> unravel_index(jnp.array([3]), (2, 2))
        (Array([1], dtype=int32), Array([1], dtype=int32))
    """
    return tuple(
        jnp.unravel_index(convert(indices), (shape,) if isinstance(shape, int) else tuple(shape))
    )
