"""Several optimizers as one."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from hornbeam.core import registry
from hornbeam.core.patterns import PatternMap
from hornbeam.core.variable import Variable
from hornbeam.objects.configuration import deserialize, serialize
from hornbeam.optimizers.optimizer import Optimizer

__all__ = ["MultiOptimizer", "OptimizerMap"]


class OptimizerMap(PatternMap):
    """Patterns of variables' paths, and the optimizers of what matches.

    Args:
        default_optimizer: For variables that match no pattern.
        optimizer_map: Patterns (regular expressions that match a whole path) and optimizers.

    Raises:
        ValueError: On a lookup, if two patterns match.

    Example:
        >>> from hornbeam.optimizers import SGD, Adam
        >>> choice = OptimizerMap(SGD(), {".*encoder.*": Adam()})
        >>> type(choice["net/encoder/kernel"]).__name__, type(choice["net/head/kernel"]).__name__
        ('Adam', 'SGD')
    """

    def __init__(self, default_optimizer: Any, optimizer_map: Any = None):
        super().__init__(self._value(default_optimizer), optimizer_map)

    def _value(self, value: Any) -> Any:
        return registry.family("optimizer").get(value)

    @property
    def default_optimizer(self) -> Any:
        """The optimizer of what matches no pattern."""
        return self._default

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "default_optimizer": serialize(self._default),
            "optimizer_map": {pattern: serialize(optimizer) for pattern, optimizer in self._entries.items()},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> OptimizerMap:
        """Make a map from what `get_config` returned."""
        rest = {pattern: deserialize(value) for pattern, value in (config.get("optimizer_map") or {}).items()}
        return cls(deserialize(config["default_optimizer"]), rest)


class MultiOptimizer(Optimizer):
    """Updates each variable by an optimizer chosen for it.

    Args:
        optimizer_map: An `OptimizerMap`, or a function that takes a variable and returns its optimizer.
        loss_scale_factor: Factor of the loss, taken off the gradients again.
        name: Name.

    Raises:
        ValueError: If `optimizer_map` is neither.

    Example:
        >>> from hornbeam.optimizers import SGD, Adam
        >>> optimizer = MultiOptimizer(OptimizerMap(SGD(), {".*encoder.*": Adam()}))
        >>> [type(inner).__name__ for inner in optimizer.optimizers]
        ['Adam', 'SGD']
    """

    def __init__(self, optimizer_map: Any, loss_scale_factor: float | None = None, name: str | None = None):
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        if not isinstance(optimizer_map, OptimizerMap) and not callable(optimizer_map):
            raise ValueError(
                "MultiOptimizer: `optimizer_map` must be an OptimizerMap, or a function that takes a variable and "
                f"returns an optimizer, received {optimizer_map!r}."
            )
        self.optimizer_map = optimizer_map
        self._parts: list[tuple[Any, list[Variable]]] = []

    @property
    def optimizers(self) -> list[Any]:
        """The optimizers inside, the default one last."""
        if isinstance(self.optimizer_map, OptimizerMap):
            return list(dict.fromkeys([*self.optimizer_map._entries.values(), self.optimizer_map.default_optimizer]))
        return [optimizer for optimizer, _ in self._parts]

    @property
    def learning_rate(self) -> Any:
        """Not there: each optimizer has its own."""
        raise AttributeError(
            "A MultiOptimizer has no learning rate of its own: read and set those of its `optimizers`."
        )

    @property
    def variables(self) -> list[Variable]:
        """Its own variables, then those of the optimizers inside."""
        return [*self._variables, *(v for optimizer in self.optimizers for v in optimizer.variables)]

    def build(self, variables: Iterable[Variable]) -> None:
        """Choose the optimizers, and create their slots."""
        variables = list(variables)
        if self.built and variables == self._trainable:
            return
        chosen = self.optimizer_map if isinstance(self.optimizer_map, OptimizerMap) else None
        unused = [p for p in chosen or () if not any(p in chosen.matching(v.path) for v in variables)]
        if unused:
            warnings.warn(
                f"MultiOptimizer: no variable's path matches {unused}. A pattern must match a whole path, such as "
                f"'{variables[0].path if variables else ''}'.",
                stacklevel=2,
            )
        known = {v: optimizer for optimizer, mine in self._parts for v in mine}
        parts: dict[int, tuple[Any, list[Variable]]] = {}
        for variable in variables:
            optimizer = known.get(variable)
            if optimizer is None:
                optimizer = self.optimizer_map(variable) if chosen is None else chosen[variable.path]
            parts.setdefault(id(optimizer), (optimizer, []))[1].append(variable)
        self._parts = list(parts.values())
        self._trainable, self.built = variables, True
        for optimizer in self.optimizers:
            optimizer.build(parts.get(id(optimizer), (optimizer, []))[1])

    def _current_rate(self) -> Any:
        return 0.0

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
        """Let each optimizer use the gradients that it accumulated."""
        for optimizer in self.optimizers:
            optimizer.flush_gradients()

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Do what each optimizer does at the end."""
        wanted = set(var_list)
        for optimizer, mine in self._parts:
            optimizer.finalize_variable_values([v for v in mine if v in wanted])

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Leave variables out of weight decay in all optimizers."""
        for optimizer in self.optimizers:
            optimizer.exclude_from_weight_decay(var_list, var_names)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            "optimizer_map": serialize(self.optimizer_map), "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make an optimizer from what `get_config` returned."""
        config = dict(config)
        return cls(deserialize(config.pop("optimizer_map"), custom_objects), **config)
