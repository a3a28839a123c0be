"""Compiled programs over variables: a function that reads and assigns, made pure and jitted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import jax

from hornbeam.core.variable import Overlay, Variable

__all__ = ["Program"]


class _Strays(Exception):
    """Raised at the end of a trace that touched variables the program does not carry."""

    def __init__(self, read: Iterable[Variable], assigned: Iterable[Variable]):
        self.read = list(read)
        self.assigned = list(assigned)


class Program:
    """`function(*args)` compiled, with the variables that it touches as implicit state.

    Which variables those are is found by tracing: a variable that turns out to be read or
    assigned without being carried is added, and the function traced again. So a metric
    updated inside `call`, a dropout in a custom layer or a second optimizer need no
    declaration.

    Args:
        function: Any function of arrays that may read and assign variables.
        assigned: Variables expected to be assigned (a guess that saves a second trace).
        read: Variables expected to be read only (likewise).
        donate: Whether the buffers of assigned variables are given to the result. Arrays
            that a user holds are copied first, never taken away.

    Example:
        >>> total = Variable(0.0)
        >>> add = Program(lambda x: total.assign_add(x), assigned=[total])
        >>> add(2.0); add(3.0)
        >>> float(total.value)
        5.0
    """

    def __init__(
        self,
        function: Callable[..., Any],
        assigned: Iterable[Variable] = (),
        read: Iterable[Variable] = (),
        donate: bool = True,
    ):
        self._function = function
        self._donate = donate
        self._lock = threading.Lock()
        assigned = list(dict.fromkeys(assigned))
        read = [v for v in dict.fromkeys(read) if v not in set(assigned)]
        self._carried = self._compile(assigned, read)
        self.trace_count = 0

    def _compile(
        self, assigned: list[Variable], read: list[Variable]
    ) -> tuple[list[Variable], list[Variable], Callable[..., Any]]:
        # Writing outputs in the order of `assigned` keeps donated buffers aligned.
        def pure(assigned_values: list[Any], read_values: list[Any], args: Any) -> Any:
            self.trace_count += 1
            with Overlay([*assigned, *read], [*assigned_values, *read_values]) as overlay:
                result = self._function(*args)
            written = [v for v in overlay.assigned if v in set(read) or v in overlay.strays]
            if overlay.strays or written:
                raise _Strays(overlay.strays, written)
            return result, [overlay.value_of(v) for v in assigned]

        compiled = jax.jit(pure, donate_argnums=(0,) if self._donate else ())
        return assigned, read, compiled

    def _carry_also(self, strays: _Strays) -> None:
        with self._lock:
            assigned, read, _ = self._carried
            written = set(strays.assigned)
            assigned = list(dict.fromkeys([*assigned, *strays.assigned]))
            read = [v for v in dict.fromkeys([*read, *strays.read]) if v not in set(assigned)]
            read = [v for v in read if v not in written]
            self._carried = self._compile(assigned, read)

    def __call__(self, *args: Any) -> Any:
        while True:
            assigned, read, compiled = self._carried
            if self._donate:
                assigned_values = [v._take_for_donation() for v in assigned]
            else:
                assigned_values = [v._value for v in assigned]
            try:
                result, updates = compiled(assigned_values, [v._value for v in read], args)
            except _Strays as strays:
                self._carry_also(strays)
                continue
            for variable, update in zip(assigned, updates, strict=True):
                variable._set_own(update)
            return result
