"""Targets and predictions brought to one dtype and rank, for losses and metrics.

Targets are cast to the dtype of the predictions. If one of the two lacks a last axis of size 1,
their ranks are matched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from hornbeam import settings
from hornbeam.core.convert import convert
from hornbeam.core.provenance import is_library_code
from hornbeam.typing import Axis, Structure, Tensor

__all__ = [
    "as_float",
    "averages_numbers",
    "clip",
    "for_function",
    "labels_for",
    "match_ranks",
    "mean",
    "one_hot_pair",
    "one_number_a_row",
    "pair",
]

_MEANS_OF_NUMBERS = frozenset(
    (
        "accuracy", "binary_accuracy", "binary_crossentropy", "binary_focal_crossentropy", "hinge",
        "huber", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error",
        "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "squared_hinge",
    )
)  # fmt: skip


def averages_numbers(function: Callable[..., Any], settings: Mapping[str, Any]) -> bool:
    """Return whether Hornbeam's `function` takes the mean over the numbers of a row, so that each
    number may be a row of its own.

    Args:
        function: Function of targets, predictions and `settings`.
        settings: Its other arguments.
    """
    name = getattr(function, "__name__", "")
    return (
        name in _MEANS_OF_NUMBERS
        and is_library_code(function)
        and settings.get("axis", -1) in (-1, None)
    )


def one_number_a_row(y_true: Tensor, y_pred: Tensor, weights: Tensor) -> tuple[Any, Any]:
    """Return targets and predictions for a function that takes the mean over the last axis.

    If `weights` holds a weight for each number, each number becomes a row of its own.

    Example:
        >>> y = jnp.ones((2, 3))
        >>> [one_number_a_row(y, y, jnp.ones(shape))[0].shape for shape in ((2,), (2, 3))]
        [(2, 3), (2, 3, 1)]
    """
    y_true, y_pred = match_ranks(convert(y_true), convert(y_pred))
    shape = convert(weights).shape
    if len(shape) == y_pred.ndim + 1 and shape[-1] == 1:
        shape = shape[:-1]
    if y_true.ndim != y_pred.ndim or not shape or len(shape) != y_pred.ndim:
        return y_true, y_pred
    if shape[-1] == 1 or shape[-1] != max(y_true.shape[-1], y_pred.shape[-1]):
        return y_true, y_pred
    return y_true[..., None], y_pred[..., None]


def match_ranks(a: Tensor, b: Tensor) -> tuple[Any, Any]:
    """Return `a` and `b` with equal ranks, if a last axis of size 1 is all that differs.

    Example:
        >>> [x.shape for x in match_ranks(jnp.ones(3), jnp.ones((3, 1)))]
        [(3, 1), (3, 1)]
    """
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, b[:, None]) if b.ndim == 1 else (a[..., 0], b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (a[:, None], b) if a.ndim == 1 else (a, b[..., 0])
    return a, b


def for_function(y_true: Structure, y_pred: Structure) -> tuple[Any, Any]:
    """Return targets and predictions as a loss function of the user's gets them, as in Keras.

    Two tensors get equal ranks, so targets of shape `(B,)` are not broadcast with predictions of
    shape `(B, 1)`. Structures stay as they are.

    Example:
        >>> [x.shape for x in for_function(jnp.ones(3), jnp.ones((3, 1)))]
        [(3, 1), (3, 1)]
    """
    if all(hasattr(x, "ndim") and hasattr(x, "reshape") for x in (y_true, y_pred)):
        return match_ranks(y_true, y_pred)
    return y_true, y_pred


def as_float(x: Tensor) -> Tensor:
    """Return `x` as an array of real or complex numbers; integers become `floatx()`.

    Example:
        >>> as_float([1, 2])
        Array([1., 2.], dtype=float32)
    """
    x = convert(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(settings.floatx())


def pair(
    name: str, y_true: Tensor, y_pred: Tensor, equal: bool = False, remedy: str = ""
) -> tuple[Any, Any]:
    """Return targets and predictions as arrays of one dtype and rank.

    Args:
        name: Name of the loss, for errors.
        y_true: Targets.
        y_pred: Predictions.
        equal: Whether the shapes must be equal; otherwise they may broadcast.
        remedy: Last sentence of the error.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> [x.shape for x in pair("mse", [1, 2], jnp.ones((2, 1)))]
        [(2, 1), (2, 1)]
    """
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


def one_hot_pair(name: str, y_true: Tensor, y_pred: Tensor) -> tuple[Any, Any]:
    """Return one-hot targets and predictions of the same shape.

    Raises:
        ValueError: If the shapes differ; for class numbers the error says what to do.

    Example:
        >>> [x.shape for x in one_hot_pair("crossentropy", [[0, 1]], [[0.5, 0.5]])]
        [(1, 2), (1, 2)]
    """
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
            f"{name}: `y_true` of shape {t} and `y_pred` of shape {o} do not fit; expected the same"
            f" shape.{remedy}"
        )
    return pair(name, y_true, y_pred, equal=True)


def mean(x: Tensor, axis: Axis = -1) -> Tensor:
    """Return the mean over `axis`; a scalar stays as it is."""
    return jnp.mean(x, axis=axis) if x.ndim else x


def clip(p: Tensor) -> Tensor:
    """Keep probabilities at least epsilon away from 0 and 1."""
    return jnp.clip(p, settings.epsilon(), 1.0 - settings.epsilon())


def labels_for(name: str, y_true: Tensor, y_pred: Tensor, axis: int) -> Tensor:
    """Return class numbers, in the shape of `y_pred` without `axis`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> labels_for("crossentropy", [[1], [0]], jnp.ones((2, 3)), -1).tolist()
        [1, 0]
    """
    labels, shape = convert(y_true), list(y_pred.shape)
    classes = shape.pop(axis)
    if labels.ndim == y_pred.ndim and labels.shape[axis] == 1:
        labels = jnp.squeeze(labels, axis)
    if labels.shape != tuple(shape):
        remedy = ""
        if labels.shape == y_pred.shape:
            remedy = " For one-hot rows use categorical_crossentropy, or pass `y_true.argmax(-1)`."
        elif y_pred.ndim > 2 and labels.shape in ((shape[0],), (shape[0], 1)):
            remedy = (
                " For one class per sample, put a `Flatten` or a global pooling layer before the"
                " last layer."
            )
        raise ValueError(
            f"{name}: `y_true` of shape {labels.shape} does not fit `y_pred` of shape"
            f" {y_pred.shape} ({classes} classes); expected class numbers of shape"
            f" {tuple(shape)}.{remedy}"
        )
    return labels.astype("int32")
