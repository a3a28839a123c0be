"""Methods of layers that Keras 1 and 2 had and Keras 3 has not.

`hornbeam.legacy` makes them methods of `Layer` and `Model`. A node is one call of a layer with
symbolic tensors; nodes are numbered from 0.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

from hornbeam import errors, tree
from hornbeam.core.graph import Node, nodes_of
from hornbeam.core.masks import get_mask
from hornbeam.core.tensor import KerasTensor
from hornbeam.layers import BatchNormalization, Layer
from hornbeam.layers.shapes import shape_of
from hornbeam.layers.state import (
    flatten_layers,
    given_input_shape,
    label_of,
    own_variables,
    sublayers,
)
from hornbeam.legacy.computed import Computed
from hornbeam.models import Model
from hornbeam.optional import import_module
from hornbeam.typing import Structure

__all__ = ["LAYER_METHODS", "MODEL_METHODS"]


def _node(layer: Layer, index: int, what: str) -> Node:
    nodes = nodes_of(layer)
    if not nodes:
        raise RuntimeError(
            f"{label_of(layer)} has no {what}: it was never called with a symbolic tensor. Call it"
            " on `keras.Input(shape)`."
        )
    if not -len(nodes) <= index < len(nodes):
        raise ValueError(
            f"{label_of(layer)}: asked for the {what} of node {index}, but it has {len(nodes)}"
            " nodes, numbered from 0."
        )
    return nodes[index]


def _inputs(node: Node) -> Any:
    if not node.inputs:  # an input layer gives what it takes
        return node.outputs
    return node.args[0] if len(node.inputs) == 1 and node.args else node.inputs


def _masks(tensors: Any) -> Any:
    return tree.map_structure(get_mask, tree.only(tensors))


def get_input_at(self: Layer, node_index: int) -> Structure:
    """Return the symbolic input of one of the layer's calls.

    Args:
        node_index: Number of the call, from 0.

    Raises:
        RuntimeError: If the layer was never called with symbolic tensors.
        ValueError: If there is no such call.
    """
    return _inputs(_node(self, node_index, "input"))


def get_output_at(self: Layer, node_index: int) -> Structure:
    """Return the symbolic output of one of the layer's calls; see `get_input_at`."""
    return _node(self, node_index, "output").outputs


def get_input_shape_at(self: Layer, node_index: int) -> Any:
    """Return the shape of the input of one of the layer's calls; see `get_input_at`."""
    return shape_of(_inputs(_node(self, node_index, "input")))


def get_output_shape_at(self: Layer, node_index: int) -> Any:
    """Return the shape of the output of one of the layer's calls; see `get_input_at`."""
    return shape_of(_node(self, node_index, "output").outputs)


def get_input_mask_at(self: Layer, node_index: int) -> Any:
    """Return the symbolic mask of the input of one of the layer's calls; see `get_input_at`."""
    return _masks(_inputs(_node(self, node_index, "input")))


def get_output_mask_at(self: Layer, node_index: int) -> Any:
    """Return the symbolic mask of the output of one of the layer's calls; see `get_input_at`."""
    return _masks(_node(self, node_index, "output").outputs)


def add_update(self: Layer, updates: Any, inputs: Any = None) -> None:
    """Call those of the updates that are functions.

    In Keras 1 and 2, the others were operations of a graph. Here `K.update` and its siblings have
    already assigned the variables.

    Args:
        updates: An update, a function without arguments, or a list of them.
        inputs: Without effect; an argument of Keras 1.
    """
    for update in updates if isinstance(updates, (list, tuple)) else [updates]:
        if callable(update):
            update()


def compute_output_signature(self: Layer, input_signature: Structure) -> Structure:
    """Return shapes and dtypes of the outputs.

    Args:
        input_signature: An object with `shape` and `dtype`, such as `keras.KerasTensor` or
            `tf.TensorSpec`, or a structure of them.

    Returns:
        Objects of the same kind.

    Raises:
        TypeError: If something in `input_signature` has no shape.
    """
    specs = tree.flatten(input_signature)
    for spec in specs:
        if not hasattr(spec, "shape"):
            raise TypeError(
                f"{label_of(self)}: compute_output_signature expected objects with `shape` and"
                f" `dtype`, received {errors.describe(spec)}. Pass `keras.KerasTensor(shape)`."
            )
    made: Callable[..., Any] = type(specs[0])
    inputs = tree.map_structure(
        lambda spec: KerasTensor(tuple(spec.shape), spec.dtype), input_signature
    )
    shapes = self.compute_output_shape(shape_of(inputs))
    return tree.map_shape_structure(
        lambda shape: made(shape=tuple(shape), dtype=self.compute_dtype), shapes
    )


