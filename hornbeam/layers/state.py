"""The state of a layer: sublayers, variables, metrics, seed generators, and added losses.

Other modules of Hornbeam access a layer through the functions at the end of this module. They are
functions, not public methods, because users' subclasses may use any attribute name that Keras does
not use.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import jax
import numpy as np

from hornbeam import constraints, errors, initializers, regularizers, tree
from hornbeam.core import naming
from hornbeam.core.graph import Operation
from hornbeam.core.placement import whole
from hornbeam.core.provenance import is_library_code, refuse_real_keras
from hornbeam.core.random import SeedGenerator
from hornbeam.core.structure import structure_version
from hornbeam.core.variable import Variable, autocast_scope, current_overlay
from hornbeam.dtypes import is_float
from hornbeam.layers.call_scope import late_maker
from hornbeam.layers.explain import memory_for
from hornbeam.metrics.metric import Metric
from hornbeam.metrics.reduction import Mean
from hornbeam.older_words import older_words
from hornbeam.typing import ArrayLike, DType, Identifier, Shape, Structure, Tensor

__all__ = [
    "LayerState", "flatten_layers", "given_input_shape", "label_of", "output_shapes_of_call",
    "own_variables", "parameters_of_call", "refresh_parts", "saved_variables", "sublayers",
    "switches_of", "trainable_variables_with",
]  # fmt: skip

_MAX_RANK = 64  # NumPy's limit


class LayerState(Operation):
    """The part of `Layer` that keeps state and finds sublayers and variables in attributes."""

    # Attributes whose objects are not parts of the layer.
    _not_children: frozenset[str] = frozenset(
        {"_inbound_nodes", "_captured", "_own_variables", "_seen"}
    )

    # Set by the constructor of `Layer`.
    _seen: dict[int, Any]
    _own_variables: list[Variable]
    _losses: list[Any]
    _trainable: bool
    _late_maker: str | None
    _path: str | None
    _batch_input_shape: Shape | None
    _call_signature: ClassVar[inspect.Signature]
    built: bool
    # How often an argument of the constructor was set after the layer was built.
    _changes: int = 0
    variable_dtype: str
    activity_regularizer: Any

    @property
    def path(self) -> str:
        """Names of the enclosing layers and this layer, such as `"encoder/dense"`."""
        return self._path or self.name

    def _label(self) -> str:
        return f"Layer '{self.path}' ({type(self).__name__})"

    # --- children and state ------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        cls: Any = type(self)
        refuse_real_keras(cls.__name__, value)
        is_setting = self.__dict__.get("built") and name in _settings(cls)
        if name.startswith("__") or name in type(self)._not_children or not _may_hold_parts(value):
            object.__setattr__(self, name, value)
        else:
            # Parts keep the order in which they are first seen. Look before setting the new one
            # too, so that items appended to a list since the last look come first.
            self._look_for_parts()
            object.__setattr__(self, name, value)
            self._look_for_parts()
        if is_setting:  # a compiled step took the old value for a constant
            self.__dict__["_changes"] = self._changes + 1
            structure_version.advance()

    def _look_for_parts(self) -> dict[int, Any]:
        """Return the parts in the attributes in the order of their first assignment.

        Parts are layers, metrics, seed generators and variables.
        """
        present: dict[int, Any] = {}
        for name, value in self.__dict__.items():
            if type(value) not in _PLAIN and name not in type(self)._not_children:
                _collect_parts(value, present)
        for variable in self.__dict__.get("_own_variables", ()):
            present.setdefault(id(variable), variable)
        # Missing if an attribute is set before `super().__init__()`.
        seen = self.__dict__.setdefault("_seen", {})
        if seen.keys() != present.keys():
            for key, part in present.items():
                seen.setdefault(key, part)
            for key in [key for key in seen if key not in present]:
                del seen[key]
            structure_version.advance()
        return seen

    def _parts(self, kind: Any) -> list[Any]:
        return [part for part in self._look_for_parts().values() if isinstance(part, kind)]

    @property
    def _layers(self) -> list[Any]:
        """Direct sublayers."""
        return self._parts(LayerState)

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Any]:
        """Return this layer and the layers inside it, each once, parents before children."""
        found: dict[int, Any] = {id(self): self}
        _walk(self, found, recursive)
        layers = list(found.values())
        return layers if include_self else layers[1:]

    def _direct_variables(self) -> list[Variable]:
        """Return the layer's variables without its sublayers' variables.

        Variables that were created as trainable come first, then the others, in creation order.
        """
        own = self._parts(Variable)
        return [v for v in own if v.created_trainable] + [v for v in own if not v.created_trainable]

    @property
    def variables(self) -> list[Variable]:
        """All variables of this layer and its sublayers, and their seed generators' states."""
        found: dict[Variable, None] = {}
        for layer in self._flatten_layers():
            found.update(dict.fromkeys(layer._direct_variables()))
            found.update(dict.fromkeys(seed.state for seed in layer._parts(SeedGenerator)))
        return list(found)

    @property
    def weights(self) -> list[Variable]:
        """All variables of this layer and its sublayers, without seed generators' states."""
        found: dict[Variable, None] = {}
        for layer in self._flatten_layers():
            found.update(dict.fromkeys(layer._direct_variables()))
        return list(found)

    @property
    def trainable_weights(self) -> list[Variable]:
        """Variables that optimizers change; none if `trainable` is false.

        Layers of Keras 1 and 2 set it: the given variables are then the layer's trainable weights.
        """
        return self.trainable_variables

    @trainable_weights.setter
    def trainable_weights(self, variables: Sequence[Variable]) -> None:
        given = self._own(variables, "trainable_weights")
        for variable in self._direct_variables():
            variable.trainable = variable.created_trainable = variable in given
        structure_version.advance()

    @property
    def trainable_variables(self) -> list[Variable]:
        """Variables that optimizers change; none if `trainable` is false."""
        return trainable_variables_with(self, {})

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights that optimizers do not change. Layers of Keras 1 and 2 set it."""
        trainable = set(self.trainable_variables)
        return [v for v in self.weights if v not in trainable]

    @non_trainable_weights.setter
    def non_trainable_weights(self, variables: Sequence[Variable]) -> None:
        for variable in self._own(variables, "non_trainable_weights"):
            variable.trainable = variable.created_trainable = False
        structure_version.advance()

    def _own(self, variables: Any, argument: str) -> set[Variable]:
        """Make the variables weights of this layer."""
        if not isinstance(variables, (list, tuple)) or not all(
            isinstance(v, Variable) for v in variables
        ):
            raise ValueError(
                f"{self._label()}: `{argument}` must be a list of variables, received"
                f" {errors.describe(variables)}. Make a variable by `add_weight`."
            )
        known = set(self.weights)
        self._own_variables += [v for v in variables if v not in known]
        return set(variables)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Variables that optimizers do not change, with the states of seed generators."""
        trainable = set(self.trainable_variables)
        return [v for v in self.variables if v not in trainable]

    @property
    def trainable(self) -> bool:
        """Whether optimizers update the layer's variables. Setting it also sets all sublayers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        for layer in self._flatten_layers():
            layer._trainable = value
        structure_version.advance()

    @property
    def metrics(self) -> list[Any]:
        """Metrics of this layer and the layers inside it, each once."""
        found: dict[int, Any] = {}
        for layer in self._flatten_layers():
            found.update((id(m), m) for m in layer._parts(Metric))
        return list(found.values())

    @property
    def metrics_variables(self) -> list[Variable]:
        """Variables of the metrics in `metrics`."""
        return [v for metric in self.metrics for v in metric.variables]

    def add_weight(
        self,
        shape: Shape | Sequence[int] | int | None = None,
        initializer: Identifier = None,
        dtype: DType | None = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Identifier = None,
        constraint: Identifier = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> Variable:
        """Create a variable of this layer.

        Args:
            shape: Shape, or one integer. Default: `()`, a scalar.
            initializer: Name, `Initializer` or function of (shape, dtype). Default:
                `"glorot_uniform"` for floats, `"zeros"` for others.
            dtype: Dtype. Default: the layer's variable dtype.
            trainable: Whether optimizers change it. Default: True.
            autocast: Whether `call` reads it in the layer's compute dtype. Default: True.
            regularizer: Name, `Regularizer` or function whose penalty of the value is added to the
                loss. Default: `None`.
            constraint: Name, `Constraint` or function to apply after each update. Default: `None`.
            aggregation: How replicas combine their values. Default: `"none"`.
            overwrite_with_gradient: Whether the gradient replaces the value. Default: False.
            name: Name. Default: `"variable"`, numbered.

        Raises:
            ValueError: If a size is unknown, or there are more than 64 axes.
            TypeError: If an argument is unknown.

        Example:
            >>> from hornbeam.layers import Layer
            >>> Layer().add_weight((784, 64), name="kernel", regularizer="l2").shape
            (784, 64)
        """
        if isinstance(shape, str):  # Keras 2: add_weight(name, shape, ...)
            name, shape, initializer = shape, initializer, kwargs.pop("_initializer", None)
        kwargs.pop("synchronization", None)
        kwargs.pop("layout", None)
        kwargs.pop("experimental_autocast", None)
        if kwargs:
            known = inspect.signature(self.add_weight).parameters
            raise errors.unexpected(f"{self._label()}: add_weight", kwargs, [*known][:-1])
        self._check_not_late(name)
        dtype = dtype or self.variable_dtype
        shape = _known_shape(self._label(), name, shape)
        if initializer is None:
            initializer = "glorot_uniform" if is_float(dtype) else "zeros"
        with naming.name_scope(self.name) if naming.current_path() == "" else nullcontext():
            initializer = initializers.get(initializer)
            with memory_for(self._label(), name, shape, dtype):
                variable = Variable(
                    initializer, shape=shape, dtype=dtype, trainable=trainable, autocast=autocast,
                    aggregation=aggregation, name=name,
                )  # fmt: skip
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._own_variables.append(variable)
        self._look_for_parts()
        return variable

    def _check_not_late(self, name: str | None) -> None:
        """Raise if this weight would be a new one in each call."""
        weight = f"the weight '{name}'" if name else "a weight"
        if self.__dict__.get("_late_maker") is not None:
            raise ValueError(
                f"{self._label()} is made in `call` of {self._late_maker}, so it would have new"
                f" weights in each call, and training would lose them ({weight} is new now). Make"
                " the layer in `__init__` or `build`, keep it in an attribute, and only call it in"
                " `call`."
            )
        if late_maker() == self._label():
            raise ValueError(
                f"{self._label()}: `call` makes {weight} after the first call, so there would be a"
                " new one in each call. Make it in `__init__` or `build`."
            )

    def add_variable(
        self, shape: Shape | Sequence[int] | int | None, initializer: Identifier = None,
        dtype: DType | None = None, trainable: bool = True, autocast: bool = True,
        regularizer: Identifier = None, constraint: Identifier = None, name: str | None = None,
        **kwargs: Any,
    ) -> Variable:  # fmt: skip
        """Create a variable of this layer, as `add_weight` does."""
        return self.add_weight(
            shape, initializer, dtype, trainable, autocast, regularizer, constraint, name=name,
            **kwargs,
        )  # fmt: skip

    def count_params(self) -> int:
        """Return the total number of elements in the weights.

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

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Set the weights from arrays.

        Args:
            weights: Arrays with the order and shapes of the attribute `weights`.

        Raises:
            ValueError: If the number of arrays or a shape differs. Then no weight changes.
        """
        own = self.weights
        weights = list(weights)
        if len(own) != len(weights):
            shown = ", ".join(f"{v.name} {v.shape}" for v in own[:8])
            more = ", ..." if len(own) > 8 else ""
            raise ValueError(
                f"{self._label()}: set_weights expected {len(own)} arrays ({shown}{more}),"
                f" received {len(weights)}."
            )
        for variable, value in zip(own, weights, strict=True):
            if tuple(np.shape(value)) != variable.shape:
                raise ValueError(
                    f"{self._label()}: set_weights expected shape {variable.shape} for "
                    f"'{variable.path}', received {tuple(np.shape(value))}."
                )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    # --- losses -------------------------------------------------------------------------

    @older_words(losses="loss", inputs="")
    def add_loss(self, loss: Structure) -> None:
        """Add a scalar that `call` computes to the loss that training minimizes.

        Args:
            loss: A scalar tensor, a function without arguments that returns one, or a list of
                these.

        Raises:
            ValueError: If a loss is not a scalar.

        Example:
            >>> import hornbeam as hb
            >>> class Sparse(hb.layers.Layer):
            ...     def call(self, inputs):
            ...         self.add_loss(0.5 * hb.ops.sum(hb.ops.absolute(inputs)))
            ...         return inputs
            >>> layer = Sparse()
            >>> _ = layer(np.full((2, 5), 2.0))
            >>> layer.losses
            [Array(10., dtype=float32)]
        """
        overlay = current_overlay()
        for value in tree.flatten(loss):
            if callable(value):
                value = value()
            if getattr(value, "shape", ()) not in ((), None):
                raise ValueError(
                    f"{self._label()}: add_loss expected a scalar, received"
                    f" {errors.describe(value)}."
                )
            if overlay is not None:
                overlay.losses.append((self, value))
            else:
                self._losses.append(value)

    def _added_losses(self) -> list[Any]:
        """Return the losses that this layer and its sublayers added in the current or last call."""
        layers = self._flatten_layers()
        overlay = current_overlay()
        if overlay is not None:
            members = {id(layer) for layer in layers}
            return [value for layer, value in overlay.losses if id(layer) in members]
        return [value for layer in layers for value in layer._losses]

    def _regularization_losses(self) -> list[Any]:
        with autocast_scope(None):
            return [
                v.regularizer(v.value) for v in self.trainable_weights if v.regularizer is not None
            ]

    @property
    def losses(self) -> list[Any]:
        """Scalars from `add_loss` and activity regularizers, then the weights' penalties."""
        return [*self._added_losses(), *self._regularization_losses()]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            if layer._losses:
                layer._losses = []

    def add_metric(
        self, value: Tensor, aggregation: str | None = None, name: str | None = None
    ) -> None:
        """Report the mean of a tensor as one of the model's metrics, as in Keras 1 and 2.

        Args:
            value: Tensor that `call` computes.
            aggregation: `"mean"`, or `None` for the same.
            name: Name of the metric. Required.

        Raises:
            ValueError: If `name` is missing or `aggregation` has another value.
        """
        self._added_metric(aggregation, name).update_state(value)

    def _added_metric(self, aggregation: str | None, name: str | None) -> Mean:
        """Return the metric of a name that `add_metric` updates."""
        if not name or aggregation not in (None, "mean"):
            raise ValueError(
                f"{self._label()}: add_metric takes a `name`, and `aggregation` 'mean' or None,"
                f" received {name!r} and {aggregation!r}."
            )
        added: dict[str, Mean] = self.__dict__.setdefault("added_metrics", {})
        if name not in added:
            added[name] = Mean(name=name)
            self._look_for_parts()
        return added[name]

    def _penalize_activity(self, outputs: Any) -> None:
        if self.activity_regularizer is None:
            return
        for x in tree.flatten(outputs):
            if isinstance(x, jax.Array):
                self.add_loss(self.activity_regularizer(x) / x.shape[0])

    # --- files --------------------------------------------------------------------------

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Write the layer's variables, without its sublayers', into a mapping.

        Args:
            store: Mapping from names, `"0"`, `"1"` and so on, to arrays.
        """
        for index, variable in enumerate(self._saved_variables()):
            store[str(index)] = whole(self._saved_value(variable))

    def _saved_variables(self) -> list[Variable]:
        """Return the variables that files hold, without the sublayers'."""
        return self._direct_variables()

    def _saved_value(self, variable: Variable) -> Any:
        """Return the value that files hold for `variable`."""
        return variable.stored

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read the layer's variables from a mapping that `save_own_variables` filled.

        Args:
            store: Mapping from names to arrays.

        Raises:
            ValueError: If the number of arrays or a shape differs.
        """
        own = self._saved_variables()
        if len(store.keys()) != len(own):
            if len(own) == 0 and not self.built:
                raise ValueError(
                    f"{self._label()} is not built, so it has no variables to load the "
                    f"{len(store.keys())} saved ones into. Build it or call it on data first."
                )
            raise ValueError(
                f"{self._label()} has {len(own)} variables, the file has {len(store.keys())}."
            )
        for index, variable in enumerate(own):
            variable.assign(np.asarray(store[str(index)]))


def _known_shape(label: str, name: str | None, shape: Any) -> tuple[int, ...]:
    """Return the shape of a new weight; raise if a size is unknown."""
    shape = (
        ()
        if shape is None
        else tuple(np.atleast_1d(shape))
        if not isinstance(shape, tuple)
        else shape
    )
    if len(shape) > _MAX_RANK:
        raise ValueError(
            f"{label}: cannot create the weight '{name}' of {len(shape)} dimensions; an array has"
            f" at most {_MAX_RANK}."
        )
    if any(size is None for size in shape):
        raise ValueError(
            f"{label}: cannot create the weight '{name}' of shape {shape}: a size is "
            "unknown. Give the input's size when you build the model."
        )
    return tuple(int(size) for size in shape)


@functools.lru_cache(maxsize=1024)
def _settings(cls: type) -> frozenset[str]:
    """Return the constructor's arguments of a class of Hornbeam that the base class does not keep.

    A user's layer may set its attributes in every call.
    """
    if not is_library_code(cls):
        return frozenset()
    return frozenset(inspect.signature(cls).parameters) - {"trainable", "name", "dtype"}


# Most attributes; each call of a layer looks at all of them.
_PLAIN = frozenset({type(None), bool, int, float, str})


def _may_hold_parts(value: Any) -> bool:
    return isinstance(
        value, (Variable, Operation, SeedGenerator, list, tuple, dict, set)
    ) or hasattr(value, "update_state")


def _collect_parts(value: Any, found: dict[int, Any], depth: int = 0) -> None:
    if isinstance(value, (LayerState, Variable, SeedGenerator)) or hasattr(
        type(value), "update_state"
    ):
        found.setdefault(id(value), value)
    elif depth < 8:
        if isinstance(value, dict):
            for item in value.values():
                _collect_parts(item, found, depth + 1)
        elif isinstance(value, (list, tuple, set)):
            for item in value:
                _collect_parts(item, found, depth + 1)
        else:
            refuse_real_keras("A layer's attribute", value)


def _walk(layer: Any, found: dict[int, Any], recursive: bool) -> None:
    for child in layer._layers:
        if id(child) not in found:
            found[id(child)] = child
            if recursive:
                _walk(child, found, recursive)


# --- for other modules of Hornbeam ------------------------------------------------------------


def flatten_layers(
    layer: LayerState, include_self: bool = True, recursive: bool = True
) -> list[Any]:
    """Return `layer` and the layers inside it, each once, parents before children.

    Args:
        layer: The layer.
        include_self: Whether the list starts with `layer`. Default: True.
        recursive: Whether to include layers inside sublayers. Default: True.
    """
    return layer._flatten_layers(include_self, recursive)


def trainable_variables_with(layer: LayerState, flags: Mapping[int, bool]) -> list[Variable]:
    """Return the variables that optimizers change, if some layers had another `trainable`.

    Args:
        layer: The layer.
        flags: `trainable` by the `id` of a layer; others have their own.
    """
    found: dict[Variable, None] = {}
    frozen: set[int] = set()
    layers = layer._flatten_layers()
    for part in layers:
        if not flags.get(id(part), part.trainable) or id(part) in frozen:
            # A frozen layer also freezes the layers inside it.
            frozen.update(id(below) for below in part._flatten_layers())
    for part in layers:
        if id(part) not in frozen:
            found.update(dict.fromkeys(v for v in part._direct_variables() if v.trainable))
    return list(found)


def sublayers(layer: LayerState) -> list[Any]:
    """Return the direct sublayers of `layer`, in the order of their first assignment."""
    return layer._layers


def output_shapes_of_call(layer: LayerState) -> list[Shape]:
    """Return the output shapes of the first call, with unknown batch size; empty before a call."""
    return layer.__dict__.get("_called_shapes", [])


def switches_of(layer: LayerState) -> tuple[tuple[bool, int, int], ...]:
    """Return what a compiled step takes for constant in a layer and the layers inside it.

    Adaptation and quantization give a layer other variables.
    """
    layers = layer._flatten_layers()
    return tuple((x.trainable, len(x._direct_variables()), x._changes) for x in layers)


def own_variables(layer: LayerState) -> list[Variable]:
    """Return a layer's variables without its sublayers' variables.

    Variables that were created as trainable come first, then the others, in creation order.
    """
    return layer._direct_variables()


def saved_variables(layer: LayerState) -> list[Variable]:
    """Return the variables of `layer` that files hold, without its sublayers'."""
    return layer._saved_variables()


def refresh_parts(layer: LayerState) -> None:
    """Look again for parts in a layer's attributes; finds those set without `__setattr__`."""
    layer._look_for_parts()


def label_of(layer: LayerState) -> str:
    """Return the layer's name for messages, such as `Layer 'encoder/dense' (Dense)`."""
    return layer._label()


def parameters_of_call(layer: LayerState) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a layer's `call`, with `self`, by name."""
    return layer._call_signature.parameters


def given_input_shape(layer: LayerState) -> Shape | None:
    """Return the input shape that the constructor got, with the batch axis, or `None`."""
    return layer._batch_input_shape
