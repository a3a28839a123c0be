"""Helpers for JAX's traces: custom classes as arguments, and values that outlive a trace.

`jax.jit`, `jax.grad`, `jax.vmap` and loops call a function with tracers. A tracer is invalid after
the function has returned, so a variable must not keep it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax

__all__ = [
    "accept_as_argument", "current_trace", "inner_jaxprs", "jax_asks_for_dtype",
    "refuse_as_argument", "without_inner_traces",
]  # fmt: skip

try:
    _trace_context = importlib.import_module("jax._src.core").trace_ctx
except (ImportError, AttributeError):  # in other versions of JAX, values are not checked
    _trace_context = None

try:
    _dtype_code = importlib.import_module("jax._src.dtypes").dtype.__code__
except (ImportError, AttributeError):
    _dtype_code = None


def inner_jaxprs(equation: Any) -> Iterator[Any]:
    """Yield the jaxprs inside an equation, for example the branches of a condition."""
    for value in equation.params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            inner = getattr(item, "jaxpr", item)
            if hasattr(inner, "eqns"):
                yield inner


def accept_as_argument(cls: type) -> None:
    """Make JAX's functions and transformed functions accept instances of a class as arrays.

    JAX calls `__jax_array__` in only a few functions, so the class is registered in JAX's tables.
    The tables are private. If a version of JAX does not have them, users must convert instances
    with `.value`.

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
    # `jax.jvp` and `jax.jacobian` read the attribute `dtype`; see `jax_asks_for_dtype`.
    with contextlib.suppress(AttributeError):
        dtypes.register_type_whose_dtype_should_not_be_canonicalized(cls)


def jax_asks_for_dtype() -> bool:
    """Return whether JAX reads the property that calls this function.

    JAX wants an object of NumPy there. Hornbeam and Keras's users want a name.
    """
    return sys._getframe(2).f_code is _dtype_code


def refuse_as_argument(cls: type, refuse: Callable[[Any], Any]) -> None:
    """Make JAX's functions call `refuse`, which raises an error, for instances of a class.

    A `__jax_array__` method that raises an error would have the same effect, but it would prevent
    `array + instance` from calling the class's `__radd__`.
    """
    with contextlib.suppress(ImportError, AttributeError):
        importlib.import_module("jax._src.core").pytype_aval_mappings[cls] = refuse


def current_trace() -> Any:
    """Return the innermost trace, or `None` outside of transformed functions.

    Example:
        >>> current_trace() is None
        True
    """
    trace: Any = getattr(_trace_context, "trace", None)
    if getattr(trace, "is_tape", False):  # its values are those of the trace outside
        trace = trace.parent_trace
    return trace if getattr(trace, "parent_trace", None) is not None else None


def without_inner_traces(value: Any, outer: Any) -> Any:
    """Return `value` without traces inside `outer`, or `None` if it depends on them.

    Inside `jax.grad`, the result is the value without its derivative.

    Args:
        value: An array or tracer.
        outer: The result of `current_trace` in the place where the value will be used.

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
    """Yield the current traces inside `outer`, starting with the innermost."""
    trace = current_trace()
    while trace is not None and trace is not outer:
        yield trace
        trace = getattr(trace, "parent_trace", None)
