"""Passes masks through a layer: from the inputs to `call` and on to the outputs."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import tree
from hornbeam.core.masks import get_mask, set_mask
from hornbeam.core.tracing import shape_with_unknowns
from hornbeam.layers.call_arguments import has_tensor, named_arguments, positional_names
from hornbeam.layers.state import label_of
from hornbeam.typing import Structure, Tensor

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer

__all__ = ["attach_masks", "fill_masks", "output_masks", "step_mask"]

_warned: set[str] = set()


def fill_masks(
    layer: Layer, signature: inspect.Signature, args: tuple, kwargs: dict[str, Any]
) -> Structure:
    """Fill the mask arguments of `call` from the inputs' masks; return the first input's mask.

    The first input's mask goes to `mask` (or to `NAME_mask`), the mask of another input `NAME` to
    `NAME_mask`. A mask that the caller passed stays. If the layer does not support masking and
    `call` takes no mask, the mask is dropped with a warning, once per class.

    Args:
        layer: The layer.
        signature: Signature of its `call`.
        args, kwargs: Arguments of the call. `kwargs` is modified.
    """
    parameters = signature.parameters
    names = positional_names(signature, args)
    given = dict(zip(names, args, strict=False)) | kwargs
    previous = None
    for position, (name, value) in enumerate(given.items()):
        if isinstance(value, (jax.Array, np.ndarray)):
            mask = get_mask(value)
        else:
            mask = tree.map_structure(get_mask, value) if has_tensor(value) else None
        if mask is None or all(m is None for m in tree.flatten(mask)):
            continue
        if position == 0:
            previous = mask
        argument = "mask" if position == 0 and f"{name}_mask" not in parameters else f"{name}_mask"
        if argument in parameters and given.get(argument) is None and argument not in names:
            kwargs[argument] = mask
    if previous is not None and not layer.supports_masking:
        takes = any(n == "mask" or n.endswith("_mask") for n in parameters)
        if not takes and type(layer).__name__ not in _warned:
            _warned.add(type(layer).__name__)
            warnings.warn(
                f"{label_of(layer)} received an input with a mask, does not support masking, and"
                " drops the mask. Set `self.supports_masking = True` if padded steps may pass.",
                stacklevel=4,
            )
    return previous


def output_masks(
    layer: Layer,
    signature: inspect.Signature,
    previous: Structure,
    args: tuple,
    kwargs: dict[str, Any],
) -> Structure:
    """Return the outputs' masks from `layer.compute_mask`.

    Args:
        layer: The layer.
        signature: Signature of its `call`.
        previous: Mask of the first input.
        args, kwargs: Arguments of the call.
    """
    parameters = inspect.signature(layer.compute_mask).parameters
    masks = [n for n in parameters if n.endswith("_mask") and n != "previous_mask"]
    own = inspect.signature(layer.call).parameters
    # `previous_mask`, or `input_mask` of Keras 1, is one mask for all inputs.
    if not masks or (len(parameters) <= 2 and not any(n in own for n in masks)):
        return layer.compute_mask(args[0] if len(args) == 1 else args, previous)
    # A layer with several inputs takes the mask of each input by name.
    named = named_arguments(signature, layer, args, kwargs)
    return layer.compute_mask(
        **{n: value for n, value in named.items() if f"{n}_mask" in masks or n in masks}
    )


def attach_masks(outputs: Structure, masks: Structure) -> None:
    """Attach `masks` to the outputs that do not have a mask yet."""
    if masks is None:
        return
    for x, mask in zip(tree.flatten(outputs), tree.flatten(masks), strict=False):
        if mask is not None and x is not None and get_mask(x) is None:
            set_mask(x, mask)


def step_mask(layer: Layer, mask: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the mask of the steps of a sequence as booleans of `shape`, the sequence's first axes.

    Args:
        layer: The layer, for the message.
        mask: Of `shape`, with a further axis of size 1, or with 1 instead of the batch size.
        shape: (B, T), or (T, B) for time-major layers.

    Raises:
        ValueError: If the mask has another shape.
    """
    keep = jnp.asarray(mask, bool)
    if keep.ndim == 3 and keep.shape[2] == 1:
        keep = keep[..., 0]
    batch = 1 if getattr(layer, "time_major", False) else 0
    one_for_all = tuple(1 if axis == batch else size for axis, size in enumerate(shape))
    if keep.shape not in (tuple(shape), one_for_all):
        raise ValueError(
            f"{label_of(layer)}: `mask` must have the first two axes of the sequences,"
            f" {shape_with_unknowns(shape)}, received shape {shape_with_unknowns(jnp.shape(mask))}."
            " Pass one boolean per step: true for the steps that count."
        )
    return jnp.broadcast_to(keep, shape)
