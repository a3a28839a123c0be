"""What a model has to do with files: saving, loading, and its configuration."""

from __future__ import annotations

import json
from typing import Any

from hornbeam.core.registry import custom_object_scope
from hornbeam.objects.configuration import serialize
from hornbeam.objects.constructor import constructor_config, from_constructor_config

__all__ = ["ModelFiles"]


class ModelFiles:
    """Methods of `Model` for files; `hornbeam.saving` does the work, loaded where used."""

    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Save architecture, weights, and training state, in the format of the extension.

        Args:
            filepath: Path ending in `.keras` or `.h5`.
            overwrite: Whether an existing file may be replaced.
            zipped: Whether `.keras` is one zip file (default) or a folder.
        """
        from hornbeam import saving

        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Save the weights only, to a path ending in `.weights.h5` (or `.h5`, Keras 2's layout)."""
        from hornbeam import saving

        saving.save_weights(self, filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights from `.weights.h5`, `.h5` or `.keras`.

        Args:
            filepath: The file.
            skip_mismatch: Whether weights that do not fit are left out instead of an error.
            **kwargs: `by_name` for Keras 2's layout.
        """
        from hornbeam import saving

        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """Return the architecture as JSON; `hornbeam.models.model_from_json` reads it."""
        from hornbeam import saving

        return json.dumps(saving.serialize_keras_object(self), **kwargs)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return the arguments of `compile`, ready for JSON; `None` where not compiled."""
        return self._compiled.get_config(self.optimizer) if self._compiled else None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile from what `get_compile_config` returned."""
        from hornbeam.training.compile import compile_from_config

        compile_from_config(self, config)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        from hornbeam.models.model import Model

        config = {"name": self.name, "trainable": self._trainable, "dtype": serialize(self.dtype_policy)}
        config.update(constructor_config(self, Model, skip=("name", "trainable", "dtype")))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a model from what `get_config` returned."""
        from hornbeam.models.functional import Functional, functional_from_config

        with custom_object_scope(custom_objects or {}):
            if {"layers", "input_layers", "output_layers"} <= set(config):
                return functional_from_config(cls if issubclass(cls, Functional) else Functional, config)
            return from_constructor_config(cls, config)
