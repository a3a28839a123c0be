"""The public names of `keras.preprocessing.text`, Keras 1 and 2's conversion of text to numbers."""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = [
    "Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json",
]  # fmt: skip

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""The default characters to remove from texts."""

Analyzer = Callable[[str], Sequence[str]]


def text_to_word_sequence(
    input_text: str, filters: str = FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """Split a text into words.

    Args:
        input_text: The text.
        filters: Characters to replace with `split`.
        lower: Whether to convert the text to lower case.
        split: Separator between words.

    Example:
        >>> text_to_word_sequence("The cat, the mat.")
        ['the', 'cat', 'the', 'mat']
    """
    text = input_text.lower() if lower else input_text
    text = text.translate({ord(character): split for character in filters})
    return [word for word in text.split(split) if word]


def one_hot(
    input_text: str, n: int, filters: str = FILTERS, lower: bool = True, split: str = " ",
    analyzer: Analyzer | None = None,
) -> list[int]:  # fmt: skip
    """Hash each word of a text to an integer from 1 to `n` - 1, with Python's `hash`.

    Python's hashes of strings differ between processes unless `PYTHONHASHSEED` is set. For stable
    hashes, use `hashing_trick` with `"md5"`.

    Args:
        input_text: The text.
        n: Number of hash values, including 0, which is reserved.
        filters, lower, split: As in `text_to_word_sequence`.
        analyzer: Function from a text to its words, which replaces `filters`, `lower` and `split`.

    Example:
        >>> first, second, third = one_hot("the cat the", 50)
        >>> first == third
        True
    """
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


def hashing_trick(
    text: str, n: int, hash_function: Callable[[str], int] | str | None = None,
    filters: str = FILTERS, lower: bool = True, split: str = " ", analyzer: Analyzer | None = None,
) -> list[int]:  # fmt: skip
    """Hash each word of a text to an integer from 1 to `n` - 1.

    Args:
        text: The text.
        n: Number of hash values, including 0, which is reserved.
        hash_function: A function from a word to an integer, or `"md5"`. Default: Python's `hash`.
        filters, lower, split: As in `text_to_word_sequence`.
        analyzer: Function from a text to its words, which replaces `filters`, `lower` and `split`.

    Raises:
        ValueError: If `n` is less than 2, or `hash_function` is not supported.

    Example:
        >>> hashing_trick("the cat the", 50, "md5")
        [43, 32, 43]
    """
    if n < 2:
        raise ValueError(f"hashing_trick: `n` must be at least 2, received {n}.")
    words = (
        text_to_word_sequence(text, filters, lower, split) if analyzer is None else analyzer(text)
    )
    function = _md5 if hash_function == "md5" else hash if hash_function is None else hash_function
    if not callable(function):
        raise ValueError(
            "hashing_trick: `hash_function` must be a function, 'md5' or None, received"
            f" {hash_function!r}."
        )
    return [function(word) % (n - 1) + 1 for word in words]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Vocabulary that converts texts to lists of word indices, or to rows of a matrix.

    In new code, use `layers.TextVectorization`, which is faster and is saved with the model. Word
    indices start at 1, for the most frequent word. Index 0 is reserved for padding.

    Args:
        num_words: Only words with a smaller index are kept. Default: all.
        filters, lower, split: As in `text_to_word_sequence`.
        char_level: Whether to use characters instead of words. `filters` then has no effect.
        oov_token: Token that replaces words that are not in the vocabulary. Its index is 1. By
            default, unknown words are dropped.
        analyzer: Function from a text to its words, which replaces `filters`, `lower` and `split`.
        **kwargs: `document_count`, the number of texts seen before; and Keras 1's `nb_words`.

    Attributes:
        word_index, index_word: Dictionaries from words to indices, and from indices to words.
        word_counts: Number of occurrences of each word, in the order of first occurrence.
        word_docs, index_docs: Number of texts that contain each word, or each index.
        document_count: Number of texts.

    Example:
        >>> tokenizer = Tokenizer(oov_token="<OOV>")
        >>> tokenizer.fit_on_texts(["the cat", "the dog"])
        >>> tokenizer.texts_to_sequences(["the dog sleeps"])
        [[2, 4, 1]]
    """

    def __init__(
        self, num_words: int | None = None, filters: str = FILTERS, lower: bool = True,
        split: str = " ", char_level: bool = False, oov_token: str | None = None,
        analyzer: Analyzer | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        num_words = kwargs.pop("nb_words", num_words)
        self.document_count: int = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(
                f"Tokenizer has no argument {', '.join(map(repr, kwargs))}. Its arguments are"
                " `num_words`, `filters`, `lower`, `split`, `char_level`, `oov_token`, `analyzer`"
                " and `document_count`."
            )
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.word_counts: collections.OrderedDict[str, int] = collections.OrderedDict()
        self.word_docs: collections.defaultdict[str, int] = collections.defaultdict(int)
        self.index_docs: collections.defaultdict[int, int] = collections.defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: str | Sequence[str]) -> Sequence[str]:
        """Split a text into words. A list of words is only converted to lower case."""
        if not isinstance(text, str):
            return [word.lower() for word in text] if self.lower else text
        if self.char_level:
            return text.lower() if self.lower else text
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[str | list[str]]) -> None:
        """Count the words of texts, and update the word indices.

        Args:
            texts: Texts, or lists of words. May be a generator.
        """
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in dict.fromkeys(words):
                self.word_docs[word] += 1
        ordered = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        first = [] if self.oov_token is None else [self.oov_token]
        self.word_index = {word: n for n, word in enumerate(first + ordered, 1)}
        self.index_word = {n: word for word, n in self.word_index.items()}
        self.index_docs.clear()
        self.index_docs.update((self.word_index[word], n) for word, n in self.word_docs.items())

    def fit_on_sequences(self, sequences: Iterable[Iterable[int]]) -> None:
        """Count the texts in which each index occurs, for `sequences_to_matrix`.

        Args:
            sequences: Lists of word indices.
        """
        for sequence in sequences:
            self.document_count += 1
            for number in set(sequence):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts: Iterable[str | list[str]]) -> list[list[int]]:
        """Convert each text to a list of word indices.

        Args:
            texts: Texts, or lists of words.
        """
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[str | list[str]]) -> Iterator[list[int]]:
        """Yield the list of word indices of each text.

        Args:
            texts: Texts, or lists of words.
        """
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        limit = self.num_words or len(self.word_index) + 1
        for text in texts:
            found = [self.word_index.get(word, limit) for word in self._words(text)]
            numbers = (number if number < limit else unknown for number in found)
            yield [number for number in numbers if number is not None]

    def sequences_to_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """Convert each list of word indices to a text, with spaces between words.

        Args:
            sequences: Lists of word indices.
        """
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Iterable[int]]) -> Iterator[str]:
        """Yield the text of each list of word indices, with spaces between words.

        Args:
            sequences: Lists of word indices.
        """
        unknown = self.oov_token if self.oov_token in self.word_index else None
        limit = self.num_words or len(self.word_index) + 1
        for sequence in sequences:
            words = (self.index_word.get(n) if n < limit else None for n in sequence)
            known = (unknown if word is None else word for word in words)
            yield " ".join(word for word in known if word is not None)

    def texts_to_matrix(self, texts: Iterable[str | list[str]], mode: str = "binary") -> np.ndarray:
        """Convert texts to a matrix with one row per text and one column per word index.

        Args:
            texts: Texts, or lists of words.
            mode: As in `sequences_to_matrix`.
        """
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(
        self, sequences: Sequence[Sequence[int]], mode: str = "binary"
    ) -> np.ndarray:
        """Convert lists of word indices to a matrix with one row per list, one column per index.

        Args:
            sequences: Lists of word indices.
            mode: `"binary"` (1 if the word occurs), `"count"`, `"freq"` (the count divided by the
                length of the text) or `"tfidf"`. The latter is
                `(1 + log(count)) * log(1 + d / (1 + w))`, where `d` is the number of texts and `w`
                the number of texts that contain the word.

        Returns:
            An array of shape (texts, `num_words`), float64.

        Raises:
            ValueError: If the number of words or of texts is unknown, or `mode` is not supported.
        """
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(
                "Tokenizer: `mode` must be 'binary', 'count', 'freq' or 'tfidf', received"
                f" {mode!r}."
            )
        if not self.num_words and not self.word_index:
            raise ValueError(
                "Tokenizer: the number of columns is unknown. Pass `num_words`, or call"
                " `fit_on_texts` first."
            )
        if mode == "tfidf" and not self.document_count:
            raise ValueError(
                "Tokenizer: `mode='tfidf'` needs the number of texts in which each word occurs."
                " Call `fit_on_texts` or `fit_on_sequences` first."
            )
        size = self.num_words or len(self.word_index) + 1
        matrix = np.zeros((len(sequences), size))
        for row, sequence in zip(matrix, sequences, strict=True):
            for number, count in collections.Counter(sequence).items():
                if number >= size:
                    continue
                rarity = np.log(1 + self.document_count / (1 + self.index_docs.get(number, 0)))
                row[number] = {
                    "binary": 1,
                    "count": count,
                    "freq": count / len(sequence),
                    "tfidf": (1 + np.log(count)) * rarity,
                }[mode]
        return matrix

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, without `analyzer`, and the counts as JSON."""
        return {
            "num_words": self.num_words,
            "filters": self.filters,
            "lower": self.lower,
            "split": self.split,
            "char_level": self.char_level,
            "oov_token": self.oov_token,
            "document_count": self.document_count,
            **{name: json.dumps(getattr(self, name)) for name in _COUNTS},
        }

    def to_json(self, **kwargs: Any) -> str:
        """Return the tokenizer as JSON, for `tokenizer_from_json`.

        Args:
            **kwargs: Arguments of `json.dumps`.
        """
        config = {"class_name": type(self).__name__, "config": self.get_config()}
        return json.dumps(config, **kwargs)


_COUNTS = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """Restore a `Tokenizer` from the JSON of `Tokenizer.to_json`, of Hornbeam or Keras.

    Raises:
        ValueError: If the text is not the JSON of a tokenizer.

    Example:
        >>> tokenizer = Tokenizer()
        >>> tokenizer.fit_on_texts(["the cat"])
        >>> tokenizer_from_json(tokenizer.to_json()).word_index
        {'the': 1, 'cat': 2}
    """
    try:
        config = dict(json.loads(json_string)["config"])
        counts = {name: dict(json.loads(config.pop(name))) for name in _COUNTS}
        for name in ("index_docs", "index_word"):
            counts[name] = {int(number): value for number, value in counts[name].items()}
        tokenizer = Tokenizer(**config)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "tokenizer_from_json: `json_string` must be the result of `Tokenizer.to_json`, but"
            f" reading it failed with {type(error).__name__}: {error}"
        ) from None
    for name, values in counts.items():
        getattr(tokenizer, name).update(values)
    return tokenizer
