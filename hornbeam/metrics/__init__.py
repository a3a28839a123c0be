"""Metrics: what is measured while a model trains."""

import inspect
from typing import Any

from hornbeam import errors
from hornbeam.core.naming import to_snake_case
from hornbeam.losses.functions import *  # noqa: F403
from hornbeam.losses.functions import mean_absolute_error, mean_absolute_percentage_error, mean_squared_error, mean_squared_logarithmic_error
from hornbeam.metrics import confusion, means
from hornbeam.metrics.confusion import *  # noqa: F403
from hornbeam.metrics.means import *  # noqa: F403
from hornbeam.metrics.metric import Mean, MeanMetricWrapper, Metric, Sum

__all__ = [
    *confusion.__all__, *means.__all__, "Mean", "MeanMetricWrapper", "Metric", "Sum", "deserialize", "get", "serialize",
    "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error",
]  # fmt: skip

_CLASSES: dict[str, Any] = {n: v for n, v in list(globals().items()) if inspect.isclass(v) and issubclass(v, Metric) and v is not Metric}
_NAMES: dict[str, Any] = {to_snake_case(n): c for n, c in _CLASSES.items()}
_NAMES |= {
    "mse": _CLASSES["MeanSquaredError"], "mae": _CLASSES["MeanAbsoluteError"], "mape": _CLASSES["MeanAbsolutePercentageError"],
    "msle": _CLASSES["MeanSquaredLogarithmicError"], "rmse": _CLASSES["RootMeanSquaredError"], "auc": _CLASSES["AUC"],
    "f1_score": _CLASSES["F1Score"], "fbeta_score": _CLASSES["FBetaScore"],
    "top_k_categorical_accuracy": _CLASSES["TopKCategoricalAccuracy"],
    "sparse_top_k_categorical_accuracy": _CLASSES["SparseTopKCategoricalAccuracy"],
}  # fmt: skip


def get(identifier: Any) -> Any:
    """Return the metric that a name, config, class, function or object stands for.

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> get("mse").name
        'mean_squared_error'
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        from hornbeam.saving.config import get_registered_object

        found = get_registered_object(identifier) or _CLASSES.get(identifier) or _NAMES.get(identifier) or _NAMES.get(identifier.lower())
        if found is None:
            raise errors.unknown_name("metric", identifier, _NAMES)
        return found() if inspect.isclass(found) else found
    if inspect.isclass(identifier) and issubclass(identifier, Metric):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Expected a metric's name, object or function, received {identifier!r}.")


def serialize(metric: Any) -> Any:
    """Return the config of a metric, with its class, ready for JSON."""
    from hornbeam.saving.config import serialize as to_config

    return to_config(metric)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the metric of a config with its class."""
    from hornbeam.saving.config import deserialize as from_config

    return from_config(config, custom_objects=custom_objects)
