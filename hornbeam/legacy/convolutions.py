"""Convolutions by their Keras 1 names, which take the kernel size as one argument per axis."""

from __future__ import annotations

import inspect
from typing import Any

from hornbeam import settings
from hornbeam.layers.conv import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    SeparableConv1D,
    SeparableConv2D,
)
from hornbeam.legacy.arguments import join_window

__all__ = [
    "AtrousConvolution1D", "AtrousConvolution2D", "Convolution1D", "Convolution2D", "Convolution3D",
    "Deconvolution2D", "Deconvolution3D", "SeparableConvolution1D", "SeparableConvolution2D",
]  # fmt: skip


class _OldName(type):
    """Metaclass of old names. Calling such a class makes an instance of the current class.

    Subclasses of an old name are ordinary classes.
    """

    _today: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if "_today" in cls.__dict__:
            args, kwargs = _modern_arguments(cls._today, args, kwargs)
            return cls._today(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, x: Any) -> bool:
        return (
            isinstance(x, cls._today) if "_today" in cls.__dict__ else super().__instancecheck__(x)
        )


def _modern_arguments(
    cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Convert arguments of Keras 1 to the order and the names of the current class `cls`."""
    args = join_window(args, cls._rank)
    if issubclass(cls, (Conv2DTranspose, Conv3DTranspose)):
        kwargs = dict(kwargs)
        shape = kwargs.pop("output_shape", None)
        is_third = len(args) > 2 and isinstance(args[2], (list, tuple))
        if is_third and len(args[2]) == cls._rank + 2:
            args, shape = (*args[:2], *args[3:]), args[2]
        padding = None if shape is None else _output_padding(cls._rank, shape, args, kwargs)
        if padding is not None:
            kwargs.setdefault("output_padding", padding)
    return args, kwargs


def _output_padding(
    rank: int, shape: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[int, ...] | None:
    """Return the output padding with which a transposed convolution has the shape `output_shape`.

    With strides above 1, several sizes are possible; Keras 1 took the one of `output_shape`.
    """

    def given(names: str, default: Any) -> Any:
        return next((kwargs[name] for name in names.split() if name in kwargs), default)

    strides = given("subsample strides", args[6] if len(args) > 6 else 1)
    strides = (strides,) * rank if isinstance(strides, int) else tuple(strides)
    kernel = given("kernel_size", args[1] if len(args) > 1 else 1)
    kernel = (kernel,) * rank if isinstance(kernel, int) else tuple(kernel)
    layout = given("dim_ordering data_format", None)
    channels_last = (
        settings.image_data_format() == "channels_last"
        if layout is None
        else (layout in ("tf", "channels_last"))
    )
    sizes = shape[1:-1] if channels_last else shape[2:]
    if max(strides) == 1 or None in sizes:
        return None
    is_same = given("border_mode padding", args[5] if len(args) > 5 else "valid") == "same"
    return tuple(
        (size - k + (2 * (k // 2) if is_same else 0)) % stride
        for size, k, stride in zip(sizes, kernel, strides, strict=True)
    )


def _old_name(name: str, today: Any) -> Any:
    """Return the class of an old name.

    Args:
        name: The name in Keras 1.
        today: The current class.
    """

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        args, kwargs = _modern_arguments(today, args, kwargs)
        today.__init__(self, *args, **kwargs)

    rank = today._rank
    doc = f"""`{today.__name__}` by its name in Keras 1.

    Takes the number of filters, then the kernel size as one argument per axis. The other arguments
    of `{today.__name__}` go by their names in Keras 1 or 3.

    Input: (B, *sizes, C). Output: (B, *new sizes, filters). As in Keras 1.

    Raises:
        ValueError: As for `{today.__name__}`.

    Example:
        >>> import hornbeam as hb
        >>> x = hb.ops.ones({(2, *(16,) * rank, 3)})
        >>> hb.layers.{name}(8, {", ".join("3" * rank)})(x).shape
        {(2, *(18 if "Deconv" in name else 14,) * rank, 8)}
    """
    return _OldName(
        name,
        (today,),
        {
            "__init__": __init__,
            "__doc__": doc,
            "__module__": __name__,
            "_today": today,
            "__signature__": inspect.signature(today),
        },
    )


AtrousConvolution1D, Convolution1D = (
    _old_name(name, Conv1D) for name in ("AtrousConvolution1D", "Convolution1D")
)
AtrousConvolution2D, Convolution2D = (
    _old_name(name, Conv2D) for name in ("AtrousConvolution2D", "Convolution2D")
)
Convolution3D = _old_name("Convolution3D", Conv3D)
Deconvolution2D = _old_name("Deconvolution2D", Conv2DTranspose)
Deconvolution3D = _old_name("Deconvolution3D", Conv3DTranspose)
SeparableConvolution1D = _old_name("SeparableConvolution1D", SeparableConv1D)
SeparableConvolution2D = _old_name("SeparableConvolution2D", SeparableConv2D)
