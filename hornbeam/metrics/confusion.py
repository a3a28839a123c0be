"""Metrics of true and false positives and negatives, at one or many thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeAlias

import jax
import jax.numpy as jnp

from hornbeam import errors, settings
from hornbeam.checked import Count, Fraction, NonNegative, Range, checked
from hornbeam.core.convert import convert
from hornbeam.core.loading import pay_for
from hornbeam.losses.loss import expand_weights
from hornbeam.losses.targets import match_ranks
from hornbeam.metrics.metric import Metric, divide_no_nan, masked_weights
from hornbeam.typing import Policy, Structure, Tensor

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

Thresholds: TypeAlias = Fraction | Sequence[Fraction] | None
"""One threshold, several, or `None` for 0.5."""


def confusion_counts(
    y_true: Tensor,
    y_pred: Tensor,
    thresholds: Sequence[float],
    sample_weight: Tensor = None,
    top_k: int | None = None,
    class_id: int | None = None,
    per_label: bool = False,
    label_weights: Tensor = None,
) -> dict[str, Any]:
    """Count true and false positives and negatives at each threshold.

    Args:
        y_true: Targets; any number but 0 is positive.
        y_pred: Scores of the same shape.
        thresholds: Thresholds; a score above one is predicted positive.
        sample_weight: Weights, one per sample or per value.
        top_k: If given, only the `top_k` largest scores of the last axis can be positive.
        class_id: If given, only this index of the last axis counts.
        per_label: Whether to keep the last axis: counts have shape `(T, L)` instead of `(T,)`.
        label_weights: One weight per index of the last axis.

    Returns:
        Counts by name, of shape `(T,)` for `T` thresholds.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> counts = confusion_counts([0, 1, 1], [0.9, 0.9, 0.1], [0.5])
        >>> {name: count.tolist() for name, count in counts.items() if name.startswith("true")}
        {'true_positives': [1.0], 'true_negatives': [0.0]}
    """
    y_pred = convert(y_pred).astype(settings.floatx())
    y_true, y_pred = match_ranks(convert(y_true).astype(y_pred.dtype), y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"`y_true` of shape {y_true.shape} and `y_pred` of shape {y_pred.shape} do not fit;"
            " expected the same shape. Turn class numbers into one-hot rows with"
            " `hornbeam.utils.to_categorical`."
        )
    if top_k is not None:
        best = jax.lax.top_k(y_pred, top_k)[1]
        chosen = jnp.any(best[..., None] == jnp.arange(y_pred.shape[-1]), axis=-2)
        y_pred = jnp.where(chosen, y_pred, _NEVER)
    weights = jnp.ones((), y_pred.dtype)
    if sample_weight is not None:
        weights = expand_weights(y_pred, convert(sample_weight).astype(y_pred.dtype))
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


def _as_list(thresholds: Thresholds, default: float) -> list[float]:
    if thresholds is None:
        return [default]
    return (
        [thresholds]
        if isinstance(thresholds, (int, float))
        else [float(threshold) for threshold in thresholds]
    )


def _scalar_if_one(x: Any) -> Any:
    return x[0] if x.shape[0] == 1 else x


class _Counted(Metric):
    """Base of metrics that sum the confusion counts in `_counted`, one variable per count."""

    _counted: tuple[str, ...] = _COUNTS
    _thresholds: list[float]
    true_positives: Any
    false_positives: Any
    true_negatives: Any
    false_negatives: Any

    def _add_counts(self, shape: tuple[int, ...]) -> None:
        for name in self._counted:
            setattr(self, name, self.add_variable(shape=shape, initializer="zeros", name=name))

    def _count(self, y_true: Any, y_pred: Any, sample_weight: Any, **settings: Any) -> None:
        counts = confusion_counts(y_true, y_pred, self._thresholds, sample_weight, **settings)
        for name in self._counted:
            getattr(self, name).assign_add(counts[name])


class _OneCount(Metric):
    """Base of metrics that count one kind of outcome."""

    _kind: str

    @checked
    def __init__(
        self, thresholds: Thresholds = None, name: str | None = None, dtype: Policy = None
    ):
        super().__init__(name=name, dtype=dtype)
        self.thresholds = thresholds
        self._thresholds = _as_list(thresholds, 0.5)
        self.accumulator = self.add_variable(
            shape=(len(self._thresholds),), initializer="zeros", name="accumulator"
        )

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        sample_weight = masked_weights(y_pred, sample_weight, self.dtype)
        counts = confusion_counts(y_true, y_pred, self._thresholds, sample_weight)
        self.accumulator.assign_add(counts[self._kind])

    def result(self) -> Structure:
        return _scalar_if_one(self.accumulator.value)


class TruePositives(_OneCount):
    """Number of positives that are predicted positive; with weights, the sum of their weights.

    Args:
        thresholds: A score above it is predicted positive: one number from 0 to 1, or several for
            several counts. Default: 0.5.
        name: Name. Default: `"true_positives"`, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(TruePositives()([0, 1, 1], [0.9, 0.9, 0.1]))
        1.0
    """

    _kind = "true_positives"


class FalsePositives(_OneCount):
    """Number of negatives that are predicted positive; with weights, the sum of their weights.

    Args:
        thresholds: A score above it is predicted positive: one number from 0 to 1, or several for
            several counts. Default: 0.5.
        name: Name. Default: `"false_positives"`, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(FalsePositives()([0, 1, 1], [0.9, 0.9, 0.1]))
        1.0
    """

    _kind = "false_positives"


class TrueNegatives(_OneCount):
    """Number of negatives that are predicted negative; with weights, the sum of their weights.

    Args:
        thresholds: A score above it is predicted positive: one number from 0 to 1, or several for
            several counts. Default: 0.5.
        name: Name. Default: `"true_negatives"`, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(TrueNegatives()([0, 1, 1], [0.9, 0.9, 0.1]))
        0.0
    """

    _kind = "true_negatives"


class FalseNegatives(_OneCount):
    """Number of positives that are predicted negative; with weights, the sum of their weights.

    Args:
        thresholds: A score above it is predicted positive: one number from 0 to 1, or several for
            several counts. Default: 0.5.
        name: Name. Default: `"false_negatives"`, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(FalseNegatives()([0, 1, 1], [0.9, 0.9, 0.1]))
        1.0
    """

    _kind = "false_negatives"


class _Ratio(_Counted):
    """Base of ratios: true positives over true positives plus one other count."""

    @checked
    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: Count | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Policy = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self._thresholds = _as_list(thresholds, 0.5 if top_k is None else _NEVER)
        self._add_counts((len(self._thresholds),))

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        sample_weight = masked_weights(y_pred, sample_weight, self.dtype)
        self._count(y_true, y_pred, sample_weight, top_k=self.top_k, class_id=self.class_id)

    def result(self) -> Structure:
        hits, others = (getattr(self, name).value for name in self._counted)
        return _scalar_if_one(divide_no_nan(hits, hits + others))


class Precision(_Ratio):
    """Fraction of predicted positives that are positive.

    The formula is `true positives / (true positives + false positives)`.

    Args:
        thresholds: A score above it is predicted positive: one number from 0 to 1, or several for
            several results.
            Default: 0.5.
        top_k: If given, only the `top_k` largest scores of a row can be positive.
        class_id: If given, only this class counts.
        name: Name. Default: `"precision"`, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(Precision()([0, 1, 1], [0.9, 0.9, 0.1]))
        0.5
    """

    _counted = ("true_positives", "false_positives")


class Recall(_Ratio):
    """Fraction of positives that are predicted positive.

    The formula is `true positives / (true positives + false negatives)`.

    Args:
        thresholds, top_k, class_id: As for `Precision`.
        name: Name. Default: `"recall"`, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(Recall()([0, 1, 1], [0.9, 0.9, 0.1]))
        0.5
    """

    _counted = ("true_positives", "false_negatives")


def _even_thresholds(num_thresholds: int) -> list[float]:
    pay_for("`num_thresholds`", 64 * num_thresholds)
    return [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]


class _AtValue(_Counted):
    """Base of metrics that are the best of one ratio where another reaches a given value."""

    _ratios: tuple[str, str]
    """The ratio to report and the ratio to reach."""

    def __init__(
        self,
        value: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: Policy,
    ):
        super().__init__(name=name, dtype=dtype)
        self.num_thresholds, self.class_id, self._value = num_thresholds, class_id, value
        self._thresholds = (
            [0.5] if num_thresholds == 1 else [0.0, *_even_thresholds(num_thresholds), 1.0]
        )
        self._add_counts((len(self._thresholds),))

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        sample_weight = masked_weights(y_pred, sample_weight, self.dtype)
        self._count(y_true, y_pred, sample_weight, class_id=self.class_id)

    def result(self) -> Structure:
        tp, fp, tn, fn = (getattr(self, name).value for name in _COUNTS)
        ratios: dict[str, Callable[[], Any]] = {
            "Precision": lambda: divide_no_nan(tp, tp + fp),
            "Recall": lambda: divide_no_nan(tp, tp + fn),
            "Sensitivity": lambda: divide_no_nan(tp, tp + fn),
            "Specificity": lambda: divide_no_nan(tn, tn + fp),
        }
        best, reached = self._ratios
        return jnp.max(jnp.where(ratios[reached]() >= self._value, ratios[best](), 0.0))


class SensitivityAtSpecificity(_AtValue):
    """The best sensitivity, over all thresholds at which the specificity reaches a given value.

    Sensitivity is `TP / (TP + FN)`; the letters stand for true and false positives and negatives.

    Args:
        specificity: Specificity `TN / (TN + FP)` to reach, from 0 to 1.
        num_thresholds: Number of thresholds, evenly spaced from 0 to 1; at least 1.
        class_id: If given, only this class counts.
        name: Name. Default: the class's name in snake case, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(SensitivityAtSpecificity(0.5)([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        1.0
    """

    _ratios = ("Sensitivity", "Specificity")

    @checked
    def __init__(
        self,
        specificity: Fraction,
        num_thresholds: Count = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Policy = None,
    ):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(_AtValue):
    """The best specificity, over all thresholds at which the sensitivity reaches a given value.

    Specificity is `TN / (TN + FP)`; the letters stand for true and false positives and negatives.

    Args:
        sensitivity: Sensitivity `TP / (TP + FN)` to reach, from 0 to 1.
        num_thresholds: Number of thresholds, evenly spaced from 0 to 1; at least 1.
        class_id: If given, only this class counts.
        name: Name. Default: the class's name in snake case, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(SpecificityAtSensitivity(0.5)([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        1.0
    """

    _ratios = ("Specificity", "Sensitivity")

    @checked
    def __init__(
        self,
        sensitivity: Fraction,
        num_thresholds: Count = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Policy = None,
    ):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


class PrecisionAtRecall(_AtValue):
    """The best precision, over all thresholds at which the recall reaches a given value.

    Precision is `TP / (TP + FP)`; the letters stand for true and false positives and negatives.

    Args:
        recall: Recall `TP / (TP + FN)` to reach, from 0 to 1.
        num_thresholds: Number of thresholds, evenly spaced from 0 to 1; at least 1.
        class_id: If given, only this class counts.
        name: Name. Default: the class's name in snake case, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(PrecisionAtRecall(0.5)([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        1.0
    """

    _ratios = ("Precision", "Recall")

    @checked
    def __init__(
        self,
        recall: Fraction,
        num_thresholds: Count = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Policy = None,
    ):
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(_AtValue):
    """The best recall, over all thresholds at which the precision reaches a given value.

    Recall is `TP / (TP + FN)`; the letters stand for true and false positives and negatives.

    Args:
        precision: Precision `TP / (TP + FP)` to reach, from 0 to 1.
        num_thresholds: Number of thresholds, evenly spaced from 0 to 1; at least 1.
        class_id: If given, only this class counts.
        name: Name. Default: the class's name in snake case, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(RecallAtPrecision(0.9)([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        0.5
    """

    _ratios = ("Recall", "Precision")

    @checked
    def __init__(
        self,
        precision: Fraction,
        num_thresholds: Count = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Policy = None,
    ):
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision


class AUC(_Counted):
    """Area under the ROC or the precision-recall curve, as a sum over thresholds.

    Args:
        num_thresholds: Number of thresholds, evenly spaced from 0 to 1; at least 2.
        curve: `"ROC"` (true positive rate over false positive rate), `"PR"` (precision over recall)
            or `"PRGAIN"` (precision gain over recall gain; Flach and Kull 2015,
            "Precision-recall-gain curves").
        summation_method: `"interpolation"` (mean heights; for PR as in Davis and Goadrich 2006,
            "The relationship between precision-recall and ROC curves"), `"minoring"` (lower
            heights) or `"majoring"` (upper heights).
        name: Name. Default: `"auc"`, numbered.
        dtype: Dtype or dtype policy of the counts. Default: `floatx()`.
        thresholds: Thresholds from 0 to 1, in place of `num_thresholds`.
        multi_label: Whether each label (index of the last axis) has a curve of its own. The result
            is their mean.
        num_labels: Number of labels, to create the state at once. It needs `multi_label`.
        label_weights: One weight per label, not negative.
        from_logits: Whether predictions are scores, to which to apply a sigmoid.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(AUC()([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9]))
        0.75
    """

    @checked
    def __init__(
        self,
        num_thresholds: Annotated[int, Range(at_least=2)] = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Policy = None,
        thresholds: Sequence[Fraction] | None = None,
        multi_label: bool = False,
        num_labels: Annotated[int, Range(at_least=0)] | None = None,
        label_weights: Sequence[NonNegative] | None = None,
        from_logits: bool = False,
    ):
        super().__init__(name=name, dtype=dtype)
        for argument, value, known in (
            ("curve", curve, ("ROC", "PR", "PRGAIN")),
            ("summation_method", summation_method, ("interpolation", "minoring", "majoring")),
        ):
            if value.lower() not in [k.lower() for k in known]:
                raise ValueError(
                    f"AUC: `{argument}` must be one of {errors.listed(known)}, received {value!r}."
                )
        if num_labels and not multi_label:
            raise ValueError(
                f"AUC: `num_labels` needs `multi_label=True`, received {num_labels!r} without it."
            )
        self.curve, self.summation_method = curve.upper(), summation_method.lower()
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights, self.from_logits = label_weights, from_logits
        inner = _even_thresholds(num_thresholds) if thresholds is None else sorted(thresholds)
        self._given_thresholds = thresholds is not None
        self.num_thresholds = len(inner) + 2
        # The ends are outside [0, 1], so that scores of exactly 0 and 1 count too.
        self._thresholds = [-settings.epsilon(), *inner, 1.0 + settings.epsilon()]
        if not multi_label:
            self._add_counts((self.num_thresholds,))
        elif num_labels:
            self._add_counts((self.num_thresholds, num_labels))

    @property
    def thresholds(self) -> list[float]:
        """All thresholds, including both ends."""
        return list(self._thresholds)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        sample_weight = masked_weights(y_pred, sample_weight, self.dtype)
        y_pred = convert(y_pred)
        if self.from_logits:
            y_pred = jax.nn.sigmoid(y_pred)
        if self.multi_label and not self.variables:
            self._add_counts((self.num_thresholds, y_pred.shape[-1]))
        weights = None if self.multi_label else self.label_weights
        self._count(
            y_true, y_pred, sample_weight, per_label=self.multi_label, label_weights=weights
        )

    def result(self) -> Structure:
        if not self.variables:
            return jnp.zeros((), self.dtype)
        tp, fp, tn, fn = (getattr(self, name).value for name in _COUNTS)
        recall = divide_no_nan(tp, tp + fn)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated_pr_area(tp, fp, fn)
        else:
            ends: dict[str, Callable[[], tuple[Any, Any]]] = {
                "ROC": lambda: (divide_no_nan(fp, fp + tn), recall),
                "PR": lambda: (recall, divide_no_nan(tp, tp + fp)),
                "PRGAIN": lambda: _gains(tp, fp, tn, fn),
            }
            x, y = ends[self.curve]()
            pairs: dict[str, Callable[[Any, Any], Any]] = {
                "interpolation": lambda a, b: (a + b) / 2, "minoring": jnp.minimum,
                "majoring": jnp.maximum,
            }  # fmt: skip
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


def _gains(tp: Any, fp: Any, tn: Any, fn: Any) -> tuple[Any, Any]:
    """Return the gains of recall, at least 0, and of precision over calling all positive."""
    odds = divide_no_nan(tp + fn, fp + tn)
    of_recall = jnp.where(tp == 0, 0.0, jnp.maximum(1 - odds * divide_no_nan(fn, tp), 0.0))
    return of_recall, 1 - odds * divide_no_nan(fp, tp)


def _interpolated_pr_area(tp: Any, fp: Any, fn: Any) -> Any:
    """Return the area if the counts between two thresholds are linear (Davis and Goadrich 2006)."""
    predicted = tp + fp
    slope = divide_no_nan(tp[:-1] - tp[1:], jnp.maximum(predicted[:-1] - predicted[1:], 0.0))
    intercept = tp[1:] - slope * predicted[1:]
    both = (predicted[:-1] > 0) & (predicted[1:] > 0)
    ratio = jnp.where(both, divide_no_nan(predicted[:-1], predicted[1:]), 1.0)
    gain = slope * (tp[:-1] - tp[1:] + intercept * jnp.log(ratio))
    return jnp.sum(divide_no_nan(gain, tp[1:] + fn[1:]), axis=0)
