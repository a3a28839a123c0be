"""Adapters for other libraries' data objects: one table says how to read each class.

Classes are recognized by their module and name, so this module imports none of the libraries.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hornbeam import errors
from hornbeam.data.columns import as_matrix, as_numbers, clear, objects
from hornbeam.data.lazy import Blocks, LazyArray, rows_of_a_block

__all__ = [
    "ADAPTERS", "Adapter", "adapter_of", "columns_of", "is_array", "is_frame", "is_stream",
    "is_table", "numbers_of", "plain", "refuse_mistakes", "rows_of_stream",
]  # fmt: skip


@dataclass(frozen=True)
class Adapter:
    """How to read the objects of some classes.

    Attributes:
        package: The package that defines the classes.
        classes: Names of the classes; their subclasses count too.
        kind: `"array"` has the rows of one array, `"table"` has named columns, and `"stream"` has
            rows as dictionaries that can only be iterated over.
        read: Function that reads an object. For an array, it returns the rows as a NumPy array or
            a `LazyArray`. For a table, it returns pairs of a name and a column, where a column is
            an array or an object with an adapter. For a stream, it returns an iterator over rows.
        side_by_side: Whether to join a table's numeric columns into one array, as Keras does with
            pandas data frames. Otherwise the table becomes a dictionary of columns.
    """

    package: str
    classes: tuple[str, ...]
    kind: Literal["array", "table", "stream"]
    read: Callable[[Any], Any]
    side_by_side: bool = False


# --- tables and columns in memory ---------------------------------------------------------------


def _pandas_frame(frame: Any) -> list[tuple[Any, Any]]:
    return [(label, _pandas_column(frame.iloc[:, i])) for i, label in enumerate(frame.columns)]


def _pandas_column(column: Any) -> np.ndarray:
    if getattr(column.dtype, "kind", "O") in "iub" and column.hasnans:
        return objects(list(column))  # floats would hide missing integers as NaN
    return column.to_numpy()


def _polars_column(column: Any) -> np.ndarray:
    if column.null_count() and (column.dtype.is_integer() or str(column.dtype) == "Boolean"):
        return objects(column.to_list())
    return column.to_numpy()


def _polars_frame(frame: Any) -> list[tuple[str, Any]]:
    return [(column.name, column) for column in frame.get_columns()]


def _arrow_column(column: Any) -> np.ndarray:
    kind = str(column.type)
    if column.null_count and kind.startswith(
        ("int", "uint", "bool", "list", "fixed", "large_list")
    ):
        return objects(column.to_pylist())
    values = (
        column.to_numpy(zero_copy_only=False) if hasattr(column, "offset") else column.to_numpy()
    )
    if kind.startswith(("list", "fixed_size_list", "large_list")) and len(values):
        if values[0].dtype == object:  # lists of lists
            return objects([_nested(row) for row in column.to_pylist()])
    return values


def _nested(row: Any) -> Any:
    try:
        return np.array(row)
    except ValueError:
        return row


def _arrow_table(table: Any) -> list[tuple[str, Any]]:
    return list(zip(table.schema.names, table.columns, strict=True))


def _torch(tensor: Any) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


# --- arrays read batch by batch -----------------------------------------------------------------


def _sparse(matrix: Any) -> LazyArray:
    """Return a lazy array that converts each batch of a sparse matrix's rows to a dense array."""
    rows = matrix.tocsr()
    return LazyArray(
        lambda numbers: rows[numbers].toarray(), rows.shape[0],
        sample=np.empty((0, *rows.shape[1:]), rows.dtype),
    )  # fmt: skip


def _jax_sparse(array: Any) -> LazyArray:
    """Return the rows of a sparse array of JAX, of which each batch becomes dense."""
    array = array if hasattr(array, "n_dense") else array.to_bcoo()
    shape, width = array.shape, int(np.prod(array.shape[1:]))
    if array.n_batch or array.n_dense:
        array = array.update_layout(n_batch=0, n_dense=0, on_inefficient=None)
    entries, indices = np.asarray(array.data), np.asarray(array.indices)
    kept = np.all(indices < np.array(shape), axis=1)  # others fill up the arrays
    kept = np.flatnonzero(kept)[np.argsort(indices[kept, 0], kind="stable")]
    entries, indices = entries[kept], indices[kept]
    columns = np.ravel_multi_index(tuple(indices[:, 1:].T), shape[1:]) if len(shape) > 1 else 0
    columns = np.broadcast_to(columns, len(entries))
    starts = np.searchsorted(indices[:, 0], np.arange(shape[0] + 1))

    def take(numbers: np.ndarray) -> np.ndarray:
        counts = starts[numbers + 1] - starts[numbers]
        rows = np.repeat(np.arange(len(numbers)), counts)
        shift = np.repeat(starts[numbers] - np.cumsum(counts) + counts, counts)
        chosen = np.arange(len(rows)) + shift
        found = np.zeros((len(numbers), width), entries.dtype)
        np.add.at(found, (rows, columns[chosen]), entries[chosen])
        return found.reshape(-1, *shape[1:])

    return LazyArray(take, shape[0], sample=np.empty((0, *shape[1:]), entries.dtype))


