"""Metrics that are means of loss functions, and scores of regression."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import errors, losses
from hornbeam.core.convert import convert
from hornbeam.losses.loss import squeeze_or_expand
from hornbeam.losses.targets import as_float, match_ranks
from hornbeam.metrics.metric import Metric, divide_no_nan
from hornbeam.metrics.reduction import FunctionMean, Mean, wide

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "PearsonCorrelation",
    "Poisson",
    "R2Score",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "concordance_correlation",
    "pearson_correlation",
]


def _matched(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    y_pred = as_float(y_pred)
    return match_ranks(convert(y_true).astype(y_pred.dtype), y_pred)


def cosine_of_angle(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Cosine of the angle between targets and predictions (plus sign, unlike the loss).

    Example:
        >>> cosine_of_angle([[0.0, 1.0]], [[0.0, 5.0]])
        Array([1.], dtype=float32)
    """
    return -losses.cosine_similarity(y_true, y_pred, axis)


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Covariance over the product of the standard deviations, along `axis`.

    Example:
        >>> pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]]).round(4)
        Array([1.], dtype=float32)
    """
    y_true, y_pred = _matched(y_true, y_pred)
    parts = [y - jnp.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    parts = [y / jnp.std(y, axis=axis, keepdims=True) for y in parts]
    return jnp.mean(parts[0] * parts[1], axis=axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Lin's concordance: twice the covariance over variances plus squared difference of means.

    Example:
        >>> concordance_correlation([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]]).round(4)
        Array([1.], dtype=float32)
    """
    y_true, y_pred = _matched(y_true, y_pred)
    means = [jnp.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    covariance = jnp.mean((y_true - means[0]) * (y_pred - means[1]), axis=axis)
    gap = jnp.squeeze(jnp.square(means[0] - means[1]), axis)
    return 2.0 * covariance / (jnp.var(y_true, axis=axis) + jnp.var(y_pred, axis=axis) + gap)


class MeanSquaredError(FunctionMean):
    """Mean of the squared errors.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(MeanSquaredError()([[0.0, 1.0]], [[2.0, 1.0]])), 4)
        2.0
    """

    _function = staticmethod(losses.mean_squared_error)

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)


class MeanAbsoluteError(FunctionMean):
    """Mean of the absolute errors.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(MeanAbsoluteError()([[0.0, 1.0]], [[2.0, 1.0]])), 4)
        1.0
    """

    _function = staticmethod(losses.mean_absolute_error)

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None):
        super().__init__(name, dtype)


class MeanAbsolutePercentageError(FunctionMean):
    """Mean of the absolute errors in percent of the targets.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(MeanAbsolutePercentageError()([[2.0, 1.0]], [[1.0, 1.0]])), 4)
        25.0
    """

    _function = staticmethod(losses.mean_absolute_percentage_error)

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(name, dtype)


class MeanSquaredLogarithmicError(FunctionMean):
    """Mean of the squared differences of logarithms.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(MeanSquaredLogarithmicError()([[1.0]], [[1.0]])), 4)
        0.0
    """

    _function = staticmethod(losses.mean_squared_logarithmic_error)

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(name, dtype)


class LogCoshError(FunctionMean):
    """Mean of the logarithm of the errors' hyperbolic cosine.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(LogCoshError()([[1.0]], [[1.0]])), 4)
        0.0
    """

    _function = staticmethod(losses.log_cosh)

    def __init__(self, name: str | None = "logcosh", dtype: Any = None):
        super().__init__(name, dtype)


class CosineSimilarity(FunctionMean):
    """Mean cosine of the angle between targets and predictions.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.
        axis: Axis of the vectors or classes.

    Example:
        >>> round(float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]])), 4)
        1.0
    """

    _function = staticmethod(cosine_of_angle)
    _compares_rows = True

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(name, dtype, axis=axis)


class PearsonCorrelation(FunctionMean):
    """Mean of Pearson's correlation along an axis.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.
        axis: Axis of the vectors or classes.

    Example:
        >>> round(float(PearsonCorrelation()([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]])), 4)
        1.0
    """

    _function = staticmethod(pearson_correlation)
    _compares_rows = True

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(name, dtype, axis=axis)


class ConcordanceCorrelation(FunctionMean):
    """Mean of Lin's concordance correlation along an axis.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.
        axis: Axis of the vectors or classes.

    Example:
        >>> round(float(ConcordanceCorrelation()([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]])), 4)
        1.0
    """

    _function = staticmethod(concordance_correlation)
    _compares_rows = True

    def __init__(
        self,
        name: str | None = "concordance_correlation",
        dtype: Any = None,
        axis: int = -1,
    ):
        super().__init__(name, dtype, axis=axis)


class Hinge(FunctionMean):
    """Mean margin loss for targets -1 and 1 (or 0 and 1).

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(Hinge()([[-1.0, 1.0]], [[-1.0, 0.0]])), 4)
        0.5
    """

    _function = staticmethod(losses.hinge)

    def __init__(self, name: str | None = "hinge", dtype: Any = None):
        super().__init__(name, dtype)


class SquaredHinge(FunctionMean):
    """Mean squared margin loss for targets -1 and 1 (or 0 and 1).

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(SquaredHinge()([[-1.0, 1.0]], [[-1.0, -1.0]])), 4)
        2.0
    """

    _function = staticmethod(losses.squared_hinge)

    def __init__(self, name: str | None = "squared_hinge", dtype: Any = None):
        super().__init__(name, dtype)


