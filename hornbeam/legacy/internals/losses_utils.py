"""`keras.utils.losses_utils`: weights and reductions of losses."""

from __future__ import annotations

from typing import Any

from hornbeam import ops
from hornbeam.legacy.parts import Reduction
from hornbeam.losses import Loss
from hornbeam.losses.loss import LossFunctionWrapper, squeeze_or_expand
from hornbeam.losses.targets import match_ranks

__all__ = [
    "LossFunctionWrapper", "Reduction", "ReductionV2", "compute_weighted_loss",
    "reduce_to_samplewise_values", "reduce_weighted_loss", "remove_squeezable_dimensions",
    "squeeze_or_expand_dimensions", "squeeze_or_expand_to_same_rank",
]  # fmt: skip

ReductionV2 = Reduction


def squeeze_or_expand_to_same_rank(x1: Any, x2: Any, expand_rank_1: bool = True) -> Any:
    """Return two tensors whose ranks differ by a last axis of size 1 with equal ranks."""
    return match_ranks(x1, x2)


def remove_squeezable_dimensions(
    labels: Any, predictions: Any, expected_rank_diff: int = 0, name: str | None = None
) -> Any:
    """Return labels and predictions without a last axis of size 1 that only one of them has."""
    gap = len(predictions.shape) - len(labels.shape) - expected_rank_diff
    if gap == 1 and predictions.shape[-1] == 1:
        return labels, ops.squeeze(predictions, -1)
    if gap == -1 and labels.shape[-1] == 1:
        return ops.squeeze(labels, -1), predictions
    return labels, predictions


def squeeze_or_expand_dimensions(y_pred: Any, y_true: Any = None, sample_weight: Any = None) -> Any:
    """Return predictions, targets and weights with matching ranks.

    Returns:
        `(y_pred, y_true)` without weights, else `(y_pred, y_true, sample_weight)`.
    """
    if y_true is not None:
        y_true, y_pred = remove_squeezable_dimensions(y_true, y_pred)
    if sample_weight is None:
        return y_pred, y_true
    weights = ops.convert_to_tensor(sample_weight)
    if len(weights.shape):
        y_pred, weights = squeeze_or_expand(ops.convert_to_tensor(y_pred), weights)
    return y_pred, y_true, weights


class _Values(Loss):
    """A loss that takes its values as they are."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return y_pred


def compute_weighted_loss(
    losses: Any, sample_weight: Any = None, reduction: str = Reduction.SUM_OVER_BATCH_SIZE,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Return values times weights, reduced.

    Args:
        losses: The values.
        sample_weight: Weights that broadcast to the values.
        reduction: One of `Reduction`.

    Example:
        >>> import numpy as np
        >>> float(compute_weighted_loss(np.array([1.0, 3.0]), np.array([1.0, 0.0])))
        0.5
    """
    values = ops.convert_to_tensor(losses)
    return _Values(reduction=reduction)(values, values, sample_weight)


def reduce_weighted_loss(
    weighted_losses: Any, reduction: str = Reduction.SUM_OVER_BATCH_SIZE
) -> Any:
    """Return the sum of the values, their mean, or the values, by `reduction`."""
    return compute_weighted_loss(weighted_losses, None, reduction)


def reduce_to_samplewise_values(
    values: Any, sample_weight: Any, reduce_fn: Any, dtype: Any
) -> tuple[Any, Any]:
    """Return values and weights reduced to one per sample.

    Args:
        values: The values.
        sample_weight: Weights, or `None`.
        reduce_fn: Function of (values, axis), such as `ops.mean`.
        dtype: Dtype of the results.
    """
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        values, weights = squeeze_or_expand(values, ops.cast(sample_weight, dtype))
        values, weights = values * weights, ops.broadcast_to(weights, values.shape)
    else:
        weights = None
    axes = tuple(range(1, len(values.shape)))
    if axes:
        values = reduce_fn(values, axis=axes)
        weights = None if weights is None else reduce_fn(weights, axis=axes)
    return values, weights
