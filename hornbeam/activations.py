"""Activation functions, by name and as functions of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors
from hornbeam.core.symbolic import Tensor, op

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "serialize",
    "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "squareplus", "swish",
    "tanh", "tanh_shrink",
]  # fmt: skip


def linear(x: Tensor) -> Tensor:
    """Return `x`.

    Example:
        >>> linear(2.0)
        2.0
    """
    return x


def relu(x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """Rectified linear unit: `x` above `threshold`, `negative_slope * (x - threshold)` below, at most `max_value`.

    Args:
        x: Tensor.
        negative_slope: Slope below the threshold.
        max_value: Upper bound.
        threshold: Where the slope changes.

    Example:
        >>> relu(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """
    if not negative_slope and max_value is None and not threshold:
        return _relu(x)
    return _general_relu(x, negative_slope, max_value, threshold)


@op("nn", "Relu")
def _relu(x: Tensor) -> Tensor:
    return jax.nn.relu(x)


@op("nn", "ReLUGeneral")
def _general_relu(x: Tensor, negative_slope: float, max_value: float | None, threshold: float) -> Tensor:
    y = jnp.where(x >= threshold, x, negative_slope * (x - threshold)) if (negative_slope or threshold) else jax.nn.relu(x)
    if threshold and not negative_slope:
        y = jnp.where(x > threshold, x, jnp.zeros_like(x))
    return y if max_value is None else jnp.minimum(y, max_value)


@op("nn", "Relu6")
def relu6(x: Tensor) -> Tensor:
    """`min(max(x, 0), 6)`.

    Example:
        >>> relu6(jnp.array([-1.0, 7.0]))
        Array([0., 6.], dtype=float32)
    """
    return jax.nn.relu6(x)


@op("nn", "LeakyRelu")
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """`x` where positive, `negative_slope * x` elsewhere.

    Example:
        >>> leaky_relu(jnp.array([-1.0, 2.0]))
        Array([-0.2,  2. ], dtype=float32)
    """
    return jax.nn.leaky_relu(x, negative_slope)


@op("nn", "Softmax")
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """`exp(x) / sum(exp(x))` along `axis`.

    Example:
        >>> softmax(jnp.zeros(2))
        Array([0.5, 0.5], dtype=float32)
    """
    return jax.nn.softmax(x, axis)


@op("nn", "LogSoftmax")
def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Logarithm of `softmax`.

    Example:
        >>> log_softmax(jnp.zeros(1))
        Array([0.], dtype=float32)
    """
    return jax.nn.log_softmax(x, axis)


@op("nn", "Elu")
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere (Clevert et al. 2015).

    Example:
        >>> elu(jnp.array([2.0]))
        Array([2.], dtype=float32)
    """
    return jax.nn.elu(x, alpha)


@op("nn", "Gelu")
def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """`x * P(X <= x)` for a standard normal X (Hendrycks and Gimpel 2016).

    Args:
        x: Tensor.
        approximate: Whether the tanh approximation is used.

    Example:
        >>> gelu(jnp.array([0.0]))
        Array([0.], dtype=float32)
    """
    return jax.nn.gelu(x, approximate)


def _lift(name: str, class_name: str, function: Callable[[Any], Any], formula: str, zero: float) -> Any:
    """Make an activation of one argument."""

    def activation(x: Tensor) -> Tensor:
        return function(x)

    activation.__name__ = activation.__qualname__ = name
    activation.__doc__ = f"""{formula}

    Example:
        >>> round(float({name}(jnp.array(0.0))), 4)
        {zero}
    """
    return op("nn", class_name)(activation)


sigmoid = _lift("sigmoid", "Sigmoid", jax.nn.sigmoid, "`1 / (1 + exp(-x))`.", 0.5)
tanh = _lift("tanh", "Tanh", jnp.tanh, "Hyperbolic tangent.", 0.0)
softplus = _lift("softplus", "Softplus", jax.nn.softplus, "`log(1 + exp(x))`.", 0.6931)
softsign = _lift("softsign", "Softsign", jax.nn.soft_sign, "`x / (1 + |x|)`.", 0.0)
silu = _lift("silu", "Silu", jax.nn.silu, "`x * sigmoid(x)`; swish by another name.", 0.0)
selu = _lift("selu", "Selu", jax.nn.selu, "Scaled `elu` (Klambauer et al. 2017).", 0.0)
mish = _lift("mish", "Mish", jax.nn.mish, "`x * tanh(softplus(x))` (Misra 2019).", 0.0)
exponential = _lift("exponential", "Exponential", jnp.exp, "`exp(x)`.", 1.0)
hard_sigmoid = _lift("hard_sigmoid", "HardSigmoid", jax.nn.hard_sigmoid, "`relu6(x + 3) / 6`.", 0.5)
hard_silu = _lift("hard_silu", "HardSilu", jax.nn.hard_silu, "`x * relu6(x + 3) / 6`.", 0.0)
hard_tanh = _lift("hard_tanh", "HardTanh", jax.nn.hard_tanh, "`x` cut to [-1, 1].", 0.0)
log_sigmoid = _lift("log_sigmoid", "LogSigmoid", jax.nn.log_sigmoid, "Logarithm of `sigmoid`.", -0.6931)
tanh_shrink = _lift("tanh_shrink", "TanhShrink", lambda x: x - jnp.tanh(x), "`x - tanh(x)`.", 0.0)
sparse_plus = _lift("sparse_plus", "SparsePlus", jax.nn.sparse_plus, "0 below -1, x above 1, `(x + 1)^2 / 4` between.", 0.25)
swish, hard_swish = silu, hard_silu


@op("nn", "Celu")
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """`max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))` (Barron 2017).

    Example:
        >>> celu(jnp.array([2.0]))
        Array([2.], dtype=float32)
    """
    return jax.nn.celu(x, alpha)


@op("nn", "Glu")
def glu(x: Tensor, axis: int = -1) -> Tensor:
    """First half along `axis`, times the sigmoid of the second (Dauphin et al. 2016).

    Example:
        >>> glu(jnp.array([2.0, 0.0]))
        Array([1.], dtype=float32)
    """
    return jax.nn.glu(x, axis)


@op("nn", "SoftShrink")
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """`x` moved towards zero by `threshold`, zero within it.

    Example:
        >>> soft_shrink(jnp.array([2.0, 0.1]))
        Array([1.5, 0. ], dtype=float32)
    """
    return jnp.sign(x) * jnp.maximum(jnp.abs(x) - threshold, 0)


@op("nn", "Squareplus")
def squareplus(x: Tensor, b: float = 4) -> Tensor:
    """`(x + sqrt(x^2 + b)) / 2`.

    Example:
        >>> squareplus(jnp.array([0.0]))
        Array([1.], dtype=float32)
    """
    return jax.nn.squareplus(x, b)


_NAMES = {name: globals()[name] for name in __all__ if name not in ("get", "serialize", "deserialize")}


def get(identifier: Any) -> Any:
    """Return the activation that a name, a function, a config or `None` (linear) stands for.

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> get("relu") is relu, get(None) is linear
        (True, True)
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        from hornbeam.saving.config import get_registered_object

        found = get_registered_object(identifier) or _NAMES.get(identifier) or _NAMES.get(identifier.lower())
        if found is None:
            raise errors.unknown_name("activation", identifier, _NAMES)
        return found
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ValueError(f"Expected an activation's name or a function, received {identifier!r}.")


def serialize(activation: Any) -> Any:
    """Return the name of an activation (a config for functions of your own).

    Example:
        >>> serialize(relu)
        'relu'
    """
    from hornbeam.saving.config import serialize as to_config

    return to_config(activation)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the activation of a name or config."""
    from hornbeam.saving.config import custom_object_scope
    from hornbeam.saving.config import deserialize as from_config

    with custom_object_scope(custom_objects or {}):
        return get(config) if isinstance(config, str) else from_config(config)
