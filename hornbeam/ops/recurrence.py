"""The standard recurrences along time as JAX primitives: a native kernel on CPU, a scan elsewhere.

There are three primitives over arrays whose first axis is time. `run` is the recurrence, `push` its
tangent, and `pull` carries the gradients of the results back to the gates; `push` and `pull` are
transposes of each other. The gradients of the weights are no part of them: they are matrix products
over all steps at once, outside of the
    loop.

    T, B: steps, samples.  U: units.  G: gates, side by side on the last axis of the weights.  S:
        states.

The reference implementations are scans, which JAX can differentiate, batch and compile for any
device. Derivatives beyond the first are derived from them.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching

from hornbeam.ops import routes
from hornbeam.ops.primitive import define
from hornbeam.ops.product import rows_product
from hornbeam.typing import Structure

__all__ = ["CELLS", "Spec", "recur"]


@dataclasses.dataclass(frozen=True)
class Spec:
    """A recurrence without its operands.

    Args:
        cell: One of `CELLS`.
        masked: Whether there is a mask.
        native: Whether to use the native kernel on CPU.
        keep: Whether `run` also returns the arrays that `pull` and `push` need.
        unroll: Number of steps in one iteration of the scan.
    """

    cell: str
    masked: bool
    native: bool
    keep: bool = False
    unroll: int = 1


# For each cell: the number of gates, of states, and the widths of the arrays (T, B, width * U) that
# the gradient needs besides the outputs: h before each step; all gates; c of an LSTM, or the factor
# of r in a GRU. The native kernel writes the gradient of the gates into the array of the gates.
CELLS = {
    "simple": (1, 1, (1,)),
    "lstm": (4, 2, (1, 4, 1)),
    "gru": (3, 1, (1, 3, 1)),
    "gru_before": (3, 1, (1, 3)),
}
_GATES = 6  # position of the gates among the operands of `pull`


def recur(
    cell: str,
    x: Any,
    kernel: Any,
    bias: Any,
    start: Any,
    mask: Any = None,
    unroll: bool = False,
    fused: bool = True,
) -> Structure:
    """Run a recurrence along time.

    The activations are tanh and sigmoid, and the gates are the parts of
    `a = x + h @ kernel + bias`:

    - `"simple"`: `h = tanh(a)`.
    - `"lstm"`: gates i, f, g, o; `c = f * c + i * g`, `h = o * tanh(c)` (Hochreiter and Schmidhuber
      1997).
    - `"gru"`: gates z, r, g, where g uses `r * (h @ kernel + bias)`; `h = z * h + (1 - z) * g`.
    - `"gru_before"`: the same, where g uses `(r * h) @ kernel` (Cho et al. 2014).

    Args:
        cell: One of the four.
        x: (T, B, G * U), the contribution of the inputs to the gates.
        kernel: (U, G * U), the recurrent weights.
        bias: (G * U,), or `None`.
        start: (S, B, U), the states before the first step: h, and c for an LSTM.
        mask: Boolean (T, B); where it is false, the states do not change.
        unroll: Whether to unroll the scan.
        fused: Whether a kernel may run the loop.

    Returns:
        h of all steps (T, B, U), and the last states (S, B, U).

    Example:
        >>> x, start = jnp.ones((3, 1, 2)), jnp.zeros((1, 1, 2))
        >>> h, last = recur("simple", x, jnp.zeros((2, 2)), None, start)
        >>> h.shape, last.shape
        ((3, 1, 2), (1, 1, 2))
    """
    route = routes.recurrence(cell, x.dtype, x.shape, kernel.shape, fused)
    bias = jnp.zeros(kernel.shape[-1:], x.dtype) if bias is None else bias
    spec = Spec(
        cell, mask is not None, route.name == "native", unroll=max(1, x.shape[0]) if unroll else 1
    )
    hs, last = _run_p.bind(x, kernel, bias, start, *([] if mask is None else [mask]), spec=spec)
    return hs, last


def _step(
    cell: str, x: Any, states: list[Any], kernel: Any, bias: Any
) -> tuple[list[Any], list[Any]]:
    """Return the new states, and the arrays that the gradient needs."""
    h = states[0]
    if cell == "simple":
        return [jnp.tanh(x + h @ kernel + bias)], []
    if cell == "lstm":
        i, f, g, o = jnp.split(x + h @ kernel + bias, 4, axis=-1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        c = f * states[1] + i * g
        return [o * jnp.tanh(c), c], [jnp.concatenate([i, f, g, o], -1), c]
    xz, xr, xg = jnp.split(x, 3, axis=-1)
    n = h.shape[-1]
    if cell == "gru":
        uz, ur, inner = jnp.split(h @ kernel + bias, 3, axis=-1)
        z, r = jax.nn.sigmoid(xz + uz), jax.nn.sigmoid(xr + ur)
        g = jnp.tanh(xg + r * inner)
        return [z * h + (1 - z) * g], [jnp.concatenate([z, r, g], -1), inner]
    uz, ur = jnp.split(h @ kernel[:, : 2 * n] + bias[: 2 * n], 2, axis=-1)
    z, r = jax.nn.sigmoid(xz + uz), jax.nn.sigmoid(xr + ur)
    g = jnp.tanh(xg + (r * h) @ kernel[:, 2 * n :] + bias[2 * n :])
    return [z * h + (1 - z) * g], [jnp.concatenate([z, r, g], -1)]


def _choose(keep: Any, new: list[Any], old: list[Any]) -> list[Any]:
    return (
        new
        if keep is None
        else [jnp.where(keep[:, None], a, b) for a, b in zip(new, old, strict=True)]
    )


def _run_plain(
    x: Any, kernel: Any, bias: Any, start: Any, mask: Any = None, *, spec: Spec
) -> list[Any]:
    """Return h of all steps, the last states and, with `spec.keep`, arrays for the gradient."""

    def body(states: list[Any], now: Any) -> Any:
        x_t, keep = now
        new, saved = _step(spec.cell, x_t, states, kernel, bias)
        new = _choose(keep, new, states)
        if spec.cell == "lstm":
            saved[1] = new[1]
        return new, (new[0], [states[0], *saved] if spec.keep else [])

    last, (hs, saved) = jax.lax.scan(body, list(start), (x, mask), unroll=spec.unroll)
    return [hs, jnp.stack(last), *saved]


def _step_back(
    cell: str, d: list[Any], before: list[Any], h: Any, saved: list[Any], kernel: Any
) -> Any:
    """Return gradients of gates and states before a step from gradients `d` of states after it."""
    if cell == "simple":
        da = d[0] * (1 - h * h)
        return da, [da @ kernel.T]
    if cell == "lstm":
        i, f, g, o = jnp.split(saved[0], 4, axis=-1)
        t = jnp.tanh(saved[1])
        dc = d[1] + d[0] * o * (1 - t * t)
        gates = [
            dc * g * i * (1 - i),
            dc * before[1] * f * (1 - f),
            dc * i * (1 - g * g),
            d[0] * t * o * (1 - o),
        ]
        da = jnp.concatenate(gates, -1)
        return da, [da @ kernel.T, dc * f]
    z, r, g = jnp.split(saved[0], 3, axis=-1)
    n = h.shape[-1]
    dz = d[0] * (before[0] - g) * z * (1 - z)
    dg = d[0] * (1 - z) * (1 - g * g)
    if cell == "gru":
        dr = dg * saved[1] * r * (1 - r)
        return jnp.concatenate([dz, dr, dg], -1), [
            jnp.concatenate([dz, dr, dg * r], -1) @ kernel.T + d[0] * z
        ]
    inner = dg @ kernel[:, 2 * n :].T
    dr = inner * before[0] * r * (1 - r)
    outer = jnp.concatenate([dz, dr], -1)
    return jnp.concatenate([outer, dg], -1), [outer @ kernel[:, : 2 * n].T + inner * r + d[0] * z]


def _pull_plain(
    dhs: Any, dlast: Any, kernel: Any, start: Any, hs: Any, *rest: Any, spec: Spec
) -> list[Any]:
    """Return the gradients of the pre-activation gates (T, B, G * U) and of the first states.

    `dhs` may have no steps, (0, B, U): it is then zero everywhere, as when only the last output is
    used.
    """
    mask = rest[-1] if spec.masked else None
    h, *saved = rest[: len(CELLS[spec.cell][2])]
    before = [h]
    if spec.cell == "lstm":
        before.append(jnp.concatenate([start[1:], saved[1][:-1]]))
    dhs = dhs if len(dhs) else jnp.zeros_like(hs)

    def body(d: list[Any], now: Any) -> Any:
        dh, before, h, saved, keep = now
        d = [d[0] + dh, *d[1:]]
        da, new = _step_back(spec.cell, d, before, h, saved, kernel)
        if keep is not None:
            da = jnp.where(keep[:, None], da, 0)
        return _choose(keep, new, d), da

    now = (dhs, before, hs, saved, mask)
    d, da = jax.lax.scan(body, list(dlast), now, reverse=True, unroll=spec.unroll)
    return [da, jnp.stack(d)]


def _push_plain(da: Any, dstart: Any, *rest: Any, spec: Spec) -> list[Any]:
    """Return the tangents of all h and of the last states: the transpose of `_pull_plain`."""
    hs = rest[2]
    back = jax.linear_transpose(functools.partial(_pull_plain_of, rest, spec), hs, dstart)
    return list(back([da, dstart]))


def _pull_plain_of(rest: Any, spec: Spec, dhs: Any, dlast: Any) -> list[Any]:
    return _pull_plain(dhs, dlast, *rest, spec=spec)


def _run_shapes(x: Any, kernel: Any, bias: Any, start: Any, *_: Any, spec: Spec) -> list[Any]:
    """Return the shapes of the results of `run`."""
    hs = (*x.shape[:2], kernel.shape[0])
    kept = CELLS[spec.cell][2] if spec.keep else ()
    return [hs, start.shape, *((*hs[:2], width * hs[2]) for width in kept)]


def _pull_shapes(
    dhs: Any, dlast: Any, kernel: Any, start: Any, hs: Any, *_: Any, spec: Spec
) -> list[Any]:
    return [(*hs.shape[:2], kernel.shape[1]), dlast.shape]


def _push_shapes(da: Any, dstart: Any, kernel: Any, *_: Any, spec: Spec) -> list[Any]:
    return [(*da.shape[:2], kernel.shape[0]), dstart.shape]


def _on_cpu(name: str, plain: Any, shapes: Any, in_place: dict[int, int]) -> Any:
    """Return a function that calls a kernel.

    `in_place` maps an operand to the result that may overwrite it.
    """

    def call(*operands: Any, spec: Spec) -> Any:
        if not spec.native:
            return plain(*operands, spec=spec)
        results = [
            jax.ShapeDtypeStruct(shape, operands[0].dtype) for shape in shapes(*operands, spec=spec)
        ]
        aliases = in_place if spec.cell != "simple" else {}
        call = jax.ffi.ffi_call(name, results, input_output_aliases=aliases)
        return call(*operands, cell=spec.cell, masked=spec.masked)

    return call


def _batch(
    primitive: Any, plain: Any, weights: tuple[int, ...], operands: Any, axes: Any, *, spec: Spec
) -> Any:
    """Run a batch of recurrences, as one with more samples if they share their weights."""
    if any(axes[i] is not None for i in weights):
        outputs = jax.vmap(functools.partial(plain, spec=spec), axes)(*operands)
        return outputs, [0] * len(outputs)
    size = next(x.shape[axis] for x, axis in zip(operands, axes, strict=True) if axis is not None)
    merged = []
    for position, (x, axis) in enumerate(zip(operands, axes, strict=True)):
        if position not in weights:  # (T or S, B, ...) each
            x = jnp.repeat(x[:, None], size, 1) if axis is None else jnp.moveaxis(x, axis, 1)
            x = x.reshape(x.shape[0], size * x.shape[2], *x.shape[3:])
        merged.append(x)
    outputs = primitive.bind(*merged, spec=spec)
    return [y.reshape(y.shape[0], size, y.shape[1] // size, *y.shape[2:]) for y in outputs], [
        1
    ] * len(outputs)


def _define(
    name: str,
    plain: Any,
    shapes: Any,
    weights: tuple[int, ...],
    in_place: dict[int, int] | None = None,
) -> Primitive:
    """Return one of the three primitives.

    Args:
        name: Name of the primitive and of its native kernel.
        plain: Reference implementation.
        shapes: Function that returns the shapes of the results.
        weights: Positions of the operands that have no axis of samples.
        in_place: Operands of the native kernel, and the results that may overwrite them; `None` if
            there is no kernel.
    """
    kernels = {} if in_place is None else {"cpu": _on_cpu(name, plain, shapes, in_place)}
    primitive = define(name, plain, shapes, kernels, ["spec"], many=True)
    batching.primitive_batchers[primitive] = functools.partial(_batch, primitive, plain, weights)
    ad.primitive_jvps[primitive] = functools.partial(_plain_jvp, plain)
    return primitive


def _plain_jvp(plain: Any, primals: Any, tangents: Any, *, spec: Spec) -> Any:
    primals, tangents = tuple(primals), tuple(tangents)
    mask = primals[-1:] if spec.masked else []
    count = len(primals) - len(mask)
    given = [ad.instantiate_zeros(t) for t in tangents[:count]]
    return jax.jvp(
        lambda *operands: plain(*operands, *mask, spec=spec), primals[:count], tuple(given)
    )


def _run_jvp(primals: Any, tangents: Any, *, spec: Spec) -> Any:
    """Compute the weights' tangent before the loop; its transpose is one product after it."""
    if spec.keep:
        return _plain_jvp(_run_plain, primals, tangents, spec=spec)
    x, kernel, bias, start, *mask = primals
    dx, dkernel, dbias, dstart, *_ = tangents
    hs, last, before, *saved = _run_p.bind(*primals, spec=dataclasses.replace(spec, keep=True))
    da = ad.instantiate_zeros(dx)
    n = hs.shape[-1]
    if not (isinstance(dkernel, ad.Zero) and isinstance(dbias, ad.Zero)):
        dkernel, dbias = ad.instantiate_zeros(dkernel), ad.instantiate_zeros(dbias)
        if spec.cell == "gru_before":
            r = saved[0][..., n : 2 * n]
            inner = [
                rows_product(before, dkernel[:, : 2 * n]),
                rows_product(r * before, dkernel[:, 2 * n :]),
            ]
            weights = jnp.concatenate(inner, -1) + dbias
        else:
            weights = rows_product(before, dkernel) + dbias
            if spec.cell == "gru":
                r = saved[0][..., n : 2 * n]
                weights = jnp.concatenate([weights[..., : 2 * n], r * weights[..., 2 * n :]], -1)
        da = da + weights
    operands = (da, ad.instantiate_zeros(dstart), kernel, start, hs, before, *saved, *mask)
    return [hs, last], _push_p.bind(*operands, spec=dataclasses.replace(spec, keep=True))


