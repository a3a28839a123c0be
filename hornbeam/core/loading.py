"""Rules for loading files: lazy initial values, a memory limit, and no code from files."""

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
"""Bytes of memory that a file may claim beyond its own size. Zeros take no room in a compressed
file.
"""

PART = 2**15
"""Estimated bytes of memory of one traced operation, charged where a file chooses the number of
operations.
"""

WORK = 20_000
"""Calls of layers and ops that the loading of a file may make. To make a layer counts as two.

Each takes about a millisecond. A small file could make any number of them by models inside models.
A stack of 12 transformer blocks takes 500.
"""

_current: ContextVar[Loading | None] = ContextVar("hornbeam_loading", default=None)


class Loading:
    """The rules while one file or configuration is loaded.

    The first value of a variable is made when it is read. So a value that the file then assigns is
    allocated once, and a variable that it only declares is not allocated.

    Args:
        what: Name of the file, for messages.
        payable: Bytes that variables and other objects may claim; `None` for any number.
        code: Whether the caller allows code from the file to run.
    """

    def __init__(self, what: str, payable: int | None = ALLOWANCE, code: bool = False):
        self.what, self.code, self.trusted = what, code, payable is None
        self._payable, self._lock = payable, threading.Lock()
        # A file of gigabytes holds the weights of more layers than the allowance has bytes.
        self._work = WORK + max(0, (payable or 0) - ALLOWANCE) // PART
        self._paid: set[Any] = set()

    def pay(self, nbytes: int, name: str, owner: object = None) -> None:
        """Charge memory to the file's allowance.

        Args:
            nbytes: Bytes.
            name: Name of the object, for the message.
            owner: If given, later charges of the same owner are free.

        Raises:
            FileError: If that exceeds the allowance.
        """
        with self._lock:
            if self._payable is None or owner in self._paid:
                return
            if nbytes > self._payable:
                raise FileError(
                    f"{self.what}: {name} takes {nbytes} bytes, and the file pays for"
                    f" {self._payable} more. If you trust the file, load it with `safe_mode=False`."
                )
            self._payable -= nbytes
            if owner is not None:
                self._paid.add(owner)

    def count_work(self, name: str, count: int) -> None:
        """Count calls of a layer or an op, or work that takes as long.

        Args:
            name: Its name, for the message.
            count: Number of calls.

        Raises:
            FileError: If the file makes too many.
        """
        if self.trusted:
            return
        with self._lock:
            self._work -= count
            if self._work < 0:
                raise FileError(
                    f"{self.what} has too many layers, or models too often inside models: to load"
                    f" it, layers are called more than {WORK} times (now '{name:.80}'). If you"
                    " trust the file, load it with `safe_mode=False`."
                )


def current_loading() -> Loading | None:
    """Return the rules in force, or `None` if no file is being loaded."""
    return _current.get()


@contextmanager
def loading(
    what: str, size: int | None = None, code: bool = False, trusted: bool = False
) -> Iterator[Loading]:
    """Apply the rules inside the block. Permission to run code is inherited from an outer block.

    Args:
        what: Name of the file, for messages.
        size: Size of the file in bytes, added to the allowance. Default: 0.
        code: Whether the caller allows code from the file to run.
        trusted: Whether memory and work are unlimited.
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
    """Return whether the user allows code from files to run, for this call or for the process."""
    rules = _current.get()
    return settings.is_unsafe_deserialization_enabled() or (rules is not None and rules.code)


def pay_for(name: str, nbytes: int) -> None:
    """Charge memory to the file that is being loaded: for constructors that allocate by a number.

    Args:
        name: Class and argument for the message, such as ``"AUC: `num_thresholds`"``.
        nbytes: Bytes, about.

    Raises:
        FileError: If that exceeds the file's allowance.

    Example:
        >>> pay_for("AUC: `num_thresholds`", 10**12)  # nothing is being loaded
    """
    rules = _current.get()
    if rules is not None:
        rules.pay(nbytes, name)


def count_work(name: str, count: int = 1) -> None:
    """Count calls of a layer or an op against the limit of the file that is being loaded.

    Args:
        name: Its name, for the message.
        count: Number of calls, or of work that takes as long.

    Raises:
        FileError: If the file makes too many.

    Example:
        >>> count_work("dense")  # nothing is being loaded
    """
    rules = _current.get()
    if rules is not None:
        rules.count_work(name, count)


def refuse_from_files(name: str, value: object) -> None:
    """Raise `FileError` if a file is being loaded: for arguments that are paths of other files.

    Args:
        name: Class and argument for the message, such as `"StringLookup: \\`vocabulary\\`"`.
        value: The path that the file gives.

    Raises:
        FileError: If a file is being loaded.

    Example:
        >>> refuse_from_files("StringLookup: `vocabulary`", "words.txt")
    """
    rules = _current.get()
    if rules is not None:
        raise FileError(
            f"{rules.what}: {name} is the path {value!r:.200}. A model file may not name other"
            " files; give the path in your program."
        )


def refuse_slow_pattern(name: str, pattern: str) -> None:
    """Refuse a regular expression from a file whose matching could take for ever.

    Such expressions have repeated groups, references back or more than three repetitions.

    Args:
        name: Class and argument for the message.
        pattern: The expression.

    Raises:
        FileError: If a file that is not trusted is being loaded and the pattern is such a one.

    Example:
        >>> refuse_slow_pattern("Muon: `exclude_layers`", "(a+)+$")  # nothing is being loaded
    """
    rules = _current.get()
    if rules is None or rules.trusted or not isinstance(pattern, str):
        return
    bare = re.sub(r"\\[^0-9]", "", pattern)
    # `(...)?` is allowed; it counts as one of the three.
    if re.search(r"\)[*+{]|\\[0-9]|\(\?P=", bare) or len(re.findall(r"(?<!\()[*+?{]", bare)) > 3:
        raise FileError(
            f"{rules.what}: {name} holds the pattern {pattern[:80]!r}, which could take for ever to"
            " compare. Expected no repeated groups and at most three repetitions. If you trust the"
            " file, load it with `safe_mode=False`."
        )
