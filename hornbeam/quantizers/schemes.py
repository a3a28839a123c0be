"""How a layer holds a weight in fewer bits, and multiplies by it.

A scheme stands beside the layer: it puts variables of fewer bits in the weight's place, and the layer asks it for the
product. A layer tells what it has to hold by a `Held`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.variable import Variable
from hornbeam.quantizers import float8
from hornbeam.quantizers.products import Product
from hornbeam.quantizers.rounding import (
    AbsMaxQuantizer,
    abs_max_quantize_grouped_with_zero_point,
    grouped,
    pack_int4,
    unpack_int4,
)

__all__ = ["Calibrated", "Held", "Scheme", "scheme_for"]


@dataclass(frozen=True)
class Held:
    """A weight of a layer, and how its matrix lies in files.

    Args:
        name: Attribute of the layer.
        product: The product with the inputs.
        turned: Whether 4-bit integers lie with columns before rows.
        packed_rows: Whether two neighbours in a byte are of one column rather than of one row.
        zero_dtype: Dtype of 4-bit zero points.
        zero_name: Name of the variable of calibrated zero points.
    """

    name: str
    product: Product
    turned: bool = False
    packed_rows: bool = False
    zero_dtype: str = "int8"
    zero_name: str = "kernel_zero"
    own_index: bool = True


class Scheme:
    """The base: a weight held as it is.

    Args:
        layer: The layer.
        held: What is held.
        policy: The layer's quantized dtype policy.
        config: A `QuantizationConfig`, or `None` for the mode's own.
    """

    def __init__(self, layer: Any, held: Held, policy: Any = None, config: Any = None):
        self.layer, self.held, self.policy, self.config = layer, held, policy, config
        self.shape: tuple[int, ...] = getattr(layer, held.name).shape

    def hold(self) -> None:
        """Put the scheme's variables in the place of the layer's weight."""

    def weight(self) -> Any:
        """Return the weight as floats."""
        return getattr(self.layer, self.held.name).value

    def multiply(self, inputs: Any, training: bool = False) -> Any:
        """Return the product of inputs and weight."""
        return self.held.product(inputs, self.weight())

    def rows(self, index: Any) -> Any:
        """Return rows of a table as floats."""
        return jnp.take(self.weight(), index, axis=0)

    def saved_value(self, variable: Variable, weight: Any) -> Any:
        """Return what `variable` would hold if the layer's weight were `weight`."""
        return weight if variable is getattr(self.layer, self.held.name) else variable.stored

    def _add(self, attribute: str, shape: Any, dtype: str, initializer: Any, **options: Any) -> None:
        options = {"name": attribute, "trainable": False, "autocast": False, **options}
        variable = self.layer.add_weight(shape=shape, dtype=dtype, initializer=initializer, **options)
        setattr(self.layer, attribute, variable)

    def _read(self, attribute: str) -> Any:
        return getattr(self.layer, attribute).value


