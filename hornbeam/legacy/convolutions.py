"""Convolutions by their Keras 1 names, which take the kernel size as one argument per axis."""

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
    """Metaclass of old names. Calling such a class makes an instance of the current class.

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
    """Convert positional arguments of Keras 1 to the order of the current class `cls`."""
    args = join_window(args, cls._rank)
    transposed = issubclass(cls, (Conv2DTranspose, Conv3DTranspose))
    if (
        transposed
        and len(args) > 2
        and isinstance(args[2], (list, tuple))
        and len(args[2]) == cls._rank + 2
    ):
        args = (*args[:2], *args[3:])  # drops `output_shape`, which is now computed
    return args


def _old_name(name: str, today: Any) -> Any:
    """Return the class of an old name.

    Args:
        name: The name in Keras 1.
        today: The current class.
    """

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        today.__init__(self, *_modern_order(today, args), **kwargs)

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
