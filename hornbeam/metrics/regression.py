"""Metrics that are means of loss functions, and scores of regression.

Targets and predictions have shape `(B, ..., D)` and `(B, ..., C)` as for the loss functions.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

import jax.numpy as jnp

from hornbeam import losses
from hornbeam.checked import Fraction, Range, checked
from hornbeam.core.convert import convert
from hornbeam.core.masks import set_mask
from hornbeam.losses.loss import expand_weights
from hornbeam.losses.targets import as_float, match_ranks
from hornbeam.metrics.metric import Metric, divide_no_nan, masked_weights
from hornbeam.metrics.reduction import FunctionMean, Mean, mean_class, wide
from hornbeam.typing import Policy, Structure, Tensor

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


def cosine_of_angle(y_true: Tensor, y_pred: Tensor, axis: int = -1) -> Tensor:
    """Return `sum(y_true y_pred) / (|y_true| |y_pred|)`: 1 for the same direction, unlike the loss.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.
        axis: Axis of the vectors.

    Returns:
        Values without `axis`.

    Example:
        >>> cosine_of_angle([[0.0, 1.0]], [[0.0, 5.0]])
        Array([1.], dtype=float32)
    """
    return -losses.cosine_similarity(y_true, y_pred, axis)


def pearson_correlation(y_true: Tensor, y_pred: Tensor, axis: int = -1) -> Tensor:
    """Return `cov(y_true, y_pred) / (std(y_true) std(y_pred))`, from -1 to 1.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.
        axis: Axis over which to take covariance and standard deviations.

    Returns:
        Values without `axis`; NaN where a standard deviation is 0.

    Example:
        >>> pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]]).round(4)
        Array([1.], dtype=float32)
    """
    y_true, y_pred = _matched(y_true, y_pred)
    parts = [y - jnp.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    parts = [y / jnp.std(y, axis=axis, keepdims=True) for y in parts]
    return jnp.mean(parts[0] * parts[1], axis=axis)


def concordance_correlation(y_true: Tensor, y_pred: Tensor, axis: int = -1) -> Tensor:
    """Return Lin's concordance correlation, from -1 to 1.

    The formula is
    `2 cov(y_true, y_pred) / (var(y_true) + var(y_pred) + (mean(y_true) - mean(y_pred))²)`.

    It is 1 only if predictions equal targets. Lin 1989, "A concordance correlation coefficient to
    evaluate reproducibility".

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.
        axis: Axis over which to take covariance, variances and means.

    Returns:
        Values without `axis`.

    Example:
        >>> concordance_correlation([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]]).round(4)
        Array([1.], dtype=float32)
    """
    y_true, y_pred = _matched(y_true, y_pred)
    means = [jnp.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred)]
    covariance = jnp.mean((y_true - means[0]) * (y_pred - means[1]), axis=axis)
    gap = jnp.squeeze(jnp.square(means[0] - means[1]), axis)
    return 2.0 * covariance / (jnp.var(y_true, axis=axis) + jnp.var(y_pred, axis=axis) + gap)


_mean = partial(mean_class, module=__name__)

MeanSquaredError = _mean(
    "MeanSquaredError", losses.mean_squared_error,
    "Mean of the squared errors: `(y_true - y_pred)²`.",
    [[0.0, 1.0]], [[2.0, 1.0]], 2.0,
)  # fmt: skip
MeanAbsoluteError = _mean(
    "MeanAbsoluteError", losses.mean_absolute_error,
    "Mean of the absolute errors: `|y_true - y_pred|`.", [[0.0, 1.0]], [[2.0, 1.0]], 1.0,
)  # fmt: skip
MeanAbsolutePercentageError = _mean(
    "MeanAbsolutePercentageError", losses.mean_absolute_percentage_error,
    "Mean of the absolute errors in percent of the targets: `100 |y_true - y_pred| / |y_true|`.",
    [[2.0, 1.0]], [[1.0, 1.0]], 25.0,
)  # fmt: skip
MeanSquaredLogarithmicError = _mean(
    "MeanSquaredLogarithmicError", losses.mean_squared_logarithmic_error,
    "Mean of the squared differences of logarithms: `(log(1 + y_true) - log(1 + y_pred))²`.",
    [[1.0]], [[3.0]], 0.4805,
)  # fmt: skip
LogCoshError = _mean(
    "LogCoshError", losses.log_cosh,
    "Mean of the logarithm of the error's hyperbolic cosine: `log(cosh(y_pred - y_true))`.",
    [[1.0]], [[3.0]], 1.325, default_name="logcosh",
)  # fmt: skip
Hinge = _mean(
    "Hinge", losses.hinge,
    "Mean of the margin loss `max(1 - y_true y_pred, 0)` for targets -1 and 1, or 0 and 1.",
    [[-1.0, 1.0]], [[-1.0, 0.0]], 0.5,
)  # fmt: skip
SquaredHinge = _mean(
    "SquaredHinge", losses.squared_hinge,
    "Mean squared margin loss `max(1 - y_true y_pred, 0)²` for targets -1 and 1, or 0 and 1.",
    [[-1.0, 1.0]], [[-1.0, -1.0]], 2.0,
)  # fmt: skip
CategoricalHinge = _mean(
    "CategoricalHinge", losses.categorical_hinge,
    "Mean of the margin `max(1 + wrong - right, 0)` between the true and the best other class.",
    [[0.0, 1.0]], [[0.5, 1.0]], 0.5, compares_rows=True,
)  # fmt: skip
KLDivergence = _mean(
    "KLDivergence", losses.kl_divergence,
    "Mean Kullback-Leibler divergence of distributions: `sum(y_true log(y_true / y_pred))`.",
    [[0.5, 0.5]], [[0.9, 0.1]], 0.5108, compares_rows=True,
)  # fmt: skip
Poisson = _mean(
    "Poisson", losses.poisson,
    "Mean negative log-likelihood of counts, up to a constant: `y_pred - y_true log(y_pred)`.",
    [[0.0]], [[1.0]], 1.0,
)  # fmt: skip


class CosineSimilarity(FunctionMean):
    """Mean of the cosine of the angle between targets and predictions.

    The formula is `sum(y_true y_pred) / (|y_true| |y_pred|)`.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        axis: Axis of the vectors.

    Raises:
        ValueError: If an argument is of another type.

    Example:
        >>> float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]]))
        1.0
    """

    fn = staticmethod(cosine_of_angle)
    compares_rows = True

    @checked
    def __init__(
        self, name: str | None = "cosine_similarity", dtype: Policy = None, axis: int = -1
    ):
        self.keep(locals())


class PearsonCorrelation(FunctionMean):
    """Mean of Pearson's correlation along an axis.

    The formula is `cov(y_true, y_pred) / (std(y_true) std(y_pred))`.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        axis: Axis over which to take covariance and standard deviations.

    Raises:
        ValueError: If an argument is of another type.

    Example:
        >>> round(float(PearsonCorrelation()([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]])), 4)
        1.0
    """

    fn = staticmethod(pearson_correlation)
    compares_rows = True

    @checked
    def __init__(
        self, name: str | None = "pearson_correlation", dtype: Policy = None, axis: int = -1
    ):
        self.keep(locals())


class ConcordanceCorrelation(FunctionMean):
    """Mean of Lin's concordance correlation along an axis; see `concordance_correlation`.

    See Lin 1989.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        axis: Axis over which to take covariance, variances and means.

    Raises:
        ValueError: If an argument is of another type.

    Example:
        >>> round(float(ConcordanceCorrelation()([[0.0, 1.0, 2.0]], [[0.0, 1.0, 3.0]])), 4)
        0.8571
    """

    fn = staticmethod(concordance_correlation)
    compares_rows = True

    @checked
    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Policy = None, axis: int = -1
    ):
        self.keep(locals())


class BinaryCrossentropy(FunctionMean):
    """Mean crossentropy of targets 0 and 1: `-y_true log(y_pred) - (1 - y_true) log(1 - y_pred)`.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        from_logits: Whether predictions are scores, to which to apply a sigmoid.
        label_smoothing: Share of 0.5 in the targets, from 0 to 1.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(float(BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = staticmethod(losses.binary_crossentropy)

    @checked
    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Policy = None,
        from_logits: bool = False,
        label_smoothing: Fraction = 0,
    ):
        self.keep(locals())


class CategoricalCrossentropy(FunctionMean):
    """Mean crossentropy of one-hot targets: `-sum(y_true log(y_pred))` over the classes.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        from_logits: Whether predictions are scores, to which to apply a softmax.
        label_smoothing: Share of the even distribution in the targets, from 0 to 1.
        axis: Axis of the classes.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = staticmethod(losses.categorical_crossentropy)
    compares_rows = True

    @checked
    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Policy = None,
        from_logits: bool = False,
        label_smoothing: Fraction = 0,
        axis: int = -1,
    ):
        self.keep(locals())


def _crossentropy_of_labelled(
    y_true: Tensor, y_pred: Tensor, from_logits: bool, ignore_class: int | None, axis: int
) -> Tensor:
    """Return the crossentropy, with a mask of the samples that have a label."""
    values = losses.sparse_categorical_crossentropy(
        y_true, y_pred, from_logits=from_logits, ignore_class=ignore_class, axis=axis
    )
    if ignore_class is not None:
        set_mask(values, jnp.reshape(convert(y_true), values.shape) != ignore_class)
    return values


class SparseCategoricalCrossentropy(FunctionMean):
    """Mean crossentropy of class numbers: `-log(p)`, with `p` the probability of the true class.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        from_logits: Whether predictions are scores, to which to apply a softmax.
        ignore_class: Class number of samples that do not count.
        axis: Axis of the classes.

    Raises:
        ValueError: If an argument is of another type.

    Example:
        >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = staticmethod(_crossentropy_of_labelled)

    @checked
    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Policy = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        self.keep(locals())


class RootMeanSquaredError(Mean):
    """Root of the mean of the squared errors: `sqrt(mean((y_true - y_pred)²))`.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.

    Example:
        >>> float(RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [3.0]]))
        3.0
    """

    @checked
    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Policy = None):
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]  # targets and predictions, not values
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> None:
        sample_weight = masked_weights(y_pred, sample_weight, self.dtype)
        y_true, y_pred = _matched(wide(y_true, self.dtype), wide(y_pred, self.dtype))
        super().update_state(jnp.square(y_true - y_pred), sample_weight=sample_weight)

    def result(self) -> Structure:
        return jnp.sqrt(super().result())