class Rounded(Scheme):
    """A weight held as integers: `encode` makes the arrays that `decode` reads."""

    def hold(self) -> None:
        weight = getattr(self.layer, self.held.name)
        self.layer._own_variables.remove(weight)
        shapes = jax.eval_shape(self.encode, jax.ShapeDtypeStruct(self.shape, weight.stored_dtype))
        # Made when first read: where a file gives the integers, the floats never are.
        arrays = functools.cache(lambda: self.encode(weight.stored))
        for attribute in self.attributes:
            array = shapes[attribute]
            first = functools.partial(_first, arrays, attribute)
            self._add(attribute, array.shape, array.dtype.name, first, name=self._variable_name(attribute))

    def _variable_name(self, attribute: str) -> str:
        return attribute

    @property
    def _scale(self) -> str:
        return f"{self.held.name}_scale"

    @property
    def _zero(self) -> str:
        return f"{self.held.name}_zero"

    def encode(self, weight: Any) -> dict[str, Any]:
        """Return the arrays that hold `weight`, by attribute, in the order of files."""
        raise NotImplementedError  # each scheme has its own

    def decode(self, arrays: dict[str, Any]) -> Any:
        """Return the weight that arrays hold."""
        raise NotImplementedError  # each scheme has its own

    def _arrays(self) -> dict[str, Any]:
        return {name: self._read(name) for name in self.attributes}

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes of the arrays, in the order of files."""
        return (self.held.name, self._scale)

    def weight(self) -> Any:
        return self.decode(self._arrays())

    def multiply(self, inputs: Any, training: bool = False) -> Any:
        return self.held.product(inputs, self.weight().astype(inputs.dtype))

    def saved_value(self, variable: Variable, weight: Any) -> Any:
        arrays = self.encode(weight)
        for attribute, value in arrays.items():
            if variable is getattr(self.layer, attribute):
                return value
        return variable.stored

    @property
    def _scale_dtype(self) -> str:
        return str(self.layer.variable_dtype)


class PerChannel(Rounded):
    """Integers with one scale a column: int8."""

    value_range = (-127, 127)

    def _integers(self, arrays: dict[str, Any]) -> tuple[Any, Any]:
        """Return the integers in the kernel's shape, and the scale in the layout of the outputs."""
        return arrays[self.held.name], arrays[self._scale]

    def _rounded(self, weight: Any) -> tuple[Any, Any]:
        own = None if self.config is None else self.config.weight_quantizer
        quantizer = own or AbsMaxQuantizer(value_range=self.value_range)
        # A quantizer of the user's says itself which axes share a scale.
        axis = getattr(own, "axis", None) or self.held.product.summed_axes
        traced = isinstance(weight, jax.core.Tracer)  # for its shapes
        integers, scale = quantizer(weight, axis=axis, to_numpy=not traced)
        return integers, self.held.product.scale_for_outputs(scale).astype(self._scale_dtype)

    def encode(self, weight: Any) -> dict[str, Any]:
        integers, scale = self._rounded(weight)
        return {self.held.name: integers, self._scale: scale}

    def decode(self, arrays: dict[str, Any]) -> Any:
        integers, scale = self._integers(arrays)
        return integers.astype(scale.dtype) / self.held.product.scale_for_kernel(scale)

    @property
    def _activation_quantizer(self) -> Any:
        return AbsMaxQuantizer() if self.config is None else self.config.activation_quantizer

    def multiply(self, inputs: Any, training: bool = False) -> Any:
        product, quantizer = self.held.product, self._activation_quantizer

        def floats(x: Any, integers: Any, scale: Any) -> Any:
            y = product(x, integers.astype(x.dtype))
            return y / product.spread(scale, y).astype(x.dtype)

        @jax.custom_jvp
        def whole(x: Any, integers: Any, scale: Any) -> Any:
            """Multiply integers; its gradient is that of the product with floats."""
            x_integers, x_scale = product.quantized_inputs(x, quantizer)
            y = product(x_integers.astype("int32"), integers.astype("int32"))
            return y.astype(x.dtype) / (x_scale * product.spread(scale, y)).astype(x.dtype)

        @whole.defjvp
        def _(primals: Any, tangents: Any) -> tuple[Any, Any]:
            return whole(*primals), floats(tangents[0], *primals[1:])

        return (floats if quantizer is None else whole)(inputs, *self._integers(self._arrays()))

    def rows(self, index: Any) -> Any:
        scale = self._read(self._scale)
        rows = jnp.take(self._read(self.held.name), index, axis=0)
        return rows.astype(scale.dtype) / jnp.take(scale, index, axis=0)[..., None]


class Int4PerChannel(PerChannel):
    """4-bit integers with one scale a column."""

    value_range = (-8, 7)

    def _integers(self, arrays: dict[str, Any]) -> tuple[Any, Any]:
        integers = _unpacked(arrays[self.held.name], self.held, self.shape)
        scale = self.held.product.column_scale_for_outputs(arrays[self._scale], self.shape)
        return self.held.product.kernel(integers, self.shape), scale

    def encode(self, weight: Any) -> dict[str, Any]:
        integers, scale = self._rounded(weight)
        product = self.held.product
        columns = jnp.broadcast_to(product.scale_for_kernel(scale), self.shape)
        return {
            self.held.name: _packed(product.matrix(integers), self.held),
            self._scale: product.matrix(columns)[0],
        }

    @property
    def _activation_quantizer(self) -> Any:
        return None if self.config is None else self.config.activation_quantizer

    def rows(self, index: Any) -> Any:
        scale = self._read(self._scale)
        bytes_ = jnp.take(self._read(self.held.name), index, axis=0)
        rows = unpack_int4(bytes_, self.shape[-1], axis=-1)
        return rows.astype(scale.dtype) / jnp.take(scale, index, axis=0)[..., None]


