"""F-scores: weighted harmonic means of precision and recall."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import jax
import jax.numpy as jnp

from hornbeam import settings
from hornbeam.checked import Positive, Range, checked
from hornbeam.core.convert import convert
from hornbeam.metrics.metric import Metric, masked_weights
from hornbeam.typing import Policy, Structure, Tensor

__all__ = ["F1Score", "FBetaScore"]

Average: TypeAlias = Literal["micro", "macro", "weighted"] | None
"""How the scores of classes become one number; `None` keeps one score per class."""

Threshold: TypeAlias = Annotated[float, Range(above=0, at_most=1)]
"""A threshold of scores, above 0 and at most 1."""


class FBetaScore(Metric):
    """`(1 + beta²) precision recall / (beta² precision + recall)`: a weighted harmonic mean.

    Targets are one-hot or multi-label rows of the predictions' shape `(..., C)`, or class numbers
    of shape `(...)` or `(..., 1)`. For a single output of shape `(B,)` or `(B, 1)` they are zeros
    and ones. Van Rijsbergen 1979, "Information retrieval".

    Args:
        average: None (one score per class), `"micro"` (all classes counted together), `"macro"`
            (mean over classes) or `"weighted"` (mean weighted by the number of positives).
        beta: Weight of recall over precision, above 0.
        threshold: A score above it is positive. Default: the largest score of a row is positive;
            for a single output, a score above 0.5.
        name: Name.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> score = FBetaScore(beta=2.0, threshold=0.5)
        >>> score([[1, 1], [1, 0]], [[0.6, 0.8], [0.2, 0.9]]).round(4)
        Array([0.5556, 0.8333], dtype=float32)
    """

    true_positives: Any
    false_positives: Any
    false_negatives: Any
    intermediate_weights: Any

    @checked
    def __init__(
        self,
        average: Average = None,
        beta: Positive = 1.0,
        threshold: Threshold | None = None,
        name: str | None = "fbeta_score",
        dtype: Policy = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.average, self.beta, self.threshold = average, beta, threshold
        self._built = False

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        for name in (
            "true_positives",
            "false_positives",
            "false_negatives",
            "intermediate_weights",
        ):
            setattr(self, name, self.add_variable(shape=shape, initializer="zeros", name=name))
        self._built = True

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        sample_weight = masked_weights(y_pred, sample_weight, self.dtype)
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

    def result(self) -> Structure:
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
    """Return targets and predictions as rows with one value per class."""
    classes, steps = y_pred.shape[-1], y_pred.shape[:-1]
    if y_true.shape in (steps, (*steps, 1)) and classes > 1:
        y_true = jax.nn.one_hot(jnp.reshape(y_true, steps).astype("int32"), classes)
    elif y_true.shape == steps:
        y_true = y_true[..., None]
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"{name}: `y_true` of shape {y_true.shape} does not fit `y_pred` of shape"
            f" {y_pred.shape}; expected the same shape, or class numbers of shape {steps}."
        )
    return y_true.reshape(-1, classes), y_pred.reshape(-1, classes)


def _row_weights(weights: Any, shape: tuple[int, ...]) -> Any:
    """Broadcast weights per sample, step or value to predictions of `shape`, as rows."""
    if not weights.ndim:
        return weights
    if weights.ndim > len(shape) and weights.shape[-1] == 1:
        weights = weights[..., 0]
    weights = weights.reshape(*weights.shape, *(1,) * (len(shape) - weights.ndim))
    return jnp.broadcast_to(weights, shape).reshape(-1, shape[-1])


class F1Score(FBetaScore):
    """`2 precision recall / (precision + recall)`: the harmonic mean.

    Args:
        average, threshold: As for `FBetaScore`, like targets and predictions.
        name: Name.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> F1Score(threshold=0.5)([[1, 1], [1, 0]], [[0.6, 0.8], [0.2, 0.9]]).round(4)
        Array([0.6667, 0.6667], dtype=float32)
    """

    @checked
    def __init__(
        self,
        average: Average = None,
        threshold: Threshold | None = None,
        name: str | None = "f1_score",
        dtype: Policy = None,
    ):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("beta", None)
        return config
