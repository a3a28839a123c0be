"""Arguments of Keras 1 and 2, by name and by position, put into today's."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["accept_old_arguments", "join_window"]

# Old word: what it may be called now; the first that a constructor has is meant. Nothing: of no effect any more.
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
    "init": ("kernel_initializer", "embeddings_initializer", "alpha_initializer", "depthwise_initializer"),
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
_VALUES = {
    "dim_ordering": {"tf": "channels_last", "th": "channels_first", "default": None},
    "forget_bias_init": {"one": True, "ones": True, "zero": False, "zeros": False},
}
# Words for a window's size, one an axis.
_WINDOWS = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))

_PENALTIES = "W_regularizer U_regularizer b_regularizer dropout_W dropout_U"
# Keras 1's order of arguments: names that a class with this order has; the order; the position that tells it from
# today's order, and what stands there: the type of a number, or `str` for the name of an initializer.
_ORDERS: tuple[tuple[set[str], str, int, type], ...] = (
    (
        {"kernel_size", "recurrent_initializer"},
        "filters kernel_size init inner_init forget_bias_init activation inner_activation dim_ordering border_mode "
        f"subsample {_PENALTIES}",
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
        "units init activation weights W_regularizer b_regularizer activity_regularizer W_constraint b_constraint "
        "bias input_dim",
        1,
        str,
    ),
    (
        {"embeddings_initializer"},
        "input_dim output_dim init input_length W_regularizer activity_regularizer W_constraint mask_zero weights "
        "dropout",
        3,
        int,
    ),
    (
        {"momentum"},
        "epsilon mode axis momentum weights beta_init gamma_init gamma_regularizer beta_regularizer",
        0,
        float,
    ),
)


def accept_old_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Let a constructor take the arguments of Keras 1 and 2 too: their names, and Keras 1's order.

    A word that the constructor has itself keeps its own meaning.

    Example:
        >>> @accept_old_arguments
        ... def init(self, units, use_bias=True):
        ...     print(units, use_bias)
        >>> init(None, output_dim=3, bias=False)
        3 False
    """
    names = inspect.signature(init).parameters
    known = {
        old: next((new for new in words if new in names), None)
        for old, words in _WORDS.items()
        if old not in names and (not words or any(new in names for new in words))
    }
    order = next((row[1:] for row in _ORDERS if row[0] <= set(names)), None)

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        if "kernel_size" in names:
            args, kwargs = _named_window(self, args, kwargs, known)
        if order is not None and len(args) > order[1] and _is_old(args[order[1]], order[2]):
            args, kwargs = (), {**_by_name(self, args, order[0]), **kwargs}
        for old in [name for name in kwargs if name in known]:
            value, new = kwargs.pop(old), known[old]
            value = _VALUES[old].get(value, value) if old in _VALUES else value
            if new is not None and new in kwargs:
                raise TypeError(f"`{old}` is an older word for `{new}`; pass one of them.")
            if new is not None:
                kwargs[new] = value
        for word, (of, check) in _DROPPED.items():
            if word in kwargs and of in names and word not in names:
                check(type(self).__name__, kwargs.pop(word))
        init(self, *args, **kwargs)

    return wrapped


# --- order ---------------------------------------------------------------------------------------------


def _is_old(value: Any, kind: type) -> bool:
    """Tell whether `value` is what Keras 1 had at a place where today an activation, strides or an axis stands."""
    from hornbeam import activations, initializers

    def known(family: Any) -> bool:
        try:
            family.get(value)
        except ValueError:
            return False
        return True

    if kind is str:
        return isinstance(value, (str, initializers.Initializer)) and known(initializers) and not known(activations)
    return isinstance(value, kind) and not isinstance(value, bool)


def _by_name(layer: Any, args: tuple, order: str) -> dict[str, Any]:
    """Return positional arguments by the names in Keras 1's order; `None` stood for the default."""
    names = order.split()
    if len(args) > len(names):
        raise TypeError(
            f"{type(layer).__name__}: at most {len(names)} arguments in the order of Keras 1 can be told apart, "
            f"received {len(args)}. Pass the last ones by name."
        )
    return {name: value for name, value in zip(names, args, strict=False) if value is not None}


# --- windows -------------------------------------------------------------------------------------------


def join_window(args: tuple, rank: int) -> tuple:
    """Return a convolution's arguments with the window's size as one, where Keras 1 had a number an axis.

    Example:
        >>> join_window((32, 3, 5, "relu"), 2), join_window((32, (3, 5), 2), 2)
        ((32, (3, 5), 'relu'), (32, (3, 5), 2))
    """
    window = args[1 : 1 + rank]
    if rank > 1 and len(window) == rank and all(isinstance(n, int) for n in window):
        return (args[0], tuple(window), *args[1 + rank :])
    return args


def _named_window(layer: Any, args: tuple, kwargs: dict[str, Any], known: dict[str, Any]) -> tuple[tuple, dict]:
    for words in _WINDOWS:
        if words[0] in kwargs:
            kwargs = {**kwargs, "kernel_size": tuple(kwargs[word] for word in words)}
            for word in words:
                del kwargs[word]
    # `Conv2D(8, 3, 2)` has strides today; beside a word that only Keras 1 had, it means its window.
    if any(word in kwargs for word in known):
        args = join_window(args, getattr(layer, "_rank", 1))
    return args, kwargs


# --- what is left out ------------------------------------------------------------------------------------


def _check_mode(layer: str, mode: Any) -> None:
    if mode == 1:
        raise ValueError(
            f"{layer}: `mode=1` of Keras 1 normalized every sample by itself; use `LayerNormalization` instead."
        )
    if mode != 0:
        warnings.warn(
            f"{layer}: `mode={mode}` of Keras 1 is left out: outside of training the moving mean and variance are used. "
            "Call the layer with `training=True` to use the batch's always.",
            stacklevel=3,
        )


def _check_dropout(layer: str, dropout: Any) -> None:
    if dropout:
        warnings.warn(
            f"{layer}: `dropout={dropout}` of Keras 1 is left out. Put `SpatialDropout1D({dropout})` behind the layer.",
            stacklevel=3,
        )


# Word: an argument of the classes that had it, and a look at its value.
_DROPPED: dict[str, tuple[str, Callable[[str, Any], None]]] = {
    "mode": ("momentum", _check_mode),
    "dropout": ("embeddings_initializer", _check_dropout),
    "output_shape": ("output_padding", lambda layer, shape: None),
}
