"""ConvNeXt (Liu et al. 2022): a convolutional network with the parts of a vision transformer."""

from __future__ import annotations

from typing import Any

from hornbeam import ops
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.config import image_data_format
from hornbeam.initializers import Constant
from hornbeam.layers import (
    Activation,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    LayerNormalization,
    Normalization,
)
from hornbeam.layers.arguments import positive_integer
from hornbeam.layers.layer import Layer
from hornbeam.models import Model, Sequential
from hornbeam.objects.family import Family
from hornbeam.typing import FilePath, Shape, Shapes, Tensor

__all__ = [
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "LayerScale", "decode_predictions", "preprocess_input",
]  # fmt: skip

# Numbers of blocks, and channels, of the stages.
_NETWORKS = {
    "ConvNeXtTiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "ConvNeXtSmall": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "ConvNeXtBase": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "ConvNeXtLarge": ((3, 3, 27, 3), (192, 384, 768, 1536)),
    "ConvNeXtXLarge": ((3, 3, 27, 3), (256, 512, 1024, 2048)),
}


class LayerScale(Layer):
    """Multiplies each channel by a learned factor, which starts small (Touvron et al. 2021).

    Args:
        init_values: Initial value of all factors.
        projection_dim: Number of channels.

    Raises:
        ValueError: If `projection_dim` is not a positive integer.

    Weights: `gamma` of shape (projection_dim,).

    Example:
        >>> import numpy as np
        >>> LayerScale(0.5, 2)(np.ones((1, 2)))
        Array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = positive_integer("LayerScale", "projection_dim", projection_dim)

    def build(self, input_shape: Shapes = None) -> None:
        self.gamma = self.add_weight(
            name="gamma",
            shape=(self.projection_dim,),
            initializer=Constant(self.init_values),
            trainable=True,
        )

    def call(self, inputs: Tensor) -> Tensor:
        return inputs * self.gamma.value


def convnext(
    title: str,
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: FilePath | None = "imagenet",
    input_tensor: Tensor = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
    model_name: str | None = None,
) -> Model:
    """ConvNeXt (Liu et al. 2022): a convolutional network with parts of a vision transformer."""
    depths, widths = _NETWORKS[title]
    name = model_name or name  # Keras 2 calls it `model_name`
    size = title.removeprefix("ConvNeXt").lower()
    published = Weights(title, f"convnext/convnext_{size}{{top}}.h5")
    if image_data_format() == "channels_first":
        raise ValueError(
            f"{title}: expected the data format 'channels_last', received 'channels_first'. Call"
            " `config.set_image_data_format('channels_last')` first."
        )
    network = Network(title, locals(), size=224, smallest=32, weights=published)
    start = network.name
    x = network.image
    if include_preprocessing:
        x = Normalization(
            mean=[0.485 * 255, 0.456 * 255, 0.406 * 255],
            variance=[(0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2],
            name=f"{start}_prestem_normalization",
        )(x)
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        shrink = _stem(width, start) if stage == 0 else _downsampling(width, start, stage - 1)
        x = shrink(x)
        for block in range(depth):
            x = _block(x, width, f"{start}_stage_{stage}_block_{block}")
    if not network.include_top:
        return network.model(_norm()(network.pooled(x, named=False)))
    x = GlobalAveragePooling2D(name=f"{start}_head_gap")(x)
    x = _norm(f"{start}_head_layernorm")(x)
    return network.model(network.predictions(x, name=f"{start}_head_dense"))


def _norm(name: str | None = None) -> Layer:
    return LayerNormalization(epsilon=1e-6, name=name)


def _stem(width: int, start: str | None) -> Sequential:
    layers = [
        Conv2D(width, 4, strides=4, name=f"{start}_stem_conv"),
        _norm(f"{start}_stem_layernorm"),
    ]
    return Sequential(layers, name=f"{start}_stem")


def _downsampling(width: int, start: str | None, number: int) -> Sequential:
    layers = [
        _norm(f"{start}_downsampling_layernorm_{number}"),
        Conv2D(width, 2, strides=2, name=f"{start}_downsampling_conv_{number}"),
    ]
    return Sequential(layers, name=f"{start}_downsampling_block_{number}")


def _block(x: Tensor, width: int, name: str) -> Tensor:
    """Return `x` plus what a wide window and two dense layers make of it."""
    new = Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv")(x)
    new = _norm(f"{name}_layernorm")(new)
    new = Dense(4 * width, name=f"{name}_pointwise_conv_1")(new)
    new = Activation("gelu", name=f"{name}_gelu")(new)
    new = Dense(width, name=f"{name}_pointwise_conv_2")(new)
    new = LayerScale(1e-6, width, name=f"{name}_layer_scale")(new)
    new = Activation("linear", name=f"{name}_identity")(new)
    return ops.add(x, new)


ConvNeXtTiny = variant(convnext, "ConvNeXtTiny", name="convnext_tiny")
ConvNeXtSmall = variant(convnext, "ConvNeXtSmall", name="convnext_small")
ConvNeXtBase = variant(convnext, "ConvNeXtBase", name="convnext_base")
ConvNeXtLarge = variant(convnext, "ConvNeXtLarge", name="convnext_large")
ConvNeXtXLarge = variant(convnext, "ConvNeXtXLarge", name="convnext_xlarge")
preprocess_input, decode_predictions = for_mode(None)

APPLICATION_LAYERS = Family(
    "layer of an application",
    Layer,
    "keras.src.applications.convnext",
    {"__all__": ["LayerScale"], "LayerScale": LayerScale},
    takes_functions=False,
)
