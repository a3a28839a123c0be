"""Metrics from counts of right and wrong decisions: precision, recall, AUC, F-scores."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.metrics.shapes import match
from hornbeam.metrics.metric import Metric

__all__ = ["AUC", "F1Score", "FBetaScore", "Precision", "Recall"]


def _weights(sample_weight: Any, shape: tuple[int, ...]) -> Any:
    if sample_weight is None:
        return jnp.ones(shape, "float32")
    w = jnp.asarray(sample_weight, "float32")
    return jnp.broadcast_to(w.reshape(w.shape + (1,) * (len(shape) - w.ndim)), shape)


class _Counts(Metric):
    """Base of precision and recall: true positives against another count."""

    _other = "false_positives"

    def __init__(self, thresholds: Any = None, top_k: int | None = None, class_id: int | None = None, name: str | None = None, dtype: Any = None):
        super().__init__(dtype, name)
        values = [0.5 if top_k is None else -np.inf] if thresholds is None else np.atleast_1d(thresholds).tolist()
        if thresholds is not None and any(not 0 <= t <= 1 for t in values):
            raise ValueError(f"{type(self).__name__}: `thresholds` must be from 0 to 1, received {thresholds}.")
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self._values = values
        shape = (len(values),)
        self.true_positives = self.add_variable(shape, name="true_positives")
        setattr(self, self._other, self.add_variable(shape, name=self._other))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account."""
        y_true, y_pred = match(y_true, y_pred)
        if self.top_k is not None:
            kth = jax.lax.top_k(y_pred, self.top_k)[0][..., -1:]
            y_pred = jnp.where(y_pred >= kth, y_pred, -jnp.inf)
        w = _weights(sample_weight, y_pred.shape)
        if self.class_id is not None:
            y_true, y_pred, w = (a[..., self.class_id] for a in (y_true, y_pred, w))
        positive, w = y_true.reshape(1, -1) > 0.5, w.reshape(1, -1)
        said = y_pred.reshape(1, -1) > jnp.asarray(self._values, y_pred.dtype)[:, None]
        right = jnp.sum((positive & said) * w, axis=1)
        wrong = ~positive & said if self._other == "false_positives" else positive & ~said
        self.true_positives.assign_add(right)
        getattr(self, self._other).assign_add(jnp.sum(wrong * w, axis=1))

    def result(self) -> Any:
        """Return the ratio, 0 where nothing counts."""
        right, other = self.true_positives.value, getattr(self, self._other).value
        value = right / jnp.maximum(right + other, 1e-30)
        return value[0] if len(self._values) == 1 else value


class Precision(_Counts):
    """Share of right ones among positive decisions.

    Args:
        thresholds: Threshold or list of them, default 0.5.
        top_k: Only the k largest outputs of a row count as decisions.
        class_id: Only this class counts.
        name: Name.
        dtype: Dtype.

    Example:
        >>> float(Precision()([[1.0, 0.0]], [[0.9, 0.8]]))
        0.5
    """


class Recall(_Counts):
    """Share of found ones among positive targets; arguments as for `Precision`.

    Example:
        >>> float(Recall()([[1.0, 1.0]], [[0.9, 0.1]]))
        0.5
    """

    _other = "false_negatives"


