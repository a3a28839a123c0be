"""scikit-learn estimators that train models. scikit-learn is imported on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hornbeam.optional import import_module

if TYPE_CHECKING:
    from hornbeam.wrappers.estimators import (
        SKLearnClassifier,
        SKLearnRegressor,
        SKLearnTransformer,
    )

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hornbeam.wrappers' has no attribute {name!r}")
    import_module("sklearn", extra="sklearn", needed_for=name)
    return getattr(importlib.import_module("hornbeam.wrappers.estimators"), name)
