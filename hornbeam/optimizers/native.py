"""Native kernels of optimizers on CPU; `hornbeam.ops.routes` decides where they are used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.ops import routes
from hornbeam.ops.primitive import define
from hornbeam.ops.rows import RowSum, dense, sum_rows
from hornbeam.typing import DType, Tensor

__all__ = ["adam", "after", "moments"]


def after(rate: Tensor, gradients: Sequence[Any], dtype: DType, size: int) -> Tensor:
    """Return `rate` with a dependency on every gradient, so no update runs before all exist.

    Otherwise a gradient may still need the old value of a weight, and XLA on CPU copies the weights
    that a compiled loop changes in place.

    Args:
        rate: The learning rate.
        gradients: All gradients, each an array or a `RowSum`.
        dtype: Dtype of the largest weight.
        size: Number of its elements.
    """
    if routes.update("order", dtype, size).name == "native":
        arrays = [g.rows if isinstance(g, RowSum) else g for g in gradients]
        return _after_p.bind(jnp.asarray(rate), *arrays)
    return rate


def _after_on_cpu(rate: Any, *gradients: Any) -> Any:
    result = jax.ShapeDtypeStruct(rate.shape, rate.dtype)
    return jax.ffi.ffi_call("hornbeam_after", result)(rate, *gradients)


_after_p = define(
    "hornbeam_after",
    lambda rate, *gradients: rate,
    lambda rate, *gradients: rate.shape,
    {"cpu": _after_on_cpu},
)


def moments(g: Tensor, m: Tensor, v: Tensor, factors: tuple[float, ...]) -> tuple[Any, Any]:
    """Return Adam's moments, updated by the gradient, its square and the first two `factors`."""
    return m + (g - m) * factors[0], v + (jnp.square(g) - v) * factors[1]


def adam(
    g: Tensor, w: Tensor, m: Tensor, v: Tensor, alpha: Tensor, factors: tuple[float, float, float]
) -> tuple[Any, Any, Any]:
    """Return the weights and moments after a step of Adam.

    Args:
        g: Gradient, an array or a `RowSum`.
        w: Weights.
        m, v: Moments.
        alpha: Learning rate, corrected for the zeros that the moments start from.
        factors: `1 - beta_1`, `1 - beta_2` and epsilon.

    Example:
        >>> zero = jnp.zeros(2)
        >>> adam(jnp.ones(2), zero, zero, zero, 0.5, (1.0, 1.0, 0.0))[0].tolist()
        [-0.5, -0.5]
    """
    if routes.update("adam", w.dtype, w.size).name != "native":
        return _plain_adam(factors, dense(g), w, m, v, alpha)
    parts = (g.index, g.rows) if isinstance(g, RowSum) else (g,)
    return _native_adam(factors, parts, w, m, v, alpha)


def _native_adam(
    factors: tuple[float, ...], g: tuple[Any, ...], w: Any, m: Any, v: Any, alpha: Any
) -> tuple[Any, ...]:
    """Call the kernel for an array `(gradient,)`, or the one for a row sum `(index, rows)`."""
    return tuple(_adam_p.bind(w, m, v, alpha, *g, factors=tuple(factors)))


def _plain_adam(
    factors: tuple[float, ...], g: Any, w: Any, m: Any, v: Any, alpha: Any
) -> tuple[Any, ...]:
    m, v = moments(g, m, v, factors)
    return w - alpha * m / (jnp.sqrt(v) + factors[2]), m, v


def _adam_by_jax(
    w: Any, m: Any, v: Any, alpha: Any, *g: Any, factors: tuple[float, ...]
) -> list[Any]:
    """Compute a step from an array `(gradient,)`, or from a row sum `(index, rows)`."""
    whole = g[0] if len(g) == 1 else sum_rows(g[1], g[0], w.shape[0])
    return list(_plain_adam(factors, whole, w, m, v, alpha))


def _adam_on_cpu(
    w: Any, m: Any, v: Any, alpha: Any, *g: Any, factors: tuple[float, ...]
) -> list[Any]:
    result, count = jax.ShapeDtypeStruct(w.shape, w.dtype), len(g)
    call = jax.ffi.ffi_call(
        "hornbeam_adam" if count == 1 else "hornbeam_adam_rows", [result] * 3,
        # In place, if JAX may overwrite weights and moments.
        input_output_aliases={count: 0, count + 1: 1, count + 2: 2},
    )  # fmt: skip
    names = ("new_1", "new_2", "epsilon")
    options = dict(zip(names, map(np.float32, factors), strict=True))
    return list(call(*g, w, m, v, alpha, **options))


_adam_p = define(
    "hornbeam_adam",
    _adam_by_jax,
    lambda w, *others, factors: [w.shape] * 3,
    {"cpu": _adam_on_cpu},
    ["factors"],
    many=True,
)
