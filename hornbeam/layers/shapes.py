"""Shapes of structures of tensors: symbolic tensors from them and their form in configurations."""

from __future__ import annotations

from typing import Any

import numpy as np

from hornbeam.core.tensor import KerasTensor
from hornbeam.core.tracing import shape_with_unknowns
from hornbeam.typing import Shapes, Structure

__all__ = [
    "is_shape",
    "pop_input_shape",
    "shape_from_config",
    "shape_of",
    "shape_to_config",
    "tensors_of",
]


def shape_of(x: Structure) -> Shapes:
    """Return the shape of a tensor or the shapes of a structure of tensors."""
    if isinstance(x, (list, tuple)) and not is_shape(x):
        return [shape_of(item) for item in x]
    if isinstance(x, dict):
        return {key: shape_of(item) for key, item in x.items()}
    return shape_with_unknowns(x.shape) if hasattr(x, "shape") else None


def is_shape(x: object) -> bool:
    """Return whether `x` is one shape, not a structure of shapes."""
    return isinstance(x, (list, tuple)) and all(
        n is None or isinstance(n, (int, np.integer)) for n in x
    )


def tensors_of(shape: Shapes, dtype: str) -> Structure:
    """Return symbolic tensors of `dtype` for a shape or a structure of shapes."""
    if is_shape(shape):
        return KerasTensor(shape, dtype)
    if isinstance(shape, dict):
        return {key: tensors_of(item, dtype) for key, item in shape.items()}
    if isinstance(shape, (list, tuple)):
        return [tensors_of(item, dtype) for item in shape]
    return shape


def shape_to_config(shape: Shapes) -> Shapes:
    """Return a shape or a structure of shapes as lists, for JSON."""
    if is_shape(shape):
        return [None if n is None else int(n) for n in shape]
    if isinstance(shape, dict):
        return {key: shape_to_config(item) for key, item in shape.items()}
    if isinstance(shape, (list, tuple)):
        return [shape_to_config(item) for item in shape]
    return shape


def shape_from_config(shape: Shapes) -> Shapes:
    """Return a shape or a structure of shapes as tuples, from the lists of a file."""
    if is_shape(shape):
        return tuple(shape)
    if isinstance(shape, dict):
        return {key: shape_from_config(item) for key, item in shape.items()}
    if isinstance(shape, (list, tuple)):
        return [shape_from_config(item) for item in shape]
    return shape


def pop_input_shape(
    kwargs: dict[str, Any], is_sequence: bool = False
) -> tuple[int | None, ...] | None:
    """Remove all arguments that give the input's shape and return the shape.

    Args:
        kwargs: Arguments of a layer's constructor. They are modified.
        is_sequence: Whether the input is a sequence of vectors, so that `input_dim` without
            `input_length` means any length. Default: False.

    Returns:
        The shape with the batch axis, or `None` if no argument gives it.

    Example:
        >>> pop_input_shape({"input_dim": 784, "batch_size": 8})
        (8, 784)
    """
    batch_size = kwargs.pop("batch_size", None)
    batch_shape = kwargs.pop("batch_input_shape", None) or kwargs.pop("batch_shape", None)
    input_shape = kwargs.pop("input_shape", None)
    input_dim = kwargs.pop("input_dim", None)
    length = kwargs.pop("input_length", None)
    if batch_shape is not None:
        if batch_size is not None and batch_size != batch_shape[0]:
            raise ValueError(
                f"`batch_size` {batch_size!r} contradicts the first element of the batch's shape"
                f" {tuple(batch_shape)}. Pass one of them."
            )
        return tuple(batch_shape)
    if input_shape is None and input_dim is not None:
        # Keras 1: `input_dim` and `input_length` for sequences.
        is_sequence = is_sequence or length is not None
        input_shape = (length, input_dim) if is_sequence else (input_dim,)
    if input_shape is None:
        return None
    if isinstance(input_shape, (int, np.integer)):
        input_shape = (input_shape,)
    return (batch_size, *input_shape)
