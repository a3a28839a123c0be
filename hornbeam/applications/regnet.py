"""RegNet (Radosavovic et al. 2020) of Keras 2: widths that grow linearly; Y weighs channels too."""

from __future__ import annotations

from typing import Any, NamedTuple

from hornbeam import ops
from hornbeam.applications.blocks import channel_axis
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.backend import get_uid
from hornbeam.layers import (
    BatchNormalization,
    Conv2D,
    GlobalAveragePooling2D,
    ReLU,
    Rescaling,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor

__all__ = [
    "RegNetX002", "RegNetX004", "RegNetX006", "RegNetX008", "RegNetX016", "RegNetX032",
    "RegNetX040", "RegNetX064", "RegNetX080", "RegNetX120", "RegNetX160", "RegNetX320",
    "RegNetY002", "RegNetY004", "RegNetY006", "RegNetY008", "RegNetY016", "RegNetY032",
    "RegNetY040", "RegNetY064", "RegNetY080", "RegNetY120", "RegNetY160", "RegNetY320",
    "decode_predictions", "preprocess_input",
]  # fmt: skip


class _Network(NamedTuple):
    """Numbers of blocks and channels of the stages, and channels of a group."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    group: int


_NETWORKS = {
    "RegNetX002": _Network((1, 1, 4, 7), (24, 56, 152, 368), 8),
    "RegNetX004": _Network((1, 2, 7, 12), (32, 64, 160, 384), 16),
    "RegNetX006": _Network((1, 3, 5, 7), (48, 96, 240, 528), 24),
    "RegNetX008": _Network((1, 3, 7, 5), (64, 128, 288, 672), 16),
    "RegNetX016": _Network((2, 4, 10, 2), (72, 168, 408, 912), 24),
    "RegNetX032": _Network((2, 6, 15, 2), (96, 192, 432, 1008), 48),
    "RegNetX040": _Network((2, 5, 14, 2), (80, 240, 560, 1360), 40),
    "RegNetX064": _Network((2, 4, 10, 1), (168, 392, 784, 1624), 56),
    "RegNetX080": _Network((2, 5, 15, 1), (80, 240, 720, 1920), 120),
    "RegNetX120": _Network((2, 5, 11, 1), (224, 448, 896, 2240), 112),
    "RegNetX160": _Network((2, 6, 13, 1), (256, 512, 896, 2048), 128),
    "RegNetX320": _Network((2, 7, 13, 1), (336, 672, 1344, 2520), 168),
    "RegNetY002": _Network((1, 1, 4, 7), (24, 56, 152, 368), 8),
    "RegNetY004": _Network((1, 3, 6, 6), (48, 104, 208, 440), 8),
    "RegNetY006": _Network((1, 3, 7, 4), (48, 112, 256, 608), 16),
    "RegNetY008": _Network((1, 3, 8, 2), (64, 128, 320, 768), 16),
    "RegNetY016": _Network((2, 6, 17, 2), (48, 120, 336, 888), 24),
    "RegNetY032": _Network((2, 5, 13, 1), (72, 216, 576, 1512), 24),
    "RegNetY040": _Network((2, 6, 12, 2), (128, 192, 512, 1088), 64),
    "RegNetY064": _Network((2, 7, 14, 2), (144, 288, 576, 1296), 72),
    "RegNetY080": _Network((2, 4, 10, 1), (168, 448, 896, 2016), 56),
    "RegNetY120": _Network((2, 5, 11, 1), (224, 448, 896, 2240), 112),
    "RegNetY160": _Network((2, 4, 11, 1), (224, 448, 1232, 3024), 112),
    "RegNetY320": _Network((2, 5, 12, 1), (232, 696, 1392, 3712), 232),
}


def regnet(
    title: str,
    model_name: str | None = None,
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: FilePath | None = "imagenet",
    input_tensor: Tensor = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
) -> Model:
    """RegNet (Radosavovic et al. 2020) of Keras 2: widths that grow linearly."""
    row = _NETWORKS[title]
    published = Weights(title, f"regnet/{title.lower()}{{top}}.h5")
    arguments = {**locals(), "name": model_name}
    network = Network(title, arguments, size=224, smallest=32, weights=published)
    x = network.image
    if include_preprocessing:
        x = Rescaling(1 / 255, name=f"{model_name}_prestem_rescaling")(x)
    x = _conv(x, 32, 3, f"{model_name}_stem_conv", f"{model_name}_stem_bn", strides=2)
    x = ReLU(name=f"{model_name}_stem_relu")(x)
    width, kind = 32, title[6]
    for stage, (depth, filters) in enumerate(zip(row.depths, row.widths, strict=True)):
        for block in range(depth):
            squeezed = int(0.25 * width) if kind == "Y" else 0
            name = f"{model_name}_Stage_{stage}_{kind}Block_{block}"
            x = _block(x, filters, row.group, squeezed, block == 0, name)
            width = filters
    if not network.include_top:
        return network.model(network.pooled(x, named=False))
    head = get_uid("head")
    x = GlobalAveragePooling2D(name=f"{head}_head_gap")(x)
    return network.model(network.predictions(x, name=f"{head}head_dense"))


def _conv(
    x: Tensor, filters: int, size: int, name: str, norm: str | None = None, **options: Any
) -> Tensor:
    """Return a normalized convolution."""
    options = {"padding": "same" if size > 1 else "valid", **options}
    x = Conv2D(filters, size, use_bias=False, kernel_initializer="he_normal", name=name, **options)(
        x
    )
    norm = norm or f"{name}_bn"
    return BatchNormalization(axis=channel_axis(), momentum=0.9, epsilon=1e-5, name=norm)(x)


def _block(x: Tensor, filters: int, group: int, squeezed: int, first: bool, name: str) -> Tensor:
    """Return `x` plus a convolution in groups between two of single pixels.

    The first block of a stage halves height and width. `squeezed` is the number of features from
    which the channels' weights are computed, 0 for no weights.
    """
    strides = 2 if first else 1
    skip = x
    if first:
        skip = _conv(x, filters, 1, f"{name}_skip_1x1", f"{name}_skip_bn", strides=strides)
    x = ReLU(name=f"{name}_conv_1x1_1_relu")(_conv(x, filters, 1, f"{name}_conv_1x1_1"))
    x = _conv(x, filters, 3, f"{name}_conv_3x3", strides=strides, groups=max(1, filters // group))
    x = ReLU(name=f"{name}_conv_3x3_relu")(x)
    if squeezed:
        x = _weighed(x, filters, squeezed, f"{name}_squeeze_and_excite")
    x = ops.add(_conv(x, filters, 1, f"{name}_conv_1x1_2"), skip)
    return ReLU(name=f"{name}_exit_relu")(x)


def _weighed(x: Tensor, filters: int, squeezed: int, name: str) -> Tensor:
    """Return `x` with each channel weighed by what the whole image shows (Hu et al. 2018)."""
    new = GlobalAveragePooling2D(keepdims=True, name=f"{name}_gap")(x)
    for number, activation, step in ((squeezed, "relu", "squeeze"), (filters, "sigmoid", "excite")):
        new = Conv2D(
            number,
            1,
            activation=activation,
            kernel_initializer="he_normal",
            name=f"{name}_{step}",
        )(new)
    return ops.multiply(new, x)


RegNetX002 = variant(regnet, "RegNetX002", model_name="regnetx002")
RegNetX004 = variant(regnet, "RegNetX004", model_name="regnetx004")
RegNetX006 = variant(regnet, "RegNetX006", model_name="regnetx006")
RegNetX008 = variant(regnet, "RegNetX008", model_name="regnetx008")
RegNetX016 = variant(regnet, "RegNetX016", model_name="regnetx016")
RegNetX032 = variant(regnet, "RegNetX032", model_name="regnetx032")
RegNetX040 = variant(regnet, "RegNetX040", model_name="regnetx040")
RegNetX064 = variant(regnet, "RegNetX064", model_name="regnetx064")
RegNetX080 = variant(regnet, "RegNetX080", model_name="regnetx080")
RegNetX120 = variant(regnet, "RegNetX120", model_name="regnetx120")
RegNetX160 = variant(regnet, "RegNetX160", model_name="regnetx160")
RegNetX320 = variant(regnet, "RegNetX320", model_name="regnetx320")
RegNetY002 = variant(regnet, "RegNetY002", model_name="regnety002")
RegNetY004 = variant(regnet, "RegNetY004", model_name="regnety004")
RegNetY006 = variant(regnet, "RegNetY006", model_name="regnety006")
RegNetY008 = variant(regnet, "RegNetY008", model_name="regnety008")
RegNetY016 = variant(regnet, "RegNetY016", model_name="regnety016")
RegNetY032 = variant(regnet, "RegNetY032", model_name="regnety032")
RegNetY040 = variant(regnet, "RegNetY040", model_name="regnety040")
RegNetY064 = variant(regnet, "RegNetY064", model_name="regnety064")
RegNetY080 = variant(regnet, "RegNetY080", model_name="regnety080")
RegNetY120 = variant(regnet, "RegNetY120", model_name="regnety120")
RegNetY160 = variant(regnet, "RegNetY160", model_name="regnety160")
RegNetY320 = variant(regnet, "RegNetY320", model_name="regnety320")
preprocess_input, decode_predictions = for_mode(None)
