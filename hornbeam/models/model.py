"""`Model`: a layer that can be compiled, trained, saved and shown.

Here is its structure. Compiling and the loops are in `hornbeam.training`, formats of files in
`hornbeam.saving`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from hornbeam import errors, tree
from hornbeam.core.registry import custom_object_scope
from hornbeam.core.structure import structure_version
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import current_overlay
from hornbeam.layers.call_scope import inside_call
from hornbeam.layers.layer import Layer
from hornbeam.layers.shapes import shape_to_config, tensors_of
from hornbeam.models.files import ModelFiles
from hornbeam.models.quantize import quantize_model
from hornbeam.models.state import ModelState
from hornbeam.models.summary import print_summary
from hornbeam.objects.configuration import serialize
from hornbeam.objects.constructor import constructor_config, from_constructor_config
from hornbeam.training.padding import runs_library_code
from hornbeam.training.predict import call_compiled
from hornbeam.training.trainable import Trainable

__all__ = ["Model", "graph_models"]


class _GraphModels:
    """How models are made from graphs; `functional.py` fills it in, since `Functional` is a `Model`
    itself.

    Attributes:
        cls: The class `Functional`.
        become: Makes an instance of a subclass, whose `__init__` got inputs and outputs, a
            functional model.
        from_config: Makes a model of a class from the configuration of a graph.
    """

    cls: type[Model]
    become: Callable[..., None]
    from_config: Callable[[type, dict[str, Any]], Any]


graph_models = _GraphModels()


class Model(ModelFiles, ModelState, Trainable):
    """A layer with a training loop, an evaluation, a prediction and files.

    Made in three ways: `Model(inputs, outputs)` from a graph of symbolic tensors, a subclass
    with `call`, or `Sequential`.

    Args:
        inputs: Symbolic tensor from `Input`, or a list or dict of them.
        outputs: Symbolic tensor, list or dict of them, computed from `inputs`.
        trainable: Whether optimizers change its variables.
        dtype: Dtype name or policy of layers that have none of their own.
        name: Name.

    Example:
        >>> import hornbeam as hb
        >>> x = hb.Input((4,))
        >>> model = hb.Model(x, hb.layers.Dense(2)(x))
        >>> model.output_shape
        (None, 2)
    """

    # The loops of Keras 1 and 2, which `hornbeam.legacy.generators` puts here when `hornbeam` is
    # imported.
    fit_generator: Callable[..., Any]
    evaluate_generator: Callable[..., Any]
    predict_generator: Callable[..., Any]

    _not_children = Trainable._not_children | {"_runs_library_code"}

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional_call(args, kwargs):
            # Python runs `__init__` itself only if the class asked for is an ancestor.
            return super().__new__(graph_models.cls, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        if _is_functional_call(args, kwargs) and not hasattr(self, "_graph_given"):
            # A subclass that calls super().__init__(inputs, outputs) is a functional model.
            graph_models.become(self, *args, **kwargs)
            return
        if args:
            raise TypeError(
                f"{type(self).__name__}: expected `inputs` and `outputs`, or keyword arguments, "
                f"received {errors.describe(args)}."
            )
        super().__init__(**kwargs)
        self._start_training_state()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs: by a compiled step if the model runs no code of the user's, which
        could notice.
        """
        if len(args) == 1 and not (kwargs and (len(kwargs) > 1 or kwargs.get("training", True))):
            if isinstance(args[0], (np.ndarray, jax.Array)) and self._calls_compiled(args[0]):
                return call_compiled(self, args[0])
        return super().__call__(*args, **kwargs)

    def _calls_compiled(self, x: Any) -> bool:
        if not self.built or self.run_eagerly or isinstance(x, jax.core.Tracer):
            return False
        if current_overlay() is not None or inside_call() or "call" in self.__dict__:
            return False
        known = self.__dict__.get("_runs_library_code")
        if known is None or known[0] != structure_version.number:
            known = self._runs_library_code = (structure_version.number, runs_library_code(self))
        return bool(known[1])

    # --- structure -----------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """Direct layers, in the order in which they were added."""
        return self._layers

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError("`Model.layers` is reserved; use another name for your own list.")

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by name or by index.

        Raises:
            ValueError: If none or both are given, or no such layer exists.
        """
        if (name is None) == (index is None):
            raise ValueError("get_layer: give either `name` or `index`.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"get_layer: `index` {index} is out of range; {len(layers)} layers exist."
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise errors.unknown_name(f"layer in model '{self.name}':", name, [x.name for x in layers])

    def _label(self) -> str:
        return f"Model '{self.path}' ({type(self).__name__})"

    def build(self, input_shape: Any = None) -> None:
        """Create the variables for inputs of a shape, by tracing a call.

        Args:
            input_shape: Shape with the batch axis, or a structure of shapes.

        Raises:
            ValueError: If `call` fails for such inputs.
        """
        if input_shape is not None and type(self).call is not Layer.call and not self._flat_built():
            tensors = tensors_of(input_shape, self.compute_dtype)
            many = isinstance(tensors, list) and len(_positional(type(self).call)) > 1
            self.compute_output_spec(*(tensors if many else [tensors]))
        self.built = True

    def _flat_built(self) -> bool:
        below = self._flatten_layers(include_self=False)
        return bool(below) and all(layer.built for layer in below)

    def _ensure_built(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if not self.built and type(self).build is Model.build:
            # Layers inside `call` build themselves at the first call.
            shapes, _ = self._shapes_for_build(args, kwargs)
            self._build_shapes = {"input_shape": shape_to_config(shapes[0])} if shapes else None
            self._path = self._path or self.name
            self.built = True
            return
        super()._ensure_built(args, kwargs)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[..., Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of layers, output shapes and numbers of parameters.

        Args:
            line_length: Width in characters. Default: fits the table, at most the terminal.
            positions: Relative or absolute positions of column ends.
            print_fn: Takes each line instead of `print`.
            expand_nested: Whether layers of nested models are listed.
            show_trainable: Whether a column shows which layers are trainable.
            layer_range: Names (or patterns) of the first and the last layer to list.
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    def reset_states(self) -> None:
        """Set the kept states of all recurrent layers with `stateful=True` back to zero, as in
        Keras 1 and 2.
        """
        for layer in self._flatten_layers(include_self=False):
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
                layer.reset_state()

    # --- quantization -----------------------------------------------------------------------------

    def quantize(
        self, mode: str | None = None, config: Any = None, filters: Any = None, **kwargs: Any
    ) -> None:  # fmt: skip
        """Store the weights of products and embeddings in fewer bits from now on.

        Args:
            mode: `"int8"`, `"int4"`, `"float8"`; `"gptq"` and `"awq"` with a `config` that has data
                to calibrate with.
            config: A `hornbeam.quantizers.QuantizationConfig`. Default: that of the mode.
            filters: A regular expression or a list of them, searched in names and paths of layers,
                or a function of a layer: which layers are quantized. Default: all.
            **kwargs: `type_check=False`: subclasses of layers too, whose `call` may use a weight
                otherwise.

        Raises:
            ValueError: If the model is not built, a layer is quantized already, or the arguments
                are no mode.

        Example:
            >>> import hornbeam as hb
            >>> model = hb.Sequential([hb.Input((4,)), hb.layers.Dense(3), hb.layers.Dense(2, name="head")])
            >>> model.quantize("int8", filters="dense")
            >>> [layer.quantization_mode for layer in model.layers]
            ['int8', None]
        """
        type_check = kwargs.pop("type_check", True)
        if kwargs:
            raise ValueError(
                f"{self._label()}: quantize got unexpected arguments {errors.listed(kwargs)}."
            )
        quantize_model(self, mode, config, filters, type_check)

    def get_quantization_layer_structure(self, mode: str | None = None) -> dict[str, Any] | None:
        """Return the order of layers for the calibration of `"gptq"` and `"awq"`; a model that has
        one overrides it.

        Returns:
            A dict of `"pre_block_layers"`, through which inputs go first, and
            `"sequential_blocks"`; `None` if unknown.
        """
        return None

    # --- configuration -------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = {
            "name": self.name,
            "trainable": self._trainable,
            "dtype": serialize(self.dtype_policy),
        }
        config.update(constructor_config(self, Model, skip=("name", "trainable", "dtype")))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from what `get_config` returned."""
        with custom_object_scope(custom_objects or {}):
            if {"layers", "input_layers", "output_layers"} <= set(config):
                return graph_models.from_config(cls, config)
            return from_constructor_config(cls, config)

    @property
    def input_shape(self) -> Any:
        """Shape of the input, `None` where a size is unknown."""
        return _shapes(self.input)

    @property
    def output_shape(self) -> Any:
        """Shape of the output, `None` where a size is unknown."""
        return _shapes(self.output)


def _shapes(tensors: Any) -> Any:
    return tree.map_structure(lambda x: x.shape, tensors)


def _positional(function: Callable[..., Any]) -> list[str]:
    """Names of a method's required arguments."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [p.name for p in parameters if p.kind in (0, 1) and p.default is p.empty]


def _is_functional_call(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Return whether the arguments of `Model` are a graph, in Keras 1's or today's spelling."""
    inputs = kwargs.get("inputs", kwargs.get("input", args[0] if args else None))
    outputs = kwargs.get("outputs", kwargs.get("output", args[1] if len(args) > 1 else None))
    return _all_symbolic(inputs) and outputs is not None


def _all_symbolic(x: Any) -> bool:
    leaves = tree.flatten(x)
    return bool(leaves) and all(isinstance(leaf, KerasTensor) for leaf in leaves)
