"""Adam and its family: rules with running means of gradients.

In the formulas `g` is the gradient, `w` the weight, `r` the learning rate and `t` the number of the
step, from 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import jax.numpy as jnp

from hornbeam.checked import Fraction, Momentum, NonNegative, Range, check, checked
from hornbeam.core import naming
from hornbeam.core.variable import Variable
from hornbeam.optimizers import native
from hornbeam.optimizers.optimizer import LearningRate, Optimizer

__all__ = ["Adam", "AdamW", "Adamax", "Lamb", "Lion", "Nadam"]

# Methods that are given gradients: a subclass that overrides one of them gets arrays.
_SEE_GRADIENTS = (
    "apply_gradients",
    "apply",
    "_accumulate",
    "_update",
    "_clip",
    "update_step",
    "_rule_of",
    "_rule",
)


class Adam(Optimizer):
    """Steps along the mean gradient, divided by the root of the mean squared gradient.

    The rule is `m = beta_1 m + (1 - beta_1) g`, `v = beta_2 v + (1 - beta_2) g²` and
    `w = w - r sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)`. Kingma and Ba 2014,
    "Adam: a method for stochastic optimization".

    Args:
        learning_rate: Learning rate: a number, a schedule, or a function of no arguments.
        beta_1: Momentum of the mean, at least 0 and below 1.
        beta_2: Momentum of the mean square, at least 0 and below 1.
        epsilon: Added to the root for stability. `None` is 1e-7.
        amsgrad: Whether to divide by the largest mean square so far (Reddi et al. 2018).
        **kwargs: Arguments of `Optimizer`, such as `weight_decay` and `clipnorm`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Adam(learning_rate=1e-3).beta_1
        0.9
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1: Momentum = 0.9, beta_2: Momentum = 0.999,
        epsilon: NonNegative | None = 1e-7, amsgrad: bool = False, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = (
            beta_1,
            beta_2,
            1e-7 if epsilon is None else epsilon,
        )
        self.amsgrad = amsgrad

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "velocity"), *([("velocity_hat",)] if self.amsgrad else [])]

    @property
    def takes_row_sums(self) -> bool:
        """Whether nothing but Adam's own rule sees the gradients."""
        options = (self.clipnorm, self.clipvalue, self.global_clipnorm, self.loss_scale_factor)
        own = all(getattr(type(self), name) is getattr(Adam, name) for name in _SEE_GRADIENTS)
        return (
            own
            and not self.amsgrad
            and not self.gradient_accumulation_steps
            and options == (None,) * 4
        )

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        alpha = rate * jnp.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        factors = (1 - self.beta_1, 1 - self.beta_2, self.epsilon)
        if not self.amsgrad:
            return native.adam(g, w, slots[0], slots[1], alpha, factors)
        m, v = native.moments(g, slots[0], slots[1], factors)
        largest = jnp.maximum(slots[2], v)
        return w - alpha * m / (jnp.sqrt(largest) + self.epsilon), m, v, largest


