"""Functional models: a graph of layers between symbolic inputs and outputs."""

from __future__ import annotations

import collections
import functools
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import jax.numpy as jnp
from jax.core import Tracer
from jax.dtypes import canonicalize_dtype

from hornbeam import errors, tree
from hornbeam.core.convert import convert
from hornbeam.core.graph import Node, Operation
from hornbeam.core.masks import set_mask
from hornbeam.core.op import OpCall
from hornbeam.core.registry import custom_object_scope
from hornbeam.core.sparse import as_sparse, is_sparse
from hornbeam.core.structure import structure_version
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.tracing import shape_with_unknowns
from hornbeam.data.adapters import is_frame
from hornbeam.dtypes import is_float
from hornbeam.layers.input_layer import Input
from hornbeam.layers.layer import Layer
from hornbeam.layers.preprocessing.text import as_host_array
from hornbeam.layers.shapes import shape_to_config
from hornbeam.layers.state import refresh_parts
from hornbeam.models.front import HostGraph, needs_host
from hornbeam.models.functional_config import functional_config, functional_from_config
from hornbeam.models.graph import Graph
from hornbeam.models.graph_subclass import own_arguments, takes_graph
from hornbeam.models.model import Model, graph_models
from hornbeam.older_words import older_words
from hornbeam.training.columns import column, named_columns
from hornbeam.typing import CustomObjects, Data, Shape, Shapes, Structure, Tensor

__all__ = ["Function", "Functional"]


