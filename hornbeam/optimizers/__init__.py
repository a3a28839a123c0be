"""Optimizers and learning-rate schedules."""

from typing import Any

from hornbeam.objects.family import Family
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
    "LossScaleOptimizer", "MultiOptimizer", "Muon", "Nadam", "OptaxOptimizer", "Optimizer",
    "OptimizerMap", "RMSprop", "ScheduleFreeAdamW", "deserialize", "get", "legacy", "schedules",
    "serialize",
]  # fmt: skip

# What a name alone can make.
_NAMES = {
    c.__name__.lower(): c
    for c in (
        SGD, Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, Muon, Nadam,
        RMSprop, ScheduleFreeAdamW,
    )
}  # fmt: skip


class _Optimizers(Family):
    def get(self, identifier: Any, **arguments: Any) -> Any:
        if is_transformation(identifier):
            return OptaxOptimizer(identifier)
        return super().get(identifier, **arguments)


OPTIMIZERS = _Optimizers(
    "optimizer", Optimizer, "keras.optimizers", globals(), names=_NAMES, takes_functions=False
)
get, serialize, deserialize = OPTIMIZERS.functions(
    "optimizer",
    """
>>> type(deserialize(serialize(get("adam")))).__name__
'Adam'
""",
)
