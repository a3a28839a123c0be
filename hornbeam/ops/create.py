"""Creation of tensors, and conversion to tensors and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.dtypes import standardize_dtype
from hornbeam.ops.lift import named, number
from hornbeam.tree import is_sparse_array
from hornbeam.typing import DType, Tensor

__all__ = [
    "arange", "array", "bartlett", "blackman", "convert_to_numpy", "convert_to_tensor", "diag",
    "diagflat", "diagonal", "dtype", "empty", "empty_like", "eye", "full", "full_like", "geomspace",
    "hamming", "hanning", "identity", "is_tensor", "kaiser", "linspace", "logspace", "ndim", "ones",
    "ones_like", "shape", "size", "stop_gradient", "trace", "tri", "tril", "triu", "vander",
    "zeros", "zeros_like",
]  # fmt: skip


def _dtype(value: Any) -> str | None:
    return None if value is None else standardize_dtype(value)


def _like(name: str, function: Callable[..., Any], doc: str, result: Any) -> Any:
    def lifted(x: Tensor, dtype: DType | None = None) -> Tensor:
        return function(convert(x), dtype=_dtype(dtype))

    named(
        lifted,
        name,
        __name__,
        doc + " of the shape of `x`; the dtype is that of `x` by default.",
        f"{name}([2.0])",
        result,
    )
    return op("numpy")(lifted)


zeros_like = _like("zeros_like", jnp.zeros_like, "Return zeros", [0.0])
ones_like = _like("ones_like", jnp.ones_like, "Return ones", [1.0])
empty_like = _like("empty_like", jnp.empty_like, "Return zeros", [0.0])


@op("numpy")
def full_like(x: Tensor, fill_value: Tensor, dtype: DType | None = None) -> Tensor:
    """Return a tensor of the shape of `x` filled with a value.

    Example:
        >>> full_like(jnp.zeros(2), 3)
        Array([3., 3.], dtype=float32)
    """
    return jnp.full_like(convert(x), number(fill_value), dtype=_dtype(dtype))


def zeros(shape: Sequence[int], dtype: DType | None = None) -> Tensor:
    """Return zeros of a shape, by default in `floatx()`.

    Example:
        >>> zeros((2,))
        Array([0., 0.], dtype=float32)
    """
    return jnp.zeros(shape, standardize_dtype(dtype))


def ones(shape: Sequence[int], dtype: DType | None = None) -> Tensor:
    """Return ones of a shape, by default in `floatx()`.

    Example:
        >>> ones((2,))
        Array([1., 1.], dtype=float32)
    """
    return jnp.ones(shape, standardize_dtype(dtype))


def empty(shape: Sequence[int], dtype: DType | None = None) -> Tensor:
    """Return a tensor with unspecified values: here zeros.

    Example:
        >>> empty((2,)).shape
        (2,)
    """
    return jnp.empty(shape, standardize_dtype(dtype))


def full(shape: Sequence[int], fill_value: Tensor, dtype: DType | None = None) -> Tensor:
    """Return a tensor filled with a value, by default in `floatx()`.

    Example:
        >>> full((2,), 3.0)
        Array([3., 3.], dtype=float32)
    """
    return jnp.full(shape, number(fill_value), standardize_dtype(dtype))


def eye(N: int, M: int | None = None, k: int = 0, dtype: DType | None = None) -> Tensor:
    """Return a matrix (N, M) with ones on diagonal `k` and zeros elsewhere; M is N by default.

    Example:
        >>> eye(1)
        Array([[1.]], dtype=float32)
    """
    return jnp.eye(N, M, k, standardize_dtype(dtype))


def identity(n: int, dtype: DType | None = None) -> Tensor:
    """Return the identity matrix (n, n).

    Example:
        >>> identity(1)
        Array([[1.]], dtype=float32)
    """
    return jnp.identity(n, standardize_dtype(dtype))


def tri(N: int, M: int | None = None, k: int = 0, dtype: DType | None = None) -> Tensor:
    """Return a matrix (N, M) with ones on and below diagonal `k`; M is N by default.

    Example:
        >>> tri(2).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    return jnp.tri(N, M, k, standardize_dtype(dtype))


