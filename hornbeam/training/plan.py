"""The plan: how an epoch is cut into dispatches to the device.

A dispatch runs one step, or many steps of equal shape in one compiled loop over a slab: batches
that follow each other on the device. The number of steps is chosen from the time of a step, so that
a dispatch is worth its overhead and progress and Ctrl-C are still handled several times a second.
The number changes the speed, never the results: one compiled loop serves every number.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from hornbeam import tree
from hornbeam.core.placement import Placement, read_shared
from hornbeam.core.program import calls_return_when_done
from hornbeam.data.lazy import is_on_disk
from hornbeam.data.sources import ArraySource, Source
from hornbeam.training.padding import padded_size
from hornbeam.training.step import Steps
from hornbeam.training.together import meet, value_of_first
from hornbeam.typing import Structure

__all__ = ["Dispatch", "InFlight", "Plan", "make_plan"]

SECONDS_PER_DISPATCH = 0.1
"""Time that a dispatch of many steps should take."""
BYTES_PER_SLAB = 8 * 2**20
STEPS_PER_SLAB = 1024
SHARE_OF_DEVICE_MEMORY = 0.25
"""Data up to this share of an accelerator's memory stay there; larger data are streamed in
slabs.
"""


@dataclasses.dataclass
class Dispatch:
    """Steps to run at once.

    Attributes:
        steps: Their number.
        run: Runs the steps; returns the results of the last step, or of all steps with
            `Steps.keep_all`.
        rows: Number of rows that count; `None` if the plan does not know it.
        stacked: Whether the results of all steps are stacked along a first axis, rather than in a
            list.
    """

    steps: int
    run: Callable[[], Any]
    rows: int | None = None
    stacked: bool = False

    def by_step(self, results: Structure) -> list[Any]:
        """Return results of all steps as a list with one entry per step, on the host."""
        host = tree.map_structure(np.asarray, results)
        if not self.stacked:
            return host
        return [tree.map_structure(lambda a, i=i: a[i], host) for i in range(self.steps)]

    def by_row(self, results: Structure) -> Structure:
        """Return results of all steps as arrays of rows, on the host."""
        if self.stacked:
            host = tree.map_structure(
                lambda a: (a := np.asarray(a)[: self.steps]).reshape(-1, *a.shape[2:]), results
            )
        else:
            host = tree.map_structure(
                lambda *a: np.concatenate([np.asarray(i) for i in a]), *results
            )
        return host if self.rows is None else tree.map_structure(lambda a: a[: self.rows], host)


class Plan:
    """The dispatches of one pass over the data after another.

    Args:
        steps: The compiled steps.
        source: The data.
        seed: The order of rows in a pass is a function of this seed and the number of the pass.
        fixed: The user's `steps_per_execution`; `None`: the plan chooses the number of steps of
            each dispatch.

    Attributes:
        steps: The compiled steps.
        position: Number of the pass and of the next step in it; `begin(*position)` goes on from
            there.
    """

    def __init__(self, steps: Steps, source: Source, seed: int, fixed: int | None = None):
        self.steps, self._source, self._seed, self._fixed = steps, source, seed, fixed
        self.position = (0, 0)

    def begin(self, number: int, start: int = 0) -> None:
        """Start pass `number` at step `start`."""
        self.position = (number, start)

    def expect(self, number: int | None) -> None:
        """Note which pass comes next, so that its data are prepared during this one; `None` if it
        is not known.
        """

    def next(self, most: int | None = None) -> Dispatch | None:
        """Return the next dispatch, of at most `most` steps; `None` at the end of the pass."""
        raise NotImplementedError  # subclasses implement it

    def take(
        self,
        budget: int | None,
        most: Callable[[], int | None] = lambda: None,
        renew: bool = False,
    ) -> Iterator[Dispatch]:
        """Yield dispatches to the end of the pass, or to the end of a budget of steps.

        Args:
            budget: Maximum number of steps in all; `None` for no bound.
            most: Returns, before each dispatch, its maximum number of steps.
            renew: Whether a new pass begins if no step of the pass under way is left. Data that
                repeat begin another one whenever they end within a budget.
        """
        left = budget
        while left is None or left > 0:
            bounds = [n for n in (left, most()) if n is not None]
            dispatch = self.next(min(bounds) if bounds else None)
            if dispatch is None:
                meet("the end of the data")
                if not renew or not self._source.can_restart:
                    return
                if left != budget:
                    self._source.on_epoch_end()
                renew = False
                self.begin(self.position[0] + 1)
                continue
            renew = self._source.repeats and budget is not None
            self.position = (self.position[0], self.position[1] + dispatch.steps)
            yield dispatch
            if left is not None:
                left -= dispatch.steps

    def compile(self) -> None:
        """Trace and compile what the pass will need."""

    def shapes(self) -> Any:
        """Return the shapes of a step's arguments, or `None` while no batch was seen."""
        return None

    def _count(self, most: int) -> int:
        """Return how many steps the next dispatch should have, at most `most`."""
        if self._fixed is not None:
            return min(self._fixed, most)
        pace = self.steps.seconds_per_step
        count = 1 if pace is None else int(SECONDS_PER_DISPATCH / max(pace, 1e-9))
        return value_of_first("the number of the next steps", max(1, min(most, count)))