def _in_chunks(array: Any, chunk: int | None, name: str, take: Any = None) -> Any:
    """Return a lazy array that reads an array in a file in blocks of whole chunks."""
    if not array.shape:
        return np.asarray(array[()])
    take = array if take is None else take
    row = np.empty((0, *array.shape[1:]), object if take is not array else array.dtype)
    size = rows_of_a_block(row.dtype.itemsize * int(np.prod(array.shape[1:])), chunk)
    blocks = Blocks(
        range(0, array.shape[0], size), lambda i: np.asarray(take[i * size : (i + 1) * size]), name
    )
    return LazyArray(blocks, array.shape[0], blocks.starts, sample=row)


def _h5py(dataset: Any) -> Any:
    if not dataset:
        raise ValueError(
            "The file of an h5py dataset is closed. Keep the file open while its rows are read."
        )
    chunk = dataset.chunks[0] if dataset.chunks else None
    text = dataset.asstr() if dataset.dtype.kind == "O" else None
    return _in_chunks(dataset, chunk, f"dataset {dataset.name!r} of {dataset.file.filename}", text)


def _zarr(array: Any) -> Any:
    chunks = getattr(array, "shards", None) or array.chunks
    return _in_chunks(array, chunks[0] if chunks else None, f"zarr array {array.name or ''!r}")


def _zarr_group(group: Any) -> list[tuple[str, Any]]:
    return sorted(group.arrays())


# --- Hugging Face datasets ----------------------------------------------------------------------

_IN_ARROW = ("Value", "List", "LargeList", "Sequence", "ClassLabel")


def _hugging_face(data: Any) -> list[tuple[str, Any]]:
    return [(name, _hugging_face_column(data, name)) for name in data.column_names]


def _hugging_face_column(data: Any, name: str) -> LazyArray:
    feature = data.features[name]
    if data.format["type"] == "custom":  # a function of the user makes the rows
        source: Any = data
    else:
        in_arrow = type(feature).__name__ in _IN_ARROW
        source = data.select_columns([name]).with_format("arrow" if in_arrow else "numpy")

    def take(numbers: np.ndarray) -> np.ndarray:
        found = plain(source[numbers.tolist()][name])
        where = f"Column {name!r} of the data set"
        if not isinstance(found, np.ndarray):
            found = objects(found)
        kept_text = type(feature).__name__ == "Value" and feature.dtype in (
            "string",
            "large_string",
        )
        return found if kept_text else as_numbers(found, where)

    return LazyArray(take, len(data))


def _hugging_face_selected(column: Any) -> LazyArray:
    return _hugging_face_column(column.source, column.column_name)


ADAPTERS = (
    Adapter("pandas", ("DataFrame",), "table", _pandas_frame, side_by_side=True),
    Adapter("pandas", ("Series", "Index"), "array", _pandas_column),
    Adapter("polars", ("DataFrame",), "table", _polars_frame, side_by_side=True),
    Adapter("polars", ("LazyFrame",), "table", lambda x: _polars_frame(x.collect()), True),
    Adapter("polars", ("Series",), "array", _polars_column),
    Adapter("pyarrow", ("Table", "RecordBatch"), "table", _arrow_table, side_by_side=True),
    Adapter("pyarrow", ("Array", "ChunkedArray"), "array", _arrow_column),
    Adapter("torch", ("Tensor",), "array", _torch),
    Adapter("scipy", ("_spbase", "spmatrix", "sparray"), "array", _sparse),
    Adapter("jax", ("JAXSparse",), "array", _jax_sparse),
    Adapter("h5py", ("Dataset",), "array", _h5py),
    Adapter("zarr", ("Array",), "array", _zarr),
    Adapter("zarr", ("Group",), "table", _zarr_group),
    Adapter("datasets", ("Dataset",), "table", _hugging_face),
    Adapter("datasets", ("Column",), "array", _hugging_face_selected),
    Adapter("datasets", ("IterableDataset",), "stream", iter),
)

_found: dict[type, Adapter | None] = {}


def adapter_of(x: Any) -> Adapter | None:
    """Return the adapter for an object's class, or `None` if there is no adapter for it.

    Example:
        >>> adapter_of(np.zeros(3)) is None
        True
    """
    kind = type(x)
    if kind not in _found:
        names = {(c.__module__.partition(".")[0], c.__name__) for c in kind.__mro__}
        _found[kind] = next(
            (a for a in ADAPTERS if any((a.package, name) in names for name in a.classes)), None
        )
    return _found[kind]


