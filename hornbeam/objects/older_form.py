"""Objects and configurations in the form of Keras 1 and 2: class names without modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbeam import errors
from hornbeam.core.registry import get_registered_name, get_registered_object

__all__ = ["deserialize_keras_object", "older_form", "serialize_keras_object"]


def older_form(config: Any) -> Any:
    """Return a configuration as Keras 2 wrote it.

    Objects are `{"class_name", "config"}`, functions and dtype policies are their names.

    Args:
        config: The result of `serialize`, or a part of it.

    Example:
        >>> from hornbeam.objects.configuration import serialize
        >>> from hornbeam.initializers import Constant
        >>> older_form({"initializer": serialize(Constant(2.0))})
        {'initializer': {'class_name': 'Constant', 'config': {'value': 2.0}}}
    """
    if isinstance(config, (list, tuple)):
        return [older_form(item) for item in config]
    if not isinstance(config, dict):
        return config
    if not {"class_name", "config"} <= set(config) or "module" not in config:
        return {key: older_form(value) for key, value in config.items()}
    name = config["class_name"]
    if name == "function":
        return config["config"]
    if name == "DTypePolicy" and isinstance(config["config"], dict):
        return config["config"].get("name")
    registered = str(config.get("registered_name"))
    return {
        "class_name": registered if ">" in registered else name,
        "config": older_form(config["config"]),
    }


def serialize_keras_object(instance: Any) -> Any:
    """Return `{"class_name": ..., "config": ...}` for an object, or the name of a function.

    Args:
        instance: The object, the function, or `None`, which is returned unchanged.

    Raises:
        ValueError: If the object has neither `get_config` nor a name.

    Example:
        >>> import hornbeam as hb
        >>> serialize_keras_object(hb.losses.Huber())["class_name"]
        'Huber'
        >>> serialize_keras_object(hb.losses.mean_squared_error)
        'mean_squared_error'
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": get_registered_name(type(instance)), "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ValueError(
        f"serialize_keras_object: {errors.describe(instance)} has no `get_config()` and no name."
        " Give its class a `get_config`."
    )


def deserialize_keras_object(
    identifier: Any, module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None, printable_module_name: str = "object",
) -> Any:  # fmt: skip
    """Return the object or function that `serialize_keras_object` described.

    Args:
        identifier: The dictionary, the name, or `None`.
        module_objects: Classes and functions by name.
        custom_objects: More classes and functions by name. They are looked up first, registered
            ones next.
        printable_module_name: What errors call the object.

    Raises:
        ValueError: If the name is not known, or `identifier` is none of these.

    Example:
        >>> import hornbeam as hb
        >>> config = {"class_name": "Huber", "config": {"delta": 2.0}}
        >>> deserialize_keras_object(config, module_objects=vars(hb.losses)).get_config()["delta"]
        2.0
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        if not {"class_name", "config"} <= set(identifier):
            raise ValueError(
                f"deserialize_keras_object: a {printable_module_name} needs `class_name` and"
                f" `config`, received {sorted(identifier)}."
            )
        name = identifier["class_name"]
    elif isinstance(identifier, str):
        name = identifier
    elif callable(identifier):
        return identifier
    else:
        raise ValueError(
            f"deserialize_keras_object: expected a {printable_module_name}'s dictionary or name,"
            f" received {errors.describe(identifier)}."
        )
    found = get_registered_object(name, custom_objects, module_objects)
    if found is None:
        raise errors.unknown_name(
            printable_module_name, name, [*(custom_objects or {}), *(module_objects or {})]
        )
    if isinstance(identifier, str):
        return found() if isinstance(found, type) else found
    config = dict(identifier["config"])
    return found.from_config(config) if hasattr(found, "from_config") else found(**config)
