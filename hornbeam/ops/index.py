"""Reading and writing elements by index; order and search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.convert import convert, with_values
from hornbeam.core.op import op
from hornbeam.dtypes import standardize_dtype
from hornbeam.typing import Tensor

__all__ = [
    "argpartition", "argsort", "bincount", "digitize", "get_item", "histogram", "in_top_k", "multi_hot", "nonzero",
    "one_hot", "scatter", "scatter_update", "searchsorted", "slice", "slice_update", "sort", "take",
    "take_along_axis", "top_k", "unique", "unravel_index",
]  # fmt: skip

_slice = slice


@op("numpy")
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Take elements (slices along `axis`) by index; indices may be negative.

    Example:
        >>> take(jnp.array([5, 6]), jnp.array([1]))
        Array([6], dtype=int32)
    """
    return jnp.take(convert(x), convert(indices), axis)


@op("numpy")
def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Take elements along `axis` by indices of `x`'s rank, such as `argsort` gives them.

    Example:
        >>> take_along_axis(jnp.array([5, 6]), jnp.array([1]), 0)
        Array([6], dtype=int32)
    """
    return jnp.take_along_axis(convert(x), convert(indices), axis)


@op("numpy")
def get_item(x: Tensor, key: Tensor) -> Tensor:
    """Return `x[key]`.

    Example:
        >>> get_item(jnp.array([5, 6]), 1)
        Array(6, dtype=int32)
    """
    # A tuple that went through a file comes back as a list.
    if isinstance(key, list) and any(k is None or k is ... or isinstance(k, _slice) for k in key):
        key = tuple(key)
    if isinstance(key, list):
        key = convert(key)
    return convert(x)[key]


def one_hot(x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Any:
    """Return vectors that are 1 at the index and 0 elsewhere; an index out of range gives zeros.

    Args:
        x: Integer tensor.
        num_classes: Size of the new axis.
        axis: Where the new axis stands.
        dtype: Dtype. Default: `floatx()`.
        sparse: Must be false; sparse tensors are not supported.

    Example:
        >>> one_hot(jnp.array([1]), 2)
        Array([[0., 1.]], dtype=float32)
    """
    if sparse:
        raise ValueError("one_hot: sparse tensors are not supported; leave `sparse` false.")
    return _one_hot(x, num_classes, axis, standardize_dtype(dtype), sparse)


@op("nn", "OneHot")
def _one_hot(x: Tensor, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Tensor:
    return jax.nn.one_hot(convert(x), num_classes, axis=axis, dtype=standardize_dtype(dtype))


@op("nn")
def multi_hot(
    inputs: Tensor, num_classes: int | None = None, axis: int = -1, dtype: Any = None, sparse: bool = False,
    **kwargs: Any,
) -> Tensor:  # fmt: skip
    """Return vectors that are 1 at each of the indices along the last axis.

    Args:
        inputs: Integer tensor (..., n).
        num_classes: Size of the result's class axis.
        axis: Where that axis stands.
        dtype: Dtype. Default: `floatx()`.
        sparse: Must be false.
        **kwargs: `num_tokens`, an older name of `num_classes`.

    Example:
        >>> multi_hot(jnp.array([0, 2]), 3)
        Array([1., 0., 1.], dtype=float32)
    """
    if sparse:
        raise ValueError("multi_hot: sparse tensors are not supported; leave `sparse` false.")
    count = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    if kwargs:
        raise TypeError(f"multi_hot: unexpected arguments {sorted(kwargs)}.")
    if count is None:
        raise ValueError("multi_hot: give `num_classes`.")
    inputs = convert(inputs).astype("int32")
    over = 1 if inputs.ndim > 1 else 0
    hot = jax.nn.one_hot(inputs, count, axis=axis, dtype=standardize_dtype(dtype))
    return jnp.max(hot, axis=over)


@op("core")
def scatter(indices: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    """Return zeros of `shape` with `values` added at `indices` (..., n), n leading axes indexed.

    Example:
        >>> scatter(jnp.array([[1]]), jnp.array([5.0]), (3,))
        Array([0., 5., 0.], dtype=float32)
    """
    values = convert(values)
    return jnp.zeros(shape, values.dtype).at[_positions(indices)].add(values)


def _positions(indices: Any) -> tuple[Any, ...]:
    return tuple(jnp.moveaxis(convert(indices), -1, 0))


@op("core")
def scatter_update(inputs: Tensor, indices: Tensor, updates: Tensor, reduction: str | None = None) -> Tensor:
    """Return `inputs` with the elements at `indices` (..., n) replaced.

    Args:
        inputs: Tensor.
        indices: Integer tensor whose last axis indexes the first n axes of `inputs`.
        updates: Values.
        reduction: `None` replaces; `"add"`, `"max"`, `"min"`, `"mul"` combine.

    Raises:
        ValueError: If `reduction` is none of these.

    Example:
        >>> scatter_update(jnp.zeros(2), jnp.array([[1]]), jnp.array([3.0]))
        Array([0., 3.], dtype=float32)
    """
    if reduction not in (None, "add", "max", "min", "mul"):
        raise ValueError(
            f"scatter_update: `reduction` must be None, 'add', 'max', 'min' or 'mul', received {reduction!r}."
        )
    inputs = convert(inputs)
    return getattr(inputs.at[_positions(indices)], reduction or "set")(convert(updates).astype(inputs.dtype))


@op("core")
def slice(inputs: Tensor, start_indices: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the block of `shape` that starts at `start_indices` (they may be traced).

    Example:
        >>> slice(jnp.arange(4), [1], [2])
        Array([1, 2], dtype=int32)
    """
    inputs = convert(inputs)
    starts = start_indices if isinstance(start_indices, (list, tuple)) else convert(start_indices)
    # -1 reaches to the end of an axis.
    sizes = [inputs.shape[i] - int(starts[i]) if size == -1 else size for i, size in enumerate(shape)]
    return jax.lax.dynamic_slice(inputs, list(starts), sizes)


