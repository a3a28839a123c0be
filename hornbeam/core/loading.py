"""Safety rules for loading files: limits on memory and work, and no code from files."""

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
"""Bytes of memory that a file may allocate beyond its own size.

The limit is needed because a small compressed file can declare huge arrays of zeros.
"""

PART = 2**15
"""Estimated bytes of memory per traced operation, charged if a file sets their number."""

WORK = 20_000
"""Limit on the calls of layers and ops while a file is loaded. Making a layer counts as two calls.

Each call takes about a millisecond. Without a limit, a small file could cause any number of calls
with models inside models. A stack of 12 transformer blocks needs 500 calls.
"""

_current: ContextVar[Loading | None] = ContextVar("hornbeam_loading", default=None)


class Loading:
    """Rules that apply while a file or configuration is loaded.

    During loading, the initial value of a variable is made only when it is read. A variable whose
    value the file assigns is therefore allocated only once, and a variable that the file only
    declares is not allocated.

    Args:
        what: Name of the file, for error messages.
        payable: Bytes that variables and other objects may allocate. `None` means no limit.
        code: Whether the caller allows code from the file to run.
    """

    def __init__(self, what: str, payable: int | None = ALLOWANCE, code: bool = False):
        self.what, self.code, self.trusted = what, code, payable is None
        self._payable, self._lock = payable, threading.Lock()
        # A larger file may contain more layers, so its limit is higher.
        self._work = WORK + max(0, (payable or 0) - ALLOWANCE) // PART
        self._paid: set[Any] = set()

    def pay(self, nbytes: int, name: str, owner: object = None) -> None:
        """Charge memory to the file's allowance.

        Args:
            nbytes: Number of bytes.
            name: Name of the object, for the error message.
            owner: If given, only the first charge for the same owner counts.

        Raises:
            FileError: If the memory exceeds the allowance.
        """
        with self._lock:
            if self._payable is None or owner in self._paid:
                return
            if nbytes > self._payable:
                raise FileError(
                    f"{self.what}: {name} needs {nbytes} bytes of memory, but the limit for this"
                    f" file allows only {self._payable} more. If you trust the file, load it with"
                    " `safe_mode=False`."
                )
            self._payable -= nbytes
            if owner is not None:
                self._paid.add(owner)

    def count_work(self, name: str, count: int) -> None:
        """Count calls of a layer or an op, or equivalent work.

        Args:
            name: Name of the layer or op, for the error message.
            count: Number of calls.

        Raises:
            FileError: If the number of calls exceeds the limit.
        """
        if self.trusted:
            return
        with self._lock:
            self._work -= count
            if self._work < 0:
                raise FileError(
                    f"{self.what} has too many layers, or too many models inside models: loading"
                    f" it calls layers more than {WORK} times (now '{name:.80}'). If you trust the"
                    " file, load it with `safe_mode=False`."
                )


def current_loading() -> Loading | None:
    """Return the current rules, or `None` if no file is being loaded."""
    return _current.get()


@contextmanager
def loading(
    what: str, size: int | None = None, code: bool = False, trusted: bool = False
) -> Iterator[Loading]:
    """Apply the rules in a `with` block, which inherits permission to run code from outer blocks.

    Args:
        what: Name of the file, for error messages.
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
    """Return whether the user allows code from files to run, in this call or globally."""
    rules = _current.get()
    return settings.is_unsafe_deserialization_enabled() or (rules is not None and rules.code)


def pay_for(name: str, nbytes: int) -> None:
    """Charge memory to the file that is being loaded, if any.

    Constructors call it if the size of their arrays depends on an argument.

    Args:
        name: Class and argument, for the error message, e.g. ``"AUC: `num_thresholds`"``.
        nbytes: Approximate number of bytes.

    Raises:
        FileError: If the memory exceeds the file's allowance.

    Example:
        >>> pay_for("AUC: `num_thresholds`", 10**12)  # nothing is being loaded
    """
    rules = _current.get()
    if rules is not None:
        rules.pay(nbytes, name)


def count_work(name: str, count: int = 1) -> None:
    """Count calls of a layer or an op against the limit of the file that is being loaded, if any.

    Args:
        name: Name of the layer or op, for the error message.
        count: Number of calls, or equivalent work.

    Raises:
        FileError: If the number of calls exceeds the limit.

    Example:
        >>> count_work("dense")  # nothing is being loaded
    """
    rules = _current.get()
    if rules is not None:
        rules.count_work(name, count)


def refuse_from_files(name: str, value: object) -> None:
    """Raise `FileError` if a file is being loaded, for arguments that are paths of other files.

    Args:
        name: Class and argument, for the error message, e.g. `"StringLookup: \\`vocabulary\\`"`.
        value: The path in the file.

    Raises:
        FileError: If a file is being loaded.

    Example:
        >>> refuse_from_files("StringLookup: `vocabulary`", "words.txt")
    """
    rules = _current.get()
    if rules is not None:
        raise FileError(
            f"{rules.what}: {name} is the path {value!r:.200}, but model files must not refer to"
            " other files. Pass the path in your program."
        )


def refuse_slow_pattern(name: str, pattern: str) -> None:
    """Reject a regular expression from a file if matching it could take too long.

    Rejects repeated groups, backreferences, and more than three repetitions.

    Args:
        name: Class and argument, for the error message.
        pattern: The regular expression.

    Raises:
        FileError: If an untrusted file is being loaded and the pattern is rejected.

    Example:
        >>> refuse_slow_pattern("Muon: `exclude_layers`", "(a+)+$")  # nothing is being loaded
    """
    rules = _current.get()
    if rules is None or rules.trusted or not isinstance(pattern, str):
        return
    bare = re.sub(r"\\[^0-9]", "", pattern)
    # `(...)?` is allowed, but counts as one of the three repetitions.
    if re.search(r"\)[*+{]|\\[0-9]|\(\?P=", bare) or len(re.findall(r"(?<!\()[*+?{]", bare)) > 3:
        raise FileError(
            f"{rules.what}: {name} must not have repeated groups, backreferences or more than three"
            f" repetitions, received {pattern[:80]!r}, which could take forever to match. If you"
            " trust the file, load it with `safe_mode=False`."
        )
