"""cuDNN's LSTM as JAX primitives with derivatives of any order.

`routes.cudnn_recurrence` decides where it is used.

JAX calls the kernels in `jax.experimental.rnn`, which supports only the first reverse-mode
derivative. The primitives are those of `ops/recurrence.py`: `run` is the layer, `push` its tangent,
`pull` the transpose of `push`. `run` and `pull` call kernels on NVIDIA GPUs. Batching, other
devices and higher derivatives use the reference implementation of each.

    T, B, C: steps, samples, features.  U: units.
    operands: x (T, B, C); kernel (C, 4U); recurrent kernel (U, 4U); bias (4U,); start (2, B, U), h
        and c.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad

from hornbeam.ops.primitive import define
from hornbeam.ops.product import rows_product
from hornbeam.ops.recurrence import recur
from hornbeam.typing import Tensor

__all__ = ["cudnn_lstm"]

_OPERANDS = 5
_ONE_LAYER = (1, 0.0, False)  # layers, dropout, both directions


def cudnn_lstm(
    x: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor, start: Tensor
) -> tuple[Any, Any]:
    """Run a float32 LSTM along time by cuDNN.

    Args:
        x: (T, B, C), the inputs; none of the sizes is 0.
        kernel: (C, 4 * U).
        recurrent_kernel: (U, 4 * U).
        bias: (4 * U,).
        start: (2, B, U), h and c before the first step.

    Returns:
        All h (T, B, U) and the last h and c, (2, B, U).

    Example:
        >>> weights = jnp.zeros((3, 8)), jnp.zeros((2, 8)), jnp.zeros(8)
        >>> hs, last = cudnn_lstm(jnp.ones((4, 1, 3)), *weights, jnp.zeros((2, 1, 2)))
        >>> hs.shape, last.shape
        ((4, 1, 2), (2, 1, 2))
    """
    hs, last = _run_p.bind(x, kernel, recurrent_kernel, bias, start, keep=False)
    return hs, last


# --- the kernels ----------------------------------------------------------------------------------


def _row_major(x: Any) -> Any:
    """Return an array in row-major layout, which the kernels need and JAX's call leaves to XLA."""
    from jax.experimental.layout import Layout, with_layout_constraint

    return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


def _for_cudnn(
    x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, start: Any
) -> tuple[Any, Any, Any, Any, Any]:
    """Return the operands in cuDNN's layout: samples first, weights as one vector, lengths."""
    # The order of the gates is the same; the matrices are transposed, and there is a second bias.
    weights = [kernel.T.reshape(-1), recurrent_kernel.T.reshape(-1), bias, jnp.zeros_like(bias)]
    lengths = jnp.full(x.shape[1], x.shape[0], jnp.int32)
    x, h, c = map(_row_major, (jnp.swapaxes(x, 0, 1), start[:1], start[1:]))
    return x, h, c, jnp.concatenate(weights), lengths


def _run_kernel(*operands: Any, keep: bool) -> list[Any]:
    from jax.experimental import rnn

    features, units = operands[0].shape[2], operands[2].shape[0]
    (hs, h, c), kept = rnn.lstm_fwd(*_for_cudnn(*operands), features, units, *_ONE_LAYER, None)
    hs, h, c = map(_row_major, (hs, h, c))
    results = [jnp.swapaxes(hs, 0, 1), jnp.concatenate([h, c])]
    return [*results, kept[-1]] if keep else results


def _pull_kernel(dhs: Any, dlast: Any, *rest: Any) -> list[Any]:
    from jax.experimental import rnn

    *operands, hs, reserve = rest
    features, units = operands[0].shape[2], operands[2].shape[0]
    kept = (*_for_cudnn(*operands), _row_major(jnp.swapaxes(hs, 0, 1)), reserve)
    given = tuple(map(_row_major, (jnp.swapaxes(dhs, 0, 1), dlast[:1], dlast[1:])))
    dx, dh, dc, dweights, _ = rnn.lstm_bwd(features, units, *_ONE_LAYER, None, kept, given)
    dx, dh, dc = map(_row_major, (dx, dh, dc))
    gates = 4 * units
    dkernel, dinner, dbias = jnp.split(
        dweights[:-gates], [features * gates, (features + units) * gates]
    )
    back = dkernel.reshape(gates, features).T, dinner.reshape(gates, units).T, dbias
    return [jnp.swapaxes(dx, 0, 1), *back, jnp.concatenate([dh, dc])]


