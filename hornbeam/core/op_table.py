"""The table of all ops. `@op` fills it; files, and the operators of symbolic tensors, look ops up in it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["OPS", "OpInfo"]


class OpInfo:
    """What the decorator learned of an op: its function, saved name and tensor arguments."""

    def __init__(self, function: Callable[..., Any], public: Callable[..., Any], module: str, class_name: str):
        self.function, self.public = function, public
        self.module, self.class_name = module, class_name
        self.signature = inspect.signature(function)
        self.tensor_names = [name for name, p in self.signature.parameters.items() if "Tensor" in str(p.annotation)]


OPS: dict[str, OpInfo] = {}
"""Every op by the class name under which Keras saves it in a functional model."""
