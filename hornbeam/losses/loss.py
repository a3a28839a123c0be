"""Losses as objects: a function of `(y_true, y_pred)` with a reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hornbeam import tree
from hornbeam.core.naming import to_snake_case
from hornbeam.core.symbolic import convert, get_mask
from hornbeam.dtypes import get_policy
from hornbeam.losses import functions

__all__ = [
    "BinaryCrossentropy", "CategoricalCrossentropy", "Huber", "Loss", "MeanAbsoluteError", "MeanAbsolutePercentageError",
    "MeanSquaredError", "MeanSquaredLogarithmicError", "SparseCategoricalCrossentropy", "reduce_weighted",
]  # fmt: skip

_REDUCTIONS = ("sum_over_batch_size", "sum", "none", "mean", "mean_with_sample_weight")


class Loss:
    """Base of losses; subclasses implement `call(y_true, y_pred)`, which gives a value a sample.

    Args:
        name: Name.
        reduction: `"sum_over_batch_size"` (mean over samples), `"sum"`, `"mean"`, `"mean_with_sample_weight"` or `None`.
        dtype: Dtype of the arithmetic. Default: `floatx()`.

    Example:
        >>> class Difference(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return jnp.mean(y_pred - y_true, axis=-1)
        >>> float(Difference()([[0.0]], [[2.0]]))
        2.0
    """

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        self.name = name or to_snake_case(type(self).__name__)
        reduction = "none" if reduction is None else {"auto": "sum_over_batch_size"}.get(reduction, reduction)
        if reduction not in _REDUCTIONS:
            raise ValueError(f"{type(self).__name__}: `reduction` must be one of {_REDUCTIONS}, received {reduction!r}.")
        self.reduction = reduction
        self.dtype_policy = get_policy(dtype)

    @property
    def dtype(self) -> str:
        """Dtype of the arithmetic."""
        compute = self.dtype_policy.compute_dtype
        return "float32" if compute in ("float16", "bfloat16") and self.dtype_policy.name.startswith("mixed") else compute

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        mask = next((get_mask(x) for x in tree.flatten(y_pred) if get_mask(x) is not None), None)
        y_true = tree.map_structure(convert, y_true)
        y_pred = tree.map_structure(lambda x: convert(x, self.dtype), y_pred)
        values = self.call(y_true, y_pred)
        return reduce_weighted(values, sample_weight, mask, self.reduction, self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return a value a sample."""
        raise NotImplementedError(f"{type(self).__name__} must implement `call(y_true, y_pred)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        from hornbeam.saving.config import constructor_config

        return {"name": self.name, "reduction": self.reduction, **constructor_config(self, Loss, skip=("name", "reduction", "dtype"))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a loss from what `get_config` returned."""
        config = dict(config)
        config.pop("fn", None)
        return cls(**config)


def reduce_weighted(values: Any, sample_weight: Any, mask: Any, reduction: str, dtype: str = "float32") -> Any:
    """Multiply values by weights and masks and reduce them.

    Args:
        values: Value a sample (and time step), shape (B, ...).
        sample_weight: Weights of the first axes of `values`.
        mask: Booleans of the first axes; masked values do not count in means.
        reduction: Name.
        dtype: Dtype of the result.

    Raises:
        ValueError: If the weights' shape does not fit.
    """
    values = jnp.asarray(values, dtype)
    weights = None
    if sample_weight is not None:
        weights = _align(convert(sample_weight).astype(dtype), values, "sample_weight")
    if mask is not None:
        mask = _align(convert(mask).astype(dtype), values, "mask")
        total, valid = mask.size, jnp.sum(mask)
        if reduction in ("mean", "sum_over_batch_size"):
            # The mean is over what is not masked.
            mask = mask * (total / jnp.maximum(valid, 1e-7))
        weights = mask if weights is None else weights * mask
    if weights is not None:
        values = values * weights
    if reduction == "none":
        return values
    total_value = jnp.sum(values)
    if reduction == "sum":
        return total_value
    if reduction == "mean_with_sample_weight" and weights is not None:
        return total_value / jnp.maximum(jnp.sum(jnp.broadcast_to(weights, values.shape)), 1e-7)
    return total_value / max(values.size, 1)


def _align(weights: Any, values: Any, what: str) -> Any:
    if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    if weights.ndim > values.ndim or any(
        a not in (b, 1) for a, b in zip(weights.shape, values.shape, strict=False)
    ):
        raise ValueError(
            f"`{what}` of shape {weights.shape} does not fit losses of shape {values.shape}; it must have their first axes."
        )
    return weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))


def _loss(function: Callable[..., Any], name: str, text: str, example: str, **defaults: Any) -> type:
    """Make the class around a function; `defaults` are its further arguments."""
    import inspect

    def call(self: Any, y_true: Any, y_pred: Any) -> Any:
        return function(y_true, y_pred, **{key: getattr(self, key) for key in defaults})

    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    everything = {**defaults, "reduction": "sum_over_batch_size", "name": function.__name__, "dtype": None}
    if function is functions.huber:
        everything["name"] = "huber_loss"
    if function is functions.sparse_categorical_crossentropy:
        everything = {"ignore_class": everything.pop("ignore_class"), **everything}
        everything = {"from_logits": everything.pop("from_logits"), **everything}
    parameters += [inspect.Parameter(k, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=v) for k, v in everything.items()]
    signature = inspect.Signature(parameters)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}: {error}.") from None
        bound.apply_defaults()
        values = dict(bound.arguments)
        values.pop("self")
        Loss.__init__(self, values.pop("name"), values.pop("reduction"), values.pop("dtype"))
        for key, value in values.items():
            setattr(self, key, value)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    doc = f"""{text}

    `{function.__name__}` with a reduction; its arguments are that function's and those of `Loss`.

    Example:
        >>> {example}
    """
    return type(name, (Loss,), {"__init__": __init__, "call": call, "__doc__": doc, "__module__": __name__})


MeanSquaredError = _loss(functions.mean_squared_error, "MeanSquaredError", "Mean of squared errors.", "float(MeanSquaredError()([[0.0]], [[2.0]]))\n        4.0")
MeanAbsoluteError = _loss(functions.mean_absolute_error, "MeanAbsoluteError", "Mean of absolute errors.", "float(MeanAbsoluteError()([[0.0]], [[2.0]]))\n        2.0")
MeanAbsolutePercentageError = _loss(functions.mean_absolute_percentage_error, "MeanAbsolutePercentageError", "Mean of errors relative to the target, in percent.", "float(MeanAbsolutePercentageError()([[2.0]], [[1.0]]))\n        50.0")
MeanSquaredLogarithmicError = _loss(functions.mean_squared_logarithmic_error, "MeanSquaredLogarithmicError", "Mean of squared errors of logarithms.", "float(MeanSquaredLogarithmicError()([[0.0]], [[0.0]]))\n        0.0")
Huber = _loss(functions.huber, "Huber", "Squared error within `delta`, linear beyond.", "float(Huber()([[0.0]], [[2.0]]))\n        1.5", delta=1.0)
BinaryCrossentropy = _loss(functions.binary_crossentropy, "BinaryCrossentropy", "Crossentropy of yes-or-no targets.", "round(float(BinaryCrossentropy()([[1.0]], [[0.5]])), 4)\n        0.6931", from_logits=False, label_smoothing=0.0, axis=-1)
CategoricalCrossentropy = _loss(functions.categorical_crossentropy, "CategoricalCrossentropy", "Crossentropy of one-hot targets.", "round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)\n        0.6931", from_logits=False, label_smoothing=0.0, axis=-1)
SparseCategoricalCrossentropy = _loss(functions.sparse_categorical_crossentropy, "SparseCategoricalCrossentropy", "Crossentropy of class numbers.", "round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)\n        0.6931", from_logits=False, ignore_class=None, axis=-1)
