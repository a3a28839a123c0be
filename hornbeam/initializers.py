"""Initializers: functions of `(shape, dtype)` that return the initial values of weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.checked import Positive, checked
from hornbeam.core.checks import check_axes
from hornbeam.core.random import SeedGenerator, draw_key, host_uniform, make_default_seed
from hornbeam.dtypes import standardize_dtype
from hornbeam.objects.constructor import constructor_config
from hornbeam.objects.family import Family
from hornbeam.typing import Axis, DType, Tensor

__all__ = [
    "STFT", "STFTInitializer", "stft",
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity",
    "IdentityInitializer", "Initializer", "LecunNormal", "LecunUniform", "Ones", "Orthogonal",
    "OrthogonalInitializer", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
    "Zeros", "constant", "deserialize", "get", "glorot_normal", "glorot_uniform", "he_normal",
    "he_uniform", "identity", "lecun_normal", "lecun_uniform", "ones", "orthogonal",
    "random_normal", "random_uniform", "serialize", "truncated_normal", "variance_scaling", "zeros",
]  # fmt: skip


Seed: TypeAlias = int | SeedGenerator | None
"""A seed: an integer gives the same values each time, a generator gives new ones.

`None` draws an integer.
"""


class Initializer:
    """Base of initializers. Subclasses implement `__call__(shape, dtype=None)`.

    Example:
        >>> class Sevens(Initializer):
        ...     def __call__(self, shape, dtype=None, **kwargs):
        ...         return jnp.full(shape, 7.0, dtype or "float32")
        >>> Sevens()((2,))
        Array([7., 7.], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        """Return an array of the given shape; `dtype` is `floatx()` by default."""
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(shape, dtype)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return constructor_config(self, Initializer)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make an initializer from the result of `get_config`."""
        return cls(**config)

    def clone(self) -> Self:
        """Return a new initializer with the same arguments."""
        return type(self).from_config(self.get_config())

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({shown})"


class Zeros(Initializer):
    """All values are 0.

    Example:
        >>> Zeros()((2,))
        Array([0., 0.], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        return _filled(0, shape, dtype)


class Ones(Initializer):
    """All values are 1.

    Example:
        >>> Ones()((2,))
        Array([1., 1.], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        return _filled(1, shape, dtype)


class Constant(Initializer):
    """All values are equal.

    Args:
        value: A number, or an array that broadcasts to the shape.

    Example:
        >>> Constant(3.0)((2,))
        Array([3., 3.], dtype=float32)
    """

    @checked
    def __init__(self, value: Tensor = 0.0):
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        return jnp.broadcast_to(jnp.asarray(self.value, standardize_dtype(dtype)), shape)


class Identity(Initializer):
    """The identity matrix times `gain`, for two-dimensional shapes.

    Args:
        gain: Factor.

    Raises:
        ValueError: If the shape is not two-dimensional.

    Example:
        >>> Identity()((2, 2))
        Array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    @checked
    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        if len(shape) != 2:
            raise ValueError(
                f"Identity: expected a two-dimensional shape, received {tuple(shape)}."
            )
        rows, columns = shape
        return self.gain * jnp.eye(rows, columns, dtype=standardize_dtype(dtype))


class STFT(Initializer):
    """Convolution kernels for the real or imaginary part of a short-time Fourier transform.

    Kernels have the shape `(length, channels, frequencies)`. The values for frequency `k` at time
    `t` are `cos(2 pi k t / n)` or `-sin(2 pi k t / n)`, with `n = 2 (frequencies - 1)`, times the
    window.

    Args:
        side: `"real"` or `"imag"`.
        window: Name of a SciPy window, weights of the kernel's length, or `None` for no window.
        scaling: Divisor of the window: the square root of the sum of its squares (`"density"`), its
            sum (`"spectrum"`), or 1 (`None`). It has no effect without a window.
        periodic: Whether the window is periodic instead of symmetric.

    Raises:
        ValueError: If an argument is unknown, or the shape is not (length, channels, frequencies).

    Example:
        >>> STFT("real", None)((4, 1, 3))[:, 0].round().astype(int).tolist()
        [[1, 1, 1], [1, 0, -1], [1, -1, 1], [1, 0, -1]]
    """

    @checked
    def __init__(
        self,
        side: str = "real",
        window: str | Sequence[float] | None = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ):
        if side not in ("real", "imag"):
            raise ValueError(f"STFT: `side` must be 'real' or 'imag', received {side!r}.")
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(
                f"STFT: `scaling` must be 'density', 'spectrum' or None, received {scaling!r}."
            )
        self.side, self.window, self.scaling, self.periodic = side, window, scaling, periodic
        if isinstance(window, str):
            # Raises the error for an unknown name now instead of in the first call.
            self._weights(4)

    def _weights(self, length: int) -> Any:
        if self.window is None:
            return np.ones(length)
        weights = np.asarray(self.window) if not isinstance(self.window, str) else None
        if weights is None:
            from scipy.signal import get_window

            try:
                weights = get_window(self.window, length, fftbins=self.periodic)
            except ValueError as error:
                raise ValueError(
                    f"STFT: `window` must be the name of a SciPy window, received {self.window!r}."
                ) from error
        if weights.shape != (length,):
            raise ValueError(
                f"STFT: `window` must have shape ({length},), received {weights.shape}."
            )
        total = {None: 1.0, "density": np.sqrt(np.sum(weights**2)), "spectrum": np.sum(weights)}
        return weights / total[self.scaling]

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        if len(shape) != 3:
            raise ValueError(
                "STFT: expected the shape (length, channels, frequencies), received"
                f" {tuple(shape)}."
            )
        length, channels, frequencies = shape
        angles = (
            2
            * np.pi
            * np.outer(np.arange(length), np.arange(frequencies))
            / max(2 * (frequencies - 1), 1)
        )
        waves = np.cos(angles) if self.side == "real" else -np.sin(angles)
        kernel = waves * self._weights(length)[:, None]
        return jnp.asarray(
            np.broadcast_to(kernel[:, None], (length, channels, frequencies)),
            standardize_dtype(dtype),
        )


# Up to this size, NumPy computes the values, as XLA would compile a program for each new shape.
_SMALL = 2**20


def _filled(value: int, shape: Sequence[int], dtype: Any) -> Any:
    dtype = jnp.dtype(standardize_dtype(dtype))
    if math.prod(shape) <= 4 * _SMALL:
        return jax.device_put(np.full(shape, value, dtype))
    return jnp.full(shape, value, dtype)


class _Random(Initializer):
    """Base of random initializers. Equal integer seeds give equal values."""

    @checked
    def __init__(self, seed: Seed = None):
        self._draw = (
            make_default_seed()
            if seed is None
            else seed
            if isinstance(seed, SeedGenerator)
            else int(seed)
        )
        self.seed = seed

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        seed = config.get("seed")
        if isinstance(seed, dict):
            config = {**config, "seed": SEED_GENERATORS.deserialize(seed)}
        return super().from_config(config)

    def _key(self) -> Any:
        return draw_key(self._draw)

    def _uniform(self, shape: tuple[int, ...], dtype: Any, minval: float, maxval: float) -> Any:
        dtype = standardize_dtype(dtype)
        if dtype == "float32" and isinstance(self._draw, int) and math.prod(shape) <= _SMALL:
            return jax.device_put(host_uniform(self._draw, shape, minval, maxval))
        return jax.random.uniform(self._key(), shape, dtype, minval, maxval)


class RandomNormal(_Random):
    """Values from a normal distribution.

    Args:
        mean: Mean.
        stddev: Standard deviation.
        seed: Integer or `SeedGenerator`. Default: an integer drawn now.

    Example:
        >>> RandomNormal(seed=1)((2, 3)).shape
        (2, 3)
    """

    @checked
    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None):
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        draw = jax.random.normal(self._key(), tuple(shape), standardize_dtype(dtype))
        return draw * self.stddev + self.mean


class TruncatedNormal(RandomNormal):
    """Values from a normal distribution, truncated at two standard deviations from the mean.

    Args:
        mean: Mean.
        stddev: Standard deviation before truncation.
        seed: Integer or `SeedGenerator`. Default: an integer drawn now.

    Example:
        >>> bool(abs(TruncatedNormal(stddev=1.0, seed=1)((100,))).max() <= 2.0)
        True
    """

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        draw = jax.random.truncated_normal(
            self._key(), -2.0, 2.0, tuple(shape), standardize_dtype(dtype)
        )
        return draw * self.stddev + self.mean


class RandomUniform(_Random):
    """Values from a uniform distribution.

    Args:
        minval: Smallest value.
        maxval: Upper bound (exclusive).
        seed: Integer or `SeedGenerator`. Default: an integer drawn now.

    Example:
        >>> RandomUniform(seed=1)((2, 3)).shape
        (2, 3)
    """

    @checked
    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None):
        self.minval, self.maxval = minval, maxval
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        return self._uniform(tuple(shape), dtype, self.minval, self.maxval)


