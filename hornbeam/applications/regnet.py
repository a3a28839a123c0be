"""RegNet (Radosavovic et al. 2020): networks whose widths grow linearly; Y also weighs channels."""

from __future__ import annotations

from typing import Any, NamedTuple

from hornbeam.applications.blocks import channels
from hornbeam.applications.imagenet_utils import for_mode
from hornbeam.applications.network import Network, variant
from hornbeam.applications.weights import Weights
from hornbeam.layers import (
    BatchNormalization,
    Conv2D,
    GlobalAveragePooling2D,
    ReLU,
    Rescaling,
)
from hornbeam.models import Model
from hornbeam.typing import FilePath, Shape, Tensor


class _Network(NamedTuple):
    """Numbers of blocks and channels of the stages, and channels of a group."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    group: int
    hashes: tuple[str | None, str | None] = (None, None)


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
