"""The base of loss objects: a loss function with reduction, sample weights and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hornbeam import errors, tree
from hornbeam.core.convert import convert
from hornbeam.core.masks import get_mask
from hornbeam.core.naming import auto_name, to_snake_case
from hornbeam.core.tensor import any_symbolic
from hornbeam.dtype_policies import DTypePolicy, get_policy
from hornbeam.objects.configuration import serialize
from hornbeam.objects.constructor import constructor_config, from_constructor_config

__all__ = [
    "FunctionLoss",
    "Loss",
    "LossFunctionWrapper",
    "expand_weights",
    "squeeze_or_expand",
    "standardize_reduction",
]

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def standardize_reduction(reduction: Any) -> str | None:
    """Return a checked reduction; Keras 2's "auto" is "sum_over_batch_size".

    Raises:
        ValueError: If it is none of the reductions.

    Example:
        >>> standardize_reduction("auto")
        'sum_over_batch_size'
    """
    if reduction == "auto":
        return "sum_over_batch_size"
    if reduction not in _REDUCTIONS:
        raise ValueError(
            f"Loss: `reduction` must be one of {errors.listed(_REDUCTIONS[:-1])} or None, received {reduction!r}."
        )
    return reduction


def number_lists(x: Any) -> Any:
    """Return lists of mere numbers as one array; tensors and structures of them as they are."""
    numbers = isinstance(x, (list, tuple)) and all(isinstance(n, (bool, int, float)) for n in tree.flatten(x))
    return convert(x) if numbers else x


class Loss:
    """A loss with its reduction to one number.

    Subclasses implement `call(y_true, y_pred)`, which gives one value a sample.

    Args:
        name: Name. Default: the class's name in snake case.
        reduction: `"sum_over_batch_size"` or `"mean"` (mean over all values), `"sum"`,
            `"mean_with_sample_weight"` (weighted values over the sum of weights), or
            `"none"`/None: all values. `"auto"` of Keras 2 is the default.
        dtype: Dtype name or policy in which it is computed. Default: `floatx()`.

    Raises:
        ValueError: If `reduction` is unknown.

    Example:
        >>> class Gap(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return jnp.max(jnp.abs(y_true - y_pred), axis=-1)
        >>> float(Gap()([[0.0, 1.0]], [[0.0, 3.0]]))
        2.0
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        loss = super().__new__(cls)
        loss._captured = (args, kwargs)
        return loss

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        self.name = name or auto_name(type(self).__name__)
        self.reduction = standardize_reduction(reduction)
        self._given_dtype = dtype
        self._dtype_policy: DTypePolicy = get_policy(dtype)

    @property
    def dtype(self) -> str:
        """Dtype in which targets and predictions are compared."""
        # A mixed default policy is for layers: losses are sums, and want full width.
        policy = self._dtype_policy
        return policy.variable_dtype if self._given_dtype is None else policy.compute_dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the reduced loss.

        Args:
            y_true: Targets.
            y_pred: Predictions. A mask attached to them counts as weights 0 and 1.
            sample_weight: Factor of each value: a number, or shape `(B,)` or that of the values.
        """
        if any_symbolic(y_true, y_pred):
            return self.call(y_true, y_pred)
        predictions = tree.flatten(y_pred)
        mask = get_mask(predictions[0]) if len(predictions) == 1 else None
        y_true, y_pred = tree.map_structure(self._to_dtype, (number_lists(y_true), number_lists(y_pred)))
        values = self.call(y_true, y_pred)
        own = get_mask(values)
        if mask is None or own is None:
            mask = own if mask is None else mask
        else:
            mask = jnp.logical_and(*squeeze_or_expand(convert(own), convert(mask)))
        return _reduce(jnp.asarray(values, self.dtype), sample_weight, mask, self.reduction)

    def _to_dtype(self, x: Any) -> Any:
        return None if x is None else convert(x, dtype=self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return one value a sample."""
        raise NotImplementedError(f"{type(self).__name__}: implement `call(self, y_true, y_pred)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        if self._given_dtype is not None:
            config["dtype"] = self._dtype_policy.name
        return {**config, **constructor_config(self, Loss, skip=("name", "reduction", "dtype"))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a loss from what `get_config` gave."""
        return from_constructor_config(cls, config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, reduction={self.reduction}>"


def squeeze_or_expand(values: Any, weights: Any) -> tuple[Any, Any]:
    """Match the ranks of values and weights: `(B,)` weights are one a sample.

    Example:
        >>> [x.shape for x in squeeze_or_expand(jnp.ones((2, 3)), jnp.ones(2))]
        [(2, 3), (2, 1)]
    """
    if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
        return values, weights[..., 0]
    if values.ndim == weights.ndim + 1 and values.shape[-1] == 1 and weights.ndim > 1:
        return values[..., 0], weights
    return values, expand_weights(values, weights)


def expand_weights(values: Any, weights: Any) -> Any:
    """Give weights of the values' first axes the missing last ones."""
    missing = values.ndim - weights.ndim
    if weights.ndim and missing > 0 and weights.shape == values.shape[: weights.ndim]:
        return jnp.reshape(weights, weights.shape + (1,) * missing)
    return weights


def _reduce(values: Any, sample_weight: Any, mask: Any, reduction: str | None) -> Any:
    weights = None
    if sample_weight is not None:
        weights = convert(sample_weight, dtype=values.dtype)
        values, weights = squeeze_or_expand(values, weights)
    if mask is not None:
        values, mask = squeeze_or_expand(values, convert(mask).astype(values.dtype))
        if reduction in ("sum_over_batch_size", "mean"):
            # So that the mean is over what is not masked.
            mask = mask * (mask.size / jnp.maximum(jnp.sum(mask), 1e-7))
        weights = mask if weights is None else weights * mask
    if weights is not None:
        try:
            jnp.broadcast_shapes(values.shape, weights.shape)
        except ValueError:
            raise ValueError(
                f"Loss: `sample_weight` of shape {weights.shape} does not fit the loss values of shape "
                f"{values.shape}; pass one weight a sample, {values.shape[:1]}, or one a value."
            ) from None
        values = values * weights
    if reduction in ("none", None):
        return values
    total = jnp.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        count = jnp.sum(jnp.broadcast_to(weights, values.shape))
        return jnp.where(count == 0, 0.0, total / jnp.where(count == 0, 1.0, count))
    return total / max(values.size, 1)


class LossFunctionWrapper(Loss):
    """A loss function of your own as an object.

    Args:
        fn: Function of `(y_true, y_pred, **kwargs)` that gives one value a sample.
        reduction: How values become one number; see `Loss`.
        name: Name. Default: the function's.
        dtype: Dtype in which it is computed. Default: `floatx()`.
        **kwargs: Further arguments of `fn`.

    Example:
        >>> loss = LossFunctionWrapper(lambda t, p: (t - p) ** 4, name="quartic")
        >>> float(loss([1.0], [3.0]))
        16.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        extra = {key: serialize(value) for key, value in self._fn_kwargs.items()}
        return {**super().get_config(), **extra}


class FunctionLoss(Loss):
    """A loss whose function takes targets, predictions, and what the constructor was given beside a loss's own.

    A subclass names the function; its constructor, where it takes more, gives its arguments to `_keep`, which makes
    each an attribute.
    """

    _function: Callable[..., Any]
    _options: tuple[str, ...] = ()

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None, dtype: Any = None):
        super().__init__(name or to_snake_case(type(self).__name__), reduction, dtype)

    def _keep(self, arguments: dict[str, Any]) -> None:
        super().__init__(arguments["name"], arguments["reduction"], arguments["dtype"])
        self._options = tuple(n for n in arguments if n not in ("self", "name", "reduction", "dtype"))
        for option in self._options:
            setattr(self, option, arguments[option])

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return type(self)._function(y_true, y_pred, **{name: getattr(self, name) for name in self._options})
