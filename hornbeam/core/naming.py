"""Unique names as Keras gives them, and name scopes."""

from __future__ import annotations

import collections
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import jax

__all__ = [
    "auto_name", "current_path", "name_scope", "nested_by_path", "outside_of", "reset_names",
    "scopes_in_traces", "to_snake_case",
]  # fmt: skip

_counters: collections.Counter[str] = collections.Counter()
_lock = threading.Lock()
_scopes: ContextVar[tuple[str, ...]] = ContextVar("hornbeam_name_scopes", default=())
_in_traces: ContextVar[bool] = ContextVar("hornbeam_scopes_in_traces", default=False)


def to_snake_case(name: str) -> str:
    """Return a class name in snake case, as names of instances have it.

    Example:
        >>> to_snake_case("MaxPooling2D"), to_snake_case("LSTM"), to_snake_case("RMSprop")
        ('max_pooling2d', 'lstm', 'rm_sprop')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """Return `prefix` in snake case, with a number from its second use on.

    Example:
        >>> reset_names(); auto_name("Dense"), auto_name("Dense")
        ('dense', 'dense_1')
    """
    prefix = to_snake_case(prefix)
    with _lock:
        count = _counters[prefix]
        _counters[prefix] += 1
    return f"{prefix}_{count}" if count else prefix


def reset_names() -> None:
    """Restart the numbering of names."""
    with _lock:
        _counters.clear()


def current_path() -> str:
    """Return the names of the open scopes, joined by slashes.

    Example:
        >>> with name_scope("block"), name_scope("dense"):
        ...     current_path()
        'block/dense'
    """
    return "/".join(_scopes.get())


@contextmanager
def no_scope() -> Iterator[None]:
    """Open no scope, where a context is needed but `name_scope` is not wanted.

    Example:
        >>> with no_scope():
        ...     current_path()
        ''
    """
    yield


@contextmanager
def outside_of(name: str) -> Iterator[None]:
    """Leave the innermost scope inside the block, if it is called `name`.

    Example:
        >>> with name_scope("net"), outside_of("net"):
        ...     current_path()
        ''
    """
    scopes = _scopes.get()
    token = _scopes.set(scopes[:-1] if scopes and scopes[-1] == name else scopes)
    try:
        yield
    finally:
        _scopes.reset(token)


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Prefix the paths of variables created inside by `name`.

    Args:
        name: One path element, without slashes.

    Example:
        >>> with name_scope("encoder") as path:
        ...     path
        'encoder'
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"name_scope: expected a non-empty string, received {name!r}.")
    token = _scopes.set((*_scopes.get(), name))
    try:
        with jax.named_scope(name) if _in_traces.get() else nullcontext():
            yield current_path()
    finally:
        _scopes.reset(token)


@contextmanager
def scopes_in_traces() -> Iterator[None]:
    """Write the names of scopes into what JAX traces inside the block."""
    token = _in_traces.set(True)
    try:
        yield
    finally:
        _in_traces.reset(token)


def nested_by_path(owner: str, variables: Iterable[Any], value: Callable[[Any], Any]) -> dict:
    """Return the values of variables as dicts, nested by the parts of the variables' paths.

    Args:
        owner: What needs unique paths, for the error message.
        variables: The variables.
        value: Returns the value of one.

    Raises:
        ValueError: If two variables have one path, or the path of one is the beginning of another.
    """
    nested: dict[str, Any] = {}
    for variable in variables:
        *outer, last = variable.path.split("/")
        place: Any = nested
        for part in outer:
            place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last in place:
            raise ValueError(
                f"{owner}: two variables have the path '{variable.path}'. Give the layers unique"
                " names."
            )
        place[last] = value(variable)
    return nested
