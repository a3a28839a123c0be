"""`tf.random`: random draws, with TensorFlow's names and order of arguments."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import random
from hornbeam.core import random as core_random
from hornbeam.core.random import draw_key
from hornbeam.tensorflow.dtypes import cast, device_dtype
from hornbeam.tensorflow.functions import static, tensor

__all__ = [
    "Generator", "categorical", "gamma", "get_global_generator", "normal", "poisson",
    "set_global_generator", "set_seed", "shuffle", "stateless_categorical", "stateless_gamma",
    "stateless_normal", "stateless_poisson", "stateless_truncated_normal", "stateless_uniform",
    "truncated_normal", "uniform",
]  # fmt: skip


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and Hornbeam's generators.

    Args:
        seed: An integer from 0 to 2**32 - 1.

    Example:
        >>> set_seed(0)
    """
    core_random.set_random_seed(int(seed))


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = static(shape)
    return sizes if isinstance(sizes, tuple) else (sizes,)


def _key(seed: Any) -> Any:
    """Return the next key of the global generator; with a seed, another one.

    So calls with one seed draw different numbers one after the other, as in TensorFlow.
    """
    key = draw_key(None)
    return key if seed is None else jax.random.fold_in(key, int(static(seed)) % 2**31)


def _threefry(key: Any) -> Any:
    """Return a key for the functions of JAX that take no other generator than its own."""
    return jax.random.wrap_key_data(jax.random.key_data(key), impl="threefry2x32")


def uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return numbers from `minval` up to `maxval`, without it; integers if the dtype is one.

    Example:
        >>> uniform([2, 3]).shape, uniform([3], 0, 1, "int32").tolist()
        ((2, 3), [0, 0, 0])
    """
    return _uniform(_key(seed), _sizes(shape), minval, maxval, dtype)


def _uniform(key: Any, sizes: tuple[int, ...], minval: Any, maxval: Any, dtype: Any) -> Any:
    wanted = jnp.dtype(jax.dtypes.canonicalize_dtype(device_dtype(dtype)))
    if jnp.issubdtype(wanted, jnp.integer):
        if maxval is None:
            raise ValueError("random.uniform: integers need `maxval`.")
        return jax.random.randint(key, sizes, tensor(minval), tensor(maxval), wanted)
    maxval = 1 if maxval is None else maxval
    return jax.random.uniform(key, sizes, wanted, tensor(minval), tensor(maxval))


def normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return normally distributed numbers."""
    return stateless_normal(shape, _key(seed), mean, stddev, dtype)


