"""Losses of probabilities, with one value per sample: functions and their objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from hornbeam import settings
from hornbeam.checked import Fraction, NonNegative, Range, checked
from hornbeam.core.convert import convert
from hornbeam.core.masks import set_mask
from hornbeam.core.op import op
from hornbeam.core.tensor import any_symbolic
from hornbeam.losses.loss import FunctionLoss, loss_class
from hornbeam.losses.targets import as_float, clip, labels_for, mean, one_hot_pair, pair
from hornbeam.typing import Axis, Policy, Tensor

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
    """Scale probabilities to sum to 1 over the classes, and clip to [epsilon, 1 - epsilon]."""
    return clip(p / jnp.sum(p, axis=axis, keepdims=True))


def _smooth_one_hot(y_true: Any, label_smoothing: float, axis: int) -> Any:
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[axis]


def _smooth_binary(y_true: Any, label_smoothing: float) -> Any:
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true


@op("losses", "KlDivergenceLoss")
def kl_divergence(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the sum of `y_true log(y_true / y_pred)` over the last axis.

    Kullback and Leibler 1951, "On information and sufficiency".

    Args:
        y_true: Target probabilities, shape `(B, ..., C)`.
        y_pred: Predicted probabilities of the same shape. Both are kept at least epsilon.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> kl_divergence(jnp.array([[0.5, 0.5]]), jnp.array([[0.5, 0.5]]))
        Array([0.], dtype=float32)
    """
    y_true, y_pred = pair("kl_divergence", y_true, y_pred)
    y_true, y_pred = (jnp.clip(y, settings.epsilon(), 1.0) for y in (y_true, y_pred))
    return jnp.sum(y_true * jnp.log(y_true / y_pred), axis=-1)


