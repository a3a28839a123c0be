"""`OrderedEnqueuer` and `GeneratorEnqueuer` of Keras 2: batches made by threads ahead of time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["GeneratorEnqueuer", "OrderedEnqueuer", "SequenceEnqueuer"]


class SequenceEnqueuer:
    """The base of enqueuers.

    Args:
        sequence: A `Sequence`, or for a `GeneratorEnqueuer` a generator.
        use_multiprocessing: Without effect: threads make the batches.
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False):
        self.sequence, self.use_multiprocessing = sequence, use_multiprocessing
        self.queue: queue.Queue[Any] | None = None
        self.stop_signal = threading.Event()
        self._threads: list[threading.Thread] = []

    def is_running(self) -> bool:
        """Return whether batches are made."""
        return bool(self._threads) and not self.stop_signal.is_set()

    def start(self, workers: int = 1, max_queue_size: int = 10) -> None:
        """Start to make batches.

        Args:
            workers: Number of threads.
            max_queue_size: Number of batches that wait at most.
        """
        self.queue = queue.Queue(max_queue_size)
        self.stop_signal.clear()
        self._threads = [threading.Thread(target=self._run, args=(workers,), daemon=True)]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Stop, and wait for the threads.

        Args:
            timeout: Longest time to wait in seconds. Default: no limit.
        """
        self.stop_signal.set()
        for thread in self._threads:
            thread.join(timeout)
        self._threads = []

    def get(self) -> Iterator[Any]:
        """Yield the batches. An error in a thread is raised here."""
        while self.is_running():
            assert self.queue is not None
            try:
                kind, batch = self.queue.get(timeout=0.05)
            except queue.Empty:
                continue
            if kind == "error":
                self.stop()
                raise batch
            if kind == "end":
                self.stop()
                return
            yield batch

    def _run(self, workers: int) -> None:
        try:
            for batch in self._batches():
                if not self._put(("batch", batch)):
                    return
            self._put(("end", None))
        except Exception as error:
            self._put(("error", error))

    def _put(self, item: tuple[str, Any]) -> bool:
        assert self.queue is not None
        while not self.stop_signal.is_set():
            try:
                self.queue.put(item, timeout=0.05)
                return True
            except queue.Full:
                continue
        return False

    def _batches(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__}: use `OrderedEnqueuer`.")


class OrderedEnqueuer(SequenceEnqueuer):
    """Yields the batches of a `Sequence` in order, pass after pass, without an end.

    Args:
        sequence: The `Sequence`.
        use_multiprocessing: Without effect: a thread makes the batches.
        shuffle: Whether each pass has an order of its own.

    Example:
        >>> enqueuer = OrderedEnqueuer([10, 20])
        >>> enqueuer.start(); batches = enqueuer.get()
        >>> [next(batches) for _ in range(3)]
        [10, 20, 10]
        >>> enqueuer.stop()
    """

    def __init__(self, sequence: Any, use_multiprocessing: bool = False, shuffle: bool = False):
        super().__init__(sequence, use_multiprocessing)
        self.shuffle = shuffle

    def _batches(self) -> Iterator[Any]:
        order = np.arange(len(self.sequence))
        while True:
            if self.shuffle:
                np.random.shuffle(order)
            for number in order:
                yield self.sequence[int(number)]
            if hasattr(self.sequence, "on_epoch_end"):
                self.sequence.on_epoch_end()


class GeneratorEnqueuer(SequenceEnqueuer):
    """Yields the batches of a generator, which a thread reads ahead.

    Args:
        generator: The generator.
        use_multiprocessing: Without effect: a thread reads the generator.
        random_seed: Without effect.

    Example:
        >>> enqueuer = GeneratorEnqueuer(iter([1, 2]))
        >>> enqueuer.start(); list(enqueuer.get())
        [1, 2]
    """

    def __init__(
        self, generator: Any, use_multiprocessing: bool = False, random_seed: int | None = None
    ):
        super().__init__(generator, use_multiprocessing)
        self.random_seed = random_seed

    def _batches(self) -> Iterator[Any]:
        return iter(self.sequence)
