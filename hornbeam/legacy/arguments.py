"""Translation of layer arguments with the names and order of Keras 1 and 2 to Keras 3.

`hornbeam.layers.constructors` passes the arguments of every layer constructor through
`modern_arguments`.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hornbeam import activations, initializers

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer

__all__ = ["join_window", "modern_arguments"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
# Keras 1's order of arguments, the position that distinguishes it from today's, and the type found
# there.
Order = tuple[str, int, type]

# Old word: today's words for it. The first that the constructor has is meant; an old word without
# any has no effect any more.
_WORDS: dict[str, tuple[str, ...]] = {
    "output_dim": ("units",),
    "nb_filter": ("filters",),
    "filter_length": ("kernel_size",),
    "pool_length": ("pool_size",),
    "border_mode": ("padding",),
    "subsample": ("strides",),
    "subsample_length": ("strides",),
    "stride": ("strides",),
    "atrous_rate": ("dilation_rate",),
    "dim_ordering": ("data_format",),
    "bias": ("use_bias",),
    "p": ("rate",),
    "sigma": ("stddev",),
    "alpha": ("negative_slope",),
    "init": (
        "kernel_initializer",
        "embeddings_initializer",
        "alpha_initializer",
        "depthwise_initializer",
    ),
    "length": ("size",),
    "inner_init": ("recurrent_initializer",),
    "forget_bias_init": ("unit_forget_bias",),
    "beta_init": ("beta_initializer",),
    "gamma_init": ("gamma_initializer",),
    "inner_activation": ("recurrent_activation",),
    "W_regularizer": ("kernel_regularizer", "embeddings_regularizer"),
    "U_regularizer": ("recurrent_regularizer",),
    "b_regularizer": ("bias_regularizer",),
    "W_constraint": ("kernel_constraint", "embeddings_constraint"),
    "U_constraint": ("recurrent_constraint",),
    "b_constraint": ("bias_constraint",),
    "dropout_W": ("dropout",),
    "dropout_U": ("recurrent_dropout",),
    "implementation": (),
    "consume_less": (),
}
_VALUES: dict[str, dict[str, Any]] = {
    "dim_ordering": {"tf": "channels_last", "th": "channels_first", "default": None},
    "forget_bias_init": {"one": True, "ones": True, "zero": False, "zeros": False},
}
# Words for the size of a window, one word per axis.
_WINDOWS = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))

_PENALTIES = "W_regularizer U_regularizer b_regularizer dropout_W dropout_U"
# Arguments by which a class is recognized, Keras 1's order of its arguments, the position that
# distinguishes this order from today's, and the type at this position: a number's, or `str` for the
# name of an initializer.
_ORDERS: tuple[tuple[set[str], str, int, type], ...] = (
    (
        {"kernel_size", "recurrent_initializer"},
        (
            "filters kernel_size init inner_init forget_bias_init activation inner_activation"
            f" dim_ordering border_mode subsample {_PENALTIES}"
        ),
        2,
        str,
    ),
    ({"kernel_size"}, "filters kernel_size init activation weights border_mode subsample", 2, str),
    (
        {"unit_forget_bias"},
        f"units init inner_init forget_bias_init activation inner_activation {_PENALTIES}",
        1,
        str,
    ),
    ({"reset_after"}, f"units init inner_init activation inner_activation {_PENALTIES}", 1, str),
    ({"recurrent_initializer"}, f"units init inner_init activation {_PENALTIES}", 1, str),
    (
        {"units"},
        (
            "units init activation weights W_regularizer b_regularizer activity_regularizer"
            " W_constraint b_constraint bias input_dim"
        ),
        1,
        str,
    ),
    (
        {"embeddings_initializer"},
        (
            "input_dim output_dim init input_length W_regularizer activity_regularizer W_constraint"
            " mask_zero weights dropout"
        ),
        3,
        int,
    ),
    (
        {"momentum"},
        (
            "epsilon mode axis momentum weights beta_init gamma_init gamma_regularizer"
            " beta_regularizer"
        ),
        0,
        float,
    ),
)


def modern_arguments(
    layer: Layer, init: Callable[..., None], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Arguments:
    """Return the arguments of a layer's constructor in the words and the order of Keras 3.

    A word that the constructor has itself keeps its own meaning.

    Args:
        layer: The layer that is being made.
        init: Its constructor.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.

    Raises:
        TypeError: If an argument is given by its old and by its new word, or if there are more
            positional arguments than Keras 1 had.
        ValueError: If an argument of Keras 1 has no counterpart.

    Example:
        >>> from hornbeam.layers import Dense
        >>> modern_arguments(None, Dense.__init__, (), {"output_dim": 3, "bias": False})
        ((), {'units': 3, 'use_bias': False})
    """
    names, known, order = _words_of(init)
    if "kernel_size" in names:
        args, kwargs = _named_window(layer, args, kwargs, known)
    if order is not None and len(args) > order[1] and _is_old(args[order[1]], order[2]):
        args, kwargs = (), {**_by_name(layer, args, order[0]), **kwargs}
    for old in [name for name in kwargs if name in known]:
        value, new = kwargs.pop(old), known[old]
        value = _VALUES[old].get(value, value) if old in _VALUES else value
        if new is not None and new in kwargs:
            raise TypeError(
                f"{type(layer).__name__}: `{old}` is the older word for `{new}`, received both."
                f" Pass only `{new}`."
            )
        if new is not None:
            kwargs[new] = value
    for word, (of, check) in _DROPPED.items():
        if word in kwargs and of in names and word not in names:
            check(type(layer).__name__, kwargs.pop(word))
    return args, kwargs


@functools.cache
def _words_of(
    init: Callable[..., None],
) -> tuple[frozenset[str], dict[str, str | None], Order | None]:
    """Return a constructor's arguments, today's names by older names, and Keras 1's order."""
    names = inspect.signature(init).parameters
    known = {
        old: next((new for new in words if new in names), None)
        for old, words in _WORDS.items()
        if old not in names and (not words or any(new in names for new in words))
    }
    order = next((row[1:] for row in _ORDERS if row[0] <= set(names)), None)
    return frozenset(names), known, order


