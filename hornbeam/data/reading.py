"""Files that threads read, and those that cannot be read."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hornbeam.data.skipped import Skipped
from hornbeam.data.stages import After, Stage, Turn
from hornbeam.data.threads import in_threads
from hornbeam.errors import FileError

__all__ = ["Read"]


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
