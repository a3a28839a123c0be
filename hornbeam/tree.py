"""Nested structures: lists, tuples and dictionaries of leaves.

A thin face over `jax.tree_util` with Keras's conventions: `None` is a leaf,
dictionaries are walked in the order of their sorted keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jax import tree_util

__all__ = ["assert_same_structure", "flatten", "flatten_with_path", "is_nested", "map_structure", "pack_sequence_as"]


def _is_none(x: Any) -> bool:
    return x is None


def is_nested(structure: Any) -> bool:
    """Tell whether `structure` is a list, tuple or dict.

    Example:
        >>> is_nested([1]), is_nested(1)
        (True, False)
    """
    return isinstance(structure, (list, tuple, dict))


def flatten(structure: Any) -> list[Any]:
    """Return the leaves of `structure` in order.

    Example:
        >>> flatten({"b": 1, "a": [2, None]})
        [2, None, 1]
    """
    return tree_util.tree_leaves(structure, is_leaf=_is_none)


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return pairs of path (keys and indices) and leaf.

    Example:
        >>> flatten_with_path({"a": [7]})
        [(('a', 0), 7)]
    """
    pairs, _ = tree_util.tree_flatten_with_path(structure, is_leaf=_is_none)
    return [(tuple(_key(step) for step in path), leaf) for path, leaf in pairs]


def _key(step: Any) -> Any:
    for attribute in ("key", "idx", "name"):
        if hasattr(step, attribute):
            return getattr(step, attribute)
    return step


def map_structure(function: Callable[..., Any], *structures: Any) -> Any:
    """Apply `function` to the leaves of structures of one shape.

    Example:
        >>> map_structure(lambda a, b: a + b, {"x": 1}, {"x": 2})
        {'x': 3}
    """
    return tree_util.tree_map(function, *structures, is_leaf=_is_none)


def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any]) -> Any:
    """Return the leaves `flat_sequence` in the shape of `structure`.

    Example:
        >>> pack_sequence_as({"a": [0, 0]}, [1, 2])
        {'a': [1, 2]}
    """
    definition = tree_util.tree_structure(structure, is_leaf=_is_none)
    return tree_util.tree_unflatten(definition, list(flat_sequence))


def assert_same_structure(a: Any, b: Any) -> None:
    """Raise `ValueError` unless `a` and `b` nest alike.

    Example:
        >>> assert_same_structure([1, {"x": 2}], [3, {"x": 4}])
    """
    first = tree_util.tree_structure(a, is_leaf=_is_none)
    second = tree_util.tree_structure(b, is_leaf=_is_none)
    if first != second:
        raise ValueError(f"The two structures differ: {first} and {second}.")
