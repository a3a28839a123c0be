"""Inception-ResNet v2 (Szegedy et al. 2017): Inception's branches, added to their input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hornbeam.applications.blocks import channel_axis, channels
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Layer,
    MaxPooling2D,
)
from hornbeam.models import Model
from hornbeam.objects.family import Family
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = ["CustomScaleLayer", "InceptionResNetV2", "decode_predictions", "preprocess_input"]

_SHRINK: dict[str, Any] = {"strides": 2, "padding": "valid"}
_ROW7, _COLUMN7, _ROW3, _COLUMN3 = (1, 7), (7, 1), (1, 3), (3, 1)
# The residual blocks of each size of image: their name and number, the factor of what they add, and
# their branches, each a chain of convolutions given by filters and size.
_Chain = tuple[tuple[int, Any], ...]
_STAGES: dict[str, tuple[int, float, tuple[_Chain, ...]]] = {
    "block35": (10, 0.17, (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))),
    "block17": (20, 0.1, (((192, 1),), ((128, 1), (160, _ROW7), (192, _COLUMN7)))),
    "block8": (10, 0.2, (((192, 1),), ((192, 1), (224, _ROW3), (256, _COLUMN3)))),
}


class CustomScaleLayer(Layer):
    """Adds the second input to the first, times a factor: `a + scale * b`.

    Args:
        scale: The factor.

    Example:
        >>> import numpy as np
        >>> CustomScaleLayer(0.5)([np.ones((1, 2)), np.ones((1, 2))])
        Array([[1.5, 1.5]], dtype=float32)
    """

    def __init__(self, scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        return inputs[0] + inputs[1] * self.scale


def inception_resnet_v2(
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
    """Inception-ResNet v2 (Szegedy et al. 2017): Inception's branches, added to their input."""
    published = Weights(
        title, "inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels{top}.h5"
    )
    network = Network(title, locals(), size=299, smallest=75, weights=published)
    x = _conv(network.image, 32, 3, strides=2, padding="valid")
    x = _conv(x, 32, 3, padding="valid")
    x = _conv(x, 64, 3)
    x = MaxPooling2D(3, strides=2)(x)
    x = _conv(x, 80, 1, padding="valid")
    x = _conv(x, 192, 3, padding="valid")
    x = MaxPooling2D(3, strides=2)(x)
    branches = [
        _chain(x, ((96, 1),)),
        _chain(x, ((48, 1), (64, 5))),
        _chain(x, ((64, 1), (96, 3), (96, 3))),
        _conv(AveragePooling2D(3, strides=1, padding="same")(x), 64, 1),
    ]
    x = _join(branches, "mixed_5b")
    x = _stage(x, "block35")
    branches = [
        _conv(x, 384, 3, **_SHRINK),
        _conv(_chain(x, ((256, 1), (256, 3))), 384, 3, **_SHRINK),
        MaxPooling2D(3, strides=2)(x),
    ]
    x = _join(branches, "mixed_6a")
    x = _stage(x, "block17")
    branches = [
        _conv(_chain(x, ((256, 1),)), 384, 3, **_SHRINK),
        _conv(_chain(x, ((256, 1),)), 288, 3, **_SHRINK),
        _conv(_chain(x, ((256, 1), (288, 3))), 320, 3, **_SHRINK),
        MaxPooling2D(3, strides=2)(x),
    ]
    x = _join(branches, "mixed_7a")
    x = _conv(_stage(x, "block8"), 1536, 1, name="conv_7b")
    return network.model(network.end(x, named=False))


def _conv(x: Tensor, filters: int, size: Any, name: str | None = None, **options: Any) -> Tensor:
    options = {"padding": "same", "use_bias": False, **options}
    x = Conv2D(filters, size, name=name, **options)(x)
    x = BatchNormalization(axis=channel_axis(), scale=False, name=name and f"{name}_bn")(x)
    return Activation("relu", name=name and f"{name}_ac")(x)


def _chain(x: Tensor, steps: _Chain) -> Tensor:
    for filters, size in steps:
        x = _conv(x, filters, size)
    return x


def _join(branches: list[Tensor], name: str) -> Tensor:
    return Concatenate(axis=channel_axis(), name=name)(branches)


def _stage(x: Tensor, name: str) -> Tensor:
    """Return residual blocks; the very last one has no activation, and adds all of its result."""
    number, scale, chains = _STAGES[name]
    for block in range(1, number + 1):
        full = f"{name}_{block}"
        last = full == "block8_10"
        new = _join([_chain(x, chain) for chain in chains], f"{full}_mixed")
        new = Conv2D(channels(x), 1, padding="same", name=f"{full}_conv")(new)
        x = CustomScaleLayer(1.0 if last else scale)([x, new])
        if not last:
            x = Activation("relu", name=f"{full}_ac")(x)
    return x


InceptionResNetV2 = variant(inception_resnet_v2, "InceptionResNetV2", name="inception_resnet_v2")
preprocess_input, decode_predictions = for_mode("tf")

SCALE_LAYERS = Family(
    "layer of an application",
    Layer,
    "keras.src.applications.inception_resnet_v2",
    {"__all__": ["CustomScaleLayer"], "CustomScaleLayer": CustomScaleLayer},
    takes_functions=False,
)
