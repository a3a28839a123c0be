"""A layer's constructor may be called in other words than its own: they are translated first.

`hornbeam.legacy.arguments` announces its translation of the arguments of Keras 1 and 2 here when
`hornbeam` is imported. Nothing in `hornbeam.layers` imports it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["Constructor", "Translation", "announce_translation", "translated"]

Constructor = Callable[..., None]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Translation = Callable[[Any, Constructor, tuple[Any, ...], dict[str, Any]], Arguments]

_translations: list[Translation] = []


def announce_translation(translation: Translation) -> None:
    """Translate what the constructors of Hornbeam's layers are given, from now on.

    Args:
        translation: Takes the layer, its constructor, and the positional and keyword arguments of
            the call; returns the arguments that the constructor gets.
    """
    _translations.append(translation)


def translated(init: Constructor) -> Constructor:
    """Return a constructor that gets its arguments through all announced translations.

    Example:
        >>> @translated
        ... def init(self, units, use_bias=True):
        ...     print(units, use_bias)
        >>> init(None, output_dim=3, bias=False)  # the words of Keras 1
        3 False
    """

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        for translate in _translations:
            args, kwargs = translate(self, init, args, kwargs)
        init(self, *args, **kwargs)

    return wrapped
