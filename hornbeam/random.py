"""Random numbers. Equal seeds give the same numbers as Keras with the JAX backend."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from hornbeam.core.convert import convert
from hornbeam.core.random import SeedGenerator, draw_key
from hornbeam.dtypes import standardize_dtype
from hornbeam.typing import DType, Tensor

__all__ = [
    "SeedGenerator", "beta", "binomial", "categorical", "dropout", "gamma", "normal", "randint",
    "shuffle", "truncated_normal", "uniform",
]  # fmt: skip


_KINDS = {
    "integer": jnp.integer,
    "floating-point": jnp.floating,
    "floating-point or complex": jnp.inexact,
}


def _drawn_dtype(function: str, dtype: DType | None, kind: str = "floating-point") -> str:
    """Return the name of a dtype, which must be of the kind that a function draws."""
    name = standardize_dtype(dtype)
    if not jnp.issubdtype(name, _KINDS[kind]):
        raise ValueError(f"{function}: `dtype` must be {kind}, received {name!r}.")
    return name


def normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DType | None = None,
    seed: int | SeedGenerator | None = None,
) -> jax.Array:
    """Draw from a normal distribution.

    Args:
        shape: Shape of the result.
        mean: Mean.
        stddev: Standard deviation.
        dtype: Floating-point dtype. Default: `floatx()`.
        seed: Integer, `SeedGenerator`, or `None` for the global generator.

    Example:
        >>> normal((2,), seed=1).shape
        (2,)
    """
    dtype = _drawn_dtype("normal", dtype, "floating-point or complex")
    return jax.random.normal(draw_key(seed), tuple(shape), dtype) * stddev + mean


def truncated_normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DType | None = None,
    seed: int | SeedGenerator | None = None,
) -> jax.Array:
    """Draw from a normal distribution truncated at two standard deviations from the mean.

    The arguments are the same as for `normal`.

    Example:
        >>> truncated_normal((2,), seed=1).shape
        (2,)
    """
    dtype = _drawn_dtype("truncated_normal", dtype)
    draw = jax.random.truncated_normal(draw_key(seed), -2.0, 2.0, tuple(shape), dtype)
    return draw * stddev + mean


def uniform(
    shape: Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: DType | None = None,
    seed: int | SeedGenerator | None = None,
) -> jax.Array:
    """Draw from the uniform distribution over `[minval, maxval)`.

    The other arguments are the same as for `normal`.

    Example:
        >>> uniform((2,), seed=1).shape
        (2,)
    """
    dtype = _drawn_dtype("uniform", dtype)
    return jax.random.uniform(draw_key(seed), tuple(shape), dtype, minval, maxval)


def randint(
    shape: Sequence[int],
    minval: int,
    maxval: int,
    dtype: DType = "int32",
    seed: int | SeedGenerator | None = None,
) -> jax.Array:
    """Draw integers from the uniform distribution over `[minval, maxval)`.

    The other arguments are the same as for `normal`.

    Example:
        >>> randint((2,), 0, 5, seed=1).shape
        (2,)
    """
    dtype = _drawn_dtype("randint", dtype, "integer")
    return jax.random.randint(draw_key(seed), tuple(shape), minval, maxval, dtype)


def categorical(
    logits: Tensor,
    num_samples: int,
    dtype: DType = "int32",
    seed: int | SeedGenerator | None = None,
) -> jax.Array:
    """Draw class indices from a categorical distribution.

    Args:
        logits: Unnormalized log-probabilities (B, classes).
        num_samples: Number of draws per row.
        dtype: Integer dtype.
        seed: Integer, `SeedGenerator`, or `None` for the global generator.

    Returns:
        (B, num_samples).

    Example:
        >>> categorical(jnp.zeros((1, 3)), 2, seed=1).shape
        (1, 2)
    """
    logits = convert(logits)
    # With the classes on axis 1, the samples of a row are in one row of the result.
    draws = jax.random.categorical(
        draw_key(seed), logits[..., None], axis=1, shape=(logits.shape[0], num_samples)
    )
    return draws.astype(standardize_dtype(dtype))


def shuffle(x: Tensor, axis: int = 0, seed: int | SeedGenerator | None = None) -> jax.Array:
    """Shuffle the elements along `axis`, independently for each position on the other axes.

    Example:
        >>> shuffle(jnp.arange(3), seed=1).shape
        (3,)
    """
    return jax.random.permutation(draw_key(seed), convert(x), axis, independent=True)


def dropout(
    inputs: Tensor,
    rate: float,
    noise_shape: Sequence[int | None] | None = None,
    seed: int | SeedGenerator | None = None,
) -> jax.Array:
    """Set elements to zero with probability `rate`, and multiply the others by `1 / (1 - rate)`.

    Args:
        inputs: Tensor.
        rate: Probability of setting an element to zero.
        noise_shape: Shape of the random mask, which is broadcast to the inputs. A size of `None`
            means the input's size. Default: the shape of the inputs.
        seed: Integer, `SeedGenerator`, or `None` for the global generator.

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


def gamma(
    shape: Sequence[int],
    alpha: Tensor,
    dtype: DType | None = None,
    seed: int | SeedGenerator | None = None,
) -> jax.Array:
    """Draw from the gamma distribution with shape parameter `alpha` and scale 1.

    `alpha` is broadcast to `shape`.

    Example:
        >>> gamma((2,), 2.0, seed=1).shape
        (2,)
    """
    dtype = _drawn_dtype("gamma", dtype)
    return jax.random.gamma(draw_key(seed), convert(alpha).astype(dtype), tuple(shape), dtype)


def beta(
    shape: Sequence[int],
    alpha: Tensor,
    beta: Tensor,
    dtype: DType | None = None,
    seed: int | SeedGenerator | None = None,
) -> jax.Array:
    """Draw from the beta distribution with the parameters `alpha` and `beta`.

    The parameters are broadcast to `shape`.

    Example:
        >>> beta((2,), 2.0, 3.0, seed=1).shape
        (2,)
    """
    dtype = _drawn_dtype("beta", dtype)
    first, second = convert(alpha).astype(dtype), convert(beta).astype(dtype)
    return jax.random.beta(draw_key(seed), first, second, tuple(shape), dtype)


def binomial(
    shape: Sequence[int],
    counts: Tensor,
    probabilities: Tensor,
    dtype: DType | None = None,
    seed: int | SeedGenerator | None = None,
) -> jax.Array:
    """Draw the number of successes in `counts` trials with success probability `probabilities`.

    Both are broadcast to `shape`.

    Example:
        >>> binomial((2,), 5.0, 0.5, seed=1).shape
        (2,)
    """
    dtype = standardize_dtype(dtype)
    n, p = convert(counts).astype("float32"), convert(probabilities).astype("float32")
    return jax.random.binomial(draw_key(seed), n, p, tuple(shape)).astype(dtype)
