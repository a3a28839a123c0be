"""Compiled programs over variables: functions that read and assign, made pure and jitted.

A program runs its function once per call, or many times in one call (`loop`), a compiled loop over
batches in one array on the device. Both run the same traced step.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors
from hornbeam.core.forks import check_not_forked
from hornbeam.core.memory import SavedValues, is_lost, is_out_of_memory, largest_arrays
from hornbeam.core.naming import scopes_in_traces
from hornbeam.core.placement import (
    Placement,
    current_placement,
    place_batch,
    place_results,
    place_variables,
    team_of,
    without_filling,
)
from hornbeam.core.structure import rules_version
from hornbeam.core.tape_trace import outside_tapes
from hornbeam.core.traces import inner_jaxprs
from hornbeam.core.variable import Overlay, Variable
from hornbeam.typing import Structure

__all__ = ["Program", "calls_return_when_done"]

# On a CPU, JAX runs a compiled call in another thread and the caller waits for it. That takes
# longer than the prediction of a small model. Work worth doing at the same time has threads of its
# own here. JAX reads this setting when it first computes, so users who prefer its default can set
# it back after the import.
with contextlib.suppress(AttributeError):
    jax.config.update("jax_cpu_enable_async_dispatch", False)


@functools.cache
def calls_return_when_done() -> bool:
    """Return whether a compiled call returns only when its results are computed."""
    return jax.default_backend() == "cpu" and not getattr(
        jax.config, "jax_cpu_enable_async_dispatch", True
    )


# Traces for one call. A function that makes variables once needs at most four: for the weights, the
# optimizer's slots and the metrics.
_MOST_TRACES = 12

# New values of variables are stored under this lock. The count is advanced before and after, so a
# reader without the lock knows by an equal, even count that the values belong to the same step.
_takeover = threading.Lock()
_takeovers = 0


class _Strays(Exception):
    """Raised after a trace that read or assigned variables which the program does not carry."""

    def __init__(self, read: Iterable[Variable], assigned: Iterable[Variable]):
        self.read = list(read)
        self.assigned = list(assigned)


class _Carried:
    """The variables that a program carries, and its functions compiled for them."""

    def __init__(
        self, program: Program, assigned: list[Variable], read: list[Variable], donate: bool
    ):
        self.assigned, self.read = assigned, read
        self.proven: set[Any] = set()  # shapes of calls that had memory enough
        self.points: dict[Any, str] = {}  # where several processes meet, by shapes of calls

        def step(assigned_values: list[Any], read_values: list[Any], args: Any) -> Any:
            program.trace_count += 1
            args = without_filling(program.placement, args)
            with Overlay([*assigned, *read], [*assigned_values, *read_values]) as overlay:
                result = _values(program._function(*args))
            reads = set(read)
            written = [v for v in overlay.assigned if v in reads or v in overlay.strays]
            if overlay.strays or written:
                raise _Strays(overlay.strays, written)
            result = place_results(program.placement, result)
            return result, [_where_it_was(program.placement, v, overlay) for v in assigned]

        # Jitted separately, so that the single call and the loop share one trace of the function.
        self.step = inner = jax.jit(step)

        def loop(
            assigned_values: list[Any], read_values: list[Any], slabs: Any, start: Any, count: Any
        ) -> Any:
            first = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), slabs)
            result, _ = jax.eval_shape(inner, assigned_values, read_values, first)
            steps = jax.tree.leaves(slabs)[0].shape[0]
            shape = (steps,) if program._keep_all else ()

            def body(i: Any, state: Any) -> Any:
                values, kept = state
                args = jax.tree.map(
                    lambda a: jax.lax.dynamic_index_in_dim(a, start + i, keepdims=False), slabs
                )
                result, values = inner(values, read_values, args)
                if program._keep_all:
                    return values, jax.tree.map(lambda all, one: all.at[i].set(one), kept, result)
                return values, jax.tree.map(
                    lambda old, new: jnp.asarray(new, old.dtype), kept, result
                )

            empty = jax.tree.map(lambda a: jnp.zeros((*shape, *a.shape), a.dtype), result)
            values, results = jax.lax.fori_loop(0, count, body, (assigned_values, empty))
            return place_results(program.placement, results), values

        # Writing outputs in the order of `assigned` keeps donated buffers aligned.
        donated = (0,) if donate else ()
        self.once = jax.jit(lambda a, r, args: inner(a, r, args), donate_argnums=donated)
        self.loop = jax.jit(loop, donate_argnums=donated)

    def also(self, program: Program, strays: _Strays, donate: bool) -> _Carried:
        written = set(strays.assigned)
        assigned = list(dict.fromkeys([*self.assigned, *strays.assigned]))
        known = set(assigned) | written
        read = [v for v in dict.fromkeys([*self.read, *strays.read]) if v not in known]
        return _Carried(program, assigned, read, donate)


def _values(result: Any) -> Any:
    """Return a result with variables replaced by their values, which the overlay holds."""

    def is_variable(x: Any) -> bool:
        return isinstance(x, Variable)

    return jax.tree.map(lambda x: x.value if is_variable(x) else x, result, is_leaf=is_variable)


class Program:
    """A compiled function, with the variables that it uses as implicit state.

    The variables are found by tracing. If the function reads or assigns a variable that the program
    does not carry, the variable is added and the function is traced again. So a metric updated
    inside `call`, a dropout in a custom layer or a second optimizer need no declaration.

    Args:
        function: Any function of arrays that may read and assign variables.
        assigned: Variables that it probably assigns; a good guess saves a second trace.
        read: Variables that it probably only reads; likewise.
        donate: Whether results reuse the buffers of assigned variables. An array that a caller may
            hold is copied first.
        keep_all: Whether `loop` returns the results of all steps instead of the last one.
        label: What it does, in words for errors.

    Attributes:
        trace_count: Number of traces of the function so far.
        placement: Where variables and batches lie; the current placement when the program was
            created, `None` for JAX's default device.

    Example:
        >>> total = Variable(0.0)
        >>> add = Program(lambda x: total.assign_add(x), assigned=[total])
        >>> [float(add(x)) for x in (2.0, 3.0)]
        [2.0, 5.0]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        assigned: Iterable[Variable] = (),
        read: Iterable[Variable] = (),
        donate: bool = True,
        keep_all: bool = False,
        label: str = "a compiled function",
    ):
        self.label = label
        self._function = function
        self._donate = donate
        self._keep_all = keep_all
        self.placement: Placement | None = current_placement()
        self._lock = threading.RLock()
        self.trace_count = 0
        self._rules = rules_version.number
        assigned = list(dict.fromkeys(assigned))
        known = set(assigned)
        self._carried = _Carried(
            self, assigned, [v for v in dict.fromkeys(read) if v not in known], donate
        )

    @property
    def variables(self) -> list[Variable]:
        """The variables that the function uses: all of them once it was traced."""
        return [*self._carried.assigned, *self._carried.read]

    @property
    def assigned_bytes(self) -> int:
        """Size in bytes of the variables that it is known to assign."""
        return sum(v.stored.nbytes for v in self._carried.assigned)

    def __call__(self, *args: Any) -> Any:
        """Run the function once."""
        with outside_tapes():
            try:
                return self._run(_once_of, self.place(args))
            except jax.errors.JaxRuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                raise self._memory_error(error, args) from None

    def loop(self, slabs: tuple[Any, ...], start: int, count: int) -> Structure:
        """Run the function `count` times in one compiled loop.

        Args:
            slabs: The arguments; the first axis of each array counts the steps.
            start: Index of the first step.
            count: Number of steps, at least 1. The same compiled program serves every number.

        Returns:
            The result of the last step. With `keep_all`, the results of all steps along a first
            axis of the length of the slabs, of which the first `count` are filled.
        """
        with outside_tapes():
            try:
                return self._run(_loop_of, self.place(slabs, 1), start, count)
            except jax.errors.JaxRuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), slabs)
                raise self._memory_error(error, one) from None

    def _memory_error(self, error: Exception, args: tuple[Any, ...]) -> MemoryError:
        """Return an error that names the largest arrays of a step."""
        texts = largest_arrays(self._traced_with_scopes(args))
        lost = [v.path for v in self._carried.assigned if is_lost(v.stored)]
        remedy = "Make the batch, the inputs or the layers smaller."
        if lost:
            remedy += (
                f" The step has used up the values of {len(lost)} variables, such as"
                f" '{lost[0]}': compile the model again, or load its weights."
            )
        return MemoryError(
            f"Not enough memory for a step ({str(error).splitlines()[0]}) Its largest arrays:"
            f" {'; '.join(texts)}. {remedy}"
        )

    def _meet(self, loops: bool, carried: _Carried, args: tuple[Any, ...]) -> None:
        """Check that every process of several is about to run the same program."""
        team = team_of(self.placement)
        if team is None:
            return
        key = (loops, _shapes_of(args))
        point = carried.points.get(key)
        if point is None:
            # Traced here: new variables are then found before the processes meet.
            batch = jax.tree.map(_shape, args[0])
            if loops:
                batch = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), batch)
            values = ([_shape(v.stored) for v in some] for some in (carried.assigned, carried.read))
            code = str(carried.step.trace(*values, batch).jaxpr)
            shapes = ", ".join(f"{a.dtype}{list(a.shape)}" for a in jax.tree.leaves(batch))
            point = f"{self.label} on {shapes} (checksum of the code: {_checksum(code)})"
            carried.points[key] = point
        steps = f", {args[2]} steps from {args[1]}" if loops else ""
        team.meet(point + steps)

    def place(self, batch: Structure, axis: int = 0) -> Structure:
        """Return a batch, or a slab of batches, with its arrays where the program wants them.

        Args:
            batch: Structure of arrays.
            axis: Axis that counts the samples: 0 in a batch, 1 in a slab.
        """
        return batch if self.placement is None else place_batch(self.placement, batch, axis)

    def prepare(self, *args: Any, steps: int | None = None) -> None:
        """Trace and compile for arguments of these shapes, without running.

        Args:
            *args: Arrays or `jax.ShapeDtypeStruct`s as `__call__` gets them.
            steps: Length of the first axis of `loop`'s slabs; `None` for `__call__`.
        """
        shapes = jax.tree.map(_shape, args)

        def compile(carried: _Carried) -> None:
            values = (
                [_shape(v.stored) for v in carried.assigned],
                [_shape(v.stored) for v in carried.read],
            )
            if steps is None:
                carried.once.lower(*values, shapes).compile()
            else:
                slabs = jax.tree.map(
                    lambda a: jax.ShapeDtypeStruct((steps, *a.shape), a.dtype), shapes
                )
                carried.loop.lower(*values, slabs, 0, 1).compile()

        self._until_all_is_carried(compile)

    def primitives(self, *args: Any) -> set[str]:
        """Return the names of the JAX primitives that the function runs for these shapes."""
        found: set[str] = set()
        _collect_primitives(self.traced(*args), found)
        return found

    def traced(self, *args: Any) -> Any:
        """Return the function for these shapes as a jaxpr, JAX's list of operations.

        Its inputs are the values of the variables, then `args`.
        """
        shapes = jax.tree.map(_shape, args)

        def trace(carried: _Carried) -> Any:
            values = (
                [_shape(v.stored) for v in carried.assigned],
                [_shape(v.stored) for v in carried.read],
            )
            return carried.step.trace(*values, shapes).jaxpr.jaxpr

        return self._until_all_is_carried(trace)

    def _traced_with_scopes(self, args: tuple[Any, ...]) -> Any:
        """Return the function's jaxpr, with the names of layers in it."""
        old = self._carried
        fresh = _Carried(self, old.assigned, old.read, self._donate)
        values = ([_shape(v.stored) for v in some] for some in (old.assigned, old.read))
        with scopes_in_traces():
            return fresh.step.trace(*values, jax.tree.map(_shape, args)).jaxpr.jaxpr

    def _until_all_is_carried(self, use: Callable[[_Carried], Any]) -> Any:
        check_not_forked()
        if self._rules != rules_version.number:
            self._forget_traces()
        for _ in range(_MOST_TRACES):
            carried = self._carried
            try:
                return use(carried)
            except _Strays as strays:
                self._carry_also(carried, strays)
                new = strays.read or strays.assigned
        raise ValueError(
            "The compiled function makes new variables each time it is traced, the last ones are "
            f"{errors.listed(v.path for v in new[:4])}. Make the layer, the metric or the variable"
            " once, in `__init__` or `build`, keep it in an attribute, and only use it in `call` or"
            " in the step."
        )

    def _forget_traces(self) -> None:
        """Trace anew, because the rule of an optimizer changed."""
        with self._lock:
            self._rules = rules_version.number
            old = self._carried
            self._carried = _Carried(self, old.assigned, old.read, self._donate)

    def _carry_also(self, carried: _Carried, strays: _Strays) -> None:
        with self._lock:
            if self._carried is carried:  # else another thread met them too
                self._carried = carried.also(self, strays, self._donate)

    def _run(self, compiled: Callable[[_Carried], Any], *args: Any) -> Any:
        def run(carried: _Carried) -> Any:
            if self.placement is not None:
                self._meet(compiled is _loop_of, carried, args)
                with self._lock:
                    place_variables(self.placement, [*carried.assigned, *carried.read])
            return (_run_and_assign if carried.assigned else _run_reading)(
                self, carried, compiled(carried), args
            )

        return self._until_all_is_carried(run)


