"""Parts of training data: `(x, y, sample_weight)`, and two parts of a data set."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from hornbeam.data.adapters import is_array, is_table, refuse_mistakes
from hornbeam.data.dataset import Dataset
from hornbeam.data.elements import arrays_of
from hornbeam.data.lazy import part
from hornbeam.data.py_dataset import PyDataset

__all__ = ["pack_x_y_sample_weight", "split_dataset", "unpack_x_y_sample_weight"]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return inputs, targets and weights as `fit` takes them from a data set.

    Returns:
        `x` if the others are `None` (a tuple of one if `x` is a tuple or list), else `(x, y)` or
        `(x, y, sample_weight)`.

    Example:
        >>> pack_x_y_sample_weight(1, 2)
        (1, 2)
    """
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (tuple, list)) else x


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return the inputs, targets and weights of a batch; `None` for those that it lacks.

    Args:
        data: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    Raises:
        ValueError: If it is an empty tuple, or one of more than three.

    Example:
        >>> unpack_x_y_sample_weight((1, 2))
        (1, 2, None)
    """
    data = tuple(data) if isinstance(data, list) else data
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "unpack_x_y_sample_weight: `data` must be `x`, `(x,)`, `(x, y)` or `(x, y,"
            f" sample_weight)`, received a tuple of {len(data)}."
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def split_dataset(
    dataset: Any, left_size: float | None = None, right_size: float | None = None,
    shuffle: bool = False, seed: int | None = None, preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:  # fmt: skip
    """Return two parts of a data set.

    Args:
        dataset: Arrays, or a tuple, list or dictionary of arrays; a `Dataset`, a `PyDataset`, a
            data loader of PyTorch or another iterable. Other data than arrays are read into memory.
        left_size, right_size: Number of samples of each part, or a fraction. Default: the rest.
        shuffle: Whether the samples are shuffled first.
        seed: Seed of the shuffle.
        preferred_backend: Ignored; kept for Keras's signature.

    Raises:
        TypeError: If `dataset` or a size is something else.
        ValueError: If no size is given, or the sizes do not fit.

    Example:
        >>> left, right = split_dataset(np.arange(5), left_size=0.6)
        >>> [int(n) for n in left], [int(n) for n in right]
        ([0, 1, 2], [3, 4])
    """
    rows, elements = _samples(dataset)
    total = len(elements) if rows is None else len(jax.tree.leaves(rows)[0])
    left, right = _sizes(total, left_size, right_size)
    order = list(range(total))
    if shuffle:
        seed = random.randint(0, 10**6) if seed is None else seed
        random.Random(seed).shuffle(order)
    parts = order[:left], order[total - right :]
    if rows is not None:
        return _rows_at(rows, parts[0]), _rows_at(rows, parts[1])
    return _elements_at(elements, parts[0]), _elements_at(elements, parts[1])


def _rows_at(rows: Any, numbers: Sequence[int]) -> Dataset:
    index = np.asarray(numbers, int)
    if len(index) and (np.diff(index) == 1).all():  # arrays in files are not read
        first, end = int(index[0]), int(index[-1]) + 1
        return Dataset.from_tensor_slices(jax.tree.map(lambda a: part(a, first, end), rows))
    return Dataset.from_tensor_slices(jax.tree.map(lambda a: a[index], rows))


def _elements_at(elements: Sequence[Any], numbers: Sequence[int]) -> Dataset:
    return Dataset.from_elements([elements[number] for number in numbers])


def _samples(dataset: Any) -> tuple[Any, Any]:
    """Return a structure of arrays, or else a list of elements."""
    refuse_mistakes(dataset, "dataset")
    if isinstance(dataset, Dataset):
        return None, list(dataset.elements(0, 0))
    if isinstance(dataset, PyDataset):
        if dataset.num_batches is None:
            raise ValueError("split_dataset: `dataset` has no end.")
        return None, [dataset[number] for number in range(dataset.num_batches)]
    if is_array(dataset) or is_table(dataset):
        return arrays_of(dataset, "split_dataset"), None
    if isinstance(dataset, (tuple, list, dict)) or hasattr(dataset, "__array__"):
        is_list = isinstance(dataset, list) and all(hasattr(part, "shape") for part in dataset)
        return arrays_of(tuple(dataset) if is_list else dataset, "split_dataset"), None
    if hasattr(dataset, "__iter__"):
        return None, list(dataset)
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return None, [dataset[number] for number in range(len(dataset))]
    raise TypeError(
        f"split_dataset: `dataset` must be arrays or a data set, received {type(dataset).__name__}."
    )


def _sizes(total: int, left: Any, right: Any) -> tuple[int, int]:
    """Return the numbers of samples of both parts."""
    if left is None and right is None:
        raise ValueError("split_dataset: pass `left_size` or `right_size`.")
    counts: list[Any] = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            counts.append(None)
            continue
        if isinstance(size, bool) or not isinstance(size, (int, float, np.integer, np.floating)):
            raise TypeError(
                f"split_dataset: `{name}` must be an integer or a fraction, received {size!r}."
            )
        is_count = isinstance(size, (int, np.integer))
        if not 0 < size < (total if is_count else 1):
            raise ValueError(
                f"split_dataset: `{name}` must be an integer from 1 to {total - 1}, or a fraction"
                f" between 0 and 1, received {size!r}."
            )
        counts.append(int(size) if is_count else round(size * total))
    first, second = counts
    first = total - second if first is None else first
    second = total - first if second is None else second
    fractions = [size for size in (left, right) if isinstance(size, (float, np.floating))]
    if first + second > total or sum(fractions) > 1 or not first or not second:
        raise ValueError(
            f"split_dataset: `left_size`={left} and `right_size`={right} make parts of {first} and"
            f" {second} samples; there are {total}, and each part needs at least one."
        )
    return first, second
