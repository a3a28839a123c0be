"""`tf.nn`: activations, losses, convolutions and pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import ops
from hornbeam.random import dropout as _dropout
from hornbeam.tensorflow.dtypes import cast
from hornbeam.tensorflow.functions import named, of_features, static, tensor
from hornbeam.tensorflow.indexing import gather
from hornbeam.tensorflow.linalg import l2_normalize
from hornbeam.tensorflow.math import (
    in_top_k,
    log_softmax,
    sigmoid,
    softmax,
    softplus,
    softsign,
    tanh,
    top_k,
    zero_fraction,
)

__all__ = [
    "atrous_conv2d", "avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_normalization",
    "bias_add", "compute_average_loss", "conv1d", "conv1d_transpose", "conv2d", "conv2d_transpose",
    "conv3d", "conv3d_transpose", "conv_transpose", "convolution", "crelu", "depth_to_space",
    "depthwise_conv2d", "dropout", "elu", "embedding_lookup", "gelu", "in_top_k", "l2_loss",
    "l2_normalize", "leaky_relu", "local_response_normalization", "log_poisson_loss", "log_softmax",
    "lrn", "max_pool", "max_pool1d", "max_pool2d", "max_pool3d", "moments", "pool", "relu", "relu6",
    "scale_regularization_loss", "selu", "separable_conv2d", "sigmoid",
    "sigmoid_cross_entropy_with_logits", "silu", "softmax", "softmax_cross_entropy_with_logits",
    "softplus", "softsign", "space_to_depth", "sparse_softmax_cross_entropy_with_logits", "swish",
    "tanh", "top_k", "weighted_cross_entropy_with_logits", "weighted_moments", "zero_fraction",
]  # fmt: skip

elu = named(of_features(ops.elu), "elu")
relu = named(of_features(ops.relu), "relu")
relu6 = named(of_features(ops.relu6), "relu6")
selu = named(of_features(ops.selu), "selu")


def gelu(features: Any, approximate: bool = False, name: Any = None) -> Any:
    """Return the Gaussian error linear unit, by default the exact one."""
    return ops.gelu(tensor(features), approximate)


def leaky_relu(features: Any, alpha: float = 0.2, name: Any = None) -> Any:
    """Return `x` where it is positive, else `alpha * x`."""
    return ops.leaky_relu(tensor(features), alpha)


def silu(features: Any, beta: Any = 1.0) -> Any:
    """Return `x * sigmoid(beta * x)`."""
    x = tensor(features)
    return x * ops.sigmoid(x * beta)


swish = silu


def crelu(features: Any, axis: int = -1, name: Any = None) -> Any:
    """Return the positive parts of `x` and of `-x`, joined."""
    x = tensor(features)
    return ops.relu(ops.concatenate([x, -x], axis))


def dropout(x: Any, rate: Any, noise_shape: Any = None, seed: Any = None, name: Any = None) -> Any:
    """Return a tensor with a part `rate` of its elements set to zero and the others scaled up."""
    return _dropout(tensor(x), rate, noise_shape=static(noise_shape), seed=seed)


# --- losses ------------------------------------------------------------------------------------


def sigmoid_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: Any = None
) -> Any:
    """Return the cross-entropy of each element."""
    z, x = tensor(labels), tensor(logits)
    return ops.relu(x) - x * z + ops.log1p(ops.exp(-ops.abs(x)))


def weighted_cross_entropy_with_logits(
    labels: Any, logits: Any, pos_weight: Any, name: Any = None
) -> Any:
    """Return the cross-entropy of each element, with positive labels weighted."""
    z, x = tensor(labels), tensor(logits)
    weight = 1 + (pos_weight - 1) * z
    return (1 - z) * x + weight * (ops.log1p(ops.exp(-ops.abs(x))) + ops.relu(-x))


def softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, axis: int = -1, name: Any = None
) -> Any:
    """Return the cross-entropy of distributions along an axis."""
    x = tensor(logits)
    return -ops.sum(tensor(labels, x.dtype) * ops.log_softmax(x, axis), axis=axis)


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: Any = None) -> Any:
    """Return the cross-entropy of classes given by number."""
    x = ops.log_softmax(tensor(logits), -1)
    return -ops.squeeze(ops.take_along_axis(x, ops.expand_dims(tensor(labels), -1), -1), -1)


def l2_loss(t: Any, name: Any = None) -> Any:
    """Return half the sum of the squares."""
    return ops.sum(ops.square(tensor(t))) / 2


def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: Any = None
) -> Any:
    """Return the Poisson loss of predicted logarithms."""
    z, c = tensor(targets), tensor(log_input)
    loss = ops.exp(c) - z * c
    if compute_full_loss:
        stirling = z * ops.log(z) - z + 0.5 * ops.log(2 * jnp.pi * z)
        loss += ops.where((z >= 0) & (z <= 1), ops.zeros_like(z), stirling)
    return loss


def compute_average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None
) -> Any:
    """Return the sum of losses over the number of samples."""
    losses = tensor(per_example_loss)
    n = losses.shape[0] if global_batch_size is None else global_batch_size
    losses = losses if sample_weight is None else losses * tensor(sample_weight)
    return ops.sum(losses) / n


def scale_regularization_loss(regularization_loss: Any) -> Any:
    """Return the sum of losses; there is one replica."""
    return ops.sum(tensor(regularization_loss))


# --- normalization -----------------------------------------------------------------------------


def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: Any = None) -> Any:
    """Return mean and variance over axes."""
    return ops.moments(tensor(x), static(axes), keepdims=keepdims)


def weighted_moments(
    x: Any, axes: Any, frequency_weights: Any, keepdims: bool = False, name: Any = None
) -> Any:
    """Return weighted mean and variance over axes."""
    x, axes = tensor(x), static(axes)
    w = jnp.broadcast_to(tensor(frequency_weights).astype(x.dtype), x.shape)
    total = jnp.sum(w, axes, keepdims=True)
    mean = jnp.sum(w * x, axes, keepdims=True) / total
    variance = jnp.sum(w * (x - mean) ** 2, axes, keepdims=True) / total
    return (mean, variance) if keepdims else (jnp.squeeze(mean, axes), jnp.squeeze(variance, axes))


def batch_normalization(
    x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: float,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return `(x - mean) / sqrt(variance + epsilon) * scale + offset`."""
    factor = ops.rsqrt(tensor(variance) + variance_epsilon)
    factor = factor if scale is None else factor * tensor(scale)
    shift = -tensor(mean) * factor
    return tensor(x) * factor + (shift if offset is None else shift + tensor(offset))


