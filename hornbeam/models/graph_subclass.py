"""Functional models of a user's class: the arguments to save, and the constructor's call."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from hornbeam import tree
from hornbeam.core.tensor import KerasTensor
from hornbeam.models.model import Model
from hornbeam.objects.constructor import (
    captured_arguments,
    constructor_arguments,
    constructor_config,
)

if TYPE_CHECKING:
    from hornbeam.models.functional import Functional

__all__ = ["make_from_graph", "own_arguments", "takes_graph", "user_class"]

Made = TypeVar("Made", bound="Functional")

_GRAPH = ("name", "trainable", "layers", "input_layers", "output_layers")


def user_class(model: Model) -> Any:
    """Return the class that the user wrote; an instance's own class may add `Functional` to it."""
    return getattr(type(model), "_of", type(model))


def takes_graph(model: Functional) -> bool:
    """Return whether the model's constructor received the graph; otherwise it made the graph."""
    return bool(_symbolic_arguments(model))


def _symbolic_arguments(model: Model) -> dict[str, Any]:
    return {
        name: value
        for name, value in captured_arguments(model).items()
        if any(isinstance(x, KerasTensor) for x in tree.flatten(value))
    }


def own_arguments(model: Functional) -> dict[str, Any]:
    """Return the constructor's arguments besides the graph, ready for JSON.

    Raises:
        ValueError: If the constructor computes a part of the graph from symbolic tensors, or an
            argument has the name of a part of the graph's configuration.
    """
    cls = user_class(model)
    graph = {id(x) for x in tree.flatten(model._given_graph)}
    symbolic = _symbolic_arguments(model)
    for name, value in symbolic.items():
        if not all(id(x) in graph for x in tree.flatten(value)):
            raise ValueError(
                f"{cls.__name__}: argument `{name}` is a symbolic tensor and neither the inputs"
                " nor the outputs of the model, so a file cannot hold it. Give the class"
                " `get_config` and `from_config`, or compute the outputs before the constructor."
            )
    skip = {*symbolic, "name", "trainable", "dtype", "inputs", "outputs", "input", "output"}
    own = constructor_config(model, Model, skip=skip)
    for name in set(own) & set(_GRAPH):
        raise ValueError(
            f"{cls.__name__}: the constructor's argument `{name}` has the name of a part of the"
            " saved graph. Rename the argument."
        )
    return own


def make_from_graph(cls: type[Made], inputs: Any, outputs: Any, config: dict[str, Any]) -> Made:
    """Return a model of class `cls` with a graph, made by the constructor of `cls`.

    Args:
        cls: `Functional` or a user's class.
        inputs, outputs: Symbolic tensors.
        config: The name, `trainable` and the constructor's own arguments, as JSON values.

    Raises:
        TypeError: If the constructor does not take the arguments, or makes another graph.
    """
    own = constructor_arguments({k: v for k, v in config.items() if k not in _GRAPH})
    name = config.get("name")
    made_by: Any = cls
    args, kwargs = _graph_arguments(cls, inputs, outputs, own)
    parameters = inspect.signature(cls.__init__).parameters
    if "name" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        kwargs["name"] = name
    try:
        model: Any = made_by(*args, **kwargs, **own)
    except TypeError as error:
        raise TypeError(f"{_cannot_make(cls)}: {error} {_REMEDY}") from error
    if len(getattr(model, "outputs", ())) != len(tree.flatten(outputs)):
        raise TypeError(f"{_cannot_make(cls)}: it made another graph. {_REMEDY}")
    if name is not None and model.name != name:
        model.name = model._path = name
    if config.get("trainable") is False:
        model._trainable = False
    return model


_REMEDY = (
    "Let `__init__` take `inputs`, `outputs`, its own arguments and `**kwargs`, and pass the graph"
    " and `**kwargs` to `super().__init__`; or give the class `get_config` and `from_config`."
)


def _cannot_make(cls: type) -> str:
    return f"{cls.__name__}: the constructor cannot make the model from the saved graph"


def _graph_arguments(
    cls: type, inputs: Any, outputs: Any, own: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the inputs and outputs as arguments of the constructor of `cls`."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    kinds = {p.kind for p in parameters}
    required = [
        p.name
        for p in parameters
        if p.name in names and p.default is p.empty and p.name not in own and p.name != "name"
    ]
    for pair in (["inputs", "outputs"], ["input", "output"], required):
        if len(pair) == 2 and set(pair) <= set(names):
            return (), dict(zip(pair, (inputs, outputs), strict=True))
    if inspect.Parameter.VAR_POSITIONAL in kinds and not names:
        return (inputs, outputs), {}
    return (), {"inputs": inputs, "outputs": outputs}
