"""Recurrent layers: cells, and the loop over time around them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import activations, constraints, initializers, regularizers
from hornbeam.core.random import SeedGenerator
from hornbeam.layers.core import positive_integer
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.random import dropout as random_dropout

__all__ = ["GRU", "LSTM", "GRUCell", "LSTMCell", "SimpleRNN", "SimpleRNNCell"]

_OF_WEIGHTS = ("initializer", "regularizer", "constraint")
_MODULES = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}


class _Cell(Layer):
    """One step of a recurrence; `gates` blocks of weights side by side."""

    gates = 1
    states = 1

    def __init__(
        self, units: int, activation: Any = "tanh", use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal", bias_initializer: Any = "zeros", kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None, bias_regularizer: Any = None, kernel_constraint: Any = None,
        recurrent_constraint: Any = None, bias_constraint: Any = None, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, seed: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        name = type(self).__name__
        self.units = positive_integer(name, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        given = locals()
        for weight in ("kernel", "recurrent", "bias"):
            for kind in _OF_WEIGHTS:
                setattr(self, f"{weight}_{kind}", _MODULES[kind].get(given[f"{weight}_{kind}"]))
        for key, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= rate <= 1:
                raise ValueError(f"{name}: `{key}` must be from 0 to 1, received {rate!r}.")
        self.dropout, self.recurrent_dropout, self.seed = dropout, recurrent_dropout, seed
        if dropout or recurrent_dropout:
            self.seed_generator = SeedGenerator(seed)

    @property
    def state_size(self) -> Any:
        """Size of the state, or a list of them."""
        return self.units if self.states == 1 else [self.units] * self.states

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.units * self.gates,)

    def build(self, input_shape: Any) -> None:
        width = self.units * self.gates
        for name, key, shape in (
            ("kernel", "kernel", (input_shape[-1], width)), ("recurrent_kernel", "recurrent", (self.units, width)),
        ):  # fmt: skip
            weight = self.add_weight(
                name=name, shape=shape, initializer=getattr(self, f"{key}_initializer"),
                regularizer=getattr(self, f"{key}_regularizer"), constraint=getattr(self, f"{key}_constraint"),
            )  # fmt: skip
            setattr(self, name, weight)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=self._bias_shape(), initializer=self._bias_start(),
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip

    def _bias_start(self) -> Any:
        return self.bias_initializer

    def noise(self, inputs: Any, training: Any) -> tuple[Any, Any]:
        """Return dropout masks of inputs (B, C) and of the state (B, units), the same for all steps; `None` for none."""
        masks: list[Any] = [None, None]
        for i, (rate, size) in enumerate(((self.dropout, inputs.shape[-1]), (self.recurrent_dropout, self.units))):
            if training and rate:
                masks[i] = random_dropout(
                    jnp.ones((inputs.shape[0], size), inputs.dtype), rate, seed=self.seed_generator
                )
        return masks[0], masks[1]

    def project(self, inputs: Any) -> Any:
        """Return the inputs' part of the gates, for one step or for all at once."""
        x = jnp.matmul(inputs, self.kernel.value)
        bias = self._input_bias()
        return x if bias is None else x + bias

    def _input_bias(self) -> Any:
        return None if self.bias is None else self.bias.value

    def step(self, x: Any, states: tuple[Any, ...], noise: Any) -> tuple[Any, ...]:
        """Return the new states (the first is the output) from projected inputs `x`."""
        raise NotImplementedError

    def call(self, inputs: Any, states: Any, training: bool | None = False) -> tuple[Any, list[Any]]:
        states = tuple(states) if isinstance(states, (list, tuple)) else (states,)
        input_noise, state_noise = self.noise(inputs, training)
        x = self.project(inputs if input_noise is None else inputs * input_noise)
        new = self.step(x, states, state_noise)
        return new[0], list(new)

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Return zeros for each state."""
        return [jnp.zeros((batch_size, self.units), self.compute_dtype) for _ in range(self.states)]


def _noisy(h: Any, noise: Any) -> Any:
    return h if noise is None else h * noise


class SimpleRNNCell(_Cell):
    """`h = activation(x @ kernel + h @ recurrent_kernel + bias)`.

    Args:
        units: Size of the output.

    Example:
        >>> SimpleRNNCell(2)(jnp.ones((1, 3)), [jnp.zeros((1, 2))])[0].shape
        (1, 2)
    """

    def step(self, x: Any, states: tuple[Any, ...], noise: Any) -> tuple[Any, ...]:
        return (self.activation(x + _noisy(states[0], noise) @ self.recurrent_kernel.value),)


class LSTMCell(_Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997); gates in the order i, f, c, o.

    Args:
        units: Size of the output.

    Example:
        >>> LSTMCell(2)(jnp.ones((1, 3)), [jnp.zeros((1, 2)), jnp.zeros((1, 2))])[0].shape
        (1, 2)
    """

    gates, states = 4, 2

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", unit_forget_bias: bool = True, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, **kwargs
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def _bias_start(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        n = self.units

        def start(shape: Any, dtype: Any = None) -> Any:
            parts = [
                self.bias_initializer((n,), dtype=dtype),
                jnp.ones((n,), dtype),
                self.bias_initializer((2 * n,), dtype=dtype),
            ]
            return jnp.concatenate(parts)

        return start

    def step(self, x: Any, states: tuple[Any, ...], noise: Any) -> tuple[Any, ...]:
        h, c = states
        i, f, g, o = jnp.split(x + _noisy(h, noise) @ self.recurrent_kernel.value, 4, axis=-1)
        gate = self.recurrent_activation
        c = gate(f) * c + gate(i) * self.activation(g)
        return gate(o) * self.activation(c), c


class GRUCell(_Cell):
    """Gated recurrent unit (Cho et al. 2014); gates in the order z, r, h.

    Args:
        units: Size of the output.

    Example:
        >>> GRUCell(2)(jnp.ones((1, 3)), [jnp.zeros((1, 2))])[0].shape
        (1, 2)
    """

    gates = 3

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform", recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros", reset_after: bool = True, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, **kwargs
        )
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _input_bias(self) -> Any:
        if self.bias is None:
            return None
        return self.bias.value[0] if self.reset_after else self.bias.value

    def step(self, x: Any, states: tuple[Any, ...], noise: Any) -> tuple[Any, ...]:
        (h,) = states
        gate, kernel, n = self.recurrent_activation, self.recurrent_kernel.value, self.units
        seen = _noisy(h, noise)
        xz, xr, xh = jnp.split(x, 3, axis=-1)
        if self.reset_after:
            inner = seen @ kernel
            if self.bias is not None:
                inner = inner + self.bias.value[1]
            iz, ir, ih = jnp.split(inner, 3, axis=-1)
            z, r = gate(xz + iz), gate(xr + ir)
            new = self.activation(xh + r * ih)
        else:
            iz, ir = jnp.split(seen @ kernel[:, : 2 * n], 2, axis=-1)
            z, r = gate(xz + iz), gate(xr + ir)
            new = self.activation(xh + (r * seen) @ kernel[:, 2 * n :])
        return (z * h + (1 - z) * new,)


