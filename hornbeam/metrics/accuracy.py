"""Accuracies: how often predictions are right."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp

from hornbeam import settings
from hornbeam.checked import Count, checked
from hornbeam.core.convert import convert
from hornbeam.losses.targets import match_ranks
from hornbeam.metrics.reduction import FunctionMean, mean_class
from hornbeam.typing import Policy, Tensor

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


def _hits(x: Any) -> Any:
    return x.astype(settings.floatx())


def accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the share of equal values over the last axis.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> accuracy([[1, 2]], [[1, 3]])
        Array([0.5], dtype=float32)
    """
    y_pred = convert(y_pred)
    y_true, y_pred = match_ranks(convert(y_true).astype(y_pred.dtype), y_pred)
    try:
        equal = _hits(y_true == y_pred)
    except (TypeError, ValueError):
        remedy = ""
        if y_true.shape == y_pred.shape[:-1]:
            remedy = (
                " To compare class numbers with scores of classes use 'accuracy' or"
                " 'sparse_categorical_accuracy'."
            )
        raise ValueError(
            f"Accuracy: `y_true` of shape {y_true.shape} and `y_pred` of shape {y_pred.shape} do"
            f" not fit; expected the same shape, compared value by value.{remedy}"
        ) from None
    return jnp.mean(equal, axis=-1) if equal.ndim else equal


def binary_accuracy(y_true: Tensor, y_pred: Tensor, threshold: float = 0.5) -> Tensor:
    """Return the share over the last axis of predictions on the right side of `threshold`.

    Args:
        y_true: Targets 0 and 1, shape `(B, ..., D)`.
        y_pred: Scores of the same shape.
        threshold: A score above it means 1.

    Returns:
        Values of shape `(B, ...)`.

    Example:
        >>> binary_accuracy([[1, 0]], [[0.9, 0.8]])
        Array([0.5], dtype=float32)
    """
    y_true, y_pred = match_ranks(convert(y_true), convert(y_pred))
    equal = _hits(y_true == (y_pred > threshold).astype(y_true.dtype))
    return jnp.mean(equal, axis=-1) if equal.ndim else equal


def categorical_accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return 1 where the largest score belongs to the true class, else 0.

    Args:
        y_true: One-hot rows, shape `(B, ..., C)`.
        y_pred: Scores of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Example:
        >>> categorical_accuracy([[0, 1]], [[0.2, 0.8]])
        Array([1.], dtype=float32)
    """
    y_true, y_pred = convert(y_true), convert(y_pred)
    return _hits(jnp.argmax(y_true, axis=-1) == jnp.argmax(y_pred, axis=-1))


def _class_numbers(y_true: Any, y_pred: Any) -> Any:
    y_true = convert(y_true)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    if y_true.shape != y_pred.shape[:-1]:
        raise ValueError(
            f"Sparse accuracy: `y_true` of shape {y_true.shape} does not fit `y_pred` of shape"
            f" {y_pred.shape}; expected class numbers of shape {y_pred.shape[:-1]}. For one-hot"
            " rows use the accuracy without 'sparse'."
        )
    return y_true.astype("int32")


def sparse_categorical_accuracy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return 1 where the largest score belongs to the true class, else 0.

    Args:
        y_true: Class numbers, shape `(B, ...)` or `(B, ..., 1)`.
        y_pred: Scores, shape `(B, ..., C)`.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> sparse_categorical_accuracy([1], [[0.2, 0.8]])
        Array([1.], dtype=float32)
    """
    y_pred = convert(y_pred)
    return _hits(_class_numbers(y_true, y_pred) == jnp.argmax(y_pred, axis=-1))


