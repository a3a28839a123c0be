"""Encodes indices as one-hot, multi-hot, count or TF-IDF vectors."""

from __future__ import annotations

import collections
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.tensor import KerasTensor
from hornbeam.layers.layer import Layer
from hornbeam.optional import jax_sparse
from hornbeam.typing import Shape, Tensor

__all__ = ["CategoryEncoding", "as_tensor", "check_mode", "encode", "encoded_shape"]


def check_mode(owner: str, mode: Any, modes: tuple[str, ...]) -> str:
    """Return `mode`, or raise an error if it is not one of `modes`."""
    if mode not in modes:
        raise ValueError(f"{owner}: `output_mode` must be one of {modes}, received {mode!r}.")
    return mode


def as_tensor(numbers: Any, dtype: str) -> jax.Array:
    """Convert numbers to a JAX array of the dtype that JAX supports for `dtype`.

    NumPy converts NumPy arrays, because JAX would compile and run a program to do so. A compiled
    function takes a small array several times faster than `jnp.asarray`, so shapes that come again
    and again go through one.

    Args:
        numbers: An array or a tracer.
        dtype: Name of a dtype, for example `"int64"`.
    """
    numbers = numbers.astype(jax.dtypes.canonicalize_dtype(dtype), copy=False)
    if isinstance(numbers, np.ndarray) and numbers.size <= _SMALL:
        key = numbers.shape, numbers.dtype
        if len(_calls) > _SHAPES:
            _calls.clear()
        _calls[key] += 1
        if _calls[key] > _OFTEN:
            return _as_it_is(numbers)
    return jnp.asarray(numbers)


_SMALL, _OFTEN, _SHAPES = 2**14, 16, 4096
_calls: collections.Counter[tuple[Any, ...]] = collections.Counter()  # by shape and dtype
_as_it_is = jax.jit(lambda numbers: numbers)


def encode(
    indices: Any, size: int, mode: str, dtype: str, weights: Any = None, sparse: bool = False
) -> Any:
    """Encode indices as vectors. Indices outside of 0 to `size - 1` are ignored.

    Args:
        indices: Integers of shape (..., N).
        size: Number of categories.
        mode: `"one_hot"`: shape (..., N, size), or (..., size) if N is 1. `"multi_hot"`: shape
            (..., size), 1 for each index that occurs. `"count"`: shape (..., size), the number of
            occurrences of each index, or the sum of their `weights`. `"tf_idf"`: like `"count"`,
            times one weight per category.
        dtype: Dtype of the result.
        weights: For `"count"`, one weight per index. For `"tf_idf"`, weights of shape (size,).
        sparse: Whether to return a JAX `BCOO` array.
    """
    indices = jnp.atleast_1d(jnp.asarray(indices))
    if mode == "one_hot":
        if indices.ndim > 1 and indices.shape[-1] == 1:
            indices = indices[..., 0]
        found = jax.nn.one_hot(indices, size, dtype=dtype)
    else:
        # Negative indices would count from the end, so they become `size`, which is dropped.
        samples = math.prod(indices.shape[:-1])
        places = jnp.where(indices < 0, size, indices).reshape(samples, indices.shape[-1])
        rows = jnp.arange(len(places))[:, None]
        empty = jnp.zeros((len(places), size), dtype)
        if mode == "multi_hot":
            found = empty.at[rows, places].set(1, mode="drop")
        else:
            amounts: Any = 1
            if mode == "count" and weights is not None:
                amounts = jnp.asarray(weights, dtype).reshape(places.shape)
            found = empty.at[rows, places].add(amounts, mode="drop")
            if mode == "tf_idf":
                found = found * jnp.asarray(weights, dtype)
        found = found.reshape(*indices.shape[:-1], size)
    return jax_sparse().BCOO.fromdense(found, nse=max(indices.size, 1)) if sparse else found


def encoded_shape(shape: Shape, size: int | None, mode: str) -> Shape:
    """Return the shape of the result of `encode` for indices of the given shape."""
    if mode == "int":
        return shape
    if mode == "one_hot":
        kept = shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape or (1,)
        return (*kept, size)
    return (*shape[:-1], size)


class CategoryEncoding(Layer):
    """Encodes integer categories as one-hot, multi-hot or count vectors.

    Args:
        num_tokens: Number of categories. The inputs are integers from 0 to `num_tokens - 1`.
        output_mode: `"one_hot"` encodes each integer as a vector. `"multi_hot"` encodes a sample as
            one vector, with a 1 for each integer that occurs. `"count"` encodes a sample as the
            number of occurrences of each integer. Default: `"multi_hot"`.
        sparse: Whether to return a JAX `BCOO` array instead of a dense array. Default: False.

    Input: integers of shape (B, N), (B,) or ().

    Output: (B, num_tokens), or (B, N, num_tokens) for `"one_hot"` if N > 1. As in Keras.

    Call arguments: `count_weights`, for `"count"`: numbers of the shape of the input, which are
    added instead of 1.

    Raises:
        ValueError: If `num_tokens` or `output_mode` has an invalid value, `count_weights` is given
            for another mode, or an integer is out of range. Compiled functions do not check the
            range.

    Example:
        >>> import hornbeam as hb
        >>> hb.layers.CategoryEncoding(num_tokens=3)([[0, 2], [1, 1]])
        Array([[1., 0., 1.],
               [0., 1., 0.]], dtype=float32)
    """

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", sparse: bool = False,
        **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        if output_mode == "binary":  # the name in early versions of Keras 2
            output_mode = "multi_hot"
        check_mode("CategoryEncoding", output_mode, ("count", "one_hot", "multi_hot"))
        if isinstance(num_tokens, bool) or not isinstance(num_tokens, (int, np.integer)):
            raise ValueError(
                "CategoryEncoding: `num_tokens` must be the number of categories, received"
                f" {num_tokens!r}."
            )
        if num_tokens < 1:
            raise ValueError(
                f"CategoryEncoding: `num_tokens` must be at least 1, received {num_tokens}."
            )
        self.num_tokens, self.output_mode, self.sparse = int(num_tokens), output_mode, sparse
        self.built = True

    def _convert_inputs(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        # Nested lists of integers are one array, not a structure of inputs.
        return super()._convert_inputs(
            tuple(np.asarray(a) if isinstance(a, (list, tuple)) else a for a in args),
            {k: np.asarray(v) if isinstance(v, (list, tuple)) else v for k, v in kwargs.items()},
        )

    def call(self, inputs: Tensor, count_weights: Tensor | None = None) -> Tensor:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                f"{self._label()}: `count_weights` needs `output_mode='count'`, but the layer's"
                f" `output_mode` is {self.output_mode!r}."
            )
        if inputs.size and not isinstance(inputs, jax.core.Tracer):
            low, high = int(jnp.min(inputs)), int(jnp.max(inputs))
            if low < 0 or high >= self.num_tokens:
                raise ValueError(
                    f"{self._label()}: the inputs must be from 0 to {self.num_tokens - 1}"
                    f" (`num_tokens` - 1), received values from {low} to {high}."
                )
        return encode(
            inputs.astype("int32"), self.num_tokens, self.output_mode, self.compute_dtype,
            count_weights, self.sparse,
        )  # fmt: skip

    def compute_output_spec(
        self, inputs: KerasTensor, count_weights: KerasTensor | None = None
    ) -> KerasTensor:
        shape = encoded_shape(inputs.shape, self.num_tokens, self.output_mode)
        return KerasTensor(shape, dtype=self.compute_dtype, sparse=self.sparse)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return encoded_shape(tuple(input_shape), self.num_tokens, self.output_mode)
