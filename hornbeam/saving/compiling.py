"""Compile a model as its file says, in the words of Keras 3 or of Keras 1 and 2, and restore the optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from hornbeam.saving.config import custom_object_scope
from hornbeam.saving.legacy_weights import Saved

__all__ = ["compile_or_warn", "modern_compile_config", "modern_optimizer", "restore_optimizer"]


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
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, IndexError) as error:
        model.optimizer = None
        model._compiled = None
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
    modern = {}
    for key, value in config.items():
        if key == "loss":
            modern[key] = _modern(value, "keras.losses")
        elif key in ("metrics", "weighted_metrics"):
            modern[key] = _modern(value, "keras.metrics") or None
        elif key not in ("optimizer_config", "optimizer", "sample_weight_mode"):
            modern[key] = value
    optimizer = config.get("optimizer_config", config.get("optimizer"))
    if optimizer is not None:
        modern["optimizer"] = modern_optimizer(optimizer)
    if not modern.get("loss_weights"):  # Keras 1 wrote an empty list
        modern.pop("loss_weights", None)
    return modern


def modern_optimizer(entry: Any) -> Any:
    """Return an optimizer's configuration with the names that Keras 3 has.

    Example:
        >>> modern_optimizer({"class_name": "Custom>Adam", "config": {}})["class_name"]
        'Adam'
    """
    if not isinstance(entry, Mapping) or "class_name" not in entry:
        return entry
    name = str(entry["class_name"])
    # tf.keras registered its own optimizers of 2.11 like a user's.
    name = name.removeprefix("Custom>") if name.startswith("Custom>") else name
    inner = entry.get("config")
    if isinstance(inner, Mapping):
        inner = {key: _nested_optimizer(key, value) for key, value in inner.items()}
    if ">" in name:
        return {**entry, "config": inner, "registered_name": name, "class_name": name}
    kept = {key: value for key, value in entry.items() if key != "registered_name"}
    return {**kept, "class_name": name, "config": inner, "module": "keras.optimizers"}


def _nested_optimizer(key: str, value: Any) -> Any:
    if key in ("optimizer", "inner_optimizer"):
        return modern_optimizer(value)
    if key in ("learning_rate", "lr") and isinstance(value, Mapping) and "class_name" in value:
        return {"module": "keras.optimizers.schedules", **value}
    return value


def _modern(value: Any, module: str) -> Any:
    """Turn Keras 2's wrapped functions into their names, and give classes the module that they are in."""
    if isinstance(value, Mapping) and "class_name" in value:
        inner, name = value.get("config"), str(value["class_name"])
        if name in ("MeanMetricWrapper", "LossFunctionWrapper", "SumOverBatchSizeMetricWrapper"):
            function = inner.get("fn") if isinstance(inner, Mapping) else None
            function = function if function is not None else (inner or {}).get("name")
            return function if isinstance(function, str) else _modern(function, module)
        if value.get("module") or not isinstance(inner, Mapping):
            return value
        inner = {key: item for key, item in inner.items() if key != "fn"}
        if inner.get("reduction") in ("auto", None) and "reduction" in inner:
            inner["reduction"] = "sum_over_batch_size"
        return {**value, "config": inner, "module": module}
    if isinstance(value, Mapping):
        return {key: _modern(item, module) for key, item in value.items()}
    return [_modern(item, module) for item in value] if isinstance(value, (list, tuple)) else value


# --- the optimizer's state -------------------------------------------------------------------------------


def restore_optimizer(optimizer: Any, arrays: list[Saved]) -> bool:
    """Load the state of an optimizer from an `.h5` file; returns whether it fitted.

    Keras 3 writes all slots of one weight after another, Keras 1 and 2 all weights of one slot; the older
    ones have no learning rate among the arrays, and some no count of steps.

    Args:
        optimizer: The optimizer, built.
        arrays: What the file has, in its order.
    """
    variables = optimizer.variables
    if [a.shape for a in arrays] == [v.shape for v in variables]:
        pairs = list(zip(variables, arrays, strict=True))
    else:
        found = _older_state(optimizer, arrays)
        if found is None:
            return False
        pairs = found
    for variable, array in pairs:
        variable.assign(array.read(variable._dtype))
    return True


def _older_state(optimizer: Any, arrays: list[Saved]) -> list[tuple[Any, Saved]] | None:
    slots = [v for v in optimizer.variables if v is not optimizer._iterations and v is not optimizer._learning_rate]
    weights = optimizer._trainable
    groups = [[group[w] for w in weights if w in group] for group in optimizer._slot.values()]
    scalars = [array for array in arrays if array.shape == () and _last(array) in _COUNTS]
    rest = [array for array in arrays if array.shape != () or _last(array) not in _COUNTS | {"learning_rate"}]
    if rest and not scalars and rest[0].shape == () and len(rest) % max(len(weights), 1) == 1:
        scalars, rest = rest[:1], rest[1:]
    surplus = rest[len(slots) :]
    if len(surplus) == len(weights) and all(array.shape == (1,) for array in surplus):
        rest = rest[: len(slots)]  # Keras 2's Adam kept a third slot, of one number, where it had no use for it
    steps = [(optimizer._iterations, array) for array in scalars[:1]]
    by_slot = [slot for group in groups for slot in group]
    by_weight = [group[i] for i in range(len(weights)) for group in groups if i < len(group)]
    interleaved = any(array.name.startswith("iteration") or "/iteration" in array.name for array in arrays)
    interleaved = interleaved and not any("iterations" in array.name for array in arrays)
    for order in (by_weight, by_slot) if interleaved else (by_slot, by_weight):
        if len(order) == len(slots) and [a.shape for a in rest] == [v.shape for v in order]:
            return [*steps, *zip(order, rest, strict=True)]
    return None


_COUNTS = {"iteration", "iterations", "iter"}


def _last(array: Saved) -> str:
    return array.name.split("/")[-1].removesuffix(":0")
