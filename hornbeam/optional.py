"""Packages that are imported when they are first needed, and not with Hornbeam.

These packages are optional and installed by an extra of Hornbeam, or they are slow to import and
rarely needed. Other imports belong at the top of a module.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["h5py_library", "import_module", "jax_sparse", "scipy_signal"]


def import_module(name: str, *, extra: str, needed_for: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        name: The module's full name, such as `"pandas"` or `"scipy.signal"`.
        extra: The extra of Hornbeam that installs the package.
        needed_for: Subject of the error message, such as `"TensorBoard"` or `"A model in YAML"`.

    Returns:
        The module.

    Raises:
        ImportError: If the package is not installed; the message names the extra. An error inside
            an installed package is raised unchanged.

    Example:
        >>> import_module("yaml", extra="yaml", needed_for="A model in YAML").__name__
        'yaml'
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise  # the package is installed, but one of its dependencies is not
        raise ImportError(
            f"{needed_for} needs the package {package}, which is not installed. Run `pip install"
            f' "hornbeam[{extra}]"`.',
            name=package,
        ) from None


def h5py_library() -> ModuleType:
    """Import h5py, which writes HDF5 files.

    h5py is always installed, but would add noticeably to Hornbeam's import time. Only writing needs
    it: `hornbeam.saving.hdf5` reads files without it.

    Returns:
        The module `h5py`.

    Example:
        >>> h5py_library().__name__
        'h5py'
    """
    return importlib.import_module("h5py")


def jax_sparse() -> ModuleType:
    """Import `jax.experimental.sparse`, which holds sparse arrays.

    It is part of JAX, but imports much of SciPy, which would double Hornbeam's import time.

    Example:
        >>> jax_sparse().BCOO.__name__
        'BCOO'
    """
    return importlib.import_module("jax.experimental.sparse")


def scipy_signal() -> ModuleType:
    """Import `scipy.signal`, which resamples sounds.

    SciPy is always installed, because JAX needs it, but this part is slow to import.

    Example:
        >>> scipy_signal().__name__
        'scipy.signal'
    """
    return importlib.import_module("scipy.signal")
