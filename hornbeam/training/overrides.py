"""Finds out which training methods a model overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["overrides", "standard"]

Method = TypeVar("Method", bound=Callable[..., Any])

_standard: set[Any] = set()


def standard(method: Method) -> Method:
    """Mark a method as the standard implementation, for `overrides`. Use it as a decorator."""
    _standard.add(method)
    return method


def overrides(model: Trainable, *names: str) -> bool:
    """Return whether a model overrides any of the given methods.

    The methods are looked up on the model at each call. Methods set in a subclass, on a class later
    or on an instance therefore all count.

    Args:
        model: The model.
        *names: Names of methods that `Trainable` decorates with `standard`.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential()
        >>> overrides(model, "train_step", "compute_loss")
        False
        >>> model.train_step = lambda data: {"loss": 0.0}
        >>> overrides(model, "train_step")
        True
    """
    for name in names:
        method = getattr(model, name)
        if getattr(method, "__func__", method) not in _standard:
            return True
    return False
