"""Activations, crossentropies, normalisations and attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import settings
from hornbeam.core.checks import check_axes
from hornbeam.core.convert import convert
from hornbeam.core.makers import made_by
from hornbeam.core.op import op
from hornbeam.dtypes import standardize_dtype
from hornbeam.ops import routes
from hornbeam.ops.lift import unary
from hornbeam.typing import Axis, Tensor

__all__ = [
    "batch_normalization", "binary_crossentropy", "categorical_crossentropy", "celu",
    "dot_product_attention", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "layer_normalization", "leaky_relu", "log_sigmoid", "log_softmax",
    "normalize", "psnr", "relu", "relu6", "rms_normalization", "selu", "sigmoid", "silu",
    "soft_shrink", "softmax", "softplus", "softsign", "sparse_categorical_crossentropy",
    "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh_shrink", "threshold",
]  # fmt: skip


def _floating(x: Any) -> Any:
    """Return integers as `floatx()`, anything else as it is."""
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(standardize_dtype(None))


def _activation(name: str, function: Callable[[Any], Any], doc: str, result: float) -> Any:
    return unary(name, function, doc, 0.0, result, "nn", where=__name__)


relu = _activation("relu", jax.nn.relu, "Return `max(x, 0)`.", 0.0)
relu6 = _activation("relu6", jax.nn.relu6, "Return `min(max(x, 0), 6)`.", 0.0)
sigmoid = _activation(
    "sigmoid",
    lambda x: made_by("sigmoid", jax.nn.sigmoid(_floating(x))),
    "Return `1 / (1 + exp(-x))`.",
    0.5,
)
sparse_sigmoid = _activation(
    "sparse_sigmoid",
    jax.nn.sparse_sigmoid,
    "Return 0 below -1, 1 above 1, and `(x + 1) / 2` between.",
    0.5,
)
softplus = _activation("softplus", jax.nn.softplus, "Return `log(1 + exp(x))`.", 0.6931471824645996)
softsign = _activation("softsign", jax.nn.soft_sign, "Return `x / (1 + |x|)`.", 0.0)
silu = _activation(
    "silu",
    lambda x: jax.nn.silu(_floating(x)),
    "Return `x * sigmoid(x)` (Ramachandran et al. 2017).",
    0.0,
)
selu = _activation(
    "selu",
    jax.nn.selu,
    "Return `scale * elu(x, alpha)` with the constants of Klambauer et al. 2017.",
    0.0,
)
log_sigmoid = _activation(
    "log_sigmoid",
    lambda x: jax.nn.log_sigmoid(_floating(x)),
    "Return the logarithm of `sigmoid`.",
    -0.6931471824645996,
)
hard_sigmoid = _activation("hard_sigmoid", jax.nn.hard_sigmoid, "Return `relu6(x + 3) / 6`.", 0.5)
hard_silu = _activation("hard_silu", jax.nn.hard_silu, "Return `x * relu6(x + 3) / 6`.", 0.0)
hard_tanh = _activation(
    "hard_tanh", jax.nn.hard_tanh, "Return `x` limited to the range from -1 to 1.", 0.0
)
tanh_shrink = _activation("tanh_shrink", lambda x: x - jnp.tanh(x), "Return `x - tanh(x)`.", 0.0)
sparse_plus = _activation(
    "sparse_plus",
    jax.nn.sparse_plus,
    "Return 0 below -1, `x` above 1, and `(x + 1)^2 / 4` between.",
    0.25,
)
swish, hard_swish = silu, hard_silu


@op("nn")
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """Return `x` where it is positive, `negative_slope * x` elsewhere.

    Example:
        >>> leaky_relu(jnp.array([-1.0, 2.0]))
        Array([-0.2,  2. ], dtype=float32)
    """
    return jax.nn.leaky_relu(convert(x), negative_slope)


@op("nn")
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """Return `x` where it is positive, `alpha * (exp(x) - 1)` elsewhere (Clevert et al. 2015).

    Example:
        >>> elu(jnp.array([2.0]))
        Array([2.], dtype=float32)
    """
    return jax.nn.elu(convert(x), alpha)


@op("nn")
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """Return `max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))` (Barron 2017).

    Example:
        >>> celu(jnp.array([2.0]))
        Array([2.], dtype=float32)
    """
    return jax.nn.celu(convert(x), alpha)


@op("nn")
def gelu(x: Tensor, approximate: bool = True) -> Tensor:
    """Return `x * P(X <= x)` for a standard normal X (Hendrycks and Gimpel 2016).

    Args:
        x: Tensor.
        approximate: Whether to use the approximation by tanh instead of the error function.

    Example:
        >>> gelu(jnp.array([0.0]))
        Array([0.], dtype=float32)
    """
    return jax.nn.gelu(convert(x), approximate)


@op("nn")
def glu(x: Tensor, axis: int = -1) -> Tensor:
    """Return the first half times the sigmoid of the second half (Dauphin et al. 2016).

    The tensor is split along `axis`.

    Example:
        >>> glu(jnp.array([2.0, 0.0]))
        Array([1.], dtype=float32)
    """
    return jax.nn.glu(convert(x), axis)


@op("nn")
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """Return `x` moved towards zero by `threshold`, and zero where `|x| <= threshold`.

    Example:
        >>> soft_shrink(jnp.array([2.0, 0.1]))
        Array([1.5, 0. ], dtype=float32)
    """
    x = convert(x)
    zero = jnp.zeros_like(x)
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, zero))


@op("nn")
def hard_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """Return `x` where `|x| > threshold`, and zero elsewhere.

    Example:
        >>> hard_shrink(jnp.array([2.0, 0.1]))
        Array([2., 0.], dtype=float32)
    """
    x = _floating(convert(x))
    return jnp.where(jnp.abs(x) > threshold, x, jnp.zeros_like(x))


@op("nn")
def threshold(x: Tensor, threshold: float, default_value: float) -> Tensor:
    """Return `x` where it is above `threshold`, and `default_value` elsewhere.

    Example:
        >>> threshold(jnp.array([2.0, 0.1]), 1.0, -1.0)
        Array([ 2., -1.], dtype=float32)
    """
    x = convert(x)
    return jnp.where(x > threshold, x, jnp.asarray(default_value, x.dtype))


@op("nn")
def squareplus(x: Tensor, b: float = 4) -> Tensor:
    """Return `(x + sqrt(x^2 + b)) / 2` (Barron 2021).

    Example:
        >>> squareplus(jnp.array([0.0]))
        Array([1.], dtype=float32)
    """
    return jax.nn.squareplus(convert(x), b)


def _along_axes(function: Callable[..., Any], x: Any, axis: Axis) -> Any:
    x = _floating(convert(x))
    return function(x, axis=tuple(axis) if isinstance(axis, list) else axis)


@op("nn")
def softmax(x: Tensor, axis: Axis = -1) -> Tensor:
    """Return `exp(x) / sum(exp(x))` along `axis` (an axis, several, or `None` for all).

    Example:
        >>> softmax(jnp.zeros(2))
        Array([0.5, 0.5], dtype=float32)
    """
    return made_by("softmax", _along_axes(jax.nn.softmax, x, axis))


@op("nn")
def log_softmax(x: Tensor, axis: Axis = -1) -> Tensor:
    """Return the logarithm of `softmax`.

    Example:
        >>> log_softmax(jnp.zeros(1))
        Array([0.], dtype=float32)
    """
    return _along_axes(jax.nn.log_softmax, x, axis)


@op("nn")
def sparsemax(x: Tensor, axis: int = -1) -> Tensor:
    """Return the point of the probability simplex nearest to `x` (Martins and Astudillo 2016).

    Example:
        >>> sparsemax(jnp.array([2.0, 0.0]))
        Array([1., 0.], dtype=float32)
    """
    z = jnp.moveaxis(convert(x), axis, -1)
    descending = -jnp.sort(-z, axis=-1)
    total = jnp.cumsum(descending, axis=-1)
    ranks = jnp.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    count = jnp.sum(1 + ranks * descending > total, axis=-1, keepdims=True)
    bound = (jnp.take_along_axis(total, count - 1, axis=-1) - 1) / count.astype(z.dtype)
    return jnp.moveaxis(jnp.maximum(z - bound, 0), -1, axis)


# --- crossentropies ---------------------------------------------------------------------------


def _same_shape(name: str, target: Any, output: Any) -> None:
    if target.shape != output.shape:
        raise ValueError(
            f"{name}: `target` and `output` must have the same shape, received {target.shape} and"
            f" {output.shape}."
        )


@op("nn")
def binary_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False) -> Tensor:
    """Return `-(t * log(p) + (1 - t) * log(1 - p))` of each element.

    Args:
        target: Labels t, from 0 to 1, of any shape.
        output: Probabilities p, of the same shape; limited to the range from epsilon to 1 -
            epsilon.
        from_logits: Whether `output` holds logits; p is then their sigmoid.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> binary_crossentropy(jnp.array([1.0]), jnp.array([0.5])).round(4)
        Array([0.6931], dtype=float32)
    """
    target, output = convert(target), convert(output)
    _same_shape("binary_crossentropy", target, output)
    target = target.astype(output.dtype)
    if from_logits:
        return -target * jax.nn.log_sigmoid(output) - (1 - target) * jax.nn.log_sigmoid(-output)
    p = jnp.clip(output, settings.epsilon(), 1 - settings.epsilon())
    return -(target * jnp.log(p) + (1 - target) * jnp.log(1 - p))


def _log_probabilities(output: Any, from_logits: bool, axis: int) -> Any:
    if from_logits:
        return jax.nn.log_softmax(output, axis=axis)
    p = output / jnp.sum(output, axis=axis, keepdims=True)
    return jnp.log(jnp.clip(p, settings.epsilon(), 1 - settings.epsilon()))


@op("nn")
def categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """Return `-sum(t * log(p))` along the class axis.

    Args:
        target: Probabilities t of the classes, such as one-hot vectors.
        output: Predicted probabilities p, of the same shape; scaled to a sum of 1.
        from_logits: Whether `output` holds logits; p is then their softmax.
        axis: Class axis.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> categorical_crossentropy(jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5])).round(4)
        Array(0.6931, dtype=float32)
    """
    target, output = convert(target), convert(output)
    _same_shape("categorical_crossentropy", target, output)
    return -jnp.sum(target * _log_probabilities(output, from_logits, axis), axis=axis)


@op("nn")
def sparse_categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """Return `-log(p)` of the target class.

    Args:
        target: Class indices, of the shape of `output` without the class axis, or with a last axis
            of size 1.
        output: Predicted probabilities p; scaled to a sum of 1.
        from_logits: Whether `output` holds logits; p is then their softmax.
        axis: Class axis.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> sparse_categorical_crossentropy(jnp.array([0]), jnp.array([[0.5, 0.5]])).round(4)
        Array([0.6931], dtype=float32)
    """
    target, output = convert(target), convert(output)
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = jnp.squeeze(target, -1)
    if target.shape != output.shape[: axis % output.ndim] + output.shape[axis % output.ndim + 1 :]:
        raise ValueError(
            "sparse_categorical_crossentropy: `target` must have the shape of `output` without the"
            f" class axis, received {target.shape} and {output.shape}."
        )
    chosen = jax.nn.one_hot(
        target.astype("int32"), output.shape[axis], axis=axis, dtype=output.dtype
    )
    return -jnp.sum(chosen * _log_probabilities(output, from_logits, axis), axis=axis)


# --- normalisation ----------------------------------------------------------------------------


@op("nn")
def normalize(x: Tensor, axis: Axis = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """Return `x` divided by its norm along `axis`.

    Args:
        x: Tensor.
        axis: Axis or axes.
        order: Order of the norm.
        epsilon: Smallest divisor. Default: `hornbeam.config.epsilon()`.

    Example:
        >>> normalize(jnp.array([3.0, 4.0]))
        Array([0.6, 0.8], dtype=float32)
    """
    x = _floating(convert(x))
    axis = tuple(axis) if isinstance(axis, list) else axis
    epsilon = settings.epsilon() if epsilon is None else epsilon
    wide = x.astype(jnp.promote_types(x.dtype, "float32"))  # squares overflow in float16
    if order == 2:
        squares = jnp.sum(jnp.square(wide), axis=axis, keepdims=True)
        normalized = wide * jax.lax.rsqrt(jnp.maximum(squares, epsilon**2))
    else:
        norms = jnp.linalg.norm(wide, ord=order, axis=axis, keepdims=True)
        normalized = wide / jnp.maximum(norms, epsilon)
    return normalized.astype(x.dtype)


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """Return `(x - mean) / sqrt(variance + epsilon) * scale + offset`.

    Args:
        x: Tensor.
        mean, variance: Vectors along `axis`.
        axis: Axis that is not normalized over, such as that of the channels.
        offset, scale: Vectors along `axis`, or `None` for 0 and 1.
        epsilon: Added to the variance.

    Example:
        >>> batch_normalization(jnp.ones((1, 1)), jnp.ones(1), jnp.ones(1), -1)
        Array([[0.]], dtype=float32)
    """
    return _batch_norm(x, mean, variance, offset, scale, axis=axis, epsilon=epsilon)


@op("nn", "BatchNorm")
def _batch_norm(
    x: Tensor, mean: Tensor, variance: Tensor, offset: Tensor = None, scale: Tensor = None,
    axis: int = -1, epsilon: float = 1e-3,
) -> Tensor:  # fmt: skip
    x = convert(x)
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    factor = jax.lax.rsqrt(convert(variance).reshape(shape) + epsilon)
    if scale is not None:
        factor = factor * convert(scale).reshape(shape).astype(factor.dtype)
    shift = -convert(mean).reshape(shape) * factor
    if offset is not None:
        shift = shift + convert(offset).reshape(shape).astype(shift.dtype)
    return (x * factor + shift).astype(x.dtype)


def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: int | Sequence[int] = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """Return `(x - mean) / sqrt(variance + epsilon) * gamma + beta` (Ba et al. 2016).

    The mean and the variance are taken over `axis`.

    Args:
        x: Tensor.
        gamma, beta: Tensors of the shape of these axes, or `None` for 1 and 0.
        axis: Axis or axes.
        epsilon: Added to the variance. Default: `hornbeam.config.epsilon()`.
        **kwargs: `rms_scaling=True`, from older versions of Keras: the mean is not subtracted, and
          `beta` not added.

    Example:
        >>> layer_normalization(jnp.array([1.0, 3.0])).round(3)
        Array([-1.,  1.], dtype=float32)
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"layer_normalization: unexpected arguments {sorted(kwargs)}.")
    return _layer_norm(x, gamma, beta, axis=axis, epsilon=epsilon, rms_scaling=rms_scaling)


