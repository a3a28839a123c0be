"""`tf.Tensor`, and the methods of TensorFlow's tensors that arrays and symbolic tensors get.

They are set on JAX's classes while the stand-in `tensorflow` is in use, see `add_methods`.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.convert import convert
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.tensorflow.host import HostTensor, TensorShape
from hornbeam.tensorflow.string_tensor import StringTensor

__all__ = ["EagerTensor", "Tensor", "add_methods", "remove_methods"]


class _Tensors(type):
    """The type of `Tensor`, which takes arrays of all kinds for instances."""

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, (jax.Array, KerasTensor, StringTensor, HostTensor))


class Tensor(metaclass=_Tensors):
    """What `isinstance(x, tf.Tensor)` is true for: arrays, traced arrays, symbolic tensors, texts.

    Example:
        >>> isinstance(jnp.ones(2), Tensor), isinstance(np.ones(2), Tensor)
        (True, False)
    """


EagerTensor = Tensor


def _numpy(self: Any) -> Any:
    """Return the values as an array or a number of NumPy."""
    if isinstance(self, jax.core.Tracer):
        raise AttributeError(
            "numpy(): this tensor has no values while a function is compiled. Return it from the"
            " function, print it by `tf.print`, or call `tf.config.run_functions_eagerly(True)`."
        )
    array = np.array(self)
    return array if array.ndim else array[()]


def _get_shape(self: Any) -> TensorShape:
    """Return the sizes of the axes."""
    return TensorShape(self.shape)


def _set_shape(self: Any, shape: Any) -> None:
    """Check the shape against one with unknown sizes."""
    if shape is not None and not TensorShape(self.shape).is_compatible_with(TensorShape(shape)):
        raise ValueError(f"set_shape: a tensor of shape {tuple(self.shape)} is not {tuple(shape)}.")


class _Reference:
    """A tensor as the key of a dictionary."""

    def __init__(self, tensor: Any):
        self._tensor = tensor

    def deref(self) -> Any:
        """Return the tensor."""
        return self._tensor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reference) and self._tensor is other._tensor

    def __hash__(self) -> int:
        return id(self._tensor)


def _ref(self: Any) -> _Reference:
    """Return the tensor as the key of a dictionary."""
    return _Reference(self)


def _same(self: Any) -> Any:
    """Return the tensor itself; devices are chosen by JAX."""
    return self


def _read_value(self: Any) -> Any:
    """Return the value as a tensor of its own."""
    return jnp.array(self.value, copy=True)


_METHODS = {
    "numpy": _numpy, "get_shape": _get_shape, "set_shape": _set_shape, "ref": _ref,
    "experimental_ref": _ref, "gpu": _same, "cpu": _same,
}  # fmt: skip
_OF_VARIABLES = {"get_shape": _get_shape, "ref": _ref, "read_value": _read_value}

# Code of these packages gets shapes as plain tuples.
_INNER = {"jax", "jaxlib", "numpy", "hornbeam", "hornbeam_cpu"}


def _shape_with_methods(original: Any) -> property:
    """Return a property `shape` whose value has TensorFlow's methods where users read it."""

    def shape(self: Any) -> Any:
        sizes = original.__get__(self, type(self))
        caller = sys._getframe(1).f_globals.get("__name__", "").partition(".")[0]
        return sizes if caller in _INNER else TensorShape(sizes)

    return property(shape)


class _Shape:
    """`shape` of a class whose instances keep it in their dictionary."""

    def __get__(self, x: Any, cls: Any) -> Any:
        if x is None:
            return self
        caller = sys._getframe(1).f_globals.get("__name__", "").partition(".")[0]
        sizes = x.__dict__["shape"]
        return sizes if caller in _INNER else TensorShape(sizes)

    def __set__(self, x: Any, sizes: Any) -> None:
        x.__dict__["shape"] = sizes


_BINARY = "add sub mul truediv floordiv mod pow matmul".split()
_OPERATORS = [f"__{side}{name}__" for name in _BINARY for side in ("", "r")] + [
    f"__{name}__" for name in "lt le gt ge eq ne and or xor".split()
]


def _with_lists(original: Any) -> Any:
    """Return an operator that takes lists of numbers too."""

    @functools.wraps(original)
    def operator(self: Any, other: Any) -> Any:
        if type(other) in (list, tuple):
            with contextlib.suppress(TypeError, ValueError):
                other = convert(other)
        return original(self, other)

    return operator


class _HiddenFromNumpy:
    """A method that NumPy's functions do not find, so that they return NumPy's arrays.

    `np.squeeze(x)` calls `x.squeeze()` if there is one; TensorFlow's tensors have none.
    """

    def __init__(self, method: Any):
        self._method = method

    def __get__(self, x: Any, cls: Any) -> Any:
        if sys._getframe(1).f_globals.get("__name__", "").startswith("numpy"):
            raise AttributeError("NumPy converts the tensor.")
        return self._method if x is None else self._method.__get__(x, cls)


_HIDDEN = """all any argmax argmin argsort clip cumprod cumsum diagonal max mean min nonzero prod
ptp ravel repeat reshape round searchsorted sort squeeze std sum swapaxes take trace transpose
var"""

_set: list[tuple[type, str, Any]] = []
_MISSING = object()


def _put(cls: type, name: str, value: Any) -> None:
    _set.append((cls, name, cls.__dict__.get(name, _MISSING)))
    setattr(cls, name, value)


def add_methods() -> None:
    """Give JAX's arrays, traced arrays, symbolic tensors and variables TensorFlow's methods."""
    if _set:
        return
    array = type(jnp.zeros(()))
    for cls in (array, jax.core.Tracer):
        for name, method in _METHODS.items():
            _put(cls, name, method)
        _put(cls, "shape", _shape_with_methods(cls.__dict__["shape"]))
        for name in _OPERATORS:
            _put(cls, name, _with_lists(getattr(cls, name)))
    for name in _HIDDEN.split():
        if hasattr(array, name):
            _put(array, name, _HiddenFromNumpy(getattr(array, name)))
    for name in ("get_shape", "set_shape", "ref"):
        _put(KerasTensor, name, _METHODS[name])
    _put(KerasTensor, "shape", _Shape())
    for name, method in _OF_VARIABLES.items():
        _put(Variable, name, method)
    _put(Variable, "shape", _shape_with_methods(Variable.__dict__["shape"]))


def remove_methods() -> None:
    """Undo `add_methods`."""
    for cls, name, value in reversed(_set):
        if value is _MISSING:
            delattr(cls, name)
        else:
            setattr(cls, name, value)
    _set.clear()
