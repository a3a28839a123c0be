"""Margin losses: functions of `(y_true, y_pred)` with one value per sample, and their objects."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.core.op import op
from hornbeam.losses.loss import loss_class
from hornbeam.losses.targets import mean, pair
from hornbeam.typing import Tensor

__all__ = [
    "CategoricalHinge",
    "Hinge",
    "SquaredHinge",
    "categorical_hinge",
    "hinge",
    "squared_hinge",
]


def _as_signs(y_true: Any) -> Any:
    """Turn targets that are all 0 or 1 into -1 and 1; leave others as they are."""
    binary = jnp.all((y_true == 0) | (y_true == 1))
    return jnp.where(binary, 2.0 * y_true - 1.0, y_true)


@op("losses", "HingeLoss")
def hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of `max(1 - y_true y_pred, 0)` over the last axis.

    Args:
        y_true: Targets -1 and 1, or 0 and 1, shape `(B, ..., D)`.
        y_pred: Scores of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> hinge(jnp.array([[-1.0, 1.0]]), jnp.array([[-1.0, 0.0]]))
        Array([0.5], dtype=float32)
    """
    y_true, y_pred = pair("hinge", y_true, y_pred)
    return mean(jnp.maximum(1.0 - _as_signs(y_true) * y_pred, 0.0))


@op("losses", "SquaredHingeLoss")
def squared_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of `max(1 - y_true y_pred, 0)²` over the last axis.

    Args:
        y_true: Targets -1 and 1, or 0 and 1, shape `(B, ..., D)`.
        y_pred: Scores of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> squared_hinge(jnp.array([[-1.0, 1.0]]), jnp.array([[-1.0, -1.0]]))
        Array([2.], dtype=float32)
    """
    y_true, y_pred = pair("squared_hinge", y_true, y_pred)
    return mean(jnp.square(jnp.maximum(1.0 - _as_signs(y_true) * y_pred, 0.0)))


@op("losses", "CategoricalHingeLoss")
def categorical_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return `max(1 + wrong - right, 0)` from the scores of classes.

    `right` is the score of the true class, `wrong` the best score of the other classes.

    `wrong` is at least 0. Crammer and Singer 2001, "On the algorithmic implementation of multiclass
    kernel-based vector machines".

    Args:
        y_true: One-hot rows, shape `(B, ..., C)`.
        y_pred: Scores of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> categorical_hinge(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 1.0]]))
        Array([0.5], dtype=float32)
    """
    y_true, y_pred = pair("categorical_hinge", y_true, y_pred)
    right = jnp.sum(y_true * y_pred, axis=-1)
    wrong = jnp.max((1.0 - y_true) * y_pred, axis=-1)
    return jnp.maximum(wrong - right + 1.0, 0.0)


# --- objects -------------------------------------------------------------------------------

Hinge = loss_class(
    "Hinge", hinge, "Margin loss `max(1 - y_true y_pred, 0)` for targets -1 and 1, or 0 and 1.",
    [[-1.0, 1.0]], [[-1.0, 0.0]], 0.5,
)  # fmt: skip
SquaredHinge = loss_class(
    "SquaredHinge", squared_hinge,
    "Squared margin loss `max(1 - y_true y_pred, 0)²` for targets -1 and 1, or 0 and 1.",
    [[-1.0, 1.0]], [[-1.0, -1.0]], 2.0,
)  # fmt: skip
CategoricalHinge = loss_class(
    "CategoricalHinge", categorical_hinge,
    "Margin `max(1 + wrong - right, 0)` between the true and the best other class.",
    [[0.0, 1.0]], [[0.5, 1.0]], 0.5,
)  # fmt: skip
