"""Older names of arguments: a function takes them beside today's."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["older_words"]

Callee = TypeVar("Callee", bound=Callable[..., Any])


def older_words(**words: str) -> Callable[[Callee], Callee]:
    """Let a function take arguments by their names in Keras 1 and 2 too.

    The older names are in the function's signature, as arguments by name only.

    Args:
        **words: Today's name of each older one; an empty text for a word without effect.

    Example:
        >>> @older_words(losses="loss", inputs="")
        ... def add_loss(loss): return loss
        >>> add_loss(losses=3, inputs=None), str(inspect.signature(add_loss))
        (3, '(loss, *, losses=None, inputs=None)')
    """

    known = frozenset(words)

    def decorate(function: Callee) -> Callee:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if kwargs and not known.isdisjoint(kwargs):
                kwargs = _modern(function.__name__, words, kwargs)
            return function(*args, **kwargs)

        signature = inspect.signature(function)
        own = list(signature.parameters.values())
        added = [
            inspect.Parameter(old, inspect.Parameter.KEYWORD_ONLY, default=None)
            for old in words
            if old not in signature.parameters
        ]
        rest = [p for p in own if p.kind is inspect.Parameter.VAR_KEYWORD]
        plain = [p for p in own if p not in rest]
        wrapper.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*plain, *added, *rest]
        )
        return cast(Callee, wrapper)

    return decorate


def _modern(owner: str, words: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
    """Return arguments by today's names."""
    found = {name: value for name, value in given.items() if name not in words}
    for old, new in words.items():
        if old not in given or not new:
            continue
        if new in found:
            raise TypeError(
                f"{owner}: `{old}` is the older name of `{new}`, received both. Pass only `{new}`."
            )
        found[new] = given[old]
    return found
