"""`tf.ragged` and `tf.RaggedTensor`: rows of different lengths, on the host."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hornbeam.tensorflow.host import HostTensor, TensorShape, as_host, dtype_name, host_array
from hornbeam.tensorflow.sparse_tensor import SparseTensor, flat_tensor
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings

__all__ = ["RaggedTensor", "boolean_mask", "constant", "map_flat_values", "range", "stack"]


def tensor(x: Any, dtype: Any = None) -> Any:
    """Return values as a tensor on the host: of text, of numbers, or ragged as they are."""
    return x if isinstance(x, RaggedTensor) else flat_tensor(x, dtype)


class RaggedTensor:
    """Rows of different lengths: all values in one tensor, and where each row begins.

    Args:
        values: The values of all rows; a ragged tensor if the rows consist of ragged rows.
        row_splits: Where each row begins in `values`, and where the last one ends.

    Example:
        >>> rows = constant([[1, 2], [3]])
        >>> rows.to_tensor().numpy().tolist(), rows.row_lengths().numpy().tolist()
        ([[1, 2], [3, 0]], [2, 1])
    """

    def __init__(self, values: Any, row_splits: Any):
        self.values = tensor(values)
        self.row_splits = as_host(row_splits, "int64")
        splits = self.row_splits.view(np.ndarray)
        if splits.ndim != 1 or not len(splits) or splits[0] != 0 or (np.diff(splits) < 0).any():
            raise ValueError(
                "RaggedTensor: `row_splits` must begin with 0 and never decrease, received"
                f" {splits!r:.100}."
            )
        if splits[-1] != len(self.values):
            raise ValueError(
                f"RaggedTensor: `row_splits` ends with {splits[-1]}, but there are"
                f" {len(self.values)} values."
            )

    # --- constructors ---------------------------------------------------------------------------

    @classmethod
    def from_row_splits(
        cls, values: Any, row_splits: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Return rows that begin at the given places of `values`."""
        return cls(values, row_splits)

    @classmethod
    def from_row_lengths(
        cls, values: Any, row_lengths: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Return rows of the given lengths."""
        return cls(values, np.concatenate([[0], np.cumsum(host_array(row_lengths))]))

    @classmethod
    def from_row_starts(
        cls, values: Any, row_starts: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Return rows that begin at the given places."""
        values = tensor(values)
        return cls(values, [*host_array(row_starts).tolist(), len(values)])

    @classmethod
    def from_row_limits(
        cls, values: Any, row_limits: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Return rows that end at the given places."""
        return cls(values, [0, *host_array(row_limits).tolist()])

    @classmethod
    def from_value_rowids(
        cls, values: Any, value_rowids: Any, nrows: Any = None, name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:  # fmt: skip
        """Return rows from the number of the row of each value."""
        numbers = host_array(value_rowids).astype("int64")
        count = int(nrows) if nrows is not None else int(numbers[-1]) + 1 if len(numbers) else 0
        return cls.from_row_lengths(values, np.bincount(numbers, minlength=count))

    @classmethod
    def from_uniform_row_length(
        cls, values: Any, uniform_row_length: Any, nrows: Any = None, validate: bool = True,
        name: str | None = None,
    ) -> RaggedTensor:  # fmt: skip
        """Return rows of one length."""
        values, length = tensor(values), int(uniform_row_length)
        count = int(nrows) if nrows is not None else len(values) // max(length, 1)
        return cls(values, np.arange(count + 1) * length)

    @classmethod
    def from_nested_row_splits(
        cls, flat_values: Any, nested_row_splits: Sequence[Any], name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:  # fmt: skip
        """Return rows of rows, from the outermost splits to the innermost."""
        found = flat_values
        for splits in reversed(list(nested_row_splits)):
            found = cls(found, splits)
        return found

    @classmethod
    def from_nested_row_lengths(
        cls, flat_values: Any, nested_row_lengths: Sequence[Any], name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:  # fmt: skip
        """Return rows of rows, from the outermost lengths to the innermost."""
        found = flat_values
        for lengths in reversed(list(nested_row_lengths)):
            found = cls.from_row_lengths(found, lengths)
        return found

    @classmethod
    def from_tensor(
        cls, tensor: Any, lengths: Any = None, padding: Any = None, ragged_rank: int = 1,
        name: str | None = None, row_splits_dtype: Any = "int64",
    ) -> RaggedTensor:  # fmt: skip
        """Return the rows of a tensor, without what is beyond `lengths`, or without `padding`."""
        rows = _tensor(tensor)
        if ragged_rank > 1:
            inner = rows.array if isinstance(rows, StringTensor) else rows
            parts = [cls.from_tensor(part, lengths, padding, ragged_rank - 1) for part in inner]
            return cls.stacked(parts)
        if padding is not None:
            fill = as_strings(padding) if isinstance(rows, StringTensor) else padding
            kept: Any = np.asarray(rows != fill).reshape(*rows.shape[:2], -1).any(axis=-1)
            lengths = [int(np.flatnonzero(row)[-1]) + 1 if row.any() else 0 for row in kept]
        if lengths is None:
            lengths = [rows.shape[1]] * len(rows)
        lengths = np.clip(host_array(lengths), 0, rows.shape[1])
        mask = np.arange(rows.shape[1]) < lengths[:, None]
        return cls.from_row_lengths(rows[mask], lengths)

    @classmethod
    def from_sparse(
        cls, st_input: Any, name: str | None = None, row_splits_dtype: Any = "int64"
    ) -> RaggedTensor:
        """Return the values of each row of a sparse tensor of two axes."""
        rows = host_array(st_input.indices)[:, 0]
        return cls.from_value_rowids(st_input.values, rows, nrows=int(st_input.dense_shape[0]))

    @classmethod
    def stacked(cls, parts: Sequence[Any]) -> RaggedTensor:
        """Return tensors, ragged or not, as the rows of a ragged one."""
        parts = [tensor(part) for part in parts]
        return cls.from_row_lengths(_joined(parts), [len(part) for part in parts])

    # --- parts ----------------------------------------------------------------------------------

    @property
    def dtype(self) -> Any:
        """The dtype of the values."""
        return self.values.dtype

    @property
    def flat_values(self) -> Any:
        """The values without rows."""
        return self.values.flat_values if isinstance(self.values, RaggedTensor) else self.values

    @property
    def ragged_rank(self) -> int:
        """Number of axes of which the rows have different lengths."""
        return 1 + (self.values.ragged_rank if isinstance(self.values, RaggedTensor) else 0)

    @property
    def nested_row_splits(self) -> tuple[Any, ...]:
        """The splits, from the outermost to the innermost."""
        inner = self.values.nested_row_splits if isinstance(self.values, RaggedTensor) else ()
        return (self.row_splits, *inner)

    @property
    def shape(self) -> TensorShape:
        """The sizes, `None` where rows have different lengths."""
        return TensorShape([len(self), None, *self.values.shape[1:]])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def uniform_row_length(self) -> None:
        """Always `None`: rows may have different lengths."""
        return None

    def get_shape(self) -> TensorShape:
        """Return the sizes, `None` where rows have different lengths."""
        return self.shape

    def nrows(self, out_type: Any = None, name: str | None = None) -> Any:
        """Return the number of rows."""
        return as_host(len(self), out_type or "int64")

    def row_lengths(self, axis: int = 1, name: str | None = None) -> Any:
        """Return the length of each row."""
        if axis > 1:
            return self.with_values(self.values.row_lengths(axis - 1))
        return as_host(np.diff(self.row_splits), "int64")

    def nested_row_lengths(self, name: str | None = None) -> tuple[Any, ...]:
        """Return the lengths of rows, from the outermost to the innermost."""
        inner = self.values.nested_row_lengths() if isinstance(self.values, RaggedTensor) else ()
        return (self.row_lengths(), *inner)

    def row_starts(self, name: str | None = None) -> Any:
        """Return where each row begins in `values`."""
        return self.row_splits[:-1]

    def row_limits(self, name: str | None = None) -> Any:
        """Return where each row ends in `values`."""
        return self.row_splits[1:]

    def value_rowids(self, name: str | None = None) -> Any:
        """Return the number of the row of each value."""
        return as_host(np.repeat(np.arange(len(self)), np.diff(self.row_splits)), "int64")

    def bounding_shape(
        self, axis: Any = None, name: str | None = None, out_type: Any = None
    ) -> Any:
        """Return the shape of the smallest tensor that holds all rows."""
        lengths = np.diff(self.row_splits)
        inner = self.values
        below = inner.bounding_shape() if isinstance(inner, RaggedTensor) else inner.shape
        sizes = [len(self), lengths.max() if len(lengths) else 0, *(int(n) for n in below[1:])]
        found = as_host(sizes, out_type or "int64")
        return found if axis is None else found[axis]

    def with_values(self, new_values: Any) -> RaggedTensor:
        """Return rows of the same lengths with other values."""
        return RaggedTensor(new_values, self.row_splits)

    def with_flat_values(self, new_values: Any) -> RaggedTensor:
        """Return rows of the same lengths with other values, inside rows of rows too."""
        inner = self.values
        nested = isinstance(inner, RaggedTensor)
        return self.with_values(inner.with_flat_values(new_values) if nested else new_values)

    def with_row_splits_dtype(self, dtype: Any) -> RaggedTensor:
        """Return the same rows; splits are always int64."""
        return self

    def merge_dims(self, outer_axis: int, inner_axis: int) -> Any:
        """Return the rows with several axes as one."""
        if outer_axis == inner_axis:
            return self
        outer_axis, inner_axis = (axis % self.ndim for axis in (outer_axis, inner_axis))
        if outer_axis > 1:
            return self.with_values(self.values.merge_dims(outer_axis - 1, inner_axis - 1))
        inner, splits = self.values, self.row_splits
        for _ in builtins.range(inner_axis - 1):
            if not isinstance(inner, RaggedTensor):
                inner = inner.reshape(-1, *inner.shape[2:])
                splits = splits * (len(inner) // max(len(self.values), 1))
                continue
            inner, splits = inner.values, inner.row_splits[splits]
        return inner if outer_axis == 0 else RaggedTensor(inner, splits)

    def to_sparse(self, name: str | None = None) -> SparseTensor:
        """Return the values and their places; the rows must not be ragged themselves."""
        if isinstance(self.values, RaggedTensor) or self.values.ndim > 1:
            raise ValueError(
                "RaggedTensor.to_sparse: the rows must hold values, not rows. Call `merge_dims`."
            )
        lengths = np.diff(self.row_splits)
        columns = np.arange(len(self.values)) - np.repeat(np.asarray(self.row_starts()), lengths)
        places = np.stack([np.asarray(self.value_rowids()), columns], axis=1)
        return SparseTensor(places, self.values, self.bounding_shape())

    # --- conversion -----------------------------------------------------------------------------

    def to_list(self) -> list[Any]:
        """Return the rows as nested lists."""
        return [
            row.to_list() if isinstance(row, RaggedTensor) else np.asarray(row).tolist()
            for row in self
        ]

    def to_tensor(
        self, default_value: Any = None, name: str | None = None, shape: Any = None
    ) -> Any:
        """Return a tensor, with the rows filled at their ends.

        Args:
            default_value: The value that fills. Default: 0, or an empty text.
            name: Ignored.
            shape: Sizes to which rows are cut or filled; `None` for the largest.
        """
        sizes = [int(n) for n in self.bounding_shape()]
        wanted = list(shape) if shape is not None else []
        wanted += [None] * (len(sizes) - len(wanted))
        sizes = [n if w is None or w == -1 else int(w) for n, w in zip(sizes, wanted, strict=True)]
        texts = isinstance(self.flat_values, StringTensor)
        fill = (b"" if texts else 0) if default_value is None else np.asarray(tensor(default_value))
        result = np.full(sizes, fill, object if texts else self.dtype)
        self.fill(result)
        return StringTensor(result) if texts else result.view(HostTensor)

    def fill(self, target: np.ndarray) -> None:
        """Write the rows to the beginnings of the rows of an array, as far as there is room."""
        for place, row in zip(target, self, strict=False):
            if isinstance(row, RaggedTensor):
                row.fill(place)
                continue
            values = np.asarray(row)
            room: Any = tuple(slice(min(a, b)) for a, b in
                              zip(values.shape, place.shape, strict=True))  # fmt: skip
            place[room] = values[room]

    def numpy(self) -> Any:
        """Return an array of the rows, each an array; of one shape if all lengths are equal."""
        rows = [row.numpy() for row in self]
        if len({len(row) for row in rows}) <= 1 and not isinstance(self.values, RaggedTensor):
            return np.array(rows)
        found = np.empty(len(rows), object)
        found[:] = rows
        return found

    # --- operators ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    def __iter__(self) -> Iterator[Any]:
        splits = self.row_splits.tolist()
        return (self.values[a:b] for a, b in zip(splits[:-1], splits[1:], strict=True))

    def __getitem__(self, key: Any) -> Any:
        key = key if isinstance(key, tuple) else (key,)
        first, rest = key[0], key[1:]
        if first is Ellipsis:
            rest = (slice(None),) * (self.ndim - len(rest)) + rest
            first, rest = rest[0], rest[1:]
        if isinstance(first, slice):
            rows = list(self)[first]
            rows = [row[rest] for row in rows] if rest and rest != (slice(None),) else rows
            if rest and not isinstance(rest[0], slice):
                return tensor(_stack(rows))
            return RaggedTensor.stacked(rows) if rows else RaggedTensor(self.values[:0], [0])
        at = int(first) + (len(self) if int(first) < 0 else 0)
        if not 0 <= at < len(self):
            raise IndexError(f"RaggedTensor: there is no row {int(first)} of {len(self)}.")
        row = self.values[int(self.row_splits[at]) : int(self.row_splits[at + 1])]
        return row[rest] if rest else row

    def _apply(self, function: Callable[..., Any], other: Any) -> RaggedTensor:
        if isinstance(other, RaggedTensor):
            if not all(
                np.array_equal(a, b)
                for a, b in zip(self.nested_row_splits, other.nested_row_splits, strict=True)
            ):
                raise ValueError("RaggedTensor: the rows of both tensors must have equal lengths.")
            other = other.flat_values
        return self.with_flat_values(function(self.flat_values, other))

    def __add__(self, other: Any) -> RaggedTensor:
        return self._apply(lambda a, b: a + b, other)

    def __radd__(self, other: Any) -> RaggedTensor:
        return self._apply(lambda a, b: b + a, other)

    def __sub__(self, other: Any) -> RaggedTensor:
        return self._apply(lambda a, b: a - b, other)

    def __mul__(self, other: Any) -> RaggedTensor:
        return self._apply(lambda a, b: a * b, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> RaggedTensor:
        return self._apply(lambda a, b: a / b, other)

    def __eq__(self, other: object) -> Any:
        return self._apply(lambda a, b: a == b, other)

    def __ne__(self, other: object) -> Any:
        return self._apply(lambda a, b: a != b, other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<tf.RaggedTensor {self.to_list()}>"


_tensor = tensor


def _stack(rows: Sequence[Any]) -> np.ndarray:
    return np.stack([np.asarray(row) for row in rows])


def _joined(parts: Sequence[Any]) -> Any:
    """Return tensors one after another on their first axis."""
    if any(isinstance(part, RaggedTensor) for part in parts):
        values = _joined([part.values for part in parts])
        lengths = [n for part in parts for n in part.row_lengths().tolist()]
        return RaggedTensor.from_row_lengths(values, lengths)
    if not parts:
        return as_host(np.zeros(0, "float32"))
    return tensor(np.concatenate([np.asarray(part) for part in parts]))


class RaggedRow(np.ndarray):
    """A row of a ragged tensor in a pipeline; a batch of such rows is a ragged tensor again."""

    @classmethod
    def stacked(cls, parts: Sequence[Any]) -> RaggedTensor:
        """Return rows as a ragged tensor."""
        return RaggedTensor.stacked([np.asarray(part) for part in parts])


def constant(
    pylist: Any, dtype: Any = None, ragged_rank: int | None = None, inner_shape: Any = None,
    name: str | None = None, row_splits_dtype: Any = "int64",
) -> Any:  # fmt: skip
    """Return nested lists of different lengths as a ragged tensor.

    Args:
        pylist: Nested lists of numbers or texts.
        dtype: Dtype of the values. Default: int32, float32 or string.
        ragged_rank: Number of axes whose rows have different lengths. Default: all but the first,
            less those of `inner_shape`.
        inner_shape: Shape of the innermost values.
        name, row_splits_dtype: Ignored.

    Raises:
        ValueError: If the depths of the lists differ.

    Example:
        >>> constant([[[1], []], [[2, 3]]]).shape
        TensorShape([2, None, None])
    """
    depth = _depth(pylist)
    if depth == 0:
        return tensor(pylist, dtype)
    if ragged_rank is None:
        ragged_rank = max(depth - 1 - (len(inner_shape) if inner_shape is not None else 0), 0)
    if ragged_rank == 0:
        return tensor(pylist, dtype)
    nested, flat = [], list(pylist)
    for _ in builtins.range(ragged_rank):
        if any(not isinstance(row, (list, tuple, np.ndarray)) for row in flat):
            raise ValueError(
                f"ragged.constant: `pylist` has values at several depths: {pylist!r:.100}."
            )
        nested.append([len(row) for row in flat])
        flat = [value for row in flat for value in row]
    if not flat:
        kind = "float32" if dtype is None else dtype_name(dtype)
        shape = (0, *(inner_shape or ()))
        values = StringTensor(np.empty(0, object)) if kind == "string" else np.zeros(shape, kind)
    else:
        values = tensor(flat, dtype)
    return RaggedTensor.from_nested_row_lengths(values, nested)


def _depth(x: Any) -> int:
    if isinstance(x, np.ndarray):
        return x.ndim if x.dtype != object else 1 + max(map(_depth, x), default=0)
    return 1 + max(map(_depth, x), default=0) if isinstance(x, (list, tuple)) else 0


def stack(values: Sequence[Any], axis: int = 0, name: str | None = None) -> RaggedTensor:
    """Return tensors of different lengths as the rows of a ragged one.

    Example:
        >>> stack([[1, 2], [3]]).to_list()
        [[1, 2], [3]]
    """
    if axis != 0:
        raise ValueError(f"ragged.stack: `axis` must be 0, received {axis}. Pad rows instead.")
    return RaggedTensor.stacked(values)


def boolean_mask(data: Any, mask: Any, name: str | None = None) -> Any:
    """Return the values where a mask is true, row by row.

    Example:
        >>> boolean_mask([[1, 2], [3, 4]], [[True, False], [True, True]]).to_list()
        [[1], [3, 4]]
    """
    data, mask = tensor(data), tensor(mask)
    if mask.ndim == 1:
        return data[np.asarray(mask)]
    rows = [boolean_mask(row, chosen) for row, chosen in zip(data, mask, strict=True)]
    return RaggedTensor.stacked(rows)


def range(
    starts: Any, limits: Any = None, deltas: Any = 1, dtype: Any = None, name: str | None = None,
    row_splits_dtype: Any = "int64",
) -> RaggedTensor:  # fmt: skip
    """Return rows of numbers, each from a start to below a limit.

    Example:
        >>> range([3, 1]).to_list()
        [[0, 1, 2], [0]]
    """
    if limits is None:
        starts, limits = 0, starts
    bounds = np.broadcast_arrays(host_array(starts), host_array(limits), host_array(deltas))
    kind = np.result_type(*bounds) if dtype is None else dtype_name(dtype)
    rows = [np.arange(*row, dtype=kind) for row in
            zip(*(np.atleast_1d(b) for b in bounds), strict=True)]  # fmt: skip
    return RaggedTensor.stacked(rows)


def map_flat_values(op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return a function of the values of ragged tensors, in the same rows.

    Example:
        >>> map_flat_values(np.square, constant([[1, 2], [3]])).to_list()
        [[1, 4], [9]]
    """
    ragged = next((a for a in (*args, *kwargs.values()) if isinstance(a, RaggedTensor)), None)

    def flat(x: Any) -> Any:
        return x.flat_values if isinstance(x, RaggedTensor) else x

    found = op(*map(flat, args), **{key: flat(value) for key, value in kwargs.items()})
    return found if ragged is None else ragged.with_flat_values(found)
