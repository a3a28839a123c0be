"""`tf.io`: files, and tensors as bytes."""

from __future__ import annotations

import base64
import binascii
import csv
import gzip
import io
import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbeam.errors import FileError
from hornbeam.tensorflow import gfile
from hornbeam.tensorflow.host import as_host, dtype_name
from hornbeam.tensorflow.parsing import (
    FixedLenFeature,
    FixedLenSequenceFeature,
    RaggedFeature,
    SparseFeature,
    VarLenFeature,
    parse_example,
    parse_sequence_example,
    parse_single_example,
    parse_single_sequence_example,
)
from hornbeam.tensorflow.ragged import tensor
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings, text_of
from hornbeam.tensorflow.tensor_proto import parse_tensor, serialize_tensor
from hornbeam.tensorflow.tfrecord import TFRecordOptions, TFRecordWriter

__all__ = [
    "FixedLenFeature", "FixedLenSequenceFeature", "RaggedFeature", "SparseFeature",
    "TFRecordOptions", "TFRecordWriter", "VarLenFeature", "decode_base64", "decode_compressed",
    "decode_csv", "decode_raw", "encode_base64", "match_filenames_once", "matching_files",
    "parse_example", "parse_sequence_example", "parse_single_example",
    "parse_single_sequence_example", "parse_tensor", "read_file", "serialize_tensor", "write_file",
]  # fmt: skip


def read_file(filename: Any, name: str | None = None) -> StringTensor:
    """Return the content of a file, as a tensor of one text.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    with open(text_of(filename), "rb") as file:
        return StringTensor(file.read())


def write_file(filename: Any, contents: Any, name: str | None = None) -> None:
    """Write a text to a file; folders that are missing are created."""
    path = text_of(filename)
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(as_strings(contents, "contents").numpy())


def matching_files(pattern: Any, name: str | None = None) -> StringTensor:
    """Return the paths that match a pattern, or several patterns, in order."""
    patterns = as_strings(pattern).array.reshape(-1).tolist()
    return StringTensor(np.array(gfile.glob(patterns), object))


def match_filenames_once(pattern: Any, name: str | None = None) -> StringTensor:
    """Return the paths that match a pattern, or several patterns, in order."""
    return matching_files(pattern)


def decode_raw(
    input_bytes: Any, out_type: Any, little_endian: bool = True, fixed_length: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Return the numbers whose bytes are in a text; a new last axis holds them.

    Args:
        input_bytes: Texts of one length.
        out_type: Dtype of the numbers.
        little_endian: Whether the lowest byte of a number comes first.
        fixed_length: Number of bytes to which each text is cut or filled with zeros.
        name: Ignored.

    Raises:
        ValueError: If the lengths differ, or are no multiple of a number's.

    Example:
        >>> decode_raw(b"\\x01\\x00", "int16").tolist()
        [1]
    """
    texts = as_strings(input_bytes, "input_bytes")
    dtype = np.dtype(dtype_name(out_type)).newbyteorder("<" if little_endian else ">")
    flat = texts.array.reshape(-1).tolist()
    if fixed_length is not None:
        size = int(fixed_length)
        flat = [text[:size].ljust(size, b"\0") for text in flat]
    lengths = {len(text) for text in flat}
    if len(lengths) > 1 or any(length % dtype.itemsize for length in lengths):
        raise ValueError(
            f"decode_raw: texts of {sorted(lengths)} bytes are no rows of {dtype.name} of one"
            " length. Pass `fixed_length`."
        )
    numbers = np.frombuffer(b"".join(flat), dtype).astype(dtype.newbyteorder("="))
    return as_host(numbers.reshape(*texts.shape, -1 if numbers.size else 0))


def encode_base64(input: Any, pad: bool = False, name: str | None = None) -> StringTensor:
    """Return texts in base64, in the alphabet for addresses.

    Example:
        >>> encode_base64("a").numpy()
        b'YQ'
    """
    texts = as_strings(input)
    if pad:
        return texts.map(base64.urlsafe_b64encode)
    return texts.map(lambda text: base64.urlsafe_b64encode(text).rstrip(b"="))


def decode_base64(input: Any, name: str | None = None) -> StringTensor:
    """Return what `encode_base64` was given.

    Raises:
        ValueError: If a text is not in base64.
    """

    def one(text: bytes) -> bytes:
        try:
            missing = -len(text) % 4
            return base64.b64decode(text + b"=" * missing, b"-_", validate=True)
        except binascii.Error as error:
            raise ValueError(f"decode_base64: {text[:40]!r} is not in base64: {error}.") from None

    return as_strings(input).map(one)


_MOST_BYTES = 2**31


