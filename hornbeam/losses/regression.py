"""Losses of numbers and vectors: functions of `(y_true, y_pred)`, one value a sample, and their objects."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import settings
from hornbeam.core.op import op
from hornbeam.losses.loss import FunctionLoss
from hornbeam.losses.targets import mean, pair
from hornbeam.typing import Tensor

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


def unit_length(x: Any, axis: Any = -1) -> Any:
    """Scale `x` to Euclidean norm 1 along `axis`; short vectors (below epsilon) stay short."""
    # Inside the root, so that the gradient at 0 is 0 and not NaN.
    square = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, settings.epsilon() ** 2))


@op("losses", "MeanSquaredErrorLoss")
def mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `(y_true - y_pred)²` over the last axis.

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
    """Mean of `|y_true - y_pred|` over the last axis.

    Example:
        >>> mean_absolute_error(jnp.array([[0.0, 1.0]]), jnp.array([[2.0, 1.0]]))
        Array([1.], dtype=float32)
    """
    y_true, y_pred = pair("mean_absolute_error", y_true, y_pred)
    return mean(jnp.abs(y_true - y_pred))


@op("losses", "MeanAbsolutePercentageErrorLoss")
def mean_absolute_percentage_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `100 |y_true - y_pred| / |y_true|` over the last axis (`|y_true|` at least epsilon).

    Example:
        >>> mean_absolute_percentage_error(jnp.array([[2.0, 1.0]]), jnp.array([[1.0, 1.0]]))
        Array([25.], dtype=float32)
    """
    y_true, y_pred = pair("mean_absolute_percentage_error", y_true, y_pred)
    return 100.0 * mean(jnp.abs((y_true - y_pred) / jnp.maximum(jnp.abs(y_true), settings.epsilon())))


@op("losses", "MeanSquaredLogarithmicErrorLoss")
def mean_squared_logarithmic_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `(log(1 + y_true) - log(1 + y_pred))²` over the last axis, negatives as epsilon.

    Example:
        >>> mean_squared_logarithmic_error(jnp.array([[1.0]]), jnp.array([[1.0]]))
        Array([0.], dtype=float32)
    """
    y_true, y_pred = pair("mean_squared_logarithmic_error", y_true, y_pred)
    logs = [jnp.log1p(jnp.maximum(y, settings.epsilon())) for y in (y_true, y_pred)]
    return mean(jnp.square(logs[0] - logs[1]))


@op("losses", "CosineSimilarityLoss")
def cosine_similarity(y_true: Tensor, y_pred: Tensor, axis: Any = -1) -> Tensor:
    """Minus the cosine of the angle between `y_true` and `y_pred`: -1 is equal direction.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.
        axis: Axis of the vectors.

    Example:
        >>> cosine_similarity(jnp.array([[0.0, 1.0]]), jnp.array([[0.0, 5.0]]))
        Array([-1.], dtype=float32)
    """
    y_true, y_pred = pair("cosine_similarity", y_true, y_pred)
    return -jnp.sum(unit_length(y_true, axis) * unit_length(y_pred, axis), axis=axis)


@op("losses", "HuberLoss")
def huber(y_true: Tensor, y_pred: Tensor, delta: float = 1.0) -> Tensor:
    """Mean over the last axis of `e²/2` for errors up to `delta`, of a straight line beyond.

    Args:
        y_true: Targets, shape `(B, ..., D)`.
        y_pred: Predictions of the same shape.
        delta: Where the parabola turns into the line.

    Example:
        >>> huber(jnp.array([[0.0, 0.0]]), jnp.array([[1.0, 3.0]]))
        Array([1.5], dtype=float32)
    """
    y_true, y_pred = pair("huber", y_true, y_pred)
    error = jnp.abs(y_true - y_pred)
    return mean(jnp.where(error <= delta, 0.5 * error**2, delta * error - 0.5 * delta**2))


@op("losses", "LogCoshLoss")
def log_cosh(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `log(cosh(y_pred - y_true))` over the last axis.

    Example:
        >>> log_cosh(jnp.array([[0.0]]), jnp.array([[0.0]]))
        Array([0.], dtype=float32)
    """
    y_true, y_pred = pair("log_cosh", y_true, y_pred)
    # log(cosh(e)) = e + log(1 + exp(-2e)) - log(2), which does not overflow.
    error = y_pred - y_true
    return mean(error + jax.nn.softplus(-2.0 * error) - jnp.log(2.0).astype(error.dtype))


@op("losses", "PoissonLoss")
def poisson(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `y_pred - y_true log(y_pred)` over the last axis.

    Example:
        >>> poisson(jnp.array([[1.0]]), jnp.array([[1.0]]))
        Array([0.9999999], dtype=float32)
    """
    y_true, y_pred = pair("poisson", y_true, y_pred)
    return mean(y_pred - y_true * jnp.log(y_pred + settings.epsilon()))


# --- objects -------------------------------------------------------------------------------


class MeanSquaredError(FunctionLoss):
    """Mean of the squared errors.

    Example:
        >>> float(MeanSquaredError()([[0.0, 1.0]], [[2.0, 1.0]]))
        2.0
    """

    _function = staticmethod(mean_squared_error)


class MeanAbsoluteError(FunctionLoss):
    """Mean of the absolute errors.

    Example:
        >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[2.0, 1.0]]))
        1.0
    """

    _function = staticmethod(mean_absolute_error)


class MeanAbsolutePercentageError(FunctionLoss):
    """Mean of the absolute errors in percent of the targets.

    Example:
        >>> float(MeanAbsolutePercentageError()([[2.0, 1.0]], [[1.0, 1.0]]))
        25.0
    """

    _function = staticmethod(mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(FunctionLoss):
    """Mean of the squared differences of logarithms.

    Example:
        >>> float(MeanSquaredLogarithmicError()([[1.0]], [[1.0]]))
        0.0
    """

    _function = staticmethod(mean_squared_logarithmic_error)


class LogCosh(FunctionLoss):
    """Mean of the logarithm of the errors' hyperbolic cosine.

    Example:
        >>> float(LogCosh()([[1.0]], [[1.0]]))
        0.0
    """

    _function = staticmethod(log_cosh)


class Poisson(FunctionLoss):
    """Negative log-likelihood of counts, up to a constant.

    Example:
        >>> float(Poisson()([[0.0]], [[1.0]]))
        1.0
    """

    _function = staticmethod(poisson)


class Huber(FunctionLoss):
    """Squared error for small errors, absolute error for large ones.

    Args:
        delta: Where the parabola turns into the line.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(Huber()([[0.0, 0.0]], [[1.0, 3.0]])), 4)
        1.5
    """

    _function = staticmethod(huber)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        self._keep(locals())


class CosineSimilarity(FunctionLoss):
    """Minus the cosine between targets and predictions.

    Args:
        axis: Axis of the vectors.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]])), 4)
        -1.0
    """

    _function = staticmethod(cosine_similarity)

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ):
        self._keep(locals())
