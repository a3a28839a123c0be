"""Global settings: default float dtype, epsilon, image data format, logging, limits.

Settings are module state that all threads share. State that differs between threads or traces (name
scopes, the state overlay) is in `hornbeam.core`. `hornbeam.config` is the public module, and adds
the settings that depend on other parts of Hornbeam.
"""

from __future__ import annotations

import sys
from typing import Any

import jax

__all__ = [
    "backend",
    "disable_flash_attention",
    "disable_interactive_logging",
    "disable_traceback_filtering",
    "disable_unsafe_deserialization",
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
    "kernels",
    "max_epochs",
    "max_steps_per_epoch",
    "set_backend",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_kernels",
    "set_max_epochs",
    "set_max_steps_per_epoch",
]

_FLOAT_TYPES = ("bfloat16", "float16", "float32", "float64")
_DATA_FORMATS = ("channels_last", "channels_first")

_settings: dict[str, Any] = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "interactive_logging": True,
    "traceback_filtering": True,
    "flash_attention": None,
    "kernels": "auto",
    "max_epochs": None,
    "max_steps_per_epoch": None,
    "unsafe_deserialization": False,
}


def backend() -> str:
    """Return the name of the backend, always `"jax"`.

    Example:
        >>> backend()
        'jax'
    """
    return "jax"


def set_backend(backend: str) -> None:
    """Accept `"jax"`, the only backend.

    Raises:
        ValueError: If `backend` is not `"jax"`.

    Example:
        >>> set_backend("jax")
    """
    if backend != "jax":
        raise ValueError(f"set_backend: `backend` must be 'jax', received {backend!r}.")


def is_nnx_enabled() -> bool:
    """Return whether variables are Flax NNX variables, always `False`.

    Example:
        >>> is_nnx_enabled()
        False
    """
    return False


def floatx() -> str:
    """Return the default float dtype, `"float32"` unless `set_floatx` changed it.

    Example:
        >>> floatx()
        'float32'
    """
    return _settings["floatx"]


def set_floatx(value: str) -> None:
    """Set the default float dtype of new variables and constants.

    Args:
        value: One of `"bfloat16"`, `"float16"`, `"float32"`, `"float64"`.

    Raises:
        ValueError: If `value` is not one of these.

    Example:
        >>> set_floatx("float32")
    """
    if value not in _FLOAT_TYPES:
        raise ValueError(f"set_floatx: expected one of {_FLOAT_TYPES}, received {value!r}.")
    _settings["floatx"] = value


def epsilon() -> float:
    """Return the small number that keeps divisions and logarithms finite, 1e-7.

    Example:
        >>> epsilon()
        1e-07
    """
    return _settings["epsilon"]


def set_epsilon(value: float) -> None:
    """Set the value that `epsilon()` returns.

    Example:
        >>> set_epsilon(1e-7)
    """
    _settings["epsilon"] = float(value)


def image_data_format() -> str:
    """Return the default layout of images, `"channels_last"` or `"channels_first"`.

    Example:
        >>> image_data_format()
        'channels_last'
    """
    return _settings["image_data_format"]


def set_image_data_format(data_format: str) -> None:
    """Set the default layout of images for new layers.

    Args:
        data_format: `"channels_last"` (B, H, W, C) or `"channels_first"` (B, C, H, W).

    Raises:
        ValueError: If `data_format` is neither.

    Example:
        >>> set_image_data_format("channels_last")
    """
    _settings["image_data_format"] = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """Return a valid name of a data format; `None` means the default."""
    if data_format is None:
        return image_data_format()
    value = str(data_format).lower()
    # Keras 1 named the layouts after the backends that used them.
    value = {"tf": "channels_last", "th": "channels_first"}.get(value, value)
    if value not in _DATA_FORMATS:
        raise ValueError(
            f"`data_format` must be one of {_DATA_FORMATS} or None, received {data_format!r}."
        )
    return value


def enable_interactive_logging() -> None:
    """Show progress on standard output (the default).

    Example:
        >>> enable_interactive_logging()
    """
    _settings["interactive_logging"] = True


def disable_interactive_logging() -> None:
    """Send progress to the `hornbeam` logger instead of standard output.

    Example:
        >>> disable_interactive_logging(); enable_interactive_logging()
    """
    _settings["interactive_logging"] = False


def is_interactive_logging_enabled() -> bool:
    """Return whether progress is shown on standard output.

    Example:
        >>> is_interactive_logging_enabled()
        True
    """
    return _settings["interactive_logging"]


