"""Global settings, with the names of `keras.config`.

Most settings are in `hornbeam.settings`. This module adds the ones that depend on other parts of
Hornbeam.
"""

from __future__ import annotations

from hornbeam.core import compile_cache as _compile_cache
from hornbeam.dtype_policies import dtype_policy, set_dtype_policy
from hornbeam.ops import routes
from hornbeam.settings import (
    backend,
    disable_flash_attention,
    disable_interactive_logging,
    disable_traceback_filtering,
    disable_unsafe_deserialization,
    enable_flash_attention,
    enable_interactive_logging,
    enable_traceback_filtering,
    enable_unsafe_deserialization,
    epsilon,
    floatx,
    image_data_format,
    is_flash_attention_enabled,
    is_interactive_logging_enabled,
    is_nnx_enabled,
    is_traceback_filtering_enabled,
    is_unsafe_deserialization_enabled,
    kernels,
    max_epochs,
    max_steps_per_epoch,
    set_backend,
    set_epsilon,
    set_floatx,
    set_image_data_format,
    set_kernels,
    set_max_epochs,
    set_max_steps_per_epoch,
)
from hornbeam.typing import FilePath

__all__ = [
    "backend",
    "compile_cache",
    "disable_compile_cache",
    "disable_flash_attention",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "disable_unsafe_deserialization",
    "dtype_policy",
    "enable_compile_cache",
    "enable_flash_attention",
    "enable_interactive_logging",
    "enable_traceback_filtering",
    "enable_unsafe_deserialization",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_flash_attention_enabled",
    "is_interactive_logging_enabled",
    "is_nnx_enabled",
    "is_traceback_filtering_enabled",
    "is_unsafe_deserialization_enabled",
    "kernel_routes",
    "kernels",
    "max_epochs",
    "max_steps_per_epoch",
    "set_backend",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_kernels",
    "set_max_epochs",
    "set_max_steps_per_epoch",
]


def kernel_routes() -> dict[str, tuple[str, str]]:
    """Return the implementation chosen for each op so far, as (name, reason) by op.

    Example:
        >>> isinstance(kernel_routes(), dict)
        True
    """
    return {op: (route[0], route[1]) for op, route in routes.taken().items()}


def compile_cache() -> str | None:
    """Return the folder of Hornbeam's compilation cache, or `None` if it is not in use.

    Example:
        >>> compile_cache() is None or "hornbeam" in compile_cache()
        True
    """
    folder = _compile_cache.folder()
    return None if folder is None else str(folder)


def enable_compile_cache(path: FilePath | None = None, max_bytes: int = 2**31) -> None:
    """Keep compiled programs on disk for the next start of a script (the default).

    The environment variable `HORNBEAM_COMPILE_CACHE` sets the folder at import, or disables the
    cache with the value `0`. A cache set by `JAX_COMPILATION_CACHE_DIR` is not replaced at import.

    Args:
        path: Folder that only the user can write to. Default: a folder in the user's cache folder.
        max_bytes: Size above which the least recently used programs are removed.

    Raises:
        ValueError: If the folder cannot be created, or others can write to it.
    """
    if not _compile_cache.enable(path, max_bytes):
        raise ValueError(
            f"enable_compile_cache: the folder {str(path or _compile_cache.default_folder())!r}"
            " cannot be used. Only you may own it and write to it, because its programs are run."
            " Try `chmod 700` or another `path`."
        )


def disable_compile_cache() -> None:
    """Keep no compiled programs on disk from now on."""
    _compile_cache.disable()
