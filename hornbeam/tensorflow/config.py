"""`tf.config`: the devices, and settings of the process."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from hornbeam.tensorflow.function import functions_run_eagerly, run_functions_eagerly

__all__ = [
    "LogicalDevice", "LogicalDeviceConfiguration", "PhysicalDevice",
    "experimental_functions_run_eagerly", "experimental_run_functions_eagerly",
    "functions_run_eagerly", "get_logical_device_configuration", "get_memory_growth",
    "get_soft_device_placement", "get_visible_devices", "list_logical_devices",
    "list_physical_devices", "run_functions_eagerly", "set_logical_device_configuration",
    "set_memory_growth", "set_soft_device_placement", "set_virtual_device_configuration",
    "set_visible_devices", "VirtualDeviceConfiguration",
]  # fmt: skip


class PhysicalDevice(NamedTuple):
    """A device as `tf.config.list_physical_devices` describes it."""

    name: str
    device_type: str


class LogicalDevice(NamedTuple):
    """A device as `tf.config.list_logical_devices` describes it."""

    name: str
    device_type: str


class LogicalDeviceConfiguration(NamedTuple):
    """A part of a device; see `set_logical_device_configuration`."""

    memory_limit: Any = None
    experimental_priority: Any = None
    experimental_device_ordinal: Any = None


VirtualDeviceConfiguration = LogicalDeviceConfiguration


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """Return the devices that JAX finds, described as in TensorFlow.

    Args:
        device_type: `"CPU"`, `"GPU"`, `"TPU"`, or `None` for all.

    Returns:
        A list of `PhysicalDevice`.

    Example:
        >>> isinstance(list_physical_devices("GPU"), list)
        True
    """
    platforms = [device.platform.upper() for device in jax.devices()]
    # TensorFlow also lists the host's CPU if there is an accelerator.
    if "CPU" not in platforms:
        platforms += ["CPU"] * len(jax.devices("cpu"))
    devices = [
        PhysicalDevice(f"/physical_device:{kind}:{number}", kind)
        for kind in sorted(set(platforms))
        for number in range(platforms.count(kind))
    ]
    return [device for device in devices if device_type in (None, device.device_type)]


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """Return the devices that JAX finds, with the names that `tf.device` takes."""
    return [
        LogicalDevice(device.name.replace("physical_device", "device"), device.device_type)
        for device in list_physical_devices(device_type)
    ]


def get_visible_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """Return the devices that JAX finds."""
    return list_physical_devices(device_type)


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Choose the devices that are used: the first of them becomes JAX's default device.

    Args:
        devices: A device or a list of devices of `list_physical_devices`.
        device_type: `"GPU"` with an empty list of devices runs on the CPU.
    """
    chosen = devices if isinstance(devices, (list, tuple)) else [devices]
    if not chosen:
        if device_type != "CPU":
            jax.config.update("jax_default_device", jax.devices("cpu")[0])
        return
    kind, number = chosen[0].name.split(":")[-2:]
    if isinstance(chosen[0], tuple) and kind.upper() != "CPU":
        jax.config.update("jax_default_device", jax.devices(kind.lower())[int(number)])


def set_memory_growth(device: Any, enable: bool) -> None:
    """Do nothing: set `XLA_PYTHON_CLIENT_PREALLOCATE=false` before the start instead."""


def get_memory_growth(device: Any) -> bool:
    """Return false; see `set_memory_growth`."""
    return False


def set_logical_device_configuration(device: Any, logical_devices: Any) -> None:
    """Do nothing: JAX does not divide devices.

    The environment variable `XLA_PYTHON_CLIENT_MEM_FRACTION` limits the memory.
    """


def get_logical_device_configuration(device: Any) -> None:
    """Return `None`: devices are not divided."""


set_virtual_device_configuration = set_logical_device_configuration


def set_soft_device_placement(enabled: bool) -> None:
    """Do nothing: JAX places operations itself."""


def get_soft_device_placement() -> bool:
    """Return true."""
    return True


experimental_run_functions_eagerly = run_functions_eagerly
experimental_functions_run_eagerly = functions_run_eagerly
