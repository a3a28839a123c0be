"""Training checkpoints: files of a JSON header and arrays with checksums, and their folders.

A checkpoint holds numbers, strings, arrays, and lists, tuples, dicts and sets of these. No object
is pickled. The format of the file, with all numbers little-endian:

    16 bytes   the signature of the format
    uint64     length of the header
    uint32     CRC-32 of the header
    header     JSON: {"arrays": [[dtype, shape, CRC-32], ...], "state": ...}
    arrays     one after another, in the order of the header, up to the end of the file
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import struct
import threading
import time
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np

from hornbeam.core.placement import whole
from hornbeam.errors import FileError, describe
from hornbeam.saving.disk import parse_json, written_aside
from hornbeam.typing import FilePath

__all__ = ["BackgroundWriter", "CheckpointFolder", "Packed", "read_checkpoint", "write_checkpoint"]

_MARK = b"\x93HORNBEAM-CKPT1\n"
_HEAD = struct.Struct("<QI")
_MAX_HEADER = 64 * 2**20
_PLAIN = {int, float, str, bool, type(None)}
_MANY = 64  # a list of more floats than this is stored as an array
_TAG = "@"  # the key that marks values for which JSON has no form


class Packed:
    """A copy of a state that can be written while the original changes.

    Attributes:
        tree: The state as JSON; arrays are indices into `arrays`.
        arrays: Copies of the arrays.

    Example:
        >>> packed = Packed()
        >>> packed.pack({"best": 0.5, "weights": [np.ones(3)]}, "state")
        {'best': 0.5, 'weights': [{'@': 'array', 'is': 0}]}
    """

    def __init__(self) -> None:
        self.tree: Any = None
        self.arrays: list[np.ndarray] = []

    def pack(self, value: Any, where: str) -> Any:
        """Return `value` in a form that JSON supports; its arrays are copied into `arrays`.

        Args:
            value: Numbers, strings, `None`, bytes, arrays, and lists, tuples, dicts and sets of
                these.
            where: Name of the value, for the error.

        Raises:
            TypeError: If it holds anything else.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is list:
            kinds = set(map(type, value))
            if kinds == {float} and len(value) > _MANY:
                return self._array("floats", np.array(value, "float64"))
            if kinds <= _PLAIN:
                return list(value)
        if isinstance(value, np.generic):
            return self._array("number", _checked(value, where))
        if isinstance(value, (bytes, bytearray)):
            return self._array("bytes", np.frombuffer(value, "uint8"))
        if isinstance(value, Mapping):
            if all(type(key) is str for key in value) and _TAG not in value:
                return {key: self.pack(item, f"{where}[{key!r}]") for key, item in value.items()}
            pairs = [
                [self.pack(key, f"a key of {where}"), self.pack(item, f"{where}[{key!r}]")]
                for key, item in value.items()
            ]
            return {_TAG: "dict", "is": pairs}
        if isinstance(value, (list, tuple, set, frozenset)):
            items = [self.pack(item, f"{where}[{i}]") for i, item in enumerate(value)]
            if isinstance(value, list):
                return items
            return {_TAG: "tuple" if isinstance(value, tuple) else "set", "is": items}
        for plain in (bool, int, float, str):  # subclasses, such as members of an enumeration
            if isinstance(value, plain):
                return plain(value)
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            return self._array("array", _checked(value, where))
        raise TypeError(
            f"{where} is {describe(value)} of type {kind.__name__}, which a checkpoint cannot hold."
            " Use numbers, strings, None, bytes, arrays, and lists, tuples, dicts and sets of them."
        )

    def pack_named(self, named: Iterable[tuple[str, Any]], where: str) -> list[Any]:
        """Pack pairs of a name and an array, twice as fast as `pack`."""
        pairs: list[Any] = []
        for name, value in named:
            copy = np.array(whole(value))
            if not _is_storable(copy.dtype):
                _checked(value, f"{where}[{name!r}]")
            pairs.append([name, {_TAG: "array", "is": len(self.arrays)}])
            self.arrays.append(copy)
        return pairs

    def _array(self, kind: str, array: Any) -> dict[str, Any]:
        copy = np.array(array)
        if copy.dtype.byteorder not in "=|":
            copy = copy.astype(copy.dtype.newbyteorder("="))
        self.arrays.append(copy)
        return {_TAG: kind, "is": len(self.arrays) - 1}


def _checked(value: Any, where: str) -> Any:
    dtype = value.dtype
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended) or not _is_storable(np.dtype(dtype)):
        raise TypeError(
            f"{where} is an array of dtype {dtype}, which a checkpoint cannot hold; expected"
            " numbers."
        )
    return value


