"""Nested structures: lists, tuples, deques and dictionaries of leaves.

A thin wrapper of `jax.tree_util` with Keras's conventions: `None` and sparse arrays are leaves, and
dictionaries are traversed in the order of their sorted keys.
"""

from __future__ import annotations

import collections
import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from jax import tree_util

__all__ = [
    "MAP_TO_NONE", "assert_same_paths", "assert_same_structure", "flatten", "flatten_with_path",
    "is_nested", "lists_to_tuples", "map_shape_structure", "map_structure", "map_structure_up_to",
    "pack_sequence_as", "traverse",
]  # fmt: skip


# JAX takes a deque for a leaf. Another library may have told it of deques already.
with contextlib.suppress(ValueError):
    tree_util.register_pytree_with_keys(
        collections.deque,
        lambda x: ([(tree_util.SequenceKey(i), item) for i, item in enumerate(x)], x.maxlen),
        lambda maxlen, items: collections.deque(items, maxlen),
    )


class MAP_TO_NONE:
    """Marker that a function returns to `traverse` to replace a part by `None`.

    Example:
        >>> traverse(lambda x: MAP_TO_NONE if x == 1 else None, [1, 2])
        [None, 2]
    """


_sparse_types: dict[type, bool] = {}


def is_sparse_array(x: object) -> bool:
    """Return whether `x` is a sparse array of JAX. The package that defines them is not imported.

    Example:
        >>> is_sparse_array([1.0])
        False
    """
    known = _sparse_types.get(type(x))
    if known is None:
        known = any(
            c.__name__ == "JAXSparse" and c.__module__.startswith("jax.experimental.sparse")
            for c in type(x).__mro__
        )
        _sparse_types[type(x)] = known
    return known


def _is_none(x: Any) -> bool:
    return x is None


def _is_leaf(x: Any) -> bool:
    return x is None or is_sparse_array(x)


def _leaves(none_is_leaf: bool = True) -> Callable[[Any], bool] | None:
    """Return the test for leaves, which is shorter while no sparse array can exist."""
    if "jax.experimental.sparse" in sys.modules:
        return _is_leaf if none_is_leaf else is_sparse_array
    return _is_none if none_is_leaf else None


def is_nested(structure: object) -> bool:
    """Return whether `structure` is a list, tuple, deque or dict.

    Example:
        >>> is_nested([1]), is_nested(1)
        (True, False)
    """
    return isinstance(structure, (list, tuple, collections.deque, dict))


