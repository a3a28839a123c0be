"""Numeric helpers for preparing data: one-hot labels and scaling by a norm."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from hornbeam import ops, settings
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.errors import describe
from hornbeam.older_words import older_words
from hornbeam.typing import ArrayLike, DType

__all__ = ["normalize", "to_categorical"]


@older_words(y="x", nb_classes="num_classes")
def to_categorical(
    x: ArrayLike, num_classes: int | None = None, dtype: DType | None = None
) -> np.ndarray | jax.Array:
    """Return class numbers as rows with a single one (one-hot).

    Args:
        x: Integers of any shape. A last axis of size 1 is dropped.
        num_classes: Length of a row. Default: the largest number in `x` plus one.
        dtype: Dtype of the rows; an argument of Keras 2.

    Returns:
        A float64 array of shape `x.shape + (num_classes,)`; a JAX array of the default float type
        if `x` is a JAX array and `num_classes` is given. As in NumPy, -1 means the last class.

    Raises:
        ValueError: If `x` is empty and `num_classes` is not given, or holds no numbers.
        IndexError: If a number in `x` is out of range for `num_classes`.

    Example:
        >>> to_categorical([0, 2], num_classes=3)
        array([[1., 0., 0.],
               [0., 0., 1.]])
    """
    if isinstance(x, jax.Array) and num_classes is not None:
        return _one_hot_traced(x, num_classes, dtype or settings.floatx())
    try:
        labels = np.asarray(x).astype("int64")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"to_categorical: x must hold whole numbers, received {describe(x)}. "
            "Map names to numbers first, e.g. with np.unique(x, return_inverse=True)."
        ) from error
    shape = _label_shape(labels.shape)
    labels = labels.reshape(-1)
    if num_classes is None:
        if not labels.size:
            raise ValueError("to_categorical: x is empty; give num_classes.")
        num_classes = int(labels.max()) + 1
    if labels.size and not -num_classes <= labels.min() <= labels.max() < num_classes:
        worst = labels.max() if labels.max() >= num_classes else labels.min()
        raise IndexError(
            f"to_categorical: x holds {worst}, but num_classes={num_classes} leaves room for 0 to "
            f"{num_classes - 1} only. Give a larger num_classes or renumber the classes from 0."
        )
    rows = np.zeros((labels.size, num_classes), np.float64 if dtype is None else str(dtype))
    rows[np.arange(labels.size), labels] = 1
    return rows.reshape((*shape, num_classes))


def _label_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape


def _one_hot_traced(x: jax.Array, num_classes: int, dtype: DType) -> jax.Array:
    labels = x.reshape(_label_shape(x.shape))
    return jax.nn.one_hot(labels, num_classes, dtype=dtype)


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> ArrayLike:
    """Scale `x` to norm 1 along an axis; vectors of zeros stay zero.

    Args:
        x: Array of numbers.
        axis: The axis along which the norm is computed.
        order: Order of the norm as in `numpy.linalg.norm`, at least 1: 1, 2, `np.inf`, ...

    Returns:
        A float array of the shape of `x` (of shape `(1, n)` for a vector, as in Keras): a tensor if
        `x` is a tensor, symbolic or not, else a NumPy array.

    Raises:
        ValueError: If `axis` is not an axis of `x`, or `order` is not a number of at least 1.

    Example:
        >>> normalize([[3.0, 4.0]])
        array([[0.6, 0.8]])
    """
    is_tensor = isinstance(x, (jax.Array, KerasTensor, Variable))
    array: Any = x if is_tensor else np.asarray(x)
    rank = len(array.shape)
    if not isinstance(axis, (int, np.integer)) or not -rank <= axis < rank:
        raise ValueError(
            f"normalize: axis must be a whole number from {-rank} to {rank - 1} for x of shape "
            f"{array.shape}, received axis={axis!r}."
        )
    is_number = isinstance(order, (int, float, np.integer, np.floating)) and not isinstance(
        order, bool
    )
    if not is_number or not order >= 1:
        raise ValueError(f"normalize: order must be a number >= 1, received order={order!r}.")
    if is_tensor:
        norms = ops.norm(array, order, axis, keepdims=True)
        rows = array / ops.where(norms == 0, ops.ones_like(norms), norms)
        return rows if rank > 1 else rows[None]
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    return np.atleast_2d(array / np.where(norms == 0, 1, norms))
