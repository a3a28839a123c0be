"""Helpers for the constructors of layers: check and keep arguments, and create weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from hornbeam import activations, constraints, initializers, regularizers
from hornbeam.typing import Identifier, Shape

if TYPE_CHECKING:
    from hornbeam.core.variable import Variable
    from hornbeam.layers.layer import Layer

__all__ = ["add_named_weight", "keep", "choice", "positive_integer", "sizes", "variant"]

_Class = TypeVar("_Class", bound=type)

# Maps the last word of an argument's name to the module that looks up its value.
_FAMILIES: dict[str, Any] = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}
# Names that the base class keeps or Python adds.
_OF_BASE = {"self", "__class__", "args", "kwargs", "activity_regularizer"}


def keep(layer: Layer, arguments: dict[str, Any]) -> None:
    """Set a constructor's arguments as attributes of the same names.

    Looks up arguments whose names end in `activation`, `initializer`, `regularizer` or
    `constraint`, so a name such as `"relu"` becomes the function.

    Args:
        layer: The layer under construction, after the constructor of its base class.
        arguments: The constructor's `locals()`.

    Example:
        >>> from hornbeam.layers import Layer
        >>> class Power(Layer):
        ...     def __init__(self, exponent, kernel_initializer="ones", **kwargs):
        ...         super().__init__(**kwargs)
        ...         keep(self, locals())
        >>> layer = Power(2)
        >>> layer.exponent, type(layer.kernel_initializer).__name__
        (2, 'Ones')
    """
    for name, value in arguments.items():
        if name not in _OF_BASE:
            family = _FAMILIES.get(name.rsplit("_", 1)[-1])
            setattr(layer, name, family.get(value) if family else value)


def add_named_weight(
    layer: Layer,
    name: str,
    shape: Shape,
    family: str | None = None,
    initializer: Identifier = None,
    **options: Any,
) -> Variable:
    """Add a weight with the initializer, regularizer and constraint that its name selects.

    For `name="kernel"`, they are `layer.kernel_initializer`, `layer.kernel_regularizer` and
    `layer.kernel_constraint`.

    Args:
        layer: The layer.
        name: Name of the weight.
        shape: Its shape.
        family: First part of the attributes' names. Default: `name`.
        initializer: Replaces the layer's initializer. Default: `None`.
        **options: Further arguments of `Layer.add_weight`.
    """
    family = family or name
    return layer.add_weight(
        name=name,
        shape=shape,
        initializer=initializer or getattr(layer, f"{family}_initializer"),
        regularizer=getattr(layer, f"{family}_regularizer", None),
        constraint=getattr(layer, f"{family}_constraint", None),
        **options,
    )


def positive_integer(layer: str, name: str, value: Any) -> int:
    """Return `value` if it is a positive integer; otherwise raise `ValueError`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"{layer}: `{name}` must be a positive integer, received {value!r}.")
    return int(value)


def sizes(layer: str, name: str, value: Any, rank: int) -> tuple[int, ...]:
    """Return `value` as a tuple of `rank` positive integers; one integer applies to all axes.

    Args:
        layer, name: Class of the layer and name of the argument, for the message.
        value: The value that the user passed.
        rank: Number of spatial axes.

    Raises:
        ValueError: If it is neither an integer nor `rank` integers, or one is not positive.
    """
    items = tuple(value) if hasattr(value, "__iter__") else (value,) * rank
    if len(items) != rank:
        raise ValueError(
            f"{layer}: `{name}` must be an integer or {rank} integers, received {value!r}."
        )
    return tuple(positive_integer(layer, name, n) for n in items)


def choice(layer: str, name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return `value` in lower case if it is one of `allowed`; otherwise raise `ValueError`."""
    word = str(value).lower()
    if word not in allowed:
        raise ValueError(f"{layer}: `{name}` must be one of {allowed}, received {value!r}.")
    return word


def variant(
    rank: int, call: str, shape: tuple[int, ...], result: tuple[int, ...]
) -> Callable[[_Class], _Class]:
    """Return a class decorator that sets `_rank` and completes the docstring.

    The docstring becomes the class's summary, the base class's docstring without its summary, and
    an example.

    Args:
        rank: Number of spatial axes.
        call: Arguments of the layer in the example, as code.
        shape: Shape of the example's input.
        result: Shape of the example's output.
    """

    def complete(cls: _Class) -> _Class:
        base = (cls.__mro__[1].__doc__ or "").partition("\n\n")[2].strip()
        word = ("sequences", "images", "volumes")[rank - 1]
        cls._rank = rank  # type: ignore[attr-defined]
        cls.__doc__ = f"""{cls.__doc__}

    {base}

    Example:
        >>> import hornbeam as hb
        >>> {word} = hb.ops.ones({shape})
        >>> hb.layers.{cls.__name__}({call})({word}).shape
        {result}
    """
        return cls

    return complete
