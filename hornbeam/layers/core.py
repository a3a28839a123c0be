"""Basic layers: Dense, Embedding, Activation, Masking, Lambda and others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, Self

import jax.numpy as jnp

from hornbeam import activations, errors, ops
from hornbeam.adaptation.equation import Equation
from hornbeam.adaptation.products import einsum, lookup, matmul
from hornbeam.adaptation.weights import Layout
from hornbeam.core.loading import code_allowed
from hornbeam.core.registry import custom_object_scope, get_registered_object
from hornbeam.core.variable import Variable
from hornbeam.errors import FileError
from hornbeam.layers.adaptable import ALL_MODES, Adaptable
from hornbeam.layers.arguments import add_named_weight, keep, positive_integer
from hornbeam.layers.input_spec import InputSpec
from hornbeam.layers.layer import Layer
from hornbeam.objects.bytecode import function_from
from hornbeam.objects.configuration import deserialize
from hornbeam.objects.guard import guarded_configuration
from hornbeam.typing import ArrayLike, CustomObjects, DType, Identifier, Shapes, Structure

if TYPE_CHECKING:
    from hornbeam.quantizers.configs import QuantizationConfig

__all__ = [
    "Activation", "Dense", "Embedding", "Identity", "Lambda", "Masking", "ReversibleEmbedding",
]  # fmt: skip


class Dense(Adaptable):
    """Connects every input to every output: `activation(x @ kernel + bias)`.

    Args:
        units: Size of the output's last axis.
        activation: Name or function. Default: `None`, linear.
        use_bias: Whether to add a bias. Default: True.
        kernel_initializer, bias_initializer: Default: `"glorot_uniform"`, `"zeros"`.
        kernel_regularizer, bias_regularizer: Penalties of the weights. Default: `None`.
        activity_regularizer: Penalty of the outputs. Default: `None`.
        kernel_constraint, bias_constraint: Functions applied to the weights after each update.
            Default: `None`.
        lora_rank, lora_alpha: If given, `build` calls `enable_lora` with them. Default: `None`.
        quantization_config: A `QuantizationConfig` for the kernel, used if `dtype` is a quantized
            policy. Default: the policy's.
        **kwargs: Arguments of `Layer`.

    Input: (B, ..., C). Output: (B, ..., units). B is the batch size, C the number of features.
    As in Keras.

    Weights: `kernel` (C, units), `bias` (units,).

    Raises:
        ValueError: If `units` is not a positive integer, the input has fewer than 2 axes, or the
            size of its last axis is unknown.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((8,)), hb.layers.Dense(16, activation="relu"), hb.layers.Dense(1)
        ... ])
        >>> model(hb.ops.ones((2, 8))).shape
        (2, 1)
    """

    _takes_sparse = True
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
        return activations.get(self.activation)(x if self.bias is None else x + self.bias.value)

    def _weight_layouts(self) -> tuple[Layout, ...]:
        return (Layout("kernel", Equation("...x,xy->...y")),)


class Activation(Layer):
    """Applies an activation function to the input.

    Args:
        activation: Name or function. `None` is the identity.

    Input and output: any shape, unless the function changes it. As in Keras.

    Raises:
        ValueError: If `activation` is neither a known name nor a function.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((784,)), hb.layers.Dense(10), hb.layers.Activation("softmax")
        ... ])
        >>> model.output_shape
        (None, 10)
        >>> hb.layers.Activation("relu")([-1.0, 2.0])
        Array([0., 2.], dtype=float32)
    """

    _takes_sparse = True

    def __init__(self, activation: Identifier, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)
        self.built = not self._has_own_build()

    def call(self, inputs: Structure) -> Structure:
        return activations.get(self.activation)(inputs)


class Embedding(Adaptable):
    """Maps integers, such as word indices, to vectors: `embeddings[inputs]`.

    Args:
        input_dim: Number of rows of the table.
        output_dim: Size of each row.
        embeddings_initializer: Initializer of the table. Default: `"uniform"`.
        embeddings_regularizer: Penalty of the table. Default: `None`.
        embeddings_constraint: Function applied to the table after each update. Default: `None`.
        mask_zero: Whether 0 is padding. If so, the output has a mask. Default: False.
        weights: List with the initial table. Default: `None`.
        lora_rank, lora_alpha: If given, `build` calls `enable_lora` with them. Default: `None`.
        quantization_config: A `QuantizationConfig` for the table, used if `dtype` is a quantized
            policy. Default: the policy's.
        **kwargs: Arguments of `Layer`, and Keras 1's `input_length`.

    Input: integers of any shape. Output: (*input shape, output_dim). A negative integer counts from
    the end of the table; an integer outside the table gives NaN. As in Keras on JAX.

    Weights: `embeddings` (input_dim, output_dim).

    Raises:
        ValueError: If `input_dim` or `output_dim` is not a positive integer.

    Example:
        >>> import hornbeam as hb
        >>> words = hb.ops.array([[4, 7, 1, 0]])  # 0 pads the sentence
        >>> hb.layers.Embedding(10, 4, mask_zero=True)(words).shape
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

    def compute_mask(self, inputs: Structure, mask: Structure = None) -> Structure:
        """Return the mask `inputs != 0` with `mask_zero`, otherwise `None`."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def _weight_layouts(self) -> tuple[Layout, ...]:
        # Each row has its own scale, because a lookup reads whole rows. The equation is the product
        # of `ReversibleEmbedding` with `reverse=True`, which reads the table's rows as columns.
        return (
            Layout("embeddings", Equation(_BACKWARDS), transposed=True, packed_along_rows=True),
        )


_BACKWARDS = "...x,yx->...y"


class ReversibleEmbedding(Embedding):
    """Maps integers to vectors, and with `reverse=True` vectors to scores: `x @ embeddings.T`.

    Language models use it to share one table between their inputs and outputs.

    Args:
        input_dim, output_dim, embeddings_initializer, embeddings_regularizer,
            embeddings_constraint, mask_zero: As for `Embedding`.
        tie_weights: Whether both directions use the same table. Default: True.
        reverse_dtype: Dtype of the product with `reverse=True`. Default: the compute dtype.
        logit_soft_cap: Limit of the scores' absolute value, applied as
            `cap * tanh(scores / cap)`. Default: `None`, no limit.
        **kwargs: Arguments of `Embedding`.

    Input: integers of any shape. Output: (*input shape, output_dim). With `reverse=True`, input:
    (..., output_dim), output: (..., input_dim).

    Weights: `embeddings` (input_dim, output_dim). With `tie_weights=False` also
    `reverse_embeddings` (output_dim, input_dim).

    Raises:
        ValueError: If `input_dim` or `output_dim` is not a positive integer.

    Source: Press and Wolf 2016, Using the output embedding to improve language models.

    Example:
        >>> import hornbeam as hb
        >>> table = hb.layers.ReversibleEmbedding(10, 4)
        >>> hidden = table(hb.ops.array([[1, 2]]))
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

    def compute_mask(self, inputs: Structure, mask: Structure = None) -> Structure:
        """Return the mask of `Embedding` for integers, the input's mask for vectors."""
        return mask if jnp.issubdtype(inputs.dtype, jnp.floating) else super().compute_mask(inputs)

    def _weight_layouts(self) -> tuple[Layout, ...]:
        if self.tie_weights:
            return super()._weight_layouts()
        backwards = Layout(
            "reverse_embeddings", Equation("...x,xy->...y"), packed_along_rows=True,
            zero_dtype="float32", has_index=False,
        )  # fmt: skip
        return (*super()._weight_layouts(), backwards)


