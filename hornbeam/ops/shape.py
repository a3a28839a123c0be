"""Shapes: reshaping, reordering, joining and splitting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.convert import convert
from hornbeam.core.loading import PART, pay_for
from hornbeam.core.op import op
from hornbeam.core.tracing import indivisible, is_unknown
from hornbeam.ops.lift import named
from hornbeam.typing import Axis, Tensor

__all__ = [
    "append", "array_split", "broadcast_to", "concatenate", "depth_to_space", "diff", "dsplit",
    "dstack", "expand_dims", "flip", "fliplr", "flipud", "hsplit", "hstack", "meshgrid", "moveaxis",
    "pad", "ravel", "rearrange", "repeat", "reshape", "roll", "rot90", "space_to_depth", "split",
    "squeeze", "stack", "swapaxes", "tile", "transpose", "unstack", "vsplit", "vstack",
]  # fmt: skip


@op("numpy")
def reshape(x: Tensor, newshape: int | Sequence[int | None]) -> Tensor:
    """Return the elements of `x` in another shape; one size may be -1, and follows from the others.

    Example:
        >>> reshape(jnp.zeros((2, 3)), (3, -1)).shape
        (3, 2)
    """
    if isinstance(newshape, int):
        newshape = (newshape,)
    # A size that is not known, as `shape(x)` of a symbolic tensor gives it, is worked out.
    x = convert(x)
    if sum(size in (None, -1) for size in newshape) > 1:  # a size of `x` that is not known
        newshape = [_size_at(x, axis) if n is None else n for axis, n in enumerate(newshape)]
    shape = [-1 if size is None else size for size in newshape]
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) == 1 and known > 1 and x.size % known:
        raise indivisible(
            f"reshape: `x` of shape {x.shape} has {x.size} elements, which are no multiple of the"
            f" {known} that `newshape` {tuple(newshape)} states. Change `newshape`.",
            known,
        )
    return jnp.reshape(x, shape)


def _size_at(x: Any, axis: int) -> int:
    """Return the size of `x` at an axis, which may be negative; -1 if there is none."""
    return x.shape[axis] if -x.ndim <= axis < x.ndim else -1


@op("numpy")
def concatenate(xs: Tensor, axis: int = 0) -> Tensor:
    """Join a list of tensors along an axis.

    Example:
        >>> concatenate([jnp.zeros((1, 2)), jnp.ones((1, 2))]).shape
        (2, 2)
    """
    return jnp.concatenate([convert(x) for x in xs], axis)


@op("numpy")
def stack(x: Tensor, axis: int = 0) -> Tensor:
    """Join a list of tensors of one shape along a new axis.

    Example:
        >>> stack([jnp.zeros(2), jnp.ones(2)]).shape
        (2, 2)
    """
    return jnp.stack([convert(item) for item in x], axis)


@op("numpy")
def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Reorder the axes; by default the order is reversed.

    Example:
        >>> transpose(jnp.zeros((2, 3))).shape
        (3, 2)
    """
    return jnp.transpose(convert(x), axes)


@op("numpy")
def expand_dims(x: Tensor, axis: int | Sequence[int]) -> Tensor:
    """Insert axes of size 1 at the positions `axis` of the result.

    Example:
        >>> expand_dims(jnp.zeros(2), 0).shape
        (1, 2)
    """
    return jnp.expand_dims(convert(x), tuple(axis) if isinstance(axis, list) else axis)


@op("numpy")
def squeeze(x: Tensor, axis: Axis = None) -> Tensor:
    """Remove axes of size 1: those in `axis`, by default all.

    Example:
        >>> squeeze(jnp.zeros((1, 2))).shape
        (2,)
    """
    return jnp.squeeze(convert(x), tuple(axis) if isinstance(axis, list) else axis)


@op("numpy")
def broadcast_to(x: Tensor, shape: Sequence[int | None]) -> Tensor:
    """Broadcast a tensor to a shape. A size of `None` is the size of `x` at this axis.

    Example:
        >>> broadcast_to(jnp.zeros(2), (3, 2)).shape
        (3, 2)
    """
    x = convert(x)
    sizes = [shape] if isinstance(shape, int) else shape
    aligned = [
        _size_at(x, axis) if size is None else size
        for axis, size in enumerate(sizes, start=-len(sizes))
    ]
    for axis, size in enumerate(aligned, start=-len(aligned)):
        if -axis <= x.ndim and is_unknown(x.shape[axis]) and size not in (1, x.shape[axis]):
            x = jax.lax.slice_in_dim(x, 0, 1, axis=axis % x.ndim)  # the size must be 1 or `size`
    return jnp.broadcast_to(x, aligned)


