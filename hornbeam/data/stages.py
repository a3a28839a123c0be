"""The stages of a `Dataset`. Most stages transform the elements of the stage before.

A pass over a stage is a pure function of a `Turn`, so it can be repeated, or started at any
element. If the elements of a stage are rows of arrays in some order, its `rows` returns them, and
`Batch` then gathers a whole batch at once instead of stacking single rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hornbeam.data.elements import add_place, concatenated, leaves, map_leaves, pad, rows_of, stack
from hornbeam.data.lazy import shuffled
from hornbeam.data.skipped import Skipped
from hornbeam.data.threads import ahead, in_threads

_BLOCK_BYTES = 2**20
Size = int | float | None
"""Number of elements: an integer, `math.inf`, or `None` if it is unknown."""


@dataclass(frozen=True)
class Turn:
    """One pass over the data.

    Args:
        seed: Seed for the stages that were made without a seed.
        epoch: Number of the pass.
        branch: Place in the pipeline, for example the number of the repetition.

    Example:
        >>> Turn(seed=7, epoch=2).at(1).branch
        (1,)
    """

    seed: int
    epoch: int
    branch: tuple[int, ...] = ()

    def at(self, number: int) -> Turn:
        """Return the turn for branch or repetition `number`."""
        return Turn(self.seed, self.epoch, (*self.branch, number))

    def first(self) -> Turn:
        """Return the turn of the first epoch."""
        return Turn(self.seed, 0)

    def generator(self, seed: int | None, depth: int) -> np.random.Generator:
        """Return the random number generator for a stage."""
        key = (self.seed, depth) if seed is None else (seed,)
        return np.random.default_rng([*key, self.epoch, *self.branch])


@dataclass(frozen=True)
class Rows:
    """Rows of arrays.

    Args:
        arrays: A structure of arrays.
        order: The row numbers, in order.
    """

    arrays: Any
    order: np.ndarray

    def gather(self, start: int, stop: int) -> Any:
        """Return the rows from position `start` to `stop` - 1 in the order as arrays."""
        order = self.order[start:stop]
        if len(order) and order[-1] - order[0] == len(order) - 1 and (np.diff(order) == 1).all():
            return map_leaves(lambda a: np.array(a[order[0] : order[-1] + 1]), self.arrays)
        return map_leaves(lambda a: a[order], self.arrays)


class Stage:
    """Base class of stages.

    Attributes:
        size: Number of elements in a pass.
        depth: Number of stages before this one.
        skipped: The files that this stage left out; `None` if they are errors.
    """

    size: Size = None
    depth = 0
    skipped: Skipped | None = None

    def parents(self) -> list[Stage]:
        """Return the stages whose elements this one takes."""
        return []

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        """Yield the elements of a pass, from element `start` on."""
        raise NotImplementedError

    def rows(self, turn: Turn) -> Rows | None:
        """Return the elements of a pass as rows of arrays, or `None` if they are not rows."""
        return None

    def blocks(self, turn: Turn, start: int) -> Iterator[Rows] | None:
        """Return the rows from row `start` on in blocks, which also works for endless passes."""
        rows = self.rows(turn)
        return None if rows is None else iter([Rows(rows.arrays, rows.order[start:])])


def skipped_files(stage: Stage) -> dict[str, str]:
    """Return the files that a stage and those before it left out: why, by name.

    Example:
        >>> skipped_files(Elements([1]))
        {}
    """
    found = dict(stage.skipped or {})
    for parent in stage.parents():
        found |= skipped_files(parent)
    return found


class Slices(Stage):
    """Stage that yields the rows of arrays."""

    def __init__(self, arrays: Any):
        self.arrays, self._order = arrays, np.arange(rows_of(arrays))
        self.size = len(self._order)

    def rows(self, turn: Turn) -> Rows:
        return Rows(self.arrays, self._order)

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        return _each_row(self.rows(turn), start)


def _each_row(rows: Rows, start: int) -> Iterator[Any]:
    """Yield rows as views of gathered blocks, which are copies, so users may change the rows."""
    row_bytes = sum(getattr(a[:1], "nbytes", 8) for a in leaves(rows.arrays))
    count = max(1, min(256, _BLOCK_BYTES // max(row_bytes, 1)))
    for first in range(start, len(rows.order), count):
        yield from each_row(rows.gather(first, first + count))


def each_row(block: Any) -> Iterator[Any]:
    """Iterate over the rows of an element.

    Example:
        >>> list(each_row((np.array([1, 2]), np.array([3, 4]))))
        [(np.int64(1), np.int64(3)), (np.int64(2), np.int64(4))]
    """
    if type(block) is tuple and not any(isinstance(part, (tuple, Mapping)) for part in block):
        return zip(*block, strict=True)
    if not isinstance(block, (tuple, Mapping)):
        return iter(block)
    return _nested_rows(block)


def _nested_rows(block: Any) -> Iterator[Any]:
    for parts in zip(*leaves(block), strict=True):
        remaining = iter(parts)
        yield map_leaves(lambda _, found=remaining: next(found), block)


class Elements(Stage):
    """Stage that yields the elements of a sequence, or of an iterable made anew for each pass."""

    def __init__(self, make: Sequence[Any] | Callable[[], Any], skipped: Skipped | None = None):
        self._make, self.skipped = make, skipped
        self.size = None if callable(make) else len(make)

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        made = self._make() if callable(self._make) else self._make
        if isinstance(made, (list, tuple, range)):
            return iter(made[start:])
        return itertools.islice(iter(made), start, None)


class After(Stage):
    """Base class of stages that follow another stage."""

    def __init__(self, before: Stage):
        self.before, self.depth, self.size = before, before.depth + 1, before.size

    def parents(self) -> list[Stage]:
        return [self.before]


class Zip(Stage):
    """Stage that zips several stages into tuples or dicts, up to the length of the shortest."""

    def __init__(self, parts: Any):
        self.parts = parts
        stages = leaves(parts)
        self.depth = 1 + max(stage.depth for stage in stages)
        sizes = [stage.size for stage in stages]
        known = [size for size in sizes if size is not None]
        self.size = None if len(known) < len(sizes) else min(known)

    def parents(self) -> list[Stage]:
        return leaves(self.parts)

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        runs = iter([stage.run(turn.at(i), start) for i, stage in enumerate(leaves(self.parts))])
        streams = map_leaves(lambda stage: next(runs), self.parts)
        try:
            while True:
                yield map_leaves(next, streams)
        except StopIteration:
            return


class Map(After):
    """Stage that applies a function to each element, optionally in several threads."""

    def __init__(self, before: Stage, function: Callable[..., Any], threads: int):
        super().__init__(before)
        self._function, self._threads = function, threads

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        elements = self.before.run(turn, start)
        if self._threads > 1:
            return in_threads(self._one, enumerate(elements, start), self._threads)
        return map(self._one, enumerate(elements, start))

    def _one(self, numbered: tuple[int, Any]) -> Any:
        number, element = numbered
        try:
            return call(self._function, element)
        except Exception as error:
            add_place(error, "map", number)
            raise


def call(function: Callable[..., Any], element: Any) -> Any:
    """Call a function with an element. The parts of a tuple are passed as arguments.

    Example:
        >>> call(max, (1, 2))
        2
    """
    return function(*element) if isinstance(element, tuple) else function(element)


class Convert(After):
    """Stage that applies a function to each element. Unlike `Map`, it passes a tuple as a whole."""

    def __init__(self, before: Stage, function: Callable[[Any], Any]):
        super().__init__(before)
        self._function = function

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        return map(self._function, self.before.run(turn, start))


class Filter(After):
    """Stage that keeps the elements for which a function returns true."""

    def __init__(self, before: Stage, predicate: Callable[..., Any]):
        super().__init__(before)
        self._predicate = predicate
        self.size = None

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        return itertools.islice(self._kept(turn), start, None)

    def _kept(self, turn: Turn) -> Iterator[Any]:
        for number, element in enumerate(self.before.run(turn)):
            try:
                keep = bool(call(self._predicate, element))
            except Exception as error:
                add_place(error, "filter", number)
                raise
            if keep:
                yield element


class Slice(After):
    """Stage that keeps every `step`-th element from `first` to `stop` - 1."""

    def __init__(self, before: Stage, first: int = 0, stop: int | None = None, step: int = 1):
        super().__init__(before)
        self._first, self._stop, self._step = first, stop, step
        if before.size is not None:
            end = before.size if stop is None else min(before.size, stop)
            left = max(end - first, 0)
            self.size = left if math.isinf(left) else math.ceil(left / step)
        elif stop == 0:
            self.size = 0

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        if self.size == 0:
            return iter(())
        first = self._first + start * self._step
        count = None if self._stop is None else max(self._stop - first, 0)
        return itertools.islice(self.before.run(turn, first), 0, count, self._step)

    def rows(self, turn: Turn) -> Rows | None:
        rows = self.before.rows(turn)
        if rows is None:
            return None
        return Rows(rows.arrays, rows.order[self._first : self._stop : self._step])


class Concatenate(After):
    """Stage that yields the elements of one stage, then the elements of another."""

    def __init__(self, before: Stage, after: Stage):
        super().__init__(before)
        self._after, self.depth = after, 1 + max(before.depth, after.depth)
        known = before.size is not None and after.size is not None
        self.size = before.size + after.size if known else None  # type: ignore[operator]

    def parents(self) -> list[Stage]:
        return [self.before, self._after]

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        size = self.before.size
        if size is None:
            both = itertools.chain(self.before.run(turn.at(0)), self._after.run(turn.at(1)))
            return itertools.islice(both, start, None)
        if start >= size:
            return self._after.run(turn.at(1), int(start - size))
        return itertools.chain(self.before.run(turn.at(0), start), self._after.run(turn.at(1)))


class Repeat(After):
    """Stage that repeats the elements. Earlier shuffles use a new order in each repetition."""

    def __init__(self, before: Stage, count: int | None):
        super().__init__(before)
        self._count = count
        if count == 0 or before.size == 0:
            self.size = 0
        elif count is None:
            self.size = math.inf
        else:
            self.size = None if before.size is None else before.size * count

    def _passes(self, turn: Turn, start: int) -> Iterator[tuple[Turn, int]]:
        """Yield each repetition's turn and first element, from element `start` on."""
        size, first = self.before.size, 0
        if size and not math.isinf(size):
            first, start = divmod(start, int(size))
        numbers = itertools.count(first) if self._count is None else range(first, self._count)
        for number in numbers:
            yield turn.at(number), start if number == first else 0

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        for again, first in self._passes(turn, start):
            empty = True
            for element in self.before.run(again, 0 if self.before.size is None else first):
                empty = False
                if start and self.before.size is None:
                    start -= 1
                    continue
                yield element
            if empty and not first:
                return  # otherwise an empty stage would be repeated endlessly

    def rows(self, turn: Turn) -> Rows | None:
        if not self._count or self.before.size is None:
            return None
        parts = [self.before.rows(turn.at(number)) for number in range(self._count)]
        if parts[0] is None:
            return None
        return Rows(parts[0].arrays, np.concatenate([part.order for part in parts if part]))

    def blocks(self, turn: Turn, start: int) -> Iterator[Rows] | None:
        if not self.before.size or self.before.rows(turn.at(0)) is None:
            return None
        passes = self._passes(turn, start)
        found = ((self.before.rows(again), first) for again, first in passes)
        return (Rows(rows.arrays, rows.order[first:]) for rows, first in found if rows)


