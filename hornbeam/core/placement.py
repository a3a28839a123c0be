"""Where the arrays of compiled programs lie: the contract that distributions implement.

`Program` asks the placement for the sharding of each variable and each batch. XLA then divides the
work of the program among the devices, so a step needs no code for several devices.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.team import Team, running_team
from hornbeam.typing import Structure

if TYPE_CHECKING:
    from hornbeam.core.variable import Variable

__all__ = [
    "PLACEMENTS", "Filled", "Placement", "current_placement", "current_team", "dividing",
    "from_host", "moved", "place_batch", "place_output", "place_results", "place_variables",
    "placement_scope", "read_shared", "rows_of_process", "set_placement", "team_of", "whole",
    "without_filling",
]  # fmt: skip

PLACEMENTS: dict[str, Callable[[Any], Placement | None]] = {}
"""Functions that make the placement of a model, by name. `hornbeam.distribution` fills it."""


class Placement(Protocol):
    """Shardings of variables and batches. `hornbeam.distribution` implements it.

    Attributes:
        is_shared: Whether the devices belong to several processes.
        has_own_data: Whether each of several processes has batches of its own, which together are
            the batch. Otherwise each has the whole batch and uses its part.
        whole_sharding: The sharding of arrays that every device has whole.
    """

    is_shared: bool
    has_own_data: bool
    whole_sharding: jax.sharding.Sharding

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


def placement_scope(placement: Placement | None) -> contextlib.AbstractContextManager[None]:
    """Return a context in which `placement` is the current one; `None` changes nothing."""
    return _NO_CONTEXT if placement is None else _placed(placement)


_NO_CONTEXT = contextlib.nullcontext()


@contextlib.contextmanager
def _placed(placement: Placement) -> Iterator[None]:
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


def team_of(placement: Placement | None) -> Team | None:
    """Return the processes that a placement uses together, or `None` if this one is on its own."""
    team = running_team()
    return team if team is not None and placement is not None and placement.is_shared else None


def current_team() -> Team | None:
    """Return the processes that the current placement uses together, or `None`."""
    return team_of(current_placement())


def from_host(array: Any, sharding: jax.sharding.Sharding) -> jax.Array:
    """Return an array of the host on the devices of a sharding.

    With several processes, each has the whole array and copies the parts of its own devices.
    """
    if sharding.is_fully_addressable:
        return jax.device_put(array, sharding)
    host = np.asarray(array)
    host = host.astype(jax.dtypes.canonicalize_dtype(host.dtype), copy=False)
    # A copy, since JAX on CPU may share memory with a NumPy array.
    return jax.make_array_from_callback(host.shape, sharding, lambda index: np.array(host[index]))


def _is_elsewhere(array: Any) -> bool:
    """Return whether parts of an array lie in other processes."""
    return isinstance(array, jax.Array) and not array.is_fully_addressable


def whole(array: Any) -> np.ndarray:
    """Return an array on the host. Parts in other processes are gathered, by all together.

    Parts of this process are joined here. JAX would keep the joined copy as long as the array
    itself, so a model that was saved once would stay whole in the memory of the host.
    """
    if not isinstance(array, jax.Array) or array.is_fully_replicated:
        return np.asarray(array)
    if array.is_fully_addressable:
        joined = np.empty(array.shape, array.dtype)
        for part in array.addressable_shards:
            joined[part.index] = part.data
        return joined
    mesh: Any = array.sharding
    everywhere = jax.sharding.NamedSharding(mesh.mesh, jax.sharding.PartitionSpec())
    if (team := running_team()) is not None:
        team.meet(f"the gathering of an array of shape {array.shape}")
    return np.asarray(jax.jit(lambda a: a, out_shardings=everywhere)(array))


def place_variables(placement: Placement, variables: list[Variable]) -> None:
    """Move the values of variables to where the placement wants them.

    Raises:
        RuntimeError: If a value differs between the processes.
    """
    moving = []
    for variable in variables:
        sharding, value = placement.variable_sharding(variable), variable.stored
        if not isinstance(value, jax.Array) or not value.sharding.is_equivalent_to(
            sharding, value.ndim
        ):
            moving.append((variable, value, sharding))
    team = team_of(placement)
    if team is not None and moving:
        _check_equal(team, [(v.path, value) for v, value, _ in moving])
    for variable, value, sharding in moving:
        variable.take_over(moved(value, sharding))


def moved(value: Any, sharding: jax.sharding.Sharding) -> jax.Array:
    """Return a copy of a variable's value on the devices of a sharding."""
    if sharding.is_fully_addressable:
        # A copy: a caller may hold the old array, and the new one may be donated.
        return jax.device_put(value, sharding, may_alias=False)
    if _is_elsewhere(value):
        return jax.jit(lambda a: a, out_shardings=sharding)(value)
    return from_host(value, sharding)


