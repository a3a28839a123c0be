"""Layers that map strings or integers to vocabulary indices, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.layers.preprocessing.fingerprints import fingerprints
from hornbeam.layers.preprocessing.index_lookup import IndexLookup
from hornbeam.layers.preprocessing.native_text import (
    WHOLE,
    TextTable,
    count_tokens,
    is_utf8,
)
from hornbeam.layers.preprocessing.text import decoded
from hornbeam.typing import ArrayLike, Tensor

__all__ = ["IntegerLookup", "StringLookup"]


class StringLookup(IndexLookup):
    """Maps strings to vocabulary indices, or indices to strings.

    Args:
        max_tokens: Maximum number of indices, including special tokens. Default: `None`, no limit.
        num_oov_indices: Number of indices for out-of-vocabulary strings. A hash selects one of
            them. With 0, an unknown string is an error. Default: 1.
        mask_token: String for padding, with index 0. Default: `None`, no mask token.
        oov_token: String that represents unknown strings, for `invert`. Default: `"[UNK]"`.
        vocabulary: A list or array of strings, or the path of a file with one string per line.
            Default: `None`, learned by `adapt`.
        idf_weights: One weight per string of `vocabulary`, for `"tf_idf"`.
        invert: Whether to map indices to strings. Default: False.
        output_mode: `"int"` (indices), `"one_hot"`, `"multi_hot"`, `"count"` or `"tf_idf"`, as in
            `CategoryEncoding`. Default: `"int"`.
        pad_to_max_tokens: Whether encoded vectors have length `max_tokens`, even if the vocabulary
            is smaller. Default: False.
        sparse: Whether to return a JAX `BCOO` array. Needs an `output_mode` other than `"int"`.
            Default: False.
        encoding: Encoding of bytes and files. Default: `"utf-8"`.
        salt: An integer or two integers, the key of the hash that selects one of `num_oov_indices`.
            Default: `None`, no key.
        oov_method: Without effect, because strings are always hashed. Accepted for Keras's files.

    Input: strings of any shape, or integers with `invert`. The layer runs on the host.

    Output: int32 indices in the shape of the input, or vectors. With `invert`, a NumPy array of
    strings. As in Keras.

    Raises:
        ValueError: If an argument or the vocabulary is invalid, the layer has no vocabulary yet, or
            a string is unknown and `num_oov_indices` is 0.

    Example:
        >>> import hornbeam as hb
        >>> layer = hb.layers.StringLookup()
        >>> layer.adapt(["cat", "dog", "cat"])
        >>> layer.get_vocabulary()
        ['[UNK]', 'cat', 'dog']
        >>> layer([["dog", "cow"]])
        Array([[2, 0]], dtype=int32)
    """

    def __init__(
        self, max_tokens: int | None = None, num_oov_indices: int = 1,
        mask_token: str | None = None, oov_token: str = "[UNK]", vocabulary: Any = None,
        idf_weights: ArrayLike | None = None, invert: bool = False, output_mode: str = "int",
        pad_to_max_tokens: bool = False, sparse: bool = False, encoding: str = "utf-8",
        name: str | None = None, salt: int | Sequence[int] | None = None,
        oov_method: str = "floormod", **kwargs: Any,
    ):  # fmt: skip
        self.encoding = encoding
        self.needs_text = not invert
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert,
            output_mode, sparse, pad_to_max_tokens, oov_method, salt, name=name, **kwargs,
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoding": self.encoding}

    def _encoding(self) -> str:
        return self.encoding

    def _token(self, x: Any) -> str:
        if isinstance(x, bytes):
            return x.decode(self.encoding)
        if not isinstance(x, str):
            raise ValueError(
                f"{self._label()}: the vocabulary must hold strings, received {x!r:.80}. Use"
                " `IntegerLookup` for integers."
            )
        return str(x)

    def _values(self, x: Any) -> np.ndarray:
        values = self._texts(x)
        if values.dtype.kind not in "USOT":
            raise ValueError(
                f"{self._label()}: the input must hold text, received dtype {values.dtype}. Use"
                " `IntegerLookup` for integers, or convert them to text."
            )
        return values

    def _list(self, values: np.ndarray) -> list[str]:
        return decoded(values, self.encoding, self._label())

    def _count(self, values: np.ndarray) -> None:
        counted = count_tokens(values.reshape(-1), WHOLE, self.encoding)
        try:
            tokens = None if counted is None else [token.decode() for token in counted[0]]
        except UnicodeDecodeError:
            tokens = None  # the count in Python raises an error about the text
        if counted is None or tokens is None:
            super()._count(values)
            return
        for token, count in zip(tokens, counted[1], strict=True):
            self._counts[token] += count

    def table(self) -> TextTable:
        """Return a table of the indices of the vocabulary and of the mask token."""
        if self._known is None:
            known = {t: i for i, t in enumerate(self._tokens, len(self._special()))}
            if self.mask_token is not None:
                known[self.mask_token] = 0 if self.output_mode == "int" else -1
            self._known = TextTable(known)
        return self._known

    def indices(self, values: Any) -> np.ndarray:
        values = self._values(values)
        one = self.num_oov_indices == 1
        unknown = self.unknown_index() if one else -2
        try:
            found = self.table().find(values, self.encoding, unknown)
        except UnicodeDecodeError:
            found = self.table().find(np.array(self._list(values), object), self.encoding, unknown)
        if not one and (missing := found == -2).any():
            tokens = self._as_utf8(values.reshape(-1)[missing])
            hashes = fingerprints(tokens, self._key) if self.num_oov_indices else None
            found[missing] = self._unknown(hashes, tokens)
        return found.reshape(values.shape)

    def _as_utf8(self, values: np.ndarray) -> np.ndarray:
        """Decode bytes that are not UTF-8, because hashes are computed from UTF-8."""
        if values.dtype.kind not in "SO" or is_utf8(self.encoding):
            return values
        return np.array(self._list(values), object)

    def _tokens_of(self, indices: Any) -> np.ndarray:
        indices = np.asarray(indices)
        table = np.array([*self.get_vocabulary(), self.oov_token])
        outside = (indices < 0) | (indices >= len(table) - 1)
        return table[np.where(outside, len(table) - 1, indices).astype("int64")]

    def _output_dtype(self) -> str:
        return "string" if self.invert else super()._output_dtype()


class IntegerLookup(IndexLookup):
    """Maps integers to vocabulary indices, or indices to integers.

    It works on the host and inside compiled functions.

    Args:
        max_tokens: Maximum number of indices, including special tokens. Default: `None`, no limit.
        num_oov_indices: Number of indices for out-of-vocabulary integers. The remainder of the
            integer selects one of them. With 0, an unknown integer is an error. Default: 1.
        mask_token: Integer for padding, with index 0. Default: `None`, no mask token.
        oov_token: Integer that represents unknown integers, for `invert`. Default: -1.
        vocabulary: A list or array of integers, or the path of a file with one integer per line.
            Default: `None`, learned by `adapt`.
        vocabulary_dtype: Must be `"int64"`.
        idf_weights: One weight per integer of `vocabulary`, for `"tf_idf"`.
        invert: Whether to map indices to integers. Default: False.
        output_mode: `"int"` (indices), `"one_hot"`, `"multi_hot"`, `"count"` or `"tf_idf"`, as in
            `CategoryEncoding`. Default: `"int"`.
        sparse: Whether to return a JAX `BCOO` array. Needs an `output_mode` other than `"int"`.
            Default: False.
        pad_to_max_tokens: Whether encoded vectors have length `max_tokens`, even if the vocabulary
            is smaller. Default: False.
        oov_method: `"floormod"` to use the remainder of the integer, or `"farmhash"` to use the
            remainder of the hash of the decimal string. Default: `"floormod"`.
        salt: An integer or two integers, the key of the hash, for `"farmhash"`.

    Input: integers of any shape.

    Output: int32 indices in the shape of the input, or vectors. As in Keras.

    Raises:
        ValueError: If an argument or the vocabulary is invalid, the layer has no vocabulary yet, or
            an integer is unknown and `num_oov_indices` is 0.

    Example:
        >>> import hornbeam as hb
        >>> layer = hb.layers.IntegerLookup(vocabulary=[12, 36, 1138])
        >>> layer([[36, 7]])
        Array([[2, 0]], dtype=int32)
    """

    def __init__(
        self, max_tokens: int | None = None, num_oov_indices: int = 1,
        mask_token: int | None = None, oov_token: int = -1, vocabulary: Any = None,
        vocabulary_dtype: str = "int64", idf_weights: ArrayLike | None = None,
        invert: bool = False, output_mode: str = "int", sparse: bool = False,
        pad_to_max_tokens: bool = False, oov_method: str = "floormod",
        salt: int | Sequence[int] | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        if vocabulary_dtype != "int64":
            raise ValueError(
                f"IntegerLookup: `vocabulary_dtype` must be 'int64', received {vocabulary_dtype!r}."
            )
        if salt is not None and oov_method != "farmhash":
            raise ValueError(
                f"IntegerLookup: `salt` needs `oov_method='farmhash'`, received {oov_method!r}."
            )
        self.vocabulary_dtype = vocabulary_dtype
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert,
            output_mode, sparse, pad_to_max_tokens, oov_method, salt, name=name, **kwargs,
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "vocabulary_dtype": self.vocabulary_dtype}

    def _token(self, x: Any) -> int:
        try:
            if isinstance(x, (float, np.floating)) and not x.is_integer():
                raise ValueError
            return int(x)
        except (TypeError, ValueError):
            raise ValueError(
                f"{self._label()}: the vocabulary must hold integers, received {x!r:.80}. Use"
                " `StringLookup` for text."
            ) from None

    def _values(self, x: Any) -> Any:
        values = x if isinstance(x, jax.core.Tracer) else self._texts(x)
        if values.dtype.kind not in "iubf":
            raise ValueError(
                f"{self._label()}: the input must hold integers, received dtype {values.dtype}. Use"
                " `StringLookup` for text."
            )
        return values.astype("int32" if isinstance(values, jax.Array) else "int64")

    def _list(self, values: np.ndarray) -> list[int]:
        return values.reshape(-1).tolist()

    def indices(self, values: Any) -> Any:
        values = self._values(values)
        if self._known is None:
            first = len(self._special())
            known = {t: i for i, t in enumerate(self._tokens, first)}
            if self.mask_token is not None:
                known[self.mask_token] = 0 if self.output_mode == "int" else -1
            items = np.array(sorted(known.items()), "int64")
            self._known = items[:, 0], items[:, 1]
        traced = isinstance(values, jax.Array)
        xp: Any = jnp if traced else np
        tokens, places = (xp.asarray(part, values.dtype) for part in self._known)
        position = xp.minimum(xp.searchsorted(tokens, values), len(tokens) - 1)
        found, unknown = places[position], tokens[position] != values
        if traced:
            others = self._unknown_in_program(values)
            return xp.where(unknown, others, found)
        if unknown.any():
            some = values[unknown]
            found[unknown] = self._unknown(self._hashes(some), some)
        return found

    @property
    def needs_host(self) -> bool:
        """Whether integers are hashed, which is only possible on the host."""
        return self.oov_method != "floormod"

    def _hashes(self, values: np.ndarray) -> np.ndarray:
        if self.oov_method == "floormod":
            return values
        return fingerprints(values, self._key)

    def _unknown_in_program(self, values: jax.Array) -> Any:
        """Return the indices of unknown integers inside a compiled function."""
        if self.oov_method != "floormod":
            raise ValueError(
                f"{self._label()}: `oov_method='farmhash'` runs only on the host. Use 'floormod'"
                " inside compiled functions."
            )
        if self.num_oov_indices == 0:
            return jnp.full_like(values, -1)
        return self._unknown(values, values)

    def _tokens_of(self, indices: Any) -> Tensor:
        xp: Any = jnp if isinstance(indices, jax.Array) else np
        table = np.array([*self.get_vocabulary(), self.oov_token], "int64")
        outside = (indices < 0) | (indices >= len(table) - 1)
        return jnp.asarray(xp.asarray(table)[xp.where(outside, len(table) - 1, indices)])

    def _output_dtype(self) -> str:
        return "int64" if self.invert else super()._output_dtype()
