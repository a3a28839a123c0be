"""The state of the running layer call: its depth and its `training` value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token

__all__ = ["enter_call", "inside_call", "leave_call", "training_now", "training_scope"]

# `training` of the running call, which the layers inside it inherit; `None` outside any call.
_training: ContextVar[bool | None] = ContextVar("hornbeam_training", default=None)
_depth: ContextVar[int] = ContextVar("hornbeam_call_depth", default=0)


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
    return _depth.get() > 0


def enter_call(training: bool | None) -> tuple[Token, Token]:
    """Start a call; return the tokens that `leave_call` needs.

    A pair of functions, because every layer call runs them and a context manager is slower.
    """
    return _training.set(training), _depth.set(_depth.get() + 1)


def leave_call(tokens: tuple[Token, Token]) -> None:
    """End the call that `enter_call` started."""
    _training.reset(tokens[0])
    _depth.reset(tokens[1])