class R2Score(Metric):
    """Share of the targets' variance that predictions explain, at best 1.

    With weighted sums over samples it is `1 - sum((y_true - y_pred)²) / sum((y_true -
    mean(y_true))²)` per output, and 0 where the targets do not vary. Adjusted for `p` regressors
    and `n` samples it is `1 - (1 - r2) (n - 1) / (n - p - 1)`.

    Args:
        class_aggregation: `"uniform_average"` (mean over outputs), `"variance_weighted_average"`
            (mean weighted by the outputs' variances), or None (one score per output).
        num_regressors: Number of independent variables for the adjusted score. 0 gives the plain
            score.
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(R2Score()([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]]))
        0.5
    """

    squared_sum: Any
    sum: Any
    residual: Any
    count: Any

    @checked
    def __init__(
        self,
        class_aggregation: (
            Literal["uniform_average", "variance_weighted_average"] | None
        ) = "uniform_average",
        num_regressors: Annotated[int, Range(at_least=0)] = 0,
        name: str | None = "r2_score",
        dtype: Policy = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self._mixes_rows = num_regressors > 0  # it counts the rows
        self.num_samples = self.add_variable(shape=(), initializer="zeros", name="num_samples")
        self._built = False

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        sample_weight = masked_weights(y_pred, sample_weight, self.dtype)
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
            weights = expand_weights(y_true, convert(sample_weight).astype(self.dtype))
        weights = jnp.broadcast_to(weights, y_true.shape)
        axes = tuple(range(y_true.ndim - 1))
        # Squares of distances from the means so far, because squares of large targets lose the
        # digits in which they differ. Chan et al. 1979, "Updating formulae ... variances".
        before, count = self.count.value, jnp.sum(weights, axis=axes)
        total = jnp.sum(y_true * weights, axis=axes)
        mean = divide_no_nan(total, count)
        gap = mean - divide_no_nan(self.sum.value, before)
        spread = jnp.sum(jnp.square(y_true - mean) * weights, axis=axes)
        spread += gap * gap * divide_no_nan(before * count, before + count)
        self.squared_sum.assign_add(spread)
        self.sum.assign_add(total)
        self.residual.assign_add(jnp.sum(jnp.square(y_true - y_pred) * weights, axis=axes))
        self.count.assign_add(count)
        self.num_samples.assign_add(y_true.shape[0])

    def result(self) -> Structure:
        if not self._built:
            return jnp.zeros((), self.dtype)
        total = self.squared_sum.value
        scores = jnp.where(
            total == 0, 0.0, 1.0 - self.residual.value / jnp.where(total == 0, 1.0, total)
        )
        if self.class_aggregation == "uniform_average":
            scores = jnp.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = divide_no_nan(jnp.sum(scores * total), jnp.sum(total))
        if self.num_regressors:
            n, p = self.num_samples.value, self.num_regressors
            adjusted = 1.0 - (1.0 - scores) * divide_no_nan(n - 1.0, n - p - 1.0)
            scores = jnp.where(n > p + 1, adjusted, scores)
        return scores
