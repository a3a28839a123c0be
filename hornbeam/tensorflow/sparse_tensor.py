"""`tf.SparseTensor`: a tensor given by the places of its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbeam.tensorflow.host import TensorShape, as_host, dtype_name, host_array
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings, holds_text

__all__ = ["SparseTensor", "flat_tensor"]


def flat_tensor(x: Any, dtype: Any = None) -> Any:
    """Return values as a tensor on the host: of text, or of numbers.

    Example:
        >>> flat_tensor(["a"]).dtype, flat_tensor([1]).dtype
        ('string', dtype('int32'))
    """
    if isinstance(x, StringTensor):
        return x
    if holds_text(x) or (dtype is not None and dtype_name(dtype) == "string"):
        return as_strings(x)
    return as_host(x, dtype)


class SparseTensor:
    """Values at places of a tensor that is zero, or empty text, elsewhere.

    Args:
        indices: The places (values, axes), int64.
        values: The values.
        dense_shape: The shape of the tensor.

    Raises:
        ValueError: If the numbers of places and values differ, or a place has another number of
            axes than the shape.

    Example:
        >>> SparseTensor([[0, 1]], [5], [1, 3]).shape
        TensorShape([1, 3])
    """

    def __init__(self, indices: Any, values: Any, dense_shape: Any):
        self.values = flat_tensor(values)
        self.dense_shape = as_host(list(dense_shape), "int64")
        rank = len(self.dense_shape)
        self.indices = as_host(host_array(indices).reshape(-1, rank), "int64")
        if len(self.indices) != len(self.values):
            raise ValueError(
                f"SparseTensor: there are {len(self.indices)} `indices`, but {len(self.values)}"
                " `values`."
            )

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        """Return a sparse tensor from an object with its three parts."""
        s = sparse_tensor_value
        return cls(s.indices, s.values, s.dense_shape)

    @classmethod
    def stacked(cls, parts: Sequence[SparseTensor]) -> SparseTensor:
        """Return sparse tensors on a new first axis, as large as the largest."""
        rows = np.repeat(np.arange(len(parts)), [len(part.indices) for part in parts])
        indices = np.concatenate([part.indices for part in parts])
        values = np.concatenate([np.asarray(part.values) for part in parts])
        shape = np.max([np.asarray(part.dense_shape) for part in parts], axis=0)
        return cls(np.concatenate([rows[:, None], indices], axis=1), values, [len(parts), *shape])

    @property
    def dtype(self) -> Any:
        """The dtype of the values."""
        return self.values.dtype

    @property
    def shape(self) -> TensorShape:
        """The shape of the tensor."""
        return TensorShape(self.dense_shape.tolist())

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.dense_shape)

    def get_shape(self) -> TensorShape:
        """Return the shape of the tensor."""
        return self.shape

    def with_values(self, new_values: Any) -> SparseTensor:
        """Return other values at the same places."""
        return SparseTensor(self.indices, new_values, self.dense_shape)

    def __len__(self) -> int:
        return int(self.dense_shape[0])

    def __iter__(self) -> Any:
        rows = np.asarray(self.indices[:, 0])
        values = np.asarray(self.values)
        for row in range(len(self)):
            here = np.asarray(self.indices)[rows == row, 1:]
            yield SparseTensor(here, values[rows == row], self.dense_shape[1:])

    def __repr__(self) -> str:
        return (
            f"SparseTensor(indices={self.indices!r}, values={self.values!r},"
            f" dense_shape={self.dense_shape!r})"
        )
