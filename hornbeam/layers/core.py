"""Dense, Embedding, Activation and other basic layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from hornbeam import activations, errors, ops
from hornbeam.core.registry import get_registered_object
from hornbeam.errors import FileError
from hornbeam.layers.arguments import add_named_weight, keep, positive_integer
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.layers.quantized import Quantizable
from hornbeam.objects.configuration import deserialize
from hornbeam.ops.rows import take_rows
from hornbeam.quantizers.products import Product
from hornbeam.quantizers.schemes import Held

__all__ = [
    "Activation", "Dense", "Embedding", "Identity", "Lambda", "Masking", "ReversibleEmbedding",
]  # fmt: skip


class Dense(Quantizable):
    """`activation(x @ kernel + bias)` on the last axis.

    Args:
        units: Size of the output's last axis.
        activation: Name or function. Default: none.
        use_bias: Whether a bias is added.
        kernel_initializer, bias_initializer: Initializers of the weights.
        kernel_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the outputs.
        kernel_constraint, bias_constraint: Applied after each update.
        lora_rank, lora_alpha: If given, the layer is adapted: see `enable_lora`.
        quantization_config: How to hold the weight where `dtype` is a quantized policy. Default: that of the policy.

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
        lora_rank: int | None = None, lora_alpha: float | None = None, quantization_config: Any = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        keep(self, locals())
        self.units = positive_integer("Dense", "units", units)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        self.kernel = add_named_weight(self, "kernel", (size, self.units))
        self.bias = add_named_weight(self, "bias", (self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})
        self._finish_build()

    def _held(self) -> tuple[Held, ...]:
        return (Held("kernel", Product("...x,xy->...y")),)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self._product(inputs, training)
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


