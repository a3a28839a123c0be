"""NASNet (Zoph et al. 2018): cells that a search found, each of the results of two cells before."""

from __future__ import annotations

from typing import Any, NamedTuple

from hornbeam.applications.blocks import channel_axis, channels, half_padding
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Cropping2D,
    GlobalAveragePooling2D,
    MaxPooling2D,
    SeparableConv2D,
    ZeroPadding2D,
    add,
    concatenate,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]


class _Network(NamedTuple):
    """Channels before the top, normal cells of a stage, filters of the first convolution, side of
    the images, and whether a stage sees the last cell but one of the stage before."""

    channels: int
    cells: int
    stem: int
    size: int
    skips: bool


_NETWORKS = {
    "NASNetMobile": _Network(1056, 4, 32, 224, False),
    "NASNetLarge": _Network(4032, 6, 96, 331, True),
}


def nasnet(
    title: str,
    input_shape: Shape | None = None,
    include_top: bool = True,
    weights: FilePath | None = "imagenet",
    input_tensor: Tensor = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    """NASNet (Zoph et al. 2018): cells that a search found."""
    row = _NETWORKS[title]
    kind = title.removeprefix("NASNet").lower()
    published = Weights(
        title, f"nasnet/NASNet-{kind}{{top}}.h5", "-no-top", keras_name=f"nasnet_{kind}{{top}}.h5"
    )
    network = Network(title, locals(), size=row.size, smallest=32, weights=published)
    filters = row.channels // 24
    x = _conv(
        network.image,
        row.stem,
        3,
        strides=2,
        padding="valid",
        name="stem_conv1",
        kernel_initializer="he_normal",
    )
    x, before = _norm(x, "stem_bn1"), None
    for number, divisor in ((1, 4), (2, 2)):
        x, before = _reduction_cell(x, before, filters // divisor, f"stem_{number}"), x
    for stage in range(3):
        width = filters * 2**stage
        if stage:
            reduced = _reduction_cell(x, before, width, f"reduce_{stage * row.cells}")
            x, before = reduced, before if row.skips else x
        for number in range(row.cells):
            cell = stage * row.cells + number + (stage > 0)
            x, before = _normal_cell(x, before, width, str(cell)), x
    x = Activation("relu")(x)
    if not network.include_top:
        return network.model(network.pooled(x, named=False))
    return network.model(network.predictions(GlobalAveragePooling2D()(x)))


def _conv(x: Tensor, filters: int, size: int, **options: Any) -> Tensor:
    return Conv2D(filters, size, use_bias=False, **{"padding": "same", **options})(x)


def _norm(x: Tensor, name: str) -> Tensor:
    layer = BatchNormalization(axis=channel_axis(-1), momentum=0.9997, epsilon=1e-3, name=name)
    return layer(x)


def _separable(x: Tensor, filters: int, size: int, name: str, strides: int = 1) -> Tensor:
    """Return two separable convolutions of the activated `x`."""
    x = Activation("relu")(x)
    padding = "same"
    if strides == 2:
        x = ZeroPadding2D(half_padding(x, size), name=f"separable_conv_1_pad_{name}")(x)
        padding = "valid"
    for number in (1, 2):
        if number == 2:
            x, strides, padding = Activation("relu")(x), 1, "same"
        x = SeparableConv2D(
            filters,
            size,
            strides=strides,
            padding=padding,
            use_bias=False,
            name=f"separable_conv_{number}_{name}",
        )(x)
        x = _norm(x, f"separable_conv_{number}_bn_{name}")
    return x


def _fitted(before: Tensor | None, x: Tensor, filters: int, name: str) -> Tensor:
    """Return the result of the last cell but one, with the sides of `x` and `filters` channels."""
    if before is None:
        return x
    side = 2 if channel_axis() == 1 else 1
    if before.shape[side] != x.shape[side]:
        before = Activation("relu", name=f"adjust_relu_1_{name}")(before)
        halves = [before, Cropping2D(((1, 0), (1, 0)))(ZeroPadding2D(((0, 1), (0, 1)))(before))]
        parts = []
        for number, half in enumerate(halves, 1):
            half = AveragePooling2D(
                1, strides=2, padding="valid", name=f"adjust_avg_pool_{number}_{name}"
            )(half)
            parts.append(
                _conv(
                    half,
                    filters // 2,
                    1,
                    name=f"adjust_conv_{number}_{name}",
                    kernel_initializer="he_normal",
                )
            )
        return _norm(concatenate(parts, axis=channel_axis(-1)), f"adjust_bn_{name}")
    if channels(before) != filters:
        before = Activation("relu")(before)
        before = _conv(
            before,
            filters,
            1,
            name=f"adjust_conv_projection_{name}",
            kernel_initializer="he_normal",
        )
        return _norm(before, f"adjust_bn_{name}")
    return before


def _normal_cell(x: Tensor, before: Tensor | None, filters: int, name: str) -> Tensor:
    """Return a cell that keeps height and width."""
    p = _fitted(before, x, filters, name)
    h = Activation("relu")(x)
    h = _conv(h, filters, 1, name=f"normal_conv_1_{name}", kernel_initializer="he_normal")
    h = _norm(h, f"normal_bn_1_{name}")

    def average(y: Tensor, place: str) -> Tensor:
        return AveragePooling2D(3, strides=1, padding="same", name=f"normal_{place}_{name}")(y)

    def joined(a: Tensor, b: Tensor, number: int) -> Tensor:
        return add([a, b], name=f"normal_add_{number}_{name}")

    parts = [
        joined(
            _separable(h, filters, 5, f"normal_left1_{name}"),
            _separable(p, filters, 3, f"normal_right1_{name}"),
            1,
        ),
        joined(
            _separable(p, filters, 5, f"normal_left2_{name}"),
            _separable(p, filters, 3, f"normal_right2_{name}"),
            2,
        ),
        joined(average(h, "left3"), p, 3),
        joined(average(p, "left4"), average(p, "right4"), 4),
        joined(_separable(h, filters, 3, f"normal_left5_{name}"), h, 5),
    ]
    return concatenate([p, *parts], axis=channel_axis(-1), name=f"normal_concat_{name}")


def _reduction_cell(x: Tensor, before: Tensor | None, filters: int, name: str) -> Tensor:
    """Return a cell that halves height and width."""
    p = _fitted(before, x, filters, name)
    h = Activation("relu")(x)
    h = _conv(h, filters, 1, name=f"reduction_conv_1_{name}", kernel_initializer="he_normal")
    h = _norm(h, f"reduction_bn_1_{name}")
    padded = ZeroPadding2D(half_padding(h, 3), name=f"reduction_pad_1_{name}")(h)

    def pooled(pooling: Any, place: str) -> Tensor:
        layer = pooling(3, strides=2, padding="valid", name=f"reduction_{place}_{name}")
        return layer(padded)

    def halved(y: Tensor, size: int, place: str) -> Tensor:
        return _separable(y, filters, size, f"reduction_{place}_{name}", strides=2)

    first = add([halved(h, 5, "left1"), halved(p, 7, "right1")], name=f"reduction_add_1_{name}")
    second = add(
        [pooled(MaxPooling2D, "left2"), halved(p, 7, "right2")], name=f"reduction_add_2_{name}"
    )
    third = add(
        [pooled(AveragePooling2D, "left3"), halved(p, 5, "right3")], name=f"reduction_add3_{name}"
    )
    fourth = AveragePooling2D(3, strides=1, padding="same", name=f"reduction_left4_{name}")(first)
    fourth = add([second, fourth])
    fifth = _separable(first, filters, 3, f"reduction_left4_{name}")
    fifth = add([fifth, pooled(MaxPooling2D, "right5")], name=f"reduction_add4_{name}")
    return concatenate(
        [second, third, fourth, fifth], axis=channel_axis(-1), name=f"reduction_concat_{name}"
    )


NASNetMobile = variant(nasnet, "NASNetMobile", name="nasnet_mobile")
NASNetLarge = variant(nasnet, "NASNetLarge", name="nasnet_large")
preprocess_input, decode_predictions = for_mode("tf")
