"""`keras.engine` of Keras 1 and 2, and what of `keras.src` is about graphs and training.

The objects that nodes, layers and tensors were in older graphs are today's. `announce` gives them
the attributes that libraries read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbeam import tree
from hornbeam.core.graph import Node
from hornbeam.core.graph import Operation as BaseOperation
from hornbeam.core.tensor import KerasTensor
from hornbeam.layers import InputSpec, Layer
from hornbeam.layers.preprocessing.base import PreprocessingLayer
from hornbeam.layers.shapes import shape_of
from hornbeam.legacy.computed import Computed
from hornbeam.models import Functional, Model
from hornbeam.training.trainable import Trainable
from hornbeam.utils.graphs import get_source_inputs

__all__ = [
    "BaseOperation", "Container", "Functional", "InputSpec", "KerasTensor", "Network", "Node",
    "PreprocessingLayer", "SymbolicArguments", "Trainer", "array_to_dataset",
    "class_weight_to_sample_weights", "get_source_inputs", "is_keras_tensor",
    "keras_tensor_to_placeholder", "make_class_weight_map_fn", "map_graph_network",
    "standardize_class_weights", "standardize_input_data",
]  # fmt: skip

Network = Container = Model
Trainer = Trainable


class SymbolicArguments:
    """The arguments of a call, with the symbolic tensors among them.

    Args:
        *args, **kwargs: The arguments.

    Example:
        >>> SymbolicArguments(KerasTensor((2,)), 3, axis=1).keras_tensors[0].shape
        (2,)
    """

    def __init__(self, *args: Any, **kwargs: Any):
        self.args, self.kwargs = args, kwargs
        self.keras_tensors = [x for x in tree.flatten((args, kwargs)) if isinstance(x, KerasTensor)]

    def convert(self, conversion_fn: Any) -> None:
        """Apply a function to all tensors, in place."""
        self.args, self.kwargs = tree.map_structure(conversion_fn, (self.args, self.kwargs))

    def fill_in(self, tensor_dict: dict[Any, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the arguments with other tensors, given by the `id` of the symbolic ones."""
        return tree.map_structure(
            lambda x: tensor_dict.get(id(x), x) if isinstance(x, KerasTensor) else x,
            (self.args, self.kwargs),
        )


def is_keras_tensor(x: object) -> bool:
    """Return whether `x` is a symbolic tensor."""
    return isinstance(x, KerasTensor)


def keras_tensor_to_placeholder(x: Any) -> Any:
    """Return `x` as it is: there are no placeholders."""
    return x


def map_graph_network(inputs: Any, outputs: Any) -> tuple[Any, ...]:
    """Return the nodes and layers of a graph.

    Returns:
        The nodes, the nodes by depth, the layers, the layers by depth. Depth 0 is at the outputs.
    """
    model = Functional(inputs, outputs)
    by_depth = _nodes_by_depth(model)
    nodes = [node for level in by_depth.values() for node in level]
    layers = {
        depth: list(dict.fromkeys(node.operation for node in level))
        for depth, level in by_depth.items()
    }
    return nodes, by_depth, model.operations, layers


# --- data -----------------------------------------------------------------------------------------


