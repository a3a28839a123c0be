"""`tf.debugging`: checks of values, ranks and dtypes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam.tensorflow.dtypes import as_dtype
from hornbeam.tensorflow.errors import InvalidArgumentError
from hornbeam.tensorflow.functions import named, static, tensor
from hornbeam.tensorflow.string_tensor import as_strings, holds_text

__all__ = [
    "Assert", "assert_all_finite", "assert_equal", "assert_greater", "assert_greater_equal",
    "assert_integer", "assert_less", "assert_less_equal", "assert_near", "assert_negative",
    "assert_non_negative", "assert_non_positive", "assert_none_equal", "assert_positive",
    "assert_rank", "assert_rank_at_least", "assert_rank_in", "assert_scalar", "assert_shapes",
    "assert_type", "check_numerics", "disable_check_numerics", "disable_traceback_filtering",
    "enable_check_numerics", "enable_traceback_filtering", "is_numeric_tensor",
    "set_log_device_placement",
]  # fmt: skip


def _values(x: Any) -> Any:
    if holds_text(x):
        return as_strings(x).array
    x = tensor(x)
    return x if isinstance(x, jax.core.Tracer) else np.asarray(x)


def _require(holds: Any, name: str, message: Any, *shown: Any) -> None:
    """Raise `InvalidArgumentError` unless a condition holds; in compiled code it is not checked."""
    if isinstance(holds, jax.core.Tracer) or bool(np.all(holds)):
        return
    values = ", ".join(f"{x!r:.80}" for x in shown)
    raise InvalidArgumentError(None, None, f"{message or ''} {name} failed for {values}.".strip())


def _compared(name: str, holds: Callable[[Any, Any], Any]) -> Any:
    """Return the check of a comparison between all elements of two tensors."""

    def check(x: Any, y: Any, message: Any = None, summarize: Any = None, name: Any = None) -> None:
        a, b = _values(x), _values(y)
        _require(holds(a, b), check.__name__, message, a, b)

    return named(check, name)


assert_equal = _compared("assert_equal", operator.eq)
assert_none_equal = _compared("assert_none_equal", operator.ne)
assert_greater = _compared("assert_greater", operator.gt)
assert_greater_equal = _compared("assert_greater_equal", operator.ge)
assert_less = _compared("assert_less", operator.lt)
assert_less_equal = _compared("assert_less_equal", operator.le)


def _signed(name: str, holds: Callable[[Any], Any]) -> Any:
    """Return the check of each element of a tensor."""

    def check(x: Any, message: Any = None, summarize: Any = None, name: Any = None) -> None:
        value = _values(x)
        _require(holds(value), check.__name__, message, value)

    return named(check, name)


assert_positive = _signed("assert_positive", lambda x: x > 0)
assert_negative = _signed("assert_negative", lambda x: x < 0)
assert_non_negative = _signed("assert_non_negative", lambda x: x >= 0)
assert_non_positive = _signed("assert_non_positive", lambda x: x <= 0)


def Assert(condition: Any, data: Any, summarize: Any = None, name: Any = None) -> None:
    """Raise an error with `data` unless a condition holds."""
    value = _values(condition)
    _require(value, "Assert", "", *(data if isinstance(data, (list, tuple)) else [data]))


def assert_near(
    x: Any, y: Any, rtol: Any = None, atol: Any = None, message: Any = None, summarize: Any = None,
    name: Any = None,
) -> None:  # fmt: skip
    """Check that two tensors are equal up to rounding."""
    a, b = _values(x), _values(y)
    limit = 10 * jnp.finfo(a.dtype).eps
    allowed = (limit if atol is None else atol) + (limit if rtol is None else rtol) * abs(b)
    _require(abs(a - b) <= allowed, "assert_near", message, a, b)


def assert_all_finite(x: Any, message: str = "", name: Any = None) -> Any:
    """Return a tensor if none of its numbers is infinite or not a number."""
    value = tensor(x)
    _require(jnp.isfinite(value), "assert_all_finite", message, value)
    return value


def check_numerics(tensor: Any, message: str, name: Any = None) -> Any:
    """Return a tensor if none of its numbers is infinite or not a number."""
    return assert_all_finite(tensor, message)


def _rank(x: Any) -> int:
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


def assert_rank(x: Any, rank: Any, message: Any = None, name: Any = None) -> None:
    """Check the number of axes."""
    if _rank(x) != int(static(rank)):
        raise ValueError(f"{message or ''} assert_rank: {_rank(x)} axes, expected {rank}.".strip())


def assert_rank_at_least(x: Any, rank: Any, message: Any = None, name: Any = None) -> None:
    """Check that there are at least so many axes."""
    if _rank(x) < int(static(rank)):
        text = f"{message or ''} assert_rank_at_least: {_rank(x)} axes, expected {rank} or more."
        raise ValueError(text.strip())


def assert_rank_in(x: Any, ranks: Any, message: Any = None, name: Any = None) -> None:
    """Check that the number of axes is one of a list."""
    if _rank(x) not in static(ranks):
        text = f"{message or ''} assert_rank_in: {_rank(x)} axes, expected one of {ranks}."
        raise ValueError(text.strip())


def assert_scalar(tensor: Any, message: Any = None, name: Any = None) -> Any:
    """Return a tensor if it has no axes."""
    assert_rank(tensor, 0, message)
    return tensor


def assert_shapes(
    shapes: Any, data: Any = None, summarize: Any = None, message: Any = None, name: Any = None
) -> None:
    """Check shapes in which a letter stands for a size that is the same everywhere."""
    known: dict[Any, int] = {}
    for x, sizes in shapes.items() if isinstance(shapes, dict) else shapes:
        actual = tuple(np.shape(x) if not hasattr(x, "shape") else x.shape)
        fits = len(actual) == len(sizes) and all(
            s is None or (known.setdefault(s, n) if isinstance(s, str) else int(s)) == n
            for s, n in zip(sizes, actual, strict=True)
        )
        if not fits:
            raise ValueError(
                f"{message or ''} assert_shapes: shape {actual} does not fit {sizes}.".strip()
            )


def assert_type(tensor: Any, tf_type: Any, message: Any = None, name: Any = None) -> None:
    """Check the dtype.

    Raises:
        TypeError: If it is another one.
    """
    if as_dtype(tensor.dtype) != tf_type:
        text = f"{message or ''} assert_type: {tensor.dtype}, expected {tf_type}."
        raise TypeError(text.strip())


def assert_integer(x: Any, message: Any = None, name: Any = None) -> None:
    """Check that a tensor holds integers.

    Raises:
        TypeError: If it does not.
    """
    if not as_dtype(tensor(x).dtype).is_integer:
        raise TypeError(f"{message or ''} assert_integer: {tensor(x).dtype} is none.".strip())


def is_numeric_tensor(tensor: Any) -> bool:
    """Return whether something is a tensor of numbers."""
    return isinstance(tensor, jax.Array) and bool(as_dtype(tensor.dtype).is_numeric)


def enable_check_numerics(stack_height_limit: int = 30, path_length_limit: int = 50) -> None:
    """Raise an error where a computation gives NaN."""
    jax.config.update("jax_debug_nans", True)


def disable_check_numerics() -> None:
    """Undo `enable_check_numerics`."""
    jax.config.update("jax_debug_nans", False)


def enable_traceback_filtering() -> None:
    """Do nothing; tracebacks are short."""


def disable_traceback_filtering() -> None:
    """Do nothing; tracebacks are short."""


def set_log_device_placement(enabled: bool) -> None:
    """Do nothing; operations are compiled, so single ones have no place of their own."""
