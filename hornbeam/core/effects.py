"""Side effects of functions that JAX traces: assignments to variables, and added losses.

The branches of a condition and the body of a loop must be pure functions. `Effects` makes functions
pure: they take the values of the variables and the sums of the added losses as arguments, and
return the new values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.variable import Overlay, Variable, autocast_scope
from hornbeam.typing import Structure

__all__ = ["Effects", "State"]

# The values of the assigned variables, and the sums of the added losses.
State = tuple[list[Any], list[Any]]


class Effects:
    """Side effects of one or more functions, found by tracing each function once.

    To use it, call `track` for every function. Pass the state of `start()` to the first call of the
    tracked functions, pass each returned state to the next call, and pass the last state to
    `finish`.

    Attributes:
        results: The result of each tracked function, with `jax.ShapeDtypeStruct`s for arrays.
        read: The variables that the functions read but do not assign.

    Example:
        >>> counter = Variable(0, dtype="int32")
        >>> effects = Effects()
        >>> body = effects.track(lambda i: counter.assign_add(i), 0)
        >>> effects.finish(jax.lax.fori_loop(0, 4, lambda i, s: body(s, i)[1], effects.start()))
        >>> int(counter.value)
        6
    """

    def __init__(self) -> None:
        self._assigned: dict[Variable, None] = {}
        self.read: dict[Variable, None] = {}
        self._owners: list[Any] = []
        self._losses: list[jax.ShapeDtypeStruct] = []
        self.results: list[Structure] = []

    @property
    def assigned(self) -> list[Variable]:
        """The variables that the functions assign."""
        return list(self._assigned)

    @property
    def is_pure(self) -> bool:
        """Whether the functions have no side effects. Reading variables is allowed."""
        return not self._assigned and not self._owners

    def __bool__(self) -> bool:
        """Return whether there are any side effects, or variables that are read.

        Variables that are read count, because JAX caches the trace of a function object, including
        the values of the variables that it read. A tracked function is a new object, so JAX traces
        it again with the current values.
        """
        return bool(self._assigned or self._owners or self.read)

    def track(self, function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
        """Return a pure version of `function`, from a `State` and arguments to (result, new state).

        Args:
            function: A function of arrays.
            *args: Arguments for tracing: nested arrays, or `jax.ShapeDtypeStruct`s.
        """

        overlay = Overlay()

        def losses_of(*args: Any) -> list[Any]:
            nonlocal overlay
            with Overlay() as overlay:
                result = _values(function(*args))
            self.results.append(jax.tree.map(_described, result))
            return [jnp.asarray(loss) for _, loss in overlay.losses]

        losses = jax.eval_shape(losses_of, *args)
        first = len(self._losses)
        self._assigned.update(overlay.assigned)
        self.read |= dict.fromkeys(overlay.strays)
        self.read = {v: None for v in self.read if v not in self._assigned}
        self._owners += [owner for owner, _ in overlay.losses]
        self._losses += losses

        def tracked(state: State, *args: Any) -> tuple[Any, State]:
            values, sums = state
            with Overlay(self._assigned, values) as overlay:
                result = _values(function(*args))
                values = [overlay.value_of(v) for v in self._assigned]
            sums = list(sums)
            for i, (_, loss) in enumerate(overlay.losses, first):
                sums[i] = sums[i] + loss
            return result, (values, sums)

        return tracked

    def start(self) -> State:
        """Return the state before the first call."""
        with autocast_scope(None):
            values = [v.value for v in self._assigned]
        return values, [jnp.zeros(x.shape, x.dtype) for x in self._losses]

    def finish(self, state: State) -> None:
        """Assign the variables and add the losses, from the last state."""
        values, sums = state
        for variable, value in zip(self._assigned, values, strict=True):
            variable.assign(value)
        for owner, loss in zip(self._owners, sums, strict=True):
            owner.add_loss(loss)


def _values(result: Any) -> Any:
    """Return a result with the values of variables, such as `variable.assign` returns."""
    return jax.tree.map(lambda x: x.value if isinstance(x, Variable) else x, result)


def _described(x: Any) -> Any:
    return jax.ShapeDtypeStruct(x.shape, x.dtype) if isinstance(x, jax.Array) else x
