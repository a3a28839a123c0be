"""What `tf.data.Dataset` is made of: its options, its sources, and how elements are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from hornbeam.data import stages
from hornbeam.data.elements import map_leaves
from hornbeam.data.stages import Turn
from hornbeam.tensorflow.host import dtype_name, host_array
from hornbeam.tensorflow.pipeline import as_tensors, plain
from hornbeam.tensorflow.ragged import RaggedRow, RaggedTensor
from hornbeam.tensorflow.sparse_tensor import SparseTensor
from hornbeam.tensorflow.specs import TensorSpec
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings, holds_text

__all__ = [
    "Endless", "Numbered", "Options", "as_numpy", "filling", "fitting", "number", "ragged_row",
    "rows_to_slice", "signature_of",
]  # fmt: skip


class Options:
    """Settings of a data set. They are kept; the pipeline has none of its own."""

    def __init__(self) -> None:
        self.deterministic: bool | None = None
        for group in ("autotune", "experimental_distribute", "experimental_optimization",
                      "threading"):  # fmt: skip
            setattr(self, group, _Group())

    def merge(self, options: Options) -> Options:
        """Return these settings with those of another object."""
        merged = Options()
        merged.__dict__.update(self.__dict__)
        merged.__dict__.update({k: v for k, v in options.__dict__.items() if v is not None})
        return merged


class _Group:
    """A group of settings, such as those of threads; each is `None` until it is set."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def number(x: Any) -> Any:
    """Return a number of Python from one that may be a tensor."""
    return x.item() if hasattr(x, "item") else x


def rows_to_slice(x: Any) -> Any:
    """Return the rows of which `from_tensor_slices` makes elements."""
    if isinstance(x, (RaggedTensor, SparseTensor)):
        return x
    if isinstance(x, StringTensor):
        return x.array
    x = x.to_numpy() if hasattr(x, "to_numpy") else x
    if holds_text(x):
        return as_strings(x, "tensors").array
    try:
        array = plain(x) if isinstance(x, list) else host_array(x)
    except ValueError as error:
        raise ValueError(
            f"Dataset.from_tensor_slices: rows of several shapes cannot be one tensor: {error} Use"
            " `tf.ragged.constant`, or pad them."
        ) from None
    if not array.ndim:
        raise ValueError(
            f"Dataset.from_tensor_slices: expected tensors with rows, received {x!r:.60}."
        )
    return array


class Endless(stages.Elements):
    """Elements without an end."""

    def __init__(self, make: Callable[[], Iterator[Any]]):
        super().__init__(make)
        self.size = math.inf


class Numbered(stages.Enumerate):
    """Pairs of a number, as int64, and an element."""

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        return ((np.int64(number), element) for number, element in super().run(turn, start))


def ragged_row(row: Any, whole: Any) -> Any:
    """Return a row in the form in which a batch of rows is ragged again."""
    if not isinstance(whole, RaggedTensor) or isinstance(row, RaggedTensor):
        return row
    return np.asarray(row).view(RaggedRow)


def filling(value: Any) -> Any:
    """Return a value of `padded_batch` as a number or bytes."""
    if value is None:
        return None
    found = plain(value)
    return found.item() if found.dtype == object else found[()]


def as_numpy(x: Any) -> Any:
    """Return a part of an element as an array or number of NumPy; ragged ones as they are."""
    found = as_tensors(x)
    return found.numpy() if hasattr(found, "numpy") and not isinstance(found, RaggedTensor) else x


def signature_of(types: Any, shapes: Any) -> Any:
    """Return the specs of elements from their dtypes and shapes."""
    if shapes is None:
        return map_leaves(lambda dtype: TensorSpec(None, dtype), types)
    return map_leaves(lambda dtype, shape: TensorSpec(shape, dtype), types, shapes)


def fitting(signature: Any) -> Callable[[Any], Any]:
    """Return a function that gives an element the dtypes of a signature, and checks its shapes."""

    def one(spec: Any, value: Any) -> Any:
        if isinstance(value, (RaggedTensor, SparseTensor)):
            return value
        try:
            if dtype_name(spec.dtype) == "string":
                array = as_strings(value).array
            else:
                array = np.asarray(plain(value)).astype(dtype_name(spec.dtype), copy=False)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"Dataset.from_generator: {value!r:.80} was yielded where {spec} is expected:"
                f" {error}"
            ) from None
        if spec.shape is not None and not spec.shape.is_compatible_with(array.shape):
            raise TypeError(
                f"Dataset.from_generator: an array of shape {array.shape} was yielded where {spec}"
                " is expected."
            )
        return array

    def whole(element: Any) -> Any:
        if isinstance(signature, tuple) and isinstance(element, list):
            element = tuple(element)
        try:
            return map_leaves(one, signature, element)
        except (ValueError, KeyError, IndexError) as error:
            raise TypeError(
                f"Dataset.from_generator: {element!r:.80} was yielded where the structure of"
                f" {signature} is expected: {error}"
            ) from None

    return whole
