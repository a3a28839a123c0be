"""Diagrams of models: layers as boxes, and arrows for what they pass on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hornbeam import errors, tree
from hornbeam.core.graph import nodes_of
from hornbeam.core.op import OpCall
from hornbeam.drawing import Arrow, Box, Diagram
from hornbeam.layers.input_layer import InputLayer
from hornbeam.layers.layer import Layer
from hornbeam.layers.shapes import shape_of
from hornbeam.layers.state import output_shapes_of_call, own_variables

__all__ = ["Shown", "diagram_of"]


@dataclass
class Shown:
    """What the boxes of a diagram show; see `hornbeam.utils.plot_model`."""

    names: bool = True
    shapes: bool = False
    dtypes: bool = False
    activations: bool = False
    trainable: bool = False
    expand: bool = False


def diagram_of(
    model: Any, shown: Shown | None = None, layer_range: Sequence[str] | None = None
) -> Diagram:
    """Return the diagram of a model.

    Args:
        model: The model. Of one that is neither functional nor sequential, there are no arrows.
        shown: What the boxes show.
        layer_range: Names, or regular expressions, of the first and the last layer.

    Raises:
        ValueError: If `layer_range` names no layer.
    """
    shown = Shown() if shown is None else shown
    layers = _in_range(_members(model), layer_range)
    known = {id(layer) for layer in layers}
    boxes = [_box(layer, shown) for layer in layers]
    inside = {box.key for box in boxes if box.inside is not None}
    arrows: dict[tuple[str, str, int, int], Arrow] = {}
    for start, end, output, into in _links(model, layers):
        if id(start) in known and id(end) in known:
            ends = _key(start), _key(end)
            ports = output if ends[0] in inside else 0, into if ends[1] in inside else 0
            arrows.setdefault((*ends, *ports), Arrow(*ends, *ports))
    return Diagram(boxes, list(arrows.values()), *_ends(model, layers))


def _key(layer: Any) -> str:
    return str(id(layer))


def _is_graph(model: Any) -> bool:
    return hasattr(model, "graph_nodes")


def _members(model: Any) -> list[Any]:
    """Return the layers of a model, with the ops of a graph and the input of a chain."""
    if _is_graph(model):
        return list(model.operations)
    if hasattr(model, "add") and model.inputs:  # a Sequential
        source = model.inputs[0].history[0].operation
        first = [source] if isinstance(source, InputLayer) and source not in model.layers else []
        return [*first, *model.layers]
    return list(model.layers)


def _in_range(layers: list[Any], layer_range: Sequence[str] | None) -> list[Any]:
    if layer_range is None:
        return layers
    if isinstance(layer_range, str) or len(layer_range) != 2:
        raise ValueError(
            "plot_model: `layer_range` must hold two names, of the first and the last layer,"
            f" received {layer_range!r}."
        )
    ends = []
    for pattern in layer_range:
        found = [
            i for i, layer in enumerate(layers)
            if layer.name == pattern or _matches(pattern, layer.name)
        ]  # fmt: skip
        if not found:
            raise errors.unknown_name("layer of `layer_range`", pattern, [x.name for x in layers])
        ends.append(found)
    first, last = ends[0][0], ends[-1][-1]
    return layers[min(first, last) : max(first, last) + 1]


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:  # a name that is no regular expression
        return False


def _links(model: Any, layers: list[Any]) -> list[tuple[Any, Any, int, int]]:
    """Return pairs of layers of which the second takes an output of the first, with the number of
    the output and of the input.
    """
    if not _is_graph(model):
        chain = zip(layers, layers[1:], strict=False) if hasattr(model, "add") else ()
        return [(a, b, 0, 0) for a, b in chain]
    nodes = model.graph_nodes
    members = {id(node) for node in nodes}
    return [
        (x.history[0].operation, node.operation, x.history[1], number)
        for node in nodes
        for number, x in enumerate(node.inputs)
        if x.history is not None and id(x.history[0]) in members
    ]


def _makers(tensors: Any) -> list[str]:
    """Return the keys of the layers that made tensors."""
    return [_key(x.history[0].operation) for x in tree.flatten(tensors)]


def _ends(model: Any, layers: list[Any]) -> tuple[list[str], list[str]]:
    """Return the keys of the boxes where data enter and leave."""
    if _is_graph(model):
        return _makers(model.inputs), _makers(model.outputs)
    if hasattr(model, "add") and layers:
        return [_key(layers[0])], [_key(layers[-1])]
    return [], []


def _box(layer: Any, shown: Shown) -> Box:
    kind = layer.info.class_name if isinstance(layer, OpCall) else type(layer).__name__
    title = f"{layer.name} ({kind})" if shown.names else kind
    if shown.expand and hasattr(layer, "layers") and _members(layer):
        return Box(_key(layer), layer.name, inside=diagram_of(layer, shown))
    return Box(_key(layer), title, _rows(layer, shown), _color(layer))


def _color(layer: Any) -> str:
    if isinstance(layer, InputLayer):
        return "input"
    if not _has_weights(layer):
        return "plain"
    return "weights" if layer.trainable else "frozen"


def _has_weights(layer: Any) -> bool:
    return isinstance(layer, Layer) and bool(own_variables(layer) or layer.weights)


def _rows(layer: Any, shown: Shown) -> list[tuple[str, str]]:
    rows = []
    nodes = nodes_of(layer)
    activation = getattr(layer, "activation", None)
    if shown.activations and activation is not None:
        name = getattr(activation, "__name__", None) or type(activation).__name__
        rows.append(("Activation:", name))
    if shown.shapes:
        if nodes:
            inputs = [x.shape for x in nodes[0].inputs]
            made = shape_of(nodes[0].outputs)
            given = inputs[0] if len(inputs) == 1 else inputs or made
            rows += [("Input:", str(given)), ("Output:", str(made))]
        elif found := output_shapes_of_call(layer):
            rows.append(("Output:", ", ".join(map(str, found))))
    if shown.dtypes:
        kinds = [x.dtype for x in tree.flatten(nodes[0].outputs)] if nodes else [
            getattr(layer, "compute_dtype", "?")
        ]  # fmt: skip
        rows.append(("Dtype:", ", ".join(kinds)))
    if shown.trainable and _has_weights(layer):
        rows.append(("Trainable:", "yes" if layer.trainable else "no"))
    return rows
