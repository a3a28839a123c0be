"""Which layers of a model are meant: objects, or patterns of names; and their `trainable`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from hornbeam import errors
from hornbeam.core.provenance import refuse_real_keras
from hornbeam.layers.layer import Layer
from hornbeam.training.trainable import Trainable

__all__ = ["Chosen", "all_layers", "check_model", "matching", "set_trainable"]

Chosen: TypeAlias = str | Layer | Sequence[str | Layer] | None
"""Layers: objects, or regular expressions that are found in their names."""


def all_layers(model: Any) -> list[Layer]:
    """Return the layers of a model, with those of nested models in place of these."""
    found: dict[int, Layer] = {}
    for layer in model.layers:
        inner = all_layers(layer) if isinstance(layer, Trainable) else [layer]
        found.update((id(x), x) for x in inner)
    return list(found.values())


def check_model(function: str, model: Any) -> None:
    """Raise `ValueError` if `model` is no model, or was not built."""
    if not isinstance(model, Trainable):
        refuse_real_keras(function, model)
        raise ValueError(f"{function}: `model` must be a Model, received {errors.describe(model)}.")
    if not model.built:
        raise ValueError(
            f"{function}: model '{model.name}' has no layers with weights yet. Call"
            " `model.build(input_shape)` first."
        )


def matching(function: str, model: Any, known: list[Layer], chosen: Any) -> list[Layer]:
    """Return the layers among `known` that are chosen by objects or patterns, in their order.

    Raises:
        ValueError: If one of them chooses no layer.
    """
    if chosen is None:
        return known
    entries = [chosen] if isinstance(chosen, (str, Layer)) else list(chosen)
    found: set[int] = set()
    for entry in entries:
        if isinstance(entry, Layer):
            inner = all_layers(entry) if isinstance(entry, Trainable) else [entry]
            hits = [layer for layer in known if any(layer is x for x in inner)]
        elif isinstance(entry, str):
            hits = [layer for layer in known if re.search(entry, layer.name)]
        else:
            raise ValueError(
                f"{function}: layers must be objects or patterns of names, received {entry!r}."
            )
        if not hits:
            shown = [layer.name for layer in known[:3] + known[3:][-3:]]
            raise ValueError(
                f"{function}: {entry!r} chooses no layer of model '{model.name}'. Its layers are"
                f" such as {errors.listed(shown)}."
            )
        found.update(id(layer) for layer in hits)
    return [layer for layer in known if id(layer) in found]


def set_trainable(flags: Iterable[tuple[Any, bool]]) -> None:
    """Set `trainable` of layers, where each layer comes before those inside it."""
    for layer, flag in flags:
        layer.trainable = flag
