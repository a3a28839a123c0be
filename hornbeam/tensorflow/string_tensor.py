"""Tensors of text: bytes on the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from hornbeam.tensorflow.host import HostTensor, TensorShape, as_host

__all__ = ["StringTensor", "as_strings", "holds_text", "text_of"]


class StringTensor:
    """Texts as bytes, in the shape of a tensor.

    Args:
        values: A text, nested lists or an array of texts; `str` is encoded as UTF-8.

    Example:
        >>> words = StringTensor(["a", "b"])
        >>> words + "!"
        <tf.Tensor: shape=(2,), dtype=string, numpy=array([b'a!', b'b!'], dtype=object)>
        >>> words[0].numpy()
        b'a'
    """

    is_text = True
    dtype = "string"

    def __init__(self, values: Any):
        array = np.empty((), object)
        if isinstance(values, (str, bytes)):
            array[()] = values
        else:
            array = np.array(values, object)
        flat = [_encoded(value) for value in array.reshape(-1).tolist()]
        self.array = np.empty(array.shape, object)
        self.array.reshape(-1)[:] = flat

    @property
    def shape(self) -> TensorShape:
        """The sizes of the axes."""
        return TensorShape(self.array.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """Number of texts."""
        return self.array.size

    def get_shape(self) -> TensorShape:
        """Return the sizes of the axes."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Check the shape against one with unknown sizes."""
        if not self.shape.is_compatible_with(TensorShape(shape)):
            raise ValueError(f"set_shape: a tensor of shape {self.shape} is not {tuple(shape)}.")

    def numpy(self) -> Any:
        """Return the bytes: of one text, or an array of objects."""
        return self.array[()] if not self.ndim else self.array

    def map(self, function: Callable[[bytes], bytes]) -> StringTensor:
        """Return a function of each text."""
        return StringTensor(self.results(function))

    def results(self, function: Callable[[bytes], Any], dtype: Any = object) -> np.ndarray:
        """Return a function's results for each text, as an array of this shape."""
        found = np.empty(self.size, dtype)
        found[:] = [function(text) for text in self.array.reshape(-1).tolist()]
        return found.reshape(self.array.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.array if dtype in (None, object) else self.array.astype(dtype)

    def __getitem__(self, key: Any) -> StringTensor:
        return StringTensor(self.array[key])

    def __iter__(self) -> Iterator[StringTensor]:
        if not self.ndim:
            raise TypeError("A tensor without axes cannot be iterated over.")
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        return len(self.array)

    def __eq__(self, other: object) -> Any:
        return self._compare(other, np.equal)

    def __ne__(self, other: object) -> Any:
        return self._compare(other, np.not_equal)

    __hash__ = object.__hash__

    def _compare(self, other: Any, function: Any) -> Any:
        if not holds_text(other):
            return NotImplemented
        found = function(self.array, as_strings(other).array)
        return np.asarray(found, bool).view(HostTensor)

    def __add__(self, other: Any) -> StringTensor:
        return StringTensor(np.add(self.array, as_strings(other).array))

    def __radd__(self, other: Any) -> StringTensor:
        return StringTensor(np.add(as_strings(other).array, self.array))

    def __bool__(self) -> bool:
        return bool(self.numpy()) if not self.ndim else bool(self.array.all())

    def __repr__(self) -> str:
        return f"<tf.Tensor: shape={self.shape}, dtype=string, numpy={self.numpy()!r}>"

    def __str__(self) -> str:
        return f"tf.Tensor({self.numpy()!s}, shape={self.shape}, dtype=string)"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def _encoded(value: Any) -> bytes:
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, StringTensor) and not value.ndim:
        return value.numpy()
    raise TypeError(f"A tensor of text holds texts, received {value!r:.80}.")


def holds_text(x: Any) -> bool:
    """Return whether something is a text, or an array or nested lists of texts.

    Example:
        >>> holds_text([["a"]]), holds_text(np.array([1]))
        (True, False)
    """
    while isinstance(x, (list, tuple)) and len(x):
        x = x[0]
    if isinstance(x, np.ndarray):
        return x.dtype.kind in "USOT"
    return isinstance(x, (str, bytes, StringTensor))


def as_strings(x: Any, name: str = "input") -> StringTensor:
    """Return texts as a tensor.

    Args:
        x: A text, nested lists or an array of texts, or a tensor of texts.
        name: Name of the argument, for the error.

    Raises:
        TypeError: If it holds something else.

    Example:
        >>> as_strings("a").shape
        TensorShape([])
    """
    if isinstance(x, StringTensor):
        return x
    if isinstance(x, (list, tuple)) and any(isinstance(part, StringTensor) for part in x):
        return StringTensor(np.stack([as_strings(part).array for part in x]))
    if not holds_text(x) and np.size(np.asarray(x)):
        raise TypeError(f"`{name}` must hold texts, received {as_host(x)!r:.100}.")
    return StringTensor(x)


def text_of(x: Any) -> str:
    """Return one text, such as a path, as `str`.

    Example:
        >>> text_of(StringTensor("a")), text_of(b"b")
        ('a', 'b')
    """
    return as_strings(x).numpy().decode() if not isinstance(x, str) else x
