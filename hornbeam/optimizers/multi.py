"""Several optimizers as one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, Self

from hornbeam.checked import Positive, checked
from hornbeam.core import registry
from hornbeam.core.patterns import PatternMap
from hornbeam.core.variable import Variable
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.optimizers.optimizer import Optimizer
from hornbeam.typing import CustomObjects, Tensor

__all__ = ["MultiOptimizer", "OptimizerMap"]


class OptimizerMap(PatternMap):
    """Maps patterns of variables' paths to optimizers.

    Args:
        default_optimizer: Optimizer of the variables that match no pattern: an object, a name, or a
            config.
        optimizer_map: Optimizers by pattern: a regular expression that matches a whole path.

    Raises:
        ValueError: If an optimizer is none; on a look-up, if several patterns match.

    Example:
        >>> from hornbeam.optimizers import SGD, Adam
        >>> choice = OptimizerMap(SGD(), {".*encoder.*": Adam()})
        >>> type(choice["net/encoder/kernel"]).__name__, type(choice["net/head/kernel"]).__name__
        ('Adam', 'SGD')
    """

    @checked
    def __init__(self, default_optimizer: Any, optimizer_map: Mapping[str, Any] | None = None):
        super().__init__(self._value(default_optimizer), dict(optimizer_map or {}))

    def _value(self, value: Any) -> Optimizer:
        found = registry.family("optimizer").get(value)
        if not isinstance(found, Optimizer):
            raise ValueError(
                f"OptimizerMap: expected an optimizer's name or object, received {value!r}."
            )
        return found

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of the variables that match no pattern."""
        return self._default

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "default_optimizer": serialize(self._default),
            "optimizer_map": {
                pattern: serialize(optimizer) for pattern, optimizer in self._entries.items()
            },
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> OptimizerMap:
        """Make a map from what `get_config` returned."""
        rest = {
            pattern: deserialize(value)
            for pattern, value in (config.get("optimizer_map") or {}).items()
        }
        return cls(deserialize(config["default_optimizer"]), rest)


class MultiOptimizer(Optimizer):
    """Updates each variable with an optimizer chosen for it.

    Args:
        optimizer_map: An `OptimizerMap`, or a function that takes a variable and returns its
            optimizer.
        loss_scale_factor: Factor of the loss; gradients are divided by it before the update.
        name: Name. Default: the class's name in snake case, numbered.

    Raises:
        ValueError: If `optimizer_map` is neither.

    Example:
        >>> from hornbeam.optimizers import SGD, Adam
        >>> optimizer = MultiOptimizer(OptimizerMap(SGD(), {".*encoder.*": Adam()}))
        >>> [type(inner).__name__ for inner in optimizer.optimizers]
        ['Adam', 'SGD']
    """

    @checked
    def __init__(
        self, optimizer_map: OptimizerMap | Callable[[Variable], Optimizer],
        loss_scale_factor: Positive | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        self.optimizer_map = optimizer_map
        self._parts: list[tuple[Optimizer, list[Variable]]] = []

    def _inner(self) -> list[Optimizer]:
        return self.optimizers if "_parts" in self.__dict__ else []

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers in use, the default one last."""
        if isinstance(self.optimizer_map, OptimizerMap):
            return list(
                dict.fromkeys([*self.optimizer_map.values(), self.optimizer_map.default_optimizer])
            )
        return [optimizer for optimizer, _ in self._parts]

    @property
    def learning_rate(self) -> NoReturn:
        """Raise: each optimizer has its own learning rate."""
        raise _no_rate()

    @learning_rate.setter
    def learning_rate(self, value: float | Tensor) -> None:
        raise _no_rate()

    @property
    def variables(self) -> list[Variable]:
        """The variables of this optimizer, then those of `optimizers`."""
        return [
            *self._variables,
            *(v for optimizer in self.optimizers for v in optimizer.variables),
        ]

    def build(self, variables: Iterable[Variable]) -> None:
        """Choose an optimizer for each variable, and create the slots."""
        variables = list(variables)
        if self.built and variables == self._trainable:
            return
        choice = self.optimizer_map
        if isinstance(choice, OptimizerMap):
            self._warn_of_unused(choice, [v.path for v in variables])
        known = {v: optimizer for optimizer, mine in self._parts for v in mine}
        parts: dict[int, tuple[Optimizer, list[Variable]]] = {}
        for variable in variables:
            optimizer = known.get(variable)
            if optimizer is None:
                optimizer = (
                    choice[variable.path] if isinstance(choice, OptimizerMap) else choice(variable)
                )
            parts.setdefault(id(optimizer), (optimizer, []))[1].append(variable)
        self._parts = list(parts.values())
        self._trainable, self.built = variables, True
        for optimizer in self.optimizers:
            if self.learning_rates:  # for those that a function has only now chosen
                optimizer.learning_rates = self.learning_rates
            optimizer.build(parts.get(id(optimizer), (optimizer, []))[1])

    @staticmethod
    def _warn_of_unused(choice: OptimizerMap, paths: list[str]) -> None:
        unused = [
            pattern
            for pattern in choice
            if not any(pattern in choice.matching(path) for path in paths)
        ]
        if unused:
            warnings.warn(
                f"MultiOptimizer: no variable's path matches {unused}. A pattern must match a whole"
                f" path, such as '{paths[0] if paths else ''}'.",
                stacklevel=3,
            )

    def _current_rate(self) -> Any:
        return 0.0  # each optimizer has its own

    @property
    def takes_row_sums(self) -> bool:
        """Whether gradients reach the optimizers inside as they came."""
        return type(self) is MultiOptimizer and self.loss_scale_factor is None

    def _update(self, pairs: list[tuple[Any, Variable]]) -> None:
        gradients = {v: g for g, v in pairs}
        for optimizer, mine in self._parts:
            there = [v for v in mine if v in gradients]
            if there:
                optimizer.apply([gradients[v] for v in there], there)

    def flush_gradients(self) -> None:
        """Make each optimizer use the gradients that it accumulated."""
        for optimizer in self.optimizers:
            optimizer.flush_gradients()

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Set weights to their averages, where their optimizer keeps them."""
        wanted = set(var_list)
        for optimizer, mine in self._parts:
            optimizer.finalize_variable_values([v for v in mine if v in wanted])

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Exclude variables from weight decay in all optimizers."""
        for optimizer in self.optimizers:
            optimizer.exclude_from_weight_decay(var_list, var_names)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "optimizer_map": serialize(self.optimizer_map),
            "loss_scale_factor": self.loss_scale_factor, "name": self.name,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: CustomObjects = None) -> Self:
        """Make an optimizer from what `get_config` returned."""
        config = dict(config)
        return cls(deserialize(config.pop("optimizer_map"), custom_objects), **config)


def _no_rate() -> AttributeError:
    return AttributeError(
        "A MultiOptimizer has no learning rate. Read and set the rates of its `optimizers`."
    )
