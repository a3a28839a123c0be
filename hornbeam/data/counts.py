"""Numbers that a user passes to a method of `Dataset`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

__all__ = ["AUTOTUNE", "count"]

AUTOTUNE = -1
"""The value of `num_parallel_calls` and `buffer_size` that leaves the number to the data set."""


def count(method: str, name: str, value: Any, least: int = 1, none: int | None = None) -> int:
    """Return a checked number; `AUTOTUNE` means the number of processors.

    Example:
        >>> count("batch", "batch_size", 32)
        32
    """
    if value is None and none is not None:
        return none
    if value == AUTOTUNE and name == "num_parallel_calls":
        return os.cpu_count() or 1
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        kind = "a positive integer" if least else "an integer of at least 0"
        raise ValueError(f"Dataset.{method}: `{name}` must be {kind}, received {value!r}.")
    return int(value)
