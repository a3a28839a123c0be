"""Which methods of training a model overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["overrides", "standard"]

Method = TypeVar("Method", bound=Callable[..., Any])

_standard: set[Any] = set()


def standard(method: Method) -> Method:
    """Note a method as the standard one, which `overrides` compares with; a decorator."""
    _standard.add(method)
    return method


def overrides(model: Trainable, *names: str) -> bool:
    """Return whether any of these methods is not the standard one.

    The methods are looked up on the model at each call. So a method counts wherever the user put
    it: in a subclass, on a class afterwards, or on one instance.

    Args:
        model: The model.
        *names: Names of methods that are decorated with `standard` in `Trainable`.

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
