"""Weights that compute their own products, and how their arrays lie in files."""

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
    """A weight of a layer that can be quantized, and how its integers lie in variables and files.

    Seen as a matrix, the weight has the rows that its product sums over and the columns that the
    outputs keep.

    Args:
        name: The layer's attribute.
        equation: The product with the inputs.
        transposed: Whether 4-bit integers are stored with columns before rows.
        packed_along_rows: Whether the two 4-bit integers of a byte are neighbours in one column.
            Default: in one row.
        zero_dtype: Dtype of the zero points of 4-bit blocks.
        zero_name: Name of the variable of calibrated zero points.
        has_index: Whether the weight has its own variable of the rows' groups, `g_idx`. If not, it
            uses the one that the layer's first weight made.

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
    """A weight that computes its own products; this base class holds it as one variable's floats.

    Args:
        variable: The variable whose place the weight takes in products.

    Example:
        >>> import numpy as np
        >>> weight = AdaptedWeight(Variable(np.eye(2, dtype="float32")))
        >>> weight.multiply(Equation("...x,xy->...y"), jnp.array([[1.0, 2.0]])).tolist()
        [[1.0, 2.0]]
    """

    # Whether a low-rank term is added to the weight before the product. If not, two products are
    # added.
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
            training: Whether state that follows the inputs (float8 scales) is updated.
            cast: Whether a weight of floats is cast to the dtype of `x` first.
        """
        weight = self.floats()
        return equation(x, weight.astype(x.dtype) if cast else weight)

    def lookup(self, index: jax.Array) -> jax.Array:
        """Return the rows at `index`, of shape (*index.shape, width)."""
        return take_rows(self.floats(), index)

    def saved_value(
        self, variable: Variable, floats: Callable[[], jax.Array] | None = None
    ) -> np.ndarray | jax.Array | None:
        """Return the value of one of the layer's variables for a file.

        Args:
            variable: The variable, of this weight or another of the layer's.
            floats: Returns the weight to write in place of this one. Default: this one.
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
        thin = jnp.take(
            self.layer.lora_a.value, index, axis=0
        )  # not the whole product: only its rows at `index`
        return rows + self._scale * jnp.matmul(thin, self.layer.lora_b.value)

    def saved_value(
        self, variable: Variable, floats: Callable[[], jax.Array] | None = None
    ) -> np.ndarray | jax.Array | None:
        """Return the value of a variable for a file, which has the sum in the weight's place."""
        return self.frozen.saved_value(variable, floats or self.floats)
