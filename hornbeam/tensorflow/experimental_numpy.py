"""`tf.experimental.numpy`: NumPy's functions, which are those of `jax.numpy`."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

__all__ = [name for name in dir(jnp) if not name.startswith("_")] + [
    "experimental_enable_numpy_behavior"
]


def experimental_enable_numpy_behavior(*args: Any, **kwargs: Any) -> None:
    """Do nothing: arrays have the methods and the dtype rules of NumPy."""


def __getattr__(name: str) -> Any:
    return getattr(jnp, name)