class CategoricalHinge(FunctionMean):
    """Mean margin between the right class and the best wrong one.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]])), 4)
        0.5
    """

    _function = staticmethod(losses.categorical_hinge)
    _compares_rows = True

    def __init__(self, name: str | None = "categorical_hinge", dtype: Any = None):
        super().__init__(name, dtype)


class KLDivergence(FunctionMean):
    """Mean Kullback-Leibler divergence of predicted from target distribution.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]])), 4)
        0.0
    """

    _function = staticmethod(losses.kl_divergence)
    _compares_rows = True

    def __init__(self, name: str | None = "kl_divergence", dtype: Any = None):
        super().__init__(name, dtype)


class Poisson(FunctionMean):
    """Mean negative log-likelihood of counts, up to a constant.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> round(float(Poisson()([[0.0]], [[1.0]])), 4)
        1.0
    """

    _function = staticmethod(losses.poisson)

    def __init__(self, name: str | None = "poisson", dtype: Any = None):
        super().__init__(name, dtype)


class BinaryCrossentropy(FunctionMean):
    """Mean crossentropy of yes-or-no targets.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.
        from_logits: Whether predictions still lack their sigmoid or softmax.
        label_smoothing: How far targets are drawn towards an even spread, from 0 to 1.

    Example:
        >>> round(float(BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    _function = staticmethod(losses.binary_crossentropy)

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(name, dtype, from_logits=from_logits, label_smoothing=label_smoothing)


class CategoricalCrossentropy(FunctionMean):
    """Mean crossentropy of one-hot targets.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.
        from_logits: Whether predictions still lack their sigmoid or softmax.
        label_smoothing: How far targets are drawn towards an even spread, from 0 to 1.
        axis: Axis of the vectors or classes.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    _function = staticmethod(losses.categorical_crossentropy)
    _compares_rows = True

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class SparseCategoricalCrossentropy(FunctionMean):
    """Mean crossentropy of class numbers.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.
        from_logits: Whether predictions still lack their sigmoid or softmax.
        ignore_class: Class number whose samples count as 0.
        axis: Axis of the vectors or classes.

    Example:
        >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    _function = staticmethod(losses.sparse_categorical_crossentropy)

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)


class RootMeanSquaredError(Mean):
    """Root of the mean of the squared errors.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> float(RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [3.0]]))
        3.0
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = _matched(wide(y_true, self.dtype), wide(y_pred, self.dtype))
        super().update_state(jnp.square(y_true - y_pred), sample_weight=sample_weight)

    def result(self) -> Any:
        return jnp.sqrt(super().result())


class R2Score(Metric):
    """Share of the targets' variance that predictions explain, 1 at best.

    Args:
        class_aggregation: `"uniform_average"` (mean over outputs), `"variance_weighted_average"`,
            or None (one score an output).
        num_regressors: Number of independent variables, for the adjusted score; 0 for the plain.
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(R2Score()([[1.0], [2.0], [3.0]], [[1.0], [2.0], [3.0]]))
        1.0
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(
                f"R2Score: `class_aggregation` must be None or one of {errors.listed(map(str, known[1:]))}, "
                f"received {class_aggregation!r}."
            )
        if num_regressors < 0:
            raise ValueError(f"R2Score: `num_regressors` must not be negative, received {num_regressors!r}.")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable(shape=(), initializer="zeros", name="num_samples")
        self._built = False

    squared_sum: Any
    sum: Any
    residual: Any
    count: Any

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = _matched(wide(y_true, self.dtype), wide(y_pred, self.dtype))
        if y_true.ndim == 1:
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        if not self._built:
            for name in ("squared_sum", "sum", "residual", "count"):
                shape = (y_true.shape[-1],)
                setattr(self, name, self.add_variable(shape=shape, initializer="zeros", name=name))
            self._built = True
        weights = jnp.ones((), self.dtype)
        if sample_weight is not None:
            _, weights = squeeze_or_expand(y_true, convert(sample_weight).astype(self.dtype))
        weights = jnp.broadcast_to(weights, y_true.shape)
        axes = tuple(range(y_true.ndim - 1))
        self.sum.assign_add(jnp.sum(y_true * weights, axis=axes))
        self.squared_sum.assign_add(jnp.sum(y_true * y_true * weights, axis=axes))
        self.residual.assign_add(jnp.sum(jnp.square(y_true - y_pred) * weights, axis=axes))
        self.count.assign_add(jnp.sum(weights, axis=axes))
        self.num_samples.assign_add(y_true.shape[0])

    def result(self) -> Any:
        if not self._built:
            return jnp.zeros((), self.dtype)
        mean = divide_no_nan(self.sum.value, self.count.value)
        total = self.squared_sum.value - self.sum.value * mean
        scores = jnp.where(total == 0, 0.0, 1.0 - self.residual.value / jnp.where(total == 0, 1.0, total))
        if self.class_aggregation == "uniform_average":
            scores = jnp.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = divide_no_nan(jnp.sum(scores * total), jnp.sum(total))
        if self.num_regressors:
            n, p = self.num_samples.value, self.num_regressors
            adjusted = 1.0 - (1.0 - scores) * divide_no_nan(n - 1.0, n - p - 1.0)
            scores = jnp.where(n > p + 1, adjusted, scores)
        return scores
