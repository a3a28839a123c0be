"""The public names of `keras.preprocessing.sequence`."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from hornbeam.data import PyDataset
from hornbeam.utils.sequences import pad_sequences

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]


class TimeseriesGenerator(PyDataset):
    """Data set of batches of windows of a time series, each with the target after the window.

    In new code, use `utils.timeseries_dataset_from_array`.

    Args:
        data: Steps of the series, a list or an array of shape (steps, ...).
        targets: The target of each step.
        length: Number of steps that a window spans.
        sampling_rate: Distance between consecutive steps within a window.
        stride: Distance between consecutive windows.
        start_index: First step of the first window.
        end_index: Step of the last target. Default: the last step.
        shuffle: Whether to draw windows at random, with NumPy's global generator.
        reverse: Whether to reverse the order of the steps within a window.
        batch_size: Number of windows per batch.

    Raises:
        ValueError: If `data` and `targets` have different lengths, or no window fits.

    Example:
        >>> windows = TimeseriesGenerator(np.arange(6), np.arange(6) * 10, length=2, batch_size=3)
        >>> windows[0]
        (array([[0, 1],
               [1, 2],
               [2, 3]]), array([20, 30, 40]))
    """

    def __init__(
        self, data: Any, targets: Any, length: int, sampling_rate: int = 1, stride: int = 1,
        start_index: int = 0, end_index: int | None = None, shuffle: bool = False,
        reverse: bool = False, batch_size: int = 128,
    ) -> None:  # fmt: skip
        super().__init__()
        if len(data) != len(targets):
            raise ValueError(
                "TimeseriesGenerator: `data` and `targets` must have the same number of steps,"
                f" received {len(data)} and {len(targets)}."
            )
        self.data, self.targets = data, targets
        self.length, self.sampling_rate, self.stride = length, sampling_rate, stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"TimeseriesGenerator: the first window ends before step {self.start_index}, which"
                f" is after `end_index`={self.end_index}. Use a smaller `length` or `start_index`."
            )

    def __len__(self) -> int:
        """Return the number of batches."""
        step = self.batch_size * self.stride
        return (self.end_index - self.start_index + step) // step

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return windows of shape `(batch, steps, ...)` and their targets."""
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            last = min(first + self.batch_size * self.stride, self.end_index + 1)
            rows = np.arange(first, last, self.stride)
        windows = [self.data[row - self.length : row : self.sampling_rate] for row in rows]
        x = np.array(windows)[:, ::-1] if self.reverse else np.array(windows)
        return x, np.array([self.targets[row] for row in rows])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the series as JSON."""
        names = ("length", "sampling_rate", "stride", "start_index", "end_index", "shuffle",
                 "reverse", "batch_size")  # fmt: skip
        series = {
            name: json.dumps(np.asarray(getattr(self, name)).tolist())
            for name in ("data", "targets")
        }
        return series | {name: getattr(self, name) for name in names}

    def to_json(self, **kwargs: Any) -> str:
        """Return the constructor's arguments as JSON.

        Args:
            **kwargs: Arguments of `json.dumps`.
        """
        config = {"class_name": type(self).__name__, "config": self.get_config()}
        return json.dumps(config, **kwargs)


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """Return the probability that `skipgrams` keeps a word, by the word's frequency rank.

    Assumes that word frequencies follow Zipf's law. Frequent words are kept less often, as in
    word2vec (Mikolov et al., "Distributed representations of words and phrases", 2013).

    Args:
        size: Number of ranks.
        sampling_factor: A smaller factor keeps fewer of the frequent words.

    Returns:
        An array of probabilities of shape (size,), float64.

    Example:
        >>> make_sampling_table(4, sampling_factor=0.01).round(3)
        array([0.1  , 0.1  , 0.173, 0.235])
    """
    rank = np.arange(size, dtype=float)
    rank[:1] = 1
    rarity = rank * (np.log(rank) + 0.577) + 0.5 - 1 / (12 * rank)
    return np.minimum(1, np.sqrt(sampling_factor * rarity))


def skipgrams(
    sequence: Any, vocabulary_size: int, window_size: int = 4, negative_samples: float = 1.0,
    shuffle: bool = True, categorical: bool = False, sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[list[int]], list[Any]]:  # fmt: skip
    """Return pairs of words, labeled by whether the second word is near the first in a text.

    Args:
        sequence: Word indices of a text. Index 0 is not a word and is skipped.
        vocabulary_size: Number of word indices, including 0.
        window_size: Maximum distance between the words of a positive pair.
        negative_samples: Number of random negative pairs per positive pair.
        shuffle: Whether to shuffle the pairs.
        categorical: Whether labels are `[0, 1]` and `[1, 0]` instead of 1 and 0.
        sampling_table: Probability of keeping each word, as from `make_sampling_table`.
        seed: Seed of the shuffle. Words are drawn with Python's `random`.

    Returns:
        A list of pairs and a list of labels.

    Example:
        >>> skipgrams([1, 2, 3], 4, window_size=1, negative_samples=0, shuffle=False)
        ([[1, 2], [2, 1], [2, 3], [3, 2]], [1, 1, 1, 1])
    """
    true, false = ([0, 1], [1, 0]) if categorical else (1, 0)
    pairs = []
    for place, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        near = range(max(0, place - window_size), min(len(sequence), place + window_size + 1))
        pairs += [[word, sequence[other]] for other in near if other != place and sequence[other]]
    labels: list[Any] = [true] * len(pairs)
    if negative_samples > 0:
        count = int(len(pairs) * negative_samples)
        words = [word for word, _ in pairs]
        random.shuffle(words)
        drawn = [
            [words[n % len(words)], random.randint(1, vocabulary_size - 1)] for n in range(count)
        ]
        pairs, labels = pairs + drawn, labels + [false] * count
    if shuffle:
        seed = random.randint(0, 10_000_000) if seed is None else seed
        for rows in (pairs, labels):
            random.seed(seed)
            random.shuffle(rows)
    return pairs, labels
