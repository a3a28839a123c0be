"""What users and other libraries pass, as arrays of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from hornbeam import errors, tree
from hornbeam.data import lazy
from hornbeam.data.adapters import adapter_of, numbers_of
from hornbeam.data.columns import fault_of
from hornbeam.data.lazy import LazyArray
from hornbeam.typing import Structure

__all__ = ["as_arrays", "on_host"]

_AS_THEY_ARE = {np.dtype(name) for name in ("float32", "int32", "uint8", "bool")}


def _array(a: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(a)
    except ValueError as error:  # rows of different lengths
        raise ValueError(
            f"`{name}` cannot become an array of one shape: {error} Pad its rows to one length,"
            " for example with zeros."
        ) from None


def as_arrays(structure: Structure, name: str) -> Structure:
    """Convert data to a structure of arrays with a batch axis, with 64-bit numbers cast to 32 bits.

    Args:
        structure: Arrays, nested lists of numbers, or a structure of them.
        name: Name of the argument, for error messages.

    Raises:
        ValueError: If a part cannot become an array of numbers, or has no batch axis.

    Example:
        >>> as_arrays([1.0, 2.0], "x").dtype
        dtype('float32')
    """
    if structure is None:
        return None
    if type(structure) is np.ndarray and structure.ndim and structure.dtype in _AS_THEY_ARE:
        return structure
    if isinstance(structure, (list, tuple)) and _is_numbers(structure):
        structure = _array(structure, name)
    if isinstance(structure, Mapping):
        structure = dict(structure)
    structure = tree.map_structure(lambda a: numbers_of(a, name), structure)

    def one(a: Any) -> Any:
        if a is None:
            return None
        if isinstance(a, jax.Array) or lazy.is_on_disk(a):
            if a.ndim and a.dtype.kind in "biufcV":
                return a  # arrays on disk are cast batch by batch
            a = a[:1] if isinstance(a, LazyArray) else a
        array = a.to_numpy() if hasattr(a, "to_numpy") else _array(a, name)
        if array.dtype.names is not None:
            raise ValueError(
                f"`{name}` is an array with the fields {errors.listed(array.dtype.names)}; expected"
                " numbers. Pass a dict of the fields, for example"
                f" {{{array.dtype.names[0]!r}: array[{array.dtype.names[0]!r}]}}."
            )
        if array.dtype == object:
            try:
                array = array.astype("float32")
            except (TypeError, ValueError):
                raise ValueError(_no_numbers(name, array, getattr(a, "columns", None))) from None
        if array.dtype.kind in "USTmM":
            raise ValueError(
                f"`{name}` has dtype {array.dtype}; expected numbers. It holds {fault_of(array)}."
            )
        narrow = {"float64": "float32", "int64": "int32", "uint64": "uint32"}.get(array.dtype.name)
        if narrow:
            array = array.astype(narrow)
        if array.ndim == 0:
            raise ValueError(
                f"`{name}` must have a batch axis, received the single number {array}."
            )
        return array

    return tree.map_structure(one, structure)


def _no_numbers(name: str, array: np.ndarray, labels: Any) -> str:
    """Return the error message for an array of objects. It lists the columns with non-numbers."""
    by_column = array.reshape(len(array), -1).T if array.ndim > 1 else [array]
    guilty = []
    for number, column in enumerate(by_column):
        bad = next(((row, value) for row, value in enumerate(column) if _is_no_number(value)), None)
        if bad is not None:
            label = repr(labels[number]) if labels is not None else number
            where = f"column {label} (row {bad[0]}: " if array.ndim > 1 else f"row {bad[0]} ("
            guilty.append(f"{where}{errors.describe(bad[1])})")
    shown = ", ".join(guilty[:6]) + (", ..." if len(guilty) > 6 else "")
    return (
        f"`{name}` has dtype object; expected numbers in arrays of one shape. Non-numeric values:"
        f" {shown or 'unknown'}. Encode text as numbers, for example with"
        " `np.unique(column, return_inverse=True)[1]`; fill or drop missing values; stack arrays"
        " with `np.array(...)`."
    )


def _is_no_number(value: Any) -> bool:
    try:
        np.asarray(value).astype("float32").reshape(())
    except (TypeError, ValueError):
        return True
    return isinstance(value, (np.datetime64, np.timedelta64))


def _is_numbers(x: Any) -> bool:
    """Return whether a nested list holds plain numbers or text, and can become one array."""
    first = x
    while isinstance(first, (list, tuple)):
        if not first:
            return True
        first = first[0]
    return isinstance(first, (int, float, np.number, str))


def on_host(batch: Any) -> Any:
    """Return a batch with the tensors of other libraries as NumPy arrays."""

    def one(a: Any) -> Any:
        if a is None or isinstance(a, (np.ndarray, jax.Array)):
            return a
        if adapter_of(a) is not None:
            return tree.map_structure(np.asarray, numbers_of(a, "a batch"))
        return np.asarray(a) if hasattr(a, "__array__") or isinstance(a, (int, float)) else a

    return (
        tree.map_structure(one, batch)
        if isinstance(batch, (tuple, dict))
        else _list_batch(batch, one)
    )


def _list_batch(batch: Any, one: Any) -> Any:
    if not isinstance(batch, list):
        return one(batch)
    # The loader of PyTorch yields lists, also of dictionaries and lists of tensors.
    nested = [isinstance(i, (tuple, dict, list)) and not _is_numbers(i) for i in batch]
    return [on_host(i) if n else one(i) for i, n in zip(batch, nested, strict=True)]
