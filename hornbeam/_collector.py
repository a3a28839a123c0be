"""Python's garbage collector, paused while Hornbeam is imported."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

__all__ = ["collector_paused"]


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Return a context in which Python does not look for garbage.

    An import creates hundreds of thousands of objects and hardly any garbage. The collector runs
    again and again meanwhile, and takes a third of the time of the import. After it, the objects
    count as old, so the next collection of young objects need not look at them either.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            if not gc.get_freeze_count():  # else the user froze objects, which must stay frozen
                gc.freeze()
                gc.unfreeze()  # moves what is frozen to the oldest generation
            gc.enable()
