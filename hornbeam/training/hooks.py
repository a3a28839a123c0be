"""The batch hooks of callbacks: who has them, and how many steps may run between two calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from hornbeam.callbacks import Callback, CallbackList
from hornbeam.training.logs import Logs
from hornbeam.training.plan import Dispatch
from hornbeam.training.requests import EvaluateRequest, FitRequest, PredictRequest, verbosity
from hornbeam.typing import Structure

if TYPE_CHECKING:
    from hornbeam.models.model import Model
    from hornbeam.training.trainable import Trainable

__all__ = ["BatchHooks", "callback_list"]


def callback_list(
    method: str,
    request: FitRequest | EvaluateRequest | PredictRequest,
    model: Trainable,
    epochs: int,
    steps: int | None,
    **more: Any,
) -> CallbackList:
    """Return the callbacks of a request as a list that calls them all, with a progress bar where
    one is wanted.

    Args:
        method: `"fit"`, `"evaluate"` or `"predict"`.
        request: Its arguments; `callbacks` and `verbose` count.
        model: The model.
        epochs: The number of epochs.
        steps: Steps of each, `None` if not known.
        **more: `add_history` of `CallbackList`.
    """
    if isinstance(request.callbacks, CallbackList):
        return request.callbacks
    verbose = verbosity(method, request.verbose)
    return CallbackList(
        request.callbacks,
        add_progbar=verbose != 0,
        model=cast("Model", model),
        verbose=verbose,
        epochs=epochs,
        steps=steps,
        **more,
    )


class BatchHooks:
    """Calls the batch hooks of one kind.

    Args:
        callbacks: The callbacks.
        kind: `"train"`, `"test"` or `"predict"`.
        fixed: The user's `steps_per_execution`: hooks are then called once per dispatch, as in
            Keras. `None` if not set.

    Attributes:
        acts: Whether a callback acts on batches, so that each batch is a dispatch of its own.
        every_step: Whether callbacks get the results of every step although many steps run at a
            time.
    """

    def __init__(self, callbacks: CallbackList, kind: str, fixed: int | None = None):
        self._callbacks, self._kind, self._fixed = callbacks, kind, fixed
        names = [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"]
        if kind == "train":
            names += ["on_batch_begin", "on_batch_end"]
        wanting = [c for c in callbacks.callbacks if any(_overrides(c, name) for name in names)]
        self._acting = [
            c
            for c in wanting
            if not getattr(c, "observes_only", False) and not getattr(c, "samples_only", False)
        ]
        self._observing = [
            c for c in wanting if getattr(c, "observes_only", False) and not _samples(c)
        ]
        self._by_name = {
            (c, name)
            for c in callbacks.callbacks
            for name in names[:2]
            if _takes_logs_by_name(getattr(c, name, None))
        }
        self._sampling = [c for c in wanting if _samples(c)]
        self.acts = bool(self._acting)
        self.every_step = bool(self._observing) and not self._acting and fixed is None

    def most(self) -> int | None:
        """Return the maximum number of steps of the next dispatch; `None` for any number."""
        if self._fixed is not None:
            return None
        if self._acting:
            return 1
        return min(
            (n for c in self._observing if (n := c.steps_until_action()) is not None), default=None
        )

    def begin(self, step: int) -> None:
        """Call the hooks before step `step` of the epoch."""
        if self._acting or self._fixed is not None:
            self._call("begin", self._callbacks.callbacks, step, {})

    def end(self, step: int, dispatch: Dispatch, results: Structure) -> dict[str, Any]:
        """Call the hooks after a dispatch whose first step is `step`; return the results of its
        last step.
        """
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
            self._call("begin", self._observing, number, {})
            self._call("end", self._observing, number, dict(logs))
        self._call("end", self._sampling, last, logs)
        return logs

    def _named(self, results: Any) -> Any:
        return {"outputs": results} if self._kind == "predict" else results

    def _call(self, what: str, callbacks: list[Any], step: int, logs: Any) -> None:
        name = f"on_{self._kind}_batch_{what}"
        called = self._callbacks.called
        for callback in callbacks:
            if callbacks is not called and callback not in called:
                continue
            hook = getattr(callback, name)
            if (callback, name) in self._by_name:
                hook(step, logs=logs)
            else:
                hook(step, logs)


def _takes_logs_by_name(hook: Callable[..., Any] | None) -> bool:
    """Return whether a hook takes its logs by the name `logs` only."""
    try:
        parameters = list(inspect.signature(hook).parameters.values())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(places) < 2 and not any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _samples(callback: Any) -> bool:
    return bool(getattr(callback, "samples_only", False))


def _overrides(callback: Any, hook: str) -> bool:
    own = getattr(callback, hook, None)
    return own is not None and getattr(own, "__func__", own) is not getattr(Callback, hook)
