"""Files that threads read, and those that cannot be read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hornbeam.data.skipped import Skipped
from hornbeam.data.stages import After, Stage, Turn
from hornbeam.data.threads import in_threads
from hornbeam.errors import FileError

__all__ = ["Filler", "Read", "ReadBatches"]


@dataclass
class _Failure:
    """A file that cannot be read."""

    path: str
    error: Exception


class Read(After):
    """What a function reads from files.

    Args:
        before: A stage of paths, or of tuples that begin with a path.
        read: Function of a path.
        threads: Number of threads that call it.
        skipped: Where files that cannot be read are noted; they are left out. Default: such a file
            is an error.
    """

    def __init__(
        self, before: Stage, read: Callable[[str], Any], threads: int,
        skipped: Skipped | None = None,
    ):  # fmt: skip
        super().__init__(before)
        self._read, self._threads, self.skipped = read, threads, skipped
        if skipped is not None:
            self.size = None

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        if self.skipped is None:
            return in_threads(self._element, self.before.run(turn, start), self._threads)
        return itertools.islice(self._readable(turn, self.skipped), start, None)

    def _element(self, place: Any) -> Any:
        if isinstance(place, tuple):
            return (self._read(place[0]), *place[1:])
        return self._read(place)

    def _element_or_failure(self, place: Any) -> Any:
        try:
            return self._element(place)
        except (FileError, OSError) as error:
            return _Failure(str(place[0] if isinstance(place, tuple) else place), error)

    def _readable(self, turn: Turn, skipped: Skipped) -> Iterator[Any]:
        places = self.before.run(turn)
        for element in in_threads(self._element_or_failure, places, self._threads):
            if isinstance(element, _Failure):
                skipped[element.path] = str(element.error)
            else:
                yield element
        skipped.warn()


class Filler(Protocol):
    """What reads files into arrays of one shape."""

    def empty(self, count: int) -> np.ndarray:
        """Return an array for the contents of so many files."""

    def fill(self, path: str, row: np.ndarray) -> None:
        """Read a file into a row of such an array."""


class ReadBatches(After):
    """Batches of files that are read into one array, which saves memory and a copy.

    Args:
        before: A stage of batches of paths, or of tuples that begin with them.
        filler: What reads the files.
        threads: Number of threads.
    """

    def __init__(self, before: Stage, filler: Filler, threads: int):
        super().__init__(before)
        self._filler, self._threads = filler, threads

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        for batch, is_last in in_threads(self._fill, self._rows(turn, start), self._threads):
            if is_last:
                yield batch

    def _rows(self, turn: Turn, start: int) -> Iterator[tuple[Any, str, np.ndarray, bool]]:
        for batch in self.before.run(turn, start):
            paths = batch[0] if isinstance(batch, tuple) else batch
            array = self._filler.empty(len(paths))
            result = (array, *batch[1:]) if isinstance(batch, tuple) else array
            for number, path in enumerate(paths):
                yield result, path, array[number], number == len(paths) - 1

    def _fill(self, row: tuple[Any, str, np.ndarray, bool]) -> tuple[Any, bool]:
        batch, path, place, is_last = row
        self._filler.fill(path, place)
        return batch, is_last
