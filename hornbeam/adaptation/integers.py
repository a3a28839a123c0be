"""Weights stored as integers with scales: int8, int4, GPTQ and AWQ.

Each class replaces the layer's weight by variables for the integers and scales, computes products
with them, and knows their order and format in Keras's files.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.adaptation.equation import Equation
from hornbeam.adaptation.weights import AdaptedWeight, Layout
from hornbeam.core.variable import Variable
from hornbeam.quantizers.configs import QuantizationConfig
from hornbeam.quantizers.rounding import (
    AbsMaxQuantizer,
    abs_max_quantize_grouped_with_zero_point,
    grouped,
    pack_int4,
    unpack_int4,
)
from hornbeam.typing import Tensor

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer

__all__ = ["Calibrated", "Int4Grouped", "Int4PerChannel", "IntegerWeight", "PerChannel"]

Arrays = dict[str, Any]  # keyed by the layer's attribute name


class IntegerWeight(AdaptedWeight):
    """A weight stored as integers and scales; `encode` makes their arrays, `decode` the floats.

    Args:
        layer: The layer; its weight still holds floats.
        layout: Names the weight and describes how its integers are stored.
        policy: The layer's quantized dtype policy.
        config: A `QuantizationConfig`. Default: the mode's default quantizers.
    """

    adds_to_weight = False

    def __init__(
        self, layer: Layer, layout: Layout, policy: Any, config: QuantizationConfig | None = None
    ):
        super().__init__(getattr(layer, layout.name))
        self.layer, self.layout, self.policy, self.config = layer, layout, policy, config
        self._scale, self._zero = f"{layout.name}_scale", f"{layout.name}_zero"
        self._scale_dtype = str(layer.variable_dtype)

    def hold(self) -> None:
        """Replace the layer's weight by variables for the integers and scales.

        Raises:
            ValueError: If the quantizer's scales do not fit the product.
        """
        weight = self.variable
        shapes = jax.eval_shape(self.encode, jax.ShapeDtypeStruct(self.shape, weight.stored_dtype))
        # Encoded at the first read; a file that provides the integers never needs the floats.
        arrays = functools.cache(lambda: self.encode(weight.stored))
        self.layer._own_variables.remove(weight)
        for attribute in self.attributes:
            variable = self.layer.add_weight(
                name=self._variable_name(attribute), shape=shapes[attribute].shape,
                dtype=shapes[attribute].dtype.name,
                initializer=functools.partial(_first_value, arrays, attribute), trainable=False,
                autocast=False,
            )  # fmt: skip
            setattr(self.layer, attribute, variable)
        self.variable = getattr(self.layer, self.layout.name)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the layer's attributes for the arrays, in the order of files."""
        return (self.layout.name, self._scale)

    def _variable_name(self, attribute: str) -> str:
        return attribute

    def encode(self, floats: jax.Array) -> Arrays:
        """Return the arrays that hold the weight `floats`."""
        raise NotImplementedError  # subclasses implement it

    def decode(self, arrays: Arrays) -> jax.Array:
        """Return the weight that the arrays encode, as floats."""
        raise NotImplementedError  # subclasses implement it

    def floats(self) -> jax.Array:
        return self.decode(self._arrays())

    def multiply(
        self, equation: Equation, x: jax.Array, training: bool = False, cast: bool = False
    ) -> jax.Array:
        """Return the product; the weight is decoded to floats of the dtype of `x`."""
        return equation(x, self.floats().astype(x.dtype))

    def saved_value(
        self, variable: Variable, floats: Callable[[], jax.Array] | None = None
    ) -> np.ndarray | jax.Array | None:
        """Return the value of a variable to save; `floats`, if given, are quantized first."""
        for attribute in self.attributes:
            if floats is not None and variable is getattr(self.layer, attribute):
                return self.encode(floats())[attribute]
        return variable.stored

    def _arrays(self) -> Arrays:
        return {attribute: self._read(attribute) for attribute in self.attributes}

    def _read(self, attribute: str) -> jax.Array:
        return getattr(self.layer, attribute).value

    # --- 4-bit integers in bytes ------------------------------------------------------------------

    def _packed(self, integers: jax.Array) -> jax.Array:
        """Pack a matrix (rows, columns) of 4-bit integers into bytes, as files store them."""
        packed, _, _ = pack_int4(
            jnp.asarray(integers, "int8"), axis=0 if self.layout.packed_along_rows else 1
        )
        return packed.T if self.layout.transposed else packed

    def _unpacked(self, packed: jax.Array) -> jax.Array:
        """Return the matrix (rows, columns) of 4-bit integers that `_packed` packed."""
        axis = 0 if self.layout.packed_along_rows else 1
        size = self.layout.equation.matrix_shape(self.shape)[axis]
        return unpack_int4(packed.T if self.layout.transposed else packed, size, axis=axis)


