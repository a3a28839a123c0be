"""A compiled loop whose steps may assign variables and add losses, as code outside of a loop may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.variable import Overlay, autocast_scope

__all__ = ["Step", "scan"]


class Step:
    """What one step of a loop does, found out by tracing it once.

    Args:
        function: The step.
        *shapes: Its arguments, as arrays or `jax.ShapeDtypeStruct`s, nested as they come.

    Attributes:
        outputs: Its results, as `jax.ShapeDtypeStruct`s.
        assigned: The variables that it assigns: seeds, say, or moving averages.
        losses: The layers that add losses, one entry a loss.

    Example:
        >>> Step(lambda x: x * 2, jnp.ones((2, 3))).outputs.shape
        (2, 3)
    """

    def __init__(self, function: Callable[..., Any], *shapes: Any):
        with Overlay() as overlay:
            self.outputs = jax.eval_shape(function, *shapes)
        self.assigned = list(overlay.assigned)
        self.losses = [layer for layer, _ in overlay.losses]

    @property
    def is_pure(self) -> bool:
        """Whether the step leaves nothing behind but its results."""
        return not self.assigned and not self.losses


def scan(step: Step, body: Callable[[Any, Any], tuple[Any, Any]], start: Any, xs: Any, unroll: int = 1) -> Any:
    """Do what `jax.lax.scan` does, and leave behind what the steps did to variables and losses.

    Args:
        step: What a step assigns and adds.
        body: Takes the carry and one slice of `xs`; returns the new carry and an output.
        start: The carry before the first step.
        xs: Arrays whose first axis is that of the steps.
        unroll: How many steps one turn of the loop holds.

    Returns:
        The last carry, and the outputs stacked.

    Example:
        >>> double = Step(lambda x: x * 2, jnp.ones(()))
        >>> last, ys = scan(double, lambda total, x: (total + x, x * 2), 0.0, jnp.arange(3.0))
        >>> float(last), ys.tolist()
        (3.0, [0.0, 2.0, 4.0])
    """

    def carried(carry: Any, x: Any) -> Any:
        own, values = carry
        with Overlay(step.assigned, values) as overlay:
            own, y = body(own, x)
            values = [overlay.value_of(v) for v in step.assigned]
        return (own, values), (y, [jnp.asarray(value) for _, value in overlay.losses])

    with autocast_scope(None):
        values = [v.value for v in step.assigned]
    (last, values), (ys, losses) = jax.lax.scan(carried, (start, values), xs, unroll=unroll)
    for variable, value in zip(step.assigned, values, strict=True):
        variable.assign(value)
    for layer, value in zip(step.losses, losses, strict=True):
        layer.add_loss(jnp.sum(value, axis=0))
    return last, ys
