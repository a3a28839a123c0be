"""Learning rates as functions of the step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam.objects.constructor import constructor_config
from hornbeam.objects.family import Family

__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule", "OneCycle",
    "PiecewiseConstantDecay", "PolynomialDecay", "deserialize", "serialize",
]  # fmt: skip


class LearningRateSchedule:
    """Base of schedules; subclasses implement `__call__(step)`."""

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(step)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return constructor_config(self, LearningRateSchedule)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a schedule from what `get_config` returned."""
        return cls(**config)


def _positive(schedule: str, **arguments: Any) -> None:
    for name, value in arguments.items():
        if not value > 0:
            raise ValueError(f"{schedule}: `{name}` must be positive, received {value!r}.")


class _Decay(LearningRateSchedule):
    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False,
        name: str | None = None,
    ):  # fmt: skip
        _positive(type(self).__name__, decay_steps=decay_steps)
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


class PolynomialDecay(LearningRateSchedule):
    """From one rate to another, along a power of the steps that are left.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Steps until the end.
        end_learning_rate: Rate at the end and after it.
        power: Power; 1 is a straight line.
        cycle: Whether, past the end, `decay_steps` is multiplied to lie beyond the step.
        name: Name.

    Raises:
        ValueError: If `decay_steps` is not positive.

    Example:
        >>> float(PolynomialDecay(1.0, 10, end_learning_rate=0.0)(5))
        0.5
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, end_learning_rate: float = 0.0001, power: float = 1.0,
        cycle: bool = False, name: str = "PolynomialDecay",
    ):  # fmt: skip
        _positive("PolynomialDecay", decay_steps=decay_steps)
        self.initial_learning_rate, self.decay_steps, self.name = initial_learning_rate, decay_steps, name
        self.end_learning_rate, self.power, self.cycle = end_learning_rate, power, cycle

    def __call__(self, step: Any) -> Any:
        step, whole = jnp.asarray(step, "float32"), jnp.float32(self.decay_steps)
        if self.cycle:
            whole = whole * jnp.maximum(1.0, jnp.ceil(step / whole))
        left = 1 - jnp.minimum(step, whole) / whole
        return (self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate


class PiecewiseConstantDecay(LearningRateSchedule):
    """One rate up to each boundary.

    Args:
        boundaries: Steps, rising; a rate holds up to its boundary and there too.
        values: Rates, one more than boundaries.
        name: Name.

    Raises:
        ValueError: If there is not one rate more than boundaries.

    Example:
        >>> rate = PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.1])
        >>> [round(float(rate(step)), 2) for step in (10, 11, 21)]
        [1.0, 0.5, 0.1]
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"PiecewiseConstantDecay: `values` must have one item more than `boundaries`, received {len(values)} and "
                f"{len(boundaries)}."
            )
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: Any) -> Any:
        values = jnp.asarray(self.values, "float32")
        return values[jnp.searchsorted(jnp.asarray(self.boundaries, "float32"), jnp.asarray(step, "float32"))]


def _cosine(part: Any, alpha: float) -> Any:
    """Return the factor at a part of the way: from 1 down to `alpha`."""
    return (1 - alpha) * 0.5 * (1 + jnp.cos(jnp.pi * part)) + alpha