def top_k_categorical_accuracy(y_true: Tensor, y_pred: Tensor, k: int = 5) -> Tensor:
    """Return 1 where the score of the true class is among the `k` largest, else 0.

    Args:
        y_true: One-hot rows, shape `(B, ..., C)`.
        y_pred: Scores of the same shape.
        k: Number of scores that count.

    Returns:
        Values of shape `(B, ...)`.

    Example:
        >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.1, 0.4]], k=2)
        Array([1.], dtype=float32)
    """
    return sparse_top_k_categorical_accuracy(jnp.argmax(convert(y_true), axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: Tensor, y_pred: Tensor, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """Return 1 where the score of the true class is among the `k` largest, else 0.

    Args:
        y_true: Class numbers, shape `(B, ...)` or `(B, ..., 1)`.
        y_pred: Scores, shape `(B, ..., C)`; with `from_sorted_ids` class numbers, best first.
        k: Number of scores that count.
        from_sorted_ids: Whether `y_pred` holds class numbers.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> sparse_top_k_categorical_accuracy([2], [[0.5, 0.1, 0.4]], k=2)
        Array([1.], dtype=float32)
    """
    y_pred = convert(y_pred)
    labels = _class_numbers(y_true, y_pred)[..., None]
    if from_sorted_ids:
        return _hits(jnp.any(y_pred[..., :k].astype("int32") == labels, axis=-1))
    classes = y_pred.shape[-1]
    score = jnp.take_along_axis(y_pred, jnp.clip(labels, 0, classes - 1), axis=-1)
    hit = (jnp.sum(y_pred > score, axis=-1) < k) & jnp.isfinite(score[..., 0])
    return _hits(hit & (labels[..., 0] >= 0) & (labels[..., 0] < classes))


_mean = partial(mean_class, module=__name__)

Accuracy = _mean(
    "Accuracy", accuracy, "How often predictions equal targets: the mean of `y_true == y_pred`.",
    [1, 2, 3, 4], [1, 2, 3, 0], 0.75,
)  # fmt: skip
CategoricalAccuracy = _mean(
    "CategoricalAccuracy", categorical_accuracy,
    "How often the largest score belongs to the true class, for one-hot targets: the mean of "
    "`argmax(y_true) == argmax(y_pred)`.",
    [[0, 1]], [[0.2, 0.8]], 1.0, compares_rows=True,
)  # fmt: skip
SparseCategoricalAccuracy = _mean(
    "SparseCategoricalAccuracy", sparse_categorical_accuracy,
    "How often the class number is right: the mean of `y_true == argmax(y_pred)`.",
    [1], [[0.2, 0.8]], 1.0,
)  # fmt: skip


class BinaryAccuracy(FunctionMean):
    """How often predictions are right: the mean of `y_true == (y_pred > threshold)`.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        threshold: A score above it means 1. Use 0 for scores before a sigmoid.

    Raises:
        ValueError: If an argument is of another type.

    Example:
        >>> float(BinaryAccuracy()([[1], [1]], [[0.9], [0.2]]))
        0.5
    """

    fn = staticmethod(binary_accuracy)

    @checked
    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Policy = None, threshold: float = 0.5
    ):
        self.keep(locals())


class TopKCategoricalAccuracy(FunctionMean):
    """How often the score of the true class is among the `k` largest, for one-hot targets.

    Args:
        k: Number of scores that count, at least 1.
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(TopKCategoricalAccuracy(k=2)([[0, 0, 1]], [[0.5, 0.1, 0.4]]))
        1.0
    """

    fn = staticmethod(top_k_categorical_accuracy)
    compares_rows = True

    @checked
    def __init__(
        self, k: Count = 5, name: str | None = "top_k_categorical_accuracy", dtype: Policy = None
    ):
        self.keep(locals())


class SparseTopKCategoricalAccuracy(FunctionMean):
    """How often the score of the true class is among the `k` largest, for class numbers.

    Args:
        k: Number of scores that count, at least 1.
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        from_sorted_ids: Whether predictions are class numbers, best first, and not scores.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(SparseTopKCategoricalAccuracy(k=2)([2], [[0.5, 0.1, 0.4]]))
        1.0
    """

    fn = staticmethod(sparse_top_k_categorical_accuracy)

    @checked
    def __init__(
        self,
        k: Count = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Policy = None,
        from_sorted_ids: bool = False,
    ):
        self.keep(locals())
