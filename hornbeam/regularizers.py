"""Regularizers: penalties on weights or outputs, added to the loss."""

from __future__ import annotations

from typing import Any, Literal, Self

import jax.numpy as jnp

from hornbeam import errors
from hornbeam.checked import NonNegative, check, checked, unexpected
from hornbeam.objects.constructor import constructor_config
from hornbeam.objects.family import Family

__all__ = [
    "ActivityRegularizer",
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "WeightRegularizer",
    "activity_l1",
    "activity_l1l2",
    "activity_l2",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l1l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]


class Regularizer:
    """Base of regularizers. Subclasses implement `__call__(x)`, which returns a scalar.

    Example:
        >>> class Mean(Regularizer):
        ...     def __call__(self, x):
        ...         return jnp.mean(x)
        >>> float(Mean()(jnp.ones(3)))
        1.0
    """

    def __call__(self, x: Any) -> Any:
        """Return the penalty for a weight or an output."""
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(x)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return constructor_config(self, Regularizer)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a regularizer from the result of `get_config`."""
        return cls(**config)


def _factor(regularizer: Regularizer, value: NonNegative | None, kwargs: dict[str, Any]) -> float:
    """Return a factor, which Keras 1 called `l`. `None` means the default, 0.01."""
    if "l" in kwargs:
        value = kwargs.pop("l")
        check(type(regularizer).__name__, "l", value, NonNegative | None)
    if kwargs:
        raise unexpected(type(regularizer), kwargs)
    return 0.01 if value is None else float(value)


class L1L2(Regularizer):
    """The penalty `l1 * sum(|x|) + l2 * sum(x²)`.

    Args:
        l1: Factor of the absolute values, not negative.
        l2: Factor of the squares, not negative.

    Raises:
        ValueError: If a factor is negative or not a number.

    Example:
        >>> float(L1L2(l1=1.0, l2=1.0)(jnp.array([2.0])))
        6.0
    """

    @checked
    def __init__(self, l1: NonNegative | None = 0.0, l2: NonNegative | None = 0.0):
        self.l1, self.l2 = float(l1 or 0.0), float(l2 or 0.0)

    def __call__(self, x: Any) -> Any:
        penalty = jnp.zeros((), x.dtype)
        if self.l1:
            penalty += self.l1 * jnp.sum(jnp.abs(x))
        if self.l2:
            penalty += self.l2 * jnp.sum(jnp.square(x))
        return penalty


class L1(Regularizer):
    """The penalty `l1 * sum(|x|)`.

    Args:
        l1: Factor, not negative. `None` means 0.01.

    Raises:
        ValueError: If the factor is negative or not a number.

    Example:
        >>> float(L1(0.5)(jnp.array([2.0, -2.0])))
        2.0
    """

    @checked
    def __init__(self, l1: NonNegative | None = 0.01, **kwargs: Any):
        self.l1 = _factor(self, l1, kwargs)

    def __call__(self, x: Any) -> Any:
        return self.l1 * jnp.sum(jnp.abs(x))


class L2(Regularizer):
    """The penalty `l2 * sum(x²)`.

    Args:
        l2: Factor, not negative. `None` means 0.01.

    Raises:
        ValueError: If the factor is negative or not a number.

    Example:
        >>> float(L2(0.5)(jnp.array([2.0])))
        2.0
    """

    @checked
    def __init__(self, l2: NonNegative | None = 0.01, **kwargs: Any):
        self.l2 = _factor(self, l2, kwargs)

    def __call__(self, x: Any) -> Any:
        return self.l2 * jnp.sum(jnp.square(x))


class OrthogonalRegularizer(Regularizer):
    """A penalty that encourages orthogonal rows or columns of a matrix.

    It is `factor` times the mean of `|cos(angle)|` over all pairs of rows or columns.

    Args:
        factor: Factor, not negative.
        mode: `"rows"` or `"columns"`.

    Raises:
        ValueError: If an argument is out of range. In a call, if the weight is not a matrix.

    Example:
        >>> float(OrthogonalRegularizer()(jnp.eye(2)))
        0.0
    """

    @checked
    def __init__(self, factor: NonNegative = 0.01, mode: Literal["rows", "columns"] = "rows"):
        self.factor, self.mode = float(factor), mode

    def __call__(self, x: Any) -> Any:
        if x.ndim != 2:
            raise ValueError(
                f"OrthogonalRegularizer: expected a matrix, received {errors.describe(x)}."
            )
        vectors = x if self.mode == "rows" else x.T
        vectors = vectors / jnp.maximum(jnp.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        products = vectors @ vectors.T
        count = vectors.shape[0]
        others = products * (1.0 - jnp.eye(count, dtype=x.dtype))
        pairs = count * (count - 1.0) / 2.0
        return self.factor * 0.5 * jnp.sum(jnp.abs(others)) / pairs


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Return `L1L2(l1, l2)`.

    Example:
        >>> l1_l2().l2
        0.01
    """
    return L1L2(l1=l1, l2=l2)


l1, l2, orthogonal_regularizer = L1, L2, OrthogonalRegularizer
# Names of Keras 1.
WeightRegularizer = ActivityRegularizer = L1L2
activity_l1, activity_l2, activity_l1l2, l1l2 = L1, L2, l1_l2, l1_l2


def _made(found: Any) -> Any:
    # By name, both factors of L1L2 are 0.01; the defaults of the class are 0.
    return found() if isinstance(found, type) or found is l1_l2 else found


REGULARIZERS = Family("regularizer", Regularizer, "keras.regularizers", globals(), make=_made)
get, serialize, deserialize = REGULARIZERS.functions(
    "regularizer",
    """
>>> deserialize(serialize(get("l2"))).l2
0.01
""",
)
