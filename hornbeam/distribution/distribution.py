"""`Distribution`: where the variables and the batches of a model lie; and which one is in use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Self

import jax
import numpy as np

from hornbeam import errors
from hornbeam.core.placement import Placement, current_placement, placement_scope, set_placement
from hornbeam.core.team import running_team
from hornbeam.core.variable import Variable
from hornbeam.distribution.mesh import DeviceMesh, TensorLayout, list_devices

__all__ = ["Distribution", "distribution", "mesh_of", "set_distribution"]


class Distribution(Placement):
    """Base class of distributions: a mesh, one axis of which divides batches.

    Subclasses choose the layout of each variable in `variable_axes`. Results equal those of one
    device, also of batches whose size the number of parts does not divide: the parts then differ.

    Args:
        device_mesh: The mesh.
        batch_dim_name: The mesh axis that divides batches. Default: the first.
        auto_shard_dataset: Whether all of several processes are given the same data, of which each
            uses its part of every batch. If false, each is given its own part: its batches and
            those of the others are one batch, and `predict` returns its own rows. With one process,
            both values mean the same.

    Raises:
        ValueError: If the mesh has no axis `batch_dim_name`.
        RuntimeError: If there are several processes that `initialize` has not connected.
    """

    def __init__(
        self,
        device_mesh: DeviceMesh,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
    ):
        kind = type(self).__name__
        if batch_dim_name is not None and batch_dim_name not in device_mesh.axis_names:
            raise ValueError(
                f"{kind}: `batch_dim_name` must name an axis of the mesh, which are"
                f" {device_mesh.axis_names}; received {batch_dim_name!r}."
            )
        self._mesh = device_mesh
        self._batch_dim_name = batch_dim_name or device_mesh.axis_names[0]
        self._auto_shard_dataset = bool(auto_shard_dataset)
        self.is_shared = _is_shared(kind, device_mesh)
        self.has_own_data = self.is_shared and not self._auto_shard_dataset
        if self.has_own_data and not _follows_processes(self):
            raise ValueError(
                f"{kind}: with `auto_shard_dataset=False` each process has its own part of a batch,"
                " so the mesh axis that divides batches must list the devices of one process after"
                f" those of the other; received {device_mesh}. Leave `auto_shard_dataset` out."
            )
        self.whole_sharding = jax.sharding.NamedSharding(
            device_mesh.backend_mesh, jax.sharding.PartitionSpec()
        )

    @property
    def device_mesh(self) -> DeviceMesh:
        """The mesh of devices."""
        return self._mesh

    @property
    def batch_dim_name(self) -> str:
        """Name of the mesh axis that divides batches."""
        return self._batch_dim_name

    @property
    def auto_shard_dataset(self) -> bool:
        """Whether each process reads its own share of the data."""
        return self._auto_shard_dataset

    @property
    def num_model_replicas(self) -> int:
        """Number of parts of a batch: the size of the mesh axis that divides batches."""
        return self._mesh.shape[self._mesh.axis_names.index(self._batch_dim_name)]

    @property
    def num_processes(self) -> int:
        """Number of processes."""
        return jax.process_count()

    @property
    def data_shard_id(self) -> int:
        """Number of the share of the data that this process reads."""
        return jax.process_index()

    def variable_axes(self, variable: Variable) -> Sequence[str | None] | TensorLayout | None:
        """Return the layout of a variable without one of its own; `None`: no axis is divided."""
        return None

    def get_data_layout(self, data_shape: Sequence[int | None]) -> TensorLayout:
        """Return the layout of an array of a batch: its first axis is divided."""
        axes: list[str | None] = [None] * len(data_shape)
        if axes:
            axes[0] = self.batch_dim_name
        return TensorLayout(axes, self._mesh)

    def get_variable_layout(self, variable: Variable) -> TensorLayout:
        """Return the layout of a variable.

        Raises:
            ValueError: If the layout does not fit the variable's shape.
        """
        leader = variable
        while isinstance(leader.layout, Variable):
            leader = leader.layout
        found = leader.layout if leader.layout is not None else self.variable_axes(leader)
        if found is None:
            return TensorLayout([None] * len(variable.shape), self._mesh)
        layout = found if isinstance(found, TensorLayout) else TensorLayout(found, self._mesh)
        if layout.device_mesh is None:
            layout.device_mesh = self._mesh
        _check_fit(variable, layout)
        return layout

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """Return the layout of a tensor inside the model, or `None` if XLA chooses it.

        Args:
            path: For the output of a layer its path and `"/output"`.
        """
        return None

    def distribute_dataset(self, dataset: Any) -> Any:
        """Return this process's share of a data set: with one process, the data set itself."""
        return dataset

    def distribute_tf_dataset(self, dataset: Any) -> Any:
        """Return `distribute_dataset(dataset)`; its name in earlier versions of Keras."""
        return self.distribute_dataset(dataset)

    @contextlib.contextmanager
    def scope(self) -> Iterator[Self]:
        """Return a context in which this is the distribution."""
        with placement_scope(self):
            yield self

    def variable_sharding(self, variable: Variable) -> jax.sharding.Sharding:
        """Return the sharding of a variable, for compiled programs."""
        return self.get_variable_layout(variable).backend_layout

    def batch_sharding(self, shape: tuple[int, ...], axis: int) -> jax.sharding.Sharding:
        """Return the sharding of an array of a batch, for compiled programs."""
        axes: list[str | None] = [None] * len(shape)
        if len(shape) > axis:
            axes[axis] = self.batch_dim_name
        return TensorLayout(axes, self._mesh).backend_layout

    def output_sharding(self, path: str) -> jax.sharding.Sharding | None:
        """Return the sharding of a layer's output, or `None` if XLA chooses it."""
        layout = self.get_tensor_layout(f"{path}/output")
        return None if layout is None else layout.backend_layout

    def __repr__(self) -> str:
        return f"<{type(self).__name__} device_mesh={self._mesh}>"


