"""The base of callbacks that watch a value: which value, and what counts as an improvement."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from hornbeam.callbacks.callback import Callback, check_number
from hornbeam.core.provenance import is_library_code
from hornbeam.core.results import Results
from hornbeam.typing import Logs

__all__ = ["MonitorCallback", "expect_names"]


class MonitorCallback(Callback):
    """Base of callbacks that watch a value.

    Args:
        monitor: Name of the value in the logs.
        mode: Whether smaller (`"min"`) or larger (`"max"`) values are better; `"auto"` decides by
            the name.
        min_delta: The least change that counts as an improvement.

    Example:
        >>> MonitorCallback("val_accuracy").is_better(0.9, best=0.8)
        True
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(
                f"{type(self).__name__}: `mode` must be 'auto', 'min' or 'max', received {mode!r}."
            )
        self.monitor, self.mode = monitor, mode
        self.min_delta = abs(min_delta)
        self._warned = self._expected = False
        if mode == "auto":
            words = (
                "acc",
                "auc",
                "precision",
                "recall",
                "f1",
                "fmeasure",
                "fbeta",
                "iou",
                "r2_score",
            )
            mode = (
                "max"
                if any(word in monitor.lower() for word in words) and "loss" not in monitor
                else "min"
            )
        self._sign = 1 if mode == "max" else -1

    @property
    def watches(self) -> bool:
        """Whether the value is used at all."""
        return True

    _without_value = ""
    """What happens if there is no such value, for the warning."""

    _STATE: tuple[str, ...] = ()
    """Names of the attributes that a resumed training needs."""

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self._STATE:
            check_number(name, state[name])
        vars(self).update({name: state[name] for name in self._STATE})

    @property
    def monitor_op(self) -> np.ufunc:
        """`np.greater` if larger values are better, else `np.less`."""
        return np.greater if self._sign > 0 else np.less

    def worst(self) -> float:
        """Return the worst value there is: an infinity."""
        return -self._sign * float("inf")

    def is_better(self, value: float, best: float | None) -> bool:
        """Return whether `value` is better than `best` by more than `min_delta`."""
        return best is None or bool(self._sign * (value - best) > self.min_delta)

    def value(self, logs: Logs) -> Any:
        """Return the watched value; `None`, with a warning the first time, if the logs lack it."""
        found = Results(logs or {}).get(self.monitor)
        if found is None and not self._expected:
            self._warn(list(logs or {}))
        return found

    def expect(self, names: Iterable[str]) -> None:
        """Warn unless the watched value is among `names`, the results that an epoch can have.

        Then `value` does not warn of an epoch that lacks it, because it is not validated.
        """
        names = Results(dict.fromkeys(names))
        self._expected = self.monitor in names
        if not self._expected:
            self._warn(list(names))

    def _warn(self, names: list[str]) -> None:
        if self._warned:
            return
        self._warned = True
        remedy = ""
        if self.monitor.startswith("val_") and not any(n.startswith("val_") for n in names):
            remedy = " Pass `validation_data` or `validation_split` to `fit`."
        warnings.warn(
            f"{type(self).__name__}: the logs have no value {self.monitor!r} to watch; available"
            f" are {', '.join(map(repr, names))}.{self._without_value}{remedy}",
            stacklevel=5,
        )


def expect_names(callbacks: Iterable[Any], names: Iterable[str]) -> None:
    """Tell the callbacks that watch a value the names of all results; they warn if theirs is not
    among them.

    Args:
        callbacks: The callbacks of a training.
        names: Results of steps and validation. Unknown callbacks may add more: then nothing is
            told.

    Example:
        >>> watching = MonitorCallback("loss")
        >>> expect_names([watching], ["loss", "val_loss"])
    """
    callbacks = list(callbacks)
    if any(not is_library_code(callback.on_epoch_end) for callback in callbacks):
        return
    for callback in callbacks:
        if isinstance(callback, MonitorCallback) and callback.watches:
            callback.expect([*names, "learning_rate"])
