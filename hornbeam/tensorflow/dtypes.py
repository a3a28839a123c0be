"""The dtypes of `tf`: names of dtypes with TensorFlow's attributes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.convert import convert
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.ops import cast as _cast
from hornbeam.ops import saturate_cast as _saturate_cast
from hornbeam.tensorflow.host import dtype_name

__all__ = [
    "DType", "as_dtype", "bfloat16", "bool", "cast", "complex128", "complex64", "double",
    "float16", "float32", "float64", "half", "int16", "int32", "int64", "int8", "saturate_cast",
    "string", "uint16", "uint32", "uint64", "uint8", "variant",
]  # fmt: skip


class DType(str):
    """The name of a dtype. NumPy, JAX and Hornbeam take it as a dtype.

    Example:
        >>> DType("int8").max, DType("float32").is_floating, DType("int8") == np.int8
        (127, True, True)
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name as a plain string."""
        return str.__str__(self)

    @property
    def as_numpy_dtype(self) -> Any:
        """NumPy's type of the elements."""
        return object if self.name == "string" else jnp.dtype(self.name).type

    @property
    def is_floating(self) -> Any:
        """Whether it holds floating-point numbers."""
        return self._is_below(jnp.floating)

    @property
    def is_integer(self) -> Any:
        """Whether it holds integers."""
        return self._is_below(jnp.integer)

    @property
    def is_complex(self) -> Any:
        """Whether it holds complex numbers."""
        return self._is_below(jnp.complexfloating)

    @property
    def is_bool(self) -> Any:
        """Whether it holds truth values."""
        return self.name == "bool"

    @property
    def is_unsigned(self) -> Any:
        """Whether it holds integers from 0 on."""
        return self._is_below(jnp.unsignedinteger)

    @property
    def is_numeric(self) -> Any:
        """Whether it holds numbers."""
        return self._is_below(jnp.number)

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return jnp.dtype(self.name).itemsize

    @property
    def min(self) -> Any:
        """The smallest value."""
        return np.asarray(_limits(self.name).min).item()

    @property
    def max(self) -> Any:
        """The largest value."""
        return np.asarray(_limits(self.name).max).item()

    @property
    def limits(self) -> tuple[Any, Any]:
        """The smallest and the largest value, at most from 0 to 1 for floating-point numbers."""
        return (0, 1) if self.is_floating else (self.min, self.max)

    @property
    def base_dtype(self) -> DType:
        """The dtype itself."""
        return self

    @property
    def real_dtype(self) -> DType:
        """The dtype of the real part."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    def _is_below(self, kind: Any) -> Any:
        return self.name not in ("string", "variant") and jnp.issubdtype(self.name, kind)

    def __eq__(self, other: object) -> Any:
        try:
            return self.name == dtype_name(other)
        except TypeError:
            return False

    def __ne__(self, other: object) -> Any:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def _limits(name: str) -> Any:
    if name == "bool":
        return _Truth
    return jnp.iinfo(name) if jnp.issubdtype(name, jnp.integer) else jnp.finfo(name)


class _Truth:
    min, max = np.False_, np.True_


bfloat16, float16, float32, float64 = map(DType, ("bfloat16", "float16", "float32", "float64"))
int8, int16, int32, int64 = map(DType, ("int8", "int16", "int32", "int64"))
uint8, uint16, uint32, uint64 = map(DType, ("uint8", "uint16", "uint32", "uint64"))
complex64, complex128 = DType("complex64"), DType("complex128")
bool, string, variant = DType("bool"), DType("string"), DType("variant")
half, double = float16, float64


def as_dtype(type_value: Any) -> DType:
    """Return a dtype of NumPy or JAX, a type of Python, or a name as a dtype of `tf`.

    Example:
        >>> as_dtype(np.int64), as_dtype("float32"), as_dtype(str)
        (tf.int64, tf.float32, tf.string)
    """
    return DType(dtype_name(type_value))


def device_dtype(dtype: Any) -> str:
    """Return the name of a dtype on the device, where 64 bits become 32 unless JAX allows them.

    Example:
        >>> device_dtype("int64"), device_dtype(float16)
        ('int32', 'float16')
    """
    name = dtype_name(dtype)
    return name if name in ("string", "variant") else jax.dtypes.canonicalize_dtype(name).name


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """Return a tensor with its numbers in another dtype.

    Example:
        >>> cast([1.8, -2.2], int32)
        Array([ 1, -2], dtype=int32)
    """
    wanted = device_dtype(dtype)
    if isinstance(x, Variable):
        x = x.value
    if isinstance(x, KerasTensor):
        return _cast(x, wanted)
    return _cast(x if hasattr(x, "dtype") else convert(x), wanted)


def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Any:
    """Return a tensor in another dtype, with values limited to what that can hold.

    Example:
        >>> saturate_cast([300, -1], uint8)
        Array([255,   0], dtype=uint8)
    """
    return _saturate_cast(convert(value), device_dtype(dtype))
