"""Arguments of a layer's call: conversion to tensors, casts and names."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from hornbeam import tree
from hornbeam.core.convert import convert
from hornbeam.core.masks import get_mask, set_mask
from hornbeam.core.sparse import as_dense, as_sparse, is_sparse
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.core.variable import Variable
from hornbeam.dtypes import is_float
from hornbeam.layers.call_scope import training_now

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer

__all__ = ["convert_inputs", "has_tensor", "named_arguments", "positional_names", "settle_training"]


def convert_inputs(
    args: tuple, kwargs: dict[str, Any], dtype: str | None, sparse: bool = False
) -> tuple[tuple, dict[str, Any]]:
    """Convert arrays, numbers and nested lists of numbers to tensors.

    Args:
        args, kwargs: Arguments of the call.
        dtype: Dtype for floating-point tensors. `None` keeps their dtype.
        sparse: Whether sparse tensors stay sparse; otherwise they become dense.
    """
    if len(args) == 1 and not kwargs and isinstance(args[0], jax.Array):
        return (_convert_one(args[0], dtype, sparse),), {}
    if args and isinstance(args[0], (list, tuple)) and _is_number_list(args[0]):
        args = (np.asarray(args[0], _list_dtype(args[0])), *args[1:])
    elif args and isinstance(args[0], (float, int)) and not isinstance(args[0], bool):
        args = (convert(args[0]), *args[1:])

    def one(x: Any) -> Any:
        return _convert_one(x, dtype, sparse)

    args = tuple(tree.map_structure(one, a) if a is not None else None for a in args)
    return args, {k: tree.map_structure(one, v) for k, v in kwargs.items()}


def _convert_one(x: Any, dtype: str | None, sparse: bool) -> Any:
    if isinstance(x, KerasTensor):
        return x
    if is_sparse(x):
        if not sparse:
            return _convert_one(as_dense(x), dtype, sparse)
        x = as_sparse(x)
        return x.astype(dtype) if dtype is not None and is_float(x.dtype) else x
    if isinstance(x, (jax.Array, np.ndarray, Variable)) or hasattr(x, "__array__"):
        tensor = convert(x)
        if dtype is not None and is_float(tensor.dtype) and tensor.dtype.name != dtype:
            mask = get_mask(tensor)
            tensor = tensor.astype(dtype)
            if mask is not None:
                set_mask(tensor, mask)
        return tensor
    return x


def named_arguments(
    signature: inspect.Signature, layer: Layer, args: tuple, kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return the arguments by their names in `call`, including the entries of `**kwargs`.

    Args:
        signature: Signature of the layer's `call`, whose first parameter is `self`.
        layer: The layer.
        args, kwargs: Arguments of the call.

    Raises:
        TypeError: If the arguments do not match the signature of `call`.
    """
    bound = signature.bind(layer, *args, **kwargs)
    named: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        else:
            named[name] = value
    return named


def positional_names(signature: inspect.Signature, args: tuple) -> list[str]:
    """Return the names of the parameters of `call` that `args` fill."""
    names = [n for n, p in signature.parameters.items() if p.kind in (0, 1)]
    return names[1 : 1 + len(args)]


def settle_training(
    signature: inspect.Signature, args: tuple, kwargs: dict[str, Any]
) -> bool | None:
    """Return `training` for a call, and add it to `kwargs` if `call` takes it.

    The argument has priority, then the surrounding call, then the default in `call`'s signature.
    """
    parameters = signature.parameters
    training = kwargs.get("training")
    if training is None:
        training = training_now()
    if "training" not in parameters:
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            kwargs.pop("training", None)
        return training
    default = parameters["training"].default
    if training is None:
        training = bool(default) if isinstance(default, (bool, np.bool_)) else None
    if "training" not in positional_names(signature, args):
        # A graph runs both in training and outside, so it records only a value that was passed.
        if kwargs.get("training") is not None or not any_symbolic(args, kwargs):
            kwargs["training"] = training
        elif default is inspect.Parameter.empty:
            kwargs["training"] = None
    return training


def has_tensor(x: object) -> bool:
    """Return whether `x` is or contains a tensor, an array or a symbolic tensor."""
    return any(
        isinstance(leaf, (jax.Array, KerasTensor, np.ndarray)) or is_sparse(leaf)
        for leaf in tree.flatten(x)
    )


def _is_number_list(x: Any) -> bool:
    leaves = tree.flatten(x)
    return bool(leaves) and all(isinstance(leaf, (int, float, np.number)) for leaf in leaves)


def _list_dtype(x: Any) -> str | None:
    return "float32" if any(isinstance(leaf, float) for leaf in tree.flatten(x)) else None
