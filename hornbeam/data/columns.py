"""Converts table columns to arrays of numbers, and explains columns that hold no numbers."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam import errors

__all__ = ["as_matrix", "as_numbers", "clear", "fault_of", "is_missing", "objects", "of_objects"]

_TEXT = (
    "text{}. Encode it as numbers with a `StringLookup` or `FeatureSpace`, or"
    " `np.unique(column, return_inverse=True)[1]`"
)
_TIME = (
    "dates or times. Compute numbers from them first, for example the month or the days since a"
    " date"
)
_MISSING = "{} with missing values. Fill them, or cast the column to float to get NaN"
_NUMBER_KINDS = "biufcV"  # V: bfloat16 and JAX's other extended float types


def objects(values: Sequence[Any]) -> np.ndarray:
    """Return the values as an object array with one axis.

    Example:
        >>> objects([[1, 2], None]).shape
        (2,)
    """
    array = np.empty(len(values), object)
    array[:] = values if not len(values) or not isinstance(values[0], np.ndarray) else list(values)
    return array


def is_missing(value: Any) -> bool:
    """Return whether a value marks a missing one: `None`, NaN, `pandas.NA` or `NaT`.

    Example:
        >>> is_missing(float("nan")), is_missing("")
        (True, False)
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return isinstance(value, (float, np.floating)) and bool(value != value)


def of_objects(column: np.ndarray) -> np.ndarray | None:
    """Convert a column of objects to numbers, or return `None` if it is not clearly numeric.

    Floats and decimals with missing values become floats with NaN. Lists of equal length become
    rows. Integers with missing values are not converted.

    Example:
        >>> of_objects(objects([decimal.Decimal("1.5"), None])).tolist()
        [1.5, nan]
    """
    present = [value for value in column if not is_missing(value)]
    if not present:
        return np.full(len(column), np.nan)
    whole = len(present) == len(column)
    if all(isinstance(value, (list, tuple, np.ndarray)) for value in present):
        return _rows(present) if whole else None
    if all(isinstance(value, (bool, np.bool_, numbers.Integral)) for value in present):
        return np.array(present) if whole else None
    if all(isinstance(value, (numbers.Number, decimal.Decimal)) for value in present):
        if any(isinstance(v, numbers.Complex) and not isinstance(v, numbers.Real) for v in present):
            return np.array(present) if whole else None
        return np.array([np.nan if is_missing(value) else float(value) for value in column])
    return None


def clear(column: np.ndarray) -> np.ndarray:
    """Convert a column of objects to numbers if it is clearly numeric, else return it unchanged.

    Example:
        >>> clear(objects([True, False])).dtype, clear(objects(["a", None])).dtype
        (dtype('bool'), dtype('O'))
    """
    if column.dtype != object or column.ndim != 1 or all(map(is_missing, column)):
        return column
    found = of_objects(column)
    return column if found is None else found


def _rows(rows: list[Any]) -> np.ndarray | None:
    try:
        stacked = np.array([np.asarray(row) for row in rows])
    except ValueError:
        return None
    if stacked.dtype != object:
        return stacked if stacked.dtype.kind in _NUMBER_KINDS else None
    parts = [of_objects(objects(row)) for row in stacked] if stacked.ndim == 2 else [None]
    return None if any(part is None for part in parts) else np.array(parts)


def fault_of(column: np.ndarray) -> str:
    """Describe the values in a column that are not numbers, and the remedy.

    Example:
        >>> fault_of(objects([1, None])).split(".")[0]
        'integers with missing values'
    """
    kind = column.dtype.kind
    if kind in "UST":
        return _TEXT.format(f" (row 0: {column[0]!r:.40})" if len(column) else "")
    if kind in "mM":
        return _TIME
    present = [value for value in column if not is_missing(value)]
    for row, value in enumerate(column):
        if isinstance(value, (str, bytes)):
            return _TEXT.format(f" (row {row}: {value!r:.40})")
        if isinstance(value, (datetime.date, datetime.time, datetime.timedelta, np.datetime64)):
            return _TIME
    first = present[0]
    if all(isinstance(value, (list, tuple, np.ndarray)) for value in present):
        if len(present) < len(column):
            return _MISSING.format("lists")
        return "lists of different lengths, or lists of non-numbers. Pad them to one length"
    if all(isinstance(value, (bool, np.bool_)) for value in present):
        return _MISSING.format("truth values")
    if all(isinstance(value, numbers.Integral) for value in present):
        return _MISSING.format("integers")
    bad = next((v for v in present if not isinstance(v, numbers.Number)), first)
    return f"objects, for example {errors.describe(bad)}. Compute numbers from them"


def as_numbers(column: np.ndarray, where: str) -> np.ndarray:
    """Convert a column to an array of numbers.

    Args:
        column: The values.
        where: The column's name and place, for error messages.

    Raises:
        ValueError: If it holds text, dates, or missing integers.

    Example:
        >>> as_numbers(np.array([1, 2]), "Column 'a' of `x`").tolist()
        [1, 2]
    """
    if column.dtype.kind in _NUMBER_KINDS and column.dtype.names is None:
        return column
    found = of_objects(column) if column.dtype == object and column.ndim == 1 else None
    if found is None:
        raise ValueError(f"{where} holds {fault_of(column.reshape(-1))}.")
    return found


def as_matrix(
    columns: Mapping[Any, np.ndarray] | Sequence[tuple[Any, np.ndarray]], name: str
) -> Any:
    """Join columns of numbers side by side into one array.

    Args:
        columns: The columns by name, or pairs of a name and a column.
        name: Name of the table, for error messages.

    Raises:
        ValueError: If any columns do not hold numbers. The message names up to six of them.

    Example:
        >>> as_matrix({"a": np.array([1, 2]), "b": np.array([0.5, 1.0])}, "x").tolist()
        [[1.0, 0.5], [2.0, 1.0]]
    """
    pairs = list(columns.items() if isinstance(columns, Mapping) else columns)
    if not pairs:
        raise ValueError(f"`{name}` is a table without columns; expected at least one column.")
    found, faults = [], []
    for label, column in pairs:
        try:
            array = as_numbers(column, f"Column {label!r} of `{name}`")
        except ValueError as error:
            faults.append(str(error))
            continue
        if array.ndim > 1 and len(pairs) > 1:
            faults.append(
                f"Column {label!r} of `{name}` holds arrays of shape {array.shape[1:]}. Pass the"
                " columns as a dict, to a model with one input per column."
            )
        found.append(array)
    if faults:
        shown = " ".join(faults[:6])
        raise ValueError(f"{shown} And {len(faults) - 6} more." if len(faults) > 6 else shown)
    if len(found) == 1 and found[0].ndim > 1:
        return found[0]
    return np.stack(found, axis=1)