def arange(
    start: Tensor, stop: Tensor = None, step: Tensor = None, dtype: DType | None = None
) -> Tensor:
    """Return evenly spaced values.

    Args:
        start: First value; with only one argument, `stop`, and the first value is 0.
        stop: End, not included.
        step: Distance of the values. Default: 1.
        dtype: Dtype. Default: that of the arguments.

    Example:
        >>> arange(3)
        Array([0, 1, 2], dtype=int32)
    """
    if dtype is None:
        given = [v for v in (start, stop, step) if v is not None]
        dtype = jnp.result_type(*[number(v) for v in given]).name
    return jnp.arange(start, stop, step, standardize_dtype(dtype))


def _spaced(x: Any) -> Any:
    return x if isinstance(x, (int, float)) else convert(x)


@op("numpy")
def linspace(
    start: Tensor, stop: Tensor, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: DType | None = None, axis: int = 0,
) -> Tensor:  # fmt: skip
    """Return `num` evenly spaced values.

    Args:
        start: First value.
        stop: Last value, included with `endpoint`.
        num: Number of values.
        endpoint: Whether `stop` is included.
        retstep: Whether the step is returned too.
        dtype: Dtype. Default: a float.
        axis: Position of the new axis if `start` or `stop` is a tensor.

    Example:
        >>> linspace(0.0, 1.0, 3)
        Array([0. , 0.5, 1. ], dtype=float32)
    """
    return jnp.linspace(_spaced(start), _spaced(stop), num, endpoint, retstep, _dtype(dtype), axis)


@op("numpy")
def logspace(
    start: Tensor, stop: Tensor, num: int = 50, endpoint: bool = True, base: float = 10,
    dtype: DType | None = None, axis: int = 0,
) -> Tensor:  # fmt: skip
    """Return `num` values from `base**start` to `base**stop` with evenly spaced logarithms.

    The arguments are those of `linspace`.

    Example:
        >>> logspace(0.0, 2.0, 3).round().tolist()
        [1.0, 10.0, 100.0]
    """
    return jnp.logspace(_spaced(start), _spaced(stop), num, endpoint, base, _dtype(dtype), axis)


@op("numpy")
def geomspace(
    start: Tensor,
    stop: Tensor,
    num: int = 50,
    endpoint: bool = True,
    dtype: DType | None = None,
    axis: int = 0,
) -> Tensor:
    """Return `num` values from `start` to `stop` in a geometric progression.

    The arguments are those of `linspace`.

    Example:
        >>> geomspace(1.0, 100.0, 3).round().tolist()
        [1.0, 10.0, 100.0]
    """
    return jnp.geomspace(_spaced(start), _spaced(stop), num, endpoint, _dtype(dtype), axis)


def _window(name: str, function: Callable[..., Any]) -> Any:
    def window(x: Any) -> Any:
        return function(int(x)).astype(standardize_dtype(None))

    named(
        window,
        name,
        __name__,
        f"Return the {name.capitalize()} window of length `x`.",
        f"{name}(1)",
        [1.0],
    )
    return window


bartlett = _window("bartlett", jnp.bartlett)
blackman = _window("blackman", jnp.blackman)
hamming = _window("hamming", jnp.hamming)
hanning = _window("hanning", jnp.hanning)


def kaiser(x: Tensor, beta: float) -> Tensor:
    """Return the Kaiser window of length `x` and shape `beta`.

    Example:
        >>> kaiser(1, 2.0)
        Array([1.], dtype=float32)
    """
    return jnp.kaiser(int(x), beta).astype(standardize_dtype(None))


@op("numpy")
def tril(x: Tensor, k: int = 0) -> Tensor:
    """Return matrices (..., M, N) with zeros above diagonal `k`.

    Example:
        >>> tril(jnp.ones((2, 2))).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    return jnp.tril(convert(x), k)


@op("numpy")
def triu(x: Tensor, k: int = 0) -> Tensor:
    """Return matrices (..., M, N) with zeros below diagonal `k`.

    Example:
        >>> triu(jnp.ones((2, 2))).tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    return jnp.triu(convert(x), k)


@op("numpy")
def diag(x: Tensor, k: int = 0) -> Tensor:
    """Return diagonal `k` of a matrix; or, for a vector, the matrix with it on that diagonal.

    Example:
        >>> diag(jnp.array([[1, 2], [3, 4]]))
        Array([1, 4], dtype=int32)
    """
    return jnp.diag(convert(x), k)


