"""What a data set says of a file that it is read from."""

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
    """A file of a data set: where it comes from, how to recognise it, how to read it.

    Args:
        name: Its name, in the cache or beside the package's data sets.
        address: Its URL, or `None` for a file that is bundled with Hornbeam.
        sha256: Its SHA-256, in hexadecimal digits.
        size: Its size in bytes.
        reader: A function of its path that returns its content, from `hornbeam.datasets.readers`.

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
        """Return the path of the file, which is downloaded if it is not in the cache yet."""
        if self.address is None:
            return Path(str(resources.files("hornbeam.datasets"))) / self.name
        return Path(
            get_file(self.name, self.address, file_hash=self.sha256, hash_algorithm="sha256")
        )

    def read(self) -> T:
        """Return the content of the file.

        Raises:
            FileError: If the file does not have its size and hash, or cannot be read.
            OSError: If it is missing, or cannot be downloaded.
        """
        path = self.path()
        remedy = (
            "Install Hornbeam again."
            if self.address is None
            else "Delete the file, and it is downloaded again."
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