# --- reference implementations, and shapes --------------------------------------------------------


def _lstm(x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, start: Any) -> tuple[Any, Any]:
    return recur("lstm", rows_product(x, kernel), recurrent_kernel, bias, start)


def _run_plain(*operands: Any, keep: bool) -> list[Any]:
    results = [*_lstm(*operands)]
    return [*results, jnp.zeros(_reserve_shape(*operands), results[0].dtype)] if keep else results


def _pull_plain(dhs: Any, dlast: Any, *rest: Any) -> list[Any]:
    """Return the gradients of the operands; the arrays that the kernel kept are not needed."""
    return list(jax.vjp(_lstm, *rest[:_OPERANDS])[1]((dhs, dlast)))


def _push_plain(*given: Any) -> list[Any]:
    """Return the tangents of all h and of the last states, from the tangents of the operands."""
    return list(jax.jvp(_lstm, given[_OPERANDS : 2 * _OPERANDS], given[:_OPERANDS])[1])


def _reserve_shape(*operands: Any) -> tuple[int, ...]:
    """Return the shape of the array that cuDNN keeps for the gradient."""
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in operands]
    return jax.eval_shape(functools.partial(_run_kernel, keep=True), *shapes)[-1].shape


def _run_shapes(*operands: Any, keep: bool) -> list[Any]:
    (T, B, _), units, start = operands[0].shape, operands[2].shape[0], operands[4].shape
    return [(T, B, units), start, *([_reserve_shape(*operands)] if keep else [])]


def _pull_shapes(dhs: Any, dlast: Any, *rest: Any) -> list[Any]:
    return [x.shape for x in rest[:_OPERANDS]]


def _push_shapes(*given: Any) -> list[Any]:
    return [given[2 * _OPERANDS].shape, given[2 * _OPERANDS - 1].shape]


# --- the primitives -------------------------------------------------------------------------------


def _run_jvp(primals: Any, tangents: Any, *, keep: bool) -> Any:
    hs, last, reserve = _run_p.bind(*primals, keep=True)
    pushed = _push_p.bind(*(ad.instantiate_zeros(t) for t in tangents), *primals, hs, reserve)
    if keep:
        return [hs, last, reserve], [*pushed, jnp.zeros_like(reserve)]
    return [hs, last], pushed


def _transpose(
    other: Callable[[], Primitive], linear: int, cotangents: Any, *operands: Any
) -> list[Any]:
    """Transpose `push` (linear in 5 operands) to `pull` (linear in 2), or the reverse."""
    results = other().bind(*(ad.instantiate_zeros(c) for c in cotangents), *operands[linear:])
    wanted = [ad.is_undefined_primal(x) for x in operands[:linear]]
    return [r if want else None for r, want in zip(results, wanted, strict=True)] + [None] * (
        len(operands) - linear
    )


_run_p = define(
    "hornbeam_cudnn_lstm", _run_plain, _run_shapes, {"cuda": _run_kernel}, ["keep"], many=True
)
_pull_p = define(
    "hornbeam_cudnn_lstm_pull", _pull_plain, _pull_shapes, {"cuda": _pull_kernel}, many=True
)
_push_p = define("hornbeam_cudnn_lstm_push", _push_plain, _push_shapes, many=True)
ad.primitive_jvps[_run_p] = _run_jvp
ad.primitive_transposes[_push_p] = functools.partial(_transpose, lambda: _pull_p, _OPERANDS)
ad.primitive_transposes[_pull_p] = functools.partial(_transpose, lambda: _push_p, 2)