@op("nn", "LayerNorm")
def _layer_norm(
    x: Tensor, gamma: Tensor = None, beta: Tensor = None, axis: int | Sequence[int] = -1,
    epsilon: float | None = None, rms_scaling: bool = False,
) -> Tensor:  # fmt: skip
    x = _floating(convert(x))
    axes = sorted(check_axes("layer_normalization", axis, x.ndim))
    epsilon = settings.epsilon() if epsilon is None else epsilon
    shape = [size if i in axes else 1 for i, size in enumerate(x.shape)]
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    factor = None if gamma is None else convert(gamma).reshape(shape).astype(wide.dtype)
    variance = jnp.var(wide, axis=tuple(axes), keepdims=True)
    scale = jax.lax.rsqrt(variance + epsilon)
    scale = scale if factor is None else scale * factor
    if rms_scaling:
        return (wide * scale).astype(x.dtype)
    y = (wide - jnp.mean(wide, axis=tuple(axes), keepdims=True)) * scale
    if beta is not None:
        y = y + convert(beta).reshape(shape).astype(wide.dtype)
    return y.astype(x.dtype)


def rms_normalization(
    x: Any, scale: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None
) -> Tensor:
    """Return `x / sqrt(mean(x^2) + epsilon) * scale` (Zhang and Sennrich 2019).

    The mean is taken over `axis`.

    Args:
        x: Tensor.
        scale: Tensor of the shape of these axes, or `None` for 1.
        axis: Axis or axes.
        epsilon: Added to the mean. Default: `hornbeam.config.epsilon()`.

    Example:
        >>> rms_normalization(jnp.array([2.0, -2.0])).round(3)
        Array([ 1., -1.], dtype=float32)
    """
    return _rms_norm(x, scale, axis=axis, epsilon=epsilon)


