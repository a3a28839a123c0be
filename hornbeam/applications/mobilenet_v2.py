"""MobileNet v2 (Sandler et al. 2018): blocks that widen, convolve depthwise, and narrow again."""

from __future__ import annotations

from typing import Any

from hornbeam.applications.blocks import (
    channel_axis,
    channels,
    divisible,
    follows_torch,
    half_padding,
    padded,
)
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, height_of, side_of, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import (
    Add,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    ReLU,
    ZeroPadding2D,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

# Filters, number of blocks, strides of the first of them, and expansion of the stages.
_STAGES = (
    (16, 1, 1, 1), (24, 2, 2, 6), (32, 3, 2, 6), (64, 4, 2, 6), (96, 3, 1, 6), (160, 3, 2, 6),
    (320, 1, 1, 6),
)  # fmt: skip


def mobilenet_v2(
    title: str,
    input_shape: Shape | None = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: FilePath | None = "imagenet",
    input_tensor: Tensor = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """MobileNet v2 (Sandler et al. 2018): blocks that widen, convolve depthwise, and narrow."""
    side = side_of(input_shape, (96, 128, 160, 192, 224))
    published = None
    if alpha in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4):
        file = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{side}{{top}}.h5"
        published = Weights(title, f"mobilenet_v2/{file}", "_no_top")
    name = name or f"mobilenetv2_{alpha:0.2f}_{height_of(input_shape, side, weights)}"
    network = Network(title, locals(), size=side, smallest=32, weights=published)
    x, padding = padded(network.image, 3, "Conv1_pad")
    x = Conv2D(divisible(32 * alpha), 3, strides=2, padding=padding, use_bias=False, name="Conv1")(
        x
    )
    x = _norm(x, "bn_Conv1", "Conv1_relu")
    number = 0
    for filters, depth, strides, expansion in _STAGES:
        for block in range(depth):
            x = _block(
                x, divisible(int(filters * alpha)), strides if block == 0 else 1, expansion, number
            )
            number += 1
    last = divisible(1280 * alpha) if alpha > 1 else 1280
    x = Conv2D(last, 1, use_bias=False, name="Conv_1")(x)
    x = _norm(x, "Conv_1_bn", "out_relu")
    if not network.include_top:
        return network.model(network.pooled(x, named=False))
    return network.model(network.predictions(GlobalAveragePooling2D()(x)))


def _norm(x: Tensor, name: str, activation: str | None = None) -> Tensor:
    epsilon = 1e-5 if follows_torch() else 1e-3
    x = BatchNormalization(axis=channel_axis(-1), epsilon=epsilon, momentum=0.999, name=name)(x)
    return ReLU(6.0, name=activation)(x) if activation else x


def _block(x: Tensor, filters: int, strides: int, expansion: int, number: int) -> Tensor:
    shortcut, width = x, channels(x)
    name = f"block_{number}_" if number else "expanded_conv_"
    if number:
        x = Conv2D(expansion * width, 1, padding="same", use_bias=False, name=f"{name}expand")(x)
        x = _norm(x, f"{name}expand_BN", f"{name}expand_relu")
    if strides == 2:
        x = ZeroPadding2D(half_padding(x, 3), name=f"{name}pad")(x)
    x = DepthwiseConv2D(
        3,
        strides=strides,
        use_bias=False,
        padding="same" if strides == 1 else "valid",
        name=f"{name}depthwise",
    )(x)
    x = _norm(x, f"{name}depthwise_BN", f"{name}depthwise_relu")
    x = Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(x)
    x = _norm(x, f"{name}project_BN")
    if width == filters and strides == 1:
        return Add(name=f"{name}add")([shortcut, x])
    return x


MobileNetV2 = variant(mobilenet_v2, "MobileNetV2")
preprocess_input, decode_predictions = for_mode("tf")
