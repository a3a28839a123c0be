"""`keras.src.backend`: what is there beside the public functions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from hornbeam import ops, settings
from hornbeam.config import backend as backend_name
from hornbeam.core.masks import get_mask, set_mask
from hornbeam.core.naming import name_scope
from hornbeam.core.random import SeedGenerator, draw_key
from hornbeam.core.scopes import StatelessScope, SymbolicScope
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.core.tracing import infer
from hornbeam.core.variable import Variable, current_overlay
from hornbeam.dtypes import is_float, result_type, standardize_dtype

__all__ = [
    "DATA_FORMATS", "IS_THREAD_SAFE", "KerasTensor", "KerasVariable", "SUPPORTS_RAGGED_TENSORS",
    "SUPPORTS_SPARSE_TENSORS", "StatelessScope", "SymbolicScope", "Variable",
    "any_symbolic_tensors", "backend", "cast", "cond", "compute_output_spec", "convert_to_numpy",
    "convert_to_tensor", "device_scope", "get_autocast_scope", "get_global_attribute",
    "get_keras_mask", "get_stateless_scope", "in_grain_data_pipeline", "in_stateless_scope",
    "in_tf_graph", "is_float_dtype", "is_int_dtype", "is_nnx_enabled", "is_tensor", "jax_draw_seed",
    "name_scope", "result_type", "set_global_attribute", "set_keras_mask",
    "standardize_data_format", "standardize_dtype", "standardize_shape", "vectorized_map",
]  # fmt: skip

KerasVariable = Variable
SUPPORTS_SPARSE_TENSORS = SUPPORTS_RAGGED_TENSORS = False
IS_THREAD_SAFE = True
DATA_FORMATS = ("channels_first", "channels_last")

backend = backend_name
standardize_data_format = settings.standardize_data_format
get_keras_mask, set_keras_mask = get_mask, set_mask
cast, cond, convert_to_numpy, convert_to_tensor, is_tensor = (
    ops.cast, ops.cond, ops.convert_to_numpy, ops.convert_to_tensor, ops.is_tensor,
)  # fmt: skip
vectorized_map = ops.vectorized_map

_globals: dict[str, Any] = {}


def compute_output_spec(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the symbolic result of a function of tensors, by tracing it.

    Example:
        >>> compute_output_spec(ops.transpose, KerasTensor((2, None))).shape
        (None, 2)
    """
    return infer(fn, *args, **kwargs)


def any_symbolic_tensors(args: Any = None, kwargs: Any = None) -> bool:
    """Return whether arguments hold a symbolic tensor."""
    return any_symbolic(args or (), kwargs or {})


def standardize_shape(shape: Any) -> tuple[int | None, ...]:
    """Return a shape as a tuple.

    Raises:
        ValueError: If it is `None`, or a size is negative or no integer.
    """
    if shape is None:
        raise ValueError("A shape must not be None. Pass a tuple of integers and None.")
    sizes = tuple(shape)
    for size in sizes:
        if size is not None and (not isinstance(size, (int, np.integer)) or size < 0):
            raise ValueError(f"A shape must hold integers of at least 0 or None, received {shape}.")
    return tuple(None if size is None else int(size) for size in sizes)


def is_float_dtype(dtype: Any) -> bool:
    """Return whether a dtype is floating-point."""
    return is_float(standardize_dtype(dtype))


def is_int_dtype(dtype: Any) -> bool:
    """Return whether a dtype is an integer dtype, signed or unsigned."""
    return standardize_dtype(dtype).startswith(("int", "uint"))


def jax_draw_seed(seed: Any) -> Any:
    """Return a key of JAX for a seed: an integer, a `SeedGenerator`, a key or `None`."""
    if isinstance(seed, jax.Array):
        return seed
    return draw_key(seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed))


def in_tf_graph() -> bool:
    """Return false: no graph of TensorFlow is built."""
    return False


def in_grain_data_pipeline() -> bool:
    """Return false: layers do not know where they are called."""
    return False


def is_nnx_enabled() -> bool:
    """Return false: variables are not those of Flax."""
    return False


def in_stateless_scope() -> bool:
    """Return whether variables are read from and written to other values."""
    return current_overlay() is not None


def get_stateless_scope() -> Any:
    """Return the values that variables are read from, or `None`."""
    return current_overlay()


def get_autocast_scope() -> None:
    """Return `None`: the layer that is called casts its variables."""


def get_global_attribute(name: str, default: Any = None, set_to_default: bool = False) -> Any:
    """Return a value that `set_global_attribute` kept.

    Args:
        name: Its name.
        default: The result if there is none.
        set_to_default: Whether `default` is kept then.
    """
    if set_to_default and name not in _globals:
        _globals[name] = default
    return _globals.get(name, default)


def set_global_attribute(name: str, value: Any) -> None:
    """Keep a value for the process."""
    _globals[name] = value


@contextlib.contextmanager
def device_scope(device_name: str) -> Iterator[None]:
    """Compute on a device, such as `"cpu:0"`, inside the block."""
    kind, _, number = str(device_name).lower().replace("/", "").partition(":")
    with jax.default_device(jax.devices(kind)[int(number or 0)]):
        yield
