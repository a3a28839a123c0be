"""The state of the running layer call: its layer and its `training` value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

__all__ = [
    "enter_call", "inside_call", "late_maker", "leave_call", "running_scope", "training_now",
    "training_scope",
]  # fmt: skip

# `training` of the running call, which the layers inside it inherit; `None` outside any call.
_training: ContextVar[bool | None] = ContextVar("hornbeam_training", default=None)
_running: ContextVar[Any] = ContextVar("hornbeam_running_layer", default=None)


def training_now() -> bool | None:
    """Return `training` of the running call, or `None` if no caller set it."""
    return _training.get()


@contextmanager
def training_scope(training: bool | None) -> Iterator[None]:
    """Set the default of `training` for the calls inside a block.

    Args:
        training: The value for layers whose call does not pass `training`.
    """
    token = _training.set(training)
    try:
        yield
    finally:
        _training.reset(token)


def inside_call() -> bool:
    """Return whether a layer's call is running in this context."""
    return _running.get() is not None


def late_maker() -> str | None:
    """Return the label of the running layer if what is made now comes too late, else `None`.

    A layer may make parts until its first call ends. Later ones would be new in each call.
    """
    layer = _running.get()
    if layer is None:
        return None
    state = layer.__dict__
    if state.get("_late_maker") is not None:
        return str(state["_late_maker"])
    is_late = "_called_shapes" in state and not state.get("_building")
    return str(layer._label()) if is_late else None


@contextmanager
def running_scope(layer: Any) -> Iterator[None]:
    """Make `layer` the running one inside a block."""
    token = _running.set(layer)
    try:
        yield
    finally:
        _running.reset(token)


def enter_call(layer: Any, training: bool | None) -> tuple[Token, Token]:
    """Start a call of `layer`; return the tokens that `leave_call` needs.

    A pair of functions, because every layer call runs them and a context manager is slower.
    """
    return _training.set(training), _running.set(layer)


def leave_call(tokens: tuple[Token, Token]) -> None:
    """End the call that `enter_call` started."""
    _training.reset(tokens[0])
    _running.reset(tokens[1])
