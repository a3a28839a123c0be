"""Gradient descent, and rules that divide gradients by a measure of past gradients.

In the formulas `g` is the gradient, `w` the weight and `r` the learning rate.
"""

from __future__ import annotations

from typing import Annotated, Any

import jax.numpy as jnp

from hornbeam import initializers
from hornbeam.checked import Fraction, NonNegative, Range, checked
from hornbeam.core.variable import Variable
from hornbeam.optimizers.optimizer import LearningRate, Optimizer

__all__ = ["SGD", "Adadelta", "Adagrad", "Ftrl", "RMSprop"]


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    The rule is `w = w - r g`; with momentum `m = momentum m - r g` and `w = w + m`, or
    `w = w + momentum m - r g` with Nesterov's form.

    Args:
        learning_rate: Learning rate: a number, a schedule, or a function of no arguments.
        momentum: Share of the last step that is added to the next, from 0 to 1.
        nesterov: Whether to use Nesterov's form of momentum.
        **kwargs: Arguments of `Optimizer`, such as `weight_decay` and `clipnorm`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> SGD(learning_rate=0.1, momentum=0.9).momentum
        0.9
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.01, momentum: Fraction = 0.0, nesterov: bool = False,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.momentum, self.nesterov = momentum, nesterov

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum",)] if self.momentum else []

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        if not slots:
            return (w - rate * g,)
        m = slots[0] * self.momentum - rate * g
        return (w + m * self.momentum - rate * g if self.nesterov else w + m), m


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square.

    The rule is `v = rho v + (1 - rho) g²` and `w = w - r g / sqrt(v + epsilon)`. Tieleman and
    Hinton 2012, "Lecture 6.5: RMSProp", Coursera.

    Args:
        learning_rate: Learning rate.
        rho: Momentum of the mean square, from 0 to 1.
        momentum: Share of the last step that is added to the next, from 0 to 1.
        epsilon: Added for stability. `None` is 1e-7.
        centered: Whether to divide by the root of the variance, not of the mean square.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> RMSprop(learning_rate=1e-3).rho
        0.9
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001, rho: Fraction = 0.9, momentum: Fraction = 0.0,
        epsilon: NonNegative | None = 1e-7, centered: bool = False, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.rho, self.momentum, self.centered = rho, momentum, centered
        self.epsilon = 1e-7 if epsilon is None else epsilon

    def _slot_groups(self) -> list[tuple[str, ...]]:
        wanted = {
            "velocity": True,
            "momentum": self.momentum > 0,
            "average_gradient": self.centered,
        }
        return [(name,) for name, there in wanted.items() if there]

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        named = dict(zip((name for (name,) in self._slot_groups()), slots, strict=True))
        v = named["velocity"] = self.rho * named["velocity"] + (1 - self.rho) * jnp.square(g)
        if self.centered:
            a = named["average_gradient"] = (
                self.rho * named["average_gradient"] + (1 - self.rho) * g
            )
            v = v - jnp.square(a)
        step = rate * g / jnp.sqrt(v + self.epsilon)
        if self.momentum > 0:
            step = named["momentum"] = self.momentum * named["momentum"] + step
        return (w - step, *named.values())


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares so far.

    The rule is `a = a + g²` and `w = w - r g / sqrt(a + epsilon)`. Duchi et al. 2011, "Adaptive
    subgradient methods for online learning and stochastic optimization".

    Args:
        learning_rate: Learning rate.
        initial_accumulator_value: First value of the sum, not negative.
        epsilon: Added for stability. `None` is 1e-7.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Adagrad(learning_rate=0.01).initial_accumulator_value
        0.1
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001, initial_accumulator_value: NonNegative = 0.1,
        epsilon: NonNegative | None = 1e-7, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = 1e-7 if epsilon is None else epsilon

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("accumulator",)]

    def _slot_start(self, slot: str, variable: Variable) -> Any:
        return initializers.Constant(self.initial_accumulator_value)

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        total = slots[0] + jnp.square(g)
        return w - rate * g / jnp.sqrt(total + self.epsilon), total


class Adadelta(Optimizer):
    """Gradients scaled by the ratio of past steps to past gradients.

    The rule is `a = rho a + (1 - rho) g²`, `s = g sqrt(d + epsilon) / sqrt(a + epsilon)`,
    `w = w - r s` and `d = rho d + (1 - rho) s²`. Zeiler 2012, "Adadelta: an adaptive learning rate
    method".

    Args:
        learning_rate: Learning rate. The paper's is 1.
        rho: Momentum of both mean squares, from 0 to 1.
        epsilon: Added for stability. `None` is 1e-7.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Adadelta(learning_rate=1.0).rho
        0.95
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001, rho: Fraction = 0.95,
        epsilon: NonNegative | None = 1e-7, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.rho, self.epsilon = rho, 1e-7 if epsilon is None else epsilon

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("accumulated_grad", "accumulated_delta_var")]

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        rho, epsilon = self.rho, self.epsilon
        squares = rho * slots[0] + (1 - rho) * jnp.square(g)
        step = -jnp.sqrt(slots[1] + epsilon) / jnp.sqrt(squares + epsilon) * g
        return w + rate * step, squares, rho * slots[1] + (1 - rho) * jnp.square(step)


class Ftrl(Optimizer):
    """Follow the regularized leader, for sparse linear models.

    McMahan et al. 2013, "Ad click prediction: a view from the trenches", algorithm 1.

    Args:
        learning_rate: Learning rate.
        learning_rate_power: Exponent of the sum of squares, at most 0; 0 is a constant rate.
        initial_accumulator_value: First value of the sum of squares, not negative.
        l1_regularization_strength: Factor of the absolute values of weights, not negative.
        l2_regularization_strength: Factor of the squares of weights, not negative.
        l2_shrinkage_regularization_strength: Factor of the squares of weights in the gradient, not
            negative.
        beta: The paper's beta, not negative.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Ftrl(learning_rate=0.05).learning_rate_power
        -0.5
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001,
        learning_rate_power: Annotated[float, Range(at_most=0)] = -0.5,
        initial_accumulator_value: NonNegative = 0.1, l1_regularization_strength: NonNegative = 0.0,
        l2_regularization_strength: NonNegative = 0.0,
        l2_shrinkage_regularization_strength: NonNegative = 0.0, beta: NonNegative = 0.0,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.learning_rate_power, self.initial_accumulator_value = (
            learning_rate_power,
            initial_accumulator_value,
        )
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("accumulator", "linear")]

    def _slot_start(self, slot: str, variable: Variable) -> Any:
        return (
            initializers.Constant(self.initial_accumulator_value)
            if slot == "accumulator"
            else "zeros"
        )

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        squares, linear = slots
        power, l1 = -self.learning_rate_power, self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2 * rate)
        total = squares + jnp.square(g)
        shrunk = g + 2 * self.l2_shrinkage_regularization_strength * w
        linear = linear + shrunk - (total**power - squares**power) / rate * w
        quadratic = total**power / rate + 2 * l2
        return (jnp.clip(linear, -l1, l1) - linear) / quadratic, total, linear
