"""Muon: momentum made orthogonal."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam.checked import Count, Fraction, Momentum, NonNegative, Positive, checked
from hornbeam.core.loading import refuse_slow_pattern
from hornbeam.core.variable import Variable
from hornbeam.optimizers.optimizer import LearningRate, Optimizer

__all__ = ["Muon"]


class Muon(Optimizer):
    """Moves matrices along their momentum made orthogonal, and other weights by AdamW.

    A Newton-Schulz iteration, `x = muon_a x + (muon_b x xᵀ + muon_c (x xᵀ)²) x`, makes the momentum
    nearly orthogonal. Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural
    networks".

    Args:
        learning_rate: Learning rate.
        adam_beta_1, adam_beta_2, epsilon: Arguments of AdamW, as for `Adam`.
        adam_weight_decay: Weight decay of the weights that AdamW updates.
        weight_decay: Weight decay of the weights that Muon updates.
        exclude_layers: Regular expressions. AdamW updates a weight if one is found in its path.
            Include the last layer.
        exclude_embeddings: Whether AdamW updates the tables of embeddings.
        muon_a, muon_b, muon_c: Coefficients of the Newton-Schulz iteration.
        adam_lr_ratio: Learning rate of AdamW over `learning_rate`, above 0.
        momentum: Momentum of the gradients of matrices, from 0 to 1.
        ns_steps: Number of Newton-Schulz iterations, at least 1.
        nesterov: Whether to use Nesterov's form of momentum.
        rms_rate: Root mean square of Muon's steps (Liu et al. 2025), with which learning rates of
            AdamW fit. With `None`, the step is the orthogonal matrix itself.
        **kwargs: Arguments of `Optimizer`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> Muon(learning_rate=1e-3, exclude_layers=["logits"]).ns_steps
        5
    """

    @checked
    def __init__(
        self, learning_rate: LearningRate = 0.001, adam_beta_1: Momentum = 0.9,
        adam_beta_2: Momentum = 0.999, adam_weight_decay: NonNegative | None = 0.004,
        epsilon: NonNegative = 1e-7, weight_decay: NonNegative | None = 0.004,
        exclude_layers: Sequence[str] | None = None, exclude_embeddings: bool = True,
        muon_a: float = 3.4445, muon_b: float = -4.775, muon_c: float = 2.0315,
        adam_lr_ratio: Positive = 1, momentum: Fraction = 0.95, ns_steps: Count = 5,
        nesterov: bool = True, rms_rate: Positive | None = 0.2, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.adam_weight_decay, self.adam_lr_ratio = adam_weight_decay, adam_lr_ratio
        self.exclude_layers, self.exclude_embeddings = (
            list(exclude_layers or []),
            exclude_embeddings,
        )
        for pattern in self.exclude_layers:
            refuse_slow_pattern("Muon: `exclude_layers`", pattern)
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.momentum, self.ns_steps, self.nesterov, self.rms_rate = (
            momentum,
            ns_steps,
            nesterov,
            rms_rate,
        )

    def _by_adam(self, variable: Variable) -> bool:
        if len(variable.shape) != 2 or (
            self.exclude_embeddings and "embedding" in variable.path.lower()
        ):
            return True
        return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "velocity")]

    def _slots_of(self, variable: Variable) -> tuple[str, ...]:
        return ("momentum", "velocity") if self._by_adam(variable) else ("momentum",)

    def _decay_of(self, variable: Variable) -> float | None:
        return self.adam_weight_decay if self._by_adam(variable) else self.weight_decay

    def _rule_of(self, variable: Variable) -> Callable[..., tuple[Any, ...]]:
        return self._adam if self._by_adam(variable) else self._rule

    def _adam(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        m = slots[0] + (g - slots[0]) * (1 - self.adam_beta_1)
        v = slots[1] + (jnp.square(g) - slots[1]) * (1 - self.adam_beta_2)
        alpha = (
            rate
            * self.adam_lr_ratio
            * jnp.sqrt(1 - self.adam_beta_2**t)
            / (1 - self.adam_beta_1**t)
        )
        return w - alpha * m / (jnp.sqrt(v) + self.epsilon), m, v

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        m = self.momentum * slots[0] + g
        step = self._orthogonal(g + self.momentum * m if self.nesterov else m)
        scale = 1.0 if self.rms_rate is None else self.rms_rate * max(w.shape) ** 0.5
        return w - rate * scale * step, m

    def _orthogonal(self, x: Any) -> Any:
        """Return nearly the nearest orthogonal matrix, by Newton-Schulz iterations."""
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / (jnp.linalg.norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            square = x @ x.T
            x = self.muon_a * x + (self.muon_b * square + self.muon_c * square @ square) @ x
        return x.T if tall else x
