"""The base class of loss objects: a function of `(y_true, y_pred)` with reduction and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import jax.numpy as jnp

from hornbeam import errors, tree
from hornbeam.checked import checked
from hornbeam.core.convert import convert
from hornbeam.core.masks import get_mask
from hornbeam.core.naming import auto_name, to_snake_case
from hornbeam.core.provenance import is_library_code
from hornbeam.core.tape_trace import tape_trace
from hornbeam.core.tensor import any_symbolic
from hornbeam.core.units import Units
from hornbeam.dtype_policies import DTypePolicy, get_policy
from hornbeam.losses.targets import averages_numbers, for_function, one_number_a_row
from hornbeam.objects.configuration import serialize
from hornbeam.objects.constructor import constructor_config, from_constructor_config
from hornbeam.typing import Policy, Structure, Tensor

__all__ = [
    "FunctionLoss",
    "Loss",
    "LossFunctionWrapper",
    "expand_weights",
    "loss_class",
    "number_lists",
    "policy_of",
    "squeeze_or_expand",
    "standardize_reduction",
]

_REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def standardize_reduction(reduction: str | None, owner: str = "Loss") -> str | None:
    """Return a checked reduction. `"auto"` of Keras 2 is `"sum_over_batch_size"`.

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
            f"{owner}: `reduction` must be one of {errors.listed(map(str, _REDUCTIONS[:-1]))} or"
            f" None, received {reduction!r}."
        )
    return reduction


def policy_of(owner: str, dtype: Policy) -> DTypePolicy:
    """Return the dtype policy that an argument `dtype` names.

    Raises:
        ValueError: If it names none.

    Example:
        >>> policy_of("Huber", "float16").compute_dtype
        'float16'
    """
    try:
        return get_policy(dtype)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{owner}: `dtype` must be a dtype, the name of one, or a dtype policy, received"
            f" {dtype!r}."
        ) from error


def number_lists(x: Structure) -> Structure:
    """Return a nested list of numbers as one array; anything else as it is.

    Example:
        >>> number_lists([[1, 2]]).shape
        (1, 2)
    """
    numbers = isinstance(x, (list, tuple)) and all(
        isinstance(n, (bool, int, float)) for n in tree.flatten(x)
    )
    return convert(x) if numbers else x


class _Captured:
    """Keeps the arguments of the constructor. (In a class of its own, for Loss's signature.)"""

    _captured: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        loss = super().__new__(cls)
        loss._captured = (args, kwargs)
        return loss


