"""Distributions by name, as `compile(distribution=...)` takes them."""

from __future__ import annotations

from typing import Any

import jax

from hornbeam import errors
from hornbeam.core.placement import PLACEMENTS
from hornbeam.distribution.data_parallel import DataParallel, FullyShardedDataParallel
from hornbeam.distribution.distribution import Distribution
from hornbeam.distribution.model_parallel import TensorParallel

__all__ = ["choose"]

# Adam keeps two arrays per weight, and a step computes one gradient per weight.
_ARRAYS_PER_WEIGHT = 4
_SHARE_OF_MEMORY = 0.5  # the rest is for activations


def choose(name: str | Distribution | None, model: Any = None) -> Distribution | None:
    """Return the distribution of a name.

    Args:
        name: `"data"`: `DataParallel()`; `"fsdp"`: `FullyShardedDataParallel()`; `"tensor"`:
            `TensorParallel()`; `"auto"`: `None` if there is one device, else `"data"` if the model
            and Adam's state fit into half of a device's memory, else `"fsdp"`. A distribution and
            `None` are returned as they are.
        model: The model, for `"auto"`. One that has no weights yet counts as small.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> type(choose("data")).__name__
        'DataParallel'
    """
    if name is None or isinstance(name, Distribution):
        return name
    if not isinstance(name, str) or name not in PLACEMENTS:
        raise ValueError(
            f"`distribution` must be a Distribution or one of {errors.listed(PLACEMENTS)}"
            f", received {errors.describe(name)}."
        )
    made: Any = PLACEMENTS[name](model)
    return made


def _automatic(model: Any) -> Distribution | None:
    if len(jax.devices()) == 1:
        return None
    limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
    needed = _ARRAYS_PER_WEIGHT * sum(v.nbytes for v in getattr(model, "weights", ()))
    fits = limit is None or needed <= _SHARE_OF_MEMORY * limit
    return DataParallel() if fits else FullyShardedDataParallel()


PLACEMENTS.update(
    auto=_automatic,
    data=lambda model: DataParallel(),
    fsdp=lambda model: FullyShardedDataParallel(),
    tensor=lambda model: TensorParallel(),
)
