"""Values of JAX's traces: which of them outlive a function that JAX transforms.

`jax.jit`, `jax.grad`, `jax.vmap` and loops call a function with tracers. A tracer is of no use
once the function has returned, so a variable must not keep it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import jax

__all__ = ["current_trace", "without_inner_traces"]

try:
    _trace_context = importlib.import_module("jax._src.core").trace_ctx
except (ImportError, AttributeError):  # another version of JAX: values are not checked
    _trace_context = None


def current_trace() -> Any:
    """Return the innermost trace, or `None` if no function is transformed.

    Example:
        >>> current_trace() is None
        True
    """
    trace = getattr(_trace_context, "trace", None)
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
