"""Serialization as in Keras 1 and 2: class name and configuration, without a module."""

from hornbeam.objects.older_form import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]
