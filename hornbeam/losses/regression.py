"""Regression losses with one value per sample: functions of `(y_true, y_pred)` and objects."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from hornbeam import settings
from hornbeam.checked import Positive, checked
from hornbeam.core.op import op
from hornbeam.losses.loss import FunctionLoss, loss_class
from hornbeam.losses.targets import mean, pair
from hornbeam.typing import Axis, Policy, Tensor

__all__ = [
    "CosineSimilarity",
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "cosine_similarity",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
]


def unit_length(x: Tensor, axis: Axis = -1) -> Tensor:
    """Scale `x` to Euclidean norm 1 along `axis`.

    Vectors shorter than epsilon are divided by epsilon.

    Example:
        >>> unit_length(jnp.array([0.0, 5.0])).tolist()
        [0.0, 1.0]
    """
    # The maximum is inside the root, so that the gradient at 0 is 0 and not NaN.
    square = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, settings.epsilon() ** 2))


@op("losses", "MeanSquaredErrorLoss")
def mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of `(y_true - y_pred)²` over the last axis.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> mean_squared_error(jnp.array([[0.0, 1.0]]), jnp.array([[2.0, 1.0]]))
        Array([2.], dtype=float32)
    """
    y_true, y_pred = pair("mean_squared_error", y_true, y_pred)
    return mean(jnp.square(y_true - y_pred))


@op("losses", "MeanAbsoluteErrorLoss")
def mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of `|y_true - y_pred|` over the last axis.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> mean_absolute_error(jnp.array([[0.0, 1.0]]), jnp.array([[2.0, 1.0]]))
        Array([1.], dtype=float32)
    """
    y_true, y_pred = pair("mean_absolute_error", y_true, y_pred)
    return mean(jnp.abs(y_true - y_pred))


@op("losses", "MeanAbsolutePercentageErrorLoss")
def mean_absolute_percentage_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of `100 |y_true - y_pred| / max(|y_true|, epsilon)` over the last axis.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> mean_absolute_percentage_error(jnp.array([[2.0, 1.0]]), jnp.array([[1.0, 1.0]]))
        Array([25.], dtype=float32)
    """
    y_true, y_pred = pair("mean_absolute_percentage_error", y_true, y_pred)
    return 100.0 * mean(
        jnp.abs((y_true - y_pred) / jnp.maximum(jnp.abs(y_true), settings.epsilon()))
    )


@op("losses", "MeanSquaredLogarithmicErrorLoss")
def mean_squared_logarithmic_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of `(log(1 + y_true) - log(1 + y_pred))²` over the last axis.

    Numbers below epsilon are replaced by epsilon.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> mean_squared_logarithmic_error(jnp.array([[1.0]]), jnp.array([[1.0]]))
        Array([0.], dtype=float32)
    """
    y_true, y_pred = pair("mean_squared_logarithmic_error", y_true, y_pred)
    logs = [jnp.log1p(jnp.maximum(y, settings.epsilon())) for y in (y_true, y_pred)]
    return mean(jnp.square(logs[0] - logs[1]))


@op("losses", "CosineSimilarityLoss")
def cosine_similarity(y_true: Tensor, y_pred: Tensor, axis: Axis = -1) -> Tensor:
    """Return minus the cosine of the angle between vectors; -1 means the same direction.

    The formula is `-sum(y_true y_pred) / (|y_true| |y_pred|)`.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.
        axis: Axis of the vectors.

    Returns:
        Values without `axis`, such as of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> cosine_similarity(jnp.array([[0.0, 1.0]]), jnp.array([[0.0, 5.0]]))
        Array([-1.], dtype=float32)
    """
    y_true, y_pred = pair("cosine_similarity", y_true, y_pred)
    return -jnp.sum(unit_length(y_true, axis) * unit_length(y_pred, axis), axis=axis)


@op("losses", "HuberLoss")
def huber(y_true: Tensor, y_pred: Tensor, delta: float = 1.0) -> Tensor:
    """Return the mean Huber loss over the last axis.

    The loss of an error `e` is `e²/2` if `|e| <= delta`, else `delta |e| - delta²/2`.

    Huber 1964, "Robust estimation of a location parameter".

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.
        delta: Error at which the parabola becomes a line.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> huber(jnp.array([[0.0, 0.0]]), jnp.array([[1.0, 3.0]]))
        Array([1.5], dtype=float32)
    """
    y_true, y_pred = pair("huber", y_true, y_pred)
    error = jnp.abs(y_true - y_pred)
    return mean(jnp.where(error <= delta, 0.5 * error**2, delta * error - 0.5 * delta**2))


@op("losses", "LogCoshLoss")
def log_cosh(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of `log(cosh(y_pred - y_true))` over the last axis.

    It is about `e²/2` for small errors `e` and `|e| - log(2)` for large ones.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> log_cosh(jnp.array([[0.0]]), jnp.array([[0.0]]))
        Array([0.], dtype=float32)
    """
    y_true, y_pred = pair("log_cosh", y_true, y_pred)
    # log(cosh(e)) = e + log(1 + exp(-2e)) - log(2), and this form does not overflow.
    error = y_pred - y_true
    return mean(error + jax.nn.softplus(-2.0 * error) - jnp.log(2.0).astype(error.dtype))


