"""Training configurations of `.h5` files and of Keras 1 and 2 in the words of Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["modern_optimizer", "modern_training"]


def modern_training(config: Mapping[str, Any], old: bool = False) -> dict[str, Any]:
    """Return the `training_config` of an `.h5` file as Keras 3's compile configuration.

    Args:
        config: The file's `training_config`.
        old: Whether Keras 1 or 2 wrote it.

    Example:
        >>> optimizer = {"class_name": "SGD", "config": {}}
        >>> modern_training({"loss": "mse", "optimizer_config": optimizer})
        {'loss': 'mse', 'optimizer': {'class_name': 'SGD', 'config': {}, 'module':
        'keras.optimizers'}}
    """
    modern = {}
    for key, value in config.items():
        if key == "loss":
            modern[key] = _modern(value, "keras.losses")
        elif key in ("metrics", "weighted_metrics"):
            modern[key] = _modern(value, "keras.metrics") or None
        elif (
            key not in ("optimizer_config", "optimizer", "sample_weight_mode") and value is not None
        ):
            modern[key] = value
    optimizer = config.get("optimizer_config", config.get("optimizer"))
    if optimizer is not None:
        modern["optimizer"] = modern_optimizer(optimizer, old)
    if not modern.get("loss_weights"):  # Keras 1 wrote an empty list for none
        modern.pop("loss_weights", None)
    return modern


def modern_optimizer(entry: Any, old: bool = False) -> Any:
    """Return an optimizer's configuration in the words of Keras 3.

    Before tf.keras 2.11, RMSprop (without momentum) and Adagrad divided by `sqrt(v) + epsilon`. Now
    they divide by `sqrt(v + epsilon)`, which is ten times as much where gradients are near 1e-4.
    With the square of the old `epsilon` the steps agree again, up to a fraction of
    `epsilon / sqrt(v)`.

    Args:
        entry: Class name and configuration.
        old: Whether Keras 1 or 2 wrote it, in an `.h5` file.

    Example:
        >>> modern_optimizer({"class_name": "Custom>Adam", "config": {}})["class_name"]
        'Adam'
    """
    if not isinstance(entry, Mapping) or "class_name" not in entry:
        return entry
    name = str(entry["class_name"])
    # tf.keras 2.11 registered its own optimizers as users register theirs.
    name = _OPTIMIZERS.get(name.removeprefix("Custom>"), name.removeprefix("Custom>"))
    inner = entry.get("config")
    if isinstance(inner, Mapping):
        inner = {key: _nested_optimizer(key, value, old) for key, value in inner.items()}
        if old and entry["class_name"] in ("RMSprop", "Adagrad") and not inner.get("momentum"):
            inner["epsilon"] = _squared(inner.get("epsilon"))
        if inner.pop("dynamic", True) is False:  # a loss scale that never grows
            inner["dynamic_growth_steps"] = 2**31 - 1
    if ">" in name:
        return {**entry, "config": inner, "registered_name": name, "class_name": name}
    kept = {key: value for key, value in entry.items() if key != "registered_name"}
    return {**kept, "class_name": name, "config": inner, "module": "keras.optimizers"}


_OPTIMIZERS = {f"LossScaleOptimizer{version}": "LossScaleOptimizer" for version in ("V1", "V3")}


def _squared(epsilon: Any) -> Any:
    epsilon = 1e-7 if epsilon is None else epsilon
    return epsilon**2 if isinstance(epsilon, (int, float)) else epsilon


def _nested_optimizer(key: str, value: Any, old: bool) -> Any:
    if key in ("optimizer", "inner_optimizer"):
        return modern_optimizer(value, old)
    if key in ("learning_rate", "lr") and isinstance(value, Mapping) and "class_name" in value:
        return {"module": "keras.optimizers.schedules", **value}
    return value


def _modern(value: Any, module: str) -> Any:
    """Return losses and metrics with the module of each class and names of wrapped functions.

    Keras 2 wrapped functions in classes.
    """
    if isinstance(value, Mapping) and "class_name" in value:
        inner, name = value.get("config"), str(value["class_name"])
        if name in ("MeanMetricWrapper", "LossFunctionWrapper", "SumOverBatchSizeMetricWrapper"):
            function = inner.get("fn") if isinstance(inner, Mapping) else None
            function = function if function is not None else (inner or {}).get("name")
            return function if isinstance(function, str) else _modern(function, module)
        if not isinstance(inner, Mapping) or ">" in str(value.get("registered_name")):
            return value
        inner = {key: item for key, item in inner.items() if key != "fn"}
        if "reduction" in inner and inner["reduction"] in ("auto", None):
            inner["reduction"] = "sum_over_batch_size"
        return {"module": module, **value, "config": inner}
    if isinstance(value, Mapping):
        return {key: _modern(item, module) for key, item in value.items()}
    return [_modern(item, module) for item in value] if isinstance(value, (list, tuple)) else value
