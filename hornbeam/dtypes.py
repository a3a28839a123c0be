"""Names of dtypes and rules of type promotion."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam import settings
from hornbeam.typing import DType

__all__ = ["is_float", "result_type", "standardize_dtype"]

_PYTHON_TYPES = {bool: "bool", int: "int32", float: None, str: "string"}
_FLOATS = frozenset(["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"])
ALLOWED = (
    frozenset(
        ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]
        + ["complex64", "complex128", "string"]
    )
    | _FLOATS
)


def standardize_dtype(dtype: DType | None) -> str:
    """Return the name of a dtype.

    Args:
        dtype: A name, Python type, NumPy or JAX dtype; `None` means `floatx()`.

    Returns:
        A name such as `"float32"`.

    Raises:
        ValueError: If `dtype` is not a dtype of arrays.

    Example:
        >>> standardize_dtype(np.float32), standardize_dtype(None), standardize_dtype(int)
        ('float32', 'float32', 'int32')
    """
    if dtype is None:
        return settings.floatx()
    if isinstance(dtype, type) and dtype in _PYTHON_TYPES:
        return _PYTHON_TYPES[dtype] or settings.floatx()
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    if not isinstance(name, str):
        try:
            name = jnp.dtype(dtype).name
        except TypeError:
            name = str(dtype)
    name = {"half": "float16", "float": "float32", "double": "float64", "int": "int32"}.get(
        name, name
    )
    if name == "key<fry>" or name in ALLOWED:
        return name
    raise ValueError(f"Unknown dtype {dtype!r}; expected one of {sorted(ALLOWED)}.")


def is_float(dtype: DType | None) -> bool:
    """Return whether `dtype` is a floating-point type.

    Example:
        >>> is_float("bfloat16"), is_float("int32")
        (True, False)
    """
    return standardize_dtype(dtype) in _FLOATS


def result_type(*values: Any) -> str:
    """Return the dtype of the result of an operation on these dtypes.

    Follows JAX's type promotion: Python scalars are weakly typed and take the other dtype.

    Args:
        *values: Dtype names, Python scalar types (`int`, `float`) or arrays.

    Example:
        >>> result_type("int32", "float16"), result_type("bfloat16", float)
        ('float16', 'bfloat16')
    """
    examples = []
    for value in values:
        if value in (bool, int, float):
            examples.append(value(0))
        elif hasattr(value, "dtype") and not isinstance(value, (type, np.dtype)):
            examples.append(value.dtype)
        else:
            examples.append(jnp.dtype(standardize_dtype(value)))
    return jnp.result_type(*examples).name
