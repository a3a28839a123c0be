"""Loss objects: the loss functions with reduction, sample weights and masks.

All take `reduction`, `name` and `dtype` as described at `Loss`; their other arguments are
those of the function of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hornbeam.core.naming import to_snake_case
from hornbeam.core.symbolic import any_symbolic, convert, set_mask
from hornbeam.losses import functions
from hornbeam.losses.loss import Loss
from hornbeam.losses.sequence import ctc

__all__ = [
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
    "KLDivergence",
    "LogCosh",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
]


class LossFunctionWrapper(Loss):
    """A loss function of your own as an object.

    Args:
        fn: Function of `(y_true, y_pred, **kwargs)` that gives one value a sample.
        reduction: How values become one number; see `Loss`.
        name: Name. Default: the function's.
        dtype: Dtype in which it is computed. Default: `floatx()`.
        **kwargs: Further arguments of `fn`.

    Example:
        >>> loss = LossFunctionWrapper(lambda t, p: (t - p) ** 4, name="quartic")
        >>> float(loss([1.0], [3.0]))
        16.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        from hornbeam.saving.config import serialize

        extra = {key: serialize(value) for key, value in self._fn_kwargs.items()}
        return {**super().get_config(), **extra}


class _Plain(Loss):
    """A loss whose function takes nothing but targets and predictions."""

    _function: Callable[..., Any]

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None):
        super().__init__(name or to_snake_case(type(self).__name__), reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return type(self)._function(y_true, y_pred)


class MeanSquaredError(_Plain):
    """Mean of the squared errors.

    Example:
        >>> float(MeanSquaredError()([[0.0, 1.0]], [[2.0, 1.0]]))
        2.0
    """

    _function = staticmethod(functions.mean_squared_error)


class MeanAbsoluteError(_Plain):
    """Mean of the absolute errors.

    Example:
        >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[2.0, 1.0]]))
        1.0
    """

    _function = staticmethod(functions.mean_absolute_error)


class MeanAbsolutePercentageError(_Plain):
    """Mean of the absolute errors in percent of the targets.

    Example:
        >>> float(MeanAbsolutePercentageError()([[2.0, 1.0]], [[1.0, 1.0]]))
        25.0
    """

    _function = staticmethod(functions.mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(_Plain):
    """Mean of the squared differences of logarithms.

    Example:
        >>> float(MeanSquaredLogarithmicError()([[1.0]], [[1.0]]))
        0.0
    """

    _function = staticmethod(functions.mean_squared_logarithmic_error)


class LogCosh(_Plain):
    """Mean of the logarithm of the errors' hyperbolic cosine.

    Example:
        >>> float(LogCosh()([[1.0]], [[1.0]]))
        0.0
    """

    _function = staticmethod(functions.log_cosh)


class Poisson(_Plain):
    """Negative log-likelihood of counts, up to a constant.

    Example:
        >>> float(Poisson()([[0.0]], [[1.0]]))
        1.0
    """

    _function = staticmethod(functions.poisson)


class Hinge(_Plain):
    """Margin loss for targets -1 and 1 (or 0 and 1).

    Example:
        >>> float(Hinge()([[-1.0, 1.0]], [[-1.0, 0.0]]))
        0.5
    """

    _function = staticmethod(functions.hinge)


class SquaredHinge(_Plain):
    """Squared margin loss for targets -1 and 1 (or 0 and 1).

    Example:
        >>> float(SquaredHinge()([[-1.0, 1.0]], [[-1.0, -1.0]]))
        2.0
    """

    _function = staticmethod(functions.squared_hinge)


class CategoricalHinge(_Plain):
    """Margin between the right class and the best wrong one.

    Example:
        >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]]))
        0.5
    """

    _function = staticmethod(functions.categorical_hinge)


class KLDivergence(_Plain):
    """Kullback-Leibler divergence of predicted from target distribution.

    Example:
        >>> float(KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]]))
        0.0
    """

    _function = staticmethod(functions.kl_divergence)


class Huber(Loss):
    """Squared error for small errors, absolute error for large ones.

    Args:
        delta: Where the parabola turns into the line.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(Huber()([[0.0, 0.0]], [[1.0, 3.0]])), 4)
        1.5
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.delta = delta

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.huber(y_true, y_pred, delta=self.delta)


class CosineSimilarity(Loss):
    """Minus the cosine between targets and predictions.

    Args:
        axis: Axis of the vectors.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]])), 4)
        -1.0
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.cosine_similarity(y_true, y_pred, axis=self.axis)


