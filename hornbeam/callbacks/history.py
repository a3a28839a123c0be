"""`History`: the results of every epoch."""

from __future__ import annotations

from typing import Any

from hornbeam.callbacks.callback import Callback
from hornbeam.core.results import Results
from hornbeam.typing import Logs

__all__ = ["History"]


class History(Callback):
    """Collects each epoch's results; `fit` returns it.

    Attributes:
        epoch: Numbers of the epochs.
        history: Lists of values by name. `acc` finds `accuracy` too.

    Example:
        >>> h = History(); h.on_epoch_end(0, {"loss": 1.0}); h.history
        {'loss': [1.0]}
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = Results()

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch, self.history = [], Results()

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "history": dict(self.history)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch = list(state["epoch"])
        self.history = Results({name: list(values) for name, values in state["history"].items()})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        if self.model is not None:
            self.model.history = self
