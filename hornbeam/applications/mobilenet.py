"""MobileNet (Howard et al. 2017): each convolution is depthwise, then pointwise."""

from __future__ import annotations

from typing import Any

from hornbeam.applications.blocks import channel_axis
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, height_of, side_of, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    ReLU,
    Reshape,
    ZeroPadding2D,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

# Filters and strides of the blocks.
_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
    (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


def mobilenet(
    title: str,
    input_shape: Shape | None = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 1e-3,
    include_top: bool = True,
    weights: FilePath | None = "imagenet",
    input_tensor: Tensor = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """MobileNet (Howard et al. 2017): each convolution is depthwise, then pointwise."""
    side = side_of(input_shape, (128, 160, 192, 224))
    published = None
    if depth_multiplier == 1 and alpha in (0.25, 0.5, 0.75, 1.0):
        width = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}[alpha]
        published = Weights(title, f"mobilenet/mobilenet_{width}_{side}_tf{{top}}.h5", "_no_top")
    name = name or f"mobilenet_{alpha:0.2f}_{height_of(input_shape, side, weights)}"
    network = Network(title, locals(), size=side, smallest=32, weights=published)
    x = Conv2D(int(32 * alpha), 3, padding="same", use_bias=False, strides=2, name="conv1")(
        network.image
    )
    x = _norm(x, "conv1")
    for block, (filters, strides) in enumerate(_BLOCKS, 1):
        x = _block(x, int(filters * alpha), strides, depth_multiplier, block)
    if not network.include_top:
        return network.model(network.pooled(x, named=False))
    x = GlobalAveragePooling2D(keepdims=True)(x)
    x = Dropout(dropout, name="dropout")(x)
    x = Conv2D(network.classes, 1, padding="same", name="conv_preds")(x)
    x = Reshape((network.classes,), name="reshape_2")(x)
    return network.model(Activation(classifier_activation, name="predictions")(x))


def _norm(x: Tensor, name: str) -> Tensor:
    x = BatchNormalization(axis=channel_axis(-1), name=f"{name}_bn")(x)
    return ReLU(6.0, name=f"{name}_relu")(x)


def _block(x: Tensor, filters: int, strides: int, multiplier: int, number: int) -> Tensor:
    if strides > 1:
        x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    x = DepthwiseConv2D(
        3,
        padding="same" if strides == 1 else "valid",
        depth_multiplier=multiplier,
        strides=strides,
        use_bias=False,
        name=f"conv_dw_{number}",
    )(x)
    x = _norm(x, f"conv_dw_{number}")
    x = Conv2D(filters, 1, padding="same", use_bias=False, name=f"conv_pw_{number}")(x)
    return _norm(x, f"conv_pw_{number}")


MobileNet = variant(mobilenet, "MobileNet")
preprocess_input, decode_predictions = for_mode("tf")
