"""`keras.initializations` of Keras 1: functions that make the first value of a weight.

Each takes a shape and returns a variable. Without a shape it returns today's initializer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hornbeam import initializers, settings
from hornbeam.core.variable import Variable

__all__ = [
    "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity", "lecun_uniform",
    "normal", "one", "orthogonal", "uniform", "zero",
]  # fmt: skip


def _made(initializer: Any, shape: Sequence[int], name: str | None) -> Variable:
    dtype = settings.floatx()
    return Variable(initializer(tuple(shape), dtype=dtype), dtype=dtype, name=name)


def _older(maker: Any, shape: Any, name: str | None, **settings_of_maker: Any) -> Any:
    """Return a new variable for a shape; without a shape, the initializer itself."""
    initializer = maker(**settings_of_maker)
    return initializer if shape is None else _made(initializer, shape, name)


def uniform(
    shape: Sequence[int] | None = None, scale: float = 0.05, name: str | None = None,
    dim_ordering: str = "th",
) -> Any:  # fmt: skip
    """Return a variable with values between `-scale` and `scale`.

    Args:
        shape: Shape of the variable. Without it, the initializer is returned.
        scale: Largest absolute value.
        name: Name of the variable.
        dim_ordering: Without effect.

    Example:
        >>> uniform((2, 3), scale=0.1, name="w").shape
        (2, 3)
    """
    return _older(initializers.RandomUniform, shape, name, minval=-scale, maxval=scale)


def normal(
    shape: Sequence[int] | None = None, scale: float = 0.05, name: str | None = None,
    dim_ordering: str = "th",
) -> Any:  # fmt: skip
    """Return a variable with normally distributed values of standard deviation `scale`.

    The arguments are those of `uniform`.
    """
    return _older(initializers.RandomNormal, shape, name, stddev=scale)


def _of_fans(maker: Any, summary: str) -> Any:
    def initialize(
        shape: Sequence[int] | None = None, name: str | None = None, dim_ordering: str = "th"
    ) -> Any:
        return _older(maker, shape, name)

    initialize.__doc__ = f"{summary} The arguments are those of `uniform`."
    return initialize


lecun_uniform = _of_fans(initializers.LecunUniform, "Return a variable as `LecunUniform` makes it.")
glorot_normal = _of_fans(initializers.GlorotNormal, "Return a variable as `GlorotNormal` makes it.")
glorot_uniform = _of_fans(
    initializers.GlorotUniform, "Return a variable as `GlorotUniform` makes it."
)
he_normal = _of_fans(initializers.HeNormal, "Return a variable as `HeNormal` makes it.")
he_uniform = _of_fans(initializers.HeUniform, "Return a variable as `HeUniform` makes it.")
zero = _of_fans(initializers.Zeros, "Return a variable of zeros.")
one = _of_fans(initializers.Ones, "Return a variable of ones.")


def orthogonal(
    shape: Sequence[int] | None = None, scale: float = 1.1, name: str | None = None,
    dim_ordering: str = "th",
) -> Any:  # fmt: skip
    """Return a variable with an orthogonal matrix times `scale`.

    The arguments are those of `uniform`.
    """
    return _older(initializers.Orthogonal, shape, name, gain=scale)


def identity(
    shape: Sequence[int] | None = None, scale: float = 1.0, name: str | None = None,
    dim_ordering: str = "th",
) -> Any:  # fmt: skip
    """Return a variable with the identity matrix times `scale`.

    The arguments are those of `uniform`.
    """
    return _older(initializers.Identity, shape, name, gain=scale)
