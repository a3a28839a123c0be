"""Products of inputs and a layer's weight; an adapted weight computes its own product.

Layers call these functions in `call`. If `variable.adapted` is `None`, the result is the ordinary
product.
"""

from __future__ import annotations

import functools

import jax

from hornbeam.adaptation.equation import Equation
from hornbeam.core.sparse import is_sparse
from hornbeam.core.variable import Variable
from hornbeam.ops.linalg import matmul as product
from hornbeam.ops.rows import take_rows

__all__ = ["effective", "einsum", "lookup", "matmul"]

_equation = functools.lru_cache(maxsize=256)(Equation)


def matmul(x: jax.Array, kernel: Variable, training: bool | None = None) -> jax.Array:
    """Return `x @ kernel`.

    Args:
        x: (..., inputs), dense or sparse.
        kernel: (inputs, units).
        training: Whether to update the scales of a float8 kernel from `x`. Default: False.

    Returns:
        (..., units).

    Example:
        >>> import numpy as np
        >>> matmul(jax.numpy.ones((2, 3)), Variable(np.ones((3, 4)))).shape
        (2, 4)
    """
    if is_sparse(x):
        return product(x, effective(kernel))
    return einsum("...x,xy->...y", x, kernel, training)


def einsum(
    equation: str, x: jax.Array, kernel: Variable, training: bool | None = None, cast: bool = False
) -> jax.Array:  # fmt: skip
    """Return `einsum(equation, x, kernel)`.

    Args:
        equation: An equation of two operands, such as `"abc,cd->abd"`; see `Equation`.
        x: Inputs.
        kernel: The weight.
        training: Whether to update the scales of a float8 kernel from `x`. Default: False.
        cast: Whether to cast the kernel to the dtype of `x` first.

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
        index: int32 of any shape. Negative indices count from the end; indices outside the table
            give NaN.

    Returns:
        (*index.shape, width).

    Example:
        >>> import numpy as np
        >>> lookup(Variable(np.eye(3, dtype="float32")), jax.numpy.array([2])).tolist()
        [[0.0, 0.0, 1.0]]
    """
    return take_rows(table.value, index) if table.adapted is None else table.adapted.lookup(index)


def effective(weight: Variable) -> jax.Array:
    """Return the weight as the floats that the layer computes with.

    Example:
        >>> import numpy as np
        >>> effective(Variable(np.ones(2, "float32"))).tolist()
        [1.0, 1.0]
    """
    return weight.value if weight.adapted is None else weight.adapted.floats()
