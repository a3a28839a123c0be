"""Layers that merge several inputs into one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam import errors, ops
from hornbeam.core.checks import check_axes
from hornbeam.layers.layer import Layer
from hornbeam.layers.state import label_of
from hornbeam.typing import Shape, Structure, Tensor

__all__ = [
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract", "add",
    "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract",
]  # fmt: skip


class _Merge(Layer):
    """Base of the merging layers: takes a list of tensors and broadcasts them together.

    The output's mask marks a step as padding if all inputs do.
    """

    _takes_sparse = True

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Sequence[Shape]) -> None:
        shapes = input_shape if isinstance(input_shape, (list, tuple)) else None
        if not shapes or not all(isinstance(s, (list, tuple)) for s in shapes):
            raise ValueError(
                f"{self._label()} merges a list of tensors, received one of shape {input_shape}."
            )
        self._check(shapes)

    def _check(self, shapes: Sequence[Shape]) -> None:
        ranks = {len(s) for s in shapes}
        if len(ranks) == 1:
            for axis in range(1, ranks.pop()):
                sizes = {s[axis] for s in shapes} - {None, 1}
                if len(sizes) > 1:
                    raise ValueError(
                        f"{self._label()}: inputs must have equal shapes (or size 1) on axis"
                        f" {axis}, received {[tuple(s) for s in shapes]}."
                    )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(f"{self._label()} merges a list of tensors.")
        rank = max(x.ndim for x in inputs)
        # Lower ranks get axes after the batch axis.
        inputs = [x.reshape(x.shape[:1] + (1,) * (rank - x.ndim) + x.shape[1:]) for x in inputs]
        return self._merge(inputs)

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        """Return the result for inputs of one rank."""
        raise NotImplementedError  # each layer implements it

    def compute_mask(self, inputs: Sequence[Tensor], mask: Structure = None) -> Tensor | None:
        _check_masks(self, inputs, mask)
        masks = [m for m in mask or [] if m is not None]
        if len(masks) < len(mask or []) or not masks:
            return None
        return functools.reduce(ops.logical_or, masks)


def _check_masks(layer: Layer, inputs: Any, masks: Any) -> None:
    """Raise `ValueError` unless `masks` is `None` or a list with one mask per input."""
    if masks is None:
        return
    if not isinstance(masks, (list, tuple)) or len(masks) != len(inputs):
        count = len(masks) if isinstance(masks, (list, tuple)) else errors.describe(masks)
        raise ValueError(
            f"{label_of(layer)}: the masks must be a list with one mask, or None, for each of the"
            f" {len(inputs)} inputs, received {count}."
        )


class _MaskedMerge(_Merge):
    """Base of the merging layers that ignore masked steps."""

    def call(self, inputs: Sequence[Tensor], mask: Sequence[Tensor | None] | None = None) -> Tensor:
        masks = list(mask or [])
        if all(m is None for m in masks):
            return super().call(inputs)
        rank = max(x.ndim for x in inputs)
        columns = [
            None if m is None else m.reshape(m.shape + (1,) * (rank - m.ndim)) for m in masks
        ]
        inputs = [x.reshape(x.shape[:1] + (1,) * (rank - x.ndim) + x.shape[1:]) for x in inputs]
        return self._merge_masked(inputs, columns)

    def _merge_masked(self, inputs: list[Tensor], masks: list[Tensor | None]) -> Tensor:
        result, counts = inputs[0], masks[0]
        for x, keep in zip(inputs[1:], masks[1:], strict=True):
            both = self._merge([result, x])
            both = both if counts is None else jnp.where(counts, both, x)
            result = both if keep is None else jnp.where(keep, both, result)
            counts = None if counts is None or keep is None else counts | keep
        return result


class Add(_Merge):
    """Adds its inputs element by element.

    Input: a list of tensors whose shapes broadcast. Output: the broadcast shape. As in Keras.

    Raises:
        ValueError: If the input is not a list of tensors, or the shapes do not broadcast.

    Example:
        >>> import hornbeam as hb
        >>> inputs = hb.Input((32,))
        >>> x = hb.layers.Dense(32, "relu")(inputs)
        >>> outputs = hb.layers.Add()([inputs, x])  # a residual connection
        >>> hb.Model(inputs, outputs).output_shape
        (None, 32)
    """

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return functools.reduce(ops.add, inputs)


class Subtract(_Merge):
    """Subtracts the second input from the first, element by element.

    Input: a list of two tensors whose shapes broadcast. Output: the broadcast shape. As in Keras.

    Raises:
        ValueError: If the input is not a list of two tensors, or the shapes do not broadcast.

    Example:
        >>> import hornbeam as hb
        >>> price, discount = hb.Input((1,)), hb.Input((1,))
        >>> model = hb.Model([price, discount], hb.layers.Subtract()([price, discount]))
        >>> model([hb.ops.array([[10.0]]), hb.ops.array([[3.0]])])
        Array([[7.]], dtype=float32)
    """

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        if len(inputs) != 2:
            raise ValueError(f"{self._label()}: expected 2 inputs, received {len(inputs)}.")
        return ops.subtract(*inputs)


class Multiply(_MaskedMerge):
    """Multiplies its inputs element by element.

    Masked steps count as 1. A step that is masked in all inputs gives 0.

    Input: a list of tensors whose shapes broadcast. Output: the broadcast shape. As in Keras.

    Raises:
        ValueError: If the input is not a list of tensors, or the shapes do not broadcast.

    Example:
        >>> import hornbeam as hb
        >>> inputs = hb.Input((32,))
        >>> gate = hb.layers.Dense(32, "sigmoid")(inputs)
        >>> outputs = hb.layers.Multiply()([inputs, gate])
        >>> hb.Model(inputs, outputs).output_shape
        (None, 32)
    """

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return functools.reduce(ops.multiply, inputs)

    def _merge_masked(self, inputs: list[Tensor], masks: list[Tensor | None]) -> Tensor:
        pairs = zip(inputs, masks, strict=True)
        result = self._merge([x if keep is None else jnp.where(keep, x, 1) for x, keep in pairs])
        kept = [keep for keep in masks if keep is not None]
        if len(kept) < len(masks):
            return result
        return jnp.where(functools.reduce(jnp.logical_or, kept), result, 0)


class Average(_Merge):
    """Averages its inputs element by element.

    Input: a list of tensors whose shapes broadcast. Output: the broadcast shape. As in Keras.

    Raises:
        ValueError: If the input is not a list of tensors, or the shapes do not broadcast.

    Example:
        >>> import hornbeam as hb
        >>> inputs = hb.Input((784,))
        >>> members = [hb.layers.Dense(10, "softmax")(inputs) for _ in range(3)]
        >>> ensemble = hb.Model(inputs, hb.layers.Average()(members))
        >>> ensemble.output_shape
        (None, 10)
    """

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return ops.divide(functools.reduce(ops.add, inputs), len(inputs))


class Maximum(_MaskedMerge):
    """Takes the element-wise maximum of its inputs and ignores masked steps.

    Input: a list of tensors whose shapes broadcast. Output: the broadcast shape. As in Keras.

    Raises:
        ValueError: If the input is not a list of tensors, or the shapes do not broadcast.

    Example:
        >>> import hornbeam as hb
        >>> today, yesterday = hb.ops.array([[1.0, 5.0]]), hb.ops.array([[3.0, 2.0]])
        >>> hb.layers.Maximum()([today, yesterday])
        Array([[3., 5.]], dtype=float32)
    """

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return functools.reduce(ops.maximum, inputs)


class Minimum(_MaskedMerge):
    """Takes the element-wise minimum of its inputs and ignores masked steps.

    Input: a list of tensors whose shapes broadcast. Output: the broadcast shape. As in Keras.

    Raises:
        ValueError: If the input is not a list of tensors, or the shapes do not broadcast.

    Example:
        >>> import hornbeam as hb
        >>> today, yesterday = hb.ops.array([[1.0, 5.0]]), hb.ops.array([[3.0, 2.0]])
        >>> hb.layers.Minimum()([today, yesterday])
        Array([[1., 2.]], dtype=float32)
    """

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return functools.reduce(ops.minimum, inputs)


class Concatenate(_Merge):
    """Concatenates its inputs along an axis.

    Args:
        axis: Axis to concatenate along. Default: -1, the last.

    Input: a list of tensors that have equal sizes on all axes except `axis`. Output: the same
    shape, with the sum of the sizes on `axis`. As in Keras.

    Raises:
        ValueError: If the input is not a list of tensors, or ranks or the sizes on other axes
            differ.

    Example:
        >>> import hornbeam as hb
        >>> age, words = hb.Input((1,)), hb.Input((20,))
        >>> text = hb.layers.Dense(8, "relu")(words)
        >>> hb.layers.Concatenate()([age, text]).shape
        (None, 9)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def _check(self, shapes: Sequence[Shape]) -> None:
        ranks = {len(s) for s in shapes}
        if len(ranks) > 1:
            raise ValueError(
                f"{self._label()}: inputs must have one rank, received shapes"
                f" {[tuple(s) for s in shapes]}."
            )
        rank = ranks.pop()
        (joined,) = check_axes(self._label(), self.axis, rank)
        for axis in range(rank):
            if axis != joined and len({s[axis] for s in shapes} - {None}) > 1:
                raise ValueError(
                    f"{self._label()}: inputs must have equal sizes on all axes but {self.axis},"
                    f" received {[tuple(s) for s in shapes]}."
                )

    def _merge(self, inputs: list[Tensor]) -> Tensor:
        return ops.concatenate(inputs, self.axis)

    def compute_mask(self, inputs: Sequence[Tensor], mask: Structure = None) -> Tensor | None:
        if not mask or all(m is None for m in mask):
            return None
        # The same ops as in Keras, because they decide the order of layers and weights in a graph.
        _check_masks(self, inputs, mask)
        rank = len(inputs[0].shape)
        kept = min(len(m.shape) for m in mask if m is not None)
        filled = []
        for x, own in zip(inputs, mask, strict=True):
            if own is None:
                filled.append(ops.ones_like(x, dtype="bool"))
                continue
            while len(own.shape) < rank:
                own = ops.expand_dims(own, -1)
            filled.append(ops.logical_or(own, ops.zeros_like(x, dtype="bool")))
        joined = ops.concatenate(filled, axis=self.axis)
        for _ in range(max(rank - kept, 1)):
            joined = ops.any(joined, axis=-1)
        return joined


