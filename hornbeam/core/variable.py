"""Variables, and overlays that replace their values by traced ones.

A `Variable` holds one array. Inside an `Overlay` its value is that of the overlay, and assignments
stay in the overlay. So code that assigns becomes a pure function of its state. Overlays are
context-local: threads can trace and predict at the same time.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core import naming, registry
from hornbeam.core.checks import check_choice, check_flag, check_name, check_shape
from hornbeam.core.forks import check_not_forked
from hornbeam.core.initial import are_delayed, initial_value
from hornbeam.core.loading import current_loading
from hornbeam.core.masks import get_mask, set_mask
from hornbeam.core.placement import dividing, moved, whole
from hornbeam.core.tape_trace import tape_trace
from hornbeam.core.traces import (
    accept_as_argument,
    current_trace,
    jax_asks_for_dtype,
    without_inner_traces,
)
from hornbeam.dtypes import is_float, standardize_dtype
from hornbeam.typing import DType, Tensor

__all__ = [
    "Overlay", "Variable", "autocast_scope", "current_autocast", "current_overlay",
    "outside_overlays", "value_and_grad",
]  # fmt: skip

_overlay: ContextVar[Overlay | None] = ContextVar("hornbeam_overlay", default=None)
_first_values = threading.RLock()
_AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = (None, "none", "on_read", "on_write", "auto")
_autocast: ContextVar[str | None] = ContextVar("hornbeam_autocast", default=None)


class Overlay:
    """Values of variables inside a block; assignments stay in it.

    A variable that the overlay does not map has the value of the overlay outside, or else its own.
    It is added to `strays`, since a compiled program would take its value for a constant.

    Args:
        variables: Variables to map.
        values: Their values, in the same order.
        abstract: Whether only shapes are needed: zeros then replace values that do not exist yet.

    Attributes:
        assigned: The variables assigned inside, in the order of their first assignment.
        strays: The variables read or assigned inside that the overlay does not map.
        losses: Pairs of a layer and a loss that it added.
        trace: The innermost trace of JAX where the block began.

    Example:
        >>> counter = Variable(0.0, name="counter")
        >>> with Overlay([counter], [5.0]) as overlay:
        ...     _ = counter.assign_add(1.0)
        ...     seen = float(counter.value)
        >>> seen, float(counter.value), float(overlay.value_of(counter))
        (6.0, 0.0, 6.0)
    """

    def __init__(
        self, variables: Iterable[Variable] = (), values: Iterable[Any] = (), abstract: bool = False
    ):
        self._abstract = abstract
        self._values = dict(zip(variables, values, strict=True))
        self._mapped = frozenset(self._values)
        self.assigned: dict[Variable, None] = {}
        self.strays: dict[Variable, None] = {}
        self.losses: list[tuple[Any, Any]] = []
        self._outer: Overlay | None = None
        self.trace: Any = None

    def __enter__(self) -> Overlay:
        self._outer = _overlay.get()
        self._token = _overlay.set(self)
        self.trace = current_trace()
        return self

    def __exit__(self, *exc: object) -> None:
        _overlay.reset(self._token)

    def value_of(self, variable: Variable) -> Tensor:
        """Return the value of `variable` as code inside the block sees it."""
        if variable in self._values:
            return self._values[variable]
        self.strays[variable] = None
        if self._outer is not None:
            return self._outer.value_of(variable)
        if self._abstract and variable.__dict__.get("_first_value") is not None:
            # Traced, so that nothing is allocated.
            return jnp.zeros(variable._shape, variable._dtype)
        return variable._array()

    def replace(self, variable: Variable, equal: Tensor) -> None:
        """Replace the array of `variable` by another with the same numbers."""
        if variable in self._values:
            self._values[variable] = equal
        elif self._outer is not None:
            self._outer.replace(variable, equal)
        else:
            variable._value = equal

    def assign(self, variable: Variable, value: Tensor) -> None:
        """Set the value of `variable` inside the block."""
        if variable not in self._mapped:
            self.strays[variable] = None
        self._values[variable] = value
        self.assigned[variable] = None


def current_overlay() -> Overlay | None:
    """Return the innermost overlay of this context, or `None`."""
    return _overlay.get()


def current_autocast() -> str | None:
    """Return the dtype in which floating-point variables are read, `None` as they are stored."""
    return _autocast.get()


@contextmanager
def autocast_scope(dtype: str | None) -> Iterator[None]:
    """Read floating-point variables as `dtype` inside the block (`None`: as stored)."""
    token = _autocast.set(dtype)
    try:
        yield
    finally:
        _autocast.reset(token)


@contextmanager
def outside_overlays() -> Iterator[None]:
    """Read and assign variables' own values inside the block, whatever overlay or trace is open.

    What is made inside outlives a trace, such as the slots of an optimizer.
    """
    token = _overlay.set(None)
    try:
        with jax.core.eval_context(), autocast_scope(None):
            yield
    finally:
        _overlay.reset(token)


class Variable:
    """An array that can be assigned, with a name and a path.

    Args:
        initializer: The value, a function of `(shape, dtype)` that returns it, or the name of an
            initializer. As in Keras 1, the function may take `(shape, name)`.
        shape: Shape. Required if `initializer` is a function or a name.
        dtype: Dtype. Default: the dtype of the value; for a function or a name, `floatx()`.
        trainable: Whether optimizers change it.
        autocast: Whether layers with a mixed dtype policy read it in their compute dtype.
        aggregation: How replicas combine it: `"none"`, `"mean"`, `"sum"` or `"only_first_replica"`.
            Kept as an attribute; one program holds all replicas here.
        synchronization: When replicas combine it: `"none"`, `"auto"`, `"on_read"` or `"on_write"`.
            Likewise.
        name: Name without slashes. Default: `"variable"`, numbered.
        layout: Layout over several devices, such as a `hornbeam.distribution.TensorLayout`, which
            goes before the rules of a distribution; or another variable, whose layout it shares.
            Default: `None`, the rules of the distribution.

    Raises:
        ValueError: If an argument has an unknown value, or `initializer` is a function and `shape`
            is missing or has unknown sizes.

    Example:
        >>> v = Variable([1.0, 2.0], name="v")
        >>> v.assign_add([1.0, 1.0]).numpy()
        array([2., 3.], dtype=float32)
    """

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: DType | None = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        synchronization: str = "auto",
        name: str | None = None,
        layout: Any = None,
    ):
        check_not_forked()
        self.name = check_name("Variable", name) or naming.auto_name("variable")
        scope = naming.current_path()
        self.path = f"{scope}/{self.name}" if scope else self.name
        self.trainable = check_flag("Variable", "trainable", trainable)
        # Its position among a layer's variables stays the same when it is frozen later.
        self.created_trainable = self.trainable
        self.autocast = check_flag("Variable", "autocast", autocast)
        self.aggregation = check_choice("Variable", "aggregation", aggregation, _AGGREGATIONS)
        self.synchronization = check_choice(
            "Variable", "synchronization", synchronization, _SYNCHRONIZATIONS
        )
        if layout is not None and not isinstance(layout, Variable) and not hasattr(layout, "axes"):
            raise ValueError(
                f"Variable '{self.path}': `layout` must be a TensorLayout, a variable or None,"
                f" received {layout!r:.200}."
            )
        self.layout = layout
        self.regularizer: Callable[[Any], Any] | None = None
        self.constraint: Callable[[Any], Any] | None = None
        # Computes with the weight instead of its value, see `hornbeam.adaptation`.
        self.adapted: Any = None
        self.overwrite_with_gradient = False
        if isinstance(initializer, str):
            initializer = registry.family("initializer").get(initializer)
        # Whether a caller may hold the array. Such an array must not be donated.
        self._lent = False
        if callable(initializer):
            self._start_from_function(initializer, shape, dtype)
        else:
            self._start_from_value(initializer, shape, dtype)

    def _start_from_function(
        self, initializer: Callable[..., Any], shape: Sequence[int] | None, dtype: DType | None
    ) -> None:
        sizes = None if shape is None else check_shape("Variable", shape)
        if sizes is None or None in sizes:
            raise ValueError(
                f"Variable '{self.path}': `shape` must be fully known where the "
                f"initializer is a function, received {shape}."
            )
        self._shape = tuple(size for size in sizes if size is not None)
        self._dtype = jnp.dtype(standardize_dtype(dtype)).name
        self._first_value: Callable[..., Any] | None = initializer
        if current_loading() is None and not are_delayed():
            self._make_first_value()

    def _start_from_value(
        self, initializer: Any, shape: Sequence[int] | None, dtype: DType | None
    ) -> None:
        value = initializer.value if isinstance(initializer, Variable) else initializer
        if dtype is None and not hasattr(value, "dtype"):
            kind = np.asarray(value).dtype
            dtype = standardize_dtype(None if kind.kind == "f" else kind)
        # Outside of a trace that may be running, since the variable outlives it.
        with jax.core.eval_context():
            # A copy, so that no caller holds the buffer and it can be donated.
            self._value: jax.Array = _copied(
                value, None if dtype is None else standardize_dtype(dtype)
            )
        if shape is not None and (sizes := check_shape("Variable", shape)) != self._value.shape:
            raise ValueError(
                f"Variable '{self.path}': the initial value has shape {self._value.shape}, expected"
                f" {sizes}."
            )
        self._shape = self._value.shape
        self._dtype = self._value.dtype.name

    def _make_first_value(self) -> None:
        """Run the initializer; it may be delayed until the value is read, as for files."""
        with _first_values, jax.core.eval_context():
            initializer = self.__dict__.get("_first_value")
            if initializer is None:
                return  # another thread was faster
            self._pay()
            value = self._first(initializer)
            # A user's function may keep the array that it returns.
            fresh = type(initializer).__module__ == "hornbeam.initializers"
            value = jnp.asarray(value, dtype=self._dtype) if fresh else _copied(value, self._dtype)
            if value.shape != self._shape:
                raise ValueError(
                    f"Variable '{self.path}': the initial value has shape {value.shape}, expected"
                    f" {self._shape}."
                )
            self._value, self._first_value = value, None

    def _first(self, initializer: Callable[..., Any]) -> Any:
        """Return the first value, which several devices compute together if they divide it."""

        def make() -> Any:
            return initial_value(initializer, self._shape, self._dtype, self.name)

        sharding = dividing(self)
        if sharding is None:
            return make()
        # A function of the user, or a generator that counts its draws, may do what cannot be
        # compiled.
        pure = type(initializer).__module__ == "hornbeam.initializers" and isinstance(
            getattr(initializer, "seed", None), int | None
        )
        return jax.jit(make, out_shardings=sharding)() if pure else moved(make(), sharding)

    def __getattr__(self, name: str) -> Any:
        # Called only for a missing attribute: here, a value that was not read or assigned yet.
        if name == "_value" and self.__dict__.get("_first_value") is not None:
            self._make_first_value()
            return self.__dict__["_value"]
        raise AttributeError(f"Variable '{self.__dict__.get('path')}' has no attribute {name!r}.")

    def _pay(self) -> None:
        """Charge the value's memory to the allowance of a file that is being loaded, once."""
        if (rules := current_loading()) is not None:
            rules.pay(self.nbytes, f"the variable '{self.path}'", self)

    @property
    def nbytes(self) -> int:
        """Size of the value in bytes."""
        return math.prod(self._shape) * jnp.dtype(self._dtype).itemsize

    @property
    def stored(self) -> jax.Array:
        """The array as it is stored, whatever overlay or autocast scope is open.

        Files and compiled programs take it. It must not be kept: a later step may donate its
        buffer.
        """
        return self._value

    @property
    def stored_dtype(self) -> str:
        """Dtype of the stored array, whatever autocast scope is open."""
        return self._dtype

    @property
    def value(self) -> Tensor:
        """The array, or the value in the open overlay, in the dtype of the autocast scope."""
        overlay = _overlay.get()
        if overlay is None:
            value: Any = self._array()
        else:
            value = overlay.value_of(self)
        if (tapes := tape_trace()) is not None:
            known = tapes.read(self, value)
            if known is not value:
                self._replace(known)
                value = known
        dtype = _autocast.get()
        if dtype is not None and self.autocast and dtype != self._dtype and is_float(self._dtype):
            return value.astype(dtype)
        return value

    def _replace(self, equal: Any) -> None:
        """Replace the array by another with the same numbers."""
        overlay = _overlay.get()
        if overlay is not None:
            overlay.replace(self, equal)
        else:
            self._value = equal

    def _array(self) -> jax.Array:
        if isinstance(self._value, np.ndarray):  # zeros that were not read yet
            with jax.core.eval_context():
                self._value = jax.device_put(self._value)
        self._lent = True
        return self._value

    def set_zeros(self) -> None:
        """Set the value to zeros. They are copied to the device when they are first used."""
        if _overlay.get() is not None:
            self.assign(jnp.zeros(self._shape, self._dtype))
        else:
            self._value = np.zeros(self._shape, jnp.dtype(self._dtype))  # type: ignore[assignment]
            self._lent, self._first_value = False, None

    def assign(self, value: Tensor) -> Self:
        """Replace the value by another of the same shape, which is cast to the variable's dtype.

        Returns:
            The variable.

        Raises:
            ValueError: If `value` has another shape, or exists only while JAX traces a function.
        """
        if isinstance(value, Variable):
            value = value.value
        elif isinstance(value, (list, tuple)):
            value = np.asarray(value)
        shape = jnp.shape(value)
        if shape != self._shape:
            raise ValueError(
                f"Variable '{self.path}': cannot assign a value of shape {shape}, expected"
                f" {self._shape}."
            )
        overlay = _overlay.get()
        outer = None if overlay is None else overlay.trace
        if current_trace() is not outer:
            value = self._lasting(value, outer)
        if overlay is not None:
            overlay.assign(self, jnp.asarray(value, dtype=self._dtype))
        else:
            self._pay()
            # A JAX array is shared with the caller. Anything else is copied, since JAX on CPU may
            # share memory with a NumPy array, which the caller may change.
            if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
                with np.errstate(all="ignore"):
                    # JAX's cast would compile a program
                    value = value.astype(self._dtype, copy=False)
            make = jnp.asarray if isinstance(value, jax.Array) else _copied
            sharding = dividing(self)
            if sharding is None:
                self._value = make(value, self._dtype)
            else:  # each device gets its part of the array on the host
                if not isinstance(value, jax.Array):
                    value = np.asarray(value)
                value = value.astype(self._dtype)
                self._value = moved(value, sharding)
            self._lent, self._first_value = True, None
        return self

    def _lasting(self, value: Any, outer: Any) -> Any:
        """Return `value` as it can be kept when the transformed function has returned."""
        lasting = without_inner_traces(value, outer)
        if lasting is None:
            raise ValueError(
                f"Variable '{self.path}' cannot be assigned inside a function that you transform"
                " with JAX (jax.jit, jax.vmap, jax.lax.scan, ...): the value exists only while"
                " JAX traces the function. Call `stateless_call` of the layer or model there (or"
                " the stateless methods of the metric or optimizer) and return the new values. For"
                " loops and conditions inside a layer use `ops.scan`, `ops.cond` and their like."
            )
        if isinstance(lasting, jax.core.Tracer):
            return lasting
        with jax.core.eval_context():
            return jnp.asarray(lasting, self._dtype)

    def assign_add(self, value: Tensor) -> Self:
        """Add `value`, and return the variable."""
        return self.assign(self._uncast() + jnp.asarray(value, self._dtype))

    def assign_sub(self, value: Tensor) -> Self:
        """Subtract `value`, and return the variable."""
        return self.assign(self._uncast() - jnp.asarray(value, self._dtype))

    def _uncast(self) -> Any:
        with autocast_scope(None):
            return self.value

    def take_over(self, value: jax.Array) -> None:
        """Replace the value by an array that no caller holds, such as a compiled step's result."""
        self._value = value
        self._lent, self._first_value = False, None

    def value_for_donation(self) -> jax.Array:
        """Return an array that is safe to donate, a copy if a caller may hold the value."""
        if not self._lent:
            return self._value
        return _copied(self._value, None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self._shape

    @property
    def dtype(self) -> str:
        """Dtype of `value`, in which an autocast scope counts."""
        dtype = _autocast.get()
        if dtype is None or not self.autocast or not is_float(self._dtype):
            dtype = self._dtype
        if jax_asks_for_dtype():
            return jnp.dtype(dtype)  # type: ignore[return-value]  # JAX takes no name
        return dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._shape)

    def numpy(self) -> np.ndarray:
        """Return a copy of the value as a NumPy array."""
        return np.array(whole(self.value))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = np.asarray(whole(self.value), dtype=dtype)
        return array.copy() if copy else array  # `np.array(variable)` asks for a copy

    def __jax_array__(self) -> Any:
        return self.value

    def __repr__(self) -> str:
        overlay = _overlay.get()
        shown = (
            "traced" if overlay is not None else np.array2string(whole(self._value), threshold=8)
        )
        return (
            f"<Variable path={self.path}, shape={self._shape}, dtype={self._dtype}, value={shown}>"
        )

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]

    def __bool__(self) -> bool:
        return bool(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __len__(self) -> int:
        return self._shape[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.value)

    # `==` between two variables compares identities, so that lists of variables can be searched.
    # With anything else it compares elements.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return self is other if isinstance(other, Variable) else self.value == other

    def __ne__(self, other: object) -> Any:
        return self is not other if isinstance(other, Variable) else self.value != other


def _copied(value: Any, dtype: Any) -> jax.Array:
    """Return a copy of `value`, made without compiling a program where possible."""
    wanted = None if dtype is None else jnp.dtype(dtype)
    if isinstance(value, jax.Array) and wanted in (None, value.dtype) and _is_small_on_host(value):
        return jax.device_put(np.array(value))
    known = isinstance(value, (np.ndarray, np.generic)) and value.dtype == wanted
    if known or (
        isinstance(value, (np.ndarray, np.generic, float, int))
        and (wanted is None or is_float(wanted))
    ):
        with np.errstate(all="ignore"):
            return jax.device_put(np.array(value, dtype=wanted))
    return jnp.array(value, dtype=dtype)


def _is_small_on_host(value: jax.Array) -> bool:
    if isinstance(value, jax.core.Tracer) or jnp.issubdtype(value.dtype, jax.dtypes.extended):
        return False
    return (
        value.size < 2**20
        and jax.default_backend() == "cpu"
        and len(value.sharding.device_set) == 1
    )


def _add_operators() -> None:
    """Give `Variable` the arithmetic of its value."""
    binary = "add sub mul truediv floordiv mod pow matmul".split()
    names = [f"__{prefix}{name}__" for name in binary for prefix in ("", "r")]
    for name in [*names, *(f"__{word}__" for word in "lt le gt ge".split())]:

        def method(self: Variable, other: Any, name: str = name) -> Any:
            if isinstance(other, Variable):
                other = other.value
            return getattr(self.value, name)(other)

        setattr(Variable, name, method)
    for name in ("__neg__", "__pos__", "__abs__", "__invert__"):
        setattr(Variable, name, lambda self, name=name: getattr(self.value, name)())
    # Logical, as for symbolic tensors, so that a graph and a variable give the same.
    for word in ("and", "or", "xor"):
        logical = getattr(jnp, f"logical_{word}")
        for name in (f"__{word}__", f"__r{word}__"):
            setattr(Variable, name, lambda self, x, logical=logical: logical(self.value, x))
    Variable.__round__ = (  # type: ignore[attr-defined]
        lambda self, digits=0: jnp.round(self.value, digits or 0)
    )


_add_operators()
accept_as_argument(Variable)


def value_and_grad(
    function: Callable[[], Any],
    variables: Sequence[Variable],
    has_aux: bool = False,
    differentiate: Callable[[Callable[[Any], Any]], Callable[[Any], Any]] | None = None,
) -> tuple[Any, list[Any]]:
    """Run `function` and differentiate its result with respect to variables.

    Its assignments to other variables, such as moving averages, metrics and seeds, take effect as
    in a plain call.

    Args:
        function: Takes nothing, returns a scalar loss; with `has_aux`, a pair of loss and
            anything else.
        variables: Variables to differentiate by.
        has_aux: Whether `function` returns a pair. Masks of tensors in its second part are kept.
        differentiate: What takes the place of `jax.value_and_grad(..., has_aux=True)`, such as
            `hornbeam.ops.rows.value_and_grad`.

    Returns:
        The result of `function`, and the gradients in the order of `variables`. Each has the shape
        and dtype of its variable.

    Example:
        >>> w = Variable(3.0)
        >>> loss, grads = value_and_grad(lambda: w.value ** 2, [w])
        >>> float(loss), float(grads[0])
        (9.0, 6.0)
    """
    variables = list(variables)
    assigned: list[Variable] = []

    def pure(values: list[Any]) -> tuple[Any, tuple[Any, list[Any], list[Any]]]:
        with Overlay(variables, values) as overlay:
            result = function()
            loss, aux = result if has_aux else (result, None)
        assigned[:] = overlay.assigned
        masks = [get_mask(x) for x in jax.tree.leaves(aux)]
        return loss, (aux, masks, [overlay.value_of(v) for v in assigned])

    with autocast_scope(None):
        values = [v.value for v in variables]
    differentiate = differentiate or functools.partial(jax.value_and_grad, has_aux=True)
    (loss, (aux, masks, updates)), grads = differentiate(pure)(values)
    for x, mask in zip(jax.tree.leaves(aux), masks, strict=True):
        if mask is not None:
            set_mask(x, mask)
    for variable, update in zip(assigned, updates, strict=True):
        variable.assign(update)
    return ((loss, aux) if has_aux else loss), grads