class _ArrayPlan(Plan):
    """Dispatches over arrays, in slabs of many batches if steps may run in a compiled loop."""

    _source: ArraySource

    def __init__(
        self,
        steps: Steps,
        source: ArraySource,
        seed: int,
        fixed: int | None = None,
        pad: bool = False,
    ):
        super().__init__(steps, source, seed, fixed)
        self._rows, self._pad = source.num_rows, pad
        self._size = padded_size(source.num_rows, source.batch_size) if pad else source.batch_size
        self._whole = self._rows // self._size
        self._rest = 0 if pad else self._rows % self._size
        if pad:
            self._whole = -(-self._rows // self._size)
        self._slab_steps = 0  # not chosen yet
        self._slab: tuple[int, Any] | None = None  # number of its first step, arrays on the device
        # Pass and step, what is made.
        self._coming: tuple[tuple[int, int], concurrent.futures.Future] | None = None
        self._following: int | None = None
        self._compiling_rest: concurrent.futures.Future | None = None
        self._data: Any = source
        if (placement := steps.shared_placement) is not None:
            if not placement.has_own_data:
                self._data = _Shared(source, placement)
        elif _fits_on_accelerator(source):
            self._data = _Resident(source)

    def begin(self, number: int, start: int = 0) -> None:
        super().begin(number, start)
        self._following = None
        if not self._slab_steps:
            self._slab_steps = self._choose_slab_steps()
        if self._coming is not None and self._coming[0] == (number, 0):
            self._order, self._slab = self._coming[1].result()
            self._make_next_slab(0)
        else:
            self._order, self._slab, self._coming = (
                self._source.order(self._seed, number),
                None,
                None,
            )

    def expect(self, number: int | None) -> None:
        self._following = number
        if self._slab is not None and self._coming is None:
            self._make_next_slab(self._slab[0])

    def _choose_slab_steps(self) -> int:
        whole = self._whole
        wanted = min(whole, max(self._fixed or 1, self._steps_that_fit()))
        if wanted < 2 or not self.steps.can_loop(*self._shapes(self._size)):
            return 1
        return min(1 << (wanted - 1).bit_length(), max(STEPS_PER_SLAB, self._fixed or 1))

    def _steps_that_fit(self) -> int:
        return min(
            STEPS_PER_SLAB, BYTES_PER_SLAB // max(self._source.bytes_per_row * self._size, 1)
        )

    def shapes(self) -> Any:
        return self._shapes(self._size if self._whole else self._rest)

    def _shapes(self, size: int) -> tuple[Any, ...]:
        """Return the shapes of a step's arguments for batches of `size`."""
        narrow = jax.dtypes.canonicalize_dtype
        batch = tree.map_structure(
            lambda a: (
                None if a is None else jax.ShapeDtypeStruct((size, *a.shape[1:]), narrow(a.dtype))
            ),
            self._source.data,
        )
        return (batch, jax.ShapeDtypeStruct((size,), bool)) if self.steps.padded else (batch,)

    def next(self, most: int | None = None) -> Dispatch | None:
        at = self.position[1]
        if at < self._whole:
            end = self._whole if most is None else min(self._whole, at + most)
            return self._from_slab(at, end) if self._slab_steps > 1 else self._one_by_one(at, end)
        if at == self._whole and self._rest:
            return self._last(at)
        return None

    def _from_slab(self, at: int, end: int) -> Dispatch:
        steps = self._slab_steps
        first = at // steps * steps
        if self._slab is None or self._slab[0] != first:
            ready, self._coming = self._coming, None
            if ready is not None and ready[0] == (self.position[0], first):
                self._slab = ready[1].result()
            else:
                self._slab = self._make_slab(self._order, first)
            self._make_next_slab(first)
        slabs = self._slab[1]
        count = self._count(min(end, first + steps) - at)
        return self._dispatch(
            at, count, lambda: self.steps.loop(slabs, at - first, count), stacked=True
        )

    def _make_next_slab(self, first: int) -> None:
        """Begin, in the background, the slab after the one that starts at step `first`."""
        number, after, order = self.position[0], first + self._slab_steps, self._order
        if after < self._whole:
            self._coming = (number, after), in_background(lambda: self._make_slab(order, after))
        elif self._following is not None:
            number = self._following

            def first_of_following() -> tuple[Any, Any]:
                order = self._source.order(self._seed, number)
                return order, self._make_slab(order, 0)

            self._coming = (number, 0), in_background(first_of_following)
        else:
            self._coming = None

    def _make_slab(self, order: np.ndarray | None, first: int) -> tuple[int, Any]:
        slab = self._data.slab(order, first * self._size, self._size, self._slab_steps)
        args = (slab, self._counted(first, self._slab_steps)) if self.steps.padded else (slab,)
        return first, self.steps.place(args)

    def _one_by_one(self, at: int, end: int) -> Dispatch:
        count = self._count(end - at) if self._fixed else 1
        size = self._size

        def run_one(step: int) -> Any:
            if self._pad and isinstance(self._data, _Shared):
                batch = self._data.full_batch(self._order, step * size, size)
            elif self._pad:
                batch = tree.map_structure(
                    lambda a: None if a is None else a[0],
                    self._data.slab(self._order, step * size, size, 1),
                )
            else:
                batch = self._data.rows(self._order, step * size, size)
            return self.steps.once(
                batch, *([self._counted(step, 1)[0]] if self.steps.padded else [])
            )

        return self._dispatch(
            at,
            count,
            lambda: _run_singly(
                self.steps, [functools.partial(run_one, at + j) for j in range(count)]
            ),
        )

    def _dispatch(
        self, at: int, count: int, run: Callable[[], Any], stacked: bool = False
    ) -> Dispatch:
        def run_and_look_ahead() -> Any:
            results = run()
            if self._rest and self._compiling_rest is None and self.steps.kind == "train":
                # The odd last batch is compiled beside the running epoch.
                self._compiling_rest = compile_ahead(
                    lambda: self.steps.prepare(*self._shapes(self._rest))
                )
            return results

        rows = min(count * self._size, self._rows - at * self._size)
        return Dispatch(count, run_and_look_ahead, rows, stacked)

    def compile(self) -> None:
        if not self._slab_steps:
            self._slab_steps = self._choose_slab_steps()
        if self._whole:
            steps = self._slab_steps if self._slab_steps > 1 else None
            self.steps.prepare(*self._shapes(self._size), steps=steps)
        if self._rest:
            self.steps.prepare(*self._shapes(self._rest))

    def _last(self, at: int) -> Dispatch:
        def run() -> Any:
            if self._compiling_rest is not None:
                concurrent.futures.wait([self._compiling_rest])
            batch = self._data.rows(self._order, at * self._size, self._rest)
            return _run_singly(self.steps, [lambda: self.steps.once(batch)])

        return Dispatch(1, run, self._rest)

    def _counted(self, first: int, steps: int) -> np.ndarray:
        """Return which rows of `steps` batches count."""
        rows = np.arange(first * self._size, (first + steps) * self._size) < self._rows
        return rows.reshape(steps, self._size)


class _IterablePlan(Plan):
    """Dispatches over batches that Python makes: one by one, read while the device computes."""

    _latest: Any = None

    def begin(self, number: int, start: int = 0) -> None:
        super().begin(number, start)
        self._batches = self._source.epoch(self._seed, number, start)
        self._pending: collections.deque[Any] = collections.deque()

    def next(self, most: int | None = None) -> Dispatch | None:
        wanted = self._count(most if most is not None else self._fixed or 1) if self._fixed else 1
        batches = self._equal_batches(wanted)
        if not batches:
            return None
        steps, count, self._latest = self.steps, len(batches), batches[-1]
        if self._fixed in (None, 1) or not steps.can_loop(batches[0]):
            return Dispatch(
                count,
                lambda: _run_singly(steps, [functools.partial(steps.once, b) for b in batches]),
            )
        # One shape for every number of batches, so that one program serves them all.
        filled = [*batches, *[batches[-1]] * (self._fixed - count)]
        slab = tree.map_structure(
            lambda *a: None if a[0] is None else np.stack([np.asarray(i) for i in a]), *filled
        )
        return Dispatch(count, lambda: steps.loop((slab,), 0, count), stacked=True)

    def shapes(self) -> Any:
        if self._latest is None:
            return None
        narrow = jax.dtypes.canonicalize_dtype

        def shape_of(a: Any) -> Any:
            return (
                None if a is None else jax.ShapeDtypeStruct(np.shape(a), narrow(np.result_type(a)))
            )

        return (tree.map_structure(shape_of, self._latest),)

    def _equal_batches(self, wanted: int) -> list[Any]:
        """Return up to `wanted` batches of equal shapes."""
        taken: list[Any] = []
        while len(taken) < wanted:
            batch = self._pending.popleft() if self._pending else next(self._batches, None)
            if batch is None:
                break
            if taken and _shapes_of(batch) != _shapes_of(taken[0]):
                self._pending.appendleft(batch)
                break
            taken.append(batch)
        return taken


def make_plan(
    steps: Steps, source: Source, seed: int = 0, fixed: int | None = None, pad: bool = False
) -> Plan:
    """Return the plan for a source; `pad` fills the last batch of arrays up to a full one."""
    if isinstance(source, ArraySource):
        return _ArrayPlan(steps, source, seed, fixed, pad)
    return _IterablePlan(steps, source, seed, fixed)


def _run_singly(steps: Steps, runs: list[Callable[[], Any]]) -> Any:
    results = [run() for run in runs]
    return results if steps.keep_all else results[-1]


def _shapes_of(batch: Any) -> list[Any]:
    return [np.shape(a) for a in tree.flatten(batch)]


# --- data that stay on an accelerator -------------------------------------------------------------


def _fits_on_accelerator(source: ArraySource) -> bool:
    device = jax.local_devices()[0]
    if device.platform == "cpu":  # where the host's memory is the device's
        return False
    arrays = [a for a in tree.flatten(source.data) if a is not None]
    if any(a.dtype.kind in "OSU" or is_on_disk(a) for a in arrays):
        return False  # text stays on the host, files are read batch by batch
    limit = (device.memory_stats() or {}).get("bytes_limit", 0)
    return source.bytes_per_row * source.num_rows <= SHARE_OF_DEVICE_MEMORY * limit


class _Resident:
    """Arrays put on the device once; batches are gathered there by the rows' numbers, as
    `ArraySource` gathers on the host.
    """

    def __init__(self, source: ArraySource):
        self._num_rows = source.num_rows
        self._data = jax.device_put(source.data)
        self._take = jax.jit(lambda data, rows: jax.tree.map(lambda a: a[rows], data))

    def slab(self, order: np.ndarray | None, start: int, batch_size: int, steps: int) -> Any:
        places = np.minimum(np.arange(start, start + batch_size * steps), self._num_rows - 1)
        return self._gather(order, places.reshape(steps, batch_size))

    def rows(self, order: np.ndarray | None, start: int, count: int) -> Any:
        return self._gather(order, np.arange(start, min(start + count, self._num_rows)))

    def _gather(self, order: np.ndarray | None, places: np.ndarray) -> Any:
        return self._take(self._data, (places if order is None else order[places]).astype("int32"))


class _Shared:
    """Batches over several processes, each of which gathers the rows of its own devices."""

    def __init__(self, source: ArraySource, placement: Placement):
        self._source, self._placement = source, placement

    def slab(self, order: np.ndarray | None, start: int, batch_size: int, steps: int) -> Any:
        places = np.minimum(np.arange(start, start + batch_size * steps), self._source.num_rows - 1)
        return self._gather(order, places.reshape(steps, batch_size))

    def full_batch(self, order: np.ndarray | None, start: int, size: int) -> Any:
        """Return a batch of `size` rows; the last row of the data is repeated at their end."""
        return self._gather(
            order, np.minimum(np.arange(start, start + size), self._source.num_rows - 1)
        )

    def rows(self, order: np.ndarray | None, start: int, count: int) -> Any:
        return self._gather(order, np.arange(start, min(start + count, self._source.num_rows)))

    def _gather(self, order: np.ndarray | None, places: np.ndarray) -> Any:
        numbers = places if order is None else order[places]

        def one(a: Any) -> Any:
            if a is None:
                return None
            dtype = jax.dtypes.canonicalize_dtype(a.dtype)

            def read(index: Any) -> Any:
                chosen = numbers[index[: numbers.ndim]]
                rows = np.array(a[chosen.reshape(-1)], dtype)
                return rows.reshape(*chosen.shape, *rows.shape[1:])

            shape = (*numbers.shape, *a.shape[1:])
            return read_shared(self._placement, shape, dtype, numbers.ndim - 1, read)

        return tree.map_structure(one, self._source.data)


# --- work in the background, and in flight --------------------------------------------------------

_compiler: concurrent.futures.ThreadPoolExecutor | None = None
_gatherer: concurrent.futures.ThreadPoolExecutor | None = None


def in_background(work: Callable[[], Any]) -> concurrent.futures.Future:
    """Run `work` in another thread. Compiled programs let Python's threads run, so it costs the
    loop no time.
    """
    global _gatherer
    if _gatherer is None:
        _gatherer = concurrent.futures.ThreadPoolExecutor(4, "hornbeam-gather")
    return _gatherer.submit(work)


def compile_ahead(compile: Callable[[], None]) -> concurrent.futures.Future:
    """Run `compile` in the background; an error there is ignored, since it comes again where the
    program is needed.
    """
    global _compiler
    if _compiler is None:
        _compiler = concurrent.futures.ThreadPoolExecutor(1, "hornbeam-compile")

    def quietly() -> None:
        with contextlib.suppress(Exception):
            compile()

    return _compiler.submit(quietly)


class InFlight:
    """Dispatches that run while the next are prepared: few, so that memory and the wait after
    Ctrl-C stay small.

    Args:
        steps: The steps; their time is recorded in `steps.seconds_per_step`.
    """

    def __init__(self, steps: Steps):
        self._steps = steps
        self._running: collections.deque[tuple[int, Any]] = collections.deque()
        self._free_since: float | None = None
        self._first = True

    def add(self, count: int, results: Structure) -> None:
        """Add a dispatch of `count` steps; wait for older ones if too many run."""
        if not self._running and self._free_since is None:
            self._free_since = time.perf_counter()
        self._running.append((count, results))
        # The first dispatch may compile, and the time of a step is not known right after it. If
        # calls return only when they are done, there is nothing to wait for, and the time is known
        # at once.
        depth = 0 if self._steps.seconds_per_step is None or calls_return_when_done() else 2
        while len(self._running) > depth:
            self._wait_for_oldest()

    def wait(self) -> None:
        """Wait for all."""
        while self._running:
            self._wait_for_oldest()
        self._free_since = None

    def _wait_for_oldest(self) -> None:
        count, results = self._running.popleft()
        jax.block_until_ready(results)
        now = time.perf_counter()
        if self._first:
            self._first = False
        elif self._free_since is not None:
            seconds = (now - self._free_since) / count
            known = self._steps.seconds_per_step
            self._steps.seconds_per_step = (
                seconds if known is None else min(2 * known, 0.5 * (known + seconds))
            )
        self._free_since = now
