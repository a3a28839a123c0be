"""The list that calls callbacks one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hornbeam.callbacks.callback import Callback
from hornbeam.callbacks.history import History
from hornbeam.callbacks.progbar_logger import ProgbarLogger
from hornbeam.core import registry
from hornbeam.core.placement import current_team
from hornbeam.older_words import older_words

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["CallbackList"]


class CallbackList(Callback):
    """Callbacks called one after the other.

    Args:
        callbacks: A callback, the name of one that needs no arguments, such as
            `"TerminateOnNaN"`, or a list of them.
        add_history: Whether a `History` is added where there is none.
        add_progbar: Whether a `ProgbarLogger` is added where there is none.
        model: The model.
        **params: Handed to `set_params`.

    Raises:
        TypeError: If something in the list is no callback.
        ValueError: If no callback has a name.

    Example:
        >>> len(CallbackList([Callback()]).callbacks)
        1
    """

    def __init__(
        self,
        callbacks: Callback | str | Sequence[Callback | str] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Model | None = None,
        **params: Any,
    ):
        super().__init__()
        given: Iterable[Any] = (
            callbacks
            if isinstance(callbacks, (list, tuple))
            else []
            if callbacks is None
            else [callbacks]
        )
        family = registry.family("callback")
        self.callbacks = [family.get(c) if isinstance(c, str) else c for c in given]
        for c in self.callbacks:
            if isinstance(c, type) or not hasattr(c, "on_epoch_end"):
                hint = f" Write `{c.__name__}(...)`." if isinstance(c, type) else ""
                raise TypeError(f"`callbacks` must hold Callback objects, received {c!r}.{hint}")
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    @property
    def called(self) -> list[Callback]:
        """The callbacks whose methods are called in this process; see `first_process_only`."""
        team = current_team()
        if team is None or team.number == 0:
            return self.callbacks
        return [c for c in self.callbacks if not getattr(c, "first_process_only", False)]

    def append(self, callback: Callback) -> None:
        """Add a callback."""
        self.callbacks.append(callback)

    def set_params(self, params: dict[str, Any]) -> None:
        """Hand `params` to all."""
        self.params = params
        for c in self.callbacks:
            c.set_params(params)

    def set_model(self, model: Model) -> None:
        """Hand the model to all."""
        self._model = model
        if getattr(model, "history", None) is None:
            model.history = next((c for c in self.callbacks if isinstance(c, History)), None)
        for c in self.callbacks:
            c.set_model(model)


def _forward(name: str) -> Callable[..., None]:
    counted = "epoch" in name or "batch" in name

    if counted:

        def call(self: CallbackList, index: int, logs: Any = None) -> None:
            for c in self.called:  # callbacks always get logs, as in Keras
                getattr(c, name)(index, {} if logs is None else logs)

        call = older_words(epoch="index", batch="index")(call)
    else:
        # The other form of the same name, without an index.
        def call(self: CallbackList, logs: Any = None) -> None:  # type: ignore[misc]
            for c in self.called:
                getattr(c, name)({} if logs is None else logs)

    call.__name__ = name
    call.__doc__ = getattr(Callback, name).__doc__
    return call


for _name in [n for n in vars(Callback) if n.startswith("on_")]:
    setattr(CallbackList, _name, _forward(_name))
