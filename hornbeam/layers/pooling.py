"""Pooling: one body for maximum and average, and one for all windows, in 1, 2 and 3 dimensions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from hornbeam import ops
from hornbeam.layers.arguments import choice, keep, sizes, variant
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.settings import standardize_data_format

__all__ = [
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
]  # fmt: skip


class _Pooling(Layer):
    """Pooling of windows of one size.

    Args:
        pool_size: Size of the window: an integer, or one an axis.
        strides: Steps of the window. Default: its size.
        padding: `"valid"` or `"same"`; what `"same"` adds never counts.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Raises:
        ValueError: If an argument is out of range, or the window larger than the input.
    """

    _rank = 2
    _op: Any = None

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None,
        name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        label, rank = type(self).__name__, self._rank
        self.pool_size = sizes(label, "pool_size", pool_size, rank)
        self.strides = self.pool_size if strides is None else sizes(label, "strides", strides, rank)
        self.padding = choice(label, "padding", padding, ("valid", "same"))
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return type(self)._op(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class _MaxPooling(_Pooling):
    __doc__ = _Pooling.__doc__
    _op = staticmethod(ops.max_pool)


class _AveragePooling(_Pooling):
    __doc__ = _Pooling.__doc__
    _op = staticmethod(ops.average_pool)


class _AdaptivePooling(Layer):
    """Pooling of a given number of windows.

    Args:
        output_size: Number of windows: an integer, or one an axis. They divide the axis as evenly as can be.
        data_format: `"channels_last"` or `"channels_first"`. Default: `image_data_format()`.

    Raises:
        ValueError: If an argument is out of range.
    """

    _rank = 2
    _op: Any = None

    def __init__(self, output_size: Any, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.output_size = sizes(type(self).__name__, "output_size", output_size, self._rank)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
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
        keepdims: Whether the axes are kept with size 1.
    """

    _rank = 2
    _op: Any = None

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        keep(self, {"keepdims": keepdims, "data_format": standardize_data_format(data_format)})
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self.built = True

    def _axes(self) -> tuple[int, ...]:
        start = 1 if self.data_format == "channels_last" else 2
        return tuple(range(start, start + self._rank))

    def call(self, inputs: Any) -> Any:
        return type(self)._op(inputs, axis=self._axes(), keepdims=self.keepdims)


class _GlobalMaxPooling(_GlobalPooling):
    __doc__ = _GlobalPooling.__doc__
    _op = staticmethod(jnp.max)


class _GlobalAveragePooling(_GlobalPooling):
    __doc__ = _GlobalPooling.__doc__
    _op = staticmethod(jnp.mean)


@variant(1, "", (1, 4, 1), (1, 2, 1))
class MaxPooling1D(_MaxPooling):
    """The maximum of each window of steps of sequences (B, T, C)."""


@variant(2, "", (1, 4, 4, 1), (1, 2, 2, 1))
class MaxPooling2D(_MaxPooling):
    """The maximum of each window of pixels of images (B, H, W, C)."""


@variant(3, "", (1, 4, 4, 4, 1), (1, 2, 2, 2, 1))
class MaxPooling3D(_MaxPooling):
    """The maximum of each window of points of volumes (B, D, H, W, C)."""


@variant(1, "2", (1, 5, 1), (1, 2, 1))
class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    """The maximum of each of a given number of windows of steps of sequences (B, T, C)."""


@variant(2, "2", (1, 5, 5, 1), (1, 2, 2, 1))
class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    """The maximum of each of a given number of windows of pixels of images (B, H, W, C)."""


@variant(3, "2", (1, 5, 5, 5, 1), (1, 2, 2, 2, 1))
class AdaptiveMaxPooling3D(_AdaptiveMaxPooling):
    """The maximum of each of a given number of windows of points of volumes (B, D, H, W, C)."""


@variant(1, "", (1, 4, 1), (1, 1))
class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The maximum of all steps of sequences (B, T, C)."""


@variant(2, "", (1, 4, 4, 1), (1, 1))
class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The maximum of all pixels of images (B, H, W, C)."""


@variant(3, "", (1, 4, 4, 4, 1), (1, 1))
class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The maximum of all points of volumes (B, D, H, W, C)."""


@variant(1, "", (1, 4, 1), (1, 2, 1))
class AveragePooling1D(_AveragePooling):
    """The mean of each window of steps of sequences (B, T, C)."""


@variant(2, "", (1, 4, 4, 1), (1, 2, 2, 1))
class AveragePooling2D(_AveragePooling):
    """The mean of each window of pixels of images (B, H, W, C)."""


@variant(3, "", (1, 4, 4, 4, 1), (1, 2, 2, 2, 1))
class AveragePooling3D(_AveragePooling):
    """The mean of each window of points of volumes (B, D, H, W, C)."""


@variant(1, "2", (1, 5, 1), (1, 2, 1))
class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """The mean of each of a given number of windows of steps of sequences (B, T, C)."""


@variant(2, "2", (1, 5, 5, 1), (1, 2, 2, 1))
class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """The mean of each of a given number of windows of pixels of images (B, H, W, C)."""


@variant(3, "2", (1, 5, 5, 5, 1), (1, 2, 2, 2, 1))
class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """The mean of each of a given number of windows of points of volumes (B, D, H, W, C)."""


@variant(1, "", (1, 4, 1), (1, 1))
class GlobalAveragePooling1D(_GlobalAveragePooling):
    """The mean of all steps of sequences (B, T, C); padded steps are left out."""

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        axis = self._axes()[0]
        weights = jnp.expand_dims(mask.astype(inputs.dtype), 2 if axis == 1 else 1)
        total = jnp.sum(inputs * weights, axis=axis, keepdims=self.keepdims)
        return total / jnp.sum(weights, axis=axis, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


@variant(2, "", (1, 4, 4, 1), (1, 1))
class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean of all pixels of images (B, H, W, C)."""


@variant(3, "", (1, 4, 4, 4, 1), (1, 1))
class GlobalAveragePooling3D(_GlobalAveragePooling):
    """The mean of all points of volumes (B, D, H, W, C)."""
