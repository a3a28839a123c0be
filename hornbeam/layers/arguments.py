"""What the constructors of layers share: arguments checked and kept, weights made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from hornbeam import activations, constraints, initializers, regularizers

if TYPE_CHECKING:
    from hornbeam.core.variable import Variable
    from hornbeam.layers.layer import Layer

__all__ = ["add_named_weight", "keep", "choice", "positive_integer", "sizes", "variant"]

_Class = TypeVar("_Class", bound=type)

# The last word of an argument's name: the module that looks its value up.
_FAMILIES: dict[str, Any] = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}
# What the base class keeps, or Python adds.
_OF_BASE = {"self", "__class__", "args", "kwargs", "activity_regularizer"}


def keep(layer: Layer, arguments: dict[str, Any]) -> None:
    """Set a constructor's arguments as attributes of the same names; names of functions are looked up.

    Args:
        layer: The layer under construction; its base class's constructor has run.
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
    layer: Layer, name: str, shape: Any, family: str | None = None, initializer: Any = None, **options: Any
) -> Variable:
    """Add a weight whose initializer, regularizer and constraint are the layer's attributes of its name.

    Args:
        layer: The layer.
        name: Name of the weight.
        shape: Its shape.
        family: What the attributes' names begin with. Default: `name`.
        initializer: Takes the place of the layer's.
        **options: Arguments of `Layer.add_weight`.
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
    """Return `value` if it is a positive integer; else raise, naming the argument."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"{layer}: `{name}` must be a positive integer, received {value!r}.")
    return int(value)


def sizes(layer: str, name: str, value: Any, rank: int) -> tuple[int, ...]:
    """Return `value` as a tuple of `rank` positive integers; one integer stands for all."""
    items = tuple(value) if hasattr(value, "__iter__") else (value,) * rank
    if len(items) != rank:
        raise ValueError(f"{layer}: `{name}` must be an integer or {rank} integers, received {value!r}.")
    return tuple(positive_integer(layer, name, n) for n in items)


def choice(layer: str, name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return `value` in lower case if it is one of `allowed`; else raise, naming the argument."""
    word = str(value).lower()
    if word not in allowed:
        raise ValueError(f"{layer}: `{name}` must be one of {allowed}, received {value!r}.")
    return word


def variant(rank: int, call: str, shape: tuple[int, ...], result: tuple[int, ...]) -> Callable[[_Class], _Class]:
    """Return a decorator for the class of one rank in a family: sets `_rank`, and completes the docstring.

    The base class's docstring without its first sentence, and an example, are added to the class's own.

    Args:
        rank: Number of spatial axes.
        call: How the example makes the layer: what stands between the parentheses.
        shape: Shape of the example's input.
        result: Shape of its output.
    """

    def complete(cls: _Class) -> _Class:
        base = (cls.__mro__[1].__doc__ or "").partition("\n\n")[2].strip()
        cls._rank = rank  # type: ignore[attr-defined]
        cls.__doc__ = f"""{cls.__doc__}

    {base}

    Example:
        >>> {cls.__name__}({call})(jnp.ones({shape})).shape
        {result}
    """
        return cls

    return complete
