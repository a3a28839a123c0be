"""`PyDataset`: batches made by index, prepared ahead by threads or processes."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import functools
import itertools
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["PyDataset", "Reader"]

_PATIENCE = 1.0  # seconds to wait for a batch before the processes are looked at


class PyDataset:
    """Base class of data sets whose batches are made by Python code, each by its index.

    Subclasses implement `__getitem__(index)`, which returns `(x, y)` or `(x, y, sample_weight)`,
    and `__len__`, which returns the number of batches. Instead of `__len__`, they may implement the
    property `num_batches`, where `None` means endless. Keras 2 calls this class `Sequence`.

    Args:
        workers: Number of threads or processes that prepare batches ahead. With 1 and no
            multiprocessing, each batch is made when it is needed, while the device computes.
        use_multiprocessing: Whether the workers are processes instead of threads. Use processes for
            a `__getitem__` that holds Python's global interpreter lock. The data set must then be
            picklable, and the script's main part must be under `if __name__ == "__main__":`.
        max_queue_size: Maximum number of batches that are prepared ahead, but at least one per
            worker.

    Raises:
        ValueError: If `workers` or `max_queue_size` is not a non-negative integer.

    Example:
        >>> import numpy as np
        >>> class Squares(PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...     def __getitem__(self, index):
        ...         return np.full((2, 1), index), np.full((2, 1), index ** 2)
        >>> Squares(workers=2).num_batches
        3
    """

    # A subclass written for Keras 2's `Sequence` may not call this class's constructor.
    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ):
        for name, value in (("workers", workers), ("max_queue_size", max_queue_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(
                    f"{type(self).__name__}: `{name}` must be a non-negative integer, received"
                    f" {value!r}."
                )
        self.workers, self.use_multiprocessing = workers, bool(use_multiprocessing)
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Return the batch at index `index`."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `__getitem__(self, index)`."
        )

    @property
    def num_batches(self) -> int | None:
        """The number of batches in an epoch, or `None` if the data set is endless."""
        if not hasattr(self, "__len__"):
            raise NotImplementedError(
                f"{type(self).__name__} must implement `__len__(self)`, the number of batches, or"
                " `num_batches`."
            )
        return len(self)

    def on_epoch_begin(self) -> None:
        """Called before the first batch of an epoch is made."""

    def on_epoch_end(self) -> None:
        """Called after an epoch, for example to shuffle."""


class Reader:
    """Reader of the batches of a `PyDataset`, in order and prepared ahead by its workers.

    Args:
        dataset: The data set.

    Example:
        >>> class Numbers(PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...     def __getitem__(self, index):
        ...         return index
        >>> reader = Reader(Numbers(workers=2))
        >>> list(reader.batches(start=1)); reader.close()
        [1, 2]
    """

    def __init__(self, dataset: PyDataset):
        self._dataset = dataset
        self._pool: Any = None
        self._is_broken = False
        self._sent: str | None = None  # the file of the pickled data set
        self._number = 0

    def batches(self, start: int = 0) -> Iterator[Any]:
        """Return an iterator over the batches of an epoch, from batch `start` on.

        An error in a worker is raised when the batch is read.
        """
        self._dataset.on_epoch_begin()
        return self._batches(start)

    def _batches(self, start: int) -> Iterator[Any]:
        data, count = self._dataset, self._dataset.num_batches
        indices = iter(range(start, count)) if count is not None else itertools.count(start)
        if data.workers <= 1 and not data.use_multiprocessing:
            yield from (data[i] for i in indices)
            return
        submit = self._processes() if data.use_multiprocessing else self._threads()
        ready: collections.deque[Any] = collections.deque()
        try:
            for index in itertools.islice(indices, max(data.max_queue_size, data.workers)):
                ready.append(submit(index))
            while ready:
                batch = self._result(ready.popleft())
                for index in itertools.islice(indices, 1):
                    ready.append(submit(index))
                yield batch
        finally:
            if not self._is_broken:  # the pool's thread sets the errors of the others
                for future in ready:
                    future.cancel()

    def close(self) -> None:
        """Stop the workers."""
        if self._pool is not None:
            processes = _processes_of(self._pool)
            self._is_broken = False
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
            for process in processes:  # they may be making a batch that is no longer needed
                process.terminate()
        if self._sent is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._sent)
            self._sent = None

    def _threads(self) -> Any:
        if self._pool is None:
            self._pool = concurrent.futures.ThreadPoolExecutor(
                self._dataset.workers, "hornbeam-data"
            )
        pool, data = self._pool, self._dataset
        return lambda index: pool.submit(data.__getitem__, index)

    def _processes(self) -> Any:
        data = self._dataset
        if self._pool is None:
            # "spawn", because forking a process with JAX's threads can deadlock.
            self._pool = concurrent.futures.ProcessPoolExecutor(
                max(data.workers, 1),
                multiprocessing.get_context("spawn"),
                initializer=_live_with_parent,
            )
        changes = any(
            getattr(type(data), hook) is not getattr(PyDataset, hook) for hook in EPOCH_HOOKS
        )
        if self._sent is None or changes:
            self._send()
        pool, place, number = self._pool, self._sent, self._number

        def submit(index: int) -> Any:
            try:
                return pool.submit(_make_batch, place, number, index)
            except concurrent.futures.BrokenExecutor as error:
                raise self._death() from error

        return submit

    def _send(self) -> None:
        """Pickle the data set to the file from which the worker processes load it."""
        try:
            text = pickle.dumps(self._dataset)
        except Exception as error:
            raise ValueError(
                f"{type(self._dataset).__name__}: `use_multiprocessing` needs a data set that can"
                f" be pickled, but pickling failed: {error}. Define the class at the top level of a"
                " module, open files in `__getitem__`, or use threads"
                " (`use_multiprocessing=False`)."
            ) from error
        if self._sent is None:
            handle, self._sent = tempfile.mkstemp(prefix="hornbeam-data-")
            os.close(handle)
        with open(f"{self._sent}.new", "wb") as file:
            file.write(text)
        os.replace(f"{self._sent}.new", self._sent)
        self._number += 1

    def _result(self, future: Any) -> Any:
        """Return the batch of a future; raise an error if a process has died, at once."""
        while True:
            try:
                return future.result(timeout=_PATIENCE)
            except concurrent.futures.BrokenExecutor as error:
                raise self._death() from error
            except TimeoutError:
                if future.done():  # `__getitem__` raised it
                    raise
                self._end_half_a_message()

    def _end_half_a_message(self) -> None:
        """Let the pool know if a process died while it sent a batch.

        The pool's thread waits for the rest as long as somebody could write it.
        """
        processes = _processes_of(self._pool)
        if self._is_broken or not any(p.exitcode is not None for p in processes):
            return
        time.sleep(_PATIENCE)  # usually the pool itself notices the death
        if not getattr(self._pool, "_broken", False):
            self._is_broken = True
            for process in processes:
                process.terminate()
            functools.reduce(getattr, ("_result_queue", "_writer"), self._pool).close()

    def _death(self) -> RuntimeError:
        """Return the error for a process that ended, with how it ended."""
        self._is_broken = True
        codes: list[int] = []
        for _ in range(100):  # another thread may be reading the code
            found = {p.exitcode for p in _processes_of(self._pool)}
            codes = sorted(found - {None, 0, -signal.SIGTERM})  # the pool itself ends the others
            if codes:
                break
            time.sleep(0.01)
        code = f" (exit code {codes[0]})" if codes else ""
        killed = (
            " The system kills processes when memory runs out: use fewer `workers`."
            if -signal.SIGKILL in codes
            else ""
        )
        return RuntimeError(
            f"{type(self._dataset).__name__}: a worker process ended unexpectedly{code}.{killed}"
            " Each worker imports the script, so put its main part under `if __name__ =="
            ' "__main__":`.'
        )


def _processes_of(pool: Any) -> list[Any]:
    return list((getattr(pool, "_processes", None) or {}).values())


EPOCH_HOOKS = ("on_epoch_begin", "on_epoch_end")
# In a worker process: the version number of the data set that was received, and the data set.
_received: tuple[int, Any] = (-1, None)


def _live_with_parent() -> None:
    """Exit this worker process when its parent ends, and leave Ctrl-C to the parent.

    Without its parent, a worker would wait for work forever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="hornbeam-parent", daemon=True).start()


def _make_batch(place: str, number: int, index: int) -> Any:
    global _received
    if _received[0] != number:
        with open(place, "rb") as file:
            # Safe to unpickle: the parent wrote the file, and only this user can access it.
            _received = (number, pickle.load(file))
    return _received[1][index]
