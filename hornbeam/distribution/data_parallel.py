"""Data parallelism: each device computes its part of each batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hornbeam.core.variable import Variable
from hornbeam.distribution.distribution import Distribution, mesh_of
from hornbeam.distribution.mesh import DeviceMesh

__all__ = ["DataParallel", "FullyShardedDataParallel"]


class DataParallel(Distribution):
    """Divide each batch among the devices; every device keeps all variables.

    Gradients and metrics are those of one device, also of a batch whose size the number of devices
    does not divide.

    Args:
        device_mesh: Mesh whose first axis divides batches. Default: one axis, `"batch"`, over
            `devices`.
        devices: Names of devices, as in `list_devices`. Default: all.
        auto_shard_dataset: Whether all of several processes are given the same data, of which each
            uses its part of every batch. If false, each is given its own part: its batches and
            those of the others are one batch, and `predict` returns its own rows. With one process,
            both values mean the same.

    Raises:
        TypeError: If `device_mesh` is no `DeviceMesh`.
        ValueError: If both `device_mesh` and `devices` are given.
        RuntimeError: If there are several processes that `initialize` has not connected.

    Example:
        >>> from hornbeam.distribution import distribution
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
        mesh = mesh_of("DataParallel", device_mesh, devices, "batch")
        super().__init__(mesh, auto_shard_dataset=auto_shard_dataset)


class FullyShardedDataParallel(Distribution):
    """Divide batches and variables among the devices (FSDP).

    Each device keeps one part of each weight and of its optimizer slots, so the memory per device
    falls with the number of devices. XLA gathers a weight where the step uses it, and adds up and
    divides its gradient. Each variable is divided along its largest axis whose size the number of
    devices divides; small variables, and those without such an axis, are kept whole by every
    device.

    Source: Rajbhandari et al. 2020, "ZeRO: memory optimizations toward training trillion parameter
    models", stage 3.

    Args:
        device_mesh: Mesh whose first axis divides batches and variables. Default: one axis,
            `"batch"`, over `devices`.
        devices: Names of devices, as in `list_devices`. Default: all.
        auto_shard_dataset: As for `DataParallel`.
        min_size: Variables with fewer elements are kept whole. Default: 1024.

    Raises:
        TypeError: If `device_mesh` is no `DeviceMesh`.
        ValueError: If both `device_mesh` and `devices` are given.

    Example:
        >>> import hornbeam as hb
        >>> fsdp = FullyShardedDataParallel(devices=["cpu:0"])
        >>> fsdp.get_variable_layout(hb.Variable("zeros", (32, 64))).axes
        (None, 'batch')
    """

    def __init__(
        self,
        device_mesh: DeviceMesh | None = None,
        devices: Sequence[str] | None = None,
        auto_shard_dataset: bool = True,
        min_size: int = 1024,
    ):
        mesh = mesh_of("FullyShardedDataParallel", device_mesh, devices, "batch")
        super().__init__(mesh, auto_shard_dataset=auto_shard_dataset)
        self.min_size = min_size

    def variable_axes(self, variable: Variable) -> Sequence[str | None] | None:
        """Return the layout of a variable: its largest axis is divided."""
        sizes = variable.shape
        if math.prod(sizes) < self.min_size:
            return None
        possible = [i for i, size in enumerate(sizes) if size % self.num_model_replicas == 0]
        if not possible:
            return None
        divided = max(possible, key=lambda i: (sizes[i], i))
        return [self.batch_dim_name if i == divided else None for i in range(len(sizes))]