class Functional(Model):
    """A model made from a graph: `Model(inputs, outputs)`.

    Args:
        inputs: Symbolic tensor, or a list or dict of them.
        outputs: Symbolic tensor, or a list or dict of them.
        name: Name. Default: `"functional"`, numbered.

    Raises:
        ValueError: If the outputs are not computed from the inputs, or two layers share a name.

    Example:
        >>> import hornbeam as hb
        >>> a, b = hb.Input((2,), name="a"), hb.Input((2,), name="b")
        >>> model = hb.Model({"a": a, "b": b}, a + 2 * b)
        >>> model({"a": hb.ops.array([[1.0, 1.0]]), "b": hb.ops.array([[1.0, 2.0]])})
        Array([[3., 5.]], dtype=float32)
    """

    _graph: Graph
    _given_graph: tuple[Structure, Structure]
    _inputs_struct: Structure
    _outputs_struct: Structure
    _graph_losses: Sequence[KerasTensor] = ()
    _graph_metrics: Mapping[str, KerasTensor] = MappingProxyType({})
    _graph_with_losses: Graph | None = None
    _not_children = Model._not_children | {
        "_graph",
        "_graph_losses",
        "_graph_metrics",
        "_graph_with_losses",
        "_inputs_struct",
        "_outputs_struct",
        "_given_graph",
        "_text_front",
    }

    def __init__(
        self,
        inputs: Structure = None,
        outputs: Structure = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        inputs = kwargs.pop("input", inputs)
        outputs = kwargs.pop("output", outputs)
        object.__setattr__(self, "_given_graph", (inputs, outputs))
        Model.__init__(self, name=name, **kwargs)
        _set_graph(self, inputs, outputs)

    def _default_name(self) -> str:
        return "functional" if type(self) is Functional else type(self).__name__

    @property  # type: ignore[misc]  # without the setter of `Model`
    def layers(self) -> list[Layer]:
        """Layers of the graph, from the inputs to the outputs."""
        return [
            o for o in (self._graph_with_losses or self._graph).operations if isinstance(o, Layer)
        ]

    @property
    def operations(self) -> list[Operation]:
        """Layers and ops of the graph, from the inputs to the outputs."""
        return list(self._graph.operations)

    @property
    def graph_nodes(self) -> list[Node]:
        """The calls of layers and ops in the graph, from the inputs to the outputs."""
        return list(self._graph.nodes)

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
    def input(self) -> Structure:
        """Symbolic inputs, as given."""
        return self._inputs_struct

    @property
    def output(self) -> Structure:
        """Symbolic outputs, as given."""
        return self._outputs_struct

    @property
    def input_names(self) -> list[str]:
        return [x.history[0].operation.name if x.history else x.name for x in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: the keys if they are a dict, else the names of their layers."""
        if isinstance(self._outputs_struct, dict) and not any(
            tree.is_nested(x) for x in self._outputs_struct.values()
        ):
            return sorted(self._outputs_struct)
        return [x.history[0].operation.name if x.history else x.name for x in self.outputs]

    def build(self, input_shape: Shapes = None) -> None:
        """Do nothing: the layers of a graph are already built."""
        self.built = True

    @older_words(losses="loss", inputs="")
    def add_loss(self, loss: Structure) -> None:
        """Add a loss: a scalar for the current call, or a symbolic tensor for every call.

        Args:
            loss: A scalar, a symbolic tensor of the graph (its mean is added), or a list of them.
                Symbolic losses are not saved to files.

        Raises:
            ValueError: If an array is not a scalar, or a symbolic tensor is not computed from the
                model's inputs.
        """
        flat = tree.flatten(loss)
        super().add_loss([x for x in flat if not isinstance(x, KerasTensor)])
        losses = [*self._graph_losses, *(x for x in flat if isinstance(x, KerasTensor))]
        if losses:
            self._extend_graph("add_loss", losses, self._graph_metrics)

    def add_metric(
        self, value: Tensor, aggregation: str | None = None, name: str | None = None
    ) -> None:
        """Report the mean of a tensor as a metric, as in Keras 1 and 2.

        Args:
            value: A value, or a symbolic tensor of the graph, which every call computes.
            aggregation: `"mean"`, or `None` for the same.
            name: Name of the metric. Required.

        Raises:
            ValueError: If `name` is missing, `aggregation` has another value, or a symbolic tensor
                is not computed from the model's inputs.
        """
        metric = self._added_metric(aggregation, name)
        if isinstance(value, KerasTensor):
            named = {**self._graph_metrics, metric.name: value}
            self._extend_graph("add_metric", self._graph_losses, named)
        else:
            metric.update_state(value)

    def _extend_graph(
        self, method: str, losses: Sequence[KerasTensor], metrics: Mapping[str, KerasTensor]
    ) -> None:
        """Make every call compute these symbolic losses and metrics."""
        try:
            graph = Graph(self.inputs, [*self.outputs, *losses, *metrics.values()])
        except ValueError as error:
            raise ValueError(
                f"{self._label()}: {method} needs a tensor computed from the model's inputs."
                f" {error}"
            ) from None
        object.__setattr__(self, "_graph_losses", losses)
        object.__setattr__(self, "_graph_metrics", metrics)
        object.__setattr__(self, "_graph_with_losses", graph)
        self.__dict__.pop("_runs_library_code", None)
        self._look_for_parts()

    def values_of(self, tensors: Structure, inputs: Structure) -> Structure:
        """Return the values of symbolic tensors for a batch of inputs.

        Args:
            tensors: Symbolic tensors that are computed from the model's inputs.
            inputs: The batch.
        """
        flat = tree.flatten(tensors)
        values = Graph(self.inputs, flat).run(self._standardize(inputs))
        return tree.pack_sequence_as(tensors, values)

    @property
    def graph_losses(self) -> list[KerasTensor]:
        """Symbolic losses given to `add_loss`; every call computes them."""
        return list(self._graph_losses)

    def call(
        self, inputs: Structure, training: bool | None = None, mask: Structure = None
    ) -> Structure:
        """Run the graph."""
        host = self._host_graph()
        if host is not None and host.fits(inputs):
            run = functools.partial(host.run_step, inputs=inputs)
        else:
            values = self._standardize(inputs)
            run = functools.partial(Graph.run, values=values)
            traced = any(isinstance(x, Tracer) for x in values)
            if host is not None and not host.has_front and traced:
                run = functools.partial(host.run_step, inputs=values)
            if mask is not None:
                for x, m in zip(values, tree.flatten(mask), strict=False):
                    if m is not None and x is not None:
                        set_mask(x, m)
        if self._graph_with_losses is not None:
            results = run(self._graph_with_losses)
            count = len(self.outputs)
            last = count + len(self._graph_losses)
            super().add_loss([jnp.mean(x) for x in results[count:last]])
            for name, value in zip(self._graph_metrics, results[last:], strict=True):
                self.__dict__["added_metrics"][name].update_state(value)
            return self._packed(results[:count])
        return self._packed(run(self._graph))

    def _packed(self, results: list[Any]) -> Structure:
        """Return the results as the outputs were given; a list of one is its member."""
        return tree.only(tree.pack_sequence_as(self._outputs_struct, results))

    def _host_graph(self) -> HostGraph | None:
        """Return the graph with its layers for the host, such as those for text, if it has any."""
        known, key = self.__dict__.get("_text_front"), structure_version.number
        if known is None or known[0] is not self._graph or known[1] != key:
            graph = self._graph
            known = graph, key, HostGraph(graph, self._label()) if needs_host(graph) else None
            object.__setattr__(self, "_text_front", known)
        return known[2]

    def _run_front(self, host: HostGraph, inputs: Structure) -> Structure:
        return inputs if host.fits(inputs) else host.run_front(self._standardize(inputs))

    def host_layers(self, x: Data = None) -> Callable[[Structure], Structure] | None:
        """Return a function that runs the layers for the host, or `None` if there are none."""
        host = self._host_graph()
        if host is None or not host.has_front:
            return None
        return functools.partial(self._run_front, host)

    def text_outputs(self) -> Callable[[Structure], Structure] | None:
        """Return a function that makes the texts among outputs, or `None` if there are none."""
        host = self._host_graph()
        if host is None or not host.texts:
            return None
        return lambda outputs: self._packed(host.after_step(tree.flatten(outputs)))

    def inner_graph(self, inputs: Structure) -> tuple[Graph, list[Any]]:
        """Return the graph, and a value for each of its inputs."""
        return self._graph, self._standardize(inputs)

    def _convert_inputs(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        if args:
            args = (self.chosen_columns(args[0]), *args[1:])
        return super()._convert_inputs(args, kwargs)

    def chosen_columns(self, x: Data) -> Data:
        """Return the columns of a data frame that are the model's inputs, by name."""
        struct = self._inputs_struct
        if not is_frame(x) or not (isinstance(struct, dict) or len(self.inputs) > 1):
            return x
        by_name = (
            struct
            if isinstance(struct, dict)
            else dict(zip(self.input_names, self.inputs, strict=True))
        )
        columns = named_columns(x, map(str, by_name), self._label())
        return {
            name: column(columns[str(name)], tensor.dtype, f"{self._label()}: column '{name}'")[0]
            for name, tensor in by_name.items()
        }

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Structure:
        given = tree.flatten(args[0] if args else kwargs.get("inputs"))
        if [getattr(x, "shape", None) for x in given] == [x.shape for x in self.inputs] and [
            str(x.dtype) for x in given
        ] == [x.dtype for x in self.inputs]:
            return tree.map_structure(
                lambda x: KerasTensor(x.shape, x.dtype, x.sparse), self._outputs_struct
            )
        specs = super().compute_output_spec(*args, **kwargs)
        return tree.pack_sequence_as(self._outputs_struct, tree.flatten(specs))

    def _standardize(self, inputs: Any) -> list[Any]:
        """Return a list with a checked and cast value for each input of the graph."""
        names = self.input_names
        expected = self.inputs
        if isinstance(inputs, dict):
            keys = sorted(self._inputs_struct) if isinstance(self._inputs_struct, dict) else names
            if isinstance(self._inputs_struct, dict) and not set(keys) <= set(inputs):
                keys = names if set(names) <= set(inputs) else keys
            missing = [k for k in keys if k not in inputs]
            if missing:
                raise ValueError(
                    f"{self._label()} expects inputs named {errors.listed(keys)}; "
                    f"{errors.listed(missing)} is missing, received {errors.listed(inputs)}."
                )
            values = [v for k in keys for v in tree.flatten(inputs[k])]
        else:
            if expected[0].dtype == "string" and len(expected) == 1 and isinstance(inputs, list):
                inputs = as_host_array(inputs, self._label())  # a list of texts is one input
            values = tree.flatten(inputs)
            if isinstance(self._inputs_struct, dict) and isinstance(inputs, (list, tuple)):
                # A list for a model with dict inputs follows the insertion order of the dict.
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
            operation = expected.history[0].operation if expected.history else None
            if getattr(operation, "optional", False):
                return None
            raise ValueError(f"{self._label()}: input '{name}' must be a tensor, received None.")
        # Text stays on the host, where the layers that take it run.
        text = expected.dtype == "string" and not isinstance(x, KerasTensor)
        if text:
            x = as_host_array(x, self._label())
        elif is_sparse(x) and len(x.shape) == len(expected.shape):
            x = as_sparse(x)
        else:
            x = convert(x)
        shape, want = tuple(x.shape), expected.shape
        if len(shape) == len(want) - 1 and want[-1] in (1, None) and not isinstance(x, KerasTensor):
            x = x[..., None]
        elif len(shape) == len(want) + 1 and shape[-1] == 1 and not isinstance(x, KerasTensor):
            x = x[..., 0]
        shape = tuple(x.shape)
        if len(shape) == len(want) + 1 and _ends_like(shape, want):
            self._warn_of_rank(name, want, shape)  # each layer checks whether it allows it
        elif len(shape) != len(want) or any(
            w is not None and s is not None and w != s for s, w in zip(shape, want, strict=True)
        ):
            hint = ""
            if len(shape) == len(want) - 1:
                hint = " If this is one sample, add the batch axis: `x[None]`."
            elif len(shape) == len(want) and sorted(map(str, shape[1:])) == sorted(
                map(str, want[1:])
            ):
                hint = " The axes seem to be in another order."
            raise ValueError(
                f"{self._label()}: input '{name}' must have shape {want}, received shape"
                f" {shape}.{hint}"
            )
        if expected.dtype == "string":
            return x
        dtype = canonicalize_dtype(expected.dtype).name
        if not isinstance(x, KerasTensor) and x.dtype.name != dtype:
            if is_float(x.dtype) and is_float(expected.dtype) and self.autocast:
                # Layers cast according to their policies; float64 is already converted.
                return x
            x = x.astype(dtype)
        return x

    def _warn_of_rank(self, name: str, want: Shape, shape: Sequence[Any]) -> None:
        """Say once that an input has one axis more than the model was made for."""
        if not self.__dict__.get("_warned_of_rank"):
            self.__dict__["_warned_of_rank"] = True
            warnings.warn(
                f"{self._label()}: input '{name}' was made with shape {want} and now has shape"
                f" {shape_with_unknowns(shape)}, one axis more. The layers run as they do for the"
                " larger input. If this is a mistake, remove the axis.",
                stacklevel=2,
            )

    def get_config(self) -> dict[str, Any]:
        """Return the graph as it is stored in Keras's files."""
        if type(self).__init__ is Functional.__init__:
            return functional_config(self)
        if not takes_graph(self):
            return super().get_config()
        return {**functional_config(self), **own_arguments(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: CustomObjects = None) -> Self:
        """Make a model from the result of `get_config`."""
        if "input_layers" not in config:
            return super().from_config(config, custom_objects)
        with custom_object_scope(custom_objects or {}):
            return functional_from_config(getattr(cls, "_of", cls), config)


class Function(Operation):
    """A graph as a stateless operation.

    Args:
        inputs: Symbolic tensor, or a list or dict of them.
        outputs: Symbolic tensor, or a list or dict of them.
        name: Name.

    Example:
        >>> import hornbeam as hb
        >>> x = hb.Input((2,))
        >>> Function(x, x * 2.0)(hb.ops.ones((1, 2)))
        Array([[2., 2.]], dtype=float32)
    """

    def __init__(self, inputs: Structure, outputs: Structure, name: str | None = None):
        super().__init__(name=name)
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self._graph = Graph(tree.flatten(inputs), tree.flatten(outputs))

    @property
    def operations(self) -> list[Operation]:
        """Layers and ops of the graph, from the inputs to the outputs."""
        return list(self._graph.operations)

    @property
    def layers(self) -> list[Layer]:
        """Layers of the graph, from the inputs to the outputs."""
        return [x for x in self._graph.operations if isinstance(x, Layer)]

    @property
    def inputs(self) -> list[KerasTensor]:
        """Symbolic inputs, flat."""
        return self._graph.inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """Symbolic outputs, flat."""
        return self._graph.outputs

    def call(self, inputs: Structure) -> Structure:
        """Run the graph."""
        results = self._graph.run([convert(x) for x in tree.flatten(inputs)])
        return tree.pack_sequence_as(self._outputs_struct, results)


def become_functional(model: Model, *args: Any, **kwargs: Any) -> None:
    """Turn an instance of a subclass of `Model` into a functional model.

    The subclass has called `super().__init__(inputs, outputs)`. The instance exists already, so its
    class is replaced by one that adds `Functional` as a base.
    """
    cls = type(model)
    if not issubclass(cls, Functional):
        model.__class__ = type(
            cls.__name__, (cls, Functional), {"__module__": cls.__module__, "_of": cls}
        )
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
            f"Model '{model.name}': layer names must be unique, but {errors.listed(twice)} "
            "occurs more than once. Pass another `name=`."
        )
    refresh_parts(model)
    model.built = True
    shapes = tree.map_structure(lambda x: x.shape, inputs)
    model._build_shapes = {"input_shape": shape_to_config(shapes)}
    model._path = model.name


def _number_ops(operations: list[Operation]) -> None:
    """Give unique names to ops that share one.

    An op recorded for a mask may have the same name as an op from a file.
    """
    taken = {o.name for o in operations}
    met: set[str] = set()
    for operation in operations:
        if operation.name in met and isinstance(operation, OpCall):
            stem = operation.name
            operation.name = next(
                name for n in itertools.count(1) if (name := f"{stem}_{n}") not in taken
            )
            taken.add(operation.name)
        met.add(operation.name)


def _ends_like(shape: Sequence[Any], want: Sequence[Any]) -> bool:
    """Return whether the last axes have the sizes that an input has after its batch axis."""
    if len(want) < 2:
        return False
    pairs = zip(shape[1 - len(want) :], want[1:], strict=True)
    return all(w is None or s is None or w == s for s, w in pairs)


def _is_input(x: KerasTensor) -> bool:
    return (
        x.history is not None
        and not x.history[0].inputs
        and isinstance(x.history[0].operation, Layer)
    )


def _with_own_inputs(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Copy a graph that starts at intermediate tensors and replace these by new inputs."""
    old = tree.flatten(inputs)
    graph = Graph(old, tree.flatten(outputs))
    new = [
        x
        if _is_input(x)
        else Input(batch_shape=x.shape, dtype=x.dtype, sparse=x.sparse, name=_free_name(x))
        for x in old
    ]
    copies = graph.run(list(new))
    return tree.pack_sequence_as(inputs, new), tree.pack_sequence_as(outputs, copies)


def _free_name(x: KerasTensor) -> str:
    return f"{x.name}_input" if x.history is None else f"{x.history[0].operation.name}_input"


def _from_config(cls: type, config: dict[str, Any]) -> Any:
    return functional_from_config(Functional if cls is Model else cls, config)


graph_models.cls, graph_models.become, graph_models.from_config = (
    Functional,
    become_functional,
    _from_config,
)
