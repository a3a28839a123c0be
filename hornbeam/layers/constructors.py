"""Translation of older arguments before a layer's constructor runs.

When `hornbeam` is imported, `hornbeam.legacy.arguments` registers its translation of the arguments
of Keras 1 and 2 here. Nothing in `hornbeam.layers` imports it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from hornbeam import errors
from hornbeam.core.tracebacks import shortened

__all__ = ["Constructor", "Translation", "announce_translation", "translated"]

Constructor = Callable[..., None]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Translation = Callable[[Any, Constructor, tuple[Any, ...], dict[str, Any]], Arguments]

_translations: list[Translation] = []


def announce_translation(translation: Translation) -> None:
    """Register a translation of the arguments of all constructors of Hornbeam's layers.

    Args:
        translation: Function of the layer, its constructor, and the positional and keyword
            arguments of the call. Returns the arguments for the constructor.
    """
    _translations.append(translation)


def translated(init: Constructor) -> Constructor:
    """Wrap a constructor to apply all registered translations to its arguments.

    Example:
        >>> @translated
        ... def init(self, units, use_bias=True):
        ...     print(units, use_bias)
        >>> init(None, output_dim=3, bias=False)  # the names of Keras 1
        3 False
    """

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        given = dict(kwargs)
        for translate in _translations:
            args, kwargs = translate(self, init, args, kwargs)
        try:
            init(self, *args, **kwargs)
        except Exception as error:
            if isinstance(error, ValueError):
                taken = inspect.signature(init).bind_partial(self, *args, **kwargs).arguments
                taken |= taken.pop("kwargs", {})
                layer = type(self).__name__
                errors.reworded(error, lambda text: _as_written(text, layer, given, taken))
            raise shortened(error) from error.__cause__

    return wrapped


def _as_written(text: str, layer: str, given: dict[str, Any], taken: dict[str, Any]) -> str:
    """Return the text of an error with the names of arguments that the caller wrote."""
    if text.startswith("`data_format`"):
        text = f"{layer}: {text}"
    older = [name for name in given if name not in taken]
    for new in [name for name in taken if name not in given]:
        for old in older:
            if given[old] is taken[new]:
                text = text.replace(f"`{new}`", f"`{old}`")
    return text
