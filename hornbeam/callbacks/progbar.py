"""A progress bar on one line."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbeam.callbacks.notebook_bar import Page, in_notebook
from hornbeam.settings import is_interactive_logging_enabled

__all__ = ["Progbar", "write_line"]


class Progbar:
    """Shows how far a loop is, and values beside it.

    A notebook shows it as HTML, in one place of the page.

    Args:
        target: Number of steps, `None` where unknown.
        width: Width of the bar in characters.
        verbose: 0 silent, 1 a bar, 2 one line at the end.
        interval: Least seconds between two drawings. With `verbose=2`, lines come at the end only,
            unless an interval of a second or more is given.
        stateful_metrics: Names of values that are shown as they are given. Of the others, the mean
            over the steps so far is shown, and at the end the last value. Default: none.
        stateless_metrics: Names of the values whose mean is shown; the others are shown as they
            are given. Only one of both lists may be given.
        unit_name: Word for a step.

    Raises:
        ValueError: If both lists are given.

    Example:
        >>> Progbar(2, verbose=0).update(1)
    """

    def __init__(
        self, target: int | None, width: int = 20, verbose: int = 1, interval: float = 0.05,
        stateful_metrics: Sequence[str] | None = None,
        stateless_metrics: Sequence[str] | None = None, unit_name: str = "step",
    ):  # fmt: skip
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Progbar: expected one of `stateful_metrics` or `stateless_metrics`, received both."
                " Leave one out."
            )
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name = unit_name
        self._as_given, self._averaged = stateful_metrics, stateless_metrics
        self._values: dict[str, tuple[Any, float]] = {}  # the sum over steps, and their number
        self.page: Page | None = None  # where a notebook shows the bar; made when it is needed
        self._start = time.perf_counter()
        # A long interval is one between lines, of which none is wanted at once.
        self._drawn = self._start if interval >= 1 else 0.0
        self._length = 0
        self._seen = 0
        self._first: tuple[float, int] | None = None  # when the first step was done, and its number

    def due(self) -> bool:
        """Return whether `interval` has passed since the last drawing."""
        by_line = self.verbose == 2 or not is_interactive_logging_enabled()
        draws = self.verbose != 0 and (not by_line or self.interval >= 1)
        return draws and time.perf_counter() - self._drawn >= self.interval

    def update(
        self,
        current: int,
        values: Sequence[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Show step `current` and `values`; `finalize` ends the line (by default at the target)."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        self._remember(current - self._seen, values or (), finalize)
        self._seen = current
        self.note(current)
        if self.verbose == 0 or (not finalize and not self.due()):
            return
        self._drawn = now = time.perf_counter()
        elapsed = now - self._start
        shown = [f"{name}: {_number(value, n)}" for name, (value, n) in self._values.items()]
        total = self.target if self.target is not None else "?"
        count = f"{current}/{total}".rjust(2 * len(str(total)) + 1)
        pace = elapsed / max(current, 1) if finalize else self._pace(now, current)
        speed = f"{_time(pace)}/{self.unit_name}"
        if self.verbose == 2 or not is_interactive_logging_enabled():
            write_line(" - ".join([count, _clock(elapsed), speed, *shown]))
        else:
            clock = _clock(elapsed)
            if not finalize and self.target:
                clock = _clock(pace * (self.target - current)) if self._paced(current) else ""
            clock = f" {clock}" if clock else ""
            bar = "" if in_notebook() else self._bar(current)
            self._draw([f"{count}{bar}{clock} {speed}", *shown], finalize)
        sys.stdout.flush()

    def _remember(self, steps: int, values: Sequence[tuple[str, Any]], last: bool) -> None:
        """Add values of some steps to those before them."""
        for name, value in values:
            as_given = (
                name not in self._averaged
                if self._averaged is not None
                else name in (self._as_given or ())
            )
            if as_given or last or not _is_number(value):
                self._values[name] = (value, 1)
            else:
                total, number = self._values.get(name, (0.0, 0))
                weight = max(steps, 1)
                self._values[name] = (total + value * weight, number + weight)

    def note(self, current: int) -> None:
        """Note that step `current` is done. The time until the first note, in which programs are
        compiled, does not count for the time left.
        """
        if self._first is None:
            self._first = (time.perf_counter(), current)

    def _paced(self, current: int) -> bool:
        return self._first is not None and current > self._first[1]

    def _pace(self, now: float, current: int) -> float:
        """Return the time of a step."""
        if self._first is None or current <= self._first[1]:
            return (now - self._start) / max(current, 1)
        return (now - self._first[0]) / (current - self._first[1])

    def _bar(self, current: int) -> str:
        if not self.target:
            return ""
        full = min(self.width, int(self.width * current / self.target))
        return " " + "━" * full + " " * (self.width - full)

    def _draw(self, parts: list[str], finalize: bool) -> None:
        """Draw over the line; in a terminal, no line is wider than it."""
        if in_notebook():
            self.page = self.page or Page()
            self.page.show(" - ".join(parts), self._seen, self.target, finalize)
            return
        lines = [" - ".join(parts)]
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            lines = _filled(parts, width) if finalize else [lines[0][:width]]
        elif self.interval >= 1:  # a file: a line now and then, none of which is drawn over
            sys.stdout.write(f"{lines[0]}\n")
            return
        # Blank out what a longer line left behind.
        padding = " " * max(0, self._length - len(lines[0]))
        sys.stdout.write(f"\r{lines[0]}{padding}" + "".join(f"\n{line}" for line in lines[1:]))
        sys.stdout.write("\n" if finalize else "")
        self._length = 0 if finalize else len(lines[0])

    def add(self, n: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """Go on by `n` steps."""
        self.update(self._seen + n, values)


def _filled(parts: list[str], width: int) -> list[str]:
    """Join parts to lines that are not wider than `width`, if no part is."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 3 + len(part) <= width:
            lines[-1] += f" - {part}"
        else:
            lines.append(f"    {part}")
    return lines


def write_line(text: str) -> None:
    """Print a line, or log it, after `disable_interactive_logging`."""
    if is_interactive_logging_enabled():
        sys.stdout.write(f"{text}\n")
    else:
        logging.getLogger("hornbeam").info(text)


def _is_number(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and value is not None


def _number(total: Any, steps: float) -> str:
    """Return a mean as text, and what is no number as it is."""
    if not _is_number(total):
        return str(total)
    value = total if steps == 1 else np.asarray(total) / steps
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
