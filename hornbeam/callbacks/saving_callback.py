"""The base of callbacks that save the model during training: when, and which model is best."""

from __future__ import annotations

from typing import Any

from hornbeam.callbacks.monitor import MonitorCallback
from hornbeam.typing import Logs

__all__ = ["SavingCallback"]


class SavingCallback(MonitorCallback):
    """Base of callbacks that save the model after epochs or batches; `_save_model` does it.

    Args:
        monitor: Name of the value in the logs that decides which model is best.
        verbose: 1 prints when the model is saved.
        save_best_only: Whether the model is saved only when it improves.
        mode: Whether smaller (`"min"`) or larger (`"max"`) values are better.
        save_freq: `"epoch"`, or a number of batches.
        initial_value_threshold: A value that the first saved model must improve on.
        period: Number of epochs between saves.

    Raises:
        ValueError: If `save_freq` is neither, or `mode` is unknown.

    Example:
        >>> SavingCallback(save_freq=3).steps_until_action()
        3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
        period: int = 1,
    ):
        super().__init__(monitor, mode)
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f"{type(self).__name__}: `save_freq` must be 'epoch' or a number of batches,"
                f" received {save_freq!r}."
            )
        self.verbose, self.save_best_only, self.period = verbose, save_best_only, period
        self.save_freq: Any = save_freq
        self.best = initial_value_threshold
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
        raise NotImplementedError(f"{type(self).__name__} must implement `_save_model`.")

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
