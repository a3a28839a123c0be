"""Processes that were forked after JAX had started, in which it would wait for lost threads."""

from __future__ import annotations

import atexit
import importlib
import os
import sys
from typing import Any

__all__ = ["check_not_forked"]

_lost_threads = False
_refused = False


def check_not_forked() -> None:
    """Raise an error in a process that was forked after JAX had started.

    A fork copies only the thread that calls it. JAX would wait for its other threads for ever.

    Raises:
        RuntimeError: In such a process.

    Example:
        >>> check_not_forked()
    """
    global _refused
    if _lost_threads:
        _refused = True
        raise RuntimeError(
            f"Process {os.getpid()} was forked after its parent had used JAX, whose threads a fork"
            " does not copy, so it cannot compute: it would wait for ever. Start workers by"
            " `multiprocessing.get_context('spawn')`, or fork before the first model is made or"
            " loaded, and load the model in each worker (for gunicorn: without `--preload`)."
        )


def _private(module: str, name: str) -> Any:
    """Return a private function of JAX, or `None` if this version of JAX lacks it."""
    try:
        return getattr(importlib.import_module(f"jax._src.{module}"), name, None)
    except ImportError:
        return None


_jax_has_started = _private("xla_bridge", "backends_are_initialized")


def _after_in_child() -> None:
    global _lost_threads
    _lost_threads = _lost_threads or _jax_has_started is None or _jax_has_started()


def _at_exit() -> None:
    """End a process that was refused: JAX's own end would wait for the threads too."""
    if _refused:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_in_child)
    atexit.register(_at_exit)
