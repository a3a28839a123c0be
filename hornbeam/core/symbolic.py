"""Symbolic tensors, operations and the `@op` decorator.

A `KerasTensor` stands for a tensor of which only shape and dtype are known.
Calling an operation with one records a `Node`; shape and dtype of the result
come from tracing the operation abstractly, so that no operation states them a
second time. Sizes that are not known are found by tracing with two trial
sizes: what differs between the two traces is unknown in the result.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import threading
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors, tree
from hornbeam.core import naming
from hornbeam.core.loading import count_work
from hornbeam.core.variable import Overlay, Variable
from hornbeam.dtypes import standardize_dtype
from hornbeam.typing import Shape, Tensor

__all__ = [
    "KerasTensor",
    "Node",
    "Operation",
    "Tensor",
    "any_symbolic",
    "convert",
    "get_mask",
    "infer",
    "op",
    "set_mask",
    "shape_with_unknowns",
    "with_values",
]


class KerasTensor:
    """A tensor of which only shape and dtype are known, with the history that makes it.

    Args:
        shape: Sizes; `None` where unknown.
        dtype: Dtype name.
        sparse: Kept for Keras's signature; sparse tensors are not supported.
        ragged: Likewise.
        record_history: Kept for Keras's signature.
        name: Name. Default: `"keras_tensor"`, numbered.

    Raises:
        ValueError: If `sparse` or `ragged` is true.

    Example:
        >>> KerasTensor((None, 3), name="x")
        <KerasTensor shape=(None, 3), dtype=float32, name=x>
    """

    # Ask NumPy and JAX to leave `array + symbolic` to the operators below.
    __array_priority__ = 1000

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ):
        if sparse or ragged:
            raise ValueError("KerasTensor: sparse and ragged tensors are not supported.")
        self.shape: Shape = tuple(None if size is None else int(size) for size in shape)
        self.dtype = standardize_dtype(dtype)
        self.sparse = self.ragged = False
        self.name = name or naming.auto_name("keras_tensor")
        self._history: tuple[Node, int] | None = None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def _keras_history(self) -> tuple[Operation, int, int]:
        """Operation, index of its node, index among the node's outputs (Keras's triple)."""
        node, index = self._producer
        return node.operation, node.operation._inbound_nodes.index(node), index

    @property
    def _producer(self) -> tuple[Node, int]:
        if self._history is None:
            raise ValueError(f"{self!r} was made by no layer. Start a graph with `hornbeam.Input(shape)`.")
        return self._history

    def reshape(self, newshape: Sequence[int]) -> Any:
        from hornbeam import ops

        return ops.reshape(self, newshape)

    def squeeze(self, axis: int | None = None) -> Any:
        from hornbeam import ops

        return ops.squeeze(self, axis=axis)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def __len__(self) -> int:
        raise TypeError(_no_value("len()", self))

    def __bool__(self) -> bool:
        raise TypeError(_no_value("a Python condition", self))

    def __iter__(self) -> Any:
        raise TypeError(_no_value("iteration", self))

    def __float__(self) -> float:
        raise TypeError(_no_value("float()", self))

    def __int__(self) -> int:
        raise TypeError(_no_value("int()", self))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(_no_value("a NumPy function", self))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from hornbeam import ops

        if method == "__call__" and not kwargs and ufunc.__name__ in _OPERATORS:  # `array + symbolic`
            return getattr(ops, _OPERATORS[ufunc.__name__])(*inputs)
        raise TypeError(_no_value(f"numpy.{ufunc.__name__}", self))

    def __jax_array__(self) -> Any:
        raise TypeError(_no_value("a JAX function", self))

    def __getitem__(self, key: Any) -> Any:
        from hornbeam import ops

        return ops.get_item(self, key)


# NumPy's functions behind Python's operators: the ops that they become.
_OPERATORS = {name: name for name in (
    "add", "subtract", "multiply", "true_divide", "floor_divide", "power", "matmul", "less", "less_equal", "greater",
    "greater_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_xor",
)} | {"divide": "true_divide", "remainder": "mod", "bitwise_and": "logical_and", "bitwise_or": "logical_or", "bitwise_xor": "logical_xor"}  # fmt: skip


def _no_value(where: str, x: KerasTensor) -> str:
    return (
        f"{x!r} is symbolic: it has no values yet, so {where} cannot use it. Use a function of "
        "`hornbeam.ops`, or put the computation into the `call` of a Layer."
    )


def _add_operators() -> None:
    """Give `KerasTensor` Python's operators, each one the op of that name."""
    binary = dict(
        add="add", sub="subtract", mul="multiply", truediv="true_divide", mod="mod", pow="power",
        floordiv="floor_divide", matmul="matmul", **{"and": "logical_and", "or": "logical_or"},
        xor="logical_xor",
    )  # fmt: skip
    compare = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "ne": "not_equal"}
    unary = {"neg": "negative", "abs": "absolute", "invert": "logical_not"}

    def method(name: str, swap: bool = False) -> Callable[..., Any]:
        def call(self: KerasTensor, *other: Any) -> Any:
            from hornbeam import ops

            return getattr(ops, name)(*other, self) if swap else getattr(ops, name)(self, *other)

        return call

    for python, name in {**binary, **compare, **unary}.items():
        setattr(KerasTensor, f"__{python}__", method(name))
    for python, name in binary.items():
        setattr(KerasTensor, f"__r{python}__", method(name, swap=True))


