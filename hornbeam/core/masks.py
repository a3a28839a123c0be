"""Masks: boolean arrays attached to tensors, true where a position is not padding."""

from __future__ import annotations

import contextlib
import weakref
from typing import Any

import jax

from hornbeam.typing import Tensor

__all__ = ["get_mask", "set_mask"]

# Masks of tensors that take no attributes, such as JAX's tracers.
_masks: dict[int, tuple[Any, Any]] = {}


def set_mask(x: Tensor, mask: Tensor) -> None:
    """Attach a mask to a tensor, as its attribute `_keras_mask` where it takes attributes.

    Args:
        x: The tensor.
        mask: Boolean array of the shape of `x`'s first axes.
    """
    if not isinstance(x, jax.core.Tracer):
        with contextlib.suppress(AttributeError):
            x._keras_mask = mask
            return
    key = id(x)
    # The tensor is referred to weakly, so that the mask is dropped with it.
    _masks[key] = (weakref.ref(x, lambda _: _masks.pop(key, None)), mask)


def get_mask(x: Tensor) -> Tensor:
    """Return the mask attached to `x`, or `None`."""
    if not isinstance(x, jax.core.Tracer):
        mask = getattr(x, "_keras_mask", None)
        if mask is not None:
            return mask
    entry = _masks.get(id(x))
    return entry[1] if entry is not None and entry[0]() is x else None
