"""The product of inputs and a weight as an Einstein summation whose axes can be read."""

from __future__ import annotations

import functools
import math
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.ops.product import rows_product
from hornbeam.typing import Tensor

__all__ = ["Equation"]


@dataclass(frozen=True)
class Equation:
    """`einsum(text, inputs, kernel)`.

    Seen as a matrix, the kernel has the rows that the product sums over and the columns that the
    outputs keep, both in the kernel's own order.

    Args:
        text: Such as `"...x,xy->...y"`. `...` may be at the beginning or at the end of inputs and
            outputs.

    Example:
        >>> equation = Equation("abc,dec->abde")
        >>> equation.summed, equation.kept
        ('c', 'de')
        >>> equation(jnp.ones((1, 2, 3)), jnp.ones((4, 5, 3))).shape
        (1, 2, 4, 5)
    """

    text: str

    @functools.cached_property
    def _text(self) -> str:
        return self.text.replace(" ", "")

    @functools.cached_property
    def _letters(self) -> tuple[str, str, str]:
        """Letters of inputs, kernel and outputs, without dots."""
        inputs, _, rest = self._text.replace(".", "").partition(",")
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

    def __call__(self, inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        """Return the product, as one product of two matrices where the axes allow it."""
        summed = len(self.summed)
        if self._is_of_rows and inputs.shape[inputs.ndim - summed :] == kernel.shape[:summed]:
            return rows_product(inputs, kernel, summed)
        return jnp.einsum(self.text, inputs, kernel)

    @functools.cached_property
    def _is_of_rows(self) -> bool:
        """Whether the summed axes end the inputs and begin the kernel; others in their order."""
        inputs, kernel, outputs = self._letters
        others = inputs.removesuffix(self.summed)
        return (
            inputs == others + self.summed
            and kernel == self.summed + self.kept
            and outputs == others + self.kept
            and ("." not in self._text or (self._text.startswith("...") and "->..." in self._text))
        )

    # --- the kernel as a matrix -----------------------------------------------------------------

    def matrix(self, kernel: Tensor) -> jax.Array:
        """Return the kernel as a matrix (rows, columns)."""
        letters = self._letters[1]
        kernel = jnp.asarray(kernel)
        rows_first = kernel.transpose([letters.index(letter) for letter in self.summed + self.kept])
        return rows_first.reshape(math.prod(rows_first.shape[: len(self.summed)]), -1)

    def kernel(self, matrix: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return the kernel of shape `shape` whose matrix is `matrix`."""
        sizes = self._sizes(shape)
        order = self.summed + self.kept
        rows_first = matrix.reshape([sizes[letter] for letter in order])
        return rows_first.transpose([order.index(letter) for letter in self._letters[1]])

    def matrix_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the numbers of rows and columns of the matrix of a kernel of shape `shape`.

        Example:
            >>> Equation("abc,dec->abde").matrix_shape((4, 5, 3))
            (3, 20)
        """
        sizes = self._sizes(shape)
        return math.prod(sizes[letter] for letter in self.summed), math.prod(
            sizes[letter] for letter in self.kept
        )

    def rows_of(self, inputs: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return the inputs as a matrix (others, rows), for a kernel of shape `shape`."""
        letters, _ = self._full(inputs.ndim)
        others = "".join(letter for letter in letters if letter not in self.summed)
        summed_last = jnp.einsum(f"{letters}->{others}{self.summed}", inputs)
        return summed_last.reshape(-1, self.matrix_shape(shape)[0])

    def _sizes(self, shape: tuple[int, ...]) -> dict[str, int]:
        return dict(zip(self._letters[1], shape, strict=True))

    # --- scales ---------------------------------------------------------------------------------

    def quantized_inputs(
        self, inputs: jax.Array, quantizer: Callable[..., Any]
    ) -> tuple[jax.Array, jax.Array]:
        """Return integers of the inputs, and their scale with the axes of the outputs.

        Args:
            inputs: Inputs of the product.
            quantizer: A quantizer such as `AbsMaxQuantizer`; inputs that meet in one sum share a
                scale.
        """
        letters, outputs = self._full(inputs.ndim)
        axes = tuple(axis for axis, letter in enumerate(letters) if letter not in outputs)
        integers, scale = quantizer(inputs, axis=axes)
        return integers, _with_axes(scale, letters, outputs)

    def scale_for_outputs(self, scale: jax.Array) -> jax.Array:
        """Return a scale of the kernel, of size one along summed axes, with the outputs' axes."""
        return _with_axes(scale, self._letters[1], self._letters[2])

    def scale_for_kernel(self, scale: jax.Array) -> jax.Array:
        """Return a scale with the outputs' axes as one with the kernel's axes."""
        return _with_axes(scale, self._letters[2], self._letters[1])

    def column_scale_for_outputs(self, scale: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return a scale (columns,) of the kernel's matrix with the outputs' axes."""
        sizes = self._sizes(shape)
        return _with_axes(
            scale.reshape([sizes[letter] for letter in self.kept]), self.kept, self._letters[2]
        )

    def spread(self, scale: jax.Array, outputs: jax.Array) -> jax.Array:
        """Return a scale with the outputs' axes so that it broadcasts with `outputs`."""
        if not self._text.endswith("..."):
            return scale
        return scale.reshape(*scale.shape, *(1,) * (outputs.ndim - scale.ndim))

    def _full(self, ndim: int) -> tuple[str, str]:
        """Letters of inputs of `ndim` axes and of their outputs, dots replaced by letters."""
        inputs, kernel, outputs = self._letters
        free = [
            letter for letter in string.ascii_letters if letter not in inputs + kernel + outputs
        ]
        dots = "".join(free[: ndim - len(inputs)])
        if self._text.endswith("..."):
            return inputs + dots, outputs + dots
        return dots + inputs, dots + outputs


def _with_axes(values: jax.Array, letters: str, wanted: str) -> jax.Array:
    """Return `values`, whose axes are `letters`, with the axes `wanted`; missing axes get size one.

    Raises:
        ValueError: If an axis that is not wanted has another size than one.
    """
    gone = [axis for axis, letter in enumerate(letters) if letter not in wanted]
    if any(values.shape[axis] != 1 for axis in gone):
        raise ValueError(
            f"A quantizer gave a scale of shape {values.shape}, but the axes {gone} are summed over"
            " and must share one scale. Leave the quantizer's `axis` out, or name these axes."
        )
    left = "".join(letter for letter in letters if letter in wanted)
    values = values.reshape(
        [size for size, letter in zip(values.shape, letters, strict=True) if letter in wanted]
    )
    values = values.transpose([left.index(letter) for letter in wanted if letter in left])
    missing = [axis for axis, letter in enumerate(wanted) if letter not in left]
    return jnp.expand_dims(values, missing) if missing else values
