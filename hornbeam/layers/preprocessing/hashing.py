"""Layers that map text and integers to a fixed number of bins by hashing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hornbeam.core.tensor import KerasTensor
from hornbeam.dtype_policies import DTypePolicy
from hornbeam.dtypes import standardize_dtype
from hornbeam.layers.preprocessing.encoding import (
    as_tensor,
    check_mode,
    encode,
    encoded_shape,
)
from hornbeam.layers.preprocessing.fingerprints import (
    bins_of,
    fingerprints,
    hash_key,
    join_fingerprints,
)
from hornbeam.layers.preprocessing.text import TextLayer, as_host_array
from hornbeam.typing import DType, Shape, Shapes, Tensor

__all__ = ["HashedCrossing", "Hashing"]


class _HashingLayer(TextLayer):
    """Base class of both layers, which handles the bins and the output mode and dtype."""

    def __init__(
        self, modes: tuple[str, ...], num_bins: int, output_mode: str, sparse: bool,
        dtype: DType | DTypePolicy | None, **kwargs: Any,
    ):  # fmt: skip
        owner = type(self).__name__
        check_mode(owner, output_mode, modes)
        if (
            isinstance(num_bins, bool)
            or not isinstance(num_bins, (int, np.integer))
            or num_bins < 1
        ):
            raise ValueError(
                f"{owner}: `num_bins` must be a positive integer, received {num_bins!r}."
            )
        if sparse and output_mode == "int":
            raise ValueError(
                f"{owner}: `sparse=True` needs an `output_mode` other than 'int', because indices"
                " are dense."
            )
        if dtype is None:
            dtype = "int64" if output_mode == "int" else None
        elif output_mode == "int" and isinstance(dtype, str) and dtype not in ("int32", "int64"):
            raise ValueError(
                f"{owner}: `dtype` must be 'int32' or 'int64' for `output_mode='int'`, received"
                f" {dtype!r}."
            )
        super().__init__(dtype=dtype, **kwargs)
        self.num_bins, self.output_mode, self.sparse = int(num_bins), output_mode, sparse
        self.built = True

    @property
    def needs_host(self) -> bool:
        """Whether numbers are also processed on the host: always true."""
        return True

    @property
    def can_adapt(self) -> bool:
        """Whether there is something to learn: always false."""
        return False

    def _form(self, bins: np.ndarray) -> Tensor:
        """Convert bins to the output mode."""
        if self.output_mode == "int":
            return as_tensor(bins, self.compute_dtype)
        return encode(
            bins.astype("int64"),
            self.num_bins,
            self.output_mode,
            self.compute_dtype,
            None,
            self.sparse,
        )

    def _output(self, shape: Shape) -> KerasTensor:
        dtype = standardize_dtype(self.compute_dtype)
        shape = encoded_shape(shape, self.num_bins, self.output_mode)
        return KerasTensor(shape, dtype, self.sparse)


class Hashing(_HashingLayer):
    """Assigns each string or integer to one of `num_bins` bins by its hash.

    It needs no vocabulary. Different values can get the same bin. The bins are the same as in
    Keras. The hash is FarmHash Fingerprint64 without a salt, and SipHash-2-4 with a salt. Integers
    are hashed as decimal strings.

    Args:
        num_bins: Number of bins, including the bin of `mask_value`.
        mask_value: String or integer that gets bin 0. Other values then get bins from 1 on.
            Default: `None`, no mask value.
        salt: An integer or two integers, the key of the hash. A different salt gives different
            collisions. Default: `None`, no salt.
        output_mode: `"int"` (the bin index), `"one_hot"`, `"multi_hot"` or `"count"`, as in
            `CategoryEncoding`. Default: `"int"`.
        sparse: Whether to return a JAX `BCOO` array. Needs an `output_mode` other than `"int"`.
            Default: False.

    Input: strings or integers of any shape. The layer runs on the host.

    Output: bins in the shape of the input, or vectors of length `num_bins`. As in Keras.

    Raises:
        ValueError: If an argument has an invalid value.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.Hashing(num_bins=3)(["A", "B", "C", "D", "E"])
        Array([1, 0, 1, 1, 2], dtype=int32)
    """

    def __init__(
        self, num_bins: int, mask_value: str | int | None = None,
        salt: int | Sequence[int] | None = None, output_mode: str = "int", sparse: bool = False,
        dtype: DType | DTypePolicy | None = None, **kwargs: Any,
    ):  # fmt: skip
        modes = ("int", "one_hot", "multi_hot", "count")
        super().__init__(modes, num_bins, output_mode, sparse, dtype, **kwargs)
        self.mask_value, self._key = mask_value, hash_key("Hashing", salt)
        self.salt = None if self._key is None else list(self._key)

    def call(self, inputs: Tensor) -> Tensor:
        values = self._texts(inputs)
        if values.dtype.kind == "f":
            values = values.astype("int64")
        if self.mask_value is None:
            return self._form(bins_of(values, self.num_bins, self._key))
        if self.num_bins == 1:
            return self._form(np.zeros(values.shape, "int32"))
        bins = bins_of(values, self.num_bins - 1, self._key, first=1)
        bins[_equal(values, self.mask_value)] = 0
        return self._form(bins)

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        return self._output(inputs.shape)

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        return encoded_shape(tuple(input_shape), self.num_bins, self.output_mode)


def _equal(values: np.ndarray, value: str | int) -> np.ndarray:
    """Return a boolean array of where `values` equal a string or integer."""
    kind = values.dtype.kind
    if isinstance(value, str) and kind in "SO":
        found = values == value.encode()
        return found if kind == "S" else found | (values == value)
    if isinstance(value, str) == (kind in "UT"):
        return values == value
    return np.zeros(values.shape, bool)


class HashedCrossing(_HashingLayer):
    """Crosses features: assigns each combination of their values to a bin by its hash.

    Args:
        num_bins: Number of bins.
        output_mode: `"int"` (the bin index) or `"one_hot"`. Default: `"int"`.
        sparse: Whether to return a JAX `BCOO` array, for `"one_hot"`. Default: False.

    Input: a list or tuple of at least two features. Each holds strings or integers and has shape
    (B,), (B, 1) or (). The layer runs on the host.

    Output: bins in the shape of the inputs, or vectors of shape (B, num_bins). As in Keras.

    Raises:
        ValueError: If an argument has an invalid value, there are fewer than two inputs, or an
            input has another shape or holds floats.

    Example:
        >>> import hornbeam as hb
        >>> city, month = np.array(["Oslo", "Lima", "Oslo"]), np.array([1, 1, 7])
        >>> hb.layers.HashedCrossing(num_bins=100)((city, month)).shape
        (3,)
    """

    def __init__(
        self, num_bins: int, output_mode: str = "int", sparse: bool = False,
        name: str | None = None, dtype: DType | DTypePolicy | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            ("int", "one_hot"), num_bins, output_mode, sparse, dtype, name=name, **kwargs
        )

    def _host_inputs(self, x: Any) -> Any:
        if not isinstance(x, (list, tuple)):
            raise ValueError(
                f"{self._label()}: the input must be a list or tuple of features, received"
                f" {type(x).__name__}."
            )
        return type(x)(super(_HashingLayer, self)._host_inputs(part) for part in x)

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        features = [as_host_array(x, self._label()) for x in inputs]
        self._check([x.shape for x in features])
        for x in features:
            if x.dtype.kind not in "iubUSOT":
                raise ValueError(
                    f"{self._label()}: each feature must hold text or integers, received dtype"
                    f" {x.dtype}."
                )
        joined = np.full(features[0].shape, 0xDECAFCAFFE, "uint64")
        for x in features:
            numbers = x.dtype.kind in "iub"
            joined = join_fingerprints(
                joined, x.astype("int64").astype("uint64") if numbers else fingerprints(x)
            )
        return self._form(joined % np.uint64(self.num_bins))

    def _check(self, shapes: Sequence[Shape]) -> None:
        """Raise an error if the shapes of the features are not supported or differ."""
        if len(shapes) < 2:
            raise ValueError(
                f"{self._label()}: the input must have at least two features, received"
                f" {len(shapes)}."
            )
        fits = all(len(s) < 2 or (len(s) == 2 and s[1] in (1, None)) for s in shapes)
        if (
            not fits
            or len({len(s) for s in shapes}) > 1
            or len({s[:1] for s in shapes} - {(None,)}) > 1
        ):
            raise ValueError(
                f"{self._label()}: all features must have the same shape, (), (batch,) or"
                f" (batch, 1), received {list(shapes)}."
            )

    def compute_output_spec(self, inputs: Sequence[KerasTensor]) -> KerasTensor:
        self._check([x.shape for x in inputs])
        return self._output(inputs[0].shape)

    def compute_output_shape(self, input_shape: Shapes) -> Shapes:
        return encoded_shape(tuple(input_shape[0]), self.num_bins, self.output_mode)