def flatten(structure: Any) -> list[Any]:
    """Return the leaves of `structure` in order.

    Example:
        >>> flatten({"b": 1, "a": [2, None]})
        [2, None, 1]
    """
    return tree_util.tree_leaves(structure, is_leaf=_leaves())


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return pairs of a path (keys and indices) and a leaf.

    Example:
        >>> flatten_with_path({"a": [7]})
        [(('a', 0), 7)]
    """
    pairs, _ = tree_util.tree_flatten_with_path(structure, is_leaf=_leaves())
    return [(tuple(_key(step) for step in path), leaf) for path, leaf in pairs]


def _key(step: Any) -> Any:
    for attribute in ("key", "idx", "name"):
        if hasattr(step, attribute):
            return getattr(step, attribute)
    return step


def map_structure(func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True) -> Any:
    """Apply `func` to the corresponding leaves of equally nested structures.

    Args:
        func: Takes one leaf of each structure.
        *structures: The structures.
        none_is_leaf: Whether `func` is applied to `None` too; else `None` is kept.

    Example:
        >>> map_structure(lambda a, b: a + b, {"x": 1}, {"x": 2})
        {'x': 3}
    """
    return tree_util.tree_map(func, *structures, is_leaf=_leaves(none_is_leaf))


def map_structure_up_to(shallow_structure: Any, func: Callable[..., Any], *structures: Any) -> Any:
    """Apply `func` to the parts of `structures` at the leaves of `shallow_structure`.

    Example:
        >>> map_structure_up_to([0, 0], lambda a, b: (a, b), [1, 2], [[3, 4], 5])
        [(1, [3, 4]), (2, 5)]
    """
    definition: Any = tree_util.tree_structure(shallow_structure, is_leaf=_leaves())
    parts = [definition.flatten_up_to(structure) for structure in structures]
    return tree_util.tree_unflatten(definition, [func(*row) for row in zip(*parts, strict=True)])


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """Apply `func` to the shapes in `structure`. Tuples and lists of sizes are leaves.

    Example:
        >>> map_shape_structure(len, {"a": (None, 3), "b": [(2,), (4, 5)]})
        {'a': 2, 'b': [1, 2]}
    """

    def is_shape(x: Any) -> bool:
        return isinstance(x, (list, tuple)) and all(n is None or isinstance(n, int) for n in x)

    return tree_util.tree_map(func, structure, is_leaf=lambda x: x is None or is_shape(x))


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Apply `func` to every part of `structure`, not only to its leaves.

    Args:
        func: Returns the replacement of a part; `None` to keep the part and traverse it,
            `MAP_TO_NONE` to replace it by `None`.
        structure: The structure.
        top_down: Whether to visit a part before its contents. A replacement is then not traversed.

    Example:
        >>> traverse(lambda x: tuple(x) if isinstance(x, list) else None, [1, [2]], top_down=False)
        (1, (2,))
    """

    def replaced(part: Any) -> Any:
        result = func(part)
        return None if result is MAP_TO_NONE else part if result is None else result

    def inside(part: Any) -> Any:
        if isinstance(part, dict):
            return type(part)((key, traverse(func, part[key], top_down)) for key in part)
        items = [traverse(func, item, top_down) for item in part]
        return type(part)(*items) if hasattr(part, "_fields") else type(part)(items)

    if not is_nested(structure):
        return replaced(structure)
    if not top_down:
        return replaced(inside(structure))
    result = func(structure)
    return inside(structure) if result is None else None if result is MAP_TO_NONE else result


def lists_to_tuples(structure: Any) -> Any:
    """Return `structure` with lists replaced by tuples.

    Example:
        >>> lists_to_tuples([1, {"a": [2]}])
        (1, {'a': (2,)})
    """
    return traverse(lambda x: tuple(x) if isinstance(x, list) else None, structure, top_down=False)


def only(structure: Any) -> Any:
    """Return the member of a list or tuple of one, any other structure as it is.

    Example:
        >>> only([1]), only([1, 2]), only({"a": 1})
        (1, [1, 2], {'a': 1})
    """
    is_single = type(structure) in (list, tuple) and len(structure) == 1
    return structure[0] if is_single else structure


def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any]) -> Any:
    """Return the leaves in `flat_sequence` nested like `structure`.

    Example:
        >>> pack_sequence_as({"a": [0, 0]}, [1, 2])
        {'a': [1, 2]}
    """
    definition = tree_util.tree_structure(structure, is_leaf=_leaves())
    return tree_util.tree_unflatten(definition, list(flat_sequence))


def assert_same_structure(a: Any, b: Any, check_types: object = None) -> None:
    """Raise `ValueError` unless `a` and `b` have the same nested structure.

    Args:
        a, b: The structures.
        check_types: Ignored; part of Keras's signature. A list and a tuple always differ.

    Example:
        >>> assert_same_structure([1, {"x": 2}], [3, {"x": 4}])
    """
    first: Any = tree_util.tree_structure(a, is_leaf=_leaves())
    second = tree_util.tree_structure(b, is_leaf=_leaves())
    if first != second:
        raise ValueError(f"The two structures differ: {first} and {second}.")


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise `ValueError` unless `a` and `b` have leaves at the same paths.

    Lists and tuples are equivalent.

    Example:
        >>> assert_same_paths([1, 2], (3, 4))
    """
    first, second = ({path for path, _ in flatten_with_path(x)} for x in (a, b))
    if first != second:
        raise ValueError(
            "The two structures have leaves at different paths: only in the first"
            f" {sorted(first - second, key=str)}, only in the second"
            f" {sorted(second - first, key=str)}."
        )
