"""The products of inputs and a layer's weight, which an adapted weight computes itself.

Layers call these functions in `call`. Where `variable.adapted` is `None` they are the plain
products.
"""

from __future__ import annotations

import functools

import jax

from hornbeam.adaptation.equation import Equation
from hornbeam.core.variable import Variable
from hornbeam.ops.rows import take_rows

__all__ = ["effective", "einsum", "lookup", "matmul"]

_equation = functools.lru_cache(maxsize=256)(Equation)


def matmul(x: jax.Array, kernel: Variable, training: bool | None = None) -> jax.Array:
    """Return `x @ kernel`.

    Args:
        x: (..., inputs).
        kernel: (inputs, units).
        training: Whether the scales of a float8 kernel follow `x`. Default: no.

    Returns:
        (..., units).

    Example:
        >>> import numpy as np
        >>> matmul(jax.numpy.ones((2, 3)), Variable(np.ones((3, 4)))).shape
        (2, 4)
    """
    return einsum("...x,xy->...y", x, kernel, training)


def einsum(
    equation: str, x: jax.Array, kernel: Variable, training: bool | None = None, cast: bool = False
) -> jax.Array:  # fmt: skip
    """Return `einsum(equation, x, kernel)`.

    Args:
        equation: An equation of two operands, such as `"abc,cd->abd"`; see `Equation`.
        x: Inputs.
        kernel: The weight.
        training: Whether the scales of a float8 kernel follow `x`. Default: no.
        cast: Whether the kernel is cast to the dtype of `x` first.

    Example:
        >>> import numpy as np
        >>> einsum("abc,cd->adb", jax.numpy.ones((2, 3, 4)), Variable(np.ones((4, 5)))).shape
        (2, 5, 3)
    """
    if kernel.adapted is not None:
        return kernel.adapted.multiply(_equation(equation), x, bool(training), cast)
    weight = kernel.value
    return _equation(equation)(x, weight.astype(x.dtype) if cast else weight)


def lookup(table: Variable, index: jax.Array) -> jax.Array:
    """Return the rows of `table` at `index`.

    Args:
        table: (rows, width).
        index: int32 of any shape. A negative integer counts from the end; one outside of the table
            gives NaN.

    Returns:
        (*index.shape, width).

    Example:
        >>> import numpy as np
        >>> lookup(Variable(np.eye(3, dtype="float32")), jax.numpy.array([2])).tolist()
        [[0.0, 0.0, 1.0]]
    """
    return take_rows(table.value, index) if table.adapted is None else table.adapted.lookup(index)


def effective(weight: Variable) -> jax.Array:
    """Return the weight that a layer computes with, as floats.

    Example:
        >>> import numpy as np
        >>> effective(Variable(np.ones(2, "float32"))).tolist()
        [1.0, 1.0]
    """
    return weight.value if weight.adapted is None else weight.adapted.floats()
