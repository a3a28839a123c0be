"""`.keras` files: a zip of `metadata.json`, `config.json`, `model.weights.h5` and assets."""

from __future__ import annotations

import datetime
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from hornbeam.saving import config as objects
from hornbeam.saving.disk import check_overwrite, parse_json, written_aside
from hornbeam.saving.layout import file_label, read_weights, walk, write_weights

__all__ = ["KERAS_VERSION", "load_archive", "load_archive_weights", "save_archive"]

KERAS_VERSION = "3.15.1"
"""Version of Keras whose layout is written."""

_CONFIG, _METADATA, _WEIGHTS, _ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets"


def save_archive(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool = True, include_optimizer: bool = True
) -> None:
    """Write `model` to a `.keras` file, or a folder of the same members.

    Args:
        model: Any model.
        filepath: Path of the file.
        overwrite: Whether an existing one may be replaced.
        zipped: Whether it is one file.
        include_optimizer: Whether the optimizer's state is written.
    """
    check_overwrite(filepath, overwrite)
    from hornbeam import __version__

    config = json.dumps(objects.serialize(model))
    saved = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": KERAS_VERSION, "date_saved": saved, "hornbeam_version": __version__}
    with written_aside(filepath, folder=not zipped) as path:
        folder = path.parent / "members" if zipped else path
        folder.mkdir(exist_ok=True)
        (folder / _METADATA).write_text(json.dumps(metadata))
        (folder / _CONFIG).write_text(config)
        with h5py.File(folder / _WEIGHTS, "w") as file:
            write_weights(file, model, include_optimizer)
        _save_assets(model, folder / _ASSETS)
        if zipped:
            with zipfile.ZipFile(path, "w") as archive:
                for name in (_METADATA, _CONFIG, _WEIGHTS):
                    archive.write(folder / name, name)
                for asset in sorted((folder / _ASSETS).rglob("*")):
                    archive.write(asset, str(asset.relative_to(folder)))


def load_archive(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Return the model of a `.keras` file or folder; arguments as `hornbeam.saving.load_model`'s."""
    what = file_label(filepath)
    with _opened(filepath) as folder:
        config = parse_json(folder.read(_CONFIG), f"{what}: {_CONFIG}")
        if not isinstance(config, dict) or "class_name" not in config:
            raise ValueError(f"{what}: {_CONFIG} describes no model.")
        metadata = parse_json(folder.read(_METADATA), f"{what}: {_METADATA}") if folder.has(_METADATA) else {}
        version = str(metadata.get("keras_version", "3")) if isinstance(metadata, dict) else "3"
        if not version.startswith("3"):
            raise ValueError(f"{what} was written by Keras {version}; only version 3's layout is known.")
        compile_config = config.pop("compile_config", None)
        model = objects.deserialize(config, custom_objects=custom_objects, safe_mode=safe_mode)
        if compile and compile_config:
            from hornbeam.saving.compiling import compile_or_warn

            compile_or_warn(model, compile_config, custom_objects, what)
        with folder.weights() as file:
            if model.built or _has_arrays(file):
                read_weights(file, model, what)
        folder.load_assets(model)
    return model


def load_archive_weights(model: Any, filepath: Any, skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Load only the weights of a `.keras` file into `model`."""
    with _opened(filepath) as folder, folder.weights() as file:
        read_weights(file, model, file_label(filepath), skip_mismatch, by_name)


def _has_arrays(file: h5py.File) -> bool:
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return bool(found)


def _save_assets(model: Any, folder: Path) -> None:
    for path, part in walk(model):
        if hasattr(part, "save_assets"):
            place = folder / path
            place.mkdir(parents=True, exist_ok=True)
            part.save_assets(str(place))


class _Members:
    """The checked members of an archive or folder."""

    def __init__(self, path: Path, archive: zipfile.ZipFile | None):
        self._path, self._archive = path, archive
        self._what = file_label(path)
        self._names = (
            self._check()
            if archive
            else {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file() and not p.is_symlink()}
        )
        missing = {_CONFIG, _WEIGHTS} - self._names
        if missing:
            raise ValueError(f"{self._what} is no `.keras` file: it lacks {', '.join(sorted(missing))}.")

    def _check(self) -> set[str]:
        assert self._archive is not None
        names = set()
        for info in self._archive.infolist():
            parts = PurePosixPath(info.filename).parts
            known = info.filename in (_CONFIG, _METADATA, _WEIGHTS) or (parts and parts[0] == _ASSETS)
            if not known or ".." in parts or info.filename.startswith("/") or "\\" in info.filename:
                raise ValueError(f"{self._what} has the unexpected member {info.filename!r}.")
            if info.flag_bits & 1:
                raise ValueError(f"{self._what}: {info.filename!r} is encrypted.")
            if info.filename in names:
                raise ValueError(f"{self._what} has two members {info.filename!r}.")
            if info.file_size > 1100 * (info.compress_size + 64):
                raise ValueError(f"{self._what}: {info.filename!r} claims more bytes than it can hold.")
            if not info.is_dir():
                names.add(info.filename)
        return names

    def has(self, name: str) -> bool:
        return name in self._names

    def read(self, name: str) -> bytes:
        if self._archive is None:
            return (self._path / name).read_bytes()
        try:
            return self._archive.read(name)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{self._what} is damaged: {error}.") from None

    @contextmanager
    def weights(self) -> Iterator[h5py.File]:
        source = io.BytesIO(self.read(_WEIGHTS)) if self._archive else self._path / _WEIGHTS
        try:
            file = h5py.File(source, "r")
        except OSError as error:
            raise ValueError(f"{self._what}: {_WEIGHTS} is damaged: {error}.") from None
        with file:
            yield file

    def load_assets(self, model: Any) -> None:
        """Give each part that has `load_assets` a folder of its own assets."""
        for path, part in walk(model):
            if not hasattr(part, "load_assets"):
                continue
            prefix = f"{_ASSETS}/{path}/" if path else f"{_ASSETS}/"
            names = [n for n in self._names if n.startswith(prefix)]
            if not names:
                continue
            place = Path(tempfile.mkdtemp(prefix="hornbeam-assets-"))
            try:
                for name in names:
                    target = place / name.removeprefix(prefix)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(self.read(name))
                part.load_assets(str(place))
            finally:
                shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _opened(filepath: Any) -> Iterator[_Members]:
    path = Path(filepath)
    if path.is_dir():
        yield _Members(path, None)
        return
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{file_label(path)} is a damaged zip file: {error}.") from None
    with archive:
        yield _Members(path, archive)
