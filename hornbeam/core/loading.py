"""What holds while a file is being loaded: values are made late, room is paid for, code is refused."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from hornbeam import settings
from hornbeam.errors import FileError

__all__ = [
    "ALLOWANCE",
    "PART",
    "WORK",
    "Loading",
    "code_allowed",
    "count_work",
    "current_loading",
    "loading",
    "pay_for",
    "refuse_from_files",
]

ALLOWANCE = 64 * 2**20
"""Bytes that a file may claim beyond its own size: zeros take no room in a file, but in memory."""

PART = 2**15
"""What one traced operation costs, about: files that ask for many are charged so much for each."""

WORK = 20_000
"""Calls of layers and ops that loading a file may make, a layer that is made counted as two: each takes about a millisecond, and
a file of a few thousand bytes could ask for any number by models inside models. A stack of 12 transformer blocks takes 500."""

_current: ContextVar[Loading | None] = ContextVar("hornbeam_loading", default=None)


class Loading:
    """The rules for what a file or a configuration makes.

    Variables made meanwhile get their first value when it is read: what a file then assigns was never
    allocated twice, and what it only declares is not allocated at all.

    Args:
        what: Name of the file for messages.
        payable: Bytes that values of variables may take; `None` for any number.
        code: Whether the caller allowed code from the file to run.
    """

    def __init__(self, what: str, payable: int | None = ALLOWANCE, code: bool = False):
        self.what, self.code, self.trusted = what, code, payable is None
        self._payable, self._lock = payable, threading.Lock()
        # A file of gigabytes holds the weights of more layers than the allowance has bytes.
        self._work = WORK + max(0, (payable or 0) - ALLOWANCE) // PART
        self._paid: set[Any] = set()

    def pay(self, nbytes: int, name: str, owner: Any = None) -> None:
        """Take `nbytes` from what the file may claim; an owner that is given pays once.

        Raises:
            FileError: If that is more than the file pays for.
        """
        with self._lock:
            if self._payable is None or owner in self._paid:
                return
            if nbytes > self._payable:
                raise FileError(
                    f"{self.what}: {name} takes {nbytes} bytes, and the file pays for {self._payable} "
                    "more. If you trust the file, load it with `safe_mode=False`."
                )
            self._payable -= nbytes
            if owner is not None:
                self._paid.add(owner)

    def count_work(self, name: str, count: int) -> None:
        """Count calls of a layer or an op, or what is as much work.

        Raises:
            FileError: If there were too many.
        """
        if self.trusted:
            return
        with self._lock:
            self._work -= count
            if self._work < 0:
                raise FileError(
                    f"{self.what} has too many layers, or models too often inside models: to load it, layers are called more than "
                    f"{WORK} times (now '{name:.80}'). If you trust the file, load it with `safe_mode=False`."
                )


def current_loading() -> Loading | None:
    """Return the rules that hold now, or `None` where nothing is being loaded."""
    return _current.get()


@contextmanager
def loading(what: str, size: int | None = None, code: bool = False, trusted: bool = False) -> Iterator[Loading]:
    """Apply the rules inside the block; an outer block's permission to run code goes on.

    Args:
        what: Name of the file for messages.
        size: Bytes of the file. Default: it pays for nothing beyond the allowance.
        code: Whether the caller allowed code from the file to run.
        trusted: Whether variables may take any room.
    """
    outer = _current.get()
    code = code or (outer is not None and outer.code)
    rules = Loading(what, None if trusted else (size or 0) + ALLOWANCE, code)
    token = _current.set(rules)
    try:
        yield rules
    finally:
        _current.reset(token)


def code_allowed() -> bool:
    """Tell whether the user allowed code from files to run: for this call, or for the process."""
    rules = _current.get()
    return settings.is_unsafe_deserialization_enabled() or (rules is not None and rules.code)


def pay_for(name: str, nbytes: int) -> None:
    """Take room from what a file that is being loaded may claim: for what its numbers make objects allocate.

    Args:
        name: Class and argument for the message, such as ``"AUC: `num_thresholds`"``.
        nbytes: About how many bytes.

    Raises:
        FileError: If the file does not pay for them.

    Example:
        >>> pay_for("AUC: `num_thresholds`", 10**12)  # nothing is being loaded
    """
    rules = _current.get()
    if rules is not None:
        rules.pay(nbytes, name)


def count_work(name: str, count: int = 1) -> None:
    """Count calls of a layer or an op towards what a file that is being loaded may ask for.

    Args:
        name: Its name, for the message.
        count: How many, or how much work it is.

    Raises:
        FileError: If there were too many.

    Example:
        >>> count_work("dense")  # nothing is being loaded
    """
    rules = _current.get()
    if rules is not None:
        rules.count_work(name, count)


def refuse_from_files(name: str, value: object) -> None:
    """Raise `FileError` where a file is being loaded: for arguments that would read another file.

    Args:
        name: Class and argument for the message, such as `"StringLookup: \\`vocabulary\\`"`.
        value: What the file gave.

    Example:
        >>> refuse_from_files("StringLookup: `vocabulary`", "words.txt")
    """
    rules = _current.get()
    if rules is not None:
        raise FileError(
            f"{rules.what}: {name} is the path {value!r:.200}. A model file may not name other files; give the path in "
            "your program."
        )


def refuse_slow_pattern(name: str, pattern: Any) -> None:
    """Refuse a regular expression from a file that could take for ever: repeated groups, many repetitions, references back.

    Args:
        name: Class and argument for the message.
        pattern: The expression.

    Raises:
        FileError: If a file that is being loaded says so, unless the user trusts it.

    Example:
        >>> refuse_slow_pattern("Muon: `exclude_layers`", "(a+)+$")  # nothing is being loaded
    """
    rules = _current.get()
    if rules is None or rules.trusted or not isinstance(pattern, str):
        return
    bare = re.sub(r"\\[^0-9]", "", pattern)
    # `(...)?` is no repetition; it counts as one of the three.
    if re.search(r"\)[*+{]|\\[0-9]|\(\?P=", bare) or len(re.findall(r"(?<!\()[*+?{]", bare)) > 3:
        raise FileError(
            f"{rules.what}: {name} holds the pattern {pattern[:80]!r}, which could take for ever to compare. Expected no repeated "
            "groups and at most three repetitions. If you trust the file, load it with `safe_mode=False`."
        )
