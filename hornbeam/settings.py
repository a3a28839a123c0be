"""Settings of the process: number format, epsilon, image layout, verbosity, limits.

Settings are plain module state, the same for every thread; anyone may change them at any time.
State that varies by thread or by trace (name scopes, the state overlay) lives in `hornbeam.core`.
`hornbeam.config` is the public face: it also has the settings that need more than this file.
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
    """Return the name of the engine, always `"jax"`.

    Example:
        >>> backend()
        'jax'
    """
    return "jax"


def set_backend(backend: str) -> None:
    """Check that the engine asked for is JAX, the only one.

    Raises:
        ValueError: If `backend` is another.

    Example:
        >>> set_backend("jax")
    """
    if backend != "jax":
        raise ValueError(f"set_backend: Hornbeam runs on 'jax' alone, received {backend!r}.")


def is_nnx_enabled() -> bool:
    """Tell whether variables are those of Flax NNX: never.

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
    """Set the default layout of images for layers created from now on.

    Args:
        data_format: `"channels_last"` (B, H, W, C) or `"channels_first"` (B, C, H, W).

    Raises:
        ValueError: If `data_format` is neither.

    Example:
        >>> set_image_data_format("channels_last")
    """
    _settings["image_data_format"] = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """Return `data_format`, or the default where it is `None`; checks the name."""
    if data_format is None:
        return image_data_format()
    value = str(data_format).lower()
    # Keras 1 called the two layouts by the engines that used them.
    value = {"tf": "channels_last", "th": "channels_first"}.get(value, value)
    if value not in _DATA_FORMATS:
        raise ValueError(
            f"data_format must be one of {_DATA_FORMATS} or None, received {data_format!r}."
        )
    return value


def enable_interactive_logging() -> None:
    """Show progress displays on standard output (the default).

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
    """Tell whether progress goes to standard output.

    Example:
        >>> is_interactive_logging_enabled()
        True
    """
    return _settings["interactive_logging"]


def enable_traceback_filtering() -> None:
    """Keep JAX's inner frames out of tracebacks (the default).

    Example:
        >>> enable_traceback_filtering()
    """
    _set_traceback_filtering(True)


def disable_traceback_filtering() -> None:
    """Show JAX's inner frames in tracebacks.

    Example:
        >>> disable_traceback_filtering(); enable_traceback_filtering()
    """
    _set_traceback_filtering(False)


def _set_traceback_filtering(value: bool) -> None:
    _settings["traceback_filtering"] = value
    jax.config.update("jax_traceback_filtering", "auto" if value else "off")


def is_traceback_filtering_enabled() -> bool:
    """Tell whether JAX's inner frames are kept out of tracebacks.

    Example:
        >>> is_traceback_filtering_enabled()
        True
    """
    return _settings["traceback_filtering"]


def enable_flash_attention() -> None:
    """Let attention use the fused kernel where the device has one for its arguments, as it does at
    first.

    Example:
        >>> enable_flash_attention(); is_flash_attention_enabled()
    """
    _settings["flash_attention"] = None


def disable_flash_attention() -> None:
    """Let attention be computed step by step, scores and all, unless a layer says otherwise.

    Example:
        >>> disable_flash_attention(); is_flash_attention_enabled()
        False
        >>> enable_flash_attention()
    """
    _settings["flash_attention"] = False


def is_flash_attention_enabled() -> bool | None:
    """Return `False` if the fused kernel for attention is disabled, else `None`: it is used where
    it can be.
    """
    return _settings["flash_attention"]


def kernels() -> str:
    """Return how ops are computed: `"auto"`, by the native kernels where they are installed, or
    `"plain"`, by XLA.

    Example:
        >>> kernels()
        'auto'
    """
    return _settings["kernels"]


def set_kernels(kernels: str) -> None:
    """Choose how ops are computed, for what is traced from now on; what is compiled already stays
    as it is.

    Args:
        kernels: `"auto"`: by the kernels of `hornbeam-cpu` where they are installed and fit.
            `"plain"`: by XLA alone.

    Raises:
        ValueError: If `kernels` is neither.

    Example:
        >>> set_kernels("auto")
    """
    if kernels not in ("auto", "plain"):
        raise ValueError(f"set_kernels: expected 'auto' or 'plain', received {kernels!r}.")
    _settings["kernels"] = kernels


def max_epochs() -> int | None:
    """Return the number of epochs that no `fit` passes, or `None`.

    Example:
        >>> max_epochs() is None
        True
    """
    return _settings["max_epochs"]


def set_max_epochs(max_epochs: int | None) -> None:
    """Let no `fit` run more epochs than this: for trying a script out.

    Args:
        max_epochs: A positive integer, or `None` for no limit.

    Example:
        >>> set_max_epochs(None)
    """
    _settings["max_epochs"] = _limit("set_max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """Return the number of steps that no epoch passes, or `None`.

    Example:
        >>> max_steps_per_epoch() is None
        True
    """
    return _settings["max_steps_per_epoch"]


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Let no epoch of `fit`, `evaluate` or `predict` take more steps than this: for trying a script
    out.

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
    """Let code from files run, for the rest of the process: lambdas that Keras stored as bytecode.

    Nothing in a file can call this. Prefer `load_model(path, safe_mode=False)`, which holds for one
    file; open only files that you would run as programs.

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
    """Tell whether `enable_unsafe_deserialization` was called.

    Example:
        >>> is_unsafe_deserialization_enabled()
        False
    """
    return _settings["unsafe_deserialization"]


def output_is_terminal() -> bool:
    """Tell whether standard output is a terminal or a notebook, which can redraw a line."""
    return bool(getattr(sys.stdout, "isatty", lambda: False)()) or "ipykernel" in sys.modules
