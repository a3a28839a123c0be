"""A layer's product of inputs and a weight, as an Einstein summation that quantization can look into."""

from __future__ import annotations

import functools
import math
import string
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from hornbeam.ops.product import rows_product

__all__ = ["Product"]


@dataclass(frozen=True)
class Product:
    """`einsum(equation, inputs, kernel)`.

    Seen as a matrix, the kernel's rows are what the product sums over and its columns what the outputs keep, both in
    the kernel's own order.

    Args:
        equation: Such as `"...x,xy->...y"`; `...` at the beginning or the end of inputs and outputs.

    Example:
        >>> product = Product("abc,dec->abde")
        >>> product.summed, product.kept
        ('c', 'de')
    """

    equation: str

    @property
    def _letters(self) -> tuple[str, str, str]:
        """Letters of inputs, kernel and outputs, without dots."""
        inputs, _, rest = self.equation.replace(" ", "").replace(".", "").partition(",")
        kernel, _, outputs = rest.partition("->")
        return inputs, kernel, outputs

    @property
    def summed(self) -> str:
        """Letters of the kernel that the product sums over."""
        return "".join(letter for letter in self._letters[1] if letter not in self._letters[2])

    @property
    def kept(self) -> str:
        """Letters of the kernel that the outputs have."""
        return "".join(letter for letter in self._letters[1] if letter in self._letters[2])

    @property
    def summed_axes(self) -> tuple[int, ...]:
        """Axes of the kernel that the product sums over."""
        return tuple(self._letters[1].index(letter) for letter in self.summed)

    def __call__(self, inputs: Any, kernel: Any) -> Any:
        summed = len(self.summed)
        if self._is_of_rows and inputs.shape[inputs.ndim - summed :] == kernel.shape[:summed]:
            return rows_product(inputs, kernel, summed)
        return jnp.einsum(self.equation, inputs, kernel)

    @functools.cached_property
    def _is_of_rows(self) -> bool:
        """Whether inputs end and the kernel begins with what is summed, and outputs have the others in their order."""
        letters, kernel, outputs = self._letters
        others = letters.removesuffix(self.summed)
        dots = self.equation.replace(" ", "")
        return (
            letters == others + self.summed
            and kernel == self.summed + self.kept
            and outputs == others + self.kept
            and ("." not in dots or (dots.startswith("...") and "->..." in dots))
        )

    def matrix(self, kernel: Any) -> Any:
        """Return the kernel as a matrix of rows and columns."""
        letters = self._letters[1]
        kernel = jnp.asarray(kernel)
        turned = kernel.transpose([letters.index(letter) for letter in self.summed + self.kept])
        return turned.reshape(math.prod(turned.shape[: len(self.summed)]), -1)

    def kernel(self, matrix: Any, shape: tuple[int, ...]) -> Any:
        """Return the kernel of a shape that `matrix` gave the matrix of."""
        sizes = dict(zip(self._letters[1], shape, strict=True))
        order = self.summed + self.kept
        turned = matrix.reshape([sizes[letter] for letter in order])
        return turned.transpose([order.index(letter) for letter in self._letters[1]])

    def rows_of(self, inputs: Any, shape: tuple[int, ...]) -> Any:
        """Return inputs as a matrix whose columns are the rows of the kernel's matrix."""
        sizes = dict(zip(self._letters[1], shape, strict=True))
        letters, _ = self._full(inputs.ndim)
        others = "".join(letter for letter in letters if letter not in self.summed)
        turned = jnp.einsum(f"{letters}->{others}{self.summed}", inputs)
        return turned.reshape(-1, math.prod(sizes[letter] for letter in self.summed))

    def quantized_inputs(self, inputs: Any, quantizer: Any) -> tuple[Any, Any]:
        """Return integers of the inputs, and their scale in the layout of the outputs."""
        letters, outputs = self._full(inputs.ndim)
        axes = tuple(axis for axis, letter in enumerate(letters) if letter not in outputs)
        integers, scale = quantizer(inputs, axis=axes)
        return integers, _relayout(scale, letters, outputs)

    def scale_for_outputs(self, scale: Any) -> Any:
        """Return a scale of the kernel, of size one along what is summed, in the layout of the outputs' letters."""
        return _relayout(scale, self._letters[1], self._letters[2])

    def scale_for_kernel(self, scale: Any) -> Any:
        """Return a scale in the layout of the outputs' letters in that of the kernel."""
        return _relayout(scale, self._letters[2], self._letters[1])

    def column_scale_for_outputs(self, scale: Any, shape: tuple[int, ...]) -> Any:
        """Return a scale for each column of the kernel's matrix in the layout of the outputs' letters."""
        sizes = dict(zip(self._letters[1], shape, strict=True))
        return _relayout(scale.reshape([sizes[letter] for letter in self.kept]), self.kept, self._letters[2])

    def spread(self, scale: Any, outputs: Any) -> Any:
        """Return a scale in the layout of the outputs' letters so that it broadcasts with `outputs`."""
        if not self.equation.replace(" ", "").endswith("..."):
            return scale
        return scale.reshape(*scale.shape, *(1,) * (outputs.ndim - scale.ndim))

    def _full(self, ndim: int) -> tuple[str, str]:
        """Letters of inputs of `ndim` axes and of their outputs, dots replaced by letters."""
        inputs, kernel, outputs = self._letters
        free = [letter for letter in string.ascii_letters if letter not in inputs + kernel + outputs]
        dots = "".join(free[: ndim - len(inputs)])
        if self.equation.replace(" ", "").endswith("..."):
            return inputs + dots, outputs + dots
        return dots + inputs, dots + outputs


def _relayout(values: Any, letters: str, wanted: str) -> Any:
    """Return values whose axes are `letters` with the axes `wanted`; axes that they lack have size one.

    Raises:
        ValueError: If an axis that is not wanted has another size than one.
    """
    gone = [axis for axis, letter in enumerate(letters) if letter not in wanted]
    if any(values.shape[axis] != 1 for axis in gone):
        raise ValueError(
            f"A quantizer gave a scale of shape {values.shape}; what the product sums over (axes {gone}) must share one "
            "scale. Leave the quantizer's `axis` out, or name these axes."
        )
    left = "".join(letter for letter in letters if letter in wanted)
    values = values.reshape([size for size, letter in zip(values.shape, letters, strict=True) if letter in wanted])
    values = values.transpose([left.index(letter) for letter in wanted if letter in left])
    missing = [axis for axis, letter in enumerate(wanted) if letter not in left]
    return jnp.expand_dims(values, missing) if missing else values