@op("numpy")
def tile(x: Tensor, repeats: int | Sequence[int]) -> Tensor:
    """Repeat the whole tensor `repeats` times, one number or one per axis.

    Example:
        >>> tile(jnp.array([1, 2]), 2)
        Array([1, 2, 1, 2], dtype=int32)
    """
    return jnp.tile(convert(x), repeats)


@op("numpy")
def repeat(x: Tensor, repeats: Any, axis: int | None = None) -> Tensor:
    """Repeat slices along `axis`; `repeats` is one number or one per slice.

    If `axis` is `None`, the tensor is flattened first.

    Example:
        >>> repeat(jnp.array([1, 2]), 2)
        Array([1, 1, 2, 2], dtype=int32)
    """
    x, counts = convert(x), repeats
    if isinstance(repeats, (list, tuple)):
        counts = np.asarray(repeats)
        if axis is not None and len(counts) > 1 and is_unknown(x.shape[axis]):
            x = jnp.take(x, jnp.arange(len(counts)), axis)  # one slice per number
    return jnp.repeat(x, counts, axis)


@op("numpy")
def flip(x: Tensor, axis: Axis = None) -> Tensor:
    """Reverse the order along `axis` (an axis, several, or `None` for all).

    Example:
        >>> flip(jnp.array([1, 2]))
        Array([2, 1], dtype=int32)
    """
    return jnp.flip(convert(x), axis)


@op("numpy")
def swapaxes(x: Tensor, axis1: int, axis2: int) -> Tensor:
    """Exchange two axes.

    Example:
        >>> swapaxes(jnp.zeros((2, 3)), 0, 1).shape
        (3, 2)
    """
    return jnp.swapaxes(convert(x), axis1, axis2)


