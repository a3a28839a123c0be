"""Callbacks that set the learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from hornbeam.callbacks.callback import Callback
from hornbeam.callbacks.monitor import MonitorCallback
from hornbeam.checked import unexpected
from hornbeam.typing import Logs

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]


def _rate(optimizer: Any) -> float:
    return float(np.asarray(optimizer.learning_rate))


def _parts(optimizer: Any) -> list[Any]:
    """Return the optimizers that have a learning rate: the parts of a `MultiOptimizer`."""
    return list(getattr(optimizer, "optimizers", [optimizer]))


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: A function of the epoch (counted from 0) and the current rate, or of the epoch
            alone, that returns the new rate.
        verbose: 1 prints each new rate.

    Example:
        >>> LearningRateScheduler(lambda epoch, lr: lr * 0.9).verbose
        0
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        self.schedule, self.verbose = schedule, verbose
        try:
            inspect.signature(schedule).bind(0, 0.1)
        except TypeError:  # Keras 1's form: a function of the epoch alone
            self._takes_rate = False
        except ValueError:  # a built-in function without a signature
            self._takes_rate = True
        else:
            self._takes_rate = True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        rate = (
            self.schedule(epoch, _rate(self.model.optimizer))
            if self._takes_rate
            else self.schedule(epoch)
        )
        try:
            self.model.optimizer.learning_rate = float(rate)
        except (TypeError, ValueError):
            raise ValueError(
                f"LearningRateScheduler: `schedule` must return a number, received {rate!r}."
            ) from None
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: learning rate set to {float(rate):g}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if logs is not None:
            logs["learning_rate"] = _rate(self.model.optimizer)


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when a value no longer improves.

    With a `MultiOptimizer`, it lowers the rates of all its optimizers.

    Args:
        monitor: Name of the value in the logs.
        factor: The rate is multiplied by it; below 1.
        patience: Number of epochs without improvement before a reduction.
        verbose: 1 prints each reduction.
        mode: Whether smaller (`"min"`) or larger (`"max"`) values are better; `"auto"` decides by
            the name.
        min_delta: The least change that counts as an improvement.
        cooldown: Number of epochs after a reduction that are not counted.
        min_lr: The lowest rate.

    Example:
        >>> ReduceLROnPlateau(factor=0.5).factor
        0.5
    """

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0,
        mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0,
        **kwargs: Any,
    ):  # fmt: skip
        min_delta = kwargs.pop("epsilon", min_delta)  # Keras 1's name
        if kwargs:
            raise unexpected(ReduceLROnPlateau, kwargs)
        super().__init__(monitor, mode, min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: `factor` must be below 1, received {factor}.")
        self.factor, self.patience, self.verbose, self.cooldown, self.min_lr = (
            factor,
            patience,
            verbose,
            cooldown,
            min_lr,
        )
        self._reset()

    _STATE = ("best", "cooldown_counter", "wait")

    def _reset(self) -> None:
        self.best: float | None = None
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        optimizers = _parts(self.model.optimizer)
        rates = [_rate(optimizer) for optimizer in optimizers]
        if logs is not None and len(rates) == 1:
            logs["learning_rate"] = rates[0]
        value = self.value(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience and max(rates) > np.float32(self.min_lr):
                self._reduce(epoch, optimizers, rates)
                self.cooldown_counter, self.wait = self.cooldown, 0

    def _reduce(self, epoch: int, optimizers: list[Any], rates: list[float]) -> None:
        news = [max(rate * self.factor, min(rate, self.min_lr)) for rate in rates]
        for optimizer, new in zip(optimizers, news, strict=True):
            optimizer.learning_rate = new
        if self.verbose > 0:
            text = ", ".join(f"{new:g}" for new in news)
            print(f"\nEpoch {epoch + 1}: learning rate reduced to {text}.")
