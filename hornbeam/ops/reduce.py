"""Reductions along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hornbeam.core.symbolic import Tensor, convert, op

__all__: list[str] = []


def _publish(name: str, function: Callable[..., Any]) -> None:
    def reduction(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        return function(convert(x), axis=axis, keepdims=keepdims)

    reduction.__name__ = reduction.__qualname__ = name
    reduction.__doc__ = f"Return `{name}` of `x` along `axis` (all axes by default)."
    globals()[name] = op("numpy", "".join(w.capitalize() for w in name.split("_")))(reduction)
    __all__.append(name)


for _name in "sum mean max min prod std var any all argmax argmin".split():
    _publish(_name, getattr(jnp, _name))
