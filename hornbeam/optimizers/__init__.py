"""Optimizers and learning-rate schedules."""

from typing import Any

from hornbeam import errors
from hornbeam.optimizers import schedules
from hornbeam.optimizers.loss_scale import LossScaleOptimizer
from hornbeam.optimizers.optimizer import Optimizer
from hornbeam.optimizers.rules import SGD, Adam, AdamW, RMSprop

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "LossScaleOptimizer",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_NAMES = {c.__name__.lower(): c for c in (SGD, Adam, AdamW, RMSprop)}


def get(identifier: Any) -> Any:
    """Return the optimizer that a name, config, class or object stands for.

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> get("adam").name
        'adam'
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        from hornbeam.saving.config import get_registered_object

        found = _NAMES.get(identifier.lower()) or get_registered_object(identifier)
        if found is None:
            raise errors.unknown_name("optimizer", identifier, _NAMES)
        return found()
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    raise ValueError(f"Expected an optimizer's name or object, received {identifier!r}.")


def serialize(optimizer: Any) -> Any:
    """Return the config of an optimizer, with its class, ready for JSON."""
    from hornbeam.saving.config import serialize as to_config

    return to_config(optimizer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the optimizer of a config with its class."""
    from hornbeam.saving.config import deserialize as from_config

    return from_config(config, custom_objects=custom_objects)
