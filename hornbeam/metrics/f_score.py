"""F-scores: weighted harmonic means of precision and recall."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors, settings
from hornbeam.core.convert import convert
from hornbeam.metrics.metric import Metric

__all__ = ["F1Score", "FBetaScore"]

_AVERAGES = (None, "micro", "macro", "weighted")


class FBetaScore(Metric):
    """`(1 + beta²) precision recall / (beta² precision + recall)`.

    Targets are one-hot or multi-label rows of the predictions' shape `(..., C)`, class numbers of shape `(...)` or
    `(..., 1)`, or, for a single output `(B,)` or `(B, 1)`, zeros and ones.

    Args:
        average: None (one score a class), `"micro"` (all classes counted together),
            `"macro"` (mean over classes) or `"weighted"` (mean weighted by targets).
        beta: How much more recall counts than precision.
        threshold: A score above is a positive. Default: the largest score of a row is; of a single output, one above 0.5.
        name: Name.
        dtype: Dtype of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> score = FBetaScore(beta=2.0, threshold=0.5)
        >>> score([[1, 1], [1, 0]], [[0.6, 0.8], [0.2, 0.9]]).round(4)
        Array([0.5556, 0.8333], dtype=float32)
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        owner = type(self).__name__
        if average not in _AVERAGES:
            raise ValueError(
                f"{owner}: `average` must be None or one of {errors.listed(map(str, _AVERAGES[1:]))}, "
                f"received {average!r}."
            )
        if not isinstance(beta, (int, float)) or beta <= 0:
            raise ValueError(f"{owner}: `beta` must be a positive number, received {beta!r}.")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"{owner}: `threshold` must be in (0, 1], received {threshold!r}.")
        self.average, self.beta, self.threshold = average, beta, threshold
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        for name in ("true_positives", "false_positives", "false_negatives", "intermediate_weights"):
            setattr(self, name, self.add_variable(shape=shape, initializer="zeros", name=name))
        self._built = True

    true_positives: Any
    false_positives: Any
    false_negatives: Any
    intermediate_weights: Any

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = convert(y_pred).astype(self.dtype)
        y_pred = y_pred[:, None] if y_pred.ndim == 1 else y_pred
        shape = y_pred.shape
        y_true, y_pred = _as_rows(type(self).__name__, convert(y_true), y_pred)
        if not self._built:
            self._build(y_pred.shape[-1])
        if self.threshold is not None or y_pred.shape[-1] == 1:
            positive = y_pred > (0.5 if self.threshold is None else self.threshold)
        else:
            largest = y_pred >= jnp.max(y_pred, axis=-1, keepdims=True)
            positive = largest & (jnp.abs(y_pred) > 1e-9)
        y_true, y_pred = y_true.astype(self.dtype), positive.astype(self.dtype)
        weights = jnp.ones((), self.dtype)
        if sample_weight is not None:
            weights = _row_weights(convert(sample_weight).astype(self.dtype), shape)
        axis = None if self.average == "micro" else 0
        for variable, hits in (
            (self.true_positives, y_pred * y_true),
            (self.false_positives, y_pred * (1 - y_true)),
            (self.false_negatives, (1 - y_pred) * y_true),
            (self.intermediate_weights, y_true),
        ):
            variable.assign_add(jnp.sum(hits * weights, axis=axis))

    def result(self) -> Any:
        if not self._built:
            return jnp.zeros((), self.dtype)
        epsilon = settings.epsilon()
        tp, support = self.true_positives.value, self.intermediate_weights.value
        precision = tp / (tp + self.false_positives.value + epsilon)
        recall = tp / (tp + self.false_negatives.value + epsilon)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + epsilon)
        if self.average == "weighted":
            return jnp.sum(score * support / (jnp.sum(support) + epsilon))
        return jnp.mean(score) if self.average is not None else score


def _as_rows(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return targets and predictions as rows of one value a class."""
    classes, steps = y_pred.shape[-1], y_pred.shape[:-1]
    if y_true.shape in (steps, (*steps, 1)) and classes > 1:
        y_true = jax.nn.one_hot(jnp.reshape(y_true, steps).astype("int32"), classes)
    elif y_true.shape == steps:
        y_true = y_true[..., None]
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"{name}: `y_true` of shape {y_true.shape} does not fit `y_pred` of shape {y_pred.shape}; expected the same "
            f"shape, or class numbers of shape {steps}."
        )
    return y_true.reshape(-1, classes), y_pred.reshape(-1, classes)


def _row_weights(weights: Any, shape: tuple[int, ...]) -> Any:
    """Return weights, one a sample, a step or a value of predictions of this shape, in the shape of rows."""
    if not weights.ndim:
        return weights
    weights = weights.reshape(*weights.shape, *(1,) * (len(shape) - weights.ndim))
    return jnp.broadcast_to(weights, shape).reshape(-1, shape[-1])


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall; arguments as for `FBetaScore`, `beta` is 1.

    Example:
        >>> F1Score(threshold=0.5)([[1, 1], [1, 0]], [[0.6, 0.8], [0.2, 0.9]]).round(4)
        Array([0.6667, 0.6667], dtype=float32)
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        settings.pop("beta", None)
        return config
