"""The base of layers that take text, which they process on the host with NumPy."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.data.adapters import plain
from hornbeam.layers.preprocessing.base import PreprocessingLayer
from hornbeam.typing import Data

__all__ = ["TextLayer", "as_host_array", "is_text"]


def is_text(x: Any) -> bool:
    """Return whether an array, a symbolic tensor or a `StringTensor` holds text."""
    if isinstance(x, KerasTensor):
        return x.dtype == "string"
    return x.dtype.kind in "USOT" if isinstance(x, np.ndarray) else hasattr(x, "is_text")


def as_host_array(x: Any, label: str) -> np.ndarray:
    """Return texts or numbers as a NumPy array.

    Args:
        x: A text, nested lists of texts, an array of text or numbers, a column of a table, or a
            tensor of another library that has the method `numpy`.
        label: The layer, for the error.

    Raises:
        ValueError: If there is something other than text among texts, or `x` is a tracer.
    """
    if isinstance(x, jax.core.Tracer):
        raise ValueError(
            f"{label}: runs on the host, so it cannot be part of a compiled function. Call it on"
            " the data, before the model."
        )
    if isinstance(x, Variable):
        x = x.value
    if not isinstance(x, np.ndarray):
        x = plain(x)
        if hasattr(x, "to_numpy"):
            x = x.to_numpy()
        elif hasattr(x, "numpy"):
            x = x.numpy()
        try:
            # An array of texts of fixed length would take the memory of the longest for each, and
            # cut zeros at the end.
            x = np.array(x, object) if holds_texts(x) else np.asarray(x)
        except ValueError:
            raise ValueError(_UNEVEN.format(label)) from None
    if x.dtype.kind in "OT":
        _check_items(x.reshape(-1).tolist(), label)
    return x


_UNEVEN = (
    "{}: the lists of the input have different lengths. Join each to one text, or pad them to one"
    " length."
)


def holds_texts(x: Any) -> bool:
    """Return whether `x` is a text, or lists whose first item is one."""
    while isinstance(x, (list, tuple)) and x:
        x = x[0]
    return isinstance(x, (str, bytes))


def _check_items(items: list[Any], label: str) -> None:
    if {*map(type, items)} <= {str, bytes, np.str_, np.bytes_}:
        return
    for position, item in enumerate(items):
        if isinstance(item, (list, tuple)):
            raise ValueError(_UNEVEN.format(label))
        if not isinstance(item, (str, bytes)):
            raise ValueError(
                f"{label}: the input must hold text, received {item!r:.80} at position {position}"
                f" ({type(item).__name__}). Fill missing values, for example with an empty text."
            )


class TextLayer(PreprocessingLayer):
    """Base of layers that take text. `call` runs on the host and gets NumPy arrays.

    A subclass implements `call` and `compute_output_spec`. Numbers in a compiled function arrive in
    `call` as JAX tracers; text cannot be there.

    Attributes:
        needs_text: Whether the input is text, never numbers.
    """

    needs_text = False

    @property
    def needs_host(self) -> bool:
        """Whether numbers are processed on the host too, never in compiled functions."""
        return False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        rows: Any = args[0] if args else None
        if hasattr(rows, "with_flat_values") and getattr(self, "output_mode", "") == "int":
            # A ragged tensor: each value becomes a number, the rows stay as they are.
            return rows.with_flat_values(self(rows.flat_values, *args[1:], **kwargs))
        return super().__call__(*args, **kwargs)

    def adapt(self, data: Data, steps: int | None = None) -> None:
        data = getattr(data, "flat_values", data)
        if holds_texts(data):
            data = as_host_array(data, self._label())
        super().adapt(data, steps)

    def _texts(self, inputs: Any) -> np.ndarray:
        """Return the inputs of `call` as NumPy arrays. `__call__` has done so before."""
        if isinstance(inputs, np.ndarray):
            return inputs
        return as_host_array(inputs, self._label())

    def _convert_inputs(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return (
            tuple(self._host_inputs(a) for a in args),
            {k: self._host_inputs(v) if k == "inputs" else v for k, v in kwargs.items()},
        )

    def _host_inputs(self, x: Any) -> Any:
        """Return one input: symbolic tensors and tracers as they are, all else as NumPy arrays."""
        if isinstance(x, (KerasTensor, jax.core.Tracer)):
            return x
        return as_host_array(x, self._label())
