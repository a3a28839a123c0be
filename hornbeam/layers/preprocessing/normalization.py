"""Layer that normalizes features to mean 0 and variance 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam import settings
from hornbeam.core.checks import check_axes
from hornbeam.layers.dtype_config import dtype_config
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.layers.preprocessing.base import PreprocessingLayer, check_finite
from hornbeam.typing import ArrayLike, Axis, Data, Shape, Shapes, Tensor

__all__ = ["Normalization"]


@dataclass
class _Moments:
    """Running mean and variance of samples, in float64.

    Batches are combined as if they were one array, with the update of Chan, Golub and LeVeque,
    "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
    """

    count: int = 0
    mean: Any = 0.0
    variance: Any = 0.0

    def add(self, batch: np.ndarray, axes: tuple[int, ...]) -> None:
        """Add a batch, averaged over `axes`."""
        mean, variance = np.mean(batch, axes, "float64"), np.var(batch, axes, "float64")
        part = batch.shape[0] / (self.count + batch.shape[0])
        self.variance = (
            self.variance
            + part * (variance - self.variance)
            + part * (1 - part) * (mean - self.mean) ** 2
        )
        self.mean = self.mean + part * (mean - self.mean)
        self.count += batch.shape[0]


class Normalization(PreprocessingLayer):
    """Normalizes features to mean 0 and variance 1: `(x - mean) / sqrt(variance)`.

    Pass the mean and variance, or call `adapt` to compute them from data. Before `adapt`, they are
    0 and 1. Training does not change them.

    Args:
        axis: Axis or axes that keep a separate mean and variance for each index. Axis 0 is the
            batch. `None` uses one mean and variance for all values. Default: -1, the last axis.
        mean, variance: Numbers, or arrays with the sizes of `axis`. Pass both or neither. Default:
            `None`, computed by `adapt`.
        invert: Whether to invert the normalization: `x * sqrt(variance) + mean`. Default: False.

    Input and output: (B, ...). As in Keras.

    Weights: `mean` and `variance` with the sizes of `axis`, and `count`, which is part of Keras's
    files. There are no weights if the constructor gets `mean` and `variance`.

    Raises:
        ValueError: If only one of `mean` and `variance` is given, they have more axes than `axis`,
            or the input lacks `axis` or has an unknown size there.

    Example:
        >>> import hornbeam as hb
        >>> ages_and_incomes = np.array([[20.0, 1000.0], [40.0, 3000.0]])
        >>> layer = hb.layers.Normalization()
        >>> layer.adapt(ages_and_incomes)
        >>> layer(np.array([[40.0, 2000.0]]))
        Array([[1., 0.]], dtype=float32)
    """

    axis: tuple[int, ...]
    # These properties hold no layers.
    _not_children = Layer._not_children | {"mean", "variance"}

    def __init__(
        self, axis: Axis = -1, mean: ArrayLike | None = None, variance: ArrayLike | None = None,
        invert: bool = False, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        axes = () if axis is None else tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
        if any(isinstance(a, bool) or not isinstance(a, int) for a in axes):
            raise ValueError(
                f"Normalization: `axis` must be an integer, integers or None, received {axis!r}."
            )
        if (mean is None) != (variance is None):
            raise ValueError(
                "Normalization: both or neither of `mean` and `variance` must be given, received"
                f" {mean!r} and {variance!r}."
            )
        self.axis, self.invert, self.supports_masking = axes, invert, True
        self._moments = _Moments()
        self.input_mean, self.input_variance = (
            self._given(*given) for given in (("mean", mean), ("variance", variance))
        )
        if self.input_mean is not None and np.shape(self.input_mean) != np.shape(
            self.input_variance
        ):
            raise ValueError(
                "Normalization: `mean` and `variance` must have the same shape, received"
                f" {np.shape(self.input_mean)} and {np.shape(self.input_variance)}."
            )

    def _given(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        if np.ndim(value) > len(self.axis):
            raise ValueError(
                f"Normalization: the rank of `{name}` must be at most {len(self.axis)}, the number"
                f" of axes in `axis`={self.axis}, received shape {np.shape(value)}."
            )
        return float(value) if np.ndim(value) == 0 else np.asarray(value, "float32").tolist()

    def get_config(self) -> dict[str, Any]:
        # The constructor's arguments, because the attributes `mean` and `variance` are arrays.
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_config(self),
            "axis": self.axis,
            "invert": self.invert,
            "mean": self.input_mean,
            "variance": self.input_variance,
        }

    def build(self, input_shape: Shapes = None) -> None:
        rank = len(input_shape)
        kept = sorted(check_axes(self._label(), self.axis, rank))
        if any(input_shape[a] is None for a in kept):
            raise ValueError(
                f"{self._label()}: the input must have a known size along `axis`={self.axis},"
                f" received shape {input_shape}."
            )
        sizes = tuple(input_shape[a] for a in kept)
        self._kept, self._rank = tuple(kept), rank
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(
                name="mean", shape=sizes, initializer="zeros", trainable=False
            )
            self.adapt_variance = self.add_weight(
                name="variance", shape=sizes, initializer="ones", trainable=False
            )
            self.count = self.add_weight(
                name="count", shape=(), dtype="int32", initializer="zeros", trainable=False
            )
        else:
            np.broadcast_shapes(np.shape(self.input_mean), sizes)
        if kept:
            self.input_spec = InputSpec(
                ndim=rank, axes={a: n for a, n in zip(kept, sizes, strict=True) if a}
            )

    @property
    def can_adapt(self) -> bool:
        """Whether the constructor did not get `mean` and `variance`."""
        return self.input_mean is None

    def adapt(self, data: Data) -> None:
        """Compute the mean and variance of data. A later call replaces the result.

        Args:
            data: An array of shape (samples, ...), or batches: a `PyDataset`, a generator or other
                iterable, or a data set of another library. If a batch is a tuple, its first item is
                used.

        Raises:
            ValueError: If the constructor got `mean` and `variance`, there are no samples, the
                samples are not numbers, or their shape does not match the built shape.
        """
        if self.input_mean is not None:
            raise ValueError(
                f"{self._label()}: there is nothing to adapt, because the constructor got `mean`"
                " and `variance`. Make a layer without them to adapt it."
            )
        super().adapt(data)

    def shape_to_build(self, shape: tuple[int, ...]) -> Shape:
        return shape if 0 in self.axis else super().shape_to_build(shape)

    def reset_state(self) -> None:
        self._moments = _Moments()

    def update_state(self, data: np.ndarray) -> None:
        if data.dtype.kind in "OV":
            data = _numbers(data, self._label())
        if data.dtype.kind not in "biuf":
            raise ValueError(
                f"{self._label()}: `data` must hold numbers, received dtype {data.dtype}. Encode"
                " text first."
            )
        shape = tuple(data.shape[a] for a in self._kept) if data.ndim == self._rank else None
        if shape != self.adapt_mean.shape:
            raise ValueError(
                f"{self._label()}: `data` must match the shape with which the layer was built,"
                f" {self._build_shapes and self._build_shapes['input_shape']}, received shape"
                f" {data.shape}."
            )
        check_finite(data, self._moments.count, self._label())
        self._moments.add(data, tuple(a for a in range(data.ndim) if a not in self._kept))

    def finalize_state(self) -> None:
        if self._moments.count:
            self.adapt_mean.assign(self._moments.mean)
            self.adapt_variance.assign(self._moments.variance)

    def _wide(self, value: ArrayLike) -> Any:
        """Reshape an array with the sizes of `axis` so that it broadcasts with the input."""
        value = jnp.asarray(value, "float32")
        sizes = iter((1,) * (len(self._kept) - value.ndim) + value.shape)
        return value.reshape([next(sizes) if a in self._kept else 1 for a in range(self._rank)])

    @property
    def mean(self) -> Tensor:
        """The mean, with the same rank as the input."""
        return self._wide(self.adapt_mean.value if self.input_mean is None else self.input_mean)

    @property
    def variance(self) -> Tensor:
        """The variance, with the same rank as the input."""
        return self._wide(
            self.adapt_variance.value if self.input_variance is None else self.input_variance
        )

    def call(self, inputs: Tensor) -> Tensor:
        x = inputs.astype(self.compute_dtype)
        mean, deviation = self.mean.astype(x.dtype), jnp.sqrt(self.variance).astype(x.dtype)
        deviation = jnp.maximum(deviation, settings.epsilon())
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        return input_shape


def _numbers(data: np.ndarray, label: str) -> np.ndarray:
    """Convert an array of Python objects, or of a narrow float type, to float64."""
    try:
        return data.astype("float64")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{label}: `data` must hold numbers, received dtype {data.dtype}: {error}."
        ) from None