def enable_traceback_filtering() -> None:
    """Leave frames of Hornbeam and JAX out of tracebacks, except the last (the default).

    Example:
        >>> enable_traceback_filtering()
    """
    _set_traceback_filtering(True)


def disable_traceback_filtering() -> None:
    """Show all frames of Hornbeam and JAX in tracebacks.

    Example:
        >>> disable_traceback_filtering(); enable_traceback_filtering()
    """
    _set_traceback_filtering(False)


def _set_traceback_filtering(value: bool) -> None:
    _settings["traceback_filtering"] = value
    jax.config.update("jax_traceback_filtering", "auto" if value else "off")


def is_traceback_filtering_enabled() -> bool:
    """Return whether frames of Hornbeam and JAX are left out of tracebacks.

    Example:
        >>> is_traceback_filtering_enabled()
        True
    """
    return _settings["traceback_filtering"]


def enable_flash_attention() -> None:
    """Use the fused attention kernel if the device has one for the arguments (the default).

    Example:
        >>> enable_flash_attention(); is_flash_attention_enabled()
    """
    _settings["flash_attention"] = None


def disable_flash_attention() -> None:
    """Compute attention without the fused kernel, unless a layer requests it.

    Example:
        >>> disable_flash_attention(); is_flash_attention_enabled()
        False
        >>> enable_flash_attention()
    """
    _settings["flash_attention"] = False


def is_flash_attention_enabled() -> bool | None:
    """Return `False` if the fused attention kernel is disabled, `None` if ops choose it."""
    return _settings["flash_attention"]


def kernels() -> str:
    """Return which kernels ops use, `"auto"` or `"plain"`; see `set_kernels`.

    Example:
        >>> kernels()
        'auto'
    """
    return _settings["kernels"]


def set_kernels(kernels: str) -> None:
    """Choose which kernels ops use. Compiled functions keep their kernels until they are retraced.

    Args:
        kernels: `"auto"` uses the kernels of `hornbeam-cpu` on CPU and of cuDNN on NVIDIA GPUs, if
            they are available and support the arguments. `"plain"` uses only XLA.

    Raises:
        ValueError: If `kernels` is neither.

    Example:
        >>> set_kernels("auto")
    """
    if kernels not in ("auto", "plain"):
        raise ValueError(f"set_kernels: expected 'auto' or 'plain', received {kernels!r}.")
    _settings["kernels"] = kernels


def max_epochs() -> int | None:
    """Return the maximum number of epochs of each `fit`, or `None`.

    Example:
        >>> max_epochs() is None
        True
    """
    return _settings["max_epochs"]


def set_max_epochs(max_epochs: int | None) -> None:
    """Limit the number of epochs of each `fit`, for example to try out a script.

    Args:
        max_epochs: A positive integer, or `None` for no limit.

    Example:
        >>> set_max_epochs(None)
    """
    _settings["max_epochs"] = _limit("set_max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """Return the maximum number of steps per epoch, or `None`.

    Example:
        >>> max_steps_per_epoch() is None
        True
    """
    return _settings["max_steps_per_epoch"]


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limit the number of steps per epoch of `fit`, `evaluate` and `predict`.

    Args:
        max_steps_per_epoch: A positive integer, or `None` for no limit.

    Example:
        >>> set_max_steps_per_epoch(None)
    """
    _settings["max_steps_per_epoch"] = _limit("set_max_steps_per_epoch", max_steps_per_epoch)


def _limit(function: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{function}: expected a positive integer or None, received {value!r}.")
    return value


def enable_unsafe_deserialization() -> None:
    """Allow lambdas stored as bytecode in files to run, for the rest of the process.

    A file cannot call this function. Prefer `load_model(path, safe_mode=False)`, which applies to
    one file. Load only files that you would run as programs.

    Example:
        >>> enable_unsafe_deserialization(); is_unsafe_deserialization_enabled()
        True
        >>> disable_unsafe_deserialization()
    """
    _settings["unsafe_deserialization"] = True


def disable_unsafe_deserialization() -> None:
    """Refuse code from files again (the default).

    Example:
        >>> disable_unsafe_deserialization(); is_unsafe_deserialization_enabled()
        False
    """
    _settings["unsafe_deserialization"] = False


def is_unsafe_deserialization_enabled() -> bool:
    """Return whether code from files may run; see `enable_unsafe_deserialization`.

    Example:
        >>> is_unsafe_deserialization_enabled()
        False
    """
    return _settings["unsafe_deserialization"]


def output_is_terminal() -> bool:
    """Return whether standard output is a terminal or a notebook, which can redraw a line."""
    return bool(getattr(sys.stdout, "isatty", lambda: False)()) or "ipykernel" in sys.modules
