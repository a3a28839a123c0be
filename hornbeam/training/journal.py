"""The state of random generators, and a journal of the reading of data that Python makes.

A training that continues uses both to bring its data back to the same place: the order in which a
data set shuffles itself depends on the generators and on how often it has shuffled.
"""

from __future__ import annotations

import array
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from hornbeam.core import random as own_random
from hornbeam.data.sources import IterableSource, Source
from hornbeam.errors import FileError

__all__ = ["Journal", "drop", "random_state", "set_random_state"]

# seconds of reading again until its progress is reported; the interval then doubles each time
TELL = 10.0


def random_state() -> dict[str, Any]:
    """Return the state of the global generators of Python, NumPy and Hornbeam, and of PyTorch if it
    is imported.
    """
    version, numbers, gauss = random.getstate()
    torch: Any = sys.modules.get("torch")
    ours = own_random.existing_global_generator()
    return {
        "python": [version, np.array(array.array("I", numbers), "uint32"), gauss],
        "numpy": np.random.get_state(legacy=False),
        "torch": torch.get_rng_state().numpy() if hasattr(torch, "get_rng_state") else None,
        "hornbeam": None if ours is None else np.array(ours.state.stored),
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Set the generators to a state that `random_state` returned.

    Raises:
        FileError: If it is no such state.
    """
    try:
        _set_random_state(state)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise FileError(
            f"The state of random generators in the backup does not fit: {error}."
        ) from None


def _set_random_state(state: dict[str, Any]) -> None:
    inner = state["numpy"]["state"]
    if state["numpy"]["bit_generator"] == "MT19937" and not (
        type(inner["pos"]) is int and 0 <= inner["pos"] <= 624 and np.shape(inner["key"]) == (624,)
    ):
        # NumPy itself would read beyond its end.
        raise ValueError("NumPy's has another position or length")
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    np.random.set_state(state["numpy"])
    torch: Any = sys.modules.get("torch")
    if state["torch"] is not None and hasattr(torch, "set_rng_state"):
        torch.set_rng_state(torch.from_numpy(np.array(state["torch"])))
    if state["hornbeam"] is not None:
        ours = own_random.existing_global_generator(make=True)
        ours.state.assign(state["hornbeam"])


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and all(_equal(a[key], b.get(key)) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and all(map(_equal, a, b))
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


class Journal(Source):
    """A source that records when passes begin and epochs end, so that another process can repeat
    them.

    Args:
        source: Data that Python makes.
        note: Called for each batch that is read again; an exception from it ends the reading.

    Attributes:
        marks: The record, in order. Each mark has `pass` (number of the pass, `None` for the end of
            an epoch), `random` (state of the generators before it, `None` if the previous mark left
            them so) and `read` (batches read).
    """

    def __init__(self, source: IterableSource, note: Callable[[], None] = lambda: None):
        self._source, self._note = source, note
        self.num_batches = source.num_batches
        self.marks: list[dict[str, Any]] = []
        self._random_after: Any = None  # state of the generators after the latest mark
        self._open: list[
            dict[str, Any]
        ] = []  # the pass under way when the training stopped, and what came later
        self._random_then: Any = None

    def epoch(self, seed: int, epoch: int, start: int = 0) -> Iterator[Any]:
        """Return the batches of an epoch, from batch number `start` on."""
        if self._open and self._open[0]["pass"] == epoch:
            return self._go_on(seed, epoch, start)
        if self.can_restart and not self._source.has_hooks:
            self.marks, self._random_after = [], None  # a pass starts anew, whatever came before
        mark = self._mark(epoch)
        batches = self._source.epoch(seed, epoch, start)
        self._random_after = random_state()
        return _counted(batches, mark)

    @property
    def can_restart(self) -> bool:
        """Whether the wrapped source can start again."""
        return self._source.can_restart

    def on_epoch_end(self) -> None:
        if self._source.has_hooks:
            self._mark(None)
        self._source.on_epoch_end()
        if self._source.has_hooks:
            self._random_after = random_state()

    def close(self) -> None:
        self._source.close()

    def _mark(self, number: int | None) -> dict[str, Any]:
        now = random_state()
        known = self._random_after is not None and _equal(now, self._random_after)
        self.marks.append({"pass": number, "random": None if known else now, "read": 0})
        return self.marks[-1]

    def replay(self, marks: list[dict[str, Any]], number: int, random_then: dict[str, Any]) -> None:
        """Bring the data to the place where a training stopped in pass `number`.

        Args:
            marks: The journal of that training.
            number: The pass; `epoch` is called with it next.
            random_then: State of the generators when the training stopped.
        """
        begins = [i for i, mark in enumerate(marks) if mark["pass"] is not None]
        at = begins[-1] if begins and marks[begins[-1]]["pass"] == number else len(marks)
        self.marks, self._open, self._random_then = list(marks), list(marks[at:]), random_then
        for mark in marks[:at]:
            self._do_again(mark)
        if not self._open:  # else `epoch` goes on from what the marks left
            set_random_state(random_then)

    def _do_again(self, mark: dict[str, Any]) -> None:
        if mark["random"] is not None:
            set_random_state(mark["random"])
        if mark["pass"] is None:
            self._source.on_epoch_end()
        elif not self.can_restart:
            drop(self._source.epoch(0, mark["pass"]), mark["read"], self._note)
        else:
            self._source.on_epoch_begin()

    def _go_on(self, seed: int, epoch: int, start: int) -> Iterator[Any]:
        (mark, *later), self._open = self._open, []
        if mark["random"] is not None:
            set_random_state(mark["random"])
        if self._source.can_seek:
            batches = self._source.epoch(seed, epoch, start)
        else:
            batches = self._source.epoch(seed, epoch)
            drop(batches, start, self._note)
        for end in later:
            self._do_again(end)
        set_random_state(self._random_then)
        mark["read"] = start
        return _counted(batches, mark)


def drop(batches: Iterator[Any], count: int, note: Callable[[], None]) -> None:
    """Read and drop batches that an earlier process has used.

    Args:
        batches: Iterator of the batches.
        count: Number of batches to drop.
        note: Called after each batch.

    Raises:
        ValueError: If the iterator ends earlier.
    """
    begun, wait = time.monotonic(), TELL
    for done in range(count):
        if next(batches, None) is None:
            raise ValueError(
                f"fit: the data ended after {done} batches, and the training that is to go on had"
                f" read {count}. Pass the same data, or delete the folder of the backups to train"
                " from the start."
            )
        note()
        if time.monotonic() - begun > wait:
            wait *= 2
            warnings.warn(
                f"fit: to go on where the training stood, the data are read again: {done + 1} of"
                f" {count} batches so far.",
                stacklevel=2,
            )


def _counted(batches: Iterator[Any], mark: dict[str, Any]) -> Iterator[Any]:
    for batch in batches:
        mark["read"] += 1
        yield batch
