"""A dense layer whose product is an einsum."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hornbeam import activations, initializers
from hornbeam.adaptation.equation import Equation
from hornbeam.adaptation.products import einsum
from hornbeam.adaptation.weights import Layout
from hornbeam.core.variable import Variable
from hornbeam.layers.adaptable import ALL_MODES, Adaptable
from hornbeam.layers.arguments import add_named_weight, keep
from hornbeam.typing import Identifier, Shapes, Structure

if TYPE_CHECKING:
    from hornbeam.quantizers.configs import QuantizationConfig

__all__ = ["EinsumDense"]

_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class EinsumDense(Adaptable):
    """A dense layer along any axes: `activation(einsum(equation, x, kernel) + bias)`.

    Args:
        equation: Axes of input, kernel and output, such as `"abc,cd->abd"`. A `...` at the start or
            end of input and output stands for shared axes that the kernel does not have.
        output_shape: Sizes of the output's axes, without the batch axis and the axes of `...`; one
            integer for one axis. `None` takes the size from the input.
        activation: Name or function. Default: `None`, linear.
        bias_axes: Letters of the output axes that the bias has. Default: `None`, no bias.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            kernel_constraint, bias_constraint: As for `Dense`.
        lora_rank, lora_alpha: If given, `build` calls `enable_lora` with them. Default: `None`.
        gptq_unpacked_column_size: No effect: the equation determines this number, which Keras's
            files hold.
        quantization_config: A `QuantizationConfig` for the kernel, used if `dtype` is a quantized
            policy. Default: the policy's.
        **kwargs: Arguments of `Layer`.

    Input and output: the axes of `equation`, the batch axis first. As in Keras.

    Weights: `kernel` with its axes in `equation`; `bias` with the sizes of `bias_axes`, and size 1
    for the axes between and after them.

    Raises:
        ValueError: If `equation` does not have this form or does not fit the shapes.

    Example:
        >>> import hornbeam as hb
        >>> tokens = hb.ops.ones((8, 20, 32))
        >>> to_heads = hb.layers.EinsumDense("btc,chd->bthd", (None, 4, 8), bias_axes="hd")
        >>> to_heads(tokens).shape
        (8, 20, 4, 8)
    """

    _quantization_modes = ALL_MODES
    equation: str
    activation: Callable[..., Any]
    bias_axes: str | None
    kernel_initializer: Any
    kernel: Variable
    bias: Variable | None

    def __init__(
        self, equation: str, output_shape: int | Sequence[int | None],
        activation: Identifier = None, bias_axes: str | None = None,
        kernel_initializer: Identifier = "glorot_uniform", bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None, bias_regularizer: Identifier = None,
        kernel_constraint: Identifier = None, bias_constraint: Identifier = None,
        lora_rank: int | None = None, lora_alpha: float | None = None,
        gptq_unpacked_column_size: Any = None,
        quantization_config: QuantizationConfig | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        match = (
            _EQUATION.fullmatch(equation.replace(" ", "")) if isinstance(equation, str) else None
        )
        if match is None or (match[1], match[3]) != (match[5], match[7]) or (match[1] and match[3]):
            raise ValueError(
                "EinsumDense: `equation` must read like 'ab,bc->ac', '...b,bc->...c' or"
                f" 'ab...,bc->ac...', received {equation!r}."
            )
        keep(self, {name: value for name, value in locals().items() if name != "match"})
        self.output_shape = (
            tuple(output_shape) if hasattr(output_shape, "__iter__") else (output_shape,)
        )
        unknown = sorted(set(bias_axes or "") - set(match[6]))
        if unknown:
            raise ValueError(
                f"EinsumDense: `bias_axes` {bias_axes!r} has letters {unknown} that the output"
                f" {match[6]!r} lacks."
            )

    def build(self, input_shape: Shapes) -> None:
        match = _EQUATION.fullmatch(self.equation.replace(" ", ""))
        assert match is not None
        ahead, inputs, behind, kernel, _, outputs, _ = match.groups()
        hidden = len(input_shape) - len(inputs)  # axes under `...`
        if hidden < 0 or (hidden and not (ahead or behind)):
            raise ValueError(
                f"{self._label()}: the equation {self.equation!r} takes inputs of {len(inputs)}"
                f" axes, received shape {tuple(input_shape)}."
            )
        known = dict(zip(inputs, input_shape[hidden:] if ahead else input_shape, strict=False))
        # A leading `...` includes the batch axis.
        sizes = self._sizes(known, outputs if ahead else outputs[1:])
        for letter in kernel:
            if sizes.get(letter) is None:
                raise ValueError(
                    f"{self._label()}: the size of axis {letter!r} of the kernel must be known."
                )
        kept = [axis for axis, letter in enumerate(kernel) if letter in outputs]
        summed = [axis for axis, letter in enumerate(kernel) if letter not in outputs]
        self.kernel = add_named_weight(
            self, "kernel", tuple(sizes[letter] for letter in kernel),
            initializer=initializers.with_axes(self.kernel_initializer, summed, kept),
        )  # fmt: skip
        self.bias = None
        if self.bias_axes:
            first = min(outputs.index(letter) for letter in self.bias_axes)
            shape = [sizes[letter] if letter in self.bias_axes else 1 for letter in outputs[first:]]
            if None in shape:
                raise ValueError(
                    f"{self._label()}: the sizes of `bias_axes` {self.bias_axes!r} must be known."
                )
            self.bias = add_named_weight(self, "bias", (*shape, *(1,) * (hidden if behind else 0)))
        self._adapt_new_weights()

    def _sizes(self, known: dict[str, int | None], outputs: str) -> dict[str, int | None]:
        """Return the size of each axis.

        Args:
            known: Sizes of the inputs' axes, `None` where unknown.
            outputs: Letters of the axes in `output_shape`.
        """
        stated = dict(zip(outputs, self.output_shape, strict=False))
        if not len(stated) == len(self.output_shape) == len(outputs):
            raise ValueError(
                f"{self._label()}: `output_shape` {self.output_shape} must have a size for each of"
                f" the axes {outputs!r} of the equation {self.equation!r}."
            )
        for letter, size in stated.items():
            if size is None:
                stated[letter] = known.get(letter)
            elif known.get(letter) not in (None, size):
                raise ValueError(
                    f"{self._label()}: axis {letter!r} is {known[letter]} in the input and {size}"
                    " in `output_shape`."
                )
        return known | stated

    def call(self, inputs: Structure, training: bool | None = None) -> Structure:
        x = einsum(self.equation, inputs, self.kernel, training)
        return activations.get(self.activation)(x if self.bias is None else x + self.bias.value)

    def _weight_layouts(self) -> tuple[Layout, ...]:
        return (Layout("kernel", Equation(self.equation), zero_name="zero_point"),)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, and after GPTQ the column count that Keras needs."""
        config = super().get_config()
        config.pop("gptq_unpacked_column_size", None)
        if self.built and self.quantization_mode == "gptq":
            _, columns = Equation(self.equation).matrix_shape(self.kernel.adapted.shape)
            config["gptq_unpacked_column_size"] = columns
        return config
