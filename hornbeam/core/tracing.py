"""Shapes and dtypes of results, found by tracing a function without running it.

An unknown size is given a trial size. The function is traced twice, with two trial sizes: a size
that differs between the two results is unknown. Sizes are abstract, so a large one costs nothing.

A trial size can be too small, for example for a window of 5,000 elements. Then the trace fails, or
an operation in it gives the same size, such as 0, for both trial sizes. The function is traced
again with larger trial sizes until neither happens.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hornbeam import errors, tree
from hornbeam.core.masks import get_mask, set_mask
from hornbeam.core.tensor import KerasTensor
from hornbeam.core.traces import inner_jaxprs
from hornbeam.core.variable import Overlay, Variable
from hornbeam.optional import jax_sparse
from hornbeam.typing import Shape, Structure

__all__ = ["indivisible", "infer", "is_unknown", "shape_with_unknowns", "too_small"]

# Trial sizes have many divisors, so that reshapes and strides fit. Where they do not, they are
# scaled.
_TRIALS = (840, 1680, 2520, 5040, 7560, 9240)
_GROWTH = 12
# Sizes stay below 2**31, which is the largest that code can be expected to take.
_LARGEST_SCALE = 2**18


@dataclasses.dataclass(frozen=True)
class _Trial:
    """The sizes that stand for unknown ones in a trace.

    Args:
        first: The size of unknown first axes, mostly the batch size.
        others: The size of all other unknown axes.
        known: Sizes that inputs have besides.
        aligned: Sizes of unknown axes by their position from the end, such as -2. They replace
            `first` and `others`, and count as known.
        tensor: The number of a tensor whose unknown sizes are `of_tensor` instead of `first` and
            `others`.
        of_tensor: Sizes of its first and its other unknown axes.
    """

    first: int
    others: int
    known: frozenset[int] = frozenset()
    aligned: Mapping[int, int] = dataclasses.field(default_factory=dict)
    tensor: int | None = None
    of_tensor: tuple[int, int] = (0, 0)

    @property
    def unknown(self) -> set[int]:
        """The sizes that say that a size is unknown."""
        return {self.first, self.others} - self.known

    def fill(self, shape: Sequence[int | None], tensor: int | None = None) -> list[int]:
        """Return the shape of a tensor, given by its number, with trial sizes for unknown ones."""
        its_own = tensor is not None and tensor == self.tensor
        first, others = self.of_tensor if its_own else (self.first, self.others)
        return [
            self.aligned.get(axis - len(shape), others if axis else first) if size is None else size
            for axis, size in enumerate(shape)
        ]

    def hide(self, text: str) -> str:
        """Return a message with `None` for trial sizes, which mean nothing to the user."""
        numbers = "|".join(map(str, self.unknown))
        return re.sub(rf"\b({numbers})\b", "None", text) if numbers else text


_trial: ContextVar[_Trial | None] = ContextVar("hornbeam_trial", default=None)


def is_unknown(size: int | None) -> bool:
    """Return whether a size is unknown: `None`, or a trial size while shapes are found.

    A check that compares sizes skips an unknown one.

    Example:
        >>> is_unknown(None), is_unknown(3)
        (True, False)
    """
    trial = _trial.get()
    return size is None or (trial is not None and size in trial.unknown)


def shape_with_unknowns(shape: Sequence[int | None]) -> Shape:
    """Return `shape` with `None` for the trial sizes of the trace under way."""
    return tuple(None if is_unknown(size) else size for size in shape)


def too_small(text: str) -> ValueError:
    """Return the error for an array that is too small for an operation.

    While shapes are found, its size may follow from a trial size; then `infer` tries larger ones.

    Example:
        >>> too_small("the window is larger than the input")
        ValueError('the window is larger than the input')
    """
    error = ValueError(text)
    error._too_small = True  # type: ignore[attr-defined]  # a mark on the plain ValueError that users expect
    return error


def indivisible(text: str, divisor: int) -> ValueError:
    """Return the error for an array whose number of elements is no multiple of `divisor`.

    While shapes are found, that number may follow from a trial size; then `infer` tries multiples.

    Example:
        >>> indivisible("8 numbers do not fill rows of 5", 5)
        ValueError('8 numbers do not fill rows of 5')
    """
    error = ValueError(text)
    error._divisor = divisor  # type: ignore[attr-defined]  # a mark on the plain ValueError that users expect
    return error


def infer(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Structure:
    """Return symbolic tensors of the shapes and dtypes that `function` would give.

    Assignments to variables and losses added during the trace are dropped.

    Args:
        function: A function of tensors. What it returns besides arrays is kept as it is.
        *args: Its arguments; symbolic tensors may be nested in them.
        **kwargs: Likewise.

    Returns:
        What the function returns, with a `KerasTensor` in place of each array.

    Raises:
        ValueError: If the rank of a result depends on an unknown size, or an argument is text.

    Example:
        >>> infer(lambda x: x[:, 5000:], KerasTensor((None, None, 4))).shape
        (None, None, 4)
    """
    symbolic = [x for x in tree.flatten((args, kwargs)) if isinstance(x, KerasTensor)]
    if any(x.dtype == "string" for x in symbolic):
        raise ValueError(
            "The input is text, but only layers for text take it, such as `TextVectorization` and"
            " `StringLookup`."
        )

    weights: set[Shape] = set()

    def trace(trial: _Trial | None) -> _Trace:
        return _Trace(function, args, kwargs, trial, weights)

    if all(size is not None for x in symbolic for size in x.shape):
        return tree.map_structure(_as_symbolic, trace(None).result)
    leaves = tree.flatten((args, kwargs))
    arrays = [x.shape for x in leaves if _is_array(x) or isinstance(x, Variable)]
    pair = _traced_with_large_trials(trace, symbolic, arrays, weights)
    return tree.map_structure(_merged, pair[0].result, pair[1].result)


class _Trace:
    """A function, traced with trial sizes.

    Args:
        function: The function.
        args, kwargs: Its arguments; symbolic tensors may be nested in them.
        trial: The trial sizes.
        weights: A set to which the shapes of variables are added that the function reads.

    Attributes:
        result: What the function returns, with a `jax.ShapeDtypeStruct` in place of each array.
        jaxpr: Its operations.
    """

    def __init__(
        self, function: Callable[..., Any], args: Any, kwargs: Any, trial: _Trial | None,
        weights: set[Shape],
    ):  # fmt: skip
        leaves = tree.flatten((args, kwargs))
        where = [i for i, x in enumerate(leaves) if isinstance(x, KerasTensor)]

        def fill(shape: Any, tensor: int) -> list[int]:
            return list(shape) if trial is None else trial.fill(shape, tensor)

        structs = [_struct(leaves[i], fill(leaves[i].shape, n)) for n, i in enumerate(where)]
        masks = [get_mask(leaves[i]) for i in where]
        returned: Any = None

        def traced(*values: Any) -> list[Any]:
            nonlocal returned
            filled = list(leaves)
            for n, (i, value, mask) in enumerate(zip(where, values, masks, strict=True)):
                if isinstance(mask, KerasTensor):
                    set_mask(value, jnp.ones(fill(mask.shape, n), bool))
                filled[i] = _sparse(value, fill(leaves[i].shape, n))
            a, k = tree.pack_sequence_as((args, kwargs), filled)
            with Overlay(abstract=True) as overlay:
                try:
                    result = function(*a, **k)
                finally:
                    weights.update(variable.shape for variable in overlay.strays)
            # Arrays are traced; anything else in the result is kept as it is.
            flat = [x.value if isinstance(x, Variable) else x for x in tree.flatten(result)]
            returned = result, [None if _is_array(x) else x for x in flat]
            return [x for x in flat if _is_array(x)]

        token = _trial.set(trial)
        try:
            self.jaxpr, found = jax.make_jaxpr(traced, return_shape=True)(*structs)
        except Exception as error:
            raise errors.reworded(error, trial.hide if trial else str) from error.__cause__
        finally:
            _trial.reset(token)
        arrays = iter(found)
        structure, kept = returned
        flat = [
            next(arrays) if _is_array(x) or isinstance(x, Variable) else keep
            for x, keep in zip(tree.flatten(structure), kept, strict=True)
        ]
        self.result = tree.pack_sequence_as(structure, flat)


def _traced_with_large_trials(
    trace: Callable[[_Trial], _Trace], symbolic: list[KerasTensor], arrays: list[Shape],
    weights: set[Shape],
) -> list[_Trace]:  # fmt: skip
    """Return traces with two trial sizes that are large enough.

    Args:
        trace: Traces the function.
        symbolic: Its symbolic arguments.
        arrays: The shapes of its other arrays.
        weights: The shapes of variables that it reads, which traces add.
    """
    known = frozenset(size for x in symbolic for size in x.shape if size is not None)
    pair: list[_Trace] = []
    failures: list[Exception] = []
    scale: int | None = 1
    while scale is not None and scale <= _LARGEST_SCALE:
        sizes = [size * scale for size in _TRIALS if size * scale not in known]
        try:
            pair = [trace(_Trial(size, size, known)) for size in sizes[:2]]
        except Exception as error:
            failures.append(error)
            scale = None if pair else _scale_after(scale, failures)
        else:
            if not _loses_a_size(pair[0].jaxpr.jaxpr, pair[1].jaxpr.jaxpr):
                return pair
            scale *= _GROWTH
    shapes = [*(x.shape for x in symbolic), *arrays]
    return pair or _traced_with_known_sizes(trace, shapes, weights, known, failures[0])


def _scale_after(scale: int, failures: list[Exception]) -> int | None:
    """Return the scale of trial sizes that may cure the last failure, or `None`."""
    divisor: int | None = getattr(failures[-1], "_divisor", None)
    if divisor is not None:
        return math.lcm(scale, divisor) if scale % divisor else None
    if len(failures) > 1 and str(failures[-1]) == str(failures[-2]):
        return None  # the sizes in the message do not follow from the trial size
    # Any error may come from a size that is too small. Code of a user may allocate arrays of the
    # trial size, so an error without the mark is worth one attempt.
    return scale * _GROWTH if len(failures) == 1 or hasattr(failures[-1], "_too_small") else None


def _traced_with_known_sizes(
    trace: Callable[[_Trial], _Trace],
    shapes: list[Shape],
    weights: set[Shape],
    known: frozenset[int],
    failure: Exception,
) -> list[_Trace]:
    """Return traces with an unknown size equal to a size of another input or of a weight.

    Additions, products and concatenations require equal sizes.
    """
    small, large = [size for size in _TRIALS if size not in known][:2]
    sizes_known = _sizes_to_match(shapes)
    first = sizes_known if any(shape[:1] == (None,) for shape in shapes) else []
    others = sizes_known if any(None in shape[1:] for shape in shapes) else []
    aligned = _aligned_sizes([*shapes, *weights])
    inner = {axis: size for axis, size in aligned.items() if axis > -max(map(len, shapes))}
    for pair in [
        *([_Trial(a, a, known, sizes) for a in (small, large)] for sizes in (inner, aligned)),
        *_pairs_of_one_tensor(shapes, first, others, small, large, known),
        *([_Trial(small, size, known), _Trial(large, size, known)] for size in others),
        *([_Trial(size, small, known), _Trial(size, large, known)] for size in first),
        *([_Trial(a, b, known)] * 2 for a in first for b in others),
    ]:
        try:
            return [trace(trial) for trial in pair]
        except Exception:  # the first failure says what the user did
            continue
    raise failure from failure.__cause__


def _pairs_of_one_tensor(
    shapes: list[Shape], first: list[int], others: list[int], small: int, large: int,
    known: frozenset[int],
) -> Iterator[list[_Trial]]:  # fmt: skip
    """Yield pairs of trials in which unknown sizes of one of several tensors are known ones.

    A product of shapes (None, 3) and (None, 4) requires 3 in place of the second `None` only.
    """
    several = list(enumerate(shapes)) if len(shapes) > 1 else []
    for tensor, shape in several:
        for size in others if None in shape[1:] else []:
            yield [_Trial(n, n, known, {}, tensor, (n, size)) for n in (small, large)]
    for tensor, shape in several:
        for size in first if shape[:1] == (None,) else []:
            yield [_Trial(n, n, known, {}, tensor, (size, n)) for n in (small, large)]


def _sizes_to_match(shapes: Iterable[Shape]) -> list[int]:
    """Return the known sizes above 1 in `shapes`, at most 6."""
    sizes = {size for shape in shapes for size in shape if size is not None and size > 1}
    return sorted(sizes)[:6]


def _aligned_sizes(shapes: list[Shape]) -> dict[int, int]:
    """Return the only known size above 1 at each position, counted from the end.

    Broadcasting aligns shapes at their ends.
    """
    found: dict[int, set[int]] = {}
    for shape in shapes:
        for axis, size in enumerate(shape, start=-len(shape)):
            if size is not None and size > 1:
                found.setdefault(axis, set()).add(size)
    return {axis: sizes.pop() for axis, sizes in found.items() if len(sizes) == 1}


def _loses_a_size(first: Any, second: Any) -> bool:
    """Return whether an operation maps two trial sizes to one size because they are too small."""
    if len(first.eqns) != len(second.eqns):
        return False
    for a, b in zip(first.eqns, second.eqns, strict=True):
        inner = zip(inner_jaxprs(a), inner_jaxprs(b), strict=False)
        if a.primitive is b.primitive and (
            _step_loses_a_size(a, b) or any(_loses_a_size(*pair) for pair in inner)
        ):
            return True
    return False


# Operations whose result grows with their input. What is sliced or reduced may well have a known
# size.
_GROWING = ("pad", "conv_general_dilated", "hornbeam_conv", "hornbeam_conv_fused", "reduce_window")


def _step_loses_a_size(a: Any, b: Any) -> bool:
    if not a.outvars or not a.invars:
        return False
    name, out, operand = a.primitive.name, a.outvars[0].aval, a.invars[0].aval
    if len(getattr(operand, "shape", ())) != len(getattr(out, "shape", ())):
        return False
    for axis, size in enumerate(out.shape):
        if (
            size != b.outvars[0].aval.shape[axis]
            or operand.shape[axis] == b.invars[0].aval.shape[axis]
        ):
            continue
        if name.startswith(_GROWING):
            return True
        if name == "slice":
            start, limit = (a.params[key][axis] for key in ("start_indices", "limit_indices"))
            to_the_end = limit != b.params["limit_indices"][axis]
            stride = 1 if a.params["strides"] is None else a.params["strides"][axis]
            if (size == 0 and to_the_end) or (
                stride > 1 and (to_the_end or stride > limit - start)
            ):
                return True
    return False


def _merged(a: Any, b: Any) -> Any:
    """Return a symbolic tensor whose sizes are unknown where those of `a` and `b` differ."""
    if not (isinstance(a, jax.ShapeDtypeStruct) or tree.is_sparse_array(a)):
        return a
    if len(a.shape) != len(b.shape):
        raise ValueError("The rank of the result depends on a size that is not known yet.")
    return KerasTensor(
        [m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)], a.dtype,
        tree.is_sparse_array(a),
    )  # fmt: skip


def _as_symbolic(x: Any) -> Any:
    if not (isinstance(x, jax.ShapeDtypeStruct) or tree.is_sparse_array(x)):
        return x
    return KerasTensor(x.shape, x.dtype, tree.is_sparse_array(x))


def _is_array(x: Any) -> bool:
    return isinstance(x, (jax.Array, np.ndarray)) or tree.is_sparse_array(x)


# The number of entries of sparse tensors in a trace. It decides no shape.
_ENTRIES = 8


def _struct(x: KerasTensor, shape: Sequence[int]) -> Any:
    """Return what a tensor is traced as; of a sparse one, its entries and their indices."""
    if not x.sparse:
        return jax.ShapeDtypeStruct(shape, x.dtype)
    indices = jax.ShapeDtypeStruct((_ENTRIES, len(shape)), "int32")
    return jax.ShapeDtypeStruct((_ENTRIES,), x.dtype), indices


def _sparse(value: Any, shape: Sequence[int]) -> Any:
    return jax_sparse().BCOO(value, shape=tuple(shape)) if isinstance(value, tuple) else value
