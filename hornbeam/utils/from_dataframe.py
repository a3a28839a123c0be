"""Data sets of the images that a table names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hornbeam import errors
from hornbeam.data.adapters import columns_of, is_table, plain
from hornbeam.data.columns import as_matrix, as_numbers, is_missing, objects
from hornbeam.typing import FilePath
from hornbeam.utils.directories import LabelledFiles, Split, check_choice, read_files, targets_of
from hornbeam.utils.image_files import image_reader

__all__ = ["image_dataset_from_dataframe"]

_NAME = "image_dataset_from_dataframe"
_LABEL_MODES = ("int", "categorical", "binary", "raw", "multi_output", None)


def image_dataset_from_dataframe(
    dataframe: Any, directory: FilePath | None = None, x_col: str = "filename",
    y_col: str | Sequence[str] = "class", label_mode: str | None = "int",
    class_names: Sequence[Any] | None = None, color_mode: str = "rgb",
    batch_size: int | None = 32, image_size: tuple[int, int] | int = (256, 256),
    shuffle: bool = True, seed: int | None = None, validation_split: float | None = None,
    subset: str | None = None, interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
    data_format: str | None = None, verbose: bool = True, *, weight_col: str | None = None,
    ignore_errors: bool = False,
) -> Any:  # fmt: skip
    """Return the images that a table names, with their labels, as a `hornbeam.data.Dataset`.

    Args:
        dataframe: A data frame of pandas or Polars, a table of PyArrow, or a dictionary of columns,
            with a row for each image.
        directory: Folder of the files. Default: the table has whole paths.
        x_col: Column of the files' names.
        y_col: Column of the labels; with the modes `"raw"` and `"multi_output"` also several.
        label_mode: `"int"` (class numbers), `"categorical"` (one-hot rows; several ones where the
            column holds lists of classes), `"binary"` (0.0 or 1.0), `"raw"` (the columns' numbers,
            several side by side), `"multi_output"` (a tuple with the numbers of each column) or
            `None` (no labels).
        class_names: The classes to use, in the order of their numbers; rows of other classes are
            left out. Default: all, sorted.
        color_mode, batch_size, image_size, shuffle, seed, validation_split, subset, interpolation,
            crop_to_aspect_ratio, pad_to_aspect_ratio, data_format, verbose, ignore_errors: As in
            `image_dataset_from_directory`.
        weight_col: Column of the weights of images.

    Returns:
        A `Dataset` as from `image_dataset_from_directory`. With `weight_col`, the elements end with
        the weight.

    Raises:
        ImportError: If Pillow is not installed.
        TypeError: If `dataframe` is no table, or `x_col` holds no names of files.
        ValueError: If an argument is wrong, or a column is missing or does not fit `label_mode`.
        FileNotFoundError: If there is no file of the first row.
        FileError: When the images are read, if a file is no complete image.

    Example:
        >>> table = {"filename": ["a.png", "b.png"], "class": ["cat", "dog"]}
        >>> data = image_dataset_from_dataframe(table, "pets")  # doctest: +SKIP
    """
    check_choice(_NAME, "label_mode", label_mode, _LABEL_MODES)
    read = image_reader(
        _NAME, color_mode, image_size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio,
        data_format,
    )  # fmt: skip
    table = _columns(dataframe)
    paths = _paths(_column(table, x_col, "x_col"), x_col, os.fspath(directory or ""))
    rows = np.arange(len(paths))
    targets: tuple[Any, ...] = ()
    names = None
    if label_mode in ("int", "categorical", "binary"):
        if not isinstance(y_col, str):
            raise ValueError(
                f"{_NAME}: `y_col` must be one column with `label_mode={label_mode!r}`, received"
                f" {y_col!r}. Pass `label_mode='raw'` or 'multi_output' for several columns."
            )
        classes = _sets_of_classes(_column(table, y_col, "y_col"), y_col, str(label_mode))
        rows, targets, names = _class_targets(classes, class_names, str(label_mode))
    elif label_mode is not None:
        targets = (_number_targets(table, y_col, label_mode),)
    if weight_col is not None:
        if not targets:
            raise ValueError(f"{_NAME}: `weight_col` needs labels, received `label_mode=None`.")
        weights = as_numbers(
            _column(table, weight_col, "weight_col"), f"Column {weight_col!r} of `dataframe`"
        )
        targets = (*targets, weights[rows])
    files = LabelledFiles([paths[row] for row in rows], targets, names)
    if not files.paths:
        raise ValueError(f"{_NAME}: `dataframe` names no file{' of these classes' * bool(names)}.")
    if not ignore_errors and not os.path.exists(files.paths[0]):
        raise FileNotFoundError(
            f"{_NAME}: there is no file '{files.paths[0]}' (the first row). `directory` is the"
            " folder that the names start from."
        )
    if verbose:
        kinds = "" if names is None else f" belonging to {len(names)} classes"
        print(f"Found {len(files.paths)} files{kinds}.")
    split = Split(shuffle, seed, validation_split, subset)
    return read_files(_NAME, files, read, split, batch_size, ignore_errors, filler=read)


def _columns(dataframe: Any) -> dict[Any, Any]:
    if isinstance(dataframe, Mapping):
        return dict(dataframe)
    if not is_table(dataframe):
        raise TypeError(
            f"{_NAME}: `dataframe` must be a data frame or a dictionary of columns, received"
            f" {errors.describe(dataframe)}."
        )
    return dict(columns_of(dataframe))


def _column(table: dict[Any, Any], name: Any, argument: str) -> np.ndarray:
    if name not in table:
        raise errors.unknown_name(f"column in `{argument}` of {_NAME}:", name, map(str, table))
    values = plain(table[name])
    if isinstance(values, (list, tuple)):
        return objects(values)
    return np.asarray(values[:])


def _paths(column: np.ndarray, name: str, folder: str) -> list[str]:
    found = []
    for row, value in enumerate(column):
        if not isinstance(value, (str, os.PathLike)):
            raise TypeError(
                f"{_NAME}: column {name!r} (`x_col`) must hold names of files, received {value!r}"
                f" in row {row}."
            )
        found.append(os.path.join(folder, os.fspath(value)))
    return found


def _sets_of_classes(column: np.ndarray, name: str, label_mode: str) -> list[list[Any]]:
    """Return the classes of each row."""
    found = []
    for row, value in enumerate(column):
        several = isinstance(value, (list, tuple, np.ndarray))
        values = list(value) if several else [value]
        if any(is_missing(v) for v in values) or (several and label_mode != "categorical"):
            raise ValueError(
                f"{_NAME}: column {name!r} (`y_col`) must hold a class in each row, received"
                f" {value!r} in row {row}. Lists of classes need `label_mode='categorical'`."
            )
        found.append([v.item() if isinstance(v, np.generic) else v for v in values])
    return found


def _class_targets(
    classes: list[list[Any]], class_names: Sequence[Any] | None, label_mode: str
) -> tuple[np.ndarray, tuple[np.ndarray], list[str]]:
    """Return the rows that have one of the classes, their labels, and the names of the classes."""
    known = list({value: None for values in classes for value in values})
    try:
        known.sort()
    except TypeError:
        known.sort(key=str)
    names = [str(value) for value in (known if class_names is None else class_names)]
    unknown = [name for name in names if name not in {str(value) for value in known}]
    if unknown or len(set(names)) < len(names):
        raise ValueError(
            f"{_NAME}: `class_names` must name different classes of the table, which are"
            f" {[str(value) for value in known]}; received {names}."
        )
    ranks = {name: rank for rank, name in enumerate(names)}
    numbers = [[ranks[str(v)] for v in values if str(v) in ranks] for values in classes]
    rows = np.array([row for row, found in enumerate(numbers) if found], int)
    if label_mode == "categorical":
        targets = np.zeros((len(rows), len(names)), "float32")
        for place, row in enumerate(rows):
            targets[place, numbers[row]] = 1
        return rows, (targets,), names
    labels = [numbers[row][0] for row in rows]
    return rows, targets_of(_NAME, labels, range(len(names)), names, label_mode), names


def _number_targets(table: dict[Any, Any], y_col: Any, label_mode: str) -> Any:
    names = [y_col] if isinstance(y_col, str) else list(y_col)
    columns = {name: _column(table, name, "y_col") for name in names}
    if label_mode == "raw" and not isinstance(y_col, str):
        return as_matrix(columns, "dataframe")
    found = tuple(
        as_numbers(column, f"Column {name!r} of `dataframe`") for name, column in columns.items()
    )
    return found[0] if label_mode == "raw" else found
