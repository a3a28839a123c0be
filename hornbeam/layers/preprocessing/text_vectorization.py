"""Layer that converts texts to the indices of their words."""

from __future__ import annotations

import collections
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hornbeam.core.tensor import KerasTensor
from hornbeam.errors import reworded
from hornbeam.layers.dtype_config import dtype_config
from hornbeam.layers.preprocessing.lookup import StringLookup
from hornbeam.layers.preprocessing.native_text import Plan, count_tokens
from hornbeam.layers.preprocessing.text import TextLayer, as_host_array
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.typing import ArrayLike, Data, Shape, Shapes, Tensor

__all__ = ["TextVectorization"]

_PUNCTUATION = string.punctuation.encode()
_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLIT = ("whitespace", "character")


class TextVectorization(TextLayer):
    """Converts texts to sequences of word indices, or to vectors of word counts.

    Each text is standardized, split into tokens, optionally combined into n-grams, and looked up in
    a vocabulary. `adapt` learns the vocabulary from texts.

    Args:
        max_tokens: Maximum size of the vocabulary, including special tokens. Default: `None`, no
            limit.
        standardize: `"lower_and_strip_punctuation"`, `"lower"`, `"strip_punctuation"`, `None`, or a
            function from an array of texts to an array of texts. Only the letters A to Z are
            lowered, and only ASCII punctuation is removed. Default:
            `"lower_and_strip_punctuation"`.
        split: `"whitespace"`, `"character"`, `None`, or a function from an array of texts to a list
            of lists of tokens. Default: `"whitespace"`.
        ngrams: Largest size of n-grams, or a tuple of sizes. Default: `None`, single tokens.
        output_mode: `"int"` (indices), `"multi_hot"`, `"count"` or `"tf_idf"`. Default: `"int"`.
        output_sequence_length: Length to which sequences are truncated or padded with 0, for
            `"int"`. Default: `None`, the longest sequence in the batch.
        pad_to_max_tokens: Whether vectors have length `max_tokens`, even if the vocabulary is
            smaller. Default: False.
        vocabulary: A list or array of tokens, or the path of a file with one token per line.
            Default: `None`, learned by `adapt`.
        idf_weights: One weight per token of `vocabulary`, for `"tf_idf"`.
        sparse: Whether to return a JAX `BCOO` array. Needs an `output_mode` other than `"int"`.
            Default: False.
        ragged: Must be False, because JAX has no ragged arrays.
        encoding: Encoding of bytes and files. Default: `"utf-8"`.

    Input: texts of shape (B,), (B, 1) or (). The layer runs on the host.

    Output: int32 indices of shape (B, T), where 0 is padding and 1 is an unknown token. In the
    other modes, vectors of shape (B, vocabulary size), whose first element is for unknown tokens.
    As in Keras.

    Raises:
        ValueError: If an argument or the vocabulary is invalid, the layer has no vocabulary yet, or
            the input does not hold text or has more than one column.

    Example:
        >>> import hornbeam as hb
        >>> layer = hb.layers.TextVectorization(output_sequence_length=4)
        >>> layer.adapt(["The cat sat.", "The dog sat on the cat."])
        >>> layer.get_vocabulary()
        ['', '[UNK]', 'the', 'sat', 'cat', 'on', 'dog']
        >>> layer(["A dog sat."])
        Array([[1, 6, 3, 0]], dtype=int32)
    """

    needs_text = True
    _not_children = TextLayer._not_children | {"_counts", "_documents"}

    def __init__(
        self, max_tokens: int | None = None,
        standardize: str | Callable[..., Any] | None = "lower_and_strip_punctuation",
        split: str | Callable[..., Any] | None = "whitespace",
        ngrams: int | Sequence[int] | None = None, output_mode: str = "int",
        output_sequence_length: int | None = None, pad_to_max_tokens: bool = False,
        vocabulary: Any = None, idf_weights: ArrayLike | None = None, sparse: bool = False,
        ragged: bool = False, encoding: str = "utf-8", name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        if output_mode == "binary":  # the name in early versions of Keras 2
            output_mode = "multi_hot"
        for argument, value, known in (
            ("standardize", standardize, _STANDARDIZE), ("split", split, _SPLIT),
        ):  # fmt: skip
            if value is not None and value not in known and not callable(value):
                raise ValueError(
                    f"TextVectorization: `{argument}` must be one of {known}, a function or None,"
                    f" received {value!r}."
                )
        if output_sequence_length is not None and output_mode != "int":
            raise ValueError(
                "TextVectorization: `output_sequence_length` needs `output_mode='int'`, received"
                f" {output_mode!r}."
            )
        if output_sequence_length is not None and output_sequence_length < 1:
            raise ValueError(
                "TextVectorization: `output_sequence_length` must be at least 1, received"
                f" {output_sequence_length!r}."
            )
        if ragged:
            raise ValueError(
                "TextVectorization: `ragged` must be False, because JAX has no ragged arrays,"
                " received True. With False, each batch is padded to its longest text."
            )
        self.standardize, self.split, self.output_mode = standardize, split, output_mode
        self.ngrams, self._sizes = ngrams, _sizes(ngrams)
        self.output_sequence_length = output_sequence_length
        self.encoding = encoding
        self.built = True
        try:
            self._lookup_layer = StringLookup(
                max_tokens=max_tokens, mask_token="", vocabulary=vocabulary,
                name=f"{self.name}_lookup", idf_weights=idf_weights, sparse=sparse,
                pad_to_max_tokens=pad_to_max_tokens,
                output_mode=output_mode, encoding=encoding, dtype=self.dtype_policy,
            )  # fmt: skip
        except ValueError as error:  # about an argument of this layer
            raise reworded(
                error, lambda text: text.replace("StringLookup", "TextVectorization")
            ) from None
        self.reset_state()

    # --- the vocabulary -----------------------------------------------------------------------

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """Return the vocabulary as a list. Position `i` holds the token of index `i`.

        Args:
            include_special_tokens: Whether to include the tokens for padding and unknown tokens.
        """
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """Return the number of indices, including the indices of special tokens."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: ArrayLike | None = None) -> None:
        """Set the vocabulary, as `StringLookup.set_vocabulary` does.

        Args:
            vocabulary: A list, tuple or array of tokens, or the path of a text file.
            idf_weights: One weight per token of `vocabulary`, for `"tf_idf"`.
        """
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    @property
    def can_adapt(self) -> bool:
        """Whether the vocabulary was not set by the constructor or `set_vocabulary`."""
        return self._lookup_layer.can_adapt

    def adapt(self, data: Data, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary, sorted by frequency. A later call replaces it.

        Args:
            data: Texts of shape (samples,) or (samples, 1), or batches of them.
            batch_size: Without effect, because arrays are read at once.
            steps: Number of batches to read. Default: all.

        Raises:
            ValueError: If the constructor or `set_vocabulary` set the vocabulary, or there are no
                texts.
        """
        self._lookup_layer.check_adaptable(self._label())
        super().adapt(data, steps)

    def reset_state(self) -> None:
        self._counts: collections.Counter[Any] = collections.Counter()
        self._documents: collections.Counter[Any] = collections.Counter()
        self._rows = 0

    def update_state(self, data: np.ndarray) -> None:
        texts = self._standardized(as_host_array(data, self._label()))
        self._rows += len(texts)
        plan = self._plan()
        counted = None if plan is None else count_tokens(texts, plan, self.encoding)
        if counted is not None:
            tokens, totals, documents = counted
            _add(self._counts, tokens, totals)
            if self.output_mode == "tf_idf":
                _add(self._documents, tokens, documents)
            return
        for tokens in self._tokens(texts):
            self._counts.update(tokens)
            if self.output_mode == "tf_idf":
                self._documents.update(set(tokens))

    def finalize_state(self) -> None:
        counts, documents = (self._decoded(c) for c in (self._counts, self._documents))
        self._lookup_layer.learn(counts, documents, self._rows)

    def _decoded(self, counts: collections.Counter[Any]) -> collections.Counter[str]:
        found: collections.Counter[str] = collections.Counter()
        for token, count in counts.items():
            found[_text(token, self.encoding)] += count
        return found

    # --- from texts to tokens -------------------------------------------------------------------

    def _plan(self) -> Plan | None:
        """Return how to convert texts to tokens, or `None` if `split` is a function."""
        if callable(self.split):
            return None
        name = "" if self.standardize is None or callable(self.standardize) else self.standardize
        split = 0 if self.split is None else _SPLIT.index(self.split) + 1
        return "lower" in name, "strip" in name, split, self._sizes or ()

    def _standardized(self, texts: np.ndarray) -> np.ndarray:
        """Return texts of shape (N,), standardized if `standardize` is a function."""
        if texts.dtype.kind not in "USOT":
            raise ValueError(
                f"{self._label()}: the input must hold text, received dtype {texts.dtype}."
            )
        if texts.ndim > 1 and (texts.ndim > 2 or texts.shape[-1] != 1) and self.split is not None:
            raise ValueError(
                f"{self._label()}: the input must have shape (batch,) or (batch, 1), received"
                f" {texts.shape}. Join the columns to one text, or call the layer for each column."
            )
        flat: Any = texts.reshape(-1)
        if not callable(self.standardize):
            return flat
        if len({*map(type, flat.tolist())}) == 1:
            flat = np.array(flat.tolist())  # for functions of `np.char`
        return as_host_array(self.standardize(flat), self._label()).reshape(-1)

    def _tokens(self, texts: np.ndarray) -> list[list[Any]]:
        """Return the tokens of each text, as `str`, or as `bytes` if that is faster."""
        rows = [t if isinstance(t, bytes) else t.encode(self.encoding) for t in texts.tolist()]
        name = "" if self.standardize is None or callable(self.standardize) else self.standardize
        if "lower" in name:
            rows = [row.lower() for row in rows]  # of bytes: lowers only A to Z
        if "strip" in name:
            rows = [row.translate(None, _PUNCTUATION) for row in rows]
        tokens = self._split(rows)
        return tokens if self._sizes is None else [self._joined(row) for row in tokens]

    def _split(self, rows: list[bytes]) -> list[list[Any]]:
        if self.split == "whitespace":
            return [row.split() for row in rows]
        if self.split is None:
            return [[row] for row in rows]
        texts = [row.decode(self.encoding, "replace") for row in rows]
        if self.split == "character":
            return [list(text) for text in texts]
        found: Any = self.split(np.array(texts))  # type: ignore[operator]
        found = found.to_list() if hasattr(found, "to_list") else found
        return [list(row) for row in found]

    def _joined(self, tokens: list[Any]) -> list[Any]:
        """Combine the tokens of one text into n-grams."""
        space: Any = b" " if tokens and isinstance(tokens[0], bytes) else " "
        return [
            space.join(tokens[i : i + size])
            for size in self._sizes or ()
            for i in range(len(tokens) - size + 1)
        ]

    # --- the call -------------------------------------------------------------------------------

    def call(self, inputs: Tensor) -> Any:
        self._lookup_layer.check_vocabulary(self._label())
        texts = self._texts(inputs)
        indices = self._indices(self._standardized(texts))
        if self.split is None and self._sizes is None:
            indices = indices.reshape(texts.shape if texts.ndim else ())
        elif not texts.ndim:
            indices = indices[0]
        return self._lookup_layer.form(indices)

    def _indices(self, texts: np.ndarray) -> np.ndarray:
        """Return the token indices of texts of shape (N,), as an array of shape (N, T)."""
        table, unknown = self._lookup_layer.table(), self._lookup_layer.unknown_index()
        integer = self.output_mode == "int"
        length, padding = self.output_sequence_length or 0, 0 if integer else -1
        plan = self._plan()
        if plan is not None:
            found = table.sequences(texts, plan, self.encoding, length, unknown, padding)
            if found is not None and (integer or found.shape[1]):
                return found
        tokens = self._tokens(texts)
        length = length or max((len(row) for row in tokens), default=0)
        first = next((row[0] for row in tokens if row), "")
        known = table.encoded(self.encoding) if isinstance(first, bytes) else table.numbers
        indices = np.full((len(tokens), length if integer else max(length, 1)), padding, "int64")
        for row, found_tokens in zip(indices, tokens, strict=True):
            part = [known.get(t, unknown) for t in found_tokens[:length]]
            row[: len(part)] = part
        return indices

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        integer = self.output_mode == "int"
        shape = self.compute_output_shape(inputs.shape)
        sparse = not integer and self._lookup_layer.sparse
        return KerasTensor(shape, "int64" if integer else self.compute_dtype, sparse)

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        batch: Shape = tuple(input_shape)[:1]
        if self.output_mode != "int":
            return (*batch, self._lookup_layer.compute_output_shape((None,))[-1])
        if self.split is None and self._sizes is None:
            return tuple(input_shape)
        return (*batch, self.output_sequence_length)

    # --- files ----------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        lookup = self._lookup_layer.get_config()

        def plain(value: Any) -> Any:
            return serialize(value) if callable(value) else value

        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_config(self),
            "max_tokens": lookup["max_tokens"],
            "standardize": plain(self.standardize),
            "split": plain(self.split),
            "ngrams": self.ngrams,
            "output_mode": self.output_mode,
            "output_sequence_length": self.output_sequence_length,
            "pad_to_max_tokens": lookup["pad_to_max_tokens"],
            "sparse": lookup["sparse"],
            "ragged": False,
            "vocabulary": lookup["vocabulary"],
            "idf_weights": lookup["idf_weights"],
            "encoding": self.encoding,
            "vocabulary_size": self.vocabulary_size(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextVectorization:
        size = config.get("vocabulary_size")
        config = {k: v for k, v in config.items() if k != "vocabulary_size"}
        for name in ("standardize", "split"):
            if isinstance(config.get(name), dict):
                config[name] = deserialize(config[name])
        layer = cls(**config)
        layer._lookup_layer.promise(size)
        return layer

    def save_assets(self, dir_path: str) -> None:
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: str) -> None:
        self._lookup_layer.load_assets(dir_path)

    def save_own_variables(self, store: Any) -> None:
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        self._lookup_layer.load_own_variables(store)


def _text(token: Any, encoding: str) -> str:
    return token.decode(encoding, "replace") if isinstance(token, bytes) else token


def _add(counts: collections.Counter[Any], tokens: list[bytes], numbers: list[int]) -> None:
    if not counts:
        counts.update(dict(zip(tokens, numbers, strict=True)))
        return
    for token, number in zip(tokens, numbers, strict=True):
        counts[token] += number


def _sizes(ngrams: Any) -> tuple[int, ...] | None:
    """Return the sizes of n-grams."""
    if ngrams is None:
        return None
    sizes = tuple(range(1, ngrams + 1)) if type(ngrams) is int else ngrams
    fits = isinstance(sizes, (list, tuple)) and all(type(n) is int and n > 0 for n in sizes)
    if not fits or not sizes:
        raise ValueError(
            f"TextVectorization: `ngrams` must be a positive integer, a tuple of them or None,"
            f" received {ngrams!r}."
        )
    return tuple(sizes)