def _check_equal(team: Team, values: list[tuple[str, Any]]) -> None:
    """Check that variables have the same values in all processes."""
    sums = {
        f"the value of the variable '{path}' (a checksum)": [
            list(value.shape),
            zlib.crc32(np.ascontiguousarray(np.asarray(value)).view("uint8").data),
        ]
        for path, value in values
        if not _is_elsewhere(value)
    }
    team.agree("the first use of variables", sums)


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


def read_shared(
    placement: Placement, shape: tuple[int, ...], dtype: Any, axis: int, read: Callable[..., Any]
) -> jax.Array | Filled:
    """Return an array of a batch of which each process reads the parts of its own devices.

    Args:
        placement: The placement.
        shape: Shape of the whole array.
        dtype: Its dtype.
        axis: Axis that counts the samples.
        read: Takes a slice for each axis; returns this part as a new array.
    """
    rows = shape[axis]
    missing = -rows % placement.num_model_replicas
    full = (*shape[:axis], rows + missing, *shape[axis + 1 :])

    def part(index: Any) -> np.ndarray:
        first, end, _ = index[axis].indices(full[axis])
        known = slice(min(first, rows), min(end, rows))
        found = read((*index[:axis], known, *index[axis + 1 :]))
        lacking = end - first - (known.stop - known.start)
        widths = [(0, lacking if i == axis else 0) for i in range(len(shape))]
        return np.pad(found, widths) if lacking else found

    sharding = placement.batch_sharding(full, axis)
    array = jax.make_array_from_callback(full, sharding, part, dtype)
    return Filled(array, rows) if missing else array


def place_batch(placement: Placement, batch: Structure, axis: int) -> Structure:
    """Return a batch with its arrays where the placement wants them.

    An array whose rows cannot be divided equally is `Filled`.

    Args:
        placement: The placement.
        batch: Structure of arrays.
        axis: Axis that counts the samples.
    """

    def place(array: Any) -> Any:
        if _is_filled(array) or _is_elsewhere(array):
            return array  # there already
        if placement.has_own_data:
            return _joined(placement, np.asarray(array), axis)
        rows = np.shape(array)[axis] if np.ndim(array) > axis else 0
        missing = -rows % placement.num_model_replicas
        if missing:
            library: Any = jnp if isinstance(array, jax.Array) else np
            widths = [(0, missing if i == axis else 0) for i in range(np.ndim(array))]
            array = library.pad(array, widths)
        placed = from_host(array, placement.batch_sharding(np.shape(array), axis))
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


def _joined(placement: Placement, own: np.ndarray, axis: int) -> jax.Array:
    """Return the array whose parts along an axis the processes have."""
    team = team_of(placement)
    assert team is not None
    shape = list(own.shape)
    shape[axis] *= team.count
    if shape[axis] % placement.num_model_replicas:
        raise ValueError(
            f"A batch of {own.shape[axis]} rows in each of {team.count} processes cannot be divided"
            " among the devices, and with `auto_shard_dataset=False` no process has the rows of the"
            " others. Choose a batch size that the number of a process's devices divides."
        )
    sharding = placement.batch_sharding(tuple(shape), axis)
    own = np.array(own, jax.dtypes.canonicalize_dtype(own.dtype))
    return jax.make_array_from_process_local_data(sharding, own, tuple(shape))


def rows_of_process(placement: Placement | None, outputs: Structure, axis: int) -> Structure:
    """Return the rows of outputs that belong to the data of this process."""
    team = team_of(placement)
    if team is None or placement is None or not placement.has_own_data:
        return outputs

    def cut(array: Any) -> np.ndarray:
        host = np.asarray(array)
        count = host.shape[axis] // team.count
        return host.take(range(team.number * count, (team.number + 1) * count), axis)

    return jax.tree.map(cut, outputs)


def place_results(placement: Placement | None, results: Structure) -> Structure:
    """Return the results of a compiled program; every process of several gets all of them whole."""
    if placement is None or team_of(placement) is None:
        return results
    return jax.tree.map(
        lambda a: jax.lax.with_sharding_constraint(a, placement.whole_sharding), results
    )


def place_output(placement: Placement, path: str, outputs: Structure) -> Structure:
    """Return the outputs of a layer in a compiled program, in the sharding that is set for them."""
    sharding = placement.output_sharding(path)
    if sharding is None:
        return outputs

    def place(array: Any) -> Any:
        traced = isinstance(array, jax.core.Tracer)
        return jax.lax.with_sharding_constraint(array, sharding) if traced else array

    return jax.tree.map(place, outputs)
