"""Nested outputs: arguments of `compile`, targets and weights in the structure of the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hornbeam import tree

__all__ = ["along", "has_levels", "path_names"]


def has_levels(outputs: Any) -> bool:
    """Return whether outputs are nested more deeply than a list or a dict of tensors.

    Example:
        >>> has_levels([1, 2]), has_levels({"a": [1, 2]})
        (False, True)
    """
    items = outputs.values() if isinstance(outputs, Mapping) else outputs
    return tree.is_nested(outputs) and any(tree.is_nested(item) for item in items)


def along(given: Any, outputs: Any) -> list[Any] | None:
    """Return one entry per output from a value in the structure of the outputs.

    A part that is missing in a dict, or `None`, is `None` for each output in it. A single value
    instead of a list or dict counts for each output in it.

    Args:
        given: The value, such as the `loss` of `compile`, or targets.
        outputs: The outputs.

    Returns:
        The entries in the order of the outputs, or `None` if the structures differ.

    Example:
        >>> along({"a": ["mse", None]}, {"a": [1, 2], "b": 3})
        ['mse', None, None]
    """
    if not tree.is_nested(outputs):
        return [given]
    if not isinstance(given, (Mapping, list, tuple)):
        return [given] * len(tree.flatten(outputs))
    if isinstance(outputs, Mapping):
        if not isinstance(given, Mapping) or not set(given) <= set(outputs):
            return None
        parts = [(given.get(key), outputs[key]) for key in sorted(outputs)]
    elif isinstance(given, Mapping) or len(given) != len(outputs):
        return None
    else:
        parts = list(zip(given, outputs, strict=True))
    entries: list[Any] = []
    for part, below in parts:
        found = along(part, below)
        if found is None:
            return None
        entries.extend(found)
    return entries


def path_names(outputs: Any, names: list[str], path: str = "") -> list[str]:
    """Return the names of nested outputs with the keys that lead to them.

    Args:
        outputs: The outputs.
        names: Their names, flat.
        path: The keys that lead to `outputs`, each with a slash.

    Example:
        >>> path_names({"u": [1, 2], "v": 3}, ["a", "b", "c"])
        ['u/a', 'u/b', 'v']
    """
    keys = sorted(outputs) if isinstance(outputs, Mapping) else range(len(outputs))
    found: list[str] = []
    for key in keys:
        below, rest = outputs[key], names[len(found) :]
        if tree.is_nested(below):
            found.extend(path_names(below, rest, f"{path}{key}/"))
        else:
            found.append(f"{path}{key if isinstance(outputs, Mapping) else rest[0]}")
    return found
