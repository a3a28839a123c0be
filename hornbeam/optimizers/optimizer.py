"""The base of optimizers: slots, clipping, weight decay, averaging, accumulation.

A rule of update is a pure function on arrays (`_rule`); this class holds what stands around it.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors
from hornbeam.core import naming
from hornbeam.core.program import Program
from hornbeam.core.variable import Overlay, Variable
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.objects.constructor import constructor_config
from hornbeam.ops.rows import RowSum, dense
from hornbeam.optimizers import native
from hornbeam.optimizers.schedules import InverseTimeDecay, LearningRateSchedule

__all__ = ["Optimizer"]

# Slots that any optimizer may have.
_OF_BASE = ("average", "gradient_accumulator")


class Optimizer:
    """Base of optimizers.

    Args:
        learning_rate: Number, `LearningRateSchedule`, or function of nothing.
        weight_decay: Share of each weight taken off a step, times the learning rate.
        clipnorm: Largest norm of each gradient.
        clipvalue: Largest absolute value in gradients.
        global_clipnorm: Largest norm of all gradients together.
        use_ema: Whether averages of the weights are kept.
        ema_momentum: Momentum of these averages.
        ema_overwrite_frequency: Steps after which weights become their averages.
        loss_scale_factor: Factor of the loss, taken off the gradients again.
        gradient_accumulation_steps: Steps whose mean gradient makes one update.
        name: Name.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float | None = None, clipnorm: float | None = None,
        clipvalue: float | None = None, global_clipnorm: float | None = None, use_ema: bool = False,
        ema_momentum: float = 0.99, ema_overwrite_frequency: int | None = None, loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        # Keras 1 and 2: `lr`, and `decay` for lr / (1 + decay * iterations).
        learning_rate = kwargs.pop("lr", learning_rate)
        decay = kwargs.pop("decay", 0.0)
        if decay and not isinstance(learning_rate, LearningRateSchedule):
            learning_rate = InverseTimeDecay(learning_rate, decay_steps=1, decay_rate=decay)
        for old in ("is_legacy_optimizer", "jit_compile", "schedule_decay", "momentum_cache"):
            kwargs.pop(old, None)
        label = type(self).__name__
        if kwargs:
            known = {name for cls in type(self).__mro__[:-1] for name in inspect.signature(cls.__init__).parameters}
            near = [hit for name in kwargs for hit in difflib.get_close_matches(name, known, n=1)]
            hint = f" Did you mean {errors.listed(near)}?" if near else ""
            raise TypeError(f"{label}: unexpected arguments {errors.listed(sorted(kwargs))}.{hint}")
        for key, value in (("clipnorm", clipnorm), ("clipvalue", clipvalue), ("global_clipnorm", global_clipnorm)):
            if value is not None and not value > 0:
                raise ValueError(f"{label}: `{key}` must be positive, received {value!r}.")
        if sum(v is not None for v in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(f"{label}: pass only one of `clipnorm`, `clipvalue`, `global_clipnorm`.")
        if gradient_accumulation_steps is not None and gradient_accumulation_steps < 2:
            raise ValueError(f"{label}: `gradient_accumulation_steps` must be at least 2.")
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(f"{label}: `ema_momentum` must be from 0 to 1, received {ema_momentum!r}.")
        self.name = name or naming.auto_name(label)
        self.weight_decay, self.clipnorm, self.clipvalue = weight_decay, clipnorm, clipvalue
        self.global_clipnorm, self.use_ema, self.ema_momentum = global_clipnorm, use_ema, ema_momentum
        self.ema_overwrite_frequency, self.loss_scale_factor = ema_overwrite_frequency, loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._variables: list[Variable] = []
        self._trainable: list[Variable] = []
        self._slot: dict[str, dict[Variable, Variable]] = {}
        self._no_decay: set[str] = set()
        self._flush: Program | None = None
        with naming.name_scope(self.name):
            self._iterations = self._track(
                Variable(np.int32(0), dtype="int32", trainable=False, autocast=False, name="iteration")
            )
            if callable(learning_rate) and not isinstance(learning_rate, Variable):
                self._learning_rate: Any = learning_rate
            else:
                if isinstance(learning_rate, Variable):
                    learning_rate = float(learning_rate.value)
                if isinstance(learning_rate, (str, bool)) or np.ndim(learning_rate) != 0:
                    raise ValueError(
                        f"{label}: `learning_rate` must be a number, a schedule or a function, received {learning_rate!r}."
                    )
                self._learning_rate = self._track(
                    Variable(
                        float(learning_rate), dtype="float32", trainable=False, autocast=False, name="learning_rate"
                    )
                )

    def _track(self, variable: Variable) -> Variable:
        self._variables.append(variable)
        return variable

    # --- state ----------------------------------------------------------------------------

    @property
    def variables(self) -> list[Variable]:
        """Iteration, learning rate, then slots, variable by variable."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """Number of updates done: a variable; where gradients are accumulated, its value by whole updates."""
        if self.gradient_accumulation_steps:
            return self._iterations.value // self.gradient_accumulation_steps
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate: its variable, or the schedule's current value."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        return self._current_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if not isinstance(self._learning_rate, Variable):
            raise TypeError(
                f"{type(self).__name__}: its learning rate follows {type(self._learning_rate).__name__} and cannot be "
                "set. Create the optimizer with a number to set the rate later."
            )
        if callable(value):
            raise TypeError(f"{type(self).__name__}: create a new optimizer to use a schedule.")
        self._learning_rate.assign(value)

    lr = learning_rate

    def _current_rate(self) -> Any:
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return rate.value
        if isinstance(rate, LearningRateSchedule):
            return rate(self._iterations.value)
        return jnp.asarray(rate(), "float32")

    def build(self, variables: Iterable[Variable]) -> None:
        """Create the slots for `variables`."""
        variables = list(variables)
        if self.built and variables == self._trainable:
            return
        if self.built:
            new = [v for v in variables if v not in set(self._trainable)]
            self._trainable.extend(new)
        else:
            self._trainable = new = variables
            self.built = True
        groups = self._slot_groups()
        if self.gradient_accumulation_steps:
            groups = [("gradient_accumulator",), *groups]
        if self.use_ema:
            groups = [("average",), *groups]
        for slots in groups:
            for variable in new:
                for slot in slots:
                    if slot in _OF_BASE or slot in self._slots_of(variable):
                        self._slot.setdefault(slot, {})[variable] = self._make_slot(slot, variable)

    def _slot_groups(self) -> list[tuple[str, ...]]:
        """Return the names of the slots: those of a group stand together for each variable, group after group."""
        return []

    def _slots_of(self, variable: Variable) -> tuple[str, ...]:
        """Return the names of the slots that `variable` has."""
        return tuple(slot for slots in self._slot_groups() for slot in slots)

    def _slot_start(self, slot: str, variable: Variable) -> Any:
        """Return the initializer of a slot, or a variable to copy."""
        return "zeros"

    def _make_slot(self, slot: str, variable: Variable) -> Variable:
        if slot in _OF_BASE:
            start: Any = variable if slot == "average" else "zeros"
        else:
            start = self._slot_start(slot, variable)
        return self.add_variable_from_reference(variable, slot, start)

    def add_variable(
        self, shape: Any, initializer: Any = "zeros", dtype: Any = None, aggregation: str = "none", layout: Any = None,
        name: str | None = None,
    ) -> Variable:  # fmt: skip
        """Create a state variable of the optimizer."""
        with naming.name_scope(self.name):
            return self._track(
                Variable(initializer, shape=shape, dtype=dtype, trainable=False, autocast=False, name=name)
            )

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Create a state variable of the shape and dtype of another."""
        name = f"{reference_variable.path.replace('/', '_')}_{name or 'variable'}"
        return self.add_variable(
            None if isinstance(initializer, Variable) else reference_variable.shape,
            initializer,
            reference_variable._dtype,
            name=name,
        )

    def add_optimizer_variables(
        self, trainable_variables: Sequence[Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """Create a state variable (or several, by a list of names) for each trainable one."""
        names = [name] if isinstance(name, str) else list(name)
        starts = [initializer] * len(names) if isinstance(initializer, str) else list(initializer)
        rows = [
            [self.add_variable_from_reference(v, n, s) for v in trainable_variables]
            for n, s in zip(names, starts, strict=True)
        ]
        return rows[0] if isinstance(name, str) else tuple(rows)

    def _value(self, slot: str, variable: Variable) -> Any:
        return self._slot[slot][variable].value

    # --- updates ----------------------------------------------------------------------------

    @property
    def takes_row_sums(self) -> bool:
        """Whether `apply` can use a `RowSum` as it is; all else here works on dense gradients."""
        return False

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss to differentiate."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """Update variables by their gradients."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update `trainable_variables` (those of `build` by default) by `grads`.

        Raises:
            ValueError: If lengths differ, or there is no gradient at all.
        """
        grads = list(grads)
        variables = list(trainable_variables) if trainable_variables is not None else self._trainable
        if len(grads) != len(variables):
            raise ValueError(f"{type(self).__name__}: received {len(grads)} gradients for {len(variables)} variables.")
        if variables and all(g is None for g in grads):
            raise ValueError(
                f"{type(self).__name__}: no variable has a gradient; the loss does not depend on "
                f"{errors.listed([v.path for v in variables[:4]])}."
            )
        self.build(variables)
        unknown = [v.path for v in variables if v not in set(self._trainable)]
        if unknown:
            raise ValueError(f"{type(self).__name__} was not built with the variables {errors.listed(unknown)}.")
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        if missing:
            warnings.warn(f"No gradient for {errors.listed(missing)}; left as they are.", stacklevel=3)
        as_given = self.takes_row_sums
        pairs = [
            (g if as_given and isinstance(g, RowSum) else dense(g), v)
            for g, v in zip(grads, variables, strict=True) if g is not None
        ]  # fmt: skip
        for g, v in pairs:
            if v.overwrite_with_gradient:
                v.assign(dense(g))
        pairs = [(g, v) for g, v in pairs if not v.overwrite_with_gradient]
        if self.loss_scale_factor is not None:
            pairs = [(g / self.loss_scale_factor, v) for g, v in pairs]
        if not self.gradient_accumulation_steps:
            self._update(pairs)
        else:
            self._accumulate(pairs)
        self._iterations.assign_add(1)

    def _accumulate(self, pairs: list[tuple[Any, Variable]]) -> None:
        steps = self.gradient_accumulation_steps
        due = (self._iterations.value + 1) % steps == 0
        sums = [self._value("gradient_accumulator", v) + g for g, v in pairs]
        touched = [v for _, v in pairs] + [
            s for v in self.variables if v is not self._iterations and not v.name.endswith("gradient_accumulator")
            for s in [v]
        ]  # fmt: skip
        before = [v.value for v in touched]

        def update(values: list[Any]) -> list[Any]:
            with Overlay(touched, values) as overlay:
                self._update([(s / steps, v) for s, (_, v) in zip(sums, pairs, strict=True)])
                return [overlay.value_of(v) for v in touched]

        after = jax.lax.cond(due, update, lambda values: values, before)
        for v, value in zip(touched, after, strict=True):
            v.assign(value)
        for s, (_, v) in zip(sums, pairs, strict=True):
            self._slot["gradient_accumulator"][v].assign(jnp.where(due, jnp.zeros_like(s), s))

    def flush_gradients(self) -> None:
        """Update by the mean of the gradients accumulated so far, where there are any; `fit` does at an epoch's end.

        The count of steps goes on to the next whole update.
        """
        steps = self.gradient_accumulation_steps
        if not steps or not self.built or int(self._iterations.value) % steps == 0:
            return
        if self._flush is None:
            self._flush = Program(self._flush_now)
        self._flush()

    def _flush_now(self) -> None:
        steps = self.gradient_accumulation_steps
        sums = [(self._slot["gradient_accumulator"][v], v) for v in self._trainable]
        done = self._iterations.value % steps
        self._update([(s.value / done.astype(s._dtype), v) for s, v in sums])
        for s, _ in sums:
            s.assign(jnp.zeros_like(s.value))
        self._iterations.assign_add(steps - done)

    def _update(self, pairs: list[tuple[Any, Variable]]) -> None:
        grads = self._clip([g for g, _ in pairs])
        rate = jnp.asarray(self._current_rate(), "float32")
        variables = [v for _, v in pairs]
        if variables:
            largest = max(variables, key=lambda v: math.prod(v.shape))
            rate = native.after(rate, grads, largest._dtype, math.prod(largest.shape))
        for v in variables:
            decay = self._decay_of(v)
            if decay is not None and self._decays(v):
                v.assign_sub(v.value * (decay * rate).astype(v._dtype))
        for g, v in zip(grads, variables, strict=True):
            self.update_step(g if isinstance(g, RowSum) else g.astype(v._dtype), v, rate)
        for v in variables:
            if v.constraint is not None:
                v.assign(v.constraint(v.value))
        if self.use_ema:
            self._average(variables)

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Update one variable; override it for a rule of your own."""
        names = self._slots_of(variable)
        rate = jnp.asarray(learning_rate).astype(variable._dtype)
        step = (self._updates_done() + 1).astype(variable._dtype)
        slots = [self._value(name, variable) for name in names]
        value, *slots = self._rule_of(variable)(gradient, variable.value, rate, step, *slots)
        variable.assign(value)
        for name, slot in zip(names, slots, strict=True):
            self._slot[name][variable].assign(slot)

    def _updates_done(self) -> Any:
        """Return the number of updates of weights before this one."""
        return self._iterations.value // (self.gradient_accumulation_steps or 1)

    def _rule_of(self, variable: Variable) -> Any:
        """Return the rule for one variable."""
        return self._rule

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        """Return the new weight and slots, from gradient, weight, learning rate, step from 1 and slots."""
        raise NotImplementedError(f"{type(self).__name__} must implement `update_step`.")

    def _clip(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm is not None:
            return [g * jnp.minimum(1.0, self.clipnorm / jnp.maximum(_norm([g]), 1e-30)) for g in grads]
        if self.global_clipnorm is not None:
            factor = self.global_clipnorm / jnp.maximum(_norm(grads), self.global_clipnorm)
            return [g * factor for g in grads]
        if self.clipvalue is not None:
            return [jnp.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Leave variables out of weight decay, by object or by pattern of their path."""
        self._no_decay |= {re.escape(v.path) for v in var_list or ()} | set(var_names or ())

    def _decay_of(self, variable: Variable) -> float | None:
        """Return the weight decay of one variable."""
        return self.weight_decay

    def _decays(self, variable: Variable) -> bool:
        return not any(re.search(pattern, variable.path) for pattern in self._no_decay)

    def _average(self, variables: list[Variable]) -> None:
        done = self._updates_done()
        m = jnp.where(done == 0, 0.0, self.ema_momentum)
        for v in variables:
            average = self._slot["average"][v]
            average.assign(m * average.value + (1 - m) * v.value)
            if self.ema_overwrite_frequency:
                due = (done + 1) % self.ema_overwrite_frequency == 0
                v.assign(jnp.where(due, average.value, v.value))

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Replace weights by their averages at the end of training, where `use_ema`."""
        if self.use_ema:
            for v in var_list:
                if v in self._slot.get("average", {}):
                    v.assign(self._value("average", v))

    def stateless_apply(
        self, optimizer_variables: Sequence[Any], grads: Sequence[Any], trainable_variables: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Return new values of weights and state for given ones, changing nothing."""
        if not self.built:
            raise ValueError(f"{type(self).__name__}: `build` it before `stateless_apply`.")
        everything = [*self._trainable, *self.variables]
        with Overlay(everything, [*trainable_variables, *optimizer_variables]) as overlay:
            self.apply(grads)
            values = [overlay.value_of(v) for v in everything]
        return values[: len(self._trainable)], values[len(self._trainable) :]

    def assign(self, variable: Variable, value: Any) -> None:
        """Set a variable."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)

    # --- configuration and files ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        rate = self._learning_rate
        base: dict[str, Any] = {
            "name": self.name,
            "learning_rate": float(rate.numpy()) if isinstance(rate, Variable) else serialize(rate),
        }
        for key in (
            "weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema", "ema_momentum", "ema_overwrite_frequency",
            "loss_scale_factor", "gradient_accumulation_steps",
        ):  # fmt: skip
            base[key] = getattr(self, key)
        return {**base, **constructor_config(self, Optimizer, skip=(*base, "kwargs"))}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make an optimizer from what `get_config` returned."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize(config["learning_rate"], custom_objects)
        return cls(**config)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set `variables` from arrays.

        Raises:
            ValueError: If their number differs.
        """
        if len(weights) != len(self.variables):
            raise ValueError(f"{type(self).__name__}: expected {len(self.variables)} arrays, received {len(weights)}.")
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of `variables` as NumPy arrays."""
        return [v.numpy() for v in self.variables]

    def save_own_variables(self, store: Any) -> None:
        """Write `variables` into `store`, by number."""
        for index, variable in enumerate(self.variables):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Read `variables` from `store`; numbers that differ leave the state as it is, with a warning."""
        if len(store.keys()) != len(self.variables):
            warnings.warn(
                f"The file has {len(store.keys())} variables of the optimizer '{self.name}', {len(self.variables)} were "
                "expected; its state starts anew.",
                stacklevel=2,
            )
            return
        for index, variable in enumerate(self.variables):
            variable.assign(np.asarray(store[str(index)]))


def _norm(grads: list[Any]) -> Any:
    return jnp.sqrt(sum(jnp.sum(jnp.square(g.astype("float32"))) for g in grads))
