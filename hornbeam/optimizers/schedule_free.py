"""Schedule-free AdamW."""

from __future__ import annotations

from typing import Annotated, Any

import jax.numpy as jnp

from hornbeam.checked import Momentum, NonNegative, Range, checked
from hornbeam.core.variable import Variable
from hornbeam.optimizers.optimizer import LearningRate, Optimizer

__all__ = ["ScheduleFreeAdamW"]


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages its weights instead of following a schedule.

    In training the weights are `y = (1 - beta_1) z + beta_1 x`: between a fast sequence `z`, which
    follows Adam's rule, and its average `x`. They stay `y` after training, as in Keras. Defazio et
    al. 2024, "The road less scheduled".

    Args:
        learning_rate: Learning rate.
        beta_1: Weight of the average in `y`, above 0 and at most 1.
        beta_2: Momentum of the mean square, at least 0 and below 1.
        epsilon: Added for stability.
        warmup_steps: Steps over which the learning rate rises from 0, not negative.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> ScheduleFreeAdamW(learning_rate=2.5e-3, warmup_steps=100).warmup_steps
        100
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.0025,
        beta_1: Annotated[float, Range(above=0, at_most=1)] = 0.9,
        beta_2: Momentum = 0.999, epsilon: NonNegative = 1e-8, warmup_steps: NonNegative = 0,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.warmup_steps = (
            beta_1,
            beta_2,
            epsilon,
            warmup_steps,
        )

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "velocity")]

    def _slot_start(self, slot: str, variable: Variable) -> Any:
        return variable if slot == "momentum" else "zeros"

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        z, v = slots
        share = self.beta_1
        if self.warmup_steps:
            rate = rate * jnp.minimum(1.0, t / self.warmup_steps)
        x = (w - (1 - share) * z) / share
        v = self.beta_2 * v + (1 - self.beta_2) * jnp.square(g)
        z = z - rate * g / (jnp.sqrt(v / (1 - self.beta_2**t)) + self.epsilon)
        x = x + (z - x) / t
        return (1 - share) * z + share * x, z, v
