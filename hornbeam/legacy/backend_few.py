"""The functions of `keras.backend` that few programs use.

They are public in `hornbeam.legacy.backend`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hornbeam import ops, settings
from hornbeam.typing import Tensor

__all__ = [
    "ctc_label_dense_to_sparse", "disable_tf_random_generator", "enable_tf_random_generator",
    "is_tf_random_generator_enabled", "local_conv1d", "local_conv2d",
]  # fmt: skip


def ctc_label_dense_to_sparse(labels: Tensor, label_lengths: Tensor) -> list[np.ndarray]:
    """Return the labels of each sample without padding.

    Keras 2 returned a sparse tensor; there are none here.

    Args:
        labels: Labels (B, L).
        label_lengths: Number of labels of each sample, (B,).
    """
    lengths = np.asarray(label_lengths).reshape(-1)
    return [row[:n] for row, n in zip(np.asarray(labels), lengths, strict=True)]


def local_conv1d(
    inputs: Tensor, kernel: Tensor, kernel_size: Sequence[int], strides: Sequence[int],
    data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Return a convolution with a kernel of its own at each position.

    Args:
        inputs: (B, T, C), or (B, C, T) if channels are first.
        kernel: (positions, kernel_size * C, filters).
        kernel_size, strides: Tuples of one integer.
        data_format: Order of the axes.
    """
    last = settings.standardize_data_format(data_format) == "channels_last"
    x = inputs if last else ops.transpose(inputs, (0, 2, 1))
    size = kernel_size[0]
    windows = [
        ops.reshape(x[:, i * strides[0] : i * strides[0] + size], (-1, size * x.shape[2]))
        for i in range(kernel.shape[0])
    ]
    y = ops.einsum("pbc,pcf->bpf", ops.stack(windows, axis=0), kernel)
    return y if last else ops.transpose(y, (0, 2, 1))


def local_conv2d(
    inputs: Tensor, kernel: Tensor, kernel_size: Sequence[int], strides: Sequence[int],
    output_shape: Sequence[int], data_format: str | None = None,
) -> Tensor:  # fmt: skip
    """Return a convolution with a kernel of its own at each position.

    Args:
        inputs: (B, H, W, C), or (B, C, H, W) if channels are first.
        kernel: (rows * columns, window * C, filters). With channels first, the numbers of a window
            are in the order (C, height, width).
        kernel_size, strides: Tuples of two integers.
        output_shape: Number of rows and columns of the output.
        data_format: Order of the axes.
    """
    last = settings.standardize_data_format(data_format) == "channels_last"
    (rows, columns), (high, wide), (down, right) = output_shape, kernel_size, strides
    windows = []
    for i in range(rows):
        for j in range(columns):
            at = slice(i * down, i * down + high), slice(j * right, j * right + wide)
            window = inputs[:, at[0], at[1]] if last else inputs[:, :, at[0], at[1]]
            windows.append(ops.reshape(window, (-1, math.prod(window.shape[1:]))))
    y = ops.einsum("pbc,pcf->bpf", ops.stack(windows, axis=0), kernel)
    y = ops.reshape(y, (-1, rows, columns, kernel.shape[-1]))
    return y if last else ops.transpose(y, (0, 3, 1, 2))


def is_tf_random_generator_enabled() -> bool:
    """Return true: random draws have seed generators."""
    return True


def enable_tf_random_generator() -> None:
    """Do nothing: random draws have seed generators."""


def disable_tf_random_generator() -> None:
    """Do nothing: random draws have seed generators. Seed them by `keras.utils.set_random_seed`."""
