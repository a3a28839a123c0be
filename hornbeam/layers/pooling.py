"""Maximum and average pooling of windows and of whole axes, in 1, 2 and 3 dimensions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import ops
from hornbeam.layers.arguments import choice, keep, sizes, variant
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.settings import standardize_data_format
from hornbeam.typing import Structure

__all__ = [
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "AveragePooling1D",
    "AveragePooling2D", "AveragePooling3D", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
]  # fmt: skip


class _Pooling(Layer):
    """Pooling of windows of one size.

    Args:
        pool_size: Size of the window: one integer, or one per spatial axis. Default: 2.
        strides: Step of the window: one integer, or one per spatial axis. Default: `pool_size`, so
            windows do not overlap.
        padding: `"valid"` drops windows that extend past the edge; `"same"` keeps them, and
            elements past the edge do not count. Default: `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input: (B, *sizes, C). Output: (B, *new sizes, C), each new size `(size - pool_size) // strides
    + 1` for `"valid"`, `ceil(size / strides)` for `"same"`. With `"channels_first"`, C follows B in
    input and output. As in Keras.

    Raises:
        ValueError: If an argument is out of range, the input has the wrong number of axes, or the
            window is larger than the input.
    """

    _rank = 2
    _op: Any = None

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid",
        data_format: str | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        label, rank = type(self).__name__, self._rank
        self.pool_size = sizes(label, "pool_size", pool_size, rank)
        self.strides = self.pool_size if strides is None else sizes(label, "strides", strides, rank)
        self.padding = choice(label, "padding", padding, ("valid", "same"))
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)
        self.built = not self._has_own_build()

    def call(self, inputs: Structure) -> Structure:
        return type(self)._op(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class _MaxPooling(_Pooling):
    __doc__ = _Pooling.__doc__
    _op = staticmethod(ops.max_pool)


class _AveragePooling(_Pooling):
    __doc__ = _Pooling.__doc__
    _op = staticmethod(ops.average_pool)


class _AdaptivePooling(Layer):
    """Pooling into a given number of windows.

    Args:
        output_size: Number of windows: one integer, or one per spatial axis. They divide the axis
            as evenly as possible.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Input: (B, *sizes, C). Output: (B, *output_size, C). With `"channels_first"`, C follows B in
    input and output. As in Keras.

    Raises:
        ValueError: If an argument is out of range, or the input has the wrong number of axes.
    """

    _rank = 2
    _op: Any = None

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.output_size = sizes(type(self).__name__, "output_size", output_size, self._rank)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self.built = not self._has_own_build()

    def call(self, inputs: Structure) -> Structure:
        return type(self)._op(inputs, self.output_size, self.data_format)


class _AdaptiveMaxPooling(_AdaptivePooling):
    __doc__ = _AdaptivePooling.__doc__
    _op = staticmethod(ops.adaptive_max_pool)


class _AdaptiveAveragePooling(_AdaptivePooling):
    __doc__ = _AdaptivePooling.__doc__
    _op = staticmethod(ops.adaptive_average_pool)


class _GlobalPooling(Layer):
    """Pooling of whole axes.

    Args:
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.
        keepdims: Whether to keep the spatial axes with size 1. Default: False.

    Input: (B, *sizes, C). Output: (B, C), or (B, 1, ..., C) with `keepdims`. With
    `"channels_first"`, C follows B in input and output. As in Keras.

    Raises:
        ValueError: If `data_format` is unknown, or the input has the wrong number of axes.
    """

    _rank = 2
    _op: Any = None
    data_format: str
    keepdims: bool

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        keep(self, {"keepdims": keepdims, "data_format": standardize_data_format(data_format)})
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self.built = not self._has_own_build()

    def _axes(self) -> tuple[int, ...]:
        start = 1 if self.data_format == "channels_last" else 2
        return tuple(range(start, start + self._rank))

    def call(self, inputs: Structure) -> Structure:
        return type(self)._op(inputs, axis=self._axes(), keepdims=self.keepdims)


class _GlobalMaxPooling(_GlobalPooling):
    __doc__ = _GlobalPooling.__doc__
    _op = staticmethod(jnp.max)


class _GlobalAveragePooling(_GlobalPooling):
    __doc__ = _GlobalPooling.__doc__
    _op = staticmethod(jnp.mean)


@variant(1, "2", (8, 100, 16), (8, 50, 16))
class MaxPooling1D(_MaxPooling):
    """Takes the maximum of each window of steps of sequences (B, T, C)."""


@variant(2, "2", (8, 28, 28, 16), (8, 14, 14, 16))
class MaxPooling2D(_MaxPooling):
    """Takes the maximum of each window of pixels of images (B, H, W, C)."""


@variant(3, "2", (1, 16, 16, 16, 4), (1, 8, 8, 8, 4))
class MaxPooling3D(_MaxPooling):
    """Takes the maximum of each window of points of volumes (B, D, H, W, C)."""


@variant(1, "10", (8, 33, 16), (8, 10, 16))
class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    """Takes the maximum of each of `output_size` windows of sequences (B, T, C)."""


@variant(2, "7", (8, 30, 40, 16), (8, 7, 7, 16))
class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    """Takes the maximum of each of `output_size` windows of images (B, H, W, C)."""


@variant(3, "4", (1, 10, 12, 12, 4), (1, 4, 4, 4, 4))
class AdaptiveMaxPooling3D(_AdaptiveMaxPooling):
    """Takes the maximum of each of `output_size` windows of volumes (B, D, H, W, C)."""


@variant(1, "", (8, 100, 16), (8, 16))
class GlobalMaxPooling1D(_GlobalMaxPooling):
    """Takes the maximum of all steps of sequences (B, T, C)."""


@variant(2, "", (8, 28, 28, 16), (8, 16))
class GlobalMaxPooling2D(_GlobalMaxPooling):
    """Takes the maximum of all pixels of images (B, H, W, C)."""


@variant(3, "", (1, 16, 16, 16, 4), (1, 4))
class GlobalMaxPooling3D(_GlobalMaxPooling):
    """Takes the maximum of all points of volumes (B, D, H, W, C)."""


@variant(1, "2", (8, 100, 16), (8, 50, 16))
class AveragePooling1D(_AveragePooling):
    """Averages each window of steps of sequences (B, T, C)."""


@variant(2, "2", (8, 28, 28, 16), (8, 14, 14, 16))
class AveragePooling2D(_AveragePooling):
    """Averages each window of pixels of images (B, H, W, C)."""


@variant(3, "2", (1, 16, 16, 16, 4), (1, 8, 8, 8, 4))
class AveragePooling3D(_AveragePooling):
    """Averages each window of points of volumes (B, D, H, W, C)."""


@variant(1, "10", (8, 33, 16), (8, 10, 16))
class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """Averages each of `output_size` windows of sequences (B, T, C)."""


@variant(2, "7", (8, 30, 40, 16), (8, 7, 7, 16))
class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """Averages each of `output_size` windows of images (B, H, W, C)."""


@variant(3, "4", (1, 10, 12, 12, 4), (1, 4, 4, 4, 4))
class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """Averages each of `output_size` windows of volumes (B, D, H, W, C)."""


@variant(1, "", (8, 100, 16), (8, 16))
class GlobalAveragePooling1D(_GlobalAveragePooling):
    """Averages all steps of sequences (B, T, C); masked steps do not count."""

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Structure, mask: Structure = None) -> Structure:
        if mask is None:
            return super().call(inputs)
        axis = self._axes()[0]
        weights = jnp.expand_dims(mask.astype(inputs.dtype), 2 if axis == 1 else 1)
        total = jnp.sum(inputs * weights, axis=axis, keepdims=self.keepdims)
        return total / jnp.sum(weights, axis=axis, keepdims=self.keepdims)

    def compute_mask(self, inputs: Structure, mask: Structure = None) -> Structure:
        return None


@variant(2, "", (8, 28, 28, 16), (8, 16))
class GlobalAveragePooling2D(_GlobalAveragePooling):
    """Averages all pixels of images (B, H, W, C)."""


@variant(3, "", (1, 16, 16, 16, 4), (1, 4))
class GlobalAveragePooling3D(_GlobalAveragePooling):
    """Averages all points of volumes (B, D, H, W, C)."""
