"""`Sequential`: a stack of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np

from hornbeam import errors, tree
from hornbeam.core import naming
from hornbeam.core.graph import nodes_of
from hornbeam.core.masks import set_mask
from hornbeam.core.provenance import refuse_real_keras
from hornbeam.core.registry import custom_object_scope
from hornbeam.core.tensor import KerasTensor
from hornbeam.data.adapters import is_array, plain
from hornbeam.data.lazy import LazyArray
from hornbeam.dtype_policies import get_policy
from hornbeam.layers.core import Embedding, Lambda
from hornbeam.layers.input_layer import InputLayer
from hornbeam.layers.layer import Layer
from hornbeam.layers.preprocessing.text import is_text
from hornbeam.layers.shapes import is_shape, shape_from_config, shape_of
from hornbeam.layers.state import given_input_shape
from hornbeam.models.functional import Functional
from hornbeam.models.graph import Graph
from hornbeam.models.model import Model
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.typing import CustomObjects, Data, Shapes, Structure

__all__ = ["Sequential"]


class Sequential(Model):
    """A stack of layers, each of which takes the output of the previous one.

    Args:
        layers: Layers to add, in order. With an `Input` first, or `input_shape=` on the first
            layer, the model is built at once, otherwise in the first call.
        trainable: Whether optimizers update its variables.
        name: Name. Default: `"sequential"`, numbered.

    Raises:
        TypeError: If an object that is not a layer is added.
        ValueError: If two layers share a name.

    Example:
        >>> import hornbeam as hb
        >>> model = Sequential([hb.Input((4,)), hb.layers.Dense(2), hb.layers.Dense(1)])
        >>> model.count_params()
        13
    """

    _stack: list[Layer]
    _functional: Functional | None
    # Whether a batch or `build` gave the input's shape: then other sizes may follow.
    _sizes_may_change: bool = False
    # The symbolic input, and the symbolic output of each layer that was called so far.
    _tensors: list[Structure]
    _not_children = Model._not_children | {"_functional", "_stack", "_tensors"}

    def __init__(
        self,
        layers: Iterable[Any] | None = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        object.__setattr__(self, "_stack", [])
        object.__setattr__(self, "_tensors", [])
        object.__setattr__(self, "_functional", None)
        super().__init__(trainable=trainable, name=name, **kwargs)
        for layer in layers or ():
            self._append(layer)
        self._rebuild()

    def add(self, layer: Layer | KerasTensor | Callable[..., Any], rebuild: bool = True) -> None:
        """Add a layer at the end of the stack.

        Raises:
            TypeError: If it is not a layer.
            ValueError: If the stack already has a layer of that name.
        """
        self._append(layer)
        if rebuild:
            self._rebuild()

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer and return it.

        Raises:
            ValueError: If the stack is empty.
        """
        if not self.layers:
            raise ValueError(f"{self._label()}: `pop` needs a layer, but the stack is empty.")
        layer = self._stack.pop()
        del self._tensors[len(self.layers) + 1 :]
        self.built = False
        object.__setattr__(self, "_functional", None)
        self._programs = {}
        if rebuild:
            self._rebuild()
        return layer

    def _append(self, layer: Any) -> None:
        if isinstance(layer, KerasTensor):
            origin = layer.history[0].operation if layer.history else None
            if not isinstance(origin, InputLayer):
                raise errors.ArgumentError(
                    f"{self._label()}: expected a layer or `Input(shape)`, received {layer!r}."
                )
            layer = origin
        refuse_real_keras(self._label(), layer)
        if not isinstance(layer, Layer):
            if callable(layer) and not isinstance(layer, type):
                layer = Lambda(layer)
            else:
                hint = f" Write `{layer.__name__}(...)`." if isinstance(layer, type) else ""
                raise errors.ArgumentError(
                    f"{self._label()}: expected a layer, received {errors.describe(layer)}.{hint}"
                )
        if isinstance(layer, InputLayer) and self._stack:
            if isinstance(self._stack[0], InputLayer):
                raise ValueError(
                    f"{self._label()}: it already has an input. Add one `Input` only, before all"
                    " layers."
                )
            raise ValueError(f"{self._label()}: `Input` must come before all layers.")
        if layer.name in {x.name for x in self._stack}:
            raise ValueError(
                f"{self._label()}: layer names must be unique, but the stack already has"
                f" '{layer.name}'. Pass another `name=`."
            )
        if not self._stack and not isinstance(layer, InputLayer) and given_input_shape(layer):
            dtype = "float32" if type(layer).__name__ != "Embedding" else "int32"
            if dtype == "float32" and layer.dtype_policy is not None:
                dtype = layer.input_dtype
            self._stack.append(InputLayer(batch_shape=given_input_shape(layer), dtype=dtype))
        elif not self._stack and isinstance(layer, Functional) and len(layer.inputs) == 1:
            first = layer.inputs[0]
            self._stack.append(InputLayer(batch_shape=first.shape, dtype=first.dtype))
        elif not self._stack and isinstance(layer, Sequential) and layer._functional is not None:
            first = layer._functional.inputs[0]
            self._stack.append(InputLayer(batch_shape=first.shape, dtype=first.dtype))
        self._stack.append(layer)
        self.built = False
        object.__setattr__(self, "_functional", None)
        self._programs = {}

    def _rebuild(self) -> None:
        if self._stack and isinstance(self._stack[0], InputLayer):
            if len(self._stack) > 1:
                self.build(self._stack[0].batch_shape)
        elif self._stack and hasattr(self._stack[0], "make_inputs"):
            self.build()

    @property  # type: ignore[misc]  # without the setter of `Model`
    def layers(self) -> list[Layer]:
        """The layers of the stack, without the input layer."""
        return [x for x in self._stack if not isinstance(x, InputLayer)]

    @property
    def _layers(self) -> list[Layer]:
        return list(self._stack)

    def build(self, input_shape: Shapes = None) -> None:
        """Create all variables.

        Args:
            input_shape: Shape of the input with the batch axis. Default: the shape of `Input`, or
                rows of any length if the first layer is an `Embedding`.

        Raises:
            ValueError: If no shape is known, or a layer does not accept its input's shape.
        """
        if not self._stack:
            raise ValueError(f"{self._label()}: it has no layers. `add` one before you build it.")
        if self._tensors:
            x = self._tensors[0]
        elif isinstance(self._stack[0], InputLayer):
            x = nodes_of(self._stack[0])[0].outputs
        elif hasattr(self._stack[0], "make_inputs"):
            # `Merge`, Keras 1's form of a model with several inputs
            x = self._stack[0].make_inputs()
        else:
            if input_shape is None and isinstance(self._stack[0], Embedding):
                input_shape = (None, None)
            if input_shape is None:
                raise ValueError(
                    f"{self._label()}: its input shape is unknown. Start with `Input(shape)`, "
                    "pass `input_shape=` to the first layer, or call it on data."
                )
            if not is_shape(input_shape):  # several inputs: run layer by layer
                self.built = True
                return
            text = getattr(self._stack[0], "needs_text", False)
            dtype = "string" if text else self.compute_dtype
            start = InputLayer(batch_shape=shape_from_config(input_shape), dtype=dtype)
            self._stack.insert(0, start)
            self._sizes_may_change = True
            x = nodes_of(start)[0].outputs
        try:
            y = self._call_layers(x)
        except NotImplementedError:
            self.built = True  # a layer that cannot be traced: run layer by layer
            return
        # Not tracked as a sublayer: the functional model holds the same layers.
        object.__setattr__(self, "_functional", Functional(inputs=x, outputs=y, name=self.name))
        self.built = True

    def _call_layers(self, x: Structure) -> Structure:
        """Return the symbolic output of the stack for its input `x`.

        Calls only layers that were added since the last time, so each layer keeps one call.
        """
        self._tensors[:] = self._tensors or [x]
        for layer in self.layers[len(self._tensors) - 1 :]:
            self._tensors.append(layer(tree.only(self._tensors[-1])))
        return self._tensors[-1]

    def _ensure_built(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if not self.built and self._stack:
            first = args[0] if args else next(iter(kwargs.values()))
            shape = shape_of(first)
            if is_text(first) and not isinstance(self._stack[0], InputLayer):
                self._stack.insert(0, InputLayer(batch_shape=(None, *shape[1:]), dtype="string"))
                self._sizes_may_change = True
            if is_shape(shape):
                shape = (None, *shape[1:]) if shape else shape
            with naming.outside_of(self.name):
                self.build(shape)

    def call(
        self, inputs: Structure, training: bool | None = None, mask: Structure = None
    ) -> Structure:
        """Run the stack."""
        if self._functional is not None and not self._has_other_sizes(inputs):
            return self._functional.call(inputs, training=training, mask=mask)
        if mask is not None and self._functional is not None:
            set_mask(inputs, mask)
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def predict_proba(
        self, x: Data, batch_size: int | None = None, verbose: int | str = 0, **kwargs: Any
    ) -> Structure:
        """Return `predict(x)` (a method of Keras 1 and 2)."""
        return self.predict(x, batch_size=batch_size, verbose=verbose, **kwargs)

    def predict_classes(
        self, x: Data, batch_size: int | None = None, verbose: int | str = 0, **kwargs: Any
    ) -> Structure:
        """Return the predicted class indices (a method of Keras 1 and 2).

        The class is the index of the largest output. For a single output, it is 1 if the output is
        above 0.5, else 0.

        Args:
            x, batch_size, verbose, **kwargs: As for `predict`.

        Returns:
            Integers of shape `(B, ...)`, or `(B, 1)` for a single output.
        """
        outputs = self.predict(x, batch_size=batch_size, verbose=verbose, **kwargs)
        return outputs.argmax(axis=-1) if outputs.shape[-1] > 1 else (outputs > 0.5).astype("int32")

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Structure:
        first = args[0] if args else kwargs.get("inputs")
        if self._functional is not None and not self._has_other_sizes(first):
            return self._functional.compute_output_spec(*args, **kwargs)
        return super().compute_output_spec(*args, **kwargs)

    def _given_stack(self) -> list[Layer]:
        """Return the stack as the user gave it, without an input layer that a batch added."""
        return self._stack[1:] if self._sizes_may_change else self._stack

    def _has_other_sizes(self, x: Any) -> bool:
        """Return whether `x` has other sizes than the batch that built the model."""
        if not self._sizes_may_change or self._functional is None or tree.is_nested(x):
            return False
        shape, built = tuple(x.shape)[1:], self._functional.inputs[0].shape[1:]
        return len(shape) == len(built) and shape != built

    def _graph_model(self) -> Functional:
        if self._functional is None:
            raise AttributeError(
                f"{self._label()} has no input yet. Start it with `Input(shape)`, or call it on"
                " data."
            )
        return self._functional

    def host_layers(self, x: Data = None) -> Callable[[Structure], Structure] | None:
        """Return a function that runs the layers that take text, or `None` if there are none."""
        if not self.built and (isinstance(x, (list, np.ndarray)) or is_array(x)):
            data = plain(x)
            if not isinstance(data, LazyArray) or is_text(data[:0]):
                text = np.asarray(data)
                if is_text(text):
                    self._ensure_built((text,), {})
        return None if self._functional is None else self._functional.host_layers(x)

    def text_outputs(self) -> Callable[[Structure], Structure] | None:
        """Return a function that makes the texts among outputs, or `None` if there are none."""
        return None if self._functional is None else self._functional.text_outputs()

    def inner_graph(self, inputs: Structure) -> tuple[Graph, list[Any]]:
        """Return the graph of the stack, and a value for each of its inputs."""
        return self._graph_model().inner_graph(inputs)

    def values_of(self, tensors: Structure, inputs: Structure) -> Structure:
        """Return the values of symbolic tensors for a batch of inputs."""
        return self._graph_model().values_of(tensors, inputs)

    @property
    def input(self) -> Structure:
        """Symbolic input of the stack."""
        return self._graph_model().input

    @property
    def output(self) -> Structure:
        """Symbolic output of the stack."""
        return self._graph_model().output

    @property
    def inputs(self) -> list[KerasTensor]:
        return self._graph_model().inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        return self._graph_model().outputs

    @property
    def input_names(self) -> list[str]:
        return self._graph_model().input_names

    @property
    def output_names(self) -> list[str]:
        return self._graph_model().output_names

    def get_config(self) -> dict[str, Any]:
        """Return the configurations of the layers, and the input shape if it is known."""
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self._trainable,
            "dtype": serialize(self.dtype_policy),
            "layers": [serialize(layer) for layer in self._given_stack()],
        }
        if self._functional is not None and len(self._functional.inputs) == 1:
            config["build_input_shape"] = list(self._functional.inputs[0].shape)
        return config

    def get_build_config(self) -> dict[str, Any] | None:
        if self._functional is None:
            return self._build_shapes
        return {"input_shape": list(self._functional.inputs[0].shape)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any] | list[Any], custom_objects: CustomObjects = None
    ) -> Self:
        """Make a stack from the result of `get_config`, or from Keras 1's plain list of layers."""
        config = {"layers": config} if isinstance(config, list) else dict(config)
        with custom_object_scope(custom_objects or {}):
            layers = [deserialize(entry) for entry in config["layers"]]
        model = cls(layers, name=config.get("name"))
        shape = config.get("build_input_shape")
        if shape is not None and not model.built and model.layers:
            model.build(shape_from_config(shape))
        if config.get("trainable") is False:
            model._trainable = False
        if isinstance(config.get("dtype"), (dict, str)):
            model.dtype_policy = get_policy(config["dtype"])
        return model
