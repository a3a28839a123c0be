"""Losses of sequences."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from hornbeam.core.symbolic import Tensor, convert, op
from hornbeam.losses.functions import as_float

__all__ = ["ctc"]

_IMPOSSIBLE = -1e5  # log of a probability that stays finite, so that gradients do too


@op("losses", "CtcLoss")
def ctc(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Minus the log-probability of a label sequence, summed over its alignments to the steps.

    The forward recursion of Graves et al. 2006, "Connectionist temporal classification".

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
    count, length = labels.shape[0], labels.shape[1]
    logs = jax.nn.log_softmax(scores, axis=-1)
    # Blanks stand before, between and after the labels: 2N + 1 places.
    places = jnp.zeros((count, 2 * length + 1), "int32").at[:, 1::2].set(labels)
    before_last = jnp.pad(places, ((0, 0), (2, 0)))[:, :-2]
    may_skip = (places != 0) & (places != before_last)
    chosen = jnp.take_along_axis(logs, places[:, None, :], axis=-1)  # (B, T, 2N + 1)

    def shifted(x: Tensor, by: int) -> Tensor:
        return jnp.pad(x, ((0, 0), (by, 0)), constant_values=_IMPOSSIBLE)[:, : x.shape[1]]

    def step(alpha: Tensor, log_p: Tensor) -> tuple[Tensor, None]:
        skip = jnp.where(may_skip, shifted(alpha, 2), _IMPOSSIBLE)
        ways = jnp.stack([alpha, shifted(alpha, 1), skip])
        return jax.nn.logsumexp(ways, axis=0) + log_p, None

    start = jnp.where(jnp.arange(places.shape[1]) < 2, chosen[:, 0], _IMPOSSIBLE)
    alpha, _ = jax.lax.scan(step, start, jnp.swapaxes(chosen, 0, 1)[1:])
    last = 2 * jnp.sum(labels != 0, axis=1, keepdims=True)  # the blank after the last label
    ends = [jnp.take_along_axis(alpha, last, axis=1)[:, 0]]
    before = jnp.take_along_axis(alpha, jnp.maximum(last - 1, 0), axis=1)[:, 0]
    ends.append(jnp.where(last[:, 0] > 0, before, _IMPOSSIBLE))
    return -jax.nn.logsumexp(jnp.stack(ends), axis=0)
