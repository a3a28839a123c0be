"""Configurations of functional models: graphs to the form of Keras's files, and back."""

from __future__ import annotations

import collections
import heapq
from collections.abc import Iterator
from typing import Any

from hornbeam import errors, tree
from hornbeam.core.graph import Operation, nodes_of
from hornbeam.core.op import OpCall
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.models.graph import Graph
from hornbeam.models.model import Model
from hornbeam.objects.configuration import deserialize, serialize, serialize_op
from hornbeam.saving.eras import older_files

__all__ = ["functional_config", "functional_from_config"]


def functional_config(model: Any) -> dict[str, Any]:
    """Return the graph in Keras's form: its layers, each with the tensors that its calls took.

    Args:
        model: A functional model.
    """
    index = _node_index(model._graph)

    def tensor(x: Any) -> Any:
        if isinstance(x, KerasTensor):
            node, position = x.producer
            return {
                "class_name": "__keras_tensor__",
                "config": {
                    "shape": list(x.shape),
                    "dtype": x.dtype,
                    "keras_history": [node.operation.name, index[id(node)], position],
                },
            }
        if isinstance(x, (list, tuple)):
            return [tensor(item) for item in x]
        if isinstance(x, dict):
            return {key: tensor(item) for key, item in x.items()}
        return serialize(x)

    layers = []
    for operation in model._graph.operations:
        entry = serialize_op(operation) if isinstance(operation, OpCall) else serialize(operation)
        entry["name"] = operation.name
        entry["inbound_nodes"] = [
            {
                "args": [tensor(a) for a in node.args],
                "kwargs": {k: tensor(v) for k, v in node.kwargs.items()},
            }
            for node in nodes_of(operation)
            if id(node) in index and node.inputs
        ]
        layers.append(entry)

    def reference(x: KerasTensor) -> list[Any]:
        node, position = x.producer
        # In these references, and nowhere else, Keras counts the creation of a nested model as its
        # first call.
        made = 1 if isinstance(node.operation, Model) and hasattr(node.operation, "_graph") else 0
        return [node.operation.name, index[id(node)] + made, position]

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": _map_keeping(model._inputs_struct, reference),
        "output_layers": _map_keeping(model._outputs_struct, reference),
    }


def _map_keeping(structure: Any, function: Any) -> Any:
    if isinstance(structure, (list, tuple)):
        return [_map_keeping(x, function) for x in structure]
    if isinstance(structure, dict):
        return {k: _map_keeping(x, function) for k, x in structure.items()}
    return function(structure)


def _node_index(graph: Graph) -> dict[int, int]:
    """Return the number of each node among the nodes of its operation in this graph, by the node's
    identity.
    """
    members = {id(node) for node in graph.nodes}
    index: dict[int, int] = {}
    for operation in graph.operations:
        own = [node for node in nodes_of(operation) if id(node) in members]
        index.update((id(node), i) for i, node in enumerate(own))
    return index


def functional_from_config(cls: type, config: dict[str, Any]) -> Any:
    """Make a functional model from the form that `functional_config` gives (Keras 2's too).

    Args:
        cls: `Functional` or a subclass.
        config: The configuration.

    Raises:
        ValueError: If the graph cannot be rebuilt.
    """
    config = older_files().modern_graph(config)
    builder = _GraphBuilder(config)
    builder.call_layers()
    inputs, outputs = (
        builder.tensors(config["input_layers"]),
        builder.tensors(config["output_layers"]),
    )
    # Keras 2 wrote a list around a single tensor.
    single = [isinstance(x, list) and len(x) == 1 for x in (inputs, outputs)]
    model = cls(
        inputs=inputs[0] if single[0] else inputs,
        outputs=outputs[0] if single[1] else outputs,
        name=config.get("name"),
    )
    if config.get("trainable") is False:
        model._trainable = False
    return model


_Call = tuple[str, int]  # name of a layer, number of its call


