"""Results of steps by name, which stay on the device until somebody reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam import tree
from hornbeam.core.results import Results

if TYPE_CHECKING:
    from _collections_abc import dict_items, dict_values

__all__ = ["Logs"]


class Logs(Results):
    """A dict of results whose first reading of a value fetches all values from the device.

    Whatever way they are read, numbers are Python floats and results with axes are NumPy arrays.
    Names and their number can be read without a wait.

    Args:
        values: Results by name: numbers or arrays.

    Example:
        >>> logs = Logs({"loss": np.float32(0.5)})
        >>> dict(logs), {**logs}, logs | {"more": 1.0}
        ({'loss': 0.5}, {'loss': 0.5}, {'loss': 0.5, 'more': 1.0})
    """

    def __init__(self, values: Mapping[str, Any] | None = None):
        super().__init__(values or {})
        self._is_fetched = not self

    def read(self) -> Logs:
        """Fetch all values; return these logs."""
        if not self._is_fetched:
            self._is_fetched = True
            for name, value in list(super().items()):
                super().__setitem__(name, _on_host(value))
        return self

    # Python copies a dict without calling its methods, `dict(logs)` and `{**logs}` included, unless
    # `__iter__` is defined.
    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def __getitem__(self, name: str) -> Any:
        return dict.__getitem__(self.read(), name)

    def __eq__(self, other: object) -> bool:
        return dict.__eq__(self.read(), other.read() if isinstance(other, Logs) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]  # as every dict; mypy's stubs want a method

    def __repr__(self) -> str:
        return dict.__repr__(self.read())

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return self.__reduce__()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or `default` where the name is missing."""
        return Results.get(self.read(), name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """Remove a name; return its value, or the default where the name is missing."""
        return dict.pop(self.read(), name, *default)

    def popitem(self) -> tuple[str, Any]:
        """Remove the last name; return it and its value."""
        return dict.popitem(self.read())

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the value of a name, after setting it to `default` where it is missing."""
        return dict.setdefault(self.read(), name, default)

    def items(self) -> dict_items[str, Any]:
        """Return names and values."""
        return dict.items(self.read())

    def values(self) -> dict_values[str, Any]:
        """Return the values."""
        return dict.values(self.read())

    def copy(self) -> dict[str, Any]:
        """Return a plain dict."""
        return dict(self)


def _on_host(value: Any) -> Any:
    """Return a number as a float, an array with axes as a NumPy array, and anything else as it is,
    part by part.
    """
    if tree.is_nested(value):
        return tree.map_structure(_on_host, value)
    if value is None or isinstance(value, (str, bytes)):
        return value
    array = np.asarray(value)
    if array.ndim:
        return array
    return float(array) if array.dtype.kind in "biufV" else value  # V: bfloat16 and 8-bit floats