class BinaryCrossentropy(Loss):
    """Crossentropy of yes-or-no targets.

    Args:
        from_logits: Whether predictions still lack their sigmoid.
        label_smoothing: How far targets are drawn towards 0.5, from 0 to 1.
        axis: Axis over which the mean is taken.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(BinaryCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.binary_crossentropy(
            y_true,
            y_pred,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class BinaryFocalCrossentropy(Loss):
    """Binary crossentropy that plays easy examples down (Lin et al. 2017).

    Args:
        apply_class_balancing: Whether classes 1 and 0 weigh `alpha` and `1 - alpha`.
        alpha: Weight of class 1.
        gamma: How much easy examples are played down.
        from_logits: Whether predictions still lack their sigmoid.
        label_smoothing: How far targets are drawn towards 0.5, from 0 to 1.
        axis: Axis over which the mean is taken.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(BinaryFocalCrossentropy()([[1.0]], [[0.5]])), 4)
        0.1733
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.binary_focal_crossentropy(
            y_true,
            y_pred,
            apply_class_balancing=self.apply_class_balancing,
            alpha=self.alpha,
            gamma=self.gamma,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class CategoricalCrossentropy(Loss):
    """Crossentropy of one-hot targets.

    Args:
        from_logits: Whether predictions still lack their softmax.
        label_smoothing: How much of the target is spread over all classes, from 0 to 1.
        axis: Axis of the classes.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.categorical_crossentropy(
            y_true,
            y_pred,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class CategoricalFocalCrossentropy(Loss):
    """Crossentropy of one-hot targets that plays easy examples down (Lin et al. 2017).

    Args:
        alpha: Weight, one for all classes or one a class.
        gamma: How much easy examples are played down.
        from_logits: Whether predictions still lack their softmax.
        label_smoothing: How much of the target is spread over all classes, from 0 to 1.
        axis: Axis of the classes.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.0433
    """

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.categorical_focal_crossentropy(
            y_true,
            y_pred,
            alpha=self.alpha,
            gamma=self.gamma,
            from_logits=self.from_logits,
            label_smoothing=self.label_smoothing,
            axis=self.axis,
        )


class SparseCategoricalCrossentropy(Loss):
    """Crossentropy of class numbers.

    Args:
        from_logits: Whether predictions still lack their softmax.
        ignore_class: Class number whose samples give 0.
        axis: Axis of the classes.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        values = functions.sparse_categorical_crossentropy(
            y_true,
            y_pred,
            from_logits=self.from_logits,
            ignore_class=self.ignore_class,
            axis=self.axis,
        )
        if self.ignore_class is not None and not any_symbolic(values):
            # What is ignored does not count in the mean either.
            set_mask(values, jnp.reshape(convert(y_true), values.shape) != self.ignore_class)
        return values


class CategoricalGeneralizedCrossEntropy(Loss):
    """Crossentropy that withstands wrong labels (Zhang and Sabuncu 2018).

    Args:
        q: From 0 (crossentropy) to 1 (mean absolute error).
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]])), 4)
        1.0
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.q = q

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.categorical_generalized_cross_entropy(y_true, y_pred, q=self.q)


class Dice(Loss):
    """One minus the Dice overlap of two masks.

    Args:
        axis: Axes over which to sum. Default: all.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(Dice()([[1.0, 0.0]], [[1.0, 0.0]])), 4)
        0.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.dice(y_true, y_pred, axis=self.axis)


class Tversky(Loss):
    """One minus the Tversky overlap of two masks (Salehi et al. 2017).

    Args:
        alpha: Weight of what is in the target only.
        beta: Weight of what is predicted only.
        axis: Axes over which to sum. Default: all.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(Tversky()([[1.0, 0.0]], [[1.0, 0.0]])), 4)
        0.0
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.tversky(y_true, y_pred, alpha=self.alpha, beta=self.beta, axis=self.axis)


class Circle(Loss):
    """Draws embeddings of one class together, of different classes apart (Sun et al. 2020).

    Args:
        gamma: Scale of the similarities.
        margin: Margin of the decision boundary, from 0 to 1.
        remove_diagonal: Whether a sample is not compared with itself.
        reduction: How values become one number; see `Loss`.
        name: Name.
        dtype: Dtype in which it is computed. Default: `floatx()`.

    Example:
        >>> round(float(Circle()([0, 0], [[1.0, 0.0], [1.0, 0.0]])), 4)
        0.0
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return functions.circle(
            y_true,
            y_pred,
            gamma=self.gamma,
            margin=self.margin,
            remove_diagonal=self.remove_diagonal,
        )


class CTC(_Plain):
    """Connectionist temporal classification (Graves et al. 2006).

    Targets are class numbers padded with 0, shape `(B, N)`; predictions are scores, shape
    `(B, T, C)`, of which class 0 is the blank.

    Example:
        >>> import numpy as np
        >>> round(float(CTC()([[1, 2]], np.zeros((1, 3, 3), "float32"))), 4)
        1.6864
    """

    _function = staticmethod(ctc)
