"""`OrbaxCheckpoint`: saves the model during training, in parts by all devices."""

from __future__ import annotations

import os

from hornbeam import errors
from hornbeam.callbacks.saving_callback import SavingCallback
from hornbeam.core.results import Results
from hornbeam.saving.orbax import OrbaxFolder
from hornbeam.typing import FilePath, Logs

__all__ = ["OrbaxCheckpoint"]


class OrbaxCheckpoint(SavingCallback):
    """Saves the model after epochs or batches as a checkpoint of Orbax.

    All devices and processes write their own parts at the same time, so a model that is divided
    among them is never whole in one memory. `load_model(directory)` and
    `model.load_weights(directory)` read the newest checkpoint, on any number of devices and in any
    layout; `directory/NUMBER` names an older one. A process that is killed during a save leaves the
    previous checkpoint intact. Needs `pip install "hornbeam[orbax]"`.

    Args:
        directory: Folder of the checkpoints. Each is in a folder with the number of its epoch, from
            0, or of the batches so far. In a folder with later checkpoints the numbers go on.
        monitor: Name of the value in the logs that decides which model is best.
        verbose: 1 prints when the model is saved.
        save_best_only: Whether the model is saved only when it improves.
        mode: Whether smaller (`"min"`) or larger (`"max"`) values are better; `"auto"` decides by
            the name.
        save_freq: `"epoch"`, or a number of batches.
        initial_value_threshold: A value that the first saved model must improve on.
        max_to_keep: Number of checkpoints to keep; `None`: all.
        save_on_background: Whether training goes on while threads write. It waits for them when it
            ends.
        save_weights_only: Whether only the weights are saved.

    Raises:
        ImportError: If Orbax is not installed.
        ValueError: If an argument is out of range.

    Example:
        >>> import tempfile
        >>> OrbaxCheckpoint(tempfile.mkdtemp(), max_to_keep=3).monitor
        'val_loss'
    """

    def __init__(
        self,
        directory: FilePath,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
    ):
        super().__init__(monitor, verbose, save_best_only, mode, save_freq, initial_value_threshold)
        if not isinstance(directory, (str, os.PathLike)) or not os.fspath(directory):
            raise ValueError(
                "OrbaxCheckpoint: `directory` must be the path of a folder, received"
                f" {errors.describe(directory)}."
            )
        if max_to_keep is not None and (type(max_to_keep) is not int or max_to_keep < 1):
            raise ValueError(
                "OrbaxCheckpoint: `max_to_keep` must be a positive integer or None, received"
                f" {max_to_keep!r}."
            )
        self.directory = os.fspath(directory)
        self.max_to_keep, self.save_on_background = max_to_keep, save_on_background
        self.save_weights_only = save_weights_only
        self._folder: OrbaxFolder | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._open()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def _open(self) -> OrbaxFolder:
        if self._folder is None:
            self._folder = OrbaxFolder(self.directory, self.max_to_keep, self.save_on_background)
        return self._folder

    def _save_model(self, epoch: int, batch: int | None, logs: Logs) -> None:
        """Save the model, if it is to be saved."""
        number = epoch if batch is None else self._batches
        path = os.path.join(self.directory, str(number))
        if self._should_save_model(epoch, batch, Results(logs or {}), path):
            self._open().save(number, self.model, self.save_weights_only)