class Loss(_Captured):
    """Base of losses: values per sample, reduced to one number.

    Subclasses implement `call(y_true, y_pred)`, which returns one value per sample.

    Args:
        name: Name. Default: the class's name in snake case, numbered.
        reduction: `"sum_over_batch_size"` or `"mean"`: mean of all values. `"sum"`: their sum.
            `"mean_with_sample_weight"`: sum of the weighted values over the sum of the weights.
            `"none"` or None: all values.
        dtype: Dtype or dtype policy of the computation. Default: `floatx()`.

    Raises:
        ValueError: If an argument is none of these.

    Example:
        >>> class LargestError(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return jnp.max(jnp.abs(y_true - y_pred), axis=-1)
        >>> float(LargestError()([[0.0, 1.0]], [[0.0, 3.0]]))
        2.0
    """

    @checked
    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Policy = None,
    ):
        owner = type(self).__name__
        self.name = name or auto_name(owner)
        self.reduction = standardize_reduction(reduction, owner)
        self._given_dtype = dtype
        self._dtype_policy = policy_of(owner, dtype)

    @property
    def dtype(self) -> str:
        """The dtype in which targets and predictions are compared."""
        # A mixed policy by default is for layers. Losses are sums, which need the wider dtype.
        policy = self._dtype_policy
        return policy.variable_dtype if self._given_dtype is None else policy.compute_dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the reduced loss.

        Args:
            y_true: Targets.
            y_pred: Predictions. A mask attached to them counts as weights 0 and 1.
            sample_weight: Factor of the values: a number, one per sample (shape `(B,)`), or one per
                value.

        Raises:
            ValueError: If the shapes of values and weights do not fit.
        """
        if any_symbolic(y_true, y_pred):
            return self.call(y_true, y_pred)
        if tape_trace() is not None and (key := self._settings_key()) is not None:
            return _units.run(self._reduced, (y_true, y_pred, sample_weight), {}, key)
        return self._reduced(y_true, y_pred, sample_weight)

    def _settings_key(self) -> Any:
        """Return what makes two losses compute the same; `None` if the user's code runs in them."""
        functions = [type(self), *(x for x in vars(self).values() if callable(x))]
        if not all(map(is_library_code, functions)):
            return None
        own = {
            k: v for k, v in vars(self).items() if k not in ("name", "_captured", "_dtype_policy")
        }
        return type(self), self.dtype, tuple(own.items())

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        predictions = tree.flatten(y_pred)
        mask = get_mask(predictions[0]) if len(predictions) == 1 else None
        y_true, y_pred = tree.map_structure(
            self._to_dtype, (number_lists(y_true), number_lists(y_pred))
        )
        for factor in (sample_weight, mask):
            if factor is not None and self._averages_numbers():
                y_true, y_pred = one_number_a_row(y_true, y_pred, factor)
        values = self.call(y_true, y_pred)
        own = get_mask(values)
        if mask is None or own is None:
            mask = own if mask is None else mask
        else:
            mask = jnp.logical_and(*squeeze_or_expand(convert(own), convert(mask)))
        return _reduce(jnp.asarray(values, self.dtype), sample_weight, mask, self.reduction)

    def _averages_numbers(self) -> bool:
        """Return whether a value is the mean over the numbers of a row."""
        return False

    def _to_dtype(self, x: Any) -> Any:
        return None if x is None else convert(x, dtype=self.dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return one value per sample."""
        raise NotImplementedError(f"{type(self).__name__}: implement `call(self, y_true, y_pred)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        if self._given_dtype is not None:
            config["dtype"] = self._dtype_policy.name
        return {**config, **constructor_config(self, Loss, skip=("name", "reduction", "dtype"))}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a loss from what `get_config` returned."""
        return from_constructor_config(cls, config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, reduction={self.reduction}>"


_units = Units()


def squeeze_or_expand(values: Tensor, weights: Tensor) -> tuple[Any, Any]:
    """Match the ranks of values and weights. Weights of shape `(B,)` are one per sample.

    Example:
        >>> [x.shape for x in squeeze_or_expand(jnp.ones((2, 3)), jnp.ones(2))]
        [(2, 3), (2, 1)]
    """
    if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
        return values, weights[..., 0]
    if values.ndim == weights.ndim + 1 and values.shape[-1] == 1 and weights.ndim > 1:
        return values[..., 0], weights
    return values, expand_weights(values, weights)


def expand_weights(values: Tensor, weights: Tensor) -> Tensor:
    """Add axes of size 1 to weights that lack the last axes of the values.

    A last axis of size 1 that the values lack is removed.

    Example:
        >>> [expand_weights(jnp.ones((2, 3)), jnp.ones(s)).shape for s in ((2,), (2, 3, 1))]
        [(2, 1), (2, 3)]
    """
    if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
        return weights[..., 0]
    missing = values.ndim - weights.ndim
    sizes = zip(weights.shape, values.shape, strict=False)
    if weights.ndim and missing > 0 and all(w in (v, 1) for w, v in sizes):
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
            # The mean is over the values that are not masked.
            mask = mask * (mask.size / jnp.maximum(jnp.sum(mask), 1e-7))
        weights = mask if weights is None else weights * mask
    if weights is not None:
        try:
            jnp.broadcast_shapes(values.shape, weights.shape)
        except ValueError:
            raise ValueError(
                f"Loss: `sample_weight` of shape {weights.shape} does not fit the loss values of"
                f" shape {values.shape}; pass one weight per sample, shape {values.shape[:1]}, or"
                " one per value."
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
    """A function of targets and predictions as a loss object.

    Args:
        fn: Function of `(y_true, y_pred, **kwargs)` that returns one value per sample.
        reduction: How values become one number; see `Loss`.
        name: Name. Default: the function's.
        dtype: Dtype or dtype policy of the computation. Default: `floatx()`.
        **kwargs: Further arguments of `fn`.

    Example:
        >>> loss = LossFunctionWrapper(lambda t, p: (t - p) ** 4, name="quartic")
        >>> float(loss([1.0], [3.0]))
        16.0
    """

    @checked
    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Policy = None,
        **kwargs: Any,
    ):
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.fn(*for_function(y_true, y_pred), **self._fn_kwargs)

    def _averages_numbers(self) -> bool:
        return averages_numbers(self.fn, self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        extra = {key: serialize(value) for key, value in self._fn_kwargs.items()}
        return {**super().get_config(), **extra}


class FunctionLoss(Loss):
    """A loss whose values a known function computes.

    A subclass names the function as `fn`. A subclass with arguments of its own passes them to
    `keep`, which makes each an attribute and an argument of the function.
    """

    fn: Callable[..., Any]
    """Function of `(y_true, y_pred)` and the arguments that are kept."""

    _options: tuple[str, ...] = ()

    @checked
    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Policy = None,
    ):
        super().__init__(name or to_snake_case(type(self).__name__), reduction, dtype)

    def keep(self, arguments: dict[str, Any]) -> None:
        """Keep a constructor's arguments, given as its `locals()`."""
        super().__init__(arguments["name"], arguments["reduction"], arguments["dtype"])
        self._options = tuple(
            n for n in arguments if n not in ("self", "name", "reduction", "dtype")
        )
        for option in self._options:
            setattr(self, option, arguments[option])

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return type(self).fn(y_true, y_pred, **self._arguments())

    def _arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._options}

    def _averages_numbers(self) -> bool:
        own = type(self).call is not FunctionLoss.call
        return not own and averages_numbers(type(self).fn, self._arguments())


def loss_class(
    name: str, fn: Callable[..., Any], doc: str, y_true: list[Any], y_pred: list[Any], result: float
) -> type[FunctionLoss]:
    """Make the class of a loss without arguments of its own.

    Args:
        name: Name of the class.
        fn: Its function.
        doc: First sentence of its docstring, with the formula.
        y_true, y_pred: Targets and predictions of its example.
        result: What the example gives.
    """
    text = f"""{doc}

    `{fn.__name__}` computes the values and documents their shapes.

    Args:
        reduction: How values become one number; see `Loss`.
        name: Name. Default: `"{to_snake_case(name)}"`.
        dtype: Dtype or dtype policy of the computation. Default: `floatx()`.

    Example:
        >>> round(float({name}()({y_true!r}, {y_pred!r})), 4)
        {result!r}
    """
    return type(
        name,
        (FunctionLoss,),
        {"fn": staticmethod(fn), "__doc__": text, "__module__": fn.__module__},
    )
