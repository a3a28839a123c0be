"""What a name, a configuration, a class, a function or an object stands for: one look-up for all families of parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hornbeam import errors
from hornbeam.core.naming import to_snake_case

__all__ = ["find"]


def _made(found: Any) -> Any:
    return found() if isinstance(found, type) else found


def find(
    family: str, identifier: Any, base: type, *tables: Mapping[str, Any], make: Callable[[Any], Any] = _made,
    takes_functions: bool = True,
) -> Any:  # fmt: skip
    """Return the part of a family that an identifier stands for; `None` and objects stand for themselves.

    Args:
        family: What the part is, for errors, such as `"loss"`.
        identifier: A name in any of Keras's spellings, a configuration, a class, a function, an object, or `None`.
        base: The class of the family's objects.
        *tables: Classes and functions by name, those that count first at the front. What is registered comes before.
        make: Makes the part of what was found: an object of a class, unless it says otherwise.
        takes_functions: Whether a function may stand for a part.

    Raises:
        ValueError: If a name is unknown, or the identifier is none of these.

    Example:
        >>> find("number", "one_half", float, {"one_half": 0.5})
        0.5
    """
    from hornbeam.saving.config import deserialize, get_registered_object

    if identifier is None or isinstance(identifier, base):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found = get_registered_object(identifier)
        for name in (identifier, identifier.lower(), to_snake_case(identifier)):
            for table in tables:
                found = table.get(name) if found is None else found
        if found is None:
            raise errors.unknown_name(family, identifier, [name for table in tables for name in table])
        return make(found)
    if isinstance(identifier, type) and issubclass(identifier, base):
        return make(identifier)
    if takes_functions and callable(identifier):
        return identifier
    article = "an" if family[0] in "aeiou" else "a"
    wanted = "name, object or function" if takes_functions else "name or object"
    raise ValueError(f"Expected {article} {family}'s {wanted}, received {identifier!r}.")
