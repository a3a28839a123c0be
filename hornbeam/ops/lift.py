"""Decorators for ops that differ only in the function that they apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.typing import Tensor

__all__ = ["binary", "camel", "named", "number", "unary"]


def number(x: Any) -> Tensor:
    """Return `x` as an array; Python numbers are kept to take the other operand's dtype."""
    return x if isinstance(x, (bool, int, float, complex)) else convert(x)


def camel(name: str) -> str:
    """Return the class name under which an op is saved.

    Example:
        >>> camel("true_divide")
        'TrueDivide'
    """
    return "".join(word.capitalize() for word in name.split("_"))


def named(
    function: Callable[..., Any], name: str, module: str, doc: str, call: str, result: Any
) -> None:
    """Set name, module and docstring of a generated function whose example returns `result`."""
    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    function.__doc__ = f"""{doc}

    Example:
        >>> {call}.tolist()
        {result!r}
    """


def unary(
    name: str, function: Callable[[Any], Any], doc: str, sample: Any, result: Any,
    module: str = "numpy", class_name: str | None = None, where: str = "hornbeam.ops.elementwise",
) -> Callable[[Any], Any]:  # fmt: skip
    """Return an op of one tensor.

    Args:
        name: Name of the op.
        function: Function of a JAX array.
        doc: First sentence of the docstring.
        sample: Argument of the example in the docstring.
        result: Result of the example, as a list.
        module: Keras module under which files store the op.
        class_name: Class name under which files store it. Default: `name` in camel case.
        where: Module that defines the op.
    """

    def lifted(x: Tensor) -> Tensor:
        return function(convert(x))

    named(lifted, name, where, doc, f"{name}({sample!r})", result)
    return op(module, class_name or camel(name))(lifted)


def binary(
    name: str, function: Callable[[Any, Any], Any], doc: str, sample: tuple[Any, Any], result: Any,
    class_name: str | None = None, where: str = "hornbeam.ops.elementwise",
) -> Callable[[Any, Any], Any]:  # fmt: skip
    """Return an op of two tensors that broadcast; arguments as for `unary`."""

    def lifted(x1: Tensor, x2: Tensor) -> Tensor:
        return function(number(x1), number(x2))

    named(lifted, name, where, doc, f"{name}{sample!r}", result)
    return op("numpy", class_name or camel(name))(lifted)
