"""Between a pipeline, whose elements are plain arrays, and functions of users, who see tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.variable import Variable
from hornbeam.data.elements import map_leaves
from hornbeam.data.stages import After, Size, Stage, Turn
from hornbeam.tensorflow.host import HostTensor, as_host, host_array
from hornbeam.tensorflow.string_tensor import StringTensor, as_strings, holds_text

__all__ = ["Rewritten", "as_tensors", "eager", "on_tensors", "plain"]


def _tensor(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return StringTensor(x) if x.dtype.kind in "OSU" else x.view(HostTensor)
    if isinstance(x, (str, bytes)):
        return StringTensor(x)
    return as_host(x) if isinstance(x, (np.generic, int, float)) else x


def as_tensors(element: Any) -> Any:
    """Return an element of a pipeline as the tensors that a user's function takes.

    Example:
        >>> as_tensors((np.float32(1), b"a"))[1].dtype
        'string'
    """
    return map_leaves(_tensor, element)


_LOSSLESS = ("float32", "float16", "bfloat16", "int32", "uint8", "bool")


def _eager(x: Any) -> Any:
    found = _tensor(x)
    if isinstance(found, HostTensor) and found.dtype.name in _LOSSLESS:
        return jnp.asarray(found.view(np.ndarray))
    return found


def eager(element: Any) -> Any:
    """Return an element as the tensors that a user's loop takes: on the device where JAX has them.

    Numbers of 64 bits stay on the host, because the device has none.
    """
    return map_leaves(_eager, element)


def _plain(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        if x.dtype.kind in "SU":
            return as_strings(x).array
        return x.view(np.ndarray) if isinstance(x, HostTensor) else x
    if isinstance(x, StringTensor):
        return x.array
    if holds_text(x):
        return as_strings(x).array
    if isinstance(x, (jax.Array, Variable, np.generic, int, float)):
        return host_array(x)
    if isinstance(x, list):
        if any(isinstance(part, (jax.Array, np.ndarray)) for part in x):
            return np.stack([host_array(part) for part in x])
        return host_array(x)
    return x


def plain(element: Any) -> Any:
    """Return what a user's function returned as an element of a pipeline.

    Example:
        >>> plain((1, "a"))
        (array(1, dtype=int32), array(b'a', dtype=object))
    """
    return map_leaves(_plain, element)


def on_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of plain elements that calls a user's function of tensors."""

    @functools.wraps(function, updated=())
    def call(*parts: Any) -> Any:
        return plain(function(*map(as_tensors, parts)))

    return call


class Rewritten(After):
    """The elements that a function makes of an iterator over the elements.

    Args:
        before: The stage before.
        function: Function of an iterator and a turn that yields elements.
        size: Number of elements.
    """

    def __init__(
        self, before: Stage, function: Callable[[Iterator[Any], Turn], Iterator[Any]],
        size: Size = None,
    ):  # fmt: skip
        super().__init__(before)
        self._function, self.size = function, size

    def run(self, turn: Turn, start: int = 0) -> Iterator[Any]:
        elements = self._function(self.before.run(turn), turn)
        for _ in range(start):
            if next(elements, self) is self:
                break
        return elements
