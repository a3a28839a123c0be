"""Reader of pickled data that runs no code from the file.

Python's `pickle.load` calls any function that a file names. This reader interprets the opcodes of a
pickle itself, and supports only opcodes that build data: numbers, strings, bytes, lists, tuples,
dictionaries with strings or bytes as keys, and NumPy arrays. It creates no other objects, and
imports and calls no functions from the file. Its arrays take at most twice as many bytes as the
file. It also reads pickles of Python 2, whose strings become bytes.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["PickleError", "read_pickle"]

_CORE = ("numpy.core", "numpy._core")  # before NumPy 2, and since NumPy 2
_NAMES = {
    **{(f"{core}.multiarray", "_reconstruct"): "array" for core in _CORE},
    **{(f"{core}.numeric", "_frombuffer"): "buffer" for core in _CORE},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("__builtin__", "bytes"): "bytes",
    ("builtins", "bytes"): "bytes",
}
"""The functions and types that a pickle may name, and the names used for them below."""

_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE SHORT_BINUNICODE BINUNICODE"
    " BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_OLD_STRINGS = frozenset(["STRING", "BINSTRING", "SHORT_BINSTRING"])
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PLAIN = frozenset([int, float, bool, str, bytes])
_NUMBERS = re.compile(rb"(?:K.|M..|J....)++", re.DOTALL)
"""A run of instructions that push integers of 1, 2 and 4 bytes."""
_DTYPE = re.compile(r"[biufc]\d{1,2}|[SUV]\d{1,6}|O8?")


class PickleError(ValueError):
    """The pickle is damaged, or holds something other than plain data."""


class _Mark:
    """Marker on the stack before the items of a list, tuple or dictionary."""


class _Step:
    """Function or type of `_NAMES` that the pickle may call."""

    def __init__(self, name: str):
        self.name = name


class _DType:
    """NumPy dtype. It is incomplete until `set_state` is called."""

    def __init__(self, text: Any):
        if not isinstance(text, (str, bytes)):
            raise PickleError("a dtype without a name")
        self.text = text if isinstance(text, str) else text.decode("latin-1")
        if not _DTYPE.fullmatch(self.text):
            raise PickleError(f"the dtype {self.text!r:.40}")
        self.order: Any = "="

    def set_state(self, state: Any) -> None:
        if (
            not isinstance(state, tuple)
            or len(state) < 5
            or any(part is not None for part in state[2:5])
        ):
            raise PickleError("a structured dtype")
        order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise PickleError(f"the byte order {order!r:.40}")
        self.order = order

    @property
    def is_object(self) -> bool:
        return self.text.startswith("O")

    def dtype(self) -> np.dtype:
        try:
            return np.dtype(self.text).newbyteorder(self.order)
        except TypeError:
            raise PickleError(f"the dtype {self.text!r}") from None


class _Array:
    """NumPy array. It has no values until `set_state` or `fill` is called."""

    value: np.ndarray | None = None

    def __init__(self, reader: _Reader):
        self._reader = reader

    def set_state(self, state: Any) -> None:
        if self.value is not None or not isinstance(state, tuple) or len(state) != 5:
            raise PickleError("an array in an unknown format")
        _, shape, dtype, is_fortran, data = state
        self.fill(shape, dtype, bool(is_fortran), data)

    def fill(self, shape: Any, dtype: Any, is_fortran: bool, data: Any) -> None:
        self.value = _array(shape, dtype, is_fortran, data)
        self._reader.pay(self.value.nbytes)


class _Parts(tuple):
    """Tuple that contains unfinished objects, like arguments or a state. It is not data."""


def _array(shape: Any, dtype: Any, is_fortran: bool, data: Any) -> np.ndarray:
    """Return an array of stored values. Their number must match the shape."""
    if (
        not isinstance(shape, tuple)
        or len(shape) > 32
        or not all(type(n) is int and n >= 0 for n in shape)
    ):
        raise PickleError(f"an array of shape {shape!r:.60}")
    if not isinstance(dtype, _DType):
        raise PickleError("an array without a dtype")
    order: Any = "F" if is_fortran else "C"
    count = math.prod(shape)
    if dtype.is_object:
        if not isinstance(data, list) or len(data) != count:
            raise PickleError(f"an array of shape {shape} whose values are missing")
        values = np.empty(count, object)
        for index, item in enumerate(data):
            values[index] = item
        return values.reshape(shape, order=order)
    kind = dtype.dtype()
    if not isinstance(data, (bytes, bytearray)) or len(data) != count * kind.itemsize:
        raise PickleError(f"an array of shape {shape} and dtype {kind} whose values are missing")
    if not count or not kind.itemsize:
        return np.zeros(shape, kind)
    return np.frombuffer(data, kind, count).reshape(shape, order=order).copy(order="K")


def _value(item: Any) -> Any:
    """Return the finished value of an item. Raise an error if the item is not data."""
    if isinstance(item, _Array):
        if item.value is None:
            raise PickleError("an array without values")
        return item.value
    if isinstance(item, (_Parts, _Step, _DType, _Mark)):
        raise PickleError("something other than data")
    return item


class _Reader:
    """Interpreter of a pickle's opcodes, with a stack and a memory.

    Args:
        size: The pickle's size in bytes. All arrays together may take at most twice as many bytes,
            because a few bytes of a pickle can refer to the same values many times.
    """

    def __init__(self, size: int) -> None:
        self._payable = 2 * size
        self.stack: list[Any] = []
        self.marks: list[int] = []  # positions of the marks on the stack
        self.memory: dict[int, Any] = {}

    def pay(self, nbytes: int) -> None:
        self._payable -= nbytes
        if self._payable < 0:
            raise PickleError("arrays that are larger than the file")

    def pop(self) -> Any:
        if not self.stack or isinstance(self.stack[-1], _Mark):
            raise PickleError("an instruction without its arguments")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise PickleError("an instruction without its arguments")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        """Remove the last mark and the items after it from the stack, and return the items."""
        if not self.marks:
            raise PickleError("an instruction without its arguments")
        index = self.marks.pop()
        items = self.stack[index + 1 :]
        del self.stack[index:]
        return items

    def mark(self) -> None:
        self.marks.append(len(self.stack))
        self.stack.append(_Mark())

    def make_tuple(self, items: list[Any]) -> tuple[Any, ...]:
        items = [
            item.value if isinstance(item, _Array) and item.value is not None else item
            for item in items
        ]
        unfinished = any(isinstance(item, (_Parts, _Step, _DType, _Array)) for item in items)
        return _Parts(items) if unfinished else tuple(items)

    def extend(self, items: list[Any]) -> None:
        if not _PLAIN.issuperset(map(type, items)):
            items = list(map(_value, items))
        self.top(list).extend(items)

    def update(self, items: list[Any]) -> None:
        found = self.top(dict)
        if len(items) % 2:
            raise PickleError("a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # An attacker could choose keys of other types with equal hashes, which would make the
            # dictionary slow.
            if not isinstance(key, (str, bytes)):
                raise PickleError(f"the key {key!r:.40}; expected strings or bytes")
            found[key] = _value(value)

    def name(self, module: Any, name: Any) -> _Step:
        found = (
            _NAMES.get((module, name))
            if isinstance(module, str) and isinstance(name, str)
            else None
        )
        if found is None:
            raise PickleError(f"'{module!s:.60}.{name!s:.60}', which is not data")
        return _Step(found)

    def call(self, step: Any, arguments: Any) -> Any:
        """Return the result of a known function without calling the function."""
        if not isinstance(step, _Step) or not isinstance(arguments, tuple):
            raise PickleError("a call")
        kinds = [type(a) for a in arguments]
        if step.name == "array" and kinds[:1] == [_Step] and arguments[0].name == "ndarray":
            return _Array(self)
        if step.name == "dtype" and kinds:
            return _DType(arguments[0])
        if step.name == "encode" and kinds == [str, str] and arguments[1] == "latin1":
            self.pay(len(arguments[0]))
            return arguments[0].encode("latin-1")
        if step.name == "bytes" and not kinds:
            return b""
        if step.name == "buffer" and len(kinds) == 4:
            data, dtype, shape, order = arguments
            found = _Array(self)
            found.fill(shape, dtype, order == "F", data)
            return found
        raise PickleError(f"a call of {step.name}")

    def run(self, name: str, argument: Any) -> None:
        """Run one opcode.

        Raises:
            PickleError: If the opcode is unknown, or builds something other than data.
        """
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _OLD_STRINGS:
            stack.append(argument.encode("latin-1"))
        elif name in _TUPLES:
            stack.append(self.make_tuple([self.pop() for _ in range(_TUPLES[name])][::-1]))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            value = self.pop()
            stack.append(value)
            self.memory[len(self.memory) if name == "MEMOIZE" else argument] = value
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            if argument not in self.memory:
                raise PickleError("a reference to a missing object")
            stack.append(self.memory[argument])
        else:
            step = _INSTRUCTIONS.get(name)
            if step is None:
                raise PickleError(f"the instruction {name}, which does not build data")
            step(self, argument)


def _integers(instructions: bytes) -> list[int]:
    """Return the integers that instructions push. The instructions must fully match `_NUMBERS`.

    They are decoded with `pickle.loads`, which is many times faster than this module. That is safe,
    because these instructions can only push integers.
    """
    return pickle.loads(b"](" + instructions + b"e.")  # type: ignore[no-any-return]


def _pop(reader: _Reader, _: Any) -> None:
    if not reader.stack:
        raise PickleError("an instruction without its arguments")
    if isinstance(reader.stack.pop(), _Mark):
        reader.marks.pop()


def _dict(reader: _Reader, _: Any) -> None:
    items = reader.since_mark()
    reader.stack.append({})
    reader.update(items)


def _build(reader: _Reader, _: Any) -> None:
    state = reader.pop()
    target = reader.stack[-1] if reader.stack else None
    if not isinstance(target, (_DType, _Array)):
        raise PickleError("an object of a class")
    target.set_state(state)


_INSTRUCTIONS: dict[str, Callable[[_Reader, Any], None]] = {
    "PROTO": lambda r, a: None,
    "FRAME": lambda r, a: None,
    "MARK": lambda r, a: r.mark(),
    "POP": _pop,
    "POP_MARK": lambda r, a: r.since_mark().clear(),
    "EMPTY_LIST": lambda r, a: r.stack.append([]),
    "LIST": lambda r, a: r.stack.append(list(map(_value, r.since_mark()))),
    "APPEND": lambda r, a: r.extend([r.pop()]),
    "APPENDS": lambda r, a: r.extend(r.since_mark()),
    "TUPLE": lambda r, a: r.stack.append(r.make_tuple(r.since_mark())),
    "EMPTY_DICT": lambda r, a: r.stack.append({}),
    "DICT": _dict,
    "SETITEM": lambda r, a: r.update([r.pop(), r.pop()][::-1]),
    "SETITEMS": lambda r, a: r.update(r.since_mark()),
    "GLOBAL": lambda r, a: r.stack.append(r.name(*str(a).split(" ", 1))),
    "STACK_GLOBAL": lambda r, a: r.stack.append(r.name(*[r.pop(), r.pop()][::-1])),
    "REDUCE": lambda r, a: r.stack.append(r.call(*[r.pop(), r.pop()][::-1])),
    "BUILD": _build,
}


def read_pickle(content: bytes) -> Any:
    """Read the data of a pickle.

    Args:
        content: The pickle's bytes.

    Returns:
        Numbers, strings, bytes, arrays, and lists, tuples and dictionaries of these.

    Raises:
        PickleError: If the pickle is damaged, or holds other objects.

    Example:
        >>> import pickle
        >>> read_pickle(pickle.dumps({"labels": [1, 2], "data": np.zeros((2, 3))}))["data"].shape
        (2, 3)
    """
    reader = _Reader(len(content))
    file = io.BytesIO(content)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == "STOP":
                break
            reader.run(opcode.name, argument)
            if opcode.name in ("MARK", "FRAME"):
                numbers = _NUMBERS.match(content, file.tell())
                if numbers is not None:  # read runs of integers at once, for speed
                    reader.stack.extend(_integers(numbers[0]))
                    file.seek(numbers.end())
    except PickleError as error:
        raise PickleError(f"it holds {error}") from None
    except (ValueError, OverflowError, UnicodeError) as error:
        raise PickleError(f"it is damaged: {error}") from None
    if len(reader.stack) != 1:
        raise PickleError("it is damaged: it does not end with one value")
    try:
        return _value(reader.stack[0])
    except PickleError as error:
        raise PickleError(f"it holds {error}") from None
