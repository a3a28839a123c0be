"""The base of all layers: building, calling, masks and configuration, over the state in `LayerState`.

A layer is a constructor, `build` and `call`. Everything else is here and in `state.py`,
once: children and weights are found by looking at the layer's attributes, the
configuration is derived from the constructor's arguments, output shapes come from
tracing `call`.
"""

from __future__ import annotations

import functools
import inspect
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import jax
import numpy as np

from hornbeam import errors, tree
from hornbeam.core import naming
from hornbeam.core.convert import convert
from hornbeam.core.graph import Operation, describe_inputs
from hornbeam.core.loading import count_work
from hornbeam.core.masks import any_mask, get_mask, set_mask
from hornbeam.core.remat import current_scope
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.core.tracing import infer
from hornbeam.core.variable import Overlay, Variable, autocast_scope, current_overlay
from hornbeam.dtype_policies import DTypePolicyMap, get_policy
from hornbeam.dtypes import is_float
from hornbeam.layers.constructors import translated
from hornbeam.layers.input_spec import check_input_spec
from hornbeam.layers.quantization import Quantization
from hornbeam.layers.shapes import pop_input_shape, shape_from_config, shape_of, shape_to_config, tensors_of
from hornbeam.layers.state import find_regularizer
from hornbeam.objects.configuration import serialize
from hornbeam.objects.constructor import constructor_config, from_constructor_config

__all__ = ["Layer", "inside_call", "training_now", "training_scope"]

# Two threads may meet at the first call of a shared layer.
_build_lock = threading.RLock()
# `training` of the call under way, for the layers inside it; unset outside any call.
_training: ContextVar[bool | None] = ContextVar("hornbeam_training", default=None)


def training_now() -> bool | None:
    """Return whether the call that is running is for training; `None` where nobody said."""
    return _training.get()


@contextmanager
def training_scope(training: bool | None) -> Iterator[None]:
    """Let calls in a block be for training, or not, where they do not say themselves."""
    token = _training.set(training)
    try:
        yield
    finally:
        _training.reset(token)


_depth: ContextVar[int] = ContextVar("hornbeam_call_depth", default=0)


def inside_call() -> bool:
    """Tell whether a layer's call is under way in this context."""
    return _depth.get() > 0


_UNTRACEABLE = (
    jax.errors.TracerBoolConversionError, jax.errors.TracerArrayConversionError, jax.errors.TracerIntegerConversionError,
)  # fmt: skip


def _untraceable(error: Exception) -> str:
    """Say in Hornbeam's words what Python code cannot do while `call` is compiled or its shapes are found."""
    start = "while `call` is compiled, or its shapes are found, tensors have no values; "
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return (
            start
            + "a Python condition (`if`, `while`, `and`, `not`) cannot use one. Use `hornbeam.ops.where` or `ops.cond`."
        )
    if isinstance(error, jax.errors.TracerIntegerConversionError):
        return start + "an index or a size cannot be one. Use `hornbeam.ops.take` or `ops.slice`."
    return start + "a NumPy function cannot use one. Use the function of the same name in `hornbeam.ops`."


