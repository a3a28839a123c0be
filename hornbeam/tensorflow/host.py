"""Tensors on the host: NumPy's arrays with what scripts use of TensorFlow's tensors.

The elements of a pipeline are such tensors while a user's function sees them. Arithmetic is
NumPy's, so functions run in threads without the device; dtypes follow TensorFlow's rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from hornbeam.core.variable import Variable

__all__ = ["HostTensor", "TensorShape", "as_host", "dtype_name", "host_array"]


class TensorShape(tuple):
    """A shape: a tuple of sizes, `None` where one is unknown, with TensorFlow's methods.

    Example:
        >>> TensorShape([2, None]).as_list(), TensorShape([2, 3]).num_elements()
        ([2, None], 6)
    """

    def __new__(cls, dims: Any = ()) -> TensorShape:
        """Return the shape of a list of sizes, or of one size."""
        if dims is None:
            raise ValueError("TensorShape: shapes of unknown rank are not supported.")
        dims = (dims,) if isinstance(dims, (int, np.integer)) else dims
        return super().__new__(cls, (None if d is None or d == -1 else int(d) for d in dims))

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return TensorShape(found) if isinstance(key, slice) else found

    def __add__(self, other: Any) -> TensorShape:
        return TensorShape([*self, *other])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (tuple, list)) else False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        return f"TensorShape({self.as_list()})"

    def __str__(self) -> str:
        return tuple.__repr__(self)

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self)

    @property
    def ndims(self) -> int:
        """Number of axes."""
        return len(self)

    @property
    def dims(self) -> list[int | None]:
        """The sizes."""
        return self.as_list()

    def as_list(self) -> list[int | None]:
        """Return the sizes as a list."""
        return list(self)

    def num_elements(self) -> int | None:
        """Return the product of the sizes, or `None` if one is unknown."""
        return int(np.prod(self, dtype="int64")) if self.is_fully_defined() else None

    def is_fully_defined(self) -> bool:
        """Return whether all sizes are known."""
        return None not in self

    def is_compatible_with(self, other: Any) -> bool:
        """Return whether an array can have both shapes."""
        return len(self) == len(other) and all(
            a is None or b is None or a == b for a, b in zip(self, other, strict=True)
        )

    def concatenate(self, other: Any) -> TensorShape:
        """Return this shape followed by another."""
        return self + other


_OF_TYPES: dict[Any, str] = {str: "string", bytes: "string", int: "int32", float: "float32"}


def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype: of NumPy, of JAX, of TensorFlow, a type of Python or a name.

    Example:
        >>> dtype_name(np.float32), dtype_name("string"), dtype_name(int)
        ('float32', 'string', 'int32')
    """
    if isinstance(dtype, str):
        name = str.__str__(dtype)
        return "string" if name in ("str", "bytes") else name
    if isinstance(dtype, type) and dtype in _OF_TYPES:
        return _OF_TYPES[dtype]
    given = getattr(dtype, "name", None)
    name = given if isinstance(given, str) else np.dtype(dtype).name
    return "string" if name == "object" or name.startswith(("str", "bytes")) else name


def _numbers(x: Any) -> Any:
    """Return an argument of an operation as NumPy takes it, 64-bit scalars without their dtype."""
    if isinstance(x, HostTensor):
        return x.view(np.ndarray)
    if isinstance(x, np.generic) or (type(x) is np.ndarray and not x.ndim):
        return x.item() if x.dtype.kind in "biuf" else x
    return x