def _is_storable(dtype: np.dtype) -> bool:
    return dtype.kind in "biufc" or dtype.type.__module__.split(".")[0] == "ml_dtypes"


def _unpacked(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: _unpacked(item, arrays) for key, item in value.items()}
    kind, held = value[_TAG], value["is"]
    if kind in ("array", "number", "floats", "bytes"):
        if type(held) is not int or not 0 <= held < len(arrays):
            raise ValueError(f"there is no array {held!r}")
        array = arrays[held]
        if kind == "array":
            return array
        return (
            array[()]
            if kind == "number"
            else array.tolist()
            if kind == "floats"
            else array.tobytes()
        )
    if not isinstance(held, list):
        raise ValueError(f"a {kind} is not a list")
    if kind == "dict":
        return {_unpacked(key, arrays): _unpacked(item, arrays) for key, item in held}
    if kind not in ("tuple", "set"):
        raise ValueError(f"{kind!r} is unknown")
    items = [_unpacked(item, arrays) for item in held]
    return tuple(items) if kind == "tuple" else set(items)


# --- the file -------------------------------------------------------------------------------------


def write_checkpoint(path: FilePath, packed: Packed) -> None:
    """Write a packed state; an earlier file at `path` stays intact until the new one is on disk.

    Raises:
        OSError: If the file cannot be written.
    """
    raw = [np.ascontiguousarray(a).reshape(-1).view("uint8").data for a in packed.arrays]
    entries = [
        [a.dtype.name, list(a.shape), zlib.crc32(r)]
        for a, r in zip(packed.arrays, raw, strict=True)
    ]
    header = json.dumps({"arrays": entries, "state": packed.tree}).encode()
    if len(header) > _MAX_HEADER:
        raise OSError(
            f"the state without its arrays is {len(header)} bytes long, more than {_MAX_HEADER}"
        )
    with written_aside(path) as aside, open(aside, "wb") as file:
        file.write(_MARK)
        file.write(_HEAD.pack(len(header), zlib.crc32(header)))
        file.write(header)
        for part in raw:
            file.write(part)


def read_checkpoint(path: FilePath) -> Any:
    """Return the state in a checkpoint; memory use is bounded by the file's size.

    Raises:
        FileError: If the file is damaged, or is not a checkpoint.
    """
    path = Path(path)
    what = f"The checkpoint '{path}'"
    if not path.is_file() and path.exists():
        raise FileError(f"{what} is not a regular file.")  # opening a pipe would block
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - len(_MARK) - _HEAD.size
        if left < 0 or file.read(len(_MARK)) != _MARK:
            raise FileError(f"{what} is damaged, or is not a checkpoint.")
        length, checksum = _HEAD.unpack(file.read(_HEAD.size))
        if length > min(left, _MAX_HEADER):
            raise FileError(f"{what} is cut off.")
        text = file.read(length)
        if zlib.crc32(text) != checksum:
            raise FileError(f"{what} is damaged: its header does not match its checksum.")
        header = parse_json(text, f"{what}: its header")
        if (
            not isinstance(header, dict)
            or not isinstance(header.get("arrays"), list)
            or "state" not in header
        ):
            raise FileError(f"{what} does not have the header of a checkpoint.")
        left -= length
        arrays = []
        for entry in header["arrays"]:
            dtype, shape, checksum = _entry(entry, what)
            size = math.prod(shape) * dtype.itemsize
            left -= size
            if left < 0:
                raise FileError(f"{what} is cut off.")
            data = bytearray(size)
            if file.readinto(data) != size or zlib.crc32(data) != checksum:
                raise FileError(f"{what} is damaged: an array does not match its checksum.")
            arrays.append(np.frombuffer(data, dtype).reshape(shape))
        if left:
            raise FileError(f"{what} has {left} bytes too many.")
    try:
        return _unpacked(header["state"], arrays)
    except (TypeError, ValueError, KeyError) as error:
        raise FileError(f"{what} holds an invalid value: {error}.") from None


def _entry(entry: Any, what: str) -> tuple[np.dtype, tuple[int, ...], int]:
    """Return the checked dtype, shape and checksum of an array."""
    if isinstance(entry, list) and len(entry) == 3:
        name, shape, checksum = entry
        if (
            isinstance(name, str)
            and re.fullmatch(r"[a-z0-9_]{1,24}", name)
            and isinstance(shape, list)
        ):
            sizes_are_right = len(shape) <= 32 and all(
                type(n) is int and 0 <= n < 2**48 for n in shape
            )
            try:
                dtype = np.dtype(getattr(ml_dtypes, name, name))
            except TypeError:
                dtype = np.dtype(object)
            if sizes_are_right and _is_storable(dtype) and type(checksum) is int:
                return dtype, tuple(shape), checksum
    raise FileError(f"{what} describes an invalid array: {str(entry)[:80]}.")