@op("losses", "BinaryCrossentropyLoss")
def binary_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Return the mean of `-y_true log(y_pred) - (1 - y_true) log(1 - y_pred)` over `axis`.

    Args:
        y_true: Targets from 0 to 1, shape `(B, ..., D)`.
        y_pred: Probabilities of the same shape, kept epsilon away from 0 and 1; with `from_logits`
            scores.
        from_logits: Whether to apply a sigmoid to `y_pred`.
        label_smoothing: Share `s` of 0.5 in the targets: `(1 - s) y_true + 0.5 s`.
        axis: Axis over which to take the mean.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

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
    """Return the binary crossentropy times `(1 - p)^gamma`.

    `p` is the predicted probability of the true class.

    Lin et al. 2017, "Focal loss for dense object detection".

    Args:
        y_true: Targets from 0 to 1, shape `(B, ..., D)`.
        y_pred: Probabilities of the same shape; with `from_logits` scores.
        apply_class_balancing: Whether to weight class 1 by `alpha` and class 0 by `1 - alpha`.
        alpha: Weight of class 1.
        gamma: Exponent; the larger it is, the less easy examples count.
        from_logits, label_smoothing, axis: As for `binary_crossentropy`.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes do not fit.

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
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Return the sum of `-y_true log(y_pred)` over the classes.

    Args:
        y_true: One-hot rows or probabilities, shape `(B, ..., C)`.
        y_pred: Probabilities of the same shape, scaled to sum to 1; with `from_logits` scores.
        from_logits: Whether to apply a softmax to `y_pred`.
        label_smoothing: Share `s` of the even distribution in the targets:
            `(1 - s) y_true + s / C`.
        axis: Axis of the classes.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes differ. `sparse_categorical_crossentropy` takes class numbers.

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
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Return the sum of `-alpha (1 - p)^gamma y_true log(p)` over the classes, with `p = y_pred`.

    Lin et al. 2017, "Focal loss for dense object detection".

    Args:
        y_true: One-hot rows, shape `(B, ..., C)`.
        y_pred: Probabilities of the same shape, scaled to sum to 1; with `from_logits` scores.
        alpha: One weight for all classes, or one per class.
        gamma: Exponent; the larger it is, the less easy examples count.
        from_logits, label_smoothing, axis: As for `categorical_crossentropy`.

    Returns:
        Values of shape `(B, ...)`.

    Raises:
        ValueError: If the shapes differ.

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
    y_true: Tensor,
    y_pred: Tensor,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """Return `-log(p)`, where `p` is the predicted probability of the class in `y_true`.

    Args:
        y_true: Class numbers, shape `(B, ...)` or `(B, ..., 1)`.
        y_pred: Probabilities of shape `(B, ..., C)`, scaled to sum to 1; with `from_logits` scores.
        from_logits: Whether to apply a softmax to `y_pred`.
        ignore_class: Class number that means "not labelled", such as -1 or 255. Its samples give 0.
        axis: Axis of the classes.

    Returns:
        Values of shape `(B, ...)`. Class numbers out of range give 0.

    Raises:
        ValueError: If the shapes do not fit. `categorical_crossentropy` takes one-hot rows.

    Example:
        >>> sparse_categorical_crossentropy(jnp.array([1]), jnp.array([[0.5, 0.5]]))
        Array([0.6931472], dtype=float32)
    """
    y_pred = as_float(y_pred)
    labels = labels_for("sparse_categorical_crossentropy", y_true, y_pred, axis)
    logs = jax.nn.log_softmax(y_pred, axis) if from_logits else jnp.log(_normalised(y_pred, axis))
    # XLA fuses this comparison into the sum, which is faster than a gather and its scatter.
    classes = jax.lax.broadcasted_iota("int32", y_pred.shape, axis % y_pred.ndim)
    chosen = classes == jnp.expand_dims(labels, axis)
    loss = -jnp.sum(jnp.where(chosen, logs, 0.0), axis=axis)
    return loss if ignore_class is None else jnp.where(labels == ignore_class, 0.0, loss)


@op("losses", "CategoricalGeneralizedCrossEntropyLoss")
def categorical_generalized_cross_entropy(y_true: Tensor, y_pred: Tensor, q: float) -> Tensor:
    """Return `(1 - p^q) / q`, where `p` is the predicted probability of the class in `y_true`.

    Zhang and Sabuncu 2018, "Generalized cross entropy loss for training deep neural
    networks with noisy labels".

    Args:
        y_true: Class numbers, shape `(B,)`.
        y_pred: Probabilities, shape `(B, C)`.
        q: Exponent, above 0 and at most 1: near 0 the value is the crossentropy, at 1 the absolute
            error.

    Returns:
        Values of shape `(B,)`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> categorical_generalized_cross_entropy(jnp.array([1]), jnp.array([[0.75, 0.25]]), 0.5)
        Array([1.], dtype=float32)
    """
    y_pred = as_float(y_pred)
    labels = labels_for("categorical_generalized_cross_entropy", y_true, y_pred, -1)
    chosen = jnp.arange(y_pred.shape[-1]) == labels[..., None]
    return (1.0 - jnp.power(jnp.sum(jnp.where(chosen, y_pred, 0.0), axis=-1), q)) / q


# --- objects -------------------------------------------------------------------------------


KLDivergence = loss_class(
    "KLDivergence", kl_divergence,
    "Kullback-Leibler divergence of two distributions: `sum(y_true log(y_true / y_pred))`.",
    [[0.5, 0.5]], [[0.9, 0.1]], 0.5108,
)  # fmt: skip


class BinaryCrossentropy(FunctionLoss):
    """Crossentropy of targets 0 and 1: `-y_true log(y_pred) - (1 - y_true) log(1 - y_pred)`.

    Args:
        from_logits: Whether predictions are scores, to which to apply a sigmoid.
        label_smoothing: Share of 0.5 in the targets, from 0 to 1.
        axis: Axis over which to take the mean.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(float(BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = staticmethod(binary_crossentropy)

    @checked
    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: Fraction = 0.0,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Policy = None,
    ):
        self.keep(locals())


class BinaryFocalCrossentropy(FunctionLoss):
    """Binary crossentropy times `(1 - p)^gamma`, which reduces the weight of easy examples.

    See Lin et al. 2017.

    `p` is the predicted probability of the true class; see `binary_focal_crossentropy`.

    Args:
        apply_class_balancing: Whether to weight class 1 by `alpha` and class 0 by `1 - alpha`.
        alpha: Weight of class 1, from 0 to 1.
        gamma: Exponent, not negative.
        from_logits, label_smoothing, axis: As for `BinaryCrossentropy`.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(float(BinaryFocalCrossentropy()([[1.0]], [[0.5]])), 4)
        0.1733
    """

    fn = staticmethod(binary_focal_crossentropy)

    @checked
    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: Fraction = 0.25,
        gamma: NonNegative = 2.0,
        from_logits: bool = False,
        label_smoothing: Fraction = 0.0,
        axis: Axis = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Policy = None,
    ):
        self.keep(locals())


