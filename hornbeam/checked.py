"""Constructors that check their arguments against their annotations.

`@checked` reads the annotations of an `__init__` and rejects unknown arguments, wrong types and
values out of range. The signature therefore documents the accepted values, and constructors need no
code for the checks. Bounds are part of the annotation: `Momentum` is a number of at least 0 and
below 1. Arguments annotated `Any`, or with a named type such as `Identifier`, are not checked.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import numbers
import types
import typing
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeAlias, TypeVar

import numpy as np

from hornbeam import errors

__all__ = [
    "Count",
    "Fraction",
    "Momentum",
    "NonNegative",
    "Positive",
    "Range",
    "check",
    "checked",
    "named",
    "show_passed_on",
    "unexpected",
]

_Init = TypeVar("_Init", bound=Callable[..., None])


@dataclasses.dataclass(frozen=True)
class Range:
    """The bounds of a number, used in annotations.

    Example:
        >>> str(Range(at_least=0, below=1)), Range(at_least=0, below=1).holds(1.0)
        ('of at least 0 and below 1', False)
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def holds(self, value: Any) -> bool:
        """Return whether `value` is within the bounds; traced values always are."""
        try:
            return bool(
                (self.at_least is None or value >= self.at_least)
                and (self.above is None or value > self.above)
                and (self.at_most is None or value <= self.at_most)
                and (self.below is None or value < self.below)
            )
        except TypeError:  # a traced value
            return True

    def __str__(self) -> str:
        words = {
            "at_least": "of at least",
            "above": "above",
            "at_most": "at most",
            "below": "below",
        }
        given = ((word, getattr(self, name)) for name, word in words.items())
        return " and ".join(f"{word} {bound}" for word, bound in given if bound is not None)


Momentum: TypeAlias = Annotated[float, Range(at_least=0, below=1)]
"""Fraction of a moving average that is kept at each step. With 1, it would never change."""

Fraction: TypeAlias = Annotated[float, Range(at_least=0, at_most=1)]
"""A number from 0 to 1."""

NonNegative: TypeAlias = Annotated[float, Range(at_least=0)]
"""A number that is not negative."""

Positive: TypeAlias = Annotated[float, Range(above=0)]
"""A number above 0."""

Count: TypeAlias = Annotated[int, Range(at_least=1)]
"""An integer of at least 1."""


def checked(init: _Init) -> _Init:
    """Make a constructor check its arguments against its annotations.

    Checks the annotations `bool` (accepts 0 and 1 too), `int`, `float` (any real number, or a
    scalar array or variable, but not NaN), `str`, `Literal`, sequences, `Callable`, classes,
    `Range`, and unions of these. Other annotations are not checked.

    Raises:
        TypeError: When the constructor is called, if an argument is unknown or missing.
        ValueError: When the constructor is called, if an argument has the wrong type or is out of
            range.

    Example:
        >>> class Average:
        ...     @checked
        ...     def __init__(self, momentum: Momentum = 0.9):
        ...         self.momentum = momentum
        >>> Average(momentum=1.0)
        Traceback (most recent call last):
        ValueError: Average: `momentum` must be a number of at least 0 and below 1, received 1.0.
    """
    signature = inspect.signature(init)
    # Annotations are evaluated as code. This must not happen in a call, while a file is loaded.
    hints = typing.get_type_hints(init, include_extras=True)

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            given = signature.bind(self, *args, **kwargs).arguments
        except TypeError as error:
            raise _unfit(type(self), signature, kwargs, error) from None
        for name, hint in hints.items():
            if name in given:
                check(type(self).__name__, name, given[name], hint)
        init(self, *args, **kwargs)

    return typing.cast(_Init, wrapper)


