"""`keras.src.utils.module_utils`: packages that are imported on first use."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

__all__ = ["LazyModule"]

# Packages that Keras names here, whether they are installed or not.
_OPTIONAL = (
    "dmtree", "gfile", "grain", "jax", "jaxlib", "keras_tuner", "litert", "matplotlib", "ocp",
    "optree", "scipy", "tensorflow", "tensorflow_io", "tf2onnx", "torch", "torch_xla",
)  # fmt: skip


class LazyModule:
    """A package that is imported when an attribute is first used.

    Args:
        name: Name of the package.
        pip_name: Name under which it is installed, for the message.
        import_error_msg: The message if it is missing.

    Raises:
        ImportError: On use, if the package is missing.

    Example:
        >>> LazyModule("json").loads("[1]"), LazyModule("no_such_package").available
        ([1], False)
    """

    def __init__(self, name: str, pip_name: str | None = None, import_error_msg: str | None = None):
        self.name, self.pip_name = name, pip_name or name
        self.import_error_msg = import_error_msg or (
            f"This needs the package {self.pip_name}, which is not installed. Run `pip install"
            f" {self.pip_name}`."
        )
        self.module: Any = None

    @property
    def available(self) -> bool:
        """Whether the package can be imported."""
        try:
            self.initialize()
        except ImportError:
            return False
        return True

    def initialize(self) -> None:
        """Import the package."""
        if self.module is None:
            try:
                self.module = importlib.import_module(self.name)
            except ImportError:
                raise ImportError(self.import_error_msg, name=self.name) from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.initialize()
        return getattr(self.module, name)

    def __repr__(self) -> str:
        return f"LazyModule({self.name})"


def __getattr__(name: str) -> Any:
    """Return a `LazyModule` for a package, such as `module_utils.tensorflow`."""
    if name not in _OPTIONAL and (name.startswith("_") or importlib.util.find_spec(name) is None):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = LazyModule(name)
    return globals()[name]