def _transpose(
    other: Any, cotangents: Any, first: Any, second: Any, *rest: Any, spec: Spec
) -> list[Any]:
    """Transpose `push` to `pull`, or the reverse."""
    primitive = other()
    given = [ad.instantiate_zeros(c) for c in cotangents]
    if primitive is _pull_p and isinstance(cotangents[0], ad.Zero):
        given[0] = given[0][:0]
    results = primitive.bind(*given, *rest, spec=spec)
    # An operand of `pull` without steps has a gradient without steps.
    linear = [x.aval.shape[0] if ad.is_undefined_primal(x) else None for x in (first, second)]
    return [None if n is None else r[:n] for r, n in zip(results, linear, strict=True)] + [
        None
    ] * len(rest)


_run_p = _define("hornbeam_recurrence", _run_plain, _run_shapes, (1, 2), in_place={})
_pull_p = _define("hornbeam_recurrence_pull", _pull_plain, _pull_shapes, (2,), in_place={_GATES: 0})
_push_p = _define("hornbeam_recurrence_push", _push_plain, _push_shapes, (2,))
ad.primitive_jvps[_run_p] = _run_jvp
ad.primitive_transposes[_push_p] = functools.partial(_transpose, lambda: _pull_p)
ad.primitive_transposes[_pull_p] = functools.partial(_transpose, lambda: _push_p)
