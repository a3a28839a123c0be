"""Random state: seed generators, and the global one.

The key of a draw is the pair `[seed, counter]` of 32-bit numbers, a raw Threefry key. Keras on JAX
does the same, so equal seeds give the same numbers as Keras.
"""

from __future__ import annotations

import functools
import math
import random as python_random
import threading
from typing import Any

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
from jax.export import is_symbolic_dim

from hornbeam.core import naming
from hornbeam.core.checks import check_name
from hornbeam.core.variable import Variable

__all__ = [
    "SeedGenerator",
    "draw_key",
    "draw_seed",
    "existing_global_generator",
    "global_seed_generator",
    "make_default_seed",
    "set_random_seed",
]


def make_default_seed() -> int:
    """Return a seed drawn from Python's generator, which `set_random_seed` seeds."""
    return python_random.randint(1, int(1e9))


class SeedGenerator:
    """A source of random keys whose state is a variable.

    Args:
        seed: An integer. Default: drawn from Python's generator.
        name: Name without slashes. Default: `"seed_generator"`, numbered.

    Raises:
        ValueError: If `seed` is not an integer.

    Example:
        >>> generator = SeedGenerator(7)
        >>> [int(n) for n in generator.next()], [int(n) for n in generator.next()]
        ([7, 0], [7, 1])
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        if kwargs:
            raise TypeError(f"SeedGenerator: unexpected arguments {sorted(kwargs)}.")
        if seed is None:
            seed = make_default_seed()
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise ValueError(f"SeedGenerator: `seed` must be an integer, received {seed!r}.")
        self.name = check_name("SeedGenerator", name) or naming.auto_name("seed_generator")
        self._initial_seed = int(seed)
        initial = np.array([self._initial_seed % 2**32, 0], "uint32")
        with naming.name_scope(self.name):
            self.state = Variable(
                initial, dtype="uint32", trainable=False, aggregation="none",
                name="seed_generator_state",
            )  # fmt: skip

    def next(self, ordered: bool = True) -> jax.Array:
        """Return a raw key, uint32 of shape (2,), and advance the state.

        Raises:
            ValueError: If called inside a function that the user transforms with `jax.jit`.
        """
        state = self.state.value
        try:
            self.state.assign(state + jnp.array([0, 1], "uint32"))
        except ValueError as error:
            raise ValueError(
                f"The random generator '{self.name}' cannot advance inside a function that you"
                " transform with JAX (jax.jit, jax.lax.scan, ...): every run would draw the same"
                " numbers. Pass `seed=` a key that is an argument of the function, or call"
                " `stateless_call` of the layer or model there. For loops and conditions inside a"
                " layer use `ops.scan`, `ops.cond` and their like."
            ) from error
        return state

    def get_config(self) -> dict[str, Any]:
        """Return the seed and the name, ready for JSON."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Make a generator from the result of `get_config`."""
        return cls(**config)


_global: SeedGenerator | None = None
_lock = threading.Lock()


def global_seed_generator() -> SeedGenerator:
    """Return the generator used by draws without a `seed`."""
    global _global
    with _lock:
        if _global is None:
            _global = SeedGenerator(name="global_seed_generator")
        return _global


