"""Functional models: a graph of layers between symbolic inputs and outputs."""

from __future__ import annotations

import collections
import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam import errors, tree
from hornbeam.core.convert import convert
from hornbeam.core.graph import Node, Operation
from hornbeam.core.masks import set_mask
from hornbeam.core.op import OpCall
from hornbeam.core.registry import custom_object_scope
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.dtypes import is_float
from hornbeam.layers.layer import Layer
from hornbeam.layers.state import refresh_parts
from hornbeam.models.model import Model
from hornbeam.objects.configuration import deserialize, serialize, serialize_op

__all__ = ["Function", "Functional"]


class Graph:
    """The nodes between input and output tensors, in an order in which they can run.

    Depth counts steps from the outputs; operations are listed from deepest to shallowest,
    those of one depth in the order in which a walk from the outputs meets them: this is
    Keras's order of `model.layers`, which its files rely on.

    Args:
        inputs: Symbolic tensors, flat.
        outputs: Symbolic tensors, flat.

    Raises:
        ValueError: If an output does not depend on the inputs alone.
    """

    def __init__(self, inputs: list[KerasTensor], outputs: list[KerasTensor]):
        self.inputs, self.outputs = inputs, outputs
        sources = {id(x) for x in inputs}
        met: dict[Operation, int] = {}
        postorder: list[Node] = []
        state: dict[int, bool] = {}  # id of node: finished?

        def needed(node: Node) -> list[Node]:
            if _makes_source(node, sources):
                return []
            made = [(x, x._history[0]) for x in node.inputs if x._history]
            return [maker for x, maker in made if id(x) not in sources or _makes_source(maker, sources)]

        for output in outputs:
            if output._history is None:
                if id(output) not in sources:
                    raise ValueError(f"Output {output!r} was made by no layer.")
                continue
            stack = [output._history[0]]
            while stack:
                node = stack[-1]
                if id(node) not in state:
                    state[id(node)] = False
                    met.setdefault(node.operation, len(met))
                    stack.extend(n for n in reversed(needed(node)) if id(n) not in state)
                    if not node.inputs and not _makes_source(node, sources):
                        raise ValueError(
                            f"The outputs depend on {node.outputs!r} of '{node.operation.name}', "
                            f"which is not among the inputs {[x.name for x in inputs]}. Add it to "
                            "`inputs`."
                        )
                else:
                    stack.pop()
                    if not state[id(node)]:
                        state[id(node)] = True
                        postorder.append(node)
        for x in inputs:
            if x._history is not None and id(x._history[0]) not in state:
                postorder.append(x._history[0])
                met.setdefault(x._history[0].operation, len(met))

        node_depth: dict[int, int] = collections.defaultdict(int)
        depth: dict[Operation, int] = {}
        for node in reversed(postorder):
            level = max(node_depth[id(node)], depth.get(node.operation, 0))
            depth[node.operation] = node_depth[id(node)] = level
            for parent in needed(node):
                node_depth[id(parent)] = max(node_depth[id(parent)], level + 1)
        self.operations = sorted(met, key=lambda o: (-depth[o], met[o]))
        rank = {id(node): i for i, node in enumerate(postorder)}
        self.nodes = sorted(postorder, key=lambda n: (-node_depth[id(n)], rank[id(n)]))
        self.sources = sources

    def run(self, values: list[Any]) -> list[Any]:
        """Return the outputs for values of the inputs."""
        known = {id(x): value for x, value in zip(self.inputs, values, strict=True)}
        for node in self.nodes:
            flat = tree.flatten(node.outputs)
            if all(id(x) in known for x in flat):
                continue
            results = node.run(known)
            for symbolic, value in zip(flat, tree.flatten(results), strict=True):
                known[id(symbolic)] = value
        return [known[id(x)] for x in self.outputs]


def _makes_source(node: Node, sources: set[int]) -> bool:
    return all(id(x) in sources for x in tree.flatten(node.outputs))


