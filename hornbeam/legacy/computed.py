"""Attributes that follow from others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Computed"]


class Computed:
    """A property that an object may set: unlike `property`, it leaves the attribute free.

    Args:
        compute: Function of the object.

    Example:
        >>> class Square:
        ...     size = 2
        ...     area = Computed(lambda square: square.size**2)
        >>> Square().area
        4
    """

    def __init__(self, compute: Callable[[Any], Any]):
        self.compute, self.__doc__ = compute, compute.__doc__

    def __get__(self, instance: Any, cls: type) -> Any:
        return self if instance is None else self.compute(instance)
