"""`.keras` files: a zip of `metadata.json`, `config.json`, `model.weights.h5` and assets."""

from __future__ import annotations

import datetime
import io
import json
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from hornbeam._version import __version__
from hornbeam.core.loading import ALLOWANCE
from hornbeam.errors import FileError
from hornbeam.objects import configuration
from hornbeam.optional import h5py_library
from hornbeam.saving.compiling import compile_or_warn
from hornbeam.saving.disk import check_overwrite, parse_json, written_aside
from hornbeam.saving.eras import older_files
from hornbeam.saving.hdf5 import Dataset, Group, Source, open_hdf5, root_of
from hornbeam.saving.layout import file_label, read_weights, walk, write_weights
from hornbeam.typing import CustomObjects, FilePath

if TYPE_CHECKING:
    from hornbeam.models.model import Model

__all__ = ["KERAS_VERSION", "load_archive", "load_archive_weights", "opened_parts", "save_archive"]

KERAS_VERSION = "3.15.1"
"""The version of Keras whose file layout is written."""

_CONFIG, _METADATA, _WEIGHTS, _ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets"


def save_archive(
    model: Model,
    filepath: FilePath,
    overwrite: bool = True,
    zipped: bool = True,
    include_optimizer: bool = True,
) -> None:
    """Write a model to a `.keras` file, or to a folder with the same members.

    Args:
        model: Any model.
        filepath: Path of the file or folder.
        overwrite: Whether an existing file or folder may be replaced.
        zipped: Whether to write one zip file instead of a folder.
        include_optimizer: Whether the optimizer's state is written.

    Raises:
        FileExistsError: If it exists and `overwrite` is false.
    """
    check_overwrite(filepath, overwrite)
    config = json.dumps(configuration.serialize(model))
    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {
        "keras_version": KERAS_VERSION,
        "date_saved": saved,
        "hornbeam_version": __version__,
    }
    with written_aside(filepath, folder=not zipped) as path:
        folder = path.parent / "members" if zipped else path
        folder.mkdir(exist_ok=True)
        (folder / _METADATA).write_text(json.dumps(metadata))
        (folder / _CONFIG).write_text(config)
        with h5py_library().File(folder / _WEIGHTS, "w") as file:
            write_weights(file, model, include_optimizer)
        _save_assets(model, folder / _ASSETS)
        if zipped:
            with zipfile.ZipFile(path, "w") as archive:
                for name in (_METADATA, _CONFIG, _WEIGHTS):
                    archive.write(folder / name, name)
                for asset in sorted((folder / _ASSETS).rglob("*")):
                    archive.write(asset, str(asset.relative_to(folder)))


