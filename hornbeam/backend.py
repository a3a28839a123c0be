"""The names of `keras.backend`: settings, dtypes and unique names."""

from __future__ import annotations

import collections
import ctypes
import gc
import sys

from hornbeam.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from hornbeam.core import naming
from hornbeam.core.tensor import KerasTensor
from hornbeam.dtypes import is_float, result_type, standardize_dtype
from hornbeam.typing import DType

__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "get_uid", "image_data_format",
    "is_float_dtype", "is_int_dtype", "is_keras_tensor", "result_type", "set_epsilon", "set_floatx",
    "set_image_data_format", "standardize_dtype",
]  # fmt: skip

_uids: collections.Counter[str] = collections.Counter()


def clear_session(free_memory: bool = True) -> None:
    """Restart the numbering of automatic names, such as `dense_1`, and of `get_uid`.

    Args:
        free_memory: Whether to collect garbage and return unused memory to the system. The kernels
            of `hornbeam-cpu` make the C library keep memory, so that the next step need not
            request it again.

    Example:
        >>> clear_session()
    """
    _uids.clear()
    naming.reset_names()
    if free_memory:
        gc.collect()
        if sys.platform == "linux":
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
            if trim is not None:
                trim(0)


def get_uid(prefix: str = "") -> int:
    """Return the next number for `prefix`, starting at 1.

    Example:
        >>> clear_session()
        >>> get_uid("dense"), get_uid("dense")
        (1, 2)
    """
    _uids[prefix] += 1
    return _uids[prefix]


def is_float_dtype(dtype: DType) -> bool:
    """Return whether `dtype` is a floating-point dtype.

    Example:
        >>> is_float_dtype("bfloat16")
        True
    """
    return is_float(dtype)


def is_int_dtype(dtype: DType) -> bool:
    """Return whether `dtype` is an integer dtype, signed or unsigned.

    Example:
        >>> is_int_dtype("uint8"), is_int_dtype("bool")
        (True, False)
    """
    return standardize_dtype(dtype).startswith(("int", "uint"))


def is_keras_tensor(x: object) -> bool:
    """Return whether `x` is a symbolic tensor.

    Example:
        >>> is_keras_tensor(KerasTensor((None, 2)))
        True
    """
    return isinstance(x, KerasTensor)
