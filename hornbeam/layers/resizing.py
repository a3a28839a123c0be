"""Layers that resize the spatial axes: padding, cropping and upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.tracing import is_unknown, too_small
from hornbeam.layers.arguments import choice, sizes, variant
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Structure

__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D", "UpSampling2D", "UpSampling3D",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
]  # fmt: skip


def _pairs(layer: str, name: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """Return a pair (before, after) per axis from one integer, one per axis, or a pair per axis."""
    items = (
        (value,) * rank
        if isinstance(value, int)
        else tuple(value)
        if hasattr(value, "__iter__")
        else ()
    )
    if rank == 1 and len(items) == 2 and all(isinstance(n, int) for n in items):
        items = (items,)
    pairs = tuple(
        (n, n) if isinstance(n, int) else tuple(n) if hasattr(n, "__iter__") else () for n in items
    )
    numbers = [n for pair in pairs for n in pair]
    fit = len(pairs) == rank and all(len(pair) == 2 for pair in pairs)
    if not fit or not all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers
    ):
        raise ValueError(
            f"{layer}: `{name}` must be a non-negative integer, or one or a pair (before, after)"
            f" for each of {rank} axes, received {value!r}."
        )
    return pairs  # type: ignore[return-value]


class _Spatial(Layer):
    """Base of the layers that change spatial axes."""

    _rank = 2
    _any_format = True  # whether the layer has an argument `data_format`

    def __init__(self, data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self.built = not self._has_own_build()

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if not self._any_format:
            del config["data_format"]
        return config

    def _axes(self) -> range:
        start = 1 if self.data_format == "channels_last" else 2
        return range(start, start + self._rank)


class _ZeroPadding(_Spatial):
    """Zeros around the spatial axes.

    Args:
        padding: Number of zeros before and after each spatial axis: one integer, one per axis, or a
            pair (before, after) per axis. Default: 1.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input: (B, *sizes, C). Output: (B, *new sizes, C), each new size `before + size + after`. With
    `"channels_first"`, C follows B in input and output. As in Keras.

    Raises:
        ValueError: If `padding` does not fit the axes or is negative, or `data_format` is unknown.
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        if self._rank == 2 and isinstance(padding, (list, tuple)) and len(padding) == 4:
            padding = (padding[:2], padding[2:])  # Keras 1: top, bottom, left, right
        pairs = _pairs(type(self).__name__, "padding", padding, self._rank)
        self.padding: Any = pairs[0] if self._rank == 1 else pairs

    def call(self, inputs: Structure) -> Structure:
        pads = [(0, 0)] * inputs.ndim
        for axis, pair in zip(
            self._axes(), (self.padding,) if self._rank == 1 else self.padding, strict=True
        ):
            pads[axis] = pair
        return jnp.pad(inputs, pads)