class HostTensor(np.ndarray):
    """A NumPy array with the attributes and the arithmetic of a tensor of TensorFlow.

    Example:
        >>> pixels = as_host(np.array([51, 255], "uint8"))
        >>> pixels / 255
        <tf.Tensor: shape=(2,), dtype=float32, numpy=array([0.2, 1. ], dtype=float32)>
    """

    @property
    def shape(self) -> Any:
        """The sizes of the axes."""
        return TensorShape(np.ndarray.shape.__get__(self))  # type: ignore[attr-defined]

    @shape.setter
    def shape(self, sizes: Any) -> None:
        np.ndarray.shape.__set__(self, sizes)  # type: ignore[attr-defined]

    @property
    def device(self) -> str:  # type: ignore[override]
        """The name of the host's device."""
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    def numpy(self) -> Any:
        """Return the values as an array or number of NumPy."""
        return self.view(np.ndarray)[()]

    def get_shape(self) -> TensorShape:
        """Return the sizes of the axes."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Check the shape against one with unknown sizes.

        Raises:
            ValueError: If they do not fit.
        """
        if shape is not None and not self.shape.is_compatible_with(TensorShape(shape)):
            raise ValueError(f"set_shape: a tensor of shape {self.shape} is not {tuple(shape)}.")

    def __getitem__(self, key: Any) -> Any:
        found = self.view(np.ndarray)[_key(key)]
        return np.asarray(found).view(HostTensor)

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("A tensor without axes cannot be iterated over.")
        return (self[i] for i in range(len(self)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, (jax.Array, Variable)) or hasattr(x, "is_text") for x in inputs):
            return NotImplemented
        if "out" in kwargs:
            kwargs["out"] = tuple(_numbers(x) for x in kwargs["out"])
        found = getattr(ufunc, method)(*map(_numbers, inputs), **kwargs)
        if not isinstance(found, (np.ndarray, np.generic)):
            return found
        if found.dtype == "float64" and "out" not in kwargs and "dtype" not in kwargs:
            kinds = {x.dtype for x in inputs if isinstance(x, np.ndarray) and (x.ndim or _ours(x))}
            if not any(kind.itemsize > 2 and kind.kind in "iuf" and kind != "float32" for kind in
                       kinds):  # fmt: skip
                found = found.astype("float32")
        return np.asarray(found).view(HostTensor)

    # A tensor never changes: `x /= 255` gives `x` another one, of another dtype if need be.
    __iadd__: Any = np.ndarray.__add__
    __isub__: Any = np.ndarray.__sub__
    __imul__: Any = np.ndarray.__mul__
    __itruediv__: Any = np.ndarray.__truediv__
    __ifloordiv__: Any = np.ndarray.__floordiv__
    __imod__: Any = np.ndarray.__mod__
    __ipow__: Any = np.ndarray.__pow__

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "A tensor cannot be changed. Use `tf.tensor_scatter_nd_update`, or change `x.numpy()`."
        )

    def __repr__(self) -> str:
        shown = repr(self.numpy()) if self.ndim else str(self.numpy())
        return f"<tf.Tensor: shape={self.shape}, dtype={self.dtype}, numpy={shown}>"

    def __str__(self) -> str:
        return f"tf.Tensor({self.numpy()!s}, shape={self.shape}, dtype={self.dtype})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and not self.ndim else str(self)


def _ours(x: Any) -> bool:
    return isinstance(x, HostTensor)


def _key(key: Any) -> Any:
    """Return an index with plain numbers and arrays in it."""
    if isinstance(key, tuple):
        return tuple(_key(part) for part in key)
    if isinstance(key, slice):
        return slice(*(None if n is None else int(n) for n in (key.start, key.stop, key.step)))
    return np.asarray(key) if isinstance(key, (np.ndarray, jax.Array)) else key


_OF_PYTHON = {"int64": "int32", "float64": "float32"}


def host_array(x: Any, dtype: Any = None) -> np.ndarray:
    """Return anything with numbers as a plain NumPy array; numbers of Python become 32 bits.

    Args:
        x: Numbers, nested lists, or arrays of any library.
        dtype: Dtype of the result. Default: that of `x`.

    Example:
        >>> host_array([1, 2]).dtype, host_array(np.int64(1)).dtype
        (dtype('int32'), dtype('int64'))
    """
    if isinstance(x, Variable):
        x = x.value
    array = np.asarray(x)
    if isinstance(array, HostTensor):
        array = array.view(np.ndarray)
    if dtype is not None:
        return array.astype(dtype_name(dtype), copy=False)
    if isinstance(x, (int, float, list, tuple)) and not isinstance(x, np.generic):
        if array.dtype == "int64" and array.size and np.abs(array).max() >= 2**31:
            return array
        if not _holds_arrays(x):
            return array.astype(_OF_PYTHON.get(array.dtype.name, array.dtype), copy=False)
    return array


def _holds_arrays(x: Any) -> bool:
    """Return whether nested lists hold arrays or numbers of NumPy, which keep their dtype."""
    while isinstance(x, (list, tuple)) and x:
        x = x[0]
    return hasattr(x, "dtype")


def as_host(x: Any, dtype: Any = None) -> Any:
    """Return numbers as a tensor on the host.

    Example:
        >>> as_host([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
    """
    return host_array(x, dtype).view(HostTensor)
