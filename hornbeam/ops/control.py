"""Conditions, loops and maps that compile.

Their functions may assign variables, draw random numbers and add losses, as layers do. `Effects`
carries these effects out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import errors, tree
from hornbeam.core.convert import convert
from hornbeam.core.effects import Effects
from hornbeam.core.op import op
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.core.variable import Overlay, Variable, autocast_scope
from hornbeam.typing import Structure, Tensor

__all__ = [
    "associative_scan", "cond", "custom_gradient", "fori_loop", "map", "scan", "switch",
    "vectorize", "vectorized_map", "while_loop",
]  # fmt: skip


def _converted(structure: Any) -> Any:
    return tree.map_structure(lambda x: x if x is None else convert(x), structure)


def _known(x: Any) -> bool:
    """Return whether a predicate has a concrete value, so that Python can branch on it."""
    return not isinstance(x, (jax.core.Tracer, KerasTensor))


@op("core")
def cond(pred: Tensor, true_fn: Tensor, false_fn: Tensor) -> Tensor:
    """Return `true_fn()` if `pred` is true, else `false_fn()`.

    Args:
        pred: A boolean scalar.
        true_fn: Function without arguments.
        false_fn: Function without arguments; its result has the same structure, shapes and dtypes.

    Example:
        >>> cond(jnp.array(True), lambda: 1, lambda: 2)
        1
    """
    pred = pred.value if isinstance(pred, Variable) else pred
    if _known(pred):
        return true_fn() if bool(pred) else false_fn()
    return _one_of(
        lambda branches, *operands: jax.lax.cond(pred, *branches, *operands), [true_fn, false_fn]
    )


def _one_of(choose: Callable[..., Any], branches: Sequence[Any], *operands: Any) -> Any:
    """Return `choose(branches, *operands)` with the effects of the chosen branch."""
    effects = Effects()
    tracked = [effects.track(branch, *operands) for branch in branches]
    if not effects:
        return choose(branches, *operands)
    if any(result is None for result in effects.results):
        # One branch may end with an assignment, which returns the variable, the other with nothing.
        tracked = [_without_result(branch) for branch in tracked]
    result, state = choose(tracked, effects.start(), *operands)
    effects.finish(state)
    return result


def _without_result(branch: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: (None, branch(*args)[1])


@op("core")
def switch(index: Tensor, branches: Tensor, *operands: Tensor) -> Tensor:
    """Return `branches[index](*operands)`.

    Args:
        index: Integer scalar; one out of range takes the first or the last branch.
        branches: List of functions that return the same structure, shapes and dtypes.
        *operands: Arguments of the functions.

    Example:
        >>> switch(1, [lambda x: x, lambda x: 2 * x], jnp.array(3))
        Array(6, dtype=int32, weak_type=True)
    """
    index = convert(index)
    return _one_of(
        lambda branches, *operands: jax.lax.switch(index, branches, *operands),
        branches,
        *_converted(list(operands)),
    )


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Structure,
    maximum_iterations: int | None = None,
) -> Structure:
    """Apply `body` to the loop variables as long as `cond` is true.

    Args:
        cond: Function of the loop variables that returns a boolean.
        body: Function of the loop variables that returns their new values, of the same shapes and
            dtypes.
        loop_vars: A tensor, or a tuple or list of tensors.
        maximum_iterations: Largest number of iterations. Default: no limit.

    Returns:
        The last values of the loop variables, in their structure.

    Example:
        >>> int(while_loop(lambda i: i < 5, lambda i: i + 1, jnp.array(0)))
        5
    """
    return _while_loop(loop_vars, cond, body, maximum_iterations)


@op("core", "WhileLoop")
def _while_loop(
    loop_vars: Tensor, cond: Any, body: Any, maximum_iterations: int | None = None
) -> Tensor:
    several = isinstance(loop_vars, (tuple, list))
    start = tuple(_converted(list(loop_vars))) if several else (_converted(loop_vars),)

    def going(count: Any, *values: Any) -> Any:
        again = cond(*values)
        if maximum_iterations is not None:
            again = jnp.logical_and(again, count < maximum_iterations)
        return again

    def step(*values: Any) -> Any:
        new = body(*values)
        return tuple(new) if isinstance(new, (tuple, list)) else (new,)

    final = _run_while(going, step, start)
    return final if several else final[0]


def _run_while(going: Callable[..., Any], step: Callable[..., Any], start: tuple) -> tuple:
    """Apply `values = step(*values)` while `going(count, *values)`; return the last values."""
    effects = Effects()
    tracked_going = effects.track(going, 0, *start)
    # JAX's condition returns only a boolean. If ours has effects, the body computes it.
    early = bool(effects)
    tracked_step = effects.track(step, *start)

    def body(carry: Any) -> Any:
        _, count, values, state = carry
        values, state = tracked_step(state, *values)
        again, count = True, count + 1
        if early:
            again, state = tracked_going(state, count, *values)
        return again, count, values, state

    again, state = tracked_going(effects.start(), 0, *start) if early else (True, effects.start())
    *_, final, state = jax.lax.while_loop(
        lambda carry: carry[0] if early else going(carry[1], *carry[2]),
        body,
        (again, jnp.int32(0), start, state),
    )
    effects.finish(state)
    return final


def fori_loop(
    lower: Tensor, upper: Tensor, body_fun: Callable[[Any, Any], Any], init_val: Structure
) -> Structure:
    """Apply `value = body_fun(i, value)` for each i from `lower` to `upper - 1`.

    Args:
        lower, upper: Integers.
        body_fun: Function of i and the value that returns the new value, of the same shape and
            dtype.
        init_val: First value: a tensor, or a structure of tensors.

    Example:
        >>> int(fori_loop(0, 3, lambda i, x: x + i, jnp.array(0)))
        3
    """
    return _fori_loop(init_val, lower, upper, body_fun)


@op("core", "ForiLoop")
def _fori_loop(init_val: Tensor, lower: Any, upper: Any, body_fun: Any) -> Tensor:
    first = _converted(init_val)
    effects = Effects()
    tracked = effects.track(body_fun, jnp.asarray(lower), first)
    if not effects:
        return jax.lax.fori_loop(lower, upper, body_fun, first)
    final, state = jax.lax.fori_loop(
        lower, upper, lambda i, carry: tracked(carry[1], i, carry[0]), (first, effects.start())
    )
    effects.finish(state)
    return final


@op("core")
def scan(
    f: Tensor,
    init: Tensor,
    xs: Tensor = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> Tensor:
    """Apply `carry, y = f(carry, x)` to each slice x of `xs`; return last carry and stacked y.

    Args:
        f: Function of carry and slice.
        init: First carry.
        xs: Structure of tensors whose first axes have one size.
        length: Number of steps, required without `xs`.
        reverse: Whether to run from the last slice to the first.
        unroll: Number of steps in one iteration of the compiled loop; `True` for all.

    Example:
        >>> scan(lambda total, x: (total + x, total + x), jnp.array(0), jnp.array([1, 2]))
        (Array(3, dtype=int32), Array([1, 3], dtype=int32))
    """
    xs = None if xs is None else _converted(xs)
    first = _converted(init)
    effects = Effects()
    tracked = effects.track(f, first, _first_slice(xs))
    if not effects:
        return jax.lax.scan(f, first, xs, length, reverse, unroll)

    def step(carry: Any, x: Any) -> Any:
        (values, y), state = tracked(carry[1], carry[0], x)
        return (values, state), y

    (last, state), ys = jax.lax.scan(step, (first, effects.start()), xs, length, reverse, unroll)
    effects.finish(state)
    return last, ys


def _first_slice(xs: Any) -> Any:
    """Return the shapes of one slice of each array along its first axis."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)


