"""`tf.compat` and `tf.compat.v1`: texts, seeds, and what replaces sessions and graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hornbeam.tensorflow.random import set_seed

__all__ = [
    "ConfigProto", "GPUOptions", "Session", "InteractiveSession", "as_bytes", "as_str",
    "as_str_any", "as_text", "disable_eager_execution", "disable_v2_behavior",
    "enable_eager_execution", "enable_v2_behavior", "get_default_graph", "get_default_session",
    "global_variables_initializer", "placeholder", "reset_default_graph", "set_random_seed",
]  # fmt: skip


def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """Return bytes or a text as a text.

    Example:
        >>> as_text(b"a"), as_bytes("a")
        ('a', b'a')
    """
    return bytes_or_text.decode(encoding) if isinstance(bytes_or_text, bytes) else bytes_or_text


def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """Return bytes or a text as bytes."""
    return bytes_or_text.encode(encoding) if isinstance(bytes_or_text, str) else bytes_or_text


as_str = as_text


def as_str_any(value: Any, encoding: str = "utf-8") -> str:
    """Return anything as a text."""
    return as_text(value, encoding) if isinstance(value, bytes) else str(value)


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and Hornbeam's generators."""
    set_seed(seed)


def enable_eager_execution(*args: Any, **kwargs: Any) -> None:
    """Do nothing: operations run at once."""


enable_v2_behavior = enable_eager_execution


def _no_graphs(name: str) -> Callable[..., Any]:
    """Return a function that says what replaces graphs and sessions."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"tf.{name}: there are no graphs and sessions here; operations run at once. Leave it"
            " out: call models and functions on arrays, and read `.numpy()` of their results. For"
            " placeholders, use `keras.Input`."
        )

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raise an error that says what replaces graphs and sessions."
    return refuse


disable_eager_execution = _no_graphs("compat.v1.disable_eager_execution")
disable_v2_behavior = _no_graphs("compat.v1.disable_v2_behavior")
placeholder = _no_graphs("placeholder")


class ConfigProto:
    """The settings of a session, which have no effect."""

    def __init__(self, **settings: Any):
        self.gpu_options = GPUOptions()
        self.__dict__.update(settings)


class GPUOptions:
    """Settings of GPUs, which have no effect."""

    def __init__(self, **settings: Any):
        self.__dict__.update(settings)


class Session:
    """A session that does nothing, for scripts that only set options. `run` raises an error."""

    run = staticmethod(_no_graphs("Session.run"))

    def __init__(self, target: str = "", graph: Any = None, config: Any = None):
        self.graph = graph

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def close(self) -> None:
        """Do nothing."""

    def as_default(self) -> Session:
        """Return the session."""
        return self


InteractiveSession = Session


def get_default_session() -> None:
    """Return `None`: there are no sessions."""


def get_default_graph() -> Any:
    """Return an object whose `as_default` does nothing."""
    return Session()


def reset_default_graph() -> None:
    """Do nothing: there are no graphs."""


def global_variables_initializer() -> None:
    """Do nothing: variables have values from the start."""
