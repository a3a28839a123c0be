"""Elements of a `Dataset`: arrays, or tuples and dictionaries of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam.data.adapters import columns_of, is_table, plain
from hornbeam.data.lazy import LazyArray

__all__ = [
    "add_place", "arrays_of", "concatenated", "leaves", "map_leaves", "pad", "rows_of", "stack",
]  # fmt: skip


def map_leaves(function: Callable[..., Any], *elements: Any) -> Any:
    """Apply a function to each array of the elements. A list counts as an array.

    Example:
        >>> map_leaves(len, ([1, 2], {"a": [3]}))
        (2, {'a': 1})
    """
    first = elements[0]
    if isinstance(first, tuple):
        parts = [map_leaves(function, *parts) for parts in zip(*elements, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    if isinstance(first, Mapping):
        return {key: map_leaves(function, *(element[key] for element in elements)) for key in first}
    return function(*elements)


def leaves(element: Any) -> list[Any]:
    """Return the arrays of an element, in order.

    Example:
        >>> leaves(({"a": 1}, 2))
        [1, 2]
    """
    found: list[Any] = []
    map_leaves(found.append, element)
    return found


def arrays_of(data: Any, name: str) -> Any:
    """Convert the parts of data to arrays with the same number of rows.

    Args:
        data: Arrays, nested lists, tables, or tuples and dictionaries of them.
        name: Name of the function, for error messages.

    Raises:
        ValueError: If a part cannot become an array, or the parts have different numbers of rows.

    Example:
        >>> arrays_of(([1, 2], {"a": [[3], [4]]}), "from_tensor_slices")[1]["a"].shape
        (2, 1)
    """

    def one(a: Any) -> Any:
        a = plain(a)
        if isinstance(a, (np.ndarray, LazyArray)) and a.ndim:
            return a
        try:
            array = a.to_numpy() if hasattr(a, "to_numpy") else np.asarray(a)
        except ValueError as error:
            raise ValueError(
                f"Dataset.{name}: rows of different shapes cannot form an array: {error} Pad the"
                " rows, or use `from_generator` and `padded_batch`."
            ) from None
        if not array.ndim:
            raise ValueError(f"Dataset.{name}: expected arrays with rows, received {a!r:.60}.")
        return array

    if is_table(data):
        data = dict(columns_of(data))
    elif hasattr(data, "columns") and hasattr(data, "to_numpy"):
        data = {column: data[column] for column in data.columns}
    arrays = map_leaves(one, data)
    rows_of(arrays, name)
    return arrays


def rows_of(element: Any, name: str = "unbatch") -> int:
    """Return the number of rows of an element, which must be the same in all its arrays.

    Raises:
        ValueError: If the arrays have different numbers of rows, or there is no array with rows.

    Example:
        >>> rows_of((np.zeros((3, 2)), np.zeros(3)))
        3
    """
    counts = [len(a) if np.ndim(a) else None for a in leaves(element)]
    if not counts or None in counts or len(set(counts)) > 1:
        shapes = ", ".join(str(np.shape(a)) for a in leaves(element)) or "nothing"
        raise ValueError(
            f"Dataset.{name}: all arrays must have the same number of rows, received shapes"
            f" {shapes}."
        )
    return counts[0]  # type: ignore[return-value]


def _check_structure(batch: Sequence[Any], name: str, first: int) -> None:
    def kind(element: Any) -> Any:
        if isinstance(element, tuple):
            return tuple(kind(part) for part in element)
        if isinstance(element, Mapping):
            return {key: kind(value) for key, value in element.items()}
        return None

    if type(batch[0]) is tuple and not any(isinstance(p, (tuple, Mapping)) for p in batch[0]):
        length = len(batch[0])
        if all(type(element) is tuple and len(element) == length for element in batch):
            return  # the usual case, quickly
    expected = kind(batch[0])
    for number, element in enumerate(batch[1:], 1):
        if kind(element) != expected:
            raise ValueError(
                f"Dataset.{name}: element {first + number} has a different structure from element"
                f" {first}: {element!r:.80} and {batch[0]!r:.80}."
            )


def stack(batch: Sequence[Any], first: int = 0) -> Any:
    """Stack elements along a new first axis.

    A class of other elements than arrays has a class method `stacked`. Bytes become objects,
    because an array of bytes of one length would lose zeros at their ends.

    Args:
        batch: Elements with the same structure.
        first: Number of the first element, for error messages.

    Raises:
        ValueError: If the structures or shapes differ.

    Example:
        >>> stack([(1, [2, 3]), (4, [5, 6])])
        (array([1, 4]), array([[2, 3],
               [5, 6]]))
    """
    if isinstance(batch[0], (tuple, Mapping)):
        _check_structure(batch, "batch", first)

    def one(*parts: Any) -> np.ndarray:
        if all(isinstance(part, (np.generic, int, float)) for part in parts):
            return np.asarray(parts)
        if hasattr(type(parts[0]), "stacked"):
            return type(parts[0]).stacked(parts)
        if type(parts[0]) is bytes:
            return np.array(parts, object)
        arrays = [np.asarray(part) for part in parts]
        shape = arrays[0].shape
        for number, array in enumerate(arrays):
            if array.shape != shape:
                raise ValueError(
                    f"Dataset.batch: element {first + number} has shape {array.shape}, and element"
                    f" {first} has shape {shape}. Use `padded_batch`, or make the shapes equal with"
                    " `map`."
                )
        return np.stack(arrays)

    return map_leaves(one, *batch)


def pad(batch: Sequence[Any], shapes: Any, values: Any, name: str = "padded_batch") -> Any:
    """Pad elements at their ends to a common shape, then stack them.

    Args:
        batch: Elements with the same structure.
        shapes: Shapes in the same structure. `None` in a shape, or for all shapes, means the
            largest size in the batch.
        values: Padding values in the same structure, or one value for all arrays. `None` means 0,
            or the empty string for text.
        name: Name of the function, for error messages.

    Raises:
        ValueError: If an element is larger than its shape, or the elements have different ranks.

    Example:
        >>> pad([[1], [2, 3]], None, None)
        array([[1, 0],
               [2, 3]])
    """
    _check_structure(batch, name, 0)
    places = leaves(batch[0])
    wanted = _per_leaf(batch[0], shapes, len(places), name, "padded_shapes", is_shape=True)
    fills = _per_leaf(batch[0], values, len(places), name, "padding_values", is_shape=False)
    settings = iter(zip(wanted, fills, strict=True))

    def one(*parts: Any) -> np.ndarray:
        shape, fill = next(settings)
        arrays = [np.asarray(part) for part in parts]
        rank = arrays[0].ndim
        if any(array.ndim != rank for array in arrays):
            raise ValueError(
                f"Dataset.{name}: elements must have the same rank, received shapes"
                f" {sorted({array.shape for array in arrays})}."
            )
        largest = tuple(max(array.shape[axis] for array in arrays) for axis in range(rank))
        shape = (None,) * rank if shape is None else tuple(shape)
        shape = (
            tuple(
                n if wish is None or wish == -1 else wish
                for n, wish in zip(largest, shape, strict=True)
            )
            if len(shape) == rank
            else shape
        )
        if len(shape) != rank or any(n > size for n, size in zip(largest, shape, strict=True)):
            raise ValueError(
                f"Dataset.{name}: an element of shape {largest} does not fit `padded_shapes`"
                f" {shape}."
            )
        dtype = np.result_type(*arrays)
        empty: Any = {"U": "", "S": b"", "O": b""}.get(dtype.kind, 0)
        result = np.full((len(arrays), *shape), empty if fill is None else fill, dtype)
        for row, array in enumerate(arrays):
            place: Any = (row, *(slice(n) for n in array.shape))
            result[place] = array
        return result

    return map_leaves(one, *batch)


def _per_leaf(
    element: Any, given: Any, count: int, name: str, argument: str, is_shape: bool
) -> list[Any]:
    """Return the setting of each array of an element."""
    if given is None or not isinstance(element, (tuple, Mapping)):
        return [given] * count
    if not is_shape and not isinstance(given, (tuple, Mapping)):
        return [given] * count
    found: list[Any] = []
    try:
        map_leaves(lambda _, setting: found.append(setting), element, given)
    except (ValueError, TypeError, KeyError, IndexError):
        raise ValueError(
            f"Dataset.{name}: `{argument}` must have the structure of an element, received"
            f" {given!r:.80}."
        ) from None
    return found


def concatenated(batches: Sequence[Any]) -> Any:
    """Concatenate batches along the first axis.

    Example:
        >>> concatenated([np.array([1, 2]), np.array([3])])
        array([1, 2, 3])
    """
    if len(batches) == 1:
        return batches[0]
    return map_leaves(lambda *parts: np.concatenate([np.asarray(p) for p in parts]), *batches)


def add_place(error: Exception, stage: str, number: int) -> None:
    """Add a note to an error of the user's function: the stage and element where it occurred."""
    error.add_note(f"This was raised in Dataset.{stage}, for element {number}.")
