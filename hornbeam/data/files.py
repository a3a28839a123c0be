"""Finds data files and selects columns."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from typing import Any

from hornbeam import errors
from hornbeam.typing import FilePath

__all__ = ["chosen", "files_of", "names_of"]


def files_of(
    paths: FilePath | Sequence[FilePath], method: str, endings: tuple[str, ...]
) -> list[str]:
    """Return the paths of the given files and of the files in the given folders.

    Args:
        paths: A file, a folder, or several files.
        method: Name of the method, for error messages.
        endings: File name endings to look for in a folder.

    Raises:
        FileNotFoundError: If a path does not exist, or a folder has no matching files.
        ValueError: If no file is given.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found: list[str] = []
    for path in [os.fspath(path) for path in given]:
        if not os.path.exists(path):
            raise FileNotFoundError(f"Dataset.{method}: there is no file {path!r}.")
        if not os.path.isdir(path):
            found.append(path)
            continue
        inside = glob.glob(os.path.join(glob.escape(path), "**", "*"), recursive=True)
        files = sorted(name for name in inside if name.endswith(endings) and os.path.isfile(name))
        if not files:
            raise FileNotFoundError(
                f"Dataset.{method}: the folder {path!r} holds no file that ends with"
                f" {' or '.join(endings)}."
            )
        found += files
    if not found:
        raise ValueError(f"Dataset.{method}: `paths` is empty; expected at least one file.")
    return found


def names_of(names: Sequence[str] | str | None) -> list[str]:
    """Convert a name, a sequence of names or `None` to a list of names.

    Example:
        >>> names_of("a"), names_of(None)
        (['a'], [])
    """
    if names is None:
        return []
    return [names] if isinstance(names, str) else list(names)


def chosen(row: Mapping[str, Any], columns: Any, target: Any, owner: str) -> Any:
    """Select the input and target columns of a row or table.

    Args:
        row: The columns by name.
        columns: Names of the inputs, or a single name. Default: all but the targets.
        target: Names of the targets, or a single name.
        owner: Description of the row or table, for error messages.

    Raises:
        ValueError: If there is no column with a given name.

    Example:
        >>> chosen({"a": 1, "b": 2}, None, "b", "table")
        ({'a': 1}, 2)
    """
    for name in (*names_of(columns), *names_of(target)):
        if name not in row:
            raise errors.unknown_name(f"column of the {owner}:", name, row)

    def some(names: Any) -> Any:
        return row[names] if isinstance(names, str) else {name: row[name] for name in names}

    if columns is None:
        columns = [name for name in row if name not in names_of(target)]
    return some(columns) if target is None else (some(columns), some(target))
