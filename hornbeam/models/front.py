"""Graphs with layers that run on the host, such as those that take text.

XLA has no text. Layers for text at the start of a graph run on the host before the compiled step.
Layers that make texts for the outputs run after it. Others run within it, in callbacks.
"""

from __future__ import annotations

import copy
from typing import Any

import jax
import numpy as np

from hornbeam import tree
from hornbeam.core.graph import Node
from hornbeam.core.sparse import as_dense, is_sparse
from hornbeam.core.tensor import KerasTensor
from hornbeam.layers.layer import Layer
from hornbeam.layers.preprocessing.text import TextLayer
from hornbeam.models.graph import Graph

__all__ = ["HostGraph", "needs_host"]


def needs_host(graph: Graph) -> bool:
    """Return whether a graph has texts, or layers that run on the host only."""
    return (
        any(_is_text(x) for x in [*graph.inputs, *graph.outputs])
        or any(_runs_on_host(node) for node in graph.nodes)
        or any(_inner_model(node) is not None for node in graph.nodes)
    )


class HostGraph:
    """A graph, divided into a part before the compiled step, the step, and a part after it.

    The part before consists of the layers that take text or hash numbers, and of all layers before
    them, as long as these have no weights to train. Layers for the host behind trained layers run
    within the step, in callbacks, and pass no gradient. Texts among the outputs are made after the
    step, from the numbers that the step returns in their place.

    Args:
        graph: The graph of a model. Models in it that have layers for the host become part of it.
        label: The model, for errors.

    Attributes:
        names: Names of the arrays between the part before and the step.
        has_front: Whether there is a part before.
        texts: Positions of the outputs that are texts.

    Raises:
        ValueError: If something other than a layer for text takes text, or a text input meets
            results of trained layers.
    """

    def __init__(self, graph: Graph, label: str):
        self._label = label
        self._copies: dict[int, KerasTensor] = {}  # by the `id` of a tensor that they copy
        self._originals: list[Any] = []  # keeps the `id`s in use
        graph = self._with_inner_models(graph)
        for node in graph.nodes:
            if any(_is_text(x) for x in node.inputs) and not isinstance(node.operation, TextLayer):
                raise ValueError(
                    f"{label}: '{node.operation.name}' gets text, but only layers for text take it,"
                    " such as `TextVectorization` and `StringLookup`."
                )
        front = _nodes_of_front(graph)
        cut = {id(x): x for x in graph.inputs if not _is_text(x)}
        used = {id(x) for node in graph.nodes if id(node) not in front for x in node.inputs}
        used |= {id(x) for x in graph.outputs}
        for node in front.values():
            for x in tree.flatten(node.outputs):
                if not _is_text(x) and (id(x) in used or isinstance(node.operation, TextLayer)):
                    cut[id(x)] = x
        self._cut: list[KerasTensor] = list(cut.values())
        self._front = Graph(graph.inputs, self._cut)
        self._rest: dict[int, tuple[Graph, Graph]] = {}
        self.names = [f"{number}: {x.name}" for number, x in enumerate(self._cut)]
        self.has_front = bool(front) or any(map(_is_text, graph.inputs))
        self.texts = [i for i, x in enumerate(graph.outputs) if _is_text(x)]
        self._text_graphs = {i: self._after_step(graph.outputs[i]) for i in self.texts}
        for node in graph.nodes:
            if id(node) not in front and _runs_on_host(node):
                self._numbers_behind(node.inputs)

    def run_front(self, values: list[Any]) -> dict[str, np.ndarray]:
        """Return the arrays that the step takes, by name, for values of the graph's inputs."""
        arrays = [np.asarray(as_dense(x) if is_sparse(x) else x) for x in self._front.run(values)]
        return dict(zip(self.names, arrays, strict=True))

    def fits(self, inputs: Any) -> bool:
        """Return whether `inputs` are a result of `run_front`."""
        return isinstance(inputs, dict) and bool(inputs) and list(inputs) == self.names

    def run_step(self, graph: Graph, inputs: Any) -> list[Any]:
        """Return the outputs of `graph`; instead of texts, the numbers from which they are made.

        Args:
            graph: A graph with the same inputs.
            inputs: A result of `run_front`, or without a part before, values of the inputs.
        """
        if id(graph) not in self._rest:
            outputs = [self._numbers_behind([x])[0] for x in self._with_inner_models(graph).outputs]
            self._rest[id(graph)] = graph, Graph(self._cut, outputs)
        values = [inputs[name] for name in self.names] if self.fits(inputs) else inputs
        return _run_in_program(self._rest[id(graph)][1], values, self._label)

    def after_step(self, outputs: list[Any]) -> list[Any]:
        """Return the outputs with texts, from arrays that steps returned."""
        found = list(outputs)
        for i, graph in self._text_graphs.items():
            if np.asarray(found[i]).dtype.kind in "biuf":
                found[i] = np.asarray(graph.run([np.asarray(found[i])])[0])
        return found

    def _after_step(self, text: KerasTensor) -> Graph:
        """Return the graph from numbers to a text among the outputs."""
        sources = self._numbers_behind([text])
        if len(sources) != 1:
            raise ValueError(
                f"{self._label}: an output is text that is made from {len(sources)} tensors,"
                " which is not supported. Make it after `predict`."
            )
        return Graph(sources, [text])

    def _numbers_behind(self, tensors: list[KerasTensor]) -> list[KerasTensor]:
        """Return the tensors of numbers from which layers for text compute some tensors."""
        found: dict[int, KerasTensor] = {}
        for x in tensors:
            if not _is_text(x):
                found[id(x)] = x
                continue
            node = x.producer[0]
            if not node.inputs:
                raise ValueError(
                    f"{self._label}: the text input '{node.operation.name}' is an output, or meets"
                    " results of trained layers in one layer. A compiled step takes no text. Turn"
                    " it into numbers first, for example with `StringLookup` or `Hashing`."
                )
            found.update({id(y): y for y in self._numbers_behind(node.inputs)})
        return list(found.values())

    def _with_inner_models(self, graph: Graph) -> Graph:
        """Return a graph that has the nodes of inner models instead of calls of these."""
        if all(_inner_model(node) is None for node in graph.nodes):
            return graph
        self._originals.append(graph)
        known = self._copies
        known.update({id(x): x for x in graph.inputs})
        self._copy(graph, known)
        return Graph(graph.inputs, [known[id(x)] for x in graph.outputs])

    def _copy(self, graph: Graph, known: dict[int, KerasTensor]) -> None:
        """Copy the nodes of a graph for the tensors in `known`, and add their outputs to it."""
        for node in graph.nodes:
            outputs = tree.flatten(node.outputs)
            if all(id(x) in known for x in outputs):
                continue
            args, kwargs = tree.map_structure(
                lambda x: known[id(x)] if isinstance(x, KerasTensor) else x,
                (node.args, node.kwargs),
            )
            inner = _inner_model(node)
            if inner is None:
                new = tree.map_structure(_without_history, node.outputs)
                Node(node.operation, args, kwargs, new, listed=False)
                results = tree.flatten(new)
            else:
                part, values = inner.inner_graph(args[0])
                inside = {id(x): value for x, value in zip(part.inputs, values, strict=True)}
                self._copy(part, inside)
                self._originals.append((part, inside))
                results = [inside[id(x)] for x in part.outputs]
            known.update({id(x): y for x, y in zip(outputs, results, strict=True)})


