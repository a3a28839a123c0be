"""Calls of layers while a gradient tape is open: one record for a layer of Hornbeam's own code.

The code of users runs as it is, since it may depend on values, print, or keep what it computes. The
layers that it calls are then records of their own.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from hornbeam import tree
from hornbeam.core.provenance import is_library_code
from hornbeam.core.structure import structure_version
from hornbeam.core.units import Units
from hornbeam.core.variable import current_autocast
from hornbeam.layers.call_scope import training_now
from hornbeam.layers.state import flatten_layers, switches_of

__all__ = ["call_recorded"]

# Layers of Hornbeam that run functions of the user, or run on the host.
_NOT_UNITS = {"Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}


class _Kept:
    """What is kept for a layer while its structure stays the same."""

    def __init__(self, layer: Any):
        self.version = structure_version.number
        self.switches = switches_of(layer)
        self.units = Units() if _is_plain(layer) else None
        reference = weakref.ref(layer)

        def call(*args: Any, **kwargs: Any) -> Any:
            return reference().call(*args, **kwargs)  # type: ignore[union-attr]  # the caller holds the layer

        self.call = call


_kept: weakref.WeakKeyDictionary[Any, _Kept] = weakref.WeakKeyDictionary()


def call_recorded(layer: Any, function: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
    """Run `function`, the call of a layer, as one operation of the open tapes if that is safe."""
    if "_called_shapes" not in layer.__dict__ and layer.built is False:
        return function(*args, **kwargs)
    kept = _kept.get(layer)
    if kept is None or kept.version != structure_version.number:
        if kept is not None and kept.switches == switches_of(layer):
            kept.version = structure_version.number
        else:
            kept = _kept[layer] = _Kept(layer)
    if kept.units is None:
        return function(*args, **kwargs)
    return kept.units.run(kept.call, args, kwargs, (training_now(), current_autocast()))


def _is_plain(layer: Any) -> bool:
    """Return whether a call runs only Hornbeam's code, and gives one value."""
    if len(getattr(layer, "outputs", None) or ()) > 1:
        return False  # one output of a graph may be differentiated by another
    for inner in flatten_layers(layer):
        if type(inner).__name__ in _NOT_UNITS:
            return False
        if not (is_library_code(type(inner)) and is_library_code(inner.call)):
            return False
        functions = [x for x in vars(inner).values() if callable(x)]
        if not all(is_library_code(f) or _is_jax(f) for f in tree.flatten(functions)):
            return False
    return True


def _is_jax(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == "jax"
