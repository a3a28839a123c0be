"""Dense, Embedding, Activation and other basic layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hornbeam import activations, constraints, errors, initializers, ops, regularizers
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer

__all__ = ["Activation", "Dense", "Embedding", "Identity", "Lambda", "Masking", "Rescaling"]


def positive_integer(layer: str, name: str, value: Any) -> int:
    """Return `value` if it is a positive integer; else raise, naming the argument."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"{layer}: `{name}` must be a positive integer, received {value!r}.")
    return int(value)


class Dense(Layer):
    """`activation(x @ kernel + bias)` on the last axis.

    Args:
        units: Size of the output's last axis.
        activation: Name or function. Default: none.
        use_bias: Whether a bias is added.
        kernel_initializer, bias_initializer: Initializers of the weights.
        kernel_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the outputs.
        kernel_constraint, bias_constraint: Applied after each update.
        quantization_config: Kept for Keras's signature; must be `None`.

    Weights: `kernel` of shape (inputs, units), `bias` of shape (units,).

    Raises:
        ValueError: If `units` is not a positive integer, or the last axis is unknown.

    Example:
        >>> Dense(4)(jnp.ones((2, 3))).shape
        (2, 4)
    """

    def __init__(
        self, units: int, activation: Any = None, use_bias: bool = True, kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros", kernel_regularizer: Any = None, bias_regularizer: Any = None,
        activity_regularizer: Any = None, kernel_constraint: Any = None, bias_constraint: Any = None,
        quantization_config: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = positive_integer("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        if quantization_config is not None:
            raise ValueError("Dense: `quantization_config` is not supported; pass None.")
        self.quantization_config = None
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel", shape=(size, self.units), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.units,), initializer=self.bias_initializer,
                regularizer=self.bias_regularizer, constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = jnp.matmul(inputs, self.kernel.value)
        if self.bias is not None:
            x = x + self.bias.value
        return self.activation(x)


class Activation(Layer):
    """An activation function as a layer.

    Args:
        activation: Name or function.

    Example:
        >>> Activation("relu")(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)


class Embedding(Layer):
    """Rows of a table, looked up by integers.

    Args:
        input_dim: Number of rows.
        output_dim: Size of a row.
        embeddings_initializer: Initializer of the table.
        embeddings_regularizer: Penalty of the table.
        embeddings_constraint: Applied to the table after each update.
        mask_zero: Whether 0 is padding, which later layers leave out.
        weights: Initial table.

    Weights: `embeddings` of shape (input_dim, output_dim). Integers outside the table take its last
    row's side: JAX clips indices.

    Example:
        >>> Embedding(10, 4)(jnp.array([[1, 2]])).shape
        (1, 2, 4)
    """

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
        weights: Any = None, quantization_config: Any = None, **kwargs: Any,
    ):  # fmt: skip
        length = kwargs.pop("input_length", None)
        if length is not None:
            kwargs.setdefault("input_shape", (length,) if isinstance(length, int) else tuple(length))
        super().__init__(weights=weights, **kwargs)
        self.input_dim = positive_integer("Embedding", "input_dim", input_dim)
        self.output_dim = positive_integer("Embedding", "output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        if quantization_config is not None:
            raise ValueError("Embedding: `quantization_config` is not supported; pass None.")
        self.quantization_config = None
        self.supports_masking = mask_zero
        self.autocast = False

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.input_dim, self.output_dim), initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint,
        )  # fmt: skip

    def call(self, inputs: Any) -> Any:
        rows = jnp.take(self.embeddings.value, inputs.astype("int32"), axis=0, mode="clip")
        return rows.astype(self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None


class Masking(Layer):
    """Marks time steps whose values all equal `mask_value` as padding.

    Args:
        mask_value: The value.

    Example:
        >>> Masking()(jnp.zeros((1, 2, 3))).shape
        (1, 2, 3)
    """

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        keep = jnp.any(inputs != self.mask_value, axis=-1, keepdims=True)
        return inputs * keep.astype(inputs.dtype)


class Identity(Layer):
    """Returns its input.

    Example:
        >>> Identity()(jnp.ones(1))
        Array([1.], dtype=float32)
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """A function as a layer.

    Saved files hold the name of a registered function, never code.

    Args:
        function: Takes the inputs (and `mask`, `training` if it names them).
        output_shape: Kept for Keras's signature; shapes are found by tracing.
        mask: A mask, or a function that computes it.
        arguments: Further keyword arguments of the function.

    Example:
        >>> Lambda(lambda x: x * 2)(jnp.ones(1))
        Array([2.], dtype=float32)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(function, dict):
            from hornbeam.saving.config import deserialize

            function = deserialize(function)
        if not callable(function):
            raise ValueError(f"Lambda: `function` must be callable, received {errors.describe(function)}.")
        self.function, self.arguments = function, dict(arguments or {})
        self.output_shape, self.mask = output_shape, mask
        self.supports_masking = mask is not None
        self.built = True

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        import inspect

        offered = {"mask": mask, "training": training}
        try:
            names = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            names = {}  # type: ignore[assignment]
        return self.function(inputs, **self.arguments, **{k: v for k, v in offered.items() if k in names})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask


class Rescaling(Layer):
    """`inputs * scale + offset`.

    Args:
        scale: Factor, a number or one a channel.
        offset: Added, a number or one a channel.

    Example:
        >>> Rescaling(1 / 255)(jnp.array([255.0]))
        Array([1.], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        x = inputs.astype(self.compute_dtype)
        return x * jnp.asarray(self.scale, x.dtype) + jnp.asarray(self.offset, x.dtype)
