"""Losses as functions of `(y_true, y_pred)`: one value a sample, the last axis reduced.

Targets are cast to the dtype of the predictions; where one of the two lacks a last axis
of size 1 the ranks are matched. Symbolic tensors are accepted as well.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import config
from hornbeam.core.symbolic import Tensor, convert, op

__all__ = [
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "dice",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]


# --- shapes and dtypes ---------------------------------------------------------------------


def match_ranks(a: Any, b: Any) -> tuple[Any, Any]:
    """Return `a` and `b` with equal ranks where a last axis of size 1 is the difference."""
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, b[:, None]) if b.ndim == 1 else (a[..., 0], b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (a[:, None], b) if a.ndim == 1 else (a, b[..., 0])
    return a, b


def as_float(x: Any) -> Any:
    """Return `x` as an array, whole numbers as `floatx()`."""
    x = convert(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(config.floatx())


def _pair(name: str, y_true: Any, y_pred: Any, equal: bool = False, remedy: str = "") -> tuple[Any, Any]:
    """Return both as arrays of one dtype and rank; `equal` asks for the same shape."""
    y_pred = as_float(y_pred)
    y_true, y_pred = match_ranks(convert(y_true).astype(y_pred.dtype), y_pred)
    if y_true.shape == y_pred.shape:
        return y_true, y_pred
    try:
        fits = not equal and jnp.broadcast_shapes(y_true.shape, y_pred.shape) is not None
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name}: `y_true` of shape {y_true.shape} and `y_pred` of shape {y_pred.shape} do not "
            f"fit; expected the same shape.{remedy}"
        )
    return y_true, y_pred


def _one_hot_pair(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    y_true, y_pred = convert(y_true), as_float(y_pred)
    remedy = ""
    t, o = jnp.shape(y_true), jnp.shape(y_pred)
    if t == o[:-1] or (len(t) == len(o) and t[:-1] == o[:-1] and t[-1] == 1):
        remedy = (
            " For integer labels use sparse_categorical_crossentropy, or turn them into one-hot "
            "rows with `hornbeam.utils.to_categorical`."
        )
    if t != o and remedy:
        raise ValueError(
            f"{name}: `y_true` of shape {t} and `y_pred` of shape {o} do not fit; expected the same shape.{remedy}"
        )
    return _pair(name, y_true, y_pred, equal=True)


def _mean(x: Any, axis: Any = -1) -> Any:
    return jnp.mean(x, axis=axis) if x.ndim else x


def _clip(p: Any) -> Any:
    return jnp.clip(p, config.epsilon(), 1.0 - config.epsilon())


def _normalised(p: Any, axis: int) -> Any:
    """Scale probabilities to sum 1 over the classes, and keep them off 0 and 1."""
    return _clip(p / jnp.sum(p, axis=axis, keepdims=True))


def _smooth_one_hot(y_true: Any, label_smoothing: float, axis: int) -> Any:
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[axis]


def _smooth_binary(y_true: Any, label_smoothing: float) -> Any:
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true


def unit_length(x: Any, axis: Any = -1) -> Any:
    """Scale `x` to Euclidean norm 1 along `axis`; short vectors (below epsilon) stay short."""
    # Inside the root, so that the gradient at 0 is 0 and not NaN.
    square = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    return x * jax.lax.rsqrt(jnp.maximum(square, config.epsilon() ** 2))


# --- regression ----------------------------------------------------------------------------


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
    y_true, y_pred = _pair("mean_squared_error", y_true, y_pred)
    return _mean(jnp.square(y_true - y_pred))


@op("losses", "MeanAbsoluteErrorLoss")
def mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `|y_true - y_pred|` over the last axis.

    Example:
        >>> mean_absolute_error(jnp.array([[0.0, 1.0]]), jnp.array([[2.0, 1.0]]))
        Array([1.], dtype=float32)
    """
    y_true, y_pred = _pair("mean_absolute_error", y_true, y_pred)
    return _mean(jnp.abs(y_true - y_pred))


