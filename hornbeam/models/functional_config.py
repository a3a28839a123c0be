"""Configurations of functional models: graphs to Keras's file format and back."""

from __future__ import annotations

import collections
import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from hornbeam import errors, tree
from hornbeam.core.graph import Operation, nodes_of
from hornbeam.core.op import OpCall
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.models.graph import Graph
from hornbeam.models.graph_subclass import make_from_graph
from hornbeam.models.model import Model
from hornbeam.objects.configuration import deserialize, serialize, serialize_op
from hornbeam.saving.eras import older_files

if TYPE_CHECKING:
    from hornbeam.models.functional import Functional

__all__ = ["functional_config", "functional_from_config"]

Made = TypeVar("Made", bound="Functional")


def functional_config(model: Functional) -> dict[str, Any]:
    """Return the graph in Keras's form: its layers, each with the inputs of its calls.

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
        # Only in these references, Keras counts the creation of a nested model as its first call.
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
    """Return each node's index among its operation's nodes in this graph, by `id` of the node."""
    members = {id(node) for node in graph.nodes}
    index: dict[int, int] = {}
    for operation in graph.operations:
        own = [node for node in nodes_of(operation) if id(node) in members]
        index.update((id(node), i) for i, node in enumerate(own))
    return index


def functional_from_config(cls: type[Made], config: dict[str, Any]) -> Made:
    """Make a functional model from the result of `functional_config`, or from Keras 2's form.

    Args:
        cls: `Functional` or a user's class.
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
    if _wraps_single_tensors(config):
        inputs, outputs = tree.only(inputs), tree.only(outputs)
    return make_from_graph(
        cls,
        inputs,
        outputs,
        {key: value for key, value in config.items() if key != "dtype"},
    )


def _wraps_single_tensors(config: dict[str, Any]) -> bool:
    """Return whether a list of one in a graph's ends may mean the tensor alone.

    Keras 2 and the first versions of Keras 3 wrote such a list for every single tensor. Versions
    with `ragged` in the configuration of an input layer write it only where the model was given it.
    """
    ends = [config["input_layers"], config["output_layers"]]
    if any(isinstance(end, list) and end and isinstance(end[0], str) for end in ends):
        return False
    marks = {"ragged", "batch_shape"}
    return not any(marks <= set(entry.get("config") or ()) for entry in config["layers"])


_Call = tuple[str, int]  # layer name, index of the call


class _GraphBuilder:
    """Makes the layers of a saved graph and calls them.

    Passes over the layers in the file's order until all calls are made. A layer that needs a
    missing tensor waits until that tensor exists, because a file may list its layers in any order.

    Args:
        config: The configuration of the graph, in Keras 3's form.
    """

    def __init__(self, config: dict[str, Any]):
        self._name = config.get("name")
        self._operations: list[Operation] = []
        self._names: list[str] = []
        known: set[str] = set()
        self._calls: list[list[Any]] = []  # pending calls, by layer
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
        # Pairs of the pass over the layers and the layer's position in the file.
        self._queue = [(0, i) for i, calls in enumerate(self._calls) if calls]
        self._waiting: dict[_Call, list[int]] = {}
        # The inputs of each layer's next call that have not been checked yet.
        self._needs: dict[int, Iterator[_Call]] = {}

    def call_layers(self) -> None:
        """Make all calls.

        Raises:
            ValueError: If a call needs a tensor that no layer computes, or has no tensor of the
                graph among its arguments.
        """
        while self._queue:
            turn, i = heapq.heappop(self._queue)
            while self._calls[i] and self._is_ready(i):
                self._call_next(turn, i)
        if stuck := [name for name, calls in zip(self._names, self._calls, strict=True) if calls]:
            raise ValueError(
                f"The saved graph of '{self._name}' cannot be rebuilt: no layer in it computes the "
                f"inputs of {errors.listed(stuck)}."
            )

    def _is_ready(self, i: int) -> bool:
        """Return whether the inputs of a layer's next call exist; else wait for a missing one."""
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
            # A call without symbolic tensors would run at once, and loading a file runs nothing.
            raise ValueError(
                f"The saved graph of '{self._name}' calls '{name}' with no tensor of the graph."
            )
        made = (name, self._counts[name])
        self._outputs[made] = self._operations[i](*args, **kwargs)
        self._counts[name] += 1
        for j in self._waiting.pop(made, ()):
            heapq.heappush(self._queue, (turn + (j <= i), j))

    def _value(self, x: Any) -> Any:
        """Return the value of an argument of a call: a tensor, an object or a plain value."""
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
        """Return the tensors of a structure of references `[layer, call index, position]`."""
        if isinstance(structure, dict):
            return {key: self.tensors(item) for key, item in structure.items()}
        if len(structure) in (3, 4) and isinstance(structure[0], str):
            return self._tensor(structure)
        return [self.tensors(item) for item in structure]


def _needed(x: Any) -> Iterator[_Call]:
    """Yield the calls whose outputs occur in the arguments `x` of a call."""
    if isinstance(x, dict) and x.get("class_name") == "__keras_tensor__":
        name, node = x["config"]["keras_history"][:2]
        yield name, node
    elif isinstance(x, (dict, list)):
        for item in x.values() if isinstance(x, dict) else x:
            yield from _needed(item)