class PerChannel(IntegerWeight):
    """int8: integers with one scale per column, `weight = integers / scale`.

    If the configuration has an activation quantizer, the inputs are quantized too, and the product
    is computed with integers.
    """

    value_range = (-127, 127)

    def encode(self, floats: jax.Array) -> Arrays:
        integers, scale = self._rounded(floats)
        return {self.layout.name: integers, self._scale: scale}

    def decode(self, arrays: Arrays) -> jax.Array:
        integers, scale = self._integers(arrays)
        return integers.astype(scale.dtype) / self.layout.equation.scale_for_kernel(scale)

    def _rounded(self, floats: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return integers of the kernel's shape, and the scale with the outputs' axes."""
        given = None if self.config is None else self.config.weight_quantizer
        quantizer = given or AbsMaxQuantizer(value_range=self.value_range)
        # A quantizer from the user may choose the axes that share a scale.
        axis = getattr(given, "axis", None) or self.layout.equation.summed_axes
        # Computed on the host to save device memory; a tracer has no values to compute with.
        integers, scale = quantizer(
            floats, axis=axis, to_numpy=not isinstance(floats, jax.core.Tracer)
        )
        return integers, self.layout.equation.scale_for_outputs(scale).astype(self._scale_dtype)

    def _integers(self, arrays: Arrays) -> tuple[jax.Array, jax.Array]:
        """Return the integers and the scale from the arrays, as `_rounded` does."""
        return arrays[self.layout.name], arrays[self._scale]

    @property
    def _activation_quantizer(self) -> Callable[..., Any] | None:
        return AbsMaxQuantizer() if self.config is None else self.config.activation_quantizer

    def multiply(
        self, equation: Equation, x: jax.Array, training: bool = False, cast: bool = False
    ) -> jax.Array:
        """Return `product(x, integers) / scale`; a quantizer of activations also rounds `x`."""
        quantizer = self._activation_quantizer

        def of_floats(x: jax.Array, integers: jax.Array, scale: jax.Array) -> jax.Array:
            y = equation(x, integers.astype(x.dtype))
            return y / equation.spread(scale, y).astype(x.dtype)

        if quantizer is None:
            return of_floats(x, *self._integers(self._arrays()))

        @jax.custom_jvp
        def of_integers(x: jax.Array, integers: jax.Array, scale: jax.Array) -> jax.Array:
            x_integers, x_scale = equation.quantized_inputs(x, quantizer)
            y = equation(x_integers.astype("int32"), integers.astype("int32"))
            return y.astype(x.dtype) / (x_scale * equation.spread(scale, y)).astype(x.dtype)

        @of_integers.defjvp
        def _(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
            # Rounding has no useful derivative, so the product with floats is differentiated.
            return of_integers(*primals), of_floats(tangents[0], *primals[1:])

        return of_integers(x, *self._integers(self._arrays()))

    def lookup(self, index: jax.Array) -> jax.Array:
        scale = self._read(self._scale)
        rows = jnp.take(self._read(self.layout.name), index, axis=0)
        return rows.astype(scale.dtype) / jnp.take(scale, index, axis=0)[..., None]


class Int4PerChannel(PerChannel):
    """int4 without blocks: 4-bit integers, two per byte, with one scale per column."""

    value_range = (-8, 7)

    def encode(self, floats: jax.Array) -> Arrays:
        integers, scale = self._rounded(floats)
        equation = self.layout.equation
        columns = jnp.broadcast_to(equation.scale_for_kernel(scale), self.shape)
        return {
            self.layout.name: self._packed(equation.matrix(integers)),
            self._scale: equation.matrix(columns)[0],
        }

    def _integers(self, arrays: Arrays) -> tuple[jax.Array, jax.Array]:
        equation, matrix = self.layout.equation, self._unpacked(arrays[self.layout.name])
        scale = equation.column_scale_for_outputs(arrays[self._scale], self.shape)
        return equation.kernel(matrix, self.shape), scale

    @property
    def _activation_quantizer(self) -> Callable[..., Any] | None:
        return None if self.config is None else self.config.activation_quantizer

    def lookup(self, index: jax.Array) -> jax.Array:
        scale = self._read(self._scale)
        packed = jnp.take(self._read(self.layout.name), index, axis=0)
        rows = unpack_int4(packed, self.shape[-1], axis=-1)
        return rows.astype(scale.dtype) / jnp.take(scale, index, axis=0)[..., None]


class Int4Grouped(IntegerWeight):
    """int4 in blocks of rows; each column of a block has one scale and one zero point.

    `weight = (integers - zero[group]) * scale[group]`, where `group` is the index of the row's
    block.
    """

    _index_name = "g_idx"

    @property
    def attributes(self) -> tuple[str, ...]:
        names = (self.layout.name, self._scale, self._zero)
        return (*names, self._index_name) if self.layout.has_index else names

    @property
    def block_size(self) -> int:
        """Number of rows per block; -1 for one block of all rows."""
        return int(self.policy.block_size)

    def encode(self, floats: jax.Array) -> Arrays:
        matrix = self.layout.equation.matrix(floats)
        return self._laid_out(*abs_max_quantize_grouped_with_zero_point(matrix, self.block_size))

    def decode(self, arrays: Arrays) -> jax.Array:
        integers, scale, zero = self._parts(arrays)
        group = self._group()
        matrix = (integers.astype(scale.dtype) - zero[group].astype(scale.dtype)) * scale[group]
        return self.layout.equation.kernel(matrix, self.shape)

    def _laid_out(self, integers: jax.Array, scale: jax.Array, zero: jax.Array) -> Arrays:
        """Return arrays for integers (rows, columns), scales and zeros (groups, columns)."""
        turn = jnp.transpose if self.layout.transposed else jnp.asarray
        arrays = {
            self.layout.name: self._packed(integers),
            self._scale: turn(scale).astype(self._scale_dtype),
            self._zero: turn(zero).astype(self.layout.zero_dtype),
        }
        if self.layout.has_index:
            arrays[self._index_name] = self._first_groups(integers.shape[0])
        return arrays

    def _parts(self, arrays: Arrays) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return the integers, scales and zeros from the arrays: the inverse of `_laid_out`."""
        turn = jnp.transpose if self.layout.transposed else jnp.asarray
        return (
            self._unpacked(arrays[self.layout.name]),
            turn(arrays[self._scale]),
            turn(arrays[self._zero]),
        )

    def _first_groups(self, rows: int) -> jax.Array:
        """Return the group of each row for consecutive blocks, in the dtype of files."""
        block = rows if self.block_size == -1 else self.block_size
        return (jnp.arange(rows) // block).astype("float32")

    def _group(self) -> jax.Array:
        return jnp.floor(self._read(self._index_name)).astype("int32")

    def lookup(self, index: jax.Array) -> jax.Array:
        def take(attribute: str) -> jax.Array:
            return jnp.take(self._read(attribute), index, axis=0)

        scale, zero = take(self._scale), take(self._zero)
        integers = unpack_int4(take(self.layout.name), self.shape[-1], axis=-1)
        group = self._group()
        return (integers.astype(scale.dtype) - zero[..., group].astype(scale.dtype)) * scale[
            ..., group
        ]


class Calibrated(Int4Grouped):
    """GPTQ and AWQ: unsigned integers of 2 to 8 bits, with scales per group of rows.

    `hornbeam.quantizers.calibration` chooses the integers. Until `assign` sets them, the weight is
    rounded to the nearest integers. With AWQ,
    `weight = (integers - zero[group]) * scale[group] / awq_scales`.
    """

    @property
    def attributes(self) -> tuple[str, ...]:
        names = super().attributes
        return (*names[:-1], "awq_scales", names[-1]) if self.policy.mode == "awq" else names

    def _variable_name(self, attribute: str) -> str:
        return self.layout.zero_name if attribute == self._zero else attribute

    @property
    def block_size(self) -> int:
        return int(self.policy.group_size)

    def encode(self, floats: jax.Array) -> Arrays:
        matrix = jnp.asarray(self.layout.equation.matrix(floats), "float32")
        highest = int(2**self.policy.weight_bits - 1)
        return self.chosen(*grouped(matrix, self.block_size, (0, highest)))

    def chosen(
        self, integers: Tensor, scale: Tensor, zero: Tensor, index: np.ndarray | None = None,
        input_scales: np.ndarray | None = None,
    ) -> Arrays:  # fmt: skip
        """Return the arrays to store for the result of a calibration.

        Args:
            integers: (rows, columns).
            scale, zero: (groups, columns).
            index: (rows,), the group of each row. Default: consecutive blocks.
            input_scales: (rows,), the factor that AWQ multiplied each row by. Default: ones.
        """
        arrays = self._laid_out(integers, scale, zero)
        if index is not None:
            arrays[self._index_name] = jnp.asarray(index, "float32")
        if self.policy.mode == "awq":
            factors = jnp.ones(integers.shape[0]) if input_scales is None else input_scales
            arrays["awq_scales"] = jnp.asarray(factors, self._scale_dtype)
        return {attribute: arrays[attribute] for attribute in self.attributes}

    def assign(self, arrays: Arrays) -> None:
        """Assign the arrays that `chosen` returned to the layer's variables."""
        for attribute, value in arrays.items():
            getattr(self.layer, attribute).assign(value)

    def _laid_out(self, integers: Any, scale: Any, zero: Any) -> Arrays:
        by_column = jnp.asarray(integers, "uint8").T
        if self.policy.weight_bits == 4:
            by_column, _, _ = pack_int4(by_column, axis=0, dtype="uint8")
        return {
            self.layout.name: by_column,
            self._scale: scale.T.astype(self._scale_dtype),
            self._zero: zero.T.astype("uint8"),
            self._index_name: self._first_groups(integers.shape[0]),
        }

    def _parts(self, arrays: Arrays) -> tuple[jax.Array, jax.Array, jax.Array]:
        by_column = arrays[self.layout.name]
        if self.policy.weight_bits == 4:
            columns = self.layout.equation.matrix_shape(self.shape)[1]
            by_column = unpack_int4(by_column, columns, axis=0, dtype="uint8")
        return by_column.T, arrays[self._scale].T, arrays[self._zero].T

    def decode(self, arrays: Arrays) -> jax.Array:
        kernel = super().decode(arrays)
        if self.policy.mode != "awq":
            return kernel
        matrix = self.layout.equation.matrix(kernel) / arrays["awq_scales"][:, None]
        return self.layout.equation.kernel(matrix, self.shape)


def _first_value(
    arrays: Callable[[], Arrays], attribute: str, shape: Any, dtype: Any = None
) -> jax.Array:
    """Return one of the arrays: an initializer, once the first two arguments are bound."""
    return arrays()[attribute]
