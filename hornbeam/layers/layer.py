"""The base of all layers: state, building, calling, masks, losses and configuration.

A layer is a constructor, `build` and `call`. Everything else is here, once:
children and weights are found by looking at the layer's attributes, the
configuration is derived from the constructor's arguments, output shapes come
from tracing `call`.
"""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import jax
import numpy as np

from hornbeam import errors, tree
from hornbeam.core import naming
from hornbeam.core.random import SeedGenerator
from hornbeam.core.remat import current_scope
from hornbeam.core.symbolic import (
    KerasTensor,
    Operation,
    any_symbolic,
    convert,
    describe_inputs,
    get_mask,
    infer,
    set_mask,
    shape_with_unknowns,
)
from hornbeam.core.variable import Overlay, Variable, autocast_scope, current_overlay
from hornbeam.dtypes import DTypePolicy, get_policy, is_float
from hornbeam.layers.input_spec import check_input_spec
from hornbeam.layers.old_arguments import accept_old_arguments

__all__ = ["Layer"]

# Two threads may meet at the first call of a shared layer.
_build_lock = threading.RLock()
# `training` of the call under way, for the layers inside it; unset outside any call.
_training: ContextVar[bool | None] = ContextVar("hornbeam_training", default=None)
_depth: ContextVar[int] = ContextVar("hornbeam_call_depth", default=0)


