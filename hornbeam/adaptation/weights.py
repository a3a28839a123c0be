"""Weights that compute their own products, and how their arrays are stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.adaptation.equation import Equation
from hornbeam.core.variable import Variable
from hornbeam.ops.rows import take_rows

__all__ = ["AdaptedWeight", "Layout", "LowRank"]


@dataclass(frozen=True)
class Layout:
    """How the integers of a layer's quantizable weight are stored in variables and files.

    The weight is treated as a matrix: its rows are the axes that the product sums over, its columns
    the axes that the outputs keep.

    Args:
        name: Name of the layer's attribute.
        equation: The product with the inputs.
        transposed: Whether 4-bit integers are stored with columns before rows.
        packed_along_rows: Whether the two 4-bit integers of a byte are neighbours in a column.
            Default: in a row.
        zero_dtype: Dtype of the zero points of 4-bit blocks.
        zero_name: Name of the variable for the zero points of GPTQ and AWQ.
        has_index: Whether the weight has its own variable `g_idx`, the group of each row. If not,
            it uses the `g_idx` of the layer's first weight.

    Example:
        >>> Layout("kernel", Equation("...x,xy->...y")).zero_dtype
        'int8'
    """

    name: str
    equation: Equation
    transposed: bool = False
    packed_along_rows: bool = False
    zero_dtype: str = "int8"
    zero_name: str = "kernel_zero"
    has_index: bool = True


class AdaptedWeight:
    """A weight that computes its own products; this base class uses a variable's floats.

    Args:
        variable: The variable that the weight replaces in products.

    Example:
        >>> import numpy as np
        >>> weight = AdaptedWeight(Variable(np.eye(2, dtype="float32")))
        >>> weight.multiply(Equation("...x,xy->...y"), jnp.array([[1.0, 2.0]])).tolist()
        [[1.0, 2.0]]
    """

    # Whether a low-rank term is added to the weight before the product. If not, the products with
    # the weight and with the term are computed separately and added.
    adds_to_weight = True
    shape: tuple[int, ...]

    def __init__(self, variable: Variable):
        self.variable = variable
        self.shape = variable.shape

    def floats(self) -> jax.Array:
        """Return the weight as floats, of shape `shape`."""
        return self.variable.value

    def multiply(
        self, equation: Equation, x: jax.Array, training: bool = False, cast: bool = False
    ) -> jax.Array:
        """Return `einsum(equation, x, weight)`.

        Args:
            equation: The product.
            x: Inputs.
            training: Whether to update state that depends on the inputs (float8 scales).
            cast: Whether to cast a weight of floats to the dtype of `x` first.
        """
        weight = self.floats()
        return equation(x, weight.astype(x.dtype) if cast else weight)

    def lookup(self, index: jax.Array) -> jax.Array:
        """Return the rows at `index`, of shape (*index.shape, width)."""
        return take_rows(self.floats(), index)

    def saved_value(
        self, variable: Variable, floats: Callable[[], jax.Array] | None = None
    ) -> np.ndarray | jax.Array | None:
        """Return the value to save for one of the layer's variables.

        Args:
            variable: Any variable of the layer, also one that this weight does not use.
            floats: Function that returns the weight to save instead of this one.
        """
        return (floats or self.floats)() if variable is self.variable else variable.stored


class LowRank(AdaptedWeight):
    """A frozen weight W and a trained low-rank term: `W + (alpha / rank) * A @ B` (Hu et al. 2021).

    Args:
        frozen: The weight W, of shape (*inputs, outputs).
        layer: The layer, with the variables `lora_a` of shape (*inputs, rank) and `lora_b` of shape
            (rank, outputs), and the numbers `lora_alpha` and `lora_rank`.

    Example:
        >>> from types import SimpleNamespace
        >>> thin = {"lora_a": Variable([[1.0], [2.0]]), "lora_b": Variable([[3.0]])}
        >>> layer = SimpleNamespace(**thin, lora_alpha=2, lora_rank=1)
        >>> LowRank(AdaptedWeight(Variable([[0.0], [1.0]])), layer).floats().tolist()
        [[6.0], [13.0]]
    """

    def __init__(self, frozen: AdaptedWeight, layer: Any):
        super().__init__(frozen.variable)
        self.frozen, self.layer = frozen, layer
        self.shape = frozen.shape

    def difference(self) -> jax.Array:
        """Return `(alpha / rank) * A @ B`."""
        return self._scale * jnp.matmul(self.layer.lora_a.value, self.layer.lora_b.value)

    @property
    def _scale(self) -> float:
        return float(self.layer.lora_alpha) / float(self.layer.lora_rank)

    def floats(self) -> jax.Array:
        return self.frozen.floats() + self.difference()

    def multiply(
        self, equation: Equation, x: jax.Array, training: bool = False, cast: bool = False
    ) -> jax.Array:
        if self.frozen.adds_to_weight:
            return super().multiply(equation, x, training, cast)
        outputs = self.frozen.multiply(equation, x, training, cast)
        return outputs + equation(x, self.difference().astype(x.dtype))

    def lookup(self, index: jax.Array) -> jax.Array:
        rows = self.frozen.lookup(index)
        # Compute only the rows at `index`, not the whole product.
        thin = jnp.take(self.layer.lora_a.value, index, axis=0)
        return rows + self._scale * jnp.matmul(thin, self.layer.lora_b.value)

    def saved_value(
        self, variable: Variable, floats: Callable[[], jax.Array] | None = None
    ) -> np.ndarray | jax.Array | None:
        """Return the value of a variable to save; the weight includes the low-rank term."""
        return self.frozen.saved_value(variable, floats or self.floats)
