"""Learning rates as functions of the step.

In the formulas `step` is the number of updates so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import jax.numpy as jnp

from hornbeam.checked import Fraction, NonNegative, Positive, checked
from hornbeam.objects.constructor import constructor_config
from hornbeam.objects.family import Family

__all__ = [
    "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay",
    "LearningRateSchedule", "OneCycle", "PiecewiseConstantDecay", "PolynomialDecay", "deserialize",
    "serialize",
]  # fmt: skip


class LearningRateSchedule:
    """Base of schedules. Subclasses implement `__call__(step)`.

    Example:
        >>> class Halving(LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 0.5**step
        >>> Halving()(3)
        0.125
    """

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step."""
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(step)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return constructor_config(self, LearningRateSchedule)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a schedule from what `get_config` returned."""
        return cls(**config)


class _Decay(LearningRateSchedule):
    """The constructor that `ExponentialDecay` and `InverseTimeDecay` share."""

    @checked
    def __init__(
        self, initial_learning_rate: float, decay_steps: Positive, decay_rate: NonNegative,
        staircase: bool = False, name: str | None = None,
    ):  # fmt: skip
        self.initial_learning_rate, self.decay_steps, self.decay_rate = (
            initial_learning_rate,
            decay_steps,
            decay_rate,
        )
        self.staircase = staircase
        self.name = name or type(self).__name__

    def _progress(self, step: Any) -> Any:
        p = jnp.asarray(step, "float32") / self.decay_steps
        return jnp.floor(p) if self.staircase else p


class ExponentialDecay(_Decay):
    """`initial_learning_rate * decay_rate ^ (step / decay_steps)`.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Number of steps per factor, above 0.
        decay_rate: Factor, not negative.
        staircase: Whether to round the exponent down, so that the rate falls in stairs.
        name: Name.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(ExponentialDecay(1.0, decay_steps=10, decay_rate=0.5)(10))
        0.5
    """

    def __call__(self, step: Any) -> Any:
        return self.initial_learning_rate * self.decay_rate ** self._progress(step)


class InverseTimeDecay(_Decay):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Number of steps in which the denominator grows by `decay_rate`, above 0.
        decay_rate: Growth of the denominator, not negative.
        staircase: Whether to round `step / decay_steps` down, so that the rate falls in stairs.
        name: Name.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(InverseTimeDecay(1.0, decay_steps=1, decay_rate=0.5)(2))
        0.5
    """

    def __call__(self, step: Any) -> Any:
        return self.initial_learning_rate / (1 + self.decay_rate * self._progress(step))


class PolynomialDecay(LearningRateSchedule):
    """From one rate to another: `(initial - end) (1 - step / decay_steps)^power + end`.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Number of steps until the end, above 0.
        end_learning_rate: Rate at the end and after it.
        power: Exponent, not negative; 1 is a straight line.
        cycle: Whether to start again after the end, each time over the next multiple of
            `decay_steps`.
        name: Name.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> float(PolynomialDecay(1.0, decay_steps=10, end_learning_rate=0.0)(5))
        0.5
    """

    @checked
    def __init__(
        self, initial_learning_rate: float, decay_steps: Positive,
        end_learning_rate: float = 0.0001, power: NonNegative = 1.0, cycle: bool = False,
        name: str | None = "PolynomialDecay",
    ):  # fmt: skip
        self.initial_learning_rate, self.decay_steps, self.name = (
            initial_learning_rate,
            decay_steps,
            name,
        )
        self.end_learning_rate, self.power, self.cycle = end_learning_rate, power, cycle

    def __call__(self, step: Any) -> Any:
        step, whole = jnp.asarray(step, "float32"), jnp.float32(self.decay_steps)
        if self.cycle:
            whole = whole * jnp.maximum(1.0, jnp.ceil(step / whole))
        left = 1 - jnp.minimum(step, whole) / whole
        return (
            self.initial_learning_rate - self.end_learning_rate
        ) * left**self.power + self.end_learning_rate


class PiecewiseConstantDecay(LearningRateSchedule):
    """A constant rate up to each boundary, then the next one.

    Args:
        boundaries: Steps in rising order. A rate holds up to its boundary and at it.
        values: Rates, one more than boundaries.
        name: Name.

    Raises:
        ValueError: If the boundaries do not rise, or the numbers of rates and boundaries do not
            fit.

    Example:
        >>> rate = PiecewiseConstantDecay(boundaries=[10, 20], values=[1.0, 0.5, 0.1])
        >>> [round(float(rate(step)), 2) for step in (10, 11, 21)]
        [1.0, 0.5, 0.1]
    """

    @checked
    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float],
        name: str | None = "PiecewiseConstant"
    ):  # fmt: skip
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay: `values` must have one item more than `boundaries`,"
                f" received {len(values)} and {len(boundaries)}."
            )
        if any(first > second for first, second in zip(boundaries, boundaries[1:], strict=False)):
            raise ValueError(
                f"PiecewiseConstantDecay: `boundaries` must rise, received {boundaries!r}. Sort"
                " them."
            )
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: Any) -> Any:
        values = jnp.asarray(self.values, "float32")
        return values[
            jnp.searchsorted(jnp.asarray(self.boundaries, "float32"), jnp.asarray(step, "float32"))
        ]


