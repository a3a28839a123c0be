"""Metrics that sum or average values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hornbeam import tree
from hornbeam.checked import checked
from hornbeam.core.convert import convert
from hornbeam.core.masks import get_mask
from hornbeam.core.naming import to_snake_case
from hornbeam.dtypes import is_float
from hornbeam.losses.loss import number_lists
from hornbeam.losses.targets import averages_numbers, one_number_a_row
from hornbeam.metrics.metric import Metric, divide_no_nan, times_mask
from hornbeam.objects.configuration import serialize
from hornbeam.typing import Policy, Structure, Tensor

__all__ = ["FunctionMean", "Mean", "MeanMetricWrapper", "Sum", "mean_class", "wide"]


def _samplewise(
    values: Any, sample_weight: Any, dtype: str, reduce: Callable[..., Any]
) -> tuple[Any, Any]:
    """Return weighted values and weights, reduced to one per sample.

    Values are also reduced over axes that the weights lack.
    """
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
            f"Metric: `sample_weight` of shape {weights.shape} does not fit values of shape"
            f" {values.shape}; pass one weight per sample or one per value."
        ) from None
    weights = jnp.broadcast_to(weights, values.shape)
    if values.ndim > 1:
        axes = tuple(range(1, values.ndim))
        values, weights = reduce(values, axis=axes), reduce(weights, axis=axes)
    return values, weights


def wide(x: Tensor, dtype: str) -> Tensor:
    """Return arrays of `x`, with floats of fewer bits than `dtype` cast to it before a computation.

    Example:
        >>> wide(jnp.ones(2, "float16"), "float32").dtype.name
        'float32'
    """

    def one(x: Any) -> Any:
        if x is None:
            return None
        x = convert(x)
        narrow = is_float(x.dtype) and jnp.finfo(x.dtype).bits < jnp.finfo(dtype).bits
        return x.astype(dtype) if narrow else x

    return tree.map_structure(one, number_lists(x))


class Sum(Metric):
    """The sum of all values times their weights.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sum. Default: `floatx()`.

    Example:
        >>> metric = Sum()
        >>> metric.update_state([1.0, 3.0]); float(metric.result())
        4.0
    """

    @checked
    def __init__(self, name: str | None = "sum", dtype: Policy = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")

    def update_state(self, values: Tensor, sample_weight: Tensor = None) -> None:
        values, _ = _samplewise(values, sample_weight, self.dtype, jnp.sum)
        self.total.assign_add(jnp.sum(values))

    def result(self) -> Structure:
        return self.total.value


class Mean(Metric):
    """The weighted mean of all values. The values of one sample are averaged first.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.

    Example:
        >>> metric = Mean()
        >>> metric.update_state([1.0, 3.0], sample_weight=[3.0, 1.0]); float(metric.result())
        1.5
    """

    @checked
    def __init__(self, name: str | None = "mean", dtype: Policy = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, values: Tensor, sample_weight: Tensor = None) -> None:
        values, weights = _samplewise(values, sample_weight, self.dtype, jnp.mean)
        self.total.assign_add(jnp.sum(values))
        self.count.assign_add(values.size if weights is None else jnp.sum(weights))

    def result(self) -> Structure:
        return divide_no_nan(self.total.value, self.count.value)


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions.

    A mask attached to the predictions counts as weights 0 and 1.

    Args:
        fn: Function of `(y_true, y_pred, **kwargs)` that returns one value per sample.
        name: Name. Default: the class's name, numbered.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        **kwargs: Further arguments of `fn`.

    Example:
        >>> metric = MeanMetricWrapper(lambda t, p: (t - p) ** 2, name="square")
        >>> metric.update_state(jnp.zeros(2), jnp.array([1.0, 3.0])); float(metric.result())
        5.0
    """

    compares_rows = False
    """Whether a value needs a whole row, such as the scores of all classes, and is no mean over the
    numbers of a row.
    """

    @checked
    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Policy = None, **kwargs: Any
    ):
        super().__init__(name=name, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def update_state(  # type: ignore[override]  # targets and predictions, not values
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> None:
        mask = get_mask(y_pred)
        y_true, y_pred = wide(y_true, self.dtype), wide(y_pred, self.dtype)
        if getattr(y_true, "ndim", 0) == getattr(y_pred, "ndim", 0) == 1 and not self.compares_rows:
            # One number per sample: each is a row of its own, so that each weight counts.
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        elif averages_numbers(self.fn, self._fn_kwargs):
            for factor in (sample_weight, mask):
                if factor is not None:
                    y_true, y_pred = one_number_a_row(y_true, y_pred, factor)
        values = convert(self.fn(y_true, y_pred, **self._fn_kwargs))
        for factor in (mask, get_mask(values)):
            sample_weight = times_mask(sample_weight, factor, self.dtype)
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        extra = {key: serialize(value) for key, value in self._fn_kwargs.items()}
        return {**super().get_config(), **extra}


class FunctionMean(MeanMetricWrapper):
    """The mean of a known function.

    A subclass names the function as `fn`. A subclass with arguments of its own passes them to
    `keep`, which makes each an attribute and an argument of the function.
    """

    fn: Callable[..., Any]
    """Function of `(y_true, y_pred)` and the arguments that are kept."""

    default_name: str | None = None
    """Name if none is given. Default: the class's name in snake case."""

    @checked
    def __init__(self, name: str | None = None, dtype: Policy = None):
        self.keep({"name": name, "dtype": dtype})

    def keep(self, arguments: dict[str, Any]) -> None:
        """Keep a constructor's arguments, given as its `locals()`."""
        cls = type(self)
        name = arguments["name"] or self.default_name or to_snake_case(cls.__name__)
        settings = {
            key: value for key, value in arguments.items() if key not in ("self", "name", "dtype")
        }
        super().__init__(cls.fn, name, arguments["dtype"], **settings)
        for key, value in settings.items():
            setattr(self, key, value)

    def get_config(self) -> dict[str, Any]:
        settings = {key: serialize(value) for key, value in self._fn_kwargs.items()}
        return {"name": self.name, "dtype": self._dtype_policy.name, **settings}


def mean_class(
    name: str, fn: Callable[..., Any], doc: str, y_true: list[Any], y_pred: list[Any],
    result: float, *, module: str, compares_rows: bool = False, default_name: str | None = None,
) -> type[FunctionMean]:  # fmt: skip
    """Make the class of a metric that is the mean of a function without arguments of its own.

    Args:
        name: Name of the class.
        fn: Its function.
        doc: First sentence of its docstring, with the formula.
        y_true, y_pred: Targets and predictions of its example.
        result: What the example gives.
        module: Module that holds it.
        compares_rows: As for `MeanMetricWrapper`.
        default_name: As for `FunctionMean`.
    """
    text = f"""{doc}

    `{fn.__name__}` computes the values and documents their shapes.
    The result is their weighted mean over all batches.

    Args:
        name: Name. Default: `"{default_name or to_snake_case(name)}"`.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.

    Example:
        >>> round(float({name}()({y_true!r}, {y_pred!r})), 4)
        {result!r}
    """
    body = {"fn": staticmethod(fn), "compares_rows": compares_rows, "default_name": default_name}
    return type(name, (FunctionMean,), {**body, "__doc__": text, "__module__": module})
