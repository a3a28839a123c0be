"""Methods of optimizers in Keras 2, for its loops and for own optimizers written for it.

An own optimizer of Keras 2 sets numbers by `_set_hyper`, makes slots in `_create_slots`, and
updates one variable in `_resource_apply_dense`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.core.variable import Variable, outside_overlays, value_and_grad
from hornbeam.objects.configuration import serialize
from hornbeam.optimizers.schedules import LearningRateSchedule
from hornbeam.typing import DType, Tensor

__all__ = ["OlderMethods"]


class OlderMethods:
    """The part of `Optimizer` that Keras 2 had and Keras 3 has not."""

    name: str
    learning_rate: Any
    iterations: Any
    apply_gradients: Callable[..., Any]
    add_variable_from_reference: Callable[..., Variable]
    _learning_rate: Any
    _factor: float | None
    _slot: dict[str, dict[Variable, Variable]]
    _build_learning_rate: Callable[[Any], Any]

    # --- loops ------------------------------------------------------------------------------------

    def compute_gradients(
        self, loss: Any, var_list: Any, tape: Any = None, grad_loss: Any = None
    ) -> list[tuple[Any, Variable]]:
        """Return pairs of gradients and variables.

        Args:
            loss: Function without arguments that returns a loss, or a loss computed inside `tape`.
            var_list: Variables, or a function that returns them.
            tape: The `GradientTape`, if `loss` is a value.
            grad_loss: Gradient of the loss. Default: 1.

        Raises:
            ValueError: If `loss` is a value and there is no tape.
        """
        if not callable(loss):
            if tape is None:
                raise ValueError(
                    f"{type(self).__name__}: `loss` must be a function without arguments that"
                    " computes the loss, or a value together with the `tape` that recorded it."
                )
            variables = list(var_list() if callable(var_list) else var_list)
            gradients = tape.gradient(loss, variables)
            return list(zip(gradients, variables, strict=True))

        def total() -> Any:
            value = jnp.asarray(_value(loss()))
            return jnp.sum(value if grad_loss is None else value * _value(grad_loss))

        if callable(var_list):
            loss()  # makes the variables
            var_list = var_list()
        variables = list(var_list)
        return list(zip(value_and_grad(total, variables)[1], variables, strict=True))

    def minimize(
        self, loss: Any, var_list: Any, tape: Any = None, grad_loss: Any = None,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        """Do one update that reduces a loss: `compute_gradients`, then `apply_gradients`.

        Args:
            loss, var_list, tape, grad_loss: As for `compute_gradients`.
            name: Without effect.

        Example:
            >>> import hornbeam as hb
            >>> weight = hb.Variable(3.0)
            >>> _ = hb.optimizers.SGD(0.5).minimize(lambda: weight**2, [weight])
            >>> float(weight.numpy())
            0.0
        """
        return self.apply_gradients(self.compute_gradients(loss, var_list, tape, grad_loss))

    def aggregate_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> list[Any]:
        """Return the pairs as they are: gradients of one process hold all its devices' parts."""
        return list(grads_and_vars)

    # --- own optimizers ---------------------------------------------------------------------------

    def _hyper(self) -> dict[str, Any]:
        """Return the numbers that `_set_hyper` set, by name."""
        return self.__dict__.setdefault("_hyper_values", {})

    def _set_hyper(self, name: str, value: Any) -> None:
        """Set a number that updates read by `_get_hyper`; it may be a schedule or a function."""
        if name == "learning_rate":
            self._build_learning_rate(value)
            return
        known = self._hyper()
        if callable(value) or not isinstance(known.get(name), Variable):
            keep = value is None or callable(value) or isinstance(value, (Variable, str))
            # A variable, so that compiled steps read a new value.
            known[name] = (
                value
                if keep
                else Variable(np.asarray(value), trainable=False, autocast=False, name=name)
            )
        else:
            known[name].assign(value)

    def _get_hyper(self, name: str, dtype: DType | None = None) -> Any:
        """Return a number that `_set_hyper` set."""
        if name == "learning_rate":
            value: Any = self._learning_rate
        elif name in self._hyper():
            value = self._hyper()[name]
        else:
            raise AttributeError(
                f"{type(self).__name__}: `_set_hyper({name!r}, ...)` was not called."
            )
        if isinstance(value, LearningRateSchedule):
            return value
        value = _value(value() if callable(value) else value)
        if name == "learning_rate" and self._factor is not None:
            value = value * self._factor
        return value if dtype is None else jnp.asarray(value, str(dtype))

    def _serialize_hyperparameter(self, name: str) -> Any:
        """Return a number for `get_config`."""
        value = self._learning_rate if name == "learning_rate" else self._hyper()[name]
        if isinstance(value, LearningRateSchedule):
            return serialize(value)
        value = value() if callable(value) else value
        return value.numpy().item() if isinstance(value, Variable) else value

    def _decayed_lr(self, var_dtype: DType = "float32") -> Any:
        """Return the learning rate of this step."""
        rate: Any = _value(self._get_hyper("learning_rate"))
        if isinstance(rate, LearningRateSchedule):
            rate = rate(_value(self.iterations)) * (1.0 if self._factor is None else self._factor)
        decay = self.__dict__.get("_initial_decay", 0.0)
        if decay:
            rate = rate / (1.0 + decay * jnp.asarray(_value(self.iterations), "float32"))
        return jnp.asarray(rate, str(var_dtype))

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        """Make the slots of the variables by `add_slot`; own optimizers override it."""

    def add_slot(
        self, var: Variable, slot_name: str, initializer: Any = "zeros", shape: Any = None
    ) -> Variable:
        """Return the state variable `slot_name` of a weight; it is made if there is none.

        Args:
            var: The weight.
            slot_name: Name of the slot.
            initializer: Its first value.
            shape: Its shape. Default: the weight's.
        """
        slots = self._slot.setdefault(slot_name, {})
        if var not in slots:
            with outside_overlays():
                slots[var] = self.add_variable_from_reference(
                    var, slot_name, initializer, shape=shape
                )
        return slots[var]

    def get_slot(self, var: Variable, slot_name: str) -> Variable:
        """Return a slot that `add_slot` made.

        Raises:
            KeyError: If there is none.
        """
        return self._slot[slot_name][var]

    def get_slot_names(self) -> list[str]:
        """Return the names of all slots."""
        return list(self._slot)

    def _prepare_local(self, var_device: str, var_dtype: Any, apply_state: Any) -> None:
        apply_state[(var_device, var_dtype)]["lr_t"] = self._decayed_lr(var_dtype)

    def _fallback_apply_state(self, var_device: str, var_dtype: Any) -> dict[str, Any]:
        """Return what `_prepare_local` computes once for all variables of a dtype."""
        state: dict[Any, dict[str, Any]] = {(var_device, var_dtype): {}}
        self._prepare_local(var_device, var_dtype, state)
        return state[(var_device, var_dtype)]

    def _resource_apply_dense(self, grad: Tensor, var: Variable, apply_state: Any = None) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must implement `update_step`.")

    def _older_step(self) -> Callable[[Any, Variable], Any] | None:
        """Return the update of one variable that an own optimizer of Keras 2 has, or `None`."""
        if type(self)._resource_apply_dense is OlderMethods._resource_apply_dense:
            return None
        step: Callable[..., Any] = self._resource_apply_dense
        return (
            (lambda grad, var: step(grad, var, apply_state={}))
            if "apply_state" in inspect.signature(step).parameters
            else step
        )


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Variable) else x
