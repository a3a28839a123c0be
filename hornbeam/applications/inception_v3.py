"""Inception v3 (Szegedy et al. 2016): blocks of parallel branches with factorized convolutions."""

from __future__ import annotations

from typing import Any

from hornbeam.applications.blocks import channel_axis, conv_norm
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import AveragePooling2D, MaxPooling2D, concatenate
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]


def inception_v3(
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
    """Inception v3 (Szegedy et al. 2016): parallel branches of factorized convolutions."""
    published = Weights(
        title, "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels{top}.h5"
    )
    network = Network(title, locals(), size=299, smallest=75, weights=published)
    x = _conv(network.image, 32, 3, strides=2, padding="valid")
    x = _conv(x, 32, 3, padding="valid")
    x = _conv(x, 64, 3)
    x = MaxPooling2D(3, strides=2)(x)
    x = _conv(x, 80, 1, padding="valid")
    x = _conv(x, 192, 3, padding="valid")
    x = MaxPooling2D(3, strides=2)(x)
    for number, pooled in enumerate((32, 64, 64)):
        x = _wide(x, pooled, f"mixed{number}")
    x = _shrink_first(x, "mixed3")
    for number, filters in enumerate((128, 160, 160, 192), 4):
        x = _long(x, filters, f"mixed{number}")
    x = _shrink_second(x, "mixed8")
    for number in (9, 10):
        x = _split(x, number)
    return network.model(network.end(x, named=False))


def _conv(x: Tensor, filters: int, size: Any, **options: Any) -> Tensor:
    return conv_norm(
        x, filters, size, normalization={"scale": False}, **{"padding": "same", **options}
    )


def _chain(x: Tensor, *steps: tuple[int, Any]) -> Tensor:
    """Return one convolution after the other, each given by its filters and size."""
    for filters, size in steps:
        x = _conv(x, filters, size)
    return x


def _pooled(x: Tensor, filters: int) -> Tensor:
    return _conv(AveragePooling2D(3, strides=1, padding="same")(x), filters, 1)


def _join(branches: list[Tensor], name: str | None = None) -> Tensor:
    return concatenate(branches, axis=channel_axis(), name=name)


def _wide(x: Tensor, pooled: int, name: str) -> Tensor:
    """Return a block with windows of 5 by 5 pixels."""
    branches = [
        _chain(x, (64, 1)),
        _chain(x, (48, 1), (64, 5)),
        _chain(x, (64, 1), (96, 3), (96, 3)),
        _pooled(x, pooled),
    ]
    return _join(branches, name)


def _long(x: Tensor, filters: int, name: str) -> Tensor:
    """Return a block with windows of 1 by 7 and 7 by 1 pixels."""
    row, column = (1, 7), (7, 1)
    branches = [
        _chain(x, (192, 1)),
        _chain(x, (filters, 1), (filters, row), (192, column)),
        _chain(x, (filters, 1), (filters, column), (filters, row), (filters, column), (192, row)),
        _pooled(x, 192),
    ]
    return _join(branches, name)


def _shrink_first(x: Tensor, name: str) -> Tensor:
    """Return the first block that halves height and width."""
    shrink: dict[str, Any] = {"strides": 2, "padding": "valid"}
    branches = [
        _conv(x, 384, 3, **shrink),
        _conv(_chain(x, (64, 1), (96, 3)), 96, 3, **shrink),
        MaxPooling2D(3, strides=2)(x),
    ]
    return _join(branches, name)


def _shrink_second(x: Tensor, name: str) -> Tensor:
    """Return the second block that halves height and width."""
    shrink: dict[str, Any] = {"strides": 2, "padding": "valid"}
    branches = [
        _conv(_chain(x, (192, 1)), 320, 3, **shrink),
        _conv(_chain(x, (192, 1), (192, (1, 7)), (192, (7, 1))), 192, 3, **shrink),
        MaxPooling2D(3, strides=2)(x),
    ]
    return _join(branches, name)


def _split(x: Tensor, number: int) -> Tensor:
    """Return a block whose branches split into rows and columns at their end."""
    single = _chain(x, (320, 1))
    short = _chain(x, (384, 1))
    short = _join([_conv(short, 384, (1, 3)), _conv(short, 384, (3, 1))], f"mixed9_{number - 9}")
    double = _chain(x, (448, 1), (384, 3))
    double = _join([_conv(double, 384, (1, 3)), _conv(double, 384, (3, 1))])
    return _join([single, short, double, _pooled(x, 192)], f"mixed{number}")


InceptionV3 = variant(inception_v3, "InceptionV3", name="inception_v3")
preprocess_input, decode_predictions = for_mode("tf")
