"""Helpers for data sets of texts whose words are encoded by their frequency rank."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hornbeam.datasets.readers import read_npz
from hornbeam.errors import FileError

__all__ = ["keep_short", "limit_words", "number_words", "read_texts", "read_word_index"]


def read_texts(path: Path, pairs: tuple[tuple[str, str], ...]) -> dict[str, np.ndarray]:
    """Read lists of word ranks, and their labels, from an `.npz` file.

    Args:
        path: The file.
        pairs: Pairs of the array names of texts and of their labels.

    Raises:
        FileError: If the file is damaged, or does not hold lists of integers with one label per
            list.
    """
    texts = [name for name, _ in pairs]
    arrays = read_npz(path, [name for pair in pairs for name in pair], ragged=texts)
    for name, labels in pairs:
        rows, classes = arrays[name], arrays[labels]
        if rows.ndim != 1 or classes.shape != rows.shape or classes.dtype.kind not in "iu":
            raise FileError(
                f"'{path}': {labels} must have one integer per text, received dtype"
                f" {classes.dtype} and shape {classes.shape} for {name} of shape {rows.shape}."
            )
        for number, row in enumerate(rows):
            if not isinstance(row, list) or not {int}.issuperset(map(type, row)):
                raise FileError(
                    f"'{path}': row {number} of {name} is {row!r:.60}; expected a list of integers."
                )
    return arrays


def read_word_index(path: Path) -> dict[str, int]:
    """Read the rank of each word from a JSON file.

    Raises:
        FileError: If the file is damaged, or is not a dictionary from words to ranks.
    """
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise FileError(f"'{path}' is not a complete JSON file: {error}.") from None
    if not isinstance(found, dict) or not {int}.issuperset(map(type, found.values())):
        raise FileError(f"'{path}' must hold a JSON object with an integer for each word.")
    return found


def number_words(rows: Any, start_char: int | None, index_from: int | None) -> list[list[int]]:
    """Convert word ranks to word indices.

    Args:
        rows: Lists of ranks.
        start_char: Index to put at the start of each text, or `None`.
        index_from: Number to add to each rank.

    Example:
        >>> number_words([[1, 2]], start_char=1, index_from=3)
        [[1, 4, 5]]
    """
    start = [] if start_char is None else [start_char]
    if not index_from:
        return [start + row for row in rows]
    return [start + [rank + index_from for rank in row] for row in rows]


def keep_short(
    data: str, rows: list[list[int]], labels: np.ndarray, maxlen: int | None
) -> tuple[list[list[int]], np.ndarray]:
    """Return the texts that are shorter than `maxlen`, and their labels.

    Raises:
        ValueError: If no text is shorter.
    """
    if maxlen is None:
        return rows, labels
    kept = [number for number, row in enumerate(rows) if len(row) < maxlen]
    if not kept:
        raise ValueError(
            f"{data}.load_data: no text is shorter than `maxlen`={maxlen}. Increase `maxlen`."
        )
    return [rows[number] for number in kept], labels[kept]


def limit_words(
    rows: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None
) -> np.ndarray:
    """Keep only the word indices from `skip_top` to `num_words` - 1, as an array of lists.

    Args:
        rows: Lists of word indices.
        num_words: Only smaller indices are kept. Default: the largest index that occurs, which is
            therefore not kept, as in Keras.
        skip_top: The smallest index to keep.
        oov_char: Index that replaces the other indices. `None` drops them.

    Example:
        >>> limit_words([[1, 4, 9]], num_words=5, skip_top=2, oov_char=2)
        array([list([2, 4, 2])], dtype=object)
    """
    if num_words is None:
        num_words = max((max(row, default=0) for row in rows), default=0)
    if oov_char is None:
        rows = [[n for n in row if skip_top <= n < num_words] for row in rows]
    else:
        rows = [[n if skip_top <= n < num_words else oov_char for n in row] for row in rows]
    array = np.empty(len(rows), object)
    array[:] = rows
    return array