@op("losses", "MeanAbsolutePercentageErrorLoss")
def mean_absolute_percentage_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `100 |y_true - y_pred| / |y_true|` over the last axis (`|y_true|` at least epsilon).

    Example:
        >>> mean_absolute_percentage_error(jnp.array([[2.0, 1.0]]), jnp.array([[1.0, 1.0]]))
        Array([25.], dtype=float32)
    """
    y_true, y_pred = _pair("mean_absolute_percentage_error", y_true, y_pred)
    return 100.0 * _mean(jnp.abs((y_true - y_pred) / jnp.maximum(jnp.abs(y_true), config.epsilon())))


@op("losses", "MeanSquaredLogarithmicErrorLoss")
def mean_squared_logarithmic_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `(log(1 + y_true) - log(1 + y_pred))²` over the last axis, negatives as epsilon.

    Example:
        >>> mean_squared_logarithmic_error(jnp.array([[1.0]]), jnp.array([[1.0]]))
        Array([0.], dtype=float32)
    """
    y_true, y_pred = _pair("mean_squared_logarithmic_error", y_true, y_pred)
    logs = [jnp.log1p(jnp.maximum(y, config.epsilon())) for y in (y_true, y_pred)]
    return _mean(jnp.square(logs[0] - logs[1]))


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
    y_true, y_pred = _pair("cosine_similarity", y_true, y_pred)
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
    y_true, y_pred = _pair("huber", y_true, y_pred)
    error = jnp.abs(y_true - y_pred)
    return _mean(jnp.where(error <= delta, 0.5 * error**2, delta * error - 0.5 * delta**2))


