"""`ModelCheckpoint`: saves the model during training."""

from __future__ import annotations

import os
import warnings
from typing import Any

from hornbeam import errors
from hornbeam.callbacks.monitor import MonitorCallback
from hornbeam.checked import unexpected
from hornbeam.core.results import Results
from hornbeam.typing import FilePath, Logs

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(MonitorCallback):
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
        super().__init__(monitor, mode)
        self.period = kwargs.pop("period", 1)
        dropped = [old for old in ("options", "load_weights_on_restart") if old in kwargs]
        if dropped:
            warnings.warn(
                f"ModelCheckpoint: {errors.listed(dropped)} of Keras 2 has no effect. To go on with"
                " an interrupted training, use `BackupAndRestore`.",
                stacklevel=2,
            )
        if unknown := sorted(set(kwargs) - set(dropped)):
            raise unexpected(ModelCheckpoint, unknown)
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                "ModelCheckpoint: `save_freq` must be 'epoch' or a number of batches, received"
                f" {save_freq!r}."
            )
        self.filepath = os.fspath(filepath)
        self.verbose, self.save_best_only, self.save_weights_only = (
            verbose,
            save_best_only,
            save_weights_only,
        )
        self.save_freq: Any = save_freq
        self.best = initial_value_threshold
        endings = (
            (".weights.h5", ".h5", ".hdf5") if save_weights_only else (".keras", ".h5", ".hdf5")
        )
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"ModelCheckpoint: `filepath` must end in one of {endings}"
                f"{' (weights only)' if save_weights_only else ''}, received {self.filepath!r}."
            )
        self._epoch = self._batches = 0
        self.samples_only = save_freq == "epoch"

    _without_value = " The model is saved each time instead."

    # Between two saves it only counts steps.
    observes_only = True
    _STATE = ("best", "_batches")

    @property
    def watches(self) -> bool:
        return self.save_best_only

    def steps_until_action(self) -> int | None:
        return (
            None if self.save_freq == "epoch" else self.save_freq - self._batches % self.save_freq
        )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._should_save_on_batch(batch):
            self._save_model(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.save_freq == "epoch" and (epoch + 1) % self.period == 0:
            self._save_model(epoch, None, logs)

    # The names of the steps of a save are Keras's, because subclasses override them.

    def _should_save_on_batch(self, batch: int) -> bool:
        """Count a batch, and return whether a save follows it."""
        if self.save_freq == "epoch":
            return False
        self._batches += 1
        return self._batches % self.save_freq == 0

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

    def _should_save_model(self, epoch: int, batch: int | None, logs: Any, filepath: str) -> bool:
        """Return whether the model is to be saved; a new best value is kept."""
        if not self.save_best_only:
            self._tell(f"Epoch {epoch + 1}: saving to {filepath}")
            return True
        value = self.value(logs)
        if value is None:
            if self._expected and batch is None:  # this epoch is not validated
                return False
            self._tell(f"Epoch {epoch + 1}: saving to {filepath}")
            return True
        if not self.is_better(value, self.best):
            self._tell(f"Epoch {epoch + 1}: {self.monitor} did not improve from {self.best:.5f}")
            return False
        before = "inf" if self.best is None else f"{self.best:.5f}"
        self._tell(
            f"Epoch {epoch + 1}: {self.monitor} improved from {before} to {value:.5f},"
            f" saving to {filepath}"
        )
        self.best = value
        return True

    @property
    def _current_epoch(self) -> int:
        """Number of the epoch, from 0."""
        return self._epoch

    def _tell(self, text: str) -> None:
        if self.verbose > 0:
            print(f"\n{text}")  # the progress bar's line is not ended yet
