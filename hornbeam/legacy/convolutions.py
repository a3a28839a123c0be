"""Convolutions by their names in Keras 1, which took the kernel size as one number per axis."""

from __future__ import annotations

from typing import Any

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
    """Metaclass of old names. Calling a class makes a layer of today's class, its instance.

    Subclasses of an old name are ordinary classes.
    """

    _today: Any

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if "_today" in cls.__dict__:
            return cls._today(*_modern_order(cls._today, args), **kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, x: Any) -> bool:
        return (
            isinstance(x, cls._today) if "_today" in cls.__dict__ else super().__instancecheck__(x)
        )


def _modern_order(cls: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return positional arguments of Keras 1 as today's class `cls` takes them."""
    args = join_window(args, cls._rank)
    transposed = issubclass(cls, (Conv2DTranspose, Conv3DTranspose))
    if (
        transposed
        and len(args) > 2
        and isinstance(args[2], (list, tuple))
        and len(args[2]) == cls._rank + 2
    ):
        args = (*args[:2], *args[3:])  # without the output's shape, which is computed now
    return args


def _old_name(name: str, today: Any) -> Any:
    """Return the class of an old name.

    Args:
        name: The name in Keras 1.
        today: The class that does the same today.
    """

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        today.__init__(self, *_modern_order(today, args), **kwargs)

    doc = f"""`{today.__name__}` by its name in Keras 1.

    Takes the number of filters, then the kernel size as one number per axis.

    Example:
        >>> {name}(8, {", ".join("3" * today._rank)}).kernel_size
        {(3,) * today._rank}
    """
    return _OldName(
        name,
        (today,),
        {"__init__": __init__, "__doc__": doc, "__module__": __name__, "_today": today},
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
