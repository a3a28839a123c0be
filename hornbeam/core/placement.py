"""Where the arrays of compiled programs lie: the contract that distributions implement.

`Program` asks the placement for the sharding of each variable and each batch. XLA then divides the
work of the program among the devices, so a step needs no code for several devices.
"""

from __future__ import annotations

from typing import Any, Protocol

import jax
import numpy as np

from hornbeam.core.variable import Variable
from hornbeam.typing import Structure

__all__ = ["Placement", "current_placement", "place_batch", "place_variable", "set_placement"]


class Placement(Protocol):
    """Shardings of variables and batches. `hornbeam.distribution` implements it."""

    def variable_sharding(self, variable: Variable) -> jax.sharding.Sharding:
        """Return the sharding of a variable's value."""
        ...

    def batch_sharding(self, shape: tuple[int, ...], axis: int) -> jax.sharding.Sharding:
        """Return the sharding of an array of a batch.

        Args:
            shape: Sizes of the array.
            axis: Axis that counts the samples: 0 in a batch, 1 in a slab of batches.
        """
        ...


_current: Placement | None = None


def current_placement() -> Placement | None:
    """Return the placement for new programs; `None` means JAX's default device."""
    return _current


def set_placement(placement: Placement | None) -> None:
    """Set the placement for programs that are created from now on."""
    global _current
    _current = placement


def place_variable(placement: Placement, variable: Variable) -> None:
    """Move the value of a variable to where the placement wants it."""
    sharding = placement.variable_sharding(variable)
    value = variable.stored
    if not isinstance(value, jax.Array) or value.sharding != sharding:
        # A copy: a caller may hold the old array, and the new one may be donated.
        variable.take_over(jax.device_put(value, sharding, may_alias=False))


def place_batch(placement: Placement, batch: Structure, axis: int) -> Structure:
    """Return a batch with its arrays where the placement wants them.

    Args:
        placement: The placement.
        batch: Structure of arrays.
        axis: Axis that counts the samples.
    """

    def place(array: Any) -> Any:
        return jax.device_put(array, placement.batch_sharding(np.shape(array), axis))

    return jax.tree.map(place, batch)
