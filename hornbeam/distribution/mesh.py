"""Devices, grids of devices with named axes, and layouts of tensors on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import numpy as np

__all__ = ["DeviceMesh", "TensorLayout", "device_named", "get_device_count", "list_devices"]


def list_devices(device_type: str | None = None) -> list[str]:
    """Return the names of the devices of all processes, such as `"cpu:0"`.

    Args:
        device_type: `"cpu"`, `"gpu"` or `"tpu"`. Default: the devices that JAX uses by default.

    Raises:
        ValueError: If JAX finds no device of the type.

    Example:
        >>> list_devices("cpu")[0]
        'cpu:0'
    """
    return [_name(device) for device in _devices(device_type)]


def get_device_count(device_type: str | None = None) -> int:
    """Return the number of devices; see `list_devices`.

    Example:
        >>> get_device_count("cpu") == len(list_devices("cpu"))
        True
    """
    return len(_devices(device_type))


class DeviceMesh:
    """A grid of devices with a name for each axis.

    Args:
        shape: Number of devices along each axis.
        axis_names: Name of each axis, such as `["batch", "model"]`.
        devices: Names of the devices, as in `list_devices`, in any shape. Default: all.

    Raises:
        ValueError: If the numbers of axes or of devices differ, a device is unknown, or a name
            occurs twice.

    Example:
        >>> DeviceMesh((1,), ["batch"], devices=["cpu:0"])
        <DeviceMesh shape=(1,), axis_names=['batch']>
    """

    def __init__(
        self,
        shape: Sequence[int],
        axis_names: Sequence[str],
        devices: Sequence[str] | np.ndarray | None = None,
    ):
        if not shape or not axis_names or len(shape) != len(axis_names):
            raise ValueError(
                f"DeviceMesh: `shape` and `axis_names` must have one entry per axis, received"
                f" shape={shape} and axis_names={axis_names}. Give each axis a size and a name."
            )
        if len(set(axis_names)) < len(axis_names):
            raise ValueError(
                f"DeviceMesh: `axis_names` must differ, received {list(axis_names)}. Give each axis"
                " a name of its own."
            )
        names = np.array(list_devices() if devices is None else devices)
        if math.prod(shape) != names.size:
            raise ValueError(
                f"DeviceMesh: `shape` {tuple(shape)} is for {math.prod(shape)} devices, received"
                f" {names.size}. Give a shape whose product is {names.size}, or choose `devices`."
            )
        if len(set(names.flat)) < names.size:
            raise ValueError(
                f"DeviceMesh: `devices` must differ, received {names.tolist()}. Name each device"
                " once."
            )
        self._shape, self._axis_names = tuple(shape), list(axis_names)
        self._devices = names.reshape(self._shape)
        grid = np.array([device_named(str(name)) for name in names.flat], dtype=object)
        self._mesh = jax.sharding.Mesh(grid.reshape(self._shape), self._axis_names)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of devices along each axis."""
        return self._shape

    @property
    def axis_names(self) -> list[str]:
        """Names of the axes."""
        return self._axis_names

    @property
    def devices(self) -> np.ndarray:
        """Names of the devices, in the shape of the mesh."""
        return self._devices

    @property
    def backend_mesh(self) -> jax.sharding.Mesh:
        """The mesh of JAX."""
        return self._mesh

    def __repr__(self) -> str:
        return f"<DeviceMesh shape={self.shape}, axis_names={self.axis_names}>"


class TensorLayout:
    """Which axis of a mesh divides which axis of a tensor.

    Args:
        axes: For each axis of the tensor the name of a mesh axis, or `None` for an axis that stays
            whole.
        device_mesh: The mesh. It can be set later, once.

    Raises:
        ValueError: If the mesh has no axis of a name, or a name occurs twice.

    Example:
        >>> mesh = DeviceMesh((1,), ["batch"], devices=["cpu:0"])
        >>> TensorLayout(["batch", None], mesh).axes
        ('batch', None)
    """

    def __init__(self, axes: Sequence[str | None], device_mesh: DeviceMesh | None = None):
        self._axes = tuple(axes)
        divided = [name for name in self._axes if name is not None]
        if len(set(divided)) < len(divided):
            raise ValueError(
                f"TensorLayout: `axes` must name each axis of the mesh at most once, received"
                f" {self._axes}. Use None for the other axis of the tensor."
            )
        self._mesh: DeviceMesh | None = None
        if device_mesh is not None:
            self.device_mesh = device_mesh

    @property
    def axes(self) -> tuple[str | None, ...]:
        """The name of a mesh axis, or `None`, for each axis of the tensor."""
        return self._axes

    @property
    def device_mesh(self) -> DeviceMesh | None:
        """The mesh, or `None` while it is not set."""
        return self._mesh

    @device_mesh.setter
    def device_mesh(self, mesh: DeviceMesh) -> None:
        if self._mesh is not None:
            raise ValueError(
                f"TensorLayout: the mesh is already set to {self._mesh}. Make another layout."
            )
        unknown = [name for name in self._axes if name is not None and name not in mesh.axis_names]
        if unknown:
            raise ValueError(
                f"TensorLayout: `axes` must name axes of the mesh, which are {mesh.axis_names}, or"
                f" be None; received {unknown[0]!r}."
            )
        self._mesh = mesh

    @property
    def backend_layout(self) -> jax.sharding.NamedSharding:
        """The sharding of JAX.

        Raises:
            ValueError: If the mesh is not set.
        """
        if self._mesh is None:
            raise ValueError("TensorLayout: set `device_mesh` before you use the layout.")
        return jax.sharding.NamedSharding(
            self._mesh.backend_mesh, jax.sharding.PartitionSpec(*self._axes)
        )

    def __repr__(self) -> str:
        return f"<TensorLayout axes={self.axes}, device_mesh={self.device_mesh}>"


def device_named(name: str) -> jax.Device:
    """Return the device of a name such as `"cpu:0"`.

    Raises:
        ValueError: If there is no such device.
    """
    for device in _devices(name.split(":")[0] or None):
        if _name(device) == name:
            return device
    raise ValueError(
        f"There is no device '{name}'. `hornbeam.distribution.list_devices()` lists the names."
    )


def _name(device: jax.Device) -> str:
    kind = "gpu" if device.platform in ("cuda", "rocm") else device.platform
    return f"{kind}:{device.id}"


def _devices(device_type: str | None) -> list[jax.Device]:
    kind = None if device_type is None else device_type.lower()
    try:
        return jax.devices(kind)
    except RuntimeError:
        raise ValueError(
            f"`device_type` must be the type of a device that JAX can use, received"
            f" {device_type!r}. Its default devices are"
            f" {', '.join(map(_name, jax.devices()))}."
        ) from None