class _Recurrent(Layer):
    """A cell run along (B, T, C).

    Args:
        units: Size of the output.
        return_sequences: Whether all outputs are returned, (B, T, units), instead of the last.
        return_state: Whether the last states are returned too.
        go_backwards: Whether time runs backwards.
        stateful: Whether a batch starts with the last one's states.
        unroll: Whether the loop is written out in the program.
        dropout, recurrent_dropout: Shares of inputs and states dropped in training, the same at every step.
        zero_output_for_mask: Whether outputs at masked steps are zero instead of the last one.
        **kwargs: Arguments of the cell and of `Layer`.
    """

    _cell_class: type = _Cell
    _cell_arguments: tuple[str, ...] = (
        "units", "activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer",
        "kernel_regularizer", "recurrent_regularizer", "bias_regularizer", "kernel_constraint", "recurrent_constraint",
        "bias_constraint", "dropout", "recurrent_dropout", "seed",
    )  # fmt: skip

    def __init__(
        self, units: int, *args: Any, return_sequences: bool = False, return_state: bool = False,
        go_backwards: bool = False, stateful: bool = False, unroll: bool = False, zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):  # fmt: skip
        for old in ("implementation", "time_major", "use_cudnn"):
            kwargs.pop(old, None)
        names = [n for n in self._positional if n != "units"]
        if len(args) > len(names):
            raise TypeError(
                f"{type(self).__name__}: at most {len(names) + 1} positional arguments, received {len(args) + 1}."
            )
        kwargs.update(dict(zip(names, args, strict=False)))
        of_cell = {k: kwargs.pop(k) for k in self._cell_arguments if k in kwargs}
        super().__init__(**kwargs)
        self.return_sequences, self.return_state, self.go_backwards = return_sequences, return_state, go_backwards
        self.stateful, self.unroll, self.zero_output_for_mask = stateful, unroll, zero_output_for_mask
        self.cell = self._cell_class(units, dtype=self.dtype_policy, name=f"{_short(type(self))}_cell", **of_cell)
        self.input_spec = InputSpec(ndim=3)
        self.supports_masking = True
        self._kept: list[Any] | None = None

    _positional = ("units", "activation", "recurrent_activation")

    def __getattr__(self, name: str) -> Any:
        # The cell's settings are the layer's.
        if name in type(self)._cell_arguments and "cell" in self.__dict__:
            return getattr(self.__dict__["cell"], name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def build(self, input_shape: Any, *unused: Any) -> None:
        shape = input_shape[0] if isinstance(input_shape[0], (list, tuple)) else input_shape
        if not self.cell.built:
            self.cell.build((shape[0], shape[-1]))
        if self.stateful:
            if shape[0] is None:
                raise ValueError(
                    f"{self._label()}: `stateful=True` needs a fixed batch size: `Input(batch_shape=...)`."
                )
            self._kept = [
                self.add_weight(
                    name=f"state_{i}", shape=(shape[0], self.cell.units), initializer="zeros", trainable=False
                )
                for i in range(self.cell.states)
            ]

    def _direct_variables(self) -> list[Any]:
        return []

    def reset_state(self) -> None:
        """Set kept states back to zero."""
        for v in self._kept or []:
            v.assign(jnp.zeros(v.shape))

    reset_states = reset_state

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = False) -> Any:
        if isinstance(sequences, (list, tuple)):
            sequences, *given = sequences
            initial_state = given or initial_state
            mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        cell = self.cell
        if initial_state is not None:
            states = tuple(initial_state) if isinstance(initial_state, (list, tuple)) else (initial_state,)
        elif self._kept is not None:
            states = tuple(v.value.astype(sequences.dtype) for v in self._kept)
        else:
            states = tuple(cell.get_initial_state(sequences.shape[0]))
        input_noise, state_noise = cell.noise(sequences[:, 0], training)
        if input_noise is not None:
            sequences = sequences * input_noise[:, None]
        # The inputs' part of all steps is one product.
        x = jnp.swapaxes(cell.project(sequences), 0, 1)
        steps: Any = (x, None if mask is None else jnp.swapaxes(mask, 0, 1))
        start = jnp.zeros_like(states[0]) if self.zero_output_for_mask else states[0]

        def body(carry: Any, now: Any) -> Any:
            before, last = carry
            x_t, keep = now
            after = cell.step(x_t, before, state_noise)
            out = after[0]
            if keep is not None:
                keep = keep[:, None]
                out = jnp.where(keep, out, jnp.zeros_like(out) if self.zero_output_for_mask else last)
                after = tuple(jnp.where(keep, a, b) for a, b in zip(after, before, strict=True))
                last = jnp.where(keep, out, last)
            else:
                last = out
            return (after, last), out

        unroll = x.shape[0] if self.unroll else 1
        first = jnp.zeros_like(start) if mask is not None else start
        (states, last), outputs = jax.lax.scan(
            body, (tuple(s.astype(x.dtype) for s in states), first.astype(x.dtype)), steps, reverse=False, unroll=unroll
        ) if not self.go_backwards else jax.lax.scan(
            body, (tuple(s.astype(x.dtype) for s in states), first.astype(x.dtype)),
            (x[::-1], None if steps[1] is None else steps[1][::-1]), unroll=unroll,
        )  # fmt: skip
        if self._kept is not None:
            for v, s in zip(self._kept, states, strict=True):
                v.assign(s)
        result = jnp.swapaxes(outputs, 0, 1) if self.return_sequences else last
        return [result, *states] if self.return_state else result

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        return [mask, *[None] * self.cell.states] if self.return_state else mask

    def get_config(self) -> dict[str, Any]:
        from hornbeam.saving.config import serialize

        config = super().get_config()
        activity = config.pop("activity_regularizer", None)
        config = {k: v for k, v in config.items() if k in ("name", "trainable", "dtype")}
        for key in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask"):
            config[key] = getattr(self, key)
        for key in self._cell_arguments:
            config[key] = serialize(getattr(self.cell, key))
            if key == "bias_regularizer":
                config["activity_regularizer"] = activity
        return config


