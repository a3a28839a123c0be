"""Argument names of Keras 1 and 2, and what they are called now."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["accept_old_arguments"]

# Old word: what it may be called now; the first that a constructor has is meant. None: of no effect any more.
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
    "init": ("kernel_initializer", "embeddings_initializer", "alpha_initializer"),
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


def accept_old_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Let a constructor take the argument names of Keras 1 and 2 too.

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

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        for old in [name for name in kwargs if name in known]:
            value, new = kwargs.pop(old), known[old]
            value = _VALUES[old].get(value, value) if old in _VALUES else value
            if new is not None and new in kwargs:
                raise TypeError(f"`{old}` is an older word for `{new}`; pass one of them.")
            if new is not None:
                kwargs[new] = value
        init(self, *args, **kwargs)

    return wrapped
