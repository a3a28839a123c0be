"""`keras.src.ops.numpy` and its siblings: a class for each op, such as `Add` for `add`."""

from __future__ import annotations

from typing import Any

from hornbeam.core.graph import Operation
from hornbeam.core.op import OpCall
from hornbeam.core.op_table import OPS

__all__ = ["operation_class"]

_SHORT = {"Abs": "Absolute", "Concat": "Concatenate"}


class _OperationType(type(Operation)):  # type: ignore[misc]  # mypy wants a class here
    """The class of the classes: calls of the op that a graph records are their instances."""

    op_name: str

    def __instancecheck__(cls, instance: Any) -> bool:
        if isinstance(instance, OpCall):
            return instance.info.class_name == getattr(cls, "op_name", None)
        return super().__instancecheck__(instance)


def operation_class(name: str) -> type[Any]:
    """Return the class of an op; its constructor takes the op's settings.

    Args:
        name: Name of the class, such as `"Concatenate"`.

    Raises:
        AttributeError: If there is no such op.

    Example:
        >>> import numpy as np
        >>> operation_class("Sum")(axis=0)(np.ones((2, 3))).tolist()
        [2.0, 2.0, 2.0]
    """
    own = _SHORT.get(name, name)
    if own not in OPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __init__(self: Any, *args: Any, name: str | None = None, **settings: Any) -> None:
        Operation.__init__(self, name=name)
        self.settings = settings | ({} if not args else {"axis": args[0]})

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return OPS[own].public(*args, **{**self.settings, **kwargs})

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)

    members = {"__init__": __init__, "call": call, "__call__": __call__, "op_name": own}
    return _OperationType(name, (Operation,), members)


_made: dict[str, type[Any]] = {}


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _made:
        _made[name] = operation_class(name)
    return _made[name]