def decode_compressed(bytes: Any, compression_type: str = "", name: str | None = None) -> Any:
    """Return texts that were compressed by `"GZIP"` or `"ZLIB"`.

    Raises:
        FileError: If a text is damaged, or longer than 2 GiB.
    """
    kinds = {"": None, "GZIP": 31, "ZLIB": 15}
    if compression_type not in kinds:
        raise ValueError(
            "decode_compressed: `compression_type` must be '', 'GZIP' or 'ZLIB', received"
            f" {compression_type!r}."
        )
    texts, window = as_strings(bytes), kinds[compression_type]
    if window is None:
        return texts

    def one(text: Any) -> Any:
        engine = zlib.decompressobj(window)
        try:
            found = engine.decompress(text, _MOST_BYTES)
        except (zlib.error, gzip.BadGzipFile) as error:
            raise FileError(f"decode_compressed: the data are damaged: {error}.") from None
        if not engine.eof:
            raise FileError("decode_compressed: the data are cut, or longer than 2 GiB.")
        return found

    return texts.map(one)


def csv_fields(line: bytes, delimiter: str, quotes: bool) -> list[str]:
    """Return the fields of a line of a CSV file.

    Example:
        >>> csv_fields(b'1,"a,b"', ",", True)
        ['1', 'a,b']
    """
    text = line.decode("utf-8", "surrogateescape")
    if not quotes:
        return text.split(delimiter)
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [""])


def csv_column(texts: Sequence[str], default: Any, number: int, na_value: str) -> Any:
    """Return a column of a CSV file as a tensor.

    Args:
        texts: The fields.
        default: The value of empty fields, which says the dtype; a dtype or an empty list if there
            must be none.
        number: Number of the column, for errors.
        na_value: The text of a field that counts as empty.

    Raises:
        ValueError: If a field is empty without a default, or no number.
    """
    if isinstance(default, (str, type)) and not isinstance(default, bytes) and _is_dtype(default):
        dtype, fill = dtype_name(default), None
    else:
        array = tensor(default)
        dtype = dtype_name(array.dtype)
        flat = np.asarray(array).reshape(-1)
        fill = flat[0] if len(flat) else None
    found: list[Any] = []
    for row, text in enumerate(texts):
        if text in ("", na_value):
            if fill is None:
                raise ValueError(
                    f"decode_csv: field {number} of record {row} is empty, and has no default. Give"
                    " one in `record_defaults`."
                )
            found.append(fill)
            continue
        try:
            found.append(_converted(text, dtype))
        except ValueError:
            raise ValueError(
                f"decode_csv: field {number} of record {row} is no valid {dtype}: {text!r:.60}."
            ) from None
    if dtype == "string":
        return StringTensor(np.array([*found, None], object)[:-1])
    return as_host(np.array(found, dtype))


def _is_dtype(x: Any) -> bool:
    known = ("float32", "float64", "int32", "int64", "string")
    return x in known if type(x) is not type else x in (int, float, str)


def _converted(text: str, dtype: str) -> Any:
    if dtype == "string":
        return text.encode("utf-8", "surrogateescape")
    if dtype.startswith("int"):
        number = int(text)
        if not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
            raise ValueError
        return number
    return float(text)


def decode_csv(
    records: Any, record_defaults: Sequence[Any], field_delim: str = ",",
    use_quote_delim: bool = True, na_value: str = "", select_cols: Sequence[int] | None = None,
    name: str | None = None,
) -> list[Any]:  # fmt: skip
    """Return the columns of lines of a CSV file.

    Args:
        records: The lines, as texts.
        record_defaults: For each column the value of empty fields, which says the dtype; an empty
            list `tf.constant([], dtype)` if there must be none.
        field_delim: What separates fields.
        use_quote_delim: Whether fields may stand in quotes.
        na_value: The text of a field that counts as empty.
        select_cols: Numbers of the columns that are returned. Default: all.
        name: Ignored.

    Raises:
        ValueError: If a line has another number of fields, or a field is no number.

    Example:
        >>> [column.numpy().tolist() for column in decode_csv(["1,2.5", "3,"], [[0], [0.0]])]
        [[1, 3], [2.5, 0.0]]
    """
    texts = as_strings(records, "records")
    rows = [csv_fields(line, field_delim, use_quote_delim)
            for line in texts.array.reshape(-1).tolist()]  # fmt: skip
    wanted = list(select_cols) if select_cols is not None else list(range(len(record_defaults)))
    for number, row in enumerate(rows):
        if (select_cols is None and len(row) != len(wanted)) or max(wanted, default=0) >= len(row):
            raise ValueError(
                f"decode_csv: record {number} has {len(row)} fields, expected {len(wanted)}."
            )
    columns = []
    for column, default in zip(wanted, record_defaults, strict=True):
        found = csv_column([row[column] for row in rows], default, column, na_value)
        flat = np.asarray(found).reshape(tuple(texts.shape))
        columns.append(tensor(flat))
    return columns