class CosineDecay(LearningRateSchedule):
    """Down along half a cosine, after a rise in a straight line if wanted (Loshchilov and Hutter 2016).

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Steps from the top to the end.
        alpha: Rate at the end, as a share of the top.
        name: Name.
        warmup_target: Rate at the top; `None` for no rise.
        warmup_steps: Steps of the rise.

    Raises:
        ValueError: If `decay_steps` is not positive.

    Example:
        >>> round(float(CosineDecay(1.0, 10)(5)), 3)
        0.5
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, alpha: float = 0.0, name: str = "CosineDecay",
        warmup_target: float | None = None, warmup_steps: int = 0,
    ):  # fmt: skip
        _positive("CosineDecay", decay_steps=decay_steps)
        self.initial_learning_rate, self.decay_steps, self.alpha, self.name = (
            initial_learning_rate, decay_steps, alpha, name,
        )  # fmt: skip
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def __call__(self, step: Any) -> Any:
        step, start, rise = jnp.asarray(step, "float32"), self.initial_learning_rate, self.warmup_steps
        if self.warmup_target is None:
            return start * _cosine(jnp.clip(step / self.decay_steps, 0, 1), self.alpha)
        down = self.warmup_target * _cosine(jnp.clip((step - rise) / self.decay_steps, 0, 1), self.alpha)
        up = start + (self.warmup_target - start) * step / max(rise, 1)
        return jnp.where(step < rise, up, down)


class CosineDecayRestarts(LearningRateSchedule):
    """Down along half a cosine again and again (Loshchilov and Hutter 2016).

    Args:
        initial_learning_rate: Rate at step 0.
        first_decay_steps: Length of the first period.
        t_mul: Each period's length, as a multiple of the last one's.
        m_mul: Each period's first rate, as a multiple of the last one's.
        alpha: Rate at the end of a period, as a share of `initial_learning_rate`.
        name: Name.

    Raises:
        ValueError: If `first_decay_steps` is not positive.

    Example:
        >>> [round(float(CosineDecayRestarts(1.0, 4)(step)), 3) for step in (0, 2, 4, 8)]
        [1.0, 0.5, 1.0, 0.5]
    """

    def __init__(
        self, initial_learning_rate: float, first_decay_steps: int, t_mul: float = 2.0, m_mul: float = 1.0,
        alpha: float = 0.0, name: str = "SGDRDecay",
    ):  # fmt: skip
        _positive("CosineDecayRestarts", first_decay_steps=first_decay_steps)
        self.initial_learning_rate, self.first_decay_steps, self.name = initial_learning_rate, first_decay_steps, name
        self.t_mul, self.m_mul, self.alpha = t_mul, m_mul, alpha

    def __call__(self, step: Any) -> Any:
        done = jnp.asarray(step, "float32") / self.first_decay_steps
        if self.t_mul == 1.0:
            period, part = jnp.floor(done), done - jnp.floor(done)
        else:
            ratio = self.t_mul
            period = jnp.floor(jnp.log(1 - done * (1 - ratio)) / jnp.log(ratio))
            part = (done - (1 - ratio**period) / (1 - ratio)) / ratio**period
        top = self.m_mul**period
        return self.initial_learning_rate * ((1 - self.alpha) * 0.5 * top * (1 + jnp.cos(jnp.pi * part)) + self.alpha)


class OneCycle(LearningRateSchedule):
    """Up along half a cosine, then down far below the start (Smith and Topin 2017). Not in Keras.

    Args:
        max_learning_rate: Rate at the top.
        total_steps: Steps of the whole cycle.
        rise: Share of the steps that go up.
        start_factor: Rate at step 0, as a share of the top.
        end_factor: Rate at the end and after it, as a share of the top.
        name: Name.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> rate = OneCycle(1.0, total_steps=10)
        >>> [round(float(rate(step)), 3) for step in (0, 3, 10)]
        [0.04, 1.0, 0.0]
    """

    def __init__(
        self, max_learning_rate: float, total_steps: int, rise: float = 0.3, start_factor: float = 0.04,
        end_factor: float = 4e-6, name: str = "OneCycle",
    ):  # fmt: skip
        _positive("OneCycle", max_learning_rate=max_learning_rate, total_steps=total_steps)
        for key, value in (("rise", rise), ("start_factor", start_factor), ("end_factor", end_factor)):
            if not 0 <= value <= 1:
                raise ValueError(f"OneCycle: `{key}` must be from 0 to 1, received {value!r}.")
        self.max_learning_rate, self.total_steps, self.rise, self.name = max_learning_rate, total_steps, rise, name
        self.start_factor, self.end_factor = start_factor, end_factor

    def __call__(self, step: Any) -> Any:
        step = jnp.asarray(step, "float32")
        top = self.rise * self.total_steps
        up = 1 - (1 - self.start_factor) * _cosine(jnp.clip(step / max(top, 1e-9), 0, 1), 0.0)
        down = _cosine(jnp.clip((step - top) / max(self.total_steps - top, 1e-9), 0, 1), self.end_factor)
        return self.max_learning_rate * jnp.where(step < top, up, down)


SCHEDULES = Family(
    "learning-rate schedule", LearningRateSchedule, "keras.optimizers.schedules", globals(), takes_functions=False
)
_, serialize, deserialize = SCHEDULES.functions(
    "learning_rate_schedule",
    """
>>> deserialize(serialize(CosineDecay(0.1, 10))).decay_steps
10
""",
)
