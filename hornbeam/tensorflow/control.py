"""Conditions and loops: `tf.cond`, `tf.while_loop`, `tf.map_fn`, `tf.TensorArray` and others.

Where values are known they are Python's conditions and loops, so a gradient tape records them. In
compiled functions they are those of XLA.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import ops
from hornbeam.core.tensor import any_symbolic
from hornbeam.tensorflow.arrays import convert_to_tensor
from hornbeam.tensorflow.errors import InvalidArgumentError, NeedsValuesError
from hornbeam.tensorflow.functions import static, tensor

__all__ = [
    "TensorArray", "case", "cond", "foldl", "foldr", "map_fn", "scan", "switch_case",
    "vectorized_map", "while_loop",
]  # fmt: skip


def _is_traced(*structures: Any) -> bool:
    return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(structures))


def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: Any = None) -> Any:
    """Return the result of one of two functions without arguments.

    Example:
        >>> cond(jnp.asarray(2) > 1, lambda: 10, lambda: 20)
        10
    """
    condition = tensor(pred)
    if _is_traced(condition) or any_symbolic(condition):
        return ops.cond(condition, true_fn, false_fn)
    return true_fn() if bool(condition) else false_fn()


def case(
    pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, strict: bool = False,
    name: Any = "case",
) -> Any:  # fmt: skip
    """Return the result of the function of the first true condition, else of `default`.

    Raises:
        InvalidArgumentError: If no condition holds and there is no `default`.
    """
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)

    def fail() -> Any:
        raise InvalidArgumentError(None, None, "case: no condition holds; give `default`.")

    chosen = default or (pairs[-1][1] if _is_traced([p for p, _ in pairs]) else fail)
    for condition, function in reversed(pairs):
        chosen = _either(condition, function, chosen)
    return chosen()


def _either(condition: Any, function: Any, other: Any) -> Callable[[], Any]:
    return lambda: cond(condition, function, other)


def switch_case(
    branch_index: Any, branch_fns: Any, default: Any = None, name: Any = "switch_case"
) -> Any:
    """Return the result of the function with a number; if none has it, of `default` or the last."""
    if isinstance(branch_fns, dict):
        rows = sorted(branch_fns.items())
    elif branch_fns and isinstance(branch_fns[0], (list, tuple)):
        rows = sorted(branch_fns)
    else:
        rows = list(enumerate(branch_fns))
    default = default or rows[-1][1]
    index = tensor(branch_index)
    if not _is_traced(index):
        return dict(rows).get(int(index), default)()
    chosen = default
    for number, function in rows:
        chosen = _either(index == number, function, chosen)
    return chosen()


def while_loop(
    cond: Any, body: Any, loop_vars: Any, shape_invariants: Any = None,
    parallel_iterations: int = 10, back_prop: bool = True, swap_memory: bool = False,
    maximum_iterations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """Run `body` while `cond` holds; both take the variables of the loop.

    In a compiled function, a loop has a gradient only if `maximum_iterations` is given.

    Args:
        cond: Returns whether to go on.
        body: Returns the new variables.
        loop_vars: Their first values.
        shape_invariants: No effect.
        parallel_iterations: No effect.
        back_prop: No effect.
        swap_memory: No effect.
        maximum_iterations: Largest number of runs. Default: no limit.
        name: No effect.

    Example:
        >>> [int(x) for x in while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), [0, 0])]
        [4, 6]
    """
    state = jax.tree.map(
        lambda x: x if _is_array(x) else convert_to_tensor(x), list(loop_vars), is_leaf=_is_array
    )
    limit = None if maximum_iterations is None else int(static(maximum_iterations))
    first = cond(*state)
    if not _is_traced(first, state):
        count = 0
        while (limit is None or count < limit) and bool(cond(*state)):
            state = _as_list(body(*state), state)
            count += 1
    elif any(map(_is_array, jax.tree.leaves(state, is_leaf=_is_array))):
        raise NeedsValuesError(
            "while_loop: a TensorArray is a variable of the loop, whose number of runs is not known"
            " while a function is compiled. Collect the results by `tf.map_fn` or `tf.scan`."
        )
    elif limit is None:
        state = ops.while_loop(cond, lambda *xs: tuple(_as_list(body(*xs), xs)), tuple(state))
    else:

        def step(xs: Any, _: Any) -> Any:
            new = jax.lax.cond(cond(*xs), lambda: _same(body(*xs), xs), lambda: tuple(xs))
            return new, None

        state, _ = jax.lax.scan(step, tuple(state), length=limit)
    return type(loop_vars)(state) if isinstance(loop_vars, (list, tuple)) else state


def _is_array(x: Any) -> bool:
    return isinstance(x, TensorArray)


def _as_list(result: Any, before: Any) -> list[Any]:
    """Return the results of a loop's body as a list; one variable may come without one."""
    return list(result) if isinstance(result, (list, tuple)) else [result]


