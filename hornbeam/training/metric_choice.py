"""The metric that an entry of `metrics=` means for the shapes of targets and outputs."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors, losses, metrics
from hornbeam.core.convert import convert
from hornbeam.losses import Loss
from hornbeam.metrics import Metric

__all__ = [
    "NAMES_BY_SHAPE", "NEEDS_ONE_HOT", "as_metric", "metric_by_name", "one_hot_if_sparse", "unique",
]  # fmt: skip

# Names whose meaning depends on the shapes of targets and outputs.
NAMES_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")
NEEDS_ONE_HOT = (
    "Precision", "Recall", "AUC", "F1Score", "FBetaScore", "TruePositives", "TrueNegatives",
    "FalsePositives", "FalseNegatives",
)  # fmt: skip
_SHORT = {"auc": "AUC"}
_F_SCORES: dict[str, type] = {
    **dict.fromkeys(("f1", "f1_score", "f1score"), metrics.F1Score),
    **dict.fromkeys(("fbeta_score", "fbetascore"), metrics.FBetaScore),
}


def unique(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number after it if it is taken.

    Example:
        >>> unique("mae", ["mae", "mae_1"])
        'mae_2'
    """
    names = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(1)))
    return next(n for n in names if n not in taken)


def metric_by_name(name: str) -> Any:
    """Return the metric, or the loss, of a name."""
    try:
        return metrics.get(name)
    except ValueError:
        found = getattr(metrics, _SHORT.get(name.lower(), ""), None)
        if found is not None:
            return found()
        function = _loss_function(name)
        if function is not None:
            return function
        known = [n for n in metrics.__all__ if n.islower()] + [
            "accuracy",
            "auc",
            "f1_score",
            "precision",
            "recall",
        ]
        raise errors.unknown_name("metric", name, known) from None


def _loss_function(name: str) -> Any:
    try:
        found = losses.get(name)
    except ValueError:
        return None
    return found


def as_metric(entry: Any, target: Any, output: Any, loss: Any) -> Any:
    """Return the `Metric` that an entry of `metrics=` means for these shapes."""
    if isinstance(entry, Metric):
        return entry
    if isinstance(entry, type) and issubclass(entry, Metric):
        return entry()
    if isinstance(entry, str):
        lower = entry.lower()
        if lower in NAMES_BY_SHAPE:
            function = _by_shape(lower, target, output, loss)
            return metrics.MeanMetricWrapper(function, name=entry)
        metric = _f_score(lower, output, loss) or metric_by_name(entry)
        if isinstance(metric, type):
            metric = metric()
        if isinstance(metric, Metric):
            metric.name = (
                entry if lower in ("precision", "recall", "auc", "f1_score", "f1") else metric.name
            )
            return metric
        return metrics.MeanMetricWrapper(metric, name=entry)
    if isinstance(entry, Loss):
        return metrics.MeanMetricWrapper(entry.call, name=entry.name)
    name = getattr(entry, "__name__", None) or type(entry).__name__
    if isinstance(entry, dict):
        return metrics.get(entry)
    return metrics.MeanMetricWrapper(entry, name=name.strip("<>"))


def _f_score(name: str, output: Any, loss: Any) -> Any:
    """Return the F-score of a name, macro-averaged to one number; `None` if the name means another
    metric.
    """
    cls = _F_SCORES.get(name)
    if cls is None:
        return None
    independent = jnp.shape(output)[-1] == 1 or _is_binary(loss)
    return cls(average="macro", threshold=0.5 if independent else None, name=name)


def _is_binary(loss: Any) -> bool:
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return "binary" in str(name).lower()


def one_hot_if_sparse(target: Any, output: Any) -> Any:
    """Return class numbers as one-hot rows if the outputs are one score per class."""
    t, o = jnp.shape(target), jnp.shape(output)
    if o[-1] > 1 and (len(t) == len(o) - 1 or (len(t) == len(o) and t[-1] == 1)):
        labels = jnp.reshape(convert(target), o[:-1])
        return jax.nn.one_hot(labels.astype("int32"), o[-1])
    return jnp.reshape(convert(target), o) if len(t) != len(o) else target


def _by_shape(name: str, target: Any, output: Any, loss: Any) -> Any:
    t, o = jnp.shape(target), jnp.shape(output)
    exact = name in ("accuracy", "acc")
    if (o and o[-1] == 1) or _is_binary(loss):
        kind = "binary"
    elif len(t) < len(o) or (t and t[-1] == 1 and o[-1] > 1):
        kind = "sparse_categorical"
    else:
        kind = "categorical"
    return getattr(
        metrics if exact else losses, f"{kind}_{'accuracy' if exact else 'crossentropy'}"
    )
