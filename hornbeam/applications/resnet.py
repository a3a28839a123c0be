"""ResNet (He et al. 2015), and version 2 (He et al. 2016), whose blocks begin with activations."""

from __future__ import annotations

from typing import Any

from hornbeam.applications.blocks import conv_norm, follows_torch, norm
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import Activation, Add, Conv2D, MaxPooling2D, ZeroPadding2D
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = [
    "ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input",
]  # fmt: skip

_NORM: dict[str, Any] = {"epsilon": 1.001e-5}
_FILTERS = (64, 128, 256, 512)
# Numbers of blocks in the stages.
_DEPTHS = {
    "ResNet50": (3, 4, 6, 3),
    "ResNet101": (3, 4, 23, 3),
    "ResNet152": (3, 8, 36, 3),
}


def resnet(
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
    """ResNet (He et al. 2015): blocks that add a correction to their input."""
    depths = _DEPTHS[title.removesuffix("V2")]
    published = Weights(
        title, f"resnet/{title.lower()}_weights_tf_dim_ordering_tf_kernels{{top}}.h5"
    )
    second = title.endswith("V2")
    network = Network(title, locals(), size=224, smallest=32, weights=published)
    x = ZeroPadding2D(3, name="conv1_pad")(network.image)
    x = Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    if not second:
        x = norm(x, "conv1", "relu", **_NORM)
    x = ZeroPadding2D(1, name="pool1_pad")(x)
    x = MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    stage = _stage2 if second else _stage1
    for number, (depth, filters) in enumerate(zip(depths, _FILTERS, strict=True), 2):
        x = stage(x, filters, depth, number)
    if second:
        x = norm(x, "post", "relu", **_NORM)
    return network.model(network.end(x))


def _stage1(x: Tensor, filters: int, depth: int, number: int) -> Tensor:
    """Return a stage of version 1; its first block halves the sides, except in the first stage."""
    for block in range(1, depth + 1):
        strides = 2 if block == 1 and number > 2 else 1
        x = _block1(x, filters, strides, block == 1, f"conv{number}_block{block}")
    return x


def _block1(x: Tensor, filters: int, strides: int, first: bool, name: str) -> Tensor:
    options: dict[str, Any] = {"use_bias": True, "normalization": _NORM}
    shortcut = x
    if first:
        shortcut = conv_norm(x, 4 * filters, 1, f"{name}_0", None, strides=strides, **options)
    if follows_torch() and strides > 1:  # "version 1.5" has the stride in the second convolution
        x = conv_norm(x, filters, 1, f"{name}_1", **options)
        x = ZeroPadding2D(1, name=f"{name}_2_pad")(x)
        x = conv_norm(x, filters, 3, f"{name}_2", strides=strides, **options)
    else:
        x = conv_norm(x, filters, 1, f"{name}_1", strides=strides, **options)
        x = conv_norm(x, filters, 3, f"{name}_2", padding="same", **options)
    x = conv_norm(x, 4 * filters, 1, f"{name}_3", None, **options)
    x = Add(name=f"{name}_add")([shortcut, x])
    return Activation("relu", name=f"{name}_out")(x)


def _stage2(x: Tensor, filters: int, depth: int, number: int) -> Tensor:
    """Return a stage of version 2; its last block halves the sides, except in the last stage."""
    for block in range(1, depth + 1):
        strides = 2 if block == depth and number < 5 else 1
        x = _block2(x, filters, strides, block == 1, f"conv{number}_block{block}")
    return x


def _block2(x: Tensor, filters: int, strides: int, first: bool, name: str) -> Tensor:
    before = norm(x, f"{name}_preact", "relu", **_NORM)
    if first:
        shortcut = Conv2D(4 * filters, 1, strides=strides, name=f"{name}_0_conv")(before)
    else:
        shortcut = MaxPooling2D(1, strides=strides)(x) if strides > 1 else x
    x = conv_norm(before, filters, 1, f"{name}_1", normalization=_NORM)
    x = ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = conv_norm(x, filters, 3, f"{name}_2", strides=strides, normalization=_NORM)
    x = Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return Add(name=f"{name}_out")([shortcut, x])


ResNet50 = variant(resnet, "ResNet50", name="resnet50")
ResNet101 = variant(resnet, "ResNet101", name="resnet101")
ResNet152 = variant(resnet, "ResNet152", name="resnet152")
preprocess_input, decode_predictions = for_mode("caffe")
