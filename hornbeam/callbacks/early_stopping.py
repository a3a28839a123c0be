"""`EarlyStopping`: ends training when a value no longer improves."""

from __future__ import annotations

from typing import Any

from hornbeam.callbacks.callback import check_weights
from hornbeam.callbacks.monitor import MonitorCallback
from hornbeam.typing import Logs

__all__ = ["EarlyStopping"]


class EarlyStopping(MonitorCallback):
    """Stops training when a value has not improved for a while.

    Args:
        monitor: Name of the value in the logs.
        min_delta: The least change that counts as an improvement.
        patience: Number of epochs without improvement before training stops.
        verbose: 1 prints when training stops.
        mode: Whether smaller (`"min"`) or larger (`"max"`) values are better; `"auto"` decides by
            the name.
        baseline: If given, only values better than it reset the count of epochs without
            improvement.
        restore_best_weights: Whether the weights of the best epoch are restored at the end.
        start_from_epoch: Number of epochs to wait before the value is watched.

    Example:
        >>> EarlyStopping(patience=3).patience
        3
    """

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0, verbose: int = 0,
        mode: str = "auto", baseline: float | None = None, restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):  # fmt: skip
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._reset()

    best_weights: Any
    _STATE = ("wait", "stopped_epoch", "best_epoch", "best")

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "best_weights": self.best_weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        check_weights("best_weights", state["best_weights"], self.model.weights)
        self.best_weights = state["best_weights"]

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        value = self.value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self.is_better(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
