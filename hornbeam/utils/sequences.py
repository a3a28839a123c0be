"""`pad_sequences`: sequences of several lengths as one array."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from hornbeam.data.adapters import plain

__all__ = ["pad_sequences"]


def pad_sequences(
    sequences: Iterable[Any], maxlen: int | None = None, dtype: Any = "int32",
    padding: str = "pre", truncating: str = "pre", value: Any = 0.0,
) -> np.ndarray:  # fmt: skip
    """Return sequences as rows of one array, filled or cut to one length.

    Args:
        sequences: Lists or arrays of steps; a step is a number, a text, or an array of one shape.
        maxlen: Length of the rows. Default: that of the longest sequence.
        dtype: Dtype of the array; `object` for texts.
        padding: Where shorter sequences are filled: `"pre"` or `"post"`.
        truncating: Where longer sequences are cut: `"pre"` or `"post"`.
        value: The value that fills.

    Returns:
        An array `(sequences, maxlen, ...)`.

    Raises:
        ValueError: If a word is unknown, or a sequence cannot be read or has steps of another
            shape.

    Example:
        >>> pad_sequences([[1], [2, 3], [4, 5, 6]])
        array([[0, 0, 1],
               [0, 2, 3],
               [4, 5, 6]], dtype=int32)
        >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2, padding="post", truncating="post")
        array([[1, 0],
               [2, 3],
               [4, 5]], dtype=int32)
    """
    for name, word in (("padding", padding), ("truncating", truncating)):
        if word not in ("pre", "post"):
            raise ValueError(f"pad_sequences: `{name}` must be 'pre' or 'post', received {word!r}.")
    if maxlen is not None and (isinstance(maxlen, bool) or int(maxlen) != maxlen or maxlen < 0):
        raise ValueError(
            f"pad_sequences: `maxlen` must be an integer of at least 0, received {maxlen!r}."
        )
    try:
        rows = list(plain(sequences))
        lengths = [len(row) for row in rows]
    except TypeError:
        raise ValueError(
            f"pad_sequences: `sequences` must be a list of sequences, received {sequences!r:.80}."
        ) from None
    dtype = np.dtype(dtype)
    is_text = dtype.kind in "USO"
    if isinstance(value, str) and not is_text:
        raise ValueError(
            f"pad_sequences: `value` is the text {value!r}, and `dtype` is {dtype}. Pass"
            " `dtype=object` for texts of any length."
        )
    length = max(lengths, default=0) if maxlen is None else int(maxlen)
    step_shape = next((np.shape(row)[1:] for row in rows if len(row)), ())
    result = np.full((len(rows), length, *step_shape), value, dtype)
    for number, row in enumerate(rows):
        if not len(row):
            continue
        cut = row[max(len(row) - length, 0) :] if truncating == "pre" else row[:length]
        steps = np.asarray(cut, dtype)
        if steps.shape[1:] != step_shape and len(cut):
            raise ValueError(
                f"pad_sequences: the steps of sequence {number} have shape {steps.shape[1:]};"
                f" expected {step_shape}, as in the sequences before."
            )
        if len(cut):
            place = slice(len(cut)) if padding == "post" else slice(length - len(cut), None)
            result[number, place] = steps
    return result
