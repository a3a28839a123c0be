"""Rematerialization: the backward pass recomputes values instead of storing them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

import jax

from hornbeam.core.variable import Overlay, Variable

if TYPE_CHECKING:
    from hornbeam.layers.layer import Layer

__all__ = ["RematScope", "checkpointed", "current_scope", "remat"]

_scope: ContextVar[RematScope | None] = ContextVar("hornbeam_remat", default=None)
_MODES = ("full", "activations", "larger_than", "list_of_layers", None)
# Mode "activations" keeps the results of these primitives and recomputes the rest.
_PRODUCTS = (
    "dot_general",
    "conv_general_dilated",
    "hornbeam_conv",
    "hornbeam_conv_fused",
    "hornbeam_product",
)


class RematScope:
    """A scope whose layers save memory: the backward pass computes their values again.

    Args:
        mode: Which layers recompute. `"full"`: all. `"activations"`: layers with an activation,
            which keep only products and convolutions. `"larger_than"`: layers whose output has more
            elements than the threshold. `"list_of_layers"`: the named ones. `None`: none.
        output_size_threshold: Number of elements for mode `"larger_than"`. Default: 1024.
        layer_names: Names for mode `"list_of_layers"`.

    Raises:
        ValueError: If `mode` is none of these.

    Example:
        >>> from hornbeam.layers import Dense
        >>> with RematScope("list_of_layers", layer_names=["wide"]):
        ...     layer = Dense(1000, name="wide")
    """

    def __init__(
        self,
        mode: str | None = "full",
        output_size_threshold: int = 1024,
        layer_names: Iterable[str] | None = None,
    ):
        if mode not in _MODES:
            raise ValueError(f"RematScope: `mode` must be one of {_MODES}, received {mode!r}.")
        self.mode, self.output_size_threshold, self.layer_names = (
            mode,
            output_size_threshold,
            list(layer_names or []),
        )
        self._tokens: list[Token] = []

    def __enter__(self) -> RematScope:
        self._tokens.append(_scope.set(self))
        return self

    def __exit__(self, *exc: object) -> None:
        _scope.reset(self._tokens.pop())

    def wrap(self, layer: Layer, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, the call of `layer`, with recomputation where this scope says so."""
        if self.mode == "full" or (
            self.mode == "list_of_layers" and layer.name in self.layer_names
        ):
            return checkpointed(function)
        if self.mode == "activations" and getattr(layer, "activation", None) is not None:
            return checkpointed(
                function, policy=lambda primitive, *_, **__: primitive.name in _PRODUCTS
            )
        if self.mode == "larger_than":

            @functools.wraps(function)
            def decided(*args: Any, **kwargs: Any) -> Any:
                def traced() -> Any:
                    with Overlay():
                        return function(*args, **kwargs)

                outputs = jax.eval_shape(traced)
                large = sum(x.size for x in jax.tree.leaves(outputs)) > self.output_size_threshold
                return (checkpointed(function) if large else function)(*args, **kwargs)

            return decided
        return function


def current_scope() -> RematScope | None:
    """Return the innermost scope."""
    return _scope.get()


def checkpointed(function: Callable[..., Any], policy: Any = None) -> Callable[..., Any]:
    """Return `function` with its inner values recomputed in the backward pass.

    Its assignments and added losses are passed out as results, so that no tracer leaks.

    Args:
        function: Any function of arrays.
        policy: A policy of `jax.checkpoint` that says which values are kept. Default: none.
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
                return (
                    outputs,
                    [overlay.value_of(v) for v in variables],
                    [loss for _, loss in overlay.losses],
                )

        outputs, values, losses = jax.checkpoint(pure, policy=policy)()
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        for owner, loss in zip(owners, losses, strict=True):
            owner.add_loss(loss)
        return outputs

    return wrapped


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f` with its inner values recomputed in the backward pass.

    Example:
        >>> import jax.numpy as jnp
        >>> float(jax.grad(remat(lambda x: jnp.sin(x) ** 2))(0.0))
        0.0
    """
    return checkpointed(f)