class Int4Grouped(Rounded):
    """4-bit integers whose scale and zero point stand for blocks of rows, column by column."""

    index_name = "g_idx"

    @property
    def attributes(self) -> tuple[str, ...]:
        names = (self.held.name, self._scale, self._zero)
        return (*names, self.index_name) if self.held.own_index else names

    @property
    def block_size(self) -> int:
        return int(self.policy.block_size)

    def encode(self, weight: Any) -> dict[str, Any]:
        matrix = self.held.product.matrix(weight)
        integers, scale, zero = abs_max_quantize_grouped_with_zero_point(matrix, self.block_size)
        return self._laid_out(integers, scale, zero)

    def _laid_out(self, integers: Any, scale: Any, zero: Any) -> dict[str, Any]:
        """Return the arrays of files for a matrix of integers, and scales and zero points of shape (groups, columns)."""
        turn = jnp.transpose if self.held.turned else jnp.asarray
        arrays = {
            self.held.name: _packed(integers, self.held),
            self._scale: turn(scale).astype(self._scale_dtype),
            self._zero: turn(zero).astype(self.held.zero_dtype),
        }
        if self.held.own_index:
            arrays[self.index_name] = self._index(integers.shape[0])
        return arrays

    def _index(self, rows: int) -> Any:
        block = rows if self.block_size == -1 else self.block_size
        return (jnp.arange(rows) // block).astype("float32")

    def _parts(self, arrays: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Return integers as a matrix, and scales and zero points of shape (groups, columns)."""
        turn = jnp.transpose if self.held.turned else jnp.asarray
        integers = _unpacked(arrays[self.held.name], self.held, self.shape)
        return integers, turn(arrays[self._scale]), turn(arrays[self._zero])

    def decode(self, arrays: dict[str, Any]) -> Any:
        integers, scale, zero = self._parts(arrays)
        index = jnp.floor(self._read(self.index_name)).astype("int32")
        matrix = (integers.astype(scale.dtype) - zero[index].astype(scale.dtype)) * scale[index]
        return self.held.product.kernel(matrix, self.shape)

    def rows(self, index: Any) -> Any:
        def take(attribute: str) -> Any:
            return jnp.take(self._read(attribute), index, axis=0)

        scale, zero = take(self._scale), take(self._zero)
        integers = unpack_int4(take(self.held.name), self.shape[-1], axis=-1)
        group = jnp.floor(self._read(self.index_name)).astype("int32")
        return (integers.astype(scale.dtype) - zero[..., group].astype(scale.dtype)) * scale[..., group]


class Calibrated(Int4Grouped):
    """Integers from zero upward, in groups of rows; GPTQ and AWQ choose them (`hornbeam.quantizers.calibration`).

    Without calibration each number goes to the nearest integer.
    """

    @property
    def attributes(self) -> tuple[str, ...]:
        names = super().attributes
        return (*names[:-1], "awq_scales", names[-1]) if self.policy.mode == "awq" else names

    def _variable_name(self, attribute: str) -> str:
        return self.held.zero_name if attribute == self._zero else attribute

    @property
    def block_size(self) -> int:
        return int(self.policy.group_size)

    @property
    def highest(self) -> int:
        """Largest integer; the smallest is zero."""
        return int(2**self.policy.weight_bits - 1)

    def encode(self, weight: Any) -> dict[str, Any]:
        matrix = jnp.asarray(self.held.product.matrix(weight), "float32")
        return self.calibrated(*grouped(matrix, self.block_size, (0, self.highest)))

    def calibrated(
        self, integers: Any, scale: Any, zero: Any, index: Any = None, input_scales: Any = None
    ) -> dict[str, Any]:
        """Return the arrays of files for what a calibration chose.

        Args:
            integers: Matrix of rows and columns.
            scale, zero: Of shape (groups, columns).
            index: Group of each row. Default: one after the other.
            input_scales: What each row was multiplied by, for AWQ. Default: ones.
        """
        arrays = self._laid_out(integers, scale, zero)
        if index is not None:
            arrays[self.index_name] = jnp.asarray(index, "float32")
        if self.policy.mode == "awq":
            ones = jnp.ones(integers.shape[0]) if input_scales is None else input_scales
            arrays["awq_scales"] = jnp.asarray(ones, self._scale_dtype)
        return {name: arrays[name] for name in self.attributes}

    def assign(self, arrays: dict[str, Any]) -> None:
        """Set the layer's variables to what `calibrated` returned."""
        for attribute, value in arrays.items():
            getattr(self.layer, attribute).assign(value)

    def _laid_out(self, integers: Any, scale: Any, zero: Any) -> dict[str, Any]:
        whole = jnp.asarray(integers, "uint8").T
        if self.policy.weight_bits == 4:
            whole = pack_int4(whole, axis=0, dtype="uint8")[0]
        return {
            self.held.name: whole,
            self._scale: scale.T.astype(self._scale_dtype),
            self._zero: zero.T.astype("uint8"),
            self.index_name: self._index(integers.shape[0]),
        }

    def _parts(self, arrays: dict[str, Any]) -> tuple[Any, Any, Any]:
        whole = arrays[self.held.name]
        if self.policy.weight_bits == 4:
            whole = unpack_int4(whole, _columns(self.held, self.shape), axis=0, dtype="uint8")
        return whole.T, arrays[self._scale].T, arrays[self._zero].T

    def decode(self, arrays: dict[str, Any]) -> Any:
        kernel = super().decode(arrays)
        if self.policy.mode != "awq":
            return kernel
        matrix = self.held.product.matrix(kernel) / arrays["awq_scales"][:, None]
        return self.held.product.kernel(matrix, self.shape)


class Float8(Scheme):
    """A weight held as it is; products go through 8-bit floating point by scales from the steps before."""

    def hold(self) -> None:
        length = getattr(self.policy, "amax_history_length", 1024)
        for part in ("inputs", "kernel", "outputs_grad"):
            for name, shape, first in ((f"{part}_scale", (), "ones"), (f"{part}_amax_history", (length,), "zeros")):
                self._add(name, shape, "float32", first, trainable=True, overwrite_with_gradient=True)

    def multiply(self, inputs: Any, training: bool = False) -> Any:
        def state(part: str) -> tuple[Any, Any]:
            return self._read(f"{part}_scale"), self._read(f"{part}_amax_history")

        x = float8.through(inputs, *state("inputs"), bool(training))
        kernel = float8.through(self.weight().astype(inputs.dtype), *state("kernel"), bool(training))
        return float8.through_gradient(self.held.product(x, kernel), *state("outputs_grad"))


def scheme_for(layer: Any, held: Held, policy: Any, config: Any) -> Scheme:
    """Return the scheme of a policy for a weight of a layer."""
    mode = policy.quantization_mode
    if mode == "int4":
        grouped = getattr(policy, "block_size", -1) > 0
        return (Int4Grouped if grouped else Int4PerChannel)(layer, held, policy, config)
    cls: Any = {"int8": PerChannel, "float8": Float8, "gptq": Calibrated, "awq": Calibrated}[mode]
    return cls(layer, held, policy, config)  # type: ignore[no-any-return]


def _first(arrays: Any, attribute: str, shape: Any, dtype: Any = None) -> Any:
    """Return one of the arrays; an initializer, once the first two arguments are bound."""
    return arrays()[attribute]


def _columns(held: Held, shape: tuple[int, ...]) -> int:
    return int(np.prod([shape[axis] for axis in range(len(shape)) if axis not in held.product.summed_axes]))


def _packed(integers: Any, held: Held) -> Any:
    """Return a matrix of 4-bit integers as bytes, as files hold it."""
    packed = pack_int4(jnp.asarray(integers, "int8"), axis=0 if held.packed_rows else 1)[0]
    return packed.T if held.turned else packed


def _unpacked(packed: Any, held: Held, shape: tuple[int, ...]) -> Any:
    """Return the matrix of 4-bit integers that `_packed` made bytes of."""
    columns = _columns(held, shape)
    size = int(np.prod(shape)) // columns if held.packed_rows else columns
    return unpack_int4(packed.T if held.turned else packed, size, axis=0 if held.packed_rows else 1)
