"""What optimizers have native kernels for on CPU; `hornbeam.ops.routes` says where they are used."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.ops import routes

__all__ = ["adam", "after", "moments"]


def after(rate: Any, gradients: Sequence[Any], dtype: Any, size: int) -> Any:
    """Return a learning rate that there is no sooner than all gradients.

    So no weight is updated while some gradient still needs its old value; otherwise XLA on CPU copies the weights
    that are changed in place within a compiled loop.

    Args:
        rate: The rate.
        gradients: All gradients.
        dtype: Dtype of the largest weight.
        size: Its size.
    """
    if routes.update("order", dtype, size).name == "native":
        return _after(rate, *gradients)
    return rate


@jax.custom_jvp
def _after(rate: Any, *gradients: Any) -> Any:
    result = jax.ShapeDtypeStruct(rate.shape, rate.dtype)
    return jax.ffi.ffi_call("hornbeam_after", result, vmap_method="sequential")(rate, *gradients)


@_after.defjvp
def _after_jvp(primals: Any, tangents: Any) -> Any:
    return _after(*primals), tangents[0]


def moments(g: Any, m: Any, v: Any, factors: tuple[float, ...]) -> tuple[Any, Any]:
    """Return the moments of Adam, moved towards gradient and squared gradient by the first two `factors`."""
    return m + (g - m) * factors[0], v + (jnp.square(g) - v) * factors[1]


def adam(g: Any, w: Any, m: Any, v: Any, alpha: Any, factors: tuple[float, float, float]) -> tuple[Any, Any, Any]:
    """Return weights and moments after a step of Adam.

    Args:
        g: Gradient.
        w: Weights.
        m, v: Moments.
        alpha: Learning rate, corrected for the moments' start.
        factors: What the moments move by, and epsilon.

    Example:
        >>> zero = jnp.zeros(2)
        >>> adam(jnp.ones(2), zero, zero, zero, 0.5, (1.0, 1.0, 0.0))[0].tolist()
        [-0.5, -0.5]
    """
    step = _native_adam if routes.update("adam", w.dtype, w.size).name == "native" else _plain_adam
    return step(factors, g, w, m, v, alpha)


def _plain_adam(factors: tuple[float, ...], g: Any, w: Any, m: Any, v: Any, alpha: Any) -> tuple[Any, ...]:
    m, v = moments(g, m, v, factors)
    return w - alpha * m / (jnp.sqrt(v) + factors[2]), m, v


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _native_adam(factors: tuple[float, ...], g: Any, w: Any, m: Any, v: Any, alpha: Any) -> tuple[Any, ...]:
    result = jax.ShapeDtypeStruct(w.shape, w.dtype)
    # In place, where JAX may overwrite weights and moments.
    call = jax.ffi.ffi_call(
        "hornbeam_adam", [result] * 3, input_output_aliases={1: 0, 2: 1, 3: 2}, vmap_method="sequential"
    )
    names = ("new_1", "new_2", "epsilon")
    return tuple(call(g, w, m, v, alpha, **dict(zip(names, map(np.float32, factors), strict=True))))


@_native_adam.defjvp
def _native_adam_jvp(factors: tuple[float, ...], primals: Any, tangents: Any) -> Any:
    return jax.jvp(functools.partial(_plain_adam, factors), primals, tangents)
