"""Reading and writing models: `.keras`, `.h5`, `.weights.h5`, `.safetensors`.

Loading a file runs no code from it, imports nothing that it names, and reads nothing outside it.
The format of a file is recognised by its content.
"""

from hornbeam.core.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from hornbeam.errors import FileError
from hornbeam.objects.configuration import deserialize as deserialize_keras_object
from hornbeam.objects.configuration import serialize_object as serialize_keras_object
from hornbeam.saving.editor import KerasFileEditor
from hornbeam.saving.files import load_model, load_weights, save_model, save_weights

__all__ = [
    "CustomObjectScope",
    "FileError",
    "KerasFileEditor",
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
