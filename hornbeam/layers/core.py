"""Dense, Embedding, Activation and other basic layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import jax.numpy as jnp

from hornbeam import activations, errors, ops
from hornbeam.adaptation.equation import Equation
from hornbeam.adaptation.products import einsum, lookup, matmul
from hornbeam.adaptation.weights import Layout
from hornbeam.core.loading import code_allowed
from hornbeam.core.registry import get_registered_object
from hornbeam.core.variable import Variable
from hornbeam.errors import FileError
from hornbeam.layers.adaptable import ALL_MODES, Adaptable
from hornbeam.layers.arguments import add_named_weight, keep, positive_integer
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.objects.bytecode import function_from
from hornbeam.objects.configuration import deserialize
from hornbeam.typing import ArrayLike, DType, Identifier, Shapes, Structure

if TYPE_CHECKING:
    from hornbeam.quantizers.configs import QuantizationConfig

__all__ = [
    "Activation", "Dense", "Embedding", "Identity", "Lambda", "Masking", "ReversibleEmbedding",
]  # fmt: skip


class Dense(Adaptable):
    """`activation(x @ kernel + bias)` over the last axis.

    Args:
        units: Size of the output's last axis.
        activation: Name or function. Default: none.
        use_bias: Whether to add a bias.
        kernel_initializer, bias_initializer: Initializers of the weights.
        kernel_regularizer, bias_regularizer: Penalties of the weights.
        activity_regularizer: Penalty of the outputs.
        kernel_constraint, bias_constraint: Applied to the weights after each update.
        lora_rank, lora_alpha: If given, the kernel is adapted when it is built; see `enable_lora`.
        quantization_config: How to hold the kernel if `dtype` is a quantized policy. Default: that
            of the policy.
        **kwargs: Arguments of `Layer`.

    Inputs: (batch, ..., inputs). Outputs: (batch, ..., units).

    Weights: `kernel` of shape (inputs, units), `bias` of shape (units,).

    Raises:
        ValueError: If `units` is not a positive integer, or the last axis is unknown.

    Example:
        >>> from hornbeam.layers import Input
        >>> from hornbeam.models import Sequential
        >>> model = Sequential([Input((8,)), Dense(16, activation="relu"), Dense(1)])
        >>> model(jnp.ones((2, 8))).shape
        (2, 1)
    """

    _quantization_modes = ALL_MODES
    use_bias: bool
    activation: Callable[..., Any]
    kernel: Variable
    bias: Variable | None

    def __init__(
        self, units: int, activation: Identifier = None, use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform", bias_initializer: Identifier = "zeros",
        kernel_regularizer: Identifier = None, bias_regularizer: Identifier = None,
        activity_regularizer: Identifier = None, kernel_constraint: Identifier = None,
        bias_constraint: Identifier = None, lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: QuantizationConfig | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        keep(self, locals())
        self.units = positive_integer("Dense", "units", units)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Shapes) -> None:
        size = input_shape[-1]
        self.kernel = add_named_weight(self, "kernel", (size, self.units))
        self.bias = add_named_weight(self, "bias", (self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})
        self._adapt_new_weights()

    def call(self, inputs: Structure, training: bool | None = None) -> Structure:
        x = matmul(inputs, self.kernel, training)
        return self.activation(x if self.bias is None else x + self.bias.value)

    def _weight_layouts(self) -> tuple[Layout, ...]:
        return (Layout("kernel", Equation("...x,xy->...y")),)


class Activation(Layer):
    """An activation function as a layer.

    Args:
        activation: Name or function.

    Example:
        >>> Activation("relu")(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """

    def __init__(self, activation: Identifier, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)
        self.built = True

    def call(self, inputs: Structure) -> Structure:
        return self.activation(inputs)


class Embedding(Adaptable):
    """`embeddings[inputs]`: rows of a table, looked up by integers.

    Args:
        input_dim: Number of rows.
        output_dim: Size of a row.
        embeddings_initializer: Initializer of the table.
        embeddings_regularizer: Penalty of the table.
        embeddings_constraint: Applied to the table after each update.
        mask_zero: Whether 0 is padding, which later layers leave out.
        weights: Initial table.
        lora_rank, lora_alpha: If given, the table is adapted when it is built; see `enable_lora`.
        quantization_config: How to hold the table if `dtype` is a quantized policy. Default: that
            of the policy.
        **kwargs: Arguments of `Layer`, and Keras 1's `input_length`.

    Inputs: integers of any shape. Outputs: (*shape, output_dim). An integer below 0 counts from the
    table's end; one outside of the table gives NaN.

    Weights: `embeddings` of shape (input_dim, output_dim).

    Raises:
        ValueError: If `input_dim` or `output_dim` is not a positive integer.

    Example:
        >>> words = jnp.array([[4, 7, 1, 0]])  # 0 pads the sentence
        >>> Embedding(10, 4, mask_zero=True)(words).shape
        (1, 4, 4)
    """

    _adapted_name = "embeddings"
    _quantization_modes = ("int8", "int4")
    mask_zero: bool
    embeddings_initializer: Any
    embeddings: Variable

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Identifier = "uniform",
        embeddings_regularizer: Identifier = None, embeddings_constraint: Identifier = None,
        mask_zero: bool = False, weights: Sequence[ArrayLike] | ArrayLike | None = None,
        lora_rank: int | None = None, lora_alpha: float | None = None,
        quantization_config: QuantizationConfig | None = None, **kwargs: Any,
    ):  # fmt: skip
        length = kwargs.pop("input_length", None)
        if length is not None:
            kwargs.setdefault(
                "input_shape", (length,) if isinstance(length, int) else tuple(length)
            )
        super().__init__(weights=weights, **kwargs)
        keep(self, {k: v for k, v in locals().items() if k not in ("weights", "length")})
        self.input_dim = positive_integer("Embedding", "input_dim", input_dim)
        self.output_dim = positive_integer("Embedding", "output_dim", output_dim)
        self.supports_masking = mask_zero
        self.autocast = False

    def build(self, input_shape: Shapes = None) -> None:
        self.embeddings = add_named_weight(self, "embeddings", (self.input_dim, self.output_dim))
        self._adapt_new_weights()

    def call(self, inputs: Structure) -> Structure:
        return lookup(self.embeddings, inputs.astype("int32")).astype(self.compute_dtype)

    def compute_mask(self, inputs: Structure, previous_mask: Structure = None) -> Structure:
        """Return where the inputs are not 0 if 0 is padding; else `None`."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def _weight_layouts(self) -> tuple[Layout, ...]:
        # Each row has its scale, as it is looked up whole. The equation is the product by which
        # `ReversibleEmbedding` goes backwards; there the rows of the table are the columns.
        return (
            Layout("embeddings", Equation(_BACKWARDS), transposed=True, packed_along_rows=True),
        )


_BACKWARDS = "...x,yx->...y"


class ReversibleEmbedding(Embedding):
    """An embedding that also runs backwards: `x @ embeddings.T`, scores of all integers.

    Language models share one table between their inputs and outputs (Press and Wolf 2016).

    Args:
        input_dim, output_dim, embeddings_initializer, embeddings_regularizer,
            embeddings_constraint, mask_zero: As for `Embedding`.
        tie_weights: Whether both directions use one table.
        reverse_dtype: Dtype of the product backwards. Default: the compute dtype.
        logit_soft_cap: If given, scores are kept between minus and plus this number, by
            `cap * tanh(scores / cap)`.
        **kwargs: Arguments of `Embedding`.

    Inputs: integers of any shape; with `reverse=True`, (..., output_dim). Outputs: (*shape,
    output_dim); with `reverse=True`, (..., input_dim).

    Weights: `embeddings` of shape (input_dim, output_dim). Without tied weights also
    `reverse_embeddings` of shape (output_dim, input_dim).

    Raises:
        ValueError: If `input_dim` or `output_dim` is not a positive integer.

    Example:
        >>> table = ReversibleEmbedding(10, 4)
        >>> hidden = table(jnp.array([[1, 2]]))
        >>> table(hidden, reverse=True).shape
        (1, 2, 10)
    """

    reverse_embeddings: Variable

    def __init__(
        self, input_dim: int, output_dim: int, tie_weights: bool = True,
        embeddings_initializer: Identifier = "uniform", embeddings_regularizer: Identifier = None,
        embeddings_constraint: Identifier = None, mask_zero: bool = False,
        reverse_dtype: DType | None = None, logit_soft_cap: float | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            input_dim, output_dim, embeddings_initializer, embeddings_regularizer,
            embeddings_constraint, mask_zero, **kwargs,
        )  # fmt: skip
        self.tie_weights, self.reverse_dtype, self.logit_soft_cap = (
            tie_weights,
            reverse_dtype,
            logit_soft_cap,
        )

    def build(self, input_shape: Shapes = None) -> None:
        self.embeddings = add_named_weight(self, "embeddings", (self.input_dim, self.output_dim))
        if not self.tie_weights:
            shape = (self.output_dim, self.input_dim)
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings", shape=shape, initializer=self.embeddings_initializer
            )
        self._adapt_new_weights()

    def call(self, inputs: Structure, reverse: bool = False) -> Structure:
        if not reverse:
            return super().call(inputs)
        x = inputs.astype(self.reverse_dtype or self.compute_dtype)
        if self.tie_weights:
            scores = einsum(_BACKWARDS, x, self.embeddings, cast=True)
        else:
            scores = einsum("...x,xy->...y", x, self.reverse_embeddings, cast=True)
        cap = self.logit_soft_cap
        return scores if cap is None else cap * jnp.tanh(scores / cap)

    def compute_mask(self, inputs: Structure, previous_mask: Structure = None) -> Structure:
        """Return the mask of `Embedding`; backwards, the inputs' own."""
        return (
            previous_mask
            if jnp.issubdtype(inputs.dtype, jnp.floating)
            else super().compute_mask(inputs)
        )

    def _weight_layouts(self) -> tuple[Layout, ...]:
        if self.tie_weights:
            return super()._weight_layouts()
        backwards = Layout(
            "reverse_embeddings", Equation("...x,xy->...y"), packed_along_rows=True,
            zero_dtype="float32", has_index=False,
        )  # fmt: skip
        return (*super()._weight_layouts(), backwards)


