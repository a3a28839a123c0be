"""`keras.utils.generic_utils` and other small utilities of Keras."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hornbeam import tree
from hornbeam.backend import get_uid
from hornbeam.callbacks.progbar import Progbar
from hornbeam.core.naming import auto_name, to_snake_case
from hornbeam.core.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from hornbeam.legacy.helpers import slice_arrays
from hornbeam.legacy.saving import deserialize_keras_object, serialize_keras_object

__all__ = [
    "CustomObjectScope", "Progbar", "ask_to_proceed_with_overwrite", "auto_name",
    "check_for_unexpected_keys", "custom_object_scope", "default", "deserialize_keras_object",
    "filter_traceback", "get_custom_objects", "get_registered_name", "get_registered_object",
    "get_uid", "has_arg", "is_all_none", "is_default", "join", "no_automatic_dependency_tracking",
    "object_list_uid", "path_to_string", "pythonify_logs", "register_keras_serializable",
    "removeprefix", "removesuffix", "serialize_keras_object", "slice_arrays", "to_list",
    "to_pascal_case", "to_snake_case", "transpose_shape", "uniquify", "unpack_singleton",
    "validate_kwargs",
]  # fmt: skip


def to_list(x: Any, allow_tuple: bool = False) -> list[Any]:
    """Return a list as it is, any other value in a list.

    Args:
        x: The value.
        allow_tuple: Whether a tuple becomes a list of its items.

    Example:
        >>> to_list(3), to_list((1, 2)), to_list((1, 2), allow_tuple=True)
        ([3], [(1, 2)], [1, 2])
    """
    if isinstance(x, list):
        return x
    return list(x) if allow_tuple and isinstance(x, tuple) else [x]


def unpack_singleton(x: Any) -> Any:
    """Return the member of a list or tuple of one, any other value as it is."""
    return tree.only(x)


def is_all_none(structure: Any) -> bool:
    """Return whether all leaves are `None`."""
    return all(x is None for x in tree.flatten(structure))


def object_list_uid(object_list: Any) -> str:
    """Return a text that tells lists of objects apart."""
    return ", ".join(str(abs(id(x))) for x in to_list(object_list, allow_tuple=True))


def has_arg(fn: Callable[..., Any], name: str, accept_all: bool = False) -> bool:
    """Return whether a function takes an argument by name.

    Args:
        fn: The function.
        name: Name of the argument.
        accept_all: Whether `**kwargs` counts.

    Example:
        >>> has_arg(lambda x, **kwargs: x, "y"), has_arg(lambda x, **kwargs: x, "y", True)
        (False, True)
    """
    parameters = inspect.signature(fn).parameters
    if accept_all and any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return True
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return name in parameters and parameters[name].kind in named


def validate_kwargs(
    kwargs: Iterable[str], allowed_kwargs: Iterable[str],
    error_message: str = "Keyword argument not understood:",
) -> None:  # fmt: skip
    """Raise `TypeError` if an argument is not among the allowed ones."""
    for name in kwargs:
        if name not in allowed_kwargs:
            raise TypeError(f"{error_message} {name}")


def check_for_unexpected_keys(
    name: str, input_dict: dict[str, Any], expected_values: Iterable[str]
) -> None:
    """Raise `ValueError` if a dict has other keys than the expected ones."""
    unknown = sorted(set(input_dict) - set(expected_values))
    if unknown:
        raise ValueError(
            f"{name}: unknown keys {unknown}. Expected some of {sorted(expected_values)}."
        )


def transpose_shape(
    shape: Sequence[Any], target_format: str, spatial_axes: Sequence[int]
) -> tuple[Any, ...]:
    """Return a shape with channels last in another data format."""
    if target_format == "channels_last":
        return tuple(shape)
    if target_format == "channels_first":
        return (*shape[: spatial_axes[0]], shape[-1], *(shape[axis] for axis in spatial_axes))
    raise ValueError(f"transpose_shape: unknown data format {target_format!r}.")


def path_to_string(path: Any) -> Any:
    """Return a path as text, other values as they are."""
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def join(path: Any, *paths: Any) -> str:
    """Join parts of a path."""
    return os.path.join(str(path), *map(str, paths))


def ask_to_proceed_with_overwrite(filepath: Any) -> bool:
    """Ask in the terminal whether a file may be overwritten."""
    answer = ""
    while answer not in ("y", "n"):
        answer = input(f"[WARNING] {filepath} already exists - overwrite? [y/n] ").strip().lower()
    return answer == "y"


def to_pascal_case(name: str) -> str:
    """Return a name in snake case in pascal case: `"max_pool"` as `"MaxPool"`."""
    return re.sub(r"(?:^|_|\W)(\w)", lambda found: found[1].upper(), name)


def uniquify(name: str) -> str:
    """Return `name`, with a number if it was used before."""
    number = get_uid(f"uniquify/{name}")
    return name if number == 1 else f"{name}_{number - 1}"


def default(method: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method as the default one, so that `is_default` knows overrides."""
    method._is_default = True  # type: ignore[attr-defined]
    return method


def is_default(method: Any) -> bool:
    """Return whether a method was marked by `default`."""
    return getattr(method, "_is_default", False)


def removeprefix(text: str, prefix: str) -> str:
    """Return `text` without a prefix."""
    return text.removeprefix(prefix)


def removesuffix(text: str, suffix: str) -> str:
    """Return `text` without a suffix."""
    return text.removesuffix(suffix)


def pythonify_logs(logs: Any) -> dict[str, Any]:
    """Return results as Python numbers, dicts inside flattened."""
    found: dict[str, Any] = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, dict):
            found.update(pythonify_logs(value))
        else:
            found[name] = float(value)
    return found


def no_automatic_dependency_tracking(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method as it is: attributes are looked through when they are needed."""
    return method


def filter_traceback(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as it is: tracebacks are shortened anyway."""
    return function
