"""Losses: functions of `(y_true, y_pred)`, and objects that add reduction and weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hornbeam.identifiers import find
from hornbeam.losses.loss import Loss, LossFunctionWrapper
from hornbeam.losses.margins import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from hornbeam.losses.probabilities import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    KLDivergence,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    kl_divergence,
    sparse_categorical_crossentropy,
)
from hornbeam.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from hornbeam.losses.structured import (
    CTC,
    Circle,
    Dice,
    Tversky,
    circle,
    ctc,
    dice,
    tversky,
)

__all__ = [
    "BCE",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CTC",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLD",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "bce",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_proximity",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "huber_loss",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

# Names of Keras 1 and 2, and the short ones.
mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
bce = BCE = binary_crossentropy
kld = KLD = kullback_leibler_divergence = kl_divergence
logcosh = log_cosh
huber_loss = huber
cosine_proximity = cosine_similarity

_CLASSES: dict[str, type[Loss]] = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, type) and issubclass(value, Loss) and value not in (Loss, LossFunctionWrapper)
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: globals()[name]
    for name in __all__
    if name not in _CLASSES and name not in ("Loss", "get", "serialize", "deserialize")
}
_FUNCTIONS |= {"cosine": cosine_similarity, "KL_divergence": kl_divergence, "logCosh": log_cosh}


def get(identifier: Any) -> Any:
    """Return the loss that a name, config, class, function or object stands for.

    Args:
        identifier: None (gives None), a name in any of Keras's spellings (`"mse"`,
            `"mean_squared_error"` give the function, `"MeanSquaredError"` an object), a
            config, a `Loss` class or object, or a function.

    Raises:
        ValueError: If a name is unknown.

    Example:
        >>> get("mse").__name__, get("Huber").delta
        ('mean_squared_error', 1.0)
    """
    return find("loss", identifier, Loss, _FUNCTIONS, _CLASSES)


def serialize(loss: Any) -> Any:
    """Return the config of a loss, with its class, ready for JSON.

    Example:
        >>> serialize(Huber())["class_name"]
        'Huber'
    """
    from hornbeam.saving.config import serialize as to_config

    return to_config(loss)


def deserialize(name: Any, custom_objects: Any = None) -> Any:
    """Return the loss of a config or a name.

    Example:
        >>> deserialize(serialize(Huber(delta=2.0))).delta
        2.0
    """
    from hornbeam.saving.config import custom_object_scope

    with custom_object_scope(custom_objects or {}):
        return get(name)
