"""Metrics of true and false positives and negatives, at one or many thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors, settings
from hornbeam.core.convert import convert
from hornbeam.core.loading import pay_for
from hornbeam.losses.loss import squeeze_or_expand
from hornbeam.losses.targets import match_ranks
from hornbeam.metrics.metric import Metric, divide_no_nan

__all__ = [
    "AUC",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
]

_NEVER = -1e10  # below every score
_COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def confusion_counts(
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    sample_weight: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    per_label: bool = False,
    label_weights: Any = None,
) -> dict[str, Any]:
    """Count true and false positives and negatives at each threshold.

    Args:
        y_true: Targets; all but 0 count as positive.
        y_pred: Scores of the same shape.
        thresholds: A score above is a positive.
        sample_weight: Weights of samples or values.
        top_k: Only the `top_k` largest scores of the last axis can be positive.
        class_id: Only this place of the last axis counts.
        per_label: Whether the last axis stays: counts have shape `(T, L)` instead of `(T,)`.
        label_weights: One weight a place of the last axis.
    """
    y_pred = convert(y_pred).astype(settings.floatx())
    y_true, y_pred = match_ranks(convert(y_true).astype(y_pred.dtype), y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"`y_true` of shape {y_true.shape} and `y_pred` of shape {y_pred.shape} do not fit; expected "
            "the same shape. Turn class numbers into one-hot rows with `hornbeam.utils.to_categorical`."
        )
    if top_k is not None:
        best = jax.lax.top_k(y_pred, top_k)[1]
        chosen = jnp.any(best[..., None] == jnp.arange(y_pred.shape[-1]), axis=-2)
        y_pred = jnp.where(chosen, y_pred, _NEVER)
    weights = jnp.ones((), y_pred.dtype)
    if sample_weight is not None:
        _, weights = squeeze_or_expand(y_pred, convert(sample_weight).astype(y_pred.dtype))
    weights = jnp.broadcast_to(weights, y_pred.shape)
    if label_weights is not None:
        weights = weights * convert(label_weights).astype(y_pred.dtype)
    if class_id is not None:
        y_true, y_pred, weights = (x[..., class_id] for x in (y_true, y_pred, weights))
    shape = (-1, y_pred.shape[-1]) if per_label else (-1,)
    y_true, y_pred, weights = (jnp.reshape(x, shape) for x in (y_true, y_pred, weights))
    limits = jnp.reshape(jnp.asarray(thresholds, y_pred.dtype), (-1,) + (1,) * y_pred.ndim)
    above, positive = y_pred > limits, y_true != 0

    def count(which: Any) -> Any:
        return jnp.sum(jnp.where(which, weights, 0.0), axis=1)

    parts = (above & positive, above & ~positive, ~above & ~positive, ~above & positive)
    return dict(zip(_COUNTS, map(count, parts), strict=True))


def _as_thresholds(owner: str, thresholds: Any, default: float) -> list[float]:
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, (list, tuple)) else [thresholds]
    wrong = [t for t in values if t is None or not 0 <= t <= 1]
    if wrong:
        raise ValueError(f"{owner}: `thresholds` must be from 0 to 1, received {wrong}.")
    return values


def _scalar_if_one(x: Any) -> Any:
    return x[0] if x.shape[0] == 1 else x


class _Counted(Metric):
    """Sums of confusion counts; subclasses say which."""

    _counted: tuple[str, ...] = _COUNTS

    def _add_counts(self, shape: tuple[int, ...]) -> None:
        for name in self._counted:
            setattr(self, name, self.add_variable(shape=shape, initializer="zeros", name=name))

    def _count(self, y_true: Any, y_pred: Any, sample_weight: Any, **settings: Any) -> None:
        counts = confusion_counts(y_true, y_pred, self._thresholds, sample_weight, **settings)
        for name in self._counted:
            getattr(self, name).assign_add(counts[name])

    _thresholds: list[float]
    true_positives: Any
    false_positives: Any
    true_negatives: Any
    false_negatives: Any


class _OneCount(Metric):
    """The number of one kind of outcome."""

    _kind: str

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.thresholds = thresholds
        self._thresholds = _as_thresholds(type(self).__name__, thresholds, 0.5)
        self.accumulator = self.add_variable(shape=(len(self._thresholds),), initializer="zeros", name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        counts = confusion_counts(y_true, y_pred, self._thresholds, sample_weight)
        self.accumulator.assign_add(counts[self._kind])

    def result(self) -> Any:
        return _scalar_if_one(self.accumulator.value)


class TruePositives(_OneCount):
    """Number of positives predicted as such (with weights: their sum).

    Args:
        thresholds: A score above is a positive; one number or several. Default: 0.5.
        name: Name. Default: `"true_positives"`, numbered.
        dtype: Dtype of the counts. Default: `floatx()`.

    Example:
        >>> float(TruePositives()([0, 1, 1], [0.9, 0.9, 0.1]))
        1.0
    """

    _kind = "true_positives"


class FalsePositives(_OneCount):
    """Number of negatives predicted as positives; arguments as for `TruePositives`.

    Example:
        >>> float(FalsePositives()([0, 1, 1], [0.9, 0.9, 0.1]))
        1.0
    """

    _kind = "false_positives"


class TrueNegatives(_OneCount):
    """Number of negatives predicted as such; arguments as for `TruePositives`.

    Example:
        >>> float(TrueNegatives()([0, 1, 1], [0.9, 0.9, 0.1]))
        0.0
    """

    _kind = "true_negatives"


class FalseNegatives(_OneCount):
    """Number of positives predicted as negatives; arguments as for `TruePositives`.

    Example:
        >>> float(FalseNegatives()([0, 1, 1], [0.9, 0.9, 0.1]))
        1.0
    """

    _kind = "false_negatives"


class _Ratio(_Counted):
    """True positives over true positives and one other count."""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        default = 0.5 if top_k is None else _NEVER
        self._thresholds = _as_thresholds(type(self).__name__, thresholds, default)
        self._add_counts((len(self._thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._count(y_true, y_pred, sample_weight, top_k=self.top_k, class_id=self.class_id)

    def result(self) -> Any:
        hits, others = (getattr(self, name).value for name in self._counted)
        return _scalar_if_one(divide_no_nan(hits, hits + others))


class Precision(_Ratio):
    """Share of true ones among predicted positives.

    Args:
        thresholds: A score above is a positive; one number or several. Default: 0.5.
        top_k: Only the `top_k` largest scores of a row are positives.
        class_id: Only this class counts.
        name: Name. Default: `"precision"`, numbered.
        dtype: Dtype of the counts. Default: `floatx()`.

    Example:
        >>> float(Precision()([0, 1, 1], [0.9, 0.9, 0.1]))
        0.5
    """

    _counted = ("true_positives", "false_positives")


class Recall(_Ratio):
    """Share of the positives that are predicted as such; arguments as for `Precision`.

    Example:
        >>> float(Recall()([0, 1, 1], [0.9, 0.9, 0.1]))
        0.5
    """

    _counted = ("true_positives", "false_negatives")


def _even_thresholds(num_thresholds: int) -> list[float]:
    pay_for("`num_thresholds`", 64 * num_thresholds)
    return [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]


class _AtValue(_Counted):
    """The best of one ratio where another reaches a given value."""

    def __init__(self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any):
        super().__init__(name=name, dtype=dtype)
        owner = type(self).__name__
        if not 0 <= value <= 1:
            raise ValueError(f"{owner}: the value to reach must be from 0 to 1, received {value!r}.")
        if num_thresholds <= 0:
            raise ValueError(f"{owner}: `num_thresholds` must be positive, received {num_thresholds!r}.")
        self.num_thresholds, self.class_id, self._value = num_thresholds, class_id, value
        self._thresholds = [0.5] if num_thresholds == 1 else [0.0, *_even_thresholds(num_thresholds), 1.0]
        self._add_counts((len(self._thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self._count(y_true, y_pred, sample_weight, class_id=self.class_id)

    def result(self) -> Any:
        tp, fp, tn, fn = (getattr(self, name).value for name in _COUNTS)
        ratios: dict[str, Callable[[], Any]] = {
            "Precision": lambda: divide_no_nan(tp, tp + fp),
            "Recall": lambda: divide_no_nan(tp, tp + fn),
            "Sensitivity": lambda: divide_no_nan(tp, tp + fn),
            "Specificity": lambda: divide_no_nan(tn, tn + fp),
        }
        best, reached = self._ratios
        return jnp.max(jnp.where(ratios[reached]() >= self._value, ratios[best](), 0.0))

    _ratios: tuple[str, str]


class SensitivityAtSpecificity(_AtValue):
    """The best sensitivity (true positive rate) with at least a given specificity.

    Args:
        specificity: Specificity (true negative rate) to reach, from 0 to 1.
        num_thresholds: How many thresholds are tried.
        class_id: Only this class counts.
        name: Name. Default: the class's, numbered.
        dtype: Dtype of the counts. Default: `floatx()`.

    Example:
        >>> float(SensitivityAtSpecificity(0.5)([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        1.0
    """

    _ratios = ("Sensitivity", "Specificity")

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(_AtValue):
    """The best specificity (true negative rate) with at least a given sensitivity.

    Args:
        sensitivity: Sensitivity (true positive rate) to reach, from 0 to 1.
        num_thresholds: How many thresholds are tried.
        class_id: Only this class counts.
        name: Name. Default: the class's, numbered.
        dtype: Dtype of the counts. Default: `floatx()`.

    Example:
        >>> float(SpecificityAtSensitivity(0.5)([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        1.0
    """

    _ratios = ("Specificity", "Sensitivity")

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


class PrecisionAtRecall(_AtValue):
    """The best precision with at least a given recall.

    Args:
        recall: Recall to reach, from 0 to 1.
        num_thresholds: How many thresholds are tried.
        class_id: Only this class counts.
        name: Name. Default: the class's, numbered.
        dtype: Dtype of the counts. Default: `floatx()`.

    Example:
        >>> float(PrecisionAtRecall(0.5)([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        1.0
    """

    _ratios = ("Precision", "Recall")

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(_AtValue):
    """The best recall with at least a given precision.

    Args:
        precision: Precision to reach, from 0 to 1.
        num_thresholds: How many thresholds are tried.
        class_id: Only this class counts.
        name: Name. Default: the class's, numbered.
        dtype: Dtype of the counts. Default: `floatx()`.

    Example:
        >>> float(RecallAtPrecision(0.9)([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        0.5
    """

    _ratios = ("Recall", "Precision")

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision


class AUC(_Counted):
    """Area under the ROC or the precision-recall curve, as a sum over thresholds.

    Args:
        num_thresholds: How many thresholds, evenly spaced from 0 to 1.
        curve: `"ROC"` or `"PR"`.
        summation_method: `"interpolation"` (middle heights; for PR as in Davis and Goadrich
            2006), `"minoring"` (left-lower sums) or `"majoring"` (upper sums).
        name: Name. Default: `"auc"`, numbered.
        dtype: Dtype of the counts. Default: `floatx()`.
        thresholds: Thresholds of your own between 0 and 1, in place of `num_thresholds`.
        multi_label: Whether each label (place of the last axis) has its own curve; the
            result is their mean.
        num_labels: How many labels, for the state to be made at once.
        label_weights: One weight a label.
        from_logits: Whether predictions still lack their sigmoid.

    Raises:
        ValueError: If a name is unknown or there are fewer than two thresholds.

    Example:
        >>> float(AUC()([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        super().__init__(name=name, dtype=dtype)
        for argument, value, known in (
            ("curve", curve, ("ROC", "PR")),
            ("summation_method", summation_method, ("interpolation", "minoring", "majoring")),
        ):
            if str(value).lower() not in [k.lower() for k in known]:
                raise ValueError(f"AUC: `{argument}` must be one of {errors.listed(known)}, received {value!r}.")
        if thresholds is None and num_thresholds <= 1:
            raise ValueError(f"AUC: `num_thresholds` must be at least 2, received {num_thresholds!r}.")
        if label_weights is not None and any(w < 0 for w in label_weights):
            raise ValueError(f"AUC: `label_weights` must not be negative, received {label_weights!r}.")
        if num_labels and not multi_label:
            raise ValueError("AUC: `num_labels` is for `multi_label=True`.")
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights, self.from_logits = label_weights, from_logits
        inner = _even_thresholds(num_thresholds) if thresholds is None else sorted(thresholds)
        inner = _as_thresholds("AUC", inner, 0.5)
        self._given_thresholds = thresholds is not None
        self.num_thresholds = len(inner) + 2
        # The ends lie outside [0, 1], so that scores of exactly 0 and 1 are counted.
        self._thresholds = [-settings.epsilon(), *inner, 1.0 + settings.epsilon()]
        if not multi_label:
            self._add_counts((self.num_thresholds,))
        elif num_labels:
            self._add_counts((self.num_thresholds, num_labels))

    @property
    def thresholds(self) -> list[float]:
        """All thresholds, with the two ends."""
        return list(self._thresholds)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = convert(y_pred)
        if self.from_logits:
            y_pred = jax.nn.sigmoid(y_pred)
        if self.multi_label and not self.variables:
            self._add_counts((self.num_thresholds, y_pred.shape[-1]))
        weights = None if self.multi_label else self.label_weights
        self._count(y_true, y_pred, sample_weight, per_label=self.multi_label, label_weights=weights)

    def result(self) -> Any:
        if not self.variables:
            return jnp.zeros((), self.dtype)
        tp, fp, tn, fn = (getattr(self, name).value for name in _COUNTS)
        recall = divide_no_nan(tp, tp + fn)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated_pr_area(tp, fp, fn)
        else:
            x, y = (divide_no_nan(fp, fp + tn), recall) if self.curve == "ROC" else (
                recall, divide_no_nan(tp, tp + fp)
            )  # fmt: skip
            pairs = {"interpolation": lambda a, b: (a + b) / 2, "minoring": jnp.minimum, "majoring": jnp.maximum}
            heights = pairs[self.summation_method](y[:-1], y[1:])
            areas = jnp.sum((x[:-1] - x[1:]) * heights, axis=0)
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return jnp.mean(areas)
        weights = jnp.asarray(self.label_weights, areas.dtype)
        return divide_no_nan(jnp.sum(areas * weights), jnp.sum(weights))

    def get_config(self) -> dict[str, Any]:
        config = {
            "name": self.name,
            "dtype": self._dtype_policy.name,
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self.from_logits,
        }
        if self._given_thresholds:
            config["thresholds"] = self._thresholds[1:-1]
        return config


def _interpolated_pr_area(tp: Any, fp: Any, fn: Any) -> Any:
    """Area where precision between two thresholds is linear in counts (Davis and Goadrich 2006)."""
    predicted = tp + fp
    slope = divide_no_nan(tp[:-1] - tp[1:], jnp.maximum(predicted[:-1] - predicted[1:], 0.0))
    intercept = tp[1:] - slope * predicted[1:]
    both = (predicted[:-1] > 0) & (predicted[1:] > 0)
    ratio = jnp.where(both, divide_no_nan(predicted[:-1], predicted[1:]), 1.0)
    gain = slope * (tp[:-1] - tp[1:] + intercept * jnp.log(ratio))
    return jnp.sum(divide_no_nan(gain, tp[1:] + fn[1:]), axis=0)