class Embedding(Quantizable):
    """Rows of a table, looked up by integers.

    Args:
        input_dim: Number of rows.
        output_dim: Size of a row.
        embeddings_initializer: Initializer of the table.
        embeddings_regularizer: Penalty of the table.
        embeddings_constraint: Applied to the table after each update.
        mask_zero: Whether 0 is padding, which later layers leave out.
        weights: Initial table.
        lora_rank, lora_alpha: If given, the layer is adapted: see `enable_lora`.
        quantization_config: How to hold the weight where `dtype` is a quantized policy. Default: that of the policy.

    Weights: `embeddings` of shape (input_dim, output_dim). Integers below 0 count from the table's end; those outside of
    it give NaN.

    Example:
        >>> Embedding(10, 4)(jnp.array([[1, 2]])).shape
        (1, 2, 4)
    """

    _adapted = "embeddings"
    _modes = ("int8", "int4")

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
        weights: Any = None, lora_rank: int | None = None, lora_alpha: float | None = None,
        quantization_config: Any = None, **kwargs: Any,
    ):  # fmt: skip
        length = kwargs.pop("input_length", None)
        if length is not None:
            kwargs.setdefault("input_shape", (length,) if isinstance(length, int) else tuple(length))
        super().__init__(weights=weights, **kwargs)
        keep(self, {k: v for k, v in locals().items() if k not in ("weights", "length")})
        self.input_dim = positive_integer("Embedding", "input_dim", input_dim)
        self.output_dim = positive_integer("Embedding", "output_dim", output_dim)
        self.supports_masking = mask_zero
        self.autocast = False

    def build(self, input_shape: Any = None) -> None:
        self.embeddings = add_named_weight(self, "embeddings", (self.input_dim, self.output_dim))
        self._finish_build()

    def _held(self) -> tuple[Held, ...]:
        # A row is looked up whole; backwards, the table is a kernel whose columns are its rows.
        return (Held("embeddings", Product("...x,yx->...y"), turned=True, packed_rows=True),)

    def _rows(self, index: Any) -> Any:
        scheme = self._schemes.get("embeddings")
        return take_rows(self.embeddings.value, index) if scheme is None else scheme.rows(index)

    def call(self, inputs: Any) -> Any:
        index = inputs.astype("int32")
        rows = self._rows(index)
        if self.lora_enabled:  # the rows' part of the product alone
            thin = jnp.take(self.lora_a.value, index, axis=0)
            rows = rows + (self.lora_alpha / self.lora_rank) * jnp.matmul(thin, self.lora_b.value)
        return rows.astype(self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None


class ReversibleEmbedding(Embedding):
    """An embedding that can be run backwards, from rows to scores of the integers, as language models do.

    Args:
        input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero: As for
            `Embedding`.
        tie_weights: Whether both directions use one table.
        reverse_dtype: Dtype of the product backwards. Default: the compute dtype.
        logit_soft_cap: If given, scores are kept between minus and plus this number, by `cap * tanh(score / cap)`.
        **kwargs: Arguments of `Embedding`.

    Weights: `embeddings` of shape (input_dim, output_dim); without tied weights also `reverse_embeddings` of shape
    (output_dim, input_dim).

    Example:
        >>> layer = ReversibleEmbedding(10, 4)
        >>> layer(layer(jnp.array([[1, 2]])), reverse=True).shape
        (1, 2, 10)
    """

    def __init__(
        self, input_dim: int, output_dim: int, tie_weights: bool = True, embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None, embeddings_constraint: Any = None, mask_zero: bool = False,
        reverse_dtype: Any = None, logit_soft_cap: float | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            input_dim, output_dim, embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero,
            **kwargs,
        )  # fmt: skip
        self.tie_weights, self.reverse_dtype, self.logit_soft_cap = tie_weights, reverse_dtype, logit_soft_cap

    def _finish_build(self) -> None:
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings", shape=(self.output_dim, self.input_dim),
                initializer=self.embeddings_initializer,
            )  # fmt: skip
        super()._finish_build()

    def _held(self) -> tuple[Held, ...]:
        if self.tie_weights:
            return super()._held()
        reverse = Product("...x,xy->...y")
        own = Held("reverse_embeddings", reverse, packed_rows=True, zero_dtype="float32", own_index=False)
        return (*super()._held(), own)

    def call(self, inputs: Any, reverse: bool = False) -> Any:
        if not reverse:
            return super().call(inputs)
        inputs = inputs.astype(self.reverse_dtype or self.compute_dtype)
        scores = self._product(inputs, name=None if self.tie_weights else "reverse_embeddings", cast=True)
        cap = self.logit_soft_cap
        return scores if cap is None else cap * jnp.tanh(scores / cap)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        # Backwards the inputs are rows of numbers: the mask of what they came from stays.
        return previous_mask if jnp.issubdtype(inputs.dtype, jnp.floating) else super().compute_mask(inputs)


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

    Files hold the name of a registered function. Of a lambda they hold the code, as Keras's do, which runs only if the user
    says so (`load_model(path, safe_mode=False)`), under the same version of Python.

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
            function = deserialize(function)
        elif isinstance(function, (list, tuple)):  # how Keras 2 stores bytecode
            from hornbeam.objects.bytecode import function_from

            function = function_from(function)
        if not callable(function):
            raise ValueError(f"Lambda: `function` must be callable, received {errors.describe(function)}.")
        self.function, self.arguments = function, dict(arguments or {})
        self.output_shape, self.mask = output_shape, mask
        self.supports_masking = mask is not None
        self.built = True

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make the layer again; where its function is bytecode, `custom_objects` may give one by the layer's name.

        Raises:
            FileError: If the function is bytecode, and the user neither gave another nor allowed it to run.
        """
        from hornbeam.core.loading import code_allowed

        told_apart = ("function_type", "module", "output_shape_type", "output_shape_module")  # by Keras 2
        config = {key: value for key, value in config.items() if key not in told_apart}
        stored, name = config.get("function"), str(config.get("name"))
        if isinstance(stored, list) or (isinstance(stored, dict) and stored.get("class_name") == "__lambda__"):
            given = get_registered_object(name)
            if given is not None:
                config["function"] = given
            elif not code_allowed():
                raise FileError(
                    f"The layer '{name}' (Lambda) holds Python code. Hornbeam does not run code from files. Write the "
                    f"function in your program and pass it by the layer's name: `custom_objects={{{name!r}: function}}`; "
                    "or, if you trust the file as you trust a program, load it with `safe_mode=False`."
                )
        return super().from_config(config)

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