def finalize_state(self: Layer) -> None:
    """Do nothing; layers that learn from data override it."""


def _shape(side: str) -> Callable[[Layer], Any]:
    def shape(self: Layer) -> Any:
        if not nodes_of(self) and side == "input" and given_input_shape(self) is not None:
            return given_input_shape(self)
        try:
            return (get_input_shape_at if side == "input" else get_output_shape_at)(self, 0)
        except RuntimeError as error:
            raise AttributeError(f"{error}") from None

    shape.__doc__ = f"Shape of the {side} of the layer's first call."
    return shape


def _input_mask(self: Layer) -> Any:
    """Symbolic mask of the input of the layer's first call."""
    return get_input_mask_at(self, 0)


def _output_mask(self: Layer) -> Any:
    """Symbolic mask of the output of the layer's first call."""
    return get_output_mask_at(self, 0)


def _outbound(self: Layer) -> list[Node]:
    """Return the calls of other layers that take an output of this one."""
    return [node for made in nodes_of(self) for node in made.children]


_IN_TRAINING = ("rate", "dropout", "recurrent_dropout", "stddev")  # numbers of random layers


def _acts_in_training(layer: Layer) -> bool:
    if type(layer).__module__.startswith("hornbeam."):
        random = any(getattr(layer, name, None) for name in _IN_TRAINING)
        return random or isinstance(layer, BatchNormalization)
    own_call = not isinstance(layer, Model)
    return own_call and "training" in inspect.signature(type(layer).call).parameters


def _uses_learning_phase(self: Layer) -> bool:
    """Whether the layer, or one inside it, acts differently in training."""
    return any(map(_acts_in_training, flatten_layers(self)))


def _updates(self: Layer) -> list[Any]:
    """Return an empty list: assignments are part of the calls."""
    return []


# --- models ---------------------------------------------------------------------------------------


def get_weight_paths(self: Model) -> dict[str, Any]:
    """Return the weights by the path of attributes that leads to each, such as `layer.kernel`.

    A layer in `model.layers` is found by its name, another by its attribute.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((3,)), hb.layers.Dense(1, name="d")])
        >>> sorted(model.get_weight_paths())
        ['d.bias', 'd.kernel']
    """
    found: dict[str, Any] = {}
    seen: set[int] = set()

    def attribute(owner: Any, part: Any) -> str:
        named = (name for name, value in vars(owner).items() if value is part)
        return next(named, part.name)

    def visit(owner: Any, path: str) -> None:
        if id(owner) in seen:
            return
        seen.add(id(owner))
        for variable in own_variables(owner):
            found[f"{path}{attribute(owner, variable)}"] = variable
        for below in sublayers(owner):
            name = below.name if isinstance(owner, Model) else attribute(owner, below)
            visit(below, f"{path}{name}.")

    visit(self, "")
    return found


def save_spec(self: Model, dynamic_batch: bool = True) -> Any:
    """Return the arguments of a call as symbolic tensors: `((inputs,), {})`.

    Args:
        dynamic_batch: Whether the batch axis is of any size.

    Returns:
        `None` for a model that is not built, and one whose inputs are not known.
    """
    inputs = getattr(self, "inputs", None) if self.built else None
    if not inputs:
        return None

    def spec(x: KerasTensor) -> KerasTensor:
        shape = (None, *x.shape[1:]) if dynamic_batch else x.shape
        return KerasTensor(shape, x.dtype, name=x.name)

    return (tree.map_structure(spec, self.input),), {}


def to_yaml(self: Model, **kwargs: Any) -> str:
    """Return the architecture as YAML, which `model_from_yaml` reads. It needs PyYAML.

    Args:
        **kwargs: Arguments of `yaml.dump`.
    """
    yaml = import_module("yaml", extra="yaml", needed_for="Model.to_yaml")
    return yaml.dump(json.loads(self.to_json()), **kwargs)


LAYER_METHODS: dict[str, Any] = {
    function.__name__: function
    for function in (
        get_input_at, get_output_at, get_input_shape_at, get_output_shape_at, get_input_mask_at,
        get_output_mask_at, add_update, compute_output_signature, finalize_state,
    )
}  # fmt: skip
LAYER_METHODS |= {
    "input_shape": Computed(_shape("input")),
    "output_shape": Computed(_shape("output")),
    "input_mask": Computed(_input_mask),
    "output_mask": Computed(_output_mask),
    "inbound_nodes": Computed(nodes_of),
    "outbound_nodes": Computed(_outbound),
    "_outbound_nodes": Computed(_outbound),
    "updates": Computed(_updates),
    "uses_learning_phase": Computed(_uses_learning_phase),
}
MODEL_METHODS: dict[str, Any] = {
    function.__name__: function for function in (get_weight_paths, save_spec, to_yaml)
}
