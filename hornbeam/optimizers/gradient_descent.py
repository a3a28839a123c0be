"""Gradient descent, and rules that divide gradients by what they have been."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import initializers
from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["SGD", "Adadelta", "Adagrad", "Ftrl", "RMSprop"]


class SGD(Optimizer):
    """Gradient descent, with momentum (Nesterov's too).

    Args:
        learning_rate: Learning rate.
        momentum: From 0 to 1.
        nesterov: Whether Nesterov's form is used.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> SGD(0.1, momentum=0.9).momentum
        0.9
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any):
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: `momentum` must be from 0 to 1, received {momentum!r}.")
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
    """Gradients divided by a running root mean square (Tieleman and Hinton 2012).

    Args:
        learning_rate: Learning rate.
        rho: Momentum of the mean square.
        momentum: Momentum of the updates.
        epsilon: Added for stability.
        centered: Whether the variance is used instead of the mean square.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> RMSprop().rho
        0.9
    """

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float | None = 1e-7,
        centered: bool = False, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.rho, self.momentum, self.centered = rho, momentum, centered
        self.epsilon = 1e-7 if epsilon is None else epsilon

    def _slot_groups(self) -> list[tuple[str, ...]]:
        wanted = {"velocity": True, "momentum": self.momentum > 0, "average_gradient": self.centered}
        return [(name,) for name, there in wanted.items() if there]

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        named = dict(zip((name for (name,) in self._slot_groups()), slots, strict=True))
        v = named["velocity"] = self.rho * named["velocity"] + (1 - self.rho) * jnp.square(g)
        if self.centered:
            a = named["average_gradient"] = self.rho * named["average_gradient"] + (1 - self.rho) * g
            v = v - jnp.square(a)
        step = rate * g / jnp.sqrt(v + self.epsilon)
        if self.momentum > 0:
            step = named["momentum"] = self.momentum * named["momentum"] + step
        return (w - step, *named.values())


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares so far (Duchi et al. 2011).

    Args:
        learning_rate: Learning rate.
        initial_accumulator_value: Where the sum starts.
        epsilon: Added for stability.
        **kwargs: Those of `Optimizer`.

    Raises:
        ValueError: If `initial_accumulator_value` is negative.

    Example:
        >>> Adagrad().initial_accumulator_value
        0.1
    """

    def __init__(
        self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float | None = 1e-7,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        if initial_accumulator_value < 0:
            raise ValueError(
                f"Adagrad: `initial_accumulator_value` must not be negative, received {initial_accumulator_value!r}."
            )
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = 1e-7 if epsilon is None else epsilon

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("accumulator",)]

    def _slot_start(self, slot: str, variable: Any) -> Any:
        return initializers.Constant(self.initial_accumulator_value)

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        total = slots[0] + jnp.square(g)
        return w - rate * g / jnp.sqrt(total + self.epsilon), total


class Adadelta(Optimizer):
    """Steps scaled by the ratio of past steps to past gradients (Zeiler 2012).

    Args:
        learning_rate: Learning rate; the paper's is 1.
        rho: Momentum of the mean squares.
        epsilon: Added for stability.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> Adadelta().rho
        0.95
    """

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float | None = 1e-7, **kwargs: Any):
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
    """Follow the regularized leader, for sparse linear models (McMahan et al. 2013).

    Args:
        learning_rate: Learning rate.
        learning_rate_power: Power of the sum of squares, 0 or less; 0 is a constant rate.
        initial_accumulator_value: Where the sum of squares starts.
        l1_regularization_strength, l2_regularization_strength: Penalties.
        l2_shrinkage_regularization_strength: Penalty of the size of weights.
        beta: The paper's beta.
        **kwargs: Those of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Ftrl().learning_rate_power
        -0.5
    """

    def __init__(
        self, learning_rate: Any = 0.001, learning_rate_power: float = -0.5, initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0, l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0, beta: float = 0.0, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        for name, value in (
            ("initial_accumulator_value", initial_accumulator_value),
            ("l1_regularization_strength", l1_regularization_strength),
            ("l2_regularization_strength", l2_regularization_strength),
            ("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength),
        ):
            if value < 0:
                raise ValueError(f"Ftrl: `{name}` must not be negative, received {value!r}.")
            setattr(self, name, value)
        if learning_rate_power > 0:
            raise ValueError(f"Ftrl: `learning_rate_power` must not be positive, received {learning_rate_power!r}.")
        self.learning_rate_power, self.beta = learning_rate_power, beta

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("accumulator", "linear")]

    def _slot_start(self, slot: str, variable: Any) -> Any:
        return initializers.Constant(self.initial_accumulator_value) if slot == "accumulator" else "zeros"

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        squares, linear = slots
        power, l1 = -self.learning_rate_power, self.l1_regularization_strength
        l2 = self.l2_regularization_strength + self.beta / (2 * rate)
        total = squares + jnp.square(g)
        shrunk = g + 2 * self.l2_shrinkage_regularization_strength * w
        linear = linear + shrunk - (total**power - squares**power) / rate * w
        quadratic = total**power / rate + 2 * l2
        return (jnp.clip(linear, -l1, l1) - linear) / quadratic, total, linear
