"""ResNet-RS (Bello et al. 2021) of Keras 2: ResNet with three small convolutions at its start,
weighed channels, and sizes that suit longer training."""

from __future__ import annotations

from typing import Any, NamedTuple

from hornbeam.applications.blocks import channel_axis
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.initializers import VarianceScaling
from hornbeam.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dropout,
    GlobalAveragePooling2D,
    Multiply,
    Normalization,
    Rescaling,
    Reshape,
    ZeroPadding2D,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = [
    "ResNetRS101", "ResNetRS152", "ResNetRS200", "ResNetRS270", "ResNetRS350", "ResNetRS420",
    "ResNetRS50", "decode_predictions", "preprocess_input",
]  # fmt: skip


class _Network(NamedTuple):
    """Numbers of blocks of the stages, rates of the last dropout and of dropped blocks, and the
    side of the images of the published weights."""

    depths: tuple[int, ...]
    dropout: float
    drop: float
    size: int


_NETWORKS = {
    "ResNetRS50": _Network((3, 4, 6, 3), 0.25, 0.0, 160),
    "ResNetRS101": _Network((3, 4, 23, 3), 0.25, 0.0, 192),
    "ResNetRS152": _Network((3, 8, 36, 3), 0.25, 0.0, 256),
    "ResNetRS200": _Network((3, 24, 36, 3), 0.25, 0.1, 256),
    "ResNetRS270": _Network((4, 29, 53, 4), 0.25, 0.1, 256),
    "ResNetRS350": _Network((4, 36, 72, 4), 0.4, 0.1, 320),
    "ResNetRS420": _Network((4, 44, 87, 4), 0.4, 0.1, 320),
}


def resnet_rs(
    title: str,
    include_top: bool = True,
    weights: FilePath | None = "imagenet",
    classes: int = 1000,
    input_shape: Shape | None = None,
    input_tensor: Tensor = None,
    pooling: str | None = None,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
) -> Model:
    """ResNet-RS (Bello et al. 2021) of Keras 2: ResNet with weighed channels."""
    row = _NETWORKS[title]
    name = f"resnet-rs-{title.removeprefix('ResNetRS')}"
    published = Weights(title, f"resnet_rs/{name}-i{row.size}{{top}}.h5")
    network = Network(title, locals(), size=224, smallest=32, weights=published)
    x = network.image
    if include_preprocessing:
        x = Rescaling(1 / 255)(x)
        x = Normalization(
            mean=[0.485, 0.456, 0.406],
            variance=[0.229**2, 0.224**2, 0.225**2],
            axis=channel_axis(),
        )(x)
    for number, (filters, strides) in enumerate(((32, 2), (32, 1), (64, 1), (64, 2)), 1):
        x = _conv(x, filters, 3, f"stem_1_stem_conv_{number}", strides)
        x = _norm(x, f"stem_1_stem_batch_norm_{number}")
        x = Activation("relu", name=f"stem_1_stem_act_{number}")(x)
    for stage, depth in enumerate(row.depths, 2):
        drop = row.drop * stage / 5
        for block in range(depth):
            strides = 2 if block == 0 and stage > 2 else 1
            name_ = f"BlockGroup{stage}__block_{block}_"
            x = _block(x, 16 * 2**stage, strides, block == 0, drop, name_)
    if not network.include_top:
        return network.model(network.pooled(x))
    x = GlobalAveragePooling2D(name="avg_pool")(x)
    x = Dropout(row.dropout, name="top_dropout")(x)
    return network.model(network.predictions(x))


def _conv(x: Tensor, filters: int, size: int, name: str, strides: int = 1) -> Tensor:
    padding = "same"
    if strides > 1:
        x, padding = ZeroPadding2D((size - 1) // 2)(x), "valid"
    return Conv2D(
        filters,
        size,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer=_initializer(),
        name=name,
    )(x)


def _initializer() -> VarianceScaling:
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def _norm(x: Tensor, name: str) -> Tensor:
    return BatchNormalization(axis=channel_axis(), momentum=0.0, epsilon=1e-5, name=name)(x)


def _block(x: Tensor, filters: int, strides: int, first: bool, drop: float, name: str) -> Tensor:
    """Return `x` plus three convolutions with weighed channels, of which training drops some."""
    shortcut = _projected(x, 4 * filters, strides, name) if first else x
    x = _norm(_conv(x, filters, 1, f"{name}_conv_1"), f"{name}batch_norm_1")
    x = Activation("relu", name=f"{name}_act_1")(x)
    x = _norm(_conv(x, filters, 3, f"{name}_conv_2", strides), f"{name}_batch_norm_2")
    x = Activation("relu", name=f"{name}_act_2")(x)
    x = _norm(_conv(x, 4 * filters, 1, f"{name}_conv_3"), f"{name}_batch_norm_3")
    x = _weighed(x, filters, f"{name}_se_se")
    if drop:
        x = Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
    return Activation("relu", name=f"{name}_output_act")(Add()([x, shortcut]))


def _projected(x: Tensor, filters: int, strides: int, name: str) -> Tensor:
    if strides > 1:
        pool = AveragePooling2D(2, strides=2, padding="same", name=f"{name}_projection_pooling")
        x = pool(x)
    x = _conv(x, filters, 1, f"{name}_projection_conv")
    return _norm(x, f"{name}_projection_batch_norm")


def _weighed(x: Tensor, squeezed: int, name: str) -> Tensor:
    """Return `x` with each channel weighed by what the whole image shows (Hu et al. 2018)."""
    count = 4 * squeezed
    new = GlobalAveragePooling2D(name=f"{name}_squeeze")(x)
    shape = (count, 1, 1) if channel_axis() == 1 else (1, 1, count)
    new = Reshape(shape, name=f"{name}_reshape")(new)
    for filters, activation, step in ((squeezed, "relu", "reduce"), (count, "sigmoid", "expand")):
        new = Conv2D(
            filters,
            1,
            padding="same",
            activation=activation,
            kernel_initializer=_initializer(),
            name=f"{name}_{step}",
        )(new)
    return Multiply(name=f"{name}_excite")([x, new])


ResNetRS50 = variant(resnet_rs, "ResNetRS50")
ResNetRS101 = variant(resnet_rs, "ResNetRS101")
ResNetRS152 = variant(resnet_rs, "ResNetRS152")
ResNetRS200 = variant(resnet_rs, "ResNetRS200")
ResNetRS270 = variant(resnet_rs, "ResNetRS270")
ResNetRS350 = variant(resnet_rs, "ResNetRS350")
ResNetRS420 = variant(resnet_rs, "ResNetRS420")
preprocess_input, decode_predictions = for_mode(None)
