"""`Input` and `InputLayer`, the start of a graph of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hornbeam import errors
from hornbeam.core.checks import check_shape
from hornbeam.core.graph import Node, nodes_of
from hornbeam.core.tensor import KerasTensor
from hornbeam.dtypes import standardize_dtype
from hornbeam.layers.layer import Layer
from hornbeam.typing import DType, Tensor

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """Holds a symbolic input tensor of a model. `Input` creates one and returns its tensor.

    Args:
        shape: Shape of one sample, without the batch axis; `None` for unknown sizes.
        batch_size: Number of samples in every batch. Default: `None`, any number.
        dtype: Dtype of the input. Default: `floatx()`.
        sparse: Whether the input is a JAX `BCOO` array or a matrix of SciPy. Dense arrays are
            accepted too. Default: False.
        ragged: Must be false: ragged inputs are not supported.
        batch_shape: Shape with the batch axis, instead of `shape`.
        input_tensor: Symbolic tensor that gives shape and dtype, instead of `shape`.
        optional: Whether the model accepts `None` for this input. Default: False.
        name: Name. Default: `"input_layer"`, numbered.

    It has no inputs. Its `output` is a symbolic tensor (batch_size, *shape). As in Keras.

    Raises:
        ValueError: If not exactly one shape is given, `shape` is an integer, or `ragged` is true.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.layers.InputLayer((784,)), hb.layers.Dense(10)])
        >>> model.input_shape, model.output_shape
        ((None, 784), (None, 10))
    """

    def __init__(
        self, shape: Sequence[int | None] | None = None, batch_size: int | None = None,
        dtype: DType | None = None, sparse: bool | None = None,
        ragged: bool | None = None, batch_shape: Sequence[int | None] | None = None,
        input_tensor: KerasTensor | None = None, optional: bool = False,
        name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        shape = kwargs.pop("input_shape", shape)
        super().__init__(name=name)
        if ragged:
            raise ValueError(f"InputLayer '{self.name}': ragged inputs are not supported.")
        if input_tensor is not None:
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
            sparse = input_tensor.sparse if sparse is None else sparse
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                f"InputLayer '{self.name}': pass `shape` (without the batch axis) or `batch_shape`,"
                " one of them."
            )
        if batch_size is not None and batch_shape is not None:
            raise ValueError(
                f"InputLayer '{self.name}': pass `batch_size` beside `shape` only; `batch_shape`"
                f" {tuple(batch_shape)} has the batch size as its first element."
            )
        if isinstance(shape, int):
            raise ValueError(f"Input: `shape` must be a tuple; write `Input(({shape},))`.")
        if shape is not None:
            check_shape("Input", shape)
            batch_shape = (batch_size, *shape)
        self.batch_shape = check_shape("Input", batch_shape)
        self._dtype = standardize_dtype(dtype)
        self.sparse, self.ragged, self.optional = bool(sparse), bool(ragged), optional
        self.built = True
        tensor = KerasTensor(self.batch_shape, self._dtype, self.sparse, name=self.name)
        Node(self, (), {}, tensor)

    @property
    def dtype(self) -> str:
        """Dtype of the input."""
        return self._dtype

    def call(self) -> Tensor:
        """Raise `RuntimeError`: the value comes from the call of the model."""
        raise RuntimeError(f"Input '{self.name}' has no value of its own; call the model on data.")

    def get_config(self) -> dict[str, Any]:
        """Return shape, dtype, name and the other arguments."""
        return {
            "batch_shape": list(self.batch_shape), "dtype": self._dtype, "sparse": self.sparse,
            "ragged": self.ragged, "name": self.name, "optional": self.optional,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputLayer:
        """Make an input layer from the result of `get_config`."""
        return cls(**{k: v for k, v in config.items() if k not in ("trainable", "ragged")})


@errors.known_arguments
def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: DType | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: KerasTensor | None = None,
    optional: bool = False,
    type_spec: Any = None,
) -> KerasTensor:
    """Return a symbolic input tensor for a model.

    Args:
        shape: Shape of one sample, without the batch axis; `None` for unknown sizes.
        batch_size: Number of samples in every batch. Default: `None`, any number.
        dtype: Dtype of the input. Default: `floatx()`.
        sparse: Whether the input is a JAX `BCOO` array or a matrix of SciPy. Dense arrays are
            accepted too. Default: False.
        ragged: Must be false: ragged inputs are not supported.
        batch_shape: Shape with the batch axis, instead of `shape`.
        name: Name. Default: `"input_layer"`, numbered.
        tensor: Symbolic tensor that gives shape and dtype, instead of `shape`.
        optional: Whether the model accepts `None` for this input. Default: False.
        type_spec: Object with the attributes `shape` (with the batch axis) and `dtype`, such as
            `tf.TensorSpec`, instead of `shape`; an argument of Keras 2.

    Raises:
        ValueError: If not exactly one shape is given, `shape` is an integer, or `ragged` is true.

    Example:
        >>> import hornbeam as hb
        >>> images = hb.Input((28, 28, 1))
        >>> outputs = hb.layers.Dense(10)(hb.layers.Flatten()(images))
        >>> hb.Model(images, outputs).input_shape
        (None, 28, 28, 1)
    """
    layer = InputLayer(
        shape=shape, batch_size=batch_size, dtype=dtype, sparse=sparse, ragged=ragged,
        batch_shape=batch_shape, input_tensor=tensor, optional=optional, name=name,
    )  # fmt: skip
    return nodes_of(layer)[0].outputs
