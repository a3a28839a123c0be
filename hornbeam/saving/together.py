"""Saving a model that several processes hold together: the first of them writes the file."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from typing import Any

import jax

from hornbeam.core.team import running_team
from hornbeam.saving.streams import is_stream

__all__ = ["saved_once"]


def saved_once(save: Callable[..., None]) -> Callable[..., None]:
    """Return a function that saves; of several processes, the first one writes.

    All must call it: variables that are divided among them are gathered by all. It returns when the
    file is complete. If it cannot be written, all processes raise an error.

    Args:
        save: Takes a model, a path, and more.
    """

    @functools.wraps(save)
    def saved(model: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
        team = running_team()
        arrays = [] if team is None else [v.stored for v in model.variables]
        shared = [a for a in arrays if isinstance(a, jax.Array) and not a.is_fully_addressable]
        if team is None or not shared or is_stream(filepath):
            save(model, filepath, *args, **kwargs)
            return
        failure: Exception | None = None
        try:
            if team.number == 0:
                save(model, filepath, *args, **kwargs)
            elif not all(a.is_fully_replicated for a in shared):
                with tempfile.TemporaryDirectory() as folder:
                    name = os.path.basename(os.fspath(filepath))
                    save(model, os.path.join(folder, name), *args, **kwargs)
        except Exception as error:
            failure = error
        note = None if failure is None else f"{type(failure).__name__}: {failure}"
        notes = team.meet(f"the end of saving '{os.fspath(filepath)}'", note)
        if failure is not None:
            raise failure
        if notes[0] is not None:
            raise OSError(f"The first process could not save the model. {notes[0]}")

    return saved