def _once_of(carried: _Carried) -> Any:
    return carried.once


def _loop_of(carried: _Carried) -> Any:
    return carried.loop


def _where_it_was(placement: Placement | None, variable: Variable, overlay: Overlay) -> Any:
    """Return a variable's new value, in the sharding of the variable."""
    value = overlay.value_of(variable)
    if placement is None:
        return value
    return jax.lax.with_sharding_constraint(value, placement.variable_sharding(variable))


def _run_and_assign(program: Program, carried: _Carried, compiled: Any, args: Any) -> Any:
    key = (compiled is carried.loop, _shapes_of(args)) if program._donate else None
    # One thread at a time: two must not donate the same buffers.
    with program._lock:
        is_first = key is not None and key not in carried.proven
        saved = SavedValues(carried.assigned) if is_first else None
        for attempt in itertools.count():
            if program._donate:
                values = [v.value_for_donation() for v in carried.assigned]
            else:
                values = [v.stored for v in carried.assigned]
            read = [v.stored for v in carried.read]
            try:
                result, updates = compiled(values, read, *args)
                if saved is not None:
                    jax.block_until_ready(updates)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    if saved is not None:
                        saved.restore()
                    raise
                _wait_for_new_values([*values, *read], attempt)
                continue
            if is_first:
                carried.proven.add(key)
            _take_over(carried.assigned, updates)
            return result


