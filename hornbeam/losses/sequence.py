"""Losses of sequences."""

from __future__ import annotations

import jax.numpy as jnp

from hornbeam.core.symbolic import Tensor, convert, op
from hornbeam.losses.functions import as_float
from hornbeam.ops.ctc import ctc_loss

__all__ = ["ctc"]


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
