"""What is known of tensors before they are there: `tf.TensorSpec` and `Dataset.element_spec`."""

from __future__ import annotations

from typing import Any

from hornbeam.data import nested, stages
from hornbeam.data.dataset import Dataset
from hornbeam.data.elements import leaves, map_leaves
from hornbeam.data.reading import ReadBatches
from hornbeam.tensorflow.host import TensorShape, dtype_name
from hornbeam.tensorflow.pipeline import Rewritten, as_tensors
from hornbeam.tensorflow.ragged import RaggedTensor
from hornbeam.tensorflow.sparse_tensor import SparseTensor

__all__ = [
    "DatasetSpec", "RaggedTensorSpec", "SparseTensorSpec", "TensorSpec", "Typed", "spec_of",
    "spec_of_value",
]  # fmt: skip


class TensorSpec:
    """Shape and dtype of a tensor.

    Example:
        >>> TensorSpec([None, 2], "int32")
        TensorSpec(shape=(None, 2), dtype=tf.int32, name=None)
    """

    def __init__(self, shape: Any, dtype: Any = "float32", name: str | None = None):
        self.shape: Any = None if shape is None else TensorShape(shape)
        self.dtype: Any = dtype if isinstance(dtype, str) else dtype_name(dtype)
        self.name = name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """Return the shape and dtype of a tensor."""
        return cls(tensor.shape, dtype_name(tensor.dtype), name)

    def is_compatible_with(self, value: Any) -> bool:
        """Return whether a tensor has this dtype and shape."""
        same = dtype_name(value.dtype) == dtype_name(self.dtype)
        return same and (self.shape is None or self.shape.is_compatible_with(value.shape))

    def _key(self) -> Any:
        return type(self), self.shape, dtype_name(self.dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        shape = "<unknown>" if self.shape is None else tuple(self.shape)
        return f"TensorSpec(shape={shape}, dtype=tf.{dtype_name(self.dtype)}, name={self.name!r})"


class RaggedTensorSpec(TensorSpec):
    """Shape and dtype of a ragged tensor."""

    def __init__(
        self, shape: Any = None, dtype: Any = "float32", ragged_rank: int | None = None,
        row_splits_dtype: Any = "int64", flat_values_spec: Any = None,
    ):  # fmt: skip
        super().__init__(shape, dtype)
        self.ragged_rank = len(self.shape) - 1 if ragged_rank is None else ragged_rank
        self.row_splits_dtype = row_splits_dtype

    def __repr__(self) -> str:
        return (
            f"RaggedTensorSpec({self.shape!r}, tf.{dtype_name(self.dtype)}, {self.ragged_rank},"
            f" tf.{dtype_name(self.row_splits_dtype)})"
        )


class SparseTensorSpec(TensorSpec):
    """Shape and dtype of a sparse tensor."""

    def __init__(self, shape: Any = None, dtype: Any = "float32"):
        super().__init__(shape, dtype)

    def __repr__(self) -> str:
        return f"SparseTensorSpec({self.shape!r}, tf.{dtype_name(self.dtype)})"


class DatasetSpec:
    """The spec of the elements of a data set that is itself an element."""

    def __init__(self, element_spec: Any, dataset_shape: Any = ()):
        self.element_spec, self.shape = element_spec, TensorShape(dataset_shape)

    def __repr__(self) -> str:
        return f"DatasetSpec({self.element_spec!r}, {self.shape!r})"


class Typed(stages.Convert):
    """Elements whose spec is known because the user gave it."""

    def __init__(self, before: stages.Stage, function: Any, spec: Any):
        super().__init__(before, function)
        self.spec = spec


def spec_of_value(value: Any) -> Any:
    """Return the spec of an element.

    Example:
        >>> spec_of_value((1.5, b"a"))[1]
        TensorSpec(shape=(), dtype=tf.string, name=None)
    """

    def one(x: Any) -> Any:
        if isinstance(x, Dataset):
            return DatasetSpec(spec_of(x.stage))
        if isinstance(x, RaggedTensor):
            return RaggedTensorSpec(x.shape, x.dtype, x.ragged_rank)
        if isinstance(x, SparseTensor):
            return SparseTensorSpec(x.shape, x.dtype)
        return None if x is None else TensorSpec.from_tensor(x)

    return map_leaves(one, as_tensors(value))


_SAME = (
    stages.Shuffle, stages.Slice, stages.Repeat, stages.Cache, stages.Prefetch, stages.Filter,
    stages.Concatenate,
)  # fmt: skip


def spec_of(stage: stages.Stage) -> Any:
    """Return the spec of the elements of a stage; a function of elements is tried on the first."""
    if isinstance(stage, Typed):
        return stage.spec
    if isinstance(stage, _SAME):
        return spec_of(stage.before)
    if isinstance(stage, stages.Batch) and not stage.is_padded:
        size = stage.batch_size if stage.drop_remainder else None
        return map_leaves(lambda spec: _longer(spec, size), spec_of(stage.before))
    if isinstance(stage, stages.Zip):
        return map_leaves(spec_of, stage.parts)
    if isinstance(stage, stages.Enumerate):
        return TensorSpec((), "int64"), spec_of(stage.before)
    first = next(stage.run(stages.Turn(0, 0)), None)
    if first is None:
        return None
    return _without_batch_size(stage, spec_of_value(first))


def _longer(spec: Any, size: int | None) -> Any:
    shape = TensorShape([size, *spec.shape])
    if isinstance(spec, RaggedTensorSpec):
        return RaggedTensorSpec(shape, spec.dtype, spec.ragged_rank + 1)
    return type(spec)(shape, spec.dtype)


def _without_batch_size(stage: stages.Stage, spec: Any) -> Any:
    """Return a spec with unknown first axes where the stage before has unknown ones of that size.

    The size of the first element says nothing about a last, smaller batch.
    """
    batches = stage.before if isinstance(stage, ReadBatches) else stage
    if isinstance(batches, stages.Batch):
        if not batches.drop_remainder:
            return map_leaves(lambda s: _with_first(s, None), spec)
        return spec
    if not isinstance(stage, stages.Map) or isinstance(stage, (nested.Window, Rewritten)):
        return spec
    before = spec_of(stage.before)
    unknown = {
        len(value)
        for s, value in zip(
            leaves(before), leaves(next(stage.before.run(stages.Turn(0, 0)))), strict=True
        )
        if isinstance(s, TensorSpec) and s.shape and s.shape[0] is None
    }

    def one(s: Any) -> Any:
        known = isinstance(s, TensorSpec) and s.shape and s.shape[0] in unknown
        return _with_first(s, None) if known else s

    return map_leaves(one, spec) if unknown else spec


def _with_first(spec: Any, size: int | None) -> Any:
    shape = TensorShape([size, *spec.shape[1:]])
    if isinstance(spec, RaggedTensorSpec):
        return RaggedTensorSpec(shape, spec.dtype, spec.ragged_rank)
    return type(spec)(shape, spec.dtype)
