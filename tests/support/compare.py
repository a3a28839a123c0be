"""Helpers for the comparisons with Keras."""

from collections.abc import Container, Iterable
from typing import Any

import numpy as np
import pytest

__all__ = ["mostly_slow", "plain"]


def plain(config: Any) -> Any:
    """Return a configuration as in JSON, without `None` entries, numbers in single precision."""
    if isinstance(config, dict):
        return {key: plain(value) for key, value in config.items() if value is not None}
    if isinstance(config, (list, tuple)):
        return [plain(value) for value in config]
    return float(np.float32(config)) if isinstance(config, float) else config


def mostly_slow(names: Iterable[Any], quick: Container[Any]) -> list[Any]:
    """Return test parameters; those not in `quick` run only with the slow tests."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]
