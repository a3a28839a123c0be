"""Activation functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.core.op_table import OPS
from hornbeam.objects.family import Family
from hornbeam.older_words import older_words
from hornbeam.ops import elementwise, nn
from hornbeam.ops.neural import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh_shrink,
    threshold,
)
from hornbeam.ops.sparse import of_entries
from hornbeam.typing import Tensor

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid",
    "log_softmax", "mish", "relu", "relu6", "selu", "serialize", "sigmoid", "silu", "soft_shrink",
    "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus",
    "swish", "tanh", "tanh_shrink", "threshold",
]  # fmt: skip

tanh = elementwise.tanh


def linear(x: Tensor) -> Tensor:
    """Return `x` unchanged.

    Example:
        >>> linear(2.0)
        2.0
    """
    return x


def exponential(x: Tensor) -> Tensor:
    """Return e to the power of `x`.

    Example:
        >>> exponential(0.0).tolist()
        1.0
    """
    return elementwise.exp(x)


def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """Return `x * P(X <= x)` for a standard normal X.

    Hendrycks and Gimpel 2016, "Gaussian error linear units".

    Args:
        x: Tensor.
        approximate: Whether to use the tanh approximation.

    Example:
        >>> gelu(0.0).tolist()
        0.0
    """
    return nn.gelu(x, approximate)


@op("nn")
def mish(x: Tensor) -> Tensor:
    """Return `x * tanh(softplus(x))`.

    Misra 2019, "Mish: a self regularized non-monotonic neural activation function".

    Example:
        >>> mish(0.0).tolist()
        0.0
    """
    return jax.nn.mish(convert(x))


# In Keras's files, the module of this op is the activations module.
@older_words(alpha="negative_slope")
@op("keras.src.activations.activations", "ReLU")
def relu(
    x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """Return `x` above `threshold`, else `negative_slope * (x - threshold)`.

    Args:
        x: Tensor.
        negative_slope: Slope below the threshold.
        max_value: Upper bound of the result. Default: no bound.
        threshold: Value at which the slope changes.

    Example:
        >>> relu(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """
    x = convert(x)
    if negative_slope or threshold:
        y = jnp.where(x > threshold, x, negative_slope * (x - threshold))
    else:
        y = jax.nn.relu(x)
    return y if max_value is None else jnp.minimum(y, jnp.asarray(max_value, y.dtype))


def _sparse_relu(function: Callable[..., Tensor], x: Any, *settings: Any) -> Any:
    is_zero_at_zero = not settings[-1]  # the threshold
    return of_entries(function, x, *settings) if is_zero_at_zero else function(x, *settings)


OPS["ReLU"].sparse_rule = _sparse_relu

ACTIVATIONS = Family("activation", (), "keras.activations", globals(), for_none=linear)
get, serialize, deserialize = ACTIVATIONS.functions(
    "activation",
    """
>>> get(None) is linear, serialize(get("relu"))
(True, 'relu')
""",
)