class Dot(_Merge):
    """Multiplies two inputs and sums over one axis of each.

    Args:
        axes: Axis to sum over, or a pair with the axis of each input. Axis 0, the batch, is not
            allowed.
        normalize: Whether to scale both inputs to length 1 along the axis first; the result is
            then their cosine similarity. Default: False.

    Input: a list of two tensors, (B, ...) each, with equal sizes on the summed axes. Output: (B,
    other axes of the first, other axes of the second), or (B, 1) if there are none. As in Keras.

    Raises:
        ValueError: If `axes` is not an integer or a pair or does not fit the inputs, or the sizes
            on the summed axes differ.

    Example:
        >>> import hornbeam as hb
        >>> user, film = hb.Input((16,)), hb.Input((16,))
        >>> score = hb.layers.Dot(axes=1, normalize=True)([user, film])
        >>> hb.Model([user, film], score).output_shape
        (None, 1)
    """

    _takes_sparse = False

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(axes, int) and not (isinstance(axes, (list, tuple)) and len(axes) == 2):
            raise ValueError(f"Dot: `axes` must be an integer or a pair, received {axes!r}.")
        self.axes, self.normalize = axes, normalize

    def _check(self, shapes: Sequence[Shape]) -> None:
        if len(shapes) != 2:
            raise ValueError(f"{self._label()}: expected 2 inputs, received {len(shapes)}.")
        a, b = shapes
        i, j = self._summed(len(a), len(b))
        if a[i] != b[j] and None not in (a[i], b[j]):
            raise ValueError(
                f"{self._label()}: the summed axes must have equal sizes; axis {i} of the first"
                f" input, of shape {tuple(a)}, has {a[i]}, axis {j} of the second, of shape"
                f" {tuple(b)}, has {b[j]}. Change `axes`, now {self.axes}."
            )

    def _summed(self, left: int, right: int) -> tuple[int, int]:
        """Return the axis of each input to sum over, for inputs of ranks `left` and `right`."""
        i, j = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        for axis, rank in ((i, left), (j, right)):
            if not -rank <= axis < rank or axis % rank == 0:
                raise ValueError(
                    f"{self._label()}: `axes` must be axes of the inputs other than the batch's,"
                    f" received {self.axes} for inputs of ranks {left} and {right}."
                )
        return i % left, j % right

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        a, b = inputs
        i, j = self._summed(a.ndim, b.ndim)
        if self.normalize:
            a = a / jnp.sqrt(jnp.maximum(jnp.sum(a * a, axis=i, keepdims=True), 1e-12))
            b = b / jnp.sqrt(jnp.maximum(jnp.sum(b * b, axis=j, keepdims=True), 1e-12))
        letters = "abcdefghijklm"
        left = ["z", *letters[: a.ndim - 1]]
        right = ["z", *letters[a.ndim - 1 : a.ndim + b.ndim - 2]]
        left[i] = right[j] = "s"
        kept = [c for c in [*left[1:], *right[1:]] if c != "s"]
        out = jnp.einsum(f"{''.join(left)},{''.join(right)}->z{''.join(kept)}", a, b)
        return out[:, None] if out.ndim == 1 else out

    def compute_mask(self, inputs: Sequence[Tensor], mask: Structure = None) -> Tensor | None:
        return None


