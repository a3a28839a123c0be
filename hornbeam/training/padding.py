"""Batches padded to a size that is compiled already, and which of their rows count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from hornbeam import tree
from hornbeam.core.masks import get_mask, set_mask
from hornbeam.core.op import OpCall
from hornbeam.core.provenance import is_library_code
from hornbeam.layers.state import flatten_layers
from hornbeam.training.overrides import overrides
from hornbeam.typing import Structure, Tensor

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = [
    "count_rows",
    "mark_rows",
    "padded_size",
    "rows_are_independent",
    "rows_counted",
    "runs_library_code",
    "weigh_rows",
]

# Boolean vector (B,) of the rows that count in the step under way; None: all.
_counted: ContextVar[Any] = ContextVar("hornbeam_rows_counted", default=None)

# Hornbeam's layers that run the user's code or add to the losses.
_RUN_USER_CODE = (
    "ActivityRegularization",
    "FlaxLayer",
    "JaxLayer",
    "Lambda",
    "TFSMLayer",
    "TorchModuleWrapper",
)


@contextmanager
def rows_counted(counted: Structure) -> Iterator[None]:
    """Let only the rows that `counted` marks enter losses and metrics inside the block."""
    token = _counted.set(counted)
    try:
        yield
    finally:
        _counted.reset(token)


def count_rows(x: Structure) -> Tensor:
    """Return how many rows of `x` count in the step under way."""
    counted = _counted.get()
    if counted is not None:
        return jnp.sum(counted)
    return x.shape[0] if getattr(x, "shape", ()) else 1


def mark_rows(outputs: Structure) -> Structure:
    """Return outputs whose mask leaves out the rows that do not count."""
    counted = _counted.get()
    if counted is None:
        return outputs

    def mark(x: Any) -> Any:
        own = get_mask(x)
        marked = x + jnp.zeros((), x.dtype)  # another tensor, since masks belong to tensors
        set_mask(
            marked,
            (
                counted
                if own is None
                else own & counted.reshape(counted.shape + (1,) * (own.ndim - 1))
            ),
        )
        return marked

    return tree.map_structure(mark, outputs)


def weigh_rows(weight: Structure) -> Tensor:
    """Return sample weights that are zero for rows that do not count."""
    counted = _counted.get()
    if counted is None:
        return weight
    if weight is None:
        return counted.astype("float32")
    return weight * counted.reshape(counted.shape + (1,) * (weight.ndim - 1)).astype(weight.dtype)


def padded_size(rows: int, batch_size: int) -> int:
    """Return the batch size to compile for: `batch_size`, for fewer rows the next power of two.

    Example:
        >>> [padded_size(rows, 32) for rows in (1, 3, 20, 100)]
        [1, 4, 32, 32]
    """
    return min(batch_size, 1 << (rows - 1).bit_length())


def rows_are_independent(model: Trainable, kind: str) -> bool:
    """Return whether each row's result depends on that row alone, so that rows may be added and
    dropped.

    True for models of Hornbeam's layers and elementwise ops with the standard steps and, for `kind`
    `"test"`, with Hornbeam's losses and metrics. Nothing is assumed of the user's code.
    """
    if overrides(model, *_STEPS[kind]):
        return False
    if model.built and any(x.shape[0] is not None for x in getattr(model, "inputs", None) or ()):
        return False  # the batch size is fixed
    if not runs_library_code(model):
        return False
    for layer in flatten_layers(model):
        if not all(map(_op_is_elementwise, _operations(layer))) or _has_batch_axis(layer):
            return False
    return kind == "predict" or _measures_rows(model)


def runs_library_code(model: Trainable) -> bool:
    """Return whether a call of `model` runs only Hornbeam code and has no side effects."""
    for layer in flatten_layers(model):
        if not (is_library_code(type(layer)) and is_library_code(layer.call)) or getattr(
            layer, "_graph_with_losses", None
        ):
            return False
        if type(layer).__name__ in _RUN_USER_CODE:
            return False
        if layer.activity_regularizer is not None or getattr(layer, "stateful", False):
            return False
        functions = (getattr(layer, name, None) for name in ("activation", "recurrent_activation"))
        if not all(function is None or _all_library_code(function) for function in functions):
            return False
    return True


_STEPS = {"predict": ("predict_step",), "test": ("test_step", "compute_loss", "compute_metrics")}


def _operations(model: Any) -> list[Any]:
    return list(getattr(model, "operations", None) or [])


def _op_is_elementwise(operation: Any) -> bool:
    return (
        not isinstance(operation, OpCall)
        or operation.info.function.__module__ == "hornbeam.ops.elementwise"
    )


def _has_batch_axis(part: Any) -> bool:
    """Return whether a layer, loss or metric computes along the axis of the rows, or may do so."""
    axes = getattr(part, "axis", None), getattr(part, "axes", None)
    if getattr(part, "_mixes_rows", False):
        return True
    # Counted from the end, any axis but the last may be the batch axis.
    return any(axis is not None and (axis == 0 or axis < -1) for axis in tree.flatten(axes))


def _measures_rows(model: Any) -> bool:
    compiled = model.require_compiled("fit")
    entries = [compiled.arguments[name] for name in ("loss", "metrics", "weighted_metrics")]
    held = [
        m
        for layer in flatten_layers(model)
        for m in layer.__dict__.get("added_metrics", {}).values()
    ]
    return not held and all(
        entry is None or (_all_library_code(entry) and not _mixes_rows(entry))
        for entry in tree.flatten(entries)
    )


# Losses that compare the rows of a batch, or add them all up.
_OF_WHOLE_BATCHES = ("circle", "dice", "tversky")


def _mixes_rows(entry: Any) -> bool:
    """Return whether a loss or metric of Hornbeam depends on which rows are in one batch."""
    name = entry if isinstance(entry, str) else getattr(getattr(entry, "fn", entry), "__name__", "")
    if name.lower() in _OF_WHOLE_BATCHES and getattr(entry, "axis", None) is None:
        return True
    return _has_batch_axis(entry)


def _all_library_code(entry: Any) -> bool:
    """Return whether a name, function or object is Hornbeam's, with any function in it."""
    if isinstance(entry, str):
        return True
    function = getattr(entry, "fn", None)
    return is_library_code(entry) and (function is None or _all_library_code(function))
