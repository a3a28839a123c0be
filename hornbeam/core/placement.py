"""Where the arrays of compiled programs lie: the contract that distributions implement.

`Program` asks the placement for the sharding of each variable and each batch. XLA then divides the
work of the program among the devices, so a step needs no code for several devices.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.typing import Structure

if TYPE_CHECKING:
    from hornbeam.core.variable import Variable

__all__ = [
    "PLACEMENTS", "Filled", "Placement", "current_placement", "dividing", "host_array",
    "place_batch",
    "place_output", "place_variable", "placement_scope", "set_placement", "without_filling",
]  # fmt: skip

PLACEMENTS: dict[str, Callable[[Any], Placement | None]] = {}
"""Functions that make the placement of a model, by name. `hornbeam.distribution` fills it."""


class Placement(Protocol):
    """Shardings of variables and batches. `hornbeam.distribution` implements it."""

    def variable_sharding(self, variable: Variable) -> jax.sharding.Sharding:
        """Return the sharding of a variable's value."""
        ...

    @property
    def num_model_replicas(self) -> int:
        """Number of parts of a batch."""
        ...

    def batch_sharding(self, shape: tuple[int, ...], axis: int) -> jax.sharding.Sharding:
        """Return the sharding of an array of a batch.

        Args:
            shape: Sizes of the array.
            axis: Axis that counts the samples: 0 in a batch, 1 in a slab of batches.
        """
        ...

    def output_sharding(self, path: str) -> jax.sharding.Sharding | None:
        """Return the sharding of the output of the layer of a path; `None`: XLA chooses it."""
        ...


_of_process: Placement | None = None
# A model that was compiled with a distribution sets this one while it is trained or used.
_of_context: ContextVar[Placement | None] = ContextVar("placement", default=None)


def current_placement() -> Placement | None:
    """Return the placement for new programs and variables; `None` means JAX's default device."""
    return _of_context.get() or _of_process


def set_placement(placement: Placement | None) -> None:
    """Set the placement of the process, for programs and variables that are created from now on."""
    global _of_process
    _of_process = placement


@contextlib.contextmanager
def placement_scope(placement: Placement | None) -> Iterator[None]:
    """Return a context in which `placement` is the current one; `None` changes nothing."""
    if placement is None:
        yield
        return
    token = _of_context.set(placement)
    try:
        yield
    finally:
        _of_context.reset(token)


def dividing(variable: Variable) -> jax.sharding.Sharding | None:
    """Return the sharding of a variable if the current placement divides it, else `None`."""
    placement = current_placement()
    if placement is None:
        return None
    sharding = placement.variable_sharding(variable)
    return None if sharding.is_fully_replicated else sharding


def host_array(array: Any) -> np.ndarray:
    """Return an array as a NumPy array, joined from its parts if devices divide it.

    JAX would keep the joined copy as long as the array itself, so a model that was saved once would
    stay whole in the memory of the host.
    """
    if not isinstance(array, jax.Array) or array.sharding.is_fully_replicated:
        return np.asarray(array)
    if not array.is_fully_addressable:  # JAX explains what is missing
        return np.asarray(array)
    whole = np.empty(array.shape, array.dtype)
    for part in array.addressable_shards:
        whole[part.index] = part.data
    return whole


def place_variable(placement: Placement, variable: Variable) -> None:
    """Move the value of a variable to where the placement wants it."""
    sharding = placement.variable_sharding(variable)
    value = variable.stored
    there = isinstance(value, jax.Array) and value.sharding.is_equivalent_to(sharding, value.ndim)
    if not there:
        # A copy: a caller may hold the old array, and the new one may be donated.
        variable.take_over(jax.device_put(value, sharding, may_alias=False))


@jax.tree_util.register_pytree_node_class
class Filled:
    """An array of a batch with rows of zeros after its own, so that the parts are equal.

    Arrays on several devices have equal parts. Inside a compiled step `without_filling` removes the
    zeros, and XLA goes on with unequal parts. So the step computes what it would on one device, in
    the layers and losses of users too.

    Args:
        array: The array with zeros.
        rows: Number of its own rows.
    """

    def __init__(self, array: Any, rows: int):
        self.array, self.rows = array, rows

    def tree_flatten(self) -> tuple[tuple[Any], int]:
        """Return the array, and the number of rows, which is a constant of compiled programs."""
        return (self.array,), self.rows

    @classmethod
    def tree_unflatten(cls, rows: int, children: tuple[Any]) -> Filled:
        """Return the object of these parts."""
        return cls(*children, rows)


def _is_filled(x: Any) -> bool:
    return isinstance(x, Filled)


def place_batch(placement: Placement, batch: Structure, axis: int) -> Structure:
    """Return a batch with its arrays where the placement wants them.

    An array whose rows cannot be divided equally is `Filled`.

    Args:
        placement: The placement.
        batch: Structure of arrays.
        axis: Axis that counts the samples.
    """

    def place(array: Any) -> Any:
        if _is_filled(array):
            return array
        rows = np.shape(array)[axis] if np.ndim(array) > axis else 0
        missing = -rows % placement.num_model_replicas
        if missing:
            library: Any = jnp if isinstance(array, jax.Array) else np
            widths = [(0, missing if i == axis else 0) for i in range(np.ndim(array))]
            array = library.pad(array, widths)
        placed = jax.device_put(array, placement.batch_sharding(np.shape(array), axis))
        return Filled(placed, rows) if missing else placed

    return jax.tree.map(place, batch, is_leaf=_is_filled)


def without_filling(placement: Placement | None, batch: Structure) -> Structure:
    """Return a batch without the zeros that `place_batch` added, in unequal parts.

    Args:
        placement: The placement; `None` leaves the parts to JAX.
        batch: Structure of arrays, some of them `Filled`.
    """

    def own_rows(x: Any) -> Any:
        if not _is_filled(x):
            return x
        rows = x.array[: x.rows]
        if placement is None:
            return rows
        return jax.lax.with_sharding_constraint(rows, placement.batch_sharding(rows.shape, 0))

    return jax.tree.map(own_rows, batch, is_leaf=_is_filled)


def place_output(placement: Placement, path: str, outputs: Structure) -> Structure:
    """Return the outputs of a layer in a compiled program, in the sharding that is set for them."""
    sharding = placement.output_sharding(path)
    if sharding is None:
        return outputs

    def place(array: Any) -> Any:
        traced = isinstance(array, jax.core.Tracer)
        return jax.lax.with_sharding_constraint(array, sharding) if traced else array

    return jax.tree.map(place, outputs)
