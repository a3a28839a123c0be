"""Checks of data against model and loss, before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hornbeam import tree
from hornbeam.core.provenance import is_library_code
from hornbeam.data.lazy import LazyArray
from hornbeam.data.sources import ArraySource, Source
from hornbeam.training.advice import about_numbers
from hornbeam.training.overrides import overrides

if TYPE_CHECKING:
    from hornbeam.training.trainable import Trainable

__all__ = ["check_before_training", "loss_name"]

_ROWS_OF_FILES = 4096  # of targets that are read batch by batch, so many are checked


def check_before_training(model: Trainable, source: Source) -> None:
    """Raise `ValueError` for targets that cannot be used for training.

    That is: missing targets, NaN, class numbers out of range for sparse crossentropies, and targets
    outside [0, 1] for binary crossentropy.
    """
    compiled = model.require_compiled("fit")
    given = compiled.loss
    if not isinstance(source, ArraySource):
        return
    x, y, _ = source.data
    about_numbers(model, x)
    # The user's step may take targets to mean anything.
    plain_steps = not overrides(model, "train_step", "compute_loss")
    if y is None:
        if given is not None and plain_steps:
            raise ValueError(
                f"Model '{model.name}' was compiled with a loss, but received no targets. Pass `y`."
            )
        return
    try:
        graph: Any = model
        names, shapes = list(graph.output_names), [x.shape for x in graph.outputs]
    except AttributeError:
        names, shapes = ["output"] * len(tree.flatten(y)), [None] * len(tree.flatten(y))
    if given is None or not plain_steps or len(names) != len(shapes):
        return
    losses = compiled.spread(given, names, "loss") if len(set(names)) == len(names) else [given]
    targets = compiled.by_output(y, names) if len(set(names)) == len(names) else tree.flatten(y)
    for name, shape, loss, target in zip(names, shapes, losses, targets, strict=False):
        if target is None or loss is None or isinstance(loss, Mapping):
            continue
        if isinstance(target, LazyArray):
            target = target[:_ROWS_OF_FILES]
        _check_values(name, shape, loss, np.asarray(target))
    compiled.build_ahead(model, y)


def loss_name(loss: Any) -> str:
    """Return the name of one of Hornbeam's losses in lower case; empty for a user's."""
    if not isinstance(loss, str):
        if not is_library_code(loss):
            return ""
        loss = getattr(loss, "__name__", None) or type(loss).__name__
    return str(loss).lower().replace("_", "")


def _check_values(name: str, shape: Any, loss: Any, target: np.ndarray) -> None:
    kind = loss_name(loss)
    if not kind or not target.size:
        return
    where = f"The targets of output '{name}'" if name != "output" else "The targets `y`"
    if target.dtype.kind == "f" and np.isnan(target).any():
        rows = np.unique(np.argwhere(np.isnan(target))[:, 0])
        raise ValueError(
            f"{where} hold NaN in {len(rows)} of {len(target)} rows (first: row {rows[0]}). Drop or"
            " fill those rows."
        )
    if kind == "sparsecategoricalcrossentropy" and getattr(loss, "ignore_class", None) is None:
        classes = shape[-1] if shape is not None else None
        if (
            len(target.shape) == len(shape or ())
            and target.shape[-1] == classes
            and (classes or 0) > 1
        ):
            return  # looks like one-hot rows; the loss itself says so
        low, high = target.min(), target.max()
        if low < 0 or (classes is not None and high >= classes):
            remedy = ""
            if classes is not None and high >= classes:
                remedy = (
                    f" Give the last layer {int(high) + 1} units, or number the classes from 0."
                    if low > 0 or high > classes
                    else (
                        f" Number the classes from 0, or give the last layer {int(high) + 1} units."
                    )
                )
            raise ValueError(
                f"{where} hold class numbers from {low} to {high}; the output has"
                f" {classes if classes is not None else 'no negative'} classes, numbered from"
                f" 0{f' to {classes - 1}' if classes is not None else ''}.{remedy}"
            )
    if kind == "binarycrossentropy" and (target.min() < 0 or target.max() > 1):
        raise ValueError(
            f"{where} range from {target.min()} to {target.max()}; binary_crossentropy expects"
            " values from 0 to 1. For labels -1 and 1 use (y + 1) / 2; for several classes use"
            " sparse_categorical_crossentropy."
        )