class Shuffle(After):
    """Stage that shuffles: rows of arrays completely, other elements within a window."""

    def __init__(self, before: Stage, window: int | None, seed: int | None, again: bool):
        super().__init__(before)
        self._window, self._seed, self._again = window, seed, again

    def _generator(self, turn: Turn) -> np.random.Generator:
        return (turn if self._again else turn.first()).generator(self._seed, self.depth)

    def rows(self, turn: Turn) -> Rows | None:
        rows = self.before.rows(turn)
        if rows is None:
            return None
        return Rows(rows.arrays, shuffled(rows.order, leaves(rows.arrays), self._generator(turn)))

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        rows = self.rows(turn)
        if rows is not None:
            return _each_row(rows, start)
        if self._window is None:
            raise ValueError(
                "Dataset.shuffle: `buffer_size` must be given if the elements are not rows of"
                " arrays, received None. Pass the number of elements to hold in memory."
            )
        return itertools.islice(self._windowed(turn, self._window), start, None)

    def _windowed(self, turn: Turn, window: int) -> Iterator[Any]:
        random = self._generator(turn)
        held: list[Any] = []
        for element in self.before.run(turn):
            if len(held) < window:
                held.append(element)
                continue
            place = int(random.integers(window))
            yield held[place]
            held[place] = element
        yield from (held[place] for place in random.permutation(len(held)))


