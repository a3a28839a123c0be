"""GPTQ and AWQ: functions that round a matrix based on statistics of its inputs.

The product `inputs @ weights` sums over the rows of the matrix `weights`. The statistics are the
second moments `inputs.T @ inputs`, of shape (rows, rows), and the mean magnitudes, of shape
(rows,).
"""

from __future__ import annotations

import numpy as np

from hornbeam.quantizers.rounding import group_index

__all__ = ["awq", "gptq", "range_of"]

_BLOCK = 128  # rows per block; one product applies a block's corrections to all later rows


def range_of(
    weights: np.ndarray, highest: int, symmetric: bool = False, per_channel: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return scales and zero points that map each column to integers from 0 to `highest`.

    Each weight is approximately `(integer - zero) * scale`.

    Args:
        weights: Matrix of shape (rows, columns).
        highest: Highest integer.
        symmetric: Whether the zero point is in the middle of the integers.
        per_channel: Whether each column has its own scale and zero point.

    Returns:
        Scales and zero points of shape (columns,).

    Example:
        >>> scale, zero = range_of(np.array([[-1.0], [2.0]]), 3)
        >>> scale.tolist(), zero.tolist()
        ([1.0], [1.0])
    """
    low, high = np.minimum(weights.min(0), 0), np.maximum(weights.max(0), 0)
    if not per_channel:
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    if symmetric:
        high = np.maximum(np.abs(low), high)
        low = -high
    flat = high - low == 0
    low, high = np.where(flat, -1, low), np.where(flat, 1, high)
    scale = (high - low) / highest
    zero = (
        np.full_like(scale, (highest + 1) // 2)
        if symmetric
        else np.clip(np.round(-low / scale), 0, highest)
    )
    return scale, zero


def gptq(
    weights: np.ndarray, moments: np.ndarray, bits: int, group_size: int = -1,
    symmetric: bool = False, damping: float = 0.01, activation_order: bool = False,
    per_channel: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Round a matrix row by row; later rows compensate for each row's rounding error.

    Frantar et al. 2022, with one Cholesky factor instead of repeated updates of the inverse.

    Args:
        weights: Matrix of shape (rows, columns).
        moments: Second moments of the inputs, of shape (rows, rows).
        bits: Number of bits of an integer.
        group_size: Number of rows that share a scale; -1 for all.
        symmetric, per_channel: As for `range_of`.
        damping: Fraction of the mean of the moments' diagonal that is added to the diagonal.
        activation_order: Whether rows with large inputs are rounded first.

    Returns:
        Integers (rows, columns), scales and zero points (groups, columns), and the group of each
        row (rows,).

    Example:
        >>> weights = np.array([[1.0], [0.0], [-1.0]])
        >>> integers, scale, zero, group = gptq(weights, np.eye(3), bits=2)
        >>> ((integers - zero) * scale).round(2).ravel().tolist()
        [0.67, 0.0, -1.33]
    """
    rows = weights.shape[0]
    w, h = weights.astype("float64"), moments.astype("float64")
    order = np.argsort(-np.diag(h), kind="stable") if activation_order else np.arange(rows)
    w, h = w[order], h[np.ix_(order, order)]
    unused = np.diag(h) == 0  # the inputs of these rows are always zero, so any value will do
    h[unused, unused] = 1
    w[unused] = 0
    h[np.arange(rows), np.arange(rows)] += damping * np.diag(h).mean() + 1e-12
    factor = np.linalg.cholesky(np.linalg.inv(h)).T
    group = group_index(rows, group_size)
    highest = 2**bits - 1
    integers, scales, zeros = np.zeros(w.shape), [], []
    for start in range(0, rows, _BLOCK):
        end = min(start + _BLOCK, rows)
        errors = np.zeros((end - start, w.shape[1]))
        for row in range(start, end):
            if row == 0 or group[row] != group[row - 1]:
                scale, zero = range_of(w[group == group[row]], highest, symmetric, per_channel)
                scales.append(scale)
                zeros.append(zero)
            integers[row] = np.clip(np.round(w[row] / scales[-1]) + zeros[-1], 0, highest)
            error = (w[row] - (integers[row] - zeros[-1]) * scales[-1]) / factor[row, row]
            w[row + 1 : end] -= np.outer(factor[row, row + 1 : end], error)
            errors[row - start] = error
        w[end:] -= factor[start:end, end:].T @ errors
    back = np.argsort(order)
    return integers[back], np.stack(scales), np.stack(zeros), group[back]


def awq(
    weights: np.ndarray, moments: np.ndarray, magnitudes: np.ndarray, bits: int = 4,
    group_size: int = -1, grid_points: int = 20,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Scale up rows with large inputs, to lose less of them, and round the matrix.

    The factors are `magnitudes ** power`, normalized. `power` is chosen from a grid between 0 and 1
    to minimize the squared error of the outputs (Lin et al. 2023).

    Args:
        weights: Matrix of shape (rows, columns).
        moments: Second moments of the inputs, of shape (rows, rows).
        magnitudes: Mean magnitude of each input, of shape (rows,).
        bits: Number of bits of an integer.
        group_size: Number of rows that share a scale; -1 for all.
        grid_points: Number of powers to try.

    Returns:
        Integers (rows, columns), scales and zero points (groups, columns), and the factor of each
        row (rows,).

    Example:
        >>> weights, inputs = np.array([[0.1], [1.0], [-1.0]]), np.array([100.0, 1.0, 1.0])
        >>> integers, scale, zero, factors = awq(weights, np.diag(inputs**2), inputs)
        >>> bool(abs(((integers - zero) * scale / factors[:, None] - weights)[0, 0]) < 0.01)
        True
    """
    group = group_index(weights.shape[0], group_size)
    highest = 2**bits - 1
    best, least = None, np.inf
    for power in np.arange(grid_points) / grid_points:
        factors = np.maximum(magnitudes, 1e-8) ** power
        factors = factors / np.sqrt(factors.max() * factors.min())
        scaled = weights * factors[:, None]
        ranges = [range_of(scaled[group == g], highest) for g in range(group[-1] + 1)]
        scale, zero = (np.stack(parts) for parts in zip(*ranges, strict=True))
        integers = np.clip(np.round(scaled / scale[group]) + zero[group], 0, highest)
        error = (integers - zero[group]) * scale[group] / factors[:, None] - weights
        loss = float(np.sum(error * (moments @ error)))  # the squared error of the outputs
        if loss < least:
            best, least = (integers, scale, zero, factors), loss
    assert best is not None
    return best
