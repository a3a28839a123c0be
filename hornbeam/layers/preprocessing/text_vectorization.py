"""A layer that turns texts into the indices of their words."""

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
    """Turns texts into sequences of word indices, or into vectors of word counts.

    Each text is standardized, split into tokens, joined to n-grams if asked for, and looked up in a
    vocabulary. `adapt` learns the vocabulary from texts.

    Args:
        max_tokens: Largest size of the vocabulary, special tokens included. Default: `None`, no
            limit.
        standardize: `"lower_and_strip_punctuation"`, `"lower"`, `"strip_punctuation"`, `None`, or a
            function from an array of texts to an array of texts. Only the letters A to Z are
            lowered and only ASCII punctuation is removed. Default: the first.
        split: `"whitespace"`, `"character"`, `None`, or a function from an array of texts to a list
            of lists of tokens. Default: `"whitespace"`.
        ngrams: Join up to this many tokens in a row, or exactly the numbers in a tuple. Default:
            `None`, single tokens.
        output_mode: `"int"` (indices), `"multi_hot"`, `"count"` or `"tf_idf"`. Default: `"int"`.
        output_sequence_length: For `"int"`: length to which sequences are cut or padded with 0.
            Default: `None`, the longest of the batch.
        pad_to_max_tokens: Whether vectors have the length `max_tokens`, even if the vocabulary is
            smaller. Default: False.
        vocabulary: A list or array of tokens, or the path of a file with one token per line.
            Default: `None`, learned by `adapt`.
        idf_weights: For `"tf_idf"` and `vocabulary`: one weight per token.
        sparse: Whether to return a JAX `BCOO` array, if `output_mode` is not `"int"`. Default:
            False.
        ragged: Only False: there are no ragged arrays.
        encoding: Encoding of bytes and files. Default: `"utf-8"`.

    Input: texts (B,), (B, 1) or (). It runs on the host.

    Output: int32 indices (B, T); 0 is padding, 1 an unknown token. Or vectors (B, vocabulary size),
    whose first number is that of unknown tokens. As in Keras.

    Raises:
        ValueError: If an argument or the vocabulary is wrong, the layer has no vocabulary yet, or
            the input holds no texts or has more columns than one.

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
        if output_mode == "binary":  # Keras 2's first name of it
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
                "TextVectorization: `ragged=True` needs ragged arrays, which JAX does not have. The"
                " default pads each batch to its longest text."
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
        """Return the vocabulary; position `i` holds the token of index `i`.

        Args:
            include_special_tokens: Whether the tokens for padding and unknown tokens are included.
        """
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """Return the number of indices, including those of special tokens."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: ArrayLike | None = None) -> None:
        """Set the vocabulary, as `StringLookup.set_vocabulary` does.

        Args:
            vocabulary: A list, tuple or array of tokens, or the path of a text file.
            idf_weights: For `"tf_idf"`: one weight per token of `vocabulary`.
        """
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    @property
    def can_adapt(self) -> bool:
        """Whether neither the constructor nor `set_vocabulary` got the vocabulary."""
        return self._lookup_layer.can_adapt

    def adapt(self, data: Data, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary: the most frequent tokens first. A later call replaces it.

        Args:
            data: Texts (samples,) or (samples, 1), or batches of them.
            batch_size: Has no effect on the result; arrays are read at once.
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
        """Return how texts become tokens, or `None` if a function splits them."""
        if callable(self.split):
            return None
        name = "" if self.standardize is None or callable(self.standardize) else self.standardize
        split = 0 if self.split is None else _SPLIT.index(self.split) + 1
        return "lower" in name, "strip" in name, split, self._sizes or ()

    def _standardized(self, texts: np.ndarray) -> np.ndarray:
        """Return texts of shape (N,), standardized if a function does that."""
        if texts.dtype.kind not in "USOT":
            raise ValueError(
                f"{self._label()}: the input must hold text, received dtype {texts.dtype}."
            )
        if texts.ndim > 1 and (texts.ndim > 2 or texts.shape[-1] != 1) and self.split is not None:
            raise ValueError(
                f"{self._label()}: the input must have the shape (batch,) or (batch, 1), received"
                f" {texts.shape}. Join the columns to one text, or call the layer for each."
            )
        flat: Any = texts.reshape(-1)
        if not callable(self.standardize):
            return flat
        if len({*map(type, flat.tolist())}) == 1:
            flat = np.array(flat.tolist())  # for functions of `np.char`
        return as_host_array(self.standardize(flat), self._label()).reshape(-1)

    def _tokens(self, texts: np.ndarray) -> list[list[Any]]:
        """Return the tokens of each text: `str`, or `bytes` where that is faster."""
        rows = [t if isinstance(t, bytes) else t.encode(self.encoding) for t in texts.tolist()]
        name = "" if self.standardize is None or callable(self.standardize) else self.standardize
        if "lower" in name:
            rows = [row.lower() for row in rows]  # of bytes: the letters A to Z only
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
        """Return the n-grams of the tokens of one text."""
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
        """Return the index of each token of texts (N,), (N, T)."""
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
        return KerasTensor(shape, dtype="int64" if integer else self.compute_dtype)

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
    """Return the numbers of tokens in an n-gram."""
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