@op("numpy")
def diagflat(x: Tensor, k: int = 0) -> Tensor:
    """Return the matrix with the flattened `x` on diagonal `k`.

    Example:
        >>> diagflat(jnp.array([[1, 2]])).tolist()
        [[1, 0], [0, 2]]
    """
    return jnp.diagflat(convert(x), k)


@op("numpy")
def diagonal(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Return diagonal `offset` of the matrices of two axes, as the last axis.

    Example:
        >>> diagonal(jnp.array([[1, 2], [3, 4]]))
        Array([1, 4], dtype=int32)
    """
    return jnp.diagonal(convert(x), offset, axis1, axis2)


@op("numpy")
def trace(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Return the sum of diagonal `offset` of the matrices of two axes.

    Example:
        >>> trace(jnp.array([[1, 2], [3, 4]]))
        Array(5, dtype=int32)
    """
    return jnp.trace(convert(x), offset, axis1, axis2)


@op("numpy")
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Return the Vandermonde matrix (M, N) of a vector (M,).

    Column j holds the powers N - 1 - j, or j if `increasing`.

    Example:
        >>> vander(jnp.array([2, 3]), 2).tolist()
        [[2, 1], [3, 1]]
    """
    return jnp.vander(convert(x), N, increasing)


@op("numpy")
def array(x: Tensor, dtype: DType | None = None) -> Tensor:
    """Return `x` as a tensor.

    Example:
        >>> array([1.0])
        Array([1.], dtype=float32)
    """
    return jnp.asarray(convert(x), _dtype(dtype))


@op("core")
def convert_to_tensor(
    x: Tensor, dtype: DType | None = None, sparse: bool | None = None, ragged: bool | None = None
) -> Tensor:
    """Return `x` as a JAX array.

    Args:
        x: Array, variable, number or nested list.
        dtype: Dtype. Default: that of `x`.
        sparse: False turns a sparse tensor into a dense one. Default: it stays sparse, a JAX `BCOO`
            array. A dense tensor stays dense.
        ragged: Must not be true.

    Raises:
        ValueError: If `ragged` is true.

    Example:
        >>> convert_to_tensor([1.0])
        Array([1.], dtype=float32)
    """
    if ragged:
        raise ValueError("convert_to_tensor: ragged tensors are not supported. Leave `ragged` out.")
    return convert(x, dtype)


def convert_to_numpy(x: Tensor) -> np.ndarray:
    """Return a copy of `x` as a NumPy array.

    Example:
        >>> convert_to_numpy(jnp.ones(1))
        array([1.], dtype=float32)
    """
    return np.array(convert(x))


def is_tensor(x: object) -> bool:
    """Return whether `x` is a JAX array, dense or sparse, or a symbolic tensor.

    Example:
        >>> is_tensor(jnp.ones(1)), is_tensor([1.0])
        (True, False)
    """
    return isinstance(x, (jax.Array, KerasTensor)) or is_sparse_array(x)


def shape(x: Tensor) -> tuple[int | None, ...]:
    """Return the shape of a tensor, with `None` for an unknown size.

    Example:
        >>> shape(jnp.zeros((2, 3)))
        (2, 3)
    """
    return tuple(x.shape) if hasattr(x, "shape") else tuple(np.shape(x))


def ndim(x: Tensor) -> int:
    """Return the number of axes.

    Example:
        >>> ndim(jnp.zeros((2, 3)))
        2
    """
    return len(shape(x))


def size(x: Tensor) -> Tensor:
    """Return the number of elements, or `None` if a size is unknown.

    Example:
        >>> size(jnp.zeros((2, 3)))
        6
    """
    sizes = shape(x)
    return None if None in sizes else int(np.prod([n for n in sizes if n is not None], dtype=int))


def dtype(x: Any) -> str:
    """Return the name of the dtype of `x`.

    Example:
        >>> dtype(jnp.zeros(2))
        'float32'
    """
    return standardize_dtype(x.dtype if hasattr(x, "dtype") else convert(x).dtype)


@op("core")
def stop_gradient(variable: Tensor) -> Tensor:
    """Return the value of `variable`, as a constant to differentiation.

    Example:
        >>> stop_gradient(jnp.ones(1))
        Array([1.], dtype=float32)
    """
    return jax.lax.stop_gradient(
        convert(variable.value if isinstance(variable, Variable) else variable)
    )
