"""`tf.config`: the devices."""

from __future__ import annotations

from typing import NamedTuple

import jax

__all__ = ["PhysicalDevice", "list_physical_devices"]


class PhysicalDevice(NamedTuple):
    """A device as `tf.config.list_physical_devices` describes it."""

    name: str
    device_type: str


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
