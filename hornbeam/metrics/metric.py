"""The base of metrics, and means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from hornbeam import initializers
from hornbeam.core import naming
from hornbeam.core.symbolic import convert, get_mask
from hornbeam.core.variable import Overlay, Variable
from hornbeam.dtypes import standardize_dtype

__all__ = ["Mean", "MeanMetricWrapper", "Metric", "Sum"]


class Metric:
    """Base of metrics: `update_state` with batches, then `result`.

    Args:
        dtype: Dtype of the state. Default: `floatx()`.
        name: Name. Default: the class's name in snake case, numbered.

    Example:
        >>> class Count(Metric):
        ...     def __init__(self, name=None):
        ...         super().__init__(name=name)
        ...         self.count = self.add_weight(name="count", initializer="zeros")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.count.assign_add(1.0)
        ...     def result(self):
        ...         return self.count.value
        >>> float(Count()([0], [0]))
        1.0
    """

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or naming.auto_name(type(self).__name__)
        self._dtype = standardize_dtype(getattr(dtype, "name", dtype))
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """Dtype of the state."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state, that of metrics held by attributes included."""
        inner = [v for m in self.__dict__.values() if isinstance(m, Metric) for v in m.variables]
        own = [v for v in self.__dict__.values() if isinstance(v, Variable)]
        return list(dict.fromkeys([*self._variables, *own, *inner]))

    def add_variable(self, shape: Any = (), initializer: Any = None, dtype: Any = None, aggregation: str = "sum", name: str | None = None) -> Variable:
        """Create a variable of the state; zeros by default."""
        with naming.name_scope(self.name):
            variable = Variable(
                initializers.get(initializer or "zeros"), shape=tuple(shape), dtype=dtype or self._dtype, trainable=False,
                autocast=False, aggregation=aggregation, name=name,
            )  # fmt: skip
        self._variables.append(variable)
        return variable

    def add_weight(self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None, **kwargs: Any) -> Variable:
        """Create a variable of the state; `add_variable` by another name."""
        if isinstance(shape, str):  # Keras 2: add_weight("name", ...)
            shape, name = (), shape
        return self.add_variable(shape, initializer, dtype, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take a batch into account."""
        raise NotImplementedError(f"{type(self).__name__} must implement `update_state`.")

    def result(self) -> Any:
        """Return the current value."""
        raise NotImplementedError(f"{type(self).__name__} must implement `result`.")

    def reset_state(self) -> None:
        """Start anew."""
        for v in self.variables:
            v.assign(jnp.zeros(v.shape, v._dtype))

    def reset_states(self) -> None:
        """Start anew; Keras 1's and 2's name."""
        self.reset_state()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Return the new state for a given one, changing nothing."""
        own = self.variables
        with Overlay(own, metric_variables) as overlay:
            self.update_state(*args, **kwargs)
            return [overlay.value_of(v) for v in own]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """Return the value for a given state."""
        with Overlay(self.variables, metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Any]:
        """Return the state of a fresh start."""
        own = self.variables
        with Overlay(own, [v.value for v in own]) as overlay:
            self.reset_state()
            return [overlay.value_of(v) for v in own]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        from hornbeam.saving.config import constructor_config

        return {"name": self.name, "dtype": self._dtype, **constructor_config(self, Metric, skip=("name", "dtype"))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a metric from what `get_config` returned."""
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = config["dtype"]["config"]["name"]
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class Sum(Metric):
    """Weighted sum of values.

    Args:
        name: Name.
        dtype: Dtype.

    Example:
        >>> float(Sum()([1.0, 2.0]))
        3.0
    """

    def __init__(self, name: str = "sum", dtype: Any = None):
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values."""
        values = convert(values, self._dtype)
        if sample_weight is not None:
            weights = convert(sample_weight).astype(self._dtype)
            values = values * weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
        self.total.assign_add(jnp.sum(values))

    def result(self) -> Any:
        """Return the sum."""
        return self.total.value


class Mean(Metric):
    """Weighted mean of values.

    Args:
        name: Name.
        dtype: Dtype.

    Example:
        >>> float(Mean()([1.0, 2.0]))
        1.5
    """

    def __init__(self, name: str = "mean", dtype: Any = None):
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take values into account."""
        values = convert(values, self._dtype)
        weights = jnp.ones((), self._dtype) if sample_weight is None else convert(sample_weight).astype(self._dtype)
        if weights.ndim > values.ndim and weights.shape[-1] == 1:
            weights = weights[..., 0]
        weights = weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
        weights = jnp.broadcast_to(weights, values.shape)
        self.total.assign_add(jnp.sum(values * weights))
        self.count.assign_add(jnp.sum(weights))

    def result(self) -> Any:
        """Return the mean; 0 before any value."""
        return self.total.value / jnp.where(self.count.value == 0, 1.0, self.count.value)


class MeanMetricWrapper(Mean):
    """Mean of a function of `(y_true, y_pred)`.

    Args:
        fn: Function that returns a value a sample.
        name: Name. Default: the function's.
        dtype: Dtype.
        **kwargs: Further arguments of the function.

    Example:
        >>> from hornbeam.losses import mean_squared_error
        >>> float(MeanMetricWrapper(mean_squared_error)([[0.0]], [[2.0]]))
        4.0
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name or fn.__name__, dtype)
        self.fn = fn
        self._arguments = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch into account; masked steps of `y_pred` count nothing."""
        mask = get_mask(y_pred)
        values = convert(self.fn(y_true, y_pred, **self._arguments)).astype(self._dtype)
        if mask is not None:
            weights = convert(mask).astype(self._dtype)
            if sample_weight is not None:
                given = convert(sample_weight).astype(self._dtype)
                weights = weights * given.reshape(given.shape + (1,) * (weights.ndim - given.ndim))
            sample_weight = weights
        super().update_state(values, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return name, dtype, function and its arguments."""
        from hornbeam.saving.config import serialize

        config = {"name": self.name, "dtype": self._dtype, **self._arguments}
        return {**config, "fn": serialize(self.fn)} if type(self) is MeanMetricWrapper else config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a metric from what `get_config` returned."""
        from hornbeam.saving.config import deserialize

        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = config["dtype"]["config"]["name"]
        if "fn" in config:
            from hornbeam import metrics

            fn = config["fn"]
            config["fn"] = getattr(metrics, fn, None) if isinstance(fn, str) else deserialize(fn)
        return cls(**config)
