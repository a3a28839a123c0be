"""Compile a model as its file says, in the words of Keras 3 or of Keras 1 and 2."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from hornbeam.saving.config import custom_object_scope

__all__ = ["compile_or_warn", "modern_compile_config"]


def compile_or_warn(model: Any, config: Mapping[str, Any], custom_objects: Any, what: str) -> None:
    """Compile `model`; what cannot be understood leaves it uncompiled, with a warning.

    Args:
        model: The model just made.
        config: What `get_compile_config` gave.
        custom_objects: Classes and functions of yours by name.
        what: Name of the file for the warning.
    """
    try:
        with custom_object_scope(custom_objects or {}):
            model.compile_from_config(dict(config))
    except (ValueError, TypeError, KeyError) as error:
        warnings.warn(
            f"{what}: the model was loaded but not compiled: {error} Call `model.compile(...)` before training.",
            stacklevel=4,
        )


def modern_compile_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `training_config` of an `.h5` file as Keras 3's compile configuration.

    Example:
        >>> modern_compile_config({"loss": "mse", "optimizer_config": {"class_name": "SGD", "config": {}}})
        {'loss': 'mse', 'optimizer': {'class_name': 'SGD', 'config': {}, 'module': 'keras.optimizers'}}
    """
    modern = {
        key: _modern(value) for key, value in config.items() if key not in ("optimizer_config", "sample_weight_mode")
    }
    optimizer = config.get("optimizer_config")
    if isinstance(optimizer, Mapping):
        modern["optimizer"] = {**optimizer, "module": "keras.optimizers"}
    if not modern.get("loss_weights"):  # Keras 1 wrote an empty list
        modern.pop("loss_weights", None)
    return modern


def _modern(value: Any) -> Any:
    """Turn Keras 2's wrapped functions into their names, and its other classes into nothing special."""
    if isinstance(value, Mapping):
        inner = value.get("config")
        if value.get("class_name") in ("MeanMetricWrapper", "LossFunctionWrapper") and isinstance(inner, Mapping):
            function = inner.get("fn")
            return inner.get("name") if not isinstance(function, str) else function
        return {key: _modern(item) if key != "config" else item for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_modern(item) for item in value]
    return value
