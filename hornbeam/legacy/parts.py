"""Small parts of Keras 2 that Keras 3 has not."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam.callbacks.callback import Callback
from hornbeam.constraints import Constraint
from hornbeam.core.registry import register_keras_serializable
from hornbeam.typing import Logs

__all__ = ["BaseLogger", "RadialConstraint", "Reduction", "radial_constraint"]


class Reduction:
    """The words for how a loss is reduced, in Keras 2.

    Example:
        >>> Reduction.SUM, Reduction.all()[-1]
        ('sum', 'sum_over_batch_size')
    """

    AUTO = "auto"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """Return all words."""
        return (cls.AUTO, cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE)

    @classmethod
    def validate(cls, key: object) -> None:
        """Raise `ValueError` if `key` is not one of the words."""
        if key not in cls.all():
            raise ValueError(f"Reduction: expected one of {list(cls.all())}, received {key!r}.")


@register_keras_serializable("hornbeam")
class RadialConstraint(Constraint):
    """Makes the kernel of an image convolution equal at equal distance from its center.

    Distance is counted in rings of cells. A ring gets the value of one cell on the diagonal, that
    which Keras 2 takes.

    Raises:
        ValueError: If a weight is no array (size, size, channels, filters).

    Example:
        >>> kernel = jnp.arange(9.0).reshape(3, 3, 1, 1)
        >>> RadialConstraint()(kernel)[..., 0, 0].tolist()
        [[4.0, 4.0, 4.0], [4.0, 0.0, 4.0], [4.0, 4.0, 4.0]]
    """

    def __call__(self, w: Any) -> Any:
        shape = tuple(w.shape)
        if len(shape) != 4 or shape[0] != shape[1]:
            raise ValueError(
                "RadialConstraint: expected the kernel of a 2D convolution with a square window,"
                f" (size, size, channels, filters), received shape {shape}."
            )
        size = shape[0]
        cells = jnp.arange(size)
        from_edge = jnp.minimum(cells, size - 1 - cells)
        rings = (size - 1) // 2 - jnp.minimum(from_edge[:, None], from_edge[None, :])
        start, odd = size // 2, size % 2
        chosen = jnp.where(rings == 0, start - 1, start - odd + rings) % size
        return jnp.asarray(w)[chosen, chosen]


radial_constraint = RadialConstraint


class BaseLogger(Callback):
    """Averages the results of an epoch's batches, in a loop that calls callbacks by hand.

    `fit` does so itself. Logs of batches that hold `"size"`, the number of rows, are averaged over
    the rows; the averages are put into the logs of the epoch. Other logs are left as they are.

    Args:
        stateful_metrics: Names of results that are averages already; the last one counts.

    Example:
        >>> logger, logs = BaseLogger(), {}
        >>> logger.on_epoch_begin(0)
        >>> logger.on_batch_end(0, {"size": 3, "loss": 1.0})
        >>> logger.on_batch_end(1, {"size": 1, "loss": 5.0})
        >>> logger.on_epoch_end(0, logs); logs
        {'loss': 2.0}
    """

    observes_only = True

    def __init__(self, stateful_metrics: Any = None):
        super().__init__()
        self.stateful_metrics = set(stateful_metrics or [])
        self.seen, self.totals = 0, dict[str, Any]()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.seen, self.totals = 0, {}

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        logs = dict(logs or {})
        size = logs.pop("size", 0)
        self.seen += size * logs.pop("num_steps", 1)
        for name, value in logs.items() if size else ():
            if name == "batch":
                continue
            if name in self.stateful_metrics:
                self.totals[name] = value
            else:
                self.totals[name] = self.totals.get(name, 0) + value * size

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None and self.seen:
            for name, total in self.totals.items():
                logs[name] = total if name in self.stateful_metrics else total / self.seen
