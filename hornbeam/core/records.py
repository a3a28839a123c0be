"""Records of operations, from which a gradient tape computes cotangents.

A record keeps the arguments of an operation. In plain code its cotangents come from a compiled
function of these, which is made once per operation and shape. If an operation is a whole layer, or
the code is compiled anyway, the record keeps what JAX's `vjp` keeps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["Record", "is_differentiable", "record_operation", "split_vjp"]

# Operations that have no gradient, as in TensorFlow.
_CONSTANT = {"stop_gradient", "floor", "ceil", "round"}


class Record:
    """An operation that ran.

    Args:
        forward: A pure function of `positions` and the arguments, which returns the differentiable
            results and the residuals.
        args: Its arguments.
        positions: Positions of the arguments that some tape follows.
        outputs: The differentiable results.
        vjp: What JAX's `vjp` returned for these positions; `None` computes it when it is needed.
        is_compiled: Whether to compile the computation of cotangents.
    """

    def __init__(
        self, forward: Callable[..., Any], args: Sequence[Any], positions: tuple[int, ...],
        outputs: list[Any], vjp: Any = None, is_compiled: bool = False,
    ):  # fmt: skip
        self.forward, self.args, self.positions = forward, list(args), positions
        self.outputs, self.vjp = outputs, vjp
        self.residuals = [] if vjp is None else _others(residuals_of(vjp), (*args, *outputs))
        self.is_compiled = is_compiled and isinstance(forward, Hashable) and _has_hash(forward)

    def pull(self, wanted: tuple[int, ...], cotangents: list[Any], inner: list[Any]) -> list[Any]:
        """Return the cotangents of the arguments at `wanted`.

        Args:
            wanted: Some of `positions`.
            cotangents: Those of `outputs`; `None` for zero.
            inner: Those of `residuals`. They are not zero only where gradients are differentiated.
        """
        if self.vjp is not None and all(c is None for c in inner):
            chosen = tuple(self.positions.index(i) for i in wanted)
            full = [
                jnp.zeros(x.shape, x.dtype) if c is None else c
                for c, x in zip(cotangents, self.outputs, strict=True)
            ]
            return (_apply_compiled if self.is_compiled else _apply)(chosen, self.vjp, full)
        pull = _pull_compiled if self.is_compiled else _pull
        return pull(self.forward, self.positions, wanted, self.args, cotangents, inner)


def residuals_of(vjp: Any) -> list[Any]:
    """Return the arrays that a result of `vjp` keeps, as far as they are differentiable."""
    return [x for x in jax.tree.leaves(vjp) if is_differentiable(x)]


def _others(residuals: list[Any], known: Sequence[Any]) -> list[Any]:
    """Return the residuals, with a stand-in for each that is known or that comes again."""
    seen = {id(x) for x in known}
    others = []
    for x in residuals:
        others.append(object() if id(x) in seen else x)
        seen.add(id(x))
    return others


def is_differentiable(x: Any) -> bool:
    """Return whether `x` is an array of floating-point or complex numbers.

    Example:
        >>> is_differentiable(jnp.ones(2)), is_differentiable(jnp.arange(2))
        (True, False)
    """
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.inexact)


def split_vjp(function: Callable[..., list[Any]], positions: Sequence[int], args: Any) -> Any:
    """Run `function` and return its differentiable results, its `vjp` and the other results."""

    def of_chosen(*chosen: Any) -> tuple[list[Any], list[Any]]:
        outs = function(*_replaced(args, positions, chosen))
        flags = [is_differentiable(x) for x in outs]
        return (
            [x for x, flag in zip(outs, flags, strict=True) if flag],
            [None if flag else x for x, flag in zip(outs, flags, strict=True)],
        )

    return jax.vjp(of_chosen, *[args[i] for i in positions], has_aux=True)


def record_operation(
    operation: Callable[..., list[Any]], args: Any, positions: tuple[int, ...], is_eager: bool
) -> tuple[list[Any], Record | None]:
    """Run an operation, and return its results and the record of it.

    Args:
        operation: A pure function of arrays that returns a list.
        args: Its arguments.
        positions: Positions of the arguments that some tape follows.
        is_eager: Whether the arguments are concrete arrays.
    """
    positions = tuple(i for i in positions if is_differentiable(args[i]))
    connected = _connected(operation, positions) if positions else ()
    if connected == ():
        return _distinct(list(operation(*args)), args), None
    if is_eager:
        outs = _distinct(list(operation(*args)), args)
        kept = [x for x in outs if is_differentiable(x)]
        forward = Plain(operation)
        return outs, Record(forward, args, positions, kept, is_compiled=True) if kept else None
    kept, vjp, others = split_vjp(operation, positions, args)
    kept = _distinct(kept, args)
    remaining = iter(kept)
    outs = [next(remaining) if x is None else x for x in others]

    def forward_again(positions: tuple[int, ...], *args: Any) -> Any:
        outs, vjp, _ = split_vjp(operation, positions, args)
        return outs, residuals_of(vjp)

    return outs, Record(forward_again, args, positions, kept, vjp) if kept else None


def _connected(operation: Any, positions: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the results that depend on the arguments at `positions`; `None` for all of them."""
    primitive = getattr(operation, "primitive", None)
    if primitive is None:
        return None
    if primitive.name in _CONSTANT:
        return ()
    if primitive.name not in ("jit", "pjit") or not _has_hash(operation):
        return None
    return _connected_results(operation, positions)


