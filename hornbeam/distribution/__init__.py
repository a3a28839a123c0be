"""Training on several devices, as in `keras.distribution`.

A distribution says where variables and batches lie. It implements the `Placement` that compiled
programs ask (`hornbeam.core.placement`); XLA divides the work among the devices. So far the room
holds meshes, layouts and data parallelism.
"""

from hornbeam.distribution.data_parallel import DataParallel, distribution, set_distribution
from hornbeam.distribution.mesh import DeviceMesh, TensorLayout, get_device_count, list_devices

__all__ = [
    "DataParallel",
    "DeviceMesh",
    "TensorLayout",
    "distribution",
    "get_device_count",
    "list_devices",
    "set_distribution",
]