class VarianceScaling(_Random):
    """Random values with variance `scale / n`, where `n` is the fan-in, the fan-out or their mean.

    The fan-in is the number of inputs of a unit. The fan-out is the number of units that use an
    input.

    Args:
        scale: Factor, above 0.
        mode: `"fan_in"`, `"fan_out"` or `"fan_avg"`.
        distribution: `"truncated_normal"`, `"untruncated_normal"` or `"uniform"`.
        seed: Integer or `SeedGenerator`. Default: an integer drawn now.
        input_axes, output_axes: Axes of the inputs and of the outputs, if both are given.
            Default: the last two axes; the others are the axes of a window.

    Raises:
        ValueError: If an argument has another value.

    Example:
        >>> VarianceScaling(seed=1)((2, 3)).shape
        (2, 3)
    """

    @checked
    def __init__(
        self, scale: Positive = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal",
        seed: Seed = None, input_axes: Axis = None, output_axes: Axis = None,
    ):  # fmt: skip
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                f"{type(self).__name__}: `mode` must be 'fan_in', 'fan_out' or 'fan_avg', received"
                f" {mode!r}."
            )
        distribution = {"normal": "truncated_normal"}.get(
            distribution.lower(), distribution.lower()
        )
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                f"{type(self).__name__}: `distribution` must be 'truncated_normal',"
                f" 'untruncated_normal' or 'uniform', received {distribution!r}."
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        shape, dtype = tuple(shape), standardize_dtype(dtype)
        fan_in, fan_out = _fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return self._uniform(shape, dtype, -limit, limit)
        if self.distribution == "untruncated_normal":
            return jax.random.normal(self._key(), shape, dtype) * math.sqrt(variance)
        # 0.8796... is the standard deviation of a standard normal distribution truncated at 2.
        stddev = math.sqrt(variance) / 0.87962566103423978
        return jax.random.truncated_normal(self._key(), -2.0, 2.0, shape, dtype) * stddev


