"""`tf.sets`: the last axis of tensors as sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbeam.tensorflow.host import as_host
from hornbeam.tensorflow.ragged import tensor
from hornbeam.tensorflow.sparse_tensor import SparseTensor
from hornbeam.tensorflow.string_tensor import StringTensor

__all__ = ["difference", "intersection", "size", "union"]


def _sets(x: Any) -> tuple[tuple[int, ...], dict[tuple[int, ...], set[Any]]]:
    """Return the shape of the sets of a tensor, and each set by its place."""
    if isinstance(x, SparseTensor):
        shape = tuple(x.shape[:-1])
        found: dict[tuple[int, ...], set[Any]] = {place: set() for place in np.ndindex(shape)}
        values = np.asarray(x.values).tolist()
        for place, value in zip(np.asarray(x.indices).tolist(), values, strict=True):
            found[tuple(place[:-1])].add(value)
        return shape, found
    array = np.asarray(tensor(x))
    if not array.ndim:
        raise ValueError("tf.sets: a tensor needs an axis, whose values are a set.")
    shape = array.shape[:-1]
    return shape, {place: set(array[place].tolist()) for place in np.ndindex(shape)}


def _combined(a: Any, b: Any, function: Any, name: str) -> SparseTensor:
    shape, first = _sets(a)
    other, second = _sets(b)
    if shape != other:
        raise ValueError(f"sets.{name}: the shapes of sets differ: {shape} and {other}.")
    rows = {place: sorted(function(first[place], second[place])) for place in first}
    indices = [[*place, i] for place, row in rows.items() for i in range(len(row))]
    values = [value for row in rows.values() for value in row]
    like = a.values if isinstance(a, SparseTensor) else tensor(a)
    if isinstance(like, StringTensor):
        kept: Any = StringTensor(np.array([*values, None], object)[:-1])
    else:
        kept = np.array(values, like.dtype)
    places = np.array(indices, "int64").reshape(-1, len(shape) + 1)
    return SparseTensor(places, kept, [*shape, max(map(len, rows.values()), default=0)])


def union(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """Return the union of the sets in the last axes, in order.

    Example:
        >>> union([[1, 2]], [[2, 3]]).values.tolist()
        [1, 2, 3]
    """
    return _combined(a, b, set.union, "union")


def intersection(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """Return what is in both of the sets in the last axes, in order."""
    return _combined(a, b, set.intersection, "intersection")


def difference(a: Any, b: Any, aminusb: bool = True, validate_indices: bool = True) -> SparseTensor:
    """Return what is only in the first of the sets; only in the second if not `aminusb`."""
    return _combined(a, b, lambda x, y: x - y if aminusb else y - x, "difference")


def size(a: Any, validate_indices: bool = True) -> Any:
    """Return the sizes of the sets in the last axis of a sparse tensor.

    Raises:
        TypeError: If the tensor is not sparse.
    """
    if not isinstance(a, SparseTensor):
        raise TypeError("sets.size: expected a SparseTensor, as `union` and its siblings return.")
    shape, found = _sets(a)
    sizes = np.zeros(shape, "int32")
    for place, values in found.items():
        sizes[place] = len(values)
    return as_host(sizes)
