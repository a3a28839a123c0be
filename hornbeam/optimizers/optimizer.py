"""The base of optimizers: slots, clipping, weight decay, averaging, accumulation.

The rule of an optimizer is a pure function on arrays (`_rule`). This class does all that happens
around it.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Self, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors
from hornbeam.checked import (
    Fraction,
    NonNegative,
    Positive,
    Range,
    check,
    checked,
    show_passed_on,
    unexpected,
)
from hornbeam.core import naming
from hornbeam.core.program import Program
from hornbeam.core.provenance import is_library_code
from hornbeam.core.traces import current_trace
from hornbeam.core.variable import Overlay, Variable, current_overlay, outside_overlays
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.objects.constructor import constructor_config
from hornbeam.older_words import older_words
from hornbeam.ops.rows import RowSum, dense
from hornbeam.optimizers import native
from hornbeam.optimizers.rates import RatesByPath
from hornbeam.optimizers.schedules import InverseTimeDecay, LearningRateSchedule
from hornbeam.optimizers.state import OptimizerState
from hornbeam.typing import CustomObjects, Tensor

__all__ = ["LearningRate", "Optimizer"]

LearningRate: TypeAlias = float | LearningRateSchedule | Callable[[], Any]
"""A learning rate: a number, a schedule, or a function of no arguments."""


def _name_first(init: Callable[..., None]) -> Callable[..., None]:
    """Let the constructor take the name first, as that of Keras 2 does for own optimizers."""

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        if args and isinstance(args[0], str):
            kwargs = {"name": args[0], **kwargs}
            args = args[1:]
            self.__dict__["_initial_decay"] = kwargs.pop("decay", 0.0)
            for older in ("gradient_aggregator", "gradient_transformers"):
                if kwargs.pop(older, None) is not None:
                    raise TypeError(
                        f"{type(self).__name__}: `{older}` is not supported. Change the gradients"
                        " in an own `apply`, and call `super().apply`."
                    )
            names = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
            kwargs.update(zip(names, args, strict=False))
            args = ()
        init(self, *args, **kwargs)

    return wrapper


class Optimizer(RatesByPath, OptimizerState):
    """Base of optimizers.

    Args:
        learning_rate: Number, `LearningRateSchedule`, or function of no arguments.
        weight_decay: Fraction of each weight subtracted per step, scaled by the learning rate.
        clipnorm: Largest Euclidean norm of each gradient; longer ones are scaled down.
        clipvalue: Largest absolute value in a gradient; larger ones are cut off.
        global_clipnorm: Largest Euclidean norm of all gradients together.
        use_ema: Whether to keep a running average of each weight.
        ema_momentum: Momentum of these averages, from 0 to 1. It needs `use_ema`.
        ema_overwrite_frequency: Number of steps after which weights are set to their averages,
            again and again. `None`: only at the end of training. It needs `use_ema`.
        loss_scale_factor: Factor of the loss; gradients are divided by it before the update.
        gradient_accumulation_steps: Number of steps, at least 2, whose mean gradient makes one
            update.
        name: Name. Default: the class's name in snake case, numbered.
        learning_rates: Factors of the learning rate by pattern: a regular expression that is found
            in the path of a variable. Of several that are found, the first counts.

    Raises:
        TypeError: If an argument is unknown.
        ValueError: If an argument is out of range.

    Example:
        >>> class Descent(Optimizer):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         variable.assign_sub(learning_rate * gradient)
        >>> weight = Variable([1.0])
        >>> Descent(learning_rate=0.5).apply([[1.0]], [weight])
        >>> weight.numpy().tolist()
        [0.5]
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__ and is_library_code(cls):
            show_passed_on(cls.__dict__["__init__"], Optimizer.__init__)

    @_name_first
    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001, weight_decay: NonNegative | None = None,
        clipnorm: Positive | None = None, clipvalue: Positive | None = None,
        global_clipnorm: Positive | None = None, use_ema: bool = False,
        ema_momentum: Fraction = 0.99, ema_overwrite_frequency: Annotated[int,
            Range(at_least=0)] | None = None,
        loss_scale_factor: Positive | None = None,
        gradient_accumulation_steps: Annotated[int, Range(at_least=2)] | None = None,
        name: str | None = None, learning_rates: Mapping[str, float] | None = None, **kwargs: Any,
    ):  # fmt: skip
        learning_rate = _with_older_arguments(self, learning_rate, kwargs)
        label = type(self).__name__
        if sum(v is not None for v in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                f"{label}: pass only one of `clipnorm`, `clipvalue`, `global_clipnorm`."
            )
        self.name = name or naming.auto_name(label)
        self.weight_decay, self.clipnorm, self.clipvalue = weight_decay, clipnorm, clipvalue
        self.global_clipnorm, self.use_ema, self.ema_momentum = (
            global_clipnorm,
            use_ema,
            ema_momentum,
        )
        self.ema_overwrite_frequency, self.loss_scale_factor = (
            ema_overwrite_frequency,
            loss_scale_factor,
        )
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.learning_rates = learning_rates
        self.built = False
        self._variables: list[Variable] = []
        self._trainable: list[Variable] = []
        self._slot: dict[str, dict[Variable, Variable]] = {}
        self._no_decay: set[str] = set()
        self._flush: Program | None = None
        with naming.name_scope(self.name):
            self._iterations = self._track(
                Variable(
                    np.int32(0), dtype="int32", trainable=False, autocast=False, name="iteration"
                )
            )
        self._set_rate(learning_rate)

    # --- state ----------------------------------------------------------------------------

    @property
    def iterations(self) -> Variable | jax.Array:
        """Number of updates so far: a variable, or with gradient accumulation an array."""
        if self.gradient_accumulation_steps:
            return self._iterations.value // self.gradient_accumulation_steps
        return self._iterations

    @iterations.setter
    def iterations(self, variable: Variable) -> None:
        if self.built:
            raise RuntimeError(
                f"{type(self).__name__}: `iterations` cannot be replaced once the optimizer has"
                " slots. Call `iterations.assign(number)`."
            )
        self._variables[self._variables.index(self._iterations)] = variable
        self._iterations = variable

    @property
    def learning_rate(self) -> Variable | jax.Array:
        """The learning rate: its variable, or the current value of a schedule or function."""
        if isinstance(self._learning_rate, Variable) and self._factor is None:
            return self._learning_rate
        return self._current_rate()

    @learning_rate.setter
    def learning_rate(self, value: LearningRate | Tensor) -> None:
        if callable(value):
            self._set_rate(value)
            self._flush = None
        elif isinstance(self._learning_rate, Variable):
            self._learning_rate.assign(value)
        else:
            raise TypeError(
                f"{type(self).__name__}: its learning rate follows"
                f" {getattr(self._learning_rate, '__name__', type(self._learning_rate).__name__)}"
                " and cannot be set to a number. Set another schedule, or create the optimizer with"
                " a number to set the rate later."
            )

    lr = learning_rate

    def _get_current_learning_rate(self) -> Any:
        """Return the learning rate of this step; Keras's name, for own optimizers."""
        return self._current_rate()

    def _current_rate(self) -> Any:
        rate = self._learning_rate
        if isinstance(rate, Variable):
            value = rate.value
        elif isinstance(rate, LearningRateSchedule):
            value = rate(self._iterations.value)
        else:
            value = jnp.asarray(rate(), "float32")
        return value if self._factor is None else value * self._factor

    # --- updates ----------------------------------------------------------------------------

    @property
    def takes_row_sums(self) -> bool:
        """Whether `apply` can use a `RowSum` as it is; all else here works on dense gradients."""
        return False

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Return the loss times `loss_scale_factor`; differentiate this one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    @older_words(name="", skip_gradients_aggregation="", experimental_aggregate_gradients="")
    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Variable:
        """Update variables by their gradients.

        Args:
            grads_and_vars: Pairs of a gradient and its variable.
            name, skip_gradients_aggregation, experimental_aggregate_gradients: Without effect;
                arguments of Keras 2.

        Returns:
            The number of updates, a variable.
        """
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None
    ) -> None:
        """Update variables by their gradients.

        Args:
            grads: Gradients, one per variable; `None` leaves a variable as it is, with a warning.
            trainable_variables: Variables. Default: those of `build`.

        Raises:
            ValueError: If the numbers differ, no variable has a gradient, or a variable is not
                known from `build`.
        """
        grads = list(grads)
        variables = (
            list(trainable_variables) if trainable_variables is not None else self._trainable
        )
        if len(grads) != len(variables):
            raise ValueError(
                f"{type(self).__name__}: received {len(grads)} gradients for {len(variables)}"
                " variables; pass one per variable."
            )
        if variables and all(g is None for g in grads):
            raise ValueError(
                f"{type(self).__name__}: no variable has a gradient; the loss does not depend on "
                f"{errors.listed([v.path for v in variables[:4]])}."
            )
        if not self.built or not set(variables) <= set(self._trainable):
            with outside_overlays():  # what an own `build` makes outlives the trace of a step
                self.build(variables)
        unknown = [v.path for v in variables if v not in set(self._trainable)]
        if unknown:
            raise ValueError(
                f"{type(self).__name__} was not built with the variables {errors.listed(unknown)}."
            )
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        if missing:
            warnings.warn(
                f"No gradient for {errors.listed(missing)}; these variables are not updated.",
                stacklevel=3,
            )
        as_given = self.takes_row_sums
        pairs = [
            (g if as_given and isinstance(g, RowSum) else dense(g), v)
            for g, v in zip(grads, variables, strict=True) if g is not None
        ]  # fmt: skip
        if self._runs_compiled(pairs):
            self._apply_compiled(pairs)
        else:
            self._apply_pairs(pairs)

    def _apply_pairs(self, pairs: list[tuple[Any, Variable]]) -> None:
        pairs = [(self._unscaled(g, v), v) for g, v in pairs]
        if not self.gradient_accumulation_steps:
            self._change(pairs)
        else:
            self._accumulate(pairs)
        self._iterations.assign_add(1)

    def _runs_compiled(self, pairs: list[tuple[Any, Variable]]) -> bool:
        """Return whether the update runs in plain code, and only Hornbeam's own code."""
        return (
            current_overlay() is None
            and current_trace() is None
            and is_library_code(type(self))
            and not any(isinstance(g, (RowSum, jax.core.Tracer)) for g, _ in pairs)
            and all(v.constraint is None or is_library_code(v.constraint) for _, v in pairs)
            and (not callable(rate := self._learning_rate) or is_library_code(rate))
        )

    def _apply_compiled(self, pairs: list[tuple[Any, Variable]]) -> None:
        """Update variables in one compiled program, which is kept."""
        variables = tuple(v for _, v in pairs)
        programs = _updates.setdefault(self, {})
        program = programs.get(variables)
        if program is None:
            optimizer = weakref.ref(self)

            def update(gradients: list[Any]) -> None:
                pairs = list(zip(gradients, variables, strict=True))
                optimizer()._apply_pairs(pairs)  # type: ignore[union-attr]

            # Callers often hold the values of variables, so these are not donated.
            program = programs[variables] = Program(update, variables, donate=False)
        program([g for g, _ in pairs])

    def _unscaled(self, gradient: Any, variable: Variable) -> Any:
        if self.loss_scale_factor is None or variable.overwrite_with_gradient:
            return gradient
        return dense(gradient) / self.loss_scale_factor

    def _change(self, pairs: list[tuple[Any, Variable]]) -> None:
        """Update variables; some take their gradient as their new value."""
        for g, v in pairs:
            if v.overwrite_with_gradient:
                v.assign(dense(g))
        self._update([(g, v) for g, v in pairs if not v.overwrite_with_gradient])

    def _accumulate(self, pairs: list[tuple[Any, Variable]]) -> None:
        steps = self.gradient_accumulation_steps
        due = (self._iterations.value + 1) % steps == 0
        sums = [self._sum(g, v) for g, v in pairs]
        own = [v for v in self.variables if v is not self._iterations]
        touched = [v for _, v in pairs] + [
            v for v in own if not v.name.endswith("gradient_accumulator")
        ]
        before = [v.value for v in touched]

        def update(values: list[Any]) -> list[Any]:
            with Overlay(touched, values) as overlay:
                self._change(
                    [(_mean(s, steps, v), v) for s, (_, v) in zip(sums, pairs, strict=True)]
                )
                return [overlay.value_of(v) for v in touched]

        after = jax.lax.cond(due, update, lambda values: values, before)
        for v, value in zip(touched, after, strict=True):
            v.assign(value)
        for s, (_, v) in zip(sums, pairs, strict=True):
            self._slot["gradient_accumulator"][v].assign(jnp.where(due, jnp.zeros_like(s), s))

    def _sum(self, gradient: Any, variable: Variable) -> Any:
        """Return the sum of gradients since the last update, or the last one if it overwrites."""
        if variable.overwrite_with_gradient:
            return dense(gradient).astype(variable.stored_dtype)
        return self._value("gradient_accumulator", variable) + gradient

    def flush_gradients(self) -> None:
        """Apply the mean of the gradients accumulated so far, if there are any.

        `fit` calls this method at the end of an epoch.

        The count of steps moves on to the next whole update.
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
        self._change([(_mean(s.value, done.astype(s.stored_dtype), v), v) for s, v in sums])
        for s, _ in sums:
            s.assign(jnp.zeros_like(s.value))
        self._iterations.assign_add(steps - done)

    def _update(self, pairs: list[tuple[Any, Variable]]) -> None:
        grads = self._clip([g for g, _ in pairs])
        rate = jnp.asarray(self._current_rate(), "float32")
        variables = [v for _, v in pairs]
        if variables:
            largest = max(variables, key=lambda v: math.prod(v.shape))
            rate = native.after(rate, grads, largest.stored_dtype, math.prod(largest.shape))
        for v in variables:
            decay = self._decay_of(v)
            if decay is not None and self._decays(v):
                own = self._rate_for(v, rate)
                v.assign_sub(v.value * (decay * own).astype(v.stored_dtype))
        update_step = _with_rate(self.update_step)
        for g, v in zip(grads, variables, strict=True):
            with self._factor_applied(v):
                g = g if isinstance(g, RowSum) else g.astype(v.stored_dtype)
                update_step(g, v, self._rate_for(v, rate))
        for v in variables:
            if v.constraint is not None:
                v.assign(v.constraint(v.value))
        if self.use_ema:
            self._average(variables)

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Update one variable. Override this for a rule of your own."""
        older_step = self._older_step()
        if older_step is not None:
            older_step(gradient, variable)
            return
        names = self._slots_of(variable)
        rate = jnp.asarray(learning_rate).astype(variable.stored_dtype)
        step = (self._updates_done() + 1).astype(variable.stored_dtype)
        slots = [self._value(name, variable) for name in names]
        value, *slots = self._rule_of(variable)(gradient, variable.value, rate, step, *slots)
        variable.assign(value)
        for name, slot in zip(names, slots, strict=True):
            self._slot[name][variable].assign(slot)

    def _updates_done(self) -> Any:
        """Return the number of updates of weights before this one."""
        return self._iterations.value // (self.gradient_accumulation_steps or 1)

    def _rule_of(self, variable: Variable) -> Callable[..., tuple[Any, ...]]:
        """Return the rule that updates one variable."""
        return self._rule

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        """Return the new weight and slots.

        The arguments are the gradient, the weight, the learning rate, the number of the step (from
        1) and the slots.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `update_step`.")

    def _clip(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm is not None:
            return [
                g * jnp.minimum(1.0, self.clipnorm / jnp.maximum(_norm([g]), 1e-30)) for g in grads
            ]
        if self.global_clipnorm is not None:
            factor = self.global_clipnorm / jnp.maximum(_norm(grads), self.global_clipnorm)
            return [g * factor for g in grads]
        if self.clipvalue is not None:
            return [jnp.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Exclude variables from weight decay.

        `var_list` holds variables, `var_names` holds patterns of their paths.
        """
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
        """Set weights to their averages, with `use_ema`. `fit` calls it at the end of training."""
        if self.use_ema:
            for v in var_list:  # a weight that takes its gradient as value has no average
                if v in self._slot.get("average", {}):
                    v.assign(self._value("average", v))

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Any],
        grads: Sequence[Any],
        trainable_variables: Sequence[Any],
    ) -> tuple[list[Any], list[Any]]:
        """Return new values of weights and state as a pure function; change no variable."""
        if not self.built:
            raise ValueError(f"{type(self).__name__}: `build` it before `stateless_apply`.")
        everything = [*self._trainable, *self.variables]
        with Overlay(everything, [*trainable_variables, *optimizer_variables]) as overlay:
            self.apply(grads)
            values = [overlay.value_of(v) for v in everything]
        return values[: len(self._trainable)], values[len(self._trainable) :]

    # --- configuration and files ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        rate = self._learning_rate
        base: dict[str, Any] = {
            "name": self.name,
            "learning_rate": float(rate.numpy()) if isinstance(rate, Variable) else serialize(rate),
        }
        for key in (
            "weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema", "ema_momentum",
            "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps",
        ):  # fmt: skip
            base[key] = getattr(self, key)
        skip = (*base, "learning_rates", "kwargs")
        if self.learning_rates:
            base["learning_rates"] = self.learning_rates
        return {**base, **constructor_config(self, Optimizer, skip=skip)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: CustomObjects = None) -> Self:
        """Make an optimizer from what `get_config` returned."""
        # TensorFlow 2.11 to 2.15 wrote these two, which say how TensorFlow ran the update.
        config = {
            key: value
            for key, value in config.items()
            if key not in ("is_legacy_optimizer", "jit_compile")
        }
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize(config["learning_rate"], custom_objects)
        return cls(**config)