def load_archive(
    filepath: FilePath,
    custom_objects: CustomObjects = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Model:
    """Return the model in a `.keras` file or folder; see `hornbeam.saving.load_model`."""
    what = file_label(filepath)
    with _opened(filepath, trusted=not safe_mode) as folder:
        config = parse_json(folder.read(_CONFIG), f"{what}: {_CONFIG}")
        if not isinstance(config, dict) or "class_name" not in config:
            raise FileError(f"{what}: {_CONFIG} does not describe a model.")
        metadata = (
            parse_json(folder.read(_METADATA), f"{what}: {_METADATA}")
            if folder.has(_METADATA)
            else {}
        )
        version = str(metadata.get("keras_version", "3")) if isinstance(metadata, dict) else "3"
        compile_config = config.pop("compile_config", None)
        config = older_files().modern_model(config, version, custom_objects)
        model = configuration.deserialize(
            config, custom_objects=custom_objects, safe_mode=safe_mode
        )
        if compile and compile_config:
            if not version.startswith("3"):
                compile_config = older_files().modern_training(compile_config)
            compile_or_warn(model, compile_config, custom_objects, what)
        with folder.weights() as file:
            if model.built or _has_arrays(file):
                read_weights(file, model, what)
        folder.load_assets(model)
    return model


def load_archive_weights(
    model: Model, filepath: FilePath, skip_mismatch: bool = False, by_name: bool = False,
    skipped: Collection[int] = (),
) -> None:  # fmt: skip
    """Load only the weights of a `.keras` file into a model."""
    with _opened(filepath) as folder, folder.weights() as file:
        what = file_label(filepath)
        read_weights(file, model, what, skip_mismatch, by_name, True, skipped)


@contextmanager
def opened_parts(filepath: FilePath) -> Iterator[tuple[Any, Any, Group]]:
    """Yield the metadata, the configuration and the weights of a `.keras` file."""
    with _opened(filepath) as folder, folder.weights() as file:
        what = file_label(filepath)
        metadata = (
            parse_json(folder.read(_METADATA), f"{what}: {_METADATA}")
            if folder.has(_METADATA)
            else None
        )
        yield metadata, parse_json(folder.read(_CONFIG), f"{what}: {_CONFIG}"), file


def _has_arrays(file: Group) -> bool:
    return bool(file.visititems(lambda name, item: isinstance(item, Dataset) or None))


def _save_assets(model: Any, folder: Path) -> None:
    for path, part in walk(model):
        if hasattr(part, "save_assets"):
            place = folder / path
            place.mkdir(parents=True, exist_ok=True)
            part.save_assets(str(place))


class _Members:
    """The members of an archive or folder, checked before any is read.

    The unpacked members of an archive may be at most `ALLOWANCE` bytes larger than the archive.

    Args:
        path: The archive or folder.
        archive: The open archive, or `None` for a folder.
        trusted: Whether members may have any size.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile | None, trusted: bool = False):
        self._path, self._archive, self._trusted = path, archive, trusted
        self._what = file_label(path)
        self._payable = None if trusted or not archive else path.stat().st_size + ALLOWANCE
        self._names = self._check() if archive else set(self._files(path))
        missing = {_CONFIG, _WEIGHTS} - self._names
        if missing:
            raise FileError(
                f"{self._what} is not a `.keras` file: it lacks {', '.join(sorted(missing))}."
            )

    def _files(self, path: Path) -> Iterator[str]:
        """Yield the names of files in a folder; reject links, which may lead outside."""
        for place, folders, files in os.walk(path):
            for name in folders + files:
                full = Path(place) / name
                if full.is_symlink():
                    raise FileError(
                        f"{self._what}: {full.relative_to(path)} is a link. Replace it with the"
                        " file itself."
                    )
                if name in files and full.is_file():
                    yield full.relative_to(path).as_posix()

    def _check(self) -> set[str]:
        """Check all members and return their names."""
        assert self._archive is not None
        names: set[str] = set()
        for info in self._archive.infolist():
            parts = PurePosixPath(info.filename).parts
            known = info.filename in (_CONFIG, _METADATA, _WEIGHTS) or (
                parts and parts[0] == _ASSETS
            )
            odd = (
                ".." in parts
                or info.filename.startswith("/")
                or "\\" in info.filename
                or ":" in info.filename
            )
            if not known or odd or stat.S_ISLNK(info.external_attr >> 16):
                raise FileError(f"{self._what} has the unexpected member {info.filename!r}.")
            if info.flag_bits & 1:
                raise FileError(f"{self._what}: {info.filename!r} is encrypted.")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise FileError(
                    f"{self._what}: {info.filename!r} is compressed by an unsupported method. Save"
                    " it again with deflate, or uncompressed."
                )
            if info.filename in names:
                raise FileError(f"{self._what} has two members {info.filename!r}.")
            self._pay(info.file_size, info.filename)
            if not info.is_dir():
                names.add(info.filename)
        return names

    def _pay(self, nbytes: int, name: str) -> None:
        if self._payable is None:
            return
        if nbytes > self._payable:
            raise FileError(
                f"{self._what}: {name!r} claims {nbytes} bytes; unpacked, all members together may"
                f" be {ALLOWANCE >> 20} MiB larger than the archive. If you trust it, unpack it and"
                " load the folder, or load it with `safe_mode=False`."
            )
        self._payable -= nbytes

    def has(self, name: str) -> bool:
        """Return whether there is a member of this name."""
        return name in self._names

    def read(self, name: str) -> bytes:
        """Return the content of a member."""
        found = io.BytesIO()
        self._copy(name, found)
        return found.getvalue()

    def _copy(self, name: str, target: BinaryIO) -> None:
        with self._damage_named(name):
            opened = self._archive.open(name) if self._archive else (self._path / name).open("rb")
            with opened as file:
                shutil.copyfileobj(file, target, 2**20)

    @contextmanager
    def _damage_named(self, name: str) -> Iterator[None]:
        try:
            yield
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            struct.error,
        ) as error:
            raise FileError(f"{self._what}: {name!r} is damaged: {error}.") from None

    @contextmanager
    def weights(self) -> Iterator[Group]:
        """Open the weights in place, or unpack compressed ones to a temporary file."""
        what = f"{self._what}: {_WEIGHTS}"
        if self._archive is None:
            with open_hdf5(self._path / _WEIGHTS, what, self._trusted) as group:
                yield group
            return
        info = self._archive.getinfo(_WEIGHTS)
        if info.compress_type == zipfile.ZIP_STORED:
            with self._path.open("rb") as file:
                yield root_of(
                    Source(file, self._stored_at(file, info), info.file_size, what, self._trusted)
                )
            return
        with tempfile.TemporaryFile() as unpacked:
            self._copy(_WEIGHTS, unpacked)
            with open_hdf5(unpacked, what, self._trusted) as group:
                yield group

    def _stored_at(self, file: BinaryIO, info: zipfile.ZipInfo) -> int:
        """Check the checksum of an uncompressed member and return where its bytes start."""
        with self._damage_named(info.filename):
            file.seek(info.header_offset)
            signature, name, extra = struct.unpack("<4s22xHH", file.read(30))
            start = info.header_offset + 30 + name + extra
            if signature != b"PK\3\4" or info.compress_size != info.file_size:
                raise zipfile.BadZipFile("its header does not match the directory")
            file.seek(start)
            left, found = info.file_size, 0
            while left:
                piece = file.read(min(left, 2**20))
                if not piece:
                    raise EOFError("it ends too early")
                left, found = left - len(piece), zlib.crc32(piece, found)
            if found != info.CRC:
                raise zipfile.BadZipFile("its checksum does not match")
        return start

    def load_assets(self, model: Any) -> None:
        """Unpack the assets of each part to a folder and pass it to the part's `load_assets`."""
        for path, part in walk(model):
            if not hasattr(part, "load_assets"):
                continue
            prefix = f"{_ASSETS}/{path}/" if path else f"{_ASSETS}/"
            names = [n for n in self._names if n.startswith(prefix)]
            if not names:
                continue
            with tempfile.TemporaryDirectory(prefix="hornbeam-assets-") as place:
                for name in names:
                    target = Path(place) / name.removeprefix(prefix)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as file:
                        self._copy(name, file)
                part.load_assets(place)


@contextmanager
def _opened(filepath: FilePath, trusted: bool = False) -> Iterator[_Members]:
    path = Path(filepath)
    if path.is_dir():
        yield _Members(path, None, trusted)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise FileError(f"{file_label(path)} is a damaged zip file: {error}.") from None
    with archive:
        yield _Members(path, archive, trusted)
