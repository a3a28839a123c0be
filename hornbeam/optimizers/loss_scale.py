"""Dynamic loss scaling, for training in float16."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core import registry
from hornbeam.core.variable import Overlay, Variable
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["LossScaleOptimizer"]


class LossScaleOptimizer(Optimizer):
    """Wraps an optimizer: the loss is scaled up so that small float16 gradients survive.

    A step whose gradients are not finite is skipped and the scale halved; after
    `dynamic_growth_steps` good steps it is doubled (Micikevicius et al. 2017).

    Args:
        inner_optimizer: The optimizer that does the updates.
        initial_scale: First scale.
        dynamic_growth_steps: Good steps before the scale grows.
        name: Name.

    Example:
        >>> from hornbeam.optimizers import SGD
        >>> float(LossScaleOptimizer(SGD()).scale_loss(1.0))
        32768.0
    """

    def __init__(
        self, inner_optimizer: Any, initial_scale: float = 2.0**15, dynamic_growth_steps: int = 2000, name: str | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        if not isinstance(inner_optimizer, Optimizer):
            inner_optimizer = registry.family("optimizer").get(inner_optimizer)
        super().__init__(0.0, name=name)
        self._variables = [self._iterations]
        self.inner_optimizer, self.initial_scale = inner_optimizer, float(initial_scale)
        self.dynamic_growth_steps = dynamic_growth_steps
        self.step_counter = self.add_variable((), "zeros", "int32", name="step_counter")
        self.dynamic_scale = self.add_variable(
            (), lambda s, dtype: jnp.full(s, initial_scale, dtype), "float32", name="dynamic_scale"
        )

    @property
    def variables(self) -> list[Variable]:
        """Own variables, then the inner optimizer's."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """Learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Variable:
        """Number of updates done."""
        return self.inner_optimizer.iterations

    def build(self, variables: Iterable[Variable]) -> None:
        """Create the slots."""
        self._trainable = list(variables)
        self.inner_optimizer.build(self._trainable)
        self.built = True

    def scale_loss(self, loss: Any) -> Any:
        """Return the scaled loss."""
        return self.inner_optimizer.scale_loss(loss * self.dynamic_scale.value)

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Update, or skip where a gradient is not finite."""
        variables = list(trainable_variables) if trainable_variables is not None else self._trainable
        self.build(variables)
        scale = self.dynamic_scale.value
        grads = [None if g is None else g / scale.astype(g.dtype) for g in grads]
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in grads if g is not None]))
        touched = [*variables, *self.inner_optimizer.variables]
        touched = list(dict.fromkeys(touched))

        def update(values: list[Any]) -> list[Any]:
            with Overlay(touched, values) as overlay:
                self.inner_optimizer.apply(grads, variables)
                return [overlay.value_of(v) for v in touched]

        for v, value in zip(
            touched, jax.lax.cond(finite, update, lambda x: x, [v.value for v in touched]), strict=True
        ):
            v.assign(value)
        grow = finite & (self.step_counter.value + 1 >= self.dynamic_growth_steps)
        self.dynamic_scale.assign(jnp.where(finite, jnp.where(grow, scale * 2, scale), scale / 2))
        self.step_counter.assign(jnp.where(finite & ~grow, self.step_counter.value + 1, 0))
        self._iterations.assign_add(1)

    def flush_gradients(self) -> None:
        """Let the inner optimizer use the gradients that it accumulated."""
        self.inner_optimizer.flush_gradients()

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Do what the inner optimizer does at the end."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "name": self.name, "inner_optimizer": serialize(self.inner_optimizer), "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make an optimizer from what `get_config` returned."""
        config = dict(config)
        return cls(deserialize(config.pop("inner_optimizer"), custom_objects), **config)
