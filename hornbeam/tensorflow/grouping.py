"""Stages that gather elements by other rules than their order."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hornbeam.data.elements import leaves, map_leaves, pad, stack
from hornbeam.data.stages import Stage, Turn, call
from hornbeam.tensorflow.host import as_host
from hornbeam.tensorflow.ragged import RaggedTensor

__all__ = [
    "Buckets", "Chosen", "groups", "ragged_rows", "scanned", "taken_while", "unique_ones",
]  # fmt: skip

Rewrite = Callable[[Iterator[Any], Turn], Iterator[Any]]


class Chosen(Stage):
    """Elements of several stages, in an order that numbers give.

    Args:
        parts: The stages.
        numbers: Function of a turn that yields the number of the next stage.
        stop: Whether the end of one stage is the end.
    """

    def __init__(
        self, parts: Sequence[Stage], numbers: Callable[[Turn], Iterator[int]], stop: bool
    ):
        self._parts, self._numbers, self._stop = parts, numbers, stop
        self.depth = 1 + max((part.depth for part in parts), default=0)

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        elements = self._each(turn)
        for _ in range(start):
            next(elements, None)
        return elements

    def _each(self, turn: Turn) -> Iterator[Any]:
        running: list[Any] = [part.run(turn.at(i)) for i, part in enumerate(self._parts)]
        for number in self._numbers(turn):
            if running[number] is None:
                continue
            found = next(running[number], self)
            if found is not self:
                yield found
                continue
            running[number] = None
            if self._stop or not any(run is not None for run in running):
                return


def taken_while(predicate: Callable[..., Any]) -> Rewrite:
    """Return the rewriting that ends before the first element for which a function is false."""

    def rewrite(elements: Iterator[Any], turn: Turn) -> Iterator[Any]:
        for element in elements:
            if not bool(call(predicate, element)):
                return
            yield element

    return rewrite


def unique_ones(elements: Iterator[Any], turn: Turn) -> Iterator[Any]:
    """Yield the elements that differ from all before."""
    seen = set()
    for element in elements:
        key = tuple(_key(np.asarray(part)) for part in leaves(element))
        if key not in seen:
            seen.add(key)
            yield element


def _key(array: np.ndarray) -> Any:
    values = tuple(array.reshape(-1).tolist()) if array.dtype == object else array.tobytes()
    return array.dtype.str, array.shape, values


def scanned(state: Any, function: Callable[..., Any]) -> Rewrite:
    """Return the rewriting by a function of a state and an element."""

    def rewrite(elements: Iterator[Any], turn: Turn) -> Iterator[Any]:
        now = state
        for element in elements:
            found = function(now, element)
            if not isinstance(found, tuple) or len(found) != 2:
                raise TypeError(
                    "Dataset.scan: `scan_func` must return a new state and an element, received"
                    f" {found!r:.80}."
                )
            now, made = found
            yield made

    return rewrite


def groups(
    key_of: Callable[..., Any], reduce: Callable[[Any, list[Any]], Stage],
    size_of: Callable[[Any], int],
) -> Rewrite:  # fmt: skip
    """Return the rewriting of windows of elements with the same key."""

    def rewrite(elements: Iterator[Any], turn: Turn) -> Iterator[Any]:
        held: dict[int, list[Any]] = defaultdict(list)
        for element in elements:
            key = int(call(key_of, element))
            held[key].append(element)
            tensor = as_host(key, "int64")
            if len(held[key]) >= size_of(tensor):
                yield from reduce(tensor, held.pop(key)).run(turn)
        for key in sorted(held):
            yield from reduce(as_host(key, "int64"), held[key]).run(turn)

    return rewrite


class Buckets:
    """Batches of elements of similar lengths.

    Args:
        boundaries: Lengths at which another bucket begins.
        sizes: Number of elements of a batch, one more than boundaries.
        padding: Shapes and values of the padding, or `None` for none.
        to_boundary: Whether unknown sizes are filled up to the bucket's end.
        drop_remainder: Whether smaller batches at the end are left out.

    Raises:
        ValueError: If there is not one size more than boundaries.
    """

    def __init__(
        self, boundaries: list[int], sizes: list[int], padding: Any, to_boundary: bool,
        drop_remainder: bool,
    ):  # fmt: skip
        if len(sizes) != len(boundaries) + 1:
            raise ValueError(
                "Dataset.bucket_by_sequence_length: `bucket_batch_sizes` must have one number more"
                f" than `bucket_boundaries`, received {len(sizes)} and {len(boundaries)}."
            )
        self._boundaries, self._sizes = boundaries, sizes
        self._padding, self._to_boundary, self._drop = padding, to_boundary, drop_remainder

    def batches(self, length_of: Callable[..., Any]) -> Rewrite:
        """Return the rewriting of elements to batches."""

        def rewrite(elements: Iterator[Any], turn: Turn) -> Iterator[Any]:
            held: dict[int, list[Any]] = defaultdict(list)
            for element in elements:
                bucket = bisect.bisect_right(self._boundaries, int(call(length_of, element)))
                held[bucket].append(element)
                if len(held[bucket]) == self._sizes[bucket]:
                    yield self._batch(bucket, held.pop(bucket))
            if not self._drop:
                yield from (self._batch(bucket, held[bucket]) for bucket in sorted(held))

        return rewrite

    def _batch(self, bucket: int, elements: list[Any]) -> Any:
        if self._padding is None:
            return stack(elements)
        shapes, values = self._padding
        if self._to_boundary:
            if bucket == len(self._boundaries):
                raise ValueError(
                    "Dataset.bucket_by_sequence_length: an element is longer than the last"
                    " boundary, so `pad_to_bucket_boundary` has no length for it."
                )
            longest = self._boundaries[bucket] - 1
            if shapes is None:
                shapes = map_leaves(lambda a: [None] * np.ndim(a), elements[0])
            shapes = map_leaves(
                lambda _, shape: tuple(longest if n in (None, -1) else n for n in shape),
                elements[0], shapes,
            )  # fmt: skip
        return pad(elements, shapes, values)


def ragged_rows(elements: list[Any]) -> Any:
    """Return a batch of elements: ragged tensors of those with axes, others stacked."""

    def one(*parts: Any) -> Any:
        return RaggedTensor.stacked(parts) if np.ndim(parts[0]) else stack(parts)

    return map_leaves(one, *elements)
