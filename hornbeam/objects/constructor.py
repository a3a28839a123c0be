"""Configurations derived from constructors, which make `get_config` optional in classes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from hornbeam.core.provenance import is_library_code
from hornbeam.objects.configuration import deserialize, serialize

__all__ = [
    "captured_arguments", "constructor_arguments", "constructor_config", "from_constructor_config",
]  # fmt: skip


def constructor_config(obj: object, base: type, skip: Any = ()) -> dict[str, Any]:
    """Return the values of an object's constructor arguments, ready for JSON.

    The value of an argument is the attribute of the same name, or the value that the constructor
    received if there is no attribute. A class that overrides `get_config` and calls this through
    `super()` adds its arguments itself, so only the arguments of its parents are included.

    Args:
        obj: The object.
        base: Base class; the arguments of its constructor are not included.
        skip: Names to omit.
    """
    cls = getattr(type(obj), "_of", type(obj))
    chain = list(cls.__mro__)
    chain = chain[: chain.index(base)]
    overriding = [
        i for i, c in enumerate(chain) if "get_config" in c.__dict__ and not is_library_code(c)
    ]
    if overriding:
        chain = chain[overriding[-1] + 1 :]
    names: dict[str, Any] = {}
    captured = captured_arguments(obj)
    own = True
    for c in chain:
        if "__init__" not in c.__dict__:
            continue
        parameters = list(inspect.signature(c.__dict__["__init__"]).parameters.values())[1:]
        for p in parameters:
            if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) or p.name in skip:
                continue
            # The subclass supplies a required argument of a parent that the caller did not give.
            if own or p.default is not p.empty or p.name in captured:
                names.setdefault(p.name, p.default)
        own = False
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    config = {}
    for name, default in names.items():
        if name in obj.__dict__ or (hasattr(type(obj), name) and hasattr(obj, name)):
            value = getattr(obj, name)
        elif f"_{name}" in obj.__dict__:
            value = obj.__dict__[f"_{name}"]
        else:
            value = captured.get(name, None if default is inspect.Parameter.empty else default)
        try:
            config[name] = serialize(value)
        except ValueError as error:
            raise ValueError(
                f"{cls.__name__}: argument `{name}` cannot be saved. {error}"
            ) from None
    return config


def captured_arguments(obj: object) -> dict[str, Any]:
    """Return by name the arguments with which an object was created, without defaults."""
    cls = getattr(type(obj), "_of", type(obj))
    args, kwargs = getattr(obj, "_captured", ((), {}))
    constructor: Any = inspect.getattr_static(cls, "__init__")
    if constructor is object.__init__:  # its signature is slow to parse
        return dict(kwargs)
    signature = inspect.signature(constructor)
    try:
        bound = signature.bind(obj, *args, **kwargs)
    except TypeError:
        return dict(kwargs)
    arguments = dict(list(bound.arguments.items())[1:])  # without `self`
    for p in signature.parameters.values():
        if p.kind is p.VAR_KEYWORD:
            arguments.update(arguments.pop(p.name, {}))
    return arguments


def from_constructor_config(cls: type, config: Mapping[str, Any]) -> Any:
    """Make an object from the result of `constructor_config`.

    Raises:
        TypeError: If the constructor does not take an argument of the config.
    """
    try:
        return cls(**constructor_arguments(config))
    except TypeError as error:
        raise TypeError(
            f"{cls.__name__}.from_config: {error} The config is {dict(config)!r:.300}."
        ) from error


def constructor_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of `constructor_config` with objects in place of their configurations."""
    values = {}
    for key, value in config.items():
        nested = isinstance(value, Mapping) and "class_name" in value and "config" in value
        lists = isinstance(value, (list, tuple)) and any(
            isinstance(v, Mapping) and "class_name" in v for v in value
        )
        values[key] = deserialize(value) if (nested or lists) else value
    return values
