"""What a step does when memory runs out: it says where, and keeps the values of its variables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from hornbeam.core.traces import inner_jaxprs
from hornbeam.core.variable import Variable

__all__ = ["SavedValues", "is_lost", "is_out_of_memory", "largest_arrays"]

_MOST_BYTES_SAVED = 2**33
# What JAX writes around the names of scopes.
_TRANSFORMS = frozenset(("jvp", "transpose", "vmap", "checkpoint", "remat", "rematted_computation"))


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of JAX says that memory ran out."""
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def is_lost(value: Any) -> bool:
    """Return whether a value was donated, so that only its successor exists, if any."""
    return isinstance(value, jax.Array) and value.is_deleted()


class SavedValues:
    """Copies of variables' values on the host, for the case that a step which donates them fails.

    The memory of a device stays as it is. Values of more than 8 GiB, and arrays that other
    processes hold, are not saved.

    Args:
        variables: The variables.
    """

    def __init__(self, variables: Sequence[Variable]):
        values = [v.stored for v in variables]
        small = sum(v.nbytes for v in values) <= _MOST_BYTES_SAVED
        # Zeros that no step has read yet are NumPy arrays, which are never donated.
        arrays = [
            (v, x) for v, x in zip(variables, values, strict=True) if isinstance(x, jax.Array)
        ]
        saves = small and all(x.is_fully_addressable for _, x in arrays)
        self._saved = [(v, np.array(x), x.sharding) for v, x in arrays] if saves else []

    def restore(self) -> None:
        """Give the variables their values back, where the step has used them up."""
        for variable, value, sharding in self._saved:
            if is_lost(variable.stored):
                variable.take_over(jax.device_put(value, sharding))


def largest_arrays(jaxpr: Any, count: int = 3) -> list[str]:
    """Describe the largest results in a jaxpr, with the scopes in which they are computed.

    Args:
        jaxpr: A jaxpr that was traced in `naming.scopes_in_traces`.
        count: Number of descriptions.
    """
    found: dict[tuple[Any, ...], str] = {}
    _collect(jaxpr, (), found)
    sizes = {key: int(np.prod(key[0], dtype=object)) * key[1].itemsize for key in found}
    largest = sorted(found, key=lambda key: sizes[key], reverse=True)[:count]
    return [
        f"{dtype} of shape {shape}, {sizes[shape, dtype]} bytes{found[shape, dtype]}"
        for shape, dtype in largest
    ]


def _collect(jaxpr: Any, above: tuple[str, ...], found: dict[tuple[Any, ...], str]) -> None:
    """Add shape and dtype of each result, with its place in words."""
    for equation in jaxpr.eqns:
        names = re.findall(r"[^/()]+", str(equation.source_info.name_stack))
        scopes = (*above, *(name for name in names if name not in _TRANSFORMS))
        where = f" in '{'/'.join(scopes)}'" if scopes else ""
        for aval in (v.aval for v in equation.outvars):
            if not jax.dtypes.issubdtype(aval.dtype, jax.dtypes.extended):  # keys of generators
                key = (aval.shape, aval.dtype)
                found[key] = found.get(key) or where
        for inner in inner_jaxprs(equation):
            _collect(inner, scopes, found)
