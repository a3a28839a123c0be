"""Serialization as in Keras 1 and 2: class name and configuration, without a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbeam import errors
from hornbeam.core.registry import get_registered_name, get_registered_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]


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
