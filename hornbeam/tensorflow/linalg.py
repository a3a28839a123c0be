"""`tf.linalg`: products, norms and decompositions of matrices."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import jax.scipy.linalg as scipy_linalg

from hornbeam import ops
from hornbeam.tensorflow.arrays import eye
from hornbeam.tensorflow.dtypes import device_dtype
from hornbeam.tensorflow.functions import static, tensor
from hornbeam.tensorflow.math import l2_normalize

__all__ = [
    "adjoint", "band_part", "cholesky", "cholesky_solve", "cross", "det", "diag", "diag_part",
    "eig", "eigh", "eigvals", "eigvalsh", "einsum", "expm", "eye", "global_norm", "inv",
    "l2_normalize", "logdet", "lstsq", "lu", "matmul", "matrix_rank", "matrix_transpose", "matvec",
    "norm", "normalize", "pinv", "qr", "set_diag", "slogdet", "solve", "sqrtm", "svd",
    "tensor_diag", "tensor_diag_part", "tensordot", "trace", "triangular_solve",
]  # fmt: skip


def matmul(
    a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, adjoint_a: bool = False,
    adjoint_b: bool = False, a_is_sparse: bool = False, b_is_sparse: bool = False,
    output_type: Any = None, grad_a: bool = False, grad_b: bool = False, name: Any = None,
) -> Any:  # fmt: skip
    """Return the product of matrices, each of which may be transposed.

    Example:
        >>> matmul([[1.0, 2.0]], [[3.0, 4.0]], transpose_b=True)
        Array([[11.]], dtype=float32)
    """
    x = _turned(tensor(a), transpose_a, adjoint_a)
    y = _turned(tensor(b), transpose_b, adjoint_b)
    product = ops.matmul(x, y)
    return product if output_type is None else ops.cast(product, device_dtype(output_type))


def _turned(x: Any, transposed: bool, conjugated: bool) -> Any:
    if transposed or conjugated:
        x = ops.swapaxes(x, -1, -2)
    return ops.conj(x) if conjugated else x


def matvec(
    a: Any, b: Any, transpose_a: bool = False, adjoint_a: bool = False, a_is_sparse: bool = False,
    b_is_sparse: bool = False, name: Any = None,
) -> Any:  # fmt: skip
    """Return the product of a matrix and a vector."""
    x = _turned(tensor(a), transpose_a, adjoint_a)
    return ops.squeeze(ops.matmul(x, ops.expand_dims(tensor(b), -1)), -1)


def matrix_transpose(a: Any, name: Any = "matrix_transpose", conjugate: bool = False) -> Any:
    """Return the transposed matrices."""
    return _turned(tensor(a), True, conjugate)


def adjoint(matrix: Any, name: Any = None) -> Any:
    """Return the transposed and conjugated matrices."""
    return _turned(tensor(matrix), True, True)


def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Any:
    """Return the sum of products that an equation describes."""
    return ops.einsum(equation, *map(tensor, inputs))


def tensordot(a: Any, b: Any, axes: Any, name: Any = None) -> Any:
    """Return the sum of products over axes of both tensors."""
    return ops.tensordot(tensor(a), tensor(b), axes=static(axes))


def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: Any = None
) -> Any:
    """Return the norm of all elements, of vectors along an axis, or of matrices along two."""
    x, axis = _tensor(tensor), static(axis)
    if ord in ("euclidean", "fro"):
        total = ops.sum(ops.square(ops.abs(x)), axis=axis, keepdims=bool(keepdims))
        return ops.sqrt(total)
    if axis is None:
        x, axis = ops.reshape(x, (-1,)), 0
        found = ops.norm(x, ord=ord, axis=axis)
        return ops.reshape(found, (1,) * _tensor(tensor).ndim) if keepdims else found
    return ops.norm(x, ord=ord, axis=axis, keepdims=bool(keepdims))


_tensor = tensor


def normalize(tensor: Any, ord: Any = "euclidean", axis: Any = None, name: Any = None) -> Any:
    """Return a tensor divided by its norm, and the norm."""
    size = norm(tensor, ord, axis, keepdims=True)
    return _tensor(tensor) / size, size


def global_norm(t_list: Any, name: Any = None) -> Any:
    """Return the Euclidean norm of all tensors of a list."""
    squares = [ops.sum(ops.square(tensor(t))) for t in t_list if t is not None]
    return ops.sqrt(sum(squares[1:], squares[0]))


def trace(x: Any, name: Any = None) -> Any:
    """Return the sum of the diagonal of the last two axes."""
    return ops.trace(tensor(x), 0, -2, -1)


def det(input: Any, name: Any = None) -> Any:
    """Return the determinants."""
    return ops.det(tensor(input))


def slogdet(input: Any, name: Any = None) -> Any:
    """Return signs and logarithms of the determinants."""
    return tuple(ops.slogdet(tensor(input)))


def logdet(matrix: Any, name: Any = None) -> Any:
    """Return the logarithms of the determinants of positive definite matrices."""
    return ops.slogdet(tensor(matrix))[1]


def inv(input: Any, adjoint: bool = False, name: Any = None) -> Any:
    """Return the inverse matrices."""
    return ops.inv(_turned(tensor(input), adjoint, adjoint))


def pinv(a: Any, rcond: Any = None, validate_args: bool = False, name: Any = None) -> Any:
    """Return the pseudo-inverse matrices."""
    return jnp.linalg.pinv(tensor(a), rtol=rcond)


def cholesky(input: Any, name: Any = None) -> Any:
    """Return the lower Cholesky factors."""
    return ops.cholesky(tensor(input))


def cholesky_solve(chol: Any, rhs: Any, name: Any = None) -> Any:
    """Return the solution of a system whose matrix has the Cholesky factor `chol`."""
    lower = triangular_solve(chol, rhs)
    return triangular_solve(chol, lower, adjoint=True)


def triangular_solve(
    matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: Any = None
) -> Any:
    """Return the solution of a triangular system."""
    x = scipy_linalg.solve_triangular
    return x(tensor(matrix), tensor(rhs), trans=2 if adjoint else 0, lower=lower)


def solve(matrix: Any, rhs: Any, adjoint: bool = False, name: Any = None) -> Any:
    """Return the solution of a linear system."""
    return ops.solve(_turned(tensor(matrix), adjoint, adjoint), tensor(rhs))


def lstsq(
    matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True, name: Any = None
) -> Any:
    """Return the solution of least squares, with a penalty of its size."""
    a, b = tensor(matrix), tensor(rhs)
    turned = jnp.swapaxes(a, -1, -2)
    if not l2_regularizer:
        return jnp.linalg.pinv(a) @ b
    return jnp.linalg.solve(turned @ a + l2_regularizer * jnp.eye(a.shape[-1]), turned @ b)


def lu(input: Any, output_idx_type: Any = "int32", name: Any = None) -> Any:
    """Return the LU decomposition in one matrix, and the permutation of the rows."""
    factors, pivots = ops.lu_factor(tensor(input))
    order = jnp.arange(factors.shape[-1])
    for i in range(pivots.shape[-1]):
        swapped = order[pivots[i]]
        order = order.at[pivots[i]].set(order[i]).at[i].set(swapped)
    return factors, order.astype(device_dtype(output_idx_type))


def qr(input: Any, full_matrices: bool = False, name: Any = None) -> Any:
    """Return the QR decomposition."""
    return tuple(ops.qr(tensor(input), mode="complete" if full_matrices else "reduced"))


def svd(tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: Any = None) -> Any:
    """Return the singular values, and the left and right singular vectors in columns."""
    found = ops.svd(_tensor(tensor), full_matrices, compute_uv)
    if not compute_uv:
        return found
    u, s, vt = found
    return s, u, _turned(vt, True, True)


def eigh(tensor: Any, name: Any = None) -> Any:
    """Return eigenvalues and eigenvectors of symmetric matrices."""
    return tuple(ops.eigh(_tensor(tensor)))


def eigvalsh(tensor: Any, name: Any = None) -> Any:
    """Return the eigenvalues of symmetric matrices."""
    return jnp.linalg.eigvalsh(_tensor(tensor))


def eig(tensor: Any, name: Any = None) -> Any:
    """Return eigenvalues and eigenvectors."""
    return tuple(ops.eig(_tensor(tensor)))


def eigvals(tensor: Any, name: Any = None) -> Any:
    """Return the eigenvalues."""
    return ops.eig(_tensor(tensor))[0]


def matrix_rank(a: Any, tol: Any = None, validate_args: bool = False, name: Any = None) -> Any:
    """Return the ranks of matrices."""
    return ops.matrix_rank(tensor(a), tol)


def expm(input: Any, name: Any = None) -> Any:
    """Return the matrix exponentials."""
    return scipy_linalg.expm(tensor(input))


def sqrtm(input: Any, name: Any = None) -> Any:
    """Return the matrix square roots of symmetric positive matrices."""
    values, vectors = jnp.linalg.eigh(tensor(input))
    return (vectors * jnp.sqrt(values)[..., None, :]) @ jnp.swapaxes(vectors, -1, -2)


def cross(a: Any, b: Any, name: Any = None) -> Any:
    """Return the cross products along the last axis."""
    return ops.cross(tensor(a), tensor(b))


def band_part(input: Any, num_lower: Any, num_upper: Any, name: Any = None) -> Any:
    """Return matrices with zeros outside a band around the diagonal; -1 keeps a whole triangle.

    Example:
        >>> band_part([[1, 2], [3, 4]], 0, -1).tolist()
        [[1, 2], [0, 4]]
    """
    x, lower, upper = tensor(input), static(num_lower), static(num_upper)
    x = x if lower < 0 else ops.triu(x, -lower)
    return x if upper < 0 else ops.tril(x, upper)


def diag(
    diagonal: Any, name: Any = "diag", k: Any = 0, num_rows: int = -1, num_cols: int = -1,
    padding_value: Any = 0, align: str = "RIGHT_LEFT",
) -> Any:  # fmt: skip
    """Return matrices with the last axis on the diagonal `k`, and `padding_value` elsewhere."""
    x, k = tensor(diagonal), int(static(k))
    n = x.shape[-1]
    rows = num_rows if num_rows > 0 else n + abs(k)
    columns = num_cols if num_cols > 0 else n + abs(k)
    place = jnp.arange(n)
    empty = jnp.full((*x.shape[:-1], rows, columns), padding_value, x.dtype)
    return empty.at[..., place + max(-k, 0), place + max(k, 0)].set(x)


def diag_part(
    input: Any, name: Any = "diag_part", k: Any = 0, padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Any:  # fmt: skip
    """Return the diagonals `k` of matrices."""
    return ops.diagonal(tensor(input), int(static(k)), -2, -1)


def set_diag(
    input: Any, diagonal: Any, name: Any = "set_diag", k: Any = 0, align: str = "RIGHT_LEFT"
) -> Any:
    """Return matrices with another diagonal `k`."""
    x, d, k = tensor(input), tensor(diagonal), int(static(k))
    place = jnp.arange(d.shape[-1])
    return x.at[..., place + max(-k, 0), place + max(k, 0)].set(d)


def tensor_diag(diagonal: Any, name: Any = None) -> Any:
    """Return a tensor with the elements of another on its diagonal."""
    x = tensor(diagonal)
    return jnp.diag(x.reshape(-1)).reshape(*x.shape, *x.shape)


def tensor_diag_part(input: Any, name: Any = None) -> Any:
    """Return the elements on the diagonal of a tensor."""
    x = tensor(input)
    half = x.shape[: x.ndim // 2]
    n = 1
    for size in half:
        n *= size
    return jnp.diagonal(x.reshape(n, n)).reshape(half)
