"""Kernels for Hornbeam on CPU.

Importing the package registers them with JAX. Hornbeam imports it if it is installed. The modules
`text` and `images` have functions for texts and images, which Hornbeam calls directly.
"""

import ctypes
import functools
import importlib.machinery
import os
import pathlib

import jax
import numpy as np

from hornbeam_cpu import images, text

__all__ = ["INTERFACE", "TARGETS", "dtypes", "images", "text"]

# Increased when operands, results or attributes of a kernel change. Hornbeam uses the kernels only
# if it knows this version.
INTERFACE = 6

# The name of each kernel in JAX, and its symbol in the library.
TARGETS = {
    "hornbeam_adam": "HornbeamAdam",
    "hornbeam_adam_rows": "HornbeamAdamRows",
    "hornbeam_after": "HornbeamAfter",
    "hornbeam_convolution": "HornbeamConvolution",
    "hornbeam_product": "HornbeamProduct",
    "hornbeam_recurrence": "HornbeamRecurrence",
    "hornbeam_recurrence_pull": "HornbeamRecurrencePull",
    "hornbeam_rows": "HornbeamRows",
    "hornbeam_sampled": "HornbeamSampled",
}


def _library():
    folder = pathlib.Path(__file__).parent
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        if (folder / f"kernels{suffix}").exists():
            return ctypes.CDLL(str(folder / f"kernels{suffix}"))
    raise ImportError(f"hornbeam_cpu: no library 'kernels' in {folder}. Install the package again.")


def _keep_memory():
    """Make the C library keep up to 1 GiB of freed memory.

    Otherwise it returns every large block to the system. XLA allocates the temporaries of a program
    in every call, and getting cleared pages from the system each time took a tenth of a training
    step of ResNet-20. If the user has configured the allocator, nothing changes.
    """
    if not any(name.startswith(("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")) for name in os.environ):
        try:
            set_option = ctypes.CDLL(None).mallopt  # glibc's
        except (AttributeError, OSError):
            return
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            set_option(option, 2**30)


_keep_memory()
_kernels = _library()
for _name, _symbol in TARGETS.items():
    jax.ffi.register_ffi_target(
        _name, jax.ffi.pycapsule(getattr(_kernels, _symbol)), platform="cpu"
    )


@functools.cache
def dtypes():
    """Return the dtypes that the kernels support on this processor."""
    return (
        np.dtype("float32"),
        *((np.dtype(jax.numpy.bfloat16),) if _kernels.hornbeam_has_bfloat16() else ()),
    )
