"""`Model`: a layer that can be compiled, trained, saved and summarized.

This module holds the structure. Compiling and the training loops are in `hornbeam.training`, file
formats in `hornbeam.saving`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import jax
import numpy as np

from hornbeam import errors, tree
from hornbeam.core.masks import get_mask
from hornbeam.core.provenance import refuse_real_keras
from hornbeam.core.registry import custom_object_scope
from hornbeam.core.structure import structure_version
from hornbeam.core.tape_trace import tape_trace
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import current_overlay
from hornbeam.layers.call_scope import inside_call
from hornbeam.layers.layer import Layer
from hornbeam.layers.preprocessing.text import is_text
from hornbeam.layers.shapes import shape_to_config, tensors_of
from hornbeam.models.files import ModelFiles
from hornbeam.models.fine_tune import FineTuning
from hornbeam.models.notebook import as_html
from hornbeam.models.quantize import quantize_model
from hornbeam.models.state import ModelState
from hornbeam.models.summary import print_summary
from hornbeam.objects.configuration import serialize
from hornbeam.objects.constructor import constructor_config, from_constructor_config
from hornbeam.training.padding import runs_library_code
from hornbeam.training.predict import call_compiled
from hornbeam.training.trainable import Trainable
from hornbeam.typing import CustomObjects, Shapes

if TYPE_CHECKING:
    from hornbeam.quantizers.configs import QuantizationConfig

__all__ = ["Model", "graph_models"]


class _GraphModels:
    """How models are made from graphs.

    `functional.py` fills in the attributes: it imports this module, because `Functional` is a
    subclass of `Model`.

    Attributes:
        cls: The class `Functional`.
        become: Turns an instance of a subclass into a functional model. Called when its `__init__`
            receives inputs and outputs.
        from_config: Makes a model of a given class from the configuration of a graph.
    """

    cls: type[Model]
    become: Callable[..., None]
    from_config: Callable[[type, dict[str, Any]], Any]


graph_models = _GraphModels()


class Model(FineTuning, ModelFiles, ModelState, Trainable):
    """A layer with methods for training, evaluation, prediction and saving.

    There are three ways to make one: `Model(inputs, outputs)` from a graph of symbolic tensors, a
    subclass with `call`, or `Sequential`.

    Args:
        inputs: Symbolic tensor from `Input`, or a list or dict of them.
        outputs: Symbolic tensor, list or dict of them, computed from `inputs`.
        trainable: Whether optimizers update its variables.
        dtype: Dtype name or policy of layers that specify none.
        name: Name.

    Example:
        >>> import hornbeam as hb
        >>> x = hb.Input((4,))
        >>> model = hb.Model(x, hb.layers.Dense(2)(x))
        >>> model.output_shape
        (None, 2)
    """

    # The loops of Keras 1 and 2. `hornbeam.legacy.generators` sets them when `hornbeam` is
    # imported.
    fit_generator: Callable[..., Any]
    evaluate_generator: Callable[..., Any]
    predict_generator: Callable[..., Any]

    _not_children = Trainable._not_children | {"_runs_library_code"}
    _takes_sparse = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional_call(args, kwargs):
            # Python calls `__init__` because `Functional` is a subclass of `cls`.
            return super().__new__(graph_models.cls, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any):
        if _is_functional_call(args, kwargs) and not hasattr(self, "_given_graph"):
            # A subclass that calls super().__init__(inputs, outputs) is a functional model.
            graph_models.become(self, *args, **kwargs)
            return
        if args:
            for tensor in tree.flatten(args):
                refuse_real_keras(type(self).__name__, tensor)
            raise errors.ArgumentError(
                f"{type(self).__name__}: expected `inputs` and `outputs`, or keyword arguments, "
                f"received {errors.describe(args)}."
            )
        super().__init__(**kwargs)
        self._start_training_state()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs, in a compiled step if the model runs no user code.

        User code could observe the difference, for example by printing values.
        """
        if len(args) == 1 and not (kwargs and (len(kwargs) > 1 or kwargs.get("training", True))):
            if isinstance(args[0], (np.ndarray, jax.Array)) and self._calls_compiled(args[0]):
                return call_compiled(self, args[0])
        return super().__call__(*args, **kwargs)

    def _convert_inputs(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        if args and any(is_text(x) for x in tree.flatten(args[0])):
            return args, kwargs  # text stays on the host, where the layers that take it run
        return super()._convert_inputs(args, kwargs)

    def _calls_compiled(self, x: Any) -> bool:
        if not self.built or self.run_eagerly or isinstance(x, jax.core.Tracer):
            return False
        if is_text(x):
            return False
        if current_overlay() is not None or inside_call() or "call" in self.__dict__:
            return False
        if tape_trace() is not None:  # the layers are called, which the tape records
            return False
        known = self.__dict__.get("_runs_library_code")
        if known is None or known[0] != structure_version.number:
            # The compiled step returns dense arrays without masks.
            outputs = getattr(self, "outputs", None) or ()
            plain = all(get_mask(x) is None and not x.sparse for x in outputs)
            plain = plain and self.host_layers() is None and self.text_outputs() is None
            compiles = plain and runs_library_code(self)
            known = self._runs_library_code = (structure_version.number, compiles)
        return bool(known[1])

    # --- structure -----------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """Direct layers, in the order in which they were added."""
        return self._layers

    @layers.setter
    def layers(self, _: object) -> None:
        raise AttributeError("`Model.layers` is reserved; use another name for your own list.")

    @errors.known_arguments
    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by name or by index.

        Raises:
            ValueError: If neither or both are given, or no layer matches.
        """
        if (name is None) == (index is None):
            received = "neither" if name is None else "both"
            raise ValueError(f"get_layer: expected `name` or `index`, received {received}.")
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

    def build(self, input_shape: Shapes = None) -> None:
        """Create the variables for inputs of the given shape, by tracing a call.

        Args:
            input_shape: Shape with the batch axis, or a structure of shapes.

        Raises:
            ValueError: If `call` fails for inputs of this shape.
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
            # The layers used in `call` build themselves in the first call.
            shapes, _ = self._shapes_for_build(args, kwargs)
            self._build_shapes = {"input_shape": shape_to_config(shapes[0])} if shapes else None
            self._path = self._path or self.name
            self.built = True
            return
        super()._ensure_built(args, kwargs)

    @errors.known_arguments
    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[..., Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of layers, output shapes and parameter counts.

        Args:
            line_length: Width in characters. Default: 78, or 88 if the graph branches,
                plus 12 with `show_trainable`.
            positions: Relative or absolute positions of column ends.
            print_fn: Called with each line instead of `print`.
            expand_nested: Whether to list the layers of nested models.
            show_trainable: Whether to add a column that shows which layers are trainable.
            layer_range: Names (or regular expressions) of the first and the last layer to list.
        """
        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    def _repr_html_(self) -> str:
        """Return the summary and the picture, for a notebook."""
        return as_html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return what a notebook shows, and a plain form for the terminal."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def reset_states(self) -> None:
        """Reset the states of all `stateful=True` recurrent layers (a method of Keras 1 and 2)."""
        for layer in self._flatten_layers(include_self=False):
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
                layer.reset_state()

    # --- quantization -----------------------------------------------------------------------------

    def quantize(  # type: ignore[override]  # `filters`; `type_check` is among `kwargs`
        self, mode: str | None = None, config: QuantizationConfig | None = None,
        filters: str | Sequence[str] | Callable[[Layer], bool] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Quantize the kernels and embeddings of the model's layers in place.

        Args:
            mode: `"int8"`, `"int4"` or `"float8"`; or `"gptq"` or `"awq"`, which need a `config`
                with calibration data.
            config: A `hornbeam.quantizers.QuantizationConfig`. Default: the mode's default config.
            filters: Which layers to quantize: a regular expression or a list of them, searched for
                in layer names and paths, or a function that takes a layer. Default: all.
            **kwargs: `type_check=False` also quantizes subclasses of layers, although their `call`
                may use a weight differently.

        Raises:
            ValueError: If the model is not built, a layer is already quantized, or the arguments
                specify no valid mode.

        Example:
            >>> import hornbeam as hb
            >>> layers = [hb.layers.Dense(3), hb.layers.Dense(2, name="head")]
            >>> model = hb.Sequential([hb.Input((4,)), *layers])
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
        """Return the order of layers in which `"gptq"` and `"awq"` calibrate; override it.

        Returns:
            A dict of `"pre_block_layers"`, the layers applied first, and `"sequential_blocks"`, or
            `None` if the order is unknown.
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
    def from_config(cls, config: dict[str, Any], custom_objects: CustomObjects = None) -> Self:
        """Make a model from the result of `get_config`."""
        with custom_object_scope(custom_objects or {}):
            if {"layers", "input_layers", "output_layers"} <= set(config):
                return graph_models.from_config(cls, config)
            return from_constructor_config(cls, config)

    @property
    def input_shape(self) -> Shapes:
        """Shape of the input; unknown sizes are `None`."""
        return _shapes(self.input)

    @property
    def output_shape(self) -> Shapes:
        """Shape of the output; unknown sizes are `None`."""
        return _shapes(self.output)


def _shapes(tensors: Any) -> Any:
    return tree.map_structure(lambda x: x.shape, tree.only(tensors))


def _positional(function: Callable[..., Any]) -> list[str]:
    """Return the names of a method's required arguments."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [p.name for p in parameters if p.kind in (0, 1) and p.default is p.empty]


def _is_functional_call(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Return whether the arguments of `Model` specify a graph, in Keras 1's or today's names."""
    inputs = kwargs.get("inputs", kwargs.get("input", args[0] if args else None))
    outputs = kwargs.get("outputs", kwargs.get("output", args[1] if len(args) > 1 else None))
    return _all_symbolic(inputs) and outputs is not None


def _all_symbolic(x: Any) -> bool:
    leaves = tree.flatten(x)
    return bool(leaves) and all(isinstance(leaf, KerasTensor) for leaf in leaves)
