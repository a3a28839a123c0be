"""`Merge` and `merge` of Keras 1. Keras 2 replaced them with one layer per mode."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hornbeam import models, tree
from hornbeam.layers import merging
from hornbeam.layers.core import Lambda
from hornbeam.layers.input_layer import Input
from hornbeam.layers.layer import Layer
from hornbeam.typing import Structure

__all__ = ["Merge", "merge"]


def _merging(mode: Any, concat_axis: int, dot_axes: Any, arguments: Any, name: str | None) -> Layer:
    """Return the current layer for a mode of Keras 1.

    Raises:
        ValueError: If the mode is unknown.
    """
    if callable(mode):
        return Lambda(mode, arguments=arguments or {}, name=name)
    made: dict[str, Callable[..., Layer]] = {
        "sum": merging.Add,
        "mul": merging.Multiply,
        "ave": merging.Average,
        "max": merging.Maximum,
        "concat": functools.partial(merging.Concatenate, concat_axis),
        "dot": functools.partial(merging.Dot, _axes(dot_axes)),
        "cos": functools.partial(merging.Dot, _axes(dot_axes), normalize=True),
    }
    if mode not in made:
        raise ValueError(
            f"Merge: `mode` must be a function or one of {tuple(made)}, received {mode!r}."
        )
    return made[mode](name=name)


def _axes(axes: Any) -> Any:
    """Return the axes of a dot product. Keras 1 also accepts `[[1], [2]]`."""
    return axes if isinstance(axes, int) else tuple(tree.flatten(axes))


class Merge(Layer):
    """Merges the outputs of several branches, as the first layer of a `Sequential`.

    Without branches, `Merge(mode=...)` returns the current merging layer of that mode, such as
    `Add`. Call it with a list of tensors.

    Args:
        layers: The branches: models, or layers that know their input shape. The model takes the
            inputs of all branches.
        mode: `"sum"` (default), `"mul"`, `"ave"`, `"max"`, `"concat"`, `"dot"`, `"cos"`, or a
            function of the list of outputs.
        concat_axis: Axis of `"concat"`. Default: -1, the last.
        dot_axes: Axis or pair of axes of `"dot"` and `"cos"`. Default: -1, the last.
        output_shape, output_mask, node_indices, tensor_indices: Arguments of Keras 1. No effect,
            because Hornbeam finds shapes by tracing.
        arguments: Dict of further arguments of the function. Default: `None`.
        name: Name. Default: `"merge"`, numbered.

    Input: the inputs of all branches, in order. Output: the merged shape. As in Keras 1.

    Raises:
        ValueError: If `mode` is unknown, or a branch is not a layer or has no known input shape.

    Example:
        >>> from hornbeam import Sequential
        >>> from hornbeam.layers import Dense
        >>> left, right = (Sequential([Dense(2, input_dim=3)]) for _ in range(2))
        >>> model = Sequential([Merge([left, right], mode="concat"), Dense(1)])
        >>> [x.shape for x in model.inputs], model.output_shape
        ([(None, 3), (None, 3)], (None, 1))
    """

    def __new__(cls, layers: Any = None, mode: Any = "sum", *args: Any, **kwargs: Any) -> Any:
        if cls is Merge and not layers:
            return _merge_arguments(mode, *args, **kwargs)
        return super().__new__(cls, layers, mode, *args, **kwargs)

    def __init__(
        self, layers: Sequence[Any], mode: str | Callable[..., Any] = "sum", concat_axis: int = -1,
        dot_axes: int | Sequence[Any] = -1, output_shape: Any = None, output_mask: Any = None,
        arguments: Mapping[str, Any] | None = None, node_indices: Sequence[int] | None = None,
        tensor_indices: Sequence[int] | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        self.layers = [_branch(layer) for layer in layers]
        self.mode, self.concat_axis, self.dot_axes, self.arguments = (
            mode,
            concat_axis,
            dot_axes,
            arguments,
        )
        self.merging = _merging(mode, concat_axis, dot_axes, arguments, None)
        self.supports_masking = True

    def make_inputs(self) -> list[Any]:
        """Return symbolic inputs for all branches, in order."""
        inputs = [x for branch in self._distinct() for x in branch.inputs]
        return [Input(batch_shape=x.shape, dtype=x.dtype) for x in inputs]

    def _distinct(self) -> list[Any]:
        """Return each branch once: a branch that occurs twice gets the same inputs."""
        return list({id(branch): branch for branch in self.layers}.values())

    def call(self, inputs: Structure) -> Structure:
        given = iter(tree.flatten(inputs))
        results: dict[int, Any] = {}
        for branch in self._distinct():
            own = [next(given) for _ in branch.inputs]
            results[id(branch)] = branch(own if len(own) > 1 else own[0])
        return self.merging([results[id(branch)] for branch in self.layers])

    def compute_mask(self, inputs: Structure, mask: Structure = None) -> Structure:
        return None  # the merging layer already passes on the masks of the outputs


def _merge_arguments(
    mode: Any = "sum", concat_axis: int = -1, dot_axes: Any = -1, output_shape: Any = None,
    output_mask: Any = None, arguments: Any = None, node_indices: Any = None,
    tensor_indices: Any = None, name: str | None = None,
) -> Layer:  # fmt: skip
    return _merging(mode, concat_axis, dot_axes, arguments, name)


def _branch(layer: Any) -> Any:
    """Return a branch as a model with known inputs.

    Raises:
        ValueError: If it is not a layer, or its inputs are unknown.
    """
    if not isinstance(layer, Layer):
        raise ValueError(f"Merge: `layers` must be models or layers, received {layer!r}.")
    branch: Any = layer if isinstance(layer, models.Model) else models.Sequential([layer])
    try:
        branch.inputs  # noqa: B018  (the property raises if they are unknown)
    except AttributeError:
        raise ValueError(
            f"Merge: the input shape of the branch '{layer.name}' is not known. Pass `input_shape=`"
            " to its first layer."
        ) from None
    return branch


def merge(
    inputs: Sequence[Any], mode: str | Callable[..., Any] = "sum", *args: Any, **kwargs: Any
) -> Structure:
    """Merge several tensors: return `Merge(mode=mode)(inputs)`.

    Args:
        inputs: List of tensors.
        mode: As for `Merge`. Default: `"sum"`.
        *args, **kwargs: Further arguments of `Merge`.

    Example:
        >>> import jax.numpy as jnp
        >>> merge([jnp.ones((1, 2)), jnp.ones((1, 3))], mode="concat").shape
        (1, 5)
    """
    return _merge_arguments(mode, *args, **kwargs)(list(inputs))
