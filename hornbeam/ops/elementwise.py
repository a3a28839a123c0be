"""Arithmetic, comparisons and functions of one element at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hornbeam.core.symbolic import Tensor, convert, op
from hornbeam.dtypes import standardize_dtype

__all__ = ["cast", "clip", "where"]


def _number(x: Any) -> Any:
    """Return `x` as an array; Python numbers stay, so that they take the other side's dtype."""
    return x if isinstance(x, (bool, int, float, complex)) else convert(x)


def _unary(name: str, class_name: str, function: Callable[[Any], Any]) -> None:
    def elementwise(x: Tensor) -> Tensor:
        return function(convert(x))

    _publish(name, class_name, elementwise, f"Return `{function.__name__}` of each element of `x`.")


def _binary(name: str, class_name: str, function: Callable[[Any, Any], Any]) -> None:
    def elementwise(x1: Tensor, x2: Tensor) -> Tensor:
        return function(_number(x1), _number(x2))

    _publish(name, class_name, elementwise, f"Return `{function.__name__}` of the elements of `x1` and `x2`.")


def _publish(name: str, class_name: str, function: Callable[..., Any], doc: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    globals()[name] = op("numpy", class_name)(function)
    __all__.append(name)


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


for _name in (
    "absolute arccos arccosh arcsin arcsinh arctan arctanh ceil conj cos cosh exp expm1 floor imag isfinite isinf "
    "isnan log log10 log1p log2 logical_not negative real reciprocal round sign sin sinh sqrt square tan tanh trunc"
).split():
    _unary(_name, _camel(_name), getattr(jnp, _name))
for _name in (
    "add subtract multiply true_divide floor_divide mod power maximum minimum equal not_equal less less_equal greater "
    "greater_equal logical_and logical_or logical_xor arctan2 bitwise_and bitwise_or bitwise_xor logaddexp"
).split():
    _binary(_name, _camel(_name), getattr(jnp, _name))
_binary("divide", "Divide", jnp.true_divide)
abs = absolute  # type: ignore[name-defined]  # noqa: A001, F821
__all__ += ["abs"]


@op("numpy")
def clip(x: Tensor, x_min: float, x_max: float) -> Tensor:
    """Return `x` cut to the range from `x_min` to `x_max`.

    Example:
        >>> clip(jnp.array([-1.0, 3.0]), 0.0, 1.0)
        Array([0., 1.], dtype=float32)
    """
    return jnp.clip(convert(x), x_min, x_max)


@op("numpy")
def where(condition: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Return `x1` where `condition` holds, else `x2`.

    Example:
        >>> where(jnp.array([True, False]), 1.0, 2.0)
        Array([1., 2.], dtype=float32)
    """
    return jnp.where(convert(condition), _number(x1), _number(x2))


@op("core")
def cast(x: Tensor, dtype: str) -> Tensor:
    """Return `x` as `dtype`.

    Example:
        >>> cast(jnp.array([1.5]), "int32")
        Array([1], dtype=int32)
    """
    return convert(x).astype(standardize_dtype(dtype))
