"""Losses that use symbolic tensors of the model's graph, as in Keras 1 and 2."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from hornbeam.core.tensor import KerasTensor
from hornbeam.typing import Structure

__all__ = ["values_for_losses", "values_in_batch"]

# A function from symbolic tensors to their values for the batch whose loss is computed.
_find_values: ContextVar[Callable[[Any], Any] | None] = ContextVar(
    "hornbeam_find_values", default=None
)


@contextmanager
def values_for_losses(model: Any, x: Structure) -> Iterator[None]:
    """Let losses inside the block use symbolic tensors of the model's graph.

    Args:
        model: The model. A model without a graph has no symbolic tensors.
        x: The inputs of the batch.
    """
    find = getattr(model, "values_of", None)
    token = _find_values.set(None if find is None else lambda tensors: find(tensors, x))
    try:
        yield
    finally:
        _find_values.reset(token)


def values_in_batch(loss: Any, name: str) -> Any:
    """Return the value of a loss, which is symbolic if its function uses a symbolic tensor.

    Args:
        loss: The result of the loss's function.
        name: Name of the loss, for the message.

    Raises:
        ValueError: If it is symbolic and the model has no graph.
    """
    if not isinstance(loss, KerasTensor):
        return loss
    find = _find_values.get()
    if find is None:
        raise ValueError(
            f"The loss '{name}' uses {loss!r}, a symbolic tensor. Only the loss of a functional or"
            " sequential model can use one, and only a tensor of this model's graph."
        )
    return find(loss)
