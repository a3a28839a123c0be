"""`ModelCheckpoint`: saves the model during training."""

from __future__ import annotations

import os
import warnings
from typing import Any

from hornbeam import errors
from hornbeam.callbacks.saving_callback import SavingCallback
from hornbeam.checked import unexpected
from hornbeam.core.results import Results
from hornbeam.typing import FilePath

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(SavingCallback):
    """Saves the model, or its weights, after epochs or batches.

    Args:
        filepath: Path that may contain fields such as `{epoch:02d}` and `{val_loss:.2f}`. It must
            end in `.keras` or `.h5`; with `save_weights_only`, in `.weights.h5` (or `.h5` for Keras
            2's layout).
        monitor: Name of the value in the logs that decides which model is best.
        verbose: 1 prints when the model is saved.
        save_best_only: Whether the model is saved only when it improves.
        save_weights_only: Whether only the weights are saved.
        mode: Whether smaller (`"min"`) or larger (`"max"`) values are better; `"auto"` decides by
            the name.
        save_freq: `"epoch"`, or a number of batches.
        initial_value_threshold: A value that the first saved model must improve on.
        **kwargs: Keras 1's `period`, the number of epochs between saves. Keras 2's `options` and
            `load_weights_on_restart` have no effect; a warning says so.

    Example:
        >>> ModelCheckpoint("best.keras", save_best_only=True).monitor
        'val_loss'
    """

    def __init__(
        self, filepath: FilePath, monitor: str = "val_loss", verbose: int = 0,
        save_best_only: bool = False, save_weights_only: bool = False, mode: str = "auto",
        save_freq: int | str = "epoch", initial_value_threshold: float | None = None, **kwargs: Any,
    ):  # fmt: skip
        period = kwargs.pop("period", 1)
        super().__init__(
            monitor, verbose, save_best_only, mode, save_freq, initial_value_threshold, period
        )
        dropped = [old for old in ("options", "load_weights_on_restart") if old in kwargs]
        if dropped:
            warnings.warn(
                f"ModelCheckpoint: {errors.listed(dropped)} of Keras 2 has no effect. To go on with"
                " an interrupted training, use `BackupAndRestore`.",
                stacklevel=2,
            )
        if unknown := sorted(set(kwargs) - set(dropped)):
            raise unexpected(ModelCheckpoint, unknown)
        self.filepath = os.fspath(filepath)
        self.save_weights_only = save_weights_only
        endings = (
            (".weights.h5", ".h5", ".hdf5") if save_weights_only else (".keras", ".h5", ".hdf5")
        )
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"ModelCheckpoint: `filepath` must end in one of {endings}"
                f"{' (weights only)' if save_weights_only else ''}, received {self.filepath!r}."
            )

    def _save_model(self, epoch: int, batch: int | None, logs: Any) -> None:
        """Save the model, if it is to be saved."""
        logs = Results(logs or {})
        path = self._get_file_path(epoch, batch, logs)
        if not self._should_save_model(epoch, batch, logs, path):
            return
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)

    def _get_file_path(self, epoch: int, batch: int | None, logs: Any) -> str:
        """Return the path with its fields filled in."""
        fields = Results(
            {**logs, "epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1})}
        )
        try:
            return self.filepath.format_map(fields)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: `filepath` {self.filepath!r} has the unknown field {error};"
                f" available are {sorted(fields)}."
            ) from None
