"""Effects of functions that JAX traces: assignments to variables, and added losses.

The branch of a condition and the body of a loop must be pure functions. `Effects` makes them pure:
the values of the variables go in as arguments and come out as results, and so do sums of the added
losses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.variable import Overlay, Variable, autocast_scope
from hornbeam.typing import Structure

__all__ = ["Effects", "State"]

# Values of the assigned variables, and sums of the losses.
State = tuple[list[Any], list[Any]]


class Effects:
    """The effects of one or more functions, found by tracing each of them once.

    Usage: `track` every function, start from the state `start()`, hand it from call to call of the
    tracked functions, and give the last one to `finish`.

    Attributes:
        results: The result of each tracked function, with `jax.ShapeDtypeStruct`s for arrays.
        read: The variables that the functions read and do not assign.

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
        """Whether the functions have no effects; they may read variables."""
        return not self._assigned and not self._owners

    def __bool__(self) -> bool:
        """Return whether there are any effects, or variables that are read.

        JAX keeps the trace of a function object, with the values of the variables that it read. A
        tracked function is a new object, so it reads new values.
        """
        return bool(self._assigned or self._owners or self.read)

    def track(self, function: Callable[..., Any], *args: Any) -> Callable[..., Any]:
        """Return `function` with a `State` as first argument and a pair of result and new state.

        Args:
            function: A function of arrays.
            *args: Arguments for the trace: nested arrays, or `jax.ShapeDtypeStruct`s.
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
        """Assign the variables and add the losses of the last state."""
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
