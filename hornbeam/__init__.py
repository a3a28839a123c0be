"""Hornbeam: deep learning with the Keras interface, on JAX."""

import importlib as _importlib
import sys as _sys

from hornbeam._collector import collector_paused as _collector_paused

with _collector_paused():
    from hornbeam import (
        activations,
        applications,
        backend,
        callbacks,
        config,
        constraints,
        data,
        datasets,
        distillation,
        distribution,
        dtype_policies,
        export,
        initializers,
        layers,
        legacy,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        preprocessing,
        quantizers,
        random,
        regularizers,
        saving,
        tree,
        utils,
        visualization,
        wrappers,
    )
    from hornbeam._version import __version__
    from hornbeam.core.compile_cache import enable_by_default
    from hornbeam.core.graph import Operation
    from hornbeam.core.naming import name_scope
    from hornbeam.core.remat import RematScope, remat
    from hornbeam.core.scopes import StatelessScope, SymbolicScope, device
    from hornbeam.core.tensor import KerasTensor
    from hornbeam.core.variable import Variable, value_and_grad
    from hornbeam.dtype_policies import DTypePolicy, FloatDTypePolicy
    from hornbeam.initializers import Initializer
    from hornbeam.layers import Input, InputSpec, Layer
    from hornbeam.losses import Loss
    from hornbeam.metrics import Metric
    from hornbeam.models import Function, Model, Sequential
    from hornbeam.objects import bytecode
    from hornbeam.optimizers import Optimizer
    from hornbeam.quantizers import Quantizer
    from hornbeam.regularizers import Regularizer

enable_by_default()
# Globals of functions that a file stores as bytecode, if the user allows them to run.
bytecode.namespace.update(keras=_sys.modules[__name__], ops=ops, layers=layers)

__all__ = [
    "DTypePolicy",
    "FloatDTypePolicy",
    "Function",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "Quantizer",
    "Regularizer",
    "RematScope",
    "Sequential",
    "StatelessScope",
    "SymbolicScope",
    "Variable",
    "activations",
    "applications",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "data",
    "datasets",
    "distillation",
    "distribution",
    "device",
    "dtype_policies",
    "export",
    "initializers",
    "install_as_keras",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "preprocessing",
    "quantizers",
    "random",
    "regularizers",
    "remat",
    "saving",
    "tree",
    "uninstall_as_keras",
    "utils",
    "value_and_grad",
    "version",
    "visualization",
    "wrappers",
]


def version() -> str:
    """Return the version of Hornbeam.

    Example:
        >>> version() == __version__
        True
    """
    return __version__


def load_ipython_extension(ipython: object) -> None:
    """Make `import keras` mean Hornbeam in a notebook: `%load_ext hornbeam`.

    Args:
        ipython: The shell, which IPython passes.
    """
    _importlib.import_module("hornbeam.keras").install_as_keras()


def unload_ipython_extension(ipython: object) -> None:
    """Undo `%load_ext hornbeam`: `%unload_ext hornbeam`.

    Args:
        ipython: The shell, which IPython passes.
    """
    _importlib.import_module("hornbeam.keras").uninstall_as_keras()


def __getattr__(name: str) -> object:
    # `hornbeam.keras` is imported only if it is used.
    if name in ("install_as_keras", "uninstall_as_keras", "keras"):
        face = _importlib.import_module("hornbeam.keras")
        return face if name == "keras" else getattr(face, name)
    raise AttributeError(f"module 'hornbeam' has no attribute {name!r}")