def _same(result: Any, before: Any) -> tuple[Any, ...]:
    found = tuple(_as_list(result, before))
    return jax.tree.map(
        lambda new, old: jnp.asarray(new, jnp.result_type(old)), found, tuple(before)
    )


def _length(elems: Any) -> int:
    return jax.tree.leaves(elems)[0].shape[0]


def _row(elems: Any, i: int) -> Any:
    return jax.tree.map(lambda x: x[i], elems)


def _stacked(rows: list[Any]) -> Any:
    return jax.tree.map(lambda *xs: jnp.stack([tensor(x) for x in xs]), *rows)


def map_fn(
    fn: Any, elems: Any, dtype: Any = None, parallel_iterations: Any = None, back_prop: bool = True,
    swap_memory: bool = False, infer_shape: bool = True, name: Any = None,
    fn_output_signature: Any = None,
) -> Any:  # fmt: skip
    """Return the results of a function for each row, stacked.

    Example:
        >>> map_fn(lambda x: x * x, jnp.arange(3))
        Array([0, 1, 4], dtype=int32)
    """
    elems = jax.tree.map(tensor, elems)
    if _is_traced(elems):
        return jax.lax.map(fn, elems)
    return _stacked([fn(_row(elems, i)) for i in range(_length(elems))])


def vectorized_map(
    fn: Any, elems: Any, fallback_to_while_loop: bool = True, warn: bool = True
) -> Any:
    """Return the results of a function for each row, computed at once."""
    return jax.vmap(fn)(jax.tree.map(tensor, elems))


def _started(elems: Any, initializer: Any, reverse: bool) -> tuple[Any, list[Any]]:
    """Return the start of a fold, and its rows in order."""
    elems = jax.tree.map(tensor, elems)
    rows = [_row(elems, i) for i in range(_length(elems))]
    rows = rows[::-1] if reverse else rows
    if initializer is None:
        return rows[0], rows[1:]
    return jax.tree.map(convert_to_tensor, initializer), rows


def scan(
    fn: Any, elems: Any, initializer: Any = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, infer_shape: bool = True,
    reverse: bool = False, name: Any = None,
) -> Any:  # fmt: skip
    """Return the running results of a function of the last result and a row.

    Example:
        >>> scan(lambda a, x: a + x, jnp.arange(4))
        Array([0, 1, 3, 6], dtype=int32)
    """
    if initializer is not None and _is_traced(elems):

        def step(total: Any, row: Any) -> Any:
            new = fn(total, row)
            return new, new

        start = jax.tree.map(convert_to_tensor, initializer)
        return jax.lax.scan(step, start, jax.tree.map(tensor, elems), reverse=reverse)[1]
    total, rows = _started(elems, initializer, reverse)
    results = [] if initializer is not None else [total]
    for row in rows:
        total = fn(total, row)
        results.append(total)
    return _stacked(results[::-1] if reverse else results)


def foldl(
    fn: Any, elems: Any, initializer: Any = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, name: Any = None,
) -> Any:  # fmt: skip
    """Return the last result of a function of the last result and a row, from the first row on."""
    total, rows = _started(elems, initializer, False)
    for row in rows:
        total = fn(total, row)
    return total


def foldr(
    fn: Any, elems: Any, initializer: Any = None, parallel_iterations: int = 10,
    back_prop: bool = True, swap_memory: bool = False, name: Any = None,
) -> Any:  # fmt: skip
    """Return the last result of a function of the last result and a row, from the last row on."""
    total, rows = _started(elems, initializer, True)
    for row in rows:
        total = fn(total, row)
    return total


