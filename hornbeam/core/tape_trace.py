"""A trace of JAX that hands each operation to the trace outside and shows it to tapes.

Values inside are those of the trace outside: concrete arrays in plain code, tracers in a compiled
function. So conditions on values and conversions to NumPy work as without it. All use of JAX's
private parts for gradient tapes is in this file.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.records import Record, record_operation

__all__ = ["Bound", "TapeTrace", "close_trace", "open_trace", "outside_tapes", "tape_trace"]

_core: Any = importlib.import_module("jax._src.core")
_context: Any = _core.trace_ctx


class Bound:
    """A primitive of JAX with its parameters: a function of arrays that returns a list.

    Two are equal if they compute the same, so a program compiled for one serves the other.
    """

    def __init__(self, primitive: Any, params: dict[str, Any]):
        self.primitive, self.params = primitive, params

    def __call__(self, *args: Any) -> list[Any]:
        result = self.primitive.bind(*args, **self.params)
        return list(result) if self.primitive.multiple_results else [result]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Bound)
            and self.primitive is other.primitive
            and self.params == other.params
        )

    def __hash__(self) -> int:
        return hash((self.primitive, tuple(sorted(self.params.items(), key=_first))))


def _first(item: tuple[str, Any]) -> str:
    return item[0]


class TapeTrace(_core.Trace):  # type: ignore[misc]  # JAX's class has no type here
    """The trace that is current while tapes record.

    Args:
        parent: The trace that computes.

    Attributes:
        tapes: The open tapes, see `hornbeam.core.tape`.
        is_eager: Whether values are concrete arrays.
    """

    is_tape = True

    def __init__(self, parent: Any):
        super().__init__()
        self.parent_trace = parent
        self.tapes: tuple[Any, ...] = ()
        self.is_eager = getattr(parent, "parent_trace", None) is None

    def track(self, args: Any) -> list[int]:
        """Return the positions of the values that some tape follows."""
        return [i for i, a in enumerate(args) if any(id(a) in tape.values for tape in self.tapes)]

    def stage_value(self, value: Any) -> Any:
        return value

    def process_primitive(self, primitive: Any, args: Any, params: dict[str, Any], /) -> Any:
        outside = self.parent_trace
        with _core.set_current_trace(outside):
            if not self.track(args):
                return outside.process_primitive(primitive, args, params)
            outs = self.record(Bound(primitive, params), args)
        return outs if primitive.multiple_results else outs[0]

    def process_custom_jvp_call(
        self, primitive: Any, fun: Any, jvp: Any, args: Any, /, **settings: Any
    ) -> Any:
        def call(*args: Any) -> Any:
            return _context.trace.process_custom_jvp_call(primitive, fun, jvp, args, **settings)

        return self._custom((primitive, fun, jvp), call, args)

    def process_custom_vjp_call(
        self, primitive: Any, fun: Any, fwd: Any, bwd: Any, args: Any, /, **settings: Any
    ) -> Any:
        def call(*args: Any) -> Any:
            return _context.trace.process_custom_vjp_call(
                primitive, fun, fwd, bwd, args, **settings
            )

        return self._custom((primitive, fun, fwd, bwd), call, args)

    def _custom(self, functions: tuple[Any, ...], call: Callable[..., Any], args: Any) -> Any:
        """Run a function with a derivative of its own. JAX lets such a call run only once."""
        with _core.set_current_trace(self.parent_trace):
            if not self.track(args):
                return call(*args)
            key = (functions, tuple(map(jax.typeof, args)))
            known = _customs.get(key) if self.is_eager else None
            if known is not None:
                call(*args)  # its caller expects what the function notes
                return self.record(known, args)
            closed = jax.make_jaxpr(call)(*args)

            @jax.jit
            def operation(*args: Any) -> list[Any]:
                _forget(functions[2:])
                return _core.jaxpr_as_fun(closed)(*args)

            if self.is_eager:
                if len(_customs) >= _CUSTOMS_KEPT:
                    _customs.clear()
                _customs[key] = operation
            outs = self.record(operation, args)
            _forget(functions[2:])
            return outs

    def record(self, operation: Callable[..., list[Any]], args: Any) -> list[Any]:
        """Run an operation outside of the tapes, and let them know."""
        outs, record = record_operation(operation, args, tuple(self.track(args)), self.is_eager)
        if record is not None:
            self.add(record)
        return outs

    def read(self, variable: Any, value: Any) -> Any:
        """Let the tapes know that a variable was read; return its value as they know it."""
        if any(tape.is_foreign(variable, value) for tape in self.tapes):
            with _core.set_current_trace(self.parent_trace):
                value = jnp.array(value, copy=True)
        for tape in self.tapes:
            tape.read(variable, value)
        return value

    def add(self, record: Record) -> None:
        """Add a record to the tapes that follow one of its arguments."""
        for tape in self.tapes:
            if any(id(record.args[i]) in tape.values for i in record.positions):
                tape.add(record)


def _forget(functions: Sequence[Any]) -> None:
    """Let JAX run the derivatives of a function again; they note the form of their results once."""
    for function in functions:
        for store in getattr(function, "stores", ()):
            if store is not None:
                store.reset()


# Functions with derivatives of their own, by what JAX knows them by and the shapes of the
# arguments.
_customs: dict[Any, Callable[..., Any]] = {}
_CUSTOMS_KEPT = 1024

# A trace is part of the key of each compiled function, so plain code has one per thread.
_plain = threading.local()


_NO_CONTEXT: AbstractContextManager[Any] = nullcontext()


def tape_trace() -> TapeTrace | None:
    """Return the current trace if tapes record here, else `None`.

    Example:
        >>> tape_trace() is None
        True
    """
    trace = _context.trace
    return trace if type(trace) is TapeTrace else None


def open_trace(tape: Any) -> TapeTrace:
    """Let `tape` see the operations of this thread from now on."""
    trace = tape_trace()
    if trace is None:
        trace = TapeTrace(_context.trace)
        if trace.is_eager:
            trace = _plain.__dict__.setdefault("trace", trace)
        _context.set_trace(trace)
    trace.tapes = (*trace.tapes, tape)
    return trace


def close_trace(trace: TapeTrace, tape: Any) -> None:
    """Undo `open_trace`."""
    trace.tapes = tuple(other for other in trace.tapes if other is not tape)
    if not trace.tapes and _context.trace is trace:
        _context.set_trace(trace.parent_trace)


def outside_tapes() -> AbstractContextManager[Any]:
    """Return a context for a block that no tape sees."""
    trace = tape_trace()
    return _NO_CONTEXT if trace is None else _core.set_current_trace(trace.parent_trace)
