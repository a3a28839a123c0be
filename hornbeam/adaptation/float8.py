"""Weights whose products use 8-bit floating point with delayed scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax

from hornbeam.adaptation.equation import Equation
from hornbeam.adaptation.weights import AdaptedWeight, Layout
from hornbeam.dtype_policies import DTypePolicy
from hornbeam.quantizers import float8

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer

__all__ = ["Float8"]


class Float8(AdaptedWeight):
    """A float weight whose products use 8-bit floating point (Micikevicius et al. 2022).

    The layer gets two variables for each of the inputs, the kernel and the gradient of the outputs:
    `..._scale` of shape () and `..._amax_history` of shape (amax_history_length,). The gradients of
    these variables are their next values.

    Args:
        layer: The layer.
        layout: Names the weight.
        policy: The layer's dtype policy, with the attribute `amax_history_length` (default 1024).
    """

    adds_to_weight = False

    def __init__(self, layer: Layer, layout: Layout, policy: DTypePolicy):
        super().__init__(getattr(layer, layout.name))
        self._history_length = getattr(policy, "amax_history_length", 1024)
        self._layer = layer

    def hold(self) -> None:
        """Add the variables of scales and histories to the layer."""
        for part in ("inputs", "kernel", "outputs_grad"):
            for name, shape, first in (
                (f"{part}_scale", (), "ones"),
                (f"{part}_amax_history", (self._history_length,), "zeros"),
            ):
                variable = self._layer.add_weight(
                    name=name, shape=shape, dtype="float32", initializer=first, autocast=False,
                    overwrite_with_gradient=True,
                )  # fmt: skip
                setattr(self._layer, name, variable)

    def multiply(
        self, equation: Equation, x: jax.Array, training: bool = False, cast: bool = False
    ) -> jax.Array:
        """Return the product; the weight is always cast to the dtype of `x`."""
        rounded = float8.through(x, *self._state("inputs"), training)
        kernel = float8.through(self.floats().astype(x.dtype), *self._state("kernel"), training)
        return float8.through_gradient(equation(rounded, kernel), *self._state("outputs_grad"))

    def _state(self, part: str) -> tuple[jax.Array, jax.Array]:
        return (
            getattr(self._layer, f"{part}_scale").value,
            getattr(self._layer, f"{part}_amax_history").value,
        )
