"""The front of a graph: its layers that run on the host, such as those that take text."""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbeam import tree
from hornbeam.core.graph import Node
from hornbeam.core.sparse import as_dense, is_sparse
from hornbeam.core.tensor import KerasTensor
from hornbeam.layers.layer import Layer
from hornbeam.layers.preprocessing.text import TextLayer
from hornbeam.models.graph import Graph

__all__ = ["Front", "needs_front"]


def needs_front(graph: Graph) -> bool:
    """Return whether a graph has inputs of text, or layers that run on the host only."""
    return any(x.dtype == "string" for x in graph.inputs) or any(
        _needs_host(node) for node in graph.nodes
    )


class Front:
    """A graph, cut where its layers for the host end.

    These are the layers that take text or hash numbers, and all that come before them.

    Args:
        graph: The graph of a model.
        label: The model, for errors.

    Attributes:
        names: Names of the tensors at the cut: the inputs that are numbers, and what the layers
            of the front return to the others.

    Raises:
        ValueError: If something other than a layer for text takes text, an output is text, or a
            layer of the front has weights to train.
    """

    def __init__(self, graph: Graph, label: str):
        for node in graph.nodes:
            takes_text = any(x.dtype == "string" for x in node.inputs)
            if takes_text and not isinstance(node.operation, TextLayer):
                raise ValueError(
                    f"{label}: '{node.operation.name}' gets text, but only layers for text take it,"
                    " such as `TextVectorization` and `StringLookup`."
                )
        if any(x.dtype == "string" for x in graph.outputs):
            raise ValueError(
                f"{label}: an output is text, which a compiled step cannot return. Call the model"
                " itself on the data, or turn indices into text after `predict`."
            )
        front = _nodes_of_front(graph)
        for node in front.values():
            if isinstance(node.operation, Layer) and node.operation.trainable_variables:
                raise ValueError(
                    f"{label}: '{node.operation.name}' comes before a layer that runs on the host,"
                    " so its weights cannot be trained. Set `trainable = False` for it, or move"
                    " the layer for the host before it."
                )
        cut = {id(x): x for x in graph.inputs if x.dtype != "string"}
        used = {id(x) for node in graph.nodes if id(node) not in front for x in node.inputs}
        used |= {id(x) for x in graph.outputs}
        for node in front.values():
            for x in tree.flatten(node.outputs):
                if id(x) in used or isinstance(node.operation, TextLayer) and x.dtype != "string":
                    cut[id(x)] = x
        self._cut: list[KerasTensor] = list(cut.values())
        self._front = Graph(graph.inputs, self._cut)
        self._rest: dict[int, tuple[Graph, Graph]] = {}
        self.names = [f"{number}: {x.name}" for number, x in enumerate(self._cut)]

    def run(self, values: list[Any]) -> dict[str, np.ndarray]:
        """Return the arrays at the cut by name, for values of the graph's inputs."""
        arrays = [np.asarray(as_dense(x) if is_sparse(x) else x) for x in self._front.run(values)]
        return dict(zip(self.names, arrays, strict=True))

    def fits(self, inputs: Any) -> bool:
        """Return whether `inputs` are a result of `run`."""
        return isinstance(inputs, dict) and list(inputs) == self.names

    def rest(self, graph: Graph, inputs: dict[str, Any]) -> list[Any]:
        """Return the outputs of `graph`, which has the same inputs, for a result of `run`."""
        if id(graph) not in self._rest:
            self._rest[id(graph)] = graph, Graph(self._cut, graph.outputs)
        return self._rest[id(graph)][1].run([inputs[name] for name in self.names])


def _needs_host(node: Node) -> bool:
    return isinstance(node.operation, TextLayer) and node.operation.needs_host


def _nodes_of_front(graph: Graph) -> dict[int, Node]:
    """Return the nodes that take text or need the host, and all before them, in order."""
    chosen: set[int] = set()
    needed: set[int] = set()  # tensors that a chosen node takes
    for node in reversed(graph.nodes):
        makes = any(id(x) in needed for x in tree.flatten(node.outputs))
        takes_text = any(x.dtype == "string" for x in node.inputs)
        if node.inputs and (makes or takes_text or _needs_host(node)):
            chosen.add(id(node))
            needed.update(id(x) for x in node.inputs)
    return {id(node): node for node in graph.nodes if id(node) in chosen}
