"""Losses as functions of `(y_true, y_pred)`: one value a sample."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import config
from hornbeam.core.symbolic import convert
from hornbeam.dtypes import is_float

__all__ = [
    "binary_crossentropy", "categorical_crossentropy", "huber", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error",
    "sparse_categorical_crossentropy",
]  # fmt: skip


def match(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return both as float tensors of one dtype; a last axis of size 1 is added or dropped where only it differs."""
    y_pred = convert(y_pred)
    if not is_float(y_pred.dtype):
        y_pred = y_pred.astype(config.floatx())
    y_true = convert(y_true).astype(y_pred.dtype)
    t, p = y_true.shape, y_pred.shape
    if len(t) == len(p) + 1 and t[-1] == 1:
        y_true = y_true[..., 0]
    elif len(p) == len(t) + 1 and p[-1] == 1:
        y_true = y_true[..., None]
    t = y_true.shape
    if any(a != b and 1 not in (a, b) for a, b in zip(reversed(t), reversed(p), strict=False)):
        raise ValueError(
            f"Targets of shape {t} do not fit outputs of shape {p}. Give the last layer as many units as a row of "
            "targets has numbers; for class numbers use a sparse loss."
        )
    return y_true, y_pred


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """`mean((y_true - y_pred)^2)` over the last axis.

    Example:
        >>> float(mean_squared_error([[0.0, 2.0]], [[0.0, 0.0]])[0])
        2.0
    """
    y_true, y_pred = match(y_true, y_pred)
    return jnp.mean(jnp.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """`mean(|y_true - y_pred|)` over the last axis.

    Example:
        >>> float(mean_absolute_error([[0.0, 2.0]], [[0.0, 0.0]])[0])
        1.0
    """
    y_true, y_pred = match(y_true, y_pred)
    return jnp.mean(jnp.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """`100 * mean(|(y_true - y_pred) / y_true|)` over the last axis.

    Example:
        >>> float(mean_absolute_percentage_error([[2.0]], [[1.0]])[0])
        50.0
    """
    y_true, y_pred = match(y_true, y_pred)
    return 100.0 * jnp.mean(jnp.abs((y_true - y_pred) / jnp.maximum(jnp.abs(y_true), config.epsilon())), axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """`mean((log(y_true + 1) - log(y_pred + 1))^2)` over the last axis.

    Example:
        >>> float(mean_squared_logarithmic_error([[0.0]], [[0.0]])[0])
        0.0
    """
    y_true, y_pred = match(y_true, y_pred)
    logs = [jnp.log(jnp.maximum(y, config.epsilon()) + 1.0) for y in (y_true, y_pred)]
    return jnp.mean(jnp.square(logs[0] - logs[1]), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Squared error within `delta`, linear beyond (Huber 1964), mean over the last axis.

    Example:
        >>> float(huber([[0.0]], [[2.0]])[0])
        1.5
    """
    y_true, y_pred = match(y_true, y_pred)
    error = jnp.abs(y_true - y_pred)
    return jnp.mean(jnp.where(error <= delta, 0.5 * error**2, delta * error - 0.5 * delta**2), axis=-1)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """`-mean(y log p + (1 - y) log(1 - p))` over `axis`.

    Args:
        y_true: Targets from 0 to 1.
        y_pred: Probabilities, or logits.
        from_logits: Whether `y_pred` are logits.
        label_smoothing: Targets are moved towards 0.5 by this share.
        axis: Axis of the mean.

    Example:
        >>> round(float(binary_crossentropy([[1.0]], [[0.5]])[0]), 4)
        0.6931
    """
    y_true, y_pred = match(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        value = jnp.maximum(y_pred, 0) - y_pred * y_true + jnp.log1p(jnp.exp(-jnp.abs(y_pred)))
    else:
        p = jnp.clip(y_pred, config.epsilon(), 1 - config.epsilon())
        value = -(y_true * jnp.log(p) + (1 - y_true) * jnp.log(1 - p))
    return jnp.mean(jnp.broadcast_to(value, jnp.broadcast_shapes(y_true.shape, y_pred.shape)), axis=axis)


def _log_probabilities(y_pred: Any, from_logits: bool, axis: int) -> Any:
    if from_logits:
        return jax.nn.log_softmax(y_pred, axis)
    p = y_pred / jnp.sum(y_pred, axis=axis, keepdims=True)
    return jnp.log(jnp.clip(p, config.epsilon(), 1 - config.epsilon()))


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """`-sum(y log p)` over `axis`, for one-hot targets.

    Args:
        y_true: One-hot rows, of `y_pred`'s shape.
        y_pred: Probabilities, or logits.
        from_logits: Whether `y_pred` are logits.
        label_smoothing: Targets are moved towards equal shares by this share.
        axis: Axis of the classes.

    Example:
        >>> round(float(categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])[0]), 4)
        0.6931
    """
    y_true, y_pred = match(y_true, y_pred)
    if y_true.shape[-1:] != y_pred.shape[-1:]:
        raise ValueError(
            f"categorical_crossentropy: targets of shape {y_true.shape} are no one-hot rows for outputs of shape "
            f"{y_pred.shape}. For class numbers use sparse_categorical_crossentropy."
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_pred.shape[axis]
    return -jnp.sum(y_true * _log_probabilities(y_pred, from_logits, axis), axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """`-log p[y]`, for class numbers.

    Args:
        y_true: Class numbers, of `y_pred`'s shape without `axis` (or with size 1 there).
        y_pred: Probabilities, or logits.
        from_logits: Whether `y_pred` are logits.
        ignore_class: Class whose samples count nothing.
        axis: Axis of the classes.

    Example:
        >>> round(float(sparse_categorical_crossentropy([1], [[0.5, 0.5]])[0]), 4)
        0.6931
    """
    y_pred = convert(y_pred)
    labels = convert(y_true).astype("int32")
    if labels.ndim == y_pred.ndim and labels.shape[axis] == 1:
        labels = jnp.squeeze(labels, axis)
    if labels.ndim != y_pred.ndim - 1:
        raise ValueError(
            f"sparse_categorical_crossentropy: class numbers of shape {labels.shape} do not fit outputs of shape "
            f"{y_pred.shape}. For one-hot rows use categorical_crossentropy."
        )
    logs = _log_probabilities(y_pred, from_logits, axis)
    keep = None
    if ignore_class is not None:
        keep = labels != ignore_class
        labels = jnp.where(keep, labels, 0)
    value = -jnp.squeeze(jnp.take_along_axis(logs, jnp.expand_dims(labels, axis), axis), axis)
    return value if keep is None else jnp.where(keep, value, 0.0)


