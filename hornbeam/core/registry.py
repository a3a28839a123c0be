"""What names mean: the user's classes and functions, and the families of Hornbeam's own parts.

A file names classes; they are found here. Nothing that a file names is imported, and no name is
looked up by `getattr`: only what announced or registered itself can be found. So configuration code
imports no family, and a new family needs no line of configuration code.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from hornbeam.typing import CustomObjects, Identifier

__all__ = [
    "AnnouncedFamily",
    "CustomObjectScope",
    "announce",
    "custom_object_scope",
    "families",
    "family",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
]

_registered: dict[str, Any] = {}
_names: dict[Any, str] = {}
_custom: dict[str, Any] = {}
_lock = threading.Lock()
_scope: ContextVar[dict[str, Any]] = ContextVar("hornbeam_custom_objects", default={})  # noqa: B039  (replaced, never changed)


# --- the user's own classes and functions -------------------------------------------------------


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """Register a class or function of yours, so that files that hold it can be loaded.

    Args:
        package: Prefix of its name in files.
        name: Its name in files. Default: its own name.

    Returns:
        A decorator that returns its argument unchanged.

    Raises:
        ValueError: If a class has no `get_config`.

    Example:
        >>> @register_keras_serializable("demo")
        ... def double(x):
        ...     return 2 * x
        >>> get_registered_name(double)
        'demo>double'
    """

    def register(target: Any) -> Any:
        if inspect.isclass(target) and not hasattr(target, "get_config"):
            raise ValueError(
                f"register_keras_serializable: class {target.__name__} has no `get_config`. Add the"
                " method; it returns the constructor's arguments as a dict."
            )
        full = f"{package}>{name or target.__name__}"
        with _lock:
            _registered[full] = target
            _names[target] = full
        return target

    return register


def get_registered_name(obj: Any) -> str:
    """Return the name under which a class or function is registered, or its own name.

    Example:
        >>> get_registered_name(print)
        'print'
    """
    try:
        return _names.get(obj) or obj.__name__
    except TypeError:
        return obj.__name__


def get_registered_object(
    name: str, custom_objects: CustomObjects = None, module_objects: CustomObjects = None
) -> Any:
    """Return the object that is registered, or in scope, under `name`, or `None`.

    Args:
        name: The name.
        custom_objects: A table that is searched first.
        module_objects: A table that is searched last.

    Example:
        >>> get_registered_object("nothing") is None
        True
    """
    for table in (custom_objects or {}, _scope.get(), _custom, _registered, module_objects or {}):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """Return the process's table of custom objects. You may change it.

    Example:
        >>> get_custom_objects()
        {}
    """
    return _custom


class custom_object_scope:
    """Make classes and functions known by name inside a block.

    Args:
        custom_objects: Mapping of names to classes or functions. `None`: none.

    Raises:
        TypeError: If it is not a mapping.

    Example:
        >>> with custom_object_scope({"twice": lambda x: 2 * x}):
        ...     get_registered_object("twice")(3)
        6
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None = None):
        custom_objects = {} if custom_objects is None else custom_objects
        if not isinstance(custom_objects, Mapping):
            raise TypeError(f"custom_object_scope: expected a dict, received {custom_objects!r}.")
        self._objects = dict(custom_objects)

    def __enter__(self) -> custom_object_scope:
        self._token = _scope.set({**_scope.get(), **self._objects})
        return self

    def __exit__(self, *exc: object) -> None:
        _scope.reset(self._token)


CustomObjectScope = custom_object_scope


# --- the families of Hornbeam's own parts ---------------------------------------------------------


class AnnouncedFamily(Protocol):
    """What a family offers to code below it (`hornbeam.objects.family.Family` is the one class)."""

    name: str
    module: str
    base: type | tuple[type, ...]
    in_files: bool

    @property
    def members(self) -> Mapping[str, Any]:
        """Public classes and functions of the family, by name."""

    def find_class(self, name: str) -> type | None:
        """Return the class that a file means by `name`, or `None`."""

    def get(self, identifier: Identifier, **arguments: Any) -> Any:
        """Return the part that a name, a configuration, a class, a function or an object means."""


_families: dict[str, AnnouncedFamily] = {}


def announce(family: AnnouncedFamily) -> None:
    """Make a family known. From now on files can name its classes, if it is `in_files`."""
    with _lock:
        _families[family.module] = family


def families() -> dict[str, AnnouncedFamily]:
    """Return the families whose classes files can name, by Keras's module."""
    return {module: family for module, family in _families.items() if family.in_files}


def family(name: str) -> AnnouncedFamily:
    """Return the announced family of a name such as `"initializer"`.

    Raises:
        LookupError: If there is none, because its module has not been imported.
    """
    for found in _families.values():
        if found.name == name:
            return found
    raise LookupError(f"No family is called {name!r}: import its module first.")
