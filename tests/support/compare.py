"""Helpers for the comparisons with Keras."""

from collections.abc import Container, Iterable
from typing import Any

import numpy as np
import pytest

from hornbeam import tree

__all__ = ["close", "mostly_slow", "plain"]


def close(a: Any, b: Any, wide: float = 1) -> None:
    """Compare two structures of arrays in single precision.

    A small sum of large terms has the rounding error of the terms, and XLA's optimization levels
    add them in different orders. So the largest number of an array decides, where it is above 1.

    Args:
        a: Structure of arrays.
        b: Structure of arrays: the expected numbers.
        wide: Factor of the usual tolerance.
    """
    a, b = [[np.asarray(x, "float32") for x in tree.flatten(arrays)] for arrays in (a, b)]
    assert [x.shape for x in a] == [x.shape for x in b]
    for x, y in zip(a, b, strict=True):
        largest = np.max(np.abs(y), initial=1, where=np.isfinite(y))
        np.testing.assert_allclose(x, y, rtol=1e-5 * wide, atol=2e-6 * wide * largest)


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
