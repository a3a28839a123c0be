"""Names of the stand-ins `keras` and `tensorflow` that are no names of Hornbeam."""

from __future__ import annotations

from typing import NamedTuple

import jax

from hornbeam.core import random as core_random
from hornbeam.keras.table import KERAS_VERSION

__all__ = ["PhysicalDevice", "list_physical_devices", "set_seed", "version"]

# These names replace TensorFlow's dtype objects. Hornbeam takes dtypes by name, as Keras does.
bfloat16, float16, float32, float64 = "bfloat16", "float16", "float32", "float64"
int8, int16, int32, int64 = "int8", "int16", "int32", "int64"
uint8, uint16, uint32, uint64 = "uint8", "uint16", "uint32", "uint64"
bool = "bool"


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


def version() -> str:
    """Return the version of Keras that the stand-in `keras` follows.

    Example:
        >>> version().startswith("3.")
        True
    """
    return KERAS_VERSION


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and Hornbeam's generators.

    Args:
        seed: An integer from 0 to 2**32 - 1.

    Example:
        >>> set_seed(0)
    """
    core_random.set_random_seed(seed)
