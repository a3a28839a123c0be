"""The description of a published file, of a data set or of a network's weights.

It has the file's address, checksum and reader, and finds the file in the caches.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Generic, TypeVar

from hornbeam.errors import FileError
from hornbeam.typing import FilePath
from hornbeam.utils.transfer import download, has_hash

__all__ = ["DatasetFile", "cache_folder"]

T = TypeVar("T")
KERAS_ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def cache_folder(folder: str = "datasets") -> Path:
    """Return the folder of downloaded files: by default `datasets` in `HORNBEAM_HOME`.

    `HORNBEAM_HOME` is an environment variable. Its default is `~/.hornbeam`.

    Example:
        >>> cache_folder().name
        'datasets'
    """
    home = os.environ.get("HORNBEAM_HOME") or "~/.hornbeam"
    return Path(home).expanduser() / folder


def _folders(folder: str, cache_dir: FilePath | None) -> list[Path]:
    """Return the folders where a file may be. A downloaded file goes to the first."""
    given = [] if cache_dir is None else [Path(cache_dir).expanduser() / folder]
    return [*given, cache_folder(folder), _keras_folder(folder)]


def _keras_folder(folder: str) -> Path:
    """Return the folder in which Keras caches such files."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / folder


@dataclass(frozen=True)
class DatasetFile(Generic[T]):
    """A file of a data set, or of weights: its address, its checksum and its reader.

    Args:
        name: Name of the file in the cache, or in `hornbeam/datasets` if it is bundled.
        address: URL of the file, or `None` for a file that is bundled with Hornbeam.
        reader: Function from the path to the content, from `hornbeam.datasets.readers`.
        file_hash: SHA-256 or MD5 of the file, in hexadecimal digits, or `None` if none is
            published. Without a hash, the reader must detect any damage.
        keras_names: Other names under which versions of Keras cache the file, or the folder of its
            members.
        folder: Folder of the caches: `"datasets"`, or `"models"` for the weights of networks. Files
            of weights must have the checksum wherever they lie, because no reader could tell that
            a weight is wrong.

    Example:
        >>> from hornbeam.datasets.mnist import FILE
        >>> FILE.name, FILE.address
        ('mnist.xz', None)
    """

    name: str
    address: str | None
    reader: Callable[[Path], T]
    file_hash: str | None = None
    keras_names: tuple[str, ...] = ()
    folder: str = "datasets"

    def find(self, path: FilePath | None = None, cache_dir: FilePath | None = None) -> Path | None:
        """Return the path of the file if it is on this computer, else `None`.

        Args:
            path: Another name for the file in the caches, or an absolute path. Default: `name`.
            cache_dir: A further cache; its folder `datasets` is searched first.
        """
        if self.address is None and path is None:
            return Path(str(resources.files("hornbeam.datasets"))) / self.name
        # An absolute path replaces the folder.
        folders = _folders(self.folder, cache_dir)
        places = [folder / (path or self.name) for folder in folders]
        if path is None or not Path(path).is_absolute():
            # A script may pass a different file name. The default names are tried too, which
            # avoids a second download.
            names = (self.name, *self.keras_names)
            places += [folder / name for folder in folders for name in names]
        return next((place for place in places if place.exists()), None)

    def read(self, path: FilePath | None = None, cache_dir: FilePath | None = None) -> T:
        """Read the file, and download it first if it is not on this computer yet.

        A bundled or downloaded file must have the checksum. A data set that the user or Keras put
        into a cache is read as it is.

        Args:
            path: As in `find`.
            cache_dir: As in `find`. A download goes there.

        Raises:
            FileError: If the checksum of the file is wrong, or the file cannot be read.
            OSError: If the file cannot be downloaded.
        """
        place = self.find(path, cache_dir)
        if place is None:
            return self._download(_folders(self.folder, cache_dir)[0] / (path or self.name))
        if self.address is None and path is None:
            if self.file_hash is not None and not has_hash(place, self.file_hash):
                raise FileError(
                    f"'{place}' is damaged: its checksum differs from the expected"
                    f" {self.file_hash}. Install Hornbeam again."
                )
            return self.reader(place)
        if self.folder == "models" and self.file_hash and not has_hash(place, self.file_hash):
            raise FileError(
                f"'{place}' is incomplete or was changed: its checksum is wrong; expected"
                f" {self.file_hash}. Delete it to download it again."
            )
        try:
            return self.reader(place)
        except FileError as error:
            raise FileError(f"{error} Delete '{place}' to download it again.") from error

    @property
    def _owner(self) -> str:
        return "network" if self.folder == "models" else "data set"

    def _addresses(self) -> list[str]:
        """Return the URLs to try: the mirror's if it is set, with and without the file's folder."""
        mirror = os.environ.get("HORNBEAM_MIRROR")
        if not mirror:
            return [str(self.address)]
        names = dict.fromkeys([self.name, self.name.rpartition("/")[2]])
        return [f"{mirror.rstrip('/')}/{name}" for name in names]

    def _download(self, place: Path) -> T:
        *others, last = self._addresses()
        for address in (*others, last):
            try:
                download(address, place, self.file_hash)
                break
            except (OSError, ValueError) as error:
                if address != last and getattr(error.__cause__, "code", None) == 404:
                    continue
                kind = FileError if isinstance(error, ValueError) else OSError
                reason = str(error).rstrip(".")
                raise kind(
                    f"The {self._owner}'s file '{self.name}' is not on this computer, and {address}"
                    f" did not give it: {reason}. Download it elsewhere and put it in the folder"
                    f" '{place.parent}', or set HORNBEAM_MIRROR to the URL of a folder that has it."
                ) from error
        try:
            return self.reader(place)
        except FileError as error:
            place.unlink(missing_ok=True)
            raise FileError(
                f"The file downloaded from {address} is not the expected {self._owner}: {error} Try"
                f" again, or put the right file in the folder '{place.parent}'."
            ) from error
