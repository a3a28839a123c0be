"""`keras.utils.layer_utils`: counting, summaries and kernels of old backends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from hornbeam.layers import Layer
from hornbeam.layers.state import flatten_layers
from hornbeam.legacy.internals.conv_utils import convert_kernel
from hornbeam.models import Model
from hornbeam.models.summary import print_summary as print_summary_of
from hornbeam.utils.graphs import get_source_inputs

__all__ = [
    "convert_all_kernels_in_model", "count_params", "get_source_inputs", "print_summary",
    "weight_memory_size",
]  # fmt: skip


def count_params(weights: Iterable[Any]) -> int:
    """Return the number of elements of the weights, each weight once.

    Example:
        >>> import hornbeam as hb
        >>> count_params([hb.Variable([1.0, 2.0]), hb.Variable(0.0)])
        3
    """
    return sum(int(np.prod(w.shape)) for w in {id(w): w for w in weights}.values())


def weight_memory_size(weights: Iterable[Any]) -> int:
    """Return the number of bytes of the weights."""
    return sum(
        int(np.prod(w.shape)) * np.dtype(str(w.dtype).replace("bfloat16", "float16")).itemsize
        for w in {id(w): w for w in weights}.values()
    )


def print_summary(
    model: Model, line_length: int | None = None, positions: Sequence[float] | None = None,
    print_fn: Callable[..., Any] | None = None, expand_nested: bool = False,
    show_trainable: bool = False, layer_range: Sequence[str] | None = None,
) -> None:  # fmt: skip
    """Print `model.summary()`; the arguments are those of the method."""
    print_summary_of(
        model, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
    )


def convert_all_kernels_in_model(model: Layer) -> None:
    """Flip the kernels of all convolutions in place, from Theano's to today's order or back."""
    for layer in flatten_layers(model):
        if type(layer).__name__.startswith(("Conv", "SeparableConv", "DepthwiseConv")):
            kernel = getattr(layer, "kernel", None)
            if kernel is not None and 3 <= len(kernel.shape) <= 5:
                kernel.assign(convert_kernel(kernel.numpy()))
