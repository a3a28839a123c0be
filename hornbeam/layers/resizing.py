"""Layers that widen or cut the spatial axes: padding, cropping, up-sampling."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.tracing import is_unknown, too_small
from hornbeam.layers.arguments import choice, sizes, variant
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.settings import standardize_data_format

__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D",
    "ZeroPadding2D", "ZeroPadding3D",
]  # fmt: skip


def _pairs(layer: str, name: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """Return (before, after) for each axis, from one number, one an axis, or a pair an axis."""
    items = (value,) * rank if isinstance(value, int) else tuple(value) if hasattr(value, "__iter__") else ()
    if rank == 1 and len(items) == 2 and all(isinstance(n, int) for n in items):
        items = (items,)
    pairs = tuple((n, n) if isinstance(n, int) else tuple(n) if hasattr(n, "__iter__") else () for n in items)
    numbers = [n for pair in pairs for n in pair]
    fit = len(pairs) == rank and all(len(pair) == 2 for pair in pairs)
    if not fit or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
        raise ValueError(
            f"{layer}: `{name}` must be a non-negative integer, or one or a pair (before, after) for each of "
            f"{rank} axes, received {value!r}."
        )
    return pairs  # type: ignore[return-value]


class _Spatial(Layer):
    """Base: knows where the spatial axes are."""

    _rank = 2
    _any_format = True  # whether the layer has an argument `data_format`

    def __init__(self, data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self.built = True

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
        padding: Zeros before and after each axis: an integer, one an axis, or a pair an axis.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Raises:
        ValueError: If `padding` does not fit the axes, or is negative.
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        if self._rank == 2 and isinstance(padding, (list, tuple)) and len(padding) == 4:
            padding = (padding[:2], padding[2:])  # top, bottom, left, right: a form of Keras 1
        pairs = _pairs(type(self).__name__, "padding", padding, self._rank)
        self.padding: Any = pairs[0] if self._rank == 1 else pairs

    def call(self, inputs: Any) -> Any:
        pads = [(0, 0)] * inputs.ndim
        for axis, pair in zip(self._axes(), (self.padding,) if self._rank == 1 else self.padding, strict=True):
            pads[axis] = pair
        return jnp.pad(inputs, pads)


class _Cropping(_Spatial):
    """The inner part of the spatial axes.

    Args:
        cropping: Elements cut before and after each axis: an integer, one an axis, or a pair an axis.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Raises:
        ValueError: If `cropping` does not fit the axes, is negative, or leaves nothing.
    """

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        pairs = _pairs(type(self).__name__, "cropping", cropping, self._rank)
        self.cropping: Any = pairs[0] if self._rank == 1 else pairs

    def call(self, inputs: Any) -> Any:
        cut = [slice(None)] * inputs.ndim
        for axis, pair in zip(self._axes(), (self.cropping,) if self._rank == 1 else self.cropping, strict=True):
            if inputs.shape[axis] <= sum(pair) and not is_unknown(inputs.shape[axis]):
                raise too_small(
                    f"{self._label()}: `cropping` {self.cropping} leaves nothing of axis {axis} of the input "
                    f"{inputs.shape}. Crop less."
                )
            cut[axis] = slice(pair[0], inputs.shape[axis] - pair[1])
        return inputs[tuple(cut)]


class _UpSampling(_Spatial):
    """Each element of the spatial axes repeated.

    Args:
        size: Number of repetitions: an integer, or one an axis.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Raises:
        ValueError: If `size` is not positive.
    """

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.size: Any = sizes(type(self).__name__, "size", size, self._rank)

    def call(self, inputs: Any) -> Any:
        for axis, count in zip(self._axes(), (self.size,) if self._rank == 1 else self.size, strict=True):
            inputs = jnp.repeat(inputs, count, axis)
        return inputs


@variant(1, "2", (1, 3, 1), (1, 7, 1))
class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after sequences (B, T, C)."""


@variant(2, "((1, 0), (2, 2))", (1, 3, 3, 1), (1, 4, 7, 1))
class ZeroPadding2D(_ZeroPadding):
    """Zeros around images (B, H, W, C)."""


@variant(3, "1", (1, 3, 3, 3, 1), (1, 5, 5, 5, 1))
class ZeroPadding3D(_ZeroPadding):
    """Zeros around volumes (B, D, H, W, C)."""


class Cropping1D(_Cropping):
    """The inner steps of sequences (B, T, C).

    Args:
        cropping: Steps cut before and after: an integer, or a pair.

    Raises:
        ValueError: If `cropping` is negative, no pair, or leaves nothing.

    Example:
        >>> Cropping1D((1, 2))(jnp.ones((1, 5, 1))).shape
        (1, 2, 1)
    """

    _rank, _any_format = 1, False

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        super().__init__(cropping, "channels_last", **kwargs)


@variant(2, "((1, 0), (2, 2))", (1, 5, 5, 1), (1, 4, 1, 1))
class Cropping2D(_Cropping):
    """The inner pixels of images (B, H, W, C)."""

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any):
        super().__init__(cropping, data_format, **kwargs)


@variant(3, "1", (1, 3, 4, 5, 1), (1, 1, 2, 3, 1))
class Cropping3D(_Cropping):
    """The inner points of volumes (B, D, H, W, C)."""


class UpSampling1D(_UpSampling):
    """Each step of sequences (B, T, C) repeated.

    Args:
        size: Number of repetitions.

    Raises:
        ValueError: If `size` is not positive.

    Example:
        >>> UpSampling1D(2)(jnp.ones((1, 3, 1))).shape
        (1, 6, 1)
    """

    _rank, _any_format = 1, False

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(size, "channels_last", **kwargs)
        (self.size,) = self.size


# Names of the interpolations, and what `jax.image.resize` calls them.
_METHODS = {
    "nearest": "nearest",
    "bilinear": "linear",
    "bicubic": "cubic",
    "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
}


class UpSampling2D(_UpSampling):
    """Images (B, H, W, C) enlarged, by repeated or interpolated pixels.

    Args:
        size: How many times higher and wider: an integer, or two.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> UpSampling2D(2, interpolation="bilinear")(jnp.ones((1, 3, 3, 1))).shape
        (1, 6, 6, 1)
    """

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ):
        super().__init__(size, data_format, **kwargs)
        self.interpolation = choice("UpSampling2D", "interpolation", interpolation, tuple(_METHODS))

    def call(self, inputs: Any) -> Any:
        if self.interpolation == "nearest":
            return super().call(inputs)
        shape = list(inputs.shape)
        for axis, count in zip(self._axes(), self.size, strict=True):
            shape[axis] *= count
        return jax.image.resize(inputs, shape, _METHODS[self.interpolation], antialias=False)


@variant(3, "(1, 2, 2)", (1, 3, 3, 3, 1), (1, 3, 6, 6, 1))
class UpSampling3D(_UpSampling):
    """Each point of volumes (B, D, H, W, C) repeated."""
