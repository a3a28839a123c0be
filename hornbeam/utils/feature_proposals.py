"""Proposes features for the columns of a data frame, and prints the features of a space."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam.data.adapters import is_frame, refuse_mistakes
from hornbeam.data.columns import is_missing
from hornbeam.training.columns import labels_of, named_columns

if TYPE_CHECKING:
    from hornbeam.utils.feature_space import FeatureSpace

__all__ = ["propose", "table"]

_LEFT_OUT = "left out"
_TIMES = (datetime.date, datetime.timedelta, np.datetime64, np.timedelta64)


def propose(
    df: Any, target: str | Iterable[str] | None, max_categories: int
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the kind of feature for each column, and notes on all columns.

    Args:
        df: A data frame or a dictionary of columns.
        target: Names of the columns that are not inputs.
        max_categories: Maximum number of distinct strings or integers to use as categories.

    Raises:
        ValueError: If `df` is neither, `target` is not a column, or no column can be a feature.

    Example:
        >>> propose({"size": [1.5, 2.5], "y": [0, 1]}, "y", 50)[0]
        {'size': 'float_normalized'}
    """
    owner = "FeatureSpace.from_dataframe"
    refuse_mistakes(df, "df")
    if not isinstance(df, Mapping) and not is_frame(df):
        raise ValueError(
            f"{owner}: `df` must be a data frame or a dictionary of columns, received"
            f" {type(df).__name__}."
        )
    targets = [] if target is None else [target] if isinstance(target, str) else list(target)
    named_columns(df, targets, f"{owner}: `target`")
    labels = list(map(str, labels_of(df)))
    kinds: dict[str, str] = {}
    notes: dict[str, str] = {}
    for name, values in named_columns(df, labels, owner).items():
        if name in targets:
            continue
        kind, notes[name] = _proposal(_values(values), max_categories)
        if kind != _LEFT_OUT:
            kinds[name] = kind
    if not kinds:
        raise ValueError(
            f"{owner}: no column can be a feature. "
            + "; ".join(f"{n}: {t}" for n, t in notes.items())
        )
    return kinds, notes


def _values(values: Any) -> list[Any]:
    """Return a column as a list of Python objects."""
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    array = values if isinstance(values, np.ndarray) else np.array(list(values), object)
    if array.dtype.kind in "mM":
        return list(array)  # `tolist` would return integers
    return array.tolist()


def _proposal(values: Sequence[Any], max_categories: int) -> tuple[str, str]:
    """Return the kind of feature for a column, and a note about the column."""
    present = [value for value in values if not is_missing(value)]
    lacks = len(values) - len(present)
    gaps = f", {lacks} missing" if lacks else ""
    try:
        different = len(set(present))
    except TypeError:  # lists and other objects
        return _LEFT_OUT, f"values of type {type(present[0]).__name__}{gaps}"
    if different < 2:
        return _LEFT_OUT, f"{'one value only' if different else 'no values'}{gaps}"
    if all(isinstance(value, (bool, np.bool_)) for value in present):
        return "integer_categorical" if lacks else "float", f"true or false{gaps}"
    if all(isinstance(value, (str, bytes)) for value in present):
        note = f"{different} different texts{gaps}"
        if different <= max_categories:
            return "string_categorical", note
        if different == len(present):
            note += "; an identifier? Then remove it"
        return "string_hashed", note
    if all(isinstance(value, _TIMES) for value in present):
        return "float_normalized", f"time, in days{gaps}"
    if all(isinstance(value, (int, float, np.number, decimal.Decimal)) for value in present):
        return _number(present, different, lacks, gaps, max_categories)
    types = sorted({type(value).__name__ for value in present})
    return _LEFT_OUT, f"values of types {', '.join(types)}{gaps}"


def _number(
    present: Sequence[Any], different: int, lacks: int, gaps: str, max_categories: int
) -> tuple[str, str]:
    # pandas stores integers as floats if some are missing.
    floats = all(isinstance(value, (float, np.floating)) for value in present)
    integers = all(float(value).is_integer() for value in present) and (not floats or lacks > 0)
    if integers:
        note = f"{different} different integers{gaps}"
        few = different <= max_categories and 2 * different <= len(present)
        return ("integer_categorical" if few else "float_normalized"), note
    return "float_normalized", f"numbers{gaps}"


_MISSING = {
    "float": "refused", "float_rescaled": "refused", "float_normalized": "as the mean",
    "float_discretized": "refused", "integer_categorical": "as unknown",
    "string_categorical": "as unknown", "string_hashed": "as the empty text",
    "integer_hashed": "as -1",
}  # fmt: skip


def table(space: FeatureSpace, notes: Mapping[str, str]) -> str:
    """Format the features of a space as a table.

    Args:
        space: The space.
        notes: Notes by column. Columns without a feature are listed as left out.

    Example:
        >>> from hornbeam.utils import FeatureSpace
        >>> print(table(FeatureSpace({"size": "float"}, name="houses"), {}))
        FeatureSpace 'houses': 1 feature, output_mode='concat'
          column  feature  output  missing values
          size    float    float   refused
    """
    rows = [["column", "feature", "output", "missing values", "data" if notes else ""]]
    for name, feature in space.features.items():
        missing = _MISSING.get(feature.kind, "")
        output = _output(space, name, feature.output_mode)
        rows.append([name, feature.kind, output, missing, notes.get(name, "")])
    for name, cross in space.crosses_by_name.items():
        rows.append([name, f"cross, {cross.crossing_dim} bins"])
        rows[-1] += [_output(space, name, cross.output_mode), "", ""]
    for name, note in notes.items():
        if name not in space.features:
            rows.append([name, _LEFT_OUT, "", "", note])
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    count = len(space.features)
    state = "" if space.built else ", not adapted yet"
    if notes:
        state = state or ", adapted"
    title = f"FeatureSpace '{space.name}': {count} feature{'s' * (count > 1)}"
    return "\n".join([f"{title}, output_mode={space.output_mode!r}{state}", *lines])


def _output(space: FeatureSpace, name: str, mode: str) -> str:
    """Return the output mode of a feature or a cross, with the output's size once it is known."""
    encoder = space.one_hot_encoders.get(name)
    return mode if encoder is None else f"{mode}, {encoder.num_tokens}"