_add_operators()


class Node:
    """One call of an operation in a graph: what went in, what came out.

    Args:
        operation: The operation called.
        args, kwargs: Its arguments; symbolic tensors may stand anywhere in them.
        outputs: The structure of symbolic tensors that it gave.
    """

    def __init__(self, operation: Operation, args: tuple, kwargs: dict[str, Any], outputs: Any):
        self.operation = operation
        self.args, self.kwargs, self.outputs = args, kwargs, outputs
        self.inputs = [x for x in tree.flatten((args, kwargs)) if isinstance(x, KerasTensor)]
        self.parents = [x._history[0] for x in self.inputs if x._history is not None]
        for index, x in enumerate(tree.flatten(outputs)):
            if isinstance(x, KerasTensor):
                x._history = (self, index)
        operation._inbound_nodes.append(self)

    def run(self, values: dict[int, Any], **extra: Any) -> Any:
        """Call the operation with the values of its inputs, found by the inputs' id."""
        args, kwargs = tree.map_structure(
            lambda x: values[id(x)] if isinstance(x, KerasTensor) else x, (self.args, self.kwargs)
        )
        return self.operation(*args, **{**kwargs, **extra})


class Operation:
    """What can stand in a graph: a layer, or an op with its settings.

    Args:
        name: Name. Default: the class's name in snake case, numbered.
    """

    def __init__(self, name: str | None = None):
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(
                f"{type(self).__name__}: `name` must be a non-empty string without '/', received {name!r}."
            )
        self.name = name or naming.auto_name(self._default_name())
        self._inbound_nodes: list[Node] = []

    def _default_name(self) -> str:
        return type(self).__name__

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Record a call with symbolic tensors and return the symbolic result."""
        outputs = self.compute_output_spec(*args, **kwargs)
        taken = {id(x) for x in tree.flatten((args, kwargs))}
        # An operation that hands an input through still gives a tensor of its own.
        outputs = tree.map_structure(
            lambda x: KerasTensor(x.shape, x.dtype) if isinstance(x, KerasTensor) and id(x) in taken else x,
            outputs,
        )
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return symbolic tensors of the shapes and dtypes that a call would give."""
        return infer(self.call, *args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must implement `call`.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        count_work(self.name)
        if any_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def _node_property(self, side: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(
                f"{type(self).__name__} '{self.name}' has no `{side}`: it was never called with "
                "a symbolic tensor (`hornbeam.Input`)."
            )
        if len(self._inbound_nodes) > 1:
            raise AttributeError(
                f"{type(self).__name__} '{self.name}' was called "
                f"{len(self._inbound_nodes)} times, so `{side}` is ambiguous."
            )
        node = self._inbound_nodes[0]
        if side == "output":
            return node.outputs
        return node.args[0] if len(node.inputs) == 1 and node.args else node.inputs

    @property
    def input(self) -> Any:
        """The symbolic input of the only call."""
        return self._node_property("input")

    @property
    def output(self) -> Any:
        """The symbolic output of the only call."""
        return self._node_property("output")


def any_symbolic(*structures: Any) -> bool:
    """Tell whether a `KerasTensor` stands anywhere in these structures."""
    for x in structures:
        if isinstance(x, KerasTensor):
            return True
        if isinstance(x, (list, tuple)):
            if any_symbolic(*x):
                return True
        elif isinstance(x, dict) and any_symbolic(*x.values()):
            return True
    return False


def convert(x: Any, dtype: Any = None) -> Any:
    """Return `x` as a JAX array (symbolic tensors as they are).

    Python floats and nested lists take `floatx()`; 64-bit data take the 32-bit type that
    JAX computes in.

    Args:
        x: Array, variable, number, nested list, pandas object or symbolic tensor.
        dtype: Dtype name. Default: the data's own.

    Raises:
        ValueError: If `x` is not numeric.
    """
    if isinstance(x, Variable):
        x = x.value
    if isinstance(x, (jax.Array, KerasTensor)):
        if dtype is None or standardize_dtype(x.dtype) == standardize_dtype(dtype):
            return x
        return x.astype(standardize_dtype(dtype)) if isinstance(x, jax.Array) else cast_symbolic(x, dtype)
    if isinstance(x, jax.ShapeDtypeStruct):
        return KerasTensor(x.shape, x.dtype)
    if dtype is None and isinstance(x, float):
        dtype = standardize_dtype(None)
    array = x
    if not isinstance(x, np.ndarray) and not any_traced(x):
        array = np.asarray(x.to_numpy() if hasattr(x, "to_numpy") else x)
        if dtype is None and array.dtype == np.float64 and not hasattr(x, "dtype"):
            dtype = standardize_dtype(None)
    if isinstance(array, np.ndarray):
        if array.dtype.kind not in "biufc" and array.dtype.name not in _EXTENDED:
            raise ValueError(
                f"Expected numbers, received an array of dtype {array.dtype} "
                f"(first value: {array.flat[0] if array.size else None!r}). Convert it first, for "
                "example with `.astype('float32')`."
            )
        narrow = {"float64": "float32", "int64": "int32", "uint64": "uint32", "complex128": "complex64"}
        if dtype is None and not jax.config.jax_enable_x64:
            dtype = narrow.get(array.dtype.name)
    return jnp.asarray(array, dtype=None if dtype is None else standardize_dtype(dtype))


_EXTENDED = {"bfloat16", "float8_e4m3fn", "float8_e5m2"}


def with_values(x: Any, name: str, remedy: str) -> Any:
    """Return `x` as a JAX array for an op whose result has a size that depends on values; an error where there are none."""
    x = convert(x)
    if isinstance(x, jax.core.Tracer):
        raise ValueError(
            f"{name}: the size of the result depends on the values of {errors.describe(x)}, which are not known in a model "
            f"or a compiled function. {remedy[0].upper()}{remedy[1:]}."
        )
    return x


def any_traced(x: Any) -> bool:
    """Tell whether a JAX array or variable stands in a nested list `x`."""
    if isinstance(x, (list, tuple)):
        return any(any_traced(item) for item in x)
    return isinstance(x, (jax.Array, Variable))


def cast_symbolic(x: KerasTensor, dtype: Any) -> Any:
    from hornbeam import ops

    return ops.cast(x, dtype)


# --- shapes by tracing --------------------------------------------------------------------

# Trial sizes for unknown dimensions: many divisors, so that reshapes and strides fit.
_TRIALS = (840, 1680, 2520, 5040, 7560, 9240)
_trial: ContextVar[int | None] = ContextVar("hornbeam_trial_size", default=None)


def infer(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return symbolic tensors of the shapes and dtypes that `function` would give.

    Assignments to variables and losses added during the trace are dropped.
    """
    leaves = tree.flatten((args, kwargs))
    symbolic = [x for x in leaves if isinstance(x, KerasTensor)]
    known = {size for x in symbolic for size in x.shape}
    if None not in known:
        return tree.map_structure(_as_symbolic, _abstract(function, args, kwargs, None))
    small, large = [size for size in _TRIALS if size not in known][:2]
    first = _abstract(function, args, kwargs, small)
    second = _abstract(function, args, kwargs, large)

    def merge(a: Any, b: Any) -> Any:
        if not isinstance(a, jax.ShapeDtypeStruct):
            return a
        if len(a.shape) != len(b.shape):
            raise ValueError(
                "The rank of the result depends on a size that is not known yet "
                f"(inputs {[x.shape for x in symbolic]})."
            )
        shape = [m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)]
        return KerasTensor(shape, a.dtype)

    return tree.map_structure(merge, first, second)


def _as_symbolic(x: Any) -> Any:
    return KerasTensor(x.shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x


def _abstract(function: Callable[..., Any], args: Any, kwargs: Any, trial: int | None) -> Any:
    leaves = tree.flatten((args, kwargs))
    where = [i for i, x in enumerate(leaves) if isinstance(x, KerasTensor)]
    structs = [
        jax.ShapeDtypeStruct([trial if n is None else n for n in leaves[i].shape], leaves[i].dtype) for i in where
    ]
    masks = [get_mask(leaves[i]) for i in where]
    static: list[Any] = []

    def traced(*values: Any) -> list[Any]:
        filled = list(leaves)
        for i, value, mask in zip(where, values, masks, strict=True):
            if isinstance(mask, KerasTensor):
                sizes = [trial if n is None else n for n in mask.shape]
                set_mask(value, jnp.ones(sizes, bool))
            filled[i] = value
        a, k = tree.pack_sequence_as((args, kwargs), filled)
        with Overlay(abstract=True):
            result = function(*a, **k)
        # Arrays are traced out; anything else in the result is kept as it is.
        flat = [x.value if isinstance(x, Variable) else x for x in tree.flatten(result)]
        static[:] = [result, [x if not isinstance(x, (jax.Array, np.ndarray)) else None for x in flat]]
        return [x for x in flat if isinstance(x, (jax.Array, np.ndarray))]

    token = _trial.set(trial)
    try:
        arrays = iter(jax.eval_shape(traced, *structs))
    except Exception as error:  # a trial size is nothing that the user knows
        raise errors.reworded(error, lambda text: re.sub(rf"\b{trial}\b", "None", text)) from error.__cause__
    finally:
        _trial.reset(token)
    structure, kept = static
    flat = tree.flatten(structure)
    out = [
        next(arrays) if isinstance(x, (jax.Array, np.ndarray, Variable)) else keep
        for x, keep in zip(flat, kept, strict=True)
    ]
    return tree.pack_sequence_as(structure, out)


def shape_with_unknowns(shape: Sequence[int | None]) -> Shape:
    """Return `shape` with the trial size of a trace for shapes turned back into `None`."""
    trial = _trial.get()
    return tuple(None if trial is not None and size == trial else size for size in shape)


# --- masks ----------------------------------------------------------------------------------

_masks: dict[int, tuple[Any, Any]] = {}


def set_mask(x: Any, mask: Any) -> None:
    """Attach the boolean `mask` (shape of `x`'s first axes) to the tensor `x`."""
    key = id(x)
    # Held weakly: a mask lives as long as its tensor.
    _masks[key] = (weakref.ref(x, lambda _: _masks.pop(key, None)), mask)


def get_mask(x: Any) -> Any:
    """Return the mask attached to `x`, or `None`."""
    entry = _masks.get(id(x))
    return entry[1] if entry is not None and entry[0]() is x else None


# --- ops --------------------------------------------------------------------------------------

Function = TypeVar("Function", bound=Callable[..., Any])
OPS: dict[str, OpInfo] = {}
"""Every op by the class name under which Keras saves it in a functional model."""


class OpInfo:
    """What the decorator learned of an op: its function, saved name and tensor arguments."""

    def __init__(self, function: Callable[..., Any], public: Callable[..., Any], module: str, class_name: str):
        self.function, self.public = function, public
        self.module, self.class_name = module, class_name
        self.signature = inspect.signature(function)
        self.tensor_names = [name for name, p in self.signature.parameters.items() if "Tensor" in str(p.annotation)]


class OpCall(Operation):
    """An op with its settings, as it stands in a graph.

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

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.info.function(*args, **kwargs, **self.settings)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().symbolic_call(*args, **kwargs)
        except Exception as error:
            called = f"hornbeam.ops.{self.info.public.__name__} was called with {describe_inputs(args, kwargs)}."
            raise errors.reworded(error, lambda text: f"{text}\n  {called}") from error.__cause__

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        try:
            key = (self.info.class_name, _cache_key((args, kwargs, self.settings)))
            known = _spec_cache.get(key)
        except TypeError:  # an argument that cannot be a key, such as an array
            return super().compute_output_spec(*args, **kwargs)
        if known is None:
            result = super().compute_output_spec(*args, **kwargs)
            known = tree.map_structure(lambda x: (x.shape, x.dtype) if isinstance(x, KerasTensor) else x, result)
            with _spec_lock:
                if len(_spec_cache) >= 4096:
                    _spec_cache.clear()
                _spec_cache[key] = (result, known)
            return result
        return tree.map_structure(
            lambda x: KerasTensor(x.shape, x.dtype) if isinstance(x, KerasTensor) else x, known[0]
        )


_spec_cache: dict[Any, Any] = {}
_spec_lock = threading.Lock()


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
    """Lift a function over JAX arrays into an op.

    Concrete arguments run the function; symbolic ones record a node whose shape and dtype
    come from tracing it. Arguments annotated `Tensor` are the op's inputs, the others its
    settings: that split, and the saved name, are what Keras's files hold.

    Args:
        module: Module under which Keras saves the op, such as `"numpy"` or `"nn"`; one outside of ops by its full name.
        class_name: Class name there. Default: the function's name in camel case.

    Example:
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
            if not any_symbolic(args, kwargs):
                return function(*args, **kwargs)
            try:
                bound = info.signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"hornbeam.ops.{function.__name__}: {error}.") from None
            inputs, settings = _split(info, bound)
            return OpCall(info, settings).symbolic_call(*inputs.args, **inputs.kwargs)

        info = OpInfo(function, public, module if "." in module else f"keras.src.ops.{module}", name)
        public._op_info = info  # type: ignore[attr-defined]
        OPS[name] = info
        return public  # type: ignore[return-value]

    return lift


def _split(info: OpInfo, bound: inspect.BoundArguments) -> tuple[inspect.BoundArguments, dict]:
    """Separate an op's tensor arguments from its settings (defaults filled in)."""
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


def describe_inputs(args: tuple, kwargs: dict[str, Any]) -> str:
    """List the tensors of a call for a message."""
    named = itertools.chain(enumerate(args), kwargs.items())
    shown = [f"{key}: {errors.describe(x)}" for key, x in named if x is not None]
    return "; ".join(shown) or "nothing"
