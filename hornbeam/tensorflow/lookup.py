"""`tf.lookup`: tables from keys to values, on the host."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.layers.preprocessing.fingerprints import fingerprints
from hornbeam.tensorflow.host import as_host, dtype_name
from hornbeam.tensorflow.ragged import RaggedTensor, tensor
from hornbeam.tensorflow.sparse_tensor import SparseTensor
from hornbeam.tensorflow.string_tensor import StringTensor, text_of

__all__ = [
    "KeyValueTensorInitializer", "StaticHashTable", "StaticVocabularyTable", "TextFileIndex",
    "TextFileInitializer",
]  # fmt: skip


class KeyValueTensorInitializer:
    """The keys and values of a table.

    Example:
        >>> table = StaticHashTable(KeyValueTensorInitializer(["a", "b"], [1, 2]), -1)
        >>> table.lookup(["b", "c"]).tolist()
        [2, -1]
    """

    def __init__(
        self, keys: Any, values: Any, key_dtype: Any = None, value_dtype: Any = None,
        name: str | None = None,
    ):  # fmt: skip
        self.keys, self.values = tensor(keys, key_dtype), tensor(values, value_dtype)
        self.key_dtype, self.value_dtype = (dtype_name(t.dtype) for t in (self.keys, self.values))
        if len(self.keys) != len(self.values):
            raise ValueError(
                f"KeyValueTensorInitializer: there are {len(self.keys)} keys, but"
                f" {len(self.values)} values."
            )


class TextFileIndex:
    """Columns of a text file that are no columns: the whole line, and its number."""

    WHOLE_LINE = -2
    LINE_NUMBER = -1


class TextFileInitializer(KeyValueTensorInitializer):
    """The keys and values of a table from the lines of a text file.

    Args:
        filename: The file.
        key_dtype, value_dtype: Dtypes.
        key_index, value_index: Numbers of columns, or of `TextFileIndex`.
        vocab_size: Number of lines that are read. Default: all.
        delimiter: What separates columns.
        name: Ignored.
        value_index_offset: A number that is added to the numbers of lines.
    """

    def __init__(
        self, filename: Any, key_dtype: Any, key_index: int, value_dtype: Any, value_index: int,
        vocab_size: int | None = None, delimiter: str = "\t", name: str | None = None,
        value_index_offset: int = 0,
    ):  # fmt: skip
        with open(text_of(filename), "rb") as file:
            lines = [line.rstrip(b"\r\n") for line in file][:vocab_size]

        def column(index: int, dtype: Any, offset: int) -> Any:
            if index == TextFileIndex.LINE_NUMBER:
                return np.arange(len(lines)) + offset
            mark = delimiter.encode()
            texts = [t if index < 0 else t.split(mark)[index] for t in lines]
            kind = dtype_name(dtype)
            return texts if kind == "string" else np.array([kind_of(kind)(t) for t in texts], kind)

        super().__init__(
            column(key_index, key_dtype, 0), column(value_index, value_dtype, value_index_offset),
            key_dtype, value_dtype,
        )  # fmt: skip


def kind_of(dtype: str) -> Any:
    """Return the type of Python for the numbers of a dtype."""
    return int if dtype.startswith("int") else float


class _Table:
    """A dictionary whose keys and values are tensors."""

    def __init__(self, key_dtype: Any, value_dtype: Any, default_value: Any):
        self.key_dtype, self.value_dtype = dtype_name(key_dtype), dtype_name(value_dtype)
        self.default = tensor(default_value, self.value_dtype)
        self.entries: dict[Any, Any] = {}

    def add(self, keys: Any, values: Any) -> None:
        """Put keys and their values in."""
        flat = np.asarray(tensor(keys, self.key_dtype)).reshape(-1).tolist()
        rows = np.asarray(tensor(values, self.value_dtype))
        rows = rows.reshape(len(flat), *rows.shape[1:]) if rows.ndim else rows.reshape(1)
        self.entries.update(zip(flat, rows, strict=True))

    def size(self, name: str | None = None) -> Any:
        """Return the number of keys."""
        return as_host(len(self.entries), "int64")

    def _found(self, keys: Any) -> Any:
        if isinstance(keys, jax.core.Tracer):
            return self._compiled(keys)
        x = tensor(keys)
        if dtype_name(x.dtype) != self.key_dtype and not (
            self.key_dtype.startswith("int") and dtype_name(x.dtype).startswith("int")
        ):
            raise TypeError(
                f"{type(self).__name__}: keys must be {self.key_dtype}, received"
                f" {dtype_name(x.dtype)}."
            )
        default = self.default.numpy()
        texts = self.value_dtype == "string"
        flat = [self.entries.get(key, default) for key in np.asarray(x).reshape(-1).tolist()]
        found = np.empty(len(flat), object) if texts else None
        if found is not None:
            found[:] = flat
        else:
            shape = np.shape(default)
            found = np.array(flat, self.value_dtype).reshape(len(flat), *shape)
        found = found.reshape((*tuple(x.shape), *found.shape[1:]))
        return StringTensor(found) if texts else as_host(found)

    def _compiled(self, keys: Any) -> Any:
        """Return the values of keys inside of a compiled function, where both are numbers."""
        if "string" in (self.key_dtype, self.value_dtype):
            raise TypeError(
                f"{type(self).__name__}: texts are on the host, so they cannot be part of a"
                " compiled function. Look keys up in the data, before the model."
            )
        default = jnp.asarray(np.asarray(self.default))
        if not self.entries:
            return jnp.broadcast_to(default, keys.shape)
        names = np.array(sorted(self.entries))
        values = jnp.asarray(np.stack([self.entries[name] for name in names.tolist()]))
        places = jnp.clip(jnp.searchsorted(names, keys), 0, len(names) - 1)
        return jnp.where(jnp.asarray(names)[places] == keys, values[places], default)

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """Return the values of keys, and the default of others; rows stay as they are."""
        if isinstance(keys, RaggedTensor):
            return keys.with_flat_values(self.lookup(keys.flat_values))
        if isinstance(keys, SparseTensor):
            return keys.with_values(self.lookup(keys.values))
        return self._found(keys)

    def __getitem__(self, keys: Any) -> Any:
        return self.lookup(keys)


class StaticHashTable(_Table):
    """A table whose entries do not change.

    Args:
        initializer: Its keys and values.
        default_value: The value of other keys.
        name, experimental_is_anonymous: Ignored.
    """

    def __init__(
        self, initializer: KeyValueTensorInitializer, default_value: Any, name: str | None = None,
        experimental_is_anonymous: bool = False,
    ):  # fmt: skip
        super().__init__(initializer.key_dtype, initializer.value_dtype, default_value)
        keys = np.asarray(initializer.keys).reshape(-1).tolist()
        values = np.asarray(initializer.values).tolist()
        for key, value in zip(keys, values, strict=True):
            if self.entries.setdefault(key, value) != value:
                raise ValueError(f"StaticHashTable: the key {key!r} has two values.")


class StaticVocabularyTable(_Table):
    """A table from words to numbers, in which other words get numbers by their hashes.

    Args:
        initializer: Words and their numbers, or `None`.
        num_oov_buckets: How many numbers other words share.
        lookup_key_dtype: Dtype of the words. Default: that of the initializer.
        name, experimental_is_anonymous: Ignored.

    Example:
        >>> words = KeyValueTensorInitializer(["a", "b"], [0, 1], value_dtype="int64")
        >>> StaticVocabularyTable(words, 1).lookup(["b", "c"]).tolist()
        [1, 2]
    """

    def __init__(
        self, initializer: KeyValueTensorInitializer | None, num_oov_buckets: int,
        lookup_key_dtype: Any = None, name: str | None = None,
        experimental_is_anonymous: bool = False,
    ):  # fmt: skip
        if int(num_oov_buckets) < 1:
            raise ValueError(
                "StaticVocabularyTable: `num_oov_buckets` must be positive, received"
                f" {num_oov_buckets}."
            )
        kind = lookup_key_dtype or (initializer.key_dtype if initializer else "string")
        super().__init__(kind, "int64", -1)
        self._buckets = int(num_oov_buckets)
        if initializer is not None:
            self.add(initializer.keys, initializer.values)

    def size(self, name: str | None = None) -> Any:
        """Return the number of keys and shared numbers."""
        return as_host(len(self.entries) + self._buckets, "int64")

    def _found(self, keys: Any) -> Any:
        found = super()._found(keys)
        x = tensor(keys)
        array = np.asarray(x)
        hashed = (fingerprints(array) % np.uint64(self._buckets)).astype("int64")
        return as_host(np.where(np.asarray(found) == -1, hashed + len(self.entries), found))


class MutableHashTable(_Table):
    """A table whose entries change.

    Args:
        key_dtype, value_dtype: Dtypes.
        default_value: The value of other keys.
        name, checkpoint, experimental_is_anonymous: Ignored.
    """

    def __init__(
        self, key_dtype: Any, value_dtype: Any, default_value: Any,
        name: str = "MutableHashTable", checkpoint: bool = True,
        experimental_is_anonymous: bool = False,
    ):  # fmt: skip
        super().__init__(key_dtype, value_dtype, default_value)

    def insert(self, keys: Any, values: Any, name: str | None = None) -> None:
        """Put keys and their values in."""
        self.add(keys, values)

    def insert_or_assign(self, keys: Any, values: Any, name: str | None = None) -> None:
        """Put keys and their values in."""
        self.add(keys, values)

    def remove(self, keys: Any, name: str | None = None) -> None:
        """Take keys out."""
        for key in np.asarray(tensor(keys)).reshape(-1).tolist():
            self.entries.pop(key, None)

    erase = remove

    def export(self, name: str | None = None) -> tuple[Any, Any]:
        """Return all keys, and their values."""
        keys = tensor(np.array([*self.entries, None], object)[:-1] if self.key_dtype == "string"
                      else np.array(list(self.entries), self.key_dtype))  # fmt: skip
        values = list(self.entries.values())
        if self.value_dtype == "string":
            return keys, StringTensor(np.array([*values, None], object)[:-1])
        return keys, as_host(np.array(values, self.value_dtype))


class DenseHashTable(MutableHashTable):
    """A table whose entries change; `empty_key` and `deleted_key` cannot be keys."""

    def __init__(
        self, key_dtype: Any, value_dtype: Any, default_value: Any, empty_key: Any,
        deleted_key: Any, initial_num_buckets: int | None = None,
        name: str = "MutableDenseHashTable", checkpoint: bool = True,
        experimental_is_anonymous: bool = False,
    ):  # fmt: skip
        super().__init__(key_dtype, value_dtype, default_value)