@functools.lru_cache(maxsize=4096)
def _connected_results(operation: Any, positions: tuple[int, ...]) -> tuple[int, ...]:
    return _reached(operation.params["jaxpr"].jaxpr, positions)


def _reached(jaxpr: Any, positions: Sequence[int]) -> tuple[int, ...]:
    """Return the results of a jaxpr that depend on its inputs at `positions`."""
    reached = {jaxpr.invars[i] for i in positions}
    for equation in jaxpr.eqns:
        inputs = [
            i for i, v in enumerate(equation.invars)
            if not hasattr(v, "val") and v in reached and jnp.issubdtype(v.aval.dtype, jnp.inexact)
        ]  # fmt: skip
        if not inputs or equation.primitive.name in _CONSTANT:
            continue
        outs = tuple(range(len(equation.outvars)))
        if equation.primitive.name in ("jit", "pjit"):
            outs = _reached(equation.params["jaxpr"].jaxpr, inputs)
        reached.update(equation.outvars[i] for i in outs)
    return tuple(i for i, v in enumerate(jaxpr.outvars) if not hasattr(v, "val") and v in reached)


class Plain:
    """A function for `Record.forward` that has no residuals; equal if the operations are."""

    def __init__(self, operation: Callable[..., list[Any]]):
        self.operation = operation

    def __call__(self, positions: tuple[int, ...], *args: Any) -> tuple[list[Any], list[Any]]:
        return [x for x in self.operation(*args) if is_differentiable(x)], []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and self.operation == other.operation

    def __hash__(self) -> int:
        return hash(self.operation)


def _distinct(outs: list[Any], args: Any) -> list[Any]:
    """Return results none of which is an argument: tapes tell values apart by the objects."""
    known = {id(a) for a in args}
    return [jnp.array(x, copy=True) if id(x) in known else x for x in outs]


def _has_hash(x: Any) -> bool:
    try:
        hash(x)
    except (TypeError, ValueError):  # a parameter that is an array
        return False
    return True


def _replaced(args: Sequence[Any], positions: Sequence[int], chosen: Sequence[Any]) -> list[Any]:
    full = list(args)
    for i, x in zip(positions, chosen, strict=True):
        full[i] = x
    return full


def _filled(cotangents: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    return [
        jnp.zeros_like(x) if c is None else jnp.asarray(c, x.dtype)
        for c, x in zip(cotangents, values, strict=True)
    ]


def _pull(
    forward: Callable[..., Any], positions: tuple[int, ...], wanted: tuple[int, ...],
    args: Sequence[Any], cotangents: list[Any], inner: list[Any],
) -> list[Any]:  # fmt: skip
    (outs, residuals), vjp = jax.vjp(
        lambda *chosen: forward(positions, *_replaced(args, wanted, chosen)),
        *[args[i] for i in wanted],
    )
    return list(
        vjp((_filled(cotangents, outs), _filled(inner or [None] * len(residuals), residuals)))
    )


def _apply(chosen: tuple[int, ...], vjp: Any, cotangents: list[Any]) -> list[Any]:
    results = vjp(cotangents)
    return [results[i] for i in chosen]


_pull_compiled = jax.jit(_pull, static_argnums=(0, 1, 2))
_apply_compiled = jax.jit(_apply, static_argnums=0)
