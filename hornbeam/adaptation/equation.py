"""The product of inputs and a weight as an einsum equation with queryable axes."""

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

    The kernel can be treated as a matrix: its rows are the axes that the product sums over, its
    columns the axes that the outputs keep, both in the order of the kernel's axes.

    Args:
        text: The equation, such as `"...x,xy->...y"`. `...` may be at the beginning or at the end
            of inputs and outputs.

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
        """Letters of inputs, kernel and outputs, without `...`."""
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
        """Return the product, computed as one matrix product if the axes allow it."""
        summed = len(self.summed)
        if self._is_of_rows and inputs.shape[inputs.ndim - summed :] == kernel.shape[:summed]:
            return rows_product(inputs, kernel, summed)
        return jnp.einsum(self.text, inputs, kernel)

    @functools.cached_property
    def _is_of_rows(self) -> bool:
        """Whether summed axes are last in inputs and first in the kernel, the others in order."""
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
        """Return the shape (rows, columns) of the matrix of a kernel of shape `shape`.

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
        """Return the inputs as integers, and their scale with the outputs' axes.

        Args:
            inputs: Inputs of the product.
            quantizer: A quantizer such as `AbsMaxQuantizer`; inputs that are summed together share
                a scale.
        """
        letters, outputs = self._full(inputs.ndim)
        axes = tuple(axis for axis, letter in enumerate(letters) if letter not in outputs)
        integers, scale = quantizer(inputs, axis=axes)
        return integers, _with_axes(scale, letters, outputs)

    def scale_for_outputs(self, scale: jax.Array) -> jax.Array:
        """Convert a scale with the kernel's axes, of size 1 if summed, to the outputs' axes."""
        return _with_axes(scale, self._letters[1], self._letters[2])

    def scale_for_kernel(self, scale: jax.Array) -> jax.Array:
        """Convert a scale with the outputs' axes to the kernel's axes."""
        return _with_axes(scale, self._letters[2], self._letters[1])

    def column_scale_for_outputs(self, scale: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Convert a scale (columns,) of the kernel's matrix to the outputs' axes."""
        sizes = self._sizes(shape)
        return _with_axes(
            scale.reshape([sizes[letter] for letter in self.kept]), self.kept, self._letters[2]
        )

    def spread(self, scale: jax.Array, outputs: jax.Array) -> jax.Array:
        """Reshape a scale with the outputs' axes to broadcast with `outputs`."""
        if not self._text.endswith("..."):
            return scale
        return scale.reshape(*scale.shape, *(1,) * (outputs.ndim - scale.ndim))

    def _full(self, ndim: int) -> tuple[str, str]:
        """Return the letters of `ndim`-axis inputs and of the outputs, with letters for `...`."""
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
        ValueError: If an axis that is not in `wanted` has a size other than one.
    """
    gone = [axis for axis, letter in enumerate(letters) if letter not in wanted]
    if any(values.shape[axis] != 1 for axis in gone):
        raise ValueError(
            f"The quantizer returned a scale of shape {values.shape}; expected size 1 along the"
            f" axes {gone}, which the product sums over. Leave the quantizer's `axis` out, or"
            " include these axes."
        )
    left = "".join(letter for letter in letters if letter in wanted)
    values = values.reshape(
        [size for size, letter in zip(values.shape, letters, strict=True) if letter in wanted]
    )
    values = values.transpose([left.index(letter) for letter in wanted if letter in left])
    missing = [axis for axis, letter in enumerate(wanted) if letter not in left]
    return jnp.expand_dims(values, missing) if missing else values
