"""Xception (Chollet 2017): separable convolutions in blocks that add to their input."""

from __future__ import annotations

from typing import Any

from hornbeam.applications.blocks import channel_axis
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    MaxPooling2D,
    SeparableConv2D,
    add,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = ["Xception", "decode_predictions", "preprocess_input"]


def xception(
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
    """Xception (Chollet 2017): separable convolutions in blocks that add to their input."""
    published = Weights(title, "xception/xception_weights_tf_dim_ordering_tf_kernels{top}.h5")
    network = Network(title, locals(), size=299, smallest=71, weights=published)
    x = _conv(network.image, 32, "block1_conv1", strides=2)
    x = _conv(x, 64, "block1_conv2")
    for block, filters in enumerate((128, 256, 728), 2):
        x = _shrinking(x, (filters, filters), f"block{block}", first_activation=block > 2)
    for block in range(5, 13):
        x = add([_separable(x, (728, 728, 728), f"block{block}"), x])
    x = _shrinking(x, (728, 1024), "block13")
    for number, filters in enumerate((1536, 2048), 1):
        name_ = f"block14_sepconv{number}"
        x = SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name_)(x)
        x = Activation("relu", name=f"{name_}_act")(_norm(x, f"{name_}_bn"))
    return network.model(network.end(x, named=False))


def _norm(x: Tensor, name: str | None = None) -> Tensor:
    return BatchNormalization(axis=channel_axis(-1), name=name)(x)


def _conv(x: Tensor, filters: int, name: str, **options: Any) -> Tensor:
    x = Conv2D(filters, 3, use_bias=False, name=name, **options)(x)
    return Activation("relu", name=f"{name}_act")(_norm(x, f"{name}_bn"))


def _separable(
    x: Tensor, filters: tuple[int, ...], name: str, first_activation: bool = True
) -> Tensor:
    """Return several separable convolutions, each after an activation."""
    for number, count in enumerate(filters, 1):
        name_ = f"{name}_sepconv{number}"
        if number > 1 or first_activation:
            x = Activation("relu", name=f"{name_}_act")(x)
        x = SeparableConv2D(count, 3, padding="same", use_bias=False, name=name_)(x)
        x = _norm(x, f"{name_}_bn")
    return x


def _shrinking(
    x: Tensor, filters: tuple[int, ...], name: str, first_activation: bool = True
) -> Tensor:
    """Return a block that halves height and width."""
    residual = Conv2D(filters[-1], 1, strides=2, padding="same", use_bias=False)(x)
    residual = _norm(residual)
    x = _separable(x, filters, name, first_activation)
    x = MaxPooling2D(3, strides=2, padding="same", name=f"{name}_pool")(x)
    return add([x, residual])


Xception = variant(xception, "Xception", name="xception")
preprocess_input, decode_predictions = for_mode("tf")
