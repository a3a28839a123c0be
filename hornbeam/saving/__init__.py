"""Objects to JSON and back; models and weights in files."""

from hornbeam.saving.config import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]


def __getattr__(name: str) -> object:
    # Files need layers, which need `saving.config`; so they load when first used.
    if name in ("load_model", "load_weights", "save_model", "save_weights"):
        from hornbeam.saving import files

        return getattr(files, name)
    raise AttributeError(f"module 'hornbeam.saving' has no attribute {name!r}")