def _with_older_arguments(
    optimizer: Optimizer, learning_rate: LearningRate, kwargs: dict[str, Any]
) -> LearningRate:
    """Return the learning rate given by arguments of Keras 1 and 2; reject unknown arguments."""
    cls, label = type(optimizer), type(optimizer).__name__
    if "lr" in kwargs:  # the older name of `learning_rate`
        parameter = inspect.signature(cls).parameters.get("learning_rate")
        if parameter is not None and learning_rate is not parameter.default:
            raise TypeError(
                f"{label}: `lr` is the older name of `learning_rate`. Pass only `learning_rate`."
            )
        learning_rate = kwargs.pop("lr")
        check(label, "lr", learning_rate, LearningRate)
    decay = kwargs.pop("decay", 0.0)  # the rate is learning_rate / (1 + decay * iterations)
    check(label, "decay", decay, NonNegative)
    if decay:
        if callable(learning_rate):
            raise TypeError(
                f"{label}: `decay` needs a number as `learning_rate`; a schedule sets the rate"
                " itself."
            )
        learning_rate = InverseTimeDecay(learning_rate, decay_steps=1, decay_rate=decay)
    if not kwargs.pop("jit_compile", True):  # of TensorFlow 2.11 to 2.15
        warnings.warn(
            f"{label}: `jit_compile` has no effect on an optimizer, whose update is part of the"
            " model's step. Pass `run_eagerly=True` to `compile` to run steps uncompiled.",
            stacklevel=7,  # past both constructors and the checks around them
        )
    if kwargs:
        raise unexpected(cls, kwargs)
    return learning_rate


def _mean(total: Any, steps: Any, variable: Variable) -> Any:
    return total if variable.overwrite_with_gradient else total / steps


def _with_rate(update_step: Callable[..., None]) -> Callable[..., None]:
    """Return an own `update_step` with the argument `learning_rate`, which it lacks in Keras 2."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(update_step).parameters.values()
    named = [p for p in parameters if p.kind in positional]
    if len(named) == 2 and len(named) == len(parameters):
        return lambda gradient, variable, learning_rate: update_step(gradient, variable)
    return update_step


def _norm(grads: list[Any]) -> Any:
    return jnp.sqrt(sum(jnp.sum(jnp.square(g.astype("float32"))) for g in grads))


# Compiled updates of each optimizer, by the variables that they update.
_updates: weakref.WeakKeyDictionary[Any, dict[Any, Program]] = weakref.WeakKeyDictionary()
