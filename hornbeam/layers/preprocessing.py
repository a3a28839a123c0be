"""Layers that bring data into the range that networks learn in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam import settings
from hornbeam.layers.dtype_config import dtype_config
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer

__all__ = ["Normalization", "Rescaling"]


class Rescaling(Layer):
    """`inputs * scale + offset`.

    Args:
        scale: Factor, a number or one a channel.
        offset: Added, a number or one a channel.

    Example:
        >>> Rescaling(1 / 255)(jnp.array([255.0]))
        Array([1.], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        x = inputs.astype(self.compute_dtype)
        return x * jnp.asarray(self.scale, x.dtype) + jnp.asarray(self.offset, x.dtype)


class Normalization(Layer):
    """Shifts and scales features to mean 0 and variance 1: `(x - mean) / sqrt(variance)`.

    Mean and variance are given, or measured by `adapt`; until then they are 0 and 1. They are never trained.

    Args:
        axis: Axis or axes that keep a mean and variance of their own, the batch's counted. `None` for one mean of all.
        mean, variance: Numbers, or arrays of the sizes of `axis`; both or neither.
        invert: Whether to go back instead: `x * sqrt(variance) + mean`.

    Weights: mean and variance of the sizes of `axis`, and a count that Keras's files have; none where they are given.

    Raises:
        ValueError: If one of `mean` and `variance` is missing, or they have more axes than `axis` names, or `axis` is
            not among the input's, or its size is not known.

    Example:
        >>> layer = Normalization()
        >>> layer.adapt(np.array([[1.0, 10.0], [3.0, 30.0]]))
        >>> layer(np.array([[3.0, 20.0]]))
        Array([[1., 0.]], dtype=float32)
    """

    axis: tuple[int, ...]
    # Properties that hold no layers.
    _not_children = Layer._not_children | {"mean", "variance"}

    def __init__(
        self, axis: Any = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any
    ):  # fmt: skip
        super().__init__(**kwargs)
        axis = () if axis is None else tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
        if any(isinstance(a, bool) or not isinstance(a, int) for a in axis):
            raise ValueError(f"Normalization: `axis` must be an integer, integers or None, received {axis!r}.")
        if (mean is None) != (variance is None):
            raise ValueError(f"Normalization: give both `mean` and `variance`; received {mean!r} and {variance!r}.")
        self.axis, self.invert, self.supports_masking = axis, invert, True
        self.input_mean, self.input_variance = (
            self._given(*given) for given in (("mean", mean), ("variance", variance))
        )
        if self.input_mean is not None and np.shape(self.input_mean) != np.shape(self.input_variance):
            raise ValueError(
                "Normalization: `mean` and `variance` must have one shape, received "
                f"{np.shape(self.input_mean)} and {np.shape(self.input_variance)}."
            )

    def _given(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if np.ndim(value) > len(self.axis):
            raise ValueError(
                f"Normalization: `{name}` of shape {np.shape(value)} has more axes than `axis` {self.axis} names."
            )
        return float(value) if np.ndim(value) == 0 else np.asarray(value, "float32").tolist()

    def get_config(self) -> dict[str, Any]:
        # Written out, since the attributes of these names are arrays.
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_config(self),
            "axis": self.axis,
            "invert": self.invert,
            "mean": self.input_mean,
            "variance": self.input_variance,
        }

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(
                f"{self._label()}: `axis` {self.axis} is not among the axes of an input of shape {input_shape}."
            )
        kept = sorted(a % rank for a in self.axis)
        if any(input_shape[a] is None for a in kept):
            raise ValueError(f"{self._label()}: the size of `axis` {self.axis} must be known, received {input_shape}.")
        sizes = tuple(input_shape[a] for a in kept)
        self._kept, self._rank = tuple(kept), rank
        if self.input_mean is None:
            fixed = {"trainable": False, "shape": sizes}
            self.adapt_mean = self.add_weight(name="mean", initializer="zeros", **fixed)
            self.adapt_variance = self.add_weight(name="variance", initializer="ones", **fixed)
            self.count = self.add_weight(name="count", shape=(), dtype="int32", initializer="zeros", trainable=False)
        else:
            np.broadcast_shapes(np.shape(self.input_mean), sizes)
        if kept:
            self.input_spec = InputSpec(ndim=rank, axes={a: n for a, n in zip(kept, sizes, strict=True) if a})

    def adapt(self, data: Any) -> None:
        """Measure mean and variance; what an earlier call found is forgotten.

        Args:
            data: An array, samples first; or batches: a `PyDataset`, a generator or other iterable, a data set of another
                library. Of batches that are tuples the first member counts.

        Raises:
            ValueError: If mean and variance were given, there is no data, or its shape is not the layer's.
        """
        if self.input_mean is not None:
            raise ValueError(
                f"{self._label()}: has its `mean` and `variance` from its constructor; there is nothing to adapt."
            )
        count, mean, variance = 0, np.zeros(()), np.zeros(())
        for batch in _batches(data):
            if not self.built:
                with self._scope():
                    self.build((None if 0 not in self.axis else batch.shape[0], *batch.shape[1:]))
            shape = tuple(batch.shape[a] for a in self._kept) if batch.ndim == self._rank else None
            if shape != self.adapt_mean.shape:
                raise ValueError(
                    f"{self._label()}: `data` of shape {batch.shape} does not fit the shape that the layer was built with: "
                    f"{self._build_shapes and self._build_shapes['input_shape']}."
                )
            others = tuple(a for a in range(batch.ndim) if a not in self._kept)
            new_mean, new_variance = np.mean(batch, others, "float64"), np.var(batch, others, "float64")
            part = batch.shape[0] / (count + batch.shape[0])  # batches are merged as if they were one array
            variance = variance + part * (new_variance - variance) + part * (1 - part) * (new_mean - mean) ** 2
            mean, count = mean + part * (new_mean - mean), count + batch.shape[0]
        if not count:
            raise ValueError(f"{self._label()}: `data` has no samples.")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def finalize_state(self) -> None:
        """Do nothing: mean and variance are read when they are used. Kept for Keras's signature."""

    def _wide(self, value: Any) -> Any:
        """Return an array of the sizes of `axis` with all axes of the input."""
        value = jnp.asarray(value, "float32")
        sizes = iter((1,) * (len(self._kept) - value.ndim) + value.shape)
        return value.reshape([next(sizes) if a in self._kept else 1 for a in range(self._rank)])

    @property
    def mean(self) -> Any:
        """The mean, with the input's number of axes."""
        return self._wide(self.adapt_mean.value if self.input_mean is None else self.input_mean)

    @property
    def variance(self) -> Any:
        """The variance, with the input's number of axes."""
        return self._wide(self.adapt_variance.value if self.input_variance is None else self.input_variance)

    def call(self, inputs: Any) -> Any:
        x = inputs.astype(self.compute_dtype)
        mean, deviation = self.mean.astype(x.dtype), jnp.sqrt(self.variance).astype(x.dtype)
        deviation = jnp.maximum(deviation, settings.epsilon())
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _batches(data: Any) -> Iterator[np.ndarray]:
    """Yield the samples of data of any kind, batch by batch."""
    from hornbeam.data.sources import ArraySource, make_source

    source = make_source(data)
    try:
        if isinstance(source, ArraySource):
            yield np.asarray(data.to_numpy() if hasattr(data, "to_numpy") else data)
            return
        for x, _, _ in source.epoch(seed=0, epoch=0):
            yield np.asarray(x)
    finally:
        source.close()