def _is_text(x: KerasTensor) -> bool:
    return x.dtype == "string"


def _without_history(x: KerasTensor) -> KerasTensor:
    new = copy.copy(x)
    new.history = None
    return new


def _inner_model(node: Node) -> Any:
    """Return the model that a node calls, if it has layers for the host; else `None`."""
    model: Any = node.operation
    settings = any(value is not None for value in node.kwargs.values())
    if not hasattr(model, "inner_graph") or settings or len(node.args) != 1:
        return None
    return model if model.host_layers() is not None or model.text_outputs() is not None else None


def _runs_on_host(node: Node) -> bool:
    """Return whether a node takes or makes text, or hashes numbers."""
    if not isinstance(node.operation, TextLayer):
        return False
    texts = any(map(_is_text, [*node.inputs, *tree.flatten(node.outputs)]))
    return texts or node.operation.needs_host


def _nodes_of_front(graph: Graph) -> dict[int, Node]:
    """Return the nodes of the part before the step, in order."""
    trained: set[int] = set()  # tensors that depend on weights to train
    for node in graph.nodes:
        has_weights = isinstance(node.operation, Layer) and node.operation.trainable_variables
        if has_weights or any(id(x) in trained for x in node.inputs):
            trained.update(id(x) for x in tree.flatten(node.outputs))
    chosen: set[int] = set()
    needed: set[int] = set()  # tensors that a chosen node takes
    for node in reversed(graph.nodes):
        outputs = tree.flatten(node.outputs)
        if not node.inputs or any(id(x) in trained for x in outputs):
            continue
        makes_numbers = _runs_on_host(node) and not any(map(_is_text, outputs))
        if makes_numbers or any(id(x) in needed for x in outputs):
            chosen.add(id(node))
            needed.update(id(x) for x in node.inputs)
    return {id(node): node for node in graph.nodes if id(node) in chosen}


