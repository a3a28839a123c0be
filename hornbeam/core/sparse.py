"""Sparse tensors: JAX's `BCOO` arrays, which hold only the entries that are not zero.

An op with a rule (`ops/sparse.py`) computes with the entries. The other ops get the dense array,
which `convert` makes. Matrices of SciPy become `BCOO` arrays where they enter a layer, or an op
with a rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.data.adapters import adapter_of
from hornbeam.optional import jax_sparse
from hornbeam.tree import is_sparse_array

if TYPE_CHECKING:
    from jax.experimental.sparse import BCOO

__all__ = ["any_sparse", "as_dense", "as_sparse", "is_sparse"]

_sparse_types: dict[type, bool] = {}


def is_sparse(x: object) -> bool:
    """Return whether `x` is a sparse array of JAX or a sparse matrix of SciPy.

    Example:
        >>> is_sparse(jax_sparse().eye(2)), is_sparse(jnp.eye(2))
        (True, False)
    """
    cls = type(x)
    known = _sparse_types.get(cls)
    if known is None:
        adapter = adapter_of(x)
        known = is_sparse_array(x) or (adapter is not None and adapter.package == "scipy")
        _sparse_types[cls] = known
    return known


def any_sparse(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Return whether an argument, or a member of one that is a list, is sparse.

    Example:
        >>> any_sparse(([jax_sparse().eye(2), 1],), {})
        True
    """
    for x in (*args, *kwargs.values()):
        if isinstance(x, (list, tuple)):
            if any(map(is_sparse, x)):
                return True
        elif is_sparse(x):
            return True
    return False


def as_sparse(x: Any) -> BCOO:
    """Return a sparse array or matrix as a `BCOO` whose entries each have an index per axis.

    Example:
        >>> import scipy.sparse
        >>> as_sparse(scipy.sparse.csr_matrix([[0.0, 2.0]])).todense()
        Array([[0., 2.]], dtype=float32)
    """
    sparse = jax_sparse()
    if isinstance(x, sparse.BCSR):
        x = x.to_bcoo()
    if is_sparse_array(x):
        x = x if isinstance(x, sparse.BCOO) else sparse.BCOO.fromdense(x.todense())
        if x.n_batch or x.n_dense:
            x = x.update_layout(n_batch=0, n_dense=0, on_inefficient=None)
        return x
    matrix = x.tocoo(copy=True)
    matrix.sum_duplicates()
    indices = np.stack(getattr(matrix, "coords", None) or (matrix.row, matrix.col), axis=1)
    return sparse.BCOO(
        (jnp.asarray(matrix.data), jnp.asarray(indices, "int32")), shape=matrix.shape,
        unique_indices=True,
    )  # fmt: skip


def as_dense(x: Any) -> jax.Array:
    """Return a sparse array or matrix as a dense array.

    Example:
        >>> as_dense(jax_sparse().eye(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return as_sparse(x).todense()
