"""Reuters: 11,228 newswires from 1987 as lists of word indices, in 46 topics."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hornbeam.datasets.dataset_file import KERAS_ADDRESS, DatasetFile
from hornbeam.datasets.tables import split
from hornbeam.datasets.words import (
    keep_short,
    limit_words,
    number_words,
    read_texts,
    read_word_index,
)
from hornbeam.typing import FilePath

__all__ = ["get_label_names", "get_word_index", "load_data"]

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

FILE = DatasetFile(
    name="reuters.npz",
    address=KERAS_ADDRESS + "reuters.npz",
    reader=functools.partial(read_texts, pairs=(("x", "y"),)),
)
INDEX = DatasetFile(
    name="reuters_word_index.json",
    address=KERAS_ADDRESS + "reuters_word_index.json",
    reader=read_word_index,
)
_LABELS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves"
    " ship cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin"
    " strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem"
    " dlr gas silver wpi hog lead"
)


def load_data(
    path: FilePath = "reuters.npz", num_words: int | None = None, skip_top: int = 0,
    maxlen: int | None = None, test_split: float = 0.2, seed: int = 113,
    start_char: int | None = 1, oov_char: int | None = 2, index_from: int | None = 3,
    **kwargs: Any,
) -> Arrays:  # fmt: skip
    """Load Reuters as `(x_train, y_train), (x_test, y_test)`.

    The index of a word is its frequency rank plus `index_from`. By default, 4 is the most frequent
    word, and 0 is reserved for padding.

    Args:
        path: Name of the file in the cache, or an absolute path.
        num_words: Only smaller indices are kept. Default: the largest index that occurs.
        skip_top: Smallest index to keep.
        maxlen: Newswires of this length or longer are dropped. `start_char` counts.
        test_split: Fraction of the newswires in the test set.
        seed: Seed of the shuffle before the split.
        start_char: Index to put at the start of each newswire, or `None`.
        oov_char: Index that replaces the indices that are not kept. `None` drops them.
        index_from: Number to add to each rank.
        **kwargs: `nb_words`, Keras 1's name for `num_words`.

    Returns:
        Arrays of lists of integers, and arrays of topics from 0 to 45, int64.

    Raises:
        TypeError: If an argument is unknown.
        ValueError: If no newswire is short enough, or `test_split` is not in [0, 1).
        FileError: If the file is damaged.
        OSError: If the file is not on this computer and cannot be downloaded.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data(num_words=10_000)  # doctest: +SKIP
    """
    num_words = kwargs.pop("nb_words", num_words)
    if kwargs:
        raise TypeError(f"reuters.load_data: unknown arguments {', '.join(sorted(kwargs))}.")
    arrays = FILE.read(path)
    order = np.arange(len(arrays["x"]))
    np.random.RandomState(seed).shuffle(order)
    rows = number_words(arrays["x"][order], start_char, index_from)
    rows, labels = keep_short("reuters", rows, arrays["y"][order], maxlen)
    x = limit_words(rows, num_words, skip_top, oov_char)
    return split("reuters", x, labels, test_split, np.arange(len(x)))


def get_word_index(path: FilePath = "reuters_word_index.json") -> dict[str, int]:
    """Return a dictionary from the words of the newswires to their frequency ranks, from 1.

    Args:
        path: Name of the file in the cache, or an absolute path.

    Raises:
        FileError: If the file is damaged.
        OSError: If the file is not on this computer and cannot be downloaded.

    Example:
        >>> get_word_index()["the"]  # doctest: +SKIP
        1
    """
    return INDEX.read(path)


def get_label_names() -> tuple[str, ...]:
    """Return the names of the topics, in the order of the labels.

    Example:
        >>> get_label_names()[3]
        'earn'
    """
    return tuple(_LABELS.split())