def with_axes(initializer: Any, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
    """Return a copy of an initializer whose fans are those of these axes.

    Args:
        initializer: Any initializer. One without fans, or with axes that the user gave, is
            returned as it is.
        inputs: Axes of the weight over which a product sums.
        outputs: Axes that its result keeps.
    """
    if not isinstance(initializer, VarianceScaling) or initializer.input_axes is not None:
        return initializer
    copied = copy.copy(initializer)
    copied.input_axes, copied.output_axes = tuple(inputs), tuple(outputs)
    return copied


def _fans(shape: tuple[int, ...], input_axes: Axis, output_axes: Axis) -> tuple[float, float]:
    """Return the fan-in and the fan-out of a weight."""
    if input_axes is not None and output_axes is not None:
        ins, outs = (
            check_axes("VarianceScaling", axes, len(shape), name)
            for name, axes in (("input_axes", input_axes), ("output_axes", output_axes))
        )
        return math.prod(shape[a] for a in ins), math.prod(shape[a] for a in outs)
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _scaling(
    scale: float, mode: str, distribution: str, name: str, source: str
) -> type[VarianceScaling]:
    """Make a subclass of `VarianceScaling` with fixed arguments."""

    @checked
    def __init__(
        self: Any, seed: Seed = None, input_axes: Axis = None, output_axes: Axis = None
    ) -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed, input_axes, output_axes)

    doc = f"""Random values with variance `{scale:g} / {mode}`, {distribution.replace("_", " ")}.

    {source}

    Args:
        seed: Integer or `SeedGenerator`. Default: an integer drawn now.
        input_axes, output_axes: Axes of the inputs and of the outputs, if both are given.
            Default: the last two axes; the others are the axes of a window.

    Raises:
        ValueError: If an argument has the wrong type.

    Example:
        >>> {name}(seed=1)((2, 3)).shape
        (2, 3)
    """
    body = {"__init__": __init__, "__doc__": doc, "__module__": __name__}
    return type(name, (VarianceScaling,), body)