def _cosine(part: Any, alpha: float) -> Any:
    """Return a factor that falls from 1 to `alpha` along half a cosine for `part` from 0 to 1."""
    return (1 - alpha) * 0.5 * (1 + jnp.cos(jnp.pi * part)) + alpha


class CosineDecay(LearningRateSchedule):
    """Falls along half a cosine, after a linear rise if wanted.

    With `p = step / decay_steps` from 0 to 1 the rate is `top ((1 - alpha) (1 + cos(pi p)) / 2 +
    alpha)`. Loshchilov and Hutter 2016, "SGDR: stochastic gradient descent with warm restarts".

    Args:
        initial_learning_rate: Rate at step 0. It is the top, unless there is a rise.
        decay_steps: Number of steps from the top to the end, above 0.
        alpha: Rate at the end over the rate at the top.
        name: Name.
        warmup_target: Rate at the top, after the rise. `None` for no rise.
        warmup_steps: Number of steps of the rise, not negative.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(float(CosineDecay(1.0, decay_steps=10)(5)), 3)
        0.5
    """

    @checked
    def __init__(
        self, initial_learning_rate: float, decay_steps: Positive, alpha: float = 0.0,
        name: str | None = "CosineDecay", warmup_target: float | None = None,
        warmup_steps: NonNegative = 0,
    ):  # fmt: skip
        self.initial_learning_rate, self.decay_steps, self.alpha, self.name = (
            initial_learning_rate, decay_steps, alpha, name,
        )  # fmt: skip
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def __call__(self, step: Any) -> Any:
        step, start, rise = (
            jnp.asarray(step, "float32"),
            self.initial_learning_rate,
            self.warmup_steps,
        )
        if self.warmup_target is None:
            return start * _cosine(jnp.clip(step / self.decay_steps, 0, 1), self.alpha)
        down = self.warmup_target * _cosine(
            jnp.clip((step - rise) / self.decay_steps, 0, 1), self.alpha
        )
        up = start + (self.warmup_target - start) * step / max(rise, 1)
        return jnp.where(step < rise, up, down)


class CosineDecayRestarts(LearningRateSchedule):
    """Falls along half a cosine, again and again, each period with a length and a top of its own.

    Loshchilov and Hutter 2016, "SGDR: stochastic gradient descent with warm restarts".

    Args:
        initial_learning_rate: Rate at step 0.
        first_decay_steps: Number of steps of the first period, above 0.
        t_mul: Length of a period over the length of the one before it, above 0.
        m_mul: First rate of a period over the first rate of the one before it.
        alpha: Rate at the end of a period over `initial_learning_rate`.
        name: Name.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> schedule = CosineDecayRestarts(1.0, first_decay_steps=4)
        >>> [round(float(schedule(step)), 3) for step in (0, 2, 4, 8)]
        [1.0, 0.5, 1.0, 0.5]
    """

    @checked
    def __init__(
        self, initial_learning_rate: float, first_decay_steps: Positive, t_mul: Positive = 2.0,
        m_mul: float = 1.0, alpha: float = 0.0, name: str | None = "SGDRDecay",
    ):  # fmt: skip
        self.initial_learning_rate, self.first_decay_steps, self.name = (
            initial_learning_rate,
            first_decay_steps,
            name,
        )
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
        return self.initial_learning_rate * (
            (1 - self.alpha) * 0.5 * top * (1 + jnp.cos(jnp.pi * part)) + self.alpha
        )


class OneCycle(LearningRateSchedule):
    """Rises along half a cosine, then falls far below the first rate. Not in Keras.

    Smith and Topin 2017, "Super-convergence: very fast training of neural networks using large
    learning rates".

    Args:
        max_learning_rate: Rate at the top, above 0.
        total_steps: Number of steps of the whole cycle, above 0.
        rise: Share of the steps in which the rate rises, from 0 to 1.
        start_factor: Rate at step 0 over the rate at the top, from 0 to 1.
        end_factor: Rate at the end and after it over the rate at the top, from 0 to 1.
        name: Name.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> rate = OneCycle(1.0, total_steps=10)
        >>> [round(float(rate(step)), 3) for step in (0, 3, 10)]
        [0.04, 1.0, 0.0]
    """

    @checked
    def __init__(
        self, max_learning_rate: Positive, total_steps: Positive, rise: Fraction = 0.3,
        start_factor: Fraction = 0.04, end_factor: Fraction = 4e-6, name: str | None = "OneCycle",
    ):  # fmt: skip
        self.max_learning_rate, self.total_steps, self.rise, self.name = (
            max_learning_rate,
            total_steps,
            rise,
            name,
        )
        self.start_factor, self.end_factor = start_factor, end_factor

    def __call__(self, step: Any) -> Any:
        step = jnp.asarray(step, "float32")
        top = self.rise * self.total_steps
        up = 1 - (1 - self.start_factor) * _cosine(jnp.clip(step / max(top, 1e-9), 0, 1), 0.0)
        down = _cosine(
            jnp.clip((step - top) / max(self.total_steps - top, 1e-9), 0, 1), self.end_factor
        )
        return self.max_learning_rate * jnp.where(step < top, up, down)


SCHEDULES = Family(
    "learning-rate schedule",
    LearningRateSchedule,
    "keras.optimizers.schedules",
    globals(),
    takes_functions=False,
)
_, serialize, deserialize = SCHEDULES.functions(
    "learning_rate_schedule",
    """
>>> deserialize(serialize(CosineDecay(0.1, 10))).decay_steps
10
""",
)
