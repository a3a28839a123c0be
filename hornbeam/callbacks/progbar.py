"""A progress bar on one line."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Progbar"]


class Progbar:
    """Shows how far a loop is, and values beside it.

    Args:
        target: Number of steps, `None` where unknown.
        width: Width of the bar in characters.
        verbose: 0 silent, 1 a bar, 2 one line at the end.
        interval: Least seconds between two drawings.
        stateful_metrics: Kept for Keras's signature: values are shown as they are given.
        unit_name: Word for a step.

    Example:
        >>> Progbar(2, verbose=0).update(1)
    """

    def __init__(
        self, target: int | None, width: int = 20, verbose: int = 1, interval: float = 0.1,
        stateful_metrics: Sequence[str] | None = None, unit_name: str = "step",
    ):  # fmt: skip
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name = unit_name
        self._start = time.perf_counter()
        self._drawn = 0.0
        self._length = 0
        self._seen = 0

    def due(self) -> bool:
        """Return whether `interval` has passed since the last drawing."""
        return self.verbose == 1 and time.perf_counter() - self._drawn >= self.interval

    def update(
        self,
        current: int,
        values: Sequence[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Show step `current` and `values`; `finalize` ends the line (by default at the target)."""
        self._seen = current
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if (
            self.verbose == 0
            or (self.verbose == 2 and not finalize)
            or (not finalize and not self.due())
        ):
            return
        self._drawn = time.perf_counter()
        elapsed = self._drawn - self._start
        shown = "".join(f" - {name}: {_number(value)}" for name, value in values or ())
        total = self.target if self.target is not None else "?"
        count = f"{current}/{total}".rjust(2 * len(str(total)) + 1)
        bar = ""
        if self.verbose == 1 and self.target:
            full = min(self.width, int(self.width * current / self.target))
            bar = " " + "━" * full + " " * (self.width - full)
        pace = f"{_time(elapsed / max(current, 1))}/{self.unit_name}"
        left = ""
        if not finalize and self.target:
            left = f" {_clock(elapsed / max(current, 1) * (self.target - current))}"
        line = f"{count}{bar}{left or f' {_clock(elapsed)}'} {pace}{shown}"
        if self.verbose == 1:
            # Blank out what a longer line left behind.
            padding = " " * max(0, self._length - len(line))
            sys.stdout.write(f"\r{line}{padding}" + ("\n" if finalize else ""))
            self._length = 0 if finalize else len(line)
        else:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def add(self, n: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """Go on by `n` steps."""
        self.update(self._seen + n, values)


def _number(value: Any) -> str:
    if np.ndim(value):
        return np.array2string(np.asarray(value), precision=4, threshold=6)
    value = float(value)
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


def _time(seconds: float) -> str:
    for size, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds * 1e6:.0f}us"


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
