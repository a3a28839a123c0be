"""`Merge` and `merge` of Keras 1. Keras 2 replaced them by a layer for each mode."""

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
    """Return today's layer for a mode of Keras 1.

    Raises:
        ValueError: If the mode is not known.
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
    """Return the axes of a product. Keras 1 also took `[[1], [2]]`."""
    return axes if isinstance(axes, int) else tuple(tree.flatten(axes))


class Merge(Layer):
    """Merges the results of several branches: the first layer of a stack with several inputs.

    Without branches, `Merge(mode=...)` returns one of today's merging layers, which is called with
    a list of tensors.

    Args:
        layers: The branches: models, or layers that know the shape of their input. The stack takes
            the inputs of all of them.
        mode: `"sum"`, `"mul"`, `"ave"`, `"max"`, `"concat"`, `"dot"`, `"cos"`, or a function of the
            list of results.
        concat_axis: Axis of `"concat"`.
        dot_axes: Axis or pair of axes of `"dot"` and `"cos"`.
        output_shape, output_mask, node_indices, tensor_indices: Ignored, because shapes are found
            by tracing. They are Keras 1's arguments.
        arguments: More arguments of the function, by name.
        name: Name.

    Raises:
        ValueError: If the mode is not known, or a branch has no known input.

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
        """Return symbolic inputs for all branches."""
        inputs = [x for branch in self._distinct() for x in branch.inputs]
        return [Input(batch_shape=x.shape, dtype=x.dtype) for x in inputs]

    def _distinct(self) -> list[Any]:
        """Return each branch once: a branch that is given twice gets the same inputs."""
        return list({id(branch): branch for branch in self.layers}.values())

    def call(self, inputs: Structure) -> Structure:
        given = iter(tree.flatten(inputs))
        results: dict[int, Any] = {}
        for branch in self._distinct():
            own = [next(given) for _ in branch.inputs]
            results[id(branch)] = branch(own if len(own) > 1 else own[0])
        return self.merging([results[id(branch)] for branch in self.layers])

    def compute_mask(self, inputs: Structure, previous_mask: Structure = None) -> Structure:
        return None  # the merging layer already passes on the masks of the results


def _merge_arguments(
    mode: Any = "sum", concat_axis: int = -1, dot_axes: Any = -1, output_shape: Any = None,
    output_mask: Any = None, arguments: Any = None, node_indices: Any = None,
    tensor_indices: Any = None, name: str | None = None,
) -> Layer:  # fmt: skip
    return _merging(mode, concat_axis, dot_axes, arguments, name)


def _branch(layer: Any) -> Any:
    """Return a branch as a model with known inputs.

    Raises:
        ValueError: If it is no layer, or if its inputs are not known.
    """
    if not isinstance(layer, Layer):
        raise ValueError(f"Merge: `layers` must be models or layers, received {layer!r}.")
    branch: Any = layer if isinstance(layer, models.Model) else models.Sequential([layer])
    try:
        branch.inputs  # noqa: B018  (the property raises if they are not known)
    except AttributeError:
        raise ValueError(
            f"Merge: the input shape of the branch '{layer.name}' is not known. Pass `input_shape=`"
            " to its first layer."
        ) from None
    return branch


def merge(
    inputs: Sequence[Any], mode: str | Callable[..., Any] = "sum", *args: Any, **kwargs: Any
) -> Structure:
    """Return the merge of several tensors: `Merge(mode=mode)(inputs)`.

    Args:
        inputs: List of tensors.
        mode: As for `Merge`, as are all further arguments.

    Example:
        >>> import jax.numpy as jnp
        >>> merge([jnp.ones((1, 2)), jnp.ones((1, 3))], mode="concat").shape
        (1, 5)
    """
    return _merge_arguments(mode, *args, **kwargs)(list(inputs))
