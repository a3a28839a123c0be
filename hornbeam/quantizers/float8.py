"""8-bit floating point with delayed scaling (Micikevicius et al. 2022).

Each step rounds with a scale computed from the largest magnitudes of earlier steps.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.typing import Tensor

__all__ = [
    "compute_float8_amax_history",
    "compute_float8_scale",
    "quantize_and_dequantize",
    "through",
    "through_gradient",
]

FORWARD, BACKWARD = "float8_e4m3fn", "float8_e5m2"


def compute_float8_scale(amax: Tensor, scale: Tensor, dtype_max: float, margin: int = 0) -> Tensor:
    """Return the divisor that fits values into an 8-bit type: `amax / dtype_max * 2**margin`.

    Args:
        amax: Largest magnitude. If it is zero or not finite, `scale` is returned.
        scale: The current scale.
        dtype_max: Largest number of the type.
        margin: Number of powers of two to leave as headroom.

    Example:
        >>> float(compute_float8_scale(2.0, 1.0, 448.0))
        0.004464285913854837
    """
    amax, scale = jnp.asarray(amax, "float32"), jnp.asarray(scale, "float32")
    known = (amax > 0) & jnp.isfinite(amax)
    return jnp.where(known, jnp.where(known, amax, 1) / dtype_max * 2.0**margin, scale)


def compute_float8_amax_history(x: Tensor, amax_history: Tensor) -> Tensor:
    """Return the history of largest magnitudes, updated with the magnitude of `x`.

    The entries are rolled left by one; then the first is replaced.

    Args:
        x: Tensor.
        amax_history: Largest magnitudes so far, of shape (steps,).

    Example:
        >>> compute_float8_amax_history(jnp.array([1.0, -5.0]), jnp.array([1.0, 2.0, 3.0])).tolist()
        [5.0, 3.0, 1.0]
    """
    history = jnp.asarray(amax_history)
    return jnp.roll(history, -1).at[0].set(jnp.max(jnp.abs(x)).astype(history.dtype))


def quantize_and_dequantize(
    inputs: Tensor, scale: Tensor, quantized_dtype: str, compute_dtype: str
) -> Tensor:
    """Cast `inputs / scale` to an 8-bit type, and return `scale` times the result.

    Args:
        inputs: Tensor.
        scale: Divisor before the cast and factor after it.
        quantized_dtype: `"float8_e4m3fn"` or `"float8_e5m2"`.
        compute_dtype: Dtype of the result.

    Example:
        >>> quantize_and_dequantize(jnp.array([127.0]), 0.5, "float8_e4m3fn", "float32").tolist()
        [128.0]
    """
    end = float(jnp.finfo(quantized_dtype).max)
    scale = jnp.asarray(scale, compute_dtype)
    narrow = jnp.clip(jnp.asarray(inputs) / scale, -end, end).astype(quantized_dtype)
    return narrow.astype(compute_dtype) * scale


def _updated(x: Any, scale: Any, history: Any, dtype: str) -> tuple[Any, Any]:
    """Return the next scale, computed from the old history, and the updated history."""
    new = compute_float8_scale(jnp.max(history), scale, float(jnp.finfo(dtype).max))
    return new, compute_float8_amax_history(x, history)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def through(x: Tensor, scale: Tensor, history: Tensor, update: bool) -> Tensor:
    """Round `x` to the 8-bit type of the forward pass; its gradient passes unchanged.

    The gradients of `scale` and `history` are their next values, or zeros if `update` is false.

    Example:
        >>> through(jnp.array([127.0]), jnp.float32(0.5), jnp.zeros(4), True).tolist()
        [128.0]
    """
    return quantize_and_dequantize(x, scale, FORWARD, x.dtype.name)


def _through_forward(x: Any, scale: Any, history: Any, update: bool) -> tuple[Any, Any]:
    return through(x, scale, history, update), _updated(x, scale, history, FORWARD)


def _through_backward(update: bool, new: Any, gradient: Any) -> tuple[Any, Any, Any]:
    return gradient, *(jax.tree.map(lambda v: v if update else jnp.zeros_like(v), new))


through.defvjp(_through_forward, _through_backward)


@jax.custom_vjp
def through_gradient(x: Tensor, scale: Tensor, history: Tensor) -> Tensor:
    """Return `x`; its gradient is rounded to the 8-bit type of the backward pass.

    The gradients of `scale` and `history` are their next values.

    Example:
        >>> def product(x):
        ...     return 127 * through_gradient(x, jnp.float32(0.5), jnp.zeros(4))
        >>> jax.grad(product)(1.0).item()
        128.0
    """
    return x


def _gradient_backward(state: Any, gradient: Any) -> tuple[Any, Any, Any]:
    rounded = quantize_and_dequantize(gradient, state[0], BACKWARD, gradient.dtype.name)
    return rounded, *_updated(gradient, state[0], state[1], BACKWARD)


through_gradient.defvjp(lambda x, scale, history: (x, (scale, history)), _gradient_backward)
