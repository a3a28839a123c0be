"""`tf.nest`: nested structures."""

from __future__ import annotations

from typing import Any

from hornbeam import tree

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """Return the leaves of a structure, of dictionaries in the order of their keys.

    Example:
        >>> flatten({"b": 2, "a": [1, 3]})
        [1, 3, 2]
    """
    return tree.flatten(structure)


def map_structure(func: Any, *structure: Any, **kwargs: Any) -> Any:
    """Return a structure with the results of a function of each leaf."""
    return tree.map_structure(func, *structure)


def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """Return leaves in the form of a structure."""
    return tree.pack_sequence_as(structure, flat_sequence)


def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raise an error if two structures differ."""
    tree.assert_same_structure(nest1, nest2)


def is_nested(structure: Any) -> bool:
    """Return whether something is a structure and no leaf."""
    return isinstance(structure, (list, tuple, dict))
