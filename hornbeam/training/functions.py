"""Steps as functions of an iterator: what `Model.make_train_function` and its siblings give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hornbeam.core.variable import Variable

__all__ = ["make_function", "own_function", "state_groups"]


def make_function(model: Any, kind: str, force: bool = False) -> Callable[..., Any]:
    """Return the function of one step of a model, and keep it in the attribute that Keras has for it.

    Args:
        model: The model.
        kind: `"train"`, `"test"` or `"predict"`.
        force: Whether it is made anew where it was made before.
    """
    from hornbeam.training.loop import steps_for

    attribute = f"{kind}_function"
    known = getattr(model, attribute, None)
    if known is not None and not force:
        return known

    def function(*arguments: Any) -> Any:
        if len(arguments) not in (1, 2):
            raise TypeError(
                f"{attribute} takes an iterator, or a state and an iterator; received {len(arguments)} arguments."
            )
        groups = []
        if len(arguments) == 2:
            groups = state_groups(model, kind)
            set_state(attribute, groups, arguments[0])
        batch = next(arguments[-1] if isinstance(arguments[-1], Iterator) else iter(arguments[-1]))
        results = steps_for(model, kind, keep_all=True, own=False).once(batch)
        return (results, tuple([v.value for v in group] for group in groups)) if groups else results

    if kind != "predict":
        model._need_compiled(f"make_{attribute}")
    setattr(model, attribute, function)
    return function


def own_function(model: Any, kind: str) -> Callable[[Any], Any] | None:
    """Return the step of a subclass that overrides `make_train_function` or a sibling; `None` if it does not."""
    from hornbeam.models.model import Model

    method = f"make_{kind}_function"
    if getattr(type(model), method) is getattr(Model, method):
        return None
    made = getattr(model, method)()
    function = made if callable(made) else getattr(model, f"{kind}_function")
    return lambda batch: function(iter([batch]))


def state_groups(model: Any, kind: str) -> list[list[Variable]]:
    """Return the variables whose values make up the state that a step of Keras's form for JAX takes and returns."""
    groups = [model.trainable_variables, model.non_trainable_variables]
    if kind == "train":
        if model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
        groups.append(model.optimizer.variables if model.optimizer is not None else [])
    if kind != "predict":
        groups.append(model.metrics_variables)
    return groups


def set_state(owner: str, groups: list[list[Variable]], state: Any) -> None:
    """Assign values to variables, group by group.

    Raises:
        ValueError: If their number does not fit.
    """
    numbers = [len(values) for values in state]
    if numbers != [len(group) for group in groups]:
        raise ValueError(f"{owner}: the state must hold {[len(g) for g in groups]} values, received {numbers}.")
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
