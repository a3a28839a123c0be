"""Muon: momentum made orthogonal."""

from __future__ import annotations

import re
from typing import Any

import jax.numpy as jnp

from hornbeam.core.loading import refuse_slow_pattern
from hornbeam.core.variable import Variable
from hornbeam.optimizers.adam import check_betas
from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["Muon"]


class Muon(Optimizer):
    """Steps matrices along their momentum made orthogonal (Jordan et al. 2024); other weights go by AdamW.

    Args:
        learning_rate: Learning rate.
        adam_beta_1, adam_beta_2, epsilon: Of AdamW, as for `Adam`.
        adam_weight_decay: Weight decay of what goes by AdamW.
        weight_decay: Weight decay of what goes by Muon.
        exclude_layers: Patterns; weights in whose path one is found go by AdamW. Name the last layer here.
        exclude_embeddings: Whether the tables of embeddings go by AdamW.
        muon_a, muon_b, muon_c: Coefficients of the Newton-Schulz iteration.
        adam_lr_ratio: Learning rate of AdamW, as a multiple of `learning_rate`.
        momentum: Momentum of Muon's gradients.
        ns_steps: Number of Newton-Schulz iterations.
        nesterov: Whether Nesterov's form of momentum is used.
        rms_rate: Root mean square of Muon's steps (Liu et al. 2025), so that learning rates of AdamW fit; `None` for
            the original scale.
        **kwargs: Those of `Optimizer`.

    Example:
        >>> Muon(exclude_layers=["logits"]).ns_steps
        5
    """

    def __init__(
        self, learning_rate: Any = 0.001, adam_beta_1: float = 0.9, adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004, epsilon: float = 1e-7, weight_decay: float | None = 0.004,
        exclude_layers: Any = None, exclude_embeddings: bool = True, muon_a: float = 3.4445, muon_b: float = -4.775,
        muon_c: float = 2.0315, adam_lr_ratio: float = 1, momentum: float = 0.95, ns_steps: int = 5,
        nesterov: bool = True, rms_rate: float | None = 0.2, **kwargs: Any,
    ):  # fmt: skip
        check_betas("Muon", adam_beta_1=adam_beta_1, adam_beta_2=adam_beta_2)
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.adam_weight_decay, self.adam_lr_ratio = adam_weight_decay, adam_lr_ratio
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or []), exclude_embeddings
        for pattern in self.exclude_layers:
            refuse_slow_pattern("Muon: `exclude_layers`", pattern)
        self.muon_a, self.muon_b, self.muon_c = muon_a, muon_b, muon_c
        self.momentum, self.ns_steps, self.nesterov, self.rms_rate = momentum, ns_steps, nesterov, rms_rate

    def _by_adam(self, variable: Variable) -> bool:
        if len(variable.shape) != 2 or (self.exclude_embeddings and "embedding" in variable.path.lower()):
            return True
        return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def _slot_groups(self) -> list[tuple[str, ...]]:
        return [("momentum", "velocity")]

    def _slots_of(self, variable: Variable) -> tuple[str, ...]:
        return ("momentum", "velocity") if self._by_adam(variable) else ("momentum",)

    def _decay_of(self, variable: Variable) -> float | None:
        return self.adam_weight_decay if self._by_adam(variable) else self.weight_decay

    def _rule_of(self, variable: Variable) -> Any:
        return self._adam if self._by_adam(variable) else self._rule

    def _adam(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        m = slots[0] + (g - slots[0]) * (1 - self.adam_beta_1)
        v = slots[1] + (jnp.square(g) - slots[1]) * (1 - self.adam_beta_2)
        alpha = rate * self.adam_lr_ratio * jnp.sqrt(1 - self.adam_beta_2**t) / (1 - self.adam_beta_1**t)
        return w - alpha * m / (jnp.sqrt(v) + self.epsilon), m, v

    def _rule(self, g: Any, w: Any, rate: Any, t: Any, *slots: Any) -> tuple[Any, ...]:
        m = self.momentum * slots[0] + g
        step = self._orthogonal(g + self.momentum * m if self.nesterov else m)
        height, width = w.shape
        if self.rms_rate is None:
            scale = max(1.0, width / height) ** 0.5  # outputs over inputs
        else:
            scale = self.rms_rate * max(height, width) ** 0.5
        return w - rate * scale * step, m

    def _orthogonal(self, x: Any) -> Any:
        """Return about the nearest orthogonal matrix, by Newton-Schulz iterations."""
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / (jnp.linalg.norm(x) + 1e-7)
        for _ in range(self.ns_steps):
            square = x @ x.T
            x = self.muon_a * x + (self.muon_b * square + self.muon_c * square @ square) @ x
        return x.T if tall else x
