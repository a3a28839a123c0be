"""Whose code a class or a function is: Hornbeam's, or the user's."""

from __future__ import annotations

import sys
import types
from typing import Any

__all__ = ["is_library_code", "refuse_call_by_real_keras", "refuse_real_keras"]

_PACKAGE = __name__.partition(".")[0]

# Modules of the package Keras itself, with the base classes of what has state there.
_REAL_KERAS = frozenset(
    (
        "keras.src.backend.common.keras_tensor", "keras.src.backend.common.variables",
        "keras.src.layers.layer", "keras.src.metrics.metric",
        "keras.src.optimizers.base_optimizer", "keras.src.random.seed_generator",
    )
)  # fmt: skip


def is_library_code(x: object) -> bool:
    """Return whether Hornbeam defines a class, a function or method, or the class of an object.

    The top-level package decides, so a module named `hornbeam_extras` is the user's. A user's
    function that `functools.wraps` dressed up as one of Hornbeam's is the user's too.

    Args:
        x: A class, a function, a bound method, or any other object, whose class counts.

    Example:
        >>> from hornbeam import losses
        >>> [is_library_code(x) for x in (losses.mean_squared_error, losses.Huber(), len)]
        [True, True, False]
    """
    if isinstance(x, types.MethodType):
        x = x.__func__
    if isinstance(x, types.FunctionType):
        return _is_in_package(x.__module__) and _is_in_package(x.__globals__.get("__name__"))
    cls = x if isinstance(x, type) else type(x)
    return _is_in_package(cls.__module__)


def _is_in_package(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == _PACKAGE


def refuse_real_keras(owner: str, x: object) -> None:
    """Raise `TypeError` if `x` is a part with state of the package Keras itself, such as a layer.

    Args:
        owner: What received `x`, for the message.
        x: Any object.
    """
    cls = type(x)
    if "keras.src" not in sys.modules or not any(c.__module__ in _REAL_KERAS for c in cls.__mro__):
        return
    raise TypeError(
        f"{owner}: {cls.__name__} '{getattr(x, 'name', '')}' belongs to the package Keras"
        f" ({cls.__module__}), and {_NO_MIX}"
    )


def refuse_call_by_real_keras(owner: str) -> None:
    """Raise `TypeError` if a layer or an op of the package Keras itself is calling.

    Args:
        owner: What is called, for the message.
    """
    if "keras.src" not in sys.modules:
        return
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module == "keras.src.layers.layer" or module.startswith("keras.src.ops."):
            raise TypeError(
                f"{owner} belongs to Hornbeam; a layer or an op of the package Keras called it,"
                f" and {_NO_MIX}"
            )
        frame = frame.f_back


_NO_MIX = (
    "the two do not mix: weights would stay untrained. Import all parts from `hornbeam`, or call"
    " `hornbeam.install_as_keras()` before the first `import keras`."
)
