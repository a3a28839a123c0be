"""The variables of an optimizer: its step counter, its learning rate, and slots of weights."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from hornbeam import errors, tree
from hornbeam.core import naming
from hornbeam.core.placement import whole
from hornbeam.core.provenance import is_library_code
from hornbeam.core.structure import rules_version
from hornbeam.core.variable import Variable, current_overlay, outside_overlays
from hornbeam.older_words import older_words
from hornbeam.optimizers.older import OlderMethods
from hornbeam.typing import DType, Identifier, Tensor

__all__ = ["OptimizerState"]

# Slots that any optimizer may have.
_OF_BASE = ("average", "gradient_accumulator")

# Keras's names of the lists with one slot per weight, which own optimizers read in `update_step`.
_LISTS = {
    "_accumulated_gradients": "gradient_accumulator", "_model_variables_moving_average": "average",
    "momentums": "momentum", "_momentums": "momentum", "_velocities": "velocity",
    "adam_velocities": "velocity", "_velocity_hats": "velocity_hat", "_m": "momentum",
    "_u": "norm", "_average_gradients": "average_gradient", "_accumulators": "accumulator",
    "_linears": "linear", "_accumulated_grads": "accumulated_grad",
    "_accumulated_delta_vars": "accumulated_delta_var", "_r": "row", "_c": "column",
    "_v": "velocity",
}  # fmt: skip

# Attributes of Hornbeam's classes that hold variables which are tracked already, or are no state.
_TRACKED = frozenset(
    ["_variables", "_trainable", "_iterations", "_learning_rate", "_slot", "_state", "_parts"]
)


class OptimizerState(OlderMethods):
    """The part of `Optimizer` that holds variables.

    An own optimizer creates its variables in `build`, by `add_variable` and its siblings. Variables
    that are set as attributes belong to its state too.
    """

    name: str
    built: bool
    use_ema: bool
    gradient_accumulation_steps: int | None
    _learning_rate: Any
    _variables: list[Variable]
    _trainable: list[Variable]
    _slot: dict[str, dict[Variable, Variable]]

    def __setattr__(self, name: str, value: Any) -> None:
        cls: Any = type(self)
        if name in self.__dict__.get("_hyper_values", ()):
            self._set_hyper(name, value)
            return
        old = self.__dict__.get(name)
        object.__setattr__(self, name, value)
        if self.__dict__.get("built") and name in _settings(cls):
            self._change_setting(name, old)
        if name not in _TRACKED and "_variables" in self.__dict__:
            for part in tree.flatten(value) if isinstance(value, (list, tuple, dict)) else [value]:
                if isinstance(part, Variable) and not _is_among(part, self._variables):
                    self._track(part)

    def _change_setting(self, name: str, old: Any) -> None:
        """Make compiled steps use a setting's new value, or refuse it and keep the old one."""
        new = getattr(self, name)
        if new is old and not isinstance(new, set) or current_overlay() is not None:
            return
        missing = [
            slot
            for slots in self._groups()
            for slot in slots
            if any(
                self._has_slot(v, slot) and v not in self._slot.get(slot, {})
                for v in self._trainable
            )
        ]
        if missing or name == "gradient_accumulation_steps":
            object.__setattr__(self, name, old)
            reason = (
                f"it needs the slots {errors.listed(missing)}" if missing else "it counts steps"
            )
            raise ValueError(
                f"{type(self).__name__}: `{name}` cannot change from {old!r} to {new!r} once the"
                f" optimizer is built, because {reason}."
                " Create a new optimizer and compile the model with it."
            )
        rules_version.advance()  # compiled steps contain the old value

    def __getattr__(self, name: str) -> Any:
        if hasattr(type(self), name):  # a property that raised an error, which has the reason
            return object.__getattribute__(self, name)
        state = self.__dict__
        if name in state.get("_hyper_values", ()):
            return self._hyper()[name]
        if name in _LISTS and "_slot" in state:
            slots = self._slot.get(_LISTS[name], {})
            return [slots.get(v) for v in self._trainable] if slots else []
        text = f"{type(self).__name__!r} object has no attribute {name!r}."
        if "_slot" not in state:
            text += f" Call `super().__init__()` first in `{type(self).__name__}.__init__`."
        raise AttributeError(text, name=name, obj=self)

    def _track(self, variable: Variable) -> Variable:
        self._variables.append(variable)
        return variable

    @property
    def variables(self) -> list[Variable]:
        """Step counter, learning rate (unless a schedule or function), then all slots."""
        trained = set(self._trainable)
        return [v for v in self._variables if v not in trained]

    def _set_rate(self, rate: Any) -> Any:
        """Replace the learning rate by a schedule, a function, or the variable of a number."""
        old = self.__dict__.get("_learning_rate")
        self._variables[:] = [v for v in self._variables if v is not old]
        if not callable(rate):
            number = float(rate.value if isinstance(rate, Variable) else rate)
            with naming.name_scope(self.name):
                rate = Variable(
                    number, dtype="float32", trainable=False, autocast=False, name="learning_rate"
                )
            self._variables.insert(1, rate)  # after the step counter
        self._learning_rate = rate
        if old is not None:  # compiled steps contain the old rate
            rules_version.advance()
        return rate

    @older_words(var_list="variables")
    def build(self, variables: Iterable[Variable]) -> None:
        """Create the slots of `variables`; a second call adds those of new variables."""
        variables = list(variables)
        if self.built and variables == self._trainable:
            return
        if self.built:
            new = [v for v in variables if v not in set(self._trainable)]
            self._trainable.extend(new)
        else:
            self._trainable = new = variables
            self.built = True
        groups = self._groups()
        with outside_overlays():  # the first step may build it while it is traced
            for slots in groups:
                for variable in new:
                    for slot in slots:
                        if self._has_slot(variable, slot):
                            made = self._make_slot(slot, variable)
                            self._slot.setdefault(slot, {})[variable] = made
            self._create_slots(new)

    def _groups(self) -> list[tuple[str, ...]]:
        """Return the names of all slots in groups; see `_slot_groups`."""
        groups = self._slot_groups()
        if self.gradient_accumulation_steps:
            groups = [("gradient_accumulator",), *groups]
        return [("average",), *groups] if self.use_ema else groups

    def _has_slot(self, variable: Variable, slot: str) -> bool:
        if variable.overwrite_with_gradient:
            return slot == "gradient_accumulator"  # keeps the last gradient
        return slot in _OF_BASE or slot in self._slots_of(variable)

    def _slot_groups(self) -> list[tuple[str, ...]]:
        """Return the names of the slots in groups.

        `variables` lists one group after another, and in each group all weights.
        """
        return []

    def _slots_of(self, variable: Variable) -> tuple[str, ...]:
        """Return the names of the slots of one variable."""
        return tuple(slot for slots in self._slot_groups() for slot in slots)

    def _slot_start(self, slot: str, variable: Variable) -> Any:
        """Return the initializer of a slot, or a variable whose value it copies."""
        return "zeros"

    def _make_slot(self, slot: str, variable: Variable) -> Variable:
        if slot in _OF_BASE:
            start: Any = variable if slot == "average" else "zeros"
        else:
            start = self._slot_start(slot, variable)
        return self.add_variable_from_reference(variable, slot, start)

    def add_variable(
        self, shape: Sequence[int] | None, initializer: Identifier | Variable = "zeros",
        dtype: DType | None = None, aggregation: str = "none", layout: Any = None,
        name: str | None = None,
    ) -> Variable:  # fmt: skip
        """Create a state variable of the optimizer; arguments as for `Variable`."""
        with naming.name_scope(self.name):
            return self._track(
                Variable(
                    initializer, shape=shape, dtype=dtype, trainable=False, autocast=False,
                    aggregation=aggregation, layout=layout, name=name,
                )
            )  # fmt: skip

    def add_variable_from_reference(
        self,
        reference_variable: Variable | None = None,
        name: str | None = None,
        initializer: Any = "zeros",
        **older: Any,
    ) -> Variable:
        """Create a state variable with the shape and dtype of another one.

        Args:
            reference_variable: The other variable.
            name: End of its name.
            initializer: Its first value: an initializer, or a variable whose value it copies.
            **older: The arguments of Keras 2: `model_variable`, `variable_name`, `shape` and
                `initial_value`.
        """
        reference = older.pop("model_variable", reference_variable)
        name = older.pop("variable_name", name) or "variable"
        shape, value = older.pop("shape", None), older.pop("initial_value", None)
        if older or not isinstance(reference, Variable):
            raise TypeError(
                f"{type(self).__name__}.add_variable_from_reference: expected a variable as"
                f" `reference_variable`, then `name` and `initializer`, received {reference!r}"
                + (f" and the unknown arguments {errors.listed(sorted(older))}." if older else ".")
            )
        if value is not None:
            initializer, shape = np.asarray(value), None
        elif not isinstance(initializer, Variable):
            shape = reference.shape if shape is None else shape
        name = f"{reference.path.replace('/', '_')}_{name}"
        same = shape is None or tuple(shape) == reference.shape
        layout = reference if same else None
        return self.add_variable(
            shape, initializer, reference.stored_dtype, layout=layout, name=name
        )

    def add_optimizer_variables(
        self,
        trainable_variables: Sequence[Variable],
        name: str | Sequence[str],
        initializer: str | Sequence[str] = "zeros",
    ) -> list[Variable] | tuple[list[Variable], ...]:
        """Create one state variable per trainable one, or several where `name` is a list."""
        names = [name] if isinstance(name, str) else list(name)
        starts = [initializer] * len(names) if isinstance(initializer, str) else list(initializer)
        rows = [
            [self.add_variable_from_reference(v, n, s) for n, s in zip(names, starts, strict=True)]
            for v in trainable_variables
        ]
        columns = [[row[i] for row in rows] for i in range(len(names))]
        return columns[0] if isinstance(name, str) else tuple(columns)

    # --- Keras's names for own optimizers ------------------------------------------------------

    @property
    def _trainable_variables(self) -> list[Variable]:
        """The weights that `build` got."""
        return self._trainable

    @property
    def _trainable_variables_indices(self) -> dict[Any, int]:
        """The number of each weight, by `_var_key`."""
        return {self._var_key(v): i for i, v in enumerate(self._trainable)}

    _index_dict = _trainable_variables_indices  # its name in Keras 2

    def _var_key(self, variable: Variable) -> Any:
        return id(variable)

    def _get_variable_index(self, variable: Variable) -> int:
        """Return the number of a weight in the list that `build` got."""
        index = self._trainable_variables_indices.get(self._var_key(variable))
        if index is None:
            raise ValueError(
                f"{type(self).__name__} was not built with the variable '{variable.path}', only"
                f" with {errors.listed([v.path for v in self._trainable[:4]])}."
            )
        return index

    def _track_variable(self, variable: Variable) -> None:
        self._track(variable)

    def _build_learning_rate(self, learning_rate: Any) -> Any:
        """Make `learning_rate` the learning rate, as own optimizers of Keras 2 do."""
        return self._set_rate(learning_rate)

    def _value(self, slot: str, variable: Variable) -> Any:
        return self._slot[slot][variable].value

    def assign(self, variable: Variable, value: Tensor) -> None:
        """Set a variable."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Tensor) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Tensor) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set `variables` from arrays.

        Raises:
            ValueError: If their number differs.
        """
        if len(weights) != len(self.variables):
            raise ValueError(
                f"{type(self).__name__}: expected {len(self.variables)} arrays, received"
                f" {len(weights)}."
            )
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of `variables` as NumPy arrays."""
        return [v.numpy() for v in self.variables]

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Write `variables` into `store`, under their numbers."""
        for index, variable in enumerate(self.variables):
            store[str(index)] = whole(variable.stored)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read `variables` from `store`; if their number differs, warn and change nothing."""
        if len(store.keys()) != len(self.variables):
            warnings.warn(
                f"The file has {len(store.keys())} variables of the optimizer '{self.name}',"
                f" {len(self.variables)} were expected; its state starts anew.",
                stacklevel=2,
            )
            return
        for index, variable in enumerate(self.variables):
            variable.assign(np.asarray(store[str(index)]))


def _is_among(variable: Variable, variables: Sequence[Variable]) -> bool:
    return any(variable is other for other in variables)


@functools.lru_cache(maxsize=256)
def _settings(cls: type) -> frozenset[str]:
    """Return the attributes that the updates of Hornbeam's classes read as constants."""
    found = {"_no_decay"}
    for c in cls.__mro__:
        if is_library_code(c) and "__init__" in c.__dict__:
            found |= set(inspect.signature(c.__dict__["__init__"]).parameters)
    return frozenset(found - {"self", "args", "kwargs", "name", "learning_rate"})
