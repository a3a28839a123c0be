"""Optimizers and learning-rate schedules."""

from typing import Any

from hornbeam.identifiers import find
from hornbeam.optimizers import legacy, schedules
from hornbeam.optimizers.adafactor import Adafactor
from hornbeam.optimizers.adam import Adam, Adamax, AdamW, Lamb, Lion, Nadam
from hornbeam.optimizers.gradient_descent import SGD, Adadelta, Adagrad, Ftrl, RMSprop
from hornbeam.optimizers.loss_scale import LossScaleOptimizer
from hornbeam.optimizers.multi import MultiOptimizer, OptimizerMap
from hornbeam.optimizers.muon import Muon
from hornbeam.optimizers.optax import OptaxOptimizer, is_transformation
from hornbeam.optimizers.optimizer import Optimizer
from hornbeam.optimizers.schedule_free import ScheduleFreeAdamW

__all__ = [
    "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion",
    "LossScaleOptimizer", "MultiOptimizer", "Muon", "Nadam", "OptaxOptimizer", "Optimizer", "OptimizerMap",
    "RMSprop", "ScheduleFreeAdamW", "deserialize", "get", "legacy", "schedules", "serialize",
]  # fmt: skip

# What a name alone can make.
_NAMES = {
    c.__name__.lower(): c
    for c in (
        SGD, Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, Muon, Nadam, RMSprop,
        ScheduleFreeAdamW,
    )
}  # fmt: skip


def get(identifier: Any) -> Any:
    """Return the optimizer that a name, config, class, object or Optax transformation stands for.

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> get("adam").name
        'adam'
    """
    if is_transformation(identifier):
        return OptaxOptimizer(identifier)
    return find("optimizer", identifier, Optimizer, _NAMES, takes_functions=False)


def serialize(optimizer: Any) -> Any:
    """Return the config of an optimizer, with its class, ready for JSON."""
    from hornbeam.saving.config import serialize as to_config

    return to_config(optimizer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """Return the optimizer of a config with its class."""
    from hornbeam.saving.config import deserialize as from_config

    return from_config(config, custom_objects=custom_objects)
