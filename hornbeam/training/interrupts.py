"""Signals during a loop: Ctrl-C and SIGTERM wait for a whole step."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from hornbeam.core.placement import current_team
from hornbeam.training.resume import Terminated

__all__ = ["Interrupts"]


class Interrupts:
    """Delay Ctrl-C while the results of a step are stored, so that the state is never half new.

    A signal to one of several processes that train together acts in all of them, after the same
    step: they tell each other when they meet. A second Ctrl-C acts at once.

    Args:
        on_terminate: Whether SIGTERM waits too, until the loop has made its backup.

    Attributes:
        on_terminate: Whether it does: only the main thread can handle signals, and only if the
            process does not ignore them.
        terminated: Whether SIGTERM came, to any of several processes.
    """

    def __init__(self, on_terminate: bool = False) -> None:
        self._held = self._pending = self._terminated = False
        self._team = current_team()
        self._before: Any = None
        self._before_terminate: Any = None
        self.on_terminate = on_terminate

    @property
    def terminated(self) -> bool:
        return self._terminated if self._team is None else "terminate" in self._team.agreed

    def _take_interrupt(self) -> bool:
        """Return whether Ctrl-C came during the block that ends, and forget it."""
        if self._team is None:
            pending, self._pending = self._pending, False
            return pending
        if "interrupt" not in self._team.agreed:
            return False
        self._team.agreed.discard("interrupt")
        self._team.asked.discard("interrupt")
        return True

    def __enter__(self) -> Interrupts:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main:
            self._before = signal.getsignal(signal.SIGINT)
            if callable(self._before):
                signal.signal(signal.SIGINT, self._handle)
            else:
                self._before = None
        before = signal.getsignal(signal.SIGTERM)
        self.on_terminate = self.on_terminate and in_main and before not in (None, signal.SIG_IGN)
        if self.on_terminate:
            self._before_terminate = before
            signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(self, kind: Any, *exc: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if not self.on_terminate:
            return
        signal.signal(signal.SIGTERM, self._before_terminate)
        if self.terminated and kind in (None, Terminated):
            if callable(self._before_terminate):  # the user's own
                self._before_terminate(signal.SIGTERM, None)
            raise SystemExit(128 + signal.SIGTERM)

    def _handle(self, number: int, frame: Any) -> None:
        if self._team is not None and "interrupt" not in self._team.asked:
            self._team.asked.add("interrupt")
        elif self._held and self._team is None:
            self._pending = True
        else:
            self._before(number, frame)

    def _terminate(self, number: int, frame: Any) -> None:
        if self._terminated:  # a second SIGTERM: end at once
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        self._terminated = True
        if self._team is not None:
            self._team.asked.add("terminate")

    def held(self) -> _Held:
        """Return a context manager that delays Ctrl-C to the end of its block."""
        return _Held(self)


class _Held:
    """A block whose end Ctrl-C waits for."""

    def __init__(self, interrupts: Interrupts):
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts._held = True

    def __exit__(self, *exc: object) -> None:
        self._interrupts._held = False
        if self._interrupts._take_interrupt():
            raise KeyboardInterrupt
