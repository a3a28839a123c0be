"""Recurrent layers: the loop over time around a cell."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors, tree
from hornbeam.core.effects import Effects
from hornbeam.core.naming import to_snake_case
from hornbeam.core.variable import Variable
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.layers.mask_passing import step_mask
from hornbeam.layers.recurrent_cells import (
    GRUCell,
    LSTMCell,
    SimpleRNNCell,
    StackedRNNCells,
    as_list,
    check_cell,
    has_parts,
    initial_state_of,
)
from hornbeam.objects.configuration import serialize
from hornbeam.ops import routes
from hornbeam.ops.cudnn import cudnn_lstm
from hornbeam.ops.recurrence import recur
from hornbeam.typing import Identifier, Shape, Structure, Tensor

__all__ = ["GRU", "LSTM", "RNN", "SimpleRNN"]

_LOOP = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
)
_CELL = (
    "units", "activation", "recurrent_activation", "use_bias", "kernel_initializer",
    "recurrent_initializer", "bias_initializer", "unit_forget_bias", "kernel_regularizer",
    "recurrent_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint",
    "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "reset_after",
    "seed",
)  # fmt: skip


class RNN(Layer):
    """Runs a cell along the time axis of a sequence.

    Where a mask (B, T) is false, the states stay unchanged and the output repeats the previous
    output.

    Args:
        cell: An object with `state_size` and `call(inputs, states)`, which returns the output and
            the new states; or a list of such cells, which are stacked.
        return_sequences: Whether to return all outputs, not only the last. Default: False.
        return_state: Whether to return a tuple of the output and the last states. Default: False.
        go_backwards: Whether to process the sequence backwards. The outputs are in that order.
            Default: False.
        stateful: Whether each batch starts from the last states of the previous batch. It requires
            a fixed batch size. Default: False.
        unroll: Whether to unroll the loop into T copies of the step. Default: False.
        zero_output_for_mask: Whether masked steps output zero. Default: False.
        **kwargs: Arguments of `Layer`, and `time_major`: whether input and output are (T, B, C).

    Input: (B, T, C). Output: (B, units), or (B, T, units) with `return_sequences`. As in Keras.

    Raises:
        ValueError: If `cell` is not a cell, `stateful` is true and the batch size is unknown, or
            the initial states do not fit.

    Example:
        >>> import hornbeam as hb
        >>> cells = [hb.layers.LSTMCell(32), hb.layers.GRUCell(16)]
        >>> model = hb.Sequential([
        ...     hb.Input((20, 5)), hb.layers.RNN(cells, return_sequences=True), hb.layers.Dense(1)
        ... ])
        >>> model.output_shape
        (None, 20, 1)
    """

    # States are not weights: files and parameter counts exclude them, as in Keras.
    _not_children = Layer._not_children | {"states"}
    use_cudnn: bool | str = "auto"

    _takes_sequences = True

    def __init__(
        self, cell: Layer | Sequence[Layer], return_sequences: bool = False,
        return_state: bool = False, go_backwards: bool = False, stateful: bool = False,
        unroll: bool = False, zero_output_for_mask: bool = False, **kwargs: Any,
    ):  # fmt: skip
        time_major = kwargs.pop("time_major", False)
        super().__init__(**kwargs)
        if isinstance(cell, (list, tuple)):
            with named_by_owner(type(self), StackedRNNCells):
                cell = StackedRNNCells(cell)
        check_cell(cell, type(self).__name__, "cell")
        self.cell: Any = cell
        self.return_sequences, self.return_state, self.go_backwards = (
            return_sequences,
            return_state,
            go_backwards,
        )
        self.stateful, self.unroll, self.zero_output_for_mask = (
            stateful,
            unroll,
            zero_output_for_mask,
        )
        self.time_major = time_major
        self.input_spec = InputSpec(ndim=3)
        self.input_spec.remedy = (
            " If a recurrent layer makes the input, give that layer `return_sequences=True`."
        )
        self.supports_masking = True
        self.states: list[Any] | None = None

    @property
    def state_size(self) -> Any:
        """Size of the cell's state, or a list of sizes."""
        return self.cell.state_size

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Return the initial states of a sequence, usually zeros of shape (batch_size, units)."""
        return as_list(initial_state_of(self.cell, batch_size, self.compute_dtype))

    def reset_state(self) -> None:
        """Reset the states of a stateful layer to zero."""
        for state in tree.flatten(self.states):
            if state is not None:
                state.assign(jnp.zeros(state.shape))

    reset_states = reset_state

    def build(self, input_shape: Shape) -> None:
        batch = input_shape[1 if self.time_major else 0]
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((batch, *input_shape[2:]))
        if self.stateful:
            if batch is None:
                raise ValueError(
                    f"{self._label()}: `stateful=True` keeps states from batch to batch, so the"
                    " batch size must be fixed: state it with `Input(batch_shape=(batch, time,"
                    " features))`."
                )
            self.states = tree.map_structure(
                lambda x: Variable(x, trainable=False, name="rnn_state"),
                self.get_initial_state(batch),
            )

    def build_from_config(self, config: dict[str, Any]) -> None:
        super().build_from_config(sequence_shape_only(config))

    def __call__(self, sequences: Tensor | Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        """Run the layer. `[sequences, *states]` gives initial states, as in Keras 1 and 2."""
        return super().__call__(*split_states(sequences, args, kwargs), **kwargs)

    def call(
        self,
        sequences: Tensor,
        initial_state: Sequence[Tensor] | None = None,
        mask: Tensor | None = None,
        training: bool = False,
    ) -> Structure:
        x = sequences if self.time_major else jnp.swapaxes(sequences, 0, 1)  # (T, B, C)
        if mask is not None:
            mask = step_mask(self, mask, sequences.shape[:2])
            mask = mask if self.time_major else jnp.swapaxes(mask, 0, 1)
        last, outputs, states = self._loop(
            x, self._start(initial_state, x.shape[1]), mask, training
        )
        if self.stateful:
            for kept, new in zip(tree.flatten(self.states), tree.flatten(states), strict=True):
                kept.assign(new)
        result = last
        if self.return_sequences:
            result = outputs if self.time_major else jnp.swapaxes(outputs, 0, 1)
        return self._in_compute_dtype((result, *states) if self.return_state else result)

    def _start(self, given: Any, batch: int) -> list[Any]:
        """Return the initial states: those passed, those kept, or the cell's initial states."""
        zeros = self.get_initial_state(batch)
        flat = tree.flatten(zeros)
        if given is None:
            given = [x.value for x in tree.flatten(self.states)] if self.stateful else flat
        given = tree.flatten(given)
        if len(given) != len(flat):
            raise ValueError(
                f"`initial_state` must hold {len(flat)} states of shapes {[x.shape for x in flat]},"
                f" received {len(given)}."
            )
        states = [
            zero if x is None else jnp.asarray(x, zero.dtype)
            for x, zero in zip(given, flat, strict=True)
        ]
        for x, zero in zip(states, flat, strict=True):
            if x.shape != zero.shape:
                kept = (
                    " All batches of a stateful layer must have its fixed size."
                    if self.stateful
                    else ""
                )
                raise ValueError(f"a state must have shape {zero.shape}, received {x.shape}.{kept}")
        return tree.pack_sequence_as(zeros, states)

    def _loop(
        self, x: Tensor, states: list[Any], mask: Tensor | None, training: Any
    ) -> tuple[Any, Any, list[Any]]:
        """Run the cell along x (T, B, C); return the last output, all outputs or `None`, states."""
        cell = self.cell
        if self.go_backwards:
            x, mask = x[::-1], None if mask is None else mask[::-1]
        if has_parts(cell):
            noise = cell.noise(x.shape[1:], training)
            if self._is_left_to_cudnn(x, mask) and self._is_standard(x, states, noise):
                return self._cudnn_loop(x, states, noise)
            if self._is_standard(x, states, noise):
                return self._standard_loop(x, states, mask, noise)
            x = cell.project(x, noise)  # all steps at once

            def step(x_t: Any, before: Any) -> Any:
                return cell.step(x_t, before, noise)

        else:
            step = cell if callable(cell) else cell.call

        def cell_step(x_t: Any, before: Any) -> Any:
            output, after = step(x_t, before)
            old = tree.flatten(before)
            new = [b.astype(a.dtype) for a, b in zip(old, tree.flatten(after), strict=True)]
            return output, tree.pack_sequence_as(before, new)

        # Tracing one step finds the output's shape and the variables that the loop carries.
        effects = Effects()
        tracked = effects.track(cell_step, jax.ShapeDtypeStruct(x.shape[1:], x.dtype), states)

        def body(carry: Any, now: Any) -> Any:
            (before, last), state = carry
            x_t, keep = now
            (output, after), state = tracked(state, x_t, before)
            if keep is not None:
                other = jnp.zeros_like(output) if self.zero_output_for_mask else last
                output = _where(keep, output, other)
                after = tree.map_structure(lambda a, b: _where(keep, a, b), after, before)
            return ((after, output), state), output if self.return_sequences else None

        first = effects.results[0][0]
        start = ((states, jnp.zeros(first.shape, first.dtype)), effects.start())
        unroll = x.shape[0] if self.unroll else 1
        ((states, last), state), outputs = jax.lax.scan(body, start, (x, mask), unroll=unroll)
        effects.finish(state)
        return last, outputs, states

    def _is_standard(self, x: Tensor, states: Any, noise: Any) -> bool:
        """Return whether `ops.recurrence` can run this cell on these inputs."""
        cell = self.cell
        if (
            isinstance(cell, StackedRNNCells)
            or cell.standard() is None
            or noise[1] is not None
            or x.shape[0] == 0
        ):
            return False
        weights = [
            w.value for w in (cell.kernel, cell.recurrent_kernel, cell.bias) if w is not None
        ]
        return {a.dtype for a in (*weights, *states)} == {x.dtype}

    def _standard_loop(
        self, x: Tensor, states: list[Any], mask: Tensor | None, noise: Any
    ) -> tuple[Any, Any, list[Any]]:
        """Run the loop of `_loop` with the op for standard cells."""
        cell = self.cell
        kind = cell.standard()
        x = cell.project(x, noise, with_bias=kind == "gru")
        bias, start = cell.recurrent_bias(), jnp.stack(states)
        fused = self.use_cudnn is not False
        outputs, after = recur(
            kind, x, cell.recurrent_kernel.value, bias, start, mask, self.unroll, fused
        )
        last = after[0]
        if mask is not None:
            # As in the plain loop: zeros before the first unmasked step, or at all masked steps.
            shown = mask
            if not self.zero_output_for_mask:
                shown = (jnp.arange(mask.shape[0])[:, None] >= jnp.argmax(mask, axis=0)) & jnp.any(
                    mask, axis=0
                )
            last = _where(shown[-1], last, jnp.zeros_like(last))
            outputs = jnp.where(shown[..., None], outputs, 0)
        return last, outputs if self.return_sequences else None, list(after)

    def _is_left_to_cudnn(self, x: Tensor, mask: Tensor | None) -> bool:
        """Return whether cuDNN runs the loop; raise if the user requires it but it cannot."""
        return False

    def _cudnn_loop(self, x: Tensor, states: list[Any], noise: Any) -> tuple[Any, Any, list[Any]]:
        """Run the loop of `_loop` with cuDNN's kernel."""
        cell = self.cell
        weights = (cell.kernel.value, cell.recurrent_kernel.value, cell.bias.value)
        outputs, after = cudnn_lstm(
            x if noise[0] is None else x * noise[0], *weights, jnp.stack(states)
        )
        return after[0], outputs if self.return_sequences else None, list(after)

    def compute_mask(self, inputs: Tensor, mask: Structure = None) -> Structure:
        mask = as_list(mask)[0] if self.return_sequences else None
        return [mask, *[None] * len(as_list(self.state_size))] if self.return_state else mask

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {name: getattr(self, name) for name in _LOOP}
        return {**config, "time_major": True} if self.time_major else config


