"""`get_source_inputs`: the beginnings of a graph of layers."""

from __future__ import annotations

from typing import Any

from hornbeam import tree
from hornbeam.core.graph import nodes_of
from hornbeam.core.tensor import KerasTensor

__all__ = ["get_source_inputs"]


def get_source_inputs(tensor: Any, layer: Any = None, node_index: int | None = None) -> Any:
    """Return the input tensors that a symbolic tensor is computed from.

    Args:
        tensor: A symbolic tensor, or several in any structure. Other things are returned as they
            are, as in Keras.
        layer: Without effect, an argument of Keras 2: a tensor knows the layer that made it.
        node_index: Number of the call of `layer` whose inputs are meant, if `tensor` is `None`.

    Returns:
        A list of symbolic tensors, each once, in the order in which the graph uses them.

    Example:
        >>> import hornbeam as hb
        >>> a, b = hb.Input((2,), name="a"), hb.Input((2,), name="b")
        >>> [x.name for x in get_source_inputs(hb.layers.Add()([b, hb.layers.ReLU()(a)]))]
        ['b', 'a']
    """
    if tensor is None and layer is not None:
        tensor = nodes_of(layer)[node_index or 0].outputs
    waiting = [x for x in tree.flatten(tensor) if isinstance(x, KerasTensor)]
    if not waiting:
        return tensor
    found: dict[int, KerasTensor] = {}
    seen: set[int] = set()
    waiting.reverse()
    while waiting:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        inputs = x.history[0].inputs if x.history is not None else []
        if not inputs:
            found[id(x)] = x
        waiting += reversed(inputs)
    return list(found.values())