class Layer(Operation):
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

    # Attributes that hold objects which are not parts of the layer.
    _not_children: frozenset[str] = frozenset({"_inbound_nodes", "_captured", "_own_variables", "_seen"})

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _wrap_build(cls.__dict__["build"])  # type: ignore[method-assign]
        if "__init__" in cls.__dict__ and _is_ours(cls):
            cls.__init__ = accept_old_arguments(cls.__init__)  # type: ignore[method-assign]
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
        self.activity_regularizer = _regularizer(activity_regularizer)
        self._batch_input_shape = _pop_input_shape(self, kwargs)
        self._initial_weights = kwargs.pop("weights", None)
        if kwargs:
            parameters = inspect.signature(type(self).__init__).parameters
            known = [n for n, p in parameters.items() if n != "self" and p.kind not in (2, 4)]
            raise TypeError(
                f"{type(self).__name__} '{self.name}': unexpected argument"
                f"{'s' if len(kwargs) > 1 else ''} {errors.one_of(kwargs)}. It takes: "
                f"{', '.join([*known, *_BASE_ARGUMENTS])}."
            )

    # --- children and state ------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__") or name in type(self)._not_children or not _may_hold_parts(value):
            object.__setattr__(self, name, value)
            return
        if "_seen" not in self.__dict__:
            raise RuntimeError(
                f"{type(self).__name__}: call `super().__init__()` at the start of `__init__`, before setting `{name}`."
            )
        # Children count in the order in which they were first seen; those appended to a list
        # since the last look come before the one set now.
        self._look_for_parts()
        object.__setattr__(self, name, value)
        self._look_for_parts()

    def _look_for_parts(self) -> dict[int, Any]:
        """Return the layers, metrics, seeds and variables held by attributes, in first-seen order."""
        present: dict[int, Any] = {}
        for name, value in self.__dict__.items():
            if name not in type(self)._not_children:
                _collect_parts(value, present)
        for variable in self.__dict__.get("_own_variables", ()):
            present.setdefault(id(variable), variable)
        seen = self._seen
        for key, part in present.items():
            seen.setdefault(key, part)
        for key in [key for key in seen if key not in present]:
            del seen[key]
        return seen

    def _parts(self, kind: Any) -> list[Any]:
        return [part for part in self._look_for_parts().values() if isinstance(part, kind)]

    @property
    def _layers(self) -> list[Layer]:
        """Direct sublayers."""
        return self._parts(Layer)

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Layer]:
        """Return this layer and those below it, each once."""
        found: dict[int, Layer] = {id(self): self}
        _walk(self, found, recursive)
        layers = list(found.values())
        return layers if include_self else layers[1:]

    def _direct_variables(self) -> list[Variable]:
        """Variables of this layer itself: those created trainable, then others, each in order of creation."""
        own = self._parts(Variable)
        return [v for v in own if v.created_trainable] + [v for v in own if not v.created_trainable]

    @property
    def variables(self) -> list[Variable]:
        """All variables, those of seed generators included, each once."""
        found: dict[Variable, None] = {}
        for layer in self._flatten_layers():
            found.update(dict.fromkeys(layer._direct_variables()))
            found.update(dict.fromkeys(seed.state for seed in layer._parts(SeedGenerator)))
        return list(found)

    @property
    def weights(self) -> list[Variable]:
        """All variables but the states of seed generators."""
        found: dict[Variable, None] = {}
        for layer in self._flatten_layers():
            found.update(dict.fromkeys(layer._direct_variables()))
        return list(found)

    @property
    def trainable_weights(self) -> list[Variable]:
        """Variables that optimizers change; empty where `trainable` is false."""
        return self.trainable_variables

    @property
    def trainable_variables(self) -> list[Variable]:
        """Variables that optimizers change; empty where `trainable` is false."""
        found: dict[Variable, None] = {}
        frozen: set[int] = set()
        for layer in self._flatten_layers():
            if not layer.trainable or id(layer) in frozen:
                # What is frozen freezes all below it.
                frozen.update(id(below) for below in layer._flatten_layers())
        for layer in self._flatten_layers():
            if id(layer) not in frozen:
                found.update(dict.fromkeys(v for v in layer._direct_variables() if v.trainable))
        return list(found)

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights that optimizers leave alone."""
        trainable = set(self.trainable_variables)
        return [v for v in self.weights if v not in trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Variables that optimizers leave alone, states of seed generators included."""
        trainable = set(self.trainable_variables)
        return [v for v in self.variables if v not in trainable]

    @property
    def trainable(self) -> bool:
        """Whether optimizers change this layer's variables; setting it sets all sublayers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        for layer in self._flatten_layers():
            layer._trainable = value

    @property
    def metrics(self) -> list[Any]:
        """Metrics held by this layer and those below it."""
        from hornbeam.metrics.metric import Metric

        found: dict[int, Any] = {}
        for layer in self._flatten_layers():
            found.update((id(m), m) for m in layer._parts(Metric))
        return list(found.values())

    @property
    def metrics_variables(self) -> list[Variable]:
        """Variables of `metrics`."""
        return [v for metric in self.metrics for v in metric.variables]

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> Variable:
        """Create a variable of this layer.

        Args:
            shape: Shape; default `()`.
            initializer: Name, object or function. Default: `glorot_uniform` for floats,
                zeros for others.
            dtype: Dtype name. Default: the layer's variable dtype.
            trainable: Whether optimizers change it.
            autocast: Whether it is read in the layer's compute dtype.
            regularizer: Its penalty, added to the loss.
            constraint: Applied after each update.
            aggregation: How replicas combine it.
            overwrite_with_gradient: Whether its gradient replaces it.
            name: Name. Default: `"variable"`, numbered.

        Returns:
            The variable.

        Raises:
            ValueError: If `shape` has unknown sizes.
        """
        from hornbeam import constraints, initializers

        if isinstance(shape, str):  # Keras 2 spelled it add_weight(name, shape, ...)
            name, shape, initializer = shape, initializer, kwargs.pop("_initializer", None)
        kwargs.pop("synchronization", None)
        kwargs.pop("layout", None)
        kwargs.pop("experimental_autocast", None)
        if kwargs:
            raise TypeError(f"{self._label()}: add_weight got unexpected arguments {errors.one_of(kwargs)}.")
        shape = () if shape is None else tuple(np.atleast_1d(shape)) if not isinstance(shape, tuple) else shape
        dtype = dtype or self.variable_dtype
        if any(size is None for size in shape):
            raise ValueError(
                f"{self._label()}: cannot create the weight '{name}' of shape {shape}: a size is "
                "unknown. Give the input's size when you build the model."
            )
        if initializer is None:
            initializer = "glorot_uniform" if is_float(dtype) else "zeros"
        with naming.name_scope(self.name) if naming.current_path() == "" else _no_scope():
            variable = Variable(
                initializers.get(initializer),
                shape=tuple(int(size) for size in shape),
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
            )
        variable.regularizer = _regularizer(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._own_variables.append(variable)
        self._look_for_parts()
        return variable

    def add_variable(self, shape: Any, initializer: Any, **kwargs: Any) -> Variable:
        """Create a variable of this layer; `add_weight` by another name."""
        return self.add_weight(shape=shape, initializer=initializer, **kwargs)

    def count_params(self) -> int:
        """Return the number of numbers in `weights`.

        Raises:
            ValueError: If the layer is not built yet.
        """
        if not self.built:
            raise ValueError(
                f"{self._label()} has no weights to count yet: it is not built. Call it on data, "
                "or `build(input_shape)` it."
            )
        return sum(int(np.prod(v.shape)) for v in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the weights as NumPy arrays, in the order of `weights`."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the weights from arrays in the order of `weights`.

        Raises:
            ValueError: If number or shapes differ; nothing is changed then.
        """
        own = self.weights
        weights = list(weights)
        if len(own) != len(weights):
            raise ValueError(
                f"{self._label()}: set_weights expected {len(own)} arrays "
                f"({', '.join(f'{v.name} {v.shape}' for v in own[:8])}{', ...' if len(own) > 8 else ''}), "
                f"received {len(weights)}."
            )
        for variable, value in zip(own, weights, strict=True):
            if tuple(np.shape(value)) != variable.shape:
                raise ValueError(
                    f"{self._label()}: set_weights expected shape {variable.shape} for "
                    f"'{variable.path}', received {tuple(np.shape(value))}."
                )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

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

    # --- losses -------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add a scalar to the loss, for the call under way.

        Args:
            loss: A scalar tensor or a list of them.

        Raises:
            ValueError: If one is not a scalar.
        """
        overlay = current_overlay()
        for value in tree.flatten(loss):
            if callable(value):
                value = value()
            if getattr(value, "shape", ()) not in ((), None):
                raise ValueError(f"{self._label()}: add_loss expected a scalar, received {errors.describe(value)}.")
            if overlay is not None:
                overlay.losses.append((self, value))
            else:
                self._losses.append(value)

    def _added_losses(self) -> list[Any]:
        """Losses added by this layer and those below in the call under way, or the last one."""
        layers = self._flatten_layers()
        overlay = current_overlay()
        if overlay is not None:
            members = {id(layer) for layer in layers}
            return [value for layer, value in overlay.losses if id(layer) in members]
        return [value for layer in layers for value in layer._losses]

    def _regularization_losses(self) -> list[Any]:
        with autocast_scope(None):
            return [v.regularizer(v.value) for v in self.trainable_weights if v.regularizer is not None]

    @property
    def losses(self) -> list[Any]:
        """Scalars from `add_loss` and activity regularizers, then weight penalties."""
        return [*self._added_losses(), *self._regularization_losses()]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            if layer._losses:
                layer._losses = []

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
            with autocast_scope(None), jax.ensure_compile_time_eval():
                self.build(*shapes[0], **shapes[1])

    def _shapes_for_build(self, args: tuple, kwargs: dict[str, Any]) -> tuple[list, dict]:
        """Return the arguments of `build`: one shape, or one for each `NAME_shape` it takes."""
        shapes = {name: _shape_of(x) for name, x in self._call_arguments(args, kwargs).items() if _has_tensor(x)}
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
            self.build(_shape_from_config(shapes["input_shape"]))
        else:
            self.build(**{name: _shape_from_config(shape) for name, shape in shapes.items()})

    # --- calling --------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs. Subclasses override it."""
        raise NotImplementedError(f"{type(self).__name__} must implement `call(self, inputs)` to be called.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Convert the inputs, build where needed, call, and pass masks on."""
        if "_seen" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}: call `super().__init__()` at the start of `__init__`.")
        args, kwargs = self._convert_inputs(args, kwargs)
        parameters = self._call_signature.parameters
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
            if self.input_spec is not None:
                first = args[0] if args else next(iter(kwargs.values()), None)
                check_input_spec(self.input_spec, first, self._label())
            with self._scope():
                self._ensure_built(args, kwargs)
                if self.input_spec is not None:
                    check_input_spec(self.input_spec, args[0] if args else None, self._label())
                if symbolic:
                    outputs = self.symbolic_call(*args, **kwargs)
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

    def _fill_masks(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Fill `mask` arguments of `call` from the tensors' masks; return the first's mask."""
        if not _any_mask():
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

    def add_metric(self, value: Any, aggregation: str | None = None, name: str | None = None) -> None:
        """Report the mean of `value` under `name` among the model's metrics; a method of Keras 1 and 2.

        Args:
            value: Tensor, computed in `call`.
            aggregation: `"mean"`, or `None` for the same.
            name: Name of the metric.

        Raises:
            ValueError: If there is no name, or the aggregation is another.
        """
        from hornbeam.metrics import Mean

        if not name or aggregation not in (None, "mean"):
            raise ValueError(
                f"{self._label()}: add_metric takes a `name`, and `aggregation` 'mean' or None, received {name!r} and "
                f"{aggregation!r}."
            )
        added = self.__dict__.setdefault("added_metrics", {})
        if name not in added:
            added[name] = Mean(name=name)
            self._look_for_parts()
        added[name].update_state(value)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Return the mask of the outputs; the base passes the input's mask on."""
        return previous_mask

    def _penalize_activity(self, outputs: Any) -> None:
        if self.activity_regularizer is None:
            return
        for x in tree.flatten(outputs):
            if isinstance(x, jax.Array):
                self.add_loss(self.activity_regularizer(x) / x.shape[0])

    def _scope(self) -> Any:
        return naming.name_scope(self.name)

    @property
    def path(self) -> str:
        """Where the layer stands: names of the layers around it and its own, by slashes."""
        return self._path or self.name

    def _label(self) -> str:
        return f"Layer '{self.path}' ({type(self).__name__})"

    def _explain(self, error: Exception, args: tuple, kwargs: dict[str, Any]) -> Exception:
        """Name the layer and its inputs in an error from inside it, once."""
        if getattr(error, "_explained", False) or not isinstance(error, (ValueError, TypeError)):
            return error
        text = str(error)
        where = f"{self._label()} was called with {describe_inputs(args, kwargs)}."
        if type(error) in (ValueError, TypeError) and len(error.args) <= 1:
            if self.path not in text:
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
            shape = own(self, _shape_of(args[0]))
            return _tensors_of(shape, self.compute_dtype)
        return infer(call, *args, **kwargs)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Return the output's shape for an input shape (nested for several), by tracing."""
        shapes = [*args, *kwargs.values()]
        tensors = [_tensors_of(shape, self.compute_dtype) for shape in shapes]
        with self._scope(), jax.ensure_compile_time_eval():
            if not self.built:
                self._ensure_built(tuple(tensors), {})
        return _shape_of(self.compute_output_spec(*tensors))

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
        from hornbeam.saving.config import constructor_config

        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self._trainable,
            "dtype": _dtype_config(self.dtype_policy),
        }
        if self.activity_regularizer is not None:
            from hornbeam.saving.config import serialize

            config["activity_regularizer"] = serialize(self.activity_regularizer)
        config.update(constructor_config(self, Layer, skip=(*_BASE_ARGUMENTS, "weights", "kwargs", "args")))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from what `get_config` returned."""
        from hornbeam.saving.config import from_constructor_config

        return from_constructor_config(cls, config)

    def save_own_variables(self, store: Any) -> None:
        """Write this layer's own variables into `store`, a mapping of names to arrays."""
        for index, variable in enumerate(self._saved_variables()):
            store[str(index)] = np.asarray(self._saved_value(variable))

    def _saved_variables(self) -> list[Variable]:
        """Return the variables of this layer itself that files hold."""
        return self._direct_variables()

    def _saved_value(self, variable: Variable) -> Any:
        """Return what files hold of one of them."""
        return variable._value

    def load_own_variables(self, store: Any) -> None:
        """Read this layer's own variables from `store`.

        Raises:
            ValueError: If number or shapes differ.
        """
        own = self._saved_variables()
        if len(store.keys()) != len(own):
            if len(own) == 0 and not self.built:
                raise ValueError(
                    f"{self._label()} is not built, so it has no variables to load the "
                    f"{len(store.keys())} saved ones into. Build it or call it on data first."
                )
            raise ValueError(f"{self._label()} has {len(own)} variables, the file has {len(store.keys())}.")
        for index, variable in enumerate(own):
            variable.assign(np.asarray(store[str(index)]))

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
            with _no_scope() if inside else self._scope():
                self._path = naming.current_path()
                build(self, *args, **kwargs)
        finally:
            object.__setattr__(self, "_building", False)
        self.built = True
        names = list(inspect.signature(build).parameters)[1:]
        shapes = dict(zip(names, args, strict=False)) | kwargs
        self._build_shapes = {n: _shape_to_config(s) for n, s in shapes.items()} or None

    wrapped._wrapped = True  # type: ignore[attr-defined]
    return wrapped