def _where(keep: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Select `new` or `old`, both (B, ...), for each sample by `keep` (B,)."""
    return jnp.where(keep.reshape(keep.shape + (1,) * (new.ndim - 1)), new, old)


def split_states(
    sequences: Tensor | Sequence[Tensor], args: tuple, kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """Move the states of `[sequences, *states]` into `kwargs`; return the positional arguments."""
    if (
        isinstance(sequences, (list, tuple))
        and len(sequences) > 1
        and hasattr(sequences[0], "shape")
    ):
        kwargs["initial_state"] = list(sequences[1:])
        sequences = sequences[0]
    return sequences, *args


def sequence_shape_only(config: dict[str, Any]) -> dict[str, Any]:
    """Return a build configuration without the shapes of the states."""
    shapes = config.get("shapes_dict") or config
    return {"input_shape": shapes["sequences_shape"]} if "sequences_shape" in shapes else config


class _Recurrent(RNN):
    """Base of the layers that create their cell and pass it their arguments.

    Args:
        cell_class: Class of the cell.
        arguments: All arguments of the layer's constructor, by name.
    """

    def __init__(self, cell_class: type, arguments: dict[str, Any]):
        kwargs = arguments["kwargs"]
        use_cudnn = arguments.get("use_cudnn", "auto")
        if use_cudnn not in ("auto", True, False):
            name = type(self).__name__
            raise ValueError(
                f"{name}: `use_cudnn` must be 'auto', True or False, received {use_cudnn!r}."
            )
        # mypy refuses the constructor of a class that it does not know.
        taken = inspect.signature(cell_class.__init__).parameters  # type: ignore[misc]
        shared = {name: kwargs[name] for name in ("dtype", "trainable") if name in kwargs}
        of_cell = {
            name: value
            for name, value in arguments.items()
            if name in taken and name not in ("self", "kwargs")
        }
        with named_by_owner(type(self), cell_class):
            cell = cell_class(**of_cell, **shared, name=to_snake_case(cell_class.__name__))
        loop = {name: arguments[name] for name in _LOOP if name in arguments}
        super().__init__(
            cell, activity_regularizer=arguments["activity_regularizer"], **loop, **kwargs
        )
        self.use_cudnn = use_cudnn if use_cudnn == "auto" else bool(use_cudnn)

    def _is_left_to_cudnn(self, x: Tensor, mask: Tensor | None) -> bool:
        if self.use_cudnn is False:
            return False
        unsupported = {
            "there is a mask": mask is not None,
            "`unroll` is true": self.unroll,
            "`recurrent_dropout` is not zero": self.cell.recurrent_dropout > 0,
        }
        return self._asks_cudnn(
            x, next((text for text, is_set in unsupported.items() if is_set), None)
        )

    def _asks_cudnn(self, x: Tensor, extra: str | None) -> bool:
        """Return whether cuDNN runs the loop; `extra` names an unsupported setting, if any."""
        return False

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["activity_regularizer"] = serialize(self.activity_regularizer)
        config.pop("use_cudnn", None)
        return config


@contextmanager
def named_by_owner(owner: type, inner: type) -> Iterator[None]:
    """Name the layer that the user made in errors about the arguments of a layer inside it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        start, own = f"{inner.__name__}:", f"{owner.__name__}:"
        raise errors.reworded(error, lambda text: text.replace(start, own, 1)) from None


def of_cell(name: str) -> property:
    """Return a property that reads the attribute `name` of the layer's cell."""
    return property(lambda self: getattr(self.cell, name), doc=f"The cell's `{name}`.")


for _name in _CELL:
    if _name != "activity_regularizer":
        setattr(_Recurrent, _name, of_cell(_name))


class SimpleRNN(_Recurrent):
    """Runs a fully connected recurrence along a sequence.

    `h = activation(x @ kernel + h @ recurrent_kernel + bias)`; the output is h.

    Args:
        units: Size of the output.
        activation: Name or function. Default: `"tanh"`.
        use_bias: Whether to add a bias. Default: True.
        kernel_initializer, recurrent_initializer, bias_initializer: Default: `"glorot_uniform"`,
            `"orthogonal"`, `"zeros"`.
        kernel_regularizer, ..., bias_constraint: Regularizers and constraints of the weights.
            Default: `None`.
        activity_regularizer: Penalty of the outputs. Default: `None`.
        dropout, recurrent_dropout: Fractions of the inputs and of the state to set to zero in
            training, with one draw per sequence. Default: 0.
        seed: Integer seed of the dropout. Default: random.
        return_sequences, return_state, go_backwards, stateful, unroll: As in `RNN`.

    Input: (B, T, C). Output: (B, units), or (B, T, units) with `return_sequences`.

    Raises:
        ValueError: If `units` is not a positive integer, or as for `RNN`.

    Source: Elman 1990, Finding structure in time.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([hb.Input((20, 5)), hb.layers.SimpleRNN(16), hb.layers.Dense(1)])
        >>> model.output_shape
        (None, 1)
    """

    def __init__(
        self, units: int, activation: Identifier = "tanh", use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal", bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None, recurrent_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, activity_regularizer: Identifier = None,
        kernel_constraint: Identifier = None, recurrent_constraint: Identifier = None,
        bias_constraint: Identifier = None, dropout: float = 0.0, recurrent_dropout: float = 0.0,
        return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
        stateful: bool = False, unroll: bool = False, seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(SimpleRNNCell, locals())

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["seed"]  # Keras's files have no seed for this layer
        return config


class LSTM(_Recurrent):
    """Runs long short-term memory along a sequence.

    With the gates i, f, g and o of `LSTMCell`: `c = f * c + i * g`, `h = o * activation(c)`; the
    output is h, the states are h and c.

    Args:
        units: Size of the output.
        activation: Activation of g and c. Default: `"tanh"`.
        recurrent_activation: Activation of i, f and o. Default: `"sigmoid"`.
        unit_forget_bias: Whether the bias of f starts at 1. Default: True.
        use_bias: Whether to add a bias. Default: True.
        kernel_initializer, recurrent_initializer, bias_initializer: Default: `"glorot_uniform"`,
            `"orthogonal"`, `"zeros"`.
        kernel_regularizer, ..., bias_constraint: Regularizers and constraints of the weights.
            Default: `None`.
        activity_regularizer: Penalty of the outputs. Default: `None`.
        dropout, recurrent_dropout: Fractions of the inputs and of the state to set to zero in
            training, with one draw per sequence. Default: 0.
        seed: Integer seed of the dropout. Default: random.
        return_sequences, return_state, go_backwards, stateful, unroll: As in `RNN`.
        use_cudnn: True requires cuDNN's kernel: an NVIDIA GPU, float32, the default activations, a
            bias, no mask, no `unroll`, no recurrent dropout. False runs the plain loop. `"auto"`
            (default) uses a fast kernel if one is available.

    Input: (B, T, C). Output: (B, units), or (B, T, units) with `return_sequences`.

    Raises:
        ValueError: If `units` is not a positive integer, or `use_cudnn` is true and the kernel
            cannot run.

    Source: Hochreiter and Schmidhuber 1997, Long short-term memory.

    Example:
        >>> import hornbeam as hb
        >>> words = hb.Input((200,), dtype="int32")
        >>> x = hb.layers.Embedding(5000, 32, mask_zero=True)(words)
        >>> outputs = hb.layers.Dense(1, "sigmoid")(hb.layers.LSTM(16)(x))
        >>> hb.Model(words, outputs).output_shape
        (None, 1)
    """

    def __init__(
        self, units: int, activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid", use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal", bias_initializer: Identifier = "zeros",
        unit_forget_bias: bool = True, kernel_regularizer: Identifier = None,
        recurrent_regularizer: Identifier = None, bias_regularizer: Identifier = None,
        activity_regularizer: Identifier = None, kernel_constraint: Identifier = None,
        recurrent_constraint: Identifier = None, bias_constraint: Identifier = None,
        dropout: float = 0.0, recurrent_dropout: float = 0.0, seed: int | None = None,
        return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
        stateful: bool = False, unroll: bool = False, use_cudnn: bool | str = "auto", **kwargs: Any,
    ):  # fmt: skip
        super().__init__(LSTMCell, locals())

    def _asks_cudnn(self, x: Tensor, extra: str | None) -> bool:
        if extra is None and self.cell.standard() is None:
            extra = "the activations are not tanh and sigmoid"
        if extra is None and not self.cell.use_bias:
            extra = "there is no bias"
        insisted = self.use_cudnn is True
        return (
            routes.cudnn_recurrence(self._label(), insisted, x.dtype, x.shape, extra).name
            == "cudnn"
        )


class GRU(_Recurrent):
    """Runs gated recurrent units along a sequence.

    With the gates z and r and the candidate g of `GRUCell`: `h = z * h + (1 - z) * g`; the output
    is h.

    Args:
        units: Size of the output.
        activation: Activation of g. Default: `"tanh"`.
        recurrent_activation: Activation of z and r. Default: `"sigmoid"`.
        reset_after: Whether r multiplies the state after its matrix product. Default: True.
        use_bias: Whether to add a bias. Default: True.
        kernel_initializer, recurrent_initializer, bias_initializer: Default: `"glorot_uniform"`,
            `"orthogonal"`, `"zeros"`.
        kernel_regularizer, ..., bias_constraint: Regularizers and constraints of the weights.
            Default: `None`.
        activity_regularizer: Penalty of the outputs. Default: `None`.
        dropout, recurrent_dropout: Fractions of the inputs and of the state to set to zero in
            training, with one draw per sequence. Default: 0.
        seed: Integer seed of the dropout. Default: random.
        return_sequences, return_state, go_backwards, stateful, unroll: As in `RNN`.
        use_cudnn: True raises if cuDNN's GRU does not support the layer (a mask, `unroll`,
            recurrent dropout, `reset_after=False`). False runs the plain loop. `"auto"` (default)
            uses a fast kernel if one is available.

    Input: (B, T, C). Output: (B, units), or (B, T, units) with `return_sequences`.

    Raises:
        ValueError: If `units` is not a positive integer, or `use_cudnn` is true and cuDNN does not
            support the layer.

    Source: Cho et al. 2014, Learning phrase representations using RNN encoder-decoder.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((20, 5)), hb.layers.GRU(16, return_sequences=True), hb.layers.Dense(1)
        ... ])
        >>> model.output_shape
        (None, 20, 1)
    """

    def __init__(
        self, units: int, activation: Identifier = "tanh",
        recurrent_activation: Identifier = "sigmoid", use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform",
        recurrent_initializer: Identifier = "orthogonal", bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None, recurrent_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, activity_regularizer: Identifier = None,
        kernel_constraint: Identifier = None, recurrent_constraint: Identifier = None,
        bias_constraint: Identifier = None, dropout: float = 0.0, recurrent_dropout: float = 0.0,
        seed: int | None = None, return_sequences: bool = False, return_state: bool = False,
        go_backwards: bool = False, stateful: bool = False, unroll: bool = False,
        reset_after: bool = True, use_cudnn: bool | str = "auto", **kwargs: Any,
    ):  # fmt: skip
        super().__init__(GRUCell, locals())

    def _asks_cudnn(self, x: Tensor, extra: str | None) -> bool:
        # JAX cannot call cuDNN's GRU. As in Keras, True still rejects unsupported settings.
        if self.use_cudnn is True and extra is None and not self.cell.reset_after:
            extra = "`reset_after` is false"
        if self.use_cudnn is True and extra is not None:
            raise ValueError(
                f"`use_cudnn=True` requires settings that cuDNN's GRU supports, but {extra}. Use"
                " 'auto'."
            )
        return False
