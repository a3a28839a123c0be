"""`tf.distribute`: strategies over one replica."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from hornbeam import ops

__all__ = [
    "MirroredStrategy", "OneDeviceStrategy", "ReduceOp", "Strategy", "get_replica_context",
    "get_strategy", "has_strategy", "in_cross_replica_context",
]  # fmt: skip


class ReduceOp:
    """How values of replicas are combined; there is one replica."""

    SUM, MEAN = "SUM", "MEAN"


class Strategy:
    """A strategy with one replica: what runs in its scope runs as without it.

    To train on several devices, use `keras.distribution.DataParallel`.

    Example:
        >>> with Strategy().scope():
        ...     pass
        >>> Strategy().num_replicas_in_sync
        1
    """

    num_replicas_in_sync = 1

    @contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Return a block that runs as without the strategy."""
        _open.append(self)
        try:
            yield self
        finally:
            _open.pop()

    def run(self, fn: Any, args: Any = (), kwargs: Any = None, options: Any = None) -> Any:
        """Call a function once."""
        return fn(*args, **(kwargs or {}))

    def reduce(self, reduce_op: Any, value: Any, axis: Any = None) -> Any:
        """Return the value of the one replica, reduced along an axis."""
        if axis is None:
            return value
        return (ops.sum if str(reduce_op).upper().endswith("SUM") else ops.mean)(value, axis=axis)

    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
        """Return the data set."""
        return dataset

    def distribute_datasets_from_function(self, dataset_fn: Any, options: Any = None) -> Any:
        """Return the data set that a function makes."""
        return dataset_fn(_Context())

    def gather(self, value: Any, axis: int) -> Any:
        """Return the value."""
        return value

    def experimental_local_results(self, value: Any) -> tuple[Any, ...]:
        """Return the values of all replicas."""
        return (value,)


class MirroredStrategy(Strategy):
    """The strategy for the devices of one machine. It uses one of them.

    Args:
        devices: Names of devices.
        cross_device_ops: No effect.
    """

    def __init__(self, devices: Any = None, cross_device_ops: Any = None):
        if jax.device_count() > 1:
            warnings.warn(
                f"MirroredStrategy: it uses one of {jax.device_count()} devices. Call"
                " `keras.distribution.set_distribution(keras.distribution.DataParallel())` to"
                " train on all of them.",
                stacklevel=2,
            )


class OneDeviceStrategy(Strategy):
    """The strategy for one device."""

    def __init__(self, device: Any = None):
        self.device = device


class _Context:
    """The place of the one replica."""

    num_replicas_in_sync, input_pipeline_id, num_input_pipelines = 1, 0, 1
    replica_id_in_sync_group = 0

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        return global_batch_size

    def all_reduce(self, reduce_op: Any, value: Any, options: Any = None) -> Any:
        return value

    def merge_call(self, merge_fn: Any, args: Any = (), kwargs: Any = None) -> Any:
        return merge_fn(get_strategy(), *args, **(kwargs or {}))


_open: list[Strategy] = []


def get_strategy() -> Strategy:
    """Return the strategy of the open scope, else one without effect."""
    return _open[-1] if _open else Strategy()


def has_strategy() -> bool:
    """Return whether the scope of a strategy is open."""
    return bool(_open)


def in_cross_replica_context() -> bool:
    """Return whether the scope of a strategy is open."""
    return bool(_open)


def get_replica_context() -> Any:
    """Return the place of the one replica."""
    return _Context()
