"""Base classes and functions of Keras's layers that libraries subclass or call."""

from __future__ import annotations

from typing import Any

from hornbeam import layers
from hornbeam.layers import Lambda, Layer, conv, merging, pooling
from hornbeam.layers.preprocessing.base import PreprocessingLayer
from hornbeam.layers.regularization import Dropout

__all__ = [
    "BaseConv", "BaseConvTranspose", "BaseDepthwiseConv", "BaseDropout", "BaseGlobalPooling",
    "BasePooling", "BaseRandomLayer", "BaseSeparableConv", "ClassMethod", "Conv", "DataLayer",
    "DepthwiseConv", "GlobalPooling1D", "GlobalPooling2D", "GlobalPooling3D", "InstanceMethod",
    "InstanceProperty", "Pooling1D", "Pooling2D", "Pooling3D", "SeparableConv", "SlicingOpLambda",
    "TFDataLayer", "TFOpLambda",
]  # fmt: skip


def _named(module: Any, name: str) -> type[Any]:
    """Return a base class that Hornbeam keeps to itself."""
    return getattr(module, f"_{name}")


BaseConv = Conv = _named(conv, "Conv")
BaseConvTranspose = _named(conv, "ConvTranspose")
BaseDepthwiseConv = DepthwiseConv = _named(conv, "DepthwiseConv")
BaseSeparableConv = SeparableConv = _named(conv, "SeparableConv")
BasePooling = Pooling1D = Pooling2D = Pooling3D = _named(pooling, "Pooling")
BaseGlobalPooling = _named(pooling, "GlobalPooling")
GlobalPooling1D = GlobalPooling2D = GlobalPooling3D = BaseGlobalPooling
BaseMerge = _named(merging, "Merge")
BaseDropout = Dropout
BaseRandomLayer = Layer
TFDataLayer = DataLayer = PreprocessingLayer

# Calls of functions of TensorFlow in a graph; today they are operations of the graph.
TFOpLambda = SlicingOpLambda = ClassMethod = InstanceMethod = InstanceProperty = Lambda

_UNDER = {
    "_Conv": BaseConv, "_Merge": BaseMerge, "_Pooling1D": BasePooling, "_Pooling2D": BasePooling,
    "_Pooling3D": BasePooling, "_GlobalPooling1D": BaseGlobalPooling,
    "_GlobalPooling2D": BaseGlobalPooling, "_GlobalPooling3D": BaseGlobalPooling,
    "_DropoutWrapper": Dropout, "_RNN": layers.RNN,
}  # fmt: skip


def _build_attention_equation(rank: int, attn_axes: tuple[int, ...]) -> tuple[str, str, int]:
    """Return the equations of multi-head attention.

    Args:
        rank: Number of axes of the projected queries: batch, positions, heads and size.
        attn_axes: Axes of the positions.

    Returns:
        The equation of the scores, that of the outputs, and the rank of the scores. Sources are
        before targets in both equations.
    """
    letters = "abcdefghijklmnopqrstuvwxyz"
    target = letters[:rank]
    batch = tuple(axis for axis in range(rank) if axis not in (*attn_axes, rank - 1))
    source = "".join(
        target[axis] if axis in batch or axis == rank - 1 else letters[rank + i]
        for i, axis in enumerate(range(rank))
    )
    # Letters of the source's positions follow those of the target without gaps.
    new = iter(letters[rank:])
    source = "".join(c if c in target else next(new) for c in source)
    scores = "".join(
        [target[axis] for axis in batch]
        + [target[axis] for axis in attn_axes]
        + [source[axis] for axis in attn_axes]
    )
    return f"{source},{target}->{scores}", f"{scores},{source}->{target}", len(scores)


def _build_proj_equation(free_dims: int, bound_dims: int, output_dims: int) -> tuple[str, str, int]:
    """Return the equation of a projection.

    Args:
        free_dims: Number of axes that stay.
        bound_dims: Number of axes that are summed over.
        output_dims: Number of new axes.

    Returns:
        The equation, the axes of the bias, and the rank of the output.

    Example:
        >>> _build_proj_equation(2, 1, 2)
        ('abc,cde->abde', 'de', 4)
    """
    letters = "abcdefghijklmnopqrstuvwxyz"
    free, bound = letters[:free_dims], letters[free_dims : free_dims + bound_dims]
    made = letters[free_dims + bound_dims : free_dims + bound_dims + output_dims]
    return f"{free}{bound},{bound}{made}->{free}{made}", made, free_dims + output_dims


def __getattr__(name: str) -> Any:
    if name in _UNDER:
        return _UNDER[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
