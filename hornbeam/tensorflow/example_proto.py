"""`tf.train.Example` and the messages inside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from hornbeam.errors import FileError
from hornbeam.tensorflow.string_tensor import as_strings
from hornbeam.tensorflow.wire import (
    bytes_field,
    fields,
    floats_of,
    integers_of,
    packed_floats,
    varint,
)

__all__ = [
    "BytesList", "Example", "Feature", "FeatureList", "FeatureLists", "Features", "FloatList",
    "Int64List", "SequenceExample",
]  # fmt: skip


class Message:
    """A message: it is read from bytes and written to bytes."""

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """Return the message as bytes."""
        raise NotImplementedError

    def MergeFromString(self, serialized: bytes) -> int:
        """Add what a message in bytes holds."""
        raise NotImplementedError

    def ParseFromString(self, serialized: bytes) -> int:
        """Replace the content by a message in bytes.

        Raises:
            FileError: If it is damaged.
        """
        self.Clear()
        return self.MergeFromString(serialized)

    @classmethod
    def FromString(cls, s: bytes) -> Self:
        """Return the message in bytes.

        Raises:
            FileError: If it is damaged.
        """
        message = cls()
        message.MergeFromString(s)
        return message

    def Clear(self) -> None:
        """Remove the content."""
        type(self).__init__(self)

    def CopyFrom(self, other: Message) -> None:
        """Replace the content by that of another message."""
        self.ParseFromString(other.SerializeToString())

    def ByteSize(self) -> int:
        """Return the number of bytes of the message."""
        return len(self.SerializeToString())

    def __eq__(self, other: object) -> bool:
        same = type(self) is type(other)
        return same and self.SerializeToString() == other.SerializeToString()  # type: ignore[attr-defined]

    __hash__ = object.__hash__

    def _lines(self) -> list[str]:
        return []

    def __repr__(self) -> str:
        return "".join(f"{line}\n" for line in self._lines())


def _content(data: Any) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    return as_strings(data, "serialized").numpy()


def _inside(name: str, lines: list[str]) -> list[str]:
    return [f"{name} {{", *(f"  {line}" for line in lines), "}"]


class _Values(Message):
    """A list of values of one kind."""

    def __init__(self, value: Iterable[Any] = ()):
        self.value: list[Any] = [self._checked(v) for v in value]

    def _checked(self, value: Any) -> Any:
        raise NotImplementedError

    def _read(self, parts: list[Any]) -> list[Any]:
        raise NotImplementedError

    def MergeFromString(self, serialized: bytes) -> int:
        """Add the values of a message in bytes."""
        data = _content(serialized)
        self.value += self._read([part for number, part in fields(data) if number == 1])
        return len(data)


class BytesList(_Values):
    """Texts or other bytes.

    Example:
        >>> BytesList.FromString(BytesList(value=[b"a"]).SerializeToString()).value
        [b'a']
    """

    def _checked(self, value: Any) -> bytes:
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        if hasattr(value, "is_text"):
            return value.numpy()
        raise TypeError(
            f"{value!r:.60} has type {type(value).__name__}, but expected one of: bytes"
        )

    def _read(self, parts: list[Any]) -> list[bytes]:
        if any(isinstance(part, int) for part in parts):
            raise FileError("A message of protocol buffers is damaged: a text is a number.")
        return [bytes(part) for part in parts]

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """Return the list as bytes."""
        return b"".join(bytes_field(1, self._checked(value)) for value in self.value)

    def _lines(self) -> list[str]:
        return [f"value: {_quoted(value)}" for value in self.value]


def _quoted(value: bytes) -> str:
    plain = {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", ord('"'): '\\"',
             ord("'"): "\\'", ord("\\"): "\\\\"}  # fmt: skip
    shown = (plain.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in value)
    return f'"{"".join(shown)}"'


class FloatList(_Values):
    """Numbers in 32-bit floating point.

    Example:
        >>> FloatList(value=[1, 2.5]).value
        [1.0, 2.5]
    """

    def __init__(self, value: Iterable[Any] = ()):
        if isinstance(value, np.ndarray):
            value = value.tolist()
        super().__init__(value)

    def _checked(self, value: Any) -> float:
        if isinstance(value, (str, bytes)):
            raise TypeError(f"bad argument type for built-in operation: {value!r:.60}")
        return float(np.float32(value))

    def _read(self, parts: list[Any]) -> list[float]:
        return floats_of(parts).tolist()

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """Return the list as bytes."""
        return bytes_field(1, packed_floats(self.value)) if self.value else b""

    def _lines(self) -> list[str]:
        return [f"value: {np.float32(value)!s}".removesuffix(".0") for value in self.value]


class Int64List(_Values):
    """Integers of 64 bits.

    Example:
        >>> Int64List.FromString(Int64List(value=[-1]).SerializeToString()).value
        [-1]
    """

    def _checked(self, value: Any) -> int:
        if isinstance(value, (float, np.floating, str, bytes)):
            raise TypeError(
                f"{value!r:.60} has type {type(value).__name__}, but expected one of: int"
            )
        found = int(value)
        if not -(2**63) <= found < 2**63:
            raise ValueError(f"Int64List: {found} has more than 64 bits.")
        return found

    def _read(self, parts: list[Any]) -> list[int]:
        return integers_of(parts).tolist()

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """Return the list as bytes."""
        packed = b"".join(varint(self._checked(value)) for value in self.value)
        return bytes_field(1, packed) if self.value else b""

    def _lines(self) -> list[str]:
        return [f"value: {value}" for value in self.value]


_KINDS: dict[str, type[_Values]] = {
    "bytes_list": BytesList, "float_list": FloatList, "int64_list": Int64List,
}  # fmt: skip


class Feature(Message):
    """A list of bytes, of floating-point numbers or of integers.

    Example:
        >>> Feature(int64_list=Int64List(value=[3])).int64_list.value
        [3]
    """

    def __init__(
        self, bytes_list: BytesList | None = None, float_list: FloatList | None = None,
        int64_list: Int64List | None = None,
    ):  # fmt: skip
        given = (bytes_list, float_list, int64_list)
        self._given: dict[str, Any] = dict(zip(_KINDS, given, strict=True))
        self._empty: dict[str, Any] = {}

    def _list(self, kind: str) -> Any:
        found = self._given[kind]
        return found if found is not None else self._empty.setdefault(kind, _KINDS[kind]())

    @property
    def bytes_list(self) -> BytesList:
        """The texts."""
        return self._list("bytes_list")

    @property
    def float_list(self) -> FloatList:
        """The floating-point numbers."""
        return self._list("float_list")

    @property
    def int64_list(self) -> Int64List:
        """The integers."""
        return self._list("int64_list")

    def WhichOneof(self, oneof_group: str = "kind") -> str | None:
        """Return the name of the list that is there."""
        for kind in reversed(_KINDS):
            if self._given[kind] is not None or getattr(self._empty.get(kind), "value", None):
                return kind
        return None

    def HasField(self, field_name: str) -> bool:
        """Return whether a list is there."""
        return self.WhichOneof() == field_name

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """Return the feature as bytes."""
        kind = self.WhichOneof()
        if kind is None:
            return b""
        return bytes_field(1 + list(_KINDS).index(kind), self._list(kind).SerializeToString())

    def MergeFromString(self, serialized: bytes) -> int:
        """Add the list of a message in bytes."""
        data = _content(serialized)
        for number, part in fields(data):
            if 1 <= number <= len(_KINDS):
                kind = list(_KINDS)[number - 1]
                found: Any = self._given[kind] or _KINDS[kind]()
                found.MergeFromString(_message(part))
                self._given = {name: found if name == kind else None for name in _KINDS}
        return len(data)

    def _lines(self) -> list[str]:
        kind = self.WhichOneof()
        return [] if kind is None else _inside(kind, self._list(kind)._lines())


def _message(part: Any) -> Any:
    if isinstance(part, int):
        raise FileError("A message of protocol buffers is damaged: a message is a number.")
    return bytes(part)


class FeatureList(Message):
    """Features one after another."""

    def __init__(self, feature: Iterable[Feature] = ()):
        self.feature = list(feature)

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """Return the list as bytes."""
        return b"".join(bytes_field(1, part.SerializeToString()) for part in self.feature)

    def MergeFromString(self, serialized: bytes) -> int:
        """Add the features of a message in bytes."""
        data = _content(serialized)
        parts = [_message(part) for number, part in fields(data) if number == 1]
        self.feature += [Feature.FromString(part) for part in parts]
        return len(data)

    def _lines(self) -> list[str]:
        return [line for part in self.feature for line in _inside("feature", part._lines())]


class _Entries(dict):
    """A dictionary whose values are created when they are first read."""

    def __init__(self, kind: type[Message], entries: Mapping[str, Any]):
        super().__init__(entries)
        self._kind = kind

    def __missing__(self, key: str) -> Any:
        return self.setdefault(key, self._kind())


class _Map(Message):
    """Messages by name."""

    entries: _Entries
    _field: str

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """Return the entries as bytes."""
        return b"".join(
            bytes_field(1, bytes_field(1, name.encode()) + bytes_field(2, part.SerializeToString()))
            for name, part in (sorted(self.entries.items()) if deterministic else
                               self.entries.items())
        )  # fmt: skip

    def MergeFromString(self, serialized: bytes) -> int:
        """Add the entries of a message in bytes."""
        data = _content(serialized)
        for name, part in entries_of(data):
            self.entries[name] = self.entries._kind.FromString(bytes(part))
        return len(data)

    def _lines(self) -> list[str]:
        found = []
        for name, part in self.entries.items():
            lines = [f'key: "{name}"', *_inside("value", part._lines())]
            found += _inside(self._field, lines)
        return found


def entries_of(data: Any) -> list[tuple[str, Any]]:
    """Return the names and the messages of a map in bytes.

    Raises:
        FileError: If it is damaged.
    """
    found = []
    for number, entry in fields(data):
        if number != 1:
            continue
        name, part = b"", b""
        for field, value in fields(_message(entry)):
            if field in (1, 2) and isinstance(value, int):
                raise FileError("A message of protocol buffers is damaged: an entry is a number.")
            name, part = (bytes(value), part) if field == 1 else (name, value)
        try:
            found.append((name.decode(), part))
        except UnicodeDecodeError:
            raise FileError(
                "A message of protocol buffers is damaged: a name is no text."
            ) from None
    return found


class Features(_Map):
    """Features by name.

    Example:
        >>> Features(feature={"a": Feature()}).feature["a"].WhichOneof("kind") is None
        True
    """

    _field = "feature"

    def __init__(self, feature: Mapping[str, Feature] | None = None):
        self.feature = self.entries = _Entries(Feature, feature or {})


class FeatureLists(_Map):
    """Lists of features by name."""

    _field = "feature_list"

    def __init__(self, feature_list: Mapping[str, FeatureList] | None = None):
        self.feature_list = self.entries = _Entries(FeatureList, feature_list or {})


class Example(Message):
    """A sample: features by name.

    Example:
        >>> label = Feature(int64_list=Int64List(value=[3]))
        >>> example = Example(features=Features(feature={"label": label}))
        >>> Example.FromString(example.SerializeToString()).features.feature["label"]
        int64_list {
          value: 3
        }
        <BLANKLINE>
    """

    def __init__(self, features: Features | None = None):
        self.features = Features() if features is None else features

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """Return the sample as bytes."""
        return bytes_field(1, self.features.SerializeToString(deterministic))

    def MergeFromString(self, serialized: bytes) -> int:
        """Add the features of a message in bytes."""
        data = _content(serialized)
        for number, part in fields(data):
            if number == 1:
                self.features.MergeFromString(_message(part))
        return len(data)

    def _lines(self) -> list[str]:
        return _inside("features", self.features._lines())


class SequenceExample(Message):
    """A sample with features by name, and lists of features by name."""

    def __init__(self, context: Features | None = None, feature_lists: FeatureLists | None = None):
        self.context = Features() if context is None else context
        self.feature_lists = FeatureLists() if feature_lists is None else feature_lists

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """Return the sample as bytes."""
        parts = [self.context.SerializeToString(), self.feature_lists.SerializeToString()]
        return b"".join(bytes_field(i, part) for i, part in enumerate(parts, 1) if part)

    def MergeFromString(self, serialized: bytes) -> int:
        """Add what a message in bytes holds."""
        data = _content(serialized)
        for number, part in fields(data):
            if number in (1, 2):
                target = self.context if number == 1 else self.feature_lists
                target.MergeFromString(_message(part))
        return len(data)

    def _lines(self) -> list[str]:
        lists = _inside("feature_lists", self.feature_lists._lines())
        return [*_inside("context", self.context._lines()), *lists]
