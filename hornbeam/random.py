"""Random draws; equal seeds give Keras's own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.convert import convert
from hornbeam.core.random import SeedGenerator, draw_key
from hornbeam.dtypes import standardize_dtype

__all__ = [
    "SeedGenerator", "beta", "binomial", "categorical", "dropout", "gamma", "normal", "randint", "shuffle", "truncated_normal", "uniform",
]  # fmt: skip


def normal(shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Draw from a normal distribution.

    Args:
        shape: Shape.
        mean: Mean.
        stddev: Standard deviation.
        dtype: Float dtype; default `floatx()`.
        seed: Integer, `SeedGenerator`, or `None` for the global generator.

    Example:
        >>> normal((2,), seed=1).shape
        (2,)
    """
    return jax.random.normal(draw_key(seed), tuple(shape), standardize_dtype(dtype)) * stddev + mean


def truncated_normal(
    shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Draw from a normal distribution cut at two standard deviations; arguments as for `normal`.

    Example:
        >>> truncated_normal((2,), seed=1).shape
        (2,)
    """
    draw = jax.random.truncated_normal(draw_key(seed), -2.0, 2.0, tuple(shape), standardize_dtype(dtype))
    return draw * stddev + mean


def uniform(shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Draw uniformly from `[minval, maxval)`; other arguments as for `normal`.

    Example:
        >>> uniform((2,), seed=1).shape
        (2,)
    """
    return jax.random.uniform(draw_key(seed), tuple(shape), standardize_dtype(dtype), minval, maxval)


def randint(shape: Sequence[int], minval: int, maxval: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Draw integers from `minval` to `maxval - 1`.

    Example:
        >>> randint((2,), 0, 5, seed=1).shape
        (2,)
    """
    return jax.random.randint(draw_key(seed), tuple(shape), minval, maxval, standardize_dtype(dtype))


def categorical(logits: Any, num_samples: int, dtype: Any = "int32", seed: Any = None) -> Any:
    """Draw classes by unnormalised log-probabilities of shape (B, classes); result (B, num_samples).

    Example:
        >>> categorical(jnp.zeros((1, 3)), 2, seed=1).shape
        (1, 2)
    """
    logits = convert(logits)
    # The classes are put on axis 1, so that the samples of a row lie side by side.
    draws = jax.random.categorical(draw_key(seed), logits[..., None], axis=1, shape=(logits.shape[0], num_samples))
    return draws.astype(standardize_dtype(dtype))


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """Return `x` with the elements along `axis` in random order, each line in one of its own.

    Example:
        >>> shuffle(jnp.arange(3), seed=1).shape
        (3,)
    """
    return jax.random.permutation(draw_key(seed), convert(x), axis, independent=True)


def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Set a share `rate` of the elements to zero and scale the others up by `1 / (1 - rate)`.

    Example:
        >>> dropout(jnp.ones(5), 0.5, seed=42)
        Array([0., 2., 2., 0., 0.], dtype=float32)
    """
    inputs = convert(inputs)
    shape = inputs.shape
    if noise_shape is not None:
        shape = tuple(inputs.shape[i] if n is None else n for i, n in enumerate(noise_shape))
    keep = jax.random.bernoulli(draw_key(seed), 1.0 - rate, shape)
    return jnp.where(keep, inputs / (1.0 - rate), jnp.zeros_like(inputs))


def gamma(shape: Sequence[int], alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Draw from the gamma distribution of shape parameter `alpha` and scale 1.

    Example:
        >>> gamma((2,), 2.0, seed=1).shape
        (2,)
    """
    dtype = standardize_dtype(dtype)
    return jax.random.gamma(draw_key(seed), convert(alpha).astype(dtype), tuple(shape), dtype)


def beta(shape: Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Draw from the beta distribution of parameters `alpha` and `beta`.

    Example:
        >>> beta((2,), 2.0, 3.0, seed=1).shape
        (2,)
    """
    dtype = standardize_dtype(dtype)
    first, second = convert(alpha).astype(dtype), convert(beta).astype(dtype)
    return jax.random.beta(draw_key(seed), first, second, tuple(shape), dtype)


def binomial(shape: Sequence[int], counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Draw how many of `counts` trials succeed, each with a probability of `probabilities`.

    Example:
        >>> binomial((2,), 5.0, 0.5, seed=1).shape
        (2,)
    """
    dtype = standardize_dtype(dtype)
    n, p = convert(counts).astype("float32"), convert(probabilities).astype("float32")
    return jax.random.binomial(draw_key(seed), n, p, tuple(shape)).astype(dtype)
