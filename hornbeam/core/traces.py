"""How values enter JAX's transformed functions, and which values outlive them.

`jax.jit`, `jax.grad`, `jax.vmap` and loops call a function with tracers. A tracer is of no use
once the function has returned, so a variable must not keep it.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import jax

__all__ = [
    "accept_as_argument", "current_trace", "inner_jaxprs", "refuse_as_argument",
    "without_inner_traces",
]  # fmt: skip

try:
    _trace_context = importlib.import_module("jax._src.core").trace_ctx
except (ImportError, AttributeError):  # another version of JAX: values are not checked
    _trace_context = None


def inner_jaxprs(equation: Any) -> Iterator[Any]:
    """Yield the jaxprs inside an equation, such as those of a condition's branches."""
    for value in equation.params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            inner = getattr(item, "jaxpr", item)
            if hasattr(inner, "eqns"):
                yield inner


def accept_as_argument(cls: type) -> None:
    """Make JAX's functions and transformed functions take instances of a class as arrays.

    JAX itself calls `__jax_array__` only in a few functions. Its tables are private, so another
    version of JAX may not have them; then the instances must be converted by `.value`.

    Args:
        cls: A class whose attribute `value` is an array.
    """
    try:
        core, dtypes = (importlib.import_module(f"jax._src.{name}") for name in ("core", "dtypes"))
        abstract, concrete = core.pytype_aval_mappings, dtypes.canonicalize_value_handlers
        handlers = importlib.import_module("jax._src.interpreters.pxla").shard_arg_handlers
    except (ImportError, AttributeError):
        return

    def place(xs: Any, *settings: Any) -> Any:
        return handlers[jax.Array if not xs else type(xs[0].value)](
            [x.value for x in xs], *settings
        )

    abstract[cls] = lambda x: jax.typeof(x.value)
    concrete[cls] = lambda x: x.value
    handlers[cls] = place


def refuse_as_argument(cls: type, refuse: Callable[[Any], Any]) -> None:
    """Make JAX's functions call `refuse`, which raises, for instances of a class.

    A class with `__jax_array__` would be refused too, but then `array + instance` would never
    reach the class's own `__radd__`.
    """
    with contextlib.suppress(ImportError, AttributeError):
        importlib.import_module("jax._src.core").pytype_aval_mappings[cls] = refuse


def current_trace() -> Any:
    """Return the innermost trace, or `None` if no function is transformed.

    Example:
        >>> current_trace() is None
        True
    """
    trace: Any = getattr(_trace_context, "trace", None)
    if getattr(trace, "is_tape", False):  # its values are those of the trace outside
        trace = trace.parent_trace
    return trace if getattr(trace, "parent_trace", None) is not None else None


def without_inner_traces(value: Any, outer: Any) -> Any:
    """Return `value` in a form that stays valid in the trace `outer`, or `None` if there is none.

    Inside `jax.grad` that is the value without its derivative.

    Args:
        value: An array or tracer.
        outer: What `current_trace` returned where the value will be used.

    Example:
        >>> jax.make_jaxpr(lambda x: without_inner_traces(x, None) or x + 1)(1.0).out_avals
        [ShapedArray(float32[], weak_type=True)]
    """
    while isinstance(value, jax.core.Tracer):
        trace = _trace_of(value)
        if trace not in _traces_inside(outer):
            break
        primal = jax.lax.stop_gradient(value)
        if primal is value or _trace_of(primal) is trace:
            return None
        value = primal
    return value


def _trace_of(value: Any) -> Any:
    return getattr(value, "_trace", None)


def _traces_inside(outer: Any) -> Iterator[Any]:
    """Yield the open traces from the innermost one to the one inside `outer`."""
    trace = current_trace()
    while trace is not None and trace is not outer:
        yield trace
        trace = getattr(trace, "parent_trace", None)
