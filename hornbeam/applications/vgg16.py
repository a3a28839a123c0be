"""VGG (Simonyan and Zisserman 2015): five blocks of plain convolutions, and three dense layers."""

from __future__ import annotations

from typing import Any

from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import Conv2D, Dense, Flatten, MaxPooling2D
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

_FILTERS = (64, 128, 256, 512, 512)
_DEPTHS = {"VGG16": (2, 2, 3, 3, 3), "VGG19": (2, 2, 4, 4, 4)}


def vgg(
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
    """VGG (Simonyan and Zisserman 2015): plain convolutions and three dense layers."""
    low = title.lower()
    published = Weights(title, f"{low}/{low}_weights_tf_dim_ordering_tf_kernels{{top}}.h5")
    network = Network(title, locals(), size=224, smallest=32, weights=published)
    x = network.image
    for block, (depth, filters) in enumerate(zip(_DEPTHS[title], _FILTERS, strict=True), 1):
        for number in range(1, depth + 1):
            layer = Conv2D(
                filters, 3, padding="same", activation="relu", name=f"block{block}_conv{number}"
            )
            x = layer(x)
        x = MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    if not network.include_top:
        return network.model(network.pooled(x, named=False))
    x = Flatten(name="flatten")(x)
    for layer_name in ("fc1", "fc2"):
        x = Dense(4096, activation="relu", name=layer_name)(x)
    return network.model(network.predictions(x))


VGG16 = variant(vgg, "VGG16", name="vgg16")
preprocess_input, decode_predictions = for_mode("caffe")
