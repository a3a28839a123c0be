"""IMDB: 50,000 movie reviews as lists of word indices, labeled positive (1) or negative (0)."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hornbeam.datasets.dataset_file import KERAS_ADDRESS, DatasetFile
from hornbeam.datasets.words import (
    keep_short,
    limit_words,
    number_words,
    read_texts,
    read_word_index,
)
from hornbeam.typing import FilePath

__all__ = ["get_word_index", "load_data"]

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

FILE = DatasetFile(
    name="imdb.npz",
    address=KERAS_ADDRESS + "imdb.npz",
    reader=functools.partial(read_texts, pairs=(("x_train", "y_train"), ("x_test", "y_test"))),
)
INDEX = DatasetFile(
    name="imdb_word_index.json",
    address=KERAS_ADDRESS + "imdb_word_index.json",
    reader=read_word_index,
)


def load_data(
    path: FilePath = "imdb.npz", num_words: int | None = None, skip_top: int = 0,
    maxlen: int | None = None, seed: int = 113, start_char: int | None = 1,
    oov_char: int | None = 2, index_from: int | None = 3, **kwargs: Any,
) -> Arrays:  # fmt: skip
    """Load IMDB as `(x_train, y_train), (x_test, y_test)`.

    The index of a word is its frequency rank plus `index_from`. By default, 4 is the most frequent
    word, and 0 is reserved for padding.

    Args:
        path: Name of the file in the cache, or an absolute path.
        num_words: Only smaller indices are kept. Default: the largest index that occurs.
        skip_top: Smallest index to keep.
        maxlen: Reviews of this length or longer are dropped. `start_char` counts.
        seed: Seed of the shuffle of the reviews.
        start_char: Index to put at the start of each review, or `None`.
        oov_char: Index that replaces the indices that are not kept. `None` drops them.
        index_from: Number to add to each rank.
        **kwargs: `nb_words`, Keras 1's name for `num_words`.

    Returns:
        Arrays of lists of integers, and arrays of labels, int64. Without `maxlen`, the training and
        the test set have 25,000 reviews each.

    Raises:
        TypeError: If an argument is unknown.
        ValueError: If no review is short enough.
        FileError: If the file is damaged.
        OSError: If the file is not on this computer and cannot be downloaded.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data(num_words=10_000)  # doctest: +SKIP
    """
    num_words = kwargs.pop("nb_words", num_words)
    if kwargs:
        raise TypeError(f"imdb.load_data: unknown arguments {', '.join(sorted(kwargs))}.")
    arrays = FILE.read(path)
    random = np.random.RandomState(seed)
    texts: list[list[int]] = []
    labels = []
    for part in ("train", "test"):
        order = np.arange(len(arrays[f"x_{part}"]))
        random.shuffle(order)
        rows = number_words(arrays[f"x_{part}"][order], start_char, index_from)
        rows, kept = keep_short("imdb", rows, arrays[f"y_{part}"][order], maxlen)
        texts += rows
        labels.append(kept)
    x = limit_words(texts, num_words, skip_top, oov_char)
    at = len(labels[0])
    return (x[:at], labels[0]), (x[at:], labels[1])


def get_word_index(path: FilePath = "imdb_word_index.json") -> dict[str, int]:
    """Return a dictionary from the words of the reviews to their frequency ranks, starting at 1.

    Args:
        path: Name of the file in the cache, or an absolute path.

    Raises:
        FileError: If the file is damaged.
        OSError: If the file is not on this computer and cannot be downloaded.

    Example:
        Decode a review that was loaded with the default arguments:

        >>> words = {n + 3: word for word, n in get_word_index().items()}  # doctest: +SKIP
        >>> " ".join(words.get(n, "?") for n in x_train[0])  # doctest: +SKIP
    """
    return INDEX.read(path)
