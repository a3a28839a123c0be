"""EfficientNet (Tan and Le 2019): one network, scaled in width, depth and size of the images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hornbeam.applications.blocks import (
    add_new,
    channel_axis,
    channels,
    conv_norm,
    divisible,
    follows_torch,
    half_padding,
    norm,
    normalized,
    squeeze_excite,
)
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.torch_files import TorchFile
from hornbeam.applications.weights import Weights
from hornbeam.initializers import VarianceScaling
from hornbeam.layers import (
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Normalization,
    Rescaling,
    ZeroPadding2D,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = [
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "decode_predictions", "preprocess_input",
]  # fmt: skip


class _Scale(NamedTuple):
    """Factors of width and depth, side of the images, rate of the last dropout."""

    width: float
    depth: float
    size: int
    dropout: float


_NETWORKS = {
    "EfficientNetB0": _Scale(1.0, 1.0, 224, 0.2),
    "EfficientNetB1": _Scale(1.0, 1.1, 240, 0.2),
    "EfficientNetB2": _Scale(1.1, 1.2, 260, 0.3),
    "EfficientNetB3": _Scale(1.2, 1.4, 300, 0.3),
    "EfficientNetB4": _Scale(1.4, 1.8, 380, 0.4),
    "EfficientNetB5": _Scale(1.6, 2.2, 456, 0.4),
    "EfficientNetB6": _Scale(1.8, 2.6, 528, 0.5),
    "EfficientNetB7": _Scale(2.0, 3.1, 600, 0.5),
}


@dataclass(frozen=True)
class _Stage:
    """Size of the window, number of blocks, filters, expansion, strides of the first block.

    Also the arguments of `BatchNormalization`.
    """

    size: int
    depth: int
    filters: int
    expansion: int
    strides: int
    normalization: Any = None


_STAGES = (
    _Stage(3, 1, 16, 1, 1), _Stage(3, 2, 24, 6, 2), _Stage(5, 2, 40, 6, 2), _Stage(3, 3, 80, 6, 2),
    _Stage(5, 3, 112, 6, 1), _Stage(5, 4, 192, 6, 2), _Stage(3, 1, 320, 6, 1),
)  # fmt: skip
_DROP_CONNECT = 0.2
# Hugging Face's files are Google's, which divide by the square root of the deviation.
_DEVIATIONS = {
    False: (0.229, 0.224, 0.225),
    True: (math.sqrt(0.229), math.sqrt(0.224), math.sqrt(0.225)),
}


def efficientnet(
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
    """EfficientNet (Tan and Le 2019): one network, scaled in width, depth and size of images."""
    scale = _NETWORKS[title]
    published = Weights(
        title, f"https://storage.googleapis.com/keras-applications/{title.lower()}{{top}}.h5"
    )
    network = Network(title, locals(), size=scale.size, smallest=32, weights=published)
    if isinstance(weights, TorchFile):
        x = normalized(network.image, _DEVIATIONS[weights.of_hub])
    else:
        x = Normalization(axis=channel_axis())(Rescaling(1 / 255)(network.image))
    if weights == "imagenet":
        # The published weights divide by the square root of the deviation, too.
        x = Rescaling([1 / math.sqrt(0.229), 1 / math.sqrt(0.224), 1 / math.sqrt(0.225)])(x)
    x = ZeroPadding2D(half_padding(x, 3), name="stem_conv_pad")(x)
    own = {"epsilon": 1e-5} if follows_torch() and title[-1] in "01234" else {}
    stem: dict[str, Any] = {"strides": 2, "padding": "valid", "normalization": own}
    x = _conv(x, divisible(32 * scale.width), 3, "stem", **stem)
    depths = [math.ceil(scale.depth * stage.depth) for stage in _STAGES]
    done = 0
    for number, (stage, depth) in enumerate(zip(_STAGES, depths, strict=True), 1):
        filters = divisible(stage.filters * scale.width)
        for block in range(depth):
            strides = stage.strides if block == 0 else 1
            stage = replace(stage, filters=filters, strides=strides, normalization=own)
            name_ = f"block{number}{chr(ord('a') + block)}"
            x = _block(x, stage, _DROP_CONNECT * done / sum(depths), name_)
            done += 1
    x = _conv(x, divisible(1280 * scale.width), 1, "top", normalization=own)
    if not network.include_top:
        return network.model(network.pooled(x))
    x = GlobalAveragePooling2D(name="avg_pool")(x)
    x = Dropout(scale.dropout, name="top_dropout")(x)
    initializer = VarianceScaling(1 / 3, "fan_out", "uniform")
    return network.model(network.predictions(x, kernel_initializer=initializer))


def initializer() -> VarianceScaling:
    """Return the initializer of convolutions."""
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def _conv(
    x: Tensor, filters: int, size: int, name: str, activation: str | None = "swish", **options: Any
) -> Tensor:
    options = {"padding": "same", "kernel_initializer": initializer(), **options}
    return conv_norm(x, filters, size, name, activation, **options)


def _block(x: Tensor, stage: _Stage, drop: float, name: str) -> Tensor:
    """Return a block that widens, convolves depthwise, weighs the channels, and narrows."""
    inputs, width = x, channels(x)
    filters = width * stage.expansion
    if stage.expansion != 1:
        x = _conv(x, filters, 1, f"{name}_expand", normalization=stage.normalization)
    if stage.strides == 2:
        x = ZeroPadding2D(half_padding(x, stage.size), name=f"{name}_dwconv_pad")(x)
    x = DepthwiseConv2D(
        stage.size,
        strides=stage.strides,
        padding="same" if stage.strides == 1 else "valid",
        use_bias=False,
        depthwise_initializer=initializer(),
        name=f"{name}_dwconv",
    )(x)
    x = norm(x, name, "swish", **stage.normalization)
    x = squeeze_excite(x, max(1, width // 4), name, initializer)
    options = {"normalization": stage.normalization}
    x = _conv(x, stage.filters, 1, f"{name}_project", None, **options)
    if stage.strides == 1 and width == stage.filters:
        return add_new(inputs, x, drop, name)
    return x


EfficientNetB0 = variant(efficientnet, "EfficientNetB0", name="efficientnetb0")
EfficientNetB1 = variant(efficientnet, "EfficientNetB1", name="efficientnetb1")
EfficientNetB2 = variant(efficientnet, "EfficientNetB2", name="efficientnetb2")
EfficientNetB3 = variant(efficientnet, "EfficientNetB3", name="efficientnetb3")
EfficientNetB4 = variant(efficientnet, "EfficientNetB4", name="efficientnetb4")
EfficientNetB5 = variant(efficientnet, "EfficientNetB5", name="efficientnetb5")
EfficientNetB6 = variant(efficientnet, "EfficientNetB6", name="efficientnetb6")
EfficientNetB7 = variant(efficientnet, "EfficientNetB7", name="efficientnetb7")
preprocess_input, decode_predictions = for_mode(None)
