"""Processes many texts at once, with hornbeam-cpu if it is installed, else in Python.

Python also processes texts that hornbeam-cpu does not support, for example texts that UTF-8 cannot
represent, and raises the right errors.
"""

from __future__ import annotations

import codecs
import functools
from typing import Any

import numpy as np

from hornbeam.ops.routes import text_kernels

__all__ = [
    "WHOLE", "Plan", "TextTable", "are_texts", "count_tokens", "from_arrow", "is_utf8",
    "native_hashes",
]  # fmt: skip

# How to convert texts to tokens: whether to lower letters, whether to remove punctuation, how to
# split (0: not at all, 1: at whitespace, 2: into characters), and the sizes of n-grams.
Plan = tuple[bool, bool, int, tuple[int, ...]]
WHOLE: Plan = (False, False, 0, ())  # each text is one token


@functools.cache
def is_utf8(encoding: str) -> bool:
    """Return whether an encoding is UTF-8, the only encoding that hornbeam-cpu supports.

    Args:
        encoding: Name of the encoding.

    Example:
        >>> is_utf8("UTF8"), is_utf8("latin-1")
        (True, False)
    """
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


class TextTable:
    """Table of the numbers of the texts of a vocabulary.

    Args:
        numbers: Dictionary from texts to numbers.

    Example:
        >>> table = TextTable({"cat": 2, "dog": 3})
        >>> table.find(np.array(["dog", "cow"]), "utf-8").tolist()
        [3, -2]
    """

    def __init__(self, numbers: dict[str, int]):
        self.numbers = numbers
        self._encoded: tuple[str, dict[bytes, int]] | None = None
        self._native: Any = None

    def __reduce__(self) -> tuple:
        return TextTable, (self.numbers,)

    def encoded(self, encoding: str) -> dict[bytes, int]:
        """Return a dictionary from encoded texts to numbers.

        Args:
            encoding: Encoding of the bytes.
        """
        if self._encoded is None or self._encoded[0] != encoding:
            self._encoded = (encoding, {t.encode(encoding): i for t, i in self.numbers.items()})
        return self._encoded[1]

    def find(self, texts: np.ndarray, encoding: str, unknown: int = -2) -> np.ndarray:
        """Return the number of each text; integers of shape (N,).

        Args:
            texts: Texts of any shape.
            encoding: Encoding of bytes.
            unknown: The number of a text that the table lacks.

        Raises:
            UnicodeDecodeError: If bytes cannot be decoded.
        """
        native = self._table(encoding)
        if native is not None:
            found = np.empty(texts.size, "int32")
            if text_kernels().find(native, _source(texts), unknown, found):
                return found
        items = texts.reshape(-1).tolist()
        get = self.numbers.get
        return np.array(
            [get(t.decode(encoding) if isinstance(t, bytes) else t, unknown) for t in items],
            "int64",
        )

    def sequences(
        self, texts: np.ndarray, plan: Plan, encoding: str, length: int, unknown: int, padding: int
    ) -> np.ndarray | None:
        """Return the token numbers of each text, of shape (N, T).

        The result is `None` if hornbeam-cpu cannot compute it.

        Args:
            texts: Texts of shape (N,).
            plan: How to convert texts to tokens.
            encoding: Encoding of bytes.
            length: T. 0 means the largest number of tokens in a text.
            unknown: Number for tokens that are not in the table.
            padding: Number that fills the places after the last token.
        """
        native = self._table(encoding)
        if native is None:
            return None
        found = text_kernels().sequences(native, _source(texts), plan, length, unknown, padding)
        return found and np.frombuffer(found[0], "int32").reshape(texts.size, found[1])

    def _table(self, encoding: str) -> Any:
        """Return hornbeam-cpu's table, or `None` if hornbeam-cpu cannot be used."""
        kernels = text_kernels()
        if kernels is None or not is_utf8(encoding):
            return None
        if self._native is None:
            numbers = np.fromiter(self.numbers.values(), "int32", len(self.numbers))
            self._native = kernels.table(list(self.numbers), numbers) or False
        return self._native or None


def count_tokens(
    texts: np.ndarray, plan: Plan, encoding: str
) -> tuple[list[bytes], list[int], list[int]] | None:
    """Return the tokens of texts, their numbers of occurrences, and their numbers of texts.

    The result is `None` if hornbeam-cpu cannot compute it.

    Args:
        texts: Texts of shape (N,).
        plan: How to convert texts to tokens.
        encoding: Encoding of bytes.
    """
    kernels = text_kernels()
    if kernels is None or not is_utf8(encoding):
        return None
    return kernels.count(_source(texts), plan)


def native_hashes(
    values: np.ndarray, key: tuple[int, int] | None, bins: int = 0, first: int = 0
) -> np.ndarray | None:
    """Return the hash of each text or integer, uint64 in the shape of `values`.

    The result is `None` if hornbeam-cpu cannot compute it.

    Args:
        values: Texts or integers.
        key: Two integers, the key of SipHash. `None` selects Fingerprint64.
        bins: If it is not 0, the result is `first` plus the remainder of the hash, int32.
        first: The smallest result with `bins`.
    """
    kernels = text_kernels()
    if kernels is None or not bins + first < 2**31:
        return None
    found = np.empty(values.shape, "int32" if bins else "uint64")
    key = key and (key[0] % 2**64, key[1] % 2**64)
    last = (key, bins, first, found.reshape(-1))
    if values.dtype.kind not in "iub":
        return found if kernels.hashes(_source(values), *last) else None
    signed = values.dtype.kind == "i"
    integers = np.ascontiguousarray(values, "int64" if signed else "uint64").reshape(-1)
    kernels.integer_hashes(integers, signed, *last)
    return found


def are_texts(objects: np.ndarray) -> bool:
    """Return whether all items of an array of objects are `str` or `bytes`.

    Example:
        >>> are_texts(np.array(["a", b"b"], object)), are_texts(np.array(["a", None]))
        (True, False)
    """
    kernels = text_kernels()
    if kernels is not None:
        return kernels.are_texts(np.ascontiguousarray(objects))
    return {*map(type, objects.reshape(-1).tolist())} <= {str, bytes, np.str_, np.bytes_}


def from_arrow(array: Any) -> np.ndarray | None:
    """Return the texts of an array of PyArrow as an array of `StringDType`.

    The result is `None` if hornbeam-cpu cannot do it, or the array holds no text or lacks values.

    Args:
        array: An array or chunked array of PyArrow.
    """
    kernels = text_kernels()
    kind = str(array.type)
    if kernels is None or kind not in ("string", "large_string") or array.null_count:
        return None
    parts = array.chunks if hasattr(array, "chunks") else [array]
    texts = np.empty(len(array), np.dtypes.StringDType())
    start = 0
    for part in parts:
        if len(part):
            _, offsets, data = part.buffers()
            wide = kind == "large_string"
            size = 8 if wide else 4
            places = memoryview(offsets)[part.offset * size : (part.offset + len(part) + 1) * size]
            kernels.strings(places, wide, data or b"", texts[start : start + len(part)])
            start += len(part)
    return texts


def _source(texts: np.ndarray) -> Any:
    """Return texts in a form that hornbeam-cpu reads: an array, or its memory, with its kind."""
    kind = texts.dtype.kind
    if kind in "OT":
        return np.ascontiguousarray(texts), kind, texts.dtype.itemsize
    if not texts.dtype.itemsize:
        return texts.reshape(-1).tolist()
    flat = np.ascontiguousarray(texts, texts.dtype.newbyteorder("=")).reshape(-1)
    return flat.view("uint8"), kind, flat.dtype.itemsize
