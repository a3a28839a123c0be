"""Hooks of batches: which callbacks want them, and how many steps may run between two."""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbeam.callbacks import Callback, CallbackList
from hornbeam.training.plan import Dispatch

__all__ = ["BatchHooks", "Logs"]


class Logs(dict):
    """Results by name that are fetched from the device when somebody reads them."""

    def __init__(self, values: Any):
        super().__init__(values or {})
        self._fetched = False

    def read(self) -> Logs:
        """Fetch all values, as floats (arrays for metrics with several)."""
        if not self._fetched:
            self._fetched = True
            for name, value in list(super().items()):
                array = np.asarray(value) if not isinstance(value, (int, float)) else value
                super().__setitem__(name, float(array) if np.ndim(array) == 0 else array)
        return self

    def __getitem__(self, name: str) -> Any:
        return dict.__getitem__(self.read(), name)

    def get(self, name: str, default: Any = None) -> Any:
        return dict.get(self.read(), name, default)

    def items(self) -> Any:
        return dict.items(self.read())

    def values(self) -> Any:
        return dict.values(self.read())

    def copy(self) -> dict[str, Any]:
        return dict(self.items())


class BatchHooks:
    """Calls the hooks of batches of one kind.

    Args:
        callbacks: The callbacks.
        kind: `"train"`, `"test"` or `"predict"`.
        fixed: Steps a dispatch, as the user said: hooks are then called once a dispatch, as in Keras.

    Attributes:
        acts: Whether a callback acts on batches, so that each runs by itself.
        every_step: Whether results of every step are wanted although many run at a time.
    """

    def __init__(self, callbacks: CallbackList, kind: str, fixed: int | None = None):
        self._callbacks, self._kind, self._fixed = callbacks, kind, fixed
        names = [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"]
        if kind == "train":
            names += ["on_batch_begin", "on_batch_end"]
        wanting = [c for c in callbacks.callbacks if any(_overrides(c, name) for name in names)]
        self._acting = [
            c for c in wanting if not getattr(c, "observes_only", False) and not getattr(c, "samples_only", False)
        ]
        self._observing = [c for c in wanting if getattr(c, "observes_only", False) and not _samples(c)]
        self._sampling = [c for c in wanting if _samples(c)]
        self.acts = bool(self._acting)
        self.every_step = bool(self._observing) and not self._acting and fixed is None

    def most(self) -> int | None:
        """Return the most steps that the next dispatch may have; `None`: any number."""
        if self._fixed is not None:
            return None
        if self._acting:
            return 1
        return min((n for c in self._observing if (n := c.steps_until_action()) is not None), default=None)

    def begin(self, step: int) -> None:
        """Call what comes before step number `step` of the epoch."""
        if self._acting or self._fixed is not None:
            self._call("begin", self._callbacks.callbacks, step, None)

    def end(self, step: int, dispatch: Dispatch, results: Any) -> dict[str, Any]:
        """Call what comes after the steps of a dispatch, which began with `step`; return the last results."""
        last = step + dispatch.steps - 1
        if self._acting or self._fixed is not None:
            logs = Logs(self._named(results))
            shown = dict(logs.read()) if self._acting else logs
            self._call("end", self._callbacks.callbacks, last, shown)
            return logs
        if not self.every_step:
            logs = Logs(self._named(results))
            self._call("end", self._sampling, last, logs)
            return logs
        for number, values in enumerate(dispatch.by_step(results), step):
            logs = Logs(self._named(values)).read()
            self._call("begin", self._observing, number, None)
            self._call("end", self._observing, number, dict(logs))
        self._call("end", self._sampling, last, logs)
        return logs

    def _named(self, results: Any) -> Any:
        return {"outputs": results} if self._kind == "predict" else results

    def _call(self, what: str, callbacks: list[Any], step: int, logs: Any) -> None:
        for callback in callbacks:
            getattr(callback, f"on_{self._kind}_batch_{what}")(step, logs)


def _samples(callback: Any) -> bool:
    return bool(getattr(callback, "samples_only", False))


def _overrides(callback: Any, hook: str) -> bool:
    own = getattr(callback, hook, None)
    return own is not None and getattr(own, "__func__", own) is not getattr(Callback, hook)
