"""Checks of arguments that several constructors share. Each returns the checked value."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from hornbeam import errors
from hornbeam.typing import Shape

__all__ = ["check_axes", "check_choice", "check_flag", "check_name", "check_shape"]

Value = TypeVar("Value")


def check_name(owner: str, name: object) -> str:
    """Return `name`, a string without slashes, since paths join names by them; "" for `None`.

    Args:
        owner: Class for the message.
        name: What the user gave.

    Raises:
        ValueError: If it is something else.

    Example:
        >>> check_name("Variable", "kernel")
        'kernel'
    """
    if name is None:
        return ""
    if not isinstance(name, str) or "/" in name:
        raise ValueError(
            f"{owner}: `name` must be a string without '/', received {name!r:.200}. Choose another"
            " name."
        )
    return name


def check_choice(owner: str, argument: str, value: Value, choices: Iterable[Any]) -> Value:
    """Return `value`, which must be one of `choices`.

    Raises:
        ValueError: If it is not.

    Example:
        >>> check_choice("Variable", "aggregation", "mean", ("none", "mean"))
        'mean'
    """
    choices = tuple(choices)
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise ValueError(
            f"{owner}: `{argument}` must be one of {errors.listed(choices)}, received"
            f" {value!r:.200}."
        )
    return value


def check_flag(owner: str, argument: str, value: object) -> bool:
    """Return `value` as a bool; it must be true or false, as a bool, 0, 1 or `None`.

    Raises:
        ValueError: If it is something else.

    Example:
        >>> check_flag("Variable", "trainable", np.True_)
        True
    """
    if value is not None and not (
        isinstance(value, (bool, int, np.bool_, np.integer)) and value in (0, 1)
    ):
        raise ValueError(f"{owner}: `{argument}` must be True or False, received {value!r:.200}.")
    return bool(value)


def check_axes(owner: str, axis: Any, rank: int, argument: str = "axis") -> tuple[int, ...]:
    """Return one axis or several as numbers from 0 to `rank` - 1, in the order given.

    Args:
        owner: Class or function for the message.
        axis: An integer, or a sequence of integers; negative ones count from the end.
        rank: Number of axes of the tensor.
        argument: Name of the argument for the message.

    Raises:
        ValueError: If the tensor does not have an axis, or an axis is named twice.

    Example:
        >>> check_axes("LayerNormalization", [-1, 0], 3)
        (2, 0)
    """
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    for number in axes:
        if not -rank <= number < rank:
            raise ValueError(
                f"{owner}: `{argument}` must be from {-rank} to {rank - 1} for an input with"
                f" {rank} axes, received {axis!r:.200}."
            )
    places = tuple(number % rank for number in axes)
    if len(set(places)) < len(places):
        raise ValueError(f"{owner}: `{argument}` names an axis twice, received {axis!r:.200}.")
    return places


def check_shape(owner: str, shape: Any) -> Shape:
    """Return `shape` as a tuple of sizes, each an integer of at least 0 or `None`.

    Args:
        owner: Class for the message.
        shape: What the user gave.

    Raises:
        ValueError: If it is not a sequence of such sizes.

    Example:
        >>> check_shape("KerasTensor", [None, np.int64(3)])
        (None, 3)
    """
    try:
        sizes = tuple(None if size is None else operator.index(size) for size in shape)
    except TypeError:
        sizes = (-1,)
    if any(size is not None and size < 0 for size in sizes):
        raise ValueError(
            f"{owner}: `shape` must be a sequence of sizes, each a non-negative integer or None,"
            f" received {shape!r:.200}."
        )
    return sizes