@op("numpy")
def moveaxis(x: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Move the axes `source` to the positions `destination`.

    Example:
        >>> moveaxis(jnp.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    return jnp.moveaxis(convert(x), source, destination)


@op("numpy")
def ravel(x: Tensor) -> Tensor:
    """Flatten a tensor to one axis.

    Example:
        >>> ravel(jnp.zeros((2, 3))).shape
        (6,)
    """
    return jnp.ravel(convert(x))


@op("numpy")
def roll(x: Tensor, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """Shift elements along axes; elements that pass the end reappear at the start.

    If `axis` is `None`, the flattened tensor is shifted.

    Example:
        >>> roll(jnp.array([1, 2, 3]), 1)
        Array([3, 1, 2], dtype=int32)
    """
    return jnp.roll(convert(x), shift, axis)


@op("numpy")
def rot90(array: Tensor, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Rotate by `k` times 90 degrees in the plane of two axes, from the first towards the second.

    Example:
        >>> rot90(jnp.array([[1, 2]])).tolist()
        [[2], [1]]
    """
    first, second = axes
    return jnp.rot90(convert(array), k, (first, second))


@op("numpy")
def fliplr(x: Tensor) -> Tensor:
    """Reverse the order along axis 1.

    Example:
        >>> fliplr(jnp.array([[1, 2]]))
        Array([[2, 1]], dtype=int32)
    """
    return jnp.fliplr(convert(x))


@op("numpy")
def flipud(x: Tensor) -> Tensor:
    """Reverse the order along axis 0.

    Example:
        >>> flipud(jnp.array([1, 2]))
        Array([2, 1], dtype=int32)
    """
    return jnp.flipud(convert(x))


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """Pad a tensor before and after, along each axis.

    Args:
        x: Tensor.
        pad_width: Pair (before, after) for each axis, or one pair or number for all.
        mode: `"constant"`, `"reflect"`, `"symmetric"`, `"edge"`, `"wrap"`...
        constant_values: Value for mode `"constant"`. Default: 0.

    Raises:
        ValueError: If `constant_values` is given with another mode.

    Example:
        >>> pad(jnp.array([1]), (1, 1))
        Array([0, 1, 0], dtype=int32)
    """
    if constant_values is not None and mode != "constant":
        raise ValueError(
            f"pad: `constant_values` is only used by mode 'constant', received mode {mode!r}."
        )
    return _pad(x, constant_values=constant_values, pad_width=pad_width, mode=mode)


@op("numpy", "Pad")
def _pad(
    x: Tensor, constant_values: Tensor = None, pad_width: Any = 0, mode: str = "constant"
) -> Tensor:
    settings = {} if constant_values is None else {"constant_values": constant_values}
    return jnp.pad(convert(x), pad_width, mode, **settings)


def _sections(indices_or_sections: Any) -> Any:
    if isinstance(indices_or_sections, int):
        pay_for("split: `indices_or_sections`", indices_or_sections * PART)
    return (
        list(indices_or_sections) if isinstance(indices_or_sections, tuple) else indices_or_sections
    )


@op("numpy")
def split(x: Tensor, indices_or_sections: int | Sequence[int], axis: int = 0) -> Tensor:
    """Split a tensor along an axis.

    Args:
        x: Tensor.
        indices_or_sections: Number of equal parts, or the indices at which parts begin.
        axis: Axis.

    Returns:
        A list of tensors.

    Example:
        >>> [part.tolist() for part in split(jnp.arange(4), 2)]
        [[0, 1], [2, 3]]
    """
    x, sections = convert(x), _sections(indices_or_sections)
    if isinstance(sections, int) and sections > 0 and x.shape[axis] % sections:
        raise indivisible(
            f"split: axis {axis} of `x` of shape {x.shape} does not divide into {sections} equal"
            " parts. Use `array_split`, or indices.",
            sections,
        )
    return jnp.split(x, sections, axis)


@op("numpy")
def array_split(x: Tensor, indices_or_sections: int | Sequence[int], axis: int = 0) -> Tensor:
    """Split a tensor like `split`, into parts whose sizes differ by at most one.

    Example:
        >>> [part.tolist() for part in array_split(jnp.arange(3), 2)]
        [[0, 1], [2]]
    """
    return jnp.array_split(convert(x), _sections(indices_or_sections), axis)


def _split_along(name: str, function: Callable[..., Any], axis: int) -> Any:
    def lifted(x: Tensor, indices_or_sections: Any) -> Tensor:
        return function(convert(x), _sections(indices_or_sections))

    sample = [[[1.0]]]
    named(
        lifted,
        name,
        __name__,
        f"Split along axis {axis}; arguments as for `split`.",
        f"{name}({sample}, 1)[0]",
        sample,
    )
    return op("numpy")(lifted)


hsplit = _split_along("hsplit", jnp.hsplit, 1)
vsplit = _split_along("vsplit", jnp.vsplit, 0)
dsplit = _split_along("dsplit", jnp.dsplit, 2)


def _join_along(name: str, function: Callable[..., Any], axis: int, result: Any) -> Any:
    def lifted(xs: Tensor) -> Tensor:
        return function([convert(x) for x in xs])

    doc = f"Join a list of tensors along axis {axis}; tensors with fewer axes get some of size 1."
    named(lifted, name, __name__, doc, f"{name}([[1.0], [2.0]])", result)
    return op("numpy")(lifted)


hstack = _join_along("hstack", jnp.hstack, 1, [1.0, 2.0])
vstack = _join_along("vstack", jnp.vstack, 0, [[1.0], [2.0]])
dstack = _join_along("dstack", jnp.dstack, 2, [[[1.0, 2.0]]])


@op("numpy")
def append(x1: Tensor, x2: Tensor, axis: int | None = None) -> Tensor:
    """Join two tensors along an axis; `None` flattens both first.

    Example:
        >>> append(jnp.array([1]), jnp.array([2]))
        Array([1, 2], dtype=int32)
    """
    return jnp.append(convert(x1), convert(x2), axis)


@op("core")
def unstack(x: Tensor, num: int | None = None, axis: int = 0) -> Tensor:
    """Return the list of slices along an axis.

    Args:
        x: Tensor.
        num: Number of slices. Default: the size of the axis.
        axis: Axis.

    Example:
        >>> [part.tolist() for part in unstack(jnp.array([[1], [2]]))]
        [[1], [2]]
    """
    x = convert(x)
    count = x.shape[axis] if num is None else num
    pay_for("unstack: `num`", count * PART)
    return [jax.lax.index_in_dim(x, i, axis % x.ndim, keepdims=False) for i in range(count)]


@op("numpy")
def meshgrid(*x: Tensor, indexing: str = "xy") -> Tensor:
    """Return the coordinates of the points of a grid.

    Args:
        *x: Vectors, the coordinates along each axis.
        indexing: Order of the axes: `"ij"`, that of the vectors, or `"xy"`, with the first two
            exchanged.

    Returns:
        A list of tensors, one for each vector.

    Example:
        >>> [c.tolist() for c in meshgrid(jnp.array([1, 2]), jnp.array([3]))]
        [[[1, 2]], [[3, 3]]]
    """
    return jnp.meshgrid(*[convert(v) for v in x], indexing=indexing)


@op("numpy")
def diff(a: Tensor, n: int = 1, axis: int = -1) -> Tensor:
    """Return the differences of neighbouring elements along `axis`, taken `n` times.

    Example:
        >>> diff(jnp.array([1, 3, 6]))
        Array([2, 3], dtype=int32)
    """
    a = convert(a)
    n = min(n, a.shape[axis])  # the result is empty from there on
    pay_for("diff: `n`", n * PART)
    return jnp.diff(a, n, axis)


@op("nn")
def depth_to_space(x: Tensor, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Rearrange channels into blocks of pixels: (B, H, W, C*b*b) -> (B, H*b, W*b, C).

    Here b is `block_size`.

    Example:
        >>> depth_to_space(jnp.zeros((1, 1, 1, 4)), 2).shape
        (1, 2, 2, 1)
    """
    x, b = convert(x), block_size
    x = jnp.moveaxis(x, 1, -1) if data_format == "channels_first" else x
    B, H, W, C = x.shape
    if data_format == "channels_first":
        y = x.reshape(B, H, W, C // (b * b), b, b).transpose(0, 1, 4, 2, 5, 3)
    else:
        y = x.reshape(B, H, W, b, b, C // (b * b)).transpose(0, 1, 3, 2, 4, 5)
    y = y.reshape(B, H * b, W * b, C // (b * b))
    return jnp.moveaxis(y, -1, 1) if data_format == "channels_first" else y


@op("nn")
def space_to_depth(x: Tensor, block_size: int, data_format: str = "channels_last") -> Tensor:
    """Rearrange blocks of pixels into channels: the inverse of `depth_to_space`.

    Example:
        >>> space_to_depth(jnp.zeros((1, 2, 2, 1)), 2).shape
        (1, 1, 1, 4)
    """
    x, b = convert(x), block_size
    x = jnp.moveaxis(x, 1, -1) if data_format == "channels_first" else x
    B, H, W, C = x.shape
    if b > 0 and (H % b or W % b):
        raise indivisible(
            f"space_to_depth: height {H} and width {W} must be multiples of `block_size` {b}. Pad"
            " or crop first.",
            b,
        )
    blocks = x.reshape(B, H // b, b, W // b, b, C)
    order = (0, 1, 3, 5, 2, 4) if data_format == "channels_first" else (0, 1, 3, 2, 4, 5)
    y = blocks.transpose(order).reshape(B, H // b, W // b, C * b * b)
    return jnp.moveaxis(y, -1, 1) if data_format == "channels_first" else y


@op("einops")
def rearrange(tensor: Tensor, pattern: Tensor, **axes_lengths: Tensor) -> Tensor:
    """Reorder, split and join axes by a pattern of names, in the notation of einops.

    Args:
        tensor: Tensor.
        pattern: Names of the axes before and after, such as `"b (h w) c -> b h w c"`.
        **axes_lengths: Sizes of the axes inside parentheses; one of each group may be left out.

    Raises:
        ValueError: If the two sides name different axes, or a size does not fit.

    Example:
        >>> rearrange(jnp.zeros((2, 6)), "b (h w) -> b h w", h=2).shape
        (2, 2, 3)
    """
    x = convert(tensor)
    left, right = (_groups(side) for side in pattern.split("->"))
    if len(left) != x.ndim:
        raise ValueError(
            f"rearrange: {pattern!r} names {len(left)} axes, the tensor has shape {x.shape}."
        )
    sizes: dict[str, int] = dict(axes_lengths)
    for group, size in zip(left, x.shape, strict=True):
        unknown = [name for name in group if name not in sizes]
        known = math.prod(sizes[name] for name in group if name in sizes)
        if len(unknown) > 1 or size % known:
            raise ValueError(
                f"rearrange: cannot split an axis of size {size} into {group} with {axes_lengths}."
            )
        for name in unknown:
            sizes[name] = size // known
    names, wanted = [n for g in left for n in g], [n for g in right for n in g]
    if sorted(names) != sorted(wanted):
        raise ValueError(f"rearrange: the two sides of {pattern!r} must name the same axes.")
    split_up = x.reshape([sizes[n] for n in names]).transpose([names.index(n) for n in wanted])
    return split_up.reshape([math.prod(sizes[n] for n in group) for group in right])


def _groups(side: str) -> list[list[str]]:
    """Return the names of each axis on one side of a pattern."""
    groups: list[list[str]] = []
    inside = False
    for word in side.replace("(", " ( ").replace(")", " ) ").split():
        if word == "(":
            groups.append([])
            inside = True
        elif word == ")":
            inside = False
        elif inside:
            groups[-1].append(word)
        else:
            groups.append([] if word == "1" else [word])
    return groups
