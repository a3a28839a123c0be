"""Checks of the arguments of `compile`: losses, metrics, the distribution, learning rates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hornbeam import errors, losses
from hornbeam.core.placement import PLACEMENTS, Placement
from hornbeam.layers.explain import UNTRACEABLE, untraceable
from hornbeam.optimizers.rates import check_matches
from hornbeam.training.metric_choice import NAMES_BY_SHAPE, metric_by_name

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = [
    "check_function", "check_loss_name", "chosen_distribution", "explained", "not_a_loss",
    "set_learning_rates",
]  # fmt: skip


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Explain errors of user code that cannot be traced."""
    try:
        yield
    except UNTRACEABLE as error:
        raise TypeError(
            f"compile: {untraceable(error, what)} Or pass `run_eagerly=True` to `compile`."
        ) from None


def check_loss_name(name: str) -> None:
    """Raise for an unknown loss; say so if it is a metric."""
    try:
        losses.get(name)
    except ValueError as error:
        try:
            is_metric = name in NAMES_BY_SHAPE or metric_by_name(name) is not None
        except ValueError:
            raise error from None
        if is_metric:
            raise ValueError(not_a_loss(name)) from None


def not_a_loss(name: str) -> str:
    """Return the error for a metric as loss."""
    return (
        f"compile: `loss` is {name!r}, which is a metric and has no useful gradient. Pass"
        f" `metrics=[{name!r}]`, and as loss 'binary_crossentropy' for one sigmoid unit,"
        " 'sparse_categorical_crossentropy' for class numbers, or 'mse' for numbers."
    )


# Functions of these packages need values, which a compiled step does not have.
_OF_VALUES = ("numpy", "pandas", "scipy", "sklearn")


def check_function(kind: str, function: Any, run_eagerly: bool) -> None:
    """Raise for a function of NumPy or scikit-learn in compiled steps."""
    name = getattr(function, "__name__", type(function).__name__)
    package = str(getattr(function, "__module__", None) or type(function).__module__)
    package = package.partition(".")[0]
    if package in _OF_VALUES and not run_eagerly:
        remedy = (
            "Use a name such as 'mse', or a function written with `hornbeam.ops`"
            if kind == "loss"
            else "Use a metric of `hornbeam.metrics`, compute it from `model.predict` after the"
            " training, or pass `run_eagerly=True`"
        )
        raise ValueError(
            f"compile: `{kind}` holds the function {name} of {package}, which needs values, but"
            f" steps are compiled and tensors have no values there. {remedy}."
        )


def chosen_distribution(value: Any, model: Trainable) -> Placement | None:
    """Return the distribution of the argument `distribution` of `compile`."""
    if value is None or hasattr(value, "variable_sharding"):
        return value
    if not isinstance(value, str) or value not in PLACEMENTS:
        raise ValueError(
            "compile: `distribution` must be a Distribution, None, or one of"
            f" {errors.listed(PLACEMENTS)}; received {errors.describe(value)}."
        )
    return PLACEMENTS[value](model)


def set_learning_rates(
    model: Trainable, optimizer: Any, factors: Mapping[str, float] | None
) -> None:
    """Give an optimizer the argument `learning_rates` of `compile`.

    Raises:
        ValueError: If a factor is negative, or a pattern is found in no path of a built model.
    """
    if factors is None:
        return
    if optimizer is None:
        raise ValueError("compile: `learning_rates` needs an `optimizer`, received None.")
    optimizer.learning_rates = factors
    if model.built:
        check_matches("compile", factors, model.variables)
