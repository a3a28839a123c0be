"""`tf.strings`: functions of texts, on the host."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hornbeam.layers.preprocessing.fingerprints import fingerprints
from hornbeam.tensorflow.host import as_host, dtype_name, host_array
from hornbeam.tensorflow.ragged import RaggedTensor, constant, tensor
from hornbeam.tensorflow.regex import full_match, replaced
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings, text_of
from hornbeam.tensorflow.unicode import (
    bytes_split,
    unicode_decode,
    unicode_decode_with_offsets,
    unicode_encode,
    unicode_split,
    unicode_split_with_offsets,
    unicode_transcode,
)

__all__ = [
    "as_string", "bytes_split", "format", "join", "length", "lower", "ngrams", "reduce_join",
    "regex_full_match", "regex_replace", "split", "strip", "substr", "to_hash_bucket",
    "to_hash_bucket_fast", "to_hash_bucket_strong", "to_number", "unicode_decode",
    "unicode_decode_with_offsets", "unicode_encode", "unicode_split", "unicode_split_with_offsets",
    "unicode_transcode", "unsorted_segment_join", "upper",
]  # fmt: skip


def on_texts(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose first argument, `input`, may be any texts; ragged ones keep rows."""

    @functools.wraps(function)
    def call(input: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(input, RaggedTensor):
            return input.with_flat_values(call(input.flat_values, *args, **kwargs))
        return function(as_strings(input), *args, **kwargs)

    return call


def _unicode(change: Callable[[str], str]) -> Callable[[bytes], bytes]:
    return lambda text: change(text.decode("utf-8", "surrogateescape")).encode(
        "utf-8", "surrogateescape"
    )


def _in_encoding(name: str, encoding: str) -> bool:
    if encoding.lower() not in ("", "utf-8"):
        raise ValueError(
            f"strings.{name}: `encoding` must be '' or 'utf-8', received {encoding!r}."
        )
    return bool(encoding)


@on_texts
def lower(input: Any, encoding: str = "", name: str | None = None) -> StringTensor:
    """Return texts in lower case.

    Args:
        input: Texts.
        encoding: `""` for letters of ASCII only, or `"utf-8"` for all.
        name: Ignored.

    Example:
        >>> lower(["A", "b"]).numpy().tolist()
        [b'a', b'b']
    """
    return input.map(_unicode(str.lower) if _in_encoding("lower", encoding) else bytes.lower)


@on_texts
def upper(input: Any, encoding: str = "", name: str | None = None) -> StringTensor:
    """Return texts in upper case; `encoding` as in `lower`."""
    return input.map(_unicode(str.upper) if _in_encoding("upper", encoding) else bytes.upper)


@on_texts
def strip(input: Any, name: str | None = None) -> StringTensor:
    """Return texts without spaces at their ends."""
    return input.map(bytes.strip)


@on_texts
def regex_replace(
    input: Any, pattern: Any, rewrite: Any, replace_global: bool = True, name: str | None = None
) -> StringTensor:
    """Return texts in which what matches a pattern is replaced.

    Args:
        input: Texts.
        pattern: A regular expression of RE2.
        rewrite: What replaces a match; `\\1` is the first group, `\\0` the match.
        replace_global: Whether all matches are replaced, instead of the first.
        name: Ignored.

    Example:
        >>> regex_replace("a-b", "([a-z])-", r"\\1+").numpy()
        b'a+b'
    """
    return input.map(replaced(text_of(pattern), text_of(rewrite), bool(replace_global)))


@on_texts
def regex_full_match(input: Any, pattern: Any, name: str | None = None) -> Any:
    """Return whether texts match a regular expression of RE2 as a whole."""
    return as_host(input.results(full_match(text_of(pattern)), bool))


def _check_unit(name: str, unit: str) -> None:
    if unit not in ("BYTE", "UTF8_CHAR"):
        raise ValueError(f"strings.{name}: `unit` must be 'BYTE' or 'UTF8_CHAR', not {unit!r}.")


def _characters(text: bytes) -> int:
    return sum((byte & 0xC0) != 0x80 for byte in text)


@on_texts
def length(input: Any, unit: str = "BYTE", name: str | None = None) -> Any:
    """Return the lengths of texts, in bytes or in characters (`unit="UTF8_CHAR"`)."""
    _check_unit("length", unit)
    return as_host(input.results(len if unit == "BYTE" else _characters, "int32"))


@on_texts
def substr(input: Any, pos: Any, len: Any, unit: str = "BYTE", name: str | None = None) -> Any:
    """Return parts of texts.

    Args:
        input: Texts.
        pos: Where each part begins; negative numbers count from the end.
        len: How long it is; less at the end of a text.
        unit: `"BYTE"` or `"UTF8_CHAR"`.
        name: Ignored.

    Raises:
        ValueError: If a part begins outside of its text.
    """
    _check_unit("substr", unit)
    texts, starts, lengths = np.broadcast_arrays(input.array, host_array(pos), host_array(len))

    def one(text: Any, start: int, size: int) -> bytes:
        whole: Any = text if unit == "BYTE" else text.decode("utf-8", "surrogateescape")
        if not -_len(whole) <= start <= _len(whole):
            raise ValueError(f"strings.substr: `pos` {start} is outside of the text {text!r:.60}.")
        first = start + _len(whole) if start < 0 else start
        part = whole[first : first + max(size, 0)]
        return part if unit == "BYTE" else part.encode("utf-8", "surrogateescape")

    found = np.empty(texts.shape, object)
    for place in np.ndindex(texts.shape):
        found[place] = one(texts[place], int(starts[place]), int(lengths[place]))
    return StringTensor(found)


_len = len


@on_texts
def to_number(input: Any, out_type: Any = "float32", name: str | None = None) -> Any:
    """Return the numbers that texts show.

    Raises:
        ValueError: If a text is no number.

    Example:
        >>> to_number(["1", "2.5"]).tolist()
        [1.0, 2.5]
    """
    dtype = dtype_name(out_type)
    if dtype not in ("float32", "float64", "int32", "int64"):
        raise ValueError(
            "strings.to_number: `out_type` must be float32, float64, int32 or int64, received"
            f" {dtype}."
        )
    convert = float if dtype.startswith("float") else int

    def one(text: bytes) -> Any:
        try:
            if b"_" in text:
                raise ValueError
            return np.dtype(dtype).type(convert(text))
        except (ValueError, OverflowError):
            raise ValueError(f"strings.to_number: {text!r:.60} is no {dtype}.") from None

    return as_host(input.results(one, dtype))


def as_string(
    input: Any, precision: int = -1, scientific: bool = False, shortest: bool = False,
    width: int = -1, fill: str = "", name: str | None = None,
) -> Any:  # fmt: skip
    """Return numbers as texts.

    Args:
        input: Numbers or truth values; texts stay as they are.
        precision: Digits after the point, of floating-point numbers. Default: 6.
        scientific: Whether numbers have an exponent.
        shortest: Whether numbers are as short as six digits allow.
        width: The least number of characters.
        fill: What fills up, such as `"0"`. Default: spaces.
        name: Ignored.

    Example:
        >>> as_string([1.5, 2.0], precision=1).numpy().tolist()
        [b'1.5', b'2.0']
    """
    if isinstance(input, RaggedTensor):
        rest = (precision, scientific, shortest, width, fill)
        return input.with_flat_values(as_string(input.flat_values, *rest))
    x = tensor(input)
    if isinstance(x, StringTensor):
        return x
    size = fill + (str(width) if width >= 0 else "")
    kind = x.dtype.kind
    if kind == "b":
        texts: list[Any] = [("true" if v else "false").rjust(max(width, 0)) for v in x.ravel()]
    elif kind in "iu":
        texts = [f"%{size}d" % v for v in x.ravel().tolist()]
    else:
        digits = f".{precision}" if precision >= 0 else ""
        letter = "e" if scientific else "g" if shortest else "f"
        texts = [f"%{size}{digits}{letter}" % v for v in x.ravel().tolist()]
    found = np.empty(len(texts), object)
    found[:] = texts
    return StringTensor(found.reshape(tuple(x.shape)))


def split(input: Any, sep: Any = None, maxsplit: int = -1, name: str | None = None) -> Any:
    """Return the parts of texts: a ragged tensor, or a tensor for one text.

    Args:
        input: Texts.
        sep: What separates parts. Default: spaces, any number of them.
        maxsplit: The most separations, or -1 for all.
        name: Ignored.

    Example:
        >>> split(["a b", "c"]).to_list()
        [[b'a', b'b'], [b'c']]
    """
    if isinstance(input, RaggedTensor):
        return input.with_values(split(input.values, sep, maxsplit))
    texts = as_strings(input)
    mark = None if sep is None else as_strings(sep).numpy() or None
    if texts.ndim > 1:
        return RaggedTensor.stacked([split(row, sep, maxsplit) for row in texts])
    parts = [text.split(mark, maxsplit) for text in texts.array.reshape(-1).tolist()]
    if not texts.ndim:
        return StringTensor(np.array([*parts[0], None], object)[:-1])
    return constant(parts, "string", ragged_rank=1)


def join(inputs: Sequence[Any], separator: Any = "", name: str | None = None) -> Any:
    """Return the texts of several tensors, joined one to one.

    Example:
        >>> join([["a", "b"], "c"], "-").numpy().tolist()
        [b'a-c', b'b-c']
    """
    ragged = next((part for part in inputs if isinstance(part, RaggedTensor)), None)
    if ragged is not None:
        flat = [part.flat_values if isinstance(part, RaggedTensor) else part for part in inputs]
        return ragged.with_flat_values(join(flat, separator))
    mark = as_strings(separator).numpy()
    parts = np.broadcast_arrays(*(as_strings(part).array for part in inputs))
    found = np.empty(parts[0].shape, object)
    for place in np.ndindex(found.shape):
        found[place] = mark.join(part[place] for part in parts)
    return StringTensor(found)


def reduce_join(
    inputs: Any, axis: Any = None, keepdims: bool = False, separator: Any = "",
    name: str | None = None,
) -> Any:  # fmt: skip
    """Return the texts along axes joined to one.

    Args:
        inputs: Texts.
        axis: An axis, or several, which are joined in their order. Default: all.
        keepdims: Whether joined axes stay, with size 1.
        separator: What stands between two texts.
        name: Ignored.

    Example:
        >>> reduce_join([["a", "b"], ["c", "d"]], axis=1, separator=" ").numpy().tolist()
        [b'a b', b'c d']
    """
    mark = as_strings(separator).numpy()
    if isinstance(inputs, RaggedTensor):
        return _joined_rows(inputs, axis, mark)
    x = as_strings(inputs, "inputs").array
    given: Any = range(x.ndim)[::-1] if axis is None else np.atleast_1d(host_array(axis)).tolist()
    axes = [int(a) % max(x.ndim, 1) for a in given][::-1]  # the first one varies the fastest
    if not axes:
        return StringTensor(x)
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    shape = moved.shape[: x.ndim - len(axes)]
    found = np.empty(shape, object)
    for place in np.ndindex(shape):
        found[place] = mark.join(moved[place].reshape(-1).tolist())
    if keepdims:
        sizes: list[int] = list(x.shape)
        found = found.reshape([1 if a in axes else sizes[a] for a in range(x.ndim)])
    return StringTensor(found)


def _joined_rows(inputs: RaggedTensor, axis: Any, mark: bytes) -> Any:
    last = inputs.ndim - 1
    if axis is None:
        return StringTensor(mark.join(inputs.flat_values.array.reshape(-1).tolist()))
    if int(np.ravel(axis)[0]) not in (last, -1):
        raise ValueError(
            "strings.reduce_join: of a ragged tensor only the last axis can be joined, received"
            f" `axis` {axis}."
        )
    if isinstance(inputs.values, RaggedTensor):
        return inputs.with_values(_joined_rows(inputs.values, -1, mark))
    return StringTensor(
        np.array([*(mark.join(row.array.tolist()) for row in inputs), None], object)[:-1]
    )


@on_texts
def to_hash_bucket_fast(input: Any, num_buckets: int, name: str | None = None) -> Any:
    """Return hashes of texts, from 0 to below `num_buckets`.

    Example:
        >>> to_hash_bucket_fast(["Hello", "TensorFlow"], 3).tolist()
        [0, 2]
    """
    hashes = fingerprints(input.array) % np.uint64(_buckets(num_buckets))
    return as_host(hashes.astype("int64"))


@on_texts
def to_hash_bucket_strong(
    input: Any, num_buckets: int, key: Sequence[int], name: str | None = None
) -> Any:
    """Return hashes of texts that depend on a secret key of two integers."""
    if _len(key) != 2:
        raise ValueError(f"strings.to_hash_bucket_strong: `key` must be two integers, not {key!r}.")
    hashes = fingerprints(input.array, (int(key[0]), int(key[1])))
    return as_host((hashes % np.uint64(_buckets(num_buckets))).astype("int64"))


@on_texts
def to_hash_bucket(input: Any, num_buckets: int, name: str | None = None) -> Any:
    """Return hashes of texts by MurmurHash64A, from 0 to below `num_buckets`."""
    count = _buckets(num_buckets)
    return as_host(input.results(lambda text: _murmur(text) % count, "int64"))


def _buckets(count: Any) -> int:
    if int(count) < 1:
        raise ValueError(f"strings.to_hash_bucket: `num_buckets` must be positive, not {count}.")
    return int(count)


def _murmur(data: bytes, seed: int = 0xDECAFCAFFE) -> int:
    """Return Austin Appleby's MurmurHash64A."""
    factor, whole = 0xC6A4A7935BD1E995, 2**64 - 1
    found = seed ^ (_len(data) * factor & whole)
    end = _len(data) // 8 * 8
    for place in range(0, end, 8):
        word = int.from_bytes(data[place : place + 8], "little") * factor & whole
        word = (word ^ word >> 47) * factor & whole
        found = (found ^ word) * factor & whole
    if data[end:]:
        found = (found ^ int.from_bytes(data[end:], "little")) * factor & whole
    found = (found ^ found >> 47) * factor & whole
    return found ^ found >> 47


def ngrams(
    data: Any, ngram_width: Any, separator: Any = " ", pad_values: Any = None,
    padding_width: int | None = None, preserve_short_sequences: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Return consecutive texts of each row, joined.

    Args:
        data: Rows of texts, ragged or not.
        ngram_width: Number of texts that are joined, or several numbers.
        separator: What stands between two texts.
        pad_values: A text for both ends of a row, or two of them. Default: none.
        padding_width: Number of texts at each end. Default: one less than `ngram_width`.
        preserve_short_sequences: Whether rows that are too short are joined as a whole.
        name: Ignored.

    Example:
        >>> ngrams(["a", "b", "c"], 2).numpy().tolist()
        [b'a b', b'b c']
    """
    if isinstance(data, RaggedTensor) and isinstance(data.values, RaggedTensor):
        rest = (separator, pad_values, padding_width, preserve_short_sequences)
        return data.with_values(ngrams(data.values, ngram_width, *rest))
    texts: Any = data if isinstance(data, RaggedTensor) else as_strings(data, "data")
    widths = [int(n) for n in np.atleast_1d(host_array(ngram_width))]
    ends: Any = pad_values if isinstance(pad_values, (tuple, list)) else (pad_values,) * 2
    mark = as_strings(separator).numpy()

    def one(row: list[bytes]) -> list[bytes]:
        found = []
        for width in widths:
            count = 0 if pad_values is None else width - 1
            count = count if padding_width is None else min(count, int(padding_width))
            if count:
                first, last = (as_strings(end).numpy() for end in ends)
                padded = [first] * count + row + [last] * count
            else:
                padded = row
            found += [mark.join(padded[i : i + width]) for i in range(_len(padded) - width + 1)]
        if not found and row and preserve_short_sequences:
            found = [mark.join(row)]
        return found

    if texts.ndim == 1:
        joined: list[Any] = one(texts.array.tolist())
        return StringTensor(np.array([*joined, None], object)[:-1])
    return constant([one(row.array.tolist()) for row in texts], "string", ragged_rank=1)


def format(
    template: str, inputs: Any = (), placeholder: str = "{}", summarize: int = 3,
    name: str | None = None,
) -> StringTensor:  # fmt: skip
    """Return a text with tensors in place of placeholders.

    Args:
        template: The text.
        inputs: A tensor, or several.
        placeholder: What is replaced.
        summarize: How many values of an axis are shown at each end; -1 for all.
        name: Ignored.

    Raises:
        ValueError: If there are not as many placeholders as tensors.

    Example:
        >>> format("x: {}", as_host([1, 2])).numpy()
        b'x: [1 2]'
    """
    parts = template.split(placeholder)
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if _len(parts) - 1 != _len(given):
        raise ValueError(
            f"strings.format: the template has {_len(parts) - 1} placeholders, but there are"
            f" {_len(given)} tensors."
        )
    shown = [_shown(tensor(x), summarize) for x in given]
    return StringTensor("".join(a + b for a, b in zip(parts, [*shown, ""], strict=True)))


def _shown(x: Any, most: int) -> str:
    if x.ndim:
        rows: list[Any] = [_shown(row, most) for row in x]
        if 0 <= 2 * most < _len(rows):
            rows = [*rows[:most], "...", *rows[_len(rows) - most :]]
        return f"[{(' ' if x.ndim == 1 else chr(10) + ' ').join(rows)}]"
    value = x.numpy()
    return f'"{value.decode()}"' if isinstance(value, bytes) else f"{value:g}" if isinstance(
        value, np.floating
    ) else str(value)  # fmt: skip


def unsorted_segment_join(
    inputs: Any, segment_ids: Any, num_segments: Any, separator: str = "", name: str | None = None
) -> StringTensor:
    """Return the texts of each segment joined.

    Example:
        >>> unsorted_segment_join(["a", "b", "c"], [1, 0, 1], 2).numpy().tolist()
        [b'b', b'ac']
    """
    rows: list[list[bytes]] = [[] for _ in range(int(num_segments))]
    texts = as_strings(inputs).array.reshape(-1).tolist()
    for text, number in zip(texts, host_array(segment_ids).reshape(-1).tolist(), strict=True):
        rows[number].append(text)
    return StringTensor([separator.encode().join(row) for row in rows])
