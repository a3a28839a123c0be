"""Reads the columns of Parquet files, one row group at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hornbeam.data.adapters import plain
from hornbeam.data.columns import as_numbers
from hornbeam.data.elements import map_leaves
from hornbeam.data.files import files_of
from hornbeam.data.lazy import Blocks, LazyArray
from hornbeam.optional import import_module
from hornbeam.typing import FilePath

__all__ = ["parquet_columns"]


class _Files:
    """Parquet files with the same columns.

    Attributes:
        names: Names of the columns.
        starts: Number of the first row of each row group.
        length: Total number of rows.
    """

    def __init__(self, paths: list[str]):
        parquet = import_module("pyarrow.parquet", extra="arrow", needed_for="Dataset.from_parquet")
        self._open, self._paths = parquet.ParquetFile, paths
        self._metadata = [self._footer(path) for path in paths]
        schemas = [metadata.schema.to_arrow_schema() for metadata in self._metadata]
        self.names, self.schema = list(schemas[0].names), schemas[0]
        for path, schema in zip(paths, schemas, strict=True):
            for name in self.names:
                if schema.get_field_index(name) < 0 or schema.field(name).type != (
                    self.schema.field(name).type
                ):
                    found = schema.field(name).type if name in schema.names else "missing"
                    raise ValueError(
                        "Dataset.from_parquet: all files must have the same columns, but column"
                        f" {name!r} is {found} in {path!r}, and"
                        f" {self.schema.field(name).type} in {paths[0]!r}."
                    )
        groups = [
            (file, group, metadata.row_group(group).num_rows)
            for file, metadata in enumerate(self._metadata)
            for group in range(metadata.num_row_groups)
        ]
        self._groups = [group for group in groups if group[2]]
        ends = list(itertools.accumulate(rows for _, _, rows in self._groups))
        self.starts, self.length = [0, *ends[:-1]], ends[-1] if ends else 0
        if not self.length:
            raise ValueError(f"Dataset.from_parquet: {paths[0]!r} holds no rows.")

    def _footer(self, path: str) -> Any:
        try:
            with self._open(path) as file:
                return file.metadata
        except (OSError, ValueError) as error:
            raise ValueError(
                f"Dataset.from_parquet: {path!r} is damaged or not a Parquet file: {error}"
            ) from error

    def read(self, block: int, name: str) -> np.ndarray:
        """Read a column of a row group."""
        file, group, rows = self._groups[block]
        path = self._paths[file]
        where = f"Dataset.from_parquet: column {name!r} of row group {group} of {path!r}"
        try:
            with self._open(path, metadata=self._metadata[file]) as opened:
                column = opened.read_row_group(group, columns=[name]).column(name)
        except (OSError, ValueError) as error:
            raise ValueError(f"{where} cannot be read: {error}") from error
        if len(column) != rows:
            raise ValueError(f"{where} has {len(column)} rows instead of {rows}.")
        values = plain(column)
        is_text = str(column.type) in ("string", "large_string", "string_view", "binary")
        return values if is_text else as_numbers(values, where)


def parquet_columns(
    paths: FilePath | Sequence[FilePath], choose: Callable[[list[str]], Any]
) -> Any:
    """Return columns of Parquet files as lazy arrays that read one row group at a time.

    Args:
        paths: A file, a folder, or several files.
        choose: Function from the list of all column names to a structure of names.
    """
    files = _Files(files_of(paths, "from_parquet", (".parquet", ".pq")))

    def column(name: str) -> LazyArray:
        blocks = Blocks(
            files.starts, lambda block: files.read(block, name), f"column {name!r} of the files"
        )
        return LazyArray(blocks, files.length, blocks.starts)

    return map_leaves(column, choose(files.names))