class Functional(Model):
    """A model made of a graph: `Model(inputs, outputs)`.

    Args:
        inputs: Symbolic tensor, list or dict of them.
        outputs: Symbolic tensor, list or dict of them.
        name: Name. Default: `"functional"`, numbered.

    Raises:
        ValueError: If the outputs do not follow from the inputs, or two layers share a name.

    Example:
        >>> import hornbeam as hb
        >>> a, b = hb.Input((2,), name="a"), hb.Input((2,), name="b")
        >>> model = hb.Model({"a": a, "b": b}, a + 2 * b)
        >>> model({"a": hb.ops.array([[1.0, 1.0]]), "b": hb.ops.array([[1.0, 2.0]])})
        Array([[3., 5.]], dtype=float32)
    """

    _graph_losses: Sequence[KerasTensor] = ()
    _graph_with_losses: Graph | None = None
    _not_children = Model._not_children | {
        "_graph",
        "_graph_losses",
        "_graph_with_losses",
        "_inputs_struct",
        "_outputs_struct",
        "_graph_given",
    }

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, **kwargs: Any):
        inputs = kwargs.pop("input", inputs)
        outputs = kwargs.pop("output", outputs)
        object.__setattr__(self, "_graph_given", True)
        Model.__init__(self, name=name, **kwargs)
        _set_graph(self, inputs, outputs)

    def _default_name(self) -> str:
        return "functional" if type(self) is Functional else type(self).__name__

    @property
    def layers(self) -> list[Layer]:
        """Layers of the graph, from the inputs to the outputs."""
        return [o for o in (self._graph_with_losses or self._graph).operations if isinstance(o, Layer)]

    @property
    def operations(self) -> list[Operation]:
        """Layers and ops of the graph, from the inputs to the outputs."""
        return list(self._graph.operations)

    @property
    def _layers(self) -> list[Layer]:
        graph = self._graph_with_losses or self.__dict__.get("_graph")
        own = graph.operations if graph is not None else []
        layers = [o for o in own if isinstance(o, Layer)]
        known = {id(layer) for layer in layers}
        return [*layers, *(x for x in super()._layers if id(x) not in known)]

    @property
    def inputs(self) -> list[KerasTensor]:
        """Symbolic inputs, flat."""
        return self._graph.inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """Symbolic outputs, flat."""
        return self._graph.outputs

    @property
    def input(self) -> Any:
        """Symbolic inputs, as given."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """Symbolic outputs, as given."""
        return self._outputs_struct

    @property
    def input_names(self) -> list[str]:
        return [x._history[0].operation.name if x._history else x.name for x in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: keys of the dict, else the last layers' names."""
        if isinstance(self._outputs_struct, dict) and not any(tree.is_nested(x) for x in self._outputs_struct.values()):
            return sorted(self._outputs_struct)
        return [x._history[0].operation.name if x._history else x.name for x in self.outputs]

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: a graph's layers are built when it is made."""
        self.built = True

    def add_loss(self, loss: Any) -> None:
        """Add to the loss: a scalar for the call under way, or a symbolic tensor of the graph, computed in every call.

        Args:
            loss: A scalar, a symbolic tensor (of which the mean counts), or a list of them. Files do not hold symbolic ones.

        Raises:
            ValueError: If a number is not a scalar, or a symbolic tensor does not follow from the model's inputs.
        """
        flat = tree.flatten(loss)
        super().add_loss([x for x in flat if not isinstance(x, KerasTensor)])
        losses = [*self._graph_losses, *(x for x in flat if isinstance(x, KerasTensor))]
        if losses:
            try:
                graph = Graph(self.inputs, [*self.outputs, *losses])
            except ValueError as error:
                raise ValueError(
                    f"{self._label()}: add_loss takes what follows from the model's inputs. {error}"
                ) from None
            object.__setattr__(self, "_graph_losses", losses)
            object.__setattr__(self, "_graph_with_losses", graph)
            self.__dict__.pop("_own_code", None)
            self._look_for_parts()

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Run the graph."""
        values = self._standardize(inputs)
        if mask is not None:
            for x, m in zip(values, tree.flatten(mask), strict=False):
                if m is not None and x is not None:
                    set_mask(x, m)
        if self._graph_with_losses is not None:
            results = self._graph_with_losses.run(values)
            count = len(self.outputs)
            super().add_loss([jnp.mean(x) for x in results[count:]])
            return tree.pack_sequence_as(self._outputs_struct, results[:count])
        return tree.pack_sequence_as(self._outputs_struct, self._graph.run(values))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        given = tree.flatten(args[0] if args else kwargs.get("inputs"))
        if [getattr(x, "shape", None) for x in given] == [x.shape for x in self.inputs] and [
            str(x.dtype) for x in given
        ] == [x.dtype for x in self.inputs]:
            return tree.map_structure(lambda x: KerasTensor(x.shape, x.dtype), self._outputs_struct)
        return super().compute_output_spec(*args, **kwargs)

    def _standardize(self, inputs: Any) -> list[Any]:
        """Return values for the flat inputs from a tensor, list or dict, checked and cast."""
        names = self.input_names
        expected = self.inputs
        if isinstance(inputs, dict):
            keys = sorted(self._inputs_struct) if isinstance(self._inputs_struct, dict) else names
            if isinstance(self._inputs_struct, dict) and not set(keys) <= set(inputs):
                keys = names if set(names) <= set(inputs) else keys
            missing = [k for k in keys if k not in inputs]
            if missing:
                raise ValueError(
                    f"{self._label()} expects inputs named {errors.one_of(keys)}; "
                    f"{errors.one_of(missing)} is missing, received {errors.one_of(inputs)}."
                )
            values = [v for k in keys for v in tree.flatten(inputs[k])]
        else:
            values = tree.flatten(inputs)
            if isinstance(self._inputs_struct, dict) and isinstance(inputs, (list, tuple)):
                # A list for a model made from a dict: in the order in which the dict was written.
                order = [id(x) for x in self._inputs_struct.values()]
                if len(order) == len(values):
                    by_id = dict(zip(order, values, strict=True))
                    values = [by_id[id(x)] for x in expected]
        if len(values) != len(expected):
            raise ValueError(
                f"{self._label()} expects {len(expected)} input"
                f"{'s' if len(expected) > 1 else ''} ({', '.join(names)}), received {len(values)}."
            )
        return [self._fit(x, e, n) for x, e, n in zip(values, expected, names, strict=True)]

    def _fit(self, x: Any, expected: KerasTensor, name: str) -> Any:
        if x is None:
            operation = expected._history[0].operation if expected._history else None
            if getattr(operation, "optional", False):
                return None
            raise ValueError(f"{self._label()}: input '{name}' is None.")
        x = convert(x)
        shape, want = tuple(x.shape), expected.shape
        if len(shape) == len(want) - 1 and want[-1] in (1, None) and not isinstance(x, KerasTensor):
            x = x[..., None]
        elif len(shape) == len(want) + 1 and shape[-1] == 1 and not isinstance(x, KerasTensor):
            x = x[..., 0]
        shape = tuple(x.shape)
        if len(shape) != len(want) or any(
            w is not None and s is not None and w != s for s, w in zip(shape, want, strict=True)
        ):
            hint = ""
            if len(shape) == len(want) - 1:
                hint = " If this is one sample, add the batch axis: `x[None]`."
            elif len(shape) == len(want) and sorted(map(str, shape[1:])) == sorted(map(str, want[1:])):
                hint = " The axes seem to be in another order."
            raise ValueError(f"{self._label()}: input '{name}' must have shape {want}, received shape {shape}.{hint}")
        if not isinstance(x, KerasTensor) and x.dtype.name != expected.dtype:
            if is_float(x.dtype) and is_float(expected.dtype) and self.autocast:
                # Layers cast by their own policies; doubles were narrowed already.
                return x
            x = x.astype(expected.dtype)
        return x

    def get_config(self) -> dict[str, Any]:
        """Return the graph as Keras's files hold it."""
        if type(self).__init__ is not Functional.__init__ and type(self) is not Functional:
            return super().get_config()
        return functional_config(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from what `get_config` returned."""
        if "input_layers" not in config:
            return super().from_config(config, custom_objects)
        with custom_object_scope(custom_objects or {}):
            return functional_from_config(cls, config)


class Function(Operation):
    """A graph as an operation without state of its own.

    Args:
        inputs: Symbolic tensor, list or dict of them.
        outputs: Symbolic tensor, list or dict of them.
        name: Name.

    Example:
        >>> import hornbeam as hb
        >>> x = hb.Input((2,))
        >>> Function(x, x * 2.0)(hb.ops.ones((1, 2)))
        Array([[2., 2.]], dtype=float32)
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        super().__init__(name=name)
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self._graph = Graph(tree.flatten(inputs), tree.flatten(outputs))

    def call(self, inputs: Any) -> Any:
        """Run the graph."""
        results = self._graph.run([convert(x) for x in tree.flatten(inputs)])
        return tree.pack_sequence_as(self._outputs_struct, results)


def become_functional(model: Model, *args: Any, **kwargs: Any) -> None:
    """Turn an instance of a subclass whose `__init__` gave a graph into a functional model."""
    cls = type(model)
    if not issubclass(cls, Functional):
        model.__class__ = type(cls.__name__, (cls, Functional), {"__module__": cls.__module__, "_of": cls})
    Functional.__init__(model, *args, **kwargs)  # type: ignore[arg-type]


def _set_graph(model: Functional, inputs: Any, outputs: Any) -> None:
    for kind, given in (("inputs", inputs), ("outputs", outputs)):
        for x in tree.flatten(given):
            if not isinstance(x, KerasTensor):
                raise ValueError(
                    f"Model '{model.name}': `{kind}` must be symbolic tensors (from "
                    f"`hornbeam.Input` and layers called on it), received {errors.describe(x)}."
                )
    flat = tree.flatten(inputs)
    if len({id(x) for x in flat}) != len(flat):
        raise ValueError(f"Model '{model.name}': an input is given twice in `inputs`.")
    if not all(_is_input(x) for x in flat):
        inputs, outputs = _with_own_inputs(inputs, outputs)
    object.__setattr__(model, "_inputs_struct", inputs)
    object.__setattr__(model, "_outputs_struct", outputs)
    graph = Graph(tree.flatten(inputs), tree.flatten(outputs))
    object.__setattr__(model, "_graph", graph)
    _number_ops(graph.operations)
    names = collections.Counter(o.name for o in graph.operations)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(
            f"Model '{model.name}': layer names must be unique, but {errors.one_of(twice)} "
            "occurs more than once. Pass another `name=`."
        )
    refresh_parts(model)
    model.built = True
    shapes = tree.map_structure(lambda x: x.shape, inputs)
    from hornbeam.layers.shapes import shape_to_config

    model._build_shapes = {"input_shape": shape_to_config(shapes)}
    model._path = model.name


def _number_ops(operations: list[Operation]) -> None:
    """Give ops that share a name numbers: an op recorded for a mask may meet one that a file named."""
    taken = {o.name for o in operations}
    met: set[str] = set()
    for operation in operations:
        if operation.name in met and isinstance(operation, OpCall):
            stem = operation.name
            operation.name = next(name for n in itertools.count(1) if (name := f"{stem}_{n}") not in taken)
            taken.add(operation.name)
        met.add(operation.name)


def _is_input(x: KerasTensor) -> bool:
    return x._history is not None and not x._history[0].inputs and isinstance(x._history[0].operation, Layer)


def _with_own_inputs(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Copy the graph from intermediate tensors on, so that it starts with inputs of its own."""
    from hornbeam.layers import Input

    old = tree.flatten(inputs)
    graph = Graph(old, tree.flatten(outputs))
    new = [x if _is_input(x) else Input(batch_shape=x.shape, dtype=x.dtype, name=_free_name(x)) for x in old]
    copies = graph.run(list(new))
    return tree.pack_sequence_as(inputs, new), tree.pack_sequence_as(outputs, copies)


def _free_name(x: KerasTensor) -> str:
    return f"{x.name}_input" if x._history is None else f"{x._history[0].operation.name}_input"


# --- configuration ------------------------------------------------------------------------------


def functional_config(model: Functional) -> dict[str, Any]:
    """Return the graph in Keras's form: layers with the tensors that each of their calls took."""
    index = _node_index(model._graph)

    def tensor(x: Any) -> Any:
        if isinstance(x, KerasTensor):
            node, position = x._producer
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
            {"args": [tensor(a) for a in node.args], "kwargs": {k: tensor(v) for k, v in node.kwargs.items()}}
            for node in operation._inbound_nodes
            if id(node) in index and node.inputs
        ]
        layers.append(entry)

    def reference(x: KerasTensor) -> list[Any]:
        node, position = x._producer
        # Keras counts the making of a nested model here, and only here.
        made = 1 if isinstance(node.operation, Functional) else 0
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
    """Number of each node among its operation's nodes in this graph."""
    members = {id(node) for node in graph.nodes}
    index: dict[int, int] = {}
    for operation in graph.operations:
        own = [node for node in operation._inbound_nodes if id(node) in members]
        index.update((id(node), i) for i, node in enumerate(own))
    return index


def functional_from_config(cls: type, config: dict[str, Any]) -> Any:
    """Make a functional model from the form that `functional_config` gives (Keras 2's too)."""
    from hornbeam.saving.legacy import modern_graph

    config = modern_graph(config)
    operations: dict[str, Operation] = {}
    pending: list[tuple[Operation, list[Any]]] = []
    for entry in config["layers"]:
        operation = deserialize(entry)
        name = entry.get("name") or entry["config"].get("name")
        operations[name] = operation
        pending.append((operation, list(entry.get("inbound_nodes", []))))
    made: dict[tuple[str, int], Any] = {}  # (layer, number of its call): outputs
    names = {id(operation): name for name, operation in operations.items()}
    for operation, calls in pending:
        if not calls and operation._inbound_nodes:
            made[names[id(operation)], 0] = operation._inbound_nodes[0].outputs

    def resolve(history: Any) -> Any:
        name, node, position = history[:3]
        return tree.flatten(made[name, node])[position]

    def needed(x: Any) -> Iterator[tuple[str, int]]:
        if isinstance(x, dict) and x.get("class_name") == "__keras_tensor__":
            name, node = x["config"]["keras_history"][:2]
            yield name, node
        elif isinstance(x, (dict, list)):
            for item in x.values() if isinstance(x, dict) else x:
                yield from needed(item)

    def value(x: Any) -> Any:
        if isinstance(x, dict):
            if x.get("class_name") == "__keras_tensor__":
                return resolve(x["config"]["keras_history"])
            if "class_name" in x and "config" in x:
                return deserialize(x)
            return {key: value(item) for key, item in x.items()}
        return [value(item) for item in x] if isinstance(x, list) else x

    # Layers are called in the file's order, over and over until all calls are made; one that waits for a tensor is
    # looked at again when that is there: a file may have them in any order, and very many.
    counts: collections.Counter[str] = collections.Counter()
    queue = [(0, i) for i, (_, calls) in enumerate(pending) if calls]  # (time around, place in the file)
    waiting: dict[tuple[str, int], list[int]] = {}
    # What the next call of a layer needs, from where it was looked up last.
    left: dict[int, Iterator[tuple[str, int]]] = {}
    while queue:
        turn, i = heapq.heappop(queue)
        operation, calls = pending[i]
        name = names[id(operation)]
        while calls:
            needs = left.setdefault(i, needed([calls[0]["args"], calls[0]["kwargs"]]))
            missing = next((key for key in needs if key not in made), None)
            if missing is not None:
                waiting.setdefault(missing, []).append(i)
                break
            del left[i]
            call = calls.pop(0)
            args = [value(a) for a in call["args"]]
            kwargs = {k: value(v) for k, v in call["kwargs"].items()}
            if not any_symbolic(args, kwargs):
                # Numbers alone would be computed with now; a file describes graphs, it does not compute.
                raise ValueError(f"The saved graph of '{config.get('name')}' calls '{name}' on no tensor of it.")
            made[name, counts[name]] = operation(*args, **kwargs)
            for j in waiting.pop((name, counts[name]), ()):
                heapq.heappush(queue, (turn + (j <= i), j))
            counts[name] += 1
    if stuck := [names[id(operation)] for operation, calls in pending if calls]:
        raise ValueError(
            f"The saved graph of '{config.get('name')}' cannot be rebuilt: the inputs of "
            f"{errors.one_of(stuck)} are made by no layer in it."
        )

    def tensors(structure: Any) -> Any:
        if isinstance(structure, dict):
            return {key: tensors(item) for key, item in structure.items()}
        if len(structure) in (3, 4) and isinstance(structure[0], str):
            return resolve(structure)
        return [tensors(item) for item in structure]

    inputs, outputs = tensors(config["input_layers"]), tensors(config["output_layers"])
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