@op("losses", "LogCoshLoss")
def log_cosh(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `log(cosh(y_pred - y_true))` over the last axis.

    Example:
        >>> log_cosh(jnp.array([[0.0]]), jnp.array([[0.0]]))
        Array([0.], dtype=float32)
    """
    y_true, y_pred = _pair("log_cosh", y_true, y_pred)
    # log(cosh(e)) = e + log(1 + exp(-2e)) - log(2), which does not overflow.
    error = y_pred - y_true
    return _mean(error + jax.nn.softplus(-2.0 * error) - jnp.log(2.0).astype(error.dtype))


@op("losses", "PoissonLoss")
def poisson(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `y_pred - y_true log(y_pred)` over the last axis.

    Example:
        >>> poisson(jnp.array([[1.0]]), jnp.array([[1.0]]))
        Array([0.9999999], dtype=float32)
    """
    y_true, y_pred = _pair("poisson", y_true, y_pred)
    return _mean(y_pred - y_true * jnp.log(y_pred + config.epsilon()))


# --- margins -------------------------------------------------------------------------------


def _as_signs(y_true: Any) -> Any:
    """Turn targets that are all 0 or 1 into -1 and 1; leave others."""
    binary = jnp.all((y_true == 0) | (y_true == 1))
    return jnp.where(binary, 2.0 * y_true - 1.0, y_true)


@op("losses", "HingeLoss")
def hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `max(1 - y_true y_pred, 0)` over the last axis; targets -1 and 1, or 0 and 1.

    Example:
        >>> hinge(jnp.array([[-1.0, 1.0]]), jnp.array([[-1.0, 0.0]]))
        Array([0.5], dtype=float32)
    """
    y_true, y_pred = _pair("hinge", y_true, y_pred)
    return _mean(jnp.maximum(1.0 - _as_signs(y_true) * y_pred, 0.0))


@op("losses", "SquaredHingeLoss")
def squared_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Mean of `max(1 - y_true y_pred, 0)²` over the last axis; targets -1 and 1, or 0 and 1.

    Example:
        >>> squared_hinge(jnp.array([[-1.0, 1.0]]), jnp.array([[-1.0, -1.0]]))
        Array([2.], dtype=float32)
    """
    y_true, y_pred = _pair("squared_hinge", y_true, y_pred)
    return _mean(jnp.square(jnp.maximum(1.0 - _as_signs(y_true) * y_pred, 0.0)))


@op("losses", "CategoricalHingeLoss")
def categorical_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """`max(1 + best wrong score - right score, 0)`; targets are one-hot rows.

    Example:
        >>> categorical_hinge(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 1.0]]))
        Array([0.5], dtype=float32)
    """
    y_true, y_pred = _pair("categorical_hinge", y_true, y_pred)
    right = jnp.sum(y_true * y_pred, axis=-1)
    wrong = jnp.max((1.0 - y_true) * y_pred, axis=-1)
    return jnp.maximum(wrong - right + 1.0, 0.0)


# --- probabilities -------------------------------------------------------------------------


@op("losses", "KlDivergenceLoss")
def kl_divergence(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Sum of `y_true log(y_true / y_pred)` over the last axis.

    Example:
        >>> kl_divergence(jnp.array([[0.5, 0.5]]), jnp.array([[0.5, 0.5]]))
        Array([0.], dtype=float32)
    """
    y_true, y_pred = _pair("kl_divergence", y_true, y_pred)
    y_true, y_pred = (jnp.clip(y, config.epsilon(), 1.0) for y in (y_true, y_pred))
    return jnp.sum(y_true * jnp.log(y_true / y_pred), axis=-1)


@op("losses", "BinaryCrossentropyLoss")
def binary_crossentropy(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Mean of `-y_true log(y_pred) - (1 - y_true) log(1 - y_pred)` over `axis`.

    Args:
        y_true: Targets from 0 to 1.
        y_pred: Probabilities (kept epsilon off 0 and 1), or scores with `from_logits`.
        from_logits: Whether `y_pred` still lacks its sigmoid.
        label_smoothing: How far targets are drawn towards 0.5, from 0 to 1.
        axis: Axis over which the mean is taken.

    Example:
        >>> binary_crossentropy(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 0.5]]))
        Array([0.6931472], dtype=float32)
    """
    y_true, y_pred = _pair("binary_crossentropy", y_true, y_pred)
    return _mean(_binary_entropy(_smooth_binary(y_true, label_smoothing), y_pred, from_logits), axis)


def _binary_entropy(y_true: Any, y_pred: Any, from_logits: bool) -> Any:
    if from_logits:
        return -y_true * jax.nn.log_sigmoid(y_pred) - (1.0 - y_true) * jax.nn.log_sigmoid(-y_pred)
    p = _clip(y_pred)
    return -y_true * jnp.log(p) - (1.0 - y_true) * jnp.log(1.0 - p)


@op("losses", "BinaryFocalCrossentropyLoss")
def binary_focal_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary crossentropy times `(1 - p)^gamma`, `p` the probability given to the truth.

    Lin et al. 2017, "Focal loss for dense object detection".

    Args:
        y_true: Targets from 0 to 1.
        y_pred: Probabilities, or scores with `from_logits`.
        apply_class_balancing: Whether the classes 1 and 0 weigh `alpha` and `1 - alpha`.
        alpha: Weight of class 1.
        gamma: How much easy examples are played down.
        from_logits: Whether `y_pred` still lacks its sigmoid.
        label_smoothing: How far targets are drawn towards 0.5, from 0 to 1.
        axis: Axis over which the mean is taken.

    Example:
        >>> binary_focal_crossentropy(jnp.array([[1.0]]), jnp.array([[0.5]])).round(4)
        Array([0.1733], dtype=float32)
    """
    y_true, y_pred = _pair("binary_focal_crossentropy", y_true, y_pred)
    y_true = _smooth_binary(y_true, label_smoothing)
    p = jax.nn.sigmoid(y_pred) if from_logits else y_pred
    given = y_true * p + (1.0 - y_true) * (1.0 - p)
    loss = jnp.power(1.0 - given, gamma) * _binary_entropy(y_true, p, False)
    if apply_class_balancing:
        loss = loss * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return _mean(loss, axis)


@op("losses", "CategoricalCrossentropyLoss")
def categorical_crossentropy(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """Sum of `-y_true log(y_pred)` over the classes.

    Args:
        y_true: One-hot rows, or probabilities, of the shape of `y_pred`.
        y_pred: Probabilities (scaled to sum 1), or scores with `from_logits`.
        from_logits: Whether `y_pred` still lacks its softmax.
        label_smoothing: How much of the target is spread over all classes, from 0 to 1.
        axis: Axis of the classes.

    Raises:
        ValueError: If the shapes differ; integer labels are for the sparse form.

    Example:
        >>> categorical_crossentropy(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 0.5]]))
        Array([0.6931472], dtype=float32)
    """
    y_true, y_pred = _one_hot_pair("categorical_crossentropy", y_true, y_pred)
    y_true = _smooth_one_hot(y_true, label_smoothing, axis)
    logs = jax.nn.log_softmax(y_pred, axis) if from_logits else jnp.log(_normalised(y_pred, axis))
    return -jnp.sum(y_true * logs, axis=axis)


@op("losses", "CategoricalFocalCrossentropyLoss")
def categorical_focal_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Sum of `-alpha (1 - p)^gamma y_true log(p)` over the classes (Lin et al. 2017).

    Args:
        y_true: One-hot rows of the shape of `y_pred`.
        y_pred: Probabilities (scaled to sum 1), or scores with `from_logits`.
        alpha: Weight, one for all classes or one a class.
        gamma: How much easy examples are played down.
        from_logits: Whether `y_pred` still lacks its softmax.
        label_smoothing: How much of the target is spread over all classes, from 0 to 1.
        axis: Axis of the classes.

    Example:
        >>> loss = categorical_focal_crossentropy(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 0.5]]))
        >>> loss.round(4)
        Array([0.0433], dtype=float32)
    """
    y_true, y_pred = _one_hot_pair("categorical_focal_crossentropy", y_true, y_pred)
    y_true = _smooth_one_hot(y_true, label_smoothing, axis)
    p = _normalised(jax.nn.softmax(y_pred, axis) if from_logits else y_pred, axis)
    weight = jnp.asarray(alpha, p.dtype) * jnp.power(1.0 - p, gamma)
    return jnp.sum(-weight * y_true * jnp.log(p), axis=axis)


