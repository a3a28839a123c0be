"""Saving models, loading weights, and JSON of the architecture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from hornbeam import saving
from hornbeam.typing import FilePath

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["ModelFiles"]


class ModelFiles:
    """Methods of `Model` for files; `hornbeam.saving` does the work."""

    def save(
        self, filepath: FilePath, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Save architecture, weights and training state, in the format given by the extension.

        Args:
            filepath: Path ending in `.keras` or `.h5`.
            overwrite: Whether to replace an existing file.
            zipped: Whether to write `.keras` as a zip file (default) or as a folder.
        """
        saving.save_model(
            cast("Model", self), filepath, overwrite=overwrite, zipped=zipped, **kwargs
        )

    def save_weights(
        self,
        filepath: FilePath,
        overwrite: bool = True,
        max_shard_size: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Save the weights only; arguments as for `hornbeam.saving.save_weights`."""
        saving.save_weights(cast("Model", self), filepath, overwrite, max_shard_size, **kwargs)

    def load_weights(self, filepath: FilePath, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights from `.weights.h5`, `.h5` or `.keras`.

        Args:
            filepath: The file.
            skip_mismatch: Whether to skip weights that do not fit instead of raising an error.
            **kwargs: `by_name` for Keras 2's layout.
        """
        saving.load_weights(cast("Model", self), filepath, skip_mismatch=skip_mismatch, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """Return the architecture as JSON; `hornbeam.models.model_from_json` reads it."""
        return json.dumps(saving.serialize_keras_object(self), **kwargs)
