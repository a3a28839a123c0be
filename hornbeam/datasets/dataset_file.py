"""The description of a data set's file: its address, checksum, size and reader."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Generic, TypeVar

from hornbeam.errors import FileError
from hornbeam.utils.download import get_file

__all__ = ["DatasetFile"]

T = TypeVar("T")


@dataclass(frozen=True)
class DatasetFile(Generic[T]):
    """A file of a data set: its address, its checksum and its reader.

    Args:
        name: Name of the file in the cache, or in `hornbeam/datasets` if it is bundled.
        address: URL of the file, or `None` for a file that is bundled with Hornbeam.
        sha256: SHA-256 of the file, in hexadecimal digits.
        size: Size of the file in bytes.
        reader: Function from `hornbeam.datasets.readers` that takes the path and returns the
            content.

    Example:
        >>> from hornbeam.datasets.mnist import FILE
        >>> FILE.name, FILE.address
        ('mnist.xz', None)
    """

    name: str
    address: str | None
    sha256: str
    size: int
    reader: Callable[[Path], T]

    def path(self) -> Path:
        """Return the path of the file; download it if it is not in the cache yet."""
        if self.address is None:
            return Path(str(resources.files("hornbeam.datasets"))) / self.name
        return Path(
            get_file(self.name, self.address, file_hash=self.sha256, hash_algorithm="sha256")
        )

    def read(self) -> T:
        """Return the content of the file.

        Raises:
            FileError: If the size or the hash of the file is wrong, or it cannot be read.
            OSError: If the file is missing or cannot be downloaded.
        """
        path = self.path()
        remedy = (
            "Install Hornbeam again."
            if self.address is None
            else "Delete the file to download it again."
        )
        size = path.stat().st_size
        if size != self.size:
            raise FileError(
                f"'{path}' is damaged: it has {size} bytes; expected {self.size}. {remedy}"
            )
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise FileError(
                f"'{path}' is damaged: its SHA-256 is {found}; expected {self.sha256}. {remedy}"
            )
        return self.reader(path)
