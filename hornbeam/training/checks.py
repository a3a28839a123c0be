"""Checks of data against model and loss, before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hornbeam import tree
from hornbeam.data.sources import ArraySource, Source

__all__ = ["check_before_training"]


def check_before_training(model: Any, source: Source) -> None:
    """Raise `ValueError` for targets that no training could use.

    Checked are: NaN in targets, class numbers out of range for sparse crossentropies,
    targets out of [0, 1] for binary crossentropy, missing targets.
    """
    compiled = model._compiled
    given = compiled.arguments["loss"]
    if not isinstance(source, ArraySource):
        return
    _, y, _ = source.data
    if y is None:
        if given is not None and type(model).compute_loss is _base().compute_loss and _plain_steps(model):
            raise ValueError(f"Model '{model.name}' was compiled with a loss, but no targets came: pass `y`.")
        return
    try:
        names = list(model.output_names)
        shapes = [x.shape for x in model.outputs]
    except AttributeError:
        names, shapes = ["output"] * len(tree.flatten(y)), [None] * len(tree.flatten(y))
    if given is None or not _plain_steps(model) or len(names) != len(shapes):
        return
    losses = compiled._spread(given, names, "loss") if len(set(names)) == len(names) else [given]
    targets = compiled._targets(y, names) if len(set(names)) == len(names) else tree.flatten(y)
    for name, shape, loss, target in zip(names, shapes, losses, targets, strict=False):
        if target is None or loss is None or isinstance(loss, Mapping):
            continue
        _check_values(name, shape, loss, np.asarray(target))
    compiled.build_ahead(model, y)


def _base() -> Any:
    from hornbeam.models.model import Model

    return Model


def _plain_steps(model: Any) -> bool:
    """Tell whether the model trains by the standard step, so that targets mean what `compile` says."""
    return type(model).train_step is _base().train_step and type(model).compute_loss is _base().compute_loss


def _loss_name(loss: Any) -> str:
    if isinstance(loss, str):
        return loss.lower().replace("_", "")
    if type(loss).__module__.startswith("hornbeam"):
        name = getattr(loss, "__name__", None) or type(loss).__name__
        return name.lower().replace("_", "")
    name = getattr(loss, "__name__", "") if getattr(loss, "__module__", "").startswith("hornbeam") else ""
    return name.lower().replace("_", "")


def _check_values(name: str, shape: Any, loss: Any, target: np.ndarray) -> None:
    kind = _loss_name(loss)
    if not kind or not target.size:
        return
    where = f"The targets of output '{name}'" if name != "output" else "The targets `y`"
    if target.dtype.kind == "f" and np.isnan(target).any():
        rows = np.unique(np.argwhere(np.isnan(target))[:, 0])
        raise ValueError(
            f"{where} hold NaN in {len(rows)} of {len(target)} rows (first: row {rows[0]}). Drop or fill those rows."
        )
    if kind == "sparsecategoricalcrossentropy" and getattr(loss, "ignore_class", None) is None:
        classes = shape[-1] if shape is not None else None
        if len(target.shape) == len(shape or ()) and target.shape[-1] == classes and (classes or 0) > 1:
            return  # looks like one-hot rows; the loss itself says so
        low, high = target.min(), target.max()
        if low < 0 or (classes is not None and high >= classes):
            remedy = ""
            if classes is not None and high >= classes:
                remedy = (
                    f" Give the last layer {int(high) + 1} units, or number the classes from 0."
                    if low > 0 or high > classes
                    else f" Number the classes from 0, or give the last layer {int(high) + 1} units."
                )
            raise ValueError(
                f"{where} hold class numbers from {low} to {high}; "
                f"the output has {classes if classes is not None else 'no negative'} classes, numbered from 0"
                f"{f' to {classes - 1}' if classes is not None else ''}.{remedy}"
            )
    if kind == "binarycrossentropy" and (target.min() < 0 or target.max() > 1):
        raise ValueError(
            f"{where} range from {target.min()} to {target.max()}; binary_crossentropy expects values from 0 "
            "to 1. For labels -1 and 1 use (y + 1) / 2; for several classes use "
            "sparse_categorical_crossentropy."
        )
