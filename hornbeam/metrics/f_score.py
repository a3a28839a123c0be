"""F-scores: weighted harmonic means of precision and recall."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import config, errors
from hornbeam.core.symbolic import convert
from hornbeam.losses.loss import squeeze_or_expand
from hornbeam.losses.targets import match_ranks
from hornbeam.metrics.metric import Metric

__all__ = ["F1Score", "FBetaScore"]

_AVERAGES = (None, "micro", "macro", "weighted")


class FBetaScore(Metric):
    """`(1 + beta²) precision recall / (beta² precision + recall)`.

    Args:
        average: None (one score a class), `"micro"` (all classes counted together),
            `"macro"` (mean over classes) or `"weighted"` (mean weighted by targets).
        beta: How much more recall counts than precision.
        threshold: A score above is a positive. Default: the largest score of a row is.
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
                f"{owner}: `average` must be None or one of {errors.one_of(map(str, _AVERAGES[1:]))}, "
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
        y_true, y_pred = match_ranks(convert(y_true).astype(self.dtype), convert(y_pred).astype(self.dtype))
        if y_true.shape != y_pred.shape or y_true.ndim != 2:
            raise ValueError(
                f"{type(self).__name__}: expected `y_true` and `y_pred` of one shape (B, classes), received "
                f"{y_true.shape} and {y_pred.shape}. Turn class numbers into one-hot rows with "
                "`hornbeam.utils.to_categorical`."
            )
        if not self._built:
            self._build(y_pred.shape[-1])
        if self.threshold is None:
            largest = y_pred >= jnp.max(y_pred, axis=-1, keepdims=True)
            positive = largest & (jnp.abs(y_pred) > 1e-9)
        else:
            positive = y_pred > self.threshold
        y_pred = positive.astype(self.dtype)
        weights = jnp.ones((), self.dtype)
        if sample_weight is not None:
            _, weights = squeeze_or_expand(y_pred, convert(sample_weight).astype(self.dtype))
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
        epsilon = config.epsilon()
        tp, support = self.true_positives.value, self.intermediate_weights.value
        precision = tp / (tp + self.false_positives.value + epsilon)
        recall = tp / (tp + self.false_negatives.value + epsilon)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + epsilon)
        if self.average == "weighted":
            return jnp.sum(score * support / (jnp.sum(support) + epsilon))
        return jnp.mean(score) if self.average is not None else score


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
        config.pop("beta", None)
        return config
