"""Shapes and dtypes of results, found by tracing a function without running it.

Sizes that are not known are found by tracing with two trial sizes: what differs between the two traces is
unknown in the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors, tree
from hornbeam.core.masks import get_mask, set_mask
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Overlay, Variable
from hornbeam.typing import Shape

__all__ = ["infer", "shape_with_unknowns"]

# Trial sizes for unknown dimensions: many divisors, so that reshapes and strides fit.
_TRIALS = (840, 1680, 2520, 5040, 7560, 9240)
_trial: ContextVar[int | None] = ContextVar("hornbeam_trial_size", default=None)


def infer(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return symbolic tensors of the shapes and dtypes that `function` would give.

    Assignments to variables and losses added during the trace are dropped.
    """
    leaves = tree.flatten((args, kwargs))
    symbolic = [x for x in leaves if isinstance(x, KerasTensor)]
    known = {size for x in symbolic for size in x.shape}
    if None not in known:
        return tree.map_structure(_as_symbolic, _abstract(function, args, kwargs, None))
    small, large = [size for size in _TRIALS if size not in known][:2]
    first = _abstract(function, args, kwargs, small)
    second = _abstract(function, args, kwargs, large)

    def merge(a: Any, b: Any) -> Any:
        if not isinstance(a, jax.ShapeDtypeStruct):
            return a
        if len(a.shape) != len(b.shape):
            raise ValueError(
                "The rank of the result depends on a size that is not known yet "
                f"(inputs {[x.shape for x in symbolic]})."
            )
        shape = [m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)]
        return KerasTensor(shape, a.dtype)

    return tree.map_structure(merge, first, second)


def _as_symbolic(x: Any) -> Any:
    return KerasTensor(x.shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x


def _abstract(function: Callable[..., Any], args: Any, kwargs: Any, trial: int | None) -> Any:
    leaves = tree.flatten((args, kwargs))
    where = [i for i, x in enumerate(leaves) if isinstance(x, KerasTensor)]
    structs = [
        jax.ShapeDtypeStruct([trial if n is None else n for n in leaves[i].shape], leaves[i].dtype) for i in where
    ]
    masks = [get_mask(leaves[i]) for i in where]
    static: list[Any] = []

    def traced(*values: Any) -> list[Any]:
        filled = list(leaves)
        for i, value, mask in zip(where, values, masks, strict=True):
            if isinstance(mask, KerasTensor):
                sizes = [trial if n is None else n for n in mask.shape]
                set_mask(value, jnp.ones(sizes, bool))
            filled[i] = value
        a, k = tree.pack_sequence_as((args, kwargs), filled)
        with Overlay(abstract=True):
            result = function(*a, **k)
        # Arrays are traced out; anything else in the result is kept as it is.
        flat = [x.value if isinstance(x, Variable) else x for x in tree.flatten(result)]
        static[:] = [result, [x if not isinstance(x, (jax.Array, np.ndarray)) else None for x in flat]]
        return [x for x in flat if isinstance(x, (jax.Array, np.ndarray))]

    token = _trial.set(trial)
    try:
        arrays = iter(jax.eval_shape(traced, *structs))
    except Exception as error:  # a trial size is nothing that the user knows
        raise errors.reworded(error, lambda text: re.sub(rf"\b{trial}\b", "None", text)) from error.__cause__
    finally:
        _trial.reset(token)
    structure, kept = static
    flat = tree.flatten(structure)
    out = [
        next(arrays) if isinstance(x, (jax.Array, np.ndarray, Variable)) else keep
        for x, keep in zip(flat, kept, strict=True)
    ]
    return tree.pack_sequence_as(structure, out)


def shape_with_unknowns(shape: Sequence[int | None]) -> Shape:
    """Return `shape` with the trial size of a trace for shapes turned back into `None`."""
    trial = _trial.get()
    return tuple(None if trial is not None and size == trial else size for size in shape)
