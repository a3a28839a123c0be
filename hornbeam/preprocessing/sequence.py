"""The names of `keras.preprocessing.sequence`."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from hornbeam.data import PyDataset
from hornbeam.utils.sequences import pad_sequences

__all__ = ["TimeseriesGenerator", "make_sampling_table", "pad_sequences", "skipgrams"]


class TimeseriesGenerator(PyDataset):
    """Windows of a time series in batches, each with the target that follows it.

    New code uses `utils.timeseries_dataset_from_array`.

    Args:
        data: Steps of the series, a list or an array (steps, ...).
        targets: Target of each step, as many as steps.
        length: Number of steps that a window spans.
        sampling_rate: Distance of two steps within a window.
        stride: Distance of two windows.
        start_index: First step of the first window.
        end_index: Last step that a target may have. Default: the last one.
        shuffle: Whether windows are drawn at random, by NumPy's generator.
        reverse: Whether the last step of a window comes first.
        batch_size: Number of windows per batch.

    Raises:
        ValueError: If the lengths of `data` and `targets` differ, or no window fits.

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
        """Number of batches."""
        step = self.batch_size * self.stride
        return (self.end_index - self.start_index + step) // step

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return windows `(batch, steps, ...)` and their targets."""
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
        """Return the arguments, with the series as JSON."""
        names = ("length", "sampling_rate", "stride", "start_index", "end_index", "shuffle",
                 "reverse", "batch_size")  # fmt: skip
        series = {
            name: json.dumps(np.asarray(getattr(self, name)).tolist())
            for name in ("data", "targets")
        }
        return series | {name: getattr(self, name) for name in names}

    def to_json(self, **kwargs: Any) -> str:
        """Return the arguments as JSON.

        Args:
            **kwargs: Arguments of `json.dumps`.
        """
        config = {"class_name": type(self).__name__, "config": self.get_config()}
        return json.dumps(config, **kwargs)


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """Return the probability with which the word of each rank is kept by `skipgrams`.

    Words are taken to be as frequent as Zipf's law says, and frequent ones are kept rarely, as in
    word2vec (Mikolov et al., "Distributed representations of words and phrases", 2013).

    Args:
        size: Number of ranks.
        sampling_factor: The smaller, the fewer frequent words are kept.

    Returns:
        An array (size,) of probabilities, float64.

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
    """Return pairs of words, and whether the second is near the first in a text.

    Args:
        sequence: Numbers of the words of a text; 0 is no word.
        vocabulary_size: Number of words, 0 included.
        window_size: How far two words of a true pair may be apart.
        negative_samples: Number of random pairs for each true one.
        shuffle: Whether the pairs are shuffled.
        categorical: Whether labels are `[0, 1]` and `[1, 0]` instead of 1 and 0.
        sampling_table: Probability of each word to be kept; see `make_sampling_table`.
        seed: Seed of the shuffle. The words themselves are drawn by Python's `random`.

    Returns:
        The pairs and their labels, two lists.

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
