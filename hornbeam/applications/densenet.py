"""DenseNet (Huang et al. 2017): each layer sees the features of all layers before it."""

from __future__ import annotations

from typing import Any

from hornbeam.applications.blocks import channel_axis, channels, conv_norm, norm
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    MaxPooling2D,
    ZeroPadding2D,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = [
    "DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input",
]  # fmt: skip

_NORM: dict[str, Any] = {"epsilon": 1.001e-5}
_GROWTH = 32
# Numbers of layers in the blocks.
_DEPTHS = {
    "DenseNet121": (6, 12, 24, 16),
    "DenseNet169": (6, 12, 32, 32),
    "DenseNet201": (6, 12, 48, 32),
}


def densenet(
    title: str,
    include_top: bool = True,
    weights: FilePath | None = "imagenet",
    input_tensor: Tensor = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """DenseNet (Huang et al. 2017): each layer sees the features of all layers before it."""
    published = Weights(
        title, f"densenet/{title.lower()}_weights_tf_dim_ordering_tf_kernels{{top}}.h5"
    )
    network = Network(title, locals(), size=224, smallest=32, weights=published)
    x = ZeroPadding2D(3)(network.image)
    x = conv_norm(x, 64, 7, "conv1", strides=2, normalization=_NORM)
    x = ZeroPadding2D(1)(x)
    x = MaxPooling2D(3, strides=2, name="pool1")(x)
    for number, depth in enumerate(_DEPTHS[title], 2):
        for layer in range(1, depth + 1):
            x = _layer(x, f"conv{number}_block{layer}")
        if number < 5:
            x = _transition(x, f"pool{number}")
    x = BatchNormalization(axis=channel_axis(), name="bn", **_NORM)(x)
    return network.model(network.end(Activation("relu", name="relu")(x)))


def _layer(x: Tensor, name: str) -> Tensor:
    """Return `x` with 32 more channels, computed from all of it."""
    new = norm(x, f"{name}_0", "relu", **_NORM)
    new = conv_norm(new, 4 * _GROWTH, 1, f"{name}_1", normalization=_NORM)
    new = Conv2D(_GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(new)
    return Concatenate(axis=channel_axis(), name=f"{name}_concat")([x, new])


def _transition(x: Tensor, name: str) -> Tensor:
    """Return half as many channels, of half the height and width."""
    x = norm(x, name, "relu", **_NORM)
    x = Conv2D(channels(x) // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


DenseNet121 = variant(densenet, "DenseNet121", name="densenet121")
DenseNet169 = variant(densenet, "DenseNet169", name="densenet169")
DenseNet201 = variant(densenet, "DenseNet201", name="densenet201")
preprocess_input, decode_predictions = for_mode("torch")
