"""Texts as characters: a part of `tf.strings`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hornbeam.tensorflow.host import as_host, host_array
from hornbeam.tensorflow.ragged import RaggedTensor
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings

__all__ = [
    "bytes_split", "unicode_decode", "unicode_decode_with_offsets", "unicode_encode",
    "unicode_split", "unicode_split_with_offsets", "unicode_transcode",
]  # fmt: skip

_ENCODINGS = {
    "UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be", "US-ASCII": "ascii",
    "UTF-16": "utf-16", "UTF-32": "utf-32", "ISO-8859-1": "latin-1",
}  # fmt: skip


def _codec(encoding: str) -> str:
    return _ENCODINGS.get(encoding.upper(), encoding)


def _decoder(
    encoding: str, errors: str, replacement: int, controls: bool
) -> Callable[[bytes], str]:
    if errors not in ("strict", "replace", "ignore"):
        raise ValueError(
            f"strings.unicode: `errors` must be 'strict', 'replace' or 'ignore', not {errors!r}."
        )
    codec, mark = _codec(encoding), chr(int(replacement))

    def decode(text: bytes) -> str:
        try:
            found = text.decode(codec, errors)
        except UnicodeDecodeError as error:
            raise ValueError(f"{text!r:.60} is not in {encoding}: {error}.") from None
        if errors == "replace" and mark != "\ufffd" and "\ufffd" in found:
            found = found.replace("\ufffd", mark)
        if controls:
            kept = "" if errors == "ignore" else mark
            found = "".join(kept if ord(c) < 32 or ord(c) == 127 else c for c in found)
        return found

    return decode


def _each(input: Any, function: Callable[[bytes], Any]) -> Any:
    """Return a function of each text that gives a tensor of one axis, as ragged rows."""
    if isinstance(input, RaggedTensor):
        return input.with_values(_each(input.values, function))
    texts = as_strings(input)
    if not texts.ndim:
        return function(texts.numpy())
    if texts.ndim > 1:
        return RaggedTensor.stacked([_each(row, function) for row in texts])
    rows = [function(text) for text in texts.array.tolist()]
    return RaggedTensor.stacked(rows) if rows else RaggedTensor(function(b""), [0])


def _texts(parts: list[bytes]) -> StringTensor:
    return StringTensor(np.array([*parts, None], object)[:-1])


def bytes_split(input: Any, name: str | None = None) -> Any:
    """Return the bytes of texts.

    Example:
        >>> bytes_split(["ab", "c"]).to_list()
        [[b'a', b'b'], [b'c']]
    """
    return _each(input, lambda text: _texts([text[i : i + 1] for i in range(len(text))]))


def unicode_split(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Return the characters of texts.

    Args:
        input: Texts.
        input_encoding: Such as `"UTF-8"`.
        errors: What is done with what is no character: `"strict"`, `"replace"` or `"ignore"`.
        replacement_char: The code of the character that replaces it.
        name: Ignored.

    Example:
        >>> unicode_split("hé", "UTF-8").numpy().tolist()
        [b'h', b'\\xc3\\xa9']
    """
    decode, codec = (
        _decoder(input_encoding, errors, replacement_char, False),
        _codec(input_encoding),
    )
    return _each(input, lambda text: _texts([c.encode(codec) for c in decode(text)]))


def unicode_decode(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    replace_control_characters: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Return the codes of the characters of texts, int32; arguments as in `unicode_split`.

    Example:
        >>> unicode_decode(["hé", "a"], "UTF-8").to_list()
        [[104, 233], [97]]
    """
    decode = _decoder(input_encoding, errors, replacement_char, replace_control_characters)
    return _each(input, lambda text: as_host(np.array([ord(c) for c in decode(text)], "int32")))


def _offsets(input: Any, decode: Callable[[bytes], str], codec: str) -> Any:
    def one(text: bytes) -> Any:
        lengths = [len(c.encode(codec)) for c in decode(text)]
        return as_host(np.cumsum([0, *lengths])[:-1], "int64")

    return _each(input, one)


def unicode_split_with_offsets(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    name: str | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Return the characters of texts, and the byte at which each begins."""
    decode = _decoder(input_encoding, errors, replacement_char, False)
    parts = unicode_split(input, input_encoding, errors, replacement_char)
    return parts, _offsets(input, decode, _codec(input_encoding))


def unicode_decode_with_offsets(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    replace_control_characters: bool = False, name: str | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Return the codes of the characters of texts, and the byte at which each begins."""
    rest = (errors, replacement_char, replace_control_characters)
    decode = _decoder(input_encoding, *rest)
    codes = unicode_decode(input, input_encoding, *rest)
    return codes, _offsets(input, decode, _codec(input_encoding))


def unicode_encode(
    input: Any, output_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Return the texts of rows of codes of characters.

    Args:
        input: Codes; the last axis is a text.
        output_encoding: Such as `"UTF-8"`.
        errors: What is done with what is no character: `"strict"`, `"replace"` or `"ignore"`.
        replacement_char: The code of the character that replaces it.
        name: Ignored.

    Example:
        >>> unicode_encode([[104, 233], [97, 98]], "UTF-8").numpy().tolist()
        [b'h\\xc3\\xa9', b'ab']
    """
    codec = _codec(output_encoding)

    def one(codes: Any) -> bytes:
        found = []
        for code in np.asarray(codes).tolist():
            if 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000:
                found.append(chr(code))
            elif errors == "strict":
                raise ValueError(f"strings.unicode_encode: {code} is no code of a character.")
            elif errors == "replace":
                found.append(chr(replacement_char))
        return "".join(found).encode(codec)

    if isinstance(input, RaggedTensor):
        if isinstance(input.values, RaggedTensor):
            return input.with_values(unicode_encode(input.values, output_encoding, errors,
                                                    replacement_char))  # fmt: skip
        return _texts([one(row) for row in input])
    codes = host_array(input)
    found = np.empty(codes.shape[:-1], object)
    for place in np.ndindex(found.shape):
        found[place] = one(codes[place])
    return StringTensor(found)


def unicode_transcode(
    input: Any, input_encoding: str, output_encoding: str, errors: str = "replace",
    replacement_char: int = 65533, replace_control_characters: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Return texts in another encoding; arguments as in `unicode_decode`."""
    decode = _decoder(input_encoding, errors, replacement_char, replace_control_characters)
    codec = _codec(output_encoding)
    if isinstance(input, RaggedTensor):
        return input.with_flat_values(
            unicode_transcode(input.flat_values, input_encoding, output_encoding, errors,
                              replacement_char, replace_control_characters)
        )  # fmt: skip
    return as_strings(input).map(lambda text: decode(text).encode(codec))
