"""What a layer holds: sublayers, variables, metrics and seeds, and the losses of the call under way."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import jax
import numpy as np

from hornbeam import constraints, errors, initializers, regularizers, tree
from hornbeam.core import naming
from hornbeam.core.graph import Operation
from hornbeam.core.random import SeedGenerator
from hornbeam.core.structure import structure_version
from hornbeam.core.variable import Variable, autocast_scope, current_overlay
from hornbeam.dtypes import is_float
from hornbeam.metrics.metric import Metric
from hornbeam.metrics.reduction import Mean

__all__ = ["LayerState", "find_regularizer"]

_MAX_RANK = 64  # NumPy's limit


class LayerState(Operation):
    """The part of `Layer` that keeps state; parts are found by looking at the attributes."""

    # Attributes that hold objects which are not parts of the layer.
    _not_children: frozenset[str] = frozenset({"_inbound_nodes", "_captured", "_own_variables", "_seen"})

    # Set by the constructor of `Layer`.
    _seen: dict[int, Any]
    _own_variables: list[Variable]
    _losses: list[Any]
    _trainable: bool
    _path: str | None
    built: bool
    variable_dtype: str
    activity_regularizer: Any

    @property
    def path(self) -> str:
        """Where the layer stands: names of the layers around it and its own, by slashes."""
        return self._path or self.name

    def _label(self) -> str:
        return f"Layer '{self.path}' ({type(self).__name__})"

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
        """Return this layer and those below it, each once."""
        found: dict[int, Any] = {id(self): self}
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
        structure_version.advance()

    @property
    def metrics(self) -> list[Any]:
        """Metrics held by this layer and those below it."""
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
        if isinstance(shape, str):  # Keras 2 spelled it add_weight(name, shape, ...)
            name, shape, initializer = shape, initializer, kwargs.pop("_initializer", None)
        kwargs.pop("synchronization", None)
        kwargs.pop("layout", None)
        kwargs.pop("experimental_autocast", None)
        if kwargs:
            raise TypeError(f"{self._label()}: add_weight got unexpected arguments {errors.listed(kwargs)}.")
        shape = () if shape is None else tuple(np.atleast_1d(shape)) if not isinstance(shape, tuple) else shape
        dtype = dtype or self.variable_dtype
        if len(shape) > _MAX_RANK:
            raise ValueError(
                f"{self._label()}: cannot create the weight '{name}' of {len(shape)} dimensions; an array has at most {_MAX_RANK}."
            )
        if any(size is None for size in shape):
            raise ValueError(
                f"{self._label()}: cannot create the weight '{name}' of shape {shape}: a size is "
                "unknown. Give the input's size when you build the model."
            )
        if initializer is None:
            initializer = "glorot_uniform" if is_float(dtype) else "zeros"
        with naming.name_scope(self.name) if naming.current_path() == "" else nullcontext():
            variable = Variable(
                initializers.get(initializer),
                shape=tuple(int(size) for size in shape),
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
            )
        variable.regularizer = find_regularizer(regularizer)
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

    def add_metric(self, value: Any, aggregation: str | None = None, name: str | None = None) -> None:
        """Report the mean of `value` under `name` among the model's metrics; a method of Keras 1 and 2.

        Args:
            value: Tensor, computed in `call`.
            aggregation: `"mean"`, or `None` for the same.
            name: Name of the metric.

        Raises:
            ValueError: If there is no name, or the aggregation is another.
        """
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

    def _penalize_activity(self, outputs: Any) -> None:
        if self.activity_regularizer is None:
            return
        for x in tree.flatten(outputs):
            if isinstance(x, jax.Array):
                self.add_loss(self.activity_regularizer(x) / x.shape[0])

    # --- files --------------------------------------------------------------------------

    def save_own_variables(self, store: Any) -> None:
        """Write this layer's own variables into `store`, a mapping of names to arrays."""
        for index, variable in enumerate(self._saved_variables()):
            store[str(index)] = np.asarray(self._saved_value(variable))

    def _saved_variables(self) -> list[Variable]:
        """Return the variables of this layer itself that files hold."""
        return self._direct_variables()

    def _saved_value(self, variable: Variable) -> Any:
        """Return what files hold of one of them."""
        return variable.stored

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


def find_regularizer(identifier: Any) -> Any:
    """Return the regularizer that a name, config or object stands for; imported when asked, it stands above."""
    if identifier is None:
        return None
    return regularizers.get(identifier)


def _may_hold_parts(value: Any) -> bool:
    return isinstance(value, (Variable, Operation, SeedGenerator, list, tuple, dict, set)) or hasattr(
        value, "update_state"
    )


def _collect_parts(value: Any, found: dict[int, Any], depth: int = 0) -> None:
    if isinstance(value, (LayerState, Variable, SeedGenerator)) or hasattr(type(value), "update_state"):
        found.setdefault(id(value), value)
    elif depth < 8:
        if isinstance(value, dict):
            for item in value.values():
                _collect_parts(item, found, depth + 1)
        elif isinstance(value, (list, tuple, set)):
            for item in value:
                _collect_parts(item, found, depth + 1)


def _walk(layer: Any, found: dict[int, Any], recursive: bool) -> None:
    for child in layer._layers:
        if id(child) not in found:
            found[id(child)] = child
            if recursive:
                _walk(child, found, recursive)
