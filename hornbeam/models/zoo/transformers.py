"""Encoders of transformers: a vision transformer and a network like BERT."""

from __future__ import annotations

from typing import Any

from hornbeam.core.tensor import KerasTensor
from hornbeam.layers import (
    Add,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    Layer,
    LayerNormalization,
    MultiHeadAttention,
    Reshape,
)
from hornbeam.layers.arguments import keep
from hornbeam.models.functional import Functional
from hornbeam.typing import Shapes, Tensor

__all__ = ["PositionEmbedding", "bert", "check_heads", "vit"]


class PositionEmbedding(Layer):
    """Adds a learned vector to each position of a sequence.

    Args:
        length: Largest number of positions.
        **kwargs: Arguments of `Layer`.

    Example:
        >>> import hornbeam as hb
        >>> PositionEmbedding(length=8)(hb.ops.zeros((2, 5, 4))).shape
        (2, 5, 4)
    """

    length: int

    def __init__(self, length: int, **kwargs: Any):
        super().__init__(**kwargs)
        keep(self, locals())
        self.supports_masking = True

    def build(self, input_shape: Shapes = None) -> None:
        self.table = self.add_weight(
            name="table", shape=(self.length, input_shape[-1]), initializer="random_normal"
        )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs + self.table.value[: inputs.shape[1]]

    def compute_output_spec(self, inputs: Tensor) -> Tensor:
        """Return the form of the inputs; their length may be unknown."""
        return KerasTensor(inputs.shape, self.compute_dtype)


def check_heads(title: str, width: int, heads: int) -> None:
    """Raise `ValueError` if `width` is no multiple of `heads`."""
    if heads < 1 or width % heads:
        raise ValueError(
            f"{title}: `width` must be a multiple of `heads`, received {width} and {heads}."
        )


def _block(x: Tensor, heads: int, dropout: float, name: str) -> Tensor:
    """Return a block of an encoder with the normalization first (Xiong et al. 2020)."""
    width = x.shape[-1]
    new = LayerNormalization(epsilon=1e-6, name=f"{name}_attention_norm")(x)
    attention = MultiHeadAttention(heads, width // heads, name=f"{name}_attention")
    x = Add(name=f"{name}_attention_add")([x, Dropout(dropout)(attention(new, new))])
    new = LayerNormalization(epsilon=1e-6, name=f"{name}_dense_norm")(x)
    new = Dense(4 * width, activation="gelu", name=f"{name}_dense_1")(new)
    new = Dense(width, name=f"{name}_dense_2")(new)
    return Add(name=f"{name}_dense_add")([x, Dropout(dropout)(new)])


def vit(
    input_shape: tuple[int, ...] = (224, 224, 3),
    classes: int | None = 1000,
    patch: int = 16,
    depth: int = 12,
    width: int = 192,
    heads: int = 3,
    dropout: float = 0.0,
    activation: Any = "softmax",
    name: str = "vit",
) -> Functional:
    """Return a vision transformer (Dosovitskiy et al. 2020) that averages over its patches.

    Args:
        input_shape: Height, width and channels of the images.
        classes: Number of classes; `None` for the averaged features.
        patch: Side of a patch, which divides height and width.
        depth: Number of blocks.
        width: Number of features, a multiple of `heads`.
        heads: Number of heads of attention.
        dropout: Fraction of features dropped in training.
        activation: Activation of the classifier.
        name: Name of the model.

    Raises:
        ValueError: If the sizes do not divide.

    Example:
        >>> vit((8, 8, 3), classes=2, patch=4, depth=1, width=8, heads=2).output_shape
        (None, 2)
    """
    check_heads("vit", width, heads)
    rows, columns = input_shape[0], input_shape[1]
    if rows % patch or columns % patch:
        raise ValueError(
            f"vit: `patch` must divide height and width, received {patch} for {input_shape}."
        )
    image = Input(input_shape)
    x = Conv2D(width, patch, strides=patch, name="patches")(image)
    count = (rows // patch) * (columns // patch)
    x = PositionEmbedding(count, name="positions")(Reshape((count, width))(x))
    for number in range(depth):
        x = _block(x, heads, dropout, f"block_{number}")
    x = LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = GlobalAveragePooling1D(name="pool")(x)
    if classes is not None:
        x = Dense(classes, activation=activation, name="predictions")(x)
    return Functional(image, x, name=name)


def bert(
    vocabulary: int,
    length: int = 512,
    depth: int = 4,
    width: int = 128,
    heads: int = 4,
    dropout: float = 0.1,
    predicts_tokens: bool = True,
    name: str = "bert",
) -> Functional:
    """Return an encoder of texts that sees both directions, like BERT (Devlin et al. 2018).

    Args:
        vocabulary: Number of tokens. Token 0 is padding, which is masked.
        length: Largest number of tokens of a text.
        depth: Number of blocks.
        width: Number of features, a multiple of `heads`.
        heads: Number of heads of attention.
        dropout: Fraction of features dropped in training.
        predicts_tokens: Whether the outputs are logits of the token at each position, for masked
            language modeling; otherwise they are features.
        name: Name of the model.

    Example:
        >>> bert(50, length=16, depth=1, width=8, heads=2).output_shape
        (None, None, 50)
    """
    check_heads("bert", width, heads)
    tokens = Input((None,), dtype="int32")
    x = Embedding(vocabulary, width, mask_zero=True, name="tokens")(tokens)
    x = PositionEmbedding(length, name="positions")(x)
    x = Dropout(dropout)(LayerNormalization(epsilon=1e-6, name="start_norm")(x))
    for number in range(depth):
        x = _block(x, heads, dropout, f"block_{number}")
    x = LayerNormalization(epsilon=1e-6, name="norm")(x)
    if predicts_tokens:
        x = Dense(vocabulary, name="logits")(x)
    return Functional(tokens, x, name=name)
