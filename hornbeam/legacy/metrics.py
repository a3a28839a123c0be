"""Metrics of Keras 1 and 2 that Keras 3 has not, and methods that metrics had as layers.

In Keras 2 a metric was a layer. `hornbeam.legacy` makes `METRIC_METHODS` methods of `Metric`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam import ops
from hornbeam.checked import checked
from hornbeam.core.convert import convert
from hornbeam.core.registry import register_keras_serializable
from hornbeam.losses.loss import expand_weights
from hornbeam.losses.targets import match_ranks
from hornbeam.metrics.metric import Metric, divide_no_nan
from hornbeam.metrics.reduction import Mean
from hornbeam.typing import ArrayLike, Policy, Structure, Tensor

__all__ = ["METRIC_METHODS", "MeanRelativeError", "MeanTensor"]

register = register_keras_serializable("hornbeam")


@register
class MeanTensor(Metric):
    """The weighted mean of tensors of one shape, element by element.

    Args:
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.
        shape: Shape of the tensors. Default: that of the first one.

    Raises:
        ValueError: If a tensor has another shape.

    Example:
        >>> metric = MeanTensor()
        >>> metric.update_state([0.0, 1.0]); metric.update_state([2.0, 3.0])
        >>> metric.result().tolist()
        [1.0, 2.0]
    """

    total: Any = None
    count: Any = None

    @checked
    def __init__(
        self, name: str | None = "mean_tensor", dtype: Policy = None,
        shape: Sequence[int] | None = None,
    ):  # fmt: skip
        super().__init__(name=name, dtype=dtype)
        self.shape = None if shape is None else tuple(shape)
        if self.shape is not None:
            self._make(self.shape)

    def _make(self, shape: tuple[int, ...]) -> None:
        self.total = self.add_variable(shape, "zeros", name="total")
        self.count = self.add_variable(shape, "zeros", name="count")

    def update_state(self, values: Tensor, sample_weight: Tensor = None) -> None:
        """Add a tensor.

        Args:
            values: The tensor.
            sample_weight: Weight of each element, or of each row.
        """
        values = convert(values).astype(self.dtype)
        if self.total is None:
            self._make(values.shape)
        if values.shape != self.total.shape:
            raise ValueError(
                f"MeanTensor '{self.name}': expected values of shape {self.total.shape}, received"
                f" {values.shape}. Create one metric for each shape."
            )
        weights = jnp.ones_like(values)
        if sample_weight is not None:
            given = convert(sample_weight).astype(self.dtype)
            weights = weights * expand_weights(values, given)
        self.total.assign_add(values * weights)
        self.count.assign_add(weights)

    def result(self) -> Structure:
        """Return the mean.

        Raises:
            ValueError: If nothing was added and no shape was given.
        """
        if self.total is None:
            raise ValueError(
                f"MeanTensor '{self.name}': there is no result before the first `update_state`."
                " Pass `shape` to begin with zeros."
            )
        return divide_no_nan(self.total.value, self.count.value)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        shape = None if self.shape is None else list(self.shape)
        return {**super().get_config(), "shape": shape}


@register
class MeanRelativeError(Mean):
    """The mean of `|y_true - y_pred| / normalizer`, and 0 where the normalizer is 0.

    Args:
        normalizer: Array that broadcasts to the predictions.
        name: Name.
        dtype: Dtype or dtype policy of the sums. Default: `floatx()`.

    Example:
        >>> metric = MeanRelativeError(normalizer=[1.0, 2.0])
        >>> metric.update_state([1.0, 2.0], [2.0, 4.0]); float(metric.result())
        1.0
    """

    def __init__(self, normalizer: ArrayLike, name: str | None = None, dtype: Policy = None):
        super().__init__(name=name or "mean_relative_error", dtype=dtype)
        self.normalizer = np.asarray(normalizer, "float32")

    def update_state(  # type: ignore[override]  # targets and predictions, not values
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> None:
        """Add a batch.

        Args:
            y_true: Targets.
            y_pred: Predictions of the same shape.
            sample_weight: Weight of each sample.
        """
        y_true, y_pred = match_ranks(
            convert(y_true).astype(self.dtype), convert(y_pred).astype(self.dtype)
        )
        errors = jnp.abs(y_true - y_pred)
        normalizer = jnp.broadcast_to(jnp.asarray(self.normalizer, self.dtype), errors.shape)
        super().update_state(divide_no_nan(errors, normalizer), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = {"name": self.name, "dtype": self.dtype}
        return {**config, "normalizer": self.normalizer.tolist()}


# --- methods of layers ----------------------------------------------------------------------------


def add_loss(self: Metric, losses: Any = None, **kwargs: Any) -> None:
    """Raise an error: a metric has no loss.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        f"Metric '{self.name}': a metric adds no loss to the training. Call `add_loss` of a layer"
        " or of the model."
    )


