"""Variables, and the overlay that maps them to traced values.

A `Variable` holds one array and is used as a plain object. Inside an
`Overlay` its value is whatever the overlay says, and assignments stay in the
overlay: that is how code that assigns becomes a pure function of its state.
Overlays are context-local, so that threads may trace and predict at once.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.core import naming, registry
from hornbeam.core.loading import current_loading
from hornbeam.dtypes import is_float, standardize_dtype

__all__ = ["Overlay", "Variable", "autocast_scope", "current_overlay", "value_and_grad"]

_overlay: ContextVar[Overlay | None] = ContextVar("hornbeam_overlay", default=None)
_first_values = threading.RLock()
_autocast: ContextVar[str | None] = ContextVar("hornbeam_autocast", default=None)


class Overlay:
    """Values of variables for the duration of a block; assignments end here.

    Args:
        variables: Variables to map.
        values: Their values, in the same order.
        abstract: Whether only shapes are wanted: zeros then stand in for values that were not made yet.

    Reading a variable that the overlay does not map falls back to the overlay
    outside, then to the variable's own array; such a variable is noted in
    `strays`, because a compiled program would freeze what it read.

    Example:
        >>> counter = Variable(0.0, name="counter")
        >>> with Overlay([counter], [5.0]) as overlay:
        ...     counter.assign_add(1.0)
        ...     seen = float(counter.value)
        >>> seen, float(counter.value), float(overlay.value_of(counter))
        (6.0, 0.0, 6.0)
    """

    def __init__(self, variables: Iterable[Variable] = (), values: Iterable[Any] = (), abstract: bool = False):
        self._abstract = abstract
        self._values = dict(zip(variables, values, strict=True))
        self._mapped = frozenset(self._values)
        self.assigned: dict[Variable, None] = {}  # in the order of first assignment
        self.strays: dict[Variable, None] = {}  # read or assigned without being mapped
        self.losses: list[tuple[Any, Any]] = []  # (layer, value) pairs of `add_loss`
        self.sums: list[tuple[Any, Any, Any]] = []  # what `ops.rows.parts_of_sum` knows of gradients made in this block
        self._outer: Overlay | None = None

    def __enter__(self) -> Overlay:
        self._outer = _overlay.get()
        self._token = _overlay.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _overlay.reset(self._token)

    def value_of(self, variable: Variable) -> Any:
        """Return the value of `variable` as code inside the block sees it."""
        if variable in self._values:
            return self._values[variable]
        self.strays[variable] = None
        if self._outer is not None:
            return self._outer.value_of(variable)
        if self._abstract and variable.__dict__.get("_first_value") is not None:
            return jnp.zeros(variable._shape, variable._dtype)  # traced, so that nothing is allocated
        return variable._array()

    def assign(self, variable: Variable, value: Any) -> None:
        """Set the value of `variable` inside the block."""
        if variable not in self._mapped:
            self.strays[variable] = None
        self._values[variable] = value
        self.assigned[variable] = None


def current_overlay() -> Overlay | None:
    """Return the innermost overlay of this context, or `None`."""
    return _overlay.get()


@contextmanager
def autocast_scope(dtype: str | None) -> Iterator[None]:
    """Read floating-point variables as `dtype` inside the block (`None`: as stored)."""
    token = _autocast.set(dtype)
    try:
        yield
    finally:
        _autocast.reset(token)


class Variable:
    """An array that can be assigned, with a name and a place in its layer.

    Args:
        initializer: A value, or a function of `(shape, dtype)` that makes one.
        shape: Shape, needed where `initializer` is a function.
        dtype: Dtype name. Default: that of the value, `floatx()` for a function.
        trainable: Whether optimizers change it.
        autocast: Whether layers with a mixed dtype policy read it in their compute dtype.
        aggregation: How replicas combine it: `"none"`, `"mean"`, `"sum"`, `"only_first_replica"`.
        synchronization: Kept for Keras's signature; one program holds all replicas here.
        name: Name. Default: `"variable"`, numbered.
        layout: Kept for `hornbeam.distribution`.

    Raises:
        ValueError: If `initializer` is a function and `shape` is missing or has unknown sizes.

    Example:
        >>> v = Variable([1.0, 2.0], name="v")
        >>> v.assign_add([1.0, 1.0])
        >>> v.numpy()
        array([2., 3.], dtype=float32)
    """

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        synchronization: str = "auto",
        name: str | None = None,
        layout: Any = None,
    ):
        self.name = name or naming.auto_name("variable")
        if "/" in self.name:
            raise ValueError(f"Variable: `name` must not contain '/', received {name!r}.")
        scope = naming.current_path()
        self.path = f"{scope}/{self.name}" if scope else self.name
        self.trainable = trainable
        # Where it stands among a layer's variables does not change when it is frozen later.
        self.created_trainable = trainable
        self.autocast = autocast
        self.aggregation = aggregation
        self.synchronization = synchronization
        self.layout = layout
        self.regularizer: Callable[[Any], Any] | None = None
        self.constraint: Callable[[Any], Any] | None = None
        self.adapted: Any = None  # what computes with the weight in its place, see `hornbeam.adaptation`
        self.overwrite_with_gradient = False
        if isinstance(initializer, str):
            initializer = registry.family("initializer").get(initializer)
        # Whether somebody else may hold the array; if so it must not be donated.
        self._lent = False
        if callable(initializer):
            if shape is None or any(size is None for size in shape):
                raise ValueError(
                    f"Variable '{self.path}': `shape` must be fully known where the "
                    f"initializer is a function, received {shape}."
                )
            self._shape = tuple(int(size) for size in shape)
            self._dtype = jnp.dtype(standardize_dtype(dtype)).name
            self._first_value: Callable[..., Any] | None = initializer
            if current_loading() is None:
                self._make_first_value()
            return
        value = initializer.value if isinstance(initializer, Variable) else initializer
        if dtype is None and not hasattr(value, "dtype"):
            kind = np.asarray(value).dtype
            dtype = standardize_dtype(None if kind.kind == "f" else kind)
        # Made outside any trace that is under way: a variable outlives the trace.
        with jax.core.eval_context():
            # A copy, so that the buffer is this variable's own and may be donated.
            self._value: jax.Array = _copied(value, None if dtype is None else standardize_dtype(dtype))
        if shape is not None and tuple(shape) != self._value.shape:
            raise ValueError(
                f"Variable '{self.path}': the initial value has shape {self._value.shape}, expected {tuple(shape)}."
            )
        self._shape = self._value.shape
        self._dtype = self._value.dtype.name

    def _make_first_value(self) -> None:
        """Let the initializer make the value; while a file is being loaded that waits until somebody reads it."""
        with _first_values, jax.core.eval_context():
            initializer = self.__dict__.get("_first_value")
            if initializer is None:
                return  # another thread was faster
            self._pay()
            value = initializer(self._shape, dtype=self._dtype)
            # A user's function may keep what it returns.
            fresh = type(initializer).__module__ == "hornbeam.initializers"
            value = jnp.asarray(value, dtype=self._dtype) if fresh else _copied(value, self._dtype)
            if value.shape != self._shape:
                raise ValueError(
                    f"Variable '{self.path}': the initial value has shape {value.shape}, expected {self._shape}."
                )
            self._value, self._first_value = value, None

    def __getattr__(self, name: str) -> Any:
        # Reached only where the attribute is missing: a value that nobody has read or assigned yet.
        if name == "_value" and self.__dict__.get("_first_value") is not None:
            self._make_first_value()
            return self.__dict__["_value"]
        raise AttributeError(f"Variable '{self.__dict__.get('path')}' has no attribute {name!r}.")

    def _pay(self) -> None:
        """Take the room of the value from what a file that is being loaded may claim, once."""
        if (rules := current_loading()) is not None:
            rules.pay(self._nbytes, f"the variable '{self.path}'", self)

    @property
    def _nbytes(self) -> int:
        return math.prod(self._shape) * jnp.dtype(self._dtype).itemsize

    @property
    def value(self) -> Any:
        """The array, or what the current overlay has in its place."""
        overlay = _overlay.get()
        if overlay is None:
            value: Any = self._array()
        else:
            value = overlay.value_of(self)
        dtype = _autocast.get()
        if dtype is not None and self.autocast and dtype != self._dtype and is_float(self._dtype):
            return value.astype(dtype)
        return value

    def _array(self) -> jax.Array:
        if isinstance(self._value, np.ndarray):  # zeros that nobody has read yet
            with jax.core.eval_context():
                self._value = jax.device_put(self._value)
        self._lent = True
        return self._value

    def _set_zeros(self) -> None:
        """Set the value to zeros, which reach the device with the next program that uses them."""
        if _overlay.get() is not None:
            self.assign(jnp.zeros(self._shape, self._dtype))
        else:
            self._value = np.zeros(self._shape, jnp.dtype(self._dtype))  # type: ignore[assignment]
            self._lent, self._first_value = False, None

    def assign(self, value: Any) -> None:
        """Replace the value; the shape must stay, the dtype is kept.

        Raises:
            ValueError: If `value` has another shape.
        """
        if isinstance(value, Variable):
            value = value.value
        elif isinstance(value, (list, tuple)):
            value = np.asarray(value)
        shape = jnp.shape(value)
        if shape != self._shape:
            raise ValueError(f"Variable '{self.path}': cannot assign a value of shape {shape}, expected {self._shape}.")
        overlay = _overlay.get()
        if overlay is not None:
            overlay.assign(self, jnp.asarray(value, dtype=self._dtype))
        else:
            self._pay()
            # A JAX array given here stays the giver's; anything else is copied, since JAX on CPU may share memory
            # with a NumPy array, which its owner may change.
            if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
                with np.errstate(all="ignore"):
                    value = value.astype(self._dtype, copy=False)  # not a program to compile, as JAX's cast is
            make = jnp.asarray if isinstance(value, jax.Array) else _copied
            self._value = make(value, self._dtype)
            self._lent, self._first_value = True, None

    def assign_add(self, value: Any) -> None:
        """Add `value`."""
        self.assign(self._uncast() + jnp.asarray(value, self._dtype))

    def assign_sub(self, value: Any) -> None:
        """Subtract `value`."""
        self.assign(self._uncast() - jnp.asarray(value, self._dtype))

    def _uncast(self) -> Any:
        with autocast_scope(None):
            return self.value

    def _set_own(self, value: jax.Array) -> None:
        """Take over an array that nobody else holds (the result of a compiled step)."""
        self._value = value
        self._lent, self._first_value = False, None

    def _take_for_donation(self) -> jax.Array:
        """Return an array that may be donated: the own one, or a copy where it is lent."""
        if not self._lent:
            return self._value
        return _copied(self._value, None)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> str:
        dtype = _autocast.get()
        if dtype is not None and self.autocast and is_float(self._dtype):
            return dtype
        return self._dtype

    @property
    def ndim(self) -> int:
        return len(self._shape)

    def numpy(self) -> np.ndarray:
        """Return a copy of the value as a NumPy array."""
        return np.array(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.value, dtype=dtype)

    def __jax_array__(self) -> Any:
        return self.value

    def __repr__(self) -> str:
        overlay = _overlay.get()
        shown = "traced" if overlay is not None else np.array2string(np.asarray(self._value), threshold=8)
        return f"<Variable path={self.path}, shape={self._shape}, dtype={self._dtype}, value={shown}>"

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

    # Between two variables `==` asks whether they are the same object, so that lists of
    # variables can be searched; with anything else it compares elements.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return self is other if isinstance(other, Variable) else self.value == other

    def __ne__(self, other: object) -> Any:
        return self is not other if isinstance(other, Variable) else self.value != other


def _copied(value: Any, dtype: Any) -> jax.Array:
    """Return an array of its own, where that can be without a program that XLA would have to compile."""
    wanted = None if dtype is None else jnp.dtype(dtype)
    if isinstance(value, jax.Array) and wanted in (None, value.dtype) and _is_small_on_host(value):
        return jax.device_put(np.array(value))
    known = isinstance(value, (np.ndarray, np.generic)) and value.dtype == wanted
    if known or (isinstance(value, (np.ndarray, np.generic, float, int)) and (wanted is None or is_float(wanted))):
        with np.errstate(all="ignore"):
            return jax.device_put(np.array(value, dtype=wanted))
    return jnp.array(value, dtype=dtype)


def _is_small_on_host(value: jax.Array) -> bool:
    if isinstance(value, jax.core.Tracer) or jnp.issubdtype(value.dtype, jax.dtypes.extended):
        return False
    return value.size < 2**20 and jax.default_backend() == "cpu" and len(value.sharding.device_set) == 1


def _add_operators() -> None:
    """Give `Variable` the arithmetic of its value."""
    binary = "add sub mul truediv floordiv mod pow matmul and or xor".split()
    names = [f"__{prefix}{name}__" for name in binary for prefix in ("", "r")]
    for name in [*names, *(f"__{word}__" for word in "lt le gt ge".split())]:

        def method(self: Variable, other: Any, name: str = name) -> Any:
            if isinstance(other, Variable):
                other = other.value
            return getattr(self.value, name)(other)

        setattr(Variable, name, method)
    for name in ("__neg__", "__pos__", "__abs__", "__invert__"):
        setattr(Variable, name, lambda self, name=name: getattr(self.value, name)())


_add_operators()


def value_and_grad(
    function: Callable[[], Any], variables: Sequence[Variable], has_aux: bool = False
) -> tuple[Any, list[Any]]:
    """Run `function` and differentiate what it returns with respect to variables.

    What `function` assigns to other variables (moving averages, metrics, seeds) takes
    effect as in a plain call.

    Args:
        function: Takes nothing, returns a scalar loss; with `has_aux`, a pair of loss and
            anything else.
        variables: Variables to differentiate by.
        has_aux: Whether `function` returns a pair.

    Returns:
        What `function` returned, and the gradients in the order of `variables`, each of
        its variable's shape and dtype.

    Example:
        >>> w = Variable(3.0)
        >>> loss, grads = value_and_grad(lambda: w.value ** 2, [w])
        >>> float(loss), float(grads[0])
        (9.0, 6.0)
    """
    variables = list(variables)
    assigned: list[Variable] = []

    def pure(values: list[Any]) -> tuple[Any, tuple[Any, list[Any]]]:
        with Overlay(variables, values) as overlay:
            result = function()
            loss, aux = result if has_aux else (result, None)
        assigned[:] = overlay.assigned
        return loss, (aux, [overlay.value_of(v) for v in assigned])

    with autocast_scope(None):
        values = [v.value for v in variables]
    (loss, (aux, updates)), grads = jax.value_and_grad(pure, has_aux=True)(values)
    for variable, update in zip(assigned, updates, strict=True):
        variable.assign(update)
    return ((loss, aux) if has_aux else loss), grads
