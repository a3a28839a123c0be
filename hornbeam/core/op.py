"""The decorator `@op`: functions over JAX arrays that also work on symbolic tensors."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

import jax
import numpy as np

from hornbeam import errors, tree
from hornbeam.core.forks import check_not_forked
from hornbeam.core.graph import Operation, describe_inputs
from hornbeam.core.op_table import OPS, OpInfo
from hornbeam.core.tape_trace import tape_trace
from hornbeam.core.tensor import KerasTensor, any_symbolic
from hornbeam.core.tracebacks import shortened
from hornbeam.core.units import Units
from hornbeam.core.variable import Variable
from hornbeam.typing import Structure

__all__ = ["OpCall", "op"]

Function = TypeVar("Function", bound=Callable[..., Any])


class OpCall(Operation):
    """A call of an op in a graph: the op with its settings.

    Args:
        info: The op.
        settings: Values of its arguments that are not tensors.
        name: Name of the node's operation.
    """

    def __init__(self, info: OpInfo, settings: dict[str, Any], name: str | None = None):
        self.info, self.settings = info, settings
        super().__init__(name)

    def _default_name(self) -> str:
        return self.info.class_name

    def call(self, *args: Any, **kwargs: Any) -> Structure:
        return self.info.function(*args, **kwargs, **self.settings)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Structure:
        try:
            return super().symbolic_call(*args, **kwargs)
        except Exception as error:
            called = (
                f"hornbeam.ops.{self.info.public.__name__} was called with"
                f" {describe_inputs(args, kwargs)}."
            )
            told = errors.reworded(error, lambda text: f"{text} {called}")
            raise shortened(told) from error.__cause__

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Structure:
        try:
            key = (self.info.class_name, _cache_key((args, kwargs, self.settings)))
            known = _spec_cache.get(key)
        except TypeError:  # an argument that cannot be a key, such as an array
            return super().compute_output_spec(*args, **kwargs)
        if known is None:
            known = super().compute_output_spec(*args, **kwargs)
            with _spec_lock:
                if len(_spec_cache) >= _SPECS_KEPT:
                    _spec_cache.clear()
                _spec_cache[key] = known
        # Copies, since a tensor that is handed out gets a history, which holds a whole model.
        return tree.map_structure(
            lambda x: KerasTensor(x.shape, x.dtype) if isinstance(x, KerasTensor) else x, known
        )


# Results of `OpCall.compute_output_spec`: shapes and dtypes by op, inputs and settings.
_spec_cache: dict[Any, Any] = {}
_spec_lock = threading.Lock()
_SPECS_KEPT = 4096


def _cache_key(x: Any) -> Any:
    if isinstance(x, KerasTensor):
        return (KerasTensor, x.shape, x.dtype)
    if isinstance(x, (list, tuple)):
        return (type(x), *map(_cache_key, x))
    if isinstance(x, dict):
        return (dict, *((k, _cache_key(x[k])) for k in x))
    if isinstance(x, (jax.Array, np.ndarray, Variable)):
        raise TypeError
    hash(x)
    return (type(x), x)


def op(module: str, class_name: str | None = None) -> Callable[[Function], Function]:
    """Turn a function of JAX arrays into an op, which takes symbolic tensors too.

    With arrays the function runs. With symbolic tensors a node is recorded, whose shape and dtype
    are found by tracing the function. Arguments annotated `Tensor` are the op's inputs, the others
    its settings. Keras's files store this split and the class name.

    Args:
        module: Module of `keras.src.ops` under which Keras saves the op, such as `"numpy"` or
            `"nn"`, or the full name of another module.
        class_name: Class name under which Keras saves it. Default: the function's name in camel
            case.

    Returns:
        The decorator. The op is entered in `OPS`.

    Example:
        >>> import jax.numpy as jnp
        >>> @op("nn", "Example")
        ... def double(x: Tensor) -> Tensor:
        ...     return 2 * x
        >>> double(jnp.ones(2)), double(KerasTensor((None, 2))).shape
        (Array([2., 2.], dtype=float32), (None, 2))
    """

    def lift(function: Function) -> Function:
        name = class_name or "".join(word.capitalize() for word in function.__name__.split("_"))

        @functools.wraps(function)
        def public(*args: Any, **kwargs: Any) -> Any:
            check_not_forked()
            if not any_symbolic(args, kwargs):
                try:
                    if (trace := tape_trace()) is not None and module != "random":
                        return _run_recorded(trace, function, args, kwargs)
                    return function(*args, **kwargs)
                except Exception as error:
                    raise shortened(error) from error.__cause__
            try:
                bound = info.signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"hornbeam.ops.{function.__name__}: {error}.") from None
            inputs, settings = _split(info, bound)
            return OpCall(info, settings).symbolic_call(*inputs.args, **inputs.kwargs)

        info = OpInfo(
            function, public, module if "." in module else f"keras.src.ops.{module}", name
        )
        public._op_info = info  # type: ignore[attr-defined]
        OPS[name] = info
        return public  # type: ignore[return-value]

    return lift


_units = Units()

# Ops without a gradient. As single operations they leave their arguments unconnected.
_CONSTANT = {"stop_gradient", "floor", "ceil", "round", "trunc", "floor_divide"}


def _run_recorded(trace: Any, function: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
    """Run an op as one operation of the open tapes, if they follow one of its arguments."""
    leaves = jax.tree.leaves((args, kwargs))
    if function.__name__ in _CONSTANT or any(isinstance(x, FunctionType) for x in leaves):
        return function(*args, **kwargs)  # a function of the user may close over followed values
    if not trace.track([x.value if isinstance(x, Variable) else x for x in leaves]):
        return function(*args, **kwargs)
    return _units.run(function, args, kwargs)


def _split(info: OpInfo, bound: inspect.BoundArguments) -> tuple[inspect.BoundArguments, dict]:
    """Separate an op's tensor arguments from its settings, with defaults filled in."""
    settings: dict[str, Any] = {}
    for name, parameter in info.signature.parameters.items():
        if name in info.tensor_names:
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            settings.update(bound.arguments.get(name, {}))
        elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            settings[name] = bound.arguments.get(name, parameter.default)
        bound.arguments.pop(name, None)
    return bound, settings