Layer.build = _wrap_build(Layer.build)  # type: ignore[method-assign]
Layer._call_signature = inspect.signature(Layer.call)


class _no_scope:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc: object) -> None:
        return None


def _defined_below_base(cls: type) -> set[str]:
    """Names that classes below `Layer` define."""
    return {name for c in cls.__mro__ if c not in Layer.__mro__ for name in c.__dict__}


def _is_ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] == "hornbeam"


def _regularizer(identifier: Any) -> Any:
    if identifier is None:
        return None
    from hornbeam import regularizers

    return regularizers.get(identifier)


def _dtype_config(policy: DTypePolicy) -> dict[str, Any]:
    from hornbeam.saving.config import serialize

    return serialize(policy)


def _has_var_keyword(parameters: Any) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def _may_hold_parts(value: Any) -> bool:
    return isinstance(value, (Variable, Operation, SeedGenerator, list, tuple, dict, set)) or hasattr(
        value, "update_state"
    )


def _collect_parts(value: Any, found: dict[int, Any], depth: int = 0) -> None:
    if isinstance(value, (Layer, Variable, SeedGenerator)) or hasattr(type(value), "update_state"):
        found.setdefault(id(value), value)
    elif depth < 8:
        if isinstance(value, dict):
            for item in value.values():
                _collect_parts(item, found, depth + 1)
        elif isinstance(value, (list, tuple, set)):
            for item in value:
                _collect_parts(item, found, depth + 1)