class CategoricalCrossentropy(FunctionLoss):
    """Crossentropy of one-hot targets: `-sum(y_true log(y_pred))` over the classes.

    Args:
        from_logits: Whether predictions are scores, to which to apply a softmax.
        label_smoothing: Share of the even distribution in the targets, from 0 to 1.
        axis: Axis of the classes.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = staticmethod(categorical_crossentropy)

    @checked
    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: Fraction = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Policy = None,
    ):
        self.keep(locals())


class CategoricalFocalCrossentropy(FunctionLoss):
    """Crossentropy of one-hot targets in which easy examples count less (Lin et al. 2017).

    The value is `sum(-alpha (1 - p)^gamma y_true log(p))`; see `categorical_focal_crossentropy`.

    Args:
        alpha: One weight for all classes, or one per class; not negative.
        gamma: Exponent, not negative.
        from_logits, label_smoothing, axis: As for `CategoricalCrossentropy`.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(float(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.0433
    """

    fn = staticmethod(categorical_focal_crossentropy)

    @checked
    def __init__(
        self,
        alpha: NonNegative | Sequence[NonNegative] = 0.25,
        gamma: NonNegative = 2.0,
        from_logits: bool = False,
        label_smoothing: Fraction = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Policy = None,
    ):
        self.keep(locals())


class SparseCategoricalCrossentropy(FunctionLoss):
    """Crossentropy of class numbers: `-log(p)`, with `p` the probability of the true class.

    Args:
        from_logits: Whether predictions are scores, to which to apply a softmax.
        ignore_class: Class number that means "not labelled". Its samples give 0 and do not count in
            the mean.
        axis: Axis of the classes.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If an argument is of another type.

    Example:
        >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    fn = staticmethod(sparse_categorical_crossentropy)
    ignore_class: int | None

    @checked
    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Policy = None,
    ):
        self.keep(locals())

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        values = super().call(y_true, y_pred)
        if self.ignore_class is not None and not any_symbolic(values):
            # A mask, so that ignored samples do not count in the mean either.
            set_mask(values, jnp.reshape(convert(y_true), values.shape) != self.ignore_class)
        return values


class CategoricalGeneralizedCrossEntropy(FunctionLoss):
    """Loss of class numbers that is robust to wrong labels: `(1 - p^q) / q`.

    See Zhang and Sabuncu 2018.

    `p` is the predicted probability of the class; see `categorical_generalized_cross_entropy`.

    Args:
        q: Exponent, above 0 and at most 1: near 0 the value is the crossentropy, at 1 the absolute
            error.
        reduction, name, dtype: As for `Loss`.

    Raises:
        ValueError: If `q` is out of range.

    Example:
        >>> round(float(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]])), 4)
        1.0
    """

    fn = staticmethod(categorical_generalized_cross_entropy)

    @checked
    def __init__(
        self,
        q: Annotated[float, Range(above=0, at_most=1)] = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Policy = None,
    ):
        self.keep(locals())
