"""Schedule-free AdamW."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.core.variable import Variable
from hornbeam.optimizers.adam import check_betas
from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["ScheduleFreeAdamW"]


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages its weights instead of following a schedule (Defazio et al. 2024).

    In training the weights y lie between a fast sequence z and its average x: `y = (1 - beta_1) z + beta_1 x`.
    They stay y after training, as in Keras.

    Args:
        learning_rate: Learning rate.
        beta_1: Where y lies between z and x.
        beta_2: Momentum of the mean square.
        epsilon: Added for stability.
        warmup_steps: Steps over which the learning rate rises from zero.
        **kwargs: Those of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> ScheduleFreeAdamW().warmup_steps
        0
    """

    def __init__(
        self, learning_rate: Any = 0.0025, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        warmup_steps: int = 0, **kwargs: Any,
    ):  # fmt: skip
        check_betas("ScheduleFreeAdamW", beta_1=beta_1, beta_2=beta_2)
        if not beta_1:
            raise ValueError(f"ScheduleFreeAdamW: `beta_1` must be above 0, received {beta_1!r}.")
        if warmup_steps < 0:
            raise ValueError(f"ScheduleFreeAdamW: `warmup_steps` must not be negative, received {warmup_steps!r}.")
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.warmup_steps = beta_1, beta_2, epsilon, warmup_steps

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