class _Cropping(_Spatial):
    """The inner part of the spatial axes.

    Args:
        cropping: Number of elements to cut at the start and end of each spatial axis: one integer,
            one per axis, or a pair (before, after) per axis. Default: 1 in 3D, 0 in 2D.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input: (B, *sizes, C). Output: (B, *new sizes, C), each new size `size - before - after`. With
    `"channels_first"`, C follows B in input and output. As in Keras.

    Raises:
        ValueError: If `cropping` does not fit the axes, is negative or leaves no elements, or
            `data_format` is unknown.
    """

    def __init__(
        self, cropping: int | Sequence[Any] = 1, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(data_format, **kwargs)
        pairs = _pairs(type(self).__name__, "cropping", cropping, self._rank)
        self.cropping: Any = pairs[0] if self._rank == 1 else pairs

    def call(self, inputs: Structure) -> Structure:
        cut = [slice(None)] * inputs.ndim
        for axis, pair in zip(
            self._axes(), (self.cropping,) if self._rank == 1 else self.cropping, strict=True
        ):
            if inputs.shape[axis] <= sum(pair) and not is_unknown(inputs.shape[axis]):
                raise too_small(
                    f"{self._label()}: `cropping` {self.cropping} leaves nothing of axis {axis} of"
                    f" the input {inputs.shape}. Crop less."
                )
            cut[axis] = slice(pair[0], inputs.shape[axis] - pair[1])
        return inputs[tuple(cut)]


class _UpSampling(_Spatial):
    """Each element of the spatial axes repeated.

    Args:
        size: Number of repetitions: one integer, or one per axis. Default: 2.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input: (B, *sizes, C). Output: (B, *new sizes, C), each axis `size` times as long. With
    `"channels_first"`, C follows B in input and output. As in Keras.

    Raises:
        ValueError: If `size` is not a positive integer or one per axis, or `data_format` is
            unknown.
    """

    def __init__(
        self, size: int | Sequence[int] = 2, data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(data_format, **kwargs)
        self.size: Any = sizes(type(self).__name__, "size", size, self._rank)

    def call(self, inputs: Structure) -> Structure:
        for axis, count in zip(
            self._axes(), (self.size,) if self._rank == 1 else self.size, strict=True
        ):
            inputs = jnp.repeat(inputs, count, axis)
        return inputs


@variant(1, "(2, 0)", (8, 100, 3), (8, 102, 3))
class ZeroPadding1D(_ZeroPadding):
    """Adds zeros before and after sequences (B, T, C)."""


@variant(2, "((1, 0), (2, 2))", (8, 28, 28, 3), (8, 29, 32, 3))
class ZeroPadding2D(_ZeroPadding):
    """Adds zeros around images (B, H, W, C)."""


@variant(3, "1", (1, 8, 16, 16, 3), (1, 10, 18, 18, 3))
class ZeroPadding3D(_ZeroPadding):
    """Adds zeros around volumes (B, D, H, W, C)."""


class Cropping1D(_Cropping):
    """Cuts steps from the start and the end of sequences.

    Args:
        cropping: Number of steps to cut: one integer for both ends, or a pair (before, after).
            Default: (1, 1).

    Input: (B, T, C). Output: (B, T - before - after, C). As in Keras.

    Raises:
        ValueError: If `cropping` is negative, has more than two items, or leaves no steps.

    Example:
        >>> import hornbeam as hb
        >>> prices = hb.ops.ones((8, 100, 3))
        >>> hb.layers.Cropping1D((10, 0))(prices).shape
        (8, 90, 3)
    """

    _rank, _any_format = 1, False

    def __init__(self, cropping: int | Sequence[Any] = (1, 1), **kwargs: Any):
        super().__init__(cropping, "channels_last", **kwargs)


@variant(2, "((1, 0), (2, 2))", (8, 28, 28, 3), (8, 27, 24, 3))
class Cropping2D(_Cropping):
    """Cuts pixels from the edges of images (B, H, W, C)."""

    def __init__(
        self,
        cropping: int | Sequence[Any] = ((0, 0), (0, 0)),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(cropping, data_format, **kwargs)


@variant(3, "(1, 2, 2)", (1, 8, 16, 16, 3), (1, 6, 12, 12, 3))
class Cropping3D(_Cropping):
    """Cuts points from the faces of volumes (B, D, H, W, C)."""


class UpSampling1D(_UpSampling):
    """Repeats each step of sequences.

    Args:
        size: Number of repetitions, positive. Default: 2.

    Input: (B, T, C). Output: (B, size * T, C). As in Keras.

    Raises:
        ValueError: If `size` is not a positive integer.

    Example:
        >>> import hornbeam as hb
        >>> hourly = hb.ops.ones((8, 24, 3))
        >>> hb.layers.UpSampling1D(4)(hourly).shape
        (8, 96, 3)
    """

    _rank, _any_format = 1, False

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(size, "channels_last", **kwargs)
        (self.size,) = self.size


# Keras's names of the interpolations, and the names that `jax.image.resize` uses.
_METHODS = {
    "nearest": "nearest",
    "bilinear": "linear",
    "bicubic": "cubic",
    "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
}


class UpSampling2D(_UpSampling):
    """Enlarges images by repeating or interpolating pixels.

    Args:
        size: Factors of height and width: one integer, or two. Default: (2, 2).
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        interpolation: `"nearest"` (default) repeats pixels; `"bilinear"`, `"bicubic"`, `"lanczos3"`
            and `"lanczos5"` interpolate.

    Input: (B, H, W, C). Output: (B, size[0] * H, size[1] * W, C). With `"channels_first"`, C
    follows B in input and output. As in Keras.

    Raises:
        ValueError: If `size` is not positive, or `data_format` or `interpolation` is unknown.

    Example:
        >>> import hornbeam as hb
        >>> generator = hb.Sequential([
        ...     hb.Input((7, 7, 32)), hb.layers.UpSampling2D(2, interpolation="bilinear"),
        ...     hb.layers.Conv2D(16, 3, padding="same"),
        ... ])
        >>> generator.output_shape
        (None, 14, 14, 16)
    """

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(size, data_format, **kwargs)
        self.interpolation = choice("UpSampling2D", "interpolation", interpolation, tuple(_METHODS))

    def call(self, inputs: Structure) -> Structure:
        if self.interpolation == "nearest":
            return super().call(inputs)
        shape = list(inputs.shape)
        for axis, count in zip(self._axes(), self.size, strict=True):
            shape[axis] *= count
        return jax.image.resize(inputs, shape, _METHODS[self.interpolation], antialias=False)


@variant(3, "(1, 2, 2)", (1, 8, 16, 16, 3), (1, 8, 32, 32, 3))
class UpSampling3D(_UpSampling):
    """Repeats each point of volumes (B, D, H, W, C)."""
