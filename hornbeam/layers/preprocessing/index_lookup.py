"""Base class of layers that map strings or integers to vocabulary indices, and back."""

from __future__ import annotations

import collections
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hornbeam.core.loading import refuse_from_files
from hornbeam.core.tensor import KerasTensor
from hornbeam.layers.dtype_config import dtype_config
from hornbeam.layers.preprocessing.encoding import (
    as_tensor,
    check_mode,
    encode,
    encoded_shape,
)
from hornbeam.layers.preprocessing.fingerprints import hash_key
from hornbeam.layers.preprocessing.text import TextLayer
from hornbeam.typing import ArrayLike, Data, Shapes, Tensor

__all__ = ["IndexLookup", "Token"]

MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
Token = Any  # a `str` or an `int`
Counts = collections.Counter[Token]


class IndexLookup(TextLayer):
    """Base class of `StringLookup` and `IntegerLookup`, which holds the vocabulary.

    The indices are in this order: one index for `mask_token`, if it is given and the mode is
    `"int"`, then `num_oov_indices` indices for out-of-vocabulary tokens, then the vocabulary. The
    subclasses document the constructor's arguments.
    """

    # These attributes are large and contain no layers, so they need not be searched for layers.
    _not_children = TextLayer._not_children | {
        "_tokens", "_known", "_given", "_counts", "_documents",
    }  # fmt: skip

    def __init__(
        self, max_tokens: int | None, num_oov_indices: int, mask_token: Token, oov_token: Token,
        vocabulary: Any, idf_weights: ArrayLike | None, invert: bool, output_mode: str,
        sparse: bool, pad_to_max_tokens: bool, oov_method: str, salt: Any, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        owner = type(self).__name__
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(f"{owner}: `max_tokens` must be at least 2, received {max_tokens!r}.")
        if pad_to_max_tokens and max_tokens is None:
            raise ValueError(
                f"{owner}: `pad_to_max_tokens=True` needs `max_tokens`, received None."
            )
        if num_oov_indices < 0:
            raise ValueError(
                f"{owner}: `num_oov_indices` must be at least 0, received {num_oov_indices!r}."
            )
        if output_mode == "binary":  # the name in early versions of Keras 2
            output_mode = "multi_hot"
        check_mode(owner, output_mode, MODES)
        if invert and output_mode != "int":
            raise ValueError(
                f"{owner}: `invert=True` needs `output_mode='int'`, received {output_mode!r}."
            )
        if sparse and output_mode == "int":
            raise ValueError(f"{owner}: `sparse=True` needs an `output_mode` other than 'int'.")
        if oov_method not in ("floormod", "farmhash"):
            raise ValueError(
                f"{owner}: `oov_method` must be 'floormod' or 'farmhash', received {oov_method!r}."
            )
        if idf_weights is not None and output_mode != "tf_idf":
            raise ValueError(
                f"{owner}: `idf_weights` needs `output_mode='tf_idf'`, received {output_mode!r}."
            )
        self.max_tokens, self.num_oov_indices = max_tokens, num_oov_indices
        self.mask_token, self.oov_token, self.invert = mask_token, oov_token, invert
        self.output_mode, self.sparse, self.pad_to_max_tokens = (
            output_mode,
            sparse,
            pad_to_max_tokens,
        )
        self.oov_method, self.salt, self._key = oov_method, salt, hash_key(owner, salt)
        self.built = True
        self._tokens: list[Token] = []
        self._known: Any = None
        self._idf: np.ndarray | None = None
        self._given: Any = None
        # The size that a file's configuration promises, until the file's vocabulary is read.
        self.promised_size = self.vocabulary_size()
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # --- the vocabulary -----------------------------------------------------------------------

    def _special(self) -> list[Token]:
        """Return the special tokens, which come before the vocabulary."""
        mask = [] if self.mask_token is None or self.output_mode != "int" else [self.mask_token]
        return mask + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Token]:
        """Return the vocabulary as a list. Position `i` holds the token of index `i`.

        Args:
            include_special_tokens: Whether to include the mask token and the out-of-vocabulary
                token.
        """
        return (self._special() if include_special_tokens else []) + list(self._tokens)

    def vocabulary_size(self) -> int:
        """Return the number of indices, including the indices of special tokens."""
        return len(self._special()) + len(self._tokens)

    def unknown_index(self) -> int:
        """Return the last index for out-of-vocabulary tokens."""
        return len(self._special()) - 1

    def set_vocabulary(self, vocabulary: Any, idf_weights: ArrayLike | None = None) -> None:
        """Set the vocabulary.

        Args:
            vocabulary: A list, tuple or array of tokens, or the path of a text file with one token
                per line. It may start with the special tokens.
            idf_weights: For `"tf_idf"`: one weight per token of `vocabulary`.

        Raises:
            ValueError: If the vocabulary is empty or larger than `max_tokens`, has repeated tokens
                or a misplaced special token, or its weights are missing or have a wrong shape.
        """
        tokens = self._read(vocabulary)
        if not tokens:
            raise ValueError(
                f"{self._label()}: `vocabulary` must have at least one token, received none."
            )
        if (self.output_mode == "tf_idf") != (idf_weights is not None):
            raise ValueError(
                f"{self._label()}: `idf_weights` must be given with a vocabulary if and only if"
                f" `output_mode` is 'tf_idf', received `output_mode`={self.output_mode!r}."
            )
        weights = None if idf_weights is None else np.asarray(idf_weights, "float32")
        if weights is not None and weights.shape != (len(tokens),):
            raise ValueError(
                f"{self._label()}: `idf_weights` must have one number per token of the vocabulary,"
                f" shape ({len(tokens)},), received shape {weights.shape}."
            )
        given = vocabulary if isinstance(vocabulary, (str, os.PathLike)) else list(tokens)
        special, of_special = self._special(), None
        if special and tokens[: len(special)] == special:
            tokens = tokens[len(special) :]
            if weights is not None:
                of_special, weights = weights[: len(special)], weights[len(special) :]
        self._check_tokens(tokens)
        self._store(tokens, weights, of_special)
        self._given = (given, None if idf_weights is None else np.ravel(idf_weights).tolist())

    def _read(self, vocabulary: Any) -> list[Token]:
        """Return the tokens of a list, array or file."""
        if isinstance(vocabulary, (str, os.PathLike)):
            refuse_from_files(f"{type(self).__name__}: `vocabulary`", vocabulary)
            text = _read_text(f"{self._label()}: `vocabulary`", vocabulary, self._encoding())
            return [self._token(line) for line in text.splitlines()]
        if hasattr(vocabulary, "numpy"):
            vocabulary = vocabulary.numpy()
        # NumPy would convert the numbers of a mixed list to text.
        mixed = isinstance(vocabulary, (list, tuple))
        array = np.asarray(vocabulary, object if mixed else None)
        return [self._token(t) for t in array.reshape(-1).tolist()]

    def _check_tokens(self, tokens: Sequence[Token]) -> None:
        repeated = [t for t, n in collections.Counter(tokens).items() if n > 1]
        if repeated:
            raise ValueError(
                f"{self._label()}: the tokens of the vocabulary must be unique, received repeated"
                f" tokens {repeated[:10]!r}. Remove the repeated tokens."
            )
        reserved = [t for t in (self.mask_token, self.oov_token) if t is not None and t in tokens]
        if reserved:
            raise ValueError(
                f"{self._label()}: the vocabulary contains the special token {reserved[0]!r}."
                " Remove it, or start the vocabulary with all special tokens,"
                f" {self._special()!r}."
            )
        size = len(self._special()) + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                f"{self._label()}: the vocabulary must have at most `max_tokens`={self.max_tokens}"
                f" tokens, including special tokens, received {size}."
            )

    def _store(
        self, tokens: Sequence[Token], weights: np.ndarray | None,
        of_special: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self._tokens, self._known = list(tokens), None
        if weights is not None:
            if of_special is None:
                of_special = np.full(len(self._special()), weights.mean(), "float32")
            weights = np.concatenate([of_special, weights])
        self._idf = weights

    @property
    def idf_weights(self) -> np.ndarray | None:
        """The inverse document frequency of each index, for `"tf_idf"`."""
        return self._idf

    # --- learning -----------------------------------------------------------------------------

    @property
    def can_adapt(self) -> bool:
        """Whether the vocabulary was not set by the constructor or `set_vocabulary`."""
        return self._given is None

    def adapt(self, data: Data, steps: int | None = None) -> None:
        """Learn the vocabulary, sorted by frequency. A later call replaces it.

        Tokens with the same frequency are in descending order, as in Keras.

        Args:
            data: An array of tokens, or batches of them, as in `PreprocessingLayer.adapt`. For
                `"tf_idf"`, a row is a document.
            steps: Number of batches to read. Default: all.

        Raises:
            ValueError: If the constructor or `set_vocabulary` set the vocabulary, or there are no
                tokens.
        """
        self.check_adaptable(self._label())
        super().adapt(data, steps)

    def check_adaptable(self, label: str) -> None:
        """Raise an error if the user set the vocabulary. The message names `label`."""
        if self._given is not None:
            raise ValueError(
                f"{label}: there is nothing to adapt, because the constructor or `set_vocabulary`"
                " set the vocabulary. Make a layer without a vocabulary to adapt it."
            )

    def reset_state(self) -> None:
        self._counts: Counts = collections.Counter()
        self._documents: Counts = collections.Counter()
        self._rows = 0

    def update_state(self, data: np.ndarray) -> None:
        rows = self._values(data)
        rows = rows.reshape(rows.shape[0], -1)
        self._count(rows)
        if self.output_mode == "tf_idf":
            for row in rows:
                self._documents.update(set(self._list(row)))
            self._rows += len(rows)

    def _count(self, values: np.ndarray) -> None:
        self._counts.update(self._list(values))

    def learn(self, counts: Counts, documents: Counts, rows: int) -> None:
        """Set the vocabulary from counts.

        Args:
            counts: Number of occurrences of each token.
            documents: Number of documents that contain each token, for `"tf_idf"`.
            rows: Number of documents.
        """
        self._counts, self._documents, self._rows = counts, documents, rows
        self.finalize_state()
        self.reset_state()

    def finalize_state(self) -> None:
        if not self._counts:
            return
        for token in (self.mask_token, self.oov_token):
            self._counts.pop(token, None)
        tokens = sorted(self._counts, reverse=True)
        tokens.sort(key=self._counts.__getitem__, reverse=True)
        if self.max_tokens is not None:
            tokens = tokens[: self.max_tokens - len(self._special())]
        weights = None
        if self.output_mode == "tf_idf":
            weights = np.array(
                [math.log(1 + self._rows / (1 + self._documents[t])) for t in tokens], "float32"
            )
        self._store(tokens, weights)

    # --- the call -----------------------------------------------------------------------------

    def check_vocabulary(self, label: str) -> None:
        """Raise an error if there is no vocabulary yet. The message names `label`."""
        if not self._tokens:
            raise ValueError(
                f"{label} has no vocabulary yet. Call `adapt`, or pass `vocabulary` to the"
                " constructor."
            )

    def call(self, inputs: Tensor) -> Any:
        self.check_vocabulary(self._label())
        if self.invert:
            return self._tokens_of(inputs)
        return self.form(self.indices(inputs))

    def form(self, indices: Any) -> Tensor:
        """Convert indices to the output mode."""
        if self.output_mode == "int":
            return as_tensor(indices, "int64")
        idf = self._idf
        if idf is not None:
            idf = np.pad(idf, (0, self._depth() - len(idf)))
        return encode(
            indices, self._depth(), self.output_mode, self.compute_dtype, idf, self.sparse
        )

    def _depth(self) -> int:
        """Return the length of encoded vectors."""
        if self.pad_to_max_tokens:
            return self.max_tokens or 0
        return self.vocabulary_size() if self._tokens else self.promised_size

    def indices(self, values: Any) -> Any:
        """Return the index of each token. The mask token has index -1 in modes that drop it."""
        raise NotImplementedError

    def _tokens_of(self, indices: Any) -> Any:
        raise NotImplementedError

    def _values(self, x: Any) -> Any:
        """Convert an input to an array of tokens."""
        raise NotImplementedError

    def _list(self, values: np.ndarray) -> list[Token]:
        """Convert an array of tokens to a flat list."""
        raise NotImplementedError

    def _token(self, x: Any) -> Token:
        raise NotImplementedError

    def _encoding(self) -> str:
        return "utf-8"

    def _unknown(self, hashes: Any, values: Any) -> Any:
        """Return the indices of unknown tokens.

        Args:
            hashes: One number per unknown token. Its remainder selects one of the indices.
            values: The unknown tokens, for the error message.
        """
        if self.num_oov_indices == 0:
            raise ValueError(
                f"{self._label()}: the tokens {self._list(values)[:5]!r} are not in the vocabulary."
                " Set `num_oov_indices` to 1 or more to allow unknown tokens."
            )
        first = len(self._special()) - self.num_oov_indices
        return first + hashes % hashes.dtype.type(self.num_oov_indices)

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        shape = self.compute_output_shape(inputs.shape)
        return KerasTensor(shape, self._output_dtype(), self.sparse)

    def _output_dtype(self) -> str:
        return "int64" if self.output_mode == "int" else self.compute_dtype

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        return encoded_shape(tuple(input_shape), self._depth(), self.output_mode)

    # --- files --------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        vocabulary, weights = self._given or (None, None)
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_config(self),
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "oov_method": self.oov_method,
            "salt": self.salt,
            "idf_weights": weights,
            "vocabulary": vocabulary if vocabulary is None or isinstance(vocabulary, list)
            else os.fspath(vocabulary),
            "vocabulary_size": self.vocabulary_size(),
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> IndexLookup:
        layer = cls(**{k: v for k, v in config.items() if k != "vocabulary_size"})
        layer.promise(config.get("vocabulary_size"))
        return layer

    def promise(self, size: Any) -> None:
        """Note the size of the vocabulary that a file will bring."""
        if isinstance(size, int) and not isinstance(size, bool):
            self.promised_size = max(size, len(self._special()))

    def save_assets(self, dir_path: str) -> None:
        if self._given is not None:
            return
        tokens = [str(t) for t in self.get_vocabulary()]
        broken = [t for t in tokens if "\n" in t or "\r" in t]
        if broken:
            raise ValueError(
                f"{self._label()}: the token {broken[0]!r} cannot be saved, because the file has"
                " one token per line. Pass the vocabulary to the constructor instead."
            )
        Path(dir_path, "vocabulary.txt").write_bytes("\n".join(tokens).encode())

    def load_assets(self, dir_path: str) -> None:
        if self._given is not None:
            return
        text = Path(dir_path, "vocabulary.txt").read_bytes().decode()
        tokens = [self._token(line) for line in text.split("\n")]
        special = self._special()
        if tokens[: len(special)] != special:
            raise ValueError(
                f"{self._label()}: the file's vocabulary must start with the special tokens"
                f" {special!r}, received {tokens[: len(special)]!r}."
            )
        tokens = tokens[len(special) :]
        self._check_tokens(tokens)
        self._tokens, self._known = tokens, None

    def save_own_variables(self, store: Any) -> None:
        if self._idf is not None:  # Keras reads them even if the configuration holds them too
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: Any) -> None:
        if self.output_mode == "tf_idf" and self._given is None and "idf_weights" in store:
            self._idf = np.asarray(store["idf_weights"], "float32")


def _read_text(argument: str, path: str | os.PathLike[str], encoding: str) -> str:
    """Return the text of a file."""
    try:
        return Path(path).read_text(encoding)
    except UnicodeDecodeError as error:
        line = Path(path).read_bytes()[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{argument}: the file {os.fspath(path)!r} is no text in {encoding}, see line {line}:"
            f" {error.reason}. Pass its `encoding`."
        ) from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ValueError(
            f"{argument} must be tokens or the path of a text file with one token per line; there"
            f" is no file {os.fspath(path)!r}."
        ) from error
