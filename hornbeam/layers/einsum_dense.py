"""A dense layer whose product is an Einstein summation."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from hornbeam.layers.arguments import add_named_weight, keep
from hornbeam.layers.quantized import Quantizable
from hornbeam.quantizers.products import Product
from hornbeam.quantizers.schemes import Held

__all__ = ["EinsumDense"]

_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class EinsumDense(Quantizable):
    """`activation(einsum(equation, x, kernel) + bias)`.

    Args:
        equation: Like `"abc,cd->abd"`: axes of the input, of the kernel, of the output. `...` may stand for axes that
            all but the kernel have, at the beginning or at the end.
        output_shape: Shape of the output without the batch axis and the axes under `...`; an integer for one axis.
            `None` for axes of the input.
        activation: Name or function.
        bias_axes: Letters of the output's axes that the bias has. Default: no bias.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: As for `Dense`.
        lora_rank, lora_alpha: If given, the layer is adapted: see `enable_lora`.
        gptq_unpacked_column_size: Kept for Keras's signature; the equation tells it.
        quantization_config: How to hold the weight where `dtype` is a quantized policy. Default: that of the policy.
        **kwargs: Arguments of `Layer`.

    Weights: `kernel`, of the shape that the equation tells; `bias`, of the sizes of `bias_axes`, with ones
    between and after them.

    Raises:
        ValueError: If the equation is none, or does not fit shapes.

    Example:
        >>> EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")(np.ones((1, 5, 4))).shape
        (1, 5, 2, 3)
    """

    def __init__(
        self, equation: str, output_shape: Any, activation: Any = None, bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        bias_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        lora_rank: int | None = None, lora_alpha: float | None = None, gptq_unpacked_column_size: Any = None,
        quantization_config: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        match = _EQUATION.fullmatch(equation.replace(" ", "")) if isinstance(equation, str) else None
        if match is None or (match[1], match[3]) != (match[5], match[7]) or (match[1] and match[3]):
            raise ValueError(
                "EinsumDense: `equation` must read like 'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...', received "
                f"{equation!r}."
            )
        keep(self, locals())
        del self.match
        self.output_shape = tuple(output_shape) if hasattr(output_shape, "__iter__") else (output_shape,)
        unknown = sorted(set(bias_axes or "") - set(match[6]))
        if unknown:
            raise ValueError(
                f"EinsumDense: `bias_axes` {bias_axes!r} has letters {unknown} that the output {match[6]!r} lacks."
            )

    def build(self, input_shape: Any) -> None:
        match = _EQUATION.fullmatch(self.equation.replace(" ", ""))
        assert match is not None
        ahead, inputs, behind, kernel, _, outputs, _ = match.groups()
        hidden = len(input_shape) - len(inputs)  # axes under `...`
        if hidden < 0 or (hidden and not (ahead or behind)):
            raise ValueError(
                f"{self._label()}: the equation {self.equation!r} takes inputs of {len(inputs)} axes, received shape "
                f"{tuple(input_shape)}."
            )
        known = dict(zip(inputs, input_shape[hidden:] if ahead else input_shape, strict=False))
        # With `...` in front the batch is under it.
        stated = dict(zip(outputs if ahead else outputs[1:], self.output_shape, strict=False))
        if len(stated) != len(self.output_shape) or len(stated) != len(outputs) - (not ahead):
            raise ValueError(
                f"{self._label()}: `output_shape` {self.output_shape} must have a size for each of the axes "
                f"{(outputs if ahead else outputs[1:])!r} of the equation {self.equation!r}."
            )
        for letter, size in stated.items():
            if size is None:
                stated[letter] = known.get(letter)
            elif known.get(letter) not in (None, size):
                raise ValueError(
                    f"{self._label()}: axis {letter!r} is {known[letter]} in the input and {size} in `output_shape`."
                )
        sizes = known | stated
        for letter in kernel:
            if sizes.get(letter) is None:
                raise ValueError(f"{self._label()}: the size of axis {letter!r} of the kernel must be known.")
        self.kernel = add_named_weight(self, "kernel", tuple(sizes[letter] for letter in kernel))
        self.bias = None
        if self.bias_axes:
            first = min(outputs.index(letter) for letter in self.bias_axes)
            shape = [sizes[letter] if letter in self.bias_axes else 1 for letter in outputs[first:]]
            if None in shape:
                raise ValueError(f"{self._label()}: the sizes of `bias_axes` {self.bias_axes!r} must be known.")
            self.bias = add_named_weight(self, "bias", (*shape, *(1,) * (hidden if behind else 0)))
        self._finish_build()

    def _held(self) -> tuple[Held, ...]:
        return (Held("kernel", Product(self.equation), zero_name="zero_point"),)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self._product(inputs, training)
        if self.bias is not None:
            x = x + self.bias.value
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("gptq_unpacked_column_size", None)
        scheme = self._schemes.get("kernel")
        if scheme is not None and self.quantization_mode == "gptq":
            config["gptq_unpacked_column_size"] = scheme.held.product.matrix(np.empty(scheme.shape, "int8")).shape[1]
        return config