class _GraphBuilder:
    """Makes the layers of a saved graph and calls them.

    Layers are called in the file's order, over and over until all calls are made. A layer that
    waits for a tensor is looked at again when that tensor exists: a file may have any number of
    layers in any order.

    Args:
        config: The configuration of the graph, in Keras 3's form.
    """

    def __init__(self, config: dict[str, Any]):
        self._name = config.get("name")
        self._operations: list[Operation] = []
        self._names: list[str] = []
        known: set[str] = set()
        self._calls: list[list[Any]] = []  # calls that are still to be made, by layer
        self._outputs: dict[_Call, Any] = {}
        self._counts: collections.Counter[str] = collections.Counter()
        for entry in config["layers"]:
            operation = deserialize(entry)
            name = entry.get("name") or entry["config"].get("name")
            if name in known:
                raise ValueError(
                    f"The saved graph of '{self._name}' has several layers named '{name}'."
                )
            self._operations.append(operation)
            self._names.append(name)
            known.add(name)
            self._calls.append(list(entry.get("inbound_nodes", [])))
            if not self._calls[-1] and nodes_of(operation):
                self._outputs[name, 0] = nodes_of(operation)[0].outputs
        self._queue = [
            (0, i) for i, calls in enumerate(self._calls) if calls
        ]  # (round, place in the file)
        self._waiting: dict[_Call, list[int]] = {}
        self._needs: dict[
            int, Iterator[_Call]
        ] = {}  # what the next call of a layer needs, from the last look-up on

    def call_layers(self) -> None:
        """Make all calls.

        Raises:
            ValueError: If a call needs a tensor that no layer makes, or takes no tensor of the
                graph.
        """
        while self._queue:
            turn, i = heapq.heappop(self._queue)
            while self._calls[i] and self._is_ready(i):
                self._call_next(turn, i)
        if stuck := [name for name, calls in zip(self._names, self._calls, strict=True) if calls]:
            raise ValueError(
                f"The saved graph of '{self._name}' cannot be rebuilt: the inputs of "
                f"{errors.listed(stuck)} are made by no layer in it."
            )

    def _is_ready(self, i: int) -> bool:
        """Return whether the inputs of a layer's next call exist; if not, the layer waits for the
        first that does not.
        """
        call = self._calls[i][0]
        needs = self._needs.setdefault(i, _needed([call["args"], call["kwargs"]]))
        missing = next((key for key in needs if key not in self._outputs), None)
        if missing is None:
            del self._needs[i]
            return True
        self._waiting.setdefault(missing, []).append(i)
        return False

    def _call_next(self, turn: int, i: int) -> None:
        name, call = self._names[i], self._calls[i].pop(0)
        args = [self._value(a) for a in call["args"]]
        kwargs = {k: self._value(v) for k, v in call["kwargs"].items()}
        if not any_symbolic(args, kwargs):
            # A call on numbers alone would compute now; a file describes graphs and computes
            # nothing.
            raise ValueError(
                f"The saved graph of '{self._name}' calls '{name}' on no tensor of it."
            )
        made = (name, self._counts[name])
        self._outputs[made] = self._operations[i](*args, **kwargs)
        self._counts[name] += 1
        for j in self._waiting.pop(made, ()):
            heapq.heappush(self._queue, (turn + (j <= i), j))

    def _value(self, x: Any) -> Any:
        """Return an argument of a call: tensors, objects and plain values."""
        if isinstance(x, dict):
            if x.get("class_name") == "__keras_tensor__":
                return self._tensor(x["config"]["keras_history"])
            if "class_name" in x and "config" in x:
                return deserialize(x)
            return {key: self._value(item) for key, item in x.items()}
        return [self._value(item) for item in x] if isinstance(x, list) else x

    def _tensor(self, history: Any) -> Any:
        name, node, position = history[:3]
        return tree.flatten(self._outputs[name, node])[position]

    def tensors(self, structure: Any) -> Any:
        """Return the tensors of a structure of references: `[layer, number of call, position]`."""
        if isinstance(structure, dict):
            return {key: self.tensors(item) for key, item in structure.items()}
        if len(structure) in (3, 4) and isinstance(structure[0], str):
            return self._tensor(structure)
        return [self.tensors(item) for item in structure]


def _needed(x: Any) -> Iterator[_Call]:
    """Yield the calls whose outputs a call takes."""
    if isinstance(x, dict) and x.get("class_name") == "__keras_tensor__":
        name, node = x["config"]["keras_history"][:2]
        yield name, node
    elif isinstance(x, (dict, list)):
        for item in x.values() if isinstance(x, dict) else x:
            yield from _needed(item)
