"""The rules of update: each a pure function on arrays."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["SGD", "Adam", "AdamW", "RMSprop"]


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

    def _slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

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
        self.rho, self.momentum, self.epsilon, self.centered = (
            rho,
            momentum,
            1e-7 if epsilon is None else epsilon,
            centered,
        )

    def _slot_names(self) -> tuple[str, ...]:
        names = ("velocity",)
        names += ("momentum",) if self.momentum > 0 else ()
        return names + (("average_gradient",) if self.centered else ())

    def _make_slot(self, variables: Any, slot: str, copy: bool = False) -> None:
        super()._make_slot(variables, slot, copy)

    def build(self, variables: Any) -> None:
        """Create the slots: kind by kind, as Keras orders them."""
        variables = list(variables)
        known = set(self._trainable) if self.built else set()
        new = [v for v in variables if v not in known]
        if not new:
            self.built = True
            return
        slots = self._slot_names()
        self._slot_names = lambda: ()  # type: ignore[method-assign]
        try:
            super().build(variables)
        finally:
            del self._slot_names
        for slot in slots:
            self._make_slot(new, slot)

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        named = dict(zip(self._slot_names(), slots, strict=True))
        v = named["velocity"] = self.rho * named["velocity"] + (1 - self.rho) * jnp.square(g)
        if self.centered:
            a = named["average_gradient"] = self.rho * named["average_gradient"] + (1 - self.rho) * g
            v = v - jnp.square(a)
        step = rate * g / jnp.sqrt(v + self.epsilon)
        if self.momentum > 0:
            step = named["momentum"] = self.momentum * named["momentum"] + step
        return (w - step, *named.values())


class Adam(Optimizer):
    """Adaptive moments (Kingma and Ba 2014).

    Args:
        learning_rate: Learning rate.
        beta_1: Momentum of the mean.
        beta_2: Momentum of the mean square.
        epsilon: Added for stability; `None` means 1e-7.
        amsgrad: Whether the largest mean square so far is used (Reddi et al. 2018).
        **kwargs: Those of `Optimizer`; also Keras 1's `lr` and `decay`.

    Example:
        >>> Adam(lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=None, decay=0.0, amsgrad=False).epsilon
        1e-07
    """

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float | None = 1e-7,
        amsgrad: bool = False, **kwargs: Any,
    ):  # fmt: skip
        for key, value in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= value < 1:
                raise ValueError(f"{type(self).__name__}: `{key}` must be from 0 to 1, received {value!r}.")
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, 1e-7 if epsilon is None else epsilon
        self.amsgrad = amsgrad

    def build(self, variables: Any) -> None:
        """Create the slots; those of amsgrad come last, as Keras orders them."""
        super().build(variables)
        if self.amsgrad:
            known = self._slot.get("velocity_hat", {})
            self._make_slot([v for v in self._trainable if v not in known], "velocity_hat")

    _slots = ("momentum", "velocity")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable."""
        if not self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        self._hat = self._slot["velocity_hat"][variable]
        super().update_step(gradient, variable, learning_rate)

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        m = slots[0] + (g - slots[0]) * (1 - self.beta_1)
        v = slots[1] + (jnp.square(g) - slots[1]) * (1 - self.beta_2)
        alpha = rate * jnp.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        largest = v
        if self.amsgrad:
            largest = jnp.maximum(self._hat.value, v)
            self._hat.assign(largest)
        return w - alpha * m / (jnp.sqrt(largest) + self.epsilon), m, v


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017).

    Args:
        learning_rate: Learning rate.
        weight_decay: Share of each weight taken off a step, times the learning rate.
        beta_1, beta_2, epsilon, amsgrad: As for `Adam`.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> AdamW().weight_decay
        0.004
    """

    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float | None = 0.004, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float | None = 1e-7, amsgrad: bool = False, **kwargs: Any,
    ):  # fmt: skip
        if weight_decay is None:
            raise ValueError("AdamW: `weight_decay` must be a number; use Adam without it.")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs)