class TensorArray:
    """A list of tensors that is written by number.

    Args:
        dtype: Dtype of the tensors.
        size: Number of tensors. Default: 0.
        dynamic_size: Whether it may grow.
        clear_after_read: No effect.
        tensor_array_name: No effect.
        handle: No effect.
        flow: No effect.
        infer_shape: No effect.
        element_shape: Shape of each tensor, for tensors that were not written.
        colocate_with_first_write_call: No effect.
        name: No effect.

    Example:
        >>> array = TensorArray("float32", size=2)
        >>> array = array.write(0, 1.0).write(1, 2.0)
        >>> array.stack()
        Array([1., 2.], dtype=float32)
    """

    def __init__(
        self, dtype: Any, size: Any = None, dynamic_size: Any = None, clear_after_read: Any = None,
        tensor_array_name: Any = None, handle: Any = None, flow: Any = None,
        infer_shape: bool = True, element_shape: Any = None,
        colocate_with_first_write_call: bool = True, name: Any = None,
    ):  # fmt: skip
        self.dtype, self.element_shape = dtype, element_shape
        self.dynamic_size = bool(dynamic_size)
        self._items: list[Any] = [None] * int(static(size or 0))

    def _like(self, items: list[Any]) -> TensorArray:
        other = TensorArray(self.dtype, 0, self.dynamic_size, element_shape=self.element_shape)
        other._items = items
        return other

    def write(self, index: Any, value: Any, name: Any = None) -> TensorArray:
        """Return the array with a tensor at a place."""
        if _is_traced(index):
            raise NeedsValuesError(
                "TensorArray.write: the index is not known while a function is compiled. Loop with"
                " Python's `range`, or collect the results by `tf.map_fn` or `tf.scan`."
            )
        i = int(static(index))
        items = list(self._items)
        if i >= len(items):
            if not self.dynamic_size:
                raise InvalidArgumentError(
                    None, None,
                    f"TensorArray.write: index {i} is out of a size of {len(items)}. Make it with"
                    " `dynamic_size=True`.",
                )  # fmt: skip
            items += [None] * (i + 1 - len(items))
        items[i] = convert_to_tensor(value, self.dtype)
        self._items = items  # scripts that ignore the result work too
        return self

    def read(self, index: Any, name: Any = None) -> Any:
        """Return the tensor at a place."""
        i = int(static(index))
        value = self._items[i]
        return self._empty() if value is None else value

    def _empty(self) -> Any:
        known = next((x for x in self._items if x is not None), None)
        shape = self.element_shape if known is None else known.shape
        return jnp.zeros(tuple(shape or ()), str.__str__(self.dtype))

    def stack(self, name: Any = None) -> Any:
        """Return all tensors, stacked."""
        if not self._items:
            return jnp.zeros((0, *(self.element_shape or ())), str.__str__(self.dtype))
        return ops.stack([self._empty() if x is None else x for x in self._items])

    def unstack(self, value: Any, name: Any = None) -> TensorArray:
        """Return the array of the rows of a tensor."""
        return self._like(list(tensor(value)))

    def concat(self, name: Any = None) -> Any:
        """Return all tensors, joined along their first axis."""
        return ops.concatenate(list(self._items))

    def gather(self, indices: Any, name: Any = None) -> Any:
        """Return the tensors at places, stacked."""
        return ops.stack([self.read(i) for i in np.asarray(indices).tolist()])

    def scatter(self, indices: Any, value: Any, name: Any = None) -> TensorArray:
        """Return the array with the rows of a tensor at places."""
        for i, row in zip(np.asarray(indices).tolist(), tensor(value), strict=True):
            self.write(i, row)
        return self

    def split(self, value: Any, lengths: Any, name: Any = None) -> TensorArray:
        """Return the array of parts of a tensor."""
        ends = np.cumsum(np.asarray(lengths))[:-1].tolist()
        return self._like(list(ops.split(tensor(value), ends)))

    def size(self, name: Any = None) -> Any:
        """Return the number of tensors."""
        return jnp.asarray(len(self._items), "int32")

    def identity(self) -> TensorArray:
        """Return the array."""
        return self._like(list(self._items))

    def grad(self, *args: Any, **kwargs: Any) -> Any:
        """Raise: gradients flow through the tensors."""
        raise NotImplementedError("TensorArray.grad: use `tf.GradientTape`.")
