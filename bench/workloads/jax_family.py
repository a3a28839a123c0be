"""The same steps written by hand in JAX, which are the lower bound for the other libraries.

Data are gathered into batches beforehand and not shuffled. `step` calls one jitted step after the
other; `scan` runs an epoch as one `lax.scan`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench.workloads.jax_models import MODELS
from bench.workloads.table import ADAM, Workload

__all__ = ["Trainer"]


class Trainer:
    """A workload trained by hand-written JAX; `variant` is `step` or `scan`."""

    def __init__(
        self, library: Any, variant: str, workload: Workload, x: np.ndarray, y: np.ndarray
    ) -> None:
        self.workload, self.one = workload, x[:1]
        weights, self.apply = MODELS[workload.family](np.random.default_rng(0), **workload.sizes)
        self.scans = variant == "scan"
        zeros = partial(jax.tree.map, np.zeros_like)
        # Weights, first and second moments, number of steps. The statistics of batch normalization
        # have no gradient.
        state = (weights, zeros(weights["trained"]), zeros(weights["trained"]), np.int32(0))
        self.state = jax.device_put(state)
        batches = [part.reshape(-1, workload.batch_size, *part.shape[1:]) for part in (x, y)]
        if self.scans:
            self.batches: Any = jax.device_put(batches)
            self.epoch = jax.jit(
                lambda state, x, y: lax.scan(self._step, state, (x, y)), donate_argnums=0
            )
        else:
            self.batches = [jax.device_put(batch) for batch in zip(*batches, strict=True)]
            self.step = jax.jit(self._step, donate_argnums=0)
        self.call = jax.jit(lambda weights, x: self._forward(weights, x)[0])

    def _forward(self, weights: Any, x: Any, key: Any = None) -> tuple[Any, Any]:
        """Return float32 logits and new statistics; a key means training mode."""
        trained = weights["trained"]
        if self.workload.precision == "bfloat16":
            trained = jax.tree.map(lambda weight: weight.astype(jnp.bfloat16), trained)
            x = x.astype(jnp.bfloat16) if x.dtype == jnp.float32 else x
        logits, statistics = self.apply(trained, weights["statistics"], x, key)
        return logits.astype(jnp.float32), statistics

    def _step(self, state: Any, batch: Any) -> tuple[Any, Any]:
        weights, mean, square, count = state
        x, y = batch
        key = jax.random.fold_in(jax.random.key(0), count)

        def loss_of(trained: Any) -> tuple[Any, Any]:
            logits, statistics = self._forward({**weights, "trained": trained}, x, key)
            picked = jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=-1)
            return -jnp.mean(picked), statistics

        (loss, statistics), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights["trained"])
        count += 1
        first, second = ADAM["beta_1"], ADAM["beta_2"]
        mean = jax.tree.map(lambda m, g: m + (1 - first) * (g - m), mean, gradient)
        square = jax.tree.map(lambda v, g: v + (1 - second) * (g * g - v), square, gradient)
        rate = ADAM["learning_rate"] * jnp.sqrt(1 - second**count) / (1 - first**count)

        def moved(w: Any, m: Any, v: Any) -> Any:
            return w - rate * m / (jnp.sqrt(v) + ADAM["epsilon"])

        trained = jax.tree.map(moved, weights["trained"], mean, square)
        return ({"trained": trained, "statistics": statistics}, mean, square, count), loss

    def fit(self, epochs: int, on_first_step: Callable[[], None] | None = None) -> list[float]:
        """Train in the order of the data; return the mean loss of each epoch."""
        means = []
        for _ in range(epochs):
            if self.scans:
                self.state, losses = self.epoch(self.state, *self.batches)
            else:
                losses = []
                for batch in self.batches:
                    self.state, loss = self.step(self.state, batch)
                    losses.append(loss)
                    if on_first_step is not None:
                        loss.block_until_ready()
                        on_first_step()
                        on_first_step = None
            means.append(float(np.mean(jax.device_get(losses))))
            if on_first_step is not None:
                on_first_step()
                on_first_step = None
        assert all(map(math.isfinite, means)), means
        return means

    def predictions(self) -> dict[str, Callable[[], np.ndarray]]:
        """Return the way to predict one row, from a NumPy array to a NumPy array."""
        weights = self.state[0]
        return {"predict": lambda: np.asarray(self.call(weights, self.one))}