def _short(cls: type) -> str:
    return {"SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}.get(cls.__name__, cls.__name__.lower())


class SimpleRNN(_Recurrent):  # noqa: D101  (made from the base)
    __doc__ = (
        (_Recurrent.__doc__ or "").replace("A cell", "`SimpleRNNCell`")
        + """
    Example:
        >>> SimpleRNN(2)(jnp.ones((1, 4, 3))).shape
        (1, 2)
    """
    )
    _cell_class = SimpleRNNCell
    _positional = ("units", "activation")


def _with(names: tuple[str, ...], **after: str) -> tuple[str, ...]:
    """Return `names` with others put in after some of them."""
    out: list[str] = []
    for name in names:
        out.append(name)
        if name in after:
            out.append(after[name])
    return tuple(out)


class LSTM(_Recurrent):  # noqa: D101  (made from the base)
    __doc__ = (
        (_Recurrent.__doc__ or "").replace("A cell", "`LSTMCell`")
        + """
    Example:
        >>> LSTM(2, return_sequences=True)(jnp.ones((1, 4, 3))).shape
        (1, 4, 2)
    """
    )
    _cell_class = LSTMCell
    _cell_arguments = _with(
        _Recurrent._cell_arguments, activation="recurrent_activation", bias_initializer="unit_forget_bias"
    )


class GRU(_Recurrent):  # noqa: D101  (made from the base)
    __doc__ = (
        (_Recurrent.__doc__ or "").replace("A cell", "`GRUCell`")
        + """
    Example:
        >>> GRU(2)(jnp.ones((1, 4, 3))).shape
        (1, 2)
    """
    )
    _cell_class = GRUCell
    _cell_arguments = _with(
        _Recurrent._cell_arguments, activation="recurrent_activation", recurrent_dropout="reset_after"
    )