def add_metric(self: Metric, value: Any, name: str | None = None, **kwargs: Any) -> None:
    """Raise an error: a metric holds other metrics as attributes.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(
        f"Metric '{self.name}': call `add_metric` of a layer or of the model, or keep another"
        " metric as an attribute of this one."
    )


def add_update(self: Metric, updates: Any) -> None:
    """Call those of the updates that are functions; others have been done already."""
    for update in updates if isinstance(updates, (list, tuple)) else [updates]:
        if callable(update):
            update()


def build(self: Metric, input_shape: Any = None) -> None:
    """Do nothing: the constructor makes a metric's variables."""


def build_from_config(self: Metric, config: Mapping[str, Any]) -> None:
    """Do nothing: the constructor makes a metric's variables."""


def get_build_config(self: Metric) -> dict[str, Any]:
    """Return an empty configuration: the constructor makes a metric's variables."""
    return {}


def call(self: Metric, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Update the state, and return the result."""
    return self(inputs, *args, **kwargs)


def compute_mask(self: Metric, inputs: Any, mask: Any = None) -> Any:
    """Return the mask as it is."""
    return mask


def compute_output_shape(self: Metric, input_shape: Any) -> tuple[int, ...]:
    """Return the shape of the result."""
    return tuple(np.shape(self.result()))


def compute_output_signature(self: Metric, input_signature: Any) -> Any:
    """Return shape and dtype of the result, as an object of the kind of `input_signature`."""
    return type(input_signature)(shape=np.shape(self.result()), dtype=self.dtype)


def count_params(self: Metric) -> int:
    """Return the number of elements in the variables."""
    return sum(int(np.prod(v.shape)) for v in self.variables)


def finalize_state(self: Metric) -> None:
    """Do nothing."""


def _no_node(self: Metric, node_index: int) -> Any:
    """Raise an error: a metric has no symbolic inputs and outputs.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError(f"Metric '{self.name}' was never called with a symbolic tensor.")


def get_weights(self: Metric) -> list[np.ndarray]:
    """Return copies of the variables as NumPy arrays."""
    return [v.numpy() for v in self.variables]


def set_weights(self: Metric, weights: Sequence[ArrayLike]) -> None:
    """Set the variables from arrays.

    Args:
        weights: Arrays in the order of `variables`.

    Raises:
        ValueError: If their number differs.
    """
    if len(weights) != len(self.variables):
        raise ValueError(
            f"Metric '{self.name}': set_weights expected {len(self.variables)} arrays, received"
            f" {len(weights)}."
        )
    for variable, value in zip(self.variables, weights, strict=True):
        variable.assign(value)


def save_own_variables(self: Metric, store: MutableMapping[str, Any]) -> None:
    """Write the variables into `store`, under their numbers."""
    for index, variable in enumerate(self.variables):
        store[str(index)] = variable.numpy()


def load_own_variables(self: Metric, store: Mapping[str, Any]) -> None:
    """Read the variables from `store`."""
    set_weights(self, [np.asarray(store[str(i)]) for i in range(len(store.keys()))])


def merge_state(self: Metric, metrics: Iterable[Metric]) -> None:
    """Add the states of other metrics of this class, such as those of other processes.

    Args:
        metrics: The other metrics. Their variables must be sums and counts.

    Raises:
        ValueError: If one has other variables.
    """
    for other in metrics:
        shapes = [v.shape for v in other.variables]
        if shapes != [v.shape for v in self.variables]:
            raise ValueError(
                f"Metric '{self.name}': merge_state expected variables of the shapes"
                f" {[v.shape for v in self.variables]}, received {shapes}."
            )
        for own, added in zip(self.variables, other.variables, strict=True):
            own.assign_add(ops.cast(added.value, own.dtype))


METRIC_METHODS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        add_loss, add_metric, add_update, build, build_from_config, get_build_config, call,
        compute_mask, compute_output_shape, compute_output_signature, count_params,
        finalize_state, get_weights, set_weights, save_own_variables, load_own_variables,
        merge_state,
    )
}  # fmt: skip
METRIC_METHODS |= {
    f"get_{side}_{what}at": _no_node
    for side in ("input", "output")
    for what in ("", "mask_", "shape_")
}
