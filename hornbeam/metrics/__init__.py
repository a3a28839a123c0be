"""Metrics: values that accumulate over batches, and the functions they are means of."""

from __future__ import annotations

from typing import Any

from hornbeam.core.naming import to_snake_case
from hornbeam.losses import (
    BCE,
    KLD,
    MAE,
    MAPE,
    MSE,
    MSLE,
    bce,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    cosine_proximity,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    kld,
    kullback_leibler_divergence,
    log_cosh,
    logcosh,
    mae,
    mape,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    mse,
    msle,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from hornbeam.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from hornbeam.metrics.confusion import (
    AUC,
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from hornbeam.metrics.f_score import F1Score, FBetaScore
from hornbeam.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from hornbeam.metrics.metric import Metric
from hornbeam.metrics.reduction import Mean, MeanMetricWrapper, Sum
from hornbeam.metrics.regression import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    ConcordanceCorrelation,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    Poisson,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    concordance_correlation,
    pearson_correlation,
)
from hornbeam.objects.family import Family

__all__ = [
    "AUC",
    "Accuracy",
    "BCE",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLD",
    "KLDivergence",
    "LogCoshError",
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "accuracy",
    "bce",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "cosine_proximity",
    "cosine_similarity",
    "deserialize",
    "get",
    "hinge",
    "huber",
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
    "pearson_correlation",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]

_CLASSES: dict[str, type[Metric]] = {
    name: value
    for name, value in list(globals().items())
    if isinstance(value, type) and issubclass(value, Metric) and value is not Metric
}
_NAMES: dict[str, type[Metric]] = {
    **{to_snake_case(name): cls for name, cls in _CLASSES.items()},
    "acc": Accuracy, "auc": AUC, "bce": BinaryCrossentropy, "cosine": CosineSimilarity,
    "cosine_proximity": CosineSimilarity, "f1": F1Score, "fbeta_score": FBetaScore,
    "kld": KLDivergence, "kullback_leibler_divergence": KLDivergence, "log_cosh": LogCoshError,
    "logcosh": LogCoshError, "mae": MeanAbsoluteError, "mape": MeanAbsolutePercentageError,
    "mean_iou": MeanIoU, "mse": MeanSquaredError, "msle": MeanSquaredLogarithmicError,
    "r2": R2Score, "rmse": RootMeanSquaredError, "top_k_accuracy": TopKCategoricalAccuracy,
}  # fmt: skip
_FUNCTIONS = {
    name: globals()[name] for name in __all__
    if name not in _CLASSES and name[0].islower()
    and name not in ("get", "serialize", "deserialize")
}  # fmt: skip


def _made(found: Any) -> Any:
    if not isinstance(found, type):
        return found
    try:
        return found()
    except TypeError as error:
        raise ValueError(
            f"The metric {found.__name__} needs arguments: pass an object of it, not its name."
            f" ({error})"
        ) from None


METRICS = Family(
    "metric",
    Metric,
    "keras.metrics",
    globals(),
    names={**_FUNCTIONS, **_NAMES, **_CLASSES},
    make=_made,
)
get, serialize, deserialize = METRICS.functions(
    "metric",
    """
>>> get("mse").name, deserialize(serialize(get("AUC"))).num_thresholds
('mean_squared_error', 200)
""",
)
