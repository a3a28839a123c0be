"""Knowledge distillation: training a small model on the outputs of a large model."""

from hornbeam.distillation.distillation_loss import (
    DistillationLoss,
    FeatureDistillation,
    LogitsDistillation,
)
from hornbeam.distillation.distiller import Distiller
from hornbeam.objects.family import Family

__all__ = ["DistillationLoss", "Distiller", "FeatureDistillation", "LogitsDistillation"]

DISTILLATION = Family(
    "distillation", (DistillationLoss, Distiller), "keras.distillation", globals(),
    takes_functions=False,
)  # fmt: skip
