"""Dynamic loss scaling, for training in float16."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp

from hornbeam.checked import Count, Positive, checked, unexpected
from hornbeam.core import registry
from hornbeam.core.variable import Overlay, Variable
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.optimizers.optimizer import Optimizer
from hornbeam.typing import CustomObjects, Tensor

__all__ = ["LossScaleOptimizer"]


class LossScaleOptimizer(Optimizer):
    """Wraps an optimizer and scales the loss up, so that small float16 gradients do not become 0.

    A step whose gradients are not all finite is skipped and the scale is halved. After
    `dynamic_growth_steps` good steps the scale is doubled. Micikevicius et al. 2017, "Mixed
    precision training".

    Args:
        inner_optimizer: The optimizer that does the updates: an object, a name, or a config.
        initial_scale: First scale, above 0.
        dynamic_growth_steps: Number of good steps before the scale grows, at least 1.
        name: Name. Default: the class's name in snake case, numbered.

    Raises:
        TypeError: If an argument is unknown. Clipping, averages and the like are arguments of
            `inner_optimizer`.
        ValueError: If an argument is out of range.

    Example:
        >>> from hornbeam.optimizers import SGD
        >>> float(LossScaleOptimizer(SGD()).scale_loss(1.0))
        32768.0
    """

    @checked
    def __init__(
        self, inner_optimizer: Any, initial_scale: Positive = 2.0**15,
        dynamic_growth_steps: Count = 2000, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        if not kwargs.pop("dynamic", True):  # an argument of Keras 2
            raise TypeError(
                "LossScaleOptimizer: `dynamic` must be True, received False. For a constant scale"
                " pass `loss_scale_factor` to the optimizer itself."
            )
        if kwargs:
            raise unexpected(LossScaleOptimizer, kwargs)
        self.inner_optimizer = registry.family("optimizer").get(inner_optimizer)
        if not isinstance(self.inner_optimizer, Optimizer):
            raise ValueError(
                "LossScaleOptimizer: `inner_optimizer` must be an optimizer's name or object,"
                f" received {inner_optimizer!r}."
            )
        super().__init__(0.0, name=name)
        self._variables = [self._iterations]
        self.initial_scale, self.dynamic_growth_steps = float(initial_scale), dynamic_growth_steps
        self.step_counter = self.add_variable((), "zeros", "int32", name="step_counter")
        self.dynamic_scale = self.add_variable(
            (), lambda s, dtype: jnp.full(s, initial_scale, dtype), "float32", name="dynamic_scale"
        )

    @property
    def variables(self) -> list[Variable]:
        """The variables of this optimizer, then those of `inner_optimizer`."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Variable | jax.Array:
        """The learning rate of `inner_optimizer`."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Tensor) -> None:
        self.inner_optimizer.learning_rate = value

    @property  # type: ignore[misc]  # without the setter of `Optimizer`
    def iterations(self) -> Variable:
        """Number of updates so far; skipped steps do not count."""
        return self.inner_optimizer.iterations

    def _inner(self) -> list[Optimizer]:
        return [self.inner_optimizer]

    def build(self, variables: Iterable[Variable]) -> None:
        """Create the slots of `inner_optimizer`."""
        self._trainable = list(variables)
        self.inner_optimizer.build(self._trainable)
        self.built = True

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Return the loss times the scale; differentiate this one."""
        return self.inner_optimizer.scale_loss(loss * self.dynamic_scale.value)

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None
    ) -> None:
        """Update the variables if all gradients are finite; then adapt the scale."""
        variables = (
            list(trainable_variables) if trainable_variables is not None else self._trainable
        )
        self.build(variables)
        scale = self.dynamic_scale.value
        grads = [
            g if g is None or v.overwrite_with_gradient else g / scale.astype(g.dtype)
            for g, v in zip(grads, variables, strict=True)
        ]
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in grads if g is not None]))
        touched = [*variables, *self.inner_optimizer.variables]
        touched = list(dict.fromkeys(touched))

        def update(values: list[Any]) -> list[Any]:
            with Overlay(touched, values) as overlay:
                self.inner_optimizer.apply(grads, variables)
                return [overlay.value_of(v) for v in touched]

        for v, value in zip(
            touched,
            jax.lax.cond(finite, update, lambda x: x, [v.value for v in touched]),
            strict=True,
        ):
            v.assign(value)
        grow = finite & (self.step_counter.value + 1 >= self.dynamic_growth_steps)
        self.dynamic_scale.assign(jnp.where(finite, jnp.where(grow, scale * 2, scale), scale / 2))
        self.step_counter.assign(jnp.where(finite & ~grow, self.step_counter.value + 1, 0))
        self._iterations.assign_add(1)

    def flush_gradients(self) -> None:
        """Make `inner_optimizer` use the gradients that it accumulated."""
        self.inner_optimizer.flush_gradients()

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Set weights to their averages, if `inner_optimizer` keeps them."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "name": self.name, "inner_optimizer": serialize(self.inner_optimizer),
            "initial_scale": self.initial_scale, "dynamic_growth_steps": self.dynamic_growth_steps,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: CustomObjects = None) -> Self:
        """Make an optimizer from what `get_config` returned."""
        config = dict(config)
        return cls(deserialize(config.pop("inner_optimizer"), custom_objects), **config)
