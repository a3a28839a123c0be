"""Layers of Keras 1 that have no equivalent in Keras 3.

Loading a Keras 1 file creates them, and new files store them by these names. Their weights have the
order of Keras 1's files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from hornbeam import activations, random
from hornbeam.core.random import SeedGenerator
from hornbeam.core.registry import register_keras_serializable
from hornbeam.core.variable import Variable
from hornbeam.initializers import Constant
from hornbeam.layers.activation import _Activation
from hornbeam.layers.arguments import add_named_weight, keep, positive_integer
from hornbeam.layers.core import Embedding
from hornbeam.layers.layer import Layer
from hornbeam.layers.normalization import BatchNormalization, _wide
from hornbeam.layers.regularization import _rate
from hornbeam.typing import Axis, Identifier, Shapes, Tensor

__all__ = [
    "BatchNormalizationOfKeras1",
    "EmbeddingOfKeras1",
    "Highway",
    "MaxoutDense",
    "ParametricSoftplus",
    "SReLU",
]

register = register_keras_serializable("hornbeam")


@register
class BatchNormalizationOfKeras1(BatchNormalization):
    """Batch normalization in modes 1 and 2, which only Keras 1 has.

    Args:
        mode: 1 normalizes each sample over its last axis:
            `(x - mean) / (sqrt(variance + epsilon) + epsilon)`. 2 uses the statistics of the batch
            outside training too, so the result for a sample depends on its batch. Default: 1.
        axis, momentum, epsilon, **kwargs: Arguments of `BatchNormalization`. The weights
            `moving_mean` and `moving_variance` exist because files hold them, but have no effect.

    Input and output: (B, ..., C), where C is the size of `axis`. As in Keras 1.

    Raises:
        ValueError: If `mode` is neither 1 nor 2, or C is unknown.

    Example:
        >>> BatchNormalizationOfKeras1(2)(jnp.array([[1.0], [3.0]])).round(2)
        Array([[-1.],
               [ 1.]], dtype=float32)
    """

    axis: int
    epsilon: float
    gamma: Variable
    beta: Variable

    def __init__(
        self, mode: int = 1, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3,
        beta_initializer: Identifier = "zeros", gamma_initializer: Identifier = "ones",
        beta_regularizer: Identifier = None, gamma_regularizer: Identifier = None, **kwargs: Any,
    ):  # fmt: skip
        if mode not in (1, 2):
            raise ValueError(
                f"BatchNormalizationOfKeras1: `mode` must be 1 or 2, received {mode!r}. For mode 0"
                " use `BatchNormalization`."
            )
        super().__init__(
            axis, momentum, epsilon, beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer, beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer, **kwargs,
        )  # fmt: skip
        self.mode = mode
        self._mixes_rows = mode == 2

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        x, axis = _wide(inputs), self.axis % inputs.ndim
        others = -1 if self.mode == 1 else tuple(i for i in range(x.ndim) if i != axis)
        mean = jnp.mean(x, others, keepdims=True)
        deviation = jnp.sqrt(jnp.mean(jnp.square(x - mean), others, keepdims=True) + self.epsilon)
        if self.mode == 1:
            deviation = deviation + self.epsilon
        shape = tuple(x.shape[i] if i == axis else 1 for i in range(x.ndim))
        gamma, beta = (w.value.astype(x.dtype).reshape(shape) for w in (self.gamma, self.beta))
        return ((x - mean) / deviation * gamma + beta).astype(self.compute_dtype)


@register
class EmbeddingOfKeras1(Embedding):
    """`Embedding` that drops whole rows of its table in training, so all copies of a word.

    Args:
        input_dim, output_dim, embeddings_initializer, embeddings_regularizer,
            embeddings_constraint, mask_zero: As for `Embedding`.
        dropout: Fraction of the rows to drop, from 0 to 1. The other rows are multiplied by
            `1 / (1 - dropout)`. Default: 0.
        seed: Integer seed of the dropout. Default: random.

    Input: integers of any shape. Output: (*input shape, output_dim).

    Raises:
        ValueError: If `input_dim` or `output_dim` is not a positive integer, or `dropout` is not a
            number from 0 to 1.

    Source: Gal 2015, A theoretically grounded application of dropout in recurrent neural networks.

    Example:
        >>> EmbeddingOfKeras1(10, 4, dropout=0.5)(jnp.array([[1, 2]])).shape
        (1, 2, 4)
    """

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Identifier = "uniform",
        embeddings_regularizer: Identifier = None, embeddings_constraint: Identifier = None,
        mask_zero: bool = False, dropout: float = 0.0, seed: int | None = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            **kwargs,
        )
        self.dropout, self.seed = _rate("EmbeddingOfKeras1", dropout, "dropout"), seed
        self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        rows = super().call(inputs)
        if not training or not self.dropout:
            return rows
        kept = random.dropout(
            jnp.ones((self.input_dim, 1), rows.dtype), self.dropout, None, self.seed_generator
        )
        return rows * jnp.take(kept, inputs.astype("int32"), axis=0, mode="clip")


@register
class Highway(Layer):
    """A dense layer that mixes its output with its input by a learned gate.

    `gate * f(x @ kernel + bias) + (1 - gate) * x` with `gate = sigmoid(x @ carry_kernel +
    carry_bias)`.

    Args:
        activation: The function f. Default: `None`, linear.
        use_bias: Whether to add `bias` and `carry_bias`. Default: True.
        kernel_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: As for `Dense`.
        transform_bias: Initial value of `carry_bias`. Default: 1.

    Input and output: (B, ..., C), where C is the number of features.

    Weights: `kernel` (C, C), `carry_kernel` (C, C), `bias` (C,), `carry_bias` (C,).

    Raises:
        ValueError: In `build`, if C is unknown.

    Source: Srivastava et al. 2015, Highway networks.

    Example:
        >>> Highway()(jnp.ones((2, 3))).shape
        (2, 3)
    """

    activation: Callable[[Any], Any]
    use_bias: bool
    transform_bias: float

    def __init__(
        self, activation: Identifier = None, use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform", kernel_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, kernel_constraint: Identifier = None,
        bias_constraint: Identifier = None, transform_bias: float = 1.0, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        keep(self, locals())

    def build(self, input_shape: Shapes = None) -> None:
        size = input_shape[-1]
        self.kernel = add_named_weight(self, "kernel", (size, size))
        self.carry_kernel = add_named_weight(self, "carry_kernel", (size, size), "kernel")
        if self.use_bias:
            self.bias = add_named_weight(self, "bias", (size,), initializer="zeros")
            self.carry_bias = self.add_weight(
                name="carry_bias", shape=(size,), initializer=Constant(self.transform_bias)
            )

    def call(self, inputs: Tensor) -> Tensor:
        gate, value = inputs @ self.carry_kernel.value, inputs @ self.kernel.value
        if self.use_bias:
            gate, value = gate + self.carry_bias.value, value + self.bias.value
        gate = activations.sigmoid(gate)
        return gate * activations.get(self.activation)(value) + (1 - gate) * inputs


@register
class MaxoutDense(Layer):
    """Takes the element-wise maximum of several linear layers: `max_k(x @ kernel[k] + bias[k])`.

    Args:
        units: Size of the output. Keras 1 calls it `output_dim`.
        nb_feature: Number of linear layers. Default: 4.
        use_bias: Whether to add a bias. Default: True.
        kernel_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: As for `Dense`.

    Input: (B, ..., C). Output: (B, ..., units).

    Weights: `kernel` (nb_feature, C, units), `bias` (nb_feature, units).

    Raises:
        ValueError: If `units` or `nb_feature` is not a positive integer, or C is unknown.

    Source: Goodfellow et al. 2013, Maxout networks.

    Example:
        >>> MaxoutDense(4)(jnp.ones((2, 3))).shape
        (2, 4)
    """

    units: int
    nb_feature: int
    use_bias: bool

    def __init__(
        self, units: int, nb_feature: int = 4, use_bias: bool = True,
        kernel_initializer: Identifier = "glorot_uniform", kernel_regularizer: Identifier = None,
        bias_regularizer: Identifier = None, kernel_constraint: Identifier = None,
        bias_constraint: Identifier = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**kwargs)
        units = positive_integer("MaxoutDense", "units", units)
        nb_feature = positive_integer("MaxoutDense", "nb_feature", nb_feature)
        keep(self, locals())

    def build(self, input_shape: Shapes = None) -> None:
        self.kernel = add_named_weight(
            self, "kernel", (self.nb_feature, input_shape[-1], self.units)
        )
        if self.use_bias:
            self.bias = add_named_weight(
                self, "bias", (self.nb_feature, self.units), initializer="zeros"
            )

    def call(self, inputs: Tensor) -> Tensor:
        values = jnp.einsum("...i,kio->...ko", inputs, self.kernel.value)
        return jnp.max(values + self.bias.value if self.use_bias else values, axis=-2)


class _Learned(_Activation):
    """Base of activations with learned weights.

    The weights have the shape of a sample, with size 1 along the shared axes.
    """

    # Name and initializer of each weight.
    _weights: tuple[tuple[str, Any], ...] = ()

    def __init__(self, shared_axes: Axis = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.shared_axes, self.built = shared_axes, False

    def build(self, input_shape: Shapes = None) -> None:
        shared = (
            self.shared_axes if isinstance(self.shared_axes, (list, tuple)) else [self.shared_axes]
        )
        shape = [1 if axis in shared else size for axis, size in enumerate(input_shape)][1:]
        for name, initializer in self._weights:
            setattr(self, name, self.add_weight(name=name, shape=shape, initializer=initializer))


@register
class ParametricSoftplus(_Learned):
    """Applies softplus with learned alpha and beta: `alpha * log(1 + exp(beta * x))`.

    Args:
        alpha_init, beta_init: Initial values of all alphas and betas. Default: 0.2, 5.
        shared_axes: Axes along which all positions share the weights. The batch axis is 0. Default:
            `None`, no axis.

    Input and output: (B, ...). The sizes of the axes not in `shared_axes` must be known.

    Weights: `alphas`, `betas`, with the shape of a sample, with size 1 on `shared_axes`.

    Raises:
        ValueError: In `build`, if one of these sizes is unknown.

    Source: as in Keras 1.

    Example:
        >>> ParametricSoftplus(1.0, 1.0)(jnp.full((1, 1), 50.0))
        Array([[50.]], dtype=float32)
    """

    alphas: Variable
    betas: Variable

    def __init__(
        self,
        alpha_init: float = 0.2,
        beta_init: float = 5.0,
        shared_axes: Axis = None,
        **kwargs: Any,
    ):
        super().__init__(shared_axes, **kwargs)
        self.alpha_init, self.beta_init = alpha_init, beta_init
        self._weights = (("alphas", Constant(alpha_init)), ("betas", Constant(beta_init)))

    def call(self, inputs: Tensor) -> Tensor:
        return self.alphas.value * jax.nn.softplus(self.betas.value * inputs)


@register
class SReLU(_Learned):
    """Applies the S-shaped rectified linear unit, piecewise linear with three learned pieces.

    Between the two bends the slope is 1. The bends and the slopes outside them are learned.

    Args:
        t_left_init: Initializer of the left bend. Default: `"zeros"`.
        t_right_init: Initializer of the distance to the right bend. Default: `"glorot_uniform"`.
        a_left_init, a_right_init: Initializers of the slopes left and right of the bends. Default:
            `"glorot_uniform"`, `"ones"`.
        shared_axes: Axes along which all positions share the weights. The batch axis is 0. Default:
            `None`, no axis.

    Input and output: (B, ...). The sizes of the axes not in `shared_axes` must be known.

    Weights: `t_left`, `a_left`, `t_right`, `a_right`, with the shape of a sample, with size 1 on
    `shared_axes`.

    Raises:
        ValueError: In `build`, if one of these sizes is unknown.

    Source: Jin et al. 2015, Deep learning with S-shaped rectified linear activation units.

    Example:
        >>> SReLU()(jnp.array([[2.0]])).shape
        (1, 1)
    """

    t_left: Variable
    a_left: Variable
    t_right: Variable
    a_right: Variable

    def __init__(
        self, t_left_init: Identifier = "zeros", a_left_init: Identifier = "glorot_uniform",
        t_right_init: Identifier = "glorot_uniform", a_right_init: Identifier = "ones",
        shared_axes: Axis = None, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(shared_axes, **kwargs)
        self.t_left_init, self.a_left_init = t_left_init, a_left_init
        self.t_right_init, self.a_right_init = t_right_init, a_right_init
        names = ("t_left", "a_left", "t_right", "a_right")
        self._weights = tuple((name, getattr(self, f"{name}_init")) for name in names)

    def call(self, inputs: Tensor) -> Tensor:
        left, slope = self.t_left.value, self.a_left.value
        width = jnp.abs(self.t_right.value)
        above = inputs - left
        # With a negative left slope, the function rises again left of the bend, but not above the
        # right bend.
        middle = left + jnp.minimum(jnp.where(above > 0, above, slope * above), width)
        return middle + jnp.maximum(above - width, 0) * self.a_right.value
