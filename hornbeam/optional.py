"""Packages that are imported when something first needs them, not when Hornbeam is.

A package is imported this way for one of two reasons: it is optional and comes with an extra of
Hornbeam, or it is heavy and most programs never need it. No other import belongs inside a function.
"""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["h5py_library", "import_module"]


def import_module(name: str, *, extra: str, needed_for: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        name: The module's full name, such as `"pandas"` or `"scipy.signal"`.
        extra: The extra of Hornbeam that installs the package.
        needed_for: What needs it, for the message: `"TensorBoard"`, `"A model in YAML"`.

    Returns:
        The module.

    Raises:
        ImportError: If the package is not installed; the message names the extra. An error inside
            an installed package is raised as it is.

    Example:
        >>> import_module("yaml", extra="yaml", needed_for="A model in YAML").__name__
        'yaml'
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise  # the package is there, and one that it needs itself is not
        raise ImportError(
            f"{needed_for} needs the package {package}, which is not installed. Run `pip install"
            f' "hornbeam[{extra}]"`.',
            name=package,
        ) from None


def h5py_library() -> ModuleType:
    """Import h5py, which writes HDF5 files.

    h5py is always installed, but importing it takes a noticeable part of Hornbeam's own import
    time.
    Only writing a file needs it: files are read by `hornbeam.saving.hdf5`.

    Returns:
        The module `h5py`.

    Example:
        >>> h5py_library().__name__
        'h5py'
    """
    return importlib.import_module("h5py")
