"""Adafactor: Adam's memory, factored into rows and columns."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.core.variable import Variable
from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Keeps mean squares of the gradients of matrices by rows and columns only (Shazeer and Stern 2018).

    Args:
        learning_rate: Learning rate.
        beta_2_decay: Power by which the momentum of the mean squares grows with the steps.
        epsilon_1: Added to squares of gradients.
        epsilon_2: Least scale of a weight.
        clip_threshold: Largest root mean square of a step.
        relative_step: Whether the learning rate falls as one over the root of the steps once that is lower.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> Adafactor().beta_2_decay
        -0.8
    """

    def __init__(
        self, learning_rate: Any = 0.001, beta_2_decay: float = -0.8, epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3, clip_threshold: float = 1.0, relative_step: bool = True, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("row", "column", "velocity")]

    def _make_slot(self, slot: str, variable: Variable) -> Variable:
        if slot not in ("row", "column"):
            return super()._make_slot(slot, variable)
        if len(variable.shape) < 2:  # not factored; Keras's files have a zero in these places
            return self.add_variable((), "zeros", "int32", name=variable.name)
        shape = variable.shape[:-1] if slot == "row" else (*variable.shape[:-2], variable.shape[-1])
        return self.add_variable(shape, "zeros", variable.stored_dtype, name=variable.name)

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        rows, columns, v = slots
        if self.relative_step:
            rate = jnp.minimum(rate, 1 / jnp.sqrt(t))
        keep = 1 - t**self.beta_2_decay
        squares = jnp.square(g) + self.epsilon_1
        if g.ndim > 1:
            rows = keep * rows + (1 - keep) * jnp.mean(squares, axis=-1)
            columns = keep * columns + (1 - keep) * jnp.mean(squares, axis=-2)
            share = rows / jnp.mean(rows, axis=-1, keepdims=True)
            v = share[..., None] * columns[..., None, :]
        else:
            v = keep * v + (1 - keep) * squares
        step = g / jnp.sqrt(v)
        step = step / jnp.maximum(1.0, _root_mean_square(step) / self.clip_threshold)
        return w - rate * jnp.maximum(self.epsilon_2, _root_mean_square(w)) * step, rows, columns, v


def _root_mean_square(x: Any) -> Any:
    return jnp.sqrt(jnp.mean(jnp.square(x)))
