"""Blocks that several families of networks share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from hornbeam.config import image_data_format
from hornbeam.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dropout,
    GlobalAveragePooling2D,
    Normalization,
    Reshape,
    ZeroPadding2D,
    add,
    multiply,
)
from hornbeam.typing import Tensor

__all__ = [
    "add_new", "channel_axis", "channels", "conv_norm", "divisible", "follows_torch",
    "half_padding", "norm", "normalized", "padded", "squeeze_excite", "torch_conventions",
]  # fmt: skip


_torch: ContextVar[bool] = ContextVar("torch_conventions", default=False)


@contextlib.contextmanager
def torch_conventions(follow: bool) -> Iterator[None]:
    """Let networks built inside the block pad and normalize as torchvision's do."""
    token = _torch.set(follow)
    try:
        yield
    finally:
        _torch.reset(token)


def follows_torch() -> bool:
    """Return whether a network is built for weights of torchvision's."""
    return _torch.get()


def padded(x: Tensor, size: int, name: str) -> tuple[Tensor, str]:
    """Return `x` and the padding of a convolution of stride 2 that pads as its library does.

    Args:
        x: Images.
        size: Size of the window.
        name: Name of the layer that pads alike on all sides, for torchvision's weights.
    """
    if not follows_torch():
        return x, "same"
    return ZeroPadding2D(size // 2, name=name)(x), "valid"


def normalized(x: Tensor, deviations: tuple[float, ...] = (0.229, 0.224, 0.225)) -> Tensor:
    """Return pixels from 0 to 255, less ImageNet's mean color, over deviations (from 0 to 1)."""
    means = [255 * mean for mean in (0.485, 0.456, 0.406)]
    variances = [(255 * deviation) ** 2 for deviation in deviations]
    return Normalization(mean=means, variance=variances, axis=channel_axis())(x)


def channel_axis(last: int = 3) -> int:
    """Return the axis of the channels of a batch of images.

    Args:
        last: The number of the last axis. Configurations of some networks say -1.
    """
    return 1 if image_data_format() == "channels_first" else last


def channels(x: Tensor) -> int:
    """Return the number of channels of a batch of images."""
    return int(x.shape[channel_axis()])


def divisible(
    number: float, divisor: int = 8, smallest: int | None = None, least: float = 0.9
) -> int:
    """Round a number of channels to a multiple of `divisor`.

    Args:
        number: The number of channels.
        divisor: The result is a multiple of it.
        smallest: Smallest result. Default: `divisor`.
        least: The result is at least this share of `number`.

    Example:
        >>> divisible(20), divisible(35 * 0.35)
        (24, 16)
    """
    rounded = max(smallest or divisor, int(number + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < least * number else rounded


def half_padding(x: Tensor, size: int) -> tuple[tuple[int, int], ...]:
    """Return the padding before a convolution of stride 2 that pads as TensorFlow does.

    Even sides get one row less at the start.
    """
    axis = channel_axis()
    sides = x.shape[2:] if axis == 1 else x.shape[1:3]
    half = size // 2
    if follows_torch():
        return ((half, half),) * len(sides)
    return tuple((half - (1 if side is None else 1 - side % 2), half) for side in sides)


def norm(
    x: Tensor, name: str | None = None, activation: str | None = None, **options: Any
) -> Tensor:
    """Return the batch-normalized `x`, after an activation if one is named.

    Args:
        x: Images.
        name: Start of the names: `name + "_bn"` and `name + "_relu"`, or `name + "_activation"` for
            another activation. Default: automatic names.
        activation: Name of the activation. Default: `None`.
        **options: Arguments of `BatchNormalization`.
    """
    options = {"axis": channel_axis(), "name": name and f"{name}_bn", **options}
    x = BatchNormalization(**options)(x)
    if activation is None:
        return x
    word = "relu" if activation == "relu" else "activation"
    return Activation(activation, name=name and f"{name}_{word}")(x)


def conv_norm(
    x: Tensor,
    filters: int,
    size: Any,
    name: str | None = None,
    activation: str | None = "relu",
    *,
    normalization: dict[str, Any] | None = None,
    **options: Any,
) -> Tensor:
    """Return a convolution without bias, batch-normalized and activated.

    Args:
        x: Images.
        filters, size: Number of filters, and size of their window.
        name: Start of the names: `name + "_conv"`, and as in `norm`. Default: automatic names.
        activation: Name of the activation; `None` for none.
        normalization: Arguments of `BatchNormalization`.
        **options: Arguments of `Conv2D`.
    """
    options = {"use_bias": False, "name": name and f"{name}_conv", **options}
    x = Conv2D(filters, size, **options)(x)
    return norm(x, name, activation, **(normalization or {}))


def squeeze_excite(
    x: Tensor,
    filters: int,
    name: str,
    initializer: Callable[[], Any],
) -> Tensor:
    """Return `x` with each channel weighed by what the whole image shows (Hu et al. 2018).

    Args:
        x: Images.
        filters: Number of features from which the weights are computed.
        name: Start of the layers' names.
        initializer: Makes the initializer of a kernel.
    """
    count = channels(x)
    shape = (count, 1, 1) if channel_axis() == 1 else (1, 1, count)
    weights = GlobalAveragePooling2D(name=f"{name}_se_squeeze")(x)
    weights = Reshape(shape, name=f"{name}_se_reshape")(weights)
    for number, activation, step in ((filters, "swish", "reduce"), (count, "sigmoid", "expand")):
        weights = Conv2D(
            number,
            1,
            padding="same",
            activation=activation,
            kernel_initializer=initializer(),
            name=f"{name}_se_{step}",
        )(weights)
    return multiply([x, weights], name=f"{name}_se_excite")


def add_new(x: Tensor, new: Tensor, rate: float, name: str) -> Tensor:
    """Return `x + new`, where training drops `new` of some images (Huang et al. 2016).

    Args:
        x: Images.
        new: What a block computed from them.
        rate: Fraction of the images whose `new` is dropped.
        name: Start of the layers' names.
    """
    if rate:
        new = Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(new)
    return add([new, x], name=f"{name}_add")
