"""Stages that read several data sets, or make data sets."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

from hornbeam.data.stages import After, Stage, Turn

__all__ = ["Interleave", "Window"]


class Interleave(After):
    """Stage that takes a few elements from each of several data sets in turn.

    Args:
        before: The stage before.
        open_run: Function from an element and a `Turn` to an iterator over a data set.
        cycle_length: Maximum number of data sets that are read at the same time.
        block_length: Number of consecutive elements to take from one data set.
    """

    def __init__(
        self, before: Stage, open_run: Callable[[Any, Turn], Iterator[Any]], cycle_length: int,
        block_length: int,
    ):  # fmt: skip
        super().__init__(before)
        self._open, self.size = open_run, None
        self._cycle_length, self._block_length = cycle_length, block_length

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        return itertools.islice(self._each(turn), start, None)

    def _each(self, turn: Turn) -> Iterator[Any]:
        inputs = enumerate(self.before.run(turn))
        running: list[Iterator[Any] | None] = [None] * self._cycle_length
        done = False
        while not done or any(run is not None for run in running):
            for place in range(self._cycle_length):
                if running[place] is None and not done:
                    found = next(inputs, None)
                    done = found is None
                    if found is not None:
                        running[place] = self._open(found[1], turn.at(found[0]))
                run = running[place]
                if run is None:
                    continue
                count = 0
                for element in itertools.islice(run, self._block_length):
                    count += 1
                    yield element
                if count < self._block_length:
                    running[place] = None


class Window(After):
    """Stage that groups consecutive elements into windows, as lists.

    Args:
        before: The stage before.
        size: Number of elements per window.
        shift: Number of elements between the starts of two windows.
        stride: Distance between the elements of a window.
        drop_remainder: Whether to drop windows with fewer elements at the end.
    """

    def __init__(self, before: Stage, size: int, shift: int, stride: int, drop_remainder: bool):
        super().__init__(before)
        self._length, self._shift, self._stride = size, shift, stride
        self._drop, self.size = drop_remainder, None
        if before.size is not None and not math.isinf(before.size):
            span = (size - 1) * stride + 1 if drop_remainder else 1
            self.size = max((int(before.size) - span) // shift + 1, 0)

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        elements = self.before.run(turn, start * self._shift)
        held: list[Any] = []
        while True:
            span = (self._length - 1) * self._stride + 1
            held += itertools.islice(elements, max(span - len(held), 0))
            if not held or (self._drop and len(held) < span):
                return
            yield held[: span : self._stride]
            skipped = self._shift - len(held)
            held = held[self._shift :]
            if skipped > 0:
                next(itertools.islice(elements, skipped - 1, None), None)
