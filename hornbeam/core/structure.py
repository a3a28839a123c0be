"""The version of the structure of all layers, by which caches see that they are stale."""

from __future__ import annotations

import threading

__all__ = ["StructureVersion", "rules_version", "structure_version"]


class StructureVersion:
    """A count of the changes to the parts, settings and `trainable` switches of all layers.

    A cache of what follows from the structure keeps the version that it was made with. While the
    version is the same, the cache is valid. To read it takes no lock, since it is read with every
    prediction.

    Example:
        >>> version = StructureVersion()
        >>> version.advance(); version.number
        1
    """

    __slots__ = ("_lock", "number")

    def __init__(self) -> None:
        self.number = 0
        self._lock = threading.Lock()

    def advance(self) -> None:
        """Count a change. It must be called after the change is made."""
        with self._lock:  # two threads must not count two changes as one
            self.number += 1


structure_version = StructureVersion()

rules_version = StructureVersion()
"""The version of the rules of all optimizers, such as a schedule set in place of a number."""
