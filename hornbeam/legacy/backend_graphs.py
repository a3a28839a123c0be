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
from hornbeam.core.program import Program
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable, value_and_grad
from hornbeam.layers import Lambda
from hornbeam.layers.call_scope import training_now, training_scope
from hornbeam.models import Function
from hornbeam.optimizers import Optimizer
from hornbeam.typing import Structure, Tensor
from hornbeam.utils.graphs import get_source_inputs

__all__ = [
    "function", "get_gradients", "get_updates", "gradients", "in_test_phase", "in_train_phase",
    "learning_phase", "learning_phase_scope", "rnn", "set_learning_phase", "switch", "update_of",
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


class Update:
    """A new value that a variable gets in each call of a `function`.

    Args:
        variable: The variable.
        value: Its new value, a symbolic tensor.
    """

    def __init__(self, variable: Variable, value: KerasTensor):
        self.variable, self.value = variable, value


class OptimizerUpdate:
    """An optimizer's step that a `function` does in each call.

    Args:
        optimizer: The optimizer.
        params: The variables to update.
        loss: The symbolic loss; it is summed.
    """

    def __init__(self, optimizer: Optimizer, params: Sequence[Variable], loss: KerasTensor):
        self.optimizer, self.params, self.loss = optimizer, list(params), loss


def update_of(x: Variable, value: Any) -> Any:
    """Assign `value` to a variable and return it; or describe it, if `value` is symbolic."""
    if isinstance(value, KerasTensor):
        return Update(x, value)
    return x.assign(value if hasattr(value, "shape") else np.asarray(value, x.dtype))


def get_updates(
    self: Optimizer, loss: Any = None, params: Any = None, constraints: Any = None, **older: Any
) -> list[Any]:
    """Return the step of an optimizer for the `updates` of `K.function`.

    Args:
        loss: A symbolic tensor.
        params: The variables. Keras 1 had them first: `get_updates(params, constraints, loss)`.
        constraints: Constraints by variable, which Keras 1 gave here.
    """
    if isinstance(loss, (list, tuple)):
        loss, params, constraints = constraints, loss, params
    for variable, constraint in (constraints or {}).items():
        variable.constraint = constraint
    return [OptimizerUpdate(self, params, loss)]


def get_gradients(self: Optimizer, loss: Any, params: Any) -> list[Any]:
    """Return the symbolic derivatives of `loss`; see `gradients`."""
    return gradients(loss, params)


def function(
    inputs: Any,
    outputs: Structure,
    updates: Sequence[Any] | None = None,
    name: str | None = None,
    **kwargs: Any,
) -> Callable[..., Any]:
    """Return a function that computes `outputs` from a list of arrays for `inputs`.

    Args:
        inputs: Symbolic tensors. Where the list has `learning_phase()`, the function takes 0 or 1.
        outputs: A symbolic tensor or a list of them. The function returns NumPy arrays.
        updates: What a call also does: pairs of a variable and its new value, results of `K.update`
            and its siblings for symbolic values, and `optimizer.get_updates(loss, params)`.
        name: Ignored; an argument of Keras 2.

    Raises:
        TypeError: If an update is none of these.
    """
    many = isinstance(inputs, (list, tuple))
    inputs = list(inputs) if many else [inputs]
    symbolic = [x for x in inputs if isinstance(x, KerasTensor)]
    changes, steps = _described(updates or [])
    flat = [x for x in tree.flatten(outputs) if isinstance(x, KerasTensor)]
    graph = Function(symbolic, [*flat, *(u.value for u in changes), *(u.loss for u in steps)])
    programs = {phase: Program(_computation(graph, len(flat), changes, steps, phase))
                for phase in (None, False, True)}  # fmt: skip

    def run(values: Any) -> Any:
        values = values if many else [values]
        if len(values) != len(inputs):
            raise ValueError(
                f"This function takes a list of {len(inputs)} values, received {len(values)}."
            )
        pairs = list(zip(inputs, values, strict=True))
        phases = [value for x, value in pairs if not isinstance(x, KerasTensor)]
        given = [ops.cast(value, x.dtype) for x, value in pairs if isinstance(x, KerasTensor)]
        for step in steps:
            step.optimizer.build(step.params)
        computed = iter(programs[bool(phases[0]) if phases else None](given))
        return tree.map_structure(
            lambda x: np.array(next(computed) if isinstance(x, KerasTensor) else x), outputs
        )

    return run


def _described(updates: Sequence[Any]) -> tuple[list[Update], list[OptimizerUpdate]]:
    """Return the assignments and the steps of optimizers in a list of updates."""
    changes: list[Update] = []
    steps: list[OptimizerUpdate] = []
    for update in updates:
        if isinstance(update, (list, tuple)) and len(update) == 2:  # of Keras 1
            update = update_of(*update)
        if isinstance(update, Update):
            changes.append(update)
        elif isinstance(update, OptimizerUpdate):
            steps.append(update)
        elif update is not None and not isinstance(update, Variable):
            raise TypeError(
                "function: `updates` must hold pairs of a variable and its new value, results of"
                f" `K.update`, or `optimizer.get_updates(loss, params)`, received {update!r:.80}."
            )
    return changes, steps


def _computation(
    graph: Any, count: int, changes: list[Update], steps: list[OptimizerUpdate],
    phase: bool | None,
) -> Callable[..., Any]:  # fmt: skip
    """Return the computation of a `function`, of which a program is made."""

    def results_of(values: list[Any]) -> list[Any]:
        with training_scope(phase):
            return list(graph(values))

    def compute(values: list[Any]) -> list[Any]:
        gradients_of_steps = []
        results: list[Any] = []
        for number, step in enumerate(steps):

            def total(number: int = number) -> Any:
                results = results_of(values)
                return jax.numpy.sum(results[count + len(changes) + number]), results

            (_, results), grads = value_and_grad(total, step.params, has_aux=True)
            gradients_of_steps.append(grads)
        results = results or results_of(values)
        for step, grads in zip(steps, gradients_of_steps, strict=True):
            step.optimizer.apply(grads, step.params)
        for change, value in zip(changes, results[count : count + len(changes)], strict=True):
            change.variable.assign(value)
        return results[:count]

    return compute


def gradients(loss: Tensor, variables: Any) -> list[Any]:
    """Return the symbolic derivatives of `loss`.

    Args:
        loss: A symbolic tensor. It is summed first.
        variables: Symbolic tensors from which `loss` is computed, variables, or a list of both.

    Raises:
        ValueError: If `loss` is not symbolic, or one of `variables` is neither.
    """
    if not isinstance(loss, KerasTensor):
        raise ValueError(
            "gradients: expected a symbolic `loss`, computed from `model.input` or `K.placeholder`,"
            f" received {type(loss).__name__}. For values use"
            " `hornbeam.value_and_grad(function, variables)`."
        )
    sources = get_source_inputs(loss)
    found = []
    for x in variables if isinstance(variables, (list, tuple)) else [variables]:
        if isinstance(x, KerasTensor):
            others = [source for source in sources if source is not x]
            graph = Function([x, *others], loss)

            def derivative(values: Any, graph: Any = graph) -> Any:
                first, *rest = values
                return jax.grad(lambda v: jax.numpy.sum(graph([v, *rest])))(first)

            found.append(Lambda(derivative, output_shape=x.shape[1:])([x, *others]))
        elif isinstance(x, Variable):
            graph = Function(sources, loss)

            def slope(values: Any, graph: Any = graph, x: Variable = x) -> Any:
                return value_and_grad(lambda: jax.numpy.sum(graph(values)), [x])[1][0]

            found.append(Lambda(slope)(list(sources)))
        else:
            raise ValueError(
                "gradients: expected a symbolic tensor such as `layer.output`, or a variable such"
                f" as `layer.kernel`, received {type(x).__name__}."
            )
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