# --- order ----------------------------------------------------------------------------------------


def _is_old(value: Any, kind: type) -> bool:
    """Return whether `value` is Keras 1's argument in the place of Keras 3's.

    In Keras 3, that argument is an activation, strides or an axis.
    """

    def known(family: Any) -> bool:
        try:
            family.get(value)
        except ValueError:
            return False
        return True

    if kind is str:
        return (
            isinstance(value, (str, initializers.Initializer))
            and known(initializers)
            and not known(activations)
        )
    return isinstance(value, kind) and not isinstance(value, bool)


def _by_name(layer: Any, args: tuple[Any, ...], order: str) -> dict[str, Any]:
    """Return positional arguments by name in Keras 1's order.

    Omits `None`, which meant the default.
    """
    names = order.split()
    if len(args) > len(names):
        raise TypeError(
            f"{type(layer).__name__}: expected at most {len(names)} positional arguments in the"
            f" order of Keras 1, received {len(args)}. Pass the last ones by name."
        )
    return {name: value for name, value in zip(names, args, strict=False) if value is not None}


# --- windows --------------------------------------------------------------------------------------


def join_window(args: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """Return a convolution's arguments with the kernel size as one tuple.

    Keras 1 had one number per axis.

    Args:
        args: Positional arguments, the number of filters first.
        rank: Number of spatial axes.

    Example:
        >>> join_window((32, 3, 5, "relu"), 2), join_window((32, (3, 5), 2), 2)
        ((32, (3, 5), 'relu'), (32, (3, 5), 2))
    """
    window = args[1 : 1 + rank]
    if rank > 1 and len(window) == rank and all(isinstance(n, int) for n in window):
        return (args[0], tuple(window), *args[1 + rank :])
    return args


def _named_window(
    layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], known: dict[str, str | None]
) -> Arguments:
    """Return a convolution's arguments with older names of the kernel size as `kernel_size`."""
    for words in _WINDOWS:
        if words[0] in kwargs:
            kwargs = {**kwargs, "kernel_size": tuple(kwargs[word] for word in words)}
            for word in words:
                del kwargs[word]
    # `Conv2D(8, 3, 2)` sets strides in Keras 3. With a word that only Keras 1 had, it sets the
    # window.
    if any(word in kwargs for word in known):
        args = join_window(args, getattr(layer, "_rank", 1))
    return args, kwargs


# --- arguments without effect ---------------------------------------------------------------------


def _check_mode(layer: str, mode: Any) -> None:
    if mode == 1:
        raise ValueError(
            f"{layer}: `mode=1` of Keras 1, which normalized every sample by itself, is not"
            " supported. Use `LayerNormalization` instead."
        )
    if mode != 0:
        warnings.warn(
            f"{layer}: `mode={mode}` of Keras 1 is ignored: outside of training the moving mean and"
            " variance are used. Call the layer with `training=True` to use the batch's always.",
            stacklevel=4,
        )


def _check_dropout(layer: str, dropout: Any) -> None:
    if dropout:
        warnings.warn(
            f"{layer}: `dropout={dropout}` of Keras 1 is ignored. Add `SpatialDropout1D({dropout})`"
            " after the layer.",
            stacklevel=4,
        )


# Old word: an argument by which the classes that had it are recognized, and a check of its value.
_DROPPED: dict[str, tuple[str, Callable[[str, Any], None]]] = {
    "mode": ("momentum", _check_mode),
    "dropout": ("embeddings_initializer", _check_dropout),
    "output_shape": ("output_padding", lambda layer, shape: None),
}
