"""Iterators that prepare their items in other threads."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["ahead", "in_threads"]


def in_threads(function: Callable[[Any], Any], items: Iterable[Any], threads: int) -> Iterator[Any]:
    """Apply a function to each item in several threads, and yield the results in order.

    An error is raised when the iteration reaches its item.

    Example:
        >>> list(in_threads(abs, [-1, 2, -3], threads=2))
        [1, 2, 3]
    """
    pool = concurrent.futures.ThreadPoolExecutor(threads, "hornbeam-data")
    waiting: collections.deque[Any] = collections.deque()
    remaining = iter(items)

    def submit(count: int) -> None:
        try:
            for item in itertools.islice(remaining, count):
                waiting.append(pool.submit(function, item))
        except Exception as error:  # raised later, after the results of earlier items
            failed: concurrent.futures.Future[Any] = concurrent.futures.Future()
            failed.set_exception(error)
            waiting.append(failed)

    try:
        submit(2 * threads)
        while waiting:
            result = waiting.popleft().result()
            submit(1)
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def ahead(items: Callable[[], Iterator[Any]], count: int) -> Iterator[Any]:
    """Yield items that a thread reads up to `count` items ahead.

    Args:
        items: Function that returns the iterator. The thread calls it.
        count: Maximum number of items in the queue.

    Example:
        >>> list(ahead(lambda: iter([1, 2, 3]), count=2))
        [1, 2, 3]
    """
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(count)
    stopped = threading.Event()

    def put(kind: str, value: Any) -> bool:
        while not stopped.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in items():
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    threading.Thread(target=read, name="hornbeam-prefetch", daemon=True).start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
