"""`hornbeam.legacy.saving` by another of Keras's names."""

from hornbeam.objects.older_form import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]