_GLOROT = (
    'Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural'
    ' networks".'
)
_HE = 'He et al. 2015, "Delving deep into rectifiers".'
_LECUN = 'LeCun et al. 1998, "Efficient backprop".'
GlorotUniform = _scaling(1.0, "fan_avg", "uniform", "GlorotUniform", _GLOROT)
GlorotNormal = _scaling(1.0, "fan_avg", "truncated_normal", "GlorotNormal", _GLOROT)
HeUniform = _scaling(2.0, "fan_in", "uniform", "HeUniform", _HE)
HeNormal = _scaling(2.0, "fan_in", "truncated_normal", "HeNormal", _HE)
LecunUniform = _scaling(1.0, "fan_in", "uniform", "LecunUniform", _LECUN)
LecunNormal = _scaling(1.0, "fan_in", "truncated_normal", "LecunNormal", _LECUN)


class Orthogonal(_Random):
    """A random orthogonal matrix times `gain`. All axes except the last are flattened to rows.

    Saxe et al. 2013, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks".

    Args:
        gain: Factor.
        seed: Integer or `SeedGenerator`. Default: an integer drawn now.

    Raises:
        ValueError: If the shape has fewer than two dimensions.

    Example:
        >>> q = Orthogonal(seed=1)((3, 3))
        >>> bool(jnp.allclose(q @ q.T, jnp.eye(3), atol=1e-5))
        True
    """

    @checked
    def __init__(self, gain: float = 1.0, seed: Seed = None):
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: DType | None = None, **kwargs: Any) -> Any:
        if len(shape) < 2:
            raise ValueError(
                f"Orthogonal: expected at least two dimensions, received the shape {tuple(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        flat = (max(rows, columns), min(rows, columns))
        draw = jax.random.normal(self._key(), flat, "float32")
        # NumPy computes concrete values: XLA would compile a dozen programs for each new shape.
        xp: Any = jnp if isinstance(draw, jax.core.Tracer) else np
        q, r = xp.linalg.qr(xp.asarray(draw))
        q = q * xp.sign(xp.diag(r))
        q = q.T if rows < columns else q
        return jnp.asarray(self.gain * q.reshape(shape), standardize_dtype(dtype))


# Aliases of Keras 1, 2 and 3.
IdentityInitializer, OrthogonalInitializer, STFTInitializer, stft = Identity, Orthogonal, STFT, STFT
constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
glorot_normal, glorot_uniform, he_normal, he_uniform = (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
)
lecun_normal, lecun_uniform, variance_scaling = LecunNormal, LecunUniform, VarianceScaling
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal


class _Initializers(Family):
    def get(self, identifier: Any, **arguments: Any) -> Any:
        # A number or an array is a constant value.
        if isinstance(identifier, (int, float, np.ndarray, jax.Array)):
            return Constant(identifier)
        return super().get(identifier, **arguments)


SEED_GENERATORS = Family(  # a configuration may hold one
    "seed generator", SeedGenerator, "keras.random",
    {"__all__": ["SeedGenerator"], "__name__": __name__, "SeedGenerator": SeedGenerator},
    takes_functions=False,
)  # fmt: skip
INITIALIZERS = _Initializers(
    "initializer", Initializer, "keras.initializers", globals(),
    spellings={
        "zero": Zeros, "one": Ones, "normal": RandomNormal, "uniform": RandomUniform,
        "eye": Identity, "identity_initializer": Identity, "identitymatrix": Identity,
    },
)  # fmt: skip
get, serialize, deserialize = INITIALIZERS.functions(
    "initializer",
    """
>>> deserialize(serialize(get("he_normal"))).mode
'fan_in'
""",
)
