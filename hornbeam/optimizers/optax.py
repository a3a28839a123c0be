"""Transformations of Optax as optimizers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp

from hornbeam.checked import checked
from hornbeam.core.variable import Variable
from hornbeam.optimizers.optimizer import Optimizer
from hornbeam.typing import Tensor

__all__ = ["OptaxOptimizer", "is_transformation"]


def is_transformation(x: object) -> bool:
    """Return whether `x` is an Optax transformation: it has the functions `init` and `update`."""
    return callable(getattr(x, "init", None)) and callable(getattr(x, "update", None))


class OptaxOptimizer(Optimizer):
    """An Optax transformation as an optimizer; `compile(optimizer=optax.adam(1e-3))` makes one.

    Its state is saved with a model's weights. The transformation itself is code and is not saved:
    to continue training from a file, compile again with the same transformation.

    Args:
        transformation: An `optax.GradientTransformation`.
        name: Name. Default: the class's name in snake case, numbered.
        **kwargs: Arguments of `Optimizer`, except `learning_rate` and `weight_decay`, which are
            part of the transformation.

    Raises:
        TypeError: If `transformation` is no transformation, or an argument is unknown.

    Example:
        >>> import optax
        >>> from hornbeam import optimizers
        >>> type(optimizers.get(optax.sgd(0.1))).__name__
        'OptaxOptimizer'
    """

    @checked
    def __init__(self, transformation: Any, name: str | None = None, **kwargs: Any):
        if not is_transformation(transformation):
            raise TypeError(
                "OptaxOptimizer: `transformation` must be an Optax transformation, received"
                f" {transformation!r}."
            )
        for argument in ("learning_rate", "lr", "decay", "weight_decay"):
            if argument in kwargs:
                raise TypeError(
                    f"OptaxOptimizer: `{argument}` is part of the transformation. Pass it to Optax."
                )
        super().__init__(0.0, name=name, **kwargs)
        self.transformation = transformation
        self._state: list[Variable] = []
        self._structure: Any = None

    @property
    def learning_rate(self) -> NoReturn:
        """Raise: the learning rate is inside the transformation."""
        raise _no_rate()

    @learning_rate.setter
    def learning_rate(self, value: float | Tensor) -> None:
        raise _no_rate()

    def build(self, variables: Iterable[Variable]) -> None:
        """Create the transformation's state."""
        variables = list(variables)
        if self.built and variables == self._trainable:
            return
        if self.built:
            raise ValueError(
                "OptaxOptimizer: the variables changed after it was built. Compile the model again."
            )
        super().build(variables)
        leaves, self._structure = jax.tree.flatten(
            self.transformation.init([v.value for v in variables])
        )
        self._state = [
            self._track(
                Variable(
                    jnp.asarray(x), dtype=str(jnp.asarray(x).dtype), trainable=False, autocast=False
                )
            )
            for x in leaves
        ]

    def _current_rate(self) -> Any:
        return 0.0  # the transformation has its own

    def _update(self, pairs: list[tuple[Any, Variable]]) -> None:
        given = {v: g for g, v in pairs}
        weights = [v.value for v in self._trainable]
        clipped = dict(zip(given, self._clip(list(given.values())), strict=True))
        grads = [
            clipped.get(v, jnp.zeros_like(w)) for v, w in zip(self._trainable, weights, strict=True)
        ]
        state = jax.tree.unflatten(self._structure, [v.value for v in self._state])
        updates, state = self.transformation.update(grads, state, weights)
        for variable, weight, update in zip(self._trainable, weights, updates, strict=True):
            if variable.overwrite_with_gradient:
                continue
            value = (weight + self._rate_for(variable, update)).astype(weight.dtype)
            variable.assign(value if variable.constraint is None else variable.constraint(value))
        for variable, value in zip(self._state, jax.tree.leaves(state), strict=True):
            variable.assign(value)
        if self.use_ema:
            self._average([v for _, v in pairs])

    def get_config(self) -> dict[str, Any]:
        """Raise: the transformation is code, which a file does not hold."""
        raise ValueError(
            "OptaxOptimizer: the transformation is code and cannot be saved. Save with"
            " `include_optimizer=False`, or save the weights and compile again."
        )


def _no_rate() -> AttributeError:
    return AttributeError(
        "An Optax transformation does not show its learning rate. Give Optax a schedule, or use an"
        " optimizer of hornbeam.optimizers for callbacks that change the rate."
    )
