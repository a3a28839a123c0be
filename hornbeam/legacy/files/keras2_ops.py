"""Layers of Keras 2 and 3 that compute exactly, bit for bit, what ops of a graph compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["layer_of_op"]

_FLOATS = ("float16", "float32", "float64", "bfloat16")
_MERGES = ("Add", "Maximum", "Minimum", "Multiply", "Subtract")
_ACTIVATIONS = {
    "Exp": "exponential", "Relu": "relu", "Selu": "selu", "Sigmoid": "sigmoid", "Silu": "swish",
    "Softplus": "softplus", "Softsign": "softsign", "Tanh": "tanh",
}  # fmt: skip
_Made = tuple[str, dict[str, Any], Any]  # class name, arguments, inputs


def layer_of_op(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the entry of a layer that computes the same as an op, or `None` if there is none.

    Args:
        entry: The op's entry among the layers of a functional model, with its call, in Keras 3's
            form.

    Example:
        >>> config = {"shape": [None, 2], "dtype": "float32", "keras_history": ["x", 0, 0]}
        >>> x = {"class_name": "__keras_tensor__", "config": config}
        >>> calls = [{"args": [x, 2], "kwargs": {}}]
        >>> op = {"class_name": "Multiply", "config": {"name": "m"}, "inbound_nodes": calls}
        >>> layer_of_op(op)["class_name"], layer_of_op(op)["config"]["scale"]
        ('Rescaling', 2.0)
    """
    kind, settings = (
        str(entry["class_name"]),
        {k: v for k, v in entry["config"].items() if k != "name"},
    )
    calls = entry["inbound_nodes"]
    if len(calls) != 1 or calls[0]["kwargs"]:
        return None
    args = calls[0]["args"]
    tensors = [
        x["config"]
        for x in (args[0] if args and isinstance(args[0], list) else args)
        if _is_tensor(x)
    ]
    dtypes = {x["dtype"] for x in tensors}
    if len(dtypes) != 1 or not dtypes <= set(_FLOATS):
        return None
    made = _TABLE[kind](kind, args, settings) if kind in _TABLE else None
    if made is None:
        return None
    class_name, arguments, inputs = made
    name = entry["config"]["name"]
    return {
        "class_name": class_name,
        "config": {"name": name, "trainable": True, "dtype": dtypes.pop(), **arguments},
        "name": name,
        "inbound_nodes": [{"args": [inputs], "kwargs": {}}],
    }


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shape(tensor: Mapping[str, Any]) -> list[int | None]:
    return tensor["config"]["shape"]


def _binary(kind: str, args: list[Any], settings: dict[str, Any]) -> _Made | None:
    """Two tensors of the same shape are merged; a tensor and a number are `Rescaling`."""
    if settings or len(args) != 2:
        return None
    left, right = args
    if _is_tensor(left) and _is_tensor(right):
        return (kind, {}, args) if kind in _MERGES and _shape(left) == _shape(right) else None
    number, tensor = (left, right) if _is_number(left) else (right, left)
    if not _is_number(number) or not _is_tensor(tensor):
        return None
    scale, offset = 1.0, 0.0
    if kind == "Add":
        offset = float(number)
    elif kind == "Subtract":
        scale, offset = (-1.0, float(number)) if tensor is right else (1.0, -float(number))
    elif kind == "Multiply":
        scale = float(number)
    elif kind in ("Divide", "TrueDivide") and tensor is left and abs(math.frexp(number)[0]) == 0.5:
        scale = 1.0 / number  # exact only for powers of two
    else:
        return None
    return "Rescaling", {"scale": scale, "offset": offset}, tensor


def _negative(kind: str, args: list[Any], settings: dict[str, Any]) -> _Made | None:
    return None if settings else ("Rescaling", {"scale": -1.0, "offset": 0.0}, args[0])


def _activation(kind: str, args: list[Any], settings: dict[str, Any]) -> _Made | None:
    return (
        None
        if settings or len(args) != 1
        else ("Activation", {"activation": _ACTIVATIONS[kind]}, args[0])
    )


def _softmax(kind: str, args: list[Any], settings: dict[str, Any]) -> _Made | None:
    last = settings == {"axis": -1} and len(args) == 1 and len(_shape(args[0])) > 1
    return ("Activation", {"activation": "softmax"}, args[0]) if last else None


def _concatenate(kind: str, args: list[Any], settings: dict[str, Any]) -> _Made | None:
    parts, axis = args[0], settings.get("axis", 0)
    fits = (
        len(args) == 1
        and isinstance(parts, list)
        and len(parts) > 1
        and all(map(_is_tensor, parts))
    )
    return (
        ("Concatenate", {"axis": axis}, parts)
        if fits and axis % len(_shape(parts[0])) != 0
        else None
    )


def _reshape(kind: str, args: list[Any], settings: dict[str, Any]) -> _Made | None:
    """`Reshape` leaves the batch axis as it is."""
    old = _shape(args[0])[1:]
    new: Any = settings.get("newshape")
    if not isinstance(new, list) or not new:
        return None
    sizes = [n for n in (*old, *new[1:]) if isinstance(n, int) and n > 0]
    known = len(sizes) == len(old) + len(new) - 1 and math.prod(sizes[: len(old)]) == math.prod(
        sizes[len(old) :]
    )
    return (
        ("Reshape", {"target_shape": new[1:]}, args[0])
        if new[0] == -1 and known and len(args) == 1
        else None
    )


def _transpose(kind: str, args: list[Any], settings: dict[str, Any]) -> _Made | None:
    axes: Any = settings.get("axes")
    keeps_batch = isinstance(axes, list) and len(axes) > 1 and axes[0] == 0 and min(axes) >= 0
    return ("Permute", {"dims": axes[1:]}, args[0]) if keeps_batch and len(args) == 1 else None


_TABLE: dict[str, Callable[[str, list[Any], dict[str, Any]], _Made | None]] = {
    **dict.fromkeys((*_MERGES, "Divide", "TrueDivide"), _binary),
    **dict.fromkeys(_ACTIVATIONS, _activation),
    "Concatenate": _concatenate,
    "Negative": _negative,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "Transpose": _transpose,
}
