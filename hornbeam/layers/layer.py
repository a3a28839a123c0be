"""The base class of all layers: construction, `build`, calls, shapes and configuration.

A layer consists of a constructor, `build` and `call`. The base class does the rest: `state.py`
finds sublayers and weights among the attributes, the configuration comes from the constructor's
arguments, and output shapes come from tracing `call`. `call_arguments.py`, `call_scope.py`,
`mask_passing.py`, `building.py` and `explain.py` each contain one step of a call.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

import jax

from hornbeam import errors, regularizers, tree
from hornbeam.checked import argument_names
from hornbeam.core import naming
from hornbeam.core.graph import Operation
from hornbeam.core.loading import count_work
from hornbeam.core.provenance import is_library_code, refuse_call_by_real_keras
from hornbeam.core.remat import current_scope
from hornbeam.core.tape_trace import tape_trace
from hornbeam.core.tensor import any_symbolic
from hornbeam.core.tracebacks import shortened
from hornbeam.core.tracing import infer, shape_with_unknowns
from hornbeam.core.variable import Overlay, Variable, autocast_scope, current_overlay
from hornbeam.dtype_policies import get_policy
from hornbeam.dtypes import is_float
from hornbeam.layers.building import build_arguments, wrap_build
from hornbeam.layers.call_arguments import (
    convert_inputs,
    has_tensor,
    named_arguments,
    settle_training,
)
from hornbeam.layers.call_scope import enter_call, inside_call, late_maker, leave_call
from hornbeam.layers.constructors import translated
from hornbeam.layers.dtype_config import dtype_config
from hornbeam.layers.explain import explained
from hornbeam.layers.input_spec import check_input_spec
from hornbeam.layers.mask_passing import attach_masks, fill_masks, output_masks
from hornbeam.layers.quantization import Quantization
from hornbeam.layers.recorded import call_recorded
from hornbeam.layers.shapes import pop_input_shape, shape_from_config, shape_of, tensors_of
from hornbeam.objects.configuration import serialize
from hornbeam.objects.constructor import constructor_config, from_constructor_config
from hornbeam.typing import Identifier, Policy, Shapes, Structure

__all__ = ["Layer"]

_BASE_ARGUMENTS = ("activity_regularizer", "trainable", "dtype", "autocast", "name")

# Two threads may make the first call of a shared layer at the same time.
_build_lock = threading.RLock()


class Layer(Quantization):
    """A function with variables, the building block of models.

    A subclass has up to three methods: `__init__` keeps the settings and passes `**kwargs` on,
    `build` creates the variables when the input's shape is known, and `call` computes the outputs.

    Args:
        activity_regularizer: Penalty of the outputs: a name, a function or a `Regularizer`.
            Default: `None`.
        trainable: Whether optimizers change the variables. Default: True.
        dtype: Name of a dtype, or a `DTypePolicy`. Default: `hornbeam.config.dtype_policy()`.
        autocast: Whether to cast floating-point inputs to the compute dtype. Default: True.
        name: Name. Default: the class's name in snake case, numbered.
        **kwargs: `input_shape` (without the batch axis), `batch_input_shape`, `batch_shape` or
            `input_dim`: the input's shape, for the first layer of a `Sequential`. `weights`: a list
            of arrays, the initial weights.

    Raises:
        TypeError: If an argument is unknown.

    Example:
        >>> import hornbeam as hb
        >>> class MyDense(hb.layers.Layer):
        ...     def __init__(self, units, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.units = units
        ...     def build(self, input_shape):
        ...         self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        ...         self.bias = self.add_weight((self.units,), initializer="zeros", name="bias")
        ...     def call(self, inputs):
        ...         return hb.ops.relu(inputs @ self.kernel + self.bias)
        >>> model = hb.Sequential([hb.Input((784,)), MyDense(64), hb.layers.Dense(10)])
        >>> model.layers[0].kernel.shape, model.output_shape
        ((784, 64), (None, 10))
        >>> model.layers[0].get_config()["units"]
        64
    """

    _not_children: frozenset[str] = frozenset(
        {"_inbound_nodes", "_captured", "_own_variables", "_seen"}
    )

    # Whether the input is a sequence of vectors.
    _takes_sequences = False

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = wrap_build(cls.__dict__["build"])  # type: ignore[method-assign]
        if "__init__" in cls.__dict__ and is_library_code(cls):
            cls.__init__ = translated(cls.__init__)  # type: ignore[method-assign]
        cls._call_signature = inspect.signature(cls.call)

    def __init__(
        self,
        *,
        activity_regularizer: Identifier = None,
        trainable: bool = True,
        dtype: Policy = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        self.__dict__.setdefault("_seen", {})
        self._own_variables: list[Variable] = []
        self._losses: list[Any] = []
        Operation.__init__(self, name=name)
        self._given_name = name is not None
        self._late_maker = late_maker()
        self.built = False
        self.autocast = autocast
        self.supports_masking = "compute_mask" in _defined_below_base(type(self))
        self._trainable = bool(trainable)
        self._remat = current_scope()
        self._path: str | None = None
        self._build_shapes: dict[str, Any] | None = None
        self.input_spec: Any = None
        self.dtype_policy = get_policy(
            dtype if dtype is not None else kwargs.pop("input_dtype", None)
        )
        self.activity_regularizer = regularizers.get(activity_regularizer)
        # Layers with kernels or windows have the number of their axes in `_rank`.
        is_sequence = self._takes_sequences or getattr(type(self), "_rank", None) == 1
        self._batch_input_shape = pop_input_shape(kwargs, is_sequence)
        self._initial_weights = kwargs.pop("weights", None)
        if kwargs:
            owner = f"{type(self).__name__} '{self.name}'"
            raise errors.unexpected(owner, kwargs, argument_names(type(self)))

    # --- dtypes -------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """Dtype of the variables, such as `"float32"`."""
        return self.dtype_policy.for_path(self.path).variable_dtype

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """Dtype of the arithmetic and of the outputs."""
        return self.dtype_policy.for_path(self.path).compute_dtype

    @property
    def input_dtype(self) -> str:
        """Dtype that floating-point inputs are cast to."""
        return self.compute_dtype

    @property
    def dtype_policy(self) -> Any:
        """The `DTypePolicy`. Set it by a policy or its name before the layer is built.

        A quantized policy can be set later too; it quantizes the weights, as `quantize` does.
        """
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, policy: Policy) -> None:
        policy = get_policy(policy)
        own = policy.for_path(self.path) if self.built else policy
        if self.built and own.quantization_mode in self._quantization_modes:
            if self.quantization_mode is None:
                self._hold(own, self.quantization_config)
        self._dtype_policy = policy

    # --- building ------------------------------------------------------------------------

    def _has_own_build(self) -> bool:
        """Return whether a class below the base defines `build`.

        A layer without weights is built from the start, unless a subclass of it has weights.
        """
        return "build" in _defined_below_base(type(self))

    def build(self, input_shape: Shapes = None) -> None:
        """Create the variables. Subclasses override it; the base class creates none.

        It runs once, before the first call. If `call` takes several tensors, `build` may take one
        argument `NAME_shape` for each argument `NAME` of `call` instead.

        Args:
            input_shape: Shape of the first input, a tuple with `None` for unknown sizes. For a list
                or dict of tensors, a list or dict of shapes.
        """
        self.built = True

    def _ensure_built(self, args: tuple, kwargs: dict[str, Any]) -> None:
        if self.built:
            return
        with _build_lock:
            if self.built:
                return
            shapes = self._shapes_for_build(args, kwargs)
            with autocast_scope(None), jax.core.eval_context():
                self.build(*shapes[0], **shapes[1])

    def _shapes_for_build(self, args: tuple, kwargs: dict[str, Any]) -> tuple[list, dict[str, Any]]:
        """Return the arguments of `build`: one shape, or one per parameter `NAME_shape`."""
        shapes = {
            name: shape_of(x)
            for name, x in self._call_arguments(args, kwargs).items()
            if has_tensor(x)
        }
        return build_arguments(self.build, shapes)

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shapes that `build` received, in JSON types, or `None`."""
        shapes = self._build_shapes
        return shapes if shapes is None or len(shapes) == 1 else {"shapes_dict": shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build the layer from the result of `get_build_config`, unless it is already built."""
        if not config or self.built:
            return
        shapes = config.get("shapes_dict", config)  # empty: `build()` needed no shape
        shapes = {name: shape_from_config(shape) for name, shape in shapes.items()}
        tensors = {name: tensors_of(shape, self.compute_dtype) for name, shape in shapes.items()}
        self.build(**shapes)
        if not tensors:
            return
        if len(tensors) == 1:
            self._build_below(*tensors.values())
        else:
            self._build_below(**{n.removesuffix("_shape"): x for n, x in tensors.items()})

    def _build_below(self, *args: Any, **kwargs: Any) -> None:
        """Build the layers that `build` made but did not build, by tracing a call."""
        if all(layer.built for layer in self._flatten_layers(include_self=False)):
            return
        with contextlib.suppress(Exception):  # `call` may need more; then the file does not fit
            self.compute_output_spec(*args, **kwargs)

    # --- calling --------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Structure:
        """Compute the outputs. Subclasses override it.

        Args:
            *args: A tensor or a structure of tensors, already cast to `compute_dtype`.
            **kwargs: The arguments in the subclass's signature. If the caller does not pass
                `training` and `mask`, the layer fills them in.

        Returns:
            A tensor, or a structure of tensors.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `call(self, inputs)` to be called."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Convert the inputs, build the layer if needed, run `call` and pass masks on.

        With symbolic inputs (`KerasTensor`) the call is recorded in a graph, and the outputs are
        symbolic.

        Raises:
            ValueError, TypeError: If `call` fails. The message names the layer and its inputs.
        """
        if "_own_variables" not in self.__dict__:
            raise RuntimeError(
                f"{type(self).__name__}: call `super().__init__()` at the start of `__init__`."
            )
        count_work(self.name)
        signature = self._call_signature
        args, kwargs = self._convert_inputs(args, kwargs)
        if not args and (name := next(iter(signature.parameters), None)) in kwargs:
            args = (kwargs.pop(name),)  # the caller gave the inputs by name
        training = settle_training(signature, args, kwargs)
        masks = fill_masks(self, signature, args, kwargs)
        symbolic = any_symbolic(args, kwargs)
        if not symbolic and not inside_call() and current_overlay() is None:
            refuse_call_by_real_keras(self._label())
            self._clear_losses()
        tokens = enter_call(self, training)
        try:
            outputs = self._checked_call(args, kwargs, symbolic)
            if not symbolic:
                self._penalize_activity(outputs)
            if self.supports_masking:
                self._pass_masks_on(masks, args, kwargs, outputs)
            if "_called_shapes" not in self.__dict__:
                self._note_output_shapes(outputs)
            return outputs
        except Exception as error:
            told = explained(error, self._label(), self.path, args, kwargs)
            raise shortened(told) from error.__cause__
        finally:
            leave_call(tokens)

    def _note_output_shapes(self, outputs: Any) -> None:
        """Keep the shapes of the first call's outputs, for `summary`."""
        shapes = [x.shape for x in tree.flatten(outputs) if hasattr(x, "shape")]
        self.__dict__["_called_shapes"] = [
            (None, *shape_with_unknowns(shape)[1:]) if shape else () for shape in shapes
        ]

    def _checked_call(self, args: tuple, kwargs: dict[str, Any], symbolic: bool) -> Any:
        """Check the inputs, build the layer, and run or record `call`."""
        first = args[0] if args else next(iter(kwargs.values()), None)
        if self.input_spec is not None:
            check_input_spec(self.input_spec, first, self._label())
        with self._scope():
            self._ensure_built(args, kwargs)
            if self.input_spec is not None:  # `build` may have set another
                check_input_spec(self.input_spec, first, self._label())
            if symbolic:
                outputs = self.symbolic_call(*args, **kwargs)
                if outputs is None:
                    raise ValueError("`call` returned None. End it with `return` and the result.")
            else:
                with autocast_scope(self.compute_dtype if self.autocast else None):
                    function = (
                        self.call if self._remat is None else self._remat.wrap(self, self.call)
                    )
                    if tape_trace() is None or self._remat is not None:
                        outputs = function(*args, **kwargs)
                    else:
                        outputs = call_recorded(self, function, args, kwargs)
        if self._initial_weights is not None:
            initial, self._initial_weights = self._initial_weights, None
            self.set_weights(initial)
        return outputs

    def _convert_inputs(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return convert_inputs(args, kwargs, self.input_dtype if self.autocast else None)

    def _call_arguments(self, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of `call` by name."""
        try:
            return named_arguments(self._call_signature, self, args, kwargs)
        except TypeError as error:
            raise TypeError(f"{self._label()}: call() {error}.") from None

    def _in_compute_dtype(self, tensors: Any) -> Any:
        """Return `tensors` with floats cast to the compute dtype.

        Their dtype differs from it if inner layers have other policies.
        """
        return tree.map_structure(
            lambda x: x.astype(self.compute_dtype) if is_float(x.dtype) else x, tensors
        )

    def _pass_masks_on(
        self, previous: Any, args: tuple, kwargs: dict[str, Any], outputs: Any
    ) -> None:
        if previous is None and type(self).compute_mask is Layer.compute_mask:
            return
        attach_masks(outputs, output_masks(self, self._call_signature, previous, args, kwargs))

    def rematerialized_call(
        self, layer_call: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Callable[..., Any]:
        """Return `layer_call`, wrapped to recompute its intermediate results in the backward pass.

        The `RematScope` in which the layer was constructed decides. If there was none, returns
        `layer_call` unchanged.

        Args:
            layer_call: A method of this layer, such as `self.call`.
            *args, **kwargs: Arguments of a later call, as in Keras. They have no effect.
        """
        return layer_call if self._remat is None else self._remat.wrap(self, layer_call)

    def compute_mask(self, inputs: Structure, previous_mask: Structure) -> Structure:
        """Return the mask of the outputs. The base class passes the input's mask on.

        Args:
            inputs: The input of the call.
            previous_mask: The input's mask, a boolean tensor (B, T) that is false at padding, or
                `None`.
        """
        return previous_mask

    def _scope(self) -> AbstractContextManager[Any]:
        return naming.name_scope(self.name)

    # --- shapes ------------------------------------------------------------------------------

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Structure:
        """Trace `call` and return its symbolic outputs with their shapes and dtypes.

        Args:
            *args, **kwargs: Arguments of the call, with symbolic tensors.
        """

        def call(*a: Any, **k: Any) -> Any:
            a, k = self._convert_inputs(a, k)
            with autocast_scope(self.compute_dtype if self.autocast else None):
                return self.call(*a, **k)

        own = type(self).compute_output_shape
        if own is not Layer.compute_output_shape and not is_library_code(type(self)):
            # A `compute_output_shape` that the user wrote decides the shape.
            shape = own(self, shape_of(args[0]))
            return tensors_of(shape, self.compute_dtype)
        return infer(call, *args, **kwargs)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Shapes:
        """Trace `call` and return the shape of its outputs.

        Args:
            *args, **kwargs: Shape of each input, a tuple with `None` for unknown sizes.
        """
        shapes = [*args, *kwargs.values()]
        tensors = [tensors_of(shape, self.compute_dtype) for shape in shapes]
        with self._scope(), jax.core.eval_context():
            if not self.built:
                self._ensure_built(tuple(tensors), {})
        return shape_of(self.compute_output_spec(*tensors))

    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Call the layer with other values of its variables, without changing the layer.

        Args:
            trainable_variables: Values in the order of the attribute `trainable_variables`.
            non_trainable_variables: Values in the order of the attribute `non_trainable_variables`.
            *args, **kwargs: Arguments of the call.
            return_losses: Whether to return the losses of the call too. Default: False.

        Returns:
            `(outputs, new non-trainable values)`, or `(outputs, new non-trainable values, losses)`.

        Raises:
            ValueError: If the layer is not built, or a list has the wrong length.

        Example:
            >>> import hornbeam as hb
            >>> import numpy as np
            >>> layer = hb.layers.Dense(2, kernel_initializer="zeros")
            >>> layer.build((None, 3))
            >>> weights = [np.ones((3, 2)), np.zeros(2)]
            >>> outputs, _ = layer.stateless_call(weights, [], np.ones((1, 3)))
            >>> outputs
            Array([[3., 3.]], dtype=float32)
        """
        if not self.built:
            raise ValueError(
                f"{self._label()}: stateless_call expected a built layer. Call `build` first."
            )
        trainable, others = self.trainable_variables, self.non_trainable_variables
        for name, given, own in (
            ("trainable_variables", trainable_variables, trainable),
            ("non_trainable_variables", non_trainable_variables, others),
        ):
            if len(given) != len(own):
                raise ValueError(
                    f"{self._label()}: stateless_call expected {len(own)} values in `{name}`,"
                    f" received {len(given)}."
                )
        values = [
            v.value if isinstance(v, Variable) else v
            for v in [*trainable_variables, *non_trainable_variables]
        ]
        with Overlay([*trainable, *others], values) as overlay:
            outputs = self(*args, **kwargs)
            losses = self.losses if return_losses else None
            updated = [overlay.value_of(v) for v in others]
        return (outputs, updated, losses) if return_losses else (outputs, updated)

    # --- configuration ------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` makes an equal layer, in JSON types.

        They are the constructor's arguments. A subclass overrides this method only if it does not
        keep an argument as an attribute of the same name.
        """
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self._trainable,
            "dtype": dtype_config(self),
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize(self.activity_regularizer)
        config.update(
            constructor_config(self, Layer, skip=(*_BASE_ARGUMENTS, "weights", "kwargs", "args"))
        )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a layer from the result of `get_config`."""
        return from_constructor_config(cls, config)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} name={self.name}, built={self.__dict__.get('built', False)}>"
        )


Layer.build = wrap_build(Layer.build)  # type: ignore[method-assign]  # `__init_subclass__` does it for subclasses
Layer._call_signature = inspect.signature(Layer.call)


def _defined_below_base(cls: type) -> set[str]:
    """Return the names that classes below `Layer` define."""
    return {name for c in cls.__mro__ if c not in Layer.__mro__ for name in c.__dict__}
