"""Converts named columns of data frames to the inputs of a model."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from hornbeam import errors
from hornbeam.data.adapters import columns_of, is_table
from hornbeam.data.columns import is_missing

__all__ = ["column", "labels_of", "named_columns"]

_MISSING_NUMBER = -1
_DAY = np.timedelta64(1, "D")


def labels_of(frame: Any) -> list[Any]:
    """Return the names of the columns of a data frame or mapping.

    Example:
        >>> labels_of({"a": [1], "b": [2]})
        ['a', 'b']
    """
    if isinstance(frame, Mapping):
        return list(frame)
    return [name for name, _ in columns_of(frame)] if _lacks_columns(frame) else list(frame.columns)


def _lacks_columns(frame: Any) -> bool:
    """Return whether a table is PyArrow's, or a frame that is not computed yet."""
    return is_table(frame) and type(frame).__name__ != "DataFrame"


def named_columns(frame: Any, names: Iterable[str], owner: str) -> dict[str, Any]:
    """Return columns of a data frame, or entries of a mapping, by name.

    Args:
        frame: The data frame or mapping. Columns that are not in `names` are ignored.
        names: Names of the columns.
        owner: Description of the object that needs the columns, for the error message.

    Raises:
        ValueError: If a column is missing.

    Example:
        >>> named_columns({"a": [1], "b": [2]}, ["b"], "Model 'm'")
        {'b': [2]}
    """
    names = list(names)
    if _lacks_columns(frame):
        frame = dict(columns_of(frame))
    labels = labels_of(frame)
    known = {str(label): label for label in labels}
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(
            f"{owner}: the data lack the column{'s' * (len(missing) > 1)}"
            f" {errors.listed(missing)}. The columns are"
            f" {errors.listed(map(str, labels)) or 'none'}."
        )
    return {name: frame[known[name]] for name in names}


def column(values: Any, dtype: str, owner: str) -> tuple[np.ndarray, np.ndarray]:
    """Convert a column to an array of a dtype, and return it with a mask of missing values.

    A missing string becomes the empty string, a missing integer -1, and a missing number NaN. Dates
    and times become days since 1970, and durations become days.

    Args:
        values: An array, list or single value, a pandas or polars column, or a tensor.
        dtype: `"string"`, or the name of an integer or float dtype.
        owner: Description of the column and of the object that needs it, for error messages.

    Raises:
        ValueError: If a value has another type.

    Example:
        >>> [part.tolist() for part in column(["a", None], "string", "Feature 'city'")]
        [['a', ''], [False, True]]
    """
    array = _host_array(values, owner)
    if array.dtype.kind == "O":
        items = array.reshape(-1).tolist()
        missing = np.array([is_missing(item) for item in items], bool).reshape(array.shape)
    elif array.dtype.kind in "mM":
        missing = np.isnat(array)
    elif array.dtype.kind == "f":
        missing = np.isnan(array)
    else:
        missing = np.zeros(array.shape, bool)
    if dtype == "string":
        return _texts(array, missing, owner), missing
    if not dtype.startswith(("int", "uint", "bool")):
        return _floats(array, missing, owner).astype(dtype), missing
    integers = _integers(array, missing, owner)
    if integers.size and dtype != "bool":
        limits, most = np.iinfo(dtype), (int(integers.min()), int(integers.max()))
        if most[0] < limits.min or most[1] > limits.max:
            raise ValueError(
                f"{owner}: expected integers in the range of {dtype}, received values from"
                f" {most[0]} to {most[1]}. Convert the column to text and hash it"
                " (`string_hashed`)."
            )
    return integers.astype(dtype), missing


def _host_array(values: Any, owner: str) -> np.ndarray:
    if hasattr(values, "detach"):  # a torch tensor
        values = values.detach().cpu()
    for method in ("to_numpy", "numpy"):
        if hasattr(values, method) and not isinstance(values, np.ndarray):
            values = getattr(values, method)()
            break
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{owner}: expected one value per row: {error}") from None
    if isinstance(values, list) and array.dtype.kind == "U":
        array = np.array(values, object)  # NumPy would convert numbers among texts to texts
    return array


def _texts(array: np.ndarray, missing: np.ndarray, owner: str) -> np.ndarray:
    if array.dtype.kind not in "USTO" and not missing.all():
        raise ValueError(
            f"{owner}: expected text, received dtype {array.dtype}. Use a feature for integers or"
            " floats, or convert the column to text."
        )
    if array.dtype.kind in "UST":
        return array
    texts = np.where(missing, "", array.astype(object))
    _check(texts, missing, owner, "text", lambda item: isinstance(item, (str, bytes)))
    return texts


def _integers(array: np.ndarray, missing: np.ndarray, owner: str) -> np.ndarray:
    if array.dtype.kind in "biu":
        return array
    _check(array, missing, owner, "integers", _is_integer)
    return np.where(missing, _MISSING_NUMBER, array).astype("int64")


def _floats(array: np.ndarray, missing: np.ndarray, owner: str) -> np.ndarray:
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind == "V":  # a narrow float type
        return array.astype("float32")
    if array.dtype.kind in "mM":
        start = np.datetime64(0, "D") if array.dtype.kind == "M" else np.timedelta64(0, "D")
        return (array - start) / _DAY
    _check(array, missing, owner, "numbers", lambda item: _number(item) is not None)
    numbers = [np.nan if is_missing(item) else _number(item) for item in array.reshape(-1).tolist()]
    return np.array(numbers, "float64").reshape(array.shape)


def _is_integer(item: Any) -> bool:
    if isinstance(item, (str, bytes)) or not hasattr(item, "__int__"):
        return False
    try:
        return bool(int(item) == item)
    except (TypeError, ValueError, OverflowError):
        return False


def _number(item: Any) -> float | None:
    """Convert a Python object to a float, or return `None` if it is not a number."""
    if isinstance(item, datetime.timedelta):
        return item / datetime.timedelta(days=1)
    if isinstance(item, datetime.datetime) and item.tzinfo is not None:
        return item.timestamp() / 86_400
    if isinstance(item, datetime.date):
        return float((np.datetime64(item, "us") - np.datetime64(0, "D")) / _DAY)
    if isinstance(item, (str, bytes)):
        return None
    try:
        return float(item)
    except (TypeError, ValueError):
        return None


def _check(
    array: np.ndarray, missing: np.ndarray, owner: str, wanted: str, fits: Callable[[Any], bool]
) -> None:
    """Raise an error that shows the first invalid value."""
    pairs = zip(array.reshape(-1).tolist(), missing.reshape(-1).tolist(), strict=True)
    for row, (item, lacks) in enumerate(pairs):
        if not lacks and not fits(item):
            remedy = ""
            if isinstance(item, str):
                remedy = (
                    " Encode text as numbers first, or give the model an input of"
                    " `dtype='string'` and a layer such as `StringLookup`."
                )
            raise ValueError(
                f"{owner}: expected {wanted}, received {item!r:.80} ({type(item).__name__}) in row"
                f" {row}.{remedy}"
            )