class Layer(Quantization):
    """A function with variables: the part that networks are made of.

    Subclasses implement `call`, and `build` where variables depend on input shapes.

    Args:
        activity_regularizer: Regularizer of the outputs (name, object or function).
        trainable: Whether optimizers change its variables.
        dtype: Dtype name or `DTypePolicy`. Default: `hornbeam.config.dtype_policy()`.
        autocast: Whether floating-point inputs are cast to the compute dtype.
        name: Name. Default: the class's name in snake case, numbered.
        **kwargs: `input_shape`, `batch_input_shape`, `batch_shape` or `input_dim`: shape of
            the input, for the first layer of a `Sequential`. `weights`: initial weights.

    Raises:
        TypeError: If an argument is not known.

    Example:
        >>> class Scale(Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        ...     def call(self, x):
        ...         return x * self.factor
        >>> Scale()(np.ones((2, 3))).shape
        (2, 3)
    """

    _not_children: frozenset[str] = frozenset({"_inbound_nodes", "_captured", "_own_variables", "_seen"})

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _wrap_build(cls.__dict__["build"])  # type: ignore[method-assign]
        if "__init__" in cls.__dict__ and _is_ours(cls):
            cls.__init__ = translated(cls.__init__)  # type: ignore[method-assign]
        cls._call_signature = inspect.signature(cls.call)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        layer = super().__new__(cls)
        object.__setattr__(layer, "_captured", (args, kwargs))
        return layer

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        object.__setattr__(self, "_seen", {})
        self._own_variables: list[Variable] = []
        self._losses: list[Any] = []
        Operation.__init__(self, name=name)
        self._given_name = name is not None
        self.built = False
        self.autocast = autocast
        self.supports_masking = "compute_mask" in _defined_below_base(type(self))
        self._trainable = bool(trainable)
        self._remat = current_scope()
        self._path: str | None = None
        self._build_shapes: dict[str, Any] | None = None
        self.input_spec: Any = None
        self.dtype_policy = get_policy(dtype if dtype is not None else kwargs.pop("input_dtype", None))
        self.activity_regularizer = find_regularizer(activity_regularizer)
        self._batch_input_shape = pop_input_shape(kwargs)
        self._initial_weights = kwargs.pop("weights", None)
        if kwargs:
            parameters = inspect.signature(type(self).__init__).parameters
            known = [n for n, p in parameters.items() if n != "self" and p.kind not in (2, 4)]
            raise TypeError(
                f"{type(self).__name__} '{self.name}': unexpected argument"
                f"{'s' if len(kwargs) > 1 else ''} {errors.listed(kwargs)}. It takes: "
                f"{', '.join([*known, *_BASE_ARGUMENTS])}."
            )

    # --- dtypes -------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """Dtype of the variables."""
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

    # --- building ------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Create the variables. Subclasses override it; the base has none to create.

        Args:
            input_shape: Shape of the input (nested for several), `None` where unknown.
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

    def _shapes_for_build(self, args: tuple, kwargs: dict[str, Any]) -> tuple[list, dict]:
        """Return the arguments of `build`: one shape, or one for each `NAME_shape` it takes."""
        shapes = {name: shape_of(x) for name, x in self._call_arguments(args, kwargs).items() if _has_tensor(x)}
        parameters = inspect.signature(self.build).parameters
        wanted = [n for n, p in parameters.items() if p.kind in (0, 1, 3)]
        if len(wanted) <= 1:
            first = next(iter(shapes.values()), None)
            return ([first] if wanted else []), {}
        named = {n: shapes.get(n.removesuffix("_shape")) for n in wanted if n.endswith("_shape")}
        if "input_shape" in wanted and named.get("input_shape") is None:
            named["input_shape"] = next(iter(shapes.values()), None)
        return [], {n: s for n, s in named.items() if s is not None or parameters[n].default is inspect.Parameter.empty}

    def _call_arguments(self, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of `call` by name, variable ones spread out."""
        try:
            bound = self._call_signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._label()}: call() {error}.") from None
        named: dict[str, Any] = {}
        for name, value in list(bound.arguments.items())[1:]:
            kind = self._call_signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                named.update(value)
            else:
                named[name] = value
        return named

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shapes that `build` was called with, as files hold them."""
        shapes = self._build_shapes
        return {"shapes_dict": shapes} if shapes and len(shapes) > 1 else shapes

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build from what `get_build_config` returned."""
        if not config or self.built:
            return
        shapes = config.get("shapes_dict") or config
        if "input_shape" in shapes and len(shapes) == 1:
            self.build(shape_from_config(shapes["input_shape"]))
        else:
            self.build(**{name: shape_from_config(shape) for name, shape in shapes.items()})

    # --- calling --------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs. Subclasses override it."""
        raise NotImplementedError(f"{type(self).__name__} must implement `call(self, inputs)` to be called.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Convert the inputs, build where needed, call, and pass masks on."""
        if "_seen" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}: call `super().__init__()` at the start of `__init__`.")
        count_work(self.name)
        args, kwargs = self._convert_inputs(args, kwargs)
        parameters = self._call_signature.parameters
        if not args and (name := next(iter(parameters), None)) in kwargs:
            args = (kwargs.pop(name),)  # the inputs, given by name
        takes_training = "training" in parameters or _has_var_keyword(parameters)
        training = kwargs.get("training")
        if training is None:
            training = _training.get()
        if training is None and "training" in parameters:
            default = parameters["training"].default
            training = default if isinstance(default, (bool, np.bool_)) else None
        # A recorded call is replayed in training and outside of it, so only what was given is kept.
        replayed = kwargs.get("training") is None and any_symbolic(args, kwargs)
        if "training" in parameters and "training" not in self._call_signature_positional(args):
            if not replayed:
                kwargs["training"] = training
            elif parameters["training"].default is inspect.Parameter.empty:
                kwargs["training"] = None
        elif not takes_training:
            kwargs.pop("training", None)
        masks = self._fill_masks(args, kwargs)
        symbolic = any_symbolic(args, kwargs)
        if _depth.get() == 0 and not symbolic and current_overlay() is None:
            self._clear_losses()
        tokens = _training.set(training), _depth.set(_depth.get() + 1)
        try:
            first = args[0] if args else next(iter(kwargs.values()), None)
            if self.input_spec is not None:
                check_input_spec(self.input_spec, first, self._label())
            with self._scope():
                self._ensure_built(args, kwargs)
                if self.input_spec is not None:
                    check_input_spec(self.input_spec, first, self._label())
                if symbolic:
                    outputs = self.symbolic_call(*args, **kwargs)
                    if outputs is None:
                        raise ValueError("`call` returned None. End it with `return` and the result.")
                else:
                    with autocast_scope(self.compute_dtype if self.autocast else None):
                        function = self.call if self._remat is None else self._remat.wrap(self, self.call)
                        outputs = function(*args, **kwargs)
            if self._initial_weights is not None:
                initial, self._initial_weights = self._initial_weights, None
                self.set_weights(initial)
            if not symbolic:
                self._penalize_activity(outputs)
            self._pass_masks_on(masks, args, kwargs, outputs)
            return outputs
        except Exception as error:
            raise self._explain(error, args, kwargs) from error.__cause__
        finally:
            _training.reset(tokens[0])
            _depth.reset(tokens[1])

    def _call_signature_positional(self, args: tuple) -> list[str]:
        """Names of the arguments of `call` that `args` fill by position."""
        names = [n for n, p in self._call_signature.parameters.items() if p.kind in (0, 1)]
        return names[1 : 1 + len(args)]

    def _convert_inputs(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        dtype = self.input_dtype

        def one(x: Any) -> Any:
            if isinstance(x, KerasTensor):
                return x
            if isinstance(x, (jax.Array, np.ndarray, Variable)) or hasattr(x, "__array__"):
                tensor = convert(x)
                if self.autocast and is_float(tensor.dtype) and tensor.dtype.name != dtype:
                    mask = get_mask(tensor)
                    tensor = tensor.astype(dtype)
                    if mask is not None:
                        set_mask(tensor, mask)
                return tensor
            return x

        if len(args) == 1 and not kwargs and isinstance(args[0], jax.Array):
            return (one(args[0]),), {}
        if args and isinstance(args[0], (list, tuple)) and _is_number_list(args[0]):
            args = (np.asarray(args[0], _list_dtype(args[0])), *args[1:])
        elif args and isinstance(args[0], (float, int)) and not isinstance(args[0], bool):
            args = (convert(args[0]), *args[1:])
        args = tuple(tree.map_structure(one, a) if a is not None else None for a in args)
        return args, {k: tree.map_structure(one, v) for k, v in kwargs.items()}

    def _in_compute_dtype(self, tensors: Any) -> Any:
        """Return `tensors`, floats among them in the compute dtype, whatever the policy of a layer inside gave."""
        return tree.map_structure(lambda x: x.astype(self.compute_dtype) if is_float(x.dtype) else x, tensors)

    def _fill_masks(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Fill `mask` arguments of `call` from the tensors' masks; return the first's mask."""
        if not any_mask():
            return None
        names = self._call_signature_positional(args)
        given = dict(zip(names, args, strict=False)) | kwargs
        previous = None
        for position, (name, value) in enumerate(given.items()):
            mask = tree.map_structure(get_mask, value) if _has_tensor(value) else None
            if mask is None or all(m is None for m in tree.flatten(mask)):
                continue
            if position == 0:
                previous = mask
            argument = "mask" if position == 0 else f"{name}_mask"
            if position == 0 and f"{name}_mask" in self._call_signature.parameters:
                argument = f"{name}_mask"
            if argument in self._call_signature.parameters and given.get(argument) is None:
                if argument not in names:
                    kwargs[argument] = mask
        if previous is not None and not self.supports_masking:
            takes = any(n == "mask" or n.endswith("_mask") for n in self._call_signature.parameters)
            if not takes and type(self).__name__ not in _warned:
                _warned.add(type(self).__name__)
                warnings.warn(
                    f"{self._label()} received an input with a mask, does not support masking, and "
                    "drops the mask. Set `self.supports_masking = True` if padded steps may pass.",
                    stacklevel=4,
                )
        return previous

    def _pass_masks_on(self, previous: Any, args: tuple, kwargs: dict[str, Any], outputs: Any) -> None:
        if not self.supports_masking:
            return
        own = type(self).compute_mask is not Layer.compute_mask
        if previous is None and not own:
            return
        if previous is None and not getattr(self, "_makes_masks", own):
            return
        named = [n for n in inspect.signature(self.compute_mask).parameters if n.endswith("_mask")]
        if named in ([], ["previous_mask"]):
            mask = self.compute_mask(args[0] if len(args) == 1 else args, previous)
        else:  # a layer of several arguments, with the mask of each
            given = self._call_arguments(args, kwargs)
            given = {name: value for name, value in given.items() if f"{name}_mask" in named or name in named}
            mask = self.compute_mask(**given)
        if mask is None:
            return
        flat_masks = tree.flatten(mask)
        flat_outputs = tree.flatten(outputs)
        for x, m in zip(flat_outputs, flat_masks, strict=False):
            if m is not None and x is not None and get_mask(x) is None:
                set_mask(x, m)

    def rematerialized_call(self, layer_call: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return `layer_call`, a function of this layer, as the `RematScope` in which the layer was made wants it.

        Args:
            layer_call: Such as `self.call`.
            *args, **kwargs: What it will be called with; kept for Keras's signature.
        """
        return layer_call if self._remat is None else self._remat.wrap(self, layer_call)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Return the mask of the outputs; the base passes the input's mask on."""
        return previous_mask

    def _scope(self) -> Any:
        return naming.name_scope(self.name)

    def _explain(self, error: Exception, args: tuple, kwargs: dict[str, Any]) -> Exception:
        """Name the layer and its inputs in an error from inside it, once."""
        if getattr(error, "_explained", False) or not isinstance(error, (ValueError, TypeError)):
            return error
        if isinstance(error, _UNTRACEABLE):
            error = TypeError(_untraceable(error)).with_traceback(error.__traceback__)
        text = str(error)
        where = f"{self._label()} was called with {describe_inputs(args, kwargs)}."
        if type(error) in (ValueError, TypeError) and len(error.args) <= 1:
            if f"'{self.path}'" not in text:
                text = f"{self._label()}: {text}"
            error.args = (f"{text}\n  {where}",)
        else:
            error.add_note(where)
        error._explained = True  # type: ignore[attr-defined]
        return error

    # --- shapes ------------------------------------------------------------------------------

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return symbolic tensors of the shapes and dtypes that a call would give."""

        def call(*a: Any, **k: Any) -> Any:
            a, k = self._convert_inputs(a, k)
            with autocast_scope(self.compute_dtype if self.autocast else None):
                return self.call(*a, **k)

        own = type(self).compute_output_shape
        if own is not Layer.compute_output_shape and not _is_ours(type(self)):
            # A user who states the shape is believed.
            shape = own(self, shape_of(args[0]))
            return tensors_of(shape, self.compute_dtype)
        return infer(call, *args, **kwargs)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Return the output's shape for an input shape (nested for several), by tracing."""
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
        """Call with given values of the variables, changing nothing.

        Returns:
            Outputs and the new non-trainable values; with `return_losses`, `losses` too.

        Raises:
            ValueError: If the layer is not built, or a list's length does not fit.
        """
        if not self.built:
            raise ValueError(f"{self._label()}: build it before `stateless_call`.")
        trainable, others = self.trainable_variables, self.non_trainable_variables
        for name, given, own in (
            ("trainable_variables", trainable_variables, trainable),
            ("non_trainable_variables", non_trainable_variables, others),
        ):
            if len(given) != len(own):
                raise ValueError(
                    f"{self._label()}: stateless_call expected {len(own)} values in `{name}`, received {len(given)}."
                )
        values = [v.value if isinstance(v, Variable) else v for v in [*trainable_variables, *non_trainable_variables]]
        with Overlay([*trainable, *others], values) as overlay:
            outputs = self(*args, **kwargs)
            losses = self.losses if return_losses else None
            updated = [overlay.value_of(v) for v in others]
        return (outputs, updated, losses) if return_losses else (outputs, updated)

    # --- configuration ------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return what makes an equal layer again through `from_config`, ready for JSON."""
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self._trainable,
            "dtype": _dtype_config(self),
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize(self.activity_regularizer)
        config.update(constructor_config(self, Layer, skip=(*_BASE_ARGUMENTS, "weights", "kwargs", "args")))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from what `get_config` returned."""
        return from_constructor_config(cls, config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.__dict__.get('built', False)}>"


_BASE_ARGUMENTS = ("activity_regularizer", "trainable", "dtype", "autocast", "name")
_warned: set[str] = set()


def _wrap_build(build: Callable[..., None]) -> Callable[..., None]:
    """Wrap a `build`: name scope, the `built` flag, the shapes for files."""
    if getattr(build, "_wrapped", False):
        return build

    @functools.wraps(build)
    def wrapped(self: Layer, *args: Any, **kwargs: Any) -> None:
        if getattr(self, "_building", False):  # super().build() of a subclass
            build(self, *args, **kwargs)
            return
        object.__setattr__(self, "_building", True)
        scope = naming.current_path()
        inside = scope == self.name or scope.endswith(f"/{self.name}")
        try:
            with nullcontext() if inside else self._scope():
                self._path = naming.current_path()
                build(self, *args, **kwargs)
        finally:
            object.__setattr__(self, "_building", False)
        self.built = True
        names = list(inspect.signature(build).parameters)[1:]
        shapes = dict(zip(names, args, strict=False)) | kwargs
        self._build_shapes = {n: shape_to_config(s) for n, s in shapes.items()} or None

    wrapped._wrapped = True  # type: ignore[attr-defined]
    return wrapped


Layer.build = _wrap_build(Layer.build)  # type: ignore[method-assign]
Layer._call_signature = inspect.signature(Layer.call)


def _defined_below_base(cls: type) -> set[str]:
    """Names that classes below `Layer` define."""
    return {name for c in cls.__mro__ if c not in Layer.__mro__ for name in c.__dict__}


def _is_ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] == "hornbeam"


def _dtype_config(layer: Layer) -> dict[str, Any]:
    """Return the policy of a layer of ours for files; with those of quantized layers inside it, which it makes anew."""
    inside = {
        f"(.*/)?{re.escape(below.path[below.path.find(f'{layer.name}/') :])}": below.dtype_policy
        for below in layer._flatten_layers(include_self=False)
        if below.quantization_mode is not None and f"{layer.name}/" in below.path
    }
    policy = layer.dtype_policy
    if not inside or not _is_ours(type(layer)) or policy.quantization_mode is not None:
        return serialize(policy)
    return serialize(DTypePolicyMap(policy, inside))


def _has_var_keyword(parameters: Any) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def _has_tensor(x: Any) -> bool:
    return any(isinstance(leaf, (jax.Array, KerasTensor, np.ndarray)) for leaf in tree.flatten(x))


def _is_number_list(x: Any) -> bool:
    leaves = tree.flatten(x)
    return bool(leaves) and all(isinstance(leaf, (int, float, np.number)) for leaf in leaves)


def _list_dtype(x: Any) -> str | None:
    return "float32" if any(isinstance(leaf, float) for leaf in tree.flatten(x)) else None
