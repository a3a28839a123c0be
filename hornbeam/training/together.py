"""What several processes agree on while they train together; nothing happens in a single one."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam import tree
from hornbeam.core.placement import current_placement, current_team
from hornbeam.data.sources import ArraySource, Source

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["any_stops", "check_same_data", "meet", "value_of_first"]


def meet(point: str) -> None:
    """Wait until all processes have come to a point of the program."""
    if (team := current_team()) is not None:
        team.meet(point)


def value_of_first(point: str, value: Any) -> Any:
    """Return the value that the first process has."""
    team = current_team()
    return value if team is None else team.meet(point, value)[0]


def any_stops(model: Trainable) -> bool:
    """Return whether a callback of any process has stopped the training; then all stop."""
    if (team := current_team()) is not None:
        model.stop_training = any(team.meet("the question who stops", bool(model.stop_training)))
    return model.stop_training


def check_same_data(method: str, source: Source, steps: int | None, **more: Any) -> None:
    """Check that all processes have the same data and run as many steps over them.

    Raises:
        RuntimeError: In every process, with what differs.
    """
    team = current_team()
    if team is None:
        return
    told: dict[str, Any] = {
        "the number of batches": source.num_batches,
        "the number of steps": steps,
        **more,
    }
    if isinstance(source, ArraySource):
        arrays = [a for a in tree.flatten(source.data) if a is not None]
        told["the shapes of the data"] = [f"{a.dtype}{list(a.shape)}" for a in arrays]
        told["the batch size"] = source.batch_size
        placement = current_placement()
        if placement is not None and not placement.has_own_data:
            told["the first and last row of the data (checksums)"] = [
                _checksum(a[i : i + 1]) for a in arrays for i in (0, len(a) - 1)
            ]
    team.agree(f"the start of {method}", told)


def _checksum(rows: Any) -> int:
    host = np.ascontiguousarray(np.asarray(rows))
    if host.dtype.hasobject:
        return zlib.crc32(repr(host.tolist()).encode())
    return zlib.crc32(host.tobytes())
