"""Losses of masks, label sequences and embeddings: functions of `(y_true, y_pred)` and objects."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import settings
from hornbeam.checked import Fraction, NonNegative, checked
from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.losses.loss import FunctionLoss, loss_class
from hornbeam.losses.targets import as_float, pair
from hornbeam.ops.ctc import ctc_loss
from hornbeam.typing import Axis, Policy, Tensor

__all__ = ["CTC", "Circle", "Dice", "Tversky", "circle", "ctc", "dice", "tversky"]


@op("losses", "DiceLoss")
def dice(y_true: Tensor, y_pred: Tensor, axis: Axis = None) -> Tensor:
    """Return `1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred) + epsilon)`.

    Dice 1945, "Measures of the amount of ecologic association between species"; as a loss,
    Milletari et al. 2016, "V-Net".

    Args:
        y_true: Masks with values from 0 to 1, of any shape.
        y_pred: Predicted masks of the same shape.
        axis: Axes over which to sum. Default: all.

    Returns:
        A scalar, or values without `axis`.

    Raises:
        ValueError: If the shapes do not fit.

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
def tversky(
    y_true: Tensor, y_pred: Tensor, alpha: float = 0.5, beta: float = 0.5, axis: Axis = None
) -> Tensor:
    """Return `1 - hits / (hits + alpha misses + beta false_alarms + epsilon)`.

    `hits` is `sum(y_true y_pred)`, `misses` is `sum(y_true (1 - y_pred))`, `false_alarms` is
    `sum((1 - y_true) y_pred)`. Salehi et al. 2017, "Tversky loss function for image segmentation
    using 3D fully convolutional deep networks".

    Args:
        y_true: Masks with values from 0 to 1, of any shape.
        y_pred: Predicted masks of the same shape.
        alpha: Weight of misses.
        beta: Weight of false alarms.
        axis: Axes over which to sum. Default: all.

    Returns:
        A scalar, or values without `axis`.

    Raises:
        ValueError: If the shapes do not fit.

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
    """Return `log(1 + sum(exp(gamma a (s - margin))) sum(exp(-gamma b (s - 1 + margin))))`.

    The first sum is over references of other classes, the second over those of the same class, with
    similarity `s`, `a = max(s + margin, 0)` and `b = max(1 + margin - s, 0)`. Embeddings of one
    class move together, of different classes apart. Sun et al. 2020, "Circle loss: a unified
    perspective of pair similarity optimization".

    Args:
        y_true: Class numbers, shape `(B,)`.
        y_pred: Embeddings of length 1, shape `(B, D)`.
        ref_labels: Class numbers of the references, shape `(R,)`. Default: `y_true`.
        ref_embeddings: Embeddings of the references, shape `(R, D)`. Default: `y_pred`.
        remove_diagonal: Whether not to compare sample `i` with reference `i` as of the same class.
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
        same = same & ~jnp.eye(same.shape[0], same.shape[1], dtype=bool)
    pull = jax.nn.relu(1.0 + margin - similarity)
    push = jax.nn.relu(similarity + margin)
    positive = -gamma * pull * (similarity - (1.0 - margin))
    negative = gamma * push * (similarity - margin)
    return jax.nn.softplus(_masked_logsumexp(positive, same) + _masked_logsumexp(negative, other))


def _masked_logsumexp(x: Any, mask: Any) -> Any:
    return jax.nn.logsumexp(jnp.where(mask, x, -1e9), axis=-1)


@op("losses", "CtcLoss")
def ctc(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return `-log p` of a label sequence, with `p` summed over alignments to the steps.

    The length of a sequence is the number of its labels other than 0. Graves et al. 2006,
    "Connectionist temporal classification"; see `ops.ctc_loss`.

    Args:
        y_true: Class numbers padded with 0, shape `(B, N)`.
        y_pred: Scores before the softmax, shape `(B, T, C)`. Class 0 is the blank.

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
            "ctc: expected `y_true` of shape (B, N) and `y_pred` of shape (B, T, C), received "
            f"{labels.shape} and {scores.shape}."
        )
    lengths = jnp.sum(labels != 0, axis=1)
    return ctc_loss(labels, scores, lengths, jnp.full(labels.shape[:1], scores.shape[1]))


# --- objects -------------------------------------------------------------------------------


class Dice(FunctionLoss):
    """One minus the Dice overlap of two masks.

    The formula is `1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred))`.

    Args:
        axis: Axes over which to sum. Default: all.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is of another type.

    Example:
        >>> round(float(Dice()([[1.0, 0.0]], [[1.0, 0.0]])), 4)
        0.0
    """

    fn = staticmethod(dice)

    @checked
    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axis = None,
        dtype: Policy = None,
    ):
        self.keep(locals())


class Tversky(FunctionLoss):
    """One minus the Tversky overlap of two masks.

    The formula is `1 - hits / (hits + alpha misses + beta false_alarms)`.

    Salehi et al. 2017; see `tversky`. With `alpha` and `beta` 0.5 it is the Dice loss.

    Args:
        alpha: Weight of misses, not negative.
        beta: Weight of false alarms, not negative.
        axis: Axes over which to sum. Default: all.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(float(Tversky()([[1.0, 0.0]], [[1.0, 0.0]])), 4)
        0.0
    """

    fn = staticmethod(tversky)

    @checked
    def __init__(
        self,
        alpha: NonNegative = 0.5,
        beta: NonNegative = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axis = None,
        dtype: Policy = None,
    ):
        self.keep(locals())


class Circle(FunctionLoss):
    """Moves embeddings of one class together and of different classes apart (Sun et al. 2020).

    Targets are class numbers of shape `(B,)`, predictions embeddings of length 1 and shape
    `(B, D)`; for the formula see `circle`.

    Args:
        gamma: Scale of the similarities, not negative.
        margin: Margin of the decision boundary, from 0 to 1.
        remove_diagonal: Whether not to compare a sample with itself.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(float(Circle()([0, 0], [[1.0, 0.0], [1.0, 0.0]])), 4)
        0.0
    """

    fn = staticmethod(circle)

    @checked
    def __init__(
        self,
        gamma: NonNegative = 80.0,
        margin: Fraction = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Policy = None,
    ):
        self.keep(locals())


CTC = loss_class(
    "CTC", ctc,
    "Connectionist temporal classification: `-log p` of a label sequence (Graves et al. 2006).",
    [[1]], [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]], 1.0986,
)  # fmt: skip
