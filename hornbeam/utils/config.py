"""`Config`: a dictionary whose entries are also attributes."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import Any

__all__ = ["Config"]


class Config(MutableMapping):
    """Dictionary of settings whose entries are also attributes, and which can be frozen.

    Args:
        **kwargs: The entries.

    Raises:
        ValueError: If an entry is set or deleted while the settings are frozen.
        AttributeError: If an attribute is read that is not an entry.

    Example:
        >>> settings = Config(units=8)
        >>> settings.rate = 0.1
        >>> settings["units"], settings.rate
        (8, 0.1)
    """

    def __init__(self, **kwargs: Any):
        object.__setattr__(self, "_config", dict(kwargs))
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether changes raise an error."""
        return self._frozen

    def freeze(self) -> None:
        """Make later changes raise an error."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Allow changes again."""
        object.__setattr__(self, "_frozen", False)

    def as_dict(self) -> dict[str, Any]:
        """Return the entries as a new dictionary."""
        return dict(self._config)

    def to_json(self) -> str:
        """Return the entries as JSON."""
        return json.dumps(self._config)

    def __getitem__(self, key: str) -> Any:
        return self._config[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._check_changes(key)
        self._config[key] = value

    def __delitem__(self, key: str) -> None:
        self._check_changes(key)
        del self._config[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._config)

    def __len__(self) -> int:
        return len(self._config)

    def __getattr__(self, name: str) -> Any:
        # Copying and unpickling read attributes before the entries exist.
        entries = self.__dict__.get("_config", {})
        if name not in entries:
            raise AttributeError(f"Config: no entry {name!r}; the entries are {list(entries)}.")
        return entries[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._config:
            raise AttributeError(
                f"Config: no entry {name!r}; the entries are {list(self._config)}."
            )
        del self[name]

    def __repr__(self) -> str:
        return f"<Config {self._config}>"

    def _check_changes(self, key: str) -> None:
        if self._frozen:
            raise ValueError(
                f"Config: {key!r} cannot be changed while frozen. Call `unfreeze()` first."
            )
