"""Mappings from patterns of paths to values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from hornbeam.core.loading import refuse_slow_pattern

__all__ = ["PatternMap"]


class PatternMap(MutableMapping[str, Any]):
    """A mapping from patterns to values with lookup by path.

    A pattern is a regular expression that must match the full path.

    Args:
        default: The value for paths that match no pattern.
        entries: Patterns and values.

    Raises:
        ValueError: On a lookup, if several patterns match; on assignment, if the pattern is set
            already.

    Example:
        >>> chosen = PatternMap("sgd", {".*encoder.*": "adam"})
        >>> chosen["net/encoder/kernel"], chosen["net/head/kernel"]
        ('adam', 'sgd')
    """

    def __init__(self, default: Any, entries: Mapping[str, Any] | None = None):
        self._default = default
        self._entries: dict[str, Any] = {}
        for pattern, value in (entries or {}).items():
            self[pattern] = value

    def _value(self, value: Any) -> Any:
        """Return the value to store. Subclasses override it to convert or check the value."""
        return value

    def matching(self, path: str) -> list[str]:
        """Return the patterns that match `path`; only the equal one, if there is one."""
        return (
            [path] if path in self._entries else [p for p in self._entries if re.fullmatch(p, path)]
        )

    def __getitem__(self, path: str) -> Any:
        found = self.matching(path)
        if len(found) > 1:
            raise ValueError(
                f"{type(self).__name__}: several patterns match '{path}': {found}. Make them"
                " exclude each other."
            )
        return self._entries[found[0]] if found else self._default

    def __setitem__(self, pattern: str, value: Any) -> None:
        if pattern in self._entries:
            raise ValueError(f"{type(self).__name__}: {pattern!r} is set already; delete it first.")
        refuse_slow_pattern(f"{type(self).__name__}: `entries`", pattern)
        self._entries[pattern] = self._value(value)

    def __delitem__(self, pattern: str) -> None:
        del self._entries[pattern]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} default={self._default!r}, patterns={self._entries!r}>"
