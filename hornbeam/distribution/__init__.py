"""Training on several devices, as in `keras.distribution`.

A distribution says where variables and batches lie. It implements the `Placement` that compiled
programs ask (`hornbeam.core.placement`); XLA divides the work among the devices.
"""

from hornbeam.distribution.choice import choose
from hornbeam.distribution.data_parallel import DataParallel, FullyShardedDataParallel
from hornbeam.distribution.distribution import Distribution, distribution, set_distribution
from hornbeam.distribution.layout_map import LayoutMap
from hornbeam.distribution.mesh import DeviceMesh, TensorLayout, get_device_count, list_devices
from hornbeam.distribution.model_parallel import ModelParallel, TensorParallel
from hornbeam.distribution.processes import initialize
from hornbeam.distribution.table import table
from hornbeam.distribution.tensors import distribute_tensor, shard_map

__all__ = [
    "DataParallel",
    "DeviceMesh",
    "Distribution",
    "FullyShardedDataParallel",
    "LayoutMap",
    "ModelParallel",
    "TensorLayout",
    "TensorParallel",
    "choose",
    "distribute_tensor",
    "distribution",
    "get_device_count",
    "initialize",
    "list_devices",
    "set_distribution",
    "shard_map",
    "table",
]
