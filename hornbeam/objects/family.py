"""Families of parts: lookup by name, serialization and deserialization."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from hornbeam import errors
from hornbeam.core import registry
from hornbeam.core.naming import to_snake_case
from hornbeam.core.provenance import refuse_real_keras
from hornbeam.objects import configuration
from hornbeam.objects.older_form import older_form
from hornbeam.older_words import older_words
from hornbeam.typing import CustomObjects

__all__ = ["Family"]

_FUNCTIONS = ("get", "serialize", "deserialize")


def _instance(found: Any, **arguments: Any) -> Any:
    """Return an instance if `found` is a class, else `found`."""
    return found(**arguments) if isinstance(found, type) else found


class Family:
    """One kind of part, such as initializers. The constructor announces the family.

    Args:
        name: Name of a part in error messages, such as `"initializer"`.
        base: Base class or classes of the family's objects; `()` for plain functions.
        module: Module of the family's classes in Keras's files.
        namespace: `globals()` of the family's module. Its `__all__` lists the members.
        names: Parts by the names that `get` accepts. Default: the members, without `base`.
        spellings: Additional names for `get`.
        make: Makes a part from an entry of `names`. Default: creates an instance of a class.
        takes_functions: Whether a plain function can be a part.
        in_files: Whether files may name the family's classes.
        read_as: Classes for names in files that differ from the member of that name.
        for_none: Result of `get(None)`.

    Example:
        >>> from hornbeam.initializers import INITIALIZERS
        >>> INITIALIZERS.get("he_normal").seed is None
        True
    """

    def __init__(
        self,
        name: str,
        base: type | tuple[type, ...],
        module: str,
        namespace: Mapping[str, Any],
        *,
        names: Mapping[str, Any] | None = None,
        spellings: Mapping[str, Any] | None = None,
        make: Callable[..., Any] = _instance,
        takes_functions: bool = True,
        in_files: bool = True,
        read_as: Mapping[str, type] | None = None,
        for_none: Any = None,
    ):
        self.name, self.base, self.module = name, base, module
        self._bases = base if isinstance(base, tuple) else (base,)
        self._namespace, self._given, self._spellings = namespace, names, spellings or {}
        self._make, self._takes_functions = make, takes_functions
        self._read_as, self._for_none = read_as or {}, for_none
        self.in_files = in_files
        registry.announce(self)

    @functools.cached_property
    def members(self) -> dict[str, Any]:
        """Public classes and functions of the family, by name."""
        return {
            name: self._namespace[name]
            for name in self._namespace["__all__"]
            if name not in _FUNCTIONS
        }

    @functools.cached_property
    def names(self) -> dict[str, Any]:
        """Parts by the names that `get` accepts."""
        if self._given is not None:
            return dict(self._given)
        return {key: part for key, part in self.members.items() if part not in self._bases} | dict(
            self._spellings
        )

    def find_class(self, name: str) -> type | None:
        """Return the class for a name in a file, or `None`."""
        found = self._read_as.get(name, self.members.get(name))
        return found if isinstance(found, type) else None

    def get(self, identifier: Any, **arguments: Any) -> Any:
        """Return the part for an identifier. An object is returned as it is.

        Args:
            identifier: A name in any of Keras's spellings, a configuration, a class, a function, an
                object, or `None`. Names that the user registered take precedence.
            **arguments: Arguments of the class, if `identifier` is a name or a class.

        Raises:
            ValueError: If a name is unknown, or the identifier has another type.
        """
        if identifier is None:
            return self._for_none
        if isinstance(identifier, self.base):
            return identifier
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if isinstance(identifier, str):
            return self._make(self._named(identifier), **arguments)
        if isinstance(identifier, type) and issubclass(identifier, self.base):
            return self._make(identifier, **arguments)
        refuse_real_keras(f"`{self.name}`", identifier)
        if self._takes_functions and callable(identifier):
            return identifier
        wanted = "name, object or function" if self._takes_functions else "name or object"
        raise ValueError(
            f"Expected {self._article} {self.name}'s {wanted}, received {identifier!r}."
        )

    def serialize(self, part: object) -> Any:
        """Return the configuration of a part, with its class, ready for JSON."""
        return configuration.serialize(part)

    def deserialize(self, config: Any, custom_objects: CustomObjects = None) -> Any:
        """Return the part that a configuration or a name describes.

        Args:
            config: The result of `serialize`, or a configuration written by Keras.
            custom_objects: Custom classes and functions by name.

        Raises:
            ValueError: If the class is unknown or does not belong to this family.
        """
        if isinstance(config, str):
            with registry.custom_object_scope(custom_objects or {}):
                return self.get(config)
        known = {} if self.in_files else self.members
        custom = {**known, **(custom_objects or {})}
        part = config if config is None else self._in_full(config)
        if isinstance(part, Mapping):
            part = configuration.deserialize(part, custom)
        if (
            part is None
            or isinstance(part, self.base)
            or (self._takes_functions and callable(part))
        ):
            return part
        raise ValueError(
            f"Expected the configuration of {self._article} {self.name}, received the"
            f" configuration of {errors.describe(part)}."
        )

    def functions(
        self, argument: str, example: str, config: str = "config"
    ) -> tuple[Callable[..., Any], ...]:
        """Return the public functions `get`, `serialize` and `deserialize` of the family's module.

        Args:
            argument: Keras's name for the argument of `serialize`.
            example: Lines of the example in the functions' docstrings.
            config: Keras's name for the first argument of `deserialize`.
        """

        def get(identifier: Any) -> Any:
            return self.get(identifier)

        def serialize(part: Any, use_legacy_format: bool = False) -> Any:
            config = self.serialize(part)
            return older_form(config) if use_legacy_format else config

        def deserialize(
            config: Any, custom_objects: Any = None, use_legacy_format: bool = False
        ) -> Any:
            return self.deserialize(config, custom_objects)  # which reads both formats

        none = (
            "None"
            if self._for_none is None
            else getattr(self._for_none, "__name__", repr(self._for_none))
        )
        _describe(
            get, self, example,
            f"Return the {self.name} for a name, configuration, class, function or object;"
            f" `{none}` for `None`.",
            "If a name is unknown, or the identifier has another type.",
        )  # fmt: skip
        _describe(
            serialize, self, example,
            f"Return the configuration of {self._article} {self.name}, ready for JSON; with"
            " `use_legacy_format` in the form of Keras 2.",
            "If it has no `get_config`.",
        )  # fmt: skip
        _describe(
            deserialize, self, example,
            f"Return the {self.name} that a configuration or a name describes.",
            f"If it does not describe {self._article} {self.name}.",
        )  # fmt: skip
        read = _with_argument(deserialize, "config", config)
        return (
            get,
            _with_argument(serialize, "part", argument),
            read if config == "name" else older_words(name=config)(read),
        )

    def _named(self, name: str) -> Any:
        found = self._find(name)
        if found is None:
            raise errors.unknown_name(self.name, name, self.names)
        return found

    def _find(self, name: str) -> Any:
        found = registry.get_registered_object(name)
        for spelling in (name, name.lower(), to_snake_case(name)):
            found = self.names.get(spelling) if found is None else found
        return found

    def _in_full(self, config: Any) -> Any:
        """Return the part, or the full configuration, for one that a person wrote.

        It may name the part as `get` does, or in lower case, and lack `config`.
        """
        name = config.get("class_name") if isinstance(config, Mapping) else None
        if not isinstance(name, str) or config.get("registered_name") not in (None, name):
            return config
        config = {"config": {}, **config}
        if self.find_class(name) is not None or registry.get_registered_object(name) is not None:
            return config
        lower = {key.lower(): part for key, part in self.members.items()}
        found = self._find(name) or lower.get(name.lower())
        if isinstance(found, type):
            return {**config, "class_name": found.__name__, "registered_name": None}
        if inspect.isfunction(found) and not config["config"]:
            return self._make(found)
        if inspect.isfunction(found) and self._make is not _instance:  # a function that makes it
            return found(**config["config"])
        return config

    @property
    def _article(self) -> str:
        return "an" if self.name[0] in "aeiou" else "a"


def _describe(function: Any, family: Family, example: str, summary: str, error: str) -> None:
    """Set the docstring of a family's function, and its public module."""
    lines = "\n        ".join(example.strip().splitlines())
    function.__doc__ = (
        f"{summary}\n\n    Raises:\n        ValueError: {error}\n\n    Example:\n       "
        f" {lines}\n    "
    )
    function.__module__ = family._namespace["__name__"]
    function.__qualname__ = function.__name__


def _with_argument(function: Callable[..., Any], old: str, new: str) -> Callable[..., Any]:
    """Return `function` with its argument `old` renamed to `new`, which is Keras's name."""
    if old == new:
        return function
    signature = inspect.signature(function)
    parameters = [
        p.replace(name=new) if p.name == old else p for p in signature.parameters.values()
    ]
    signature = signature.replace(parameters=parameters)

    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return function(*bound.args, **bound.kwargs)

    renamed.__signature__ = signature  # type: ignore[attr-defined]  # read by `inspect`
    return renamed
