"""Reductions and comparisons of tensors on the host: numbers by NumPy, texts, ragged tensors.

Other tensors go to the functions of `math.py`, which run on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hornbeam.tensorflow import math
from hornbeam.tensorflow.functions import static
from hornbeam.tensorflow.host import HostTensor, as_host
from hornbeam.tensorflow.ragged import RaggedTensor
from hornbeam.tensorflow.string_tensor import as_strings, holds_text

__all__ = [
    "argmax", "argmin", "equal", "not_equal", "reduce_all", "reduce_any", "reduce_max",
    "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum",
]  # fmt: skip


def _reduction(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a reduction of `math.py` that also takes tensors on the host and ragged ones."""
    on_device = getattr(math, name)

    def reduce(
        input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
    ) -> Any:
        axes = static(axis)
        if isinstance(input_tensor, RaggedTensor):
            return _of_rows(function, input_tensor, axes)
        numbers = isinstance(input_tensor, HostTensor) and (
            function is not np.mean or input_tensor.dtype.kind == "f"
        )
        if not numbers:
            return on_device(input_tensor, axis, keepdims, name)
        x = input_tensor.view(np.ndarray)
        found = function(x, axis=axes, keepdims=bool(keepdims))
        return as_host(np.asarray(found, x.dtype))

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = on_device.__doc__
    return reduce


_OF_NOTHING = {np.sum: 0, np.prod: 1, np.any: False, np.all: True, np.mean: np.nan}


def _of_rows(function: Callable[..., Any], rows: RaggedTensor, axis: Any) -> Any:
    """Return a reduction of ragged rows: of all values, or of the innermost rows."""
    if axis is None:
        return as_host(function(np.asarray(rows.flat_values)))
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    if axis not in (-1, rows.ndim - 1):
        raise ValueError(
            "A reduction of a ragged tensor is of its last axis, or of all values; received `axis`"
            f" {axis}. Call `to_tensor` first."
        )
    if isinstance(rows.values, RaggedTensor):
        return rows.with_values(_of_rows(function, rows.values, -1))
    kind = rows.dtype
    empty = _OF_NOTHING.get(function, 0)  # type: ignore[call-overload]
    found = [function(np.asarray(row), axis=-1) if row.size else empty for row in rows]
    return as_host(np.array(found, bool if function in (np.any, np.all) else kind))


reduce_sum = _reduction("reduce_sum", np.sum)
reduce_mean = _reduction("reduce_mean", np.mean)
reduce_max = _reduction("reduce_max", np.max)
reduce_min = _reduction("reduce_min", np.min)
reduce_prod = _reduction("reduce_prod", np.prod)
reduce_any = _reduction("reduce_any", np.any)
reduce_all = _reduction("reduce_all", np.all)


def equal(x: Any, y: Any, name: str | None = None) -> Any:
    """Return whether numbers or texts are equal.

    Example:
        >>> equal(["a", "b"], "b").tolist()
        [False, True]
    """
    if holds_text(x) or holds_text(y):
        return as_strings(x) == as_strings(y)
    if isinstance(x, (HostTensor, RaggedTensor)):
        return x == y
    return math.equal(x, y, name)


def not_equal(x: Any, y: Any, name: str | None = None) -> Any:
    """Return whether numbers or texts differ."""
    if holds_text(x) or holds_text(y):
        return as_strings(x) != as_strings(y)
    if isinstance(x, (HostTensor, RaggedTensor)):
        return x != y
    return math.not_equal(x, y, name)


def _place(function: Callable[..., Any], input: Any, axis: Any, output_type: Any) -> Any:
    x = input.view(np.ndarray)
    return as_host(function(x, axis=int(static(axis or 0))), output_type)


def argmax(input: Any, axis: Any = None, output_type: Any = "int64", name: Any = None) -> Any:
    """Return the place of the largest number along an axis, by default the first."""
    if isinstance(input, HostTensor):
        return _place(np.argmax, input, axis, output_type)
    return math.argmax(input, axis, output_type, name)


def argmin(input: Any, axis: Any = None, output_type: Any = "int64", name: Any = None) -> Any:
    """Return the place of the smallest number along an axis, by default the first."""
    if isinstance(input, HostTensor):
        return _place(np.argmin, input, axis, output_type)
    return math.argmin(input, axis, output_type, name)