def add(inputs: Sequence[Tensor], **kwargs: Any) -> Tensor:
    """Return `Add()(inputs)`; `**kwargs` are arguments of `Add`."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Tensor], **kwargs: Any) -> Tensor:
    """Return `Subtract()(inputs)`; `**kwargs` are arguments of `Subtract`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Tensor], **kwargs: Any) -> Tensor:
    """Return `Multiply()(inputs)`; `**kwargs` are arguments of `Multiply`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Tensor], **kwargs: Any) -> Tensor:
    """Return `Average()(inputs)`; `**kwargs` are arguments of `Average`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Tensor], **kwargs: Any) -> Tensor:
    """Return `Maximum()(inputs)`; `**kwargs` are arguments of `Maximum`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Tensor], **kwargs: Any) -> Tensor:
    """Return `Minimum()(inputs)`; `**kwargs` are arguments of `Minimum`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Tensor], axis: int = -1, **kwargs: Any) -> Tensor:
    """Return `Concatenate(axis)(inputs)`; `**kwargs` are arguments of `Concatenate`."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Tensor], axes: int | Sequence[int] = -1, **kwargs: Any) -> Tensor:
    """Return `Dot(axes)(inputs)`; `**kwargs` are arguments of `Dot`."""
    return Dot(axes=axes, **kwargs)(inputs)
