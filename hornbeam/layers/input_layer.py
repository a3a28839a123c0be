"""`Input`: where a graph starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hornbeam.core.graph import Node
from hornbeam.core.tensor import KerasTensor
from hornbeam.dtypes import standardize_dtype
from hornbeam.layers.layer import Layer

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """The layer behind `Input`; it has a tensor and nothing to compute.

    Args:
        shape: Shape of one sample.
        batch_size: Rows of a batch, where fixed.
        dtype: Dtype name. Default: `floatx()`.
        sparse: Not supported if true.
        batch_shape: Shape with the batch axis, in place of `shape`.
        name: Name.
        input_tensor: Symbolic tensor to take shape and dtype from.
        optional: Whether `None` may be passed.

    Raises:
        ValueError: If no shape is given, or two.

    Example:
        >>> InputLayer((3,)).output.shape
        (None, 3)
    """

    def __init__(
        self, shape: Any = None, batch_size: int | None = None, dtype: Any = None, sparse: bool | None = None,
        ragged: bool | None = None, batch_shape: Any = None, input_tensor: Any = None, optional: bool = False,
        name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        shape = kwargs.pop("input_shape", shape)
        super().__init__(name=name)
        if sparse or ragged:
            raise ValueError(f"InputLayer '{self.name}': sparse and ragged inputs are not supported.")
        if input_tensor is not None:
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                f"InputLayer '{self.name}': pass `shape` (without the batch axis) or `batch_shape`, one of them."
            )
        if batch_shape is None:
            if isinstance(shape, int):
                raise ValueError(f"Input: `shape` must be a tuple; write `Input(({shape},))`.")
            batch_shape = (batch_size, *shape)
        self.batch_shape = tuple(batch_shape)
        self._dtype = standardize_dtype(dtype)
        self.sparse, self.ragged, self.optional = bool(sparse), bool(ragged), optional
        self.built = True
        Node(self, (), {}, KerasTensor(self.batch_shape, self._dtype, name=self.name))

    @property
    def dtype(self) -> str:
        """Dtype of the input."""
        return self._dtype

    def call(self) -> Any:
        """Inputs are values given from outside; there is nothing to compute."""
        raise RuntimeError(f"Input '{self.name}' has no value of its own; call the model on data.")

    def get_config(self) -> dict[str, Any]:
        """Return shape, dtype and name."""
        return {
            "batch_shape": list(self.batch_shape), "dtype": self._dtype, "sparse": self.sparse, "ragged": self.ragged,
            "name": self.name, "optional": self.optional,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputLayer:
        """Make an input from what `get_config` returned."""
        return cls(**{k: v for k, v in config.items() if k not in ("trainable", "ragged", "sparse")})


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Any:
    """Return the symbolic tensor at which a graph starts.

    Args:
        shape: Shape of one sample, without the batch axis; `None` where unknown.
        batch_size: Rows of a batch, where fixed.
        dtype: Dtype name. Default: `floatx()`.
        sparse: Not supported if true.
        ragged: Not supported if true.
        batch_shape: Shape with the batch axis, in place of `shape`.
        name: Name.
        tensor: Symbolic tensor to take shape and dtype from.
        optional: Whether `None` may be passed.

    Raises:
        ValueError: If no shape is given, or two.

    Example:
        >>> Input((28, 28, 1)).shape
        (None, 28, 28, 1)
    """
    layer = InputLayer(
        shape=shape, batch_size=batch_size, dtype=dtype, sparse=sparse, ragged=ragged, batch_shape=batch_shape,
        input_tensor=tensor, optional=optional, name=name,
    )  # fmt: skip
    return layer._inbound_nodes[0].outputs