def plain(x: Any) -> Any:
    """Convert an object of another library to an array of any dtype.

    A table whose adapter has `side_by_side` becomes one array of text or of numbers. Other tables
    become dictionaries of columns. Other objects are returned unchanged.

    Example:
        >>> plain([1, 2])
        [1, 2]
    """
    adapter = adapter_of(x)
    if adapter is None or adapter.kind == "stream":
        return x
    if adapter.kind == "array":
        array = adapter.read(x)
        return array if isinstance(array, LazyArray) else clear(array)
    columns = columns_of(x)
    if not adapter.side_by_side:
        return dict(columns)
    if all(column.dtype.kind in "OUST" for _, column in columns) and columns:
        return np.stack([np.asarray(column, object) for _, column in columns], axis=1)
    return as_matrix(columns, "data")


def columns_of(table: Any) -> list[tuple[Any, Any]]:
    """Return the names and columns of a table. The columns are arrays of any dtype."""
    adapter = adapter_of(table)
    assert adapter is not None
    return [(name, plain(column)) for name, column in adapter.read(table)]


def numbers_of(x: Any, name: str) -> Any:
    """Convert an object of another library to arrays of numbers.

    Args:
        x: The object. Objects of classes without an adapter are returned unchanged.
        name: Name of the argument, for error messages.

    Raises:
        ValueError: If there are values other than numbers. The message names the columns.
    """
    adapter = adapter_of(x)
    if adapter is None:
        return x
    if adapter.kind == "array":
        label = getattr(x, "name", None)
        where = f"Column {label!r} of `{name}`" if isinstance(label, str) and label else f"`{name}`"
        return _numbers(adapter.read(x), where)
    if adapter.kind == "stream":
        raise ValueError(
            f"`{name}` is a {type(x).__name__}, whose rows cannot be indexed. Pass only"
            " `Dataset.from_table(data, target=...).batch(...)`."
        )
    columns = columns_of(x)
    if adapter.side_by_side:
        return as_matrix(columns, name)
    return {label: _numbers(a, f"Column {label!r} of `{name}`") for label, a in columns}


def _numbers(array: Any, where: str) -> Any:
    """Convert a column to an array of numbers. Of a lazy array, only the first row is checked."""
    if not isinstance(array, LazyArray):
        return as_numbers(array, where)
    as_numbers(np.asarray(array[:1]), where)
    return array


def rows_of_stream(x: Any) -> Iterator[Any]:
    """Yield the rows of a stream, with lists converted to arrays."""
    adapter = adapter_of(x)
    assert adapter is not None
    for row in adapter.read(x):
        yield tree_of_arrays(row)


def tree_of_arrays(row: Any) -> Any:
    """Convert the lists in a row to arrays."""
    if isinstance(row, Mapping):
        return {name: tree_of_arrays(value) for name, value in row.items()}
    return np.asarray(row) if isinstance(row, list) else row


def is_array(x: Any) -> bool:
    """Return whether an object of another library is one array."""
    adapter = adapter_of(x)
    return adapter is not None and adapter.kind == "array"


def is_table(x: Any) -> bool:
    """Return whether an object has named columns."""
    adapter = adapter_of(x)
    return adapter is not None and adapter.kind == "table"


def is_frame(x: Any) -> bool:
    """Return whether `x` is a table whose columns are one array if they are all numbers.

    Example:
        >>> is_frame({"a": [1]})
        False
    """
    adapter = adapter_of(x)
    if adapter is not None:
        return adapter.side_by_side
    return hasattr(x, "to_numpy") and hasattr(x, "columns") and not isinstance(x, Mapping)


def refuse_mistakes(x: Any, name: str) -> None:
    """Raise an error for what looks like data and is none.

    That is: a function or class that makes the data, and Hugging Face's dictionary of several data
    sets.

    Args:
        x: What the user passed.
        name: Name of the argument.
    """
    if isinstance(x, dict) and type(x).__name__ in ("DatasetDict", "IterableDatasetDict"):
        raise ValueError(
            f"`{name}` is a {type(x).__name__} with the splits {errors.listed(x)}. Choose one, such"
            f" as `data[{next(iter(x), 'train')!r}]`."
        )
    if inspect.isroutine(x) or inspect.isclass(x):
        kind = "class" if inspect.isclass(x) else "function"
        raise ValueError(
            f"`{name}` is the {kind} {x.__name__!r}; expected data. Call it: `{x.__name__}(...)`."
            " If it makes a generator, `hornbeam.data.Dataset.from_generator` of it can be read"
            " again in each epoch."
        )


def is_stream(x: Any) -> bool:
    """Return whether an object's rows can only be iterated over."""
    adapter = adapter_of(x)
    return adapter is not None and adapter.kind == "stream"
