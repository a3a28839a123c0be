"""`tf.test`: what scripts ask of it."""

from __future__ import annotations

from typing import Any

from hornbeam.tensorflow.config import list_physical_devices

__all__ = ["gpu_device_name", "is_built_with_cuda", "is_built_with_gpu_support", "is_gpu_available"]


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Return whether JAX finds a GPU."""
    return bool(list_physical_devices("GPU"))


def gpu_device_name() -> str:
    """Return the name of the first GPU, an empty text if there is none."""
    return "/device:GPU:0" if is_gpu_available() else ""


def is_built_with_cuda() -> bool:
    """Return whether JAX finds a GPU."""
    return is_gpu_available()


is_built_with_gpu_support = is_built_with_cuda