class AUC(Metric):
    """Area under the ROC or precision-recall curve, from decisions at many thresholds.

    Args:
        num_thresholds: Number of thresholds.
        curve: `"ROC"` or `"PR"`.
        summation_method: `"interpolation"`, `"minoring"` or `"majoring"`.
        name: Name.
        dtype: Dtype.
        thresholds: Thresholds between 0 and 1, instead of evenly spaced ones.
        multi_label: Whether each column is a label of its own, and areas are averaged.
        num_labels: Number of labels, with `multi_label`.
        label_weights: Weights of the labels in the average.
        from_logits: Whether outputs are logits.

    Example:
        >>> round(float(AUC()([0.0, 1.0], [0.2, 0.7])), 3)
        1.0
    """

    def __init__(
        self, num_thresholds: int = 200, curve: str = "ROC", summation_method: str = "interpolation", name: str | None = None,
        dtype: Any = None, thresholds: Any = None, multi_label: bool = False, num_labels: int | None = None,
        label_weights: Any = None, from_logits: bool = False,
    ):  # fmt: skip
        super().__init__(dtype, name)
        if curve not in ("ROC", "PR"):
            raise ValueError(f"AUC: `curve` must be 'ROC' or 'PR', received {curve!r}.")
        if summation_method not in ("interpolation", "minoring", "majoring"):
            raise ValueError(f"AUC: unknown `summation_method` {summation_method!r}.")
        inner = sorted(thresholds) if thresholds is not None else [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
        self.num_thresholds = len(inner) + 2
        self.thresholds = thresholds
        self._values = np.array([-1e-7, *inner, 1 + 1e-7], "float32")
        self.curve, self.summation_method, self.multi_label = curve, summation_method, multi_label
        self.num_labels, self.label_weights, self.from_logits = num_labels, label_weights, from_logits
        if multi_label and num_labels is None:
            raise ValueError("AUC: pass `num_labels` with `multi_label=True`.")
        shape = (self.num_thresholds, num_labels) if multi_label else (self.num_thresholds,)
        self._counts = [self.add_variable(shape, name=n) for n in ("true_positives", "false_positives", "true_negatives", "false_negatives")]  # type: ignore[arg-type]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account."""
        y_true, y_pred = match(y_true, y_pred)
        if self.from_logits:
            y_pred = jax.nn.sigmoid(y_pred)
        w = _weights(sample_weight, y_pred.shape)
        columns = self.num_labels if self.multi_label else 1
        t, p, w = (a.reshape(-1, columns) for a in (jnp.broadcast_to(y_true, y_pred.shape), y_pred, w))
        # Each output falls between two thresholds; sums from above count the decisions at all of them.
        place = jnp.searchsorted(jnp.asarray(self._values), p.astype("float32"), side="left")
        rows = jnp.arange(self.num_thresholds + 1)[:, None, None]
        hits = place[None] == rows
        def above(weight: Any) -> Any:
            found = jnp.sum(hits * weight[None], axis=1)
            return jnp.cumsum(found[::-1], axis=0)[::-1][1:]
        positive = w * (t > 0.5)
        negative = w * (t <= 0.5)
        tp, fp = above(positive), above(negative)
        tn, fn = jnp.sum(negative, 0) - fp, jnp.sum(positive, 0) - tp
        for variable, value in zip(self._counts, (tp, fp, tn, fn), strict=True):
            variable.assign_add(value.reshape(variable.shape))

    def result(self) -> Any:
        """Return the area."""
        tp, fp, tn, fn = (v.value for v in self._counts)

        def ratio(a: Any, b: Any) -> Any:
            return jnp.where(b > 0, a / jnp.where(b > 0, b, 1.0), 0.0)

        recall = ratio(tp, tp + fn)
        if self.curve == "PR" and self.summation_method == "interpolation":
            # Davis and Goadrich 2006: between points, true positives grow linearly.
            dtp = tp[:-1] - tp[1:]
            p = tp + fp
            slope = ratio(dtp, p[:-1] - p[1:])
            offset = tp[1:] - slope * p[1:]
            both = (p[:-1] > 0) & (p[1:] > 0)
            relative = jnp.where(both, ratio(p[:-1], jnp.maximum(p[1:], 0)), 1.0)
            pieces = ratio(slope * (dtp + offset * jnp.log(relative)), tp[1:] + fn[1:])
            area = jnp.sum(pieces, 0)
        else:
            x = ratio(fp, fp + tn) if self.curve == "ROC" else recall
            y = recall if self.curve == "ROC" else ratio(tp, tp + fp)
            a, b = y[:-1], y[1:]
            heights = {"interpolation": (a + b) / 2, "minoring": jnp.minimum(a, b), "majoring": jnp.maximum(a, b)}
            area = jnp.sum((x[:-1] - x[1:]) * heights[self.summation_method], 0)
        if self.multi_label:
            weights = jnp.ones(self.num_labels) if self.label_weights is None else jnp.asarray(self.label_weights)
            return jnp.sum(area * weights) / jnp.sum(weights)
        return area

    @property
    def variables(self) -> list[Any]:
        """The four counts."""
        return list(self._variables)


class FBetaScore(Metric):
    """`(1 + beta^2) * precision * recall / (beta^2 * precision + recall)` by class.

    Args:
        average: `None` (a value a class), `"micro"`, `"macro"` or `"weighted"`.
        beta: Weight of recall.
        threshold: Outputs above it are decisions; `None`: the largest output of a row is.
        name: Name.
        dtype: Dtype.

    Targets and outputs have shape (B, classes).

    Example:
        >>> float(FBetaScore(average="micro", threshold=0.5)([[1.0, 0.0]], [[0.9, 0.1]]))
        1.0
    """

    def __init__(self, average: str | None = None, beta: float = 1.0, threshold: float | None = None, name: str = "fbeta_score", dtype: Any = None):
        super().__init__(dtype, name)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{type(self).__name__}: `average` must be None, 'micro', 'macro' or 'weighted', received {average!r}.")
        if not beta > 0:
            raise ValueError(f"{type(self).__name__}: `beta` must be positive, received {beta!r}.")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"{type(self).__name__}: `threshold` must be from 0 to 1, received {threshold!r}.")
        self.average, self.beta, self.threshold = average, beta, threshold
        self._counts: Any = None

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        names = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
        self._counts = [self.add_variable(shape, name=n) for n in names]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account."""
        y_true, y_pred = match(y_true, y_pred)
        if y_pred.ndim != 2 or y_true.shape != y_pred.shape:
            raise ValueError(
                f"{type(self).__name__}: targets and outputs must have shape (batch, classes), received {y_true.shape} and "
                f"{y_pred.shape}. Turn class numbers into one-hot rows."
            )
        if self._counts is None:
            self._build(y_pred.shape[-1])
        if self.threshold is None:
            said = (y_pred >= jnp.max(y_pred, -1, keepdims=True)) & (jnp.abs(y_pred) > 1e-9)
        else:
            said = y_pred > self.threshold
        w = _weights(sample_weight, y_pred.shape)
        axis = None if self.average == "micro" else 0
        said, true = said.astype("float32"), y_true.astype("float32")
        sums = (said * true, said * (1 - true), (1 - said) * true, true)
        for variable, value in zip(self._counts, sums, strict=True):
            variable.assign_add(jnp.sum(value * w, axis=axis))

    def result(self) -> Any:
        """Return the score: a number, or one a class."""
        if self._counts is None:
            return jnp.zeros(())
        tp, fp, fn, support = (v.value for v in self._counts)
        precision, recall = tp / jnp.maximum(tp + fp, 1e-30), tp / jnp.maximum(tp + fn, 1e-30)
        square = self.beta**2
        score = (1 + square) * precision * recall / (square * precision + recall + 1e-7)
        if self.average == "weighted":
            return jnp.sum(score * support / jnp.maximum(jnp.sum(support), 1e-30))
        return score if self.average is None else jnp.mean(score)


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall; arguments as for `FBetaScore` without `beta`.

    Example:
        >>> F1Score().name
        'f1_score'
    """

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str = "f1_score", dtype: Any = None):
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {"name": self.name, "dtype": self.dtype, "average": self.average, "threshold": self.threshold}
