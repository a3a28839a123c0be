"""Metrics that are means of a function: accuracies, errors, crossentropies."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.symbolic import convert
from hornbeam.losses import functions
from hornbeam.metrics.metric import Mean, MeanMetricWrapper
from hornbeam.metrics.shapes import match

__all__ = [
    "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "CategoricalAccuracy", "CategoricalCrossentropy", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "RootMeanSquaredError",
    "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy", "accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy", "top_k_categorical_accuracy",
]  # fmt: skip


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Share of equal values over the last axis.

    Example:
        >>> float(accuracy([[1.0, 2.0]], [[1.0, 3.0]])[0])
        0.5
    """
    y_true, y_pred = match(y_true, y_pred)
    return jnp.mean((y_true == y_pred).astype("float32"), axis=-1)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Share of outputs on the target's side of `threshold`, over the last axis.

    Example:
        >>> float(binary_accuracy([[1.0, 0.0]], [[0.9, 0.8]])[0])
        0.5
    """
    y_true, y_pred = match(y_true, y_pred)
    return jnp.mean((y_true == (y_pred > threshold).astype(y_true.dtype)).astype("float32"), axis=-1)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest output is the one-hot target's class.

    Example:
        >>> float(categorical_accuracy([[0.0, 1.0]], [[0.1, 0.9]])[0])
        1.0
    """
    return (jnp.argmax(convert(y_true), -1) == jnp.argmax(convert(y_pred), -1)).astype("float32")


def _labels(y_true: Any, y_pred: Any) -> Any:
    labels = convert(y_true)
    if labels.ndim == y_pred.ndim and labels.shape[-1] == 1:
        labels = labels[..., 0]
    return labels.astype("int32")


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest output is that of the class number.

    Example:
        >>> float(sparse_categorical_accuracy([1], [[0.1, 0.9]])[0])
        1.0
    """
    y_pred = convert(y_pred)
    return (_labels(y_true, y_pred) == jnp.argmax(y_pred, -1)).astype("float32")


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the one-hot target's class is among the `k` largest outputs.

    Example:
        >>> float(top_k_categorical_accuracy([[0.0, 1.0]], [[0.9, 0.1]], k=2)[0])
        1.0
    """
    return sparse_top_k_categorical_accuracy(jnp.argmax(convert(y_true), -1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the class number is among the `k` largest outputs.

    Example:
        >>> float(sparse_top_k_categorical_accuracy([1], [[0.9, 0.1]], k=2)[0])
        1.0
    """
    y_pred = convert(y_pred)
    _, best = jax.lax.top_k(y_pred, min(k, y_pred.shape[-1]))
    return jnp.any(best == _labels(y_true, y_pred)[..., None], axis=-1).astype("float32")


def _mean_of(function: Any, name: str, label: str, text: str, **defaults: Any) -> type:
    """Make the metric that is the mean of a function."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        order = (
            ["name", "dtype", *defaults]
            if name not in ("TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy")
            else [*defaults, "name", "dtype"]
        )
        given = {**dict(zip(order, args, strict=False)), **kwargs}
        unknown = set(given) - set(order)
        if unknown:
            raise TypeError(f"{name}: unexpected arguments {sorted(unknown)}; it takes {order}.")
        settings = {key: given.get(key, value) for key, value in defaults.items()}
        MeanMetricWrapper.__init__(self, function, given.get("name") or label, given.get("dtype"), **settings)
        for key, value in settings.items():
            setattr(self, key, value)

    doc = f"""{text}

    Mean of `{function.__name__}`; arguments are `name`, `dtype` and that function's.

    Example:
        >>> {name}().name
        '{label}'
    """
    return type(name, (MeanMetricWrapper,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})


Accuracy = _mean_of(accuracy, "Accuracy", "accuracy", "Share of equal values.")
BinaryAccuracy = _mean_of(
    binary_accuracy, "BinaryAccuracy", "binary_accuracy", "Accuracy of yes-or-no targets.", threshold=0.5
)
CategoricalAccuracy = _mean_of(
    categorical_accuracy, "CategoricalAccuracy", "categorical_accuracy", "Accuracy for one-hot targets."
)
SparseCategoricalAccuracy = _mean_of(
    sparse_categorical_accuracy,
    "SparseCategoricalAccuracy",
    "sparse_categorical_accuracy",
    "Accuracy for class numbers.",
)
TopKCategoricalAccuracy = _mean_of(
    top_k_categorical_accuracy, "TopKCategoricalAccuracy", "top_k_categorical_accuracy", "Class among the k best.", k=5
)
SparseTopKCategoricalAccuracy = _mean_of(
    sparse_top_k_categorical_accuracy, "SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy",
    "Class among the k best.", k=5,
)  # fmt: skip
MeanSquaredError = _mean_of(
    functions.mean_squared_error, "MeanSquaredError", "mean_squared_error", "Mean squared error."
)
MeanAbsoluteError = _mean_of(
    functions.mean_absolute_error, "MeanAbsoluteError", "mean_absolute_error", "Mean absolute error."
)
MeanAbsolutePercentageError = _mean_of(
    functions.mean_absolute_percentage_error,
    "MeanAbsolutePercentageError",
    "mean_absolute_percentage_error",
    "Mean relative error.",
)
MeanSquaredLogarithmicError = _mean_of(
    functions.mean_squared_logarithmic_error,
    "MeanSquaredLogarithmicError",
    "mean_squared_logarithmic_error",
    "Mean squared error of logarithms.",
)
BinaryCrossentropy = _mean_of(
    functions.binary_crossentropy, "BinaryCrossentropy", "binary_crossentropy", "Crossentropy of yes-or-no targets.",
    from_logits=False, label_smoothing=0.0,
)  # fmt: skip
CategoricalCrossentropy = _mean_of(
    functions.categorical_crossentropy, "CategoricalCrossentropy", "categorical_crossentropy", "Crossentropy of one-hot targets.",
    from_logits=False, label_smoothing=0.0, axis=-1,
)  # fmt: skip
SparseCategoricalCrossentropy = _mean_of(
    functions.sparse_categorical_crossentropy, "SparseCategoricalCrossentropy", "sparse_categorical_crossentropy",
    "Crossentropy of class numbers.", from_logits=False, axis=-1,
)  # fmt: skip


class RootMeanSquaredError(Mean):
    """Root of the mean squared error.

    Args:
        name: Name.
        dtype: Dtype.

    Example:
        >>> float(RootMeanSquaredError()([[0.0]], [[2.0]]))
        2.0
    """

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Take a batch into account."""
        y_true, y_pred = match(y_true, y_pred)
        super().update_state(jnp.square(y_true - y_pred), sample_weight)

    def result(self) -> Any:
        """Return the root of the mean."""
        return jnp.sqrt(super().result())
