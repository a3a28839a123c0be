"""Recurrent cells: one step in time.

A cell here has three parts: `noise` draws the dropout of a whole sequence, `project` computes the
inputs' part of the gates, and `step` is the recurrence. A loop over time can run the first two for
all steps at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import activations, errors, tree
from hornbeam.core.initial import initial_value
from hornbeam.core.random import SeedGenerator
from hornbeam.layers.arguments import add_named_weight, keep, positive_integer
from hornbeam.layers.layer import Layer
from hornbeam.ops.product import rows_product
from hornbeam.random import dropout as random_dropout
from hornbeam.typing import DType, Identifier, Shape, Structure, Tensor

__all__ = ["GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"]


def initial_state_of(cell: Any, batch_size: Any, dtype: DType | None = None) -> Structure:
    """Return the initial state of `cell`: the result of its `get_initial_state`, or zeros."""
    if hasattr(cell, "get_initial_state"):
        return cell.get_initial_state(batch_size=batch_size)
    dtype = dtype or getattr(cell, "compute_dtype", None)
    sizes = cell.state_size
    if isinstance(sizes, int):
        return jnp.zeros((batch_size, sizes), dtype)
    return [jnp.zeros((batch_size, *(n if isinstance(n, tuple) else (n,))), dtype) for n in sizes]


def as_list(x: Any) -> list[Any]:
    """Return `x` as a list: the items of a list or tuple, otherwise `[x]`."""
    return list(x) if isinstance(x, (list, tuple)) else [x]


def has_parts(cell: object) -> bool:
    """Return whether `cell` uses `noise`, `project` and `step` and does not override `call`."""
    return isinstance(cell, (_Cell, StackedRNNCells)) and type(cell).call in (
        _Cell.call,
        StackedRNNCells.call,
    )


class _Cell(Layer):
    """Base of the three cells: weights with all gates side by side, dropout and states.

    Args:
        units: Size of the output and of each state.
        seed: Seed of the dropout.
        others: The other arguments of the cell's constructor, by name.
    """

    # Set by `keep`.
    activation: Any
    use_bias: bool
    bias_initializer: Any

    gates = 1
    states = 1
    _gate_axis = -1
    # Whether dropout draws its seed before the initializers, which gives a seeded run the same
    # initial weights as in Keras.
    _seed_first = False
    # Whether each gate draws its own dropout of the inputs even without recurrent dropout.
    _inputs_by_gate = False
    dropout: float
    recurrent_dropout: float

    def __init__(self, units: int, seed: Any, others: dict[str, Any], **kwargs: Any):
        super().__init__(**kwargs)
        self.units = positive_integer(type(self).__name__, "units", units)
        self.seed = seed
        if self._seed_first:
            self.seed_generator = SeedGenerator(seed)
        keep(self, others)
        for name in ("dropout", "recurrent_dropout"):
            setattr(self, name, _clipped_rate(type(self).__name__, name, getattr(self, name)))
        if not self._seed_first:
            self.seed_generator = SeedGenerator(seed)
        self.state_size: Any = self.units if self.states == 1 else [self.units] * self.states
        self.output_size = self.units

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.units * self.gates,)

    def _bias_start(self) -> Any:
        """Return the initializer of the bias."""
        return self.bias_initializer

    def build(self, input_shape: Shape) -> None:
        width = self.units * self.gates
        self.kernel = add_named_weight(self, "kernel", (input_shape[-1], width))
        self.recurrent_kernel = add_named_weight(
            self, "recurrent_kernel", (self.units, width), "recurrent"
        )
        self.bias = None
        if self.use_bias:
            self.bias = add_named_weight(
                self, "bias", self._bias_shape(), initializer=self._bias_start()
            )

    def noise(self, shape: Sequence[int], training: Any) -> tuple[Any, Any]:
        """Return dropout's random factors for inputs of `shape` (B, ...) and for the state.

        Each is `None` (no dropout, or no training), one tensor for all gates, or a list with one
        tensor per gate. As in Keras, each gate has its own draw with recurrent dropout.
        """

        def draw(rate: float, size: Any, count: int) -> list[Any]:
            ones = jnp.ones(size, self.compute_dtype)
            return [random_dropout(ones, rate, seed=self.seed_generator) for _ in range(count)]

        inputs = state = None
        if training and self.dropout:
            inputs = draw(
                self.dropout,
                shape,
                self.gates if self.recurrent_dropout or self._inputs_by_gate else 1,
            )
        if training and self.recurrent_dropout:
            state = draw(self.recurrent_dropout, self._state_shape(shape[0]), self.gates)
        return inputs[0] if inputs and len(inputs) == 1 else inputs, state

    def _state_shape(self, batch: Any) -> tuple[Any, ...]:
        """Return the shape of each state for a batch size."""
        return (batch, self.units)

    def standard(self) -> str | None:
        """Return the name of this cell in `ops.recurrence`, or `None` if it has none."""
        return None

    def recurrent_bias(self) -> Structure:
        """Return the bias that `ops.recurrence` adds inside the loop."""
        return None if self.bias is None else self.bias.value

    def project(self, inputs: Tensor, noise: tuple[Any, Any], with_bias: bool = True) -> Tensor:
        """Return the inputs' part of the gates for one step (B, C) or all steps (T, B, C)."""
        x = self._gated(inputs, noise[0], self.kernel.value, rows_product)
        bias = self._input_bias() if with_bias else None
        return x if bias is None else x + bias

    def _input_bias(self) -> Any:
        """Return the part of the bias that is added to the projected inputs."""
        return None if self.bias is None else self.bias.value

    def _recur(self, h: Tensor, noise: Any, gates: int | None = None) -> Tensor:
        """Return the state's part of the first `gates` gates."""
        gates = gates or self.gates
        return self._gated(
            h,
            noise and noise[:gates],
            self.recurrent_kernel.value[..., : gates * self.units],
            self._times,
        )

    def _gated(
        self, x: Tensor, noise: Any, kernel: Tensor, times: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Apply dropout to `x` and multiply by `kernel`; return all gates side by side."""
        if not isinstance(noise, list):
            return times(x if noise is None else x * noise, kernel)
        blocks = jnp.split(kernel, len(noise), axis=-1)
        parts = [times(x * one, block) for one, block in zip(noise, blocks, strict=True)]
        return jnp.concatenate(parts, axis=self._gate_axis)

    def _times(self, h: Tensor, kernel: Tensor) -> Tensor:
        """Return the product of the state and a block of the recurrent kernel."""
        return h @ kernel

    def step(
        self, x: Tensor, states: Sequence[Tensor], noise: tuple[Any, Any]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the output and the new states for the projected inputs `x` of one step."""
        raise NotImplementedError(f"{type(self).__name__} must implement `step(x, states, noise)`.")

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Any, Any]:
        noise = self.noise(inputs.shape, training)
        output, new = self.step(self.project(inputs, noise), as_list(states), noise)
        return output, new if isinstance(states, (list, tuple)) else new[0]

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Return the initial states of a sequence: zeros of shape (batch_size, units)."""
        return [
            jnp.zeros(self._state_shape(batch_size), self.compute_dtype) for _ in range(self.states)
        ]


class SimpleRNNCell(_Cell):
    """Computes one step of a fully connected recurrence.

    `h = activation(x @ kernel + h @ recurrent_kernel + bias)`; the output is h.

    Args:
        units: Size of the output and of the state.
        activation: Name or function. Default: `"tanh"`.
        use_bias: Whether to add a bias. Default: True.
        kernel_initializer, recurrent_initializer, bias_initializer: Default: `"glorot_uniform"`,
            `"orthogonal"`, `"zeros"`.
        kernel_regularizer, ..., bias_constraint: Regularizers and constraints of the weights.
            Default: `None`.
        dropout, recurrent_dropout: Fractions of the inputs and of the state h to set to zero in
            training. Default: 0.
        seed: Integer seed of the dropout. Default: random.

    Weights: `kernel` (C, units), `recurrent_kernel` (units, units), `bias` (units,).

    Input: (B, C), and a list of states (B, units). Output: (B, units), and the list of new states.

    Raises:
        ValueError: If `units` is not a positive integer.

    Source: Elman 1990, Finding structure in time.

    Example:
        >>> import hornbeam as hb
        >>> cell = hb.layers.SimpleRNNCell(16)
        >>> output, states = cell(hb.ops.ones((8, 5)), cell.get_initial_state(8))
        >>> output.shape, len(states)
        ((8, 16), 1)
    """

    _seed_first = True

    def __init__(
        self, units: int, activation: Identifier = "tanh", use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal", bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None, recurrent_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, kernel_constraint: Identifier = None,
        recurrent_constraint: Identifier = None, bias_constraint: Identifier = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: int | None = None,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(units, seed, _others(locals()), **kwargs)

    def standard(self) -> str | None:
        return (
            "simple"
            if type(self) is SimpleRNNCell and self.activation is activations.tanh
            else None
        )

    def step(
        self, x: Tensor, states: Sequence[Tensor], noise: tuple[Any, Any]
    ) -> tuple[Tensor, list[Tensor]]:
        h = activations.get(self.activation)(x + self._recur(states[0], noise[1]))
        return h, [h]


class LSTMCell(_Cell):
    """Computes one step of long short-term memory.

    With the gates i, f, g and o, in this order in the weights: `c = f * c + i * g`, `h = o *
    activation(c)`; the output is h.

    Args:
        units: Size of the output and of the two states, h and c.
        activation: Activation of g and of the new c. Default: `"tanh"`.
        recurrent_activation: Activation of i, f and o. Default: `"sigmoid"`.
        unit_forget_bias: Whether the bias of f starts at 1 (Jozefowicz et al. 2015). Default: True.
        use_bias: Whether to add a bias. Default: True.
        kernel_initializer, recurrent_initializer, bias_initializer: Default: `"glorot_uniform"`,
            `"orthogonal"`, `"zeros"`.
        kernel_regularizer, ..., bias_constraint: Regularizers and constraints of the weights.
            Default: `None`.
        dropout, recurrent_dropout: Fractions of the inputs and of the state h to set to zero in
            training. Default: 0.
        seed: Integer seed of the dropout. Default: random.

    Weights: `kernel` (C, 4 units), `recurrent_kernel` (units, 4 units), `bias` (4 units,).

    Input: (B, C), and a list of states (B, units). Output: (B, units), and the list of new states.

    Raises:
        ValueError: If `units` is not a positive integer.

    Source: Hochreiter and Schmidhuber 1997, Long short-term memory.

    Example:
        >>> import hornbeam as hb
        >>> cell = hb.layers.LSTMCell(16)
        >>> output, states = cell(hb.ops.ones((8, 5)), cell.get_initial_state(8))
        >>> output.shape, len(states)
        ((8, 16), 2)
    """

    recurrent_activation: Any
    unit_forget_bias: bool

    gates, states = 4, 2

    def __init__(
        self, units: int, activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid", use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal", bias_initializer: Identifier = "zeros",
        unit_forget_bias: bool = True, kernel_regularizer: Identifier = None,
        recurrent_regularizer: Identifier = None, bias_regularizer: Identifier = None,
        kernel_constraint: Identifier = None, recurrent_constraint: Identifier = None,
        bias_constraint: Identifier = None, dropout: float = 0.0, recurrent_dropout: float = 0.0,
        seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(units, seed, _others(locals()), **kwargs)

    def _bias_start(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        n = self.units

        def start(shape: Any, dtype: Any = None) -> Any:
            first = initial_value(self.bias_initializer, (n,), dtype)
            last = initial_value(self.bias_initializer, (2 * n,), dtype)
            if isinstance(first, jax.core.Tracer):
                return jnp.concatenate([first, jnp.ones((n,), first.dtype), last])
            # Compiles nothing.
            return jax.device_put(np.concatenate([first, np.ones((n,), first.dtype), last]))

        return start

    def standard(self) -> str | None:
        return "lstm" if type(self) is LSTMCell and _usual_activations(self) else None

    def step(
        self, x: Tensor, states: Sequence[Tensor], noise: tuple[Any, Any]
    ) -> tuple[Tensor, list[Tensor]]:
        h, c = states
        i, f, g, o = jnp.split(x + self._recur(h, noise[1]), 4, axis=self._gate_axis)
        gate = activations.get(self.recurrent_activation)
        c = gate(f) * c + gate(i) * activations.get(self.activation)(g)
        h = gate(o) * activations.get(self.activation)(c)
        return h, [h, c]


class GRUCell(_Cell):
    """Computes one step of a gated recurrent unit.

    With the gates z and r and the candidate g, in this order in the weights: `h = z * h + (1 - z) *
    g`; the output is h.

    Args:
        units: Size of the output and of the state.
        activation: Activation of g. Default: `"tanh"`.
        recurrent_activation: Activation of z and r. Default: `"sigmoid"`.
        use_bias: Whether to add a bias. Default: True.
        kernel_initializer, recurrent_initializer, bias_initializer: Default: `"glorot_uniform"`,
            `"orthogonal"`, `"zeros"`.
        kernel_regularizer, ..., bias_constraint: Regularizers and constraints of the weights.
            Default: `None`.
        dropout, recurrent_dropout: Fractions of the inputs and of the state h to set to zero in
            training. Default: 0.
        reset_after: Whether r multiplies the state after its matrix product, not before. Default:
            True.
        seed: Integer seed of the dropout. Default: random.

    Weights: `kernel` (C, 3 units), `recurrent_kernel` (units, 3 units), `bias` (2, 3 units), one
    row each for inputs and state, or (3 units,) without `reset_after`.

    Input: (B, C), and a list of states (B, units). Output: (B, units), and the list of new states.

    Raises:
        ValueError: If `units` is not a positive integer.

    Source: Cho et al. 2014, Learning phrase representations using RNN encoder-decoder.

    Example:
        >>> import hornbeam as hb
        >>> cell = hb.layers.GRUCell(16)
        >>> output, states = cell(hb.ops.ones((8, 5)), cell.get_initial_state(8))
        >>> output.shape, len(states)
        ((8, 16), 1)
    """

    recurrent_activation: Any
    reset_after: bool

    gates = 3

    def __init__(
        self, units: int, activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid", use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal", bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None, recurrent_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, kernel_constraint: Identifier = None,
        recurrent_constraint: Identifier = None, bias_constraint: Identifier = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, reset_after: bool = True,
        seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(units, seed, _others(locals()), **kwargs)

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _input_bias(self) -> Any:
        if self.bias is None or not self.reset_after:
            return super()._input_bias()
        return self.bias.value[0]

    def standard(self) -> str | None:
        if type(self) is GRUCell and _usual_activations(self):
            return "gru" if self.reset_after else "gru_before"
        return None

    def recurrent_bias(self) -> Structure:
        if self.bias is None or not self.reset_after:
            return super().recurrent_bias()
        return self.bias.value[1]

    def step(
        self, x: Tensor, states: Sequence[Tensor], noise: tuple[Any, Any]
    ) -> tuple[Tensor, list[Tensor]]:
        (h,) = states
        n = self.units
        xz, xr, xg = jnp.split(x, 3, axis=-1)
        inner = self._recur(h, noise[1], 3 if self.reset_after else 2)
        if self.reset_after and self.bias is not None:
            inner = inner + self.bias.value[1]
        z = activations.get(self.recurrent_activation)(xz + inner[:, :n])
        r = activations.get(self.recurrent_activation)(xr + inner[:, n : 2 * n])
        if self.reset_after:
            inner_g = r * inner[:, 2 * n :]
        else:
            seen = h if noise[1] is None else h * noise[1][2]
            inner_g = (r * seen) @ self.recurrent_kernel.value[:, 2 * n :]
        h = z * h + (1 - z) * activations.get(self.activation)(xg + inner_g)
        return h, [h]


def _clipped_rate(layer: str, argument: str, rate: Any) -> float:
    """Return a rate of dropout, cut to the range from 0 to 1, as in Keras."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)):
        raise ValueError(f"{layer}: `{argument}` must be a number from 0 to 1, received {rate!r}.")
    return min(1.0, max(0.0, rate))