@op("core")
def slice_update(inputs: Tensor, start_indices: Tensor, updates: Tensor) -> Tensor:
    """Return `inputs` with the block at `start_indices` replaced by `updates`.

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
    """Return the indices that sort `x` along `axis` (`None`: of the flat tensor).

    Example:
        >>> argsort(jnp.array([2, 1]))
        Array([1, 0], dtype=int32)
    """
    x = convert(x)
    return jnp.argsort(x.ravel() if axis is None else x, axis=-1 if axis is None else axis)


@op("numpy")
def argpartition(x: Tensor, kth: int, axis: int = -1) -> Tensor:
    """Return indices that put element `kth` in its sorted place, smaller ones before it.

    Example:
        >>> int(argpartition(jnp.array([3, 1, 2]), 0)[0])
        1
    """
    return jnp.argpartition(convert(x), kth, axis)


@op("math")
def top_k(x: Tensor, k: int, sorted: bool = True) -> Tensor:
    """Return the `k` greatest values along the last axis and their indices.

    Args:
        x: Tensor.
        k: How many.
        sorted: Kept for Keras's signature; the result is sorted either way.

    Example:
        >>> top_k(jnp.array([1, 3, 2]), 2)
        (Array([3, 2], dtype=int32), Array([1, 2], dtype=int32))
    """
    values, indices = jax.lax.top_k(convert(x), k)
    return values, indices


@op("math")
def in_top_k(targets: Tensor, predictions: Tensor, k: int) -> Tensor:
    """Tell for each row of `predictions` whether its target class is among the `k` greatest.

    Example:
        >>> in_top_k(jnp.array([1]), jnp.array([[0.1, 0.9]]), 1)
        Array([ True], dtype=bool)
    """
    targets, predictions = convert(targets), convert(predictions)
    own = jnp.take_along_axis(predictions, targets[:, None], axis=-1)
    # Ties count as in.
    ahead = jnp.sum(predictions > own, axis=-1)
    return jnp.logical_and(ahead < k, jnp.isfinite(own[:, 0]))


@op("numpy", "SearchSorted")
def searchsorted(sorted_sequence: Tensor, values: Tensor, side: str = "left") -> Tensor:
    """Return where `values` would go into an ascending vector.

    Example:
        >>> searchsorted(jnp.array([1, 3]), jnp.array([2]))
        Array([1], dtype=int32)
    """
    sequence = convert(sorted_sequence)
    if sequence.ndim != 1:
        raise ValueError(f"searchsorted: `sorted_sequence` must be a vector, received shape {sequence.shape}.")
    return jnp.searchsorted(sequence, convert(values), side=side)


@op("numpy")
def digitize(x: Tensor, bins: Tensor) -> Tensor:
    """Return the index of the bin of each element; `bins` are the ascending edges.

    Example:
        >>> digitize(jnp.array([0.5]), jnp.array([0.0, 1.0]))
        Array([1], dtype=int32)
    """
    return jnp.digitize(convert(x), convert(bins))


@op("numpy")
def histogram(x: Tensor, bins: int = 10, range: Any = None) -> Tensor:
    """Return counts by bin, and the bins' edges.

    Args:
        x: Tensor.
        bins: How many bins.
        range: Pair (least, greatest). Default: that of `x`.

    Example:
        >>> histogram(jnp.array([0.0, 1.0]), 2)[0].tolist()
        [1, 1]
    """
    x = convert(x)
    counts, edges = jnp.histogram(x, bins=bins, range=range)
    return counts.astype("int32"), edges


@op("numpy")
def bincount(x: Tensor, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """Return how often each integer occurs, along the last axis.

    Args:
        x: Tensor of non-negative integers, of rank 1 or 2.
        weights: Weight of each element.
        minlength: Least length of the result.
        sparse: Must be false.

    Example:
        >>> bincount(jnp.array([0, 2, 2]))
        Array([1, 0, 2], dtype=int32)
    """
    if sparse:
        raise ValueError("bincount: sparse tensors are not supported; leave `sparse` false.")
    x = convert(x)
    traced = isinstance(x, jax.core.Tracer)
    length = minlength if traced else max(minlength, int(x.max()) + 1 if x.size else 0)
    if weights is not None:
        weights = convert(weights)
    if x.ndim == 1:
        return jnp.bincount(x, weights, length=length)
    rows = [jnp.bincount(row, None if weights is None else weights[i], length=length) for i, row in enumerate(x)]
    return jnp.stack(rows)


@op("numpy")
def nonzero(x: Tensor) -> Tensor:
    """Return the indices of the elements that are not zero, one vector for each axis.

    Example:
        >>> nonzero(jnp.array([0, 5]))
        (Array([1], dtype=int32),)
    """
    return jnp.nonzero(with_values(x, "nonzero", "`ops.where(condition, x1, x2)` keeps the shape"))


@op("numpy")
def unique(
    x: Tensor, sorted: bool = True, return_index: bool = False, return_inverse: bool = False,
    return_counts: bool = False, axis: int | None = None, size: int | None = None, fill_value: Any = None,
) -> Tensor:  # fmt: skip
    """Return the distinct elements (slices along `axis`).

    Args:
        x: Tensor.
        sorted: Kept for Keras's signature; the result is sorted either way.
        return_index: Whether to return where each is first met.
        return_inverse: Whether to return each element's index in the result.
        return_counts: Whether to return how often each occurs.
        axis: Axis. Default: of the flat tensor.
        size: Length of the result, needed under tracing.
        fill_value: What fills up to `size`.

    Example:
        >>> unique(jnp.array([2, 1, 2]))
        Array([1, 2], dtype=int32)
    """
    if size is None:
        x = with_values(x, "unique", "Give `size`, the length of the result")
    found = jnp.unique(
        convert(x), return_index=return_index, return_inverse=return_inverse, return_counts=return_counts,
        axis=axis, size=size, fill_value=fill_value,
    )  # fmt: skip
    return tuple(found) if isinstance(found, tuple) else found


@op("numpy")
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> Tensor:
    """Return the indices along each axis of indices into the flat tensor.

    Example:
        >>> unravel_index(jnp.array([3]), (2, 2))
        (Array([1], dtype=int32), Array([1], dtype=int32))
    """
    return tuple(jnp.unravel_index(convert(indices), (shape,) if isinstance(shape, int) else tuple(shape)))
