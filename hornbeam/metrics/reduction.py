"""Metrics that sum or average values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hornbeam import tree
from hornbeam.core.convert import convert
from hornbeam.core.masks import get_mask
from hornbeam.core.naming import to_snake_case
from hornbeam.dtypes import is_float
from hornbeam.losses.loss import expand_weights, number_lists, squeeze_or_expand
from hornbeam.metrics.metric import Metric, divide_no_nan
from hornbeam.objects.configuration import serialize

__all__ = ["Mean", "MeanMetricWrapper", "Sum"]


def _samplewise(values: Any, sample_weight: Any, dtype: str, reduce: Callable[..., Any]) -> tuple[Any, Any]:
    """Return weighted values and weights, axes beyond the batch (or the weights') reduced."""
    values = convert(values).astype(dtype)
    if sample_weight is None:
        if values.ndim > 1:
            values = reduce(values, axis=tuple(range(1, values.ndim)))
        return values, None
    weights = convert(sample_weight).astype(dtype)
    if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    if weights.ndim < values.ndim:
        values = reduce(values, axis=tuple(range(weights.ndim, values.ndim)))
    try:
        values = values * weights
    except (TypeError, ValueError):
        raise ValueError(
            f"Metric: `sample_weight` of shape {weights.shape} does not fit values of shape {values.shape}."
        ) from None
    weights = jnp.broadcast_to(weights, values.shape)
    if values.ndim > 1:
        axes = tuple(range(1, values.ndim))
        values, weights = reduce(values, axis=axes), reduce(weights, axis=axes)
    return values, weights


def wide(x: Any, dtype: str) -> Any:
    """Return arrays of `x`, floats of fewer bits than `dtype` in it: a difference of rounded numbers is rounded once."""

    def one(x: Any) -> Any:
        if x is None:
            return None
        x = convert(x)
        narrow = is_float(x.dtype) and jnp.finfo(x.dtype).bits < jnp.finfo(dtype).bits
        return x.astype(dtype) if narrow else x

    return tree.map_structure(one, number_lists(x))


class Sum(Metric):
    """The weighted sum of all values.

    Args:
        name: Name.
        dtype: Dtype of the sum. Default: `floatx()`.

    Example:
        >>> metric = Sum()
        >>> metric.update_state([1.0, 3.0]); float(metric.result())
        4.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, _ = _samplewise(values, sample_weight, self.dtype, jnp.sum)
        self.total.assign_add(jnp.sum(values))

    def result(self) -> Any:
        return self.total.value


class Mean(Metric):
    """The weighted mean of all values; values of one sample are averaged first.

    Args:
        name: Name.
        dtype: Dtype of the sums. Default: `floatx()`.

    Example:
        >>> metric = Mean()
        >>> metric.update_state([1.0, 3.0], sample_weight=[3.0, 1.0]); float(metric.result())
        1.5
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, weights = _samplewise(values, sample_weight, self.dtype, jnp.mean)
        self.total.assign_add(jnp.sum(values))
        self.count.assign_add(values.size if weights is None else jnp.sum(weights))

    def result(self) -> Any:
        return divide_no_nan(self.total.value, self.count.value)


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions.

    A mask attached to the predictions counts as weights 0 and 1.

    Args:
        fn: Function of `(y_true, y_pred, **kwargs)` that gives one value a sample.
        name: Name. Default: the class's name, numbered.
        dtype: Dtype of the sums. Default: `floatx()`.
        **kwargs: Further arguments of `fn`.

    Example:
        >>> metric = MeanMetricWrapper(lambda t, p: (t - p) ** 2, name="square")
        >>> metric.update_state(jnp.zeros(2), jnp.array([1.0, 3.0])); float(metric.result())
        5.0
    """

    _compares_rows = False
    """Whether a value is one of a whole row, such as scores of classes, and not a mean over its numbers."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        mask = get_mask(y_pred)
        y_true, y_pred = wide(y_true, self.dtype), wide(y_pred, self.dtype)
        if getattr(y_true, "ndim", 0) == getattr(y_pred, "ndim", 0) == 1 and not self._compares_rows:
            # A number a sample: each has its own value, so that each weight counts.
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        values = convert(self.fn(y_true, y_pred, **self._fn_kwargs))
        if mask is None:
            mask = get_mask(values)
        if mask is not None:
            mask = convert(mask).astype(self.dtype)
            if sample_weight is not None:
                weights = convert(sample_weight).astype(self.dtype)
                mask, weights = squeeze_or_expand(mask, weights)
                mask = mask * expand_weights(mask, weights)
            sample_weight = mask
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        extra = {key: serialize(value) for key, value in self._fn_kwargs.items()}
        return {**super().get_config(), **extra}


class FunctionMean(MeanMetricWrapper):
    """The mean of a known function; subclasses name it, and keep its settings as attributes."""

    _function: Callable[..., Any]
    _default_name: str | None = None

    def __init__(self, name: str | None = None, dtype: Any = None, **settings: Any):
        name = name or self._default_name or to_snake_case(type(self).__name__)
        super().__init__(type(self)._function, name, dtype, **settings)
        for key, value in settings.items():
            setattr(self, key, value)

    def get_config(self) -> dict[str, Any]:
        settings = {key: serialize(value) for key, value in self._fn_kwargs.items()}
        return {"name": self.name, "dtype": self._dtype_policy.name, **settings}