class Masking(Layer):
    """Masks the time steps whose features all equal `mask_value`, and sets them to zero.

    Later layers that support masks, such as `LSTM`, ignore these steps.

    Args:
        mask_value: Number that marks padding. Default: 0.

    Input and output: (B, T, ..., C). The mask has the shape (B, T, ...). As in Keras.

    Raises:
        ValueError: In the call, if the input has no axes.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((20, 5)), hb.layers.Masking(mask_value=-1.0), hb.layers.LSTM(16)
        ... ])
        >>> model.output_shape
        (None, 16)
        >>> hb.layers.Masking(9.0)(hb.ops.array([[[5.0], [9.0]]])).tolist()
        [[[5.0], [0.0]]]
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = not self._has_own_build()

    def compute_mask(self, inputs: Structure, mask: Structure = None) -> Structure:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Structure) -> Structure:
        keep = jnp.any(inputs != self.mask_value, axis=-1, keepdims=True)
        return inputs * keep.astype(inputs.dtype)


class Identity(Layer):
    """Returns its input unchanged.

    Input and output: any shape, or a structure of tensors. As in Keras.

    Example:
        >>> import hornbeam as hb
        >>> normalize = False
        >>> layer = hb.layers.LayerNormalization() if normalize else hb.layers.Identity()
        >>> layer(hb.ops.array([1.0, 2.0]))
        Array([1., 2.], dtype=float32)
    """

    _takes_sparse = True

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = not self._has_own_build()

    def call(self, inputs: Structure) -> Structure:
        return inputs


class Lambda(Layer):
    """Applies a Python function.

    A saved model stores a registered function by its name, and a lambda as bytecode. Bytecode runs
    only with `load_model(path, safe_mode=False)` under the same version of Python.

    Args:
        function: Function of the inputs and, if it names them, of `mask` and `training`.
        output_shape: No effect, because Hornbeam finds the shape by tracing. Default: `None`.
        mask: Mask of the output, or a function of (inputs, mask) that returns it. Default: `None`.
        arguments: Dict of further keyword arguments of the function. Default: `None`.

    Input: any shape, or a structure of tensors. Output: what the function returns. As in Keras.

    Raises:
        ValueError: If `function` is not callable.

    Example:
        >>> import hornbeam as hb
        >>> model = hb.Sequential([
        ...     hb.Input((28, 28, 1)), hb.layers.Lambda(lambda images: images / 255.0),
        ...     hb.layers.Flatten(), hb.layers.Dense(10),
        ... ])
        >>> model.output_shape
        (None, 10)
    """

    _takes_sparse = True

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
        elif isinstance(function, (list, tuple)):  # Keras 2 stores bytecode as a list
            function = function_from(function)
        if not callable(function):
            raise ValueError(
                f"Lambda: `function` must be callable, received {errors.describe(function)}."
            )
        self.function, self.arguments = function, dict(arguments or {})
        self.output_shape, self.mask = output_shape, mask
        self.supports_masking = mask is not None
        self.built = not self._has_own_build()

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: CustomObjects = None,
        safe_mode: bool | None = None,
    ) -> Self:  # fmt: skip
        """Make the layer from the result of `get_config`.

        Args:
            config: The configuration.
            custom_objects: Functions by name. They can replace a function that is stored as
                bytecode, by the layer's name.
            safe_mode: Whether to refuse functions stored as bytecode. With `False`, they may run:
                use it only if you trust the config like a program. Default: refuse them, unless
                `load_model(safe_mode=False)` or
                `hornbeam.config.enable_unsafe_deserialization()` allows them.

        Raises:
            FileError: If the function is bytecode that the user neither replaced nor allowed.
        """
        guard = guarded_configuration("The configuration", safe_mode=False)
        with (
            custom_object_scope(custom_objects),
            nullcontext() if safe_mode is not False else guard,
        ):
            return super().from_config(cls._checked_config(config))

    @staticmethod
    def _checked_config(config: dict[str, Any]) -> dict[str, Any]:
        """Return a config without entries of Keras 2, and with a given function for bytecode."""
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
        return config

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
