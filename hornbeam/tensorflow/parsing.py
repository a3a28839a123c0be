"""`tf.io.parse_example` and its kinds of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hornbeam import errors
from hornbeam.errors import FileError
from hornbeam.tensorflow.example_proto import entries_of
from hornbeam.tensorflow.host import as_host, dtype_name
from hornbeam.tensorflow.ragged import RaggedTensor, tensor
from hornbeam.tensorflow.sparse_tensor import SparseTensor
from hornbeam.tensorflow.string_tensor import as_strings
from hornbeam.tensorflow.wire import fields, floats_of, integers_of

__all__ = [
    "FixedLenFeature", "FixedLenSequenceFeature", "RaggedFeature", "SparseFeature",
    "VarLenFeature", "parse_example", "parse_sequence_example", "parse_single_example",
    "parse_single_sequence_example",
]  # fmt: skip


class FixedLenFeature(NamedTuple):
    """A feature of one shape in every example."""

    shape: Any
    dtype: Any
    default_value: Any = None


class VarLenFeature(NamedTuple):
    """A feature of any number of values, which becomes a sparse tensor."""

    dtype: Any


class FixedLenSequenceFeature(NamedTuple):
    """A feature of any number of rows of one shape."""

    shape: Any
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


class RaggedFeature(NamedTuple):
    """A feature of any number of values, which becomes a ragged tensor."""

    dtype: Any
    value_key: str | None = None
    partitions: Any = ()
    row_splits_dtype: Any = "int32"
    validate: bool = False


class SparseFeature(NamedTuple):
    """Two features, the places and the values of a sparse tensor."""

    index_key: Any
    value_key: str
    dtype: Any
    size: Any
    already_sorted: bool = False


_KINDS = {1: "string", 2: "float32", 3: "int64"}


def _values(part: Any, name: str, dtype: Any) -> np.ndarray | None:
    """Return the values of a feature in bytes; `None` if it is empty.

    Raises:
        ValueError: If its kind is another one.
    """
    found = None
    for kind, content in fields(part):
        if kind not in _KINDS or isinstance(content, int):
            raise FileError(f"parse_example: feature {name!r} is damaged.")
        parts = [value for number, value in fields(content) if number == 1]
        wanted = dtype_name(dtype)
        if wanted != _KINDS[kind]:
            if not parts:
                continue
            raise ValueError(
                f"parse_example: feature {name!r} holds {_KINDS[kind]}, but {wanted} is expected."
            )
        if kind == 1:
            if any(isinstance(value, int) for value in parts):
                raise FileError(f"parse_example: feature {name!r} is damaged.")
            found = np.empty(len(parts), object)
            found[:] = [bytes(value) for value in parts]
        else:
            found = floats_of(parts) if kind == 2 else integers_of(parts)
    return found


def _features_of(serialized: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, part in fields(serialized):
        if number == 1:
            if isinstance(part, int):
                raise FileError("parse_example: the example is damaged.")
            found.update(entries_of(part))
    return found


def _empty(dtype: Any) -> np.ndarray:
    name = dtype_name(dtype)
    if name not in _KINDS.values():
        raise ValueError(
            f"parse_example: a feature's dtype must be float32, int64 or string, received {name}."
        )
    return np.zeros(0, object if name == "string" else name)


def _fixed(values: np.ndarray | None, name: str, feature: FixedLenFeature) -> np.ndarray:
    shape = tuple(int(n) for n in feature.shape)
    if values is None:
        if feature.default_value is None:
            raise ValueError(
                f"parse_example: feature {name!r} is missing. Give its FixedLenFeature a"
                " `default_value`, or use VarLenFeature."
            )
        default = np.asarray(tensor(feature.default_value, feature.dtype))
        return np.broadcast_to(default, shape)
    count = int(np.prod(shape, dtype="int64"))
    if len(values) != count:
        raise ValueError(
            f"parse_example: feature {name!r} has {len(values)} values, but its shape {shape} needs"
            f" {count}. Use VarLenFeature for lists of different lengths."
        )
    return values.reshape(shape)


def _sequence(values: np.ndarray | None, name: str, feature: FixedLenSequenceFeature) -> np.ndarray:
    shape = tuple(int(n) for n in feature.shape)
    if values is None:
        if not feature.allow_missing:
            raise ValueError(
                f"parse_example: feature {name!r} is missing. Pass `allow_missing=True` to its"
                " FixedLenSequenceFeature."
            )
        values = _empty(feature.dtype)
    width = int(np.prod(shape, dtype="int64"))
    if not width or len(values) % width:
        raise ValueError(
            f"parse_example: feature {name!r} has {len(values)} values, which make no rows of"
            f" shape {shape}."
        )
    return values.reshape(-1, *shape)


def _parsed(found: Sequence[Mapping[str, Any]], name: str, feature: Any, single: bool) -> Any:
    """Return a feature of several examples as one tensor; of one example without a first axis."""
    key = getattr(feature, "value_key", None) or name
    rows = [
        None if key not in example else _values(example[key], key, feature.dtype)
        for example in found
    ]
    if isinstance(feature, FixedLenFeature):
        _empty(feature.dtype)
        made = [_fixed(values, name, feature) for values in rows]
        return tensor(made[0] if single else np.stack(made))
    if isinstance(feature, FixedLenSequenceFeature):
        made = [_sequence(values, name, feature) for values in rows]
        if single:
            return tensor(made[0])
        ragged = RaggedTensor.stacked([tensor(values) for values in made])
        return ragged.to_tensor(feature.default_value)
    lists = [_empty(feature.dtype) if values is None else values for values in rows]
    if isinstance(feature, VarLenFeature):
        return _sparse_rows(lists, single)
    if isinstance(feature, RaggedFeature):
        if feature.partitions:
            raise ValueError(
                "parse_example: RaggedFeature with `partitions` is not supported. Parse the"
                " features of the partitions, and call `tf.RaggedTensor.from_row_lengths`."
            )
        if single:
            return tensor(lists[0])
        return RaggedTensor.stacked([tensor(values) for values in lists])
    if isinstance(feature, SparseFeature):
        return _sparse_feature(found, lists, feature, single)
    raise errors.unknown_name("kind of feature", type(feature).__name__, __all__)


def _sparse_rows(lists: Sequence[np.ndarray], single: bool) -> SparseTensor:
    values = np.concatenate(lists)
    columns = np.concatenate([np.arange(len(row)) for row in lists])
    if single:
        return SparseTensor(columns[:, None], values, [len(values)])
    rows = np.repeat(np.arange(len(lists)), [len(row) for row in lists])
    return SparseTensor(
        np.stack([rows, columns], axis=1), values, [len(lists), max(map(len, lists), default=0)]
    )


def _sparse_feature(
    found: Sequence[Mapping[str, Any]], lists: Sequence[np.ndarray], feature: SparseFeature,
    single: bool,
) -> SparseTensor:  # fmt: skip
    one = isinstance(feature.index_key, str)
    keys = [feature.index_key] if one else list(feature.index_key)
    sizes = [feature.size] if one else list(feature.size)
    parts = []
    for example, values in zip(found, lists, strict=True):
        places = []
        for key in keys:
            place = _values(example[key], key, "int64") if key in example else None
            places.append(np.zeros(0, "int64") if place is None else place)
        indices = np.stack(places, axis=1)
        order = np.lexsort(indices.T[::-1])
        parts.append(SparseTensor(indices[order], values[order], sizes))
    return parts[0] if single else SparseTensor.stacked(parts)


def _check(features: Any) -> None:
    if not isinstance(features, Mapping) or not features:
        raise ValueError(
            "parse_example: `features` must be a dictionary from names to features, received"
            f" {features!r:.80}."
        )


def parse_single_example(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: str | None = None
) -> dict[str, Any]:
    """Return the features of one `tf.train.Example` in bytes, by name.

    Args:
        serialized: The bytes, as a tensor of text.
        features: A `FixedLenFeature`, `VarLenFeature`, ... for each name.
        example_names, name: Ignored.

    Raises:
        ValueError: If a feature is missing or has another dtype or number of values.
        FileError: If the bytes are damaged.
    """
    _check(features)
    found = _features_of(as_strings(serialized, "serialized").numpy())
    return {key: _parsed([found], key, feature, True) for key, feature in features.items()}


def parse_example(
    serialized: Any, features: Mapping[str, Any], example_names: Any = None, name: str | None = None
) -> dict[str, Any]:
    """Return the features of a batch of `tf.train.Example` in bytes, by name.

    Args:
        serialized: The bytes of each example, as a tensor of text of one axis.
        features, example_names, name: As in `parse_single_example`.
    """
    texts = as_strings(serialized, "serialized")
    if not texts.ndim:
        return parse_single_example(texts, features)
    _check(features)
    found = [_features_of(data) for data in texts.array.reshape(-1).tolist()]
    return {key: _parsed(found, key, feature, False) for key, feature in features.items()}


def _lists_of(part: Any, name: str, dtype: Any) -> list[np.ndarray]:
    """Return the values of each feature of a list of features in bytes."""
    found = []
    for number, feature in fields(part):
        if number == 1:
            values = _values(feature, name, dtype)
            found.append(_empty(dtype) if values is None else values)
    return found


def _parsed_lists(part: Any, name: str, feature: Any) -> Any:
    lists = [] if part is None else _lists_of(part, name, feature.dtype)
    if isinstance(feature, FixedLenSequenceFeature):
        if part is None and not feature.allow_missing:
            raise ValueError(f"parse_single_sequence_example: the list {name!r} is missing.")
        shape = tuple(int(n) for n in feature.shape)
        rows = [_fixed(values, name, FixedLenFeature(shape, feature.dtype)) for values in lists]
        return tensor(np.stack(rows) if rows else _empty(feature.dtype).reshape(0, *shape))
    if isinstance(feature, VarLenFeature):
        return _sparse_rows(lists or [_empty(feature.dtype)], False)
    if isinstance(feature, RaggedFeature):
        return RaggedTensor.stacked([tensor(values) for values in lists])
    raise errors.unknown_name("kind of feature", type(feature).__name__, __all__)


def parse_single_sequence_example(
    serialized: Any, context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None, example_name: Any = None,
    name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Return the features and the lists of features of one `tf.train.SequenceExample` in bytes.

    Args:
        serialized: The bytes, as a tensor of text.
        context_features: As `features` in `parse_single_example`.
        sequence_features: A `FixedLenSequenceFeature`, `VarLenFeature` or `RaggedFeature` for each
            name.
        example_name, name: Ignored.
    """
    context: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    for number, part in fields(as_strings(serialized, "serialized").numpy()):
        if number in (1, 2):
            (context if number == 1 else lists).update(entries_of(part))
    return (
        {key: _parsed([context], key, f, True) for key, f in (context_features or {}).items()},
        {key: _parsed_lists(lists.get(key), key, f) for key, f in
         (sequence_features or {}).items()},
    )  # fmt: skip


def parse_sequence_example(
    serialized: Any, context_features: Mapping[str, Any] | None = None,
    sequence_features: Mapping[str, Any] | None = None, example_names: Any = None,
    name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Return features, lists of features and their lengths of a batch of sequence examples.

    Lists of different lengths are filled with zeros; `RaggedFeature`s stay ragged.
    """
    rows = [
        parse_single_sequence_example(data, context_features, sequence_features)
        for data in as_strings(serialized).array.tolist()
    ]

    def joined(parts: list[Any]) -> Any:
        if isinstance(parts[0], SparseTensor):
            return SparseTensor.stacked(parts)
        if isinstance(parts[0], RaggedTensor):
            return RaggedTensor.stacked(parts)
        return tensor(np.stack([np.asarray(part) for part in parts]))

    context = {key: joined([row[0][key] for row in rows]) for key in context_features or {}}
    lists, lengths = {}, {}
    for key, feature in (sequence_features or {}).items():
        parts = [row[1][key] for row in rows]
        if isinstance(feature, FixedLenSequenceFeature):
            lists[key] = RaggedTensor.stacked(parts).to_tensor()
            lengths[key] = as_host([len(part) for part in parts], "int64")
        else:
            lists[key] = joined(parts)
    return context, lists, lengths