def _is_shared(kind: str, mesh: DeviceMesh) -> bool:
    """Return whether a mesh lies on all of several processes; it must not leave one out."""
    numbers = {device.process_index for device in mesh.backend_mesh.devices.flat}
    if numbers == {jax.process_index()}:
        return False
    missing = sorted(set(range(jax.process_count())) - numbers)
    if missing:
        raise ValueError(
            f"{kind}: the mesh must have devices of every process, or of this process"
            f" ({jax.process_index()}) only; it has none of process {', '.join(map(str, missing))}."
            " Choose devices from `list_devices()`."
        )
    if running_team() is None:
        raise RuntimeError(
            f"{kind}: the devices belong to {jax.process_count()} processes that do not know each"
            " other. Connect them by `hornbeam.distribution.initialize` instead of"
            " `jax.distributed.initialize`."
        )
    return True


def _follows_processes(distribution: Distribution) -> bool:
    """Return whether the parts of a batch lie in the processes one after the other."""
    mesh = distribution.device_mesh
    axis = mesh.axis_names.index(distribution.batch_dim_name)
    rows = np.moveaxis(mesh.backend_mesh.devices, axis, 0).reshape(mesh.shape[axis], -1)
    numbers = [{device.process_index for device in row} for row in rows]
    size, count = len(rows), jax.process_count()
    return size % count == 0 and all(
        found == {i * count // size} for i, found in enumerate(numbers)
    )


def _check_fit(variable: Variable, layout: TensorLayout) -> None:
    mesh: Any = layout.device_mesh
    if len(layout.axes) != len(variable.shape):
        raise ValueError(
            f"The layout {layout.axes} of the variable '{variable.path}' has {len(layout.axes)}"
            f" axes, expected {len(variable.shape)} for its shape {variable.shape}. Name a mesh"
            " axis or None for each axis of the variable."
        )
    for number, (name, size) in enumerate(zip(layout.axes, variable.shape, strict=True)):
        parts = 1 if name is None else mesh.shape[mesh.axis_names.index(name)]
        if size % parts:
            raise ValueError(
                f"The layout {layout.axes} of the variable '{variable.path}' divides its axis"
                f" {number} of size {size} into {parts} parts, which is not possible. Use None for"
                " this axis, another axis, or another size of the layer."
            )


def mesh_of(
    kind: str, device_mesh: DeviceMesh | None, devices: Sequence[str] | None, axis: str
) -> DeviceMesh:
    """Return the mesh that a constructor was given, or one with a single axis.

    Args:
        kind: Name of the class, for errors.
        device_mesh: The mesh, or `None`.
        devices: Names of devices, or `None` for all.
        axis: Name of the axis of a new mesh.

    Raises:
        TypeError: If `device_mesh` is no `DeviceMesh`.
        ValueError: If both `device_mesh` and `devices` are given.
    """
    if device_mesh is not None and not isinstance(device_mesh, DeviceMesh):
        raise TypeError(
            f"{kind}: `device_mesh` must be a DeviceMesh, received {errors.describe(device_mesh)}."
        )
    if device_mesh is not None and devices is not None:
        raise ValueError(f"{kind}: give either `device_mesh` or `devices`.")
    if device_mesh is not None:
        return device_mesh
    names = list_devices() if devices is None else list(devices)
    return DeviceMesh((len(names),), [axis], names)


def distribution() -> Any:
    """Return the distribution in use, or `None`.

    Example:
        >>> distribution() is None
        True
    """
    return current_placement()


def set_distribution(value: Any) -> None:
    """Set the distribution for models that are made, trained or used from now on.

    Args:
        value: A distribution such as `DataParallel()`, or `None` for JAX's default device.

    Raises:
        TypeError: If `value` is neither.

    Example:
        >>> set_distribution(None)
    """
    if value is not None and not hasattr(value, "variable_sharding"):
        raise TypeError(
            "set_distribution: `value` must be a distribution, such as `DataParallel()`, or None;"
            f" received {errors.describe(value)}."
        )
    set_placement(value)
