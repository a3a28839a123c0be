"""Conversion of what users pass, such as numbers, lists and NumPy arrays, to JAX arrays."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import is_symbolic_dim

from hornbeam import errors
from hornbeam.core.forks import check_not_forked
from hornbeam.core.op_table import OPS
from hornbeam.core.provenance import refuse_real_keras
from hornbeam.core.sparse import as_dense, is_sparse
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.data.adapters import numbers_of
from hornbeam.dtypes import standardize_dtype
from hornbeam.typing import DType, Tensor

__all__ = ["convert", "with_values"]

_jax_config: Any = jax.config  # its settings are attributes that mypy does not see


def convert(x: Tensor, dtype: DType | None = None) -> Tensor:
    """Return `x` as a JAX array; a symbolic tensor stays one, a sparse one becomes dense.

    Python floats and nested lists of floats get `floatx()`. 64-bit data get the 32-bit type, unless
    JAX's 64-bit mode is on.

    Args:
        x: Array, variable, number, nested list, table or symbolic tensor.
        dtype: Dtype. Default: the dtype of the data.

    Returns:
        The array.

    Raises:
        ValueError: If `x` is not numeric.

    Example:
        >>> convert([[1.0, 2.0]]).dtype.name
        'float32'
    """
    check_not_forked()
    if isinstance(x, Variable):
        x = x.value
    if isinstance(x, (jax.Array, KerasTensor)):
        if dtype is None or standardize_dtype(x.dtype) == standardize_dtype(dtype):
            return x
        return (
            x.astype(standardize_dtype(dtype))
            if isinstance(x, jax.Array)
            else OPS["Cast"].public(x, dtype)
        )
    if isinstance(x, jax.ShapeDtypeStruct):
        return KerasTensor(x.shape, x.dtype)
    if is_symbolic_dim(x):  # a size that `jax.export` leaves open
        return convert(jnp.asarray(x), dtype)
    if is_sparse(x):
        return convert(as_dense(x), dtype)
    if hasattr(x, "_keras_history"):
        refuse_real_keras("A layer or an op", x)
    if dtype is None and isinstance(x, float):
        dtype = standardize_dtype(None)
    array = x
    if not isinstance(x, np.ndarray) and not _any_array(x):
        array = numbers_of(x, "x")
        array = np.asarray(array.to_numpy() if hasattr(array, "to_numpy") else array)
        if dtype is None and array.dtype == np.float64 and not hasattr(x, "dtype"):
            dtype = standardize_dtype(None)
    if isinstance(array, np.ndarray):
        if array.dtype.kind not in "biufc" and array.dtype.name not in _EXTENDED:
            raise ValueError(
                f"Expected numbers, received an array of dtype {array.dtype} "
                f"(first value: {array.flat[0] if array.size else None!r}). Convert it first, for "
                "example with `.astype('float32')`."
            )
        narrow = {
            "float64": "float32",
            "int64": "int32",
            "uint64": "uint32",
            "complex128": "complex64",
        }
        if dtype is None and not _jax_config.jax_enable_x64:
            dtype = narrow.get(array.dtype.name)
    return jnp.asarray(array, dtype=None if dtype is None else standardize_dtype(dtype))


_EXTENDED = {"bfloat16", "float8_e4m3fn", "float8_e5m2"}


def with_values(x: Tensor, name: str, remedy: str) -> Tensor:
    """Return `x` as a JAX array, for an op whose result has a shape that depends on the values.

    Args:
        x: Array, variable, number or nested list.
        name: Name of the op, for the error.
        remedy: What to do instead, for the error.

    Raises:
        ValueError: If `x` has no values, inside a compiled function.
    """
    x = convert(x)
    if isinstance(x, jax.core.Tracer):
        raise ValueError(
            f"{name}: the size of the result depends on the values of {errors.describe(x)}, which"
            f" are not known in a model or a compiled function. {remedy[0].upper()}{remedy[1:]}."
        )
    return x


def _any_array(x: Any) -> bool:
    """Return whether the nested list `x` contains a JAX array or a variable."""
    if isinstance(x, (list, tuple)):
        return any(_any_array(item) for item in x)
    return isinstance(x, (jax.Array, Variable))
