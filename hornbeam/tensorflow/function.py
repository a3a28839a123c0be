"""`tf.function`, and functions with gradients or results that Python computes."""

from __future__ import annotations

import functools
import inspect
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import tree
from hornbeam.core.scopes import in_symbolic_scope
from hornbeam.core.tensor import any_symbolic
from hornbeam.core.traces import current_trace
from hornbeam.core.units import Unit
from hornbeam.core.variable import Variable, current_overlay
from hornbeam.data.dataset import Dataset
from hornbeam.tensorflow.arrays import convert_to_tensor
from hornbeam.tensorflow.errors import NeedsValuesError
from hornbeam.tensorflow.host import TensorShape
from hornbeam.tensorflow.string_tensor import StringTensor

__all__ = [
    "Function", "custom_gradient", "executing_eagerly", "function", "functions_run_eagerly",
    "grad_pass_through", "inside_function", "numpy_function", "py_function", "recompute_grad",
    "run_functions_eagerly",
]  # fmt: skip

_run_eagerly = False


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Run functions of `tf.function` as plain Python, for example to debug them.

    Args:
        run_eagerly: Whether to do so from now on.
    """
    global _run_eagerly
    _run_eagerly = bool(run_eagerly)


def functions_run_eagerly() -> bool:
    """Return whether functions of `tf.function` run as plain Python."""
    return _run_eagerly


def executing_eagerly() -> bool:
    """Return whether values are known: not inside a compiled function."""
    return current_trace() is None


def inside_function() -> bool:
    """Return whether a function is being compiled."""
    return current_trace() is not None


class Function:
    """A compiled function.

    It is traced for each new combination of shapes and dtypes of tensors and of values of Python. A
    condition of Python on the value of a tensor, `tf.py_function` and a `tf.TensorArray` that is
    written in `tf.while_loop` cannot be traced; such a function then runs as plain Python, with a
    warning.

    Args:
        python_function: The function.
        input_signature: `tf.TensorSpec` of each argument; other shapes are refused.

    Attributes:
        python_function: The function as it was given.
        input_signature: Likewise.
    """

    def __init__(self, python_function: Callable[..., Any], input_signature: Any = None):
        self.__name__ = "function"
        functools.update_wrapper(self, python_function)
        self.python_function, self.input_signature = python_function, input_signature
        self._units: dict[Any, Unit] = {}
        self._is_plain = False
        self._bound: weakref.WeakKeyDictionary[Any, Function] = weakref.WeakKeyDictionary()

    def __get__(self, owner: Any, cls: Any = None) -> Any:
        """Return the method of an object; each object has programs of its own."""
        if owner is None:
            return self
        try:
            known = self._bound.get(owner)
        except TypeError:  # without a hash
            return functools.partial(self, owner)
        if known is None:
            held = weakref.ref(owner)

            @functools.wraps(self.python_function)
            def method(*args: Any, **kwargs: Any) -> Any:
                return self.python_function(held(), *args, **kwargs)

            known = self._bound[owner] = Function(method, self.input_signature)
        return known

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function."""
        args = self._converted(args)
        if self._runs_plain((args, kwargs)):
            return self.python_function(*args, **kwargs)
        leaves, form = jax.tree.flatten((args, kwargs))
        are_arrays = tuple(isinstance(x, (jax.Array, np.ndarray)) for x in leaves)
        settings = tuple(x for x, flag in zip(leaves, are_arrays, strict=True) if not flag)
        arrays = [x for x, flag in zip(leaves, are_arrays, strict=True) if flag]
        key = (form, are_arrays, settings, tuple(map(type, settings)))
        try:
            unit = self._units.get(key)
        except TypeError:  # an argument without a hash
            return self.python_function(*args, **kwargs)
        if unit is None:
            unit = self._units[key] = Unit(self._of_arrays(form, are_arrays, settings))
        try:
            return unit(*arrays)
        except (jax.errors.JAXTypeError, jax.errors.JAXIndexError, NeedsValuesError) as error:
            return self._run_plain(error, args, kwargs)

    def _runs_plain(self, arguments: Any) -> bool:
        return (
            self._is_plain
            or _run_eagerly
            or current_trace() is not None
            or current_overlay() is not None
            or in_symbolic_scope()
            or any_symbolic(arguments)
            or any(isinstance(x, (StringTensor, Dataset)) for x in tree.flatten(arguments))
        )

    def _run_plain(self, error: Exception, args: Any, kwargs: Any) -> Any:
        self._is_plain = True
        warnings.warn(
            f"tf.function: '{getattr(self, '__name__', 'function')}' runs as plain Python, because"
            " it cannot be compiled: a condition, a loop or NumPy in it needs the value of a"
            " tensor. Use `tf.cond`, `tf.while_loop`, `tf.where` or functions of `tf` there to"
            f" compile it. The cause: {str(error).splitlines()[0]:.150}",
            stacklevel=3,
        )
        return self.python_function(*args, **kwargs)

    def _of_arrays(self, form: Any, are_arrays: Any, settings: Any) -> Callable[..., Any]:
        function = self.python_function

        def of_arrays(*arrays: Any) -> Any:
            one, two = iter(arrays), iter(settings)
            leaves = [next(one) if flag else next(two) for flag in are_arrays]
            args, kwargs = jax.tree.unflatten(form, leaves)
            return jax.tree.map(_as_result, function(*args, **kwargs))

        return of_arrays

    def _converted(self, args: tuple) -> tuple:
        """Return the arguments as `input_signature` wants them."""
        if self.input_signature is None:
            return args
        if len(args) > len(self.input_signature):
            raise TypeError(
                f"{self.__name__}: `input_signature` describes {len(self.input_signature)}"
                f" arguments, received {len(args)}."
            )
        pairs = zip(self.input_signature, args, strict=False)
        return tuple(_checked(self.__name__, spec, x) for spec, x in pairs)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> Function:
        """Return the function; it is compiled when it is called with tensors of a shape."""
        return self

    def experimental_get_tracing_count(self) -> int:
        """Return the number of combinations of arguments that were traced."""
        return len(self._units)


