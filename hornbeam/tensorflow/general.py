"""The functions of `tf` that belong to no other namespace."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import initializers
from hornbeam.core import naming, scopes
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable, outside_overlays
from hornbeam.tensorflow.functions import tensor
from hornbeam.tensorflow.host import TensorShape

__all__ = [
    "AggregationMethod", "DeviceSpec", "IndexedSlices", "TensorShape", "constant_initializer",
    "control_dependencies", "device", "get_logger", "get_static_value", "gradients", "group",
    "hessians", "init_scope", "name_scope", "newaxis", "no_op", "ones_initializer", "print",
    "random_normal_initializer", "random_uniform_initializer", "timestamp", "tuple",
    "zeros_initializer",
]  # fmt: skip

newaxis = None
_print, _tuple = print, tuple

zeros_initializer, ones_initializer = initializers.Zeros, initializers.Ones
constant_initializer = initializers.Constant
random_normal_initializer = initializers.RandomNormal
random_uniform_initializer = initializers.RandomUniform


class AggregationMethod:
    """How gradients are added; it makes no difference here."""

    ADD_N, DEFAULT, EXPERIMENTAL_ACCUMULATE_N, EXPERIMENTAL_TREE = 0, 0, 2, 1


class IndexedSlices:
    """Rows of a table and their numbers.

    Args:
        values: The rows.
        indices: Their numbers.
        dense_shape: Shape of the table.
    """

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None):
        self.values, self.indices = tensor(values), tensor(indices)
        self.dense_shape = dense_shape

    def __jax_array__(self) -> Any:
        """Return the table with zeros in the other rows, the sum where a number comes twice."""
        if self.dense_shape is None:
            raise ValueError("IndexedSlices: `dense_shape` is missing, so there is no dense form.")
        return (
            jnp.zeros(_tuple(self.dense_shape), self.values.dtype).at[self.indices].add(self.values)
        )


class DeviceSpec:
    """The name of a device."""

    def __init__(
        self, job: Any = None, replica: Any = None, task: Any = None, device_type: Any = "CPU",
        device_index: Any = 0,
    ):  # fmt: skip
        self.device_type, self.device_index = device_type, device_index

    def to_string(self) -> str:
        """Return the name."""
        return f"/device:{self.device_type}:{self.device_index}"


@contextmanager
def device(device_name: Any) -> Iterator[None]:
    """Compute on a device in a block; a device that is not there is ignored, as TensorFlow does.

    Args:
        device_name: Such as `"/GPU:0"`, `"/device:CPU:0"`, or `None`.
    """
    name = device_name.to_string() if isinstance(device_name, DeviceSpec) else device_name
    if not name:
        yield
        return
    parts = str(getattr(name, "name", name)).replace("/", ":").split(":")
    kind = next((p for p in parts if p.lower() in ("cpu", "gpu", "tpu", "cuda")), "cpu").lower()
    number = parts[-1] if parts[-1].isdigit() else "0"
    try:
        jax.devices(kind)[int(number)]
    except (RuntimeError, IndexError):
        yield
        return
    with scopes.device(f"{kind}:{number}"):
        yield


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Put the names of variables and layers made in a block under a name."""
    with naming.name_scope(str(name).strip("/").replace("/", "_") or "scope"):
        yield f"{name}/"


@contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """Run a block; operations run in the order of the program."""
    yield


@contextmanager
def init_scope() -> Iterator[None]:
    """Run a block outside of the function that is being compiled."""
    with outside_overlays():
        yield


def group(*inputs: Any, **kwargs: Any) -> None:
    """Do nothing; operations run in the order of the program."""


def no_op(name: Any = None) -> None:
    """Do nothing."""


def tuple(tensors: Any, control_inputs: Any = None, name: Any = None) -> list[Any]:
    """Return tensors as a list."""
    return list(tensors)


def timestamp(name: Any = None) -> Any:
    """Return the seconds since 1970."""
    return np.float64(time.time())


def get_logger() -> Any:
    """Return the logger named `tensorflow`."""
    return logging.getLogger("tensorflow")


def get_static_value(tensor: Any, partial: bool = False) -> Any:
    """Return the value of a tensor as an array of NumPy, `None` if it is not known."""
    if isinstance(tensor, (KerasTensor, jax.core.Tracer)):
        return None
    return np.asarray(tensor.value if isinstance(tensor, Variable) else tensor)


def print(*inputs: Any, **kwargs: Any) -> None:
    """Print tensors and texts; in compiled functions, when they run.

    Args:
        *inputs: What is printed.
        **kwargs: `output_stream` (default: `sys.stderr`), `sep`, `end`, `summarize`.
    """
    stream = kwargs.get("output_stream", sys.stderr)
    sep, end = kwargs.get("sep", " "), kwargs.get("end", "\n")
    traced = [x for x in jax.tree.leaves(inputs) if isinstance(x, jax.core.Tracer)]
    if traced:
        form = sep.join("{}" if isinstance(x, jax.Array) else str(x) for x in inputs)
        jax.debug.print(form, *[x for x in inputs if isinstance(x, jax.Array)])
        return
    if isinstance(stream, str):
        stream = sys.stdout if stream.endswith("stdout") else sys.stderr
    _print(*map(_shown, inputs), sep=sep, end=end, file=stream)


def _shown(x: Any) -> str:
    if isinstance(x, (list, _tuple)):
        return "[" + ", ".join(map(_shown, x)) + "]"
    value = x.value if isinstance(x, Variable) else x
    if isinstance(value, (jax.Array, np.ndarray)):
        return np.array2string(np.asarray(value), formatter=None)
    if hasattr(value, "is_text"):
        found = value.numpy()
        return found.decode() if isinstance(found, bytes) else str(found)
    return str(value)


def _no_graph(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        """Raise: there are no graphs of operations."""
        raise RuntimeError(
            f"tf.{name}: there are no graphs of operations here. Compute inside"
            " `with tf.GradientTape() as tape:` and call `tape.gradient`."
        )

    refuse.__name__ = name
    return refuse


gradients, hessians = _no_graph("gradients"), _no_graph("hessians")
