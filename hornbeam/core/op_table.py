"""The table of all ops, which `@op` fills.

Loading of model files and the operators of symbolic tensors look up ops in it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["OPS", "OpInfo"]


class OpInfo:
    """A record of an op.

    Args:
        function: The function of JAX arrays.
        public: The function that users call, which takes symbolic tensors too.
        module: Module under which Keras saves the op.
        class_name: Class name under which Keras saves it.

    Attributes:
        signature: The signature of `function`.
        tensor_names: The names of the arguments annotated `Tensor`.
    """

    def __init__(
        self, function: Callable[..., Any], public: Callable[..., Any], module: str, class_name: str
    ):
        self.function, self.public = function, public
        self.module, self.class_name = module, class_name
        self.signature = inspect.signature(function)
        self.tensor_names = [
            name for name, p in self.signature.parameters.items() if "Tensor" in str(p.annotation)
        ]


OPS: dict[str, OpInfo] = {}
"""Every op by the class name under which Keras saves it in a functional model."""