def _checked(name: str, spec: Any, x: Any) -> Any:
    if not hasattr(spec, "shape"):
        return jax.tree.map(lambda s, y: _checked(name, s, y), spec, x)
    x = x if isinstance(x, Variable) else convert_to_tensor(x, spec.dtype)
    if spec.shape is not None and not TensorShape(spec.shape).is_compatible_with(tuple(x.shape)):
        raise TypeError(
            f"{name}: an argument of shape {tuple(x.shape)} does not fit {spec!r} of"
            " `input_signature`."
        )
    return x


def _as_result(x: Any) -> Any:
    return x.value if isinstance(x, Variable) else x


def function(
    func: Any = None, input_signature: Any = None, autograph: bool = True, jit_compile: Any = None,
    reduce_retracing: bool = False, experimental_implements: Any = None,
    experimental_autograph_options: Any = None, experimental_attributes: Any = None,
    experimental_relax_shapes: Any = None, experimental_compile: Any = None,
    experimental_follow_type_hints: Any = None,
) -> Any:  # fmt: skip
    """Return a compiled function; used as a decorator with or without arguments.

    Args:
        func: The function.
        input_signature: `tf.TensorSpec` of each argument.
        autograph: No effect; conditions of Python on tensors run as plain Python.
        jit_compile: No effect; XLA compiles all functions.
        reduce_retracing: No effect.
        experimental_implements: No effect, as all further arguments.

    Example:
        >>> @function
        ... def double(x):
        ...     return 2 * x
        >>> float(double(jnp.asarray(3.0)))
        6.0
    """
    if func is None:
        return lambda func: Function(func, input_signature)
    return Function(func, input_signature)


def custom_gradient(f: Any = None) -> Any:
    """Return a function whose gradient the user computes.

    Args:
        f: Returns the result, and a function from the gradients of the results to those of the
            arguments.

    Example:
        >>> @custom_gradient
        ... def clipped(x):
        ...     return x, lambda dy: jnp.clip(dy, -1, 1)
        >>> float(jax.grad(lambda x: 5 * clipped(x))(2.0))
        1.0
    """

    @functools.wraps(f)
    def run(*args: Any, **kwargs: Any) -> Any:
        arrays = [convert_to_tensor(x) for x in args]

        @jax.custom_vjp
        def call(*xs: Any) -> Any:
            return f(*xs, **kwargs)[0]

        def forward(*xs: Any) -> Any:
            return call(*xs), xs

        def backward(xs: Any, gradients: Any) -> Any:
            pull = f(*xs, **kwargs)[1]
            given = gradients if isinstance(gradients, (list, tuple)) else (gradients,)
            wants = inspect.signature(pull).parameters
            found = pull(*given, variables=[]) if "variables" in wants else pull(*given)
            found = found if isinstance(found, (list, tuple)) else (found,)
            return tuple(
                jnp.zeros_like(x) if g is None else jnp.asarray(g, x.dtype)
                for g, x in zip(found, xs, strict=True)
            )

        call.defvjp(forward, backward)
        return call(*arrays)

    return run


def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose gradient is that of its argument."""

    @custom_gradient
    def run(x: Any) -> Any:
        return f(x), lambda dy: dy

    return run


def recompute_grad(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is computed again for its gradient, which saves memory."""
    return functools.wraps(f)(jax.checkpoint(f))


def _on_host(name: str, func: Any, inp: Any, convert: Callable[[Any], Any], Tout: Any) -> Any:
    """Call a function of Python with the values of tensors."""
    given = [convert_to_tensor(x) for x in (inp if isinstance(inp, (list, tuple)) else [inp])]
    if any(isinstance(x, jax.core.Tracer) for x in given):
        raise NeedsValuesError(
            f"{name}: its tensors have no values while a function is compiled. Call it outside of"
            " `tf.function`, or use `jax.pure_callback` with the shape of the result."
        )
    found = func(*map(convert, given))
    if found is None or Tout is None or (isinstance(Tout, (list, tuple)) and not Tout):
        return None if found is None else jax.tree.map(convert_to_tensor, found)
    if isinstance(Tout, (list, tuple)):
        found = found if isinstance(found, (list, tuple)) else [found]
        return [convert_to_tensor(x, t) for x, t in zip(found, Tout, strict=True)]
    if isinstance(found, (list, tuple)) and len(found) == 1:
        found = found[0]
    return convert_to_tensor(found, getattr(Tout, "dtype", Tout))


def py_function(func: Any = None, inp: Any = None, Tout: Any = None, name: Any = None) -> Any:
    """Return what a function of Python makes of tensors.

    Args:
        func: The function.
        inp: List of its arguments.
        Tout: Dtype of the result, or a list of dtypes.
        name: No effect.
    """
    return _on_host("py_function", func, inp, lambda x: x, Tout)


def numpy_function(
    func: Any = None,
    inp: Any = None,
    Tout: Any = None,
    stateful: bool = True,
    name: Any = None,
) -> Any:
    """Return what a function of NumPy's arrays makes of tensors; see `py_function`."""

    def convert(x: Any) -> Any:
        array = x.array if isinstance(x, StringTensor) else np.asarray(x)
        return array if array.ndim else array[()]

    return _on_host("numpy_function", func, inp, convert, Tout)
