"""Linear algebra: products of vectors and matrices, decompositions, norms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl

from hornbeam.core.convert import convert
from hornbeam.core.op import op
from hornbeam.ops.lift import number
from hornbeam.ops.product import rows_product
from hornbeam.typing import Axis, Tensor

__all__ = [
    "cdist", "cholesky", "cholesky_inverse", "correlate", "cross", "det", "dot", "eig", "eigh",
    "einsum", "inner", "inv", "jvp", "kron", "logdet", "lstsq", "lu_factor", "matmul",
    "matrix_rank", "norm", "outer", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd",
    "tensordot", "vdot",
]  # fmt: skip


def _float(x: Any) -> Any:
    x = convert(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype("float32")


@op("numpy")
def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the matrix product over the last two axes; the axes before them broadcast.

    Args:
        x1: (..., M, K), or a vector (K,).
        x2: (..., K, N), or a vector (K,); two int8 tensors give int32.

    Example:
        >>> matmul(jnp.ones((1, 2)), jnp.ones((2, 1)))
        Array([[2.]], dtype=float32)
    """
    x1, x2 = convert(x1), convert(x2)
    # int8 products exceed the range of int8 at once, so they are summed in int32.
    wide = "int32" if x1.dtype == x2.dtype == jnp.int8 else None
    if x1.ndim > 1 and x2.ndim == 2 and x1.shape[-1] == x2.shape[0]:
        return rows_product(x1, x2, dtype=wide)
    return jnp.matmul(x1, x2, preferred_element_type=wide)


