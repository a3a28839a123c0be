"""Graphs: operations, and the nodes that record their calls with symbolic tensors."""

from __future__ import annotations

import inspect
import itertools
import weakref
from typing import Any, Self

from hornbeam import errors, tree
from hornbeam.core import naming
from hornbeam.core.loading import count_work
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.core.tracing import infer
from hornbeam.typing import Structure

__all__ = ["Node", "Operation", "describe_inputs", "nodes_of"]


class Node:
    """One call of an operation with symbolic tensors.

    Args:
        operation: The operation called.
        args: Its positional arguments; symbolic tensors may be nested in them.
        kwargs: Its named arguments; likewise.
        outputs: The symbolic tensors that it returned, in any structure.
        listed: Whether the node counts among the calls of the operation.

    Attributes:
        inputs: The symbolic tensors in the arguments, in order.
        parents: The nodes that make the inputs.
    """

    def __init__(
        self, operation: Operation, args: tuple, kwargs: dict[str, Any], outputs: Structure,
        listed: bool = True,
    ):  # fmt: skip
        self.operation = operation
        self.args, self.kwargs, self.outputs = args, kwargs, outputs
        self.inputs = [x for x in tree.flatten((args, kwargs)) if isinstance(x, KerasTensor)]
        self.parents = [x.history[0] for x in self.inputs if x.history is not None]
        for index, x in enumerate(tree.flatten(outputs)):
            if isinstance(x, KerasTensor) and x.record_history:
                x.history = (self, index)
        if listed:
            operation._inbound_nodes.append(self)
        # Weak, so that a model that is gone does not stay in the memory of a shared layer.
        self._consumers: list[weakref.ref[Node]] = []
        for parent in dict.fromkeys(self.parents):
            parent._consumers.append(weakref.ref(self))

    @property
    def children(self) -> list[Node]:
        """The nodes that take an output of this one, in the order of the calls."""
        found = [reference() for reference in self._consumers]
        return [node for node in found if node is not None]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_consumers": []}

    def run(self, values: dict[int, Any], **extra: Any) -> Structure:
        """Call the operation on arrays.

        Args:
            values: The array for each input, by the input's `id`.
            **extra: Further named arguments.

        Returns:
            The result of the operation.
        """
        args, kwargs = tree.map_structure(
            lambda x: values[id(x)] if isinstance(x, KerasTensor) else x, (self.args, self.kwargs)
        )
        return self.operation(*args, **{**kwargs, **extra})


class Operation:
    """The base of what graphs are made of: layers, and calls of ops.

    Args:
        name: Name without slashes. Default: the class's name in snake case, numbered.

    Raises:
        ValueError: If `name` is not such a string.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        operation = super().__new__(cls)
        object.__setattr__(operation, "_captured", (args, kwargs))
        return operation

    def __init__(self, name: str | None = None):
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(
                f"{type(self).__name__}: `name` must be a non-empty string without '/', received"
                f" {name!r}."
            )
        self.name = name or naming.auto_name(self._default_name())
        self._inbound_nodes: list[Node] = []

    def _default_name(self) -> str:
        return type(self).__name__

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Structure:
        """Record a call with symbolic tensors and return its symbolic result."""
        outputs = self.compute_output_spec(*args, **kwargs)
        taken = {id(x) for x in tree.flatten((args, kwargs))}
        # An operation that returns an input unchanged still needs a new tensor for its node.
        outputs = tree.map_structure(
            lambda x: (
                KerasTensor(x.shape, x.dtype, x.sparse)
                if isinstance(x, KerasTensor) and id(x) in taken
                else x
            ),
            outputs,
        )
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Structure:
        """Return symbolic tensors of the shapes and dtypes that a call would give."""
        return infer(self.call, *args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Structure:
        """Compute the result from arrays. Subclasses override it."""
        raise NotImplementedError(f"{type(self).__name__} must implement `call`.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        count_work(self.name)
        if any_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the name and the arguments with which the operation was made.

        Raises:
            NotImplementedError: If an argument cannot be written to a file.
        """
        args, kwargs = self.__dict__.get("_captured", ((), {}))
        bound = inspect.signature(type(self).__init__).bind(self, *args, **kwargs)
        config = {"name": self.name}
        for name, value in list(bound.arguments.items())[1:]:
            is_dict = bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
            config.update(value if is_dict else {name: value})
        config["name"] = self.name
        for name, value in config.items():
            if not _is_plain(value):
                raise NotImplementedError(
                    f"{type(self).__name__} '{self.name}': its argument `{name}`,"
                    f" {errors.describe(value)}, is no plain value, so it has no configuration."
                    " Implement `get_config()`, which returns the constructor's arguments."
                )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make an operation from the result of `get_config`."""
        return cls(**config)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Return the shape of the result for the shapes of the inputs.

        Args:
            *args, **kwargs: Shapes, tuples with `None` for unknown sizes, or structures of them.
        """

        def tensors(shapes: Any) -> Any:
            return tree.map_shape_structure(KerasTensor, shapes)

        named = {name: tensors(shapes) for name, shapes in kwargs.items()}
        outputs = self.compute_output_spec(*map(tensors, args), **named)
        return tree.map_structure(lambda x: x.shape, outputs)

    def _node_property(self, side: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(
                f"{type(self).__name__} '{self.name}' has no `{side}`: it was never called with "
                "a symbolic tensor (`hornbeam.Input`)."
            )
        node = self._inbound_nodes[0]
        if side == "output":
            return node.outputs
        return node.args[0] if len(node.inputs) == 1 and node.args else node.inputs

    @property
    def input(self) -> Structure:
        """The symbolic input of the first call with symbolic tensors."""
        return self._node_property("input")

    @property
    def output(self) -> Structure:
        """The symbolic output of the first call with symbolic tensors."""
        return self._node_property("output")


def _is_plain(value: Any) -> bool:
    """Return whether JSON can hold `value`."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(value[key]) for key in value)
    return value is None or isinstance(value, (bool, int, float, str))


def describe_inputs(args: tuple, kwargs: dict[str, Any]) -> str:
    """List the tensors of a call for a message."""
    named = itertools.chain(enumerate(args), kwargs.items())
    shown = [f"{key}: {errors.describe(x)}" for key, x in named if x is not None]
    return "; ".join(shown) or "nothing"


def nodes_of(operation: Operation) -> list[Node]:
    """Return the calls of an operation with symbolic tensors, first to last."""
    return operation._inbound_nodes
