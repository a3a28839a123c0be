"""Pooling: one body for maximum and average in 1, 2 and 3 dimensions.

A window's result is computed from strided slices of the input, one a position in the window:
on CPU the gradient of that is many times faster than that of XLA's windowed reduction.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import jax.numpy as jnp

from hornbeam.config import standardize_data_format
from hornbeam.layers.conv import padding_name, sizes
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer

__all__ = [
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "MaxPooling1D",
    "MaxPooling2D", "MaxPooling3D",
]  # fmt: skip


def window_slices(x: Any, window: tuple[int, ...], strides: tuple[int, ...], padding: str, fill: float) -> list[Any]:
    """Return a slice of `x` (B, ..., C) for each position in the window, in the window's order."""
    inner = x.shape[1:-1]
    if padding == "same":
        outer = [math.ceil(n / s) for n, s in zip(inner, strides, strict=True)]
        missing = [max((o - 1) * s + w - n, 0) for o, s, w, n in zip(outer, strides, window, inner, strict=True)]
        x = jnp.pad(x, [(0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)], constant_values=fill)
    else:
        outer = [(n - w) // s + 1 for n, s, w in zip(inner, strides, window, strict=True)]
    slices = []
    for offset in itertools.product(*map(range, window)):
        cut = [slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(offset, outer, strides, strict=True)]
        slices.append(x[(slice(None), *cut)])
    return slices


class _Pooling(Layer):
    """The {kind} of each window.

    Args:
        pool_size: Size of the window.
        strides: Steps of the window. Default: its size.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`.
    """

    _rank = 2

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        name, rank = type(self).__name__, self._rank
        self.pool_size = sizes(name, "pool_size", pool_size, rank)
        self.strides = self.pool_size if strides is None else sizes(name, "strides", strides, rank)
        self.padding = padding_name(name, padding, ("valid", "same"))
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=rank + 2)
        self.built = True

    def call(self, inputs: Any) -> Any:
        first = self.data_format == "channels_first"
        x = jnp.moveaxis(inputs, 1, -1) if first else inputs
        if self.padding == "valid" and any(n < w for n, w in zip(x.shape[1:-1], self.pool_size, strict=True)):
            raise ValueError(
                f"{self._label()}: the window {self.pool_size} is larger than the input {inputs.shape}. Use padding='same'."
            )
        x = self._pool(x)
        return jnp.moveaxis(x, -1, 1) if first else x

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Keras writes the padding before the strides.
        strides = config.pop("strides")
        layout = config.pop("data_format")
        return {**config, "strides": strides, "data_format": layout}


class _Max(_Pooling):
    def _pool(self, x: Any) -> Any:
        lowest = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
        slices = window_slices(x, self.pool_size, self.strides, self.padding, lowest)
        # At ties the first position wins, and gets the gradient.
        return functools.reduce(lambda a, b: jnp.where(b > a, b, a), slices)


class _Average(_Pooling):
    def _pool(self, x: Any) -> Any:
        total = functools.reduce(jnp.add, window_slices(x, self.pool_size, self.strides, self.padding, 0))
        if self.padding == "valid":
            return total / math.prod(self.pool_size)
        ones = jnp.ones((1, *x.shape[1:-1], 1), x.dtype)
        return total / functools.reduce(jnp.add, window_slices(ones, self.pool_size, self.strides, "same", 0))


class _GlobalPooling(Layer):
    """The {kind} over all positions.

    Args:
        data_format: `"channels_last"` or `"channels_first"`.
        keepdims: Whether the axes are kept with size 1.
    """

    _rank = 2
    _reduce: Any = None

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format, self.keepdims = standardize_data_format(data_format), keepdims
        self.input_spec = InputSpec(ndim=self._rank + 2)
        self.built = True

    def _axes(self) -> tuple[int, ...]:
        start = 1 if self.data_format == "channels_last" else 2
        return tuple(range(start, start + self._rank))

    def call(self, inputs: Any) -> Any:
        return type(self)._reduce(inputs, axis=self._axes(), keepdims=self.keepdims)


def _make(name: str, base: type, rank: int, kind: str, extra: dict[str, Any] | None = None) -> type:
    """Make the public class of one kind and rank."""
    shape = (1, *(4,) * rank, 1)
    doc = (
        (base.__doc__ or base.__mro__[1].__doc__ or "").replace("{kind}", kind)
        + f"""
    Example:
        >>> {name}()(jnp.ones({shape})).shape
        {(1, 1) if "Global" in name else (1, *(2,) * rank, 1)}
    """
    )
    return type(name, (base,), {"_rank": rank, "__doc__": doc, "__module__": __name__, **(extra or {})})


MaxPooling1D = _make("MaxPooling1D", _Max, 1, "maximum")
MaxPooling2D = _make("MaxPooling2D", _Max, 2, "maximum")
MaxPooling3D = _make("MaxPooling3D", _Max, 3, "maximum")
AveragePooling1D = _make("AveragePooling1D", _Average, 1, "mean")
AveragePooling2D = _make("AveragePooling2D", _Average, 2, "mean")
AveragePooling3D = _make("AveragePooling3D", _Average, 3, "mean")
GlobalMaxPooling1D = _make("GlobalMaxPooling1D", _GlobalPooling, 1, "maximum", {"_reduce": staticmethod(jnp.max)})
GlobalMaxPooling2D = _make("GlobalMaxPooling2D", _GlobalPooling, 2, "maximum", {"_reduce": staticmethod(jnp.max)})
GlobalMaxPooling3D = _make("GlobalMaxPooling3D", _GlobalPooling, 3, "maximum", {"_reduce": staticmethod(jnp.max)})
GlobalAveragePooling2D = _make("GlobalAveragePooling2D", _GlobalPooling, 2, "mean", {"_reduce": staticmethod(jnp.mean)})
GlobalAveragePooling3D = _make("GlobalAveragePooling3D", _GlobalPooling, 3, "mean", {"_reduce": staticmethod(jnp.mean)})


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over all time steps; padded steps are left out.

    Args:
        data_format: `"channels_last"` (B, T, C) or `"channels_first"`.
        keepdims: Whether the axis is kept with size 1.

    Example:
        >>> GlobalAveragePooling1D()(jnp.ones((1, 4, 2))).shape
        (1, 2)
    """

    _rank = 1

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return jnp.mean(inputs, axis=self._axes(), keepdims=self.keepdims)
        axis = self._axes()[0]
        weights = jnp.expand_dims(mask.astype(inputs.dtype), 2 if axis == 1 else 1)
        total = jnp.sum(inputs * weights, axis=axis, keepdims=self.keepdims)
        return total / jnp.sum(weights, axis=axis, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None
