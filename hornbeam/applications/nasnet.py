"""NASNet (Zoph et al. 2018): cells that a search found, each of the results of two cells before."""

from __future__ import annotations

from typing import Any, NamedTuple

from hornbeam.applications.blocks import channel_axis, channels, half_padding
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.core.naming import name_scope
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
    network = Network(title, locals(), size=row.size, smallest=32, own_size=True, weights=published)
    filters = row.channels // 24
    x = _conv(
        network.image,
        row.stem,
        3,
        strides=2,
        padding="valid",
        name="stem_conv1",
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
    options = {"padding": "same", "kernel_initializer": "he_normal", **options}
    return Conv2D(filters, size, use_bias=False, **options)(x)


def _norm(x: Tensor, name: str) -> Tensor:
    layer = BatchNormalization(axis=channel_axis(-1), momentum=0.9997, epsilon=1e-3, name=name)
    return layer(x)


def _separable(
    x: Tensor, filters: int, size: int, block: int, name: str, strides: int = 1
) -> Tensor:
    """Return two separable convolutions of the activated `x`."""
    with name_scope(f"block_{block}"), name_scope(f"separable_conv_block_{name}"):
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
        with name_scope("adjust_block"), name_scope(f"adjust_reduction_block_{name}"):
            return _halved(before, filters, name)
    if channels(before) != filters:
        with name_scope("adjust_block"), name_scope(f"adjust_projection_block_{name}"):
            before = Activation("relu")(before)
            before = _conv(before, filters, 1, name=f"adjust_conv_projection_{name}")
            return _norm(before, f"adjust_bn_{name}")
    return before


def _halved(x: Tensor, filters: int, name: str) -> Tensor:
    """Return every second pixel, and every second one beside them, with half of the channels."""
    x = Activation("relu", name=f"adjust_relu_1_{name}")(x)
    parts = []
    for number in (1, 2):
        if number == 2:
            x = Cropping2D(((1, 0), (1, 0)))(ZeroPadding2D(((0, 1), (0, 1)))(x))
        pool = AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_{number}_{name}")
        parts.append(_conv(pool(x), filters // 2, 1, name=f"adjust_conv_{number}_{name}"))
    return _norm(concatenate(parts, axis=channel_axis(-1)), f"adjust_bn_{name}")


def _squeezed(x: Tensor, filters: int, kind: str, name: str) -> Tensor:
    """Return the result of the last cell with `filters` channels."""
    x = Activation("relu")(x)
    return _norm(_conv(x, filters, 1, name=f"{kind}_conv_1_{name}"), f"{kind}_bn_1_{name}")


def _normal_cell(x: Tensor, before: Tensor | None, filters: int, name: str) -> Tensor:
    """Return a cell that keeps height and width."""

    def separable(y: Tensor, size: int, block: int, side: str) -> Tensor:
        return _separable(y, filters, size, block, f"normal_{side}{block}_{name}")

    def average(y: Tensor, place: str) -> Tensor:
        return AveragePooling2D(3, strides=1, padding="same", name=f"normal_{place}_{name}")(y)

    with name_scope(f"normal_A_block_{name}"):
        p = _fitted(before, x, filters, name)
        h = _squeezed(x, filters, "normal", name)
        pairs = [
            (separable(h, 5, 1, "left"), separable(p, 3, 1, "right")),
            (separable(p, 5, 2, "left"), separable(p, 3, 2, "right")),
            (average(h, "left3"), p),
            (average(p, "left4"), average(p, "right4")),
            (separable(h, 3, 5, "left"), h),
        ]
        parts = [add(pair, name=f"normal_add_{n}_{name}") for n, pair in enumerate(pairs, 1)]
        return concatenate([p, *parts], axis=channel_axis(-1), name=f"normal_concat_{name}")


def _reduction_cell(x: Tensor, before: Tensor | None, filters: int, name: str) -> Tensor:
    """Return a cell that halves height and width."""

    def pooled(pooling: Any, place: str) -> Tensor:
        return pooling(3, strides=2, name=f"reduction_{place}_{name}")(padded)

    def separable(y: Tensor, size: int, block: int, place: str, strides: int = 2) -> Tensor:
        return _separable(y, filters, size, block, f"reduction_{place}_{name}", strides)

    def added(a: Tensor, b: Tensor, place: str) -> Tensor:
        return add([a, b], name=f"reduction_{place}_{name}")

    with name_scope(f"reduction_A_block_{name}"):
        p = _fitted(before, x, filters, name)
        h = _squeezed(x, filters, "reduction", name)
        padded = ZeroPadding2D(half_padding(h, 3), name=f"reduction_pad_1_{name}")(h)
        first = added(separable(h, 5, 1, "left1"), separable(p, 7, 1, "right1"), "add_1")
        second = added(pooled(MaxPooling2D, "left2"), separable(p, 7, 2, "right2"), "add_2")
        third = added(pooled(AveragePooling2D, "left3"), separable(p, 5, 3, "right3"), "add3")
        average = AveragePooling2D(3, strides=1, padding="same", name=f"reduction_left4_{name}")
        fourth = add([second, average(first)])
        fifth = separable(first, 3, 5, "left4", strides=1)
        fifth = added(fifth, pooled(MaxPooling2D, "right5"), "add4")
        parts = [second, third, fourth, fifth]
        return concatenate(parts, axis=channel_axis(-1), name=f"reduction_concat_{name}")


NASNetMobile = variant(nasnet, "NASNetMobile", name="nasnet_mobile")
NASNetLarge = variant(nasnet, "NASNetLarge", name="nasnet_large")
preprocess_input, decode_predictions = for_mode("tf")
