"""Losses: functions of targets and outputs, and objects that reduce them."""

import inspect
from typing import Any

from hornbeam import errors
from hornbeam.core.naming import to_snake_case
from hornbeam.losses.functions import (
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    sparse_categorical_crossentropy,
)
from hornbeam.losses.loss import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    SparseCategoricalCrossentropy,
)

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "huber",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "serialize",
    "sparse_categorical_crossentropy",
]

_CLASSES: dict[str, Any] = {n: v for n, v in list(globals().items()) if inspect.isclass(v) and issubclass(v, Loss) and v is not Loss}
_FUNCTIONS: dict[str, Any] = {n: globals()[n] for n in __all__ if n.islower() and n not in ("get", "serialize", "deserialize")}
_FUNCTIONS |= {
    "mse": mean_squared_error, "mae": mean_absolute_error, "mape": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error, "bce": binary_crossentropy, "huber_loss": huber,
}  # fmt: skip
_OF_FUNCTION = {_FUNCTIONS[to_snake_case(n)]: c for n, c in _CLASSES.items()}


def get(identifier: Any) -> Any:
    """Return the loss that a name, config, class, function or object stands for.

    A function of ours comes back as its `Loss`, so that it has a reduction and settings.

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> get("mse").name
        'mean_squared_error'
    """
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        from hornbeam.saving.config import get_registered_object

        found = get_registered_object(identifier) or _CLASSES.get(identifier) or _FUNCTIONS.get(identifier)
        found = found or _FUNCTIONS.get(identifier.lower()) or _FUNCTIONS.get(to_snake_case(identifier))
        if found is None:
            raise errors.unknown_name("loss", identifier, _FUNCTIONS)
        return get(found)
    if inspect.isclass(identifier) and issubclass(identifier, Loss):
        return identifier()
    if identifier in _OF_FUNCTION:
        return _OF_FUNCTION[identifier]()
    if callable(identifier):
        return identifier
    raise ValueError(f"Expected a loss's name, object or function, received {identifier!r}.")


def serialize(loss: Any) -> Any:
    """Return the config of a loss, with its class, ready for JSON."""
    from hornbeam.saving.config import serialize as to_config

    return to_config(loss)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the loss of a config with its class."""
    from hornbeam.saving.config import deserialize as from_config

    return from_config(config, custom_objects=custom_objects)
