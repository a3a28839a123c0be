"""Constraints: functions that project weights after each update.

Norms are Euclidean. For the kernel of a dense layer, axis 0 holds the inputs of each unit.
"""

from __future__ import annotations

from typing import Any, Self

import jax.numpy as jnp

from hornbeam import settings
from hornbeam.checked import Fraction, NonNegative, check, checked, unexpected
from hornbeam.objects.constructor import constructor_config
from hornbeam.objects.family import Family
from hornbeam.typing import Axis

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
    """Base of constraints. Subclasses implement `__call__(w)`.

    Example:
        >>> class Half(Constraint):
        ...     def __call__(self, w):
        ...         return w / 2
        >>> Half()(jnp.ones(1))
        Array([0.5], dtype=float32)
    """

    def __call__(self, w: Any) -> Any:
        """Return the projected weight."""
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(w)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return constructor_config(self, Constraint)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a constraint from the result of `get_config`."""
        return cls(**config)


def _norm(w: Any, axis: Axis) -> Any:
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Scales weights down to norms of at most `max_value` along `axis`.

    Args:
        max_value: Largest norm, not negative.
        axis: Axis or axes over which to take the norm.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> MaxNorm(1.0)(jnp.array([[2.0], [0.0]])).round(3)
        Array([[1.],
               [0.]], dtype=float32)
    """

    @checked
    def __init__(self, max_value: NonNegative = 2, axis: Axis = 0, **kwargs: Any):
        if "m" in kwargs:  # the name in Keras 1
            max_value = kwargs.pop("m")
            check("MaxNorm", "m", max_value, NonNegative)
        if kwargs:
            raise unexpected(type(self), kwargs)
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        norms = _norm(w, self.axis)
        return w * (jnp.clip(norms, 0, self.max_value) / (settings.epsilon() + norms))


class NonNeg(Constraint):
    """Sets negative weights to 0.

    Example:
        >>> NonNeg()(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """

    def __call__(self, w: Any) -> Any:
        return jnp.maximum(w, 0)


class UnitNorm(Constraint):
    """Scales weights to norms of 1 along `axis`.

    Args:
        axis: Axis or axes over which to take the norm.

    Raises:
        ValueError: If `axis` has the wrong type.

    Example:
        >>> UnitNorm()(jnp.array([[2.0], [0.0]])).round(3)
        Array([[1.],
               [0.]], dtype=float32)
    """

    @checked
    def __init__(self, axis: Axis = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        return w / (settings.epsilon() + _norm(w, self.axis))


class MinMaxNorm(Constraint):
    """Scales weights to norms between `min_value` and `max_value` along `axis`.

    A norm `n` becomes `rate * clip(n, min_value, max_value) + (1 - rate) * n`.

    Args:
        min_value: Smallest norm, not negative.
        max_value: Largest norm, not negative.
        rate: Fraction of the correction that each update applies, from 0 to 1.
        axis: Axis or axes over which to take the norm.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> MinMaxNorm(0.0, 1.0)(jnp.array([[2.0], [0.0]])).round(3)
        Array([[1.],
               [0.]], dtype=float32)
    """

    @checked
    def __init__(
        self,
        min_value: NonNegative = 0.0,
        max_value: NonNegative = 1.0,
        rate: Fraction = 1.0,
        axis: Axis = 0,
    ):
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        norms = _norm(w, self.axis)
        wanted = (
            self.rate * jnp.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        )
        return w * (wanted / (settings.epsilon() + norms))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
maxnorm, nonneg, unitnorm = MaxNorm, NonNeg, UnitNorm  # names of Keras 1
CONSTRAINTS = Family("constraint", Constraint, "keras.constraints", globals())
get, serialize, deserialize = CONSTRAINTS.functions(
    "constraint",
    """
>>> deserialize(serialize(get("max_norm"))).max_value
2
""",
)
