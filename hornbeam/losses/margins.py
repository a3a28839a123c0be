"""Losses of margins: functions of `(y_true, y_pred)`, one value a sample, and their objects."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.core.op import op
from hornbeam.losses.loss import FunctionLoss
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
    """Turn targets that are all 0 or 1 into -1 and 1; leave others."""
    binary = jnp.all((y_true == 0) | (y_true == 1))
    return jnp.where(binary, 2.0 * y_true - 1.0, y_true)


@op("losses", "HingeLoss")
def hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `max(1 - y_true y_pred, 0)` over the last axis; targets -1 and 1, or 0 and 1.

    Example:
        >>> hinge(jnp.array([[-1.0, 1.0]]), jnp.array([[-1.0, 0.0]]))
        Array([0.5], dtype=float32)
    """
    y_true, y_pred = pair("hinge", y_true, y_pred)
    return mean(jnp.maximum(1.0 - _as_signs(y_true) * y_pred, 0.0))


@op("losses", "SquaredHingeLoss")
def squared_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `max(1 - y_true y_pred, 0)²` over the last axis; targets -1 and 1, or 0 and 1.

    Example:
        >>> squared_hinge(jnp.array([[-1.0, 1.0]]), jnp.array([[-1.0, -1.0]]))
        Array([2.], dtype=float32)
    """
    y_true, y_pred = pair("squared_hinge", y_true, y_pred)
    return mean(jnp.square(jnp.maximum(1.0 - _as_signs(y_true) * y_pred, 0.0)))


@op("losses", "CategoricalHingeLoss")
def categorical_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """`max(1 + best wrong score - right score, 0)`; targets are one-hot rows.

    Example:
        >>> categorical_hinge(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 1.0]]))
        Array([0.5], dtype=float32)
    """
    y_true, y_pred = pair("categorical_hinge", y_true, y_pred)
    right = jnp.sum(y_true * y_pred, axis=-1)
    wrong = jnp.max((1.0 - y_true) * y_pred, axis=-1)
    return jnp.maximum(wrong - right + 1.0, 0.0)


# --- objects -------------------------------------------------------------------------------


class Hinge(FunctionLoss):
    """Margin loss for targets -1 and 1 (or 0 and 1).

    Example:
        >>> float(Hinge()([[-1.0, 1.0]], [[-1.0, 0.0]]))
        0.5
    """

    _function = staticmethod(hinge)


class SquaredHinge(FunctionLoss):
    """Squared margin loss for targets -1 and 1 (or 0 and 1).

    Example:
        >>> float(SquaredHinge()([[-1.0, 1.0]], [[-1.0, -1.0]]))
        2.0
    """

    _function = staticmethod(squared_hinge)


class CategoricalHinge(FunctionLoss):
    """Margin between the right class and the best wrong one.

    Example:
        >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]]))
        0.5
    """

    _function = staticmethod(categorical_hinge)