@op("core")
def associative_scan(f: Tensor, elems: Tensor, reverse: bool = False, axis: int = 0) -> Tensor:
    """Return the running results of an associative function along an axis, in logarithmic depth.

    Args:
        f: Associative function of two slices.
        elems: Tensor, or structure of tensors.
        reverse: Whether to run from the end.
        axis: Axis.

    Example:
        >>> associative_scan(lambda a, b: a + b, jnp.array([1, 2, 3]))
        Array([1, 3, 6], dtype=int32)
    """
    return jax.lax.associative_scan(f, _converted(elems), reverse, axis)


@op("core")
def map(f: Tensor, xs: Tensor) -> Tensor:
    """Apply `f` to each slice along the first axis, one after another, and stack the results.

    Example:
        >>> map(lambda x: 2 * x, jnp.array([1, 2]))
        Array([2, 4], dtype=int32)
    """
    return scan(lambda carry, x: (carry, f(x)), None, xs)[1]


def vectorized_map(function: Callable[[Any], Any], elements: Structure) -> Structure:
    """Apply `function` to all slices along the first axis at once, and stack the results.

    Losses that the function adds are summed over the slices. It may assign variables, once for all
    slices, values that do not depend on the slice.

    Raises:
        ValueError: If an assigned value depends on the slice.

    Example:
        >>> vectorized_map(lambda x: 2 * x, jnp.array([1, 2]))
        Array([2, 4], dtype=int32)
    """
    return _vectorized_map(elements, function)


