"""The functions of `keras.backend` about training phases, symbolic graphs and loops over steps.

They are public in `hornbeam.legacy.backend`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from hornbeam import ops, tree
from hornbeam.core.tensor import KerasTensor
from hornbeam.layers import Lambda
from hornbeam.layers.call_scope import training_now, training_scope
from hornbeam.models import Function
from hornbeam.typing import Structure, Tensor

__all__ = [
    "function", "gradients", "in_test_phase", "in_train_phase", "learning_phase",
    "learning_phase_scope", "rnn", "set_learning_phase", "switch",
]  # fmt: skip

# --- training or not ------------------------------------------------------------------------------

_phase: list[int] = [0]


def learning_phase() -> Any:
    """Return whether the current call is for training.

    Outside of calls, return the value set by `set_learning_phase`.
    """
    now = training_now()
    return _phase[-1] if now is None else now


def set_learning_phase(value: Any) -> None:
    """Set `learning_phase` outside of calls. It does not change calls: pass them `training=`."""
    _phase[-1] = int(value)


@contextlib.contextmanager
def learning_phase_scope(value: Any) -> Iterator[None]:
    """Set `learning_phase` outside of calls inside a `with` block."""
    _phase.append(int(value))
    try:
        yield
    finally:
        _phase.pop()


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """Return `x` in training, else `alt`. Functions without arguments are called."""
    training = learning_phase() if training is None else training
    if isinstance(training, (bool, int, np.bool_)):
        chosen = x if training else alt
        return chosen() if callable(chosen) else chosen
    return switch(training, x, alt)


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """Return `x` outside of training, else `alt`. Functions without arguments are called."""
    return in_train_phase(alt, x, training)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Structure:
    """Return one of two values, by a scalar condition or elementwise by an array.

    If the values are functions without arguments, both are called.
    """
    both = [value() if callable(value) else value for value in (then_expression, else_expression)]
    rank = len(getattr(both[0], "shape", ()))
    missing = rank - len(getattr(condition, "shape", ()))
    if hasattr(condition, "shape") and condition.shape and missing > 0:
        condition = ops.reshape(condition, (-1, *condition.shape[1:], *(1,) * missing))
    return ops.where(condition, *both)


# --- graphs ---------------------------------------------------------------------------------------


def function(
    inputs: Sequence[Any],
    outputs: Structure,
    updates: Sequence[Any] | None = None,
    name: str | None = None,
    **kwargs: Any,
) -> Callable[..., Any]:
    """Return a function that computes `outputs` from a list of arrays for `inputs`.

    Args:
        inputs: Symbolic tensors. Where the list has `learning_phase()`, the function takes 0 or 1.
        outputs: A symbolic tensor or a list of them. The function returns NumPy arrays.
        updates: Must be empty: layers assign their variables in `call`.
        name: Ignored; an argument of Keras 2.

    Raises:
        ValueError: If `updates` are given.
    """
    if updates:
        raise ValueError(
            "function: `updates` are not supported. Assign variables in the `call` of a layer, or"
            " by `fit`."
        )
    symbolic = [x for x in inputs if isinstance(x, KerasTensor)]
    graph = Function(symbolic, outputs)

    def run(values: Sequence[Any]) -> Any:
        if len(values) != len(inputs):
            raise ValueError(
                f"This function takes a list of {len(inputs)} values, received {len(values)}."
            )
        pairs = list(zip(inputs, values, strict=True))
        phases = [value for x, value in pairs if not isinstance(x, KerasTensor)]
        given = [ops.cast(value, x.dtype) for x, value in pairs if isinstance(x, KerasTensor)]
        with training_scope(bool(phases[0]) if phases else None):
            return tree.map_structure(np.asarray, graph(given))

    return run


def gradients(loss: Tensor, variables: Any) -> list[Any]:
    """Return the symbolic derivatives of `loss` with respect to symbolic tensors.

    Args:
        loss: A symbolic tensor. It is summed first.
        variables: A symbolic tensor or a list of them, from which `loss` is computed.

    Raises:
        ValueError: If one is a variable. `hornbeam.value_and_grad` differentiates by variables.
    """
    found = []
    for x in variables if isinstance(variables, (list, tuple)) else [variables]:
        if not isinstance(x, KerasTensor):
            raise ValueError(
                "gradients: expected a symbolic tensor such as `model.input` or `layer.output`,"
                f" received {type(x).__name__}. For derivatives by variables use"
                " `hornbeam.value_and_grad(function, variables)`."
            )
        graph = Function([x], loss)

        def derivative(value: Any, graph: Any = graph) -> Any:
            return jax.grad(lambda v: jax.numpy.sum(graph([v])))(value)

        found.append(Lambda(derivative)(x))
    return found


def rnn(
    step_function: Callable[..., Any], inputs: Structure, initial_states: Structure,
    go_backwards: bool = False, mask: Structure = None, constants: Structure = None,
    unroll: bool = False, input_length: int | None = None, time_major: bool = False,
    zero_output_for_mask: bool = False, return_all_outputs: bool = True,
) -> tuple[Any, Any, list[Any]]:  # fmt: skip
    """Run `step_function` over the time steps of `inputs`.

    Args:
        step_function: Computes one step: `(x, states + constants) -> (output, new_states)`.
        inputs: (B, T, ...), or (T, B, ...) if `time_major`, as are the mask and the outputs.
        initial_states: List of the first states.
        go_backwards: Whether the last step is computed first.
        mask: Shape (B, T). Where it is false, states stay as they are and the output is repeated.
        constants: Arrays that each step gets after the states.
        unroll, input_length: Ignored; arguments of Keras 2.
        zero_output_for_mask: Whether outputs are zero where `mask` is false.
        return_all_outputs: Whether all outputs are returned, or the last one in an axis of size 1.

    Returns:
        The last output, the outputs (B, T, ...), and the last states.
    """
    x = inputs if time_major else ops.swapaxes(inputs, 0, 1)
    if mask is not None:
        mask = ops.cast(mask if time_major else ops.swapaxes(mask, 0, 1), "bool")
    if go_backwards:
        x, mask = ops.flip(x, 0), None if mask is None else ops.flip(mask, 0)
    fixed = list(constants or [])

    def chosen(keep: Any, new: Any, old: Any) -> Any:
        return ops.where(ops.reshape(keep, (-1,) + (1,) * (len(new.shape) - 1)), new, old)

    def step(carry: Any, now: Any) -> Any:
        states, last = carry
        x_t, keep = now
        output, after = step_function(x_t, [*states, *fixed])
        after = list(after)
        if keep is not None:
            output = chosen(keep, output, ops.zeros_like(output) if zero_output_for_mask else last)
            after = [chosen(keep, new, old) for new, old in zip(after, states, strict=True)]
        return (after, output), output

    first, _ = step_function(x[0], [*initial_states, *fixed])
    start = (list(initial_states), ops.zeros_like(first))
    (states, last), outputs = ops.scan(step, start, (x, mask))
    outputs = outputs if return_all_outputs else last[None]
    return last, (outputs if time_major else ops.swapaxes(outputs, 0, 1)), states
