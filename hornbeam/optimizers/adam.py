"""Adam and its family: rules with running means of gradients."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.core import naming
from hornbeam.core.variable import Variable
from hornbeam.optimizers import native
from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["Adam", "AdamW", "Adamax", "Lamb", "Lion", "Nadam"]

# Methods that are given gradients: a subclass that overrides one of them gets arrays.
_SEE_GRADIENTS = ("apply_gradients", "apply", "_accumulate", "_update", "_clip", "update_step", "_rule_of", "_rule")


def check_betas(optimizer: str, **betas: float) -> None:
    """Raise if a momentum is not from 0 up to below 1."""
    for name, value in betas.items():
        if not 0 <= value < 1:
            raise ValueError(f"{optimizer}: `{name}` must be from 0 to 1, received {value!r}.")


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
        check_betas(type(self).__name__, beta_1=beta_1, beta_2=beta_2)
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, 1e-7 if epsilon is None else epsilon
        self.amsgrad = amsgrad

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "velocity"), *([("velocity_hat",)] if self.amsgrad else [])]

    @property
    def takes_row_sums(self) -> bool:
        """Whether nothing but Adam's own rule sees the gradients."""
        options = (self.clipnorm, self.clipvalue, self.global_clipnorm, self.loss_scale_factor)
        own = all(getattr(type(self), name) is getattr(Adam, name) for name in _SEE_GRADIENTS)
        return own and not self.amsgrad and not self.gradient_accumulation_steps and options == (None,) * 4

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        alpha = rate * jnp.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        factors = (1 - self.beta_1, 1 - self.beta_2, self.epsilon)
        if not self.amsgrad:
            return native.adam(g, w, slots[0], slots[1], alpha, factors)
        m, v = native.moments(g, slots[0], slots[1], factors)
        largest = jnp.maximum(slots[2], v)
        return w - alpha * m / (jnp.sqrt(largest) + self.epsilon), m, v, largest


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


class _TwoMoments(Optimizer):
    """What siblings of Adam share: two moments with their factors, and no `amsgrad`."""

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float | None = 1e-7,
        **kwargs: Any,
    ):  # fmt: skip
        check_betas(type(self).__name__, beta_1=beta_1, beta_2=beta_2)
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, 1e-7 if epsilon is None else epsilon


class Adamax(_TwoMoments):
    """Adam with the largest instead of the mean square (Kingma and Ba 2014, section 7).

    Args:
        learning_rate: Learning rate.
        beta_1: Momentum of the mean.
        beta_2: Factor by which the largest gradient is forgotten.
        epsilon: Added for stability.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> Adamax().beta_2
        0.999
    """

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "norm")]

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        m = slots[0] + (g - slots[0]) * (1 - self.beta_1)
        largest = jnp.maximum(self.beta_2 * slots[1], jnp.abs(g))
        return w - rate * m / ((1 - self.beta_1**t) * (largest + self.epsilon)), m, largest


class Nadam(_TwoMoments):
    """Adam with Nesterov's momentum (Dozat 2015).

    Args:
        learning_rate: Learning rate.
        beta_1: Momentum of the mean, reached slowly.
        beta_2: Momentum of the mean square.
        epsilon: Added for stability.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> Nadam().beta_1
        0.9
    """

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "velocity")]

    def build(self, variables: Any) -> None:
        """Create the slots, and the product of all momenta so far."""
        first = not self.built
        super().build(variables)
        if first:
            with naming.name_scope(self.name):
                self._product = self._track(Variable(1.0, dtype="float32", trainable=False, autocast=False))

    def _update(self, pairs: Any) -> None:
        t = (self._updates_done() + 1).astype("float32")
        self._product.assign(self._product.value * self._momentum_at(t))
        super()._update(pairs)

    def _momentum_at(self, t: Any) -> Any:
        return self.beta_1 * (1 - 0.5 * 0.96**t)

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        now, after = self._momentum_at(t), self._momentum_at(t + 1)
        product = self._product.value.astype(w.dtype)
        m = slots[0] + (g - slots[0]) * (1 - self.beta_1)
        v = slots[1] + (jnp.square(g) - slots[1]) * (1 - self.beta_2)
        mean = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
        return w - rate * mean / (jnp.sqrt(v / (1 - self.beta_2**t)) + self.epsilon), m, v


class Lamb(_TwoMoments):
    """Adam whose steps are as long as the weights, for large batches (You et al. 2019).

    Args:
        learning_rate: Learning rate.
        beta_1: Momentum of the mean.
        beta_2: Momentum of the mean square.
        epsilon: Added for stability.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> Lamb().beta_2
        0.999
    """

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "velocity")]

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        m = slots[0] + (g - slots[0]) * (1 - self.beta_1)
        v = slots[1] + (jnp.square(g) - slots[1]) * (1 - self.beta_2)
        step = (m / (1 - self.beta_1**t)) / (jnp.sqrt(v / (1 - self.beta_2**t)) + self.epsilon)
        lengths = [jnp.sqrt(jnp.sum(jnp.square(x))) for x in (w, step)]
        usable = (lengths[0] > 0) & (lengths[1] > 0)
        ratio = jnp.where(usable, lengths[0] / jnp.where(usable, lengths[1], 1.0), 1.0)
        return w - ratio * rate * step, m, v


class Lion(Optimizer):
    """Steps of one size in the direction of the mean gradient's signs (Chen et al. 2023).

    Args:
        learning_rate: Learning rate; 3 to 10 times smaller than Adam's.
        beta_1: Share of the mean in the step.
        beta_2: Momentum of the mean.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> Lion().beta_2
        0.99
    """

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any):
        check_betas("Lion", beta_1=beta_1, beta_2=beta_2)
        if not beta_1:
            raise ValueError(f"Lion: `beta_1` must be above 0, received {beta_1!r}.")
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum",)]

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        step = jnp.sign(slots[0] * self.beta_1 + g * (1 - self.beta_1))
        return w - rate * step, slots[0] * self.beta_2 + g * (1 - self.beta_2)
