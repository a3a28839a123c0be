"""Data sets of the lines and records of files."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hornbeam import data, errors
from hornbeam.data import stages
from hornbeam.tensorflow import gfile
from hornbeam.tensorflow.dataset import Dataset
from hornbeam.tensorflow.host import as_host, dtype_name
from hornbeam.tensorflow.io import csv_column
from hornbeam.tensorflow.parsing import parse_example
from hornbeam.tensorflow.pipeline import plain
from hornbeam.tensorflow.string_tensor import as_strings
from hornbeam.tensorflow.tfrecord import open_compressed, records_of

__all__ = [
    "CsvDataset", "FixedLengthRecordDataset", "TFRecordDataset", "TextLineDataset",
    "make_batched_features_dataset", "make_csv_dataset",
]  # fmt: skip

_FILES_AT_ONCE = 8


def _names(filenames: Any) -> Callable[[], Iterator[str]]:
    """Return a function that yields the names of files, which may be a data set of them."""
    if isinstance(filenames, data.Dataset):
        return lambda: (plain(name).item().decode() for name in filenames.elements(0, 0))
    found = [name.decode() for name in as_strings(filenames).array.reshape(-1).tolist()]
    return lambda: iter(found)


class _FromFiles(Dataset):
    """The elements of several files, one file after another."""

    def __init__(self, filenames: Any, read: Callable[[str], Iterator[Any]], parallel: Any):
        names = _names(filenames)

        def elements() -> Iterator[Any]:
            runs = map(read, names())
            if parallel is None:
                return itertools.chain.from_iterable(runs)
            # Several files in turn, as TensorFlow reads them.
            return _in_turn(runs, int(parallel) if int(parallel) > 0 else _FILES_AT_ONCE)

        super().__init__(stages.Elements(elements))


def _in_turn(runs: Iterator[Iterator[Any]], count: int) -> Iterator[Any]:
    running = list(itertools.islice(runs, count))
    while running:
        for run in list(running):
            found = next(run, running)
            if found is not running:
                yield found
                continue
            running[running.index(run)] = following = next(runs, iter(()))
            first = next(following, running)
            if first is running:
                running.remove(following)
            else:
                yield first


class TextLineDataset(_FromFiles):
    """The lines of text files, without their ends.

    Args:
        filenames: One or several files, or a data set of their names.
        compression_type: `None`, `""`, `"GZIP"` or `"ZLIB"`.
        buffer_size: Ignored.
        num_parallel_reads: How many files are read in turn. Default: one after another.
        name: Ignored.
    """

    def __init__(
        self, filenames: Any, compression_type: Any = None, buffer_size: Any = None,
        num_parallel_reads: Any = None, name: str | None = None,
    ):  # fmt: skip
        def read(path: str) -> Iterator[bytes]:
            with open_compressed(path, compression_type, "TextLineDataset") as file:
                for line in file:
                    yield line.removesuffix(b"\n").removesuffix(b"\r")

        super().__init__(filenames, read, num_parallel_reads)


class TFRecordDataset(_FromFiles):
    """The records of TFRecord files, as texts.

    Args:
        filenames, compression_type, buffer_size, num_parallel_reads, name: As in
            `TextLineDataset`.

    Raises:
        FileError: When the elements are read, if a file is damaged.
    """

    def __init__(
        self, filenames: Any, compression_type: Any = None, buffer_size: Any = None,
        num_parallel_reads: Any = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(
            filenames, lambda path: records_of(path, compression_type), num_parallel_reads
        )


class FixedLengthRecordDataset(_FromFiles):
    """The records of files whose records have one length, as texts.

    Args:
        filenames: One or several files.
        record_bytes: Length of a record.
        header_bytes, footer_bytes: Number of bytes at both ends of a file that are left out.
        buffer_size, compression_type, num_parallel_reads, name: As in `TextLineDataset`.

    Raises:
        ValueError: When the elements are read, if a file holds no whole number of records.
    """

    def __init__(
        self, filenames: Any, record_bytes: Any, header_bytes: Any = None, footer_bytes: Any = None,
        buffer_size: Any = None, compression_type: Any = None, num_parallel_reads: Any = None,
        name: str | None = None,
    ):  # fmt: skip
        size, head, foot = int(record_bytes), int(header_bytes or 0), int(footer_bytes or 0)

        def read(path: str) -> Iterator[bytes]:
            with open_compressed(path, compression_type, "FixedLengthRecordDataset") as file:
                content = file.read()
            inner = content[head : len(content) - foot]
            if len(inner) % size:
                raise ValueError(
                    f"FixedLengthRecordDataset: '{path}' holds {len(inner)} bytes of records, which"
                    f" is no multiple of `record_bytes` {size}."
                )
            yield from (inner[i : i + size] for i in range(0, len(inner), size))

        super().__init__(filenames, read, num_parallel_reads)


def _csv_rows(
    path: str, compression: Any, header: bool, delimiter: str, quotes: bool
) -> Iterator[list[str]]:
    """Yield the fields of each row of a CSV file; empty lines are left out."""
    with open_compressed(path, compression, "CsvDataset") as file:
        text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
        quoting: Any = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        rows = csv.reader(text, delimiter=delimiter, quoting=quoting)
        yield from (row for number, row in enumerate(rows) if row and (number or not header))


class CsvDataset(_FromFiles):
    """The rows of CSV files, as tuples of their columns.

    Args:
        filenames: One or several files.
        record_defaults: For each column that is read its dtype, or the value of empty fields.
        compression_type, buffer_size: As in `TextLineDataset`.
        header: Whether the first line of a file is left out.
        field_delim: What separates fields.
        use_quote_delim: Whether fields may stand in quotes.
        na_value: The text of a field that counts as empty.
        select_cols: Numbers of the columns that are read. Default: all.
        exclude_cols: Numbers of the columns that are not read.

    Raises:
        ValueError: When the elements are read, if a row has another number of fields, or a field is
            no number.
    """

    def __init__(
        self, filenames: Any, record_defaults: Sequence[Any], compression_type: Any = None,
        buffer_size: Any = None, header: bool = False, field_delim: str = ",",
        use_quote_delim: bool = True, na_value: str = "", select_cols: Any = None,
        exclude_cols: Any = None,
    ):  # fmt: skip
        def read(path: str) -> Iterator[tuple[Any, ...]]:
            rows = _csv_rows(path, compression_type, bool(header), field_delim, use_quote_delim)
            for number, row in enumerate(rows):
                yield _csv_element(
                    row, number, record_defaults, select_cols, exclude_cols, na_value
                )

        super().__init__(filenames, read, None)


def _csv_element(
    row: list[str], number: int, defaults: Sequence[Any], chosen: Any, excluded: Any, na_value: str
) -> tuple[Any, ...]:
    columns = [int(c) for c in chosen] if chosen is not None else [
        c for c in range(len(row)) if c not in (excluded or ())
    ]  # fmt: skip
    if len(columns) != len(defaults) or max(columns, default=0) >= len(row):
        raise ValueError(
            f"CsvDataset: row {number} has {len(row)} fields, but {len(defaults)} columns are"
            " described in `record_defaults`."
        )
    parts = (
        csv_column([row[column]], default, column, na_value)[0]
        for column, default in zip(columns, defaults, strict=True)
    )
    return tuple(plain(part) for part in parts)


def _kind(texts: Sequence[str], na_value: str) -> str:
    """Return the dtype of a column: the first of int32, int64, float32 and string that fits."""
    kind = "int32"
    for text in texts:
        if text in ("", na_value):
            continue
        try:
            if not -(2**31) <= int(text) < 2**31 and kind == "int32":
                kind = "int64"
        except ValueError:
            try:
                float(text)
                kind = "float32"
            except ValueError:
                return "string"
    return kind


_EMPTY = {"string": "", "float32": 0.0, "float64": 0.0}


def make_csv_dataset(
    file_pattern: Any, batch_size: Any, column_names: Any = None, column_defaults: Any = None,
    label_name: str | None = None, select_columns: Any = None, field_delim: str = ",",
    use_quote_delim: bool = True, na_value: str = "", header: bool = True,
    num_epochs: int | None = None, shuffle: bool = True, shuffle_buffer_size: int = 10000,
    shuffle_seed: int | None = None, prefetch_buffer_size: Any = None,
    num_parallel_reads: Any = None, sloppy: bool = False, num_rows_for_inference: int | None = 100,
    compression_type: Any = None, ignore_errors: bool = False, encoding: str = "utf-8",
) -> Dataset:  # fmt: skip
    """Return batches of the rows of CSV files, as dictionaries of columns.

    Args:
        file_pattern: Files, or patterns of their names.
        batch_size: Number of rows of a batch.
        column_names: Names of the columns. Default: the first line.
        column_defaults: Dtypes of the columns, or values of empty fields. Default: what the first
            rows show.
        label_name: Name of the column of targets; elements are then pairs.
        select_columns: Names or numbers of the columns that are read. Default: all.
        field_delim, use_quote_delim, na_value, compression_type: As in `CsvDataset`.
        header: Whether the first line holds names.
        num_epochs: How often the rows are repeated. Default: without end.
        shuffle: Whether rows are shuffled.
        shuffle_buffer_size, shuffle_seed: Window and seed of the shuffle.
        prefetch_buffer_size, num_parallel_reads, sloppy, encoding: Ignored.
        num_rows_for_inference: How many rows show the dtypes; `None` for all.
        ignore_errors: Must be false.

    Raises:
        ValueError: If no file matches, or there is no column of a name.
    """
    if ignore_errors:
        raise ValueError("make_csv_dataset: `ignore_errors` must be false: an error ends a pass.")
    files = gfile.glob(file_pattern)
    if not files:
        raise ValueError(f"make_csv_dataset: no file matches {file_pattern!r}.")
    settings = (compression_type, False, field_delim, use_quote_delim)
    first = next(_csv_rows(files[0], *settings), [])
    names = list(column_names) if column_names is not None else first
    wanted = list(range(len(names)))
    if select_columns is not None:
        for column in select_columns:
            if isinstance(column, str) and column not in names:
                raise errors.unknown_name("column of the CSV file:", column, names)
        wanted = [c if isinstance(c, int) else names.index(c) for c in select_columns]
    chosen = [names[c] for c in wanted]
    if label_name is not None and label_name not in chosen:
        raise errors.unknown_name("column of the CSV file:", label_name, chosen)
    if column_defaults is None:
        rows = list(itertools.islice(_csv_rows(files[0], compression_type, header, *settings[2:]),
                                     num_rows_for_inference))  # fmt: skip
        kinds = [_kind([row[c] for row in rows], na_value) for c in wanted]
        defaults: list[Any] = [as_default(kind) for kind in kinds]
    else:
        defaults = [column_defaults[c] if len(column_defaults) == len(names) else column_defaults[i]
                    for i, c in enumerate(wanted)]  # fmt: skip
    table = CsvDataset(
        files, defaults, compression_type, None, header, field_delim, use_quote_delim, na_value,
        wanted,
    )  # fmt: skip
    rows_: Any = table.shuffle(shuffle_buffer_size, shuffle_seed) if shuffle else table
    rows_ = rows_.repeat(num_epochs).batch(batch_size, drop_remainder=num_epochs is None)

    def named(*columns: Any) -> Any:
        found = dict(zip(chosen, columns, strict=True))
        return found if label_name is None else (found, found.pop(label_name))

    return rows_.map(named).prefetch(1)


def as_default(kind: str) -> Any:
    """Return the value of empty fields of a dtype, as a tensor."""
    value = _EMPTY.get(kind, 0)
    return as_strings(value) if kind == "string" else as_host(np.array([value]), dtype_name(kind))


def make_batched_features_dataset(
    file_pattern: Any, batch_size: Any, features: Any, reader: Any = None,
    label_key: str | None = None, reader_args: Any = None, num_epochs: int | None = None,
    shuffle: bool = True, shuffle_buffer_size: int = 10000, shuffle_seed: int | None = None,
    prefetch_buffer_size: Any = None, reader_num_threads: Any = None,
    parser_num_threads: Any = None, sloppy_ordering: bool = False, drop_final_batch: bool = False,
) -> Dataset:  # fmt: skip
    """Return batches of the parsed examples of TFRecord files.

    Args:
        file_pattern: Files, or patterns of their names.
        batch_size: Number of examples of a batch.
        features: As in `parse_example`.
        reader, reader_args: The class of the data set of a file and its arguments. Default:
            `TFRecordDataset`.
        label_key: Name of the feature of targets; elements are then pairs.
        num_epochs: How often the examples are repeated. Default: without end.
        shuffle, shuffle_buffer_size, shuffle_seed: Whether and how examples are shuffled.
        prefetch_buffer_size, reader_num_threads, parser_num_threads, sloppy_ordering: Ignored.
        drop_final_batch: Whether a smaller last batch is left out.
    """
    files = gfile.glob(file_pattern)
    if not files:
        raise ValueError(f"make_batched_features_dataset: no file matches {file_pattern!r}.")
    examples: Any = (reader or TFRecordDataset)(files, *(reader_args or ()))
    if shuffle:
        examples = examples.shuffle(shuffle_buffer_size, shuffle_seed)
    batches = examples.repeat(num_epochs).batch(batch_size, drop_final_batch or num_epochs is None)

    def parsed(serialized: Any) -> Any:
        found = parse_example(serialized, features)
        return found if label_key is None else (found, found.pop(label_key))

    return batches.map(parsed).prefetch(1)
