"""Losses of regions, sequences and embeddings: functions of `(y_true, y_pred)` and their objects."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import settings
from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.losses.loss import FunctionLoss
from hornbeam.losses.targets import as_float, pair
from hornbeam.ops.ctc import ctc_loss
from hornbeam.typing import Tensor

__all__ = [
    "CTC",
    "Circle",
    "Dice",
    "Tversky",
    "circle",
    "ctc",
    "dice",
    "tversky",
]


@op("losses", "DiceLoss")
def dice(y_true: Tensor, y_pred: Tensor, axis: Any = None) -> Tensor:
    """One minus the Dice overlap `2 Σ(y_true y_pred) / (Σ y_true + Σ y_pred)`.

    Args:
        y_true: Masks from 0 to 1.
        y_pred: Predicted masks of the same shape.
        axis: Axes over which to sum. Default: all.

    Example:
        >>> float(dice(jnp.array([[1.0, 0.0]]), jnp.array([[1.0, 0.0]])))
        0.0
    """
    y_true, y_pred = pair("dice", y_true, y_pred)
    axis = tuple(axis) if isinstance(axis, list) else axis
    overlap = jnp.sum(y_true * y_pred, axis=axis)
    total = jnp.sum(y_true, axis=axis) + jnp.sum(y_pred, axis=axis)
    return 1.0 - (2.0 * overlap) / (total + settings.epsilon())


@op("losses", "TverskyLoss")
def tversky(y_true: Tensor, y_pred: Tensor, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Tensor:
    """One minus the Tversky overlap, in which false alarms and misses weigh differently.

    Salehi et al. 2017, "Tversky loss function for image segmentation".

    Args:
        y_true: Masks from 0 to 1.
        y_pred: Predicted masks of the same shape.
        alpha: Weight of what is in `y_true` only.
        beta: Weight of what is in `y_pred` only.
        axis: Axes over which to sum. Default: all.

    Example:
        >>> round(float(tversky(jnp.array([[1.0, 0.0]]), jnp.array([[1.0, 0.0]]))), 4)
        0.0
    """
    y_true, y_pred = pair("tversky", y_true, y_pred)
    axis = tuple(axis) if isinstance(axis, list) else axis
    overlap = jnp.sum(y_true * y_pred, axis=axis)
    missed = jnp.sum(y_true * (1.0 - y_pred), axis=axis)
    invented = jnp.sum((1.0 - y_true) * y_pred, axis=axis)
    return 1.0 - overlap / (overlap + alpha * missed + beta * invented + settings.epsilon())


@op("losses", "CircleLoss")
def circle(
    y_true: Tensor,
    y_pred: Tensor,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Draw embeddings of one class together and those of different classes apart.

    Sun et al. 2020, "Circle loss: a unified perspective of pair similarity optimization".

    Args:
        y_true: Class numbers, shape `(B,)`.
        y_pred: Embeddings of unit length, shape `(B, D)`.
        ref_labels: Class numbers to compare with, shape `(R,)`. Default: `y_true`.
        ref_embeddings: Their embeddings, shape `(R, D)`. Default: `y_pred`.
        remove_diagonal: Whether sample `i` is not compared with reference `i`.
        gamma: Scale of the similarities.
        margin: Margin of the decision boundary, from 0 to 1.

    Returns:
        Values of shape `(B,)`.

    Example:
        >>> circle(jnp.array([0, 1]), jnp.eye(2)).shape
        (2,)
    """
    y_pred = as_float(y_pred)
    labels = jnp.reshape(convert(y_true), (-1,))
    others = labels if ref_labels is None else jnp.reshape(convert(ref_labels), (-1,))
    references = y_pred if ref_embeddings is None else convert(ref_embeddings).astype(y_pred.dtype)
    similarity = y_pred @ references.T
    same = labels[:, None] == others[None, :]
    other = ~same
    if remove_diagonal:
        same = same & ~jnp.eye(*same.shape, dtype=bool)
    pull = jax.nn.relu(1.0 + margin - similarity)
    push = jax.nn.relu(similarity + margin)
    positive = -gamma * pull * (similarity - (1.0 - margin))
    negative = gamma * push * (similarity - margin)
    return jax.nn.softplus(_masked_logsumexp(positive, same) + _masked_logsumexp(negative, other))


def _masked_logsumexp(x: Any, mask: Any) -> Any:
    return jax.nn.logsumexp(jnp.where(mask, x, -1e9), axis=-1)


@op("losses", "CtcLoss")
def ctc(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Minus the log-probability of a label sequence, summed over its alignments to the steps.

    See `ops.ctc_loss`; the number of labels is that of the numbers other than 0.

    Args:
        y_true: Class numbers padded with 0, shape `(B, N)`.
        y_pred: Scores before softmax, shape `(B, T, C)`; class 0 is the blank.

    Returns:
        Values of shape `(B,)`.

    Raises:
        ValueError: If the ranks are not 2 and 3.

    Example:
        >>> ctc(jnp.array([[1]]), jnp.zeros((1, 1, 2)))
        Array([0.6931472], dtype=float32)
    """
    labels, scores = convert(y_true).astype("int32"), as_float(y_pred)
    if labels.ndim != 2 or scores.ndim != 3 or labels.shape[0] != scores.shape[0]:
        raise ValueError(
            f"ctc: expected `y_true` of shape (B, N) and `y_pred` of shape (B, T, C), received "
            f"{labels.shape} and {scores.shape}."
        )
    lengths = jnp.sum(labels != 0, axis=1)
    return ctc_loss(labels, scores, lengths, jnp.full(labels.shape[:1], scores.shape[1]))


# --- objects -------------------------------------------------------------------------------


class Dice(FunctionLoss):
    """One minus the Dice overlap of two masks.

    Args:
        axis: Axes over which to sum. Default: all.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(Dice()([[1.0, 0.0]], [[1.0, 0.0]])), 4)
        0.0
    """

    _function = staticmethod(dice)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        self._keep(locals())


class Tversky(FunctionLoss):
    """One minus the Tversky overlap of two masks (Salehi et al. 2017).

    Args:
        alpha: Weight of what is in the target only.
        beta: Weight of what is predicted only.
        axis: Axes over which to sum. Default: all.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(Tversky()([[1.0, 0.0]], [[1.0, 0.0]])), 4)
        0.0
    """

    _function = staticmethod(tversky)

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        self._keep(locals())


class Circle(FunctionLoss):
    """Draws embeddings of one class together, of different classes apart (Sun et al. 2020).

    Args:
        gamma: Scale of the similarities.
        margin: Margin of the decision boundary, from 0 to 1.
        remove_diagonal: Whether a sample is not compared with itself.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(Circle()([0, 0], [[1.0, 0.0], [1.0, 0.0]])), 4)
        0.0
    """

    _function = staticmethod(circle)

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ):
        self._keep(locals())


class CTC(FunctionLoss):
    """Connectionist temporal classification (Graves et al. 2006).

    Targets are class numbers padded with 0, shape `(B, N)`; predictions are scores, shape
    `(B, T, C)`, of which class 0 is the blank.

    Example:
        >>> import numpy as np
        >>> round(float(CTC()([[1, 2]], np.zeros((1, 3, 3), "float32"))), 4)
        1.6864
    """

    _function = staticmethod(ctc)
