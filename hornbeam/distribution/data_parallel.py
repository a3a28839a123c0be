"""Data parallelism: each device has all variables and computes its part of each batch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from hornbeam import errors
from hornbeam.core.placement import Placement, current_placement, set_placement
from hornbeam.core.variable import Variable
from hornbeam.distribution.mesh import DeviceMesh, TensorLayout, list_devices

__all__ = ["DataParallel", "distribution", "set_distribution"]


class DataParallel(Placement):
    """Divide each batch among the devices; every device keeps all variables.

    Gradients and metrics are those of one device. A batch whose size the number of devices does
    not divide is computed on every device as a whole.

    Args:
        device_mesh: Mesh whose first axis divides batches. Default: one axis, `"batch"`, over
            `devices`.
        devices: Names of devices, as in `list_devices`. Default: all.
        auto_shard_dataset: Whether each of several processes reads its own share of the data. With
            one process, both values mean the same.

    Raises:
        TypeError: If `device_mesh` is no `DeviceMesh`.
        ValueError: If both `device_mesh` and `devices` are given.
        NotImplementedError: If there are several processes.

    Example:
        >>> with DataParallel(devices=["cpu:0"]).scope():
        ...     distribution().get_data_layout((8, 3)).axes
        ('batch', None)
    """

    def __init__(
        self,
        device_mesh: DeviceMesh | None = None,
        devices: Sequence[str] | None = None,
        auto_shard_dataset: bool = True,
    ):
        if device_mesh is not None and not isinstance(device_mesh, DeviceMesh):
            raise TypeError(
                "DataParallel: `device_mesh` must be a DeviceMesh, received"
                f" {errors.describe(device_mesh)}."
            )
        if jax.process_count() > 1:
            raise NotImplementedError(
                f"DataParallel: expected one process, received {jax.process_count()}. Run the"
                " script in one process, which can use all devices of its machine."
            )
        if device_mesh is not None and devices is not None:
            raise ValueError("DataParallel: give either `device_mesh` or `devices`.")
        if device_mesh is None:
            names = list_devices() if devices is None else list(devices)
            device_mesh = DeviceMesh((len(names),), ["batch"], names)
        self._mesh = device_mesh
        self._auto_shard_dataset = auto_shard_dataset

    @property
    def device_mesh(self) -> DeviceMesh:
        """The mesh of devices."""
        return self._mesh

    @property
    def batch_dim_name(self) -> str:
        """Name of the mesh axis that divides batches."""
        return self._mesh.axis_names[0]

    @property
    def auto_shard_dataset(self) -> bool:
        """Whether each process reads its own share of the data."""
        return self._auto_shard_dataset

    @property
    def num_model_replicas(self) -> int:
        """Number of copies of the model: one per device along the batch axis."""
        return self._mesh.shape[0]

    @property
    def num_processes(self) -> int:
        """Number of processes."""
        return jax.process_count()

    def get_data_layout(self, data_shape: Sequence[int | None]) -> TensorLayout:
        """Return the layout of an array of a batch: its first axis is divided."""
        axes: list[str | None] = [None] * len(data_shape)
        if axes:
            axes[0] = self.batch_dim_name
        return TensorLayout(axes, self._mesh)

    def get_variable_layout(self, variable: Variable) -> TensorLayout:
        """Return the layout of a variable: no axis is divided."""
        return TensorLayout([None] * len(variable.shape), self._mesh)

    def get_tensor_layout(self, path: str) -> None:
        """Return `None`: tensors inside the model have no layout of their own."""

    @contextlib.contextmanager
    def scope(self) -> Iterator[DataParallel]:
        """Return a context in which this is the distribution."""
        before = current_placement()
        set_placement(self)
        try:
            yield self
        finally:
            set_placement(before)

    def variable_sharding(self, variable: Variable) -> jax.sharding.Sharding:
        """Return the sharding of a variable, for compiled programs."""
        return self.get_variable_layout(variable).backend_layout

    def batch_sharding(self, shape: tuple[int, ...], axis: int) -> jax.sharding.Sharding:
        """Return the sharding of an array of a batch, for compiled programs."""
        axes: list[str | None] = [None] * len(shape)
        if len(shape) > axis and shape[axis] % self.num_model_replicas == 0:
            axes[axis] = self.batch_dim_name
        return TensorLayout(axes, self._mesh).backend_layout

    def __repr__(self) -> str:
        return f"<DataParallel device_mesh={self._mesh}>"


def distribution() -> Any:
    """Return the distribution, or `None`.

    Example:
        >>> distribution() is None
        True
    """
    return current_placement()


def set_distribution(value: Any) -> None:
    """Set the distribution for models that are trained or used from now on.

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
