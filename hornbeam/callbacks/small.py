"""Small callbacks: a log file, functions as hooks, a stop at NaN."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from hornbeam.callbacks.callback import Callback
from hornbeam.typing import FilePath, Logs

__all__ = ["CSVLogger", "LambdaCallback", "TerminateOnNaN"]


class CSVLogger(Callback):
    """Writes the results of each epoch as one line of a CSV file.

    Args:
        filename: Path of the file.
        separator: The text between values.
        append: Whether to append to an existing file instead of replacing it.

    Example:
        >>> CSVLogger("log.csv").sep
        ','
    """

    first_process_only = True

    def __init__(self, filename: FilePath, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        going_on = (
            self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        )
        self._header = not going_on
        if going_on and self.keys is None:
            with open(self.filename, newline="") as file:
                self.keys = next(csv.reader(file, delimiter=self.sep), ["epoch"])[1:]
        if not self.append and not self.params.get("resumed"):
            with open(self.filename, "w", newline=""):
                pass

    def state_dict(self) -> dict[str, Any]:
        size = os.path.getsize(self.filename) if os.path.exists(self.filename) else 0
        return {"keys": self.keys, "header": self._header, "size": size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        keys, size = state["keys"], state["size"]
        if (
            not (
                keys is None
                or (isinstance(keys, list) and all(isinstance(key, str) for key in keys))
            )
            or size < 0
        ):
            raise ValueError(
                f"`keys` must be names and `size` a size, received {keys!r:.80} and {size!r}"
            )
        self.keys, self._header = keys, bool(state["header"])
        # Otherwise the lines of epochs that are repeated would appear twice.
        if os.path.exists(self.filename) and os.path.getsize(self.filename) > size:
            os.truncate(self.filename, size)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
        elif added := sorted(set(logs) - set(self.keys)):
            self._widen(added)
        # Opened for each line, so that a killed process loses none.
        with open(self.filename, "a", newline="") as file:
            writer = csv.DictWriter(
                file, ["epoch", *self.keys], delimiter=self.sep, extrasaction="ignore"
            )
            if self._header:
                writer.writeheader()
                self._header = False
            writer.writerow({"epoch": epoch, **{k: _cell(logs.get(k, "NA")) for k in self.keys}})

    def _widen(self, added: list[str]) -> None:
        """Add columns for results that only later epochs have, such as those of validation."""
        assert self.keys is not None
        self.keys = [*self.keys, *added]
        with open(self.filename, newline="") as file:
            rows = list(csv.DictReader(file, delimiter=self.sep))
        with open(self.filename, "w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", *self.keys], "NA", delimiter=self.sep)
            writer.writeheader()
            writer.writerows(rows)


def _cell(value: Any) -> Any:
    return value if np.ndim(value) == 0 else f'"[{", ".join(map(str, np.ravel(value)))}]"'


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end, on_train_batch_begin, on_train_batch_end: Functions of the
            number of the epoch or batch and the logs.
        on_train_begin, on_train_end: Functions of the logs.
        **kwargs: Functions for further hooks, by the hook's name.

    Example:
        >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch)).on_epoch_end(3, {})
        3
    """

    def __init__(
        self, on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin, "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin, "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }  # fmt: skip
        for name, function in hooks.items():
            if function is not None:
                setattr(self, name, function)
        self.samples_only = not any("batch" in n for n, f in hooks.items() if f is not None)


class TerminateOnNaN(Callback):
    """Stops training when the loss is not finite.

    Small steps run many at a time on the device; training then stops a few steps later.

    Args:
        raise_error: Whether to raise `RuntimeError` instead.

    Example:
        >>> TerminateOnNaN().raise_error
        False
    """

    observes_only = True

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss) and not self.model.stop_training:
            text = f"Batch {batch}: the loss is {loss}, training stops."
            if self.raise_error:
                raise RuntimeError(text)
            print(text)
            self.model.stop_training = True
