"""Functions that Keras stored as bytecode, for users who trust a file.

Keras writes a lambda as a marshalled code object of the Python version that saved it. The format
does not state the version, and code of another version can crash the interpreter. Therefore the
instructions are checked against the running Python version before anything runs.
"""

from __future__ import annotations

import binascii
import builtins
import codecs
import dis
import marshal
import math
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core.loading import code_allowed
from hornbeam.errors import FileError

__all__ = ["function_from", "namespace", "stored_form"]

_REFUSED = (
    "The file holds Python code (a lambda). Hornbeam does not run code from files. Write the"
    " function in your program and pass it by `custom_objects`. Or, if you would run the file as a"
    " program, load it with `safe_mode=False`."
)


def function_from(stored: Any) -> types.FunctionType:
    """Return the function that a file stores as bytecode.

    Args:
        stored: Keras 3's dict of `code`, `defaults` and `closure`, or Keras 2's list of these.

    Raises:
        FileError: If the user did not allow code to run, or the code is damaged or was written by
            another Python version.
    """
    if not code_allowed():
        raise FileError(_REFUSED)
    if isinstance(stored, Mapping):
        stored = [stored.get("code"), stored.get("defaults"), stored.get("closure")]
    if not isinstance(stored, (list, tuple)) or len(stored) != 3 or not isinstance(stored[0], str):
        raise FileError(
            "The file holds a lambda in an unknown format. Write the function in your program and"
            " pass it by `custom_objects`."
        )
    code, defaults, closure = stored
    try:
        code = _unmarshalled(code)
    except (ValueError, EOFError, TypeError, binascii.Error) as error:
        raise _other_version(str(error)) from None
    for part in _nested(code):
        _check_version(part)
    cells = tuple(types.CellType(value) for value in closure or ())
    if len(cells) != len(code.co_freevars):
        raise FileError(
            f"The file's lambda needs the values of {code.co_freevars}, but the file does not hold"
            " them."
        )
    function = types.FunctionType(
        code, dict(namespace), code.co_name, _values(defaults), cells or None
    )
    return function


def stored_form(function: types.FunctionType, serialize: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a lambda in Keras 3's form: marshalled code and the captured values.

    Args:
        function: The lambda.
        serialize: Converts a captured value to JSON.

    Raises:
        ValueError: If a captured value cannot be written as JSON.
    """
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    held = {"defaults": function.__defaults__, "closure": cells or None}
    try:
        held = {
            key: None if value is None else [_plain(v, serialize) for v in value]
            for key, value in held.items()
        }
    except ValueError as error:
        raise ValueError(
            f"A lambda cannot be saved with the values that it captures: {error} Write a named"
            " function and register it with `@hornbeam.saving.register_keras_serializable()`."
        ) from None
    warnings.warn(
        "A lambda is saved as code, which loads only with `safe_mode=False` and in this Python"
        " version. A named function registered with"
        " `@hornbeam.saving.register_keras_serializable()` loads everywhere.",
        stacklevel=2,
    )
    code = codecs.encode(marshal.dumps(function.__code__), "base64").decode("ascii")
    return {"class_name": "__lambda__", "config": {"code": code, **held}}


def _plain(value: Any, serialize: Callable[[Any], Any]) -> Any:
    """Return the JSON form of a value that survives the round trip unchanged."""
    stored = serialize(value)
    if isinstance(stored, dict) or (
        isinstance(stored, list) and any(isinstance(v, (list, dict)) for v in stored)
    ):
        raise ValueError(f"{type(value).__name__} is not a number, a string or a list of them.")
    return stored


def _unmarshalled(text: str) -> types.CodeType:
    try:
        raw = codecs.decode(text.encode("ascii"), "base64")
        code = marshal.loads(raw)
    except (ValueError, EOFError, TypeError, binascii.Error):
        code = marshal.loads(text.encode("raw_unicode_escape"))  # Keras 1 wrote the bytes as text
    if not isinstance(code, types.CodeType):
        raise ValueError("it is not a code object")
    return code


def _values(defaults: Any) -> tuple[Any, ...] | None:
    if defaults is None:
        return None
    # JSON has no tuples.
    return tuple(tuple(value) if isinstance(value, list) else value for value in defaults)


namespace: dict[str, Any] = {
    "__builtins__": builtins, "__name__": "__main__", "np": np, "numpy": np, "math": math,
    "jax": jax, "jnp": jnp,
}  # fmt: skip
"""Globals of stored functions: the names that Keras scripts import most often.

`hornbeam/__init__.py` adds `keras`, `ops` and `layers`.
"""


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def _check_version(code: types.CodeType) -> None:
    """Raise `FileError` if the running Python version does not write these instructions.

    Checks that all instructions are known, that their caches are empty, that `RESUME` is near the
    start, and that the last instruction is a valid one. Code of another version fails at least one
    check.
    """
    caches = getattr(dis, "_inline_cache_entries", ())
    raw, at, names = code.co_code, 0, []
    width = (
        (lambda name, op: caches.get(name, 0))
        if isinstance(caches, dict)
        else (lambda name, op: caches[op])
    )
    while at < len(raw):
        op = raw[at]
        name = dis.opname[op]
        if name.startswith("<") or name == "CACHE":
            raise _other_version(f"instruction {op} is unknown")
        following = 2 * width(name, op)
        if any(raw[at + 2 : at + 2 + following]):
            raise _other_version(f"{name} is followed by unexpected bytes")
        names.append(name)
        at += 2 + following
    if "RESUME" not in names[:5] or not names[-1].startswith(
        ("RETURN", "RAISE", "RERAISE", "JUMP")
    ):
        raise _other_version("it does not start or end as a function does")
    for before, after in zip(names, names[1:], strict=False):
        if "PRECALL" in dis.opmap and after == "CALL" and before != "PRECALL":
            raise _other_version("it makes calls in another way")


def _other_version(detail: str) -> FileError:
    return FileError(
        "The file holds a lambda as bytecode that Python"
        f" {sys.version_info.major}.{sys.version_info.minor} cannot run ({detail}). Bytecode runs"
        " only in the Python version that wrote it. Write the function in your program and pass it"
        " by `custom_objects`, or load the file with that version and save the model with a named"
        " function."
    )