def _run_in_program(graph: Graph, values: list[Any], label: str) -> list[Any]:
    """Return the outputs of a graph of numbers, with its layers for the host in callbacks."""
    known = {id(x): value for x, value in zip(graph.inputs, values, strict=True)}
    for node in graph.nodes:
        outputs = tree.flatten(node.outputs)
        if all(id(x) in known for x in outputs) or any(map(_is_text, outputs)):
            continue  # a callback makes the texts that it needs
        on_host = _runs_on_host(node)
        results = _by_callback(node, known, label) if on_host else node.run(known)
        known.update({id(x): y for x, y in zip(outputs, tree.flatten(results), strict=True)})
    return [known[id(x)] for x in graph.outputs]


def _by_callback(node: Node, known: dict[int, Any], label: str) -> list[jax.Array]:
    """Return the results of a node that runs on the host, within a compiled step."""
    outputs = tree.flatten(node.outputs)
    sources, waiting = {}, list(node.inputs)
    while waiting:
        x = waiting.pop()
        if _is_text(x):
            waiting.extend(x.producer[0].inputs)
        else:
            sources[id(x)] = x
    chain = Graph(list(sources.values()), outputs)
    arrays = [jax.lax.stop_gradient(known[key]) for key in sources]
    specs = [
        jax.ShapeDtypeStruct(x.shape, jax.dtypes.canonicalize_dtype(x.dtype))
        for x in _symbolic_outputs(chain, arrays, label)
    ]

    def on_host(*arrays: Any) -> list[np.ndarray]:
        results = chain.run([np.asarray(a) for a in arrays])
        return [np.asarray(x, spec.dtype) for x, spec in zip(results, specs, strict=True)]

    return list(jax.pure_callback(on_host, specs, *arrays, vmap_method="sequential"))


def _symbolic_outputs(chain: Graph, arrays: list[Any], label: str) -> list[KerasTensor]:
    """Return the outputs of a graph as symbolic tensors, for arrays of known shapes."""
    known: dict[int, Any] = {
        id(x): KerasTensor(a.shape, x.dtype, name=x.name)
        for x, a in zip(chain.inputs, arrays, strict=True)
    }
    for node in chain.nodes:
        if all(id(x) in known for x in tree.flatten(node.outputs)):
            continue
        args, kwargs = tree.map_structure(
            lambda x: known[id(x)] if isinstance(x, KerasTensor) else x, (node.args, node.kwargs)
        )
        found = tree.flatten(node.operation.compute_output_spec(*args, **kwargs))
        if any(None in x.shape for x in found):
            raise ValueError(
                f"{label}: '{node.operation.name}' comes after trained layers, so its result must"
                " have a known size. Pass `output_sequence_length` to it."
            )
        known.update({id(x): y for x, y in zip(tree.flatten(node.outputs), found, strict=True)})
    return [known[id(x)] for x in chain.outputs]