def class_weight_to_sample_weights(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    """Return the weight of each row from the weight of its class; 1 for classes without weight.

    Args:
        y: Class numbers, or one-hot rows.
        class_weight: Weight of each class.

    Example:
        >>> class_weight_to_sample_weights(np.array([0, 1, 2]), {1: 3.0}).tolist()
        [1.0, 3.0, 1.0]
    """
    y = np.asarray(y)
    classes = y.reshape(len(y), -1)
    numbers = classes.argmax(axis=-1) if classes.shape[1] > 1 else classes[:, 0]
    weights = np.ones(len(y), "float32")
    for number, weight in class_weight.items():
        weights[np.round(numbers) == number] = weight
    return weights


def make_class_weight_map_fn(class_weight: dict[int, float]) -> Any:
    """Return a function that adds the weights of the rows' classes to a batch `(x, y)`."""

    def with_weights(x: Any, y: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
        weights = class_weight_to_sample_weights(y, class_weight)
        return x, y, weights if sample_weight is None else weights * np.asarray(sample_weight)

    return with_weights


def array_to_dataset(x: Any, y: Any = None) -> Any:
    """Return arrays as the tuple that `fit` takes."""
    return (x,) if y is None else (x, y)


def standardize_input_data(
    data: Any, names: Sequence[str], shapes: Any = None, check_batch_axis: bool = True,
    exception_prefix: str = "",
) -> list[np.ndarray]:  # fmt: skip
    """Return the data of several inputs as a list of arrays, in the order of the names.

    Args:
        data: An array, a list of arrays, or a dict by name.
        names: Names of the inputs.
        shapes: Expected shapes, with `None` for any size.
        check_batch_axis: Whether the first axis is compared too.
        exception_prefix: What the message begins with.

    Raises:
        ValueError: If an input is missing, or has another shape.
    """
    if isinstance(data, dict):
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"{exception_prefix}: no data for {missing}.")
        data = [data[name] for name in names]
    arrays = [np.asarray(x) for x in (data if isinstance(data, (list, tuple)) else [data])]
    if len(arrays) != len(names):
        raise ValueError(
            f"{exception_prefix}: expected {len(names)} arrays, received {len(arrays)}."
        )
    arrays = [x[:, None] if x.ndim == 1 else x for x in arrays]
    for name, x, shape in zip(names, arrays, shapes or [None] * len(names), strict=True):
        first = 0 if check_batch_axis else 1
        if shape is not None and (
            len(shape) != x.ndim
            or any(s not in (None, n) for s, n in zip(shape[first:], x.shape[first:], strict=True))
        ):
            raise ValueError(
                f"{exception_prefix}: expected {name} to have shape {shape}, received {x.shape}."
            )
    return arrays


def standardize_class_weights(class_weight: Any, output_names: Sequence[str]) -> list[Any]:
    """Return the weights of classes for each output, in the order of the names."""
    if class_weight is None or not output_names:
        return [None] * len(output_names)
    if all(name in class_weight for name in output_names):
        return [class_weight[name] for name in output_names]
    return [class_weight if i == 0 else None for i in range(len(output_names))]


# --- attributes of nodes and models ---------------------------------------------------------------


def _arguments(node: Node) -> SymbolicArguments:
    return SymbolicArguments(*node.args, **node.kwargs)


def _iterate_inbound(node: Node) -> Any:
    """Yield layer, number of its node, number of its output and tensor for each input."""
    for x in node.inputs:
        maker, index = x.history if x.history is not None else (None, 0)
        if maker is not None:
            yield maker.operation, maker.operation.inbound_nodes.index(maker), index, x


def _nodes_by_depth(model: Functional) -> dict[int, list[Node]]:
    """Return the nodes of the graph by their distance from the outputs, the largest first."""
    nodes = model.graph_nodes
    known = {id(node) for node in nodes}
    depth: dict[int, int] = {}
    for node in reversed(nodes):  # children come before their parents
        level = depth.setdefault(id(node), 0)
        for parent in node.parents:
            if id(parent) in known:
                depth[id(parent)] = max(depth.get(id(parent), 0), level + 1)
    levels: dict[int, list[Node]] = {}
    for node in sorted(nodes, key=lambda node: -depth[id(node)]):
        levels.setdefault(depth[id(node)], []).append(node)
    return levels


def _layers_by_depth(model: Functional) -> dict[int, list[Any]]:
    levels = _nodes_by_depth(model).items()
    return {
        depth: list(
            dict.fromkeys(node.operation for node in nodes if isinstance(node.operation, Layer))
        )
        for depth, nodes in levels
    }


def _flat_or_one(tensors: Sequence[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else list(tensors)


NODE_PROPERTIES: dict[str, Any] = {
    "parent_nodes": lambda node: node.parents,
    "arguments": _arguments,
    "layer": lambda node: node.operation,
    "outbound_layer": lambda node: node.operation,
    "inbound_layers": lambda node: _flat_or_one([n.operation for n in node.parents]),
    "input_tensors": lambda node: _flat_or_one(node.inputs) if node.inputs else node.outputs,
    "output_tensors": lambda node: node.outputs,
    "keras_inputs": lambda node: list(node.inputs),
    "call_args": lambda node: node.args,
    "call_kwargs": lambda node: node.kwargs,
    "input_shapes": lambda node: shape_of(_flat_or_one(node.inputs) if node.inputs else None),
    "output_shapes": lambda node: shape_of(node.outputs),
    "is_input": lambda node: not node.inputs,
    "node_indices": lambda node: [row[1] for row in _iterate_inbound(node)],
    "tensor_indices": lambda node: [row[2] for row in _iterate_inbound(node)],
}
"""Attributes of nodes in earlier graphs, and how they follow from today's."""

GRAPH_PROPERTIES: dict[str, Any] = {
    "_nodes": lambda model: model.graph_nodes,
    "_operations": lambda model: model.operations,
    "_operations_by_depth": lambda model: {
        depth: list(dict.fromkeys(node.operation for node in nodes))
        for depth, nodes in _nodes_by_depth(model).items()
    },
    "_inputs": lambda model: model.inputs,
    "_outputs": lambda model: model.outputs,
    "_nodes_by_depth": _nodes_by_depth,
    "_layers_by_depth": _layers_by_depth,
    "_network_nodes": lambda model: {
        f"{node.operation.name}_ib-{node.operation.inbound_nodes.index(node)}"
        for node in model.graph_nodes
    },
}
"""Attributes of functional models in earlier graphs, and how they follow from today's."""


def announce() -> None:
    """Give nodes, tensors and functional models the attributes of earlier graphs."""
    setattr(KerasTensor, "_keras_shape", Computed(lambda x: x.shape))  # noqa: B010  # not in the class
    for name, function in NODE_PROPERTIES.items():
        setattr(Node, name, property(function))
    setattr(Node, "iterate_inbound", _iterate_inbound)  # noqa: B010  # not in the class
    for name, function in GRAPH_PROPERTIES.items():
        setattr(Functional, name, Computed(function))
