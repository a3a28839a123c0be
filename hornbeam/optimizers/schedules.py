"""Learning rates as functions of the step."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

__all__ = ["ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule"]


class LearningRateSchedule:
    """Base of schedules; subclasses implement `__call__(step)`."""

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(step)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        from hornbeam.saving.config import constructor_config

        return constructor_config(self, LearningRateSchedule)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a schedule from what `get_config` returned."""
        return cls(**config)


class _Decay(LearningRateSchedule):
    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False,
        name: str | None = None,
    ):  # fmt: skip
        if decay_steps <= 0:
            raise ValueError(f"{type(self).__name__}: `decay_steps` must be positive, received {decay_steps!r}.")
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase = staircase
        self.name = name or type(self).__name__

    def _progress(self, step: Any) -> Any:
        p = jnp.asarray(step, "float32") / self.decay_steps
        return jnp.floor(p) if self.staircase else p


class ExponentialDecay(_Decay):
    """`initial * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Steps for one factor.
        decay_rate: Factor.
        staircase: Whether the exponent is rounded down.
        name: Name.

    Example:
        >>> float(ExponentialDecay(1.0, 10, 0.5)(10))
        0.5
    """

    def __call__(self, step: Any) -> Any:
        return self.initial_learning_rate * self.decay_rate ** self._progress(step)


class InverseTimeDecay(_Decay):
    """`initial / (1 + decay_rate * step / decay_steps)`; arguments as for `ExponentialDecay`.

    Example:
        >>> float(InverseTimeDecay(1.0, 1, 0.5)(2))
        0.5
    """

    def __call__(self, step: Any) -> Any:
        return self.initial_learning_rate / (1 + self.decay_rate * self._progress(step))