class Batch(After):
    """Stage that stacks elements into batches, optionally padded to a common shape."""

    def __init__(self, before: Stage, batch_size: int, drop_remainder: bool, padding: Any = None):
        super().__init__(before)
        self.batch_size, self.drop_remainder = batch_size, drop_remainder
        self._padding, self.is_padded = padding, padding is not None
        if before.size is not None and not math.isinf(before.size):
            whole, rest = divmod(int(before.size), batch_size)
            self.size = whole + (rest > 0 and not drop_remainder)

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        blocks = self.before.blocks(turn, start * self.batch_size)
        if blocks is None or self._padding is not None:
            return self._stacked(turn, start)
        return self._gathered(blocks)

    def all_rows(self) -> Any:
        """Return the arrays if the batches hold each of their rows exactly once, else `None`."""
        rows = None if self._padding is not None else self.before.rows(Turn(0, 0))
        if rows is None:
            return None
        count = rows_of(rows.arrays)
        is_partial = self.drop_remainder and count % self.batch_size
        if is_partial or not np.array_equal(np.sort(rows.order), np.arange(count)):
            return None
        return rows.arrays

    def _gathered(self, blocks: Iterator[Rows]) -> Iterator[Any]:
        size, rest = self.batch_size, None
        for rows in blocks:
            first = 0
            if rest is not None:  # a batch that started in the previous block
                first = size - rows_of(rest)
                rest = concatenated([rest, rows.gather(0, first)])
                if rows_of(rest) < size:
                    continue
                yield rest
            whole = first + (len(rows.order) - first) // size * size
            for start in range(first, whole, size):
                yield rows.gather(start, start + size)
            rest = rows.gather(whole, whole + size) if whole < len(rows.order) else None
        if rest is not None and not self.drop_remainder:
            yield rest

    def _stacked(self, turn: Turn, start: int) -> Iterator[Any]:
        elements = self.before.run(turn, start * self.batch_size)
        for number in itertools.count(start):
            batch = list(itertools.islice(elements, self.batch_size))
            if not batch or (self.drop_remainder and len(batch) < self.batch_size):
                return
            if self._padding is None:
                yield stack(batch, number * self.batch_size)
            else:
                yield pad(batch, *self._padding)