@op("losses", "SparseCategoricalCrossentropyLoss")
def sparse_categorical_crossentropy(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, ignore_class: Any = None, axis: int = -1
) -> Tensor:
    """`-log` of the probability given to the class number in `y_true`.

    Args:
        y_true: Class numbers, of the shape of `y_pred` without `axis` (or 1 there).
        y_pred: Probabilities (scaled to sum 1), or scores with `from_logits`.
        from_logits: Whether `y_pred` still lacks its softmax.
        ignore_class: Class number whose samples give 0, such as -1 or 255 for "not labelled".
        axis: Axis of the classes.

    Returns:
        Values of the shape of `y_true`. Class numbers out of range give 0.

    Raises:
        ValueError: If the shapes do not fit; one-hot rows are for the categorical form.

    Example:
        >>> sparse_categorical_crossentropy(jnp.array([1]), jnp.array([[0.5, 0.5]]))
        Array([0.6931472], dtype=float32)
    """
    y_pred = as_float(y_pred)
    labels = _labels("sparse_categorical_crossentropy", y_true, y_pred, axis)
    logs = jax.nn.log_softmax(y_pred, axis) if from_logits else jnp.log(_normalised(y_pred, axis))
    # A comparison inside the sum is fused by XLA: cheaper than a gather and its scatter.
    classes = jax.lax.broadcasted_iota("int32", y_pred.shape, axis % y_pred.ndim)
    chosen = classes == jnp.expand_dims(labels, axis)
    loss = -jnp.sum(jnp.where(chosen, logs, 0.0), axis=axis)
    return loss if ignore_class is None else jnp.where(labels == ignore_class, 0.0, loss)


def _labels(name: str, y_true: Any, y_pred: Any, axis: int) -> Any:
    """Return class numbers of the shape of `y_pred` without `axis`."""
    labels, shape = convert(y_true), list(y_pred.shape)
    classes = shape.pop(axis)
    if labels.ndim == y_pred.ndim and labels.shape[axis] == 1:
        labels = jnp.squeeze(labels, axis)
    if labels.shape != tuple(shape):
        remedy = ""
        if labels.shape == y_pred.shape:
            remedy = " For one-hot rows use categorical_crossentropy, or pass `y_true.argmax(-1)`."
        raise ValueError(
            f"{name}: `y_true` of shape {labels.shape} does not fit `y_pred` of shape {y_pred.shape} "
            f"({classes} classes); expected class numbers of shape {tuple(shape)}.{remedy}"
        )
    return labels.astype("int32")


@op("losses", "CategoricalGeneralizedCrossEntropyLoss")
def categorical_generalized_cross_entropy(y_true: Tensor, y_pred: Tensor, q: float) -> Tensor:
    """`(1 - p^q) / q` of the probability `p` given to the class number in `y_true`.

    Zhang and Sabuncu 2018, "Generalized cross entropy loss for training deep neural
    networks with noisy labels".

    Args:
        y_true: Class numbers, shape `(B,)`.
        y_pred: Probabilities, shape `(B, C)`.
        q: From 0 (crossentropy) to 1 (mean absolute error).

    Example:
        >>> categorical_generalized_cross_entropy(jnp.array([1]), jnp.array([[0.75, 0.25]]), 0.5)
        Array([1.], dtype=float32)
    """
    y_pred = as_float(y_pred)
    labels = _labels("categorical_generalized_cross_entropy", y_true, y_pred, -1)
    chosen = jnp.arange(y_pred.shape[-1]) == labels[..., None]
    return (1.0 - jnp.power(jnp.sum(jnp.where(chosen, y_pred, 0.0), axis=-1), q)) / q


