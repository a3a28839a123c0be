"""The front of a graph: its layers that take text, which run on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbeam import tree
from hornbeam.core.tensor import KerasTensor
from hornbeam.layers.preprocessing.text import TextLayer
from hornbeam.models.graph import Graph

__all__ = ["Front"]


class Front:
    """A graph, cut where its text ends.

    Args:
        graph: The graph of a model with inputs of text.
        label: The model, for errors.

    Attributes:
        names: Names of the tensors at the cut: the inputs that are numbers, and what the layers
            that take text return.

    Raises:
        ValueError: If something other than a layer for text takes text, or an output is text.
    """

    def __init__(self, graph: Graph, label: str):
        cut = [x for x in graph.inputs if x.dtype != "string"]
        for node in graph.nodes:
            if not any(x.dtype == "string" for x in node.inputs):
                continue
            if not isinstance(node.operation, TextLayer):
                raise ValueError(
                    f"{label}: '{node.operation.name}' gets text, but only layers for text take it,"
                    " such as `TextVectorization` and `StringLookup`."
                )
            cut += [x for x in tree.flatten(node.outputs) if x.dtype != "string"]
        if any(x.dtype == "string" for x in graph.outputs):
            raise ValueError(
                f"{label}: an output is text, which a compiled step cannot return. Call the model"
                " itself on the data, or turn indices into text after `predict`."
            )
        self._cut: list[KerasTensor] = cut
        self._front = Graph(graph.inputs, cut)
        self._rest: dict[int, tuple[Graph, Graph]] = {}
        self.names = [f"{number}: {x.name}" for number, x in enumerate(cut)]

    def run(self, values: list[Any]) -> dict[str, np.ndarray]:
        """Return the arrays at the cut by name, for values of the graph's inputs."""
        arrays = [np.asarray(x) for x in self._front.run(values)]
        return dict(zip(self.names, arrays, strict=True))

    def fits(self, inputs: Any) -> bool:
        """Return whether `inputs` are a result of `run`."""
        return isinstance(inputs, dict) and list(inputs) == self.names

    def rest(self, graph: Graph, inputs: dict[str, Any]) -> list[Any]:
        """Return the outputs of `graph`, which has the same inputs, for a result of `run`."""
        if id(graph) not in self._rest:
            self._rest[id(graph)] = graph, Graph(self._cut, graph.outputs)
        return self._rest[id(graph)][1].run([inputs[name] for name in self.names])
