"""Functions that run as one operation of a gradient tape, compiled in plain code.

A layer, a loss or an op may consist of many operations. Recorded one by one they would be slow, so
a `Unit` runs them in one compiled program, which also returns what the gradient needs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import jax
import numpy as np

from hornbeam.core.masks import get_mask, set_mask
from hornbeam.core.records import Record, is_differentiable, residuals_of
from hornbeam.core.tape_trace import outside_tapes, tape_trace
from hornbeam.core.traces import current_trace
from hornbeam.core.variable import Overlay, Variable, autocast_scope

__all__ = ["Unit", "Units"]

_MOST_TRACES = 12


class _Strays(Exception):
    """Raised in a trace that met variables which the unit does not carry."""


@jax.tree_util.register_static
class _Notes:
    """What a trace found out: the form of the result, and what the function assigned and added."""

    def __init__(self, form: Any, places: tuple[Any, ...], assigned: tuple, owners: tuple):
        self.form, self.places, self.assigned, self.owners = form, places, assigned, owners

    def _key(self) -> Any:
        return (self.form, self.places, tuple(map(id, self.assigned)), tuple(map(id, self.owners)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Notes) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


class Unit:
    """A function of arrays that may read and assign variables, run as one operation.

    Args:
        function: Takes and returns structures of arrays.

    Example:
        >>> import jax.numpy as jnp
        >>> w = Variable(3.0)
        >>> Unit(lambda x: w.value * x)(jnp.asarray(2.0))
        Array(6., dtype=float32)
    """

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self._carried: list[Variable] = []
        self._compiled = jax.jit(self._split, static_argnums=(0, 1))

    def __call__(self, *structures: Any) -> Any:
        """Run the function; open tapes get one record of it."""
        arrays, form = jax.tree.flatten(structures)
        trace = tape_trace()
        is_eager = current_trace() is None
        for _ in range(_MOST_TRACES):
            carried = tuple(self._carried)
            with autocast_scope(None):
                values = [v.value for v in carried]
            args = [*values, *arrays]
            followed = [] if trace is None else trace.track(args)
            positions = tuple(i for i in followed if is_differentiable(args[i]))
            try:
                with outside_tapes():
                    run = self._compiled if is_eager else self._split
                    outs, vjp, others, notes = run((carried, form), positions, *args)
            except _Strays:
                continue
            if positions and outs and trace is not None:
                again = _Again(self, (carried, form))
                trace.add(Record(again, args, positions, outs, vjp, is_eager))
            return self._finish(outs, others, notes)
        raise ValueError("The function makes new variables in each call.")

    def _split(self, start: Any, positions: tuple[int, ...], *args: Any) -> Any:
        """Return the differentiable results, `vjp` for `positions`, other results and `_Notes`."""

        def of_chosen(*chosen: Any) -> Any:
            full = list(args)
            for i, x in zip(positions, chosen, strict=True):
                full[i] = x
            return self._pure(start[0], start[1], full)

        chosen = [args[i] for i in positions]
        if not positions:
            outs, (others, notes) = of_chosen()
            return outs, None, others, notes
        outs, vjp, (others, notes) = jax.vjp(of_chosen, *chosen, has_aux=True)
        return outs, vjp, others, notes

    def _pure(self, carried: tuple[Variable, ...], form: Any, args: list[Any]) -> Any:
        n = len(carried)
        with Overlay(carried, args[:n]) as overlay:
            result = self.function(*jax.tree.unflatten(form, args[n:]))
            if overlay.strays:
                known = set(self._carried)
                self._carried += [v for v in overlay.strays if v not in known]
                raise _Strays
            with autocast_scope(None):
                updates = [overlay.value_of(v) for v in overlay.assigned]
        leaves, out_form = jax.tree.flatten((result, [loss for _, loss in overlay.losses]))
        places = tuple(is_differentiable(x) for x in leaves)
        masks = [get_mask(x) for x in leaves]
        outs = [x for x, place in zip(leaves, places, strict=True) if place]
        others = [x for x, place in zip(leaves, places, strict=True) if not place]
        owners = tuple(owner for owner, _ in overlay.losses)
        notes = _Notes(out_form, places, tuple(overlay.assigned), owners)
        return outs, ((others, masks, updates), notes)

    def _finish(self, outs: list[Any], others: Any, notes: _Notes) -> Any:
        rest, masks, updates = others
        one, two = iter(outs), iter(rest)
        leaves = [next(one) if place else next(two) for place in notes.places]
        for x, mask in zip(leaves, masks, strict=True):
            if mask is not None:
                set_mask(x, mask)
        result, losses = jax.tree.unflatten(notes.form, leaves)
        with outside_tapes():
            for variable, value in zip(notes.assigned, updates, strict=True):
                variable.assign(value)
        for owner, loss in zip(notes.owners, losses, strict=True):
            owner.add_loss(loss)
        return result


class _Again:
    """A unit as `Record.forward`."""

    def __init__(self, unit: Unit, start: Any):
        self._key = (unit, start)

    def __call__(self, positions: tuple[int, ...], *args: Any) -> tuple[list[Any], list[Any]]:
        unit, start = self._key
        outs, vjp, _, _ = unit._split(start, positions, *args)
        return outs, residuals_of(vjp)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Again) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


class Units:
    """Units by function and settings.

    A unit that failed, for example because of a condition on values, is dropped for good; its
    function then runs operation by operation.

    Example:
        >>> import jax.numpy as jnp
        >>> Units().run(jnp.sum, (jnp.ones((2, 2)),), {"axis": 0})
        Array([2., 2.], dtype=float32)
    """

    def __init__(self) -> None:
        self._units: dict[Any, Unit | None] = {}

    def run(
        self, function: Callable[..., Any], args: tuple, kwargs: dict, key: Hashable = None
    ) -> Any:
        """Call a function as one operation of the open tapes, if its settings can be compared.

        Args:
            function: Must be pure, but for variables that it reads and assigns.
            args: Its arguments: nested arrays, and settings of any kind.
            kwargs: Its arguments by name.
            key: Stands for the function, and whatever else the result depends on. Default: the
                function.
        """
        leaves, form = jax.tree.flatten((args, kwargs))
        are_arrays = tuple(isinstance(x, (jax.Array, np.ndarray, Variable)) for x in leaves)
        settings = tuple(x for x, is_array in zip(leaves, are_arrays, strict=True) if not is_array)
        arrays = [
            x.value if isinstance(x, Variable) else x
            for x, is_array in zip(leaves, are_arrays, strict=True) if is_array
        ]  # fmt: skip
        name = (
            function if key is None else key,
            form,
            are_arrays,
            settings,
            tuple(map(type, settings)),
        )
        try:
            unit = self._units.get(name, ...)
        except TypeError:  # a setting without a hash
            unit = None
        if unit is ...:
            if len(self._units) >= _UNITS_KEPT:
                self._units.clear()
            unit = self._units[name] = Unit(_of_arrays(function, form, are_arrays, settings))
        if unit is not None:
            try:
                return unit(arrays, [get_mask(x) for x in arrays])
            except Exception:  # the plain call works, or raises an error that says more
                self._units[name] = None
        return function(*args, **kwargs)


_UNITS_KEPT = 4096


def _of_arrays(
    function: Callable[..., Any], form: Any, are_arrays: tuple[bool, ...], settings: tuple[Any, ...]
) -> Callable[..., Any]:
    """Return `function` as a function of its arrays and their masks."""

    def of_arrays(arrays: list[Any], masks: list[Any]) -> Any:
        for x, mask in zip(arrays, masks, strict=True):
            if mask is not None:
                set_mask(x, mask)
        one, two = iter(arrays), iter(settings)
        leaves = [next(one) if is_array else next(two) for is_array in are_arrays]
        args, kwargs = jax.tree.unflatten(form, leaves)
        return function(*args, **kwargs)

    return of_arrays
