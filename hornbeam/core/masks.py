"""Masks: boolean arrays attached to tensors, true where a position is not padding."""

from __future__ import annotations

import weakref
from typing import Any

from hornbeam.typing import Tensor

__all__ = ["any_mask", "get_mask", "set_mask"]

_masks: dict[int, tuple[Any, Any]] = {}


def set_mask(x: Tensor, mask: Tensor) -> None:
    """Attach a mask to a tensor.

    Args:
        x: The tensor.
        mask: Boolean array of the shape of `x`'s first axes.
    """
    key = id(x)
    # The tensor is referred to weakly, so that the mask is dropped with it.
    _masks[key] = (weakref.ref(x, lambda _: _masks.pop(key, None)), mask)


def get_mask(x: Tensor) -> Tensor:
    """Return the mask attached to `x`, or `None`."""
    entry = _masks.get(id(x))
    return entry[1] if entry is not None and entry[0]() is x else None


def any_mask() -> bool:
    """Return whether any tensor of the process has a mask."""
    return bool(_masks)