def _usual_activations(cell: Any) -> bool:
    """Return whether the activations are tanh and sigmoid."""
    return cell.activation is activations.tanh and cell.recurrent_activation is activations.sigmoid


def _others(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a constructor's arguments except the ones that the base class takes by name."""
    return {
        k: v
        for k, v in arguments.items()
        if k not in ("self", "units", "seed", "kwargs", "__class__")
    }


class StackedRNNCells(Layer):
    """Stacks cells into one cell: each cell takes the output of the previous cell.

    Args:
        cells: The cells, first to last.

    Input: (B, C), and a list with the states of each cell. Output: (B, units of the last cell), and
    the list of new states. As in Keras.

    Raises:
        ValueError: If one of `cells` has no `call` or no `state_size`.

    Example:
        >>> import hornbeam as hb
        >>> cell = hb.layers.StackedRNNCells([hb.layers.LSTMCell(32), hb.layers.GRUCell(16)])
        >>> model = hb.Sequential([hb.Input((20, 5)), hb.layers.RNN(cell)])
        >>> model.output_shape, cell.state_size
        ((None, 16), [[32, 32], 16])
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(cell, type(self).__name__, "cells")
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """Sizes of the states, one entry per cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """Size of the last cell's output."""
        return output_size_of(self.cells[-1])

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Return the initial states of a sequence, one entry per cell."""
        return [initial_state_of(cell, batch_size) for cell in self.cells]

    def build(self, input_shape: Shape) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            size = output_size_of(cell)
            input_shape = (input_shape[0], *(size if isinstance(size, tuple) else (size,)))

    def noise(self, shape: Sequence[int], training: Any) -> list[Any]:
        """Return the dropout factors for each cell; `None` for cells that draw their own."""
        draws = []
        for cell in self.cells:
            draws.append(cell.noise(shape, training) if has_parts(cell) else None)
            size = output_size_of(cell)
            shape = (shape[0], *(size if isinstance(size, tuple) else (size,)))
        return draws

    def project(self, inputs: Tensor, noise: list[Any]) -> Tensor:
        """Return the first cell's projection of the inputs for one step or all steps."""
        first = self.cells[0]
        return first.project(inputs, noise[0]) if has_parts(first) else inputs

    def step(self, x: Tensor, states: Sequence[Any], noise: list[Any]) -> tuple[Any, list[Any]]:
        """Return the output and the new states for the projected inputs `x` of one step."""
        after = []
        for i, (cell, before) in enumerate(zip(self.cells, states, strict=True)):
            if has_parts(cell):
                x, new = cell.step(
                    x if i == 0 else cell.project(x, noise[i]), as_list(before), noise[i]
                )
            else:
                x, new = cell(x, as_list(before))
            after.append(tree.pack_sequence_as(before, tree.flatten(new)))
        return x, after

    def call(
        self, inputs: Tensor, states: Structure, training: bool = False
    ) -> tuple[Any, list[Any]]:
        noise = self.noise(inputs.shape, training)
        return self.step(self.project(inputs, noise), states, noise)


def output_size_of(cell: Any) -> Any:
    """Return the size of a cell's output: its `output_size`, or the size of its first state."""
    size = getattr(cell, "output_size", None)
    return as_list(cell.state_size)[0] if size is None else size


def check_cell(cell: object, owner: str, argument: str) -> None:
    """Raise `ValueError` unless `cell` has `call` and `state_size`.

    Args:
        cell: The value that the user passed.
        owner, argument: The layer's class and its argument, for the message.
    """
    for needed in ("call", "state_size"):
        if not hasattr(cell, needed):
            raise ValueError(
                f"{owner}: `{argument}` takes cells, which have `call(inputs, states)` and"
                f" `state_size`; received {errors.describe(cell)}, which has no `{needed}`."
            )
