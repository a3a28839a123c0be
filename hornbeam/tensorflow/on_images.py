"""What the functions of `tf.image` share: one formula for arrays of NumPy and of JAX.

On the host a function is NumPy's, so pipelines run it in threads. Of arrays of JAX, in models and
in compiled functions too, it is JAX's.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.layers import Lambda
from hornbeam.tensorflow.host import HostTensor, dtype_name, host_array

__all__ = ["convert_dtype", "floating", "library", "on_images", "sizes_of"]


def library(x: Any) -> Any:
    """Return `jax.numpy` for arrays of JAX, else NumPy."""
    return jnp if isinstance(x, jax.Array) else np


def on_images(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose first argument may be any tensor, as an image function's.

    The function itself gets an array of NumPy or of JAX.
    """
    first = next(iter(inspect.signature(function).parameters))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        image = args[0] if args else kwargs.pop(first)
        rest = args[1:]
        if isinstance(image, KerasTensor):
            return Lambda(lambda x: call(x, *rest, **kwargs))(image)
        if isinstance(image, Variable):
            image = image.value
        x = image if isinstance(image, jax.Array) else host_array(image)
        found = function(x, *rest, **kwargs)
        return found.view(HostTensor) if isinstance(found, np.ndarray) else found

    return call


def sizes_of(x: Any, name: str, axes: tuple[int, ...] = (3, 4)) -> tuple[int, int]:
    """Return height and width of images.

    Raises:
        ValueError: If they have another number of axes.
    """
    if x.ndim not in axes:
        raise ValueError(
            f"{name}: images must have the axes height, width and channels, and possibly a first"
            f" axis of the batch, received shape {tuple(x.shape)}."
        )
    return int(x.shape[-3]), int(x.shape[-2])


def _limit(dtype: Any) -> int:
    return int(np.iinfo(dtype).max)


def _is_float(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating)


def _cast(x: Any, dtype: str, saturate: bool) -> Any:
    xp = library(x)
    if not saturate or _is_float(dtype):
        return x.astype(dtype)
    limits = np.iinfo(dtype)
    low, high = float(limits.min), float(limits.max)
    if _is_float(x.dtype) and high > 2**24:  # the largest number below it that float32 has
        high = float(np.nextafter(np.float32(high), np.float32(0)))
    return xp.clip(x, low, high).astype(dtype) if _is_float(x.dtype) else (
        xp.clip(x, max(limits.min, np.iinfo(x.dtype).min), min(limits.max, _limit(x.dtype)))
        .astype(dtype)
    )  # fmt: skip


def convert_dtype(x: Any, dtype: Any, saturate: bool = False) -> Any:
    """Return an image in another dtype; integers stand for numbers from 0 to 1."""
    dtype = dtype_name(dtype)
    before = x.dtype
    if before == dtype:
        return x
    if _is_float(before) and _is_float(dtype):
        return x.astype(dtype)
    if _is_float(before):
        scale = np.asarray(_limit(dtype) + 0.5, before)
        return _cast(x * scale, dtype, saturate)
    if _is_float(dtype):
        return x.astype(dtype) * np.asarray(1 / _limit(before), dtype)
    if _limit(before) > _limit(dtype):
        scaled = x // np.asarray((_limit(before) + 1) // (_limit(dtype) + 1), before)
        return _cast(scaled, dtype, saturate)
    times = (_limit(dtype) + 1) // (_limit(before) + 1)
    return _cast(x, dtype, saturate) * np.asarray(times, dtype)


def floating(x: Any) -> Any:
    """Return an image in floating point, for computing."""
    return x if x.dtype in ("float16", "float32") else convert_dtype(x, "float32")
