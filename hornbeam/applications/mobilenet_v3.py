"""MobileNet v3 (Howard et al. 2019): blocks of version 2, some of which weigh their channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hornbeam.applications.blocks import (
    channel_axis,
    channels,
    divisible,
    follows_torch,
    half_padding,
    normalized,
    padded,
)
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    Multiply,
    ReLU,
    Rescaling,
    ZeroPadding2D,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]


@dataclass(frozen=True)
class _Block:
    """Expansion, filters, size of the window, strides, whether channels are weighed, activation."""

    expansion: float
    filters: int
    size: int
    strides: int
    weighs: bool
    hard: bool


_SMALL = (
    _Block(1, 16, 3, 2, True, False), _Block(72 / 16, 24, 3, 2, False, False),
    _Block(88 / 24, 24, 3, 1, False, False), _Block(4, 40, 5, 2, True, True),
    _Block(6, 40, 5, 1, True, True), _Block(6, 40, 5, 1, True, True),
    _Block(3, 48, 5, 1, True, True), _Block(3, 48, 5, 1, True, True),
    _Block(6, 96, 5, 2, True, True), _Block(6, 96, 5, 1, True, True),
    _Block(6, 96, 5, 1, True, True),
)  # fmt: skip
_LARGE = (
    _Block(1, 16, 3, 1, False, False), _Block(4, 24, 3, 2, False, False),
    _Block(3, 24, 3, 1, False, False), _Block(3, 40, 5, 2, True, False),
    _Block(3, 40, 5, 1, True, False), _Block(3, 40, 5, 1, True, False),
    _Block(6, 80, 3, 2, False, True), _Block(2.5, 80, 3, 1, False, True),
    _Block(2.3, 80, 3, 1, False, True), _Block(2.3, 80, 3, 1, False, True),
    _Block(6, 112, 3, 1, True, True), _Block(6, 112, 3, 1, True, True),
    _Block(6, 160, 5, 2, True, True), _Block(6, 160, 5, 1, True, True),
    _Block(6, 160, 5, 1, True, True),
)  # fmt: skip
# Blocks, and channels before the classifier.
_NETWORKS = {"MobileNetV3Small": (_SMALL, 1024), "MobileNetV3Large": (_LARGE, 1280)}


def mobilenet_v3(
    title: str,
    input_shape: Shape | None = None,
    alpha: float = 1.0,
    minimalistic: bool = False,
    include_top: bool = True,
    weights: FilePath | None = "imagenet",
    input_tensor: Tensor = None,
    classes: int = 1000,
    pooling: str | None = None,
    dropout_rate: float = 0.2,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str | None = None,
) -> Model:
    """MobileNet v3 (Howard et al. 2019): blocks of version 2, some weigh their channels."""
    blocks, last = _NETWORKS[title]
    published = None
    if alpha in ((1.0,) if minimalistic else (0.75, 1.0)):
        kind = title.removeprefix("MobileNetV3").lower() + "_minimalistic" * minimalistic
        kind = f"{kind}_224_{float(alpha)}_float"
        place = f"mobilenet_v3/weights_mobilenet_v3_{kind}{{top}}.h5"
        published = Weights(kind, place, "_no_top_v2")
    network = Network(title, locals(), size=224, smallest=32, any_size=True, weights=published)
    activation = _relu if minimalistic else _hard_swish
    x = network.image
    if include_preprocessing:
        x = normalized(x) if follows_torch() else Rescaling(1 / 127.5, offset=-1.0)(x)
    x = activation(_conv(x, 16, 3, "conv", strides=2))
    for number, block in enumerate(blocks):
        if minimalistic:
            block = replace(block, size=3, weighs=False, hard=False)
        x = _block(x, replace(block, filters=divisible(block.filters * alpha)), number)
    x = activation(_conv(x, divisible(channels(x) * 6), 1, "conv_1"))
    if not network.include_top:
        return network.model(network.pooled(x))
    x = GlobalAveragePooling2D(keepdims=True)(x)
    last = divisible(last * alpha) if alpha > 1 else last
    x = activation(Conv2D(last, 1, padding="same", name="conv_2")(x))
    if dropout_rate > 0:
        x = Dropout(dropout_rate)(x)
    x = Conv2D(network.classes, 1, padding="same", name="logits")(x)
    x = Flatten()(x)
    return network.model(Activation(classifier_activation, name="predictions")(x))


def _relu(x: Tensor) -> Tensor:
    return ReLU()(x)


def _hard_swish(x: Tensor) -> Tensor:
    return Activation("hard_swish")(x)


def _conv(x: Tensor, filters: int, size: int, name: str, strides: int = 1) -> Tensor:
    x, padding = padded(x, size, f"{name}_pad") if strides > 1 else (x, "same")
    x = Conv2D(filters, size, strides=strides, padding=padding, use_bias=False, name=name)(x)
    return _norm(x, f"{name}_bn")


def _norm(x: Tensor, name: str) -> Tensor:
    return BatchNormalization(axis=channel_axis(-1), epsilon=1e-3, momentum=0.999, name=name)(x)


def _block(x: Tensor, block: _Block, number: int) -> Tensor:
    """Return a block that widens, convolves depthwise, may weigh the channels, and narrows."""
    shortcut, width = x, channels(x)
    wide = divisible(width * block.expansion)
    name = f"expanded_conv_{number}_" if number else "expanded_conv_"
    activation = _hard_swish if block.hard else _relu
    if number:
        x = activation(_conv(x, wide, 1, f"{name}expand"))
    if block.strides == 2:
        x = ZeroPadding2D(half_padding(x, block.size), name=f"{name}depthwise_pad")(x)
    x = DepthwiseConv2D(
        block.size,
        strides=block.strides,
        padding="same" if block.strides == 1 else "valid",
        use_bias=False,
        name=f"{name}depthwise",
    )(x)
    x = activation(_norm(x, f"{name}depthwise_bn"))
    if block.weighs:
        x = _weighed(x, divisible(width * block.expansion), f"{name}squeeze_excite")
    x = _conv(x, block.filters, 1, f"{name}project")
    if block.strides == 1 and width == block.filters:
        return Add(name=f"{name}add")([shortcut, x])
    return x


def _weighed(x: Tensor, filters: int, name: str) -> Tensor:
    """Return `x` with each channel weighed by what the whole image shows (Hu et al. 2018)."""
    new = GlobalAveragePooling2D(keepdims=True, name=f"{name}_avg_pool")(x)
    new = Conv2D(divisible(filters / 4), 1, padding="same", name=f"{name}_conv")(new)
    new = ReLU(name=f"{name}_relu")(new)
    new = Conv2D(filters, 1, padding="same", name=f"{name}_conv_1")(new)
    new = ReLU(6.0)(new + 3.0) * (1.0 / 6.0)
    return Multiply(name=f"{name}_mul")([x, new])


MobileNetV3Small = variant(mobilenet_v3, "MobileNetV3Small", name="MobileNetV3Small")
MobileNetV3Large = variant(mobilenet_v3, "MobileNetV3Large", name="MobileNetV3Large")
preprocess_input, decode_predictions = for_mode(None)