@op("numpy")
def dot(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the product over the last axis of `x1` and the second to last axis of `x2`.

    Example:
        >>> dot(jnp.ones(2), jnp.ones(2))
        Array(2., dtype=float32)
    """
    return jnp.dot(number(x1), number(x2))


@op("numpy")
def inner(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the product over the last axis of both tensors.

    Example:
        >>> inner(jnp.ones(2), jnp.ones(2))
        Array(2., dtype=float32)
    """
    return jnp.inner(number(x1), number(x2))


@op("numpy")
def outer(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the products of all elements of `x1` (M of them) and `x2` (N), of shape (M, N).

    Example:
        >>> outer(jnp.array([1, 2]), jnp.array([3])).tolist()
        [[3], [6]]
    """
    return jnp.outer(convert(x1), convert(x2))


@op("numpy")
def vdot(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the dot product of the flattened tensors, with the first conjugated.

    Example:
        >>> vdot(jnp.ones(2), jnp.ones(2))
        Array(2., dtype=float32)
    """
    return jnp.vdot(convert(x1), convert(x2))


@op("numpy")
def kron(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the Kronecker product.

    Example:
        >>> kron(jnp.array([1, 2]), jnp.array([1, 1]))
        Array([1, 1, 2, 2], dtype=int32)
    """
    return jnp.kron(convert(x1), convert(x2))


@op("numpy")
def tensordot(
    x1: Tensor, x2: Tensor, axes: int | Sequence[int] | Sequence[Sequence[int]] = 2
) -> Tensor:
    """Sum products over several axes of both tensors.

    Args:
        x1, x2: Tensors.
        axes: The number of axes, the last of `x1` and the first of `x2`; or a pair of lists of
            axes.

    Example:
        >>> tensordot(jnp.ones((2, 3)), jnp.ones((3, 2)), 1).shape
        (2, 2)
    """
    x1, x2 = convert(x1), convert(x2)
    if (
        isinstance(axes, int)
        and 0 < axes < min(x1.ndim, x2.ndim)
        and x1.shape[-axes:] == x2.shape[:axes]
    ):
        return rows_product(x1, x2, axes)
    return jnp.tensordot(x1, x2, axes)


@op("numpy")
def cross(
    x1: Tensor,
    x2: Tensor,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Tensor:
    """Return the cross product of vectors with 2 or 3 elements along an axis.

    Args:
        x1, x2: Tensors.
        axisa: Axis of the vectors in `x1`.
        axisb: Axis of the vectors in `x2`.
        axisc: Axis of the vectors in the result.
        axis: Sets all three.

    Example:
        >>> cross(jnp.array([1, 0, 0]), jnp.array([0, 1, 0]))
        Array([0, 0, 1], dtype=int32)
    """
    return jnp.cross(convert(x1), convert(x2), axisa, axisb, axisc, axis)


@op("numpy")
def correlate(x1: Tensor, x2: Tensor, mode: str = "valid") -> Tensor:
    """Return the cross-correlation of two vectors; `mode` is `"valid"`, `"same"` or `"full"`.

    Example:
        >>> correlate(jnp.ones(3), jnp.ones(2))
        Array([2., 2.], dtype=float32)
    """
    return jnp.correlate(convert(x1), convert(x2), mode)


def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Tensor:
    """Sum products of tensors, in Einstein's notation.

    Args:
        subscripts: The axes of the operands and of the result, such as `"bij,bjk->bik"`.
        *operands: Tensors.
        **kwargs: `optimize`, as in `numpy.einsum`.

    Example:
        >>> einsum("i,i", jnp.ones(2), jnp.ones(2))
        Array(2., dtype=float32)
    """
    return _einsum(*operands, subscripts=subscripts, **kwargs)


@op("numpy", "Einsum")
def _einsum(*operands: Tensor, subscripts: str, **kwargs: Any) -> Tensor:
    return jnp.einsum(subscripts, *[convert(x) for x in operands], **kwargs)


@op("linalg")
def norm(
    x: Tensor, ord: int | float | str | None = None, axis: Axis = None, keepdims: bool = False
) -> Tensor:
    """Return the norm of vectors or matrices.

    Args:
        x: Tensor.
        ord: Order: a number, infinity, `"fro"` or `"nuc"`. Default: the Euclidean norm.
        axis: One axis for vectors, two for matrices. Default: all.
        keepdims: Whether the axes stay with size 1.

    Example:
        >>> norm(jnp.array([3.0, 4.0]))
        Array(5., dtype=float32)
    """
    axis = tuple(axis) if isinstance(axis, list) else axis
    return jnp.linalg.norm(_float(x), ord=ord, axis=axis, keepdims=keepdims)


@op("math", "CDist")
def cdist(x: Tensor, y: Tensor) -> Tensor:
    """Return Euclidean distances (..., M, N) between rows of `x` and of `y`.

    `x` has the shape (..., M, D), `y` the shape (..., N, D).

    Example:
        >>> cdist(jnp.zeros((1, 2)), jnp.array([[3.0, 4.0]]))
        Array([[5.]], dtype=float32)
    """
    x, y = _float(x), _float(y)
    return jnp.sqrt(jnp.sum(jnp.square(x[..., :, None, :] - y[..., None, :, :]), -1))


@op("linalg")
def cholesky(x: Tensor, upper: bool = False) -> Tensor:
    """Return the lower (or `upper`) Cholesky factors of positive definite matrices (..., M, M).

    Example:
        >>> cholesky(jnp.array([[4.0]]))
        Array([[2.]], dtype=float32)
    """
    return jnp.linalg.cholesky(_float(x), upper=upper)


@op("linalg")
def cholesky_inverse(x: Tensor, upper: bool = False) -> Tensor:
    """Return the inverses of matrices from their lower (or `upper`) Cholesky factors `x`.

    Example:
        >>> cholesky_inverse(jnp.array([[2.0]]))
        Array([[0.25]], dtype=float32)
    """
    x = _float(x)
    inverse = jsl.solve_triangular(
        x, jnp.broadcast_to(jnp.eye(x.shape[-1], dtype=x.dtype), x.shape), lower=not upper
    )
    other = jnp.swapaxes(inverse, -1, -2)
    return inverse @ other if upper else other @ inverse


@op("linalg")
def det(x: Tensor) -> Tensor:
    """Return the determinants of square matrices (..., M, M).

    Example:
        >>> det(jnp.array([[2.0]]))
        Array(2., dtype=float32)
    """
    return jnp.linalg.det(_float(x))


@op("numpy")
def slogdet(x: Tensor) -> Tensor:
    """Return the signs of determinants, and the logarithms of their absolute values.

    Example:
        >>> slogdet(jnp.array([[1.0]]))
        (Array(1., dtype=float32), Array(0., dtype=float32))
    """
    return tuple(jnp.linalg.slogdet(_float(x)))


@op("math")
def logdet(x: Tensor) -> Tensor:
    """Return the logarithms of the determinants of positive definite matrices.

    Example:
        >>> logdet(jnp.array([[1.0]]))
        Array(0., dtype=float32)
    """
    return jnp.linalg.slogdet(_float(x))[1]


@op("linalg")
def eig(x: Tensor) -> Tensor:
    """Return complex eigenvalues (..., M) and eigenvectors (..., M, M) of matrices; CPU only.

    Example:
        >>> eig(jnp.array([[2.0]]))[0]
        Array([2.+0.j], dtype=complex64)
    """
    return tuple(jnp.linalg.eig(_float(x)))


@op("linalg")
def eigh(x: Tensor) -> Tensor:
    """Return ascending eigenvalues (..., M) and eigenvectors (..., M, M) of symmetric matrices.

    Example:
        >>> eigh(jnp.array([[2.0]]))[0]
        Array([2.], dtype=float32)
    """
    return tuple(jnp.linalg.eigh(_float(x)))


@op("linalg")
def inv(x: Tensor) -> Tensor:
    """Return the inverses of square matrices (..., M, M).

    Example:
        >>> inv(jnp.array([[2.0]]))
        Array([[0.5]], dtype=float32)
    """
    return jnp.linalg.inv(_float(x))


@op("linalg")
def pinv(x: Tensor, rcond: float | None = None) -> Tensor:
    """Return the pseudo-inverses of matrices.

    Singular values below `rcond` times the largest count as 0.

    Example:
        >>> pinv(jnp.array([[2.0]]))
        Array([[0.5]], dtype=float32)
    """
    return jnp.linalg.pinv(_float(x), rtol=rcond)


@op("linalg")
def matrix_rank(x: Tensor, tol: float | None = None) -> Tensor:
    """Return the number of singular values above `tol` (default: as NumPy chooses it), as int32.

    Example:
        >>> matrix_rank(jnp.eye(2))
        Array(2, dtype=int32)
    """
    x = _float(x)
    values = jnp.linalg.svd(x, compute_uv=False)
    if tol is None:
        largest = values.max(axis=-1, keepdims=True)
        bound = largest * max(x.shape[-2:]) * jnp.finfo(x.dtype).eps
    else:
        bound = jnp.asarray(tol)
    return jnp.sum(values > bound, axis=-1).astype("int32")


@op("linalg")
def lu_factor(x: Tensor) -> Tensor:
    """Return the LU decomposition of square matrices: both factors in one matrix, and the pivots.

    Example:
        >>> lu_factor(jnp.array([[2.0]]))[0]
        Array([[2.]], dtype=float32)
    """
    return tuple(jsl.lu_factor(_float(x)))


@op("linalg")
def qr(x: Tensor, mode: str = "reduced") -> Tensor:
    """Return the QR decomposition of matrices (..., M, N).

    Args:
        x: Matrices.
        mode: `"reduced"`: q is (..., M, K) and r (..., K, N), with K the smaller of M and N.
            `"complete"`: q is (..., M, M) and r (..., M, N).

    Raises:
        ValueError: If `mode` is neither.

    Example:
        >>> [a.shape for a in qr(jnp.ones((3, 2)))]
        [(3, 2), (2, 2)]
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: `mode` must be 'reduced' or 'complete', received {mode!r}.")
    return tuple(jnp.linalg.qr(_float(x), mode))


@op("linalg")
def solve(a: Tensor, b: Tensor) -> Tensor:
    """Return the solution x of `a @ x = b`.

    Args:
        a: (..., M, M).
        b: (..., M), or (..., M, N) for several right-hand sides.

    Example:
        >>> solve(jnp.array([[2.0]]), jnp.array([4.0]))
        Array([2.], dtype=float32)
    """
    return _with_vector(jnp.linalg.solve, _float(a), _float(b))


@op("linalg")
def solve_triangular(a: Tensor, b: Tensor, lower: bool = False) -> Tensor:
    """Return the solution x of `a @ x = b` for triangular matrices.

    Args:
        a: (..., M, M), upper triangular.
        b: (..., M), or (..., M, N) for several right-hand sides.
        lower: Whether `a` is lower triangular.

    Example:
        >>> solve_triangular(jnp.array([[2.0]]), jnp.array([4.0]))
        Array([2.], dtype=float32)
    """
    return _with_vector(lambda a, b: jsl.solve_triangular(a, b, lower=lower), _float(a), _float(b))


def _with_vector(solver: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    return solver(a, b[..., None])[..., 0] if b.ndim == a.ndim - 1 else solver(a, b)


@op("linalg", "SVD")
def svd(x: Tensor, full_matrices: bool = True, compute_uv: bool = True) -> Tensor:
    """Return the singular value decomposition `u @ diag(s) @ vh`.

    Args:
        x: Matrices (..., M, N).
        full_matrices: Whether u is (M, M) and vh (N, N).
        compute_uv: Whether u and vh are returned too, or only s (..., min(M, N)).

    Example:
        >>> svd(jnp.array([[2.0]]), compute_uv=False)
        Array([2.], dtype=float32)
    """
    found = jnp.linalg.svd(_float(x), full_matrices=full_matrices, compute_uv=compute_uv)
    return tuple(found) if compute_uv else found


@op("linalg")
def lstsq(a: Tensor, b: Tensor, rcond: float | None = None) -> Tensor:
    """Return the least-squares solution x of `a @ x = b`.

    Singular values below `rcond` times the largest count as 0.

    Example:
        >>> lstsq(jnp.array([[2.0]]), jnp.array([4.0])).round(4)
        Array([2.], dtype=float32)
    """
    return jnp.linalg.lstsq(_float(a), _float(b), rcond=rcond)[0]


@op("linalg", "JVP")
def jvp(fun: Tensor, primals: Tensor, tangents: Tensor, has_aux: bool = False) -> Tensor:
    """Return `fun(*primals)` and its derivative in the direction of `tangents`.

    Args:
        fun: Function of the primals; with `has_aux`, it returns a pair of its result and anything
            else.
        primals: List of tensors.
        tangents: List of tensors of the same shapes.
        has_aux: Whether `fun` returns a pair.

    Example:
        >>> [float(x) for x in jvp(lambda x: x * x, [jnp.array(3.0)], [jnp.array(1.0)])]
        [9.0, 6.0]
    """
    primals, tangents = [convert(x) for x in primals], [convert(x) for x in tangents]
    return jax.jvp(fun, primals, tangents, has_aux=has_aux)
