"""EfficientNet v2 (Tan and Le 2021): its first stages convolve once instead of depthwise."""

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
    norm,
    squeeze_excite,
)
from hornbeam.applications.efficientnet import initializer
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.initializers import Constant, VarianceScaling
from hornbeam.layers import (
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Normalization,
    Rescaling,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = [
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3",
    "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S", "decode_predictions",
    "preprocess_input",
]  # fmt: skip


@dataclass(frozen=True)
class _Stage:
    """Number of blocks, filters, expansion, strides of the first block, whether it is fused."""

    depth: int
    filters: int
    expansion: int
    strides: int
    fused: bool = False


_BASE = (
    _Stage(1, 16, 1, 1, True), _Stage(2, 32, 4, 2, True), _Stage(2, 48, 4, 2, True),
    _Stage(3, 96, 4, 2), _Stage(5, 112, 6, 1), _Stage(8, 192, 6, 2),
)  # fmt: skip
_SMALL = (
    _Stage(2, 24, 1, 1, True), _Stage(4, 48, 4, 2, True), _Stage(4, 64, 4, 2, True),
    _Stage(6, 128, 4, 2), _Stage(9, 160, 6, 1), _Stage(15, 256, 6, 2),
)  # fmt: skip
_MEDIUM = (
    _Stage(3, 24, 1, 1, True), _Stage(5, 48, 4, 2, True), _Stage(5, 80, 4, 2, True),
    _Stage(7, 160, 4, 2), _Stage(14, 176, 6, 1), _Stage(18, 304, 6, 2), _Stage(5, 512, 6, 1),
)  # fmt: skip
_LARGE = (
    _Stage(4, 32, 1, 1, True), _Stage(7, 64, 4, 2, True), _Stage(7, 96, 4, 2, True),
    _Stage(10, 192, 4, 2), _Stage(19, 224, 6, 1), _Stage(25, 384, 6, 2), _Stage(7, 640, 6, 1),
)  # fmt: skip


class _Network(NamedTuple):
    """Stages, filters of the first convolution, factors of width and depth, side of the images."""

    stages: tuple[_Stage, ...]
    stem: int
    width: float
    depth: float
    size: int


_NETWORKS = {
    "EfficientNetV2B0": _Network(_BASE, 32, 1.0, 1.0, 224),
    "EfficientNetV2B1": _Network(_BASE, 32, 1.0, 1.1, 240),
    "EfficientNetV2B2": _Network(_BASE, 32, 1.1, 1.2, 260),
    "EfficientNetV2B3": _Network(_BASE, 32, 1.2, 1.4, 300),
    "EfficientNetV2S": _Network(_SMALL, 24, 1.0, 1.0, 384),
    "EfficientNetV2M": _Network(_MEDIUM, 24, 1.0, 1.0, 480),
    "EfficientNetV2L": _Network(_LARGE, 32, 1.0, 1.0, 480),
}
_NORM = {"momentum": 0.9}
_DROP_CONNECT = 0.2


def efficientnet_v2(
    title: str,
    include_top: bool = True,
    weights: FilePath | None = "imagenet",
    input_tensor: Tensor = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str | None = None,
) -> Model:
    """EfficientNet v2 (Tan and Le 2021): its first stages convolve once instead of depthwise."""
    row = _NETWORKS[title]
    version = title.removeprefix("EfficientNetV2").lower()
    published = Weights(title, f"efficientnet_v2/efficientnetv2-{version}{{top}}.h5")
    network = Network(title, locals(), size=row.size, smallest=32, weights=published)
    x = network.image
    if include_preprocessing:
        x = _preprocessed(x, version)
    x = _conv(x, divisible(row.stem * row.width, least=0), 3, "stem", strides=2)
    depths = [math.ceil(row.depth * stage.depth) for stage in row.stages]
    done, planned = 0, sum(stage.depth for stage in row.stages)
    for number, (stage, depth) in enumerate(zip(row.stages, depths, strict=True), 1):
        filters = divisible(stage.filters * row.width, least=0)
        for block in range(depth):
            stage = replace(stage, filters=filters, strides=stage.strides if block == 0 else 1)
            name_ = f"block{number}{chr(ord('a') + block)}"
            build = _fused if stage.fused else _block
            x = build(x, stage, _DROP_CONNECT * done / planned, name_)
            done += 1
    x = _conv(x, divisible(1280 * row.width, least=0), 1, "top")
    if not network.include_top:
        return network.model(network.pooled(x))
    x = GlobalAveragePooling2D(name="avg_pool")(x)
    x = Dropout(0.2, name="top_dropout")(x)
    dense = VarianceScaling(1 / 3, "fan_out", "uniform")
    return network.model(
        network.predictions(x, kernel_initializer=dense, bias_initializer=Constant(0.0))
    )


def _preprocessed(x: Tensor, version: str) -> Tensor:
    """Return pixels as numbers around 0."""
    if version.startswith("b"):
        x = Rescaling(1 / 255)(x)
        return Normalization(
            mean=[0.485, 0.456, 0.406],
            variance=[0.229**2, 0.224**2, 0.225**2],
            axis=channel_axis(),
        )(x)
    return Rescaling(1 / 128, offset=-1)(x)


def _conv(
    x: Tensor, filters: int, size: int, name: str, activation: str | None = "swish", **options: Any
) -> Tensor:
    options = {"padding": "same", "kernel_initializer": initializer(), **options}
    return conv_norm(x, filters, size, name, activation, normalization=_NORM, **options)


def _block(x: Tensor, stage: _Stage, drop: float, name: str) -> Tensor:
    """Return a block that widens, convolves depthwise, weighs the channels, and narrows."""
    inputs, width = x, channels(x)
    x = _conv(x, width * stage.expansion, 1, f"{name}_expand")
    x = DepthwiseConv2D(
        3,
        strides=stage.strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=initializer(),
        name=f"{name}_dwconv2",
    )(x)
    x = norm(x, name, "swish", **_NORM)
    x = squeeze_excite(x, max(1, width // 4), name, initializer)
    x = _conv(x, stage.filters, 1, f"{name}_project", None)
    if stage.strides == 1 and width == stage.filters:
        return add_new(inputs, x, drop, name)
    return x


def _fused(x: Tensor, stage: _Stage, drop: float, name: str) -> Tensor:
    """Return a block whose one convolution of 3 by 3 pixels widens, or narrows."""
    inputs, width = x, channels(x)
    if stage.expansion == 1:
        x = _conv(x, stage.filters, 3, f"{name}_project", strides=stage.strides)
    else:
        x = _conv(x, width * stage.expansion, 3, f"{name}_expand", strides=stage.strides)
        x = _conv(x, stage.filters, 1, f"{name}_project", None)
    if stage.strides == 1 and width == stage.filters:
        return add_new(inputs, x, drop, name)
    return x


EfficientNetV2B0 = variant(efficientnet_v2, "EfficientNetV2B0", name="efficientnetv2-b0")
EfficientNetV2B1 = variant(efficientnet_v2, "EfficientNetV2B1", name="efficientnetv2-b1")
EfficientNetV2B2 = variant(efficientnet_v2, "EfficientNetV2B2", name="efficientnetv2-b2")
EfficientNetV2B3 = variant(efficientnet_v2, "EfficientNetV2B3", name="efficientnetv2-b3")
EfficientNetV2S = variant(efficientnet_v2, "EfficientNetV2S", name="efficientnetv2-s")
EfficientNetV2M = variant(efficientnet_v2, "EfficientNetV2M", name="efficientnetv2-m")
EfficientNetV2L = variant(efficientnet_v2, "EfficientNetV2L", name="efficientnetv2-l")
preprocess_input, decode_predictions = for_mode(None)