@op("nn", "RMSNorm")
def _rms_norm(
    x: Tensor, scale: Tensor = None, axis: int | Sequence[int] = -1, epsilon: float | None = None
) -> Tensor:
    x = _floating(convert(x))
    axes = check_axes("rms_normalization", axis, x.ndim)
    epsilon = settings.epsilon() if epsilon is None else epsilon
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    y = wide * jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=axes, keepdims=True) + epsilon)
    if scale is not None:
        shape = [size if i in axes else 1 for i, size in enumerate(x.shape)]
        y = y * convert(scale).reshape(shape).astype(y.dtype)
    return y.astype(x.dtype)


@op("nn", "PSNR")
def psnr(x1: Tensor, x2: Tensor, max_val: float) -> Tensor:
    """Return the peak signal-to-noise ratio in decibels.

    The formula is `20 * log10(max_val) - 10 * log10(mean((x1 - x2)^2))`.

    Args:
        x1, x2: Tensors of the same shape.
        max_val: Largest value that a signal can have.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> psnr(jnp.zeros(2), jnp.ones(2), 1.0)
        Array(0., dtype=float32)
    """
    x1, x2 = convert(x1), convert(x2)
    _same_shape("psnr", x1, x2)
    error = jnp.mean(jnp.square(x1 - x2))
    return 20 * jnp.log10(jnp.asarray(max_val, error.dtype)) - 10 * jnp.log10(error)


