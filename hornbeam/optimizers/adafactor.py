"""Adafactor: Adam's memory, factored into rows and columns."""

from __future__ import annotations

from typing import Annotated, Any

import jax.numpy as jnp

from hornbeam.checked import NonNegative, Positive, Range, checked
from hornbeam.core.variable import Variable
from hornbeam.optimizers.optimizer import LearningRate, Optimizer

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Divides gradients by their root mean square, kept only for rows and columns of matrices.

    At step `t` the mean squares of the rows and columns keep the share `1 - t^beta_2_decay`. The
    step is `s = g / sqrt(v)`, where `v` is the outer product of both means over the mean of the
    rows; then `w = w - r max(epsilon_2, rms(w)) s / max(1, rms(s) / clip_threshold)`. Shazeer and
    Stern 2018, "Adafactor: adaptive learning rates with sublinear memory cost".

    Args:
        learning_rate: Learning rate.
        beta_2_decay: Exponent of the steps in the share that is kept, at most 0.
        epsilon_1: Added to squared gradients.
        epsilon_2: Smallest root mean square of a weight array in the rule.
        clip_threshold: Largest root mean square of a step, above 0.
        relative_step: Kept in configurations. The rate is at most `1 / sqrt(t)` in any case, as in
            Keras and in the paper.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Adafactor(learning_rate=1e-2).beta_2_decay
        -0.8
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001,
        beta_2_decay: Annotated[float, Range(at_most=0)] = -0.8,
        epsilon_1: NonNegative = 1e-30, epsilon_2: NonNegative = 1e-3,
        clip_threshold: Positive = 1.0, relative_step: bool = True, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_2_decay, self.epsilon_1, self.epsilon_2 = beta_2_decay, epsilon_1, epsilon_2
        self.clip_threshold, self.relative_step = clip_threshold, relative_step

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("row", "column", "velocity")]

    def _make_slot(self, slot: str, variable: Variable) -> Variable:
        if slot not in ("row", "column"):
            return super()._make_slot(slot, variable)
        if len(variable.shape) < 2:  # not factored: Keras's files have a zero here
            return self.add_variable((), "zeros", "int32", name=variable.name)
        shape = variable.shape[:-1] if slot == "row" else (*variable.shape[:-2], variable.shape[-1])
        return self.add_variable(shape, "zeros", variable.stored_dtype, name=variable.name)

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        rows, columns, v = slots
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
