"""Symbolic tensors: tensors of which only shape and dtype are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from hornbeam.core import naming
from hornbeam.core.checks import check_flag, check_shape
from hornbeam.core.op_table import OPS
from hornbeam.core.provenance import refuse_call_by_real_keras
from hornbeam.core.traces import refuse_as_argument
from hornbeam.dtypes import standardize_dtype
from hornbeam.typing import Axis, DType, Shape, Tensor

__all__ = ["KerasTensor", "any_symbolic"]


class KerasTensor:
    """A tensor of which only shape and dtype are known, with the call that makes it.

    Args:
        shape: Sizes of the axes; `None` where a size is unknown.
        dtype: Dtype. Default: `"float32"`.
        sparse: Whether the value is a JAX `BCOO` array. Default: false.
        ragged: Part of Keras's signature. Ragged tensors are not supported.
        record_history: Whether a call that makes the tensor is recorded in it. Default: true.
        name: Name. Default: `"keras_tensor"`, numbered.

    Raises:
        ValueError: If `ragged` is true.

    Example:
        >>> KerasTensor((None, 3), name="x")
        <KerasTensor shape=(None, 3), dtype=float32, name=x>
    """

    # Ask NumPy and JAX to leave `array + symbolic` to the operators below.
    __array_priority__ = 1000

    # The symbolic mask; see `hornbeam.core.masks`.
    _keras_mask: Any = None

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: DType | None = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ):
        if ragged:
            raise ValueError("KerasTensor: ragged tensors are not supported.")
        self.shape: Shape = check_shape("KerasTensor", shape)
        self.dtype = standardize_dtype(dtype)
        self.sparse, self.ragged = check_flag("KerasTensor", "sparse", sparse), False
        if name is not None and not isinstance(name, str):
            raise ValueError(f"KerasTensor: `name` must be a string, received {name!r:.200}.")
        self.name = name or naming.auto_name("keras_tensor")
        self.record_history = check_flag("KerasTensor", "record_history", record_history)
        # The node that makes the tensor, and its index among the node's outputs.
        self.history: tuple[Any, int] | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def _keras_history(self) -> tuple[Any, int, int]:
        """Keras's triple: operation, index of its node, index among the node's outputs."""
        node, index = self.producer
        return node.operation, node.operation._inbound_nodes.index(node), index

    @property
    def producer(self) -> tuple[Any, int]:
        """The node that makes the tensor, and its index among the node's outputs.

        Raises:
            ValueError: If no call makes it.
        """
        if self.history is None:
            raise ValueError(
                f"{self!r} was made by no layer. Start a graph with `hornbeam.Input(shape)`."
            )
        return self.history

    def reshape(self, newshape: Sequence[int]) -> Tensor:
        """Return the tensor with another shape; see `hornbeam.ops.reshape`."""
        return _run("Reshape", self, newshape)

    def squeeze(self, axis: Axis = None) -> Tensor:
        """Return the tensor without axes of size 1; see `hornbeam.ops.squeeze`."""
        return _run("Squeeze", self, axis=axis)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def __bool__(self) -> bool:
        self._refuse("a Python condition")

    def __iter__(self) -> NoReturn:
        self._refuse("iteration")

    def __float__(self) -> float:
        self._refuse("float()")

    def __int__(self) -> int:
        self._refuse("int()")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("a NumPy function")

    @property
    def __jax_array__(self) -> NoReturn:
        """Seem absent, so that `array + symbolic` reaches `__radd__`.

        Keras's layers and ops look for it in each tensor; they get the reason for the failure.
        """
        refuse_call_by_real_keras(repr(self))
        raise AttributeError("__jax_array__")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Tensor:
        if method == "__call__" and not kwargs and ufunc.__name__ in _UFUNCS:  # `array + symbolic`
            return _run(_UFUNCS[ufunc.__name__], *inputs)
        self._refuse(f"numpy.{ufunc.__name__}")

    def __getitem__(self, key: Any) -> Tensor:
        return _run("GetItem", self, key)

    def _refuse(self, user: str, error: type[Exception] = TypeError) -> NoReturn:
        """Raise the error for `user`, a function that needs values."""
        refuse_call_by_real_keras(repr(self))
        raise error(
            f"{self!r} is symbolic: it has no values yet, so {user} cannot use it. Use a function"
            " of `hornbeam.ops`, or put the computation into the `call` of a Layer."
        )


refuse_as_argument(KerasTensor, lambda x: x._refuse("a JAX function", ValueError))


def any_symbolic(*structures: Any) -> bool:
    """Return whether these structures contain a `KerasTensor`."""
    for x in structures:
        if isinstance(x, KerasTensor):
            return True
        if isinstance(x, (list, tuple)):
            if any_symbolic(*x):
                return True
        elif isinstance(x, dict) and any_symbolic(*x.values()):
            return True
    return False


def _run(op_name: str, *args: Any, **kwargs: Any) -> Tensor:
    return OPS[op_name].public(*args, **kwargs)


# --- Python's operators -----------------------------------------------------------------------

# The names of Python's special methods without underscores, and the op that each one runs.
_BINARY = {
    "add": "Add", "sub": "Subtract", "mul": "Multiply", "truediv": "TrueDivide",
    "floordiv": "FloorDivide", "mod": "Mod", "pow": "Power", "matmul": "Matmul",
    "and": "LogicalAnd", "or": "LogicalOr", "xor": "LogicalXor",
}  # fmt: skip
_COMPARISONS = {
    "lt": "Less",
    "le": "LessEqual",
    "gt": "Greater",
    "ge": "GreaterEqual",
    "ne": "NotEqual",
}
_UNARY = {"neg": "Negative", "abs": "Absolute", "invert": "LogicalNot"}

# NumPy's functions behind Python's operators, and the op that each one runs.
_UFUNCS = {
    "add": "Add", "subtract": "Subtract", "multiply": "Multiply", "divide": "TrueDivide",
    "true_divide": "TrueDivide", "floor_divide": "FloorDivide", "remainder": "Mod",
    "power": "Power", "matmul": "Matmul", "less": "Less", "less_equal": "LessEqual",
    "greater": "Greater", "greater_equal": "GreaterEqual", "equal": "Equal",
    "not_equal": "NotEqual", "logical_and": "LogicalAnd", "logical_or": "LogicalOr",
    "logical_xor": "LogicalXor", "bitwise_and": "LogicalAnd", "bitwise_or": "LogicalOr",
    "bitwise_xor": "LogicalXor",
}  # fmt: skip


def _operator(op_name: str, swapped: bool = False) -> Callable[..., Tensor]:
    def method(self: KerasTensor, *other: Any) -> Tensor:
        return _run(op_name, *other, self) if swapped else _run(op_name, self, *other)

    return method


for _python, _name in {**_BINARY, **_COMPARISONS, **_UNARY}.items():
    setattr(KerasTensor, f"__{_python}__", _operator(_name))
for _python, _name in _BINARY.items():
    setattr(KerasTensor, f"__r{_python}__", _operator(_name, swapped=True))
