"""Losses of probabilities: functions of `(y_true, y_pred)`, one value a sample, and their objects."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import settings
from hornbeam.core.convert import convert
from hornbeam.core.masks import set_mask
from hornbeam.core.op import op
from hornbeam.core.tensor import any_symbolic
from hornbeam.losses.loss import FunctionLoss
from hornbeam.losses.targets import as_float, clip, labels_for, mean, one_hot_pair, pair
from hornbeam.typing import Tensor

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "KLDivergence",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "kl_divergence",
    "sparse_categorical_crossentropy",
]


def _normalised(p: Any, axis: int) -> Any:
    """Scale probabilities to sum 1 over the classes, and keep them off 0 and 1."""
    return clip(p / jnp.sum(p, axis=axis, keepdims=True))


def _smooth_one_hot(y_true: Any, label_smoothing: float, axis: int) -> Any:
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[axis]


def _smooth_binary(y_true: Any, label_smoothing: float) -> Any:
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true


@op("losses", "KlDivergenceLoss")
def kl_divergence(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Sum of `y_true log(y_true / y_pred)` over the last axis.

    Example:
        >>> kl_divergence(jnp.array([[0.5, 0.5]]), jnp.array([[0.5, 0.5]]))
        Array([0.], dtype=float32)
    """
    y_true, y_pred = pair("kl_divergence", y_true, y_pred)
    y_true, y_pred = (jnp.clip(y, settings.epsilon(), 1.0) for y in (y_true, y_pred))
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
    y_true, y_pred = pair("binary_crossentropy", y_true, y_pred)
    return mean(_binary_entropy(_smooth_binary(y_true, label_smoothing), y_pred, from_logits), axis)


def _binary_entropy(y_true: Any, y_pred: Any, from_logits: bool) -> Any:
    if from_logits:
        return -y_true * jax.nn.log_sigmoid(y_pred) - (1.0 - y_true) * jax.nn.log_sigmoid(-y_pred)
    p = clip(y_pred)
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
        from_logits, label_smoothing, axis: As for `binary_crossentropy`.

    Example:
        >>> binary_focal_crossentropy(jnp.array([[1.0]]), jnp.array([[0.5]])).round(4)
        Array([0.1733], dtype=float32)
    """
    y_true, y_pred = pair("binary_focal_crossentropy", y_true, y_pred)
    y_true = _smooth_binary(y_true, label_smoothing)
    p = jax.nn.sigmoid(y_pred) if from_logits else y_pred
    given = y_true * p + (1.0 - y_true) * (1.0 - p)
    loss = jnp.power(1.0 - given, gamma) * _binary_entropy(y_true, p, False)
    if apply_class_balancing:
        loss = loss * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return mean(loss, axis)


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
    y_true, y_pred = one_hot_pair("categorical_crossentropy", y_true, y_pred)
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
        from_logits, label_smoothing, axis: As for `categorical_crossentropy`.

    Example:
        >>> loss = categorical_focal_crossentropy(jnp.array([[0.0, 1.0]]), jnp.array([[0.5, 0.5]]))
        >>> loss.round(4)
        Array([0.0433], dtype=float32)
    """
    y_true, y_pred = one_hot_pair("categorical_focal_crossentropy", y_true, y_pred)
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
    labels = labels_for("sparse_categorical_crossentropy", y_true, y_pred, axis)
    logs = jax.nn.log_softmax(y_pred, axis) if from_logits else jnp.log(_normalised(y_pred, axis))
    # A comparison inside the sum is fused by XLA: cheaper than a gather and its scatter.
    classes = jax.lax.broadcasted_iota("int32", y_pred.shape, axis % y_pred.ndim)
    chosen = classes == jnp.expand_dims(labels, axis)
    loss = -jnp.sum(jnp.where(chosen, logs, 0.0), axis=axis)
    return loss if ignore_class is None else jnp.where(labels == ignore_class, 0.0, loss)


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
    labels = labels_for("categorical_generalized_cross_entropy", y_true, y_pred, -1)
    chosen = jnp.arange(y_pred.shape[-1]) == labels[..., None]
    return (1.0 - jnp.power(jnp.sum(jnp.where(chosen, y_pred, 0.0), axis=-1), q)) / q


# --- objects -------------------------------------------------------------------------------


class KLDivergence(FunctionLoss):
    """Kullback-Leibler divergence of predicted from target distribution.

    Example:
        >>> float(KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]]))
        0.0
    """

    _function = staticmethod(kl_divergence)


class BinaryCrossentropy(FunctionLoss):
    """Crossentropy of yes-or-no targets.

    Args:
        from_logits, label_smoothing, axis: As for `binary_crossentropy`.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    _function = staticmethod(binary_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ):
        self._keep(locals())


class BinaryFocalCrossentropy(FunctionLoss):
    """Binary crossentropy that plays easy examples down (Lin et al. 2017).

    Args:
        apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis: As for `binary_focal_crossentropy`.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(BinaryFocalCrossentropy()([[1.0]], [[0.5]])), 4)
        0.1733
    """

    _function = staticmethod(binary_focal_crossentropy)

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        self._keep(locals())


class CategoricalCrossentropy(FunctionLoss):
    """Crossentropy of one-hot targets.

    Args:
        from_logits, label_smoothing, axis: As for `categorical_crossentropy`.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    _function = staticmethod(categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        self._keep(locals())


class CategoricalFocalCrossentropy(FunctionLoss):
    """Crossentropy of one-hot targets that plays easy examples down (Lin et al. 2017).

    Args:
        alpha, gamma, from_logits, label_smoothing, axis: As for `categorical_focal_crossentropy`.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.0433
    """

    _function = staticmethod(categorical_focal_crossentropy)

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        self._keep(locals())


class SparseCategoricalCrossentropy(FunctionLoss):
    """Crossentropy of class numbers.

    Args:
        from_logits, axis: As for `sparse_categorical_crossentropy`.
        ignore_class: Class number whose samples give 0, and do not count in the mean.
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    _function = staticmethod(sparse_categorical_crossentropy)

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        self._keep(locals())

    def call(self, y_true: Any, y_pred: Any) -> Any:
        values = super().call(y_true, y_pred)
        if self.ignore_class is not None and not any_symbolic(values):
            # What is ignored does not count in the mean either.
            set_mask(values, jnp.reshape(convert(y_true), values.shape) != self.ignore_class)
        return values


class CategoricalGeneralizedCrossEntropy(FunctionLoss):
    """Crossentropy that withstands wrong labels (Zhang and Sabuncu 2018).

    Args:
        q: From 0 (crossentropy) to 1 (mean absolute error).
        reduction, name, dtype: As for `Loss`.

    Example:
        >>> round(float(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]])), 4)
        1.0
    """

    _function = staticmethod(categorical_generalized_cross_entropy)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        self._keep(locals())