# --- regions and embeddings ----------------------------------------------------------------


@op("losses", "DiceLoss")
def dice(y_true: Tensor, y_pred: Tensor, axis: Any = None) -> Tensor:
    """One minus the Dice overlap `2 Σ(y_true y_pred) / (Σ y_true + Σ y_pred)`.

    Args:
        y_true: Masks from 0 to 1.
        y_pred: Predicted masks of the same shape.
        axis: Axes over which to sum. Default: all.

    Example:
        >>> float(dice(jnp.array([[1.0, 0.0]]), jnp.array([[1.0, 0.0]])))
        0.0
    """
    y_true, y_pred = _pair("dice", y_true, y_pred)
    axis = tuple(axis) if isinstance(axis, list) else axis
    overlap = jnp.sum(y_true * y_pred, axis=axis)
    total = jnp.sum(y_true, axis=axis) + jnp.sum(y_pred, axis=axis)
    return 1.0 - (2.0 * overlap) / (total + config.epsilon())


@op("losses", "TverskyLoss")
def tversky(y_true: Tensor, y_pred: Tensor, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Tensor:
    """One minus the Tversky overlap, in which false alarms and misses weigh differently.

    Salehi et al. 2017, "Tversky loss function for image segmentation".

    Args:
        y_true: Masks from 0 to 1.
        y_pred: Predicted masks of the same shape.
        alpha: Weight of what is in `y_true` only.
        beta: Weight of what is in `y_pred` only.
        axis: Axes over which to sum. Default: all.

    Example:
        >>> round(float(tversky(jnp.array([[1.0, 0.0]]), jnp.array([[1.0, 0.0]]))), 4)
        0.0
    """
    y_true, y_pred = _pair("tversky", y_true, y_pred)
    axis = tuple(axis) if isinstance(axis, list) else axis
    overlap = jnp.sum(y_true * y_pred, axis=axis)
    missed = jnp.sum(y_true * (1.0 - y_pred), axis=axis)
    invented = jnp.sum((1.0 - y_true) * y_pred, axis=axis)
    return 1.0 - overlap / (overlap + alpha * missed + beta * invented + config.epsilon())


@op("losses", "CircleLoss")
def circle(
    y_true: Tensor,
    y_pred: Tensor,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """Draw embeddings of one class together and those of different classes apart.

    Sun et al. 2020, "Circle loss: a unified perspective of pair similarity optimization".

    Args:
        y_true: Class numbers, shape `(B,)`.
        y_pred: Embeddings of unit length, shape `(B, D)`.
        ref_labels: Class numbers to compare with, shape `(R,)`. Default: `y_true`.
        ref_embeddings: Their embeddings, shape `(R, D)`. Default: `y_pred`.
        remove_diagonal: Whether sample `i` is not compared with reference `i`.
        gamma: Scale of the similarities.
        margin: Margin of the decision boundary, from 0 to 1.

    Returns:
        Values of shape `(B,)`.

    Example:
        >>> circle(jnp.array([0, 1]), jnp.eye(2)).shape
        (2,)
    """
    y_pred = as_float(y_pred)
    labels = jnp.reshape(convert(y_true), (-1,))
    others = labels if ref_labels is None else jnp.reshape(convert(ref_labels), (-1,))
    references = y_pred if ref_embeddings is None else convert(ref_embeddings).astype(y_pred.dtype)
    similarity = y_pred @ references.T
    same = labels[:, None] == others[None, :]
    other = ~same
    if remove_diagonal:
        same = same & ~jnp.eye(*same.shape, dtype=bool)
    pull = jax.nn.relu(1.0 + margin - similarity)
    push = jax.nn.relu(similarity + margin)
    positive = -gamma * pull * (similarity - (1.0 - margin))
    negative = gamma * push * (similarity - margin)
    return jax.nn.softplus(_masked_logsumexp(positive, same) + _masked_logsumexp(negative, other))


def _masked_logsumexp(x: Any, mask: Any) -> Any:
    return jax.nn.logsumexp(jnp.where(mask, x, -1e9), axis=-1)