def _walk(layer: Layer, found: dict[int, Layer], recursive: bool) -> None:
    for child in layer._layers:
        if id(child) not in found:
            found[id(child)] = child
            if recursive:
                _walk(child, found, recursive)


def _any_mask() -> bool:
    from hornbeam.core.symbolic import _masks

    return bool(_masks)


def _has_tensor(x: Any) -> bool:
    return any(isinstance(leaf, (jax.Array, KerasTensor, np.ndarray)) for leaf in tree.flatten(x))


def _is_number_list(x: Any) -> bool:
    leaves = tree.flatten(x)
    return bool(leaves) and all(isinstance(leaf, (int, float, np.number)) for leaf in leaves)


def _list_dtype(x: Any) -> str | None:
    return "float32" if any(isinstance(leaf, float) for leaf in tree.flatten(x)) else None


def _shape_of(x: Any) -> Any:
    """Return the shape of a tensor, or the structure of shapes of a structure of tensors."""
    if isinstance(x, (list, tuple)) and not _is_shape(x):
        return [_shape_of(item) for item in x]
    if isinstance(x, dict):
        return {key: _shape_of(item) for key, item in x.items()}
    return shape_with_unknowns(x.shape) if hasattr(x, "shape") else None


def _is_shape(x: Any) -> bool:
    """Tell whether `x` is one shape, rather than a structure of shapes."""
    return isinstance(x, (list, tuple)) and all(n is None or isinstance(n, (int, np.integer)) for n in x)


