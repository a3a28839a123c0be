"""Constraints: functions applied to weights after each update."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import errors, settings
from hornbeam.objects.constructor import constructor_config
from hornbeam.objects.family import Family

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "maxnorm",
    "min_max_norm",
    "non_neg",
    "nonneg",
    "serialize",
    "unit_norm",
    "unitnorm",
]


class Constraint:
    """Base of constraints; subclasses implement `__call__(w)`.

    Example:
        >>> class Half(Constraint):
        ...     def __call__(self, w):
        ...         return w / 2
        >>> Half()(jnp.ones(1))
        Array([0.5], dtype=float32)
    """

    def __call__(self, w: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(w)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return constructor_config(self, Constraint)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a constraint from what `get_config` returned."""
        return cls(**config)


def _norm(w: Any, axis: Any) -> Any:
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Norms along `axis` at most `max_value`.

    Args:
        max_value: Largest norm; `m` in Keras 1.
        axis: Axis or axes of the inputs of a unit.

    Example:
        >>> MaxNorm(1.0)(jnp.array([[2.0], [0.0]])).round(3)
        Array([[1.],
               [0.]], dtype=float32)
    """

    def __init__(self, max_value: float = 2, axis: Any = 0, **kwargs: Any):
        max_value = kwargs.pop("m", max_value)
        if kwargs:
            raise TypeError(f"MaxNorm: unexpected argument {errors.listed(kwargs)}.")
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norm(w, self.axis)
        return w * (jnp.clip(norms, 0, self.max_value) / (settings.epsilon() + norms))


class NonNeg(Constraint):
    """Negative weights become zero.

    Example:
        >>> NonNeg()(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """

    def __call__(self, w: Any) -> Any:
        return jnp.maximum(w, 0)


class UnitNorm(Constraint):
    """Norms along `axis` equal to 1.

    Args:
        axis: Axis or axes of the inputs of a unit.

    Example:
        >>> UnitNorm()(jnp.array([[2.0], [0.0]])).round(3)
        Array([[1.],
               [0.]], dtype=float32)
    """

    def __init__(self, axis: Any = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (settings.epsilon() + _norm(w, self.axis))


class MinMaxNorm(Constraint):
    """Norms along `axis` between `min_value` and `max_value`.

    Args:
        min_value: Least norm.
        max_value: Largest norm.
        rate: Share of the way to the bound that one application goes.
        axis: Axis or axes of the inputs of a unit.

    Example:
        >>> MinMaxNorm(0.0, 1.0)(jnp.array([[2.0], [0.0]])).round(3)
        Array([[1.],
               [0.]], dtype=float32)
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0):
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norm(w, self.axis)
        wanted = self.rate * jnp.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (wanted / (settings.epsilon() + norms))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
maxnorm, nonneg, unitnorm = MaxNorm, NonNeg, UnitNorm  # of Keras 1
CONSTRAINTS = Family("constraint", Constraint, "keras.constraints", globals())
get, serialize, deserialize = CONSTRAINTS.functions(
    "constraint",
    """
>>> deserialize(serialize(get("max_norm"))).max_value
2
""",
)
