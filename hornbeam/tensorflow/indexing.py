"""Indexing arrays: gathering, scattering, masking, sorting, with TensorFlow's arguments."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import ops
from hornbeam.core.convert import with_values
from hornbeam.tensorflow.dtypes import cast, device_dtype
from hornbeam.tensorflow.functions import static, tensor
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings, holds_text

__all__ = [
    "argsort", "boolean_mask", "gather", "gather_nd", "histogram_fixed_width", "scatter_nd",
    "searchsorted", "sort", "tensor_scatter_nd_add", "tensor_scatter_nd_max",
    "tensor_scatter_nd_min", "tensor_scatter_nd_sub", "tensor_scatter_nd_update", "unique",
    "unique_with_counts", "unravel_index", "where",
]  # fmt: skip

_tensor = tensor


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = static(shape)
    return sizes if isinstance(sizes, tuple) else (sizes,)


def gather(
    params: Any, indices: Any, validate_indices: Any = None, axis: Any = None, batch_dims: int = 0,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return the slices of `params` at `indices` along an axis.

    Args:
        params: Tensor of numbers or texts.
        indices: Integers.
        axis: Axis of `params`. Default: `batch_dims`.
        batch_dims: Number of first axes that both have.

    Example:
        >>> gather([[1, 2], [3, 4]], [1, 0], axis=1, batch_dims=1).tolist()
        [2, 3]
    """
    axis = batch_dims if axis is None else int(static(axis))
    if holds_text(params):
        return StringTensor(np.take(as_strings(params).array, np.asarray(indices), axis))
    x, indices = tensor(params), tensor(indices)
    if batch_dims == 0:
        return ops.take(x, indices, axis=axis)
    axis, batch_dims = axis % len(x.shape), batch_dims % (len(indices.shape) + 1)
    return _batched(lambda a, i: jnp.take(a, i, axis - batch_dims), x, indices, batch_dims)


def _batched(function: Any, x: Any, indices: Any, batch_dims: int) -> Any:
    for _ in range(batch_dims):
        function = jax.vmap(function)
    return function(x, indices)


def gather_nd(
    params: Any, indices: Any, batch_dims: int = 0, name: Any = None, bad_indices_policy: str = ""
) -> Any:
    """Return the elements or slices of `params` at the indices in the last axis of `indices`."""

    def one(x: Any, i: Any) -> Any:
        return x[tuple(jnp.moveaxis(i, -1, 0))]

    return _batched(one, tensor(params), tensor(indices), batch_dims)


def scatter_nd(
    indices: Any, updates: Any, shape: Any, name: Any = None, bad_indices_policy: str = ""
) -> Any:
    """Return zeros with `updates` added at `indices`."""
    return ops.scatter(tensor(indices), tensor(updates), _sizes(shape))


def _scattered(method: str) -> Any:
    """Return a function that changes a tensor at indices."""

    def run(
        tensor: Any, indices: Any, updates: Any, name: Any = None, bad_indices_policy: str = ""
    ) -> Any:
        place = _tensor(tensor).at[tuple(jnp.moveaxis(_tensor(indices), -1, 0))]
        updates = _tensor(updates)
        return place.add(-updates) if method == "sub" else getattr(place, method)(updates)

    run.__name__ = run.__qualname__ = f"tensor_scatter_nd_{'update' if method == 'set' else method}"
    return run


tensor_scatter_nd_update, tensor_scatter_nd_add = _scattered("set"), _scattered("add")
tensor_scatter_nd_sub = _scattered("sub")
tensor_scatter_nd_max, tensor_scatter_nd_min = _scattered("max"), _scattered("min")


def boolean_mask(tensor: Any, mask: Any, axis: Any = None, name: Any = "boolean_mask") -> Any:
    """Return the slices where a mask is true. In compiled code, use `where` instead."""
    chosen = with_values(mask, "boolean_mask", "use `tf.where(mask, x, 0)`")
    if holds_text(tensor):
        return StringTensor(as_strings(tensor).array[np.asarray(chosen)])
    key = (slice(None),) * int(axis or 0) + (np.asarray(chosen),)
    return _tensor(tensor)[key]


def where(condition: Any, x: Any = None, y: Any = None, name: Any = None) -> Any:
    """Return `x` where a condition holds and `y` elsewhere; without them, the places where it does.

    Example:
        >>> where([True, False, True]).tolist()
        [[0], [2]]
    """
    if x is None and y is None:
        chosen = with_values(condition, "where", "give `x` and `y`")
        return jnp.argwhere(chosen)
    if holds_text(x) or holds_text(y):
        return StringTensor(
            np.where(np.asarray(condition), as_strings(x).array, as_strings(y).array)
        )
    return ops.where(tensor(condition), x if np.isscalar(x) else tensor(x),
                     y if np.isscalar(y) else tensor(y))  # fmt: skip


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: Any = None) -> Any:
    """Return the values along an axis in order."""
    x = ops.sort(tensor(values), axis)
    return x if direction.upper() == "ASCENDING" else ops.flip(x, axis)


def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return the positions of the values along an axis in their order."""
    x = tensor(values)
    if direction.upper() == "ASCENDING":
        return cast(ops.argsort(x, axis), "int32")
    return jnp.argsort(x, axis, descending=True, stable=True).astype("int32")


def searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = "int32", name: Any = None
) -> Any:
    """Return where values belong in sorted rows."""
    rows, x = tensor(sorted_sequence), tensor(values)
    found = _batched(lambda a, v: jnp.searchsorted(a, v, side), rows, x, rows.ndim - 1)
    return cast(found, out_type)


def unique(x: Any, out_idx: Any = "int32", name: Any = None) -> Any:
    """Return the values in the order of their first occurrence, and the number of each element."""
    values, places, _ = _unique(x)
    return values, cast(places, out_idx)


def unique_with_counts(x: Any, out_idx: Any = "int32", name: Any = None) -> Any:
    """Return what `unique` does, and how often each value occurs."""
    values, places, counts = _unique(x)
    return values, cast(places, out_idx), cast(counts, out_idx)


def _unique(x: Any) -> tuple[Any, Any, Any]:
    array = as_strings(x).array if holds_text(x) else np.asarray(
        with_values(x, "unique", "call it outside of compiled code")
    )  # fmt: skip
    values, first, places, counts = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    number = np.argsort(order)
    kept = values[order]
    found = StringTensor(kept) if kept.dtype == object else jnp.asarray(kept)
    return found, jnp.asarray(number[places.reshape(-1)]), jnp.asarray(counts[order])


def unravel_index(indices: Any, dims: Any, name: Any = None) -> Any:
    """Return the coordinates of flat positions, one row per axis."""
    return jnp.stack(jnp.unravel_index(tensor(indices), _sizes(dims)))


def histogram_fixed_width(
    values: Any, value_range: Any, nbins: int = 100, dtype: Any = "int32", name: Any = None
) -> Any:
    """Return how many values lie in each of `nbins` equal parts of a range."""
    low, high = static(value_range)
    place = jnp.floor((tensor(values).reshape(-1) - low) / (high - low) * nbins)
    place = jnp.clip(place, 0, nbins - 1).astype("int32")
    return jnp.zeros(nbins, device_dtype(dtype)).at[place].add(1)