class Masking(Layer):
    """Marks time steps whose values all equal `mask_value` as padding, and sets them to zero.

    Args:
        mask_value: The value.

    Inputs and outputs: (batch, time, ...).

    Example:
        >>> Masking(9.0)(jnp.array([[[5.0], [9.0]]])).tolist()
        [[[5.0], [0.0]]]
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = True

    def compute_mask(self, inputs: Structure, previous_mask: Structure = None) -> Structure:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Structure) -> Structure:
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

    def call(self, inputs: Structure) -> Structure:
        return inputs


class Lambda(Layer):
    """A function as a layer.

    Files hold the name of a registered function. Of a lambda they hold the code, as Keras's do; it
    runs only with `load_model(path, safe_mode=False)`, under the same version of Python.

    Args:
        function: Takes the inputs, and `mask` and `training` if it has arguments of these names.
        output_shape: Accepted because Keras has it; shapes are found by tracing.
        mask: A mask, or a function that computes it.
        arguments: Further keyword arguments of the function.

    Raises:
        ValueError: If `function` is not callable.

    Example:
        >>> Lambda(lambda x: x * 2)(jnp.ones(1))
        Array([2.], dtype=float32)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Shapes | Callable[..., Any] = None,
        mask: Structure | Callable[..., Any] = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(function, dict):
            function = deserialize(function)
        elif isinstance(function, (list, tuple)):  # how Keras 2 stores bytecode
            function = function_from(function)
        if not callable(function):
            raise ValueError(
                f"Lambda: `function` must be callable, received {errors.describe(function)}."
            )
        self.function, self.arguments = function, dict(arguments or {})
        self.output_shape, self.mask = output_shape, mask
        self.supports_masking = mask is not None
        self.built = True

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the layer from what `get_config` returned.

        If the function is bytecode, `custom_objects` may give another by the layer's name.

        Raises:
            FileError: If the function is bytecode that the user neither replaced nor allowed.
        """
        of_keras_2 = ("function_type", "module", "output_shape_type", "output_shape_module")
        config = {key: value for key, value in config.items() if key not in of_keras_2}
        stored, name = config.get("function"), str(config.get("name"))
        if isinstance(stored, list) or (
            isinstance(stored, dict) and stored.get("class_name") == "__lambda__"
        ):
            given = get_registered_object(name)
            if given is not None:
                config["function"] = given
            elif not code_allowed():
                raise FileError(
                    f"The layer '{name}' (Lambda) holds Python code. Hornbeam does not run code"
                    " from files. Write the function in your program and pass it by the layer's"
                    f" name: `custom_objects={{{name!r}: function}}`; or, if you trust the file as"
                    " you trust a program, load it with `safe_mode=False`."
                )
        return super().from_config(config)

    def call(
        self, inputs: Structure, mask: Structure = None, training: bool | None = None
    ) -> Structure:
        offered = {"mask": mask, "training": training}
        names: tuple[str, ...] = ()
        with suppress(TypeError, ValueError):  # some built-in functions have no signature
            names = tuple(inspect.signature(self.function).parameters)
        return self.function(
            inputs, **self.arguments, **{k: v for k, v in offered.items() if k in names}
        )

    def compute_mask(self, inputs: Structure, mask: Structure = None) -> Structure:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask
