"""Accuracies: how often predictions hit the target."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import settings
from hornbeam.core.convert import convert
from hornbeam.losses.targets import match_ranks
from hornbeam.metrics.reduction import FunctionMean

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


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Share of equal values over the last axis.

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
            remedy = " To compare class numbers with scores of classes use 'accuracy' or 'sparse_categorical_accuracy'."
        raise ValueError(
            f"Accuracy: `y_true` of shape {y_true.shape} and `y_pred` of shape {y_pred.shape} do not fit; expected the same "
            f"shape, compared value by value.{remedy}"
        ) from None
    return jnp.mean(equal, axis=-1) if equal.ndim else equal


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Share over the last axis of predictions on the right side of `threshold`.

    Example:
        >>> binary_accuracy([[1, 0]], [[0.9, 0.8]])
        Array([0.5], dtype=float32)
    """
    y_true, y_pred = match_ranks(convert(y_true), convert(y_pred))
    equal = _hits(y_true == (y_pred > threshold).astype(y_true.dtype))
    return jnp.mean(equal, axis=-1) if equal.ndim else equal


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the one of the one-hot target, else 0.

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
            f"Sparse accuracy: `y_true` of shape {y_true.shape} does not fit `y_pred` of shape "
            f"{y_pred.shape}; expected class numbers of shape {y_pred.shape[:-1]}. For one-hot rows use "
            "the accuracy without 'sparse'."
        )
    return y_true.astype("int32")


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is at the class number of the target, else 0.

    Example:
        >>> sparse_categorical_accuracy([1], [[0.2, 0.8]])
        Array([1.], dtype=float32)
    """
    y_pred = convert(y_pred)
    return _hits(_class_numbers(y_true, y_pred) == jnp.argmax(y_pred, axis=-1))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the one of the one-hot target is among the `k` largest predictions, else 0.

    Example:
        >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.1, 0.4]], k=2)
        Array([1.], dtype=float32)
    """
    return sparse_top_k_categorical_accuracy(jnp.argmax(convert(y_true), axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """1 where the class number of the target is among the `k` largest predictions, else 0.

    Args:
        y_true: Class numbers.
        y_pred: One score a class; with `from_sorted_ids` class numbers, best first.
        k: How many count.
        from_sorted_ids: Whether `y_pred` holds class numbers.

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


class Accuracy(FunctionMean):
    """How often predictions equal targets.

    Example:
        >>> float(Accuracy()([1, 2, 3, 4], [1, 2, 3, 0]))
        0.75
    """

    _function = staticmethod(accuracy)

    def __init__(self, name: str | None = "accuracy", dtype: Any = None):
        super().__init__(name, dtype)


class BinaryAccuracy(FunctionMean):
    """How often predictions are on the right side of a threshold.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.
        threshold: Predictions above it mean 1; 0 for logits.

    Example:
        >>> float(BinaryAccuracy()([[1], [1]], [[0.9], [0.2]]))
        0.5
    """

    _function = staticmethod(binary_accuracy)

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5):
        super().__init__(name, dtype, threshold=threshold)


class CategoricalAccuracy(FunctionMean):
    """How often the largest prediction is at the one of the one-hot target.

    Example:
        >>> float(CategoricalAccuracy()([[0, 1]], [[0.2, 0.8]]))
        1.0
    """

    _function = staticmethod(categorical_accuracy)
    _compares_rows = True

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None):
        super().__init__(name, dtype)


class SparseCategoricalAccuracy(FunctionMean):
    """How often the largest prediction is at the class number of the target.

    Example:
        >>> float(SparseCategoricalAccuracy()([1], [[0.2, 0.8]]))
        1.0
    """

    _function = staticmethod(sparse_categorical_accuracy)

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(name, dtype)


class TopKCategoricalAccuracy(FunctionMean):
    """How often the one of the one-hot target is among the `k` largest predictions.

    Example:
        >>> float(TopKCategoricalAccuracy(k=2)([[0, 0, 1]], [[0.5, 0.1, 0.4]]))
        1.0
    """

    _function = staticmethod(top_k_categorical_accuracy)
    _compares_rows = True

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(name, dtype, k=k)


class SparseTopKCategoricalAccuracy(FunctionMean):
    """How often the class number of the target is among the `k` largest predictions.

    Args:
        k: How many predictions count.
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.
        from_sorted_ids: Whether predictions are class numbers, best first.

    Example:
        >>> float(SparseTopKCategoricalAccuracy(k=2)([2], [[0.5, 0.1, 0.4]]))
        1.0
    """

    _function = staticmethod(sparse_top_k_categorical_accuracy)

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(name, dtype, k=k, from_sorted_ids=from_sorted_ids)