# --- a folder of checkpoints, written in the background -------------------------------------------


class CheckpointFolder:
    """The checkpoints of a training: numbered files; only the newest are kept.

    Args:
        path: The folder; `prepare` creates it.
        name: Prefix of the file names.
        keep: Number of files to keep.

    Example:
        >>> import tempfile
        >>> folder = CheckpointFolder(tempfile.mkdtemp(), "training")
        >>> packed = Packed()
        >>> packed.tree = packed.pack({"epoch": 3}, "state")
        >>> folder.write(packed)
        >>> folder.newest()
        {'epoch': 3}
    """

    def __init__(self, path: FilePath, name: str, keep: int = 1):
        self.path, self._name, self._keep = Path(path), name, keep
        self._number = max(map(self._number_of, self.files()), default=0)

    def _number_of(self, file: Path) -> int:
        return int(file.name[len(self._name) + 1 :].split(".")[0])

    def files(self) -> list[Path]:
        """Return the files, newest first."""
        pattern = re.compile(re.escape(self._name) + r"-\d{1,12}\.checkpoint")
        try:
            names = [name for name in os.listdir(self.path) if pattern.fullmatch(name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted((self.path / name for name in names), key=self._number_of, reverse=True)

    def prepare(self) -> None:
        """Create the folder, and delete incomplete files of killed processes.

        Raises:
            OSError: If the folder cannot be written to.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for rest in self.path.glob(f".{self._name}-*.checkpoint.*"):
            shutil.rmtree(rest, ignore_errors=True)
        with written_aside(self.path / f"{self._name}.probe") as aside:
            aside.write_bytes(b"")
        (self.path / f"{self._name}.probe").unlink()

    def newest(self) -> Any:
        """Return the state of the newest intact checkpoint, or `None` if there is no file.

        Raises:
            FileError: If all files are damaged.
        """
        files, problems = self.files(), []
        for file in files:
            try:
                state = read_checkpoint(file)
            except (FileError, OSError) as error:
                problems.append(str(error))
                continue
            if problems:
                warnings.warn(
                    f"{problems[0]} Training resumes from the previous one: '{file}'.", stacklevel=4
                )
            return state
        if problems:
            raise FileError(
                f"{problems[0]} There is no other checkpoint. Delete the folder '{self.path}' to"
                " train from the start."
            )
        return None

    def write(self, packed: Packed) -> None:
        """Write the next checkpoint, then delete the oldest ones."""
        number = self._number + 1
        write_checkpoint(self.path / f"{self._name}-{number:06d}.checkpoint", packed)
        self._number = number
        for old in self.files()[self._keep :]:
            old.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all checkpoints, and the folder if nothing else is in it."""
        for file in self.files():
            file.unlink(missing_ok=True)
        try:
            self.path.rmdir()
        except OSError:
            pass  # the folder holds other files


class BackgroundWriter:
    """Writes checkpoints in a thread; it writes the latest state that was passed to `put`.

    After each write it pauses nine times as long as the write took, so writing takes at most a
    tenth of a core.

    Args:
        folder: The folder to write to.

    Attributes:
        failure: The error of the last failed write; the caller resets it to `None`.
    """

    REST = 9.0

    def __init__(self, folder: CheckpointFolder):
        self._folder = folder
        self._changed = threading.Condition()
        self._pending: Packed | None = None
        self._writing = self._hurry = self._ended = False
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def put(self, packed: Packed) -> None:
        """Queue a state for writing; it replaces one that is still waiting."""
        with self._changed:
            self._pending = packed
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="hornbeam-checkpoint", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until the queued state is written, or writing has failed."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._pending is None and not self._writing)
            self._hurry = False

    def close(self, drop: bool = False) -> None:
        """End the thread after the queued state is written, or discarded with `drop`."""
        if drop:
            with self._changed:
                self._pending = None
        self.flush()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._ended = False

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending is not None or self._ended)
                if self._pending is None:
                    return
                packed, self._pending, self._writing = self._pending, None, True
            start = time.perf_counter()
            try:
                self._folder.write(packed)
            except Exception as error:  # the training thread reports it
                self.failure = error
            del packed
            rest = self.REST * (time.perf_counter() - start)
            with self._changed:
                self._writing = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._hurry or self._ended, rest)
