"""Transformations of Optax as optimizers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam.core.variable import Variable
from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["OptaxOptimizer", "is_transformation"]


def is_transformation(x: Any) -> bool:
    """Tell whether `x` is a transformation of gradients as Optax makes them: a pair of `init` and `update`."""
    return callable(getattr(x, "init", None)) and callable(getattr(x, "update", None))


class OptaxOptimizer(Optimizer):
    """An Optax transformation as an optimizer; `compile(optimizer=optax.adam(1e-3))` makes one.

    Its state is saved with a model's weights. The transformation itself is code and is not: to go on training from a
    file, compile again with the same transformation.

    Args:
        transformation: An `optax.GradientTransformation`.
        name: Name.
        **kwargs: Those of `Optimizer`, without `learning_rate` and `weight_decay`, which are Optax's here.

    Raises:
        TypeError: If `transformation` is none.

    Example:
        >>> import optax
        >>> from hornbeam import optimizers
        >>> type(optimizers.get(optax.sgd(0.1))).__name__
        'OptaxOptimizer'
    """

    def __init__(self, transformation: Any, name: str | None = None, **kwargs: Any):
        if not is_transformation(transformation):
            raise TypeError(
                f"OptaxOptimizer: `transformation` must be an Optax transformation, received {transformation!r}."
            )
        super().__init__(0.0, name=name, **kwargs)
        self.transformation = transformation
        self._state: list[Variable] = []
        self._structure: Any = None

    @property
    def learning_rate(self) -> Any:
        """Not there: it is inside the transformation."""
        raise AttributeError(
            "An Optax transformation keeps its learning rate to itself. Give Optax a schedule, or use "
            "an optimizer of hornbeam.optimizers for callbacks that change the rate."
        )

    def build(self, variables: Iterable[Variable]) -> None:
        """Create the transformation's state."""
        variables = list(variables)
        if self.built and variables == self._trainable:
            return
        if self.built:
            raise ValueError("OptaxOptimizer: its variables changed after it was built; compile the model again.")
        super().build(variables)
        leaves, self._structure = jax.tree.flatten(self.transformation.init([v.value for v in variables]))
        self._state = [
            self._track(Variable(jnp.asarray(x), dtype=str(jnp.asarray(x).dtype), trainable=False, autocast=False))
            for x in leaves
        ]

    def _current_rate(self) -> Any:
        return 0.0

    def _update(self, pairs: list[tuple[Any, Variable]]) -> None:
        given = {v: g for g, v in pairs}
        weights = [v.value for v in self._trainable]
        clipped = dict(zip(given, self._clip(list(given.values())), strict=True))
        grads = [clipped.get(v, jnp.zeros_like(w)) for v, w in zip(self._trainable, weights, strict=True)]
        state = jax.tree.unflatten(self._structure, [v.value for v in self._state])
        updates, state = self.transformation.update(grads, state, weights)
        for variable, weight, update in zip(self._trainable, weights, updates, strict=True):
            value = (weight + update).astype(weight.dtype)
            variable.assign(value if variable.constraint is None else variable.constraint(value))
        for variable, value in zip(self._state, jax.tree.leaves(state), strict=True):
            variable.assign(value)
        if self.use_ema:
            self._average([v for _, v in pairs])

    def get_config(self) -> dict[str, Any]:
        """Raise: the transformation is code, which files do not hold."""
        raise ValueError(
            "An Optax transformation cannot be saved: it is code. Save with `include_optimizer=False`, or save the weights "
            "and compile again."
        )