def existing_global_generator(make: bool = False) -> Any:
    """Return the global generator, or `None` if there is none yet. No seed is drawn.

    Args:
        make: Whether to make one with seed 0 if there is none, for callers that assign its state.
    """
    global _global
    with _lock:
        if _global is None and make:
            _global = SeedGenerator(0, name="global_seed_generator")
        return _global


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and Hornbeam's generators.

    Args:
        seed: An integer from 0 to 2**32 - 1.

    Raises:
        ValueError: If `seed` is not such an integer.

    Example:
        >>> set_random_seed(0)
    """
    global _global
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(
            f"set_random_seed: expected an integer from 0 to 2**32 - 1, received {seed!r}."
        )
    python_random.seed(int(seed))
    np.random.seed(int(seed))
    with _lock:
        _global = SeedGenerator(int(seed), name="global_seed_generator")


def draw_seed(seed: Any) -> Any:
    """Return the raw key for one draw.

    Args:
        seed: A `SeedGenerator` (advanced), an integer (the same key each time), a raw key
            of shape (2,), or `None` for the global generator.

    Raises:
        ValueError: If `seed` is none of these.
    """
    if seed is None:
        return global_seed_generator().next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        return jax.device_put(np.array([int(seed) % 2**32, 0], "uint32"))
    if isinstance(seed, (jax.Array, np.ndarray, Variable)):
        key = seed.value if isinstance(seed, Variable) else seed
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            return jax.random.key_data(key)
        if key.shape == (2,):
            return jnp.asarray(key, "uint32")
    raise ValueError(f"`seed` must be an integer, a SeedGenerator or None, received {seed!r}.")


def draw_key(seed: Any) -> jax.Array:
    """Return `draw_seed(seed)` as a key for the functions of `jax.random`.

    The numbers are those of JAX's own Threefry. On CPU they take a seventh of the time: the
    generator is written without a loop, so XLA fuses it with the code that uses the numbers.
    """
    return jax.random.wrap_key_data(draw_seed(seed), impl=_THREEFRY)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _random_bits(key: Any, width: int, shape: tuple[int, ...]) -> Any:
    """Return unsigned integers of `width` bits from Threefry-2x32 (Salmon et al. 2011)."""
    size = math.prod(shape)
    if not is_symbolic_dim(size) and size >= 2**32:
        return _JAX_THREEFRY.random_bits(key, width, shape)
    left, right = _threefry(key[0], key[1], jax.lax.iota("uint32", size), _LAX)
    if width == 64:
        drawn = (left.astype("uint64") << 32) | right.astype("uint64")
    else:
        drawn = (left ^ right).astype(f"uint{width}")
    return drawn.reshape(shape)


# Sum, xor, or, and both shifts. JAX traces those of `lax` three times as fast as those of
# `jax.numpy`.
_NUMPY = (np.add, np.bitwise_xor, np.bitwise_or, np.left_shift, np.right_shift)
_LAX = (
    jax.lax.add,
    jax.lax.bitwise_xor,
    jax.lax.bitwise_or,
    jax.lax.shift_left,
    jax.lax.shift_right_logical,
)


def _threefry(key_left: Any, key_right: Any, count: Any, operations: Any) -> tuple[Any, Any]:
    """Return both words of Threefry-2x32 with 20 rounds for counters below 2**32.

    `operations` are functions of NumPy or JAX.
    """
    add, xor, either, left_shift, right_shift = operations
    keys = [key_left, key_right, xor(xor(key_left, key_right), np.uint32(0x1BD11BDA))]
    left, right = key_left, add(count, key_right)
    for group in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            left = add(right, left)
            right = xor(
                either(
                    left_shift(right, np.uint32(turn)), right_shift(right, np.uint32(32 - turn))
                ),
                left,
            )
        left = add(left, keys[(group + 1) % 3])
        right = add(right, add(keys[(group + 2) % 3], np.uint32(group + 1)))
    return left, right


_JAX_THREEFRY = jax.extend.random.threefry_prng_impl
_THREEFRY = jax.extend.random.define_prng_impl(
    key_shape=(2,), seed=_JAX_THREEFRY.seed, split=_JAX_THREEFRY.split,
    fold_in=_JAX_THREEFRY.fold_in, random_bits=_random_bits, name="hornbeam_threefry", tag="hbf",
)  # fmt: skip


def host_uniform(seed: int, shape: tuple[int, ...], minval: float, maxval: float) -> np.ndarray:
    """Return the result of `jax.random.uniform` for the key `[seed, 0]`, without compilation.

    Args:
        seed: An integer.
        shape: Shape of the result.
        minval: Lower end of the range, included.
        maxval: Upper end, excluded.

    Example:
        >>> drawn = jax.random.uniform(draw_seed(3), (2,))
        >>> bool((host_uniform(3, (2,), 0.0, 1.0) == drawn).all())
        True
    """
    size = math.prod(shape)
    drawn = np.empty(size, "float32")
    with np.errstate(over="ignore"):
        for start in range(0, size, _BLOCK):
            count = np.arange(start, min(start + _BLOCK, size), dtype="uint32")
            left, right = _threefry(np.uint32(seed % 2**32), np.uint32(0), count, _NUMPY)
            # The upper 23 bits become the fraction of a number in [1, 2).
            fraction = (((left ^ right) >> np.uint32(9)) | np.uint32(0x3F800000)).view(
                "float32"
            ) - np.float32(1)
            drawn[start : start + _BLOCK] = _scaled(fraction, minval, maxval)
    return drawn.reshape(shape)


_BLOCK = 2**15  # numbers that stay in the processor's cache together


def _scaled(fraction: np.ndarray, minval: float, maxval: float) -> np.ndarray:
    low, high = np.float32(minval), np.float32(maxval)
    # In doubles, since XLA multiplies and adds with one rounding.
    scaled = (fraction.astype("float64") * np.float64(high - low) + np.float64(low)).astype(
        "float32"
    )
    return np.maximum(low, scaled)
