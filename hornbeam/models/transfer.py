"""Networks for other tasks: freezing, features, and a new head."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hornbeam import errors, tree
from hornbeam.layers.arguments import positive_integer
from hornbeam.layers.conv import Conv1D, Conv2D, Conv3D
from hornbeam.layers.core import Dense
from hornbeam.layers.layer import Layer
from hornbeam.layers.pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
)
from hornbeam.layers.state import flatten_layers
from hornbeam.models.choice import Chosen, all_layers, check_model, matching, set_trainable
from hornbeam.models.functional import Functional
from hornbeam.models.model import Model
from hornbeam.models.sequential import Sequential
from hornbeam.typing import Tensor

__all__ = ["features", "freeze", "unfreeze", "with_head"]

_POOLINGS: dict[int, type[Layer]] = {
    3: GlobalAveragePooling1D,
    4: GlobalAveragePooling2D,
    5: GlobalAveragePooling3D,
}


def freeze(model: Model, layers: Chosen = None, *, until: str | int | None = None) -> list[Layer]:
    """Exclude layers from training, also inside nested models. Compile the model afterwards.

    A frozen `BatchNormalization` keeps its statistics.

    Args:
        model: The model.
        layers: The layers: objects, or regular expressions that are found in their names. Default:
            all.
        until: A depth: only layers before the one of this name, or with this number, are chosen.
            Negative numbers count from the end.

    Returns:
        The chosen layers.

    Raises:
        ValueError: If no layer is chosen, or the model has no such layer.

    Example:
        >>> import hornbeam as hb
        >>> names = ["conv_a", "conv_b", "head"]
        >>> model = hb.Sequential([hb.Input((4,)), *(hb.layers.Dense(4, name=n) for n in names)])
        >>> [layer.name for layer in freeze(model, "conv")]
        ['conv_a', 'conv_b']
        >>> len(model.trainable_variables)
        2
    """
    found = _chosen("freeze", model, layers, until)
    for layer in found:
        layer.trainable = False
    return found


def unfreeze(model: Model, layers: Chosen = None, *, until: str | int | None = None) -> list[Layer]:
    """Include layers in training again; the arguments and the result are those of `freeze`.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((4,)), hb.layers.Dense(4), hb.layers.Dense(2)])
        >>> model.trainable = False
        >>> _ = unfreeze(model, [model.layers[-1]])
        >>> len(model.trainable_variables)
        2
    """
    found = _chosen("unfreeze", model, layers, until)
    for layer in found:
        layer.trainable = True
    inside = {id(layer) for layer in found}
    flags = []
    for part in flatten_layers(model):
        below = all_layers(part) if isinstance(part, Model) else []
        # A frozen model would freeze all of its layers.
        flags.append((part, part.trainable or any(id(layer) in inside for layer in below)))
    set_trainable(flags)
    return found


def _chosen(function: str, model: Model, layers: Any, until: Any) -> list[Layer]:
    """Return the layers that the arguments choose."""
    check_model(function, model)
    known = all_layers(model)
    if until is not None:
        known = known[: _depth(function, model, known, until)]
    found = matching(function, model, known, layers)
    if not found:
        raise ValueError(
            f"{function}: `until`={until!r} leaves no layer of model '{model.name}' to choose from."
        )
    return found


def _depth(function: str, model: Model, known: list[Layer], until: Any) -> int:
    if isinstance(until, str):
        names = [layer.name for layer in known]
        if until not in names:
            raise errors.unknown_name(f"layer in model '{model.name}':", until, names)
        return names.index(until)
    if not isinstance(until, int) or isinstance(until, bool):
        raise ValueError(
            f"{function}: `until` must be a layer's name or number, received {until!r}."
        )
    return until


def features(model: Model, layers: str | Layer | Sequence[str | Layer]) -> Functional:
    """Return a model of the same layers and inputs that ends at the given layers.

    Args:
        model: A functional or sequential model.
        layers: Names of layers, or layers. The beginning of several names, such as `"block3"`,
            is the last of these layers. A list of them makes a list of outputs.

    Raises:
        ValueError: If the model has no such layer, or no graph.

    Example:
        >>> import hornbeam as hb
        >>> conv = [hb.layers.Conv2D(4, 3, name=f"block{n}_conv") for n in (1, 2)]
        >>> model = hb.Sequential([hb.Input((8, 8, 3)), *conv, hb.layers.Flatten()])
        >>> [x.shape for x in features(model, ["block1", "block2"]).outputs]
        [(None, 6, 6, 4), (None, 4, 4, 4)]
    """
    _check_graph("features", model)
    one = isinstance(layers, (str, Layer))
    names = [layers] if one else list(layers)  # type: ignore[arg-type]  # not a layer here
    if not names:
        raise ValueError("features: `layers` must have at least one name, received none.")
    outputs = [_output(model, name) for name in names]
    return Functional(_inputs(model), outputs[0] if one else outputs, name=f"{model.name}_features")


def _check_graph(function: str, model: Any) -> None:
    check_model(function, model)
    if not isinstance(model, (Functional, Sequential)):
        raise ValueError(
            f"{function}: model '{model.name}' is a {type(model).__name__}, whose `call` is not a"
            " graph of layers. Pass a functional or sequential model."
        )


def _inputs(model: Any) -> Any:
    return model.input if isinstance(model, Functional) else model.inputs[0]


def _output(model: Any, layer: Any) -> Tensor:
    """Return what a layer of the model computes, the last if it was called several times."""
    found = layer if isinstance(layer, Layer) else _named(model, layer)
    graph = Functional(_inputs(model), model.output) if isinstance(model, Sequential) else model
    calls = [node for node in graph.graph_nodes if node.operation is found]
    if not calls:
        raise ValueError(
            f"features: layer '{found.name}' is not one of model '{model.name}' itself. If it is"
            " inside a nested model, pass that model: `features(model.get_layer(name), ...)`."
        )
    return tree.only(calls[-1].outputs)


def _named(model: Model, name: Any) -> Layer:
    if not isinstance(name, str):
        raise ValueError(f"features: `layers` must be names or layers, received {name!r}.")
    exact = [layer for layer in model.layers if layer.name == name]
    # "block1" is not the beginning of "block10".
    begins = [x for x in model.layers if re.match(re.escape(name) + r"(?![0-9])", x.name)]
    if not exact and not begins:
        names = [layer.name for layer in model.layers]
        raise errors.unknown_name(f"layer in model '{model.name}':", name, names)
    return (exact or begins)[-1]


def with_head(
    model: Model,
    head: int | Layer | Sequence[Layer],
    *,
    activation: Any = "softmax",
    name: str | None = None,
) -> Functional:
    """Return a model with the same layers and weights, but another classifier at its end.

    The classifier of `model` is its last layer with weights, if that is a `Dense` layer or a 1x1
    convolution of one pixel; it and all after it are left out. A model without one keeps all of its
    layers. Images and sequences are then averaged (`GlobalAveragePooling2D` and its siblings).

    Args:
        model: A functional or sequential model with one input or several, and one output.
        head: The new classifier: a number of classes, a layer, or a list of layers.
        activation: Activation of the classifier, if `head` is a number.
        name: Name of the new model. Default: that of `model`.

    Raises:
        ValueError: If `model` has several outputs or no graph, or `head` is nothing of these.

    Example:
        >>> import hornbeam as hb
        >>> body = [hb.layers.Dense(8, activation="relu"), hb.layers.Dense(1000)]
        >>> model = with_head(hb.Sequential([hb.Input((4,)), *body]), 3)
        >>> model.output_shape, len(model.layers)
        ((None, 3), 3)
    """
    _check_graph("with_head", model)
    count = len(tree.flatten(model.output))
    if count != 1:
        raise ValueError(
            f"with_head: model '{model.name}' must have one output, received {count}."
            " Choose one by `features(model, name)` first."
        )
    x = _without_classifier(model)
    if len(x.shape) in _POOLINGS:
        x = _POOLINGS[len(x.shape)](name=_free("pool", model))(x)
    return Functional(_inputs(model), _head(head, activation, model)(x), name=name or model.name)


def _without_classifier(model: Any) -> Tensor:
    """Return the input of the classifier at the end of a model, or the output without one."""
    graph = Functional(_inputs(model), model.output) if isinstance(model, Sequential) else model
    x = graph.outputs[0]
    producer = {id(y): node for node in graph.graph_nodes for y in tree.flatten(node.outputs)}
    seen = x
    while (node := producer.get(id(seen))) is not None and len(node.inputs) == 1:
        operation = node.operation
        if isinstance(operation, Layer) and operation.weights:
            if isinstance(operation, Dense):
                return node.inputs[0]
            one = isinstance(operation, (Conv1D, Conv2D, Conv3D)) and set(
                operation.kernel_size
            ) == {1}
            return node.inputs[0] if one and len(x.shape) == 2 else x
        seen = node.inputs[0]
    return x


def _head(head: Any, activation: Any, model: Model) -> Any:
    if isinstance(head, Layer):
        return head
    if isinstance(head, (list, tuple)) and head and all(isinstance(x, Layer) for x in head):
        return Sequential(list(head), name=_free("head", model))
    if isinstance(head, (list, tuple, str)) or head is None or not hasattr(head, "__index__"):
        raise ValueError(
            "with_head: `head` must be a number of classes, a layer or a list of layers, received"
            f" {errors.describe(head)}."
        )
    count = positive_integer("with_head", "head", head)
    return Dense(count, activation=activation, name=_free("predictions", model))


def _free(name: str, model: Model) -> str:
    """Return a name that no layer of the model has."""
    taken = {layer.name for layer in model.layers}
    names = (name, *(f"{name}_{number}" for number in range(1, len(taken) + 2)))
    return next(x for x in names if x not in taken)