# --- attention --------------------------------------------------------------------------------


@op("nn")
def dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor = None, mask: Tensor = None,
    scale: Tensor = None, is_causal: bool = False, flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Tensor:  # fmt: skip
    """Return `softmax(query @ key^T * scale) @ value` for each head (Vaswani et al. 2017).

    Args:
        query: (B, T, N, H): batch, query positions, heads, size of a head.
        key: (B, S, K, H); each of the K heads serves N / K heads of the query.
        value: (B, S, K, H).
        bias: Added to the logits; broadcasts to (B, N, T, S).
        mask: Boolean, true where a query may attend to a key; broadcasts to (B, N, T, S).
        scale: Factor of the logits. Default: `1 / sqrt(H)`.
        is_causal: Whether a position attends only to itself and earlier positions.
        flash_attention: `True` requires cuDNN's fused kernel, which supports bfloat16 and float16
            on NVIDIA GPUs; `False` forbids it; `None` uses it where possible, unless
            `config.disable_flash_attention` was called.
        attn_logits_soft_cap: c in `c * tanh(logits / c)`, which bounds the logits.

    Raises:
        ValueError: If a tensor does not have 4 axes.
        RuntimeError: If `flash_attention` is true and the kernel cannot be used.

    Example:
        >>> x = jnp.ones((1, 2, 1, 4))
        >>> dot_product_attention(x, x, x).shape
        (1, 2, 1, 4)
    """
    query, key, value = convert(query), convert(key), convert(value)
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x.ndim != 4:
            raise ValueError(
                f"dot_product_attention: `{name}` must have 4 axes, received shape {x.shape}."
            )
    capped = None if attn_logits_soft_cap is None else "it does not support `attn_logits_soft_cap`"
    route = routes.attention(
        "dot_product_attention", flash_attention, (query.dtype, key.dtype, value.dtype),
        (query.shape[1], key.shape[1]), (query.shape[-1], value.shape[-1]),
        mask is not None or bias is not None, capped,
    )  # fmt: skip
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    bias = None if bias is None else convert(bias)
    allowed = None if mask is None else convert(mask).astype(bool)
    if route.name == "cudnn":
        if not isinstance(scale, (int, float)):  # the kernel is compiled for one scale
            query, scale = (query * scale).astype(query.dtype), 1.0
        positions = (query.shape[1], key.shape[1])
        bias = None if bias is None else bias.astype(query.dtype)
        bias, allowed = (_over_positions(part, positions) for part in (bias, allowed))
        return jax.nn.dot_product_attention(
            query,
            key,
            value,
            bias,
            allowed,
            scale=scale,
            is_causal=is_causal,
            implementation="cudnn",
        )
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = jnp.repeat(key, groups, axis=2), jnp.repeat(value, groups, axis=2)
    logits = jnp.einsum("BTNH,BSNH->BNTS", query, key, preferred_element_type=jnp.float32) * scale
    if bias is not None:
        logits = logits + bias
    if attn_logits_soft_cap is not None:
        logits = jnp.tanh(logits / attn_logits_soft_cap) * attn_logits_soft_cap
    if is_causal:
        causal = jnp.tril(jnp.ones(logits.shape[-2:], bool))
        allowed = causal if allowed is None else jnp.logical_and(allowed, causal)
    if allowed is not None:
        logits = jnp.where(allowed, logits, jnp.finfo(logits.dtype).min * 0.7)
    weights = jax.nn.softmax(logits, axis=-1).astype(key.dtype)
    return jnp.einsum("BNTS,BSNH->BTNH", weights, value)


def _over_positions(part: Any, positions: tuple[int, int]) -> Any:
    """Broadcast a mask or bias for cuDNN, which broadcasts samples and heads, not positions."""
    if part is None:
        return None
    part = part.reshape((1,) * (4 - part.ndim) + part.shape)
    return jnp.broadcast_to(part, (*part.shape[:2], *positions))
