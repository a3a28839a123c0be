"""Base class of layers that process text, on the host with NumPy."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from hornbeam.core.tensor import KerasTensor
from hornbeam.core.variable import Variable
from hornbeam.data.adapters import adapter_of, plain
from hornbeam.layers.preprocessing.base import PreprocessingLayer
from hornbeam.layers.preprocessing.native_text import are_texts, from_arrow
from hornbeam.typing import Data

__all__ = ["TextLayer", "as_host_array", "decoded", "is_text"]


def is_text(x: Any) -> bool:
    """Return whether an array, a symbolic tensor or a `StringTensor` holds text."""
    if isinstance(x, KerasTensor):
        return x.dtype == "string"
    return x.dtype.kind in "USOT" if isinstance(x, np.ndarray) else hasattr(x, "is_text")


def as_host_array(x: Any, label: str) -> np.ndarray:
    """Convert text or numbers to a NumPy array.

    Args:
        x: A text, nested lists of texts, an array of text or numbers, a column of a table, or a
            tensor of another library with a method `numpy`.
        label: Name of the layer, for error messages.

    Raises:
        ValueError: If an array of text has an item that is not text, or `x` is a tracer.
    """
    if isinstance(x, jax.core.Tracer):
        raise ValueError(
            f"{label} runs on the host, so it cannot be part of a compiled function. Call it on"
            " the data, before the model."
        )
    if isinstance(x, Variable):
        x = x.value
    if not isinstance(x, np.ndarray):
        x = _arrow_texts(x)
        if hasattr(x, "to_numpy"):
            x = x.to_numpy()
        elif hasattr(x, "numpy"):
            x = x.numpy()
        try:
            # A fixed-length array of text would use the memory of the longest text for each item,
            # and remove trailing null characters.
            x = np.array(x, object) if holds_texts(x) else np.asarray(x)
        except ValueError:
            raise ValueError(_UNEVEN.format(label)) from None
    if (x.dtype.kind == "O" and not are_texts(x)) or hasattr(x.dtype, "na_object"):
        _check_items(x.reshape(-1).tolist(), label)
    return x


def _arrow_texts(x: Any) -> Any:
    """Return the texts of an array of PyArrow as they are in memory; others as `plain` does."""
    adapter = adapter_of(x)
    texts = None
    if adapter is not None and adapter.package == "pyarrow" and adapter.kind == "array":
        texts = from_arrow(x)
    return plain(x) if texts is None else texts


_UNEVEN = (
    "{}: the lists in the input must have the same length. Join the texts of each list, or pad the"
    " lists to one length."
)


def holds_texts(x: Any) -> bool:
    """Return whether `x` is a text, or nested lists whose first item is a text."""
    while isinstance(x, (list, tuple)) and x:
        x = x[0]
    return isinstance(x, (str, bytes))


def _check_items(items: list[Any], label: str) -> None:
    for position, item in enumerate(items):
        if isinstance(item, (list, tuple)):
            raise ValueError(_UNEVEN.format(label))
        if not isinstance(item, (str, bytes)):
            raise ValueError(
                f"{label}: the input must hold text, received {item!r:.80} at position {position}"
                f" ({type(item).__name__}). Fill missing values, for example with an empty string."
            )


def decoded(texts: np.ndarray, encoding: str, label: str) -> list[str]:
    """Return texts as a list of `str`.

    Args:
        texts: Texts of any shape.
        encoding: Encoding of bytes.
        label: The layer, for the error.

    Raises:
        ValueError: If bytes are no text in this encoding.
    """
    items = texts.reshape(-1).tolist()
    try:
        return [t.decode(encoding) if isinstance(t, bytes) else t for t in items]
    except UnicodeDecodeError as error:
        place = next(i for i, t in enumerate(items) if t == error.object)
        raise ValueError(
            f"{label}: the bytes at position {place}, {error.object!r:.60}, are no text in"
            f" {encoding}: {error.reason}. Pass the layer their `encoding`, or decode them first."
        ) from error


class TextLayer(PreprocessingLayer):
    """Base class of layers that process text. `call` runs on the host and gets NumPy arrays.

    A subclass implements `call` and `compute_output_spec`. In a compiled function, `call` gets
    numbers as JAX tracers. Compiled functions cannot contain text.

    Attributes:
        needs_text: Whether the input must be text instead of numbers.
    """

    needs_text = False

    @property
    def needs_host(self) -> bool:
        """Whether numbers are also processed on the host, and not in compiled functions."""
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

    def _clear_losses(self) -> None:
        """Do nothing: the layers have no losses, and to look for some takes time in each call."""

    def _texts(self, inputs: Any) -> np.ndarray:
        """Convert the inputs of `call` to a NumPy array, unless `__call__` has already done so."""
        if isinstance(inputs, np.ndarray):
            return inputs
        return as_host_array(inputs, self._label())

    def _convert_inputs(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        return (
            tuple(self._host_inputs(a) for a in args),
            {k: self._host_inputs(v) if k == "inputs" else v for k, v in kwargs.items()},
        )

    def _host_inputs(self, x: Any) -> Any:
        """Convert an input to a NumPy array, unless it is a symbolic tensor or a tracer."""
        if isinstance(x, (KerasTensor, jax.core.Tracer)):
            return x
        return as_host_array(x, self._label())