def named(init: _Init) -> _Init:
    """Make a constructor's error for an unknown argument suggest the most similar known one.

    Example:
        >>> class Average:
        ...     @named
        ...     def __init__(self, momentum=0.9): ...
        >>> Average(momentu=1)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        hornbeam.errors.ArgumentError: Average: unexpected argument 'momentu'. Did you mean ...
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise _unfit(type(self), signature, kwargs, error) from None
        init(self, *args, **kwargs)

    return typing.cast(_Init, wrapper)


def check(owner: str, name: str, value: Any, hint: Any) -> None:
    """Raise `ValueError` if an argument does not satisfy an annotation.

    Example:
        >>> check("Average", "momentum", 0.5, Momentum)
    """
    if not _fits(value, hint):
        raise ValueError(
            f"{owner}: `{name}` must be {_wording(hint)}, received {errors.describe(value)}."
        )


def unexpected(cls: type, names: Iterable[str]) -> TypeError:
    """Return the error for unknown arguments of a constructor, with the most similar known ones.

    Example:
        >>> class Average:
        ...     def __init__(self, momentum=0.9): ...
        >>> str(unexpected(Average, ["momentun"]))
        "Average: unexpected argument 'momentun'. Did you mean 'momentum'?"
    """
    return errors.unexpected(cls.__name__, names, argument_names(cls))


def _unfit(
    cls: type, signature: inspect.Signature, kwargs: dict[str, Any], error: TypeError
) -> TypeError:
    unknown = [name for name in kwargs if name not in signature.parameters]
    takes_others = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    return (
        unexpected(cls, unknown)
        if unknown and not takes_others
        else TypeError(f"{cls.__name__}: {error}.")
    )


def argument_names(cls: type) -> list[str]:
    """Return the argument names of a constructor, including those passed on to its parents."""
    names: list[str] = []
    for c in cls.__mro__[:-1]:
        if "__init__" in c.__dict__:
            parameters = list(inspect.signature(c.__dict__["__init__"]).parameters.values())[1:]
            names += [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return list(dict.fromkeys(names))


def show_passed_on(init: Callable[..., None], base: Callable[..., None]) -> None:
    """Put the arguments that `init` passes on to `base` by `**kwargs` into its signature.

    Wrappers of constructors read the signature.

    Example:
        >>> def base(self, name=None): ...
        >>> def init(self, rate, **kwargs): ...
        >>> show_passed_on(init, base); str(inspect.signature(init))
        '(self, rate, *, name=None, **kwargs)'
    """
    signature = inspect.signature(init)
    others = [p for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD]
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    if others:
        passed = [
            p.replace(kind=p.KEYWORD_ONLY)
            for p in list(inspect.signature(base).parameters.values())[1:]
            if p.name not in signature.parameters and p.kind is not p.VAR_KEYWORD
        ]
        init.__signature__ = signature.replace(  # type: ignore[attr-defined]  # functions have it
            parameters=[*own, *passed, *others]
        )


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value satisfies an annotation."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin is Annotated:
        if any(isinstance(extra, str) for extra in hint.__metadata__):
            return True  # a named type of `hornbeam.typing`
        ranges = [extra for extra in hint.__metadata__ if isinstance(extra, Range)]
        return _fits(value, parts[0]) and all(extra.holds(value) for extra in ranges)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is typing.Literal:
        return isinstance(value, str | None) and value in parts
    if origin is collections.abc.Callable:
        return callable(value) and not isinstance(value, type)
    if origin in (collections.abc.Sequence, list, tuple):
        listed = isinstance(value, collections.abc.Sequence) and not isinstance(value, str)
        listed = listed or getattr(value, "ndim", 0) == 1
        return listed and all(_fits(item, parts[0]) for item in value)
    if hint is bool:
        return isinstance(value, bool | np.bool_) or (
            _is_number(value, numbers.Integral) and value in (0, 1)
        )
    if hint is float or hint is int:
        return _is_number(value, numbers.Real if hint is float else numbers.Integral)
    cls = hint if origin is None else origin
    return isinstance(value, cls) if isinstance(cls, type) else True


def _is_number(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, kind):
        return bool(value == value)  # not NaN
    if getattr(value, "shape", None) != () or not hasattr(value, "dtype"):
        return False
    named = str(value.dtype)  # an array, a variable or a traced value
    return named.startswith(("int", "uint")) or (kind is numbers.Real and "float" in named)


def _wording(hint: Any) -> str:
    """Return a description of the values that an annotation accepts."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        ranges = [str(extra) for extra in hint.__metadata__ if isinstance(extra, Range)]
        return " ".join([_wording(parts[0]), *ranges])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_wording, parts)))
    if origin is typing.Literal:
        return errors.listed(parts)
    if origin is collections.abc.Callable:
        return "a function"
    if origin in (collections.abc.Sequence, list, tuple):
        return f"a list, each item {_wording(parts[0])}"
    words = {
        bool: "True or False",
        int: "an integer",
        float: "a number",
        str: "a string",
        type(None): "None",
    }
    name = getattr(hint, "__name__", str(hint))
    return words.get(hint, f"an {name}" if name[0] in "AEIOU" else f"a {name}")