@op("core", "VectorizedMap")
def _vectorized_map(elements: Tensor, function: Any) -> Tensor:
    elements = _converted(elements)
    effects = Effects()
    tracked = effects.track(function, _first_slice(elements))
    if effects.is_pure:
        return jax.vmap(function)(elements)
    run = jax.vmap(tracked, in_axes=(None, 0), out_axes=(0, (None, 0)))
    try:
        result, (values, losses) = run(effects.start(), elements)
    except ValueError as error:
        if "out_axes" not in str(error):
            raise
        names = errors.listed(v.path for v in effects.assigned)
        raise ValueError(
            f"vectorized_map: the function assigns values that depend on the slice to {names}, but"
            " all slices are computed at once. Use `ops.map` or `ops.scan`."
        ) from None
    effects.finish((values, [jnp.sum(loss, axis=0) for loss in losses]))
    return result


def vectorize(
    pyfunc: Callable[..., Any],
    *,
    excluded: Sequence[int | str] | None = None,
    signature: str | None = None,
) -> Callable[..., Any]:
    """Vectorize a function of scalars, or of the shapes in `signature`, with broadcasting.

    Args:
        pyfunc: Function.
        excluded: Positions and names of arguments that are not vectorized.
        signature: Core shapes, such as `"(n),(n)->()"`. Default: scalars.

    Example:
        >>> vectorize(lambda a, b: a + b)(jnp.array([1, 2]), 3)
        Array([4, 5], dtype=int32)
    """
    lifted = jnp.vectorize(pyfunc, excluded=set(excluded or ()), signature=signature)

    def call(*args: Any, **kwargs: Any) -> Any:
        if any_symbolic(args, kwargs):
            raise ValueError(
                "vectorize: the function takes arrays, received a symbolic tensor. Call it inside a"
                " layer."
            )
        return lifted(*[x.value if isinstance(x, Variable) else x for x in args], **kwargs)

    return call


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function a gradient of its own.

    Args:
        f: Function of tensors that returns its result and a function `grad(upstream)`, which
            returns the gradient with respect to each argument. Variables that `f` reads are
            constants for the gradient, unless they are arguments.

    Example:
        >>> @custom_gradient
        ... def f(x):
        ...     return x, lambda upstream: 5.0 * upstream
        >>> jax.grad(f)(1.0)
        Array(5., dtype=float32, weak_type=True)
    """

    def call(*args: Any) -> Any:
        values = [x.value if isinstance(x, Variable) else x for x in args]
        effects = Effects()
        tracked = effects.track(f, *values)
        start = jax.lax.stop_gradient(effects.start())
        with autocast_scope(None):
            constants = [jax.lax.stop_gradient(v.value) for v in effects.read]

        @jax.custom_gradient
        def wrapped(*args: Any) -> Any:
            with Overlay(effects.read, constants):
                (result, grad), state = tracked(start, *args)

            def gradient(upstream: Any) -> Any:
                with Overlay(effects.read, constants):
                    return grad(upstream[0])

            return (result, state), gradient

        result, state = wrapped(*values)
        effects.finish(state)
        return result

    return call