@op("losses", "PoissonLoss")
def poisson(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean of `y_pred - y_true log(y_pred + epsilon)` over the last axis.

    Up to a constant it is the negative log-likelihood of counts with means `y_pred`.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> poisson(jnp.array([[1.0]]), jnp.array([[1.0]]))
        Array([0.9999999], dtype=float32)
    """
    y_true, y_pred = pair("poisson", y_true, y_pred)
    return mean(y_pred - y_true * jnp.log(y_pred + settings.epsilon()))


# --- objects -------------------------------------------------------------------------------

MeanSquaredError = loss_class(
    "MeanSquaredError", mean_squared_error, "Mean of the squared errors: `(y_true - y_pred)²`.",
    [[0.0, 1.0]], [[2.0, 1.0]], 2.0,
)  # fmt: skip
MeanAbsoluteError = loss_class(
    "MeanAbsoluteError", mean_absolute_error, "Mean of the absolute errors: `|y_true - y_pred|`.",
    [[0.0, 1.0]], [[2.0, 1.0]], 1.0,
)  # fmt: skip
MeanAbsolutePercentageError = loss_class(
    "MeanAbsolutePercentageError", mean_absolute_percentage_error,
    "Mean of the absolute errors in percent of the targets: `100 |y_true - y_pred| / |y_true|`.",
    [[2.0, 1.0]], [[1.0, 1.0]], 25.0,
)  # fmt: skip
MeanSquaredLogarithmicError = loss_class(
    "MeanSquaredLogarithmicError", mean_squared_logarithmic_error,
    "Mean of the squared differences of logarithms: `(log(1 + y_true) - log(1 + y_pred))²`.",
    [[1.0]], [[3.0]], 0.4805,
)  # fmt: skip
LogCosh = loss_class(
    "LogCosh", log_cosh,
    "Mean of the logarithm of the error's hyperbolic cosine: `log(cosh(y_pred - y_true))`.",
    [[1.0]], [[3.0]], 1.325,
)  # fmt: skip
Poisson = loss_class(
    "Poisson", poisson,
    "Negative log-likelihood of counts, up to a constant: `y_pred - y_true log(y_pred)`.",
    [[0.0]], [[1.0]], 1.0,
)  # fmt: skip


class Huber(FunctionLoss):
    """Squared error for small errors, absolute error for large ones.

    With the error `e` the value is `e²/2` for `|e| <= delta` and `delta |e| - delta²/2` beyond; see
    `huber`.

    Args:
        delta: Error at which the parabola becomes a line, above 0.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(Huber(delta=1.0)([[0.0, 0.0]], [[1.0, 3.0]]))
        1.5
    """

    fn = staticmethod(huber)

    @checked
    def __init__(
        self,
        delta: Positive = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Policy = None,
    ):
        self.keep(locals())


class CosineSimilarity(FunctionLoss):
    """Minus the cosine of the angle between targets and predictions: -1 for the same direction.

    The value is `-sum(y_true y_pred) / (|y_true| |y_pred|)`; see `cosine_similarity`.

    Args:
        axis: Axis of the vectors.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is of another type.

    Example:
        >>> float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]]))
        -1.0
    """

    fn = staticmethod(cosine_similarity)

    @checked
    def __init__(
        self,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Policy = None,
    ):
        self.keep(locals())
