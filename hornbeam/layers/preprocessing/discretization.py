"""Layer that assigns numbers to bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.core.tensor import KerasTensor
from hornbeam.dtype_policies import DTypePolicy
from hornbeam.layers.preprocessing.base import PreprocessingLayer, check_finite
from hornbeam.layers.preprocessing.encoding import check_mode, encode, encoded_shape
from hornbeam.typing import ArrayLike, Data, DType, Shapes, Tensor

__all__ = ["Discretization"]


class _Quantiles:
    """Weighted sample of numbers, for estimating quantiles.

    It keeps all numbers until there are too many. Then it merges neighboring numbers.
    """

    def __init__(self, epsilon: float):
        self._limit = max(10_000, math.ceil(10 / epsilon))
        self._values, self._weights = np.zeros(0), np.zeros(0)

    def add(self, values: np.ndarray) -> None:
        values = np.concatenate([self._values, values])
        weights = np.concatenate([self._weights, np.ones(len(values) - len(self._weights))])
        order = np.argsort(values, kind="stable")
        self._values, self._weights = values[order], weights[order]
        if len(values) > 2 * self._limit:
            total = self._weights.sum()
            shares = np.arange(1, self._limit + 1) / self._limit
            self._values = self.read(shares)
            self._weights = np.full(self._limit, total / self._limit)

    def read(self, shares: np.ndarray) -> np.ndarray:
        """Return the quantile for each share, from 0 to 1."""
        below = np.cumsum(self._weights)
        return np.interp(shares * below[-1], below, self._values)

    def __len__(self) -> int:
        return len(self._values)


class Discretization(PreprocessingLayer):
    """Assigns numbers to bins.

    Pass the boundaries of the bins, or pass the number of bins and call `adapt`. It chooses
    boundaries that put about the same number of values in each bin.

    Args:
        bin_boundaries: Boundaries in ascending order. `[0, 1]` makes three bins: x < 0, 0 <= x < 1,
            and x >= 1.
        num_bins: Number of bins, for `adapt`. Pass this or `bin_boundaries`.
        epsilon: Allowed error of the quantiles in `adapt`, as a fraction of the number of values.
            Quantiles of up to 20,000 values are exact. Default: 0.01.
        output_mode: `"int"` (the bin index), `"one_hot"`, `"multi_hot"` or `"count"`, as in
            `CategoryEncoding`. Default: `"int"`.
        sparse: Whether to return a JAX `BCOO` array. Needs an `output_mode` other than `"int"`.
            Default: False.

    Input: numbers of any shape.

    Output: int32 bins in the shape of the input, or vectors of length `num_bins`. As in Keras.

    Raises:
        ValueError: If both or neither of `bin_boundaries` and `num_bins` are given, an argument has
            an invalid value, or the layer has no boundaries yet.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.Discretization(bin_boundaries=[0.0, 1.0, 2.0])([[-1.5, 1.0, 3.4, 0.5]])
        Array([[0, 2, 3, 1]], dtype=int32)
    """

    def __init__(
        self, bin_boundaries: Sequence[float] | None = None, num_bins: int | None = None,
        epsilon: float = 0.01, output_mode: str = "int", sparse: bool = False,
        dtype: DType | DTypePolicy | None = None, name: str | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(dtype=dtype, name=name, **kwargs)
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError(
                "Discretization: exactly one of `bin_boundaries` and `num_bins` must be given,"
                f" received {bin_boundaries!r} and {num_bins!r}."
            )
        if num_bins is not None and num_bins < 1:
            raise ValueError(
                f"Discretization: `num_bins` must be at least 1, received {num_bins!r}."
            )
        if not epsilon > 0:
            raise ValueError(
                f"Discretization: `epsilon` must be greater than 0, received {epsilon!r}."
            )
        check_mode("Discretization", output_mode, ("int", "one_hot", "multi_hot", "count"))
        if sparse and output_mode == "int":
            raise ValueError(
                "Discretization: `sparse=True` needs an `output_mode` other than 'int'."
            )
        self.num_bins, self.epsilon = num_bins, epsilon
        self.output_mode, self.sparse, self.built = output_mode, sparse, True
        self.bin_boundaries: list[float] | None = None
        if bin_boundaries is not None:
            self._set(bin_boundaries)
        self.reset_state()

    def _set(self, boundaries: ArrayLike) -> None:
        boundaries = np.ravel(np.asarray(boundaries, "float64")).tolist()
        if sorted(boundaries) != boundaries:
            raise ValueError(
                "Discretization: `bin_boundaries` must be in ascending order, received"
                f" {boundaries!r:.200}."
            )
        self.bin_boundaries = boundaries

    @property
    def can_adapt(self) -> bool:
        """Whether the constructor did not get the boundaries."""
        return self.num_bins is not None

    def adapt(self, data: Data, steps: int | None = None) -> None:
        """Choose the boundaries. A later call replaces them.

        Args:
            data: An array of numbers, or batches of them, as in `PreprocessingLayer.adapt`.
            steps: Number of batches to read. Default: all.

        Raises:
            ValueError: If the boundaries were passed to the constructor, or there are no numbers.
        """
        if self.num_bins is None:
            raise ValueError(
                f"{self._label()}: there is nothing to adapt, because the constructor got"
                " `bin_boundaries`. Pass `num_bins` instead."
            )
        super().adapt(data, steps)

    def reset_state(self) -> None:
        self._quantiles, self._rows = _Quantiles(self.epsilon), 0

    def update_state(self, data: np.ndarray) -> None:
        data = np.asarray(data)
        if data.dtype.kind not in "biuf":
            raise ValueError(
                f"{self._label()}: `data` must hold numbers, received dtype {data.dtype}."
            )
        check_finite(data, self._rows, self._label(), infinite=True)
        self._rows += len(data)
        self._quantiles.add(data.astype("float64").reshape(-1))

    def finalize_state(self) -> None:
        if self.num_bins is not None and len(self._quantiles):
            shares = np.arange(1, self.num_bins) / self.num_bins
            self._set(self._quantiles.read(shares).astype("float32"))

    def call(self, inputs: Tensor) -> Tensor:
        bounds = self._boundaries()
        x = jnp.asarray(inputs)
        bins = jnp.searchsorted(jnp.asarray(bounds, "float32"), x.astype("float32"), side="right")
        if self.output_mode == "int":
            return bins.astype("int32")
        return encode(
            bins, len(bounds) + 1, self.output_mode, self.compute_dtype, None, self.sparse
        )

    def _boundaries(self) -> list[float]:
        if self.bin_boundaries is None:
            raise ValueError(
                f"{self._label()} has no boundaries yet. Call `adapt`, or pass `bin_boundaries` to"
                " the constructor."
            )
        return self.bin_boundaries

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        bins = self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1
        return encoded_shape(tuple(input_shape), bins, self.output_mode)

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        dtype = "int32" if self.output_mode == "int" else self.compute_dtype
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype, self.sparse)

    def get_config(self) -> dict[str, Any]:
        return {
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Discretization:
        # An adapted layer has both, but the constructor accepts only one of them.
        boundaries = config.get("bin_boundaries")
        if boundaries is None or config.get("num_bins") is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})
        layer._set(boundaries)
        return layer