def local_response_normalization(
    input: Any, depth_radius: int = 5, bias: float = 1, alpha: float = 1, beta: float = 0.5,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return each channel divided by a norm over its neighbours."""
    x = tensor(input)
    squares = jax.lax.reduce_window(
        jnp.square(x), 0.0, jax.lax.add, (1,) * (x.ndim - 1) + (2 * depth_radius + 1,),
        (1,) * x.ndim, "SAME",
    )  # fmt: skip
    return x / (bias + alpha * squares) ** beta


lrn = local_response_normalization


def bias_add(value: Any, bias: Any, data_format: str | None = None, name: Any = None) -> Any:
    """Return a tensor with a bias added to each channel."""
    x, b = tensor(value), tensor(bias)
    if _is_first(data_format):
        b = ops.reshape(b, (-1, *[1] * (len(x.shape) - 2)))
    return ops.add(x, b)


# --- convolutions and pooling ------------------------------------------------------------------


def _is_first(data_format: str | None) -> bool:
    return data_format is not None and data_format[:2] == "NC" and len(data_format) > 2


def _format(data_format: str | None) -> str:
    return "channels_first" if _is_first(data_format) else "channels_last"


def _spatial(sizes: Any, rank: int, data_format: str | None) -> tuple[int, ...]:
    """Return strides, windows or rates of the spatial axes, of which a list may state all axes."""
    sizes = static(sizes)
    if not isinstance(sizes, tuple):
        return (sizes,) * rank
    if len(sizes) == 1:
        return sizes * rank
    if len(sizes) == rank + 2:
        return sizes[2:] if _is_first(data_format) else sizes[1:-1]
    return sizes


def _padded(x: Any, padding: Any, data_format: str | None) -> tuple[Any, str]:
    """Return a tensor with explicit paddings added, and the padding that is left to do."""
    if isinstance(padding, str):
        return x, padding.lower()
    return ops.pad(x, static(padding)), "valid"


def convolution(
    input: Any, filters: Any, strides: Any = None, padding: Any = "VALID",
    data_format: str | None = None, dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the convolution of images, sequences or volumes.

    Args:
        input: Tensor (B, ..., C), or (B, C, ...) if `data_format` begins with `"NC"`.
        filters: Tensor (..., C, F).
        strides: Number, one per spatial axis, or one per axis. Default: 1.
        padding: `"SAME"`, `"VALID"` or the numbers of zeros before and after each axis.
        data_format: Such as `"NHWC"` or `"NCHW"`.
        dilations: Like `strides`.
        name: No effect.
    """
    kernel = tensor(filters)
    rank = len(kernel.shape) - 2
    x, rest = _padded(tensor(input), padding, data_format)
    return ops.conv(
        x, kernel, _spatial(1 if strides is None else strides, rank, data_format), rest,
        _format(data_format), _spatial(1 if dilations is None else dilations, rank, data_format),
    )  # fmt: skip


def conv1d(
    input: Any, filters: Any, stride: Any, padding: Any, data_format: str | None = "NWC",
    dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the convolution of sequences; see `convolution`."""
    return convolution(input, filters, stride, padding, data_format, dilations)


def conv2d(
    input: Any, filters: Any, strides: Any, padding: Any, data_format: str | None = "NHWC",
    dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the convolution of images; see `convolution`."""
    return convolution(input, filters, strides, padding, data_format, dilations)


def conv3d(
    input: Any, filters: Any, strides: Any, padding: Any, data_format: str | None = "NDHWC",
    dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the convolution of volumes; see `convolution`."""
    return convolution(input, filters, strides, padding, data_format, dilations)


def atrous_conv2d(value: Any, filters: Any, rate: Any, padding: Any, name: Any = None) -> Any:
    """Return the convolution of images with a dilated kernel."""
    return convolution(value, filters, 1, padding, "NHWC", rate)


def conv_transpose(
    input: Any, filters: Any, output_shape: Any, strides: Any, padding: str = "SAME",
    data_format: str | None = None, dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the transposed convolution: the gradient of a convolution by its input.

    Args:
        input: Tensor (B, ..., C).
        filters: Tensor (..., F, C).
        output_shape: Shape of the result.
        strides: As for `convolution`.
        padding: `"SAME"` or `"VALID"`.
        data_format: As for `convolution`.
        dilations: As for `convolution`.
        name: No effect.
    """
    x, kernel = tensor(input), tensor(filters)
    rank = len(kernel.shape) - 2
    sizes = static(output_shape)
    if len(sizes) == rank:
        sizes = (x.shape[0], *sizes, kernel.shape[-2])

    def forward(image: Any) -> Any:
        return convolution(image, kernel, strides, padding, data_format, dilations)

    empty = jax.ShapeDtypeStruct(sizes, x.dtype)
    return jax.linear_transpose(forward, empty)(x)[0]


def conv1d_transpose(
    input: Any, filters: Any, output_shape: Any, strides: Any, padding: str = "SAME",
    data_format: str | None = "NWC", dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the transposed convolution of sequences; see `conv_transpose`."""
    return conv_transpose(input, filters, output_shape, strides, padding, data_format, dilations)


def conv2d_transpose(
    input: Any, filters: Any, output_shape: Any, strides: Any, padding: str = "SAME",
    data_format: str | None = "NHWC", dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the transposed convolution of images; see `conv_transpose`."""
    return conv_transpose(input, filters, output_shape, strides, padding, data_format, dilations)


def conv3d_transpose(
    input: Any, filters: Any, output_shape: Any, strides: Any, padding: str = "SAME",
    data_format: str | None = "NDHWC", dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the transposed convolution of volumes; see `conv_transpose`."""
    return conv_transpose(input, filters, output_shape, strides, padding, data_format, dilations)


def depthwise_conv2d(
    input: Any, filter: Any, strides: Any, padding: Any, data_format: str | None = None,
    dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the convolution of each channel of images with its own filters (H, W, C, M)."""
    x, rest = _padded(tensor(input), padding, data_format)
    return ops.depthwise_conv(
        x, tensor(filter), _spatial(strides, 2, data_format), rest, _format(data_format),
        _spatial(1 if dilations is None else dilations, 2, data_format),
    )  # fmt: skip


def separable_conv2d(
    input: Any, depthwise_filter: Any, pointwise_filter: Any, strides: Any, padding: Any,
    data_format: str | None = None, dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return a depthwise convolution followed by one with filters of size 1."""
    x = depthwise_conv2d(input, depthwise_filter, strides, padding, data_format, dilations)
    return convolution(x, pointwise_filter, 1, "VALID", data_format)


def pool(
    input: Any, window_shape: Any, pooling_type: str, strides: Any = None, padding: Any = "VALID",
    data_format: str | None = None, dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Return the largest value (`"MAX"`) or the mean (`"AVG"`) of each window."""
    strides = 1 if strides is None else strides
    return _pooling(pooling_type, input, window_shape, strides, padding, data_format)


def _pooling(
    kind: str, input: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None
) -> Any:
    x, rest = _padded(tensor(input), padding, data_format)
    rank = len(x.shape) - 2
    function: Callable[..., Any] = ops.max_pool if kind == "MAX" else ops.average_pool
    return function(
        x, _spatial(ksize, rank, data_format), _spatial(strides, rank, data_format), rest,
        _format(data_format),
    )  # fmt: skip


def _pool(kind: str, name: str, default: str | None) -> Callable[..., Any]:
    """Return a function of TensorFlow that pools."""

    def function(
        input: Any, ksize: Any, strides: Any, padding: Any, data_format: str | None = default,
        name: Any = None,
    ) -> Any:  # fmt: skip
        return _pooling(kind, input, ksize, strides, padding, data_format)

    return named(function, name)


max_pool, avg_pool = _pool("MAX", "max_pool", None), _pool("AVG", "avg_pool", None)
max_pool1d, avg_pool1d = _pool("MAX", "max_pool1d", "NWC"), _pool("AVG", "avg_pool1d", "NWC")
max_pool2d, avg_pool2d = _pool("MAX", "max_pool2d", "NHWC"), _pool("AVG", "avg_pool2d", "NHWC")
max_pool3d, avg_pool3d = _pool("MAX", "max_pool3d", "NDHWC"), _pool("AVG", "avg_pool3d", "NDHWC")


def space_to_depth(input: Any, block_size: int, data_format: str = "NHWC", name: Any = None) -> Any:
    """Return images with blocks of pixels moved to the channels."""
    return ops.space_to_depth(tensor(input), block_size, _format(data_format))


def depth_to_space(input: Any, block_size: int, data_format: str = "NHWC", name: Any = None) -> Any:
    """Return images with channels moved to blocks of pixels."""
    return ops.depth_to_space(tensor(input), block_size, _format(data_format))


def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: Any = None) -> Any:
    """Return the rows of a table, with their norm limited to `max_norm`."""
    rows = gather(params, cast(ids, "int32"))
    if max_norm is None:
        return rows
    norm = ops.sqrt(ops.sum(ops.square(rows), axis=-1, keepdims=True))
    return rows * max_norm / ops.maximum(norm, max_norm)