def _run_reading(program: Program, carried: _Carried, compiled: Any, args: Any) -> Any:
    for attempt in itertools.count():
        before = _takeovers
        if before % 2:
            with _takeover:  # another thread is about to finish
                continue
        values = [v.stored for v in carried.read]
        if before != _takeovers:
            continue
        try:
            return compiled([], values, *args)[0]
        except (RuntimeError, ValueError) as error:
            if is_out_of_memory(error):
                raise
            _wait_for_new_values(values, attempt)


def _checksum(code: str) -> str:
    # Addresses of functions in memory differ between processes.
    return f"{zlib.crc32(re.sub(r'0x[0-9a-f]+', '', code).encode()):08x}"


def _take_over(variables: list[Variable], values: list[Any]) -> None:
    global _takeovers
    with _takeover:
        _takeovers += 1
        for variable, value in zip(variables, values, strict=True):
            variable.take_over(value)
        _takeovers += 1


def _wait_for_new_values(values: list[Any], attempt: int) -> None:
    """Wait if a call failed because another thread donated its buffers; else raise the error."""
    if attempt > 1000 or not any(is_lost(value) for value in values):
        raise
    time.sleep(1e-4 * min(attempt, 100))


def _shapes_of(args: tuple[Any, ...]) -> Any:
    return tuple((np.shape(a), getattr(a, "dtype", None)) for a in jax.tree.leaves(args))


def _shape(a: Any) -> Any:
    if isinstance(a, jax.ShapeDtypeStruct):
        return a
    return jax.ShapeDtypeStruct(jnp.shape(a), jax.dtypes.canonicalize_dtype(jnp.result_type(a)))


def _collect_primitives(jaxpr: Any, found: set[str]) -> None:
    for equation in jaxpr.eqns:
        found.add(equation.primitive.name)
        for inner in inner_jaxprs(equation):
            _collect_primitives(inner, found)
