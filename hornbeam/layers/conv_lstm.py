"""Convolutional LSTM layers in 1, 2 and 3 dimensions."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from hornbeam import ops
from hornbeam.core.tracing import too_small
from hornbeam.layers.arguments import add_named_weight, choice, positive_integer, sizes, variant
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.recurrent import _Recurrent, of_cell
from hornbeam.layers.recurrent_cells import LSTMCell
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Identifier, Shape, Tensor

__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]


class ConvLSTMCell(LSTMCell):
    """Computes one step of a convolutional LSTM; `ConvLSTM2D` and its variants run it.

    Args:
        rank: Number of spatial axes.
        filters, kernel_size, ...: As in `ConvLSTM2D`.

    Example:
        >>> cell = ConvLSTMCell(1, filters=4, kernel_size=3)
        >>> cell.build((None, 8, 2))
        >>> cell.kernel.shape, cell.recurrent_kernel.shape
        ((3, 2, 16), (3, 4, 16))
    """

    _seed_first = _inputs_by_gate = True

    def __init__(
        self, rank: int, filters: int, kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1, padding: str = "valid", data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1, activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid", use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal", bias_initializer: Identifier = "zeros",
        unit_forget_bias: bool = True, kernel_regularizer: Identifier = None,
        recurrent_regularizer: Identifier = None, bias_regularizer: Identifier = None,
        kernel_constraint: Identifier = None, recurrent_constraint: Identifier = None,
        bias_constraint: Identifier = None, dropout: float = 0.0, recurrent_dropout: float = 0.0,
        seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        label, of_lstm = f"ConvLSTM{rank}D", inspect.signature(LSTMCell.__init__).parameters
        positive_integer(label, "filters", filters)
        arguments = {
            name: value
            for name, value in locals().items()
            if name in of_lstm and name not in ("self", "kwargs")
        }
        super().__init__(filters, **arguments, **kwargs)
        self.rank, self.filters = rank, filters
        self.kernel_size = sizes(label, "kernel_size", kernel_size, rank)
        self.strides = sizes(label, "strides", strides, rank)
        self.padding = choice(label, "padding", padding, ("valid", "same"))
        self.data_format = standardize_data_format(data_format)
        self.dilation_rate = sizes(label, "dilation_rate", dilation_rate, rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{label}: `strides` above 1 and `dilation_rate` above 1 do not go together."
            )

    def build(self, input_shape: Shape) -> None:
        first = self.data_format == "channels_first"
        channels = input_shape[1 if first else -1]
        given = input_shape[2:] if first else input_shape[1:-1]
        inner = tuple(size for size in given if size is not None)
        if channels is None or len(inner) < len(given):
            raise ValueError(
                f"{self._label()}: all sizes but batch and time must be known, received"
                f" {tuple(input_shape)}."
            )
        width = self.units * self.gates
        self.kernel = add_named_weight(self, "kernel", (*self.kernel_size, channels, width))
        self.recurrent_kernel = add_named_weight(
            self, "recurrent_kernel", (*self.kernel_size, self.filters, width), "recurrent"
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = add_named_weight(self, "bias", (width,), initializer=self._bias_start())
        outer = tuple(
            (
                -(-size // step)
                if self.padding == "same"
                else (size - (window - 1) * dilation - 1) // step + 1
            )
            for size, window, step, dilation in zip(
                inner, self.kernel_size, self.strides, self.dilation_rate, strict=True
            )
        )
        if min(outer) < 1:
            raise too_small(
                f"{self._label()}: the window {self.kernel_size} is larger than the input"
                f" {tuple(input_shape)}."
            )
        self._inner_state = (self.filters, *outer) if first else (*outer, self.filters)

    def _state_shape(self, batch: Any) -> tuple[Any, ...]:
        return (batch, *self._inner_state)

    @property
    def _gate_axis(self) -> int:  # type: ignore[override]
        return 1 if self.data_format == "channels_first" else -1

    def project(  # type: ignore[override]
        self, inputs: Tensor, noise: tuple[Any, Any]
    ) -> Tensor:
        """Return the inputs' part of the gates for one step (B, ...) or all steps (T, B, ...)."""
        y = self._gated(inputs, noise[0], self.kernel.value, self._convolve)
        if self.bias is not None:
            bias = self.bias.value
            y = y + (
                bias if self.data_format == "channels_last" else bias.reshape(-1, *(1,) * self.rank)
            )
        return y

    def _convolve(self, x: Tensor, kernel: Tensor) -> Tensor:
        flat = x.reshape(-1, *x.shape[-self.rank - 1 :])
        y = ops.conv(flat, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        return y.reshape(*x.shape[: -self.rank - 1], *y.shape[1:])

    def _times(self, h: Tensor, kernel: Tensor) -> Tensor:
        return ops.conv(h, kernel, 1, "same", self.data_format)


class _ConvLSTM(_Recurrent):
    """LSTM whose products are convolutions.

    The gates i, f, g and o come from `conv(x, kernel) + conv(h, recurrent_kernel) + bias`. Then
    `c = f * c + i * g` and `h = o * activation(c)`; the output is h.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window: one integer, or one per spatial axis.
        strides: Step of the window on the inputs. Default: 1.
        padding: `"valid"` or `"same"`, for the inputs. Default: `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        dilation_rate: Spacing between the elements of the window. Default: 1.
        activation, ..., use_bias, unit_forget_bias, dropout, recurrent_dropout, seed: As in `LSTM`.
        kernel_initializer, ..., activity_regularizer, ..., bias_constraint: As in `LSTM`.
        return_sequences, return_state, go_backwards, stateful: As in `RNN`. The states are h and c.

    Weights: `kernel` (*kernel_size, C, 4 filters), `recurrent_kernel` (*kernel_size, filters, 4
    filters), `bias` (4 filters,).

    Input: (B, T, *sizes, C). Output: (B, *new sizes, filters), or (B, T, *new sizes, filters) with
    `return_sequences`.

    Raises:
        ValueError: If an argument is out of range, a spatial size or C is unknown, or the window is
            larger than the input.

    Source: Shi et al. 2015, Convolutional LSTM network.
    """

    _rank = 2

    def __init__(
        self, filters: int, kernel_size: int | Sequence[int], strides: int | Sequence[int] = 1,
        padding: str = "valid", data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1, activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid", use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal", bias_initializer: Identifier = "zeros",
        unit_forget_bias: bool = True, kernel_regularizer: Identifier = None,
        recurrent_regularizer: Identifier = None, bias_regularizer: Identifier = None,
        activity_regularizer: Identifier = None, kernel_constraint: Identifier = None,
        recurrent_constraint: Identifier = None, bias_constraint: Identifier = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: int | None = None,
        return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
        stateful: bool = False, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(ConvLSTMCell, {"rank": self._rank, **locals()})
        self.input_spec = InputSpec(ndim=self._rank + 3)


for _name in ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"):
    setattr(_ConvLSTM, _name, of_cell(_name))


@variant(1, "8, 3", (4, 10, 20, 3), (4, 18, 8))
class ConvLSTM1D(_ConvLSTM):
    """Runs a convolutional LSTM along sequences of signals (B, T, L, C)."""


@variant(2, "8, 3, return_sequences=True", (4, 5, 16, 16, 1), (4, 5, 14, 14, 8))
class ConvLSTM2D(_ConvLSTM):
    """Runs a convolutional LSTM along sequences of images (B, T, H, W, C)."""


@variant(3, "4, 3", (1, 3, 6, 8, 8, 1), (1, 4, 6, 6, 4))
class ConvLSTM3D(_ConvLSTM):
    """Runs a convolutional LSTM along sequences of volumes (B, T, D, H, W, C)."""
