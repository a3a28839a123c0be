"""The base of metrics: values that accumulate over batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import jax.numpy as jnp

from hornbeam.checked import checked
from hornbeam.core.convert import convert
from hornbeam.core.masks import get_mask
from hornbeam.core.naming import auto_name, name_scope
from hornbeam.core.variable import Overlay, Variable
from hornbeam.dtype_policies import DTypePolicy
from hornbeam.dtypes import standardize_dtype
from hornbeam.losses.loss import expand_weights, policy_of
from hornbeam.objects.constructor import constructor_config, from_constructor_config
from hornbeam.older_words import older_words
from hornbeam.typing import DType, Identifier, Policy, Structure, Tensor

__all__ = ["Metric", "divide_no_nan", "masked_weights", "times_mask"]


def divide_no_nan(a: Tensor, b: Tensor) -> Tensor:
    """Return `a / b`, and 0 where `b` is 0.

    Example:
        >>> float(divide_no_nan(1.0, 0.0))
        0.0
    """
    return jnp.where(b == 0, 0.0, a / jnp.where(b == 0, 1.0, b))


def masked_weights(y_pred: Tensor, sample_weight: Tensor, dtype: str) -> Tensor:
    """Return the weights times the mask that is attached to the predictions, if there is one.

    Args:
        y_pred: Predictions.
        sample_weight: Weights, or `None`.
        dtype: Dtype of the result.
    """
    return times_mask(sample_weight, get_mask(y_pred), dtype)


def times_mask(sample_weight: Tensor, mask: Tensor, dtype: str) -> Tensor:
    """Return weights times a mask; the one with fewer axes applies to whole rows of the other.

    Example:
        >>> times_mask(jnp.ones((2, 3)), jnp.array([True, False]), "float32").sum(axis=1).tolist()
        [3.0, 0.0]
    """
    if mask is None:
        return sample_weight
    factor = convert(mask).astype(dtype)
    if sample_weight is None:
        return factor
    weights = expand_weights(factor, convert(sample_weight).astype(dtype))
    return weights * expand_weights(weights, factor)


class _Captured:
    """Keeps the arguments of the constructor. (In a class of its own, for Metric's signature.)"""

    _captured: tuple[tuple[Any, ...], dict[str, Any]]
    _own_variables: list[Variable]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        metric = super().__new__(cls)
        metric._captured = (args, kwargs)
        metric._own_variables = []
        return metric


class Metric(_Captured):
    """Base of metrics: values that are updated batch by batch and can be read at any time.

    Subclasses create their variables with `add_variable`, and implement `update_state` and `result`
    with `jax.numpy` or `hornbeam.ops`.

    Args:
        dtype: Dtype or dtype policy of variables and result. Default: `floatx()`.
        name: Name. Default: the class's name in snake case, numbered.

    Raises:
        ValueError: If an argument is of another type.

    Example:
        >>> class Largest(Metric):
        ...     def __init__(self, name="largest", **kwargs):
        ...         super().__init__(name=name, **kwargs)
        ...         self.value = self.add_weight(shape=(), initializer="zeros", name="value")
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         self.value.assign(jnp.maximum(self.value.value, jnp.max(y_pred)))
        ...     def result(self):
        ...         return self.value.value
        >>> metric = Largest()
        >>> metric.update_state(None, jnp.array([1.0, 3.0])); float(metric.result())
        3.0
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "reset_states" in cls.__dict__ and "reset_state" not in cls.__dict__:
            cls.reset_state = cls.__dict__["reset_states"]  # type: ignore[method-assign]

    @checked
    def __init__(self, dtype: Policy = None, name: str | None = None):
        self.name = name or auto_name(type(self).__name__)
        self._dtype_policy = policy_of(
            type(self).__name__, standardize_dtype(None) if dtype is None else dtype
        )

    @property
    def dtype(self) -> str:
        """The dtype of the metric's variables."""
        return self._dtype_policy.variable_dtype

    @property
    def dtype_policy(self) -> DTypePolicy:
        """The dtype policy that the constructor was given."""
        return self._dtype_policy

    # --- state -------------------------------------------------------------------------

    def add_variable(
        self,
        shape: Sequence[int] | str = (),
        initializer: Identifier = "zeros",
        dtype: DType | None = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Create a variable of the metric's state.

        Args:
            shape: Shape.
            initializer: Initializer of the first value. `reset_state` sets zeros.
            dtype: Dtype. Default: the metric's.
            aggregation: How replicas combine the variable.
            name: Name. Default: `"variable"`, numbered.

        Returns:
            The variable.
        """
        if isinstance(shape, str):  # Keras 2: the name comes first
            name, shape = shape, ()
        with name_scope(self.name.replace("/", "_")):
            variable = Variable(
                "zeros" if initializer is None else initializer,
                shape=tuple(shape),
                dtype=dtype or self.dtype,
                trainable=False,
                aggregation=aggregation,
                name=name,
            )
        self._own_variables.append(variable)
        return variable

    @older_words(synchronization="")
    def add_weight(
        self,
        shape: Sequence[int] | str = (),
        initializer: Identifier = "zeros",
        dtype: DType | None = None,
        name: str | None = None,
        aggregation: str = "sum",
    ) -> Variable:
        """Create a variable of the metric's state; see `add_variable`."""
        return self.add_variable(shape, initializer, dtype, aggregation, name)

    @property
    def variables(self) -> list[Variable]:
        """The variables of the metric, then the variables of the metrics in its attributes."""
        found = dict.fromkeys(self._own_variables)
        nested: list[Metric] = []
        for value in list(self.__dict__.values()):
            for part in _parts(value):
                if isinstance(part, Variable):
                    found[part] = None
                elif part is not self:
                    nested.append(part)
        for metric in nested:
            found.update(dict.fromkeys(metric.variables))
        return list(found)

    weights = variables

    def reset_state(self) -> None:
        """Set all variables to 0."""
        for variable in self.variables:
            variable.set_zeros()

    def reset_states(self) -> None:
        """Set all variables to 0; the name in Keras 2."""
        cls = type(self)
        # A subclass written for Keras 2, which overrides `reset_states`.
        if cls.reset_state is cls.reset_states:
            Metric.reset_state(self)
        else:
            self.reset_state()

    # --- for subclasses ----------------------------------------------------------------

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Update the variables with a batch."""
        raise NotImplementedError(f"{type(self).__name__}: implement `update_state`.")

    def result(self) -> Structure:
        """Return the value for all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__}: implement `result`.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update the state, and return the result."""
        self.update_state(*args, **kwargs)
        return self.result()

    # --- as pure functions -------------------------------------------------------------

    def stateless_update_state(
        self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any
    ) -> list[Any]:
        """Return the variables' new values from their old values and a batch; change none."""
        return self._stateless(metric_variables, lambda: self.update_state(*args, **kwargs))[1]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Structure:
        """Return the result for these values of the variables."""
        return self._stateless(metric_variables, self.result)[0]

    def stateless_reset_state(self) -> list[Any]:
        """Return the values of the variables after a reset; change no variable."""
        return self._stateless([v.value for v in self.variables], self.reset_state)[1]

    def _stateless(
        self, values: Sequence[Any], function: Callable[[], Any]
    ) -> tuple[Any, list[Any]]:
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"Metric '{self.name}': expected values of its {len(variables)} variables "
                f"({', '.join(v.path for v in variables)}), received {len(values)}."
            )
        given = [v.value if isinstance(v, Variable) else v for v in values]
        with Overlay(variables, given) as overlay:
            result = function()
        return result, [overlay.value_of(v) for v in variables]

    # --- configuration -----------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = {"name": self.name, "dtype": self._dtype_policy.name}
        return {**config, **constructor_config(self, Metric, skip=("name", "dtype"))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a metric from what `get_config` returned."""
        return from_constructor_config(cls, config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _parts(value: Any) -> list[Any]:
    """Return the variables and metrics in a value or in its items (list, tuple or dict)."""
    if isinstance(value, (Variable, Metric)):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in _parts(item)]
    return []
