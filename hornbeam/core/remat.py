"""Rematerialization: values of the forward pass computed again in the backward pass instead of being kept."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from typing import Any

import jax

from hornbeam.core.variable import Overlay, Variable

__all__ = ["RematScope", "checkpointed", "current_scope", "remat"]

_scope: ContextVar[RematScope | None] = ContextVar("hornbeam_remat", default=None)
_MODES = ("full", "activations", "larger_than", "list_of_layers", None)
# What mode "activations" keeps: results of products and convolutions; what is computed from them is not kept.
_PRODUCTS = ("dot_general", "conv_general_dilated", "hornbeam_conv", "hornbeam_conv_fused", "hornbeam_product")


class RematScope:
    """Layers made inside it trade time for memory: they compute values again in the backward pass.

    Args:
        mode: `"full"`: all layers. `"activations"`: layers with an activation keep their products alone.
            `"larger_than"`: layers whose output has more numbers than the threshold. `"list_of_layers"`: those named.
            `None`: none.
        output_size_threshold: For mode `"larger_than"`.
        layer_names: For mode `"list_of_layers"`.

    Raises:
        ValueError: If `mode` is none of these.

    Example:
        >>> from hornbeam.layers import Dense
        >>> with RematScope("list_of_layers", layer_names=["wide"]):
        ...     layer = Dense(1000, name="wide")
    """

    def __init__(
        self, mode: str | None = "full", output_size_threshold: int = 1024, layer_names: Iterable[str] | None = None
    ):
        if mode not in _MODES:
            raise ValueError(f"RematScope: `mode` must be one of {_MODES}, received {mode!r}.")
        self.mode, self.output_size_threshold, self.layer_names = mode, output_size_threshold, list(layer_names or [])
        self._tokens: list[Token] = []

    def __enter__(self) -> RematScope:
        self._tokens.append(_scope.set(self))
        return self

    def __exit__(self, *exc: object) -> None:
        _scope.reset(self._tokens.pop())

    def wrap(self, layer: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, the call of `layer`, as this scope wants it."""
        if self.mode == "full" or (self.mode == "list_of_layers" and layer.name in self.layer_names):
            return checkpointed(function)
        if self.mode == "activations" and getattr(layer, "activation", None) is not None:
            return checkpointed(function, policy=lambda primitive, *_, **__: primitive.name in _PRODUCTS)
        if self.mode == "larger_than":

            @functools.wraps(function)
            def decided(*args: Any, **kwargs: Any) -> Any:
                with Overlay():
                    outputs = jax.eval_shape(lambda: function(*args, **kwargs))
                large = sum(x.size for x in jax.tree.leaves(outputs)) > self.output_size_threshold
                return (checkpointed(function) if large else function)(*args, **kwargs)

            return decided
        return function


def current_scope() -> RematScope | None:
    """Return the innermost scope."""
    return _scope.get()


def checkpointed(function: Callable[..., Any], policy: Any = None) -> Callable[..., Any]:
    """Return `function` with its inner values not kept for the backward pass.

    Variables that it assigns and losses that it adds come out as results: no tracer stays behind.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        variables: list[Variable] = []
        owners: list[Any] = []

        def pure() -> Any:
            with Overlay() as overlay:
                outputs = function(*args, **kwargs)
                variables[:] = overlay.assigned
                owners[:] = [owner for owner, _ in overlay.losses]
                return outputs, [overlay.value_of(v) for v in variables], [loss for _, loss in overlay.losses]

        outputs, values, losses = jax.checkpoint(pure, policy=policy)()
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        for owner, loss in zip(owners, losses, strict=True):
            owner.add_loss(loss)
        return outputs

    return wrapped


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f` with its inner values not kept for the backward pass.

    Example:
        >>> import jax.numpy as jnp
        >>> float(jax.grad(remat(lambda x: jnp.sin(x) ** 2))(0.0))
        0.0
    """
    return checkpointed(f)