def _tensors_of(shape: Any, dtype: str) -> Any:
    """Return symbolic tensors for a structure of shapes."""
    if _is_shape(shape):
        return KerasTensor(shape, dtype)
    if isinstance(shape, dict):
        return {key: _tensors_of(item, dtype) for key, item in shape.items()}
    if isinstance(shape, (list, tuple)):
        return [_tensors_of(item, dtype) for item in shape]
    return shape


def _shape_to_config(shape: Any) -> Any:
    if _is_shape(shape):
        return [None if n is None else int(n) for n in shape]
    if isinstance(shape, dict):
        return {key: _shape_to_config(item) for key, item in shape.items()}
    if isinstance(shape, (list, tuple)):
        return [_shape_to_config(item) for item in shape]
    return shape


def _shape_from_config(shape: Any) -> Any:
    if _is_shape(shape):
        return tuple(shape)
    if isinstance(shape, dict):
        return {key: _shape_from_config(item) for key, item in shape.items()}
    if isinstance(shape, (list, tuple)):
        return [_shape_from_config(item) for item in shape]
    return shape


def _pop_input_shape(layer: Layer, kwargs: dict[str, Any]) -> tuple[int | None, ...] | None:
    """Take the arguments that state the input's shape, in all their spellings."""
    batch_size = kwargs.pop("batch_size", None)
    batch_shape = kwargs.pop("batch_input_shape", None) or kwargs.pop("batch_shape", None)
    input_shape = kwargs.pop("input_shape", None)
    input_dim = kwargs.pop("input_dim", None)
    length = kwargs.pop("input_length", None)
    if batch_shape is not None:
        return tuple(batch_shape)
    if input_shape is None and input_dim is not None:
        # Keras 1: sequences said input_dim and input_length.
        input_shape = (input_dim,) if length is None else (length, input_dim)
    if input_shape is None:
        return None
    if isinstance(input_shape, (int, np.integer)):
        input_shape = (input_shape,)
    return (batch_size, *input_shape)
