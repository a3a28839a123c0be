"""A compiled loop whose steps can assign variables and add losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.variable import Overlay, autocast_scope
from hornbeam.typing import Structure

__all__ = ["Step", "scan"]


class Step:
    """The effects of one step of a loop, found by tracing it once.

    Args:
        function: The step.
        *shapes: Its arguments, nested arrays or `jax.ShapeDtypeStruct`s.

    Attributes:
        outputs: Its results, as `jax.ShapeDtypeStruct`s.
        assigned: The variables that it assigns, such as seeds or moving averages.
        losses: The layer that adds each loss, one entry per loss.

    Example:
        >>> Step(lambda x: x * 2, jnp.ones((2, 3))).outputs.shape
        (2, 3)
    """

    def __init__(self, function: Callable[..., Any], *shapes: Any):
        overlay = Overlay()

        def traced(*args: Any) -> Any:
            nonlocal overlay
            with Overlay() as overlay:
                return function(*args)

        self.outputs = jax.eval_shape(traced, *shapes)
        self.assigned = list(overlay.assigned)
        self.losses = [layer for layer, _ in overlay.losses]

    @property
    def is_pure(self) -> bool:
        """Whether the step has no effects besides its results."""
        return not self.assigned and not self.losses


def scan(
    step: Step,
    body: Callable[[Any, Any], tuple[Any, Any]],
    start: Structure,
    xs: Structure,
    unroll: int = 1,
) -> Structure:
    """Run `jax.lax.scan`, and apply the assignments and added losses of the steps.

    Args:
        step: The effects of a step.
        body: Takes the carry and one slice of `xs`; returns the new carry and an output.
        start: The carry before the first step.
        xs: Arrays whose first axis counts the steps.
        unroll: Number of steps per iteration of the compiled loop. Default: 1.

    Returns:
        The last carry, and the outputs, stacked along a first axis.

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