class Unbatch(After):
    """Stage that splits each element into its rows."""

    def __init__(self, before: Stage):
        super().__init__(before)
        self.size = None

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        return itertools.islice(self._each(turn), start, None)

    def _each(self, turn: Turn) -> Iterator[Any]:
        for batch in self.before.run(turn):
            rows_of(batch)
            yield from each_row(map_leaves(_owned, batch))


def _owned(array: Any) -> Any:
    """Return a copy of an array, whose rows the user may change; other kinds as they are."""
    return array if hasattr(type(array), "stacked") else np.array(array)


class Rebatch(After):
    """Stage that regroups the rows of batches into batches of another size."""

    def __init__(self, before: Stage, batch_size: int, drop_remainder: bool):
        super().__init__(before)
        self._batch_size, self._drop, self.size = batch_size, drop_remainder, None

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        return itertools.islice(self._each(turn), start, None)

    def _each(self, turn: Turn) -> Iterator[Any]:
        held: list[Any] = []
        count = 0
        for batch in self.before.run(turn):
            held.append(batch)
            count += rows_of(batch)
            if count < self._batch_size:
                continue
            whole = concatenated(held)
            end = count - count % self._batch_size
            for first in range(0, end, self._batch_size):
                last = first + self._batch_size
                yield map_leaves(lambda a, i=first, j=last: a[i:j], whole)
            held = [map_leaves(lambda a, i=end: a[i:], whole)] if end < count else []
            count -= end
        if count and not self._drop:
            yield concatenated(held)


class Enumerate(After):
    """Stage that pairs each element with its number."""

    def __init__(self, before: Stage, first: int):
        super().__init__(before)
        self._first = first

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        return enumerate(self.before.run(turn, start), self._first + start)


class Cache(After):
    """Stage that keeps the elements of the first complete pass in memory."""

    def __init__(self, before: Stage):
        super().__init__(before)
        self._kept: list[Any] | None = None

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        if self._kept is not None:
            return iter(self._kept[start:])
        return itertools.islice(self._fill(turn), start, None)

    def _fill(self, turn: Turn) -> Iterator[Any]:
        kept = []
        for element in self.before.run(turn.first()):
            kept.append(element)
            yield element
        self._kept = kept

    def rows(self, turn: Turn) -> Rows | None:
        return self.before.rows(turn.first())


class Prefetch(After):
    """Stage that reads elements ahead in a thread."""

    def __init__(self, before: Stage, count: int):
        super().__init__(before)
        self._count = count

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        return ahead(lambda: self.before.run(turn, start), self._count)
