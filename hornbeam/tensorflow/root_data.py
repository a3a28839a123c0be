"""Names of `tf` itself that belong to data."""

from __future__ import annotations

from hornbeam.tensorflow.host import TensorShape
from hornbeam.tensorflow.ragged import RaggedTensor
from hornbeam.tensorflow.sparse_tensor import SparseTensor
from hornbeam.tensorflow.specs import RaggedTensorSpec, SparseTensorSpec, TensorSpec

__all__ = [
    "RaggedTensor", "RaggedTensorSpec", "SparseTensor", "SparseTensorSpec", "TensorShape",
    "TensorSpec",
]  # fmt: skip
