"""The table of all ops, which `@op` fills.

Loading of model files and the operators of symbolic tensors look up ops in it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from hornbeam.core.sparse import any_sparse

__all__ = ["OPS", "OpInfo"]


class OpInfo:
    """A record of an op.

    Args:
        function: The function of JAX arrays.
        public: The function that users call, which takes symbolic tensors too.
        module: Module under which Keras saves the op.
        class_name: Class name under which Keras saves it.

    Attributes:
        sparse_rule: What computes the op for sparse tensors (`ops/sparse.py`): a function of
            `function` and all arguments. `None` if they become dense first.
    """

    sparse_rule: Callable[..., Any] | None = None

    def __init__(
        self, function: Callable[..., Any], public: Callable[..., Any], module: str, class_name: str
    ):
        self.function, self.public = function, public
        self.module, self.class_name = module, class_name

    def __reduce__(self) -> tuple[Any, ...]:
        return _op_by_name, (self.class_name,)  # a copy of a graph shares its ops

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the op, by its rule for sparse tensors if there is one and an argument is one."""
        if self.sparse_rule is None or not any_sparse(args, kwargs):
            return self.function(*args, **kwargs)
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return self.sparse_rule(self.function, *bound.args, **bound.kwargs)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The signature of `function`. It is read when it is needed: an import reads none."""
        return inspect.signature(self.function)

    @functools.cached_property
    def tensor_names(self) -> list[str]:
        """The names of the arguments annotated `Tensor`."""
        parameters = self.signature.parameters.items()
        return [name for name, p in parameters if "Tensor" in str(p.annotation)]


def _op_by_name(class_name: str) -> OpInfo:
    return OPS[class_name]


OPS: dict[str, OpInfo] = {}
"""Every op by the class name under which Keras saves it in a functional model."""
