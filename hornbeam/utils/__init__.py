"""Tools that Keras offers under `keras.utils`."""

from hornbeam.backend import clear_session
from hornbeam.callbacks.progbar import Progbar
from hornbeam.core.random import set_random_seed
from hornbeam.core.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from hornbeam.data.py_dataset import PyDataset
from hornbeam.objects.configuration import deserialize as deserialize_keras_object
from hornbeam.objects.configuration import serialize as serialize_keras_object
from hornbeam.utils import legacy
from hornbeam.utils.download import get_file
from hornbeam.utils.numerical import normalize, to_categorical

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "legacy",
    "normalize",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
]

Sequence = PyDataset
"""Keras 2's name for `PyDataset`."""