def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return normally distributed numbers within two standard deviations of the mean."""
    return stateless_truncated_normal(shape, _key(seed), mean, stddev, dtype)


def gamma(
    shape: Any, alpha: Any, beta: Any = None, dtype: Any = "float32", seed: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    """Return `shape` draws for each pair of `alpha` and `beta` of the gamma distribution."""
    a, b = jnp.broadcast_arrays(
        tensor(alpha, device_dtype(dtype)), tensor(1 if beta is None else beta)
    )
    return jax.random.gamma(_key(seed), a, (*_sizes(shape), *a.shape), device_dtype(dtype)) / b


def poisson(
    shape: Any, lam: Any, dtype: Any = "float32", seed: Any = None, name: Any = None
) -> Any:
    """Return `shape` draws for each mean `lam` of the Poisson distribution."""
    lam = tensor(lam)
    return cast(jax.random.poisson(_threefry(_key(seed)), lam, (*_sizes(shape), *lam.shape)), dtype)


def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: Any = None, name: Any = None
) -> Any:
    """Return classes drawn for each row of logits, `(B, num_samples)`."""
    return stateless_categorical(logits, num_samples, _key(seed), dtype or "int64")


def shuffle(value: Any, seed: Any = None, name: Any = None) -> Any:
    """Return a tensor with its rows in random order."""
    return jax.random.permutation(_key(seed), tensor(value))


# --- draws that depend on the seed alone -------------------------------------------------------


def _fixed_key(seed: Any) -> Any:
    if isinstance(seed, jax.Array) and jnp.issubdtype(seed.dtype, jax.dtypes.prng_key):
        return seed
    numbers = tensor(seed).reshape(-1).astype("uint32")
    return jax.random.wrap_key_data(numbers) if numbers.size == 2 else draw_key(numbers)


def stateless_uniform(
    shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32",
    name: Any = None, alg: str = "auto_select",
) -> Any:  # fmt: skip
    """Return uniform numbers that depend on the two integers of `seed` alone."""
    return _uniform(_fixed_key(seed), _sizes(shape), minval, maxval, dtype)


def stateless_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32",
    name: Any = None, alg: str = "auto_select",
) -> Any:  # fmt: skip
    """Return normal numbers that depend on the two integers of `seed` alone."""
    x = jax.random.normal(_fixed_key(seed), _sizes(shape), _floating(dtype))
    return (x * tensor(stddev, x.dtype.name) + tensor(mean, x.dtype.name)).astype(x.dtype)


def stateless_truncated_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32",
    name: Any = None, alg: str = "auto_select",
) -> Any:  # fmt: skip
    """Return truncated normal numbers that depend on the two integers of `seed` alone."""
    x = jax.random.truncated_normal(_fixed_key(seed), -2, 2, _sizes(shape), _floating(dtype))
    return x * tensor(stddev, x.dtype.name) + tensor(mean, x.dtype.name)


def stateless_gamma(
    shape: Any, seed: Any, alpha: Any, beta: Any = None, dtype: Any = "float32", name: Any = None
) -> Any:
    """Return draws of the gamma distribution that depend on `seed` alone."""
    x = jax.random.gamma(_fixed_key(seed), tensor(alpha, device_dtype(dtype)), _sizes(shape))
    return x if beta is None else x / tensor(beta)


def stateless_poisson(
    shape: Any, seed: Any, lam: Any, dtype: Any = "int32", name: Any = None
) -> Any:
    """Return draws of the Poisson distribution that depend on `seed` alone."""
    return cast(jax.random.poisson(_threefry(_fixed_key(seed)), tensor(lam), _sizes(shape)), dtype)


def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = "int64", name: Any = None
) -> Any:
    """Return classes that depend on the logits and on `seed` alone."""
    x, n = tensor(logits), int(static(num_samples))
    drawn = jax.random.categorical(_fixed_key(seed), x, axis=-1, shape=(n, *x.shape[:-1]))
    return cast(jnp.moveaxis(drawn, 0, -1), dtype)


def _floating(dtype: Any) -> Any:
    return jax.dtypes.canonicalize_dtype(device_dtype(dtype))


class Generator:
    """A generator of random numbers with a state of its own.

    Example:
        >>> Generator.from_seed(1).normal([2]).shape
        (2,)
    """

    def __init__(self, copy_from: Any = None, state: Any = None, alg: Any = None):
        given = copy_from.state if copy_from is not None else state
        seed = np.random.randint(2**31) if given is None else int(np.sum(np.asarray(given)))
        self._generator = random.SeedGenerator(seed % 2**31)

    @classmethod
    def from_seed(cls, seed: int, alg: Any = None) -> Generator:
        """Return the generator of a seed."""
        return cls(state=[int(seed)])

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """Return a generator with a random state."""
        return cls()

    @property
    def state(self) -> Any:
        """The state, a variable."""
        return self._generator.state

    def reset_from_seed(self, seed: int) -> None:
        """Start again from a seed."""
        self._generator = random.SeedGenerator(int(seed))

    def make_seeds(self, count: int = 1) -> Any:
        """Return seeds for stateless draws, `(2, count)`."""
        return jnp.stack([self._generator.next() for _ in range(count)], 1)

    def split(self, count: int = 1) -> list[Generator]:
        """Return new generators."""
        return [Generator(state=np.asarray(self._generator.next())) for _ in range(count)]

    def _next(self) -> Any:
        return draw_key(self._generator)

    def uniform(
        self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32",
        name: Any = None,
    ) -> Any:  # fmt: skip
        """Return uniform numbers."""
        return _uniform(self._next(), _sizes(shape), minval, maxval, dtype)

    def normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32",
        name: Any = None,
    ) -> Any:  # fmt: skip
        """Return normal numbers."""
        return stateless_normal(shape, self._next(), mean, stddev, dtype)

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32",
        name: Any = None,
    ) -> Any:  # fmt: skip
        """Return truncated normal numbers."""
        return stateless_truncated_normal(shape, self._next(), mean, stddev, dtype)


_global: Generator | None = None


def get_global_generator() -> Generator:
    """Return the global generator of this kind."""
    global _global
    if _global is None:
        _global = Generator()
    return _global


def set_global_generator(generator: Generator) -> None:
    """Replace the global generator."""
    global _global
    _global = generator