class AdamW(Adam):
    """Adam with decoupled weight decay: before its step, `w = w - r weight_decay w`.

    Loshchilov and Hutter 2017, "Decoupled weight decay regularization".

    Args:
        learning_rate: Learning rate.
        weight_decay: Fraction of each weight subtracted per step, scaled by the learning rate.
        beta_1, beta_2, epsilon, amsgrad: As for `Adam`.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> AdamW(learning_rate=1e-3).weight_decay
        0.004
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001, weight_decay: NonNegative | None = 0.004,
        beta_1: Momentum = 0.9, beta_2: Momentum = 0.999, epsilon: NonNegative | None = 1e-7,
        amsgrad: bool = False, **kwargs: Any,
    ):  # fmt: skip
        if weight_decay is None:
            raise ValueError(
                "AdamW: `weight_decay` must be a number, received None. Use Adam for no weight"
                " decay."
            )
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs
        )


class _TwoMoments(Optimizer):
    """The constructor that siblings of Adam without `amsgrad` share."""

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1: Momentum = 0.9, beta_2: Momentum = 0.999,
        epsilon: NonNegative | None = 1e-7, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = (
            beta_1,
            beta_2,
            1e-7 if epsilon is None else epsilon,
        )


class Adamax(_TwoMoments):
    """Adam divided by the largest recent gradient, not by the root of the mean square.

    The rule is `m = beta_1 m + (1 - beta_1) g`, `u = max(beta_2 u, |g|)` and
    `w = w - r m / ((1 - beta_1^t) (u + epsilon))` (Kingma and Ba 2014, section 7.1).

    Args:
        learning_rate: Learning rate.
        beta_1: Momentum of the mean, at least 0 and below 1.
        beta_2: Factor by which the largest gradient shrinks per step, at least 0 and below 1.
        epsilon: Added for stability. `None` is 1e-7.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Adamax(learning_rate=2e-3).beta_2
        0.999
    """

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "norm")]

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        m = slots[0] + (g - slots[0]) * (1 - self.beta_1)
        largest = jnp.maximum(self.beta_2 * slots[1], jnp.abs(g))
        return w - rate * m / ((1 - self.beta_1**t) * (largest + self.epsilon)), m, largest


class Nadam(_TwoMoments):
    """Adam with Nesterov's momentum.

    The momentum of step t is `u_t = beta_1 (1 - 0.5 * 0.96^t)`, and the mean in Adam's rule is
    replaced by `u_(t+1) m / (1 - u_1 ... u_(t+1)) + (1 - u_t) g / (1 - u_1 ... u_t)`. Dozat 2016,
    "Incorporating Nesterov momentum into Adam".

    Args:
        learning_rate: Learning rate.
        beta_1: Limit of the momentum of the mean, at least 0 and below 1.
        beta_2: Momentum of the mean square, at least 0 and below 1.
        epsilon: Added for stability. `None` is 1e-7.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Nadam(learning_rate=2e-3).beta_1
        0.9
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001, beta_1: Momentum = 0.9, beta_2: Momentum = 0.999,
        epsilon: NonNegative | None = 1e-7, **kwargs: Any,
    ):  # fmt: skip
        # Keras 1 and 2: how fast the momentum rises, 0.96^(t schedule_decay). Keras 3 has 1.
        self.schedule_decay = kwargs.pop("schedule_decay", 1.0)
        check(type(self).__name__, "schedule_decay", self.schedule_decay, NonNegative)
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "velocity")]

    def build(self, variables: Iterable[Variable]) -> None:
        """Create the slots, and the product of all momenta so far."""
        first = not self.built
        super().build(variables)
        if first:
            with naming.name_scope(self.name):
                self._product = self._track(
                    Variable(1.0, dtype="float32", trainable=False, autocast=False)
                )

    def _update(self, pairs: list[tuple[Any, Variable]]) -> None:
        t = (self._updates_done() + 1).astype("float32")
        self._product.assign(self._product.value * self._momentum_at(t))
        super()._update(pairs)

    def _momentum_at(self, t: Any) -> Any:
        return self.beta_1 * (1 - 0.5 * 0.96 ** (t * self.schedule_decay))

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        now, after = self._momentum_at(t), self._momentum_at(t + 1)
        product = self._product.value.astype(w.dtype)
        m = slots[0] + (g - slots[0]) * (1 - self.beta_1)
        v = slots[1] + (jnp.square(g) - slots[1]) * (1 - self.beta_2)
        mean = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
        return w - rate * mean / (jnp.sqrt(v / (1 - self.beta_2**t)) + self.epsilon), m, v

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        older = {} if self.schedule_decay == 1 else {"schedule_decay": self.schedule_decay}
        return {**super().get_config(), **older}


class Lamb(_TwoMoments):
    """Adam whose step for each weight array is as long as the array itself, for large batches.

    With Adam's step `s`, the rule is `w = w - r (|w| / |s|) s`; the ratio is 1 where a norm is 0.
    You et al. 2019, "Large batch optimization for deep learning: training BERT in 76 minutes".

    Args:
        learning_rate: Learning rate.
        beta_1: Momentum of the mean, at least 0 and below 1.
        beta_2: Momentum of the mean square, at least 0 and below 1.
        epsilon: Added for stability. `None` is 1e-7.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Lamb(learning_rate=1e-3).beta_2
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
    """Steps of one size in the direction of the signs of the mean gradient.

    The rule is `w = w - r sign(beta_1 m + (1 - beta_1) g)` and then `m = beta_2 m + (1 - beta_2)
    g`. Chen et al. 2023, "Symbolic discovery of optimization algorithms".

    Args:
        learning_rate: Learning rate, 3 to 10 times smaller than Adam's.
        beta_1: Share of the mean in the step, above 0 and at most 1.
        beta_2: Momentum of the mean, from 0 to 1.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Lion(learning_rate=1e-4).beta_2
        0.99
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001,
        beta_1: Annotated[float, Range(above=0, at_most=1)] = 0.9,
        beta_2: Fraction = 0.99, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum",)]

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        step = jnp.sign(slots[0] * self.beta_1 + g * (1 - self.beta_1))
        return w - rate * step, slots[0] * self.beta_2 + g * (1 - self.beta_2)
