"""`keras.src.saving.saving_lib` and `serialization_lib`."""

from __future__ import annotations

from hornbeam.core.loading import code_allowed
from hornbeam.objects.configuration import deserialize as deserialize_keras_object
from hornbeam.objects.configuration import serialize as serialize_keras_object
from hornbeam.objects.older_form import older_form as serialize_dict
from hornbeam.saving import load_model, load_weights, save_model, save_weights

__all__ = [
    "deserialize_keras_object", "in_safe_mode", "load_model", "load_weights_only", "save_model",
    "save_weights_only", "serialize_dict", "serialize_keras_object",
]  # fmt: skip

load_weights_only, save_weights_only = load_weights, save_weights


def in_safe_mode() -> bool:
    """Return whether code of a file that is being loaded is refused."""
    return not code_allowed()
